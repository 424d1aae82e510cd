//! Making commits anew: with another tree or other parents, and byte for byte the same otherwise.

use std::io::{Read, Write};

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Sort};

use super::error::wrap;
use super::refs::{commit_id, object_id};
use super::{Git, Mode, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::path::RepoPath;

/// A commit that was made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remade {
    pub(crate) id: CommitId,
    /// What the old one was signed with, or a merged tag in it: it does not fit the new one.
    pub(crate) lost_signature: bool,
}

/// A file of a tree that is to have another blob, or to be new.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    pub(crate) path: RepoPath,
    pub(crate) blob: ObjectId,
    pub(crate) mode: Mode,
}

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

impl Git {
    /// A handle whose new objects are kept in memory, and go with it: for looking what would become.
    pub(crate) fn in_memory(&self) -> Result<Self> {
        let mut git = Self::open(&self.workdir)?;
        let odb = git.repo.odb().map_err(wrap("open the object store"))?;
        odb.add_new_mempack_backend(i32::MAX)
            .map_err(wrap("open the object store"))?;
        drop(odb);
        git.in_memory = true;
        Ok(git)
    }

    /// Commits reachable from any of the `tips` but from none of `excluded`, each after its parents.
    pub(crate) fn commits_in_order(
        &self,
        tips: &[CommitId],
        excluded: &[CommitId],
    ) -> Result<Vec<CommitId>> {
        let walk = || -> Result<Vec<CommitId>, git2::Error> {
            let mut walk = self.repo.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            for tip in tips {
                walk.push(ObjectId::from_bytes(tip.as_bytes())?)?;
            }
            for commit in excluded {
                walk.hide(ObjectId::from_bytes(commit.as_bytes())?)?;
            }
            walk.map(|id| id.map(commit_id)).collect()
        };
        walk().map_err(wrap("walk the history"))
    }

    /// Refuses to judge a history of which only the newest part is here.
    pub(crate) fn refuse_shallow(&self, action: &str) -> Result<()> {
        if !self.repo.is_shallow() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("cannot {action}: this clone has only a part of the history"),
        )
        .with_hint("fetch the rest first: git fetch --unshallow"))
    }

    /// A commit and its first parents, to the end; the newest first.
    pub(crate) fn first_parents(&self, tip: CommitId) -> Result<Vec<CommitId>> {
        let mut line = vec![tip];
        let mut next = self.parents_of(tip)?.first().copied();
        while let Some(commit) = next {
            line.push(commit);
            next = self.parents_of(commit)?.first().copied();
        }
        Ok(line)
    }

    /// The file at a path of a tree; `None` for folders, links, submodules and nothing.
    pub(crate) fn file_at(
        &self,
        tree: ObjectId,
        path: &RepoPath,
    ) -> Result<Option<(ObjectId, Mode)>> {
        let found = self.files_at(tree, [path].into_iter())?;
        Ok(found.first().map(|(_, file)| *file))
    }

    /// Whether a tree has anything at a path, of whatever kind.
    pub(crate) fn has_at(&self, tree: ObjectId, path: &RepoPath) -> Result<bool> {
        let tree = self.repo.find_tree(tree).map_err(wrap("read a tree"))?;
        match tree.get_path(std::path::Path::new(path.as_str())) {
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(false),
            entry => entry.map(|_| true).map_err(wrap("read a tree")),
        }
    }

    /// Those of the paths at which a tree has files, with blob and mode.
    pub(crate) fn files_at<'p>(
        &self,
        tree: ObjectId,
        paths: impl Iterator<Item = &'p RepoPath>,
    ) -> Result<Vec<(&'p RepoPath, (ObjectId, Mode))>> {
        let tree = self.repo.find_tree(tree).map_err(wrap("read a tree"))?;
        let mut found = Vec::new();
        for path in paths {
            let entry = match tree.get_path(std::path::Path::new(path.as_str())) {
                Err(error) if error.code() == git2::ErrorCode::NotFound => continue,
                entry => entry.map_err(wrap("read a tree"))?,
            };
            let mode = u32::try_from(entry.filemode()).ok();
            let mode = mode.and_then(Mode::from_raw).filter(|mode| mode.is_file());
            found.extend(mode.map(|mode| (path, (entry.id(), mode))));
        }
        Ok(found)
    }

    /// A tree with some files replaced or added.
    pub(crate) fn tree_with(&self, tree: ObjectId, files: &[Replacement]) -> Result<ObjectId> {
        let base = self.repo.find_tree(tree).map_err(wrap("read a tree"))?;
        let mut update = TreeUpdateBuilder::new();
        for Replacement { path, blob, mode } in files {
            let mode = match mode {
                Mode::Executable => FileMode::BlobExecutable,
                _ => FileMode::Blob,
            };
            update.upsert(path.as_str(), *blob, mode);
        }
        update
            .create_updated(&self.repo, &base)
            .map_err(wrap("write a tree"))
    }

    /// Makes a commit anew; no ref moves.
    ///
    /// Author, committer, dates, message and its encoding stay as they are, whatever bytes they have.
    /// So the same is made of the same commit, however often. A signature is left out, and so is
    /// the signed tag that a merge keeps of what it merged, if the parents change.
    pub(crate) fn remake_commit(
        &self,
        commit: CommitId,
        tree: ObjectId,
        parents: &[CommitId],
    ) -> Result<Remade> {
        let odb = self.repo.odb().map_err(wrap("open the object store"))?;
        let old = odb
            .read(object_id(commit)?)
            .map_err(wrap("read a commit"))?;
        let known = self.parents_of(commit)?;
        if known.len() != count_parents(old.data()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot rewrite {}: this clone ends there", commit.short()),
            )
            .with_hint("fetch the rest of the history first: fetch_history()"));
        }
        let same_parents = known == parents;
        let (text, lost_signature) = remade(old.data(), tree, parents, same_parents);
        let id = odb
            .write(ObjectType::Commit, &text)
            .map_err(wrap("write a commit"))?;
        // Whatever was odd about the old one, the new one has to be readable.
        self.repo.find_commit(id).map_err(wrap("read a commit"))?;
        Ok(Remade {
            id: commit_id(id),
            lost_signature,
        })
    }

    /// Copies a blob to `target`, in pieces where the object store can.
    pub(crate) fn copy_blob(&self, id: ObjectId, target: &mut dyn Write) -> Result<()> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot copy the blob {id}")).with_source(error)
        };
        let odb = self.repo.odb().map_err(wrap("open the object store"))?;
        let Ok((mut reader, ..)) = odb.reader(id) else {
            // A packed one comes whole or not at all.
            return target.write_all(&self.blob(id)?).map_err(failed);
        };
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer).map_err(failed)? {
                0 => return Ok(()),
                count => target.write_all(&buffer[..count]).map_err(failed)?,
            }
        }
    }

    /// Makes sure that a ref's next move is logged, so that it can be undone.
    pub(crate) fn log_moves_of(&self, full_name: &str) -> Result<()> {
        self.repo
            .reference_ensure_log(full_name)
            .map_err(wrap(&format!("write the log of {full_name}")))
    }

    /// Every ref with the commit it leads to, but this library's own; symbolic ones are left aside.
    pub(crate) fn named_commits(&self) -> Result<Vec<(String, CommitId)>> {
        let read = || -> Result<Vec<(String, CommitId)>, git2::Error> {
            let mut found = Vec::new();
            for reference in self.repo.references()? {
                let reference = reference?;
                let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                let commit = reference.target().and_then(|id| self.known_commit(id));
                if let Some(commit) = commit
                    && !name.starts_with(super::PRIVATE_REFS)
                {
                    found.push((name, commit));
                }
            }
            Ok(found)
        };
        read().map_err(wrap("read the refs"))
    }
}

