//! The threads that keep promises, started when there is one to keep.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use super::board::{Board, Job};
use super::cell::Cell;
use super::deferred::{self, Deferred};
use super::handle::PushHandle;
use super::journal::{EntryId, Journal, PushPromise};
use super::report::{PushFailure, PushReport};
use super::settings::{OnDrop, Settings};
use super::shared::Shared;
use super::worker;
use crate::cancel::{CancelToken, OnCancel};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::alive::Alive;
use crate::git::Git;
use crate::id::CommitId;
use crate::local::{LOCK_WAIT, Local};

/// Where the marks of the living are kept, below the library's private folder.
pub(super) const OWNERS: &str = "owners";
/// How long what was stopped may take to say so; transfers take a fraction of it.
const STOPPING: Duration = Duration::from_millis(500);

/// The background pushes of one repository object.
pub(crate) struct Pushes {
    pub(crate) local: Arc<Local>,
    pub(crate) board: Arc<Board>,
    settings: Settings,
    stop: CancelToken,
    /// Wakes who waits when everything is cancelled.
    _waking: [OnCancel; 2],
    running: Mutex<Option<Running>>,
}

struct Running {
    crew: Crew,
    stager: Option<Sender<Deferred>>,
    _leaving: OnCancel,
}

/// A way to have promises kept.
#[derive(Clone)]
pub(crate) struct Crew {
    pub(crate) shared: Arc<Shared>,
    jobs: Sender<Arc<Job>>,
}

impl Pushes {
    /// Nothing is started yet.
    pub(crate) fn new(local: Arc<Local>, settings: Settings) -> Self {
        let board = Arc::new(Board::default());
        let (stop, stopped) = local.cancel.child();
        let woken = Arc::downgrade(&board);
        let waking = stop.on_cancel(move || {
            if let Some(board) = woken.upgrade() {
                Board::wake(&board);
            }
        });
        Self {
            local,
            board,
            settings,
            stop,
            _waking: [stopped, waking],
            running: Mutex::new(None),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The crew; on first use it is called together, and takes over what others left undone.
    pub(crate) fn crew(&self) -> Result<Crew> {
        self.crew_until(None)
    }

    /// The same; if the clone is busy until then, what others left is left to the next time.
    pub(super) fn crew_until(&self, deadline: Option<Instant>) -> Result<Crew> {
        let mut running = self.running();
        if let Some(running) = &*running {
            return Ok(running.crew.clone());
        }
        let private = self.local.private();
        let shared = Arc::new(Shared {
            local: Arc::clone(&self.local),
            settings: self.settings,
            board: Arc::clone(&self.board),
            journal: Journal::new(&private),
            alive: Alive::mark(&private.join(OWNERS))?,
            stop: self.stop.clone(),
        });
        // Once everything is stopped, others may keep what was promised.
        let stopped = Arc::downgrade(&shared);
        let leaving = self.stop.on_cancel(move || {
            if let Some(shared) = stopped.upgrade() {
                shared.alive.release();
            }
        });
        let (jobs, receiver) = unbounded();
        let working = Arc::clone(&shared);
        start("hf-repository push", move || {
            worker::run(&working, &receiver);
        })?;
        let crew = Crew { shared, jobs };
        *running = Some(Running {
            crew: crew.clone(),
            stager: None,
            _leaving: leaving,
        });
        drop(running);
        self.adopt_until(&crew, deadline)?;
        Ok(crew)
    }

    /// Takes over what others left; if the clone is busy until the deadline, that is told as a failure.
    pub(super) fn adopt_until(&self, crew: &Crew, deadline: Option<Instant>) -> Result<()> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match self.adopt(crew, left.map_or(LOCK_WAIT, |left| left.min(LOCK_WAIT))) {
            Err(error) if error.kind() == ErrorKind::Locked && deadline.is_some() => {
                self.board.tell(PushFailure {
                    commit: None,
                    branch: None,
                    error,
                });
                Ok(())
            }
            adopted => adopted.map(drop),
        }
    }

    /// The journal, whether or not a crew is at work.
    pub(super) fn journal(&self) -> Journal {
        Journal::new(&self.local.private())
    }

    /// The mark of this object's crew, if there is one.
    pub(super) fn mark(&self) -> Option<String> {
        let running = self.running();
        let crew = &running.as_ref()?.crew;
        Some(crew.shared.alive.id().to_owned())
    }

    /// Hands a deferred save to the stager, which is started for the first.
    ///
    /// It has a thread of its own: a push can last for hours, and the files are to be free again soon.
    pub(super) fn stage_later(&self, deferred: Deferred) -> Result<()> {
        let mut running = self.running();
        let Some(running) = &mut *running else {
            return Err(closed());
        };
        let stager = match &running.stager {
            Some(stager) => stager.clone(),
            None => {
                let (sender, receiver) = unbounded();
                let crew = running.crew.clone();
                start("hf-repository stage", move || {
                    deferred::run(&crew, &receiver);
                })?;
                running.stager.insert(sender).clone()
            }
        };
        stager.send(deferred).map_err(|_| closed())
    }

    /// A push in the calling thread arrived: what failed before may have come along.
    pub(crate) fn arrived(&self, git: &Git, report: &PushReport) {
        let shared = self
            .running()
            .as_ref()
            .map(|it| Arc::clone(&it.crew.shared));
        if let Some(shared) = shared {
            shared.release_with(git, &report.integration, report);
        }
    }

    /// Whether somebody is at work here.
    pub(crate) fn is_started(&self) -> bool {
        self.running().is_some()
    }

    /// Stops everything soon; what is not done stays in the journal.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.board.wait_idle(Some(Instant::now() + STOPPING));
        *self.running() = None;
    }
}

