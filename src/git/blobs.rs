//! Blobs by the tree or index that names them, the paths left aside.
//!
//! Whoever decides what may be deleted has to see every blob, also those under names that are no
//! path of ours (bytes that are not UTF-8, say).

use std::collections::HashSet;
use std::path::Path;

use git2::ObjectType;

use super::error::wrap;
use super::index::EMPTY_BLOB;
use super::{Git, ObjectId};
use crate::error::Result;
use crate::id::CommitId;

/// The part of a raw mode that says what kind of thing an entry is, and its value for files.
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;

impl Git {
    /// Adds the files of `tree` that none of the `others` has at the same place; with no others, all.
    ///
    /// Subtrees that are the same are not entered, so the cost is that of what differs.
    pub(crate) fn blobs_beyond(
        &self,
        tree: ObjectId,
        others: &[ObjectId],
        found: &mut HashSet<ObjectId>,
    ) -> Result<()> {
        // No recursion: how deep trees nest is for those to say who push them. And no tree twice: one
        // that holds the same tree ten times, ten levels deep, has more files than anybody can visit.
        let mut open = vec![(tree, others.to_vec())];
        let mut entered = HashSet::new();
        while let Some((tree, others)) = open.pop() {
            if others.contains(&tree) || !entered.insert((tree, others.clone())) {
                continue;
            }
            let find = |id: &ObjectId| self.repo.find_tree(*id).map_err(wrap("read a tree"));
            let (tree, others) = (
                find(&tree)?,
                others.iter().map(find).collect::<Result<Vec<_>>>()?,
            );
            for entry in &tree {
                let same: Vec<_> = others
                    .iter()
                    .filter_map(|other| other.get_name_bytes(entry.name_bytes()))
                    .collect();
                if same.iter().any(|other| other.id() == entry.id()) {
                    continue;
                }
                let is_tree = |kind: Option<ObjectType>| kind == Some(ObjectType::Tree);
                let mode = u32::try_from(entry.filemode_raw()).unwrap_or_default();
                if is_tree(entry.kind()) {
                    let same = same.iter().filter(|other| is_tree(other.kind()));
                    open.push((entry.id(), same.map(git2::TreeEntry::id).collect()));
                } else if mode & KIND == FILE {
                    found.insert(entry.id());
                }
            }
        }
        Ok(())
    }

    /// Adds the files of a commit that none of its parents has at the same place.
    pub(crate) fn blobs_brought_by(
        &self,
        commit: CommitId,
        found: &mut HashSet<ObjectId>,
    ) -> Result<()> {
        let parents = self.parents_of(commit)?;
        let parents: Vec<ObjectId> = parents
            .into_iter()
            .map(|parent| self.tree_of(parent))
            .collect::<Result<_>>()?;
        self.blobs_beyond(self.tree_of(commit)?, &parents, found)
    }

    /// Adds the files of an index, all sides of conflicts among them; no file is an empty index.
    pub(crate) fn blobs_of_index(&self, index: &Path, found: &mut HashSet<ObjectId>) -> Result<()> {
        let index = git2::Index::open(index).map_err(wrap("read the index"))?;
        let files = index.iter().filter(|entry| entry.mode & KIND == FILE);
        // `git add -N` puts the empty blob there without writing it.
        let blobs = files
            .map(|entry| entry.id)
            .filter(|id| id.to_string() != EMPTY_BLOB);
        found.extend(blobs);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::BranchName;

    /// Ten levels of ten folders each: a dozen objects, and ten thousand million files.
    #[test]
    fn more_files_than_anybody_can_visit() {
        let folder = tempfile::tempdir().expect("temp");
        let git = super::super::create(&folder.path().join("r"), &BranchName::main());
        let git = git.expect("created");
        let odb = git.repo.odb().expect("odb");
        let write = |bytes: &[u8]| odb.write(ObjectType::Tree, bytes).expect("written");
        let towers = [1, 2].map(|file| {
            let mut tree = write(&[&b"100644 f\0"[..], &[file; 20]].concat());
            for _ in 0..10 {
                let entry = |name| [b"40000 ", &[name, 0][..], tree.as_bytes()].concat();
                let ten: Vec<Vec<u8>> = (b'0'..=b'9').map(entry).collect();
                tree = write(&ten.concat());
            }
            tree
        });
        for others in [&[][..], &towers[1..]] {
            let mut found = HashSet::new();
            git.blobs_beyond(towers[0], others, &mut found)
                .expect("walked");
            assert_eq!(found.len(), 1);
        }
    }
}
