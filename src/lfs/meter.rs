//! How much of one object has moved.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Job, Object};
use crate::cancel::CancelToken;
use crate::path::RepoPath;
use crate::progress::{Direction, Event, Progress};

/// No two samples of an object are closer: people see no more than twenty a second.
const CLOSEST: Duration = Duration::from_millis(50);
/// A sample is due after so many bytes: smaller objects are done before anybody looks.
const BYTES: u64 = 1 << 20;
/// A sample is due after this time as well, for lines on which a mebibyte takes long.
const FARTHEST: Duration = Duration::from_secs(1);

/// Counts and reports one object for the time of a job, over all tries.
pub(super) struct Meter {
    direction: Direction,
    object: Object,
    path: Option<RepoPath>,
    progress: Progress,
    cancel: CancelToken,
    made: Instant,
    state: Mutex<State>,
}

struct State {
    /// The furthest any try came.
    bytes: u64,
    /// When its turn came, and how many bytes were there before.
    began: Option<(Instant, u64)>,
    reported: u64,
    reported_at: Instant,
}

impl Meter {
    /// For an object whose turn comes some time.
    pub(super) fn new(job: &Job<'_>, direction: Direction, object: Object) -> Arc<Self> {
        let made = Instant::now();
        Arc::new(Self {
            direction,
            object,
            path: job.names.get(&object.oid).cloned(),
            progress: job.progress.clone(),
            cancel: job.cancel.clone(),
            made,
            state: Mutex::new(State {
                bytes: 0,
                began: None,
                reported: 0,
                reported_at: made,
            }),
        })
    }

    /// Counts what is read from `inner` as one try, which begins with so many bytes done.
    pub(super) fn read<R>(self: &Arc<Self>, inner: R, done: u64) -> Metered<R> {
        self.begins(done);
        Metered {
            inner,
            bytes: done,
            meter: Arc::clone(self),
        }
    }

    /// Its turn has come, with so many bytes done before: they do not count for the rate.
    pub(super) fn begins(&self, done: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.began.get_or_insert((Instant::now(), done));
    }

    /// `Err` once the job is cancelled.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled by the caller"));
        }
        Ok(())
    }

    /// A try has come so far.
    pub(super) fn reached(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes <= state.bytes {
            return;
        }
        state.bytes = bytes;
        let now = Instant::now();
        let since = now.saturating_duration_since(state.reported_at);
        let due = bytes - state.reported >= BYTES || since >= FARTHEST;
        if !due || since < CLOSEST {
            return;
        }
        (state.reported, state.reported_at) = (bytes, now);
        let (began, before) = state.began.unwrap_or((self.made, 0));
        let moved = bytes.saturating_sub(before);
        // Under the lock, so that no later sample overtakes this one.
        self.progress.report(|| Event::TransferProgress {
            direction: self.direction,
            oid: self.object.oid,
            path: self.path.clone(),
            bytes,
            total: self.object.size,
            rate: rate(moved, now.saturating_duration_since(began)),
        });
    }

    /// The object is where it belongs.
    pub(super) fn finished(&self) {
        let (direction, path) = (self.direction, self.path.clone());
        let Object { oid, size } = self.object;
        self.progress.report(|| Event::TransferFinished {
            direction,
            oid,
            path,
            bytes: size,
        });
    }
}

/// Bytes per second.
fn rate(bytes: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)
}

/// A reader that counts and can be cancelled.
pub(super) struct Metered<R> {
    inner: R,
    bytes: u64,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.meter.check()?;
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        // A server may send more than it should; that is found out elsewhere, and never shown.
        self.meter.reached(self.bytes.min(self.meter.object.size));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LfsOid;
    use std::collections::HashMap;

    #[test]
    fn rates_need_no_time_to_pass() {
        assert_eq!(rate(5_000, Duration::from_secs(2)), 2_500);
        assert_eq!(rate(7, Duration::ZERO), 7_000);
        assert_eq!(rate(u64::MAX, Duration::ZERO), u64::MAX);
    }

    #[test]
    fn a_second_try_adds_nothing_until_it_comes_further() {
        let (progress, events) = Progress::channel();
        let (oid, size) = (LfsOid::EMPTY, 6 * BYTES);
        let name = RepoPath::new("w.bin").expect("valid");
        let job = Job {
            remote: &crate::lfs::Remote::Folder(crate::lfs::Neighbour::plain("nowhere")),
            remote_name: "origin",
            ref_name: None,
            commit: None,
            objects: &[],
            names: &HashMap::from([(oid, name.clone())]),
            progress: &progress,
            cancel: &CancelToken::new(),
        };
        let meter = Meter::new(&job, Direction::Upload, Object { oid, size });
        for length in [3 * BYTES, 6 * BYTES] {
            let mut reader = meter.read(io::repeat(0).take(length), 0);
            let mut buffer = vec![0; usize::try_from(BYTES).expect("small")];
            while reader.read(&mut buffer).expect("endless") > 0 {
                std::thread::sleep(CLOSEST);
            }
        }
        meter.finished();
        drop(meter);
        drop(progress);
        let mut seen = Vec::new();
        for event in events {
            match event {
                Event::TransferProgress {
                    bytes, path, rate, ..
                } => {
                    assert_eq!(path.as_ref(), Some(&name));
                    assert!(rate > 0 && rate <= 40 * BYTES, "{rate}");
                    seen.push(bytes);
                }
                Event::TransferFinished { bytes, .. } => assert_eq!(bytes, size),
                other => panic!("{other:?}"),
            }
        }
        // The first mebibyte comes too early for a sample, unless the machine is very busy.
        let grows = seen.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(grows && seen.len() >= 5, "{seen:?}");
        assert_eq!(seen.last(), Some(&size));
    }
}
