//! A cap on the bytes per second, which may be changed while transfers run.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::retry::wait;
use crate::cancel::CancelToken;
use crate::error::Result;

/// How many bytes per second transfers may take, both ways together; clones share it.
///
/// ```
/// use hf_repository::{Bandwidth, Repository};
/// let bandwidth = Bandwidth::limited(50_000_000);
/// let prepared = Repository::prepare("user/my-model", "out").bandwidth(bandwidth.clone());
/// // Later, from any thread, while a push runs:
/// bandwidth.set(None);
/// # let _ = prepared;
/// ```
#[derive(Clone, Default)]
pub struct Bandwidth(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Bytes per second; `None` for no limit.
    limit: Option<u64>,
    /// When the bytes taken so far would have passed at the limit.
    passed: Option<Instant>,
}

/// Longest pause before the limit is looked at again: a new one is felt within this time.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A line that was idle may catch up on this much; without it every pause would be lost for ever.
const CATCH_UP: Duration = Duration::from_millis(50);
/// Parts of a second that one piece may take of the line, so that the flow is even.
const PIECES_PER_SECOND: u64 = 20;
/// Bytes of the smallest piece: below, the calls cost more than the bytes.
const SMALLEST_PIECE: usize = 1 << 10;

impl Bandwidth {
    /// No limit, until one is [set](Self::set).
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// At most so many bytes per second; 0 counts as 1.
    pub fn limited(bytes_per_second: u64) -> Self {
        let bandwidth = Self::default();
        bandwidth.set(Some(bytes_per_second));
        bandwidth
    }

    /// Changes the limit; transfers under way follow at once. `None` lifts it.
    pub fn set(&self, bytes_per_second: Option<u64>) {
        let mut state = self.state();
        state.limit = bytes_per_second.map(|limit| limit.max(1));
        // What was booked at another rate is forgiven.
        state.passed = None;
    }

    /// The limit in bytes per second, if there is one.
    pub fn get(&self) -> Option<u64> {
        self.state().limit
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of `wanted` bytes to move at once.
    pub(super) fn piece(&self, wanted: usize) -> usize {
        let Some(limit) = self.get() else {
            return wanted;
        };
        let piece = usize::try_from(limit / PIECES_PER_SECOND).unwrap_or(usize::MAX);
        wanted.min(piece.max(SMALLEST_PIECE))
    }

    /// Books bytes that were moved, and waits until the line has room again.
    pub(super) fn take(&self, bytes: usize, cancel: &CancelToken) -> Result<()> {
        if bytes == 0 || !self.book(bytes, Instant::now()) {
            return Ok(());
        }
        loop {
            let pause = self.pause(Instant::now());
            if pause.is_zero() {
                return Ok(());
            }
            wait(pause.min(LOOK_AGAIN), cancel)?;
        }
    }

    /// Adds bytes to what has to pass; whether there is a limit at all.
    fn book(&self, bytes: usize, now: Instant) -> bool {
        let mut state = self.state();
        let Some(limit) = state.limit else {
            state.passed = None;
            return false;
        };
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let from = state.passed.map_or(now, |passed| passed.max(earliest));
        // The quotient is a time that fits: a piece is a fraction of a second's bytes.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate need not be exact to the bit"
        )]
        let time = Duration::from_secs_f64(bytes as f64 / limit as f64);
        state.passed = Some(from + time);
        true
    }

    /// How long the line is still busy.
    fn pause(&self, now: Instant) -> Duration {
        let state = self.state();
        match (state.limit, state.passed) {
            (Some(_), Some(passed)) => passed.saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Debug for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bandwidth").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_booked_has_to_pass_at_the_limit() {
        let bandwidth = Bandwidth::limited(1_000_000);
        let now = Instant::now();
        for _ in 0..10 {
            assert!(bandwidth.book(100_000, now));
        }
        assert_eq!(bandwidth.pause(now), Duration::from_secs(1));
        assert_eq!(
            bandwidth.pause(now + Duration::from_secs(2)),
            Duration::ZERO
        );
        bandwidth.set(None);
        assert_eq!(bandwidth.pause(now), Duration::ZERO);
        assert!(!bandwidth.book(1 << 30, now));
    }

    #[test]
    fn a_higher_limit_is_felt_at_once() {
        let bandwidth = Bandwidth::limited(1);
        let now = Instant::now();
        bandwidth.book(1 << 20, now);
        bandwidth.set(Some(1 << 30));
        assert_eq!(bandwidth.pause(now), Duration::ZERO);
    }

    #[test]
    fn an_idle_line_saves_up_only_a_moment() {
        let bandwidth = Bandwidth::limited(1_000_000);
        let now = Instant::now();
        bandwidth.book(1, now);
        let later = now + Duration::from_secs(60);
        bandwidth.book(1_000_000, later);
        assert_eq!(bandwidth.pause(later), Duration::from_secs(1) - CATCH_UP);
    }

    #[test]
    fn pieces_are_small_where_the_limit_is() {
        assert_eq!(Bandwidth::unlimited().piece(1 << 18), 1 << 18);
        assert_eq!(Bandwidth::limited(1_000_000).piece(1 << 18), 50_000);
        assert_eq!(Bandwidth::limited(0).piece(1 << 18), SMALLEST_PIECE);
    }

    #[test]
    fn cancelling_ends_the_wait() {
        let bandwidth = Bandwidth::limited(1);
        let cancel = CancelToken::new();
        cancel.cancel();
        assert!(bandwidth.take(1 << 20, &cancel).is_err());
    }
}
