//! Bringing two lines of history together in the object store: no ref, index or file is touched.

mod lines;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;

use git2::ErrorCode;

use self::tree::Three;
use super::error::wrap;
use super::refs::{commit_id, object_id};
use super::{Git, ObjectId};
use crate::error::Result;
use crate::id::CommitId;
use crate::path::RepoPath;

/// What three trees make together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergedTree {
    /// A tree with the changes of both sides.
    Clean(ObjectId),
    /// Paths that both sides changed, each in its own way; in git's order.
    Conflicts(Vec<RepoPath>),
}

/// What two commits make together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// A tree with the changes of both sides since they parted.
    Clean(ObjectId),
    /// Paths that both sides changed, each in its own way; in git's order.
    Conflicts(Vec<RepoPath>),
    /// They have no commit in common.
    Unrelated,
}

impl Git {
    /// The best common ancestors of two commits: none, one, or several where lines crossed.
    pub(crate) fn merge_bases(&self, one: CommitId, other: CommitId) -> Result<Vec<CommitId>> {
        match self.repo.merge_bases(object_id(one)?, object_id(other)?) {
            Ok(found) => Ok(found.iter().copied().map(commit_id).collect()),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(Vec::new()),
            Err(error) => Err(wrap("compare two commits")(error)),
        }
    }

    /// Merges two trees path by path; `base` is what both came from, `None` the empty tree.
    ///
    /// A path that one side alone changed becomes what that side made of it; kind, mode and
    /// content change together. Contents of two sides are never mixed, for half of a JSON file
    /// and half of another make no JSON file; `.gitattributes` alone is merged by lines, because
    /// every writer adds rules to it. Renames are not looked for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`](crate::ErrorKind::InvalidPath) or `Unsupported` for a name this
    /// library would not check out, in what `theirs` brings or in a folder that both changed.
    pub(crate) fn merge_trees(
        &self,
        base: Option<ObjectId>,
        ours: ObjectId,
        theirs: ObjectId,
    ) -> Result<MergedTree> {
        let (tree, conflicts) = self.three_way(base, ours, theirs)?;
        Ok(if conflicts.is_empty() {
            MergedTree::Clean(tree)
        } else {
            MergedTree::Conflicts(conflicts.into_iter().collect())
        })
    }

    /// Merges what two commits did since they parted.
    ///
    /// Where they parted more than once, the merge must be the same from each such commit, and
    /// paths for which it is not are conflicts.
    pub(crate) fn merge_commits(&self, ours: CommitId, theirs: CommitId) -> Result<Merge> {
        let (our_tree, their_tree) = (self.tree_of(ours)?, self.tree_of(theirs)?);
        self.refuse_odd_tree(their_tree)?;
        let mut conflicts = BTreeSet::new();
        let mut merged = None;
        for base in self.merge_bases(ours, theirs)? {
            let base = self.tree_of(base)?;
            let (tree, found) = self.three_way(Some(base), our_tree, their_tree)?;
            conflicts.extend(found);
            let first = *merged.get_or_insert(tree);
            if first != tree {
                let differing = self.changes(Some(first), Some(tree))?;
                conflicts.extend(differing.into_iter().map(|change| change.path));
            }
        }
        Ok(match merged {
            None => Merge::Unrelated,
            Some(tree) if conflicts.is_empty() => Merge::Clean(tree),
            Some(_) => Merge::Conflicts(conflicts.into_iter().collect()),
        })
    }

    /// The merged tree, with one of the sides for each conflict, and the conflicts.
    fn three_way(
        &self,
        base: Option<ObjectId>,
        ours: ObjectId,
        theirs: ObjectId,
    ) -> Result<(ObjectId, BTreeSet<RepoPath>)> {
        let trees = Three {
            base,
            ours: Some(ours),
            theirs: Some(theirs),
        };
        let (tree, conflicts) = tree::merge(self, trees)?;
        // Folders that one side alone changed were taken whole. Reading what came from there
        // refuses names that must not appear in a work tree.
        self.changes(Some(ours), Some(tree))?;
        Ok((tree, conflicts))
    }
}
