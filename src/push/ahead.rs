//! Whether a branch has something to push.

use super::side::is_side_of;
use crate::error::Result;
use crate::git::Git;
use crate::id::CommitId;
use crate::local::Local;
use crate::name::BranchName;

/// Whether the ref that `branch` is pushed to lacks a commit of it, as far as is known here.
///
/// What went to a side branch has been pushed as well as it could be. Of a ref that was never heard of, only
/// commits are missed that the remote has under no name: a branch that was merely begun is not pushed.
pub(crate) fn is_ahead(
    local: &Local,
    git: &Git,
    branch: &BranchName,
    commit: CommitId,
) -> Result<bool> {
    let remote = local.remote_name();
    let target = git.push_target(branch, remote).tracking_ref(remote);
    let Some(tip) = git.ref_commit(&target)? else {
        return local.is_unpushed(git, commit);
    };
    let mut there = vec![tip];
    let tracked = git.tracked_branches(remote)?.into_iter();
    there.extend(tracked.filter_map(|(name, tip)| is_side_of(branch, &name).then_some(tip)));
    Ok(!git.commits_between(commit, &there)?.is_empty())
}
