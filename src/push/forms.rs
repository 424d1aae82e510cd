//! What became of commits that were made anew: by a pull, by a repair, by a push that replayed them.
//!
//! A note leads from a commit to its next form; one that was made anew twice has two notes in a row. None
//! is taken back when a branch does not get there in the end: whoever asks names the branch's tip.

use std::collections::HashSet;

use crate::error::Result;
use crate::git::{Git, PrivateRef};
use crate::id::CommitId;

/// The forms of a commit, from its second on.
fn forms(git: &Git, commit: CommitId) -> Result<Vec<CommitId>> {
    let mut found = Vec::new();
    let mut now = commit;
    while let Some(next) = git.private(&PrivateRef::Rewritten(now))? {
        if next == commit || found.contains(&next) {
            break;
        }
        found.push(next);
        now = next;
    }
    Ok(found)
}

/// The last form of a commit that is part of `tip`.
pub(super) fn form_in(git: &Git, commit: CommitId, tip: CommitId) -> Result<Option<CommitId>> {
    for form in forms(git, commit)?.into_iter().rev() {
        if git.is_ancestor(form, tip)? {
            return Ok(Some(form));
        }
    }
    Ok(None)
}

/// These commits, and what became of them.
pub(super) fn with_forms(
    git: &Git,
    commits: impl IntoIterator<Item = CommitId>,
) -> Result<HashSet<CommitId>> {
    let mut all = HashSet::new();
    for commit in commits {
        all.insert(commit);
        all.extend(forms(git, commit)?);
    }
    Ok(all)
}
