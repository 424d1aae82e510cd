//! Which object comes next, and its actions: asked for in small windows, just before they are used.
//!
//! Signed URLs live for minutes. Asked for all at once, those at the end of a long queue would have
//! expired when their turn comes; asked for one by one, the Hub's quota of calls would be used up.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Transfer, Way};
use crate::error::{Error, Result};
use crate::id::LfsOid;
use crate::lfs::agent::Crew;
use crate::lfs::api::{Action, Answer};
use crate::lfs::meter::Meter;
use crate::lfs::{Object, Outcome};

/// Bytes of the objects asked about at a time: about what a fast line moves in the shortest life of
/// a URL that was seen (15 minutes) many times over, so that none expires there.
const WINDOW_BYTES: u64 = 1 << 30;
/// Objects up to this size are asked about ahead of time: a few of them are moved in moments.
const SMALL: u64 = 1 << 20;
/// An action is not used in the last moments of its life, as in git-lfs.
const MARGIN: Duration = Duration::from_secs(5);
/// Of a short life, the last moments are this part.
const MARGIN_PART: u32 = 4;
/// How often an object whose URL had demonstrably expired is asked for again: bounds a server whose
/// URLs live shorter than a request takes to reach it.
const MOST_EXPIRIES: u32 = 20;
/// How often an object is tried for which the process has no file to open.
const MOST_STARVED: u32 = 5;

/// An object to be moved.
pub(super) struct Task {
    pub(super) object: Object,
    pub(super) meter: Arc<Meter>,
    /// Refusals of URLs that should have been good.
    refused: u32,
    expired: u32,
    /// How often the process had too many files open for it.
    starved: u32,
    usable_until: Option<Instant>,
}

