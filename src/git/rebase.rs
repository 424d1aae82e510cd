//! Replaying commits on top of another one, in the object store alone.

use super::error::wrap;
use super::refs::object_id;
use super::{Git, Identity, MergedTree};
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::path::RepoPath;

/// What became of commits that were to be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rebase {
    /// Each commit, and what it is now; in the order they were given.
    ///
    /// A commit whose change was there already is now the one before it.
    Done(Vec<(CommitId, CommitId)>),
    /// Paths that this commit changed, and the new line of history as well.
    Conflicts {
        commit: CommitId,
        paths: Vec<RepoPath>,
    },
    /// This commit is a merge, which cannot be replayed.
    HasMerge(CommitId),
}

impl Git {
    /// Replays commits, oldest first, on top of `onto`; no ref moves.
    ///
    /// What a commit changed against its own parent is merged path by path, as by
    /// [`Git::merge_trees`]. Author, date and message stay; the committer is `identity`, now.
    /// A signature is not kept: it would not fit the new commit.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a message that is not UTF-8.
    pub(crate) fn rebase_commits(
        &self,
        commits: &[CommitId],
        onto: CommitId,
        identity: &Identity,
    ) -> Result<Rebase> {
        let mut tip = onto;
        let mut tree = self.tree_of(onto)?;
        self.refuse_odd_tree(tree)?;
        let mut rewritten = Vec::with_capacity(commits.len());
        for &commit in commits {
            let base = match self.parents_of(commit)?[..] {
                [] => None,
                [parent] => Some(self.tree_of(parent)?),
                _ => return Ok(Rebase::HasMerge(commit)),
            };
            let merged = match self.merge_trees(base, tree, self.tree_of(commit)?)? {
                MergedTree::Clean(merged) => merged,
                MergedTree::Conflicts(paths) => return Ok(Rebase::Conflicts { commit, paths }),
            };
            if merged != tree {
                let raw = self.repo.find_commit(object_id(commit)?);
                let raw = raw.map_err(wrap("read a commit"))?;
                let committer = identity.sign()?;
                let signatures = (&raw.author(), &committer);
                tip = self.write_signed(merged, &[tip], message_of(&raw, commit)?, signatures)?;
                tree = merged;
            }
            rewritten.push((commit, tip));
        }
        Ok(Rebase::Done(rewritten))
    }

    /// Commits from `tip` back to the first of `until`, which is left out; oldest first.
    ///
    /// A merge ends the way back: what lies behind it is no line. It is the first one then.
    pub(crate) fn line_since(&self, tip: CommitId, until: &[CommitId]) -> Result<Vec<CommitId>> {
        let mut line = Vec::new();
        let mut next = Some(tip);
        while let Some(commit) = next.filter(|commit| !until.contains(commit)) {
            line.push(commit);
            next = match self.parents_of(commit)?[..] {
                [parent] => Some(parent),
                _ => None,
            };
        }
        line.reverse();
        Ok(line)
    }
}

/// A commit's message, if it can be written again as it is.
fn message_of<'a>(raw: &'a git2::Commit<'_>, commit: CommitId) -> Result<&'a str> {
    let encoding = raw.message_encoding().ok().flatten();
    let utf8 = encoding.is_none_or(|name| name.eq_ignore_ascii_case("utf-8"));
    raw.message_raw().ok().filter(|_| utf8).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("the message of {} is not UTF-8", commit.short()),
        )
        .with_hint("rebase with git, or merge")
    })
}
