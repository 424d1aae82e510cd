//! The threads at a child's pipes, so that neither side ever waits for the other for good.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::secret::{CutAt, fit_to_show_cut, fit_to_show_end};

/// What one look at a pipe takes at most; the size of Linux's pipes.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for their reader; with [`CHUNK_BYTES`] at most 1 MiB, then the child waits.
const WAITING_CHUNKS: usize = 16;
/// What is kept of a child's words: the end, where programs say why they give up.
const KEPT_BYTES: usize = 64 << 10;

/// What comes out of the pipe, until all who could write to it are gone.
pub(super) fn read(mut pipe: PipeReader) -> Receiver<Vec<u8>> {
    let (chunks, receiver) = bounded(WAITING_CHUNKS);
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if chunks.send(buffer[..count].to_vec()).is_err() {
                // Nobody listens: the child must not wait for it.
                drop(pipe);
                return;
            }
        }
    });
    receiver
}

/// Writes what is sent, until the sender is dropped; no reader, no receiver.
pub(super) fn write(mut pipe: PipeWriter) -> Sender<Vec<u8>> {
    let (sender, chunks) = bounded::<Vec<u8>>(1);
    thread::spawn(move || {
        for chunk in chunks {
            if pipe.write_all(&chunk).is_err() {
                return;
            }
        }
    });
    sender
}

/// The end of what a child says.
#[derive(Clone)]
pub(super) struct Words(Arc<(Mutex<Kept>, Condvar)>);

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Whether there was more before.
    cut: bool,
    complete: bool,
}

impl Kept {
    fn fit_to_show(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.cut {
            fit_to_show_cut(&text, CutAt::Start)
        } else {
            fit_to_show_end(&text)
        }
    }
}

/// Reads the pipe to its end and keeps the last of it.
pub(super) fn keep_end(mut pipe: PipeReader) -> Words {
    let words = Words(Arc::default());
    let kept = words.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            let mut kept = kept.lock();
            kept.bytes.extend_from_slice(&buffer[..count]);
            let surplus = kept.bytes.len().saturating_sub(KEPT_BYTES);
            kept.bytes.drain(..surplus);
            kept.cut |= surplus > 0;
        }
        kept.lock().complete = true;
        kept.0.1.notify_all();
    });
    words
}

impl Words {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said so far, fit to show.
    pub(super) fn so_far(&self) -> String {
        self.lock().fit_to_show()
    }

    /// All that was said, or what there is after `patience`: what a program leaves running may
    /// hold its pipe open for days.
    pub(super) fn all(&self, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        let mut kept = self.lock();
        while !kept.complete {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.1.wait_timeout(kept, left);
            kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        kept.fit_to_show()
    }
}
