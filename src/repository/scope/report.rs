//! What a commit scope did.

use crate::id::CommitId;
use crate::push::{Delivery, PushFailure, PushHandle};
use crate::worktree::StageReport;

/// What [`CommitScope::finish`](crate::CommitScope::finish) did.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub struct ScopeReport {
    /// What became of the work.
    pub outcome: ScopeOutcome,
    /// What was staged, and what was skipped and stays dirty.
    pub staged: StageReport,
    /// Earlier background pushes that failed since the last report; their commits are safe here.
    pub failures: Vec<PushFailure>,
}

/// What became of the work in a commit scope.
///
/// If nothing had changed but the remote lacked the branch's last commit, that one is pushed and named.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ScopeOutcome {
    /// Nothing changed, and there was nothing to push.
    Unchanged,
    /// It is committed and stays here, as [`ScopePush::Off`](crate::ScopePush::Off) has it.
    Committed {
        /// The commit.
        commit: CommitId,
    },
    /// It is committed and promised, as [`ScopePush::Background`](crate::ScopePush::Background) has it.
    Queued {
        /// The commit.
        commit: CommitId,
        /// Its push.
        handle: PushHandle,
    },
    /// It is committed, and the remote has it, as [`ScopePush::Wait`](crate::ScopePush::Wait) has it.
    Pushed {
        /// The commit.
        commit: CommitId,
        /// How it got there: by itself, merged with what the remote had, on a branch of its own, or in
        /// another commit that took its place.
        delivery: Delivery,
    },
}

impl ScopeOutcome {
    /// The commit, if there is one.
    pub fn commit(&self) -> Option<CommitId> {
        match self {
            Self::Unchanged => None,
            Self::Committed { commit }
            | Self::Queued { commit, .. }
            | Self::Pushed { commit, .. } => Some(*commit),
        }
    }
}
