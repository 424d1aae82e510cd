//! What the index, as it was read, has other than a tree.

use std::cmp::Ordering;
use std::ops::Range;

use git2::ObjectType;

use super::diff::path_of;
use super::error::wrap;
use super::listing::CachedTree;
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

/// What a row, or several, are in a folder: a file, or a folder with a `/` at the end of its name.
struct Child<'a> {
    name: &'a [u8],
    rows: Range<usize>,
}

struct Comparison<'a> {
    git: &'a Git,
    index: &'a Listing,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, part: Part<'a>, open: &mut Vec<Part<'a>>) -> Result<()> {
        if part.tree.is_some() && part.cached.and_then(|cached| cached.id) == part.tree {
            return Ok(());
        }
        let tree = part.tree.map(|id| self.git.repo.find_tree(id));
        let tree = tree.transpose().map_err(wrap("read a tree"))?;
        let mut rows = part.rows;
        let mut name = Vec::new();
        for entry in tree.iter().flatten() {
            let is_folder = entry.kind() == Some(ObjectType::Tree);
            name.clear();
            name.extend_from_slice(entry.name_bytes());
            if is_folder {
                name.push(b'/');
            }
            // Both sides are in git's order: what comes before is in the index alone.
            let same = loop {
                let Some(child) = self.child(&part.folder, &rows) else {
                    break None;
                };
                match child.name.cmp(&name) {
                    Ordering::Greater => break None,
                    Ordering::Equal => {
                        rows.start = child.rows.end;
                        break Some(child.rows);
                    }
                    Ordering::Less => {
                        rows.start = child.rows.end;
                        self.added(child.rows)?;
                    }
                }
            };
            if is_folder {
                let cached = part
                    .cached
                    .and_then(|cached| cached.child(entry.name_bytes()));
                open.push(Part {
                    folder: [&part.folder[..], &name].concat(),
                    tree: Some(entry.id()),
                    rows: same.unwrap_or(0..0),
                    cached,
                });
                continue;
            }
            let mode = u32::try_from(entry.filemode())
                .ok()
                .and_then(Mode::from_raw);
            let old = mode.map(|mode| (entry.id(), mode));
            let new = match same {
                Some(rows) if self.index.stage(rows.start) != 0 => continue,
                Some(rows) => self.index.content(rows.start),
                None => None,
            };
            if old != new {
                let path = [&part.folder[..], &name].concat();
                self.push(&path, old, new)?;
            }
        }
        self.added(rows)
    }

    /// What the first of the rows is in the folder.
    fn child(&self, folder: &[u8], rows: &Range<usize>) -> Option<Child<'a>> {
        if rows.is_empty() {
            return None;
        }
        let index: &'a Listing = self.index;
        let path = index.path(rows.start);
        let below = &path[folder.len()..];
        let (name, count) = match below.iter().position(|byte| *byte == b'/') {
            Some(end) => {
                let whole = &path[..folder.len() + end + 1];
                (&below[..=end], index.below(rows.clone(), whole))
            }
            // One in conflict has several rows.
            None => {
                let mut several = rows.clone();
                let count = several.position(|row| index.path(row) != path);
                (below, count.unwrap_or(rows.len()))
            }
        };
        let rows = rows.start..rows.start + count;
        Some(Child { name, rows })
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
