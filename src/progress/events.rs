//! Reading events oneself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Event;
use super::queue::Queue;

/// The events of a [`Progress`](super::Progress), made by
/// [`Progress::channel`](super::Progress::channel).
///
/// As an iterator it waits for the next event, and ends once all clones of the `Progress` (and with
/// them the repositories that have one) are dropped. Dropping it stops no work.
///
/// ```
/// use std::time::Duration;
/// use hf_repository::Progress;
/// let (progress, mut events) = Progress::channel();
/// assert!(events.try_next().is_none());
/// assert!(events.next_timeout(Duration::from_millis(1)).is_none());
/// drop(progress);
/// assert!(events.next().is_none());
/// ```
pub struct Events(Arc<Queue>);

impl Events {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self(queue)
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.pop(Some(Instant::now()))
    }

    /// The next event, if there is one before `timeout` has passed.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Event> {
        // A time past the end of the clock is for ever.
        self.0.pop(Instant::now().checked_add(timeout))
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.pop(None)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