/// Objects waiting, ready to be moved, and done.
pub(super) struct Schedule<'t, 'a> {
    transfer: &'t Transfer<'a>,
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    waiting: VecDeque<Task>,
    ready: VecDeque<(Task, Way<'a>)>,
    /// Objects to ask about at a time; smaller after some have expired unused.
    window: usize,
    /// Somebody is asking the server.
    asking: bool,
    outcomes: Vec<(Object, Outcome)>,
    /// The server could not be asked: that ends the whole job.
    broken: Option<Error>,
}

impl<'t, 'a> Schedule<'t, 'a> {
    pub(super) fn new(transfer: &'t Transfer<'a>, objects: Vec<Object>) -> Self {
        let task = |object| Task {
            object,
            meter: transfer.meter(object),
            refused: 0,
            expired: 0,
            starved: 0,
            usable_until: None,
        };
        Self {
            transfer,
            state: Mutex::new(State {
                waiting: objects.into_iter().map(task).collect(),
                ready: VecDeque::new(),
                window: transfer.settings.batch_size,
                asking: false,
                outcomes: Vec::new(),
                broken: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Objects whose upload was begun before need no new actions.
    pub(super) fn resume(&mut self, begun: HashSet<LfsOid>) {
        if begun.is_empty() {
            return;
        }
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        for mut task in waiting {
            let plan = begun
                .contains(&task.object.oid)
                .then(|| self.transfer.journals.resume(task.object))
                .flatten();
            match plan {
                Some(plan) => {
                    task.usable_until = usable_until(&plan.upload.complete);
                    let way = Way::Multipart(Box::new(plan));
                    state.ready.push_back((task, way));
                }
                None => state.waiting.push_back(task),
            }
        }
    }

    /// The next object, and how to move it; `None` when there is nothing left to begin.
    pub(super) fn next(&self) -> Option<(Task, Way<'a>)> {
        let mut state = self.state();
        loop {
            if state.broken.is_some() || self.transfer.job.cancel.is_cancelled() {
                return None;
            }
            if state.is_to_ask_ahead(self.transfer.settings.concurrent) {
                state = self.ask(state);
                continue;
            }
            let now = Instant::now();
            match state.ready.pop_front() {
                Some((task, _)) if task.is_over(now) => state.put_back_expired(task, now),
                Some(next) => return Some(next),
                None if state.asking => {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
                None if state.waiting.is_empty() => return None,
                None => state = self.ask(state),
            }
        }
    }

    /// Asks about the next window.
    fn ask<'s>(&'s self, mut state: MutexGuard<'s, State<'a>>) -> MutexGuard<'s, State<'a>> {
        let mut tasks = state.take_window();
        state.asking = true;
        drop(state);
        let objects: Vec<Object> = tasks.iter().map(|task| task.object).collect();
        let answers = self.transfer.ask_to_move(&objects);
        let mut ready = Vec::new();
        let mut outcomes = Vec::new();
        let mut broken = None;
        match answers {
            Ok((answers, crew)) => {
                for (task, (object, answer)) in tasks.drain(..).zip(answers.objects) {
                    match self.take(task, answer, crew.as_ref()) {
                        Ok(next) => ready.push(next),
                        Err(outcome) => outcomes.push((object, outcome)),
                    }
                }
            }
            Err(error) => broken = Some(error),
        }
        let mut state = self.state();
        state.asking = false;
        state.ready.extend(ready);
        state.outcomes.extend(outcomes);
        state.broken = broken;
        self.changed.notify_all();
        state
    }

    fn take(
        &self,
        mut task: Task,
        answer: Answer,
        crew: Option<&Arc<Crew<'a>>>,
    ) -> Result<(Task, Way<'a>), Outcome> {
        match answer {
            // It was moved, and only its verification refused.
            Answer::Nothing if task.refused + task.expired > 0 => {
                task.meter.finished();
                Err(Outcome::Transferred)
            }
            Answer::Nothing => Err(Outcome::AlreadyThere),
            Answer::Refused(error) => Err(Outcome::Failed(error)),
            Answer::Transfer(actions) => {
                task.usable_until = usable_until(&actions.transfer);
                let way = self.transfer.way(task.object, *actions, crew);
                way.map(|way| (task, way)).map_err(Outcome::Failed)
            }
        }
    }

    /// The storage refused what the server had offered: the URL may have expired. It is asked for
    /// anew; once, unless it is known to have expired, and nothing that was `begun` with it is lost.
    pub(super) fn again(&self, mut task: Task, error: Error, begun: bool) {
        if task.is_over(Instant::now()) && !begun {
            task.expired += 1;
        } else {
            task.refused += 1;
        }
        if task.refused > 1 || task.expired > MOST_EXPIRIES {
            self.ended(&task, Outcome::Failed(error));
            return;
        }
        tracing::debug!(%error, oid = %task.object.oid, "asking for new actions");
        self.put_back(task);
    }

    /// Has an object asked for anew.
    pub(super) fn put_back(&self, task: Task) {
        self.state().waiting.push_front(task);
        self.changed.notify_all();
    }

    pub(super) fn ended(&self, task: &Task, outcome: Outcome) {
        self.state().outcomes.push((task.object, outcome));
    }

    /// What became of all objects.
    pub(super) fn into_outcomes(self) -> Result<Vec<(Object, Outcome)>> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.broken.map_or(Ok(state.outcomes), Err)
    }
}

impl State<'_> {
    /// Whether the next window is to be asked about while there still are objects to move for others, of
    /// whom there may be so many: nobody shall have to wait for the answer.
    ///
    /// Large objects take their time, and the actions behind them might expire.
    fn is_to_ask_ahead(&self, movers: usize) -> bool {
        let small = |(task, _): &(Task, Way<'_>)| task.object.size <= SMALL;
        !self.asking
            && !self.waiting.is_empty()
            && self.ready.len() < movers
            && !self.ready.is_empty()
            && self.ready.iter().all(small)
    }

    fn take_window(&mut self) -> Vec<Task> {
        let (mut tasks, mut bytes) = (Vec::new(), 0_u64);
        while tasks.len() < self.window
            && bytes < WINDOW_BYTES
            && let Some(task) = self.waiting.pop_front()
        {
            bytes = bytes.saturating_add(task.object.size);
            tasks.push(task);
        }
        tasks
    }

    /// Asked for too early: the rest of the window goes the same way, and the next is smaller.
    fn put_back_expired(&mut self, first: Task, now: Instant) {
        let (over, good): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ready)
            .into_iter()
            .partition(|(task, _)| task.is_over(now));
        self.ready.extend(good);
        for (task, _) in over.into_iter().rev() {
            self.waiting.push_front(task);
        }
        self.waiting.push_front(first);
        self.window = (self.window / 2).max(1);
    }
}

impl Task {
    /// Whether it is to be tried again when the process has closed the files it can. Others may take the
    /// room that makes, but not for ever.
    pub(super) fn may_wait_for_files(&mut self) -> bool {
        self.starved += 1;
        self.starved <= MOST_STARVED
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.usable_until.is_some_and(|until| now >= until)
    }
}

/// Until when an action may be used; `None` if there is no saying.
fn usable_until(action: &Action) -> Option<Instant> {
    usable_from(action, SystemTime::now(), Instant::now())
}

fn usable_from(action: &Action, now: SystemTime, instant: Instant) -> Option<Instant> {
    // Over when it arrives: the two clocks differ, and only the server knows.
    let life = action.expires?.duration_since(now).ok()?;
    let margin = MARGIN.min(life / MARGIN_PART);
    instant.checked_add(life - margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::Url;

    fn action(expires: Option<SystemTime>) -> Action {
        Action {
            url: Url::parse("http://h/x").expect("valid"),
            headers: std::collections::BTreeMap::new(),
            expires,
        }
    }

    #[test]
    fn the_last_moments_are_not_used() {
        let (now, instant) = (SystemTime::now(), Instant::now());
        let usable = |seconds| {
            let end = now + Duration::from_secs(seconds);
            usable_from(&action(Some(end)), now, instant).map(|until| until - instant)
        };
        assert_eq!(usable(900), Some(Duration::from_secs(895)));
        assert_eq!(usable(2), Some(Duration::from_millis(1500)));
        assert_eq!(usable_from(&action(None), now, instant), None);
        let past = now - Duration::from_secs(60);
        assert_eq!(usable_from(&action(Some(past)), now, instant), None);
    }
}
