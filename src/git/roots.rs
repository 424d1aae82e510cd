//! Where everything that must not be lost begins: refs, the HEADs of all work trees, stashes, and
//! operations that somebody has not finished.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, ReferenceType};

use super::error::wrap;
use super::refs::commit_id;
use super::{Git, ObjectId};
use crate::error::{Error, Result};
use crate::fs;
use crate::id::CommitId;

/// Where git notes commits that no ref may name, in the folder of a work tree.
///
/// `ORIG_HEAD` and `FETCH_HEAD` are not among them: they stay when the operation is over.
const NOTES: [&str; 9] = [
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "MERGE_AUTOSTASH",
    "rebase-merge/orig-head",
    "rebase-merge/autostash",
    "rebase-apply/orig-head",
    "rebase-apply/autostash",
];
/// Hex digits of an id.
const DIGITS: usize = 40;
const STASH: &str = "refs/stash";

impl Git {
    /// git's folders of all work trees of this repository: the main one, then the linked ones.
    pub(crate) fn work_tree_folders(&self) -> Result<Vec<PathBuf>> {
        let common = self.common_dir();
        let mut folders = vec![common.to_path_buf()];
        let linked = common.join("worktrees");
        let failed = |error: std::io::Error| Error::io("list", &linked, error);
        match std::fs::read_dir(&linked) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            entries => {
                for entry in entries.map_err(failed)? {
                    let folder = entry.map_err(failed)?.path();
                    if folder.is_dir() {
                        folders.push(folder);
                    }
                }
            }
        }
        Ok(folders)
    }

    /// The commit that is checked out in the work tree whose folder this is.
    pub(crate) fn head_in(&self, folder: &Path) -> Result<Option<CommitId>> {
        let head = fs::read_if_exists(&folder.join("HEAD"))?.unwrap_or_default();
        let head = String::from_utf8_lossy(&head);
        match head.trim().strip_prefix("ref:") {
            Some(name) => self.ref_commit(name.trim()),
            None => Ok(self.noted(&head)),
        }
    }

    /// Commits that operations under way in a work tree still need.
    pub(crate) fn unfinished_commits(&self, folder: &Path) -> Result<Vec<CommitId>> {
        let mut commits = Vec::new();
        for name in NOTES {
            let text = fs::read_if_exists(&folder.join(name))?.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            commits.extend(text.lines().filter_map(|line| self.noted(line)));
        }
        Ok(commits)
    }

    /// The commits that all refs of any kind lead to.
    pub(crate) fn ref_commits(&self) -> Result<Vec<CommitId>> {
        let read = || -> Result<Vec<CommitId>, git2::Error> {
            let mut commits = Vec::new();
            for reference in self.repo.references()? {
                let reference = reference?;
                // Another ref's name: that one has its own turn, if it exists.
                if reference.kind() == Some(ReferenceType::Symbolic) {
                    continue;
                }
                match reference.peel(ObjectType::Commit) {
                    Ok(commit) => commits.push(commit_id(commit.id())),
                    // A tag of a tree or a blob.
                    Err(error) if error.code() == ErrorCode::InvalidSpec => {}
                    Err(error) if error.code() == ErrorCode::Peel => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(commits)
        };
        read().map_err(wrap("read the refs"))
    }

    /// All stashes, the newest and those before it.
    pub(crate) fn stashes(&self) -> Result<Vec<CommitId>> {
        let read = || -> Result<Vec<CommitId>, git2::Error> {
            // Asked for a log that is not there, libgit2 would create it.
            if !self.repo.reference_has_log(STASH)? {
                return Ok(Vec::new());
            }
            let log = self.repo.reflog(STASH)?;
            Ok(log.iter().map(|entry| commit_id(entry.id_new())).collect())
        };
        let mut stashes = read().map_err(wrap("read the stashes"))?;
        stashes.extend(self.ref_commit(STASH)?);
        Ok(stashes)
    }

    /// The commit whose id a line of git's own notes begins with.
    fn noted(&self, line: &str) -> Option<CommitId> {
        let id = ObjectId::from_str(line.get(..DIGITS)?).ok()?;
        self.known_commit(id)
    }
}
