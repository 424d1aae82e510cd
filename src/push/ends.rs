//! Waiting for background pushes, and telling what is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::board::{Board, Job};
use super::crew::Pushes;
use super::handle::PushHandle;
use super::report::{Delivery, FlushReport, Integration};
use crate::error::{Error, ErrorKind, Result};
use crate::http::retry::wait;
use crate::id::CommitId;

/// Between two rounds of a flush, while the server or the network fails.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

const GOES_LATER: &str =
    "they go there with the next save, flush or resume_pushes, also of a later run";

fn only_here(commit: CommitId) -> String {
    format!("the commit {commit} is saved here, but not on the remote")
}

/// The error that one commit did not arrive, and why.
fn unpushed(commit: CommitId, cause: Error) -> Error {
    Error::new(ErrorKind::Unpushed, only_here(commit))
        .with_hint(GOES_LATER)
        .with_retry_after(cause.retry_after())
        .with_delivery(Vec::new(), vec![commit])
        .with_source(cause)
}

/// See [`Pushes::wait_for`].
fn wait_for(board: &Board, commit: CommitId, handle: &PushHandle) -> Result<Delivery> {
    let delivery = handle.wait().map_err(|cause| unpushed(commit, cause))?;
    let (mut end, mut cell) = (delivery.clone(), Arc::clone(handle.cell()));
    while let (Delivery::Superseded { by }, Some(next)) = (&end, cell.replacement()) {
        let by = *by;
        let carries = |job: &Arc<Job>| job.promise.commit == by || job.replaced.contains(&by);
        let job = board.unfinished().into_iter().find(carries);
        // One that is tried again has another cell.
        cell = job.as_ref().map_or(next, |job| Arc::clone(&job.cell));
        end = match PushHandle::new(&cell).wait() {
            // It failed, and has arrived since with another push.
            Err(_) if job.is_none() && !cell.is_withdrawn() => break,
            end => end.map_err(|cause| unpushed(by, cause))?,
        };
    }
    Ok(delivery)
}

impl Pushes {
    /// Pushes everything promised and not pushed yet, and waits for it.
    ///
    /// With a deadline, what failed for reasons that pass is tried until then; without, once.
    pub(crate) fn flush(&self, deadline: Option<Instant>) -> Result<FlushReport> {
        let fresh = !self.is_started();
        let crew = self.crew_until(deadline)?;
        if !fresh {
            self.adopt_until(&crew, deadline)?;
        }
        self.board.forget_refusal();
        loop {
            for (job, _) in self.board.take_failed() {
                crew.try_again(&job);
            }
            let idle = self.board.wait_idle(deadline);
            let failures = self.board.failures();
            let passing = failures.iter().any(|(_, error)| error.is_retryable());
            let time_left =
                deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match time_left {
                Some(left) if idle && passing && !left.is_zero() => {
                    wait(left.min(ROUND_PAUSE), &self.local.cancel)?;
                }
                _ => break,
            }
        }
        self.report()
    }

    /// Waits until the remote has a commit, or the one that took its place.
    ///
    /// # Errors
    /// [`ErrorKind::Unpushed`] with the cause.
    pub(crate) fn wait_for(&self, commit: CommitId, handle: &PushHandle) -> Result<Delivery> {
        wait_for(&self.board, commit, handle)
    }

    /// Waits for what is under way.
    pub(crate) fn wait(&self) -> Result<FlushReport> {
        self.board.wait_idle(None);
        self.report()
    }

    /// What arrived, or an error that names what did not.
    fn report(&self) -> Result<FlushReport> {
        let arrived = self.board.take_arrived();
        let pushed: Vec<CommitId> = arrived.iter().map(|(commit, ..)| *commit).collect();
        let left: Vec<CommitId> = self
            .board
            .unfinished()
            .iter()
            .map(|job| job.promise.commit)
            .collect();
        let staging = self.board.staging();
        // Failures of commits that arrived since are no news any more.
        let mut news = self.board.take_news();
        news.retain(|failure| failure.commit.is_none_or(|commit| left.contains(&commit)));
        let cause = news.into_iter().next().map(|failure| failure.error);
        if left.is_empty() && staging == 0 {
            if let Some(error) = cause {
                return Err(error);
            }
            let diverted = |(commit, integration, branch)| match integration {
                Integration::Diverted { .. } => Some((commit, branch)),
                _ => None,
            };
            return Ok(FlushReport {
                pushed,
                diverted: arrived.into_iter().filter_map(diverted).collect(),
            });
        }
        let names: Vec<String> = left.iter().map(CommitId::to_string).collect();
        let mut text = match left.len() {
            0 => "a deferred save is not complete".to_owned(),
            1 => only_here(left[0]),
            count => format!(
                "{count} commits are saved here, but not on the remote: {}",
                names.join(", ")
            ),
        };
        if staging > 0 && !left.is_empty() {
            text += "; a deferred save is not complete";
        }
        let error = Error::new(ErrorKind::Unpushed, text)
            .with_hint(GOES_LATER)
            .with_delivery(pushed, left);
        Err(
            match cause.or_else(|| self.board.failures().pop().map(|(_, error)| error)) {
                Some(cause) => error.with_source(cause),
                None => error,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::super::state::Signal;
    use super::*;
    use crate::cancel::CancelToken;

    #[test]
    fn what_is_on_no_list_has_arrived_unless_it_was_called_off() {
        let stop = CancelToken::new();
        let [first, second, third] = [1, 2, 3].map(|number| CommitId::from_bytes([number; 20]));
        let cells = [first, second, third].map(|commit| Cell::new(Some(commit), &stop));
        for (at, by) in [(0, second), (1, third)] {
            assert!(cells[at].signal(Signal::Replaced).is_some());
            cells[at].replaced(by, &cells[at + 1]);
        }
        let board = Board::default();
        let wait = || wait_for(&board, first, &PushHandle::new(&cells[0]));
        assert!(cells[2].finish(Signal::Failed, Err(Error::cancelled())));
        // A failure stays on the board until it is made good.
        let by = second;
        assert_eq!(wait().expect("arrived"), Delivery::Superseded { by });
        cells[2].cancel();
        let error = wait().expect_err("called off");
        assert_eq!(
            (error.kind(), error.unpushed()),
            (ErrorKind::Unpushed, &[third][..])
        );
    }
}
