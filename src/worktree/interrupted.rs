//! Finishing what a killed switch began: until a switch is complete, a record says where it was going.
//!
//! Files that hold what the record's trees say are no local edits, even if the remote has moved on
//! and the next switch goes elsewhere. The record counts only as long as HEAD is where the switch
//! began; whoever moved HEAD since then knows what the work tree holds.

use std::collections::{BTreeMap, HashSet};

use super::content::Content;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::git::{Change, Git, Index, Mode, ObjectId, private_folder};
use crate::path::RepoPath;

/// The record's name in the library's private folder. Its first line is the id of the tree it began
/// at, or `-` for none; each further one that of a tree it was going to.
const FILE: &str = "switching";
const NO_TREE: &str = "-";

/// What a path would have become; `None` if it would have been removed.
type Side = Option<(ObjectId, Mode)>;

/// What interrupted switches would have made of the paths they were to change.
#[derive(Default)]
pub(super) struct Interrupted {
    sides: BTreeMap<RepoPath, Vec<Side>>,
    changes: Vec<Change>,
}

impl Interrupted {
    /// What was interrupted on the way from the tree `from`.
    pub(super) fn read(git: &Git, from: Option<ObjectId>) -> Result<Self> {
        let mut found = Self::default();
        for tree in targets(git, from)? {
            for change in git.changes(from, Some(tree))? {
                let sides = found.sides.entry(change.path.clone()).or_default();
                sides.push(change.new);
                found.changes.push(change);
            }
        }
        Ok(found)
    }

    /// What they would have made of a path.
    pub(super) fn sides(&self, path: &RepoPath) -> &[Side] {
        self.sides.get(path).map_or(&[], Vec::as_slice)
    }

    /// Paths that they did change and that `changes` leaves alone: they go back to what they were.
    pub(super) fn left_over(
        &self,
        git: &Git,
        index: &Index,
        changes: &[Change],
        cancel: &CancelToken,
    ) -> Result<Vec<Change>> {
        let mut known: HashSet<&RepoPath> = changes.iter().map(|change| &change.path).collect();
        let mut found = Vec::new();
        for change in &self.changes {
            if known.contains(&change.path) {
                continue;
            }
            cancel.check()?;
            let entry = index.get(&change.path)?.map(|entry| (entry.id, entry.mode));
            let file = fs::lstat(&change.path.under(git.workdir()))?;
            let done = match (change.new, file) {
                (Some(side), Some(stat)) => {
                    Content::new(git, index, &change.path, stat, cancel).is(side)?
                }
                (None, None) => true,
                _ => false,
            };
            if done || entry == change.new {
                known.insert(&change.path);
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

fn line(tree: Option<ObjectId>) -> String {
    tree.map_or_else(|| NO_TREE.to_owned(), |tree| tree.to_string())
}

/// Where interrupted switches from a tree were going.
fn targets(git: &Git, from: Option<ObjectId>) -> Result<Vec<ObjectId>> {
    let text = fs::read_if_exists(&private_folder(git.git_dir()).join(FILE))?;
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    let mut lines = text.lines();
    if lines.next() != Some(&line(from)) {
        return Ok(Vec::new());
    }
    // A damaged line is as good as none: what it would excuse is refused as an edit.
    let trees = lines.filter_map(|line| ObjectId::from_str(line).ok());
    Ok(trees.filter(|tree| git.has_tree(*tree)).collect())
}

/// Notes that the work tree is on its way from one tree to another.
pub(super) fn begin(git: &Git, from: Option<ObjectId>, to: ObjectId) -> Result<()> {
    let mut trees = targets(git, from)?;
    if !trees.contains(&to) {
        trees.push(to);
    }
    let mut text = line(from);
    for tree in trees {
        text += &format!("\n{tree}");
    }
    let file = private_folder(git.git_dir()).join(FILE);
    fs::atomic_write(&file, (text + "\n").as_bytes())
}

/// Notes that HEAD has followed the work tree, and the switch is complete.
pub(crate) fn complete(git: &Git) -> Result<()> {
    fs::remove_file_if_exists(&private_folder(git.git_dir()).join(FILE))
}

/// Refuses to take the leftovers of an interrupted switch for changes of the user's.
pub(crate) fn refuse_interrupted(git: &Git, action: &str) -> Result<()> {
    let from = git.head()?.commit();
    let from = from.map(|commit| git.tree_of(commit)).transpose()?;
    if targets(git, from)?.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::UnfinishedOperation,
        format!("cannot {action}: a pull or checkout was interrupted half way"),
    )
    .with_hint("pull again as before, or check out the branch, which finishes it"))
}
