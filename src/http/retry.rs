//! What is worth another try, and when.
//!
//! The decision ([`RetryPolicy::after`]) is kept apart from the waiting ([`wait`]). Whether a request
//! may be repeated at all is the caller's knowledge: only those that may are run through
//! [`Client::retrying`](super::Client::retrying). What a status means is said in `status.rs`.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};

/// Tries after the first. With the pauses below the last is about 8 s after the first: longer outages
/// are for the caller, who knows what else there is to do.
pub(crate) const RETRIES: u32 = 4;
/// The first pause, as in git-lfs; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause of our own choice is longer, as in git-lfs.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that asks for more than the Hub's rate-limit window (300 s) is taken as a refusal; the
/// second more is the one that is added to its `RateLimit` header.
const LONGEST_WISH: Duration = Duration::from_secs(301);
/// How often the same work may be tried, progress or not: bounds a server that gives a byte each time.
const MOST_TRIES: u32 = 1000;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// Tries after the first, or after the last that made progress.
    pub(crate) retries: u32,
    /// Longest pause of our own choice.
    pub(crate) longest_pause: Duration,
    /// Longest pause a server may ask for.
    pub(crate) longest_wish: Duration,
    /// For all tries and pauses together.
    pub(crate) total: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: RETRIES,
            longest_pause: LONGEST_PAUSE,
            longest_wish: LONGEST_WISH,
            total: None,
        }
    }
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Try again after this time.
    After(Duration),
    /// It would fail again.
    Never,
}

impl RetryPolicy {
    /// Decides after `failed` failures in a row; `jitter` is from 0 to 1.
    pub(crate) fn after(&self, error: &Error, failed: u32, jitter: f64) -> Retry {
        use ErrorKind::{Network, RateLimited, Server, Timeout};
        let may_pass = matches!(error.kind(), Network | Timeout | Server | RateLimited);
        if failed > self.retries || !may_pass {
            return Retry::Never;
        }
        match error.retry_after() {
            Some(wish) if wish > self.longest_wish => Retry::Never,
            // Those that were sent away together must not come back together.
            Some(wish) => Retry::After(wish + FIRST_PAUSE.mul_f64(jitter)),
            None => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << (failed - 1).min(16));
                let pause = doubled.min(self.longest_pause);
                // Half fixed, half random, for the same reason.
                Retry::After(pause.mul_f64(0.5 + jitter / 2.0))
            }
        }
    }
}

/// The tries of one piece of work.
pub(crate) struct Tries<'a> {
    policy: RetryPolicy,
    cancel: &'a CancelToken,
    /// Failures since the last progress.
    failed: u32,
    all: u32,
    deadline: Option<Instant>,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(policy: RetryPolicy, cancel: &'a CancelToken) -> Self {
        let deadline = policy
            .total
            .and_then(|time| Instant::now().checked_add(time));
        Self {
            policy,
            cancel,
            failed: 0,
            all: 0,
            deadline,
        }
    }

    /// When all tries have to be over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The last try got further than those before: the count begins anew.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits for the next try, or gives the error back if there should be none.
    pub(crate) fn again(&mut self, error: Error) -> Result<()> {
        self.failed += 1;
        self.all += 1;
        match self.policy.after(&error, self.failed, jitter()) {
            Retry::After(pause) if self.all < MOST_TRIES && self.has_time_for(pause) => {
                tracing::debug!(%error, ?pause, tries = self.all, "trying again");
                wait(pause, self.cancel)
            }
            _ => Err(error),
        }
    }

    fn has_time_for(&self, pause: Duration) -> bool {
        self.deadline
            .is_none_or(|deadline| deadline.saturating_duration_since(Instant::now()) > pause)
    }
}

/// Waits, but not for somebody who cancelled.
pub(crate) fn wait(time: Duration, cancel: &CancelToken) -> Result<()> {
    let bell = Arc::new((Mutex::new(()), Condvar::new()));
    let ringer = Arc::clone(&bell);
    let _registered = cancel.on_cancel(move || {
        let _held = ringer.0.lock().unwrap_or_else(PoisonError::into_inner);
        ringer.1.notify_all();
    });
    let guard = bell.0.lock().unwrap_or_else(PoisonError::into_inner);
    let _ended = bell
        .1
        .wait_timeout_while(guard, time, |()| !cancel.is_cancelled());
    cancel.check()
}

/// A number from 0 to 1 that differs between processes and calls; it need not be unpredictable.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "x")
    }

    fn after(error: &Error, failed: u32, jitter: f64) -> Retry {
        RetryPolicy::default().after(error, failed, jitter)
    }

    #[test]
    fn what_is_tried_again() {
        use ErrorKind as K;
        for kind in [K::Network, K::Timeout, K::Server, K::RateLimited] {
            assert!(
                matches!(after(&error(kind), 1, 0.0), Retry::After(_)),
                "{kind:?}"
            );
            assert_eq!(after(&error(kind), RETRIES + 1, 0.0), Retry::Never);
        }
        for kind in [
            K::Unauthorized,
            K::Forbidden,
            K::RepoNotFound,
            K::Protocol,
            K::Cancelled,
        ] {
            assert_eq!(after(&error(kind), 1, 0.0), Retry::Never, "{kind:?}");
        }
    }

    #[test]
    fn pauses_double_and_wishes_are_honoured() {
        let pause = |failed, jitter| match after(&error(ErrorKind::Server), failed, jitter) {
            Retry::After(pause) => pause.as_millis(),
            Retry::Never => 0,
        };
        assert_eq!(
            [pause(1, 1.0), pause(2, 1.0), pause(3, 1.0), pause(4, 1.0)],
            [250, 500, 1000, 2000]
        );
        assert_eq!(pause(1, 0.0), 125);
        let wish = |seconds| {
            let wish = Some(Duration::from_secs(seconds));
            after(
                &error(ErrorKind::RateLimited).with_retry_after(wish),
                1,
                0.0,
            )
        };
        assert_eq!(wish(60), Retry::After(Duration::from_secs(60)));
        assert_eq!(wish(3600), Retry::Never);
    }

    #[test]
    fn cancelling_ends_a_wait_at_once() {
        let cancel = CancelToken::new();
        let other = cancel.clone();
        let begun = Instant::now();
        let waiter = std::thread::spawn(move || wait(Duration::from_secs(600), &other));
        cancel.cancel();
        assert!(waiter.join().expect("no panic").is_err());
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn tries_end_unless_there_is_progress() {
        let cancel = CancelToken::new();
        let fail = || error(ErrorKind::Server).with_retry_after(Some(Duration::ZERO));
        let mut tries = Tries::new(RetryPolicy::default(), &cancel);
        for _ in 0..RETRIES {
            tries.again(fail()).expect("another try");
        }
        tries.progressed();
        for _ in 0..RETRIES {
            tries.again(fail()).expect("another try");
        }
        let last = tries.again(fail()).expect_err("the end");
        assert_eq!(last.kind(), ErrorKind::Server);
    }

    #[test]
    fn nobody_waits_past_the_deadline() {
        let cancel = CancelToken::new();
        let policy = RetryPolicy {
            total: Some(Duration::from_secs(5)),
            ..RetryPolicy::default()
        };
        let wish = Some(Duration::from_secs(60));
        let error = error(ErrorKind::RateLimited).with_retry_after(wish);
        let begun = Instant::now();
        Tries::new(policy, &cancel)
            .again(error)
            .expect_err("too late");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
