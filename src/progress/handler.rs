//! The thread that calls a handler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use super::Event;
use super::queue::Queue;

/// What debuggers and profilers show the thread as.
const THREAD: &str = "hf-progress";

type Function = Box<dyn FnMut(&Event) + Send>;

/// A handler, and its thread once there is something to handle.
pub(super) struct Handler {
    /// Until the thread takes it.
    function: Mutex<Option<Function>>,
    thread: OnceLock<ThreadId>,
}

impl Handler {
    pub(super) fn new(function: impl FnMut(&Event) + Send + 'static) -> Self {
        Self {
            function: Mutex::new(Some(Box::new(function))),
            thread: OnceLock::new(),
        }
    }

    /// Starts the thread, unless that was done. It owns nothing that would keep the queue from
    /// ending, and nobody waits for it: a handler that never returns is left behind.
    pub(super) fn start(&self, queue: &Arc<Queue>) {
        self.thread.get_or_init(|| {
            let mut function = self.function.lock().unwrap_or_else(PoisonError::into_inner);
            let function = function.take();
            let served = Arc::clone(queue);
            let started = thread::Builder::new()
                .name(THREAD.to_owned())
                .spawn(move || function.into_iter().for_each(|f| serve(&served, f)));
            match started {
                Ok(thread) => thread.thread().id(),
                Err(error) => {
                    tracing::warn!(%error, "no thread for the progress handler");
                    queue.close();
                    // Whoever is here is not the handler's thread, and nobody ever will be.
                    thread::current().id()
                }
            }
        });
    }

    /// Whether the handler itself is calling.
    pub(super) fn is_this_thread(&self) -> bool {
        self.thread.get() == Some(&thread::current().id())
    }
}

fn serve(queue: &Queue, mut function: Function) {
    // What a handler leaves half done when it panics is seen by nobody: it is not called again.
    let handled = catch_unwind(AssertUnwindSafe(|| {
        while let Some(event) = queue.pop(None) {
            function(&event);
        }
    }));
    queue.close();
    if handled.is_err() {
        tracing::warn!("the progress handler panicked and is not called again");
    }
}
