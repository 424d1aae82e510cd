//! Which pushes are under way, and what became of those that were: shared by callers and workers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cell::Cell;
use super::journal::{EntryId, Maker, PushPromise};
use super::report::{Delivery, Integration, PushFailure};
use super::state::Signal;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::name::BranchName;
use crate::progress::PushState;

/// Commits that may wait for the worker before `save` waits for one of them.
pub(crate) const QUEUE: usize = 16;

/// A promise, and those who wait for it.
pub(crate) struct Job {
    pub(crate) promise: PushPromise,
    pub(crate) entry: EntryId,
    pub(crate) cell: Arc<Cell>,
    /// Commits it took the place of, directly or by way of others.
    pub(crate) replaced: Vec<CommitId>,
}

/// The state of all pushes of one repository object.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// Jobs that have not ended, in order.
    jobs: Vec<Arc<Job>>,
    /// Deferred saves whose files are not committed yet.
    staging: Vec<Arc<Cell>>,
    /// Jobs that failed; their promises stand.
    failed: Vec<(Arc<Job>, Error)>,
    /// Failures not told yet.
    news: Vec<PushFailure>,
    /// Arrivals not told yet.
    arrived: Vec<(CommitId, Integration, BranchName)>,
    /// Saves that wait for room in the queue.
    crowd: usize,
    /// Commits that callers push, or wait to push, by themselves; they come before the next job.
    urgent: Vec<CommitId>,
    /// Why the remote would refuse whatever comes next: the credentials were.
    refused: Option<Error>,
}

impl State {
    /// The job of a commit of `save` that waits for its turn, and that nobody else pushes.
    pub(crate) fn waiting(&self, commit: CommitId, branch: &BranchName) -> Option<&Arc<Job>> {
        let mut jobs = self.jobs.iter().filter(|job| job.promise.commit == commit);
        let job = jobs.next()?;
        let alone = jobs.next().is_none() && !self.urgent.contains(&commit);
        let replaceable = job.promise.branch == *branch
            && job.promise.maker == Maker::Save
            && job.cell.state() == PushState::Queued;
        (alone && replaceable).then_some(job)
    }

    /// The job of a commit, in whatever state.
    pub(crate) fn job_of(&self, commit: CommitId, branch: &BranchName) -> Option<&Arc<Job>> {
        let same = |job: &&Arc<Job>| {
            job.promise.commit == commit
                && job.promise.branch == *branch
                && !job.cell.is_withdrawn()
        };
        self.jobs.iter().find(same)
    }

    pub(crate) fn add(&mut self, job: &Arc<Job>) {
        self.jobs.push(Arc::clone(job));
    }

    /// Takes jobs off the board whose place another commit takes; those that were not called off
    /// meanwhile are still to be told.
    pub(crate) fn replace(&mut self, jobs: &[Arc<Job>]) -> Vec<Arc<Job>> {
        self.jobs
            .retain(|job| !jobs.iter().any(|other| Arc::ptr_eq(other, job)));
        let replaced = |job: &&Arc<Job>| job.cell.signal(Signal::Replaced).is_some();
        jobs.iter().filter(replaced).cloned().collect()
    }
}

/// How a [rest](Board::rest) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Over,
    Crowded,
    Cancelled,
}

/// See [`Board::urgent`].
#[must_use]
pub(crate) struct Urgent<'a> {
    board: &'a Board,
    commit: CommitId,
}

impl Drop for Urgent<'_> {
    fn drop(&mut self) {
        let mut state = self.board.lock();
        let at = state.urgent.iter().position(|other| *other == self.commit);
        if let Some(at) = at {
            state.urgent.swap_remove(at);
        }
        drop(state);
        self.board.changed.notify_all();
    }
}

