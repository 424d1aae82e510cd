//! What differs between two trees, and every file of one tree.

use git2::{Delta, DiffOptions, TreeWalkMode, TreeWalkResult};

use super::error::wrap;
use super::{Git, Index, Mode, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::path::RepoPath;

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFile {
    pub(crate) path: RepoPath,
    pub(crate) id: ObjectId,
    pub(crate) mode: Mode,
}

/// A path that is not the same in two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: RepoPath,
    /// Blob and mode before; `None` if the path is new.
    pub(crate) old: Option<(ObjectId, Mode)>,
    /// Blob and mode after; `None` if the path is gone.
    pub(crate) new: Option<(ObjectId, Mode)>,
}

pub(super) fn path_of(bytes: &[u8]) -> Result<RepoPath> {
    let name = std::str::from_utf8(bytes).map_err(|_| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "the file name {:?} is not UTF-8",
                String::from_utf8_lossy(bytes)
            ),
        )
        .with_hint("rename the file with git mv; the Hub takes UTF-8 names only")
    })?;
    RepoPath::new(name)
}

impl Git {
    /// Paths that differ between two trees; `None` is the empty tree. Renames are not looked for.
    pub(crate) fn changes(
        &self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    ) -> Result<Vec<Change>> {
        let find = |id: Option<ObjectId>| id.map(|id| self.repo.find_tree(id)).transpose();
        let (old, new) = (
            find(old).map_err(wrap("read a tree"))?,
            find(new).map_err(wrap("read a tree"))?,
        );
        let diff = self
            .repo
            .diff_tree_to_tree(old.as_ref(), new.as_ref(), Some(&mut options()))
            .map_err(wrap("compare two trees"))?;
        collect(&diff)
    }

    /// Paths that differ between a tree and the index.
    pub(crate) fn staged_changes(
        &self,
        tree: Option<ObjectId>,
        index: &Index,
    ) -> Result<Vec<Change>> {
        let tree = tree
            .map(|id| self.repo.find_tree(id))
            .transpose()
            .map_err(wrap("read a tree"))?;
        let diff = self
            .repo
            .diff_tree_to_index(tree.as_ref(), Some(index.raw()), Some(&mut options()))
            .map_err(wrap("compare HEAD and the index"))?;
        collect(&diff)
    }

    /// Every file of a tree, in git's order.
    pub(crate) fn files_of(&self, tree: ObjectId) -> Result<Vec<TreeFile>> {
        let tree = self.repo.find_tree(tree).map_err(wrap("read a tree"))?;
        let mut files = Vec::new();
        let mut failed = None;
        tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
            let mode = u32::try_from(entry.filemode())
                .ok()
                .and_then(Mode::from_raw);
            let Some(mode) = mode else {
                return TreeWalkResult::Ok;
            };
            let bytes = [folder.as_bytes(), entry.name_bytes()].concat();
            match path_of(&bytes) {
                Ok(path) => {
                    files.push(TreeFile {
                        path,
                        id: entry.id(),
                        mode,
                    });
                    TreeWalkResult::Ok
                }
                Err(error) => {
                    failed = Some(error);
                    TreeWalkResult::Abort
                }
            }
        })
        .or_else(|error| {
            if failed.is_some() {
                Ok(())
            } else {
                Err(wrap("read a tree")(error))
            }
        })?;
        failed.map_or(Ok(files), Err)
    }
}

fn options() -> DiffOptions {
    let mut options = DiffOptions::new();
    // A file that became a link is one change, not a deletion and an addition.
    options.include_typechange(true).ignore_submodules(false);
    options
}

fn collect(diff: &git2::Diff<'_>) -> Result<Vec<Change>> {
    let side = |file: &git2::DiffFile<'_>| {
        Mode::from_raw(u32::from(file.mode())).map(|mode| (file.id(), mode))
    };
    diff.deltas()
        .filter(|delta| delta.status() != Delta::Conflicted)
        .map(|delta| {
            let (old, new) = (delta.old_file(), delta.new_file());
            let path = new.path_bytes().or(old.path_bytes()).unwrap_or_default();
            let old = if delta.status() == Delta::Added {
                None
            } else {
                side(&old)
            };
            let new = if delta.status() == Delta::Deleted {
                None
            } else {
                side(&new)
            };
            Ok(Change {
                path: path_of(path)?,
                old,
                new,
            })
        })
        .collect()
}
