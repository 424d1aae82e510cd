//! What is worth another try, and when.
//!
//! The decision ([`Retry::after`]) is kept apart from the waiting ([`wait`]). Whether a request may
//! be repeated at all is the caller's knowledge: only those that may are run through [`retrying`].

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};

/// Tries in all. With the pauses below the last is about 8 s after the first: longer outages are
/// for the caller, who knows what else there is to do.
pub(crate) const TRIES: u32 = 5;
/// The first pause, as in git-lfs; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause of our own choice is longer, as in git-lfs.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that asks for more than the Hub's rate-limit window (300 s) is taken as a refusal.
const LONGEST_WISH: Duration = Duration::from_secs(301);

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Try again after this time.
    After(Duration),
    /// It would fail again.
    Never,
}

impl Retry {
    /// Decides after the failure of try number `tried` (from 1); `jitter` is from 0 to 1.
    pub(crate) fn after(error: &Error, tried: u32, jitter: f64) -> Self {
        use ErrorKind::{Network, RateLimited, Server, Timeout};
        if tried >= TRIES || !matches!(error.kind(), Network | Timeout | Server | RateLimited) {
            return Self::Never;
        }
        match error.retry_after() {
            Some(wish) if wish > LONGEST_WISH => Self::Never,
            Some(wish) => Self::After(wish),
            None => {
                let pause = FIRST_PAUSE
                    .saturating_mul(1 << (tried - 1))
                    .min(LONGEST_PAUSE);
                // Half fixed, half random: clients that failed together do not come back together.
                Self::After(pause.mul_f64(0.5 + jitter / 2.0))
            }
        }
    }
}

/// Runs `attempt` until it succeeds, cannot succeed, or the tries are used up.
pub(crate) fn retrying<T>(
    cancel: &CancelToken,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut tried = 0;
    loop {
        let error = match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        tried += 1;
        match Retry::after(&error, tried, jitter()) {
            Retry::Never => return Err(error),
            Retry::After(pause) => {
                tracing::debug!(%error, ?pause, tried, "trying again");
                wait(pause, cancel)?;
            }
        }
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
    use std::time::Instant;

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "x")
    }

    #[test]
    fn what_is_tried_again() {
        use ErrorKind as K;
        for kind in [K::Network, K::Timeout, K::Server, K::RateLimited] {
            assert!(
                matches!(Retry::after(&error(kind), 1, 0.0), Retry::After(_)),
                "{kind:?}"
            );
            assert_eq!(Retry::after(&error(kind), TRIES, 0.0), Retry::Never);
        }
        for kind in [
            K::Unauthorized,
            K::Forbidden,
            K::RepoNotFound,
            K::Protocol,
            K::Cancelled,
        ] {
            assert_eq!(Retry::after(&error(kind), 1, 0.0), Retry::Never, "{kind:?}");
        }
    }

    #[test]
    fn pauses_double_and_wishes_are_honoured() {
        let pause = |tried, jitter| match Retry::after(&error(ErrorKind::Server), tried, jitter) {
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
            Retry::after(
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
    fn tries_end() {
        let mut calls = 0;
        let result: Result<()> = retrying(&CancelToken::new(), || {
            calls += 1;
            Err(error(ErrorKind::Server).with_retry_after(Some(Duration::ZERO)))
        });
        assert_eq!(
            (result.expect_err("fails").kind(), calls),
            (ErrorKind::Server, TRIES)
        );
    }
}
