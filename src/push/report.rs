//! What a push did.

use super::handle::PushHandle;
use crate::error::Error;
use crate::id::CommitId;
use crate::name::{BranchName, RefName};
use crate::path::RepoPath;
use crate::progress::PushState;
use crate::worktree::StageReport;

/// What became of the branch on the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushedRef {
    /// It moved to our commit.
    Moved,
    /// It did not exist and was created.
    Created,
    /// It moved to our commit, and lost what it had: that was asked for.
    Overwritten,
    /// The commit was there already.
    UpToDate,
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushReport {
    /// The branch: that of this clone, or the one of its own that the commit got on the remote.
    pub branch: BranchName,
    /// The ref of the remote that has the commit now: the branch of that name, or what the branch follows
    /// if that is no branch, `refs/pr/3` say.
    pub target: RefName,
    /// The commit the remote's ref is at now.
    pub commit: CommitId,
    /// What became of the remote's ref.
    pub outcome: PushedRef,
    /// Commits the remote did not have.
    pub commits: usize,
    /// LFS objects that were uploaded.
    pub lfs_objects: usize,
    /// Their bytes.
    pub lfs_bytes: u64,
    /// The server's `remote:` text, if it said something.
    pub server_message: Option<String>,
    /// The page of the commit; `None` where the remote is no repository of the Hub.
    pub url: Option<String>,
    /// What was done because the remote had moved.
    pub integration: Integration,
}

/// What a push did because the remote's branch had commits this clone lacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integration {
    /// Nothing: the branch had not moved.
    #[default]
    None,
    /// The two were merged; the report's `commit` is, or contains, this merge.
    Merged {
        /// The merge commit.
        merge: CommitId,
    },
    /// The commits were replayed on top of the remote's.
    Rebased {
        /// Each commit that was promised, and what stands for it on the remote.
        rewritten: Vec<(CommitId, CommitId)>,
    },
    /// The commit went to a branch of its own, the report's `branch`.
    Diverted {
        /// The branch it was meant for.
        from: BranchName,
        /// The files that both sides had changed; empty if nobody tried to merge.
        conflicts: Vec<RepoPath>,
    },
}

/// How a background push ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The remote has the commit.
    Pushed(PushReport),
    /// A newer commit took its place on the branch before the push began.
    Superseded {
        /// The commit that did.
        by: CommitId,
    },
    /// A deferred save found nothing to commit.
    Unchanged,
}

/// How far a background push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushProgress {
    /// The step it is at.
    pub state: PushState,
    /// LFS objects to send.
    pub objects: usize,
    /// Their bytes.
    pub total: u64,
    /// Bytes sent so far.
    pub bytes: u64,
}

impl Default for PushProgress {
    fn default() -> Self {
        Self {
            state: PushState::Queued,
            objects: 0,
            total: 0,
            bytes: 0,
        }
    }
}

/// A background push that failed; the commit is safe here, and a later push takes it along.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PushFailure {
    /// The commit; `None` if a deferred save did not get so far.
    pub commit: Option<CommitId>,
    /// The branch it was for.
    pub branch: Option<BranchName>,
    /// Why.
    pub error: Error,
}

/// A commit that was promised and is not known to be on the remote yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PendingPush {
    /// The commit; `None` for a deferred save whose files are still to be read.
    pub commit: Option<CommitId>,
    /// The branch it is for.
    pub branch: BranchName,
    /// How far it is, if this [`Repository`](crate::Repository) is at it.
    pub state: Option<PushState>,
    /// Who keeps the promise.
    pub keeper: Keeper,
}

/// Who is to push a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keeper {
    /// This repository object.
    This,
    /// Another one, in this process or another, that is alive.
    Another,
    /// Nobody any more: the next `save`, `flush` or `resume_pushes` takes it over.
    Nobody,
}

/// What waiting for background pushes came to, when all of them arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// Commits that reached the remote since the last such report.
    pub pushed: Vec<CommitId>,
    /// Those of them that went to a branch of their own, because the remote had moved, with it.
    pub diverted: Vec<(CommitId, BranchName)>,
}

/// What [`save`](crate::Repository::save) did.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub struct SaveReport {
    /// What became of the content.
    pub saved: Saved,
    /// What was staged, and what was skipped and stays dirty; empty for a deferred save.
    pub staged: StageReport,
    /// Background pushes that failed since the last report; their commits are safe here.
    pub failures: Vec<PushFailure>,
}

/// What became of the content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Saved {
    /// Nothing changed, and the remote has all there is.
    Unchanged,
    /// It is committed and promised. If nothing had changed, the commit is the branch's last,
    /// which the remote did not have yet.
    Queued {
        /// The commit.
        commit: CommitId,
        /// Its push.
        handle: PushHandle,
    },
    /// The files are being read; they must not be written until the handle says so.
    Staging {
        /// What becomes of it.
        handle: PushHandle,
    },
}
