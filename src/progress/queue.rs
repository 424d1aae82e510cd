//! Events between the threads that work and the one that listens.
//!
//! Working threads put events in and go on at once, whatever the listener does.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Event;

/// Samples that wait for the listener; beyond that the oldest is left out. Eight transfers give at
/// most twenty a second each, so this is about half a second of them: who is further behind is
/// served better with fewer and newer ones. Events that are no samples come once per object or
/// step, and all of them wait.
const BACKLOG: usize = 64;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Two lines, so that the oldest sample is found at once; the numbers give the common order.
#[derive(Default)]
struct State {
    steps: VecDeque<(u64, Event)>,
    samples: VecDeque<(u64, Event)>,
    next: u64,
    /// The listener is at work on an event.
    busy: bool,
    /// Somebody waited in vain for the listener, which has not caught up since.
    behind: bool,
    /// Nobody will report any more.
    ended: bool,
    /// Nobody listens any more.
    closed: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.samples.is_empty()
    }

    fn pop(&mut self) -> Option<Event> {
        let sample_first = match (self.samples.front(), self.steps.front()) {
            (Some((sample, _)), Some((step, _))) => sample < step,
            (sample, _) => sample.is_some(),
        };
        let line = if sample_first {
            &mut self.samples
        } else {
            &mut self.steps
        };
        line.pop_front().map(|(_, event)| event)
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event; never waits for the listener.
    pub(super) fn push(&self, event: Event) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let number = state.next;
        state.next += 1;
        if event.is_sample() {
            if state.samples.len() == BACKLOG {
                state.samples.pop_front();
            }
            state.samples.push_back((number, event));
        } else {
            state.steps.push_back((number, event));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The next event, for which it waits until `deadline`, or as long as there may be one. The
    /// event before counts as done.
    pub(super) fn pop(&self, deadline: Option<Instant>) -> Option<Event> {
        let mut state = self.state();
        state.busy = false;
        loop {
            if let Some(event) = state.pop() {
                state.busy = true;
                return Some(event);
            }
            state.behind = false;
            self.changed.notify_all();
            if state.ended || state.closed {
                return None;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return None,
                Some(left) => {
                    let woken = self.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.changed.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Waits until the listener is done with all events, but no longer than `limit`; not at all if
    /// it did not keep up the last time and has not since.
    pub(super) fn settle(&self, limit: Duration) {
        let state = self.state();
        let pending = |state: &State| !state.closed && (state.busy || !state.is_empty());
        if state.behind || !pending(&state) {
            return;
        }
        let waited = self
            .changed
            .wait_timeout_while(state, limit, |state| pending(state));
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.behind = waited.timed_out();
    }

    /// Nobody will report any more; what waits is still delivered.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// Nobody listens any more; what waits is forgotten, and so is all that comes.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.steps.clear();
        state.samples.clear();
        drop(state);
        self.changed.notify_all();
    }
}
