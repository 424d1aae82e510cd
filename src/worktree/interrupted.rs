//! Finishing what a killed switch began: until a switch is complete, a record says where it was going.
//!
//! Files that hold what the record's tree says are no local edits, even if the remote has moved on
//! and the next switch goes elsewhere.

use std::collections::BTreeMap;

use super::materialise::is_content;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs;
use crate::git::{Change, Git, Index, Mode, ObjectId, private_folder};
use crate::path::RepoPath;

/// The record's name in the library's private folder; it holds the id of a tree.
const FILE: &str = "switching";

/// What an interrupted switch would have made of the paths it was to change.
#[derive(Default)]
pub(super) struct Interrupted {
    sides: BTreeMap<RepoPath, Option<(ObjectId, Mode)>>,
    changes: Vec<Change>,
}

impl Interrupted {
    /// The record of a switch away from the tree `from`, if one was interrupted.
    pub(super) fn read(git: &Git, from: Option<ObjectId>) -> Result<Self> {
        let text = fs::read_if_exists(&private_folder(git.git_dir()).join(FILE))?;
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        // A damaged record is as good as none: what it would excuse is then refused as an edit.
        let Some(tree) = ObjectId::from_str(text.trim())
            .ok()
            .filter(|id| git.has_tree(*id))
        else {
            return Ok(Self::default());
        };
        let changes = git.changes(from, Some(tree))?;
        let sides = changes
            .iter()
            .map(|change| (change.path.clone(), change.new));
        Ok(Self {
            sides: sides.collect(),
            changes,
        })
    }

    /// What it would have made of a path; `None` if nothing.
    pub(super) fn side(&self, path: &RepoPath) -> Option<Option<(ObjectId, Mode)>> {
        self.sides.get(path).copied()
    }

    /// Paths that it did change and that `changes` leaves alone: they go back to what they were.
    pub(super) fn left_over(
        &self,
        git: &Git,
        index: &Index,
        changes: &[Change],
        cancel: &CancelToken,
    ) -> Result<Vec<Change>> {
        let mut found = Vec::new();
        for change in &self.changes {
            if changes.iter().any(|other| other.path == change.path) {
                continue;
            }
            let entry = index.get(&change.path)?.map(|entry| (entry.id, entry.mode));
            let file = fs::lstat(&change.path.under(git.workdir()))?;
            let done = match (change.new, file) {
                (Some((id, mode)), Some(stat)) => {
                    is_content(git, index, &change.path, &stat, (id, mode), cancel)?
                }
                (None, None) => true,
                _ => false,
            };
            if done || entry == change.new {
                found.push(Change {
                    path: change.path.clone(),
                    old: change.old,
                    new: change.old,
                });
            }
        }
        Ok(found)
    }
}

/// Notes that the work tree is on its way to a tree.
pub(super) fn begin(git: &Git, to: ObjectId) -> Result<()> {
    let file = private_folder(git.git_dir()).join(FILE);
    fs::atomic_write(&file, format!("{to}\n").as_bytes())
}

/// Notes that HEAD has followed the work tree, and the switch is complete.
pub(crate) fn complete(git: &Git) -> Result<()> {
    fs::remove_file_if_exists(&private_folder(git.git_dir()).join(FILE))
}
