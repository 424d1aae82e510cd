//! The local branch follows what a background push made of it, on the caller's thread.

use super::forms::{form_in, with_forms};
use crate::error::Result;
use crate::git::{Git, Head, PrivateRef};
use crate::id::CommitId;
use crate::local::Local;
use crate::name::BranchName;
use crate::step::step;
use crate::worktree;

/// Where the branch at `tip` is to go, if a push integrated it with what the remote had.
pub(crate) fn target(git: &Git, branch: &BranchName, tip: CommitId) -> Result<Option<CommitId>> {
    let Some(goal) = git.private(&PrivateRef::Integrated(branch))? else {
        return Ok(None);
    };
    if goal == tip {
        return Ok(None);
    }
    if git.is_ancestor(tip, goal)? {
        return Ok(Some(goal));
    }
    Ok(form_in(git, tip, goal)?.map(|_| goal))
}

/// Moves branch, index and work tree there if that touches no local edit and needs no network.
///
/// The caller holds the lock. What is in the way only puts it off: the next push integrates again.
pub(crate) fn follow(local: &Local, git: &Git, head: Head) -> Result<Head> {
    let Head::Branch { branch, commit } = &head else {
        return Ok(head);
    };
    let Some(goal) = target(git, branch, *commit)? else {
        // It may have got there by other ways.
        forget(git, branch, *commit, *commit)?;
        return Ok(head);
    };
    let log = "hf-repository: follow the remote";
    let moved = local
        .switch_offline(git, Some(*commit), goal)
        .and_then(|()| git.set_ref(&branch.local_ref(), goal, Some(*commit), log))
        .and_then(|()| worktree::complete(git))
        .and_then(|()| {
            step("followed");
            forget(git, branch, *commit, goal)
        });
    match moved {
        Ok(()) => Ok(Head::Branch {
            branch: branch.clone(),
            commit: goal,
        }),
        Err(error) => {
            tracing::info!(%error, %branch, "the branch follows the remote later");
            Ok(head)
        }
    }
}

/// A pull or a repair made commits anew: promises of the old ones are kept by the new ones.
pub(crate) fn note_replayed(git: &Git, rewritten: &[(CommitId, CommitId)]) -> Result<()> {
    let promised = with_forms(git, git.promised()?)?;
    for (old, new) in rewritten {
        if promised.contains(old) {
            git.set_private(&PrivateRef::Rewritten(*old), *new)?;
        }
    }
    Ok(())
}

/// The branch went from one commit to another: forgets what led there.
pub(crate) fn forget(git: &Git, branch: &BranchName, from: CommitId, to: CommitId) -> Result<()> {
    let Some(goal) = git.private(&PrivateRef::Integrated(branch))? else {
        return Ok(());
    };
    if !git.is_ancestor(goal, to)? {
        return Ok(());
    }
    // A promise that is not kept yet needs to know what became of its commit.
    let promised = with_forms(git, git.promised()?)?;
    for old in git.commits_between(from, &[to])? {
        if !promised.contains(&old) {
            git.drop_private(&PrivateRef::Rewritten(old))?;
        }
    }
    git.drop_private(&PrivateRef::Integrated(branch))
}
