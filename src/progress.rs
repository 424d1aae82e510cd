//! What long work reports while it runs.
//!
//! A handler is called from the threads that do the work, often several at once; it must be quick
//! and must not call back into the repository. Bytes only ever grow within one transfer.

use std::fmt;
use std::sync::Arc;

use crate::id::LfsOid;

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
    /// Some bytes of one object were moved.
    TransferProgress {
        /// Which way.
        direction: Direction,
        /// The object.
        oid: LfsOid,
        /// Bytes of it moved so far.
        bytes: u64,
        /// Its size in bytes.
        total: u64,
    },
    /// One object is complete and verified.
    TransferFinished {
        /// Which way.
        direction: Direction,
        /// The object.
        oid: LfsOid,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The git pack moves.
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
}

/// Where events go: a handler, or nowhere.
#[derive(Clone, Default)]
pub struct Progress(Option<Handler>);

type Handler = Arc<dyn Fn(&Event) + Send + Sync>;

impl Progress {
    /// Reports to `handler`.
    pub fn new(handler: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(handler)))
    }

    /// Reports to nobody.
    pub fn none() -> Self {
        Self(None)
    }

    /// Builds and reports an event, only if somebody listens.
    pub(crate) fn report(&self, event: impl FnOnce() -> Event) {
        if let Some(handler) = &self.0 {
            handler(&event());
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Progress(handler)"
        } else {
            "Progress(none)"
        })
    }
}
