//! A tree as if it were checked out: its attributes, and its files in a folder of our own.

use std::path::Path;

use git2::build::CheckoutBuilder;

use super::attributes::{Filter, Stack, of_index};
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
    index: git2::Index,
    rules: Stack,
}

/// What becomes of a blob on its way into the work tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversion {
    /// Whether the tree's attributes give the file to Git LFS.
    pub(crate) is_lfs: bool,
    /// Whether, where LFS does not come into it, the file's bytes are the blob's.
    pub(crate) is_verbatim: bool,
}

impl Git {
    /// The snapshot of a tree; `None` is the empty tree.
    pub(crate) fn snapshot(&self, tree: Option<ObjectId>) -> Result<Snapshot> {
        let repo = self.reopen()?;
        if self.in_memory {
            let shared = self.repo.odb().and_then(|odb| repo.set_odb(&odb));
            shared.map_err(wrap("open the object store"))?;
        }
        let read = || -> Result<git2::Index, git2::Error> {
            let mut index = git2::Index::new()?;
            if let Some(tree) = tree {
                index.read_tree(&repo.find_tree(tree)?)?;
            }
            repo.set_index(&mut index)?;
            Ok(index)
        };
        let index = read().map_err(wrap("read the tree"))?;
        let rules = Stack::new(&repo)?;
        Ok(Snapshot { repo, index, rules })
    }
}

impl Snapshot {
    /// What the tree's attributes say of a path.
    pub(crate) fn filter(&self, path: &RepoPath) -> Result<Filter> {
        let read = |file: &str| of_index(&self.repo, &self.index, file);
        self.rules.filter(path, read)
    }

    /// Whether they give it to Git LFS.
    pub(crate) fn is_lfs(&self, path: &RepoPath) -> Result<bool> {
        Ok(self.filter(path)? == Filter::Lfs)
    }

    /// What becomes of a file on its way into the work tree.
    pub(crate) fn checkout(&self, path: &RepoPath) -> Result<Conversion> {
        let read = |file: &str| of_index(&self.repo, &self.index, file);
        let (filter, is_verbatim) = self.rules.checkout(path, read)?;
        Ok(Conversion {
            is_lfs: filter == Filter::Lfs,
            is_verbatim,
        })
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