/// How many parents a commit's text names; a shallow clone knows of fewer.
fn count_parents(text: &[u8]) -> usize {
    let head = text.split(|byte| *byte == b'\n');
    let head = head.take_while(|line| !line.is_empty());
    head.filter(|line| line.starts_with(b"parent ")).count()
}

/// The text of a commit with another tree and other parents, and whether it lost a signature.
fn remade(old: &[u8], tree: ObjectId, parents: &[CommitId], same_parents: bool) -> (Vec<u8>, bool) {
    let mut text = format!("tree {tree}\n").into_bytes();
    for parent in parents {
        text.extend(format!("parent {parent}\n").as_bytes());
    }
    let (mut lost, mut skipping) = (false, false);
    let mut rest = old;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..=end];
        if line == b"\n" {
            break;
        }
        rest = &rest[end + 1..];
        // A line that goes on with the header before it.
        if !line.starts_with(b" ") {
            let has = |name: &[u8]| line.starts_with(name);
            let signature =
                has(b"gpgsig ") || has(b"gpgsig-sha256 ") || (has(b"mergetag ") && !same_parents);
            lost |= signature;
            skipping = signature || has(b"tree ") || has(b"parent ");
        }
        if !skipping {
            text.extend(line);
        }
    }
    text.extend(rest);
    (text, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tree_parents_and_signatures_change() {
        let id = |digit: &str| -> CommitId { digit.repeat(40).parse().expect("id") };
        let old = format!(
            "tree {}\nparent {}\nauthor A <a> 1 +0200\ncommitter B <b> 2 -0300\n\
             encoding latin1\ngpgsig -----BEGIN\n \n tree x\n -----END\nmergetag object 1\n type commit\n\
             x-other 1\n going on\n\nsubject \n\n tree 1\nparent 2\n\n",
            "1".repeat(40),
            id("2")
        );
        let mut bytes = old.into_bytes();
        bytes.push(0xe9);
        let tree = ObjectId::from_str(&"3".repeat(40)).expect("id");
        let (text, lost) = remade(&bytes, tree, &[id("4"), id("5")], false);
        let mut expected = format!(
            "tree {tree}\nparent {}\nparent {}\nauthor A <a> 1 +0200\ncommitter B <b> 2 -0300\n\
             encoding latin1\nx-other 1\n going on\n\nsubject \n\n tree 1\nparent 2\n\n",
            id("4"),
            id("5")
        )
        .into_bytes();
        expected.push(0xe9);
        assert_eq!(text, expected);
        assert!(lost);
        // What has no signature loses none, and is the same again.
        let (again, lost) = remade(&text, tree, &[id("4"), id("5")], true);
        assert_eq!((again, lost), (text, false));
        // No message, and not even a line end.
        let bare = format!("tree {tree}\nauthor A <a> 1 +0000");
        let (text, _) = remade(bare.as_bytes(), tree, &[], true);
        assert_eq!(text, bare.as_bytes());
    }
}
