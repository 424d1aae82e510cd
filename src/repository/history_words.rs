//! What is said about making a history shorter.

use crate::id::{CommitId, LfsOid};
use crate::name::BranchName;

/// How much of a branch's history stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// The newest commits with so many different sets of LFS files.
    ///
    /// A commit that changes no LFS file (a README, say) belongs to the checkpoint before it; one
    /// without any LFS file is none.
    LastCheckpoints(usize),
    /// So many of the newest commits, whatever they hold.
    LastCommits(usize),
}

impl Retention {
    pub(super) fn is_nothing(self) -> bool {
        matches!(self, Self::LastCheckpoints(0) | Self::LastCommits(0))
    }
}

/// An LFS object that a branch's history names no more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreferencedObject {
    /// Its name.
    pub oid: LfsOid,
    /// Its bytes.
    pub bytes: u64,
    /// What else leads to a commit that names it: full names of refs here (`refs/tags/v1`,
    /// `refs/remotes/origin/other`), refs of the remote that are not here (`origin: refs/pr/1`), stashes,
    /// HEADs of other work trees, and what this library keeps for pushes to come (`a pending push of exp`). As long as there is one, the object is needed.
    pub held_by: Vec<String>,
}

/// What [`Repository::plan_cleanup`](crate::Repository::plan_cleanup) found; good for the state it was made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanupPlan {
    pub(super) branch: BranchName,
    pub(super) tip: CommitId,
    pub(super) remote_tip: Option<CommitId>,
    pub(super) kept: Vec<CommitId>,
    pub(super) removed: Vec<CommitId>,
    pub(super) objects: Vec<UnreferencedObject>,
    pub(super) plain_bytes: u64,
    pub(super) unknown_refs: Vec<String>,
}

impl CleanupPlan {
    /// The branch.
    pub fn branch(&self) -> &BranchName {
        &self.branch
    }

    /// Where it is; the plan is for this commit only.
    pub fn tip(&self) -> CommitId {
        self.tip
    }

    /// Where the remote's branch was when it was asked; `None` if it has none.
    pub fn remote_tip(&self) -> Option<CommitId> {
        self.remote_tip
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
    }

    /// Commits that stay, oldest first. They get other ids.
    pub fn kept(&self) -> &[CommitId] {
        &self.kept
    }

    /// Commits that the history would not have any more, newest first.
    pub fn removed(&self) -> &[CommitId] {
        &self.removed
    }

    /// LFS objects that the history would not name any more.
    pub fn objects(&self) -> &[UnreferencedObject] {
        &self.objects
    }

    /// Bytes of those of the objects that nothing else holds.
    pub fn lfs_bytes(&self) -> u64 {
        lfs_bytes(&self.objects)
    }

    /// Bytes of other files that the history would not have any more, before git compresses them.
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Refs of the remote whose commits are not here: they may hold objects as well.
    pub fn unknown_refs(&self) -> &[String] {
        &self.unknown_refs
    }

    /// Turns it into a plan to change nothing.
    pub(super) fn keep_all(&mut self) {
        self.removed.clear();
        self.objects.clear();
        self.plain_bytes = 0;
    }
}

/// What [`Repository::clean_up`](crate::Repository::clean_up) or
/// [`Repository::squash_history`](crate::Repository::squash_history) did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryReport {
    /// The branch.
    pub branch: BranchName,
    /// Where it was. Its log (`git reflog`) keeps that commit: `git reset --soft` to it undoes all.
    pub before: CommitId,
    /// Where it is now.
    pub after: CommitId,
    /// Commits that stayed and what they are now, oldest first.
    pub rewritten: Vec<(CommitId, CommitId)>,
    /// Commits that the history does not have any more, newest first.
    pub removed: Vec<CommitId>,
    /// Old commits whose signature does not fit the new ones, and is gone.
    pub unsigned: Vec<CommitId>,
    /// LFS objects that the history does not name any more. Those that nothing holds may be deleted on the
    /// Hub once the branch is pushed; nothing is free before.
    pub objects: Vec<UnreferencedObject>,
    /// Where the remote's branch was when it was asked: what
    /// [`PushOptions::overwriting`](crate::PushOptions::overwriting) expects. `None` if it has none: then it is simply pushed.
    pub remote_tip: Option<CommitId>,
    /// Refs of the remote whose commits are not here: they may hold objects as well.
    pub unknown_refs: Vec<String>,
}

impl HistoryReport {
    /// Of what is planned and not done yet.
    pub(super) fn new(plan: &CleanupPlan) -> Self {
        Self {
            branch: plan.branch.clone(),
            before: plan.tip,
            after: plan.tip,
            rewritten: Vec::new(),
            removed: plan.removed.clone(),
            unsigned: Vec::new(),
            objects: plan.objects.clone(),
            remote_tip: plan.remote_tip,
            unknown_refs: plan.unknown_refs.clone(),
        }
    }

    /// Bytes of those of the objects that nothing else holds.
    pub fn lfs_bytes(&self) -> u64 {
        lfs_bytes(&self.objects)
    }
}

fn lfs_bytes(objects: &[UnreferencedObject]) -> u64 {
    let free = objects.iter().filter(|object| object.held_by.is_empty());
    // Pointers say what they like.
    free.fold(0, |sum, object| sum.saturating_add(object.bytes))
}