impl Drop for Pushes {
    fn drop(&mut self) {
        if !self.is_started() {
            return;
        }
        match self.settings.on_drop {
            OnDrop::Wait(time) => {
                if !self.stop.is_cancelled() {
                    self.board.wait_idle(Instant::now().checked_add(time));
                }
                self.stop();
            }
            OnDrop::Cancel => self.stop(),
            // The threads end when they have nothing left to do.
            OnDrop::Leave => {}
        }
    }
}

impl Crew {
    /// Puts a promise that is written down into the queue.
    pub(super) fn enqueue(
        &self,
        promise: PushPromise,
        entry: EntryId,
        replaced: Vec<CommitId>,
    ) -> PushHandle {
        let job = self.shared.job(promise, entry, None, replaced);
        self.shared.board.lock().add(&job);
        self.send(&job)
    }

    /// Tries again what has failed; `None` if it was called off.
    pub(super) fn try_again(&self, job: &Job) -> Option<PushHandle> {
        let cell = Cell::new(Some(job.promise.commit), &self.shared.stop);
        if !job.cell.succeed(&cell) {
            return None;
        }
        let (promise, replaced) = (job.promise.clone(), job.replaced.clone());
        let job = self.shared.job(promise, job.entry, Some(cell), replaced);
        self.shared.board.lock().add(&job);
        Some(self.send(&job))
    }

    /// Tells the worker of a job that is on the board.
    pub(super) fn send(&self, job: &Arc<Job>) -> PushHandle {
        if self.jobs.send(Arc::clone(job)).is_err() {
            // The worker lives as long as there are senders, unless it was killed by its own bug.
            self.shared.board.end(job, Err(closed()));
        }
        PushHandle::new(&job.cell)
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| {
        Error::new(ErrorKind::Internal, "cannot start a thread for pushes").with_source(error)
    })
}

fn closed() -> Error {
    Error::new(ErrorKind::Internal, "nobody is there to push any more")
        .with_hint("open the repository again; the journal has what was promised")
}
