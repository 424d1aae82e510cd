//! What can be reported.

use super::PushState;
use crate::id::{CommitId, LfsOid};
use crate::name::BranchName;
use crate::path::RepoPath;

/// Which way bytes move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From this machine to the remote.
    Upload,
    /// From the remote to this machine.
    Download,
}

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A file is being read into the LFS store.
    Staging {
        /// Path of the file.
        path: String,
        /// Size of the file in bytes.
        bytes: u64,
    },
    /// Objects are about to be transferred.
    TransferStarted {
        /// Which way.
        direction: Direction,
        /// How many objects.
        objects: usize,
        /// Their sizes together, in bytes.
        bytes: u64,
    },
    /// Some bytes of one object were moved. A sample: not every object has one.
    TransferProgress {
        /// Which way.
        direction: Direction,
        /// The object.
        oid: LfsOid,
        /// A file that the object is the content of, where that is known.
        path: Option<RepoPath>,
        /// Bytes of it moved so far; they only grow, also when the object is tried again.
        bytes: u64,
        /// Its size in bytes.
        total: u64,
        /// Bytes per second since its transfer began, pauses between tries included.
        rate: u64,
    },
    /// One object is complete and verified. What was there before is not reported.
    TransferFinished {
        /// Which way.
        direction: Direction,
        /// The object.
        oid: LfsOid,
        /// A file that the object is the content of, where that is known.
        path: Option<RepoPath>,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The git pack moves. A sample.
    Pack {
        /// Which way.
        direction: Direction,
        /// Bytes of it moved so far.
        bytes: u64,
    },
    /// Files appear in the work tree.
    CheckedOut {
        /// Files written so far.
        files: usize,
        /// Files to write.
        total: usize,
    },
    /// Another object of the local store was compared with its name.
    Checked {
        /// Objects looked at so far, missing ones among them.
        objects: usize,
        /// Objects to look at.
        total: usize,
        /// Bytes read so far.
        bytes: u64,
    },
    /// A background push came to another state.
    Push {
        /// The commit that is pushed.
        commit: CommitId,
        /// The branch it is pushed to.
        branch: BranchName,
        /// Where it is now. It may go back, when the remote has moved or a try failed, until
        /// [`PushState::is_final`].
        phase: PushState,
    },
}

impl Event {
    /// Whether a later event says all that this one says, so that it may be left out.
    pub(super) fn is_sample(&self) -> bool {
        match self {
            Self::TransferProgress { .. } | Self::Pack { .. } => true,
            Self::Staging { .. }
            | Self::TransferStarted { .. }
            | Self::TransferFinished { .. }
            | Self::CheckedOut { .. }
            | Self::Checked { .. }
            | Self::Push { .. } => false,
        }
    }
}
