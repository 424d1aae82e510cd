//! What a push and those who wait for it share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::report::{Delivery, PushProgress};
use super::state::{Signal, next};
use crate::cancel::{CancelToken, OnCancel};
use crate::error::{Error, Result};
use crate::id::CommitId;
use crate::progress::PushState;

/// One push: its state, and how it ended.
pub(crate) struct Cell {
    inner: Mutex<Inner>,
    changed: Condvar,
    cancel: CancelToken,
    /// Pulls `cancel` when everything is stopped.
    _stopped: OnCancel,
}

struct Inner {
    state: PushState,
    /// Unknown while a deferred save is being staged.
    commit: Option<CommitId>,
    withdrawal: Withdrawal,
    /// Whether the stager has taken a deferred save on.
    staging: bool,
    /// The push that tries again what this one failed to do.
    successor: Option<Arc<Cell>>,
    /// The push of the commit that took the place of this one's.
    replacement: Option<Arc<Cell>>,
    figures: PushProgress,
    end: Option<Result<Delivery>>,
    callbacks: Vec<Callback>,
}

/// Whether the promise still stands.
enum Withdrawal {
    /// It does; this voids it.
    Possible(Box<dyn FnOnce() + Send>),
    /// Nothing has been promised yet, or it is over.
    Impossible,
    /// The caller called it off.
    Done,
}

type Callback = Box<dyn FnOnce(&Result<Delivery>) + Send>;

