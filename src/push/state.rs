//! The life of a push as a table: which step follows which.

use crate::progress::PushState;

/// What happens to a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The files of a deferred save are committed.
    Staged,
    /// There was nothing to commit.
    NothingStaged,
    /// The worker took it.
    Begun,
    /// The remote takes these commits.
    Examined,
    /// The objects were sent.
    Uploaded,
    /// The objects are there.
    Verified,
    /// The server moved the branch, or had it there already.
    Arrived,
    /// It goes back to the start: the remote has moved, or is to be tried again.
    Again,
    /// A newer commit takes its place.
    Replaced,
    /// Somebody called it off.
    Cancelled,
    /// It cannot be done.
    Failed,
}

/// The state after a signal; `None` if the signal makes no sense there.
pub(crate) fn next(state: PushState, signal: Signal) -> Option<PushState> {
    use PushState as P;
    use Signal as S;
    Some(match (state, signal) {
        (P::Staging, S::Staged) => P::Queued,
        (P::Staging, S::NothingStaged) => P::Unchanged,
        (P::Queued, S::Begun) => P::Preflight,
        (P::Preflight, S::Examined) => P::Uploading,
        (P::Uploading, S::Uploaded) => P::Verifying,
        // Without LFS objects there is nothing to send and nothing to check.
        (P::Uploading | P::Verifying, S::Verified) => P::Pushing,
        (P::Preflight | P::Pushing, S::Arrived) => P::Pushed,
        (P::Preflight | P::Uploading | P::Verifying | P::Pushing, S::Again) => P::Preflight,
        (P::Queued, S::Replaced) => P::Superseded,
        (state, S::Cancelled) if !state.is_final() => P::Cancelled,
        (state, S::Failed) if !state.is_final() => P::Failed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use PushState as P;
    use Signal as S;

    const STATES: [P; 11] = [
        P::Staging,
        P::Queued,
        P::Preflight,
        P::Uploading,
        P::Verifying,
        P::Pushing,
        P::Pushed,
        P::Unchanged,
        P::Superseded,
        P::Cancelled,
        P::Failed,
    ];
    const SIGNALS: [S; 11] = [
        S::Staged,
        S::NothingStaged,
        S::Begun,
        S::Examined,
        S::Uploaded,
        S::Verified,
        S::Arrived,
        S::Again,
        S::Replaced,
        S::Cancelled,
        S::Failed,
    ];

    fn run(signals: &[S]) -> Option<P> {
        signals
            .iter()
            .try_fold(P::Queued, |state, signal| next(state, *signal))
    }

    #[test]
    fn the_ways_to_the_end() {
        let whole = [S::Begun, S::Examined, S::Uploaded, S::Verified, S::Arrived];
        assert_eq!(run(&whole), Some(P::Pushed));
        assert_eq!(
            run(&[S::Begun, S::Examined, S::Verified, S::Arrived]),
            Some(P::Pushed)
        );
        assert_eq!(run(&[S::Begun, S::Arrived]), Some(P::Pushed), "up to date");
        let moved = [S::Begun, S::Examined, S::Verified, S::Again, S::Examined];
        assert_eq!(run(&moved), Some(P::Uploading));
        assert_eq!(run(&[S::Replaced]), Some(P::Superseded));
        assert_eq!(next(P::Staging, S::Staged), Some(P::Queued));
        assert_eq!(next(P::Staging, S::NothingStaged), Some(P::Unchanged));
    }

    #[test]
    fn only_what_was_not_begun_is_replaced() {
        for state in STATES {
            let replaced = next(state, S::Replaced);
            assert_eq!(replaced.is_some(), state == P::Queued, "{state:?}");
        }
    }

    #[test]
    fn an_end_is_an_end() {
        for state in STATES {
            for signal in SIGNALS {
                let after = next(state, signal);
                if state.is_final() {
                    assert_eq!(after, None, "{state:?} {signal:?}");
                } else if matches!(signal, S::Cancelled | S::Failed) {
                    assert!(after.is_some_and(P::is_final), "{state:?} {signal:?}");
                }
            }
        }
    }

    #[test]
    fn the_branch_moves_only_after_the_objects_are_there() {
        for state in STATES {
            for signal in SIGNALS {
                if next(state, signal) == Some(P::Pushing) {
                    assert_eq!(signal, S::Verified, "{state:?}");
                }
            }
        }
        assert_eq!(next(P::Uploading, S::Arrived), None);
        assert_eq!(next(P::Queued, S::Arrived), None);
    }
}
