//! Small downloads become objects together: one by one, each would wait for the disk three times.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::schedule::{Schedule, Task};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::lfs::Outcome;
use crate::lfs::lasting::Together;
use crate::lfs::partial::Partial;

/// From this size on, waiting for the disk is a small part of the work.
pub(super) const SMALL: u64 = 4 << 20;
/// Downloads that wait for one another: as many files are open meanwhile.
const MOST: usize = 64;
/// Nobody waits longer than this for a download that is here, unless no other one ends.
const LONGEST: Duration = Duration::from_secs(1);

/// Downloads that were checked, and are not stored yet. Dropped, they are left for the next download.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: Mutex<Vec<Waiting>>,
    together: Mutex<Together>,
}

/// A download, and since when it waits.
type Waiting = (Task, Partial, Instant);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arrivals {
    /// Adds a download, and stores those that wait if they are many, or have waited long enough.
    pub(super) fn add(&self, task: Task, partial: Partial, schedule: &Schedule<'_, '_>) {
        let mut waiting = locked(&self.waiting);
        waiting.push((task, partial, Instant::now()));
        if is_due(&waiting) {
            drop(waiting);
            // Who has to wait for others to be stored brings no more: no more than two groups are open.
            let mut together = locked(&self.together);
            let mut waiting = locked(&self.waiting);
            if is_due(&waiting) {
                let ready = std::mem::take(&mut *waiting);
                drop(waiting);
                store(ready, &mut together, schedule);
            }
        }
    }

    /// Stores all that wait; when it returns none is open any more that was.
    pub(super) fn store_waiting(&self, schedule: &Schedule<'_, '_>) {
        let mut together = locked(&self.together);
        let ready = std::mem::take(&mut *locked(&self.waiting));
        store(ready, &mut together, schedule);
    }

    /// Makes what was stored last.
    pub(super) fn finish(self, cancel: &CancelToken) -> Result<()> {
        let together = self.together.into_inner();
        together
            .unwrap_or_else(PoisonError::into_inner)
            .finish(cancel)
    }
}

fn is_due(waiting: &[Waiting]) -> bool {
    let old = |(_, _, since): &Waiting| since.elapsed() >= LONGEST;
    waiting.len() >= MOST || waiting.first().is_some_and(old)
}

fn store(mut ready: Vec<Waiting>, together: &mut Together, schedule: &Schedule<'_, '_>) {
    let mut partials: Vec<&mut Partial> = ready.iter_mut().map(|(_, it, _)| it).collect();
    let stored = Partial::finish_all(&mut partials, together);
    for ((task, ..), stored) in ready.iter().zip(stored) {
        match stored {
            Ok(()) => {
                task.meter.finished();
                schedule.ended(task, Outcome::Transferred);
            }
            Err(error) => schedule.ended(task, Outcome::Failed(error)),
        }
    }
}
