//! A panic on a thread of ours is an error for whoever waits, not the end of the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind, Result};

/// Runs `work`; a panic in it is [`ErrorKind::Internal`].
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Internal,
            "a background thread failed unexpectedly",
        )
        .with_hint("what was committed is safe; it is tried again with the next push"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let error = guarded::<()>(|| panic!("a bug")).expect_err("it panicked");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.hint().is_some());
        assert_eq!(guarded(|| Ok(5)).expect("no panic"), 5);
    }
}
