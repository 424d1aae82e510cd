//! How long to wait for servers, and how hard to try.

use std::time::Duration;

use super::retry::RetryPolicy;
use super::settings::NO_LIMIT;

/// Limits of all work on the network; without them, those of each method below.
///
/// ```
/// use std::time::Duration;
/// use hf_repository::{NetworkLimits, Repository};
/// let limits = NetworkLimits::default()
///     .stall_timeout(Duration::from_secs(60))
///     .retries(8);
/// let prepared = Repository::prepare("user/my-model", "out").network_limits(limits);
/// # let _ = prepared;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct NetworkLimits {
    pub(crate) connect: Option<Duration>,
    pub(crate) stall: Option<Duration>,
    pub(crate) stall_bytes: Option<u64>,
    pub(crate) total: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) concurrent: Option<usize>,
}

impl NetworkLimits {
    /// For the name lookup, the connection and the TLS handshake each: 15 s, or
    /// `lfs.dialtimeout`.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect = Some(time);
        self
    }

    /// The window of the stall watchdog: 30 s, or `lfs.activitytimeout`. A connection on which not a
    /// single byte moves for so long is given up, and the work goes on over another one.
    pub fn stall_timeout(mut self, time: Duration) -> Self {
        self.stall = Some(time);
        self
    }

    /// The bytes that a transfer must move in each such window to count as alive: 1024.
    pub fn stall_bytes(mut self, bytes: u64) -> Self {
        self.stall_bytes = Some(bytes);
        self
    }

    /// For one request with all its tries and pauses: unlimited. Transfers that make progress are
    /// better served by the watchdog.
    pub fn total_timeout(mut self, time: Duration) -> Self {
        self.total = Some(time);
        self
    }

    /// Further tries after a failure that may pass: 8 for LFS objects, or `lfs.transfer.maxretries`,
    /// and 4 for everything else. A download that got further than before begins to count anew.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Transfers at a time to and from one server, parts of files included: 8, or
    /// `lfs.concurrenttransfers`; from 1 to 64.
    pub fn concurrent_transfers(mut self, transfers: usize) -> Self {
        self.concurrent = Some(transfers);
        self
    }

    /// Puts what the caller chose over what the configuration says.
    pub(crate) fn apply(&self, settings: &mut super::Settings) {
        let RetryPolicy { retries, total, .. } = &mut settings.retry;
        let set = |target: &mut Duration, value: Option<Duration>| {
            if let Some(value) = value {
                // Sums with the present time must fit.
                *target = value.min(NO_LIMIT);
            }
        };
        if let Some(wanted) = self.retries {
            *retries = wanted;
        }
        if self.total.is_some() {
            *total = self.total;
        }
        set(&mut settings.connect_timeout, self.connect);
        set(&mut settings.stall_timeout, self.stall);
        if let Some(bytes) = self.stall_bytes {
            settings.stall_bytes = bytes;
        }
    }
}
