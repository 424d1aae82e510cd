use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::report::{Delivery, PushProgress};
use crate::error::Result;
use crate::id::CommitId;
use crate::progress::PushState;

/// A push in the background; clones are the same push.
///
/// All methods take `&self`, may be called from any thread, and tell the same end again. Dropping a
/// handle changes nothing: the push goes on.
///
/// ```no_run
/// use hf_repository::{Delivery, Repository, Saved};
/// # let repo = Repository::open("out")?;
/// let report = repo.save("step 500")?;
/// if let Saved::Queued { commit, handle } = report.saved {
///     match handle.wait()? {
///         Delivery::Pushed(report) => println!("{commit} is on {}", report.branch),
///         Delivery::Superseded { by } => println!("{by} took its place"),
///         _ => {}
///     }
/// }
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone)]
pub struct PushHandle(Arc<Cell>);

impl PushHandle {
    pub(crate) fn new(cell: &Arc<Cell>) -> Self {
        Self(Arc::clone(cell))
    }

    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.0
    }

    /// The commit; `None` while a deferred save is being staged.
    pub fn commit(&self) -> Option<CommitId> {
        self.0.commit()
    }

    /// How far it is.
    pub fn state(&self) -> PushState {
        self.0.state()
    }

    /// How far it is, with the bytes of LFS objects sent so far.
    pub fn progress(&self) -> PushProgress {
        self.0.progress()
    }

    /// Waits for the end.
    ///
    /// A push tries again for about a minute when the server or the network fails; then it ends with
    /// the error, and the commit waits in the journal for a later push.
    ///
    /// # Errors
    /// Those of [`push`](crate::Repository::push), and
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn wait(&self) -> Result<Delivery> {
        // Without a deadline there always is an end.
        self.0
            .wait(None)
            .unwrap_or_else(|| Err(crate::Error::cancelled()))
    }

    /// Waits for the end, at most so long; `None` if it has not come.
    pub fn wait_timeout(&self, time: Duration) -> Option<Result<Delivery>> {
        match Instant::now().checked_add(time) {
            Some(deadline) => self.0.wait(Some(deadline)),
            None => self.0.wait(None),
        }
    }

    /// The end, if it has come.
    pub fn try_wait(&self) -> Option<Result<Delivery>> {
        self.0.wait(Some(Instant::now()))
    }

    /// Waits until the files of a deferred save may be overwritten; its commit, or `None` if nothing
    /// had changed. Any other push is staged already.
    ///
    /// # Errors
    /// [`ErrorKind::FileChanged`](crate::ErrorKind::FileChanged) with the files that were written
    /// before they could be read, and those of staging.
    pub fn wait_staged(&self) -> Result<Option<CommitId>> {
        self.0.wait_staged()
    }

    /// Calls the push off, and the promise with it; returns at once. One that failed is not tried again.
    ///
    /// The commit stays on its branch, and goes to the remote with the next push of that branch. What is
    /// waiting ends now; transfers end within a fraction of a second, even if the server is silent;
    /// only the building of git's pack is finished first. The point of no return is
    /// [`PushState::Pushing`]: from there on the commit may arrive all the same, and the handle
    /// tells if it did.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Calls `callback` with the end, on a thread of its own; soon, if the end has come.
    ///
    /// The callback may use the repository, and wait for other pushes. One that panics harms nothing.
    /// Nobody waits for callbacks: one that matters should tell the main thread that it has run.
    pub fn on_done(&self, callback: impl FnOnce(&Result<Delivery>) + Send + 'static) {
        self.0.on_done(Box::new(callback));
    }
}

impl fmt::Debug for PushHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushHandle")
            .field("commit", &self.commit())
            .field("state", &self.state())
            .finish()
    }
}