impl Board {
    /// The state; as long as it is held no job begins or ends.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` says so, or the deadline passes; whether it did say so.
    fn wait_until(&self, deadline: Option<Instant>, ready: impl Fn(&State) -> bool) -> bool {
        let mut state = self.lock();
        while !ready(&state) {
            state = match deadline {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                        return false;
                    };
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// Waits until no deferred save has files left to read.
    pub(crate) fn wait_staged(&self) {
        self.wait_until(None, |state| state.staging.is_empty());
    }

    /// Waits until nothing is under way; whether that came before the deadline.
    pub(crate) fn wait_idle(&self, deadline: Option<Instant>) -> bool {
        self.wait_until(deadline, |state| {
            state.jobs.is_empty() && state.staging.is_empty()
        })
    }

    /// Waits until at most [`QUEUE`] jobs are ahead of the one with that cell, or `stop` is pulled.
    pub(crate) fn wait_for_room(&self, cell: &Arc<Cell>, stop: &CancelToken) {
        let has_room = |state: &State| {
            let mut jobs = state.jobs.iter();
            let ahead = jobs.position(|job| Arc::ptr_eq(&job.cell, cell));
            ahead.is_none_or(|ahead| ahead <= QUEUE) || stop.is_cancelled()
        };
        let mut state = self.lock();
        if has_room(&state) {
            return;
        }
        state.crowd += 1;
        drop(state);
        self.changed.notify_all();
        self.wait_until(None, has_room);
        self.lock().crowd -= 1;
    }

    /// Waits before something is tried again, but not while a save waits for room.
    pub(crate) fn rest(self: &Arc<Self>, pause: Duration, cancel: &CancelToken) -> Rest {
        let board = Arc::downgrade(self);
        let _woken = cancel.on_cancel(move || {
            if let Some(board) = board.upgrade() {
                board.wake();
            }
        });
        let deadline = Instant::now().checked_add(pause);
        self.wait_until(deadline, |state| state.crowd > 0 || cancel.is_cancelled());
        if cancel.is_cancelled() {
            Rest::Cancelled
        } else if self.lock().crowd > 0 {
            Rest::Crowded
        } else {
            Rest::Over
        }
    }

    /// Wakes everybody who waits, to look again.
    pub(crate) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    pub(crate) fn add_staging(&self, cell: &Arc<Cell>) {
        self.lock().staging.push(Arc::clone(cell));
    }

    /// A deferred save has no files left to read: its push is on the board, or it has ended.
    pub(crate) fn end_staging(&self, cell: &Arc<Cell>) {
        self.lock()
            .staging
            .retain(|other| !Arc::ptr_eq(other, cell));
        self.changed.notify_all();
    }

    /// Lets a caller push a commit before the next job begins, as long as the guard lives.
    pub(crate) fn urgent(&self, commit: CommitId) -> Urgent<'_> {
        self.lock().urgent.push(commit);
        Urgent {
            board: self,
            commit,
        }
    }

    /// Waits until no caller pushes, or wants to; the worker's turn comes then.
    pub(crate) fn wait_turn(&self, stop: &CancelToken) {
        self.wait_until(None, |state| state.urgent.is_empty() || stop.is_cancelled());
    }

    /// Takes a job on; false if it was cancelled or replaced before its turn.
    pub(crate) fn begin(&self, job: &Arc<Job>) -> bool {
        let mut state = self.lock();
        if job.cell.signal(Signal::Begun).is_some() {
            return true;
        }
        state.jobs.retain(|other| !Arc::ptr_eq(other, job));
        drop(state);
        self.changed.notify_all();
        false
    }

    /// Why the remote would refuse a job, if that is known.
    pub(crate) fn refused(&self) -> Option<Error> {
        self.lock().refused.clone()
    }

    /// Other credentials may be had: what was refused may be asked for again.
    pub(crate) fn forget_refusal(&self) {
        self.lock().refused = None;
    }

    /// A job has ended.
    pub(crate) fn end(&self, job: &Arc<Job>, end: Result<Delivery>) {
        let mut state = self.lock();
        state.jobs.retain(|other| !Arc::ptr_eq(other, job));
        let commit = job.promise.commit;
        let signal = match &end {
            Ok(Delivery::Pushed(report)) => {
                state.refused = None;
                let (integration, branch) = (report.integration.clone(), report.branch.clone());
                state.arrived.push((commit, integration, branch));
                Signal::Arrived
            }
            Ok(_) => Signal::Arrived,
            Err(_) if job.cell.is_withdrawn() => Signal::Cancelled,
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                state.failed.push((Arc::clone(job), error.clone()));
                Signal::Cancelled
            }
            Err(error) => {
                if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Forbidden) {
                    state.refused = Some(error.clone());
                }
                state.failed.push((Arc::clone(job), error.clone()));
                state.news.push(PushFailure {
                    commit: Some(commit),
                    branch: Some(job.promise.branch.clone()),
                    error: error.clone(),
                });
                Signal::Failed
            }
        };
        if state.jobs.is_empty() {
            // Who asks next may try again.
            state.refused = None;
        }
        drop(state);
        job.cell.finish(signal, end);
        self.changed.notify_all();
    }

    /// Something went wrong that no handle tells of.
    pub(crate) fn tell(&self, failure: PushFailure) {
        self.lock().news.push(failure);
    }

    /// Failures since the last time somebody asked.
    pub(crate) fn take_news(&self) -> Vec<PushFailure> {
        std::mem::take(&mut self.lock().news)
    }

    /// Arrivals since the last time somebody asked.
    pub(crate) fn take_arrived(&self) -> Vec<(CommitId, Integration, BranchName)> {
        std::mem::take(&mut self.lock().arrived)
    }

    /// Failed jobs, to be tried again or found to have arrived with another.
    pub(crate) fn take_failed(&self) -> Vec<(Arc<Job>, Error)> {
        let mut failed = std::mem::take(&mut self.lock().failed);
        failed.retain(|(job, _)| !job.cell.is_withdrawn());
        failed
    }

    /// The failed job of a commit, to be tried again.
    pub(crate) fn take_failed_of(&self, commit: CommitId, branch: &BranchName) -> Option<Arc<Job>> {
        let mut state = self.lock();
        let at = state.failed.iter().position(|(job, _)| {
            job.promise.commit == commit
                && job.promise.branch == *branch
                && !job.cell.is_withdrawn()
        })?;
        Some(state.failed.remove(at).0)
    }

    /// Puts failed jobs back.
    pub(crate) fn put_failed(&self, jobs: Vec<(Arc<Job>, Error)>) {
        self.lock().failed.extend(jobs);
    }

    /// Notes that a failed job's commit has arrived after all, with another push.
    pub(crate) fn arrived_with(&self, job: &Job, branch: &BranchName) {
        let arrival = (job.promise.commit, Integration::None, branch.clone());
        self.lock().arrived.push(arrival);
    }

    /// All jobs that have not ended, and all that failed.
    pub(crate) fn unfinished(&self) -> Vec<Arc<Job>> {
        let state = self.lock();
        let failed = state.failed.iter().map(|(job, _)| job);
        let failed = failed.filter(|job| !job.cell.is_withdrawn());
        state.jobs.iter().chain(failed).cloned().collect()
    }

    /// Why jobs that are not to be tried again for now failed.
    pub(crate) fn failures(&self) -> Vec<(CommitId, Error)> {
        let state = self.lock();
        let failure = |(job, error): &(Arc<Job>, Error)| (job.promise.commit, error.clone());
        state.failed.iter().map(failure).collect()
    }

    /// How many deferred saves have files left to read.
    pub(crate) fn staging(&self) -> usize {
        self.lock().staging.len()
    }
}
