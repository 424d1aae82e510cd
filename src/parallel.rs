//! The same work on many items, on several threads.

mod cpu;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::cancel::CancelToken;
use crate::error::Result;

/// Threads for work that the CPU or the kernel bounds: one for each CPU, as long as there is a use for it.
/// More than eight only wait for one another's folders in the kernel.
const MOST_THREADS: usize = 8;
/// Items a thread takes at a time, at most: neighbours often lie in one folder, whose lock two threads would
/// hand to and fro.
const MOST_AT_A_TIME: usize = 256;
/// A thread takes this part of its share of what is left, so that all end at about the same time, be the
/// items small or large.
const PART: usize = 4;

/// How many threads work that the CPU or the kernel bounds may use, the calling one among them.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS))
}

/// Does `work` for each item; the results, in the order of the items.
///
/// The calling thread works along. What the items take must not depend on their order.
///
/// # Errors
/// That of the first item, in their order, which failed of those that were begun; after a failure no
/// further item is begun. [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) likewise.
///
/// # Panics
/// If `work` does: in the calling thread, when all others have come to an end.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    cancel: &CancelToken,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    map_with(items, cancel, || Ok(()), |(), item| work(item))
}

/// The same for work that mostly waits for the disk, which has more to do at a time than there are CPUs.
///
/// # Errors
/// As [`map`].
pub(crate) fn map_waiting<T: Sync, R: Send>(
    items: &[T],
    cancel: &CancelToken,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    map_on(
        MOST_THREADS,
        items,
        cancel,
        || Ok(()),
        |(), item| work(item),
    )
}

/// As [`map`], where each thread has something of its own for the time: `begin` makes it, on that thread.
///
/// # Errors
/// As [`map`], and that of `begin`.
pub(crate) fn map_with<S, T: Sync, R: Send>(
    items: &[T],
    cancel: &CancelToken,
    begin: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    map_on(threads(), items, cancel, begin, work)
}

fn map_on<S, T: Sync, R: Send>(
    most: usize,
    items: &[T],
    cancel: &CancelToken,
    begin: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let threads = most.min(items.len());
    let at_a_time = |left: usize| (left / (threads * PART)).clamp(1, MOST_AT_A_TIME);
    let (next, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let here = cpu::Here::now();
    let work_along = || {
        let _guard = EndOnPanic(&ended);
        let mut done = Vec::new();
        let mut own = match begin() {
            Ok(own) => own,
            Err(error) => {
                ended.store(true, Ordering::Relaxed);
                return vec![(items.len(), Err(error))];
            }
        };
        while !ended.load(Ordering::Relaxed) {
            let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |from| {
                let left = items.len() - from;
                (left > 0).then(|| from + at_a_time(left))
            });
            let Ok(from) = taken else { break };
            let count = at_a_time(items.len() - from);
            for (at, item) in items.iter().enumerate().skip(from).take(count) {
                let result = cancel.check().and_then(|()| work(&mut own, item));
                let failed = result.is_err();
                done.push((at, result));
                if failed {
                    ended.store(true, Ordering::Relaxed);
                }
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        done
    };
    let mut done = thread::scope(|scope| {
        // A system that has no more threads to give has it done by fewer.
        let elsewhere = || {
            here.leave();
            work_along()
        };
        let more = |_| thread::Builder::new().spawn_scoped(scope, elsewhere).ok();
        let others: Vec<_> = (1..threads).filter_map(more).collect();
        let mut done = work_along();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does `work` for each item on other threads, and hands each result to `take` on this one as it comes, in
/// whatever order. No more than one for each thread wait for that.
///
/// # Errors
/// The first that comes, of `take` or the others; after it no further item is begun.
///
/// # Panics
/// If one of them does, when all have come to an end.
pub(crate) fn feed<S, T: Sync, R: Send>(
    items: &[T],
    cancel: &CancelToken,
    begin: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, &T) -> Result<R> + Sync,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let (next, here) = (AtomicUsize::new(0), cpu::Here::now());
    let work_along = |results: SyncSender<Result<R>>| {
        let mut own = begin();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = cancel.check().and_then(|()| match &mut own {
                Ok(own) => work(own, item),
                Err(error) => Err(error.clone()),
            });
            let failed = result.is_err();
            // Nobody takes it any more if something failed.
            if results.send(result).is_err() || failed {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let threads = threads().min(items.len());
        let (sender, results) = mpsc::sync_channel(threads);
        let more = |number| {
            let (sender, here, work_along) = (sender.clone(), &here, &work_along);
            let run = move || {
                // This thread only waits, so that one of them may stay.
                if number > 0 {
                    here.leave();
                }
                work_along(sender);
            };
            thread::Builder::new().spawn_scoped(scope, run).ok()
        };
        let others: Vec<_> = (0..threads).filter_map(more).collect();
        drop(sender);
        let taken = if others.is_empty() {
            // A system that has no threads to give.
            let mut own = begin()?;
            let mut one = |item| cancel.check().and_then(|()| take(work(&mut own, item)?));
            items.iter().try_for_each(&mut one)
        } else {
            results.into_iter().try_for_each(|result| take(result?))
        };
        for other in others {
            if let Err(panic) = other.join() {
                std::panic::resume_unwind(panic);
            }
        }
        taken
    })
}

/// Does `here` on the calling thread, and `beside` at the same time, or behind it if there is no other thread
/// to be had.
///
/// # Panics
/// If one of them does, when both have come to an end.
pub(crate) fn both<R>(here: impl FnOnce() -> R, beside: impl FnOnce() + Send) -> R {
    let beside = Mutex::new(Some(beside));
    let do_beside = || {
        let work = beside.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            work();
        }
    };
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, do_beside);
        let result = here();
        match other.map(|other| other.join()) {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => do_beside(),
        }
        result
    })
}

/// Has the other threads end when one panics.
struct EndOnPanic<'a>(&'a AtomicBool);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