impl Cell {
    /// The cell of a push of `commit`, or of a deferred save without one. It ends with `stop`.
    pub(crate) fn new(commit: Option<CommitId>, stop: &CancelToken) -> Arc<Self> {
        let state = match commit {
            Some(_) => PushState::Queued,
            None => PushState::Staging,
        };
        let (cancel, stopped) = stop.child();
        Arc::new(Self {
            inner: Mutex::new(Inner {
                state,
                commit,
                withdrawal: Withdrawal::Impossible,
                staging: false,
                successor: None,
                replacement: None,
                figures: PushProgress::default(),
                end: None,
                callbacks: Vec::new(),
            }),
            changed: Condvar::new(),
            cancel,
            _stopped: stopped,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    pub(crate) fn commit(&self) -> Option<CommitId> {
        self.lock().commit
    }

    pub(crate) fn state(&self) -> PushState {
        self.lock().state
    }

    pub(crate) fn progress(&self) -> PushProgress {
        let inner = self.lock();
        PushProgress {
            state: inner.state,
            ..inner.figures
        }
    }

    /// Notes how far the transfers are.
    pub(crate) fn note(&self, change: impl FnOnce(&mut PushProgress)) {
        change(&mut self.lock().figures);
    }

    /// What to do if the promise is withdrawn.
    pub(crate) fn on_withdrawal(&self, withdraw: impl FnOnce() + Send + 'static) {
        let mut inner = self.lock();
        if matches!(inner.withdrawal, Withdrawal::Done) {
            // It was called off before there was this to undo.
            drop(inner);
            withdraw();
        } else {
            inner.withdrawal = Withdrawal::Possible(Box::new(withdraw));
        }
    }

    /// Whether the caller called it off, and the promise with it.
    pub(crate) fn is_withdrawn(&self) -> bool {
        matches!(self.lock().withdrawal, Withdrawal::Done)
    }

    /// The files of a deferred save are committed.
    pub(crate) fn staged(&self, commit: CommitId) {
        self.lock().commit = Some(commit);
        self.signal(Signal::Staged);
    }

    /// Passes a signal on; the new state, or `None` if the signal came too late.
    pub(crate) fn signal(&self, signal: Signal) -> Option<PushState> {
        let mut inner = self.lock();
        let after = next(inner.state, signal)?;
        inner.state = after;
        drop(inner);
        self.changed.notify_all();
        Some(after)
    }

    /// Ends it, unless it has ended; whether this was its end.
    pub(crate) fn finish(&self, signal: Signal, end: Result<Delivery>) -> bool {
        let ended = self.signal(signal).is_some();
        if ended {
            self.tell(end);
        }
        ended
    }

    /// Tells everybody how it ended.
    pub(crate) fn tell(&self, end: Result<Delivery>) {
        let mut inner = self.lock();
        inner.end = Some(end.clone());
        // What failed stays promised, and may still be called off.
        if end.is_ok() && !matches!(inner.withdrawal, Withdrawal::Done) {
            inner.withdrawal = Withdrawal::Impossible;
        }
        let callbacks = std::mem::take(&mut inner.callbacks);
        drop(inner);
        self.changed.notify_all();
        call(callbacks, end);
    }

    /// The stager takes a deferred save on; false if it was called off before.
    pub(crate) fn begin_staging(&self) -> bool {
        let mut inner = self.lock();
        inner.staging = true;
        inner.state == PushState::Staging
    }

    /// The push that does from now on what this one failed to do; false if it was called off.
    pub(crate) fn succeed(&self, successor: &Arc<Cell>) -> bool {
        let mut inner = self.lock();
        inner.successor = Some(Arc::clone(successor));
        !matches!(inner.withdrawal, Withdrawal::Done)
    }

    /// Another commit took this one's place.
    pub(crate) fn replaced(&self, by: CommitId, replacement: &Arc<Cell>) {
        self.lock().replacement = Some(Arc::clone(replacement));
        self.tell(Ok(Delivery::Superseded { by }));
    }

    pub(crate) fn replacement(&self) -> Option<Arc<Cell>> {
        self.lock().replacement.clone()
    }

    /// Calls the push off and voids its promise.
    pub(crate) fn cancel(&self) {
        let mut inner = self.lock();
        if matches!(inner.end, Some(Ok(_))) {
            return;
        }
        let waits = match inner.state {
            PushState::Queued => true,
            PushState::Staging => !inner.staging,
            _ => false,
        };
        let successor = inner.successor.take();
        let withdrawal = std::mem::replace(&mut inner.withdrawal, Withdrawal::Done);
        drop(inner);
        if let Withdrawal::Possible(withdraw) = withdrawal {
            withdraw();
        }
        if waits {
            self.finish(Signal::Cancelled, Err(Error::cancelled()));
        }
        self.cancel.cancel();
        if let Some(successor) = successor {
            successor.cancel();
        }
    }

    /// The end, if it comes before `deadline`; without one it is waited for.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Option<Result<Delivery>> {
        self.wait_for(deadline, |inner| inner.end.clone())
    }

    /// The commit of a deferred save, once its files may be overwritten.
    pub(crate) fn wait_staged(&self) -> Result<Option<CommitId>> {
        let staged = |inner: &Inner| match (&inner.end, inner.commit) {
            (_, Some(commit)) if inner.state != PushState::Staging => Some(Ok(Some(commit))),
            (Some(Err(error)), _) => Some(Err(error.clone())),
            (Some(Ok(_)), _) => Some(Ok(None)),
            (None, _) => None,
        };
        // Without a deadline there always is an answer.
        self.wait_for(None, staged).unwrap_or(Ok(None))
    }

    fn wait_for<T>(
        &self,
        deadline: Option<Instant>,
        look: impl Fn(&Inner) -> Option<T>,
    ) -> Option<T> {
        let mut inner = self.lock();
        loop {
            if let Some(found) = look(&inner) {
                return Some(found);
            }
            inner = match deadline {
                None => self
                    .changed
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    let waited = self.changed.wait_timeout(inner, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Calls `callback` with the end; soon, if it has come.
    pub(crate) fn on_done(&self, callback: Callback) {
        let mut inner = self.lock();
        match inner.end.clone() {
            None => inner.callbacks.push(callback),
            Some(end) => {
                drop(inner);
                call(vec![callback], end);
            }
        }
    }
}

impl Drop for Cell {
    /// One after the other: a long row of replacements would else take a long stack.
    fn drop(&mut self) {
        let mut next = self.lock().replacement.take();
        while let Some(cell) = next {
            next = Arc::into_inner(cell).and_then(|cell| cell.lock().replacement.take());
        }
    }
}

/// Runs callbacks on a thread of their own: they may wait for the very thread that ended the push.
fn call(callbacks: Vec<Callback>, end: Result<Delivery>) {
    if callbacks.is_empty() {
        return;
    }
    let run = move || {
        for callback in callbacks {
            if catch_unwind(AssertUnwindSafe(|| callback(&end))).is_err() {
                tracing::error!("a callback of on_done panicked");
            }
        }
    };
    let name = "hf-repository done".to_owned();
    if let Err(error) = thread::Builder::new().name(name).spawn(run) {
        tracing::error!(%error, "callbacks of on_done were not called");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn commit() -> CommitId {
        CommitId::from_bytes([7; 20])
    }

    fn superseded() -> Result<Delivery> {
        Ok(Delivery::Superseded { by: commit() })
    }

    #[test]
    fn everybody_gets_the_same_end_again_and_again() {
        let cell = Cell::new(Some(commit()), &CancelToken::new());
        let (sender, receiver) = mpsc::channel();
        let early = sender.clone();
        cell.on_done(Box::new(move |end| early.send(end.is_ok()).expect("heard")));
        cell.on_done(Box::new(|_| panic!("a user's mistake")));
        assert!(cell.wait(Some(Instant::now())).is_none());
        let waiter = {
            let cell = Arc::clone(&cell);
            std::thread::spawn(move || cell.wait(None).map(|end| end.is_ok()))
        };
        assert!(cell.finish(Signal::Replaced, superseded()));
        assert!(
            !cell.finish(Signal::Failed, Err(Error::cancelled())),
            "it has ended"
        );
        assert_eq!(waiter.join().expect("no panic"), Some(true));
        cell.on_done(Box::new(move |end| {
            sender.send(end.is_ok()).expect("heard")
        }));
        let long = Duration::from_secs(60);
        for _ in 0..2 {
            assert_eq!(receiver.recv_timeout(long), Ok(true));
        }
        for _ in 0..2 {
            assert!(matches!(
                cell.wait(None),
                Some(Ok(Delivery::Superseded { .. }))
            ));
        }
    }

    #[test]
    fn a_long_row_of_replacements_goes_without_a_long_stack() {
        let stop = CancelToken::new();
        let first = Cell::new(Some(commit()), &stop);
        let mut last = Arc::clone(&first);
        for _ in 0..5000 {
            let next = Cell::new(Some(commit()), &stop);
            last.replaced(commit(), &next);
            last = next;
        }
        let weak = Arc::downgrade(&last);
        drop(last);
        let small = thread::Builder::new().stack_size(64 << 10);
        let dropping = small.spawn(move || drop(first)).expect("a thread");
        dropping.join().expect("no panic");
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn a_queued_push_is_cancelled_at_once_and_a_running_one_is_told() {
        let (sender, receiver) = mpsc::channel();
        let withdrawing = |cell: &Cell| {
            let sender = sender.clone();
            cell.on_withdrawal(move || sender.send(()).expect("heard"));
        };
        let queued = Cell::new(Some(commit()), &CancelToken::new());
        withdrawing(&queued);
        queued.cancel();
        queued.cancel();
        assert_eq!(queued.state(), PushState::Cancelled);
        let running = Cell::new(Some(commit()), &CancelToken::new());
        withdrawing(&running);
        running.signal(Signal::Begun);
        running.cancel();
        assert!(running.cancel_token().is_cancelled());
        assert_eq!(running.state(), PushState::Preflight);
        assert_eq!(
            receiver.try_iter().count(),
            2,
            "each promise is voided once"
        );
        withdrawing(&running);
        assert_eq!(receiver.try_iter().count(), 1, "what is too late is voided");
        assert!(running.is_withdrawn());
    }

    #[test]
    fn staged_is_known_before_the_end() {
        let stop = CancelToken::new();
        let cell = Cell::new(None, &stop);
        assert_eq!(cell.state(), PushState::Staging);
        cell.staged(commit());
        assert_eq!(cell.wait_staged().expect("staged"), Some(commit()));
        assert!(
            cell.wait(Some(Instant::now() + Duration::from_millis(5)))
                .is_none()
        );
        let nothing = Cell::new(None, &stop);
        nothing.finish(Signal::NothingStaged, Ok(Delivery::Unchanged));
        assert_eq!(nothing.wait_staged().expect("no error"), None);
        let failed = Cell::new(None, &stop);
        failed.finish(Signal::Failed, Err(Error::cancelled()));
        assert!(failed.wait_staged().is_err());
        stop.cancel();
        assert!(cell.cancel_token().is_cancelled());
    }
}
