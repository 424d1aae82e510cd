//! What long work reports while it runs.
//!
//! The threads that work put events into a queue and go on; a handler is served by a thread of its
//! own, [`Events`] by whoever reads them. So a listener that is slow, blocked or gone delays
//! nothing and stops nothing.
//!
//! | file | concern |
//! |---|---|
//! | `event`, `phase` | what can be reported |
//! | `queue` | between those who work and the one who listens |
//! | `handler` | the thread that calls a handler |
//! | `events` | reading events oneself |

mod event;
mod events;
mod handler;
mod phase;
mod queue;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use event::{Direction, Event};
pub use events::Events;
pub use phase::PushState;

use handler::Handler;
use queue::Queue;

/// How long a call that is done waits for its events to be delivered: not long enough to hurt when
/// the listener is slow, and ample for one that is not.
const SETTLE: Duration = Duration::from_millis(200);

/// Where events go: a handler, a channel, or nowhere.
///
/// Events arrive in the order in which they were reported. Those that say how many bytes have moved
/// so far are samples: the oldest are left out if the listener is behind. All others arrive.
/// Each `Progress` and its clones have a listener of their own; give two repositories one each, and
/// their events never mix.
#[derive(Clone, Default)]
pub struct Progress {
    line: Option<Arc<Line>>,
    /// One of this library's own, called at once; it must be quick.
    watch: Option<Watch>,
}

type Watch = Arc<dyn Fn(&Event) + Send + Sync>;

/// The way to a listener; when the last clone is gone, so is the way.
struct Line {
    queue: Arc<Queue>,
    handler: Option<Handler>,
}

impl Progress {
    /// Reports to `handler`, which a thread of its own calls, one event at a time.
    ///
    /// The handler may be slow. If it panics it is not called again, and the work goes on. A call
    /// of the repository that is done waits for its events to be handled, but only for a fifth of a
    /// second. The thread ends after the last event, once all clones of this `Progress` (and with
    /// them the repositories that have one) are dropped; it does not keep the process alive.
    ///
    /// ```
    /// use hf_repository::{Event, Progress, Repository};
    /// let progress = Progress::new(|event| {
    ///     if let Event::TransferFinished { path: Some(path), bytes, .. } = event {
    ///         println!("{path}: {bytes} bytes");
    ///     }
    /// });
    /// let prepared = Repository::prepare("user/my-model", "out").progress(progress);
    /// ```
    pub fn new(handler: impl FnMut(&Event) + Send + 'static) -> Self {
        let queue = Arc::new(Queue::default());
        Self::by(Line {
            queue,
            handler: Some(Handler::new(handler)),
        })
    }

    /// Reports to whoever reads the [`Events`].
    ///
    /// ```
    /// use hf_repository::{Progress, Repository};
    /// let (progress, events) = Progress::channel();
    /// let prepared = Repository::prepare("user/my-model", "out").progress(progress);
    /// let watcher = std::thread::spawn(move || {
    ///     for event in events {
    ///         println!("{event:?}");
    ///     }
    /// });
    /// drop(prepared); // or the repository that was made of it: the events end
    /// watcher.join().expect("no panic");
    /// ```
    pub fn channel() -> (Self, Events) {
        let queue = Arc::new(Queue::default());
        let events = Events::new(Arc::clone(&queue));
        let line = Line {
            queue,
            handler: None,
        };
        (Self::by(line), events)
    }

    /// Reports to nobody.
    pub fn none() -> Self {
        Self::default()
    }

    fn by(line: Line) -> Self {
        Self {
            line: Some(Arc::new(line)),
            watch: None,
        }
    }

    /// The same, and `watch` sees every event first, on the thread that reports it.
    pub(crate) fn watched(&self, watch: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self {
            line: self.line.clone(),
            watch: Some(Arc::new(watch)),
        }
    }

    /// Builds and reports an event, only if somebody may listen.
    pub(crate) fn report(&self, event: impl FnOnce() -> Event) {
        if self.line.is_none() && self.watch.is_none() {
            return;
        }
        let event = event();
        if let Some(watch) = &self.watch {
            watch(&event);
        }
        if let Some(line) = &self.line {
            line.queue.push(event);
            if let Some(handler) = &line.handler {
                handler.start(&line.queue);
            }
        }
    }

    /// Waits a little until the handler has had all events; see [`SETTLE`].
    ///
    /// Whoever reads [`Events`] may be the calling thread itself, and is not waited for; nor is a
    /// handler that is waiting for this very call.
    pub(crate) fn settle(&self) {
        if let Some(line) = &self.line
            && let Some(handler) = &line.handler
            && !handler.is_this_thread()
        {
            line.queue.settle(SETTLE);
        }
    }

    /// Settles when dropped: for the first line of a call, so that it is the last thing it does,
    /// after its locks are released and whether or not it fails.
    pub(crate) fn settled(&self) -> Settled {
        Settled(self.clone())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.line.as_deref() {
            Some(Line {
                handler: Some(_), ..
            }) => "Progress(handler)",
            Some(_) => "Progress(channel)",
            None => "Progress(none)",
        })
    }
}

/// See [`Progress::settled`].
#[must_use]
pub(crate) struct Settled(Progress);

impl Drop for Settled {
    fn drop(&mut self) {
        self.0.settle();
    }
}

#[cfg(test)]
mod tests;
