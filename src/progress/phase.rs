//! The states of a background push, as events and handles name them.

/// How far a background push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PushState {
    /// A deferred save whose files are still being read.
    Staging,
    /// Committed and promised; waits for its turn.
    Queued,
    /// The commits are compared with what the remote has and takes.
    Preflight,
    /// LFS objects are on their way.
    Uploading,
    /// Every object is checked to be where it belongs.
    Verifying,
    /// The branch is being moved. From here on a cancelled push may arrive all the same.
    Pushing,
    /// The server has the commit.
    Pushed,
    /// A deferred save found nothing to commit.
    Unchanged,
    /// A newer commit took its place before it was begun.
    Superseded,
    /// It was called off.
    Cancelled,
    /// It failed; the commit is safe here, and a later push takes it along.
    Failed,
}

impl PushState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Pushed | Self::Unchanged | Self::Superseded | Self::Cancelled | Self::Failed
        )
    }
}
