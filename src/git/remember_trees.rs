//! The index remembers the trees of what was committed or checked out, as git has it do: whoever compares
//! it with HEAD later, git or we, need not read them.
//!
//! libgit2 remembers only what it has just written itself, and a checkout by it writes none.

use std::ops::Range;
use std::path::Path;

use super::beside::{Beside, is_folder};
use super::cached_trees::CachedTree;
use super::error::wrap;
use super::index_draft::{Draft, IfTaken, WITH_TREES};
use super::listing::with_trees;
use super::{Git, Listing, ObjectId};
use crate::error::{Error, Result};
use crate::fs;

/// An index that lacks fewer trees is left as it is: reading them takes less than writing it.
const WORTH_IT: usize = if cfg!(test) { 1 } else { 32 };

impl Git {
    /// Has the index on disk remember the trees of what it was committed as.
    ///
    /// Best effort: whoever is at the index now has more to say, and without them it says the same.
    pub(crate) fn remember_trees(&self, tree: ObjectId) {
        if let Err(error) = self.try_to_remember(tree) {
            tracing::debug!(%error, "the index remembers no trees");
        }
    }

    fn try_to_remember(&self, tree: ObjectId) -> Result<()> {
        let path = self.git_dir().join("index");
        let before = fs::lstat(&path)?;
        let Some(bytes) = fs::read_if_exists(&path)? else {
            return Ok(());
        };
        let Some(new) = self.index_with_trees(&bytes, tree)? else {
            return Ok(());
        };
        let draft = Draft::begin(self.git_dir(), IfTaken::GiveUp)?;
        if fs::lstat(&path)? != before {
            return Ok(());
        }
        draft.replace_alike(&new)
    }

    /// The same for an index that is about to become the repository's.
    pub(super) fn remember_in(&self, file: &Path, tree: ObjectId) {
        let other = file.with_extension(WITH_TREES);
        let remember = || -> Result<()> {
            let bytes = std::fs::read(file).map_err(|error| Error::io("read", file, error))?;
            let Some(new) = self.index_with_trees(&bytes, tree)? else {
                return Ok(());
            };
            // The file is complete without them, whatever becomes of this one.
            let failed = |error| Error::io("write", &other, error);
            std::fs::write(&other, new).map_err(failed)?;
            std::fs::rename(&other, file).map_err(failed)
        };
        if let Err(error) = remember() {
            tracing::debug!(%error, "the index remembers no trees");
            let _ = std::fs::remove_file(&other);
        }
    }

    /// The same index file with the trees in it; `None` if that is not worth it, or if it is none that can
    /// be read here.
    fn index_with_trees(&self, bytes: &[u8], tree: ObjectId) -> Result<Option<Vec<u8>>> {
        let Some(index) = self.listing_in(bytes.to_vec(), None) else {
            return Ok(None);
        };
        let found = Search {
            git: self,
            index: &index,
            folders: Vec::new(),
            read: 0,
        };
        let trees = found.run(tree)?;
        Ok(trees.and_then(|trees| with_trees(bytes, &trees)))
    }
}

/// No system has paths longer than this; what is below such a folder is not remembered.
const LONGEST_PATH: usize = 4096;

/// A folder that the tree and the index have.
struct Folder<'a> {
    /// Its path: empty or with a `/` at its end.
    path: Vec<u8>,
    /// Where its own name begins in that.
    name: usize,
    tree: ObjectId,
    rows: Range<usize>,
    cached: Option<&'a CachedTree>,
    /// The number of the one that it is in.
    above: usize,
    /// Whether all that is directly in it is the same, as far as was seen.
    is_same: bool,
}

/// A search for folders in which the index holds just what a tree does.
struct Search<'a> {
    git: &'a Git,
    index: &'a Listing,
    /// Each behind the one that it is in.
    folders: Vec<Folder<'a>>,
    /// How many trees had to be read.
    read: usize,
}

impl Search<'_> {
    fn run(mut self, tree: ObjectId) -> Result<Option<CachedTree>> {
        self.folders.push(Folder {
            path: Vec::new(),
            name: 0,
            tree,
            rows: self.index.rows(),
            cached: self.index.trees(),
            above: 0,
            is_same: true,
        });
        // Not by a function that calls itself: a tree says how deep it would go.
        let mut number = 0;
        while number < self.folders.len() {
            self.look(number)?;
            number += 1;
        }
        Ok((self.read >= WORTH_IT).then(|| self.collect()).flatten())
    }

    fn look(&mut self, number: usize) -> Result<()> {
        let folder = &self.folders[number];
        if self.is_known(folder) {
            return Ok(());
        }
        self.read += 1;
        let found = self.git.repo.find_tree(folder.tree);
        let tree = found.map_err(wrap("read a tree"))?;
        let (mut below, mut is_same) = (Vec::new(), true);
        let each = |beside: Beside<'_>| {
            let Beside::Tree(entry, rows) = beside else {
                is_same = false;
                return Ok(());
            };
            let name = entry.name_bytes();
            if !is_folder(&entry) {
                is_same &= rows.len() == 1 && self.index.is_as_in_tree(rows.start, &entry);
            } else if rows.is_empty() || folder.path.len() > LONGEST_PATH {
                is_same = false;
            } else {
                below.push(Folder {
                    path: [&folder.path[..], name, b"/"].concat(),
                    name: folder.path.len(),
                    tree: entry.id(),
                    rows,
                    cached: folder.cached.and_then(|cached| cached.child(name)),
                    above: number,
                    is_same: true,
                });
            }
            Ok(())
        };
        self.index
            .beside(Some(&tree), &folder.path, folder.rows.clone(), each)?;
        self.folders[number].is_same = is_same;
        self.folders.append(&mut below);
        Ok(())
    }

    /// Whether the index remembers the folder's tree already.
    fn is_known(&self, folder: &Folder<'_>) -> bool {
        let rows = folder.rows.len();
        folder.cached.and_then(|cached| cached.id_for(rows)) == Some(folder.tree)
    }

    /// All that was found, from the bottom up.
    fn collect(&self) -> Option<CachedTree> {
        let mut below: Vec<Vec<(Vec<u8>, CachedTree)>> = Vec::new();
        below.resize_with(self.folders.len(), Vec::new);
        let mut differs = vec![false; self.folders.len()];
        for (number, folder) in self.folders.iter().enumerate().rev() {
            let tree = match folder.cached {
                Some(cached) if self.is_known(folder) => cached.clone(),
                _ => {
                    let is_same = folder.is_same && !differs[number];
                    let id = is_same.then_some(folder.tree);
                    CachedTree::new(id, folder.rows.len(), std::mem::take(&mut below[number]))?
                }
            };
            if number == 0 {
                return Some(tree);
            }
            differs[folder.above] |= tree.id_for(folder.rows.len()).is_none();
            let name = &folder.path[folder.name..folder.path.len() - 1];
            below[folder.above].push((name.to_vec(), tree));
        }
        None
    }
}

#[cfg(test)]
mod tests;
