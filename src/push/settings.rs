//! How background pushes behave.

use std::time::Duration;

/// Which of the saved commits reach the remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushPolicy {
    /// Every one, in the order they were made.
    ///
    /// Sixteen may wait; a `save` that would be the next waits for one of them, with its commit
    /// already safe on the disk.
    #[default]
    EveryCommit,
    /// The newest. Commits that `save` made and whose push has not begun are replaced on the branch
    /// by one commit with the newest content; their handles end as
    /// [`Delivery::Superseded`](crate::Delivery::Superseded), and what only they held is never sent.
    /// Commits made in any other way are never replaced.
    Latest,
}

/// What a background push does when the remote's branch has commits this clone lacks.
///
/// Nothing is ever forced, and the local branch, index and work tree stay as they are until the next
/// [`save`](crate::Repository::save) or [`pull`](crate::Repository::pull).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnConflict {
    /// It fails with [`ErrorKind::NonFastForward`](crate::ErrorKind::NonFastForward).
    Fail,
    /// The two are merged if no file was changed on both sides (rules in `.gitattributes` are
    /// united); else the commit goes to a branch of its own, as under
    /// [`SideBranch`](Self::SideBranch).
    #[default]
    Merge,
    /// The commits are replayed on top, under the same condition; the report maps each to its
    /// replacement.
    Rebase,
    /// The commit goes to a new branch, `<branch>-<first digits of its id>`.
    SideBranch,
}

/// Whether local copies of LFS objects go once the remote has them and nothing here needs them.
///
/// Needed are those of the work tree, the index, stashes, other work trees, and of every commit
/// that is not on the remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoPrune {
    /// They stay until [`prune`](crate::Repository::prune).
    Off,
    /// After a push of [`save`](crate::Repository::save) was confirmed by the server.
    #[default]
    AfterConfirmed,
}

/// What dropping a [`Repository`](crate::Repository) does with pushes under way.
///
/// Whatever is not on the remote then stays in the journal, and goes there with the next
/// [`save`](crate::Repository::save), [`flush`](crate::Repository::flush) or
/// [`resume_pushes`](crate::Repository::resume_pushes) of a later run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDrop {
    /// Waits so long for them, then stops them.
    Wait(Duration),
    /// Stops them at once.
    Cancel,
    /// Lets them go on while the process lives.
    Leave,
}

impl Default for OnDrop {
    /// A minute: as long as most systems give a process that is to end.
    fn default() -> Self {
        Self::Wait(Duration::from_secs(60))
    }
}

/// All of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) policy: PushPolicy,
    pub(crate) on_conflict: OnConflict,
    pub(crate) auto_prune: AutoPrune,
    pub(crate) on_drop: OnDrop,
}
