//! A folder of a tree beside the same folder of the index.

use std::cmp::Ordering;
use std::ops::Range;

use git2::{ObjectType, Tree, TreeEntry};

use super::Listing;
use crate::error::Result;

/// What has a name in a folder.
pub(super) enum Beside<'t> {
    /// The index alone.
    Index(Range<usize>),
    /// The tree, and these rows of the index; none if it is the tree alone.
    Tree(TreeEntry<'t>, Range<usize>),
}

/// What the first of some rows is in a folder: a file, or a folder with a `/` at the end of its name.
struct Child<'a> {
    name: &'a [u8],
    rows: Range<usize>,
}

impl Listing {
    /// Goes through a folder, its name empty or with a `/` at its end, of which the index has `rows`.
    pub(super) fn beside(
        &self,
        tree: Option<&Tree<'_>>,
        folder: &[u8],
        mut rows: Range<usize>,
        mut each: impl FnMut(Beside<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut name = Vec::new();
        for entry in tree.iter().flat_map(|tree| tree.iter()) {
            name.clear();
            name.extend_from_slice(entry.name_bytes());
            if is_folder(&entry) {
                name.push(b'/');
            }
            // Both sides are in git's order: what comes before is in the index alone.
            let mut same = 0..0;
            while let Some(child) = self.first_child(folder, &rows) {
                let order = child.name.cmp(&name);
                if order == Ordering::Greater {
                    break;
                }
                rows.start = child.rows.end;
                if order == Ordering::Equal {
                    same = child.rows;
                    break;
                }
                each(Beside::Index(child.rows))?;
            }
            each(Beside::Tree(entry, same))?;
        }
        if rows.is_empty() {
            return Ok(());
        }
        each(Beside::Index(rows))
    }

    fn first_child(&self, folder: &[u8], rows: &Range<usize>) -> Option<Child<'_>> {
        if rows.is_empty() {
            return None;
        }
        let path = self.path(rows.start);
        let below = &path[folder.len()..];
        let (name, count) = match below.iter().position(|byte| *byte == b'/') {
            Some(end) => {
                let whole = &path[..folder.len() + end + 1];
                (&below[..=end], self.below(rows.clone(), whole))
            }
            // One in conflict has several rows.
            None => {
                let mut several = rows.clone();
                let count = several.position(|row| self.path(row) != path);
                (below, count.unwrap_or(rows.len()))
            }
        };
        let rows = rows.start..rows.start + count;
        Some(Child { name, rows })
    }
}

/// Whether a tree's entry is a tree.
pub(super) fn is_folder(entry: &TreeEntry<'_>) -> bool {
    entry.kind() == Some(ObjectType::Tree)
}
