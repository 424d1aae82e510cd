//! What the index, as it was read, has other than a tree.

use std::ops::Range;

use super::beside::{Beside, is_folder};
use super::cached_trees::CachedTree;
use super::diff::path_of;
use super::error::wrap;
use super::{Change, Git, Listing, Mode, ObjectId};
use crate::error::Result;

/// A blob, or the commit of a submodule, and its mode.
type Content = Option<(ObjectId, Mode)>;

impl Git {
    /// Paths that differ between a tree and the index; those in conflict are left out.
    ///
    /// Trees that the index remembers as its own are not read.
    pub(crate) fn staged_in(&self, index: &Listing, tree: Option<ObjectId>) -> Result<Vec<Change>> {
        let mut comparison = Comparison {
            git: self,
            index,
            changes: Vec::new(),
        };
        let mut open = vec![Part {
            folder: Vec::new(),
            tree,
            rows: index.rows(),
            cached: index.trees(),
        }];
        // Not by a function that calls itself: a tree says how deep it would go.
        while let Some(part) = open.pop() {
            comparison.compare(part, &mut open)?;
        }
        comparison
            .changes
            .sort_by(|one, other| one.path.cmp(&other.path));
        Ok(comparison.changes)
    }
}

/// A folder of both sides.
struct Part<'a> {
    /// Its name: empty or with a `/` at its end.
    folder: Vec<u8>,
    tree: Option<ObjectId>,
    rows: Range<usize>,
    cached: Option<&'a CachedTree>,
}

struct Comparison<'a> {
    git: &'a Git,
    index: &'a Listing,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, part: Part<'a>, open: &mut Vec<Part<'a>>) -> Result<()> {
        let cached = part.cached;
        let remembered = cached.and_then(|cached| cached.id_for(part.rows.len()));
        if part.tree.is_some() && remembered == part.tree {
            return Ok(());
        }
        let tree = part.tree.map(|id| self.git.repo.find_tree(id));
        let tree = tree.transpose().map_err(wrap("read a tree"))?;
        let Part { folder, rows, .. } = part;
        let index = self.index;
        let each = |beside: Beside<'_>| {
            let (entry, rows) = match beside {
                Beside::Index(rows) => return self.added(rows),
                Beside::Tree(entry, rows) => (entry, rows),
            };
            let name = entry.name_bytes();
            if is_folder(&entry) {
                open.push(Part {
                    folder: [&folder[..], name, b"/"].concat(),
                    tree: Some(entry.id()),
                    rows,
                    cached: cached.and_then(|cached| cached.child(name)),
                });
                return Ok(());
            }
            let mode = u32::try_from(entry.filemode())
                .ok()
                .and_then(Mode::from_raw);
            let old = mode.map(|mode| (entry.id(), mode));
            let new = match rows.is_empty() {
                true => None,
                false if self.index.stage(rows.start) != 0 => return Ok(()),
                false => self.index.content(rows.start),
            };
            if old != new {
                self.push(&[&folder[..], name].concat(), old, new)?;
            }
            Ok(())
        };
        index.beside(tree.as_ref(), &folder, rows, each)
    }

    /// Rows that no tree has.
    fn added(&mut self, rows: Range<usize>) -> Result<()> {
        for row in rows {
            if self.index.stage(row) == 0 {
                self.push(self.index.path(row), None, self.index.content(row))?;
            }
        }
        Ok(())
    }

    fn push(&mut self, path: &[u8], old: Content, new: Content) -> Result<()> {
        let path = path_of(path)?;
        self.changes.push(Change { path, old, new });
        Ok(())
    }
}
