//! Stopping long work from another thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

/// A switch that stops the work it was given to; clones share it.
///
/// Cancelling is final: make a new token for the next piece of work.
///
/// ```
/// use hf_repository::CancelToken;
/// let cancel = CancelToken::new();
/// let other_thread = cancel.clone();
/// other_thread.cancel();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    /// What wakes blocked work, by registration number.
    wakers: Mutex<(u64, Vec<(u64, Waker)>)>,
}

type Waker = Arc<dyn Fn() + Send + Sync>;

impl CancelToken {
    /// A token nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the work; returns at once.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        let wakers: Vec<Waker> = {
            let guard = self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            guard.1.iter().map(|(_, waker)| Arc::clone(waker)).collect()
        };
        wakers.iter().for_each(|waker| waker());
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// A token of its own that is pulled with this one, as long as the guard lives.
    pub(crate) fn child(&self) -> (Self, OnCancel) {
        let child = Self::new();
        let pulled = child.clone();
        let guard = self.on_cancel(move || pulled.cancel());
        (child, guard)
    }

    /// Whether both are the same switch.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// `Err` once cancelled; called between the steps of long work.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            Err(Error::cancelled())
        } else {
            Ok(())
        }
    }

    /// Calls `waker` when cancelled (at once, if that was before), until the guard is dropped.
    #[must_use]
    pub(crate) fn on_cancel(&self, waker: impl Fn() + Send + Sync + 'static) -> OnCancel {
        let waker: Waker = Arc::new(waker);
        let id = {
            let mut guard = self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            guard.0 += 1;
            let id = guard.0;
            guard.1.push((id, Arc::clone(&waker)));
            id
        };
        if self.is_cancelled() {
            waker();
        }
        OnCancel {
            token: self.clone(),
            id,
        }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Keeps a waker registered; dropping it takes the waker off.
pub(crate) struct OnCancel {
    token: CancelToken,
    id: u64,
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        let mut guard = self
            .token
            .0
            .wakers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let at = guard.1.iter().position(|(id, _)| *id == self.id);
        let gone = at.map(|at| guard.1.swap_remove(at));
        // What a waker owns may hold guards of this very token: it goes after the lock.
        drop(guard);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_waker_may_own_a_guard_of_its_own_token() {
        let token = CancelToken::new();
        let inner = Arc::new(Mutex::new(Some(token.on_cancel(|| {}))));
        let outer = token.on_cancel(move || drop(inner.lock().map(|guard| guard.is_some())));
        drop(outer);
        let (child, guard) = token.child();
        token.cancel();
        assert!(child.is_cancelled());
        drop(guard);
    }

    #[test]
    fn wakers_run_once_registered_and_stop_when_dropped() {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = |calls: &Arc<AtomicUsize>| {
            let calls = Arc::clone(calls);
            move || {
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        let token = CancelToken::new();
        drop(token.on_cancel(count(&calls)));
        let _kept = token.on_cancel(count(&calls));
        token.cancel();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        let _late = token.on_cancel(count(&calls));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert!(token.check().is_err());
    }
}
