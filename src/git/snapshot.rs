//! A tree as if it were checked out: its attributes, and its files in a folder of our own.

use std::path::Path;

use git2::build::CheckoutBuilder;
use git2::{AttrCheckFlags, AttrValue};

use super::error::wrap;
use super::{Git, ObjectId};
use crate::error::Result;
use crate::path::RepoPath;

/// One tree behind a handle whose index holds just that tree.
///
/// `.gitattributes` of the *tree* decide here, not those that happen to lie in the work tree, and
/// nothing here touches the repository's own index or work tree.
pub(crate) struct Snapshot {
    repo: git2::Repository,
}

impl Git {
    /// The snapshot of a tree; `None` is the empty tree.
    pub(crate) fn snapshot(&self, tree: Option<ObjectId>) -> Result<Snapshot> {
        let repo = self.reopen()?;
        if self.in_memory {
            let shared = self.repo.odb().and_then(|odb| repo.set_odb(&odb));
            shared.map_err(wrap("open the object store"))?;
        }
        let read = || -> Result<(), git2::Error> {
            let mut index = git2::Index::new()?;
            if let Some(tree) = tree {
                index.read_tree(&repo.find_tree(tree)?)?;
            }
            repo.set_index(&mut index)
        };
        read().map_err(wrap("read the tree"))?;
        Ok(Snapshot { repo })
    }

    /// Whether a path's attributes ask for a filter other than LFS, or for another encoding.
    pub(crate) fn has_foreign_filter(&self, path: &RepoPath) -> Result<bool> {
        let asks = |name: &str| -> Result<bool> {
            let flags = AttrCheckFlags::FILE_THEN_INDEX;
            let value = self
                .repo
                .get_attr_bytes(Path::new(path.as_str()), name, flags)
                .map_err(wrap(&format!("read the attributes of {path}")))?;
            Ok(matches!(AttrValue::from_bytes(value), AttrValue::String(text) if text != "lfs"))
        };
        Ok(asks("filter")? || asks("working-tree-encoding")?)
    }

    /// The value of the `filter` attribute that the work tree's files give a path.
    pub(crate) fn is_lfs_in_worktree(&self, path: &RepoPath) -> Result<bool> {
        is_lfs(&self.repo, path, AttrCheckFlags::FILE_THEN_INDEX)
    }
}

impl Snapshot {
    /// Whether the tree's attributes give a path to Git LFS.
    pub(crate) fn is_lfs(&self, path: &RepoPath) -> Result<bool> {
        is_lfs(&self.repo, path, AttrCheckFlags::INDEX_ONLY)
    }

    /// Writes the named files of the tree below an empty `folder`, converted as git would.
    pub(crate) fn write_files(&self, paths: &[&RepoPath], folder: &Path) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        self.repo
            .set_workdir(folder, false)
            .map_err(wrap("check out files"))?;
        let mut options = CheckoutBuilder::new();
        // The paths are names, not patterns.
        options
            .force()
            .update_index(false)
            .refresh(false)
            // The umask decides what is left of it; libgit2 itself would keep the group out.
            .dir_perm(0o777)
            .disable_pathspec_match(true);
        for path in paths {
            options.path(path.as_str());
        }
        self.repo
            .checkout_index(None, Some(&mut options))
            .map_err(wrap("check out files"))
    }
}

fn is_lfs(repo: &git2::Repository, path: &RepoPath, flags: AttrCheckFlags) -> Result<bool> {
    let value = repo
        .get_attr_bytes(Path::new(path.as_str()), "filter", flags)
        .map_err(wrap(&format!("read the attributes of {path}")))?;
    Ok(matches!(
        AttrValue::from_bytes(value),
        AttrValue::String("lfs")
    ))
}
