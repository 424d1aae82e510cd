//! How objects are moved, as the `lfs.*` keys of git's config say.
//!
//! Keys and defaults are git-lfs's:
//! <https://github.com/git-lfs/git-lfs/blob/main/docs/man/git-lfs-config.adoc>. Like git-lfs, a value
//! that cannot be read counts as none; unlike it, we say so.

use std::str::FromStr;
use std::time::Duration;

use super::api;
use crate::http::retry::RetryPolicy;
use crate::secret::Shown;

/// How objects are moved; from `lfs.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransferSettings {
    /// Objects under way at a time; `lfs.concurrenttransfers`.
    pub(crate) concurrent: usize,
    /// Tries per object after the first; `lfs.transfer.maxretries`.
    pub(crate) max_retries: u32,
    /// The longest wait between two tries that we choose; `lfs.transfer.maxretrydelay`.
    pub(crate) max_retry_delay: Duration,
    /// The longest wait a server may ask for; `lfs.transfer.maxretrytime`.
    pub(crate) max_retry_time: Duration,
    /// Tries of telling the server that an upload is complete; `lfs.transfer.maxverifies`.
    pub(crate) max_verifies: u32,
    /// Objects per batch call; `lfs.transfer.batchsize`.
    pub(crate) batch_size: usize,
    /// Nothing but the `basic` transfer is offered to the server; `lfs.basictransfersonly`.
    pub(crate) basic_only: bool,
}

/// git-lfs's default.
const CONCURRENT: usize = 8;
/// Each transfer has a thread, a connection and a buffer; more only make one server slower.
pub(crate) const MOST_CONCURRENT: usize = 64;
/// git-lfs's default.
const MAX_RETRIES: u32 = 8;
/// git-lfs's default.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);
/// git-lfs's default.
const MAX_RETRY_TIME: Duration = Duration::from_secs(300);
/// git-lfs's default, and the least it takes.
const MAX_VERIFIES: u32 = 3;

impl Default for TransferSettings {
    fn default() -> Self {
        Self {
            concurrent: CONCURRENT,
            max_retries: MAX_RETRIES,
            max_retry_delay: MAX_RETRY_DELAY,
            max_retry_time: MAX_RETRY_TIME,
            max_verifies: MAX_VERIFIES,
            batch_size: api::BATCH,
            basic_only: false,
        }
    }
}

impl TransferSettings {
    /// Reads the settings; `lookup` gives the value of a key. What cannot be read is left out, as by
    /// git-lfs.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let default = Self::default();
        let seconds = |key, least, default: Duration| {
            let read = number(&lookup, key, least, u64::MAX);
            read.map_or(default, Duration::from_secs)
        };
        Self {
            concurrent: number(&lookup, "lfs.concurrenttransfers", 1, usize::MAX)
                .unwrap_or(default.concurrent)
                .min(MOST_CONCURRENT),
            // None at all cannot be said: git-lfs takes 0 for "not set".
            max_retries: number(&lookup, "lfs.transfer.maxretries", 1, u32::MAX)
                .unwrap_or(default.max_retries),
            max_retry_delay: seconds("lfs.transfer.maxretrydelay", 0, default.max_retry_delay),
            max_retry_time: seconds("lfs.transfer.maxretrytime", 1, default.max_retry_time),
            max_verifies: number(&lookup, "lfs.transfer.maxverifies", 0, u32::MAX)
                .unwrap_or(default.max_verifies)
                .max(MAX_VERIFIES),
            batch_size: number(&lookup, "lfs.transfer.batchsize", 1, usize::MAX)
                .unwrap_or(default.batch_size)
                .min(api::BATCH),
            basic_only: switch(&lookup, "lfs.basictransfersonly").unwrap_or(default.basic_only),
        }
    }
}

/// The whole second that is added to what the Hub's `RateLimit` header says still counts as said.
const ROUNDING: Duration = Duration::from_secs(1);

impl TransferSettings {
    /// How hard to try.
    pub(super) fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            retries: self.max_retries,
            longest_pause: self.max_retry_delay,
            longest_wish: self.max_retry_time.saturating_add(ROUNDING),
            total: None,
        }
    }
}

/// A whole number from `least` to `most`; anything else is none, and said.
fn number<T: FromStr + PartialOrd>(
    lookup: impl Fn(&str) -> Option<String>,
    key: &str,
    least: T,
    most: T,
) -> Option<T> {
    let value = lookup(key).filter(|value| !value.is_empty())?;
    match value.parse() {
        Ok(number) if least <= number && number <= most => Some(number),
        _ => {
            ignore(key, &value);
            None
        }
    }
}

/// A switch in the spellings git-lfs reads; anything else is none, and said.
fn switch(lookup: impl Fn(&str) -> Option<String>, key: &str) -> Option<bool> {
    let value = lookup(key).filter(|value| !value.is_empty())?;
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" | "t" => Some(true),
        "false" | "0" | "off" | "no" | "f" => Some(false),
        _ => {
            ignore(key, &value);
            None
        }
    }
}

fn ignore(key: &str, value: &str) {
    tracing::warn!(
        key,
        value = %Shown(value),
        "the value means nothing; the default is used instead"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> TransferSettings {
        let lookup = |key: &str| {
            let found = values.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| (*value).to_owned())
        };
        TransferSettings::read(lookup)
    }

    #[test]
    fn every_key_is_read() {
        let expected = TransferSettings {
            concurrent: 3,
            max_retries: 2,
            max_retry_delay: Duration::ZERO,
            max_retry_time: Duration::from_secs(7),
            max_verifies: 5,
            batch_size: 10,
            basic_only: true,
        };
        let values = [
            ("lfs.concurrenttransfers", "3"),
            ("lfs.transfer.maxretries", "2"),
            ("lfs.transfer.maxretrydelay", "0"),
            ("lfs.transfer.maxretrytime", "7"),
            ("lfs.transfer.maxverifies", "5"),
            ("lfs.transfer.batchsize", "10"),
            ("lfs.basictransfersonly", "Yes"),
        ];
        assert_eq!(read(&values), expected);
    }

    #[test]
    fn nonsense_is_the_default() {
        let keys = [
            "lfs.concurrenttransfers",
            "lfs.transfer.maxretries",
            "lfs.transfer.maxretrydelay",
            "lfs.transfer.maxretrytime",
            "lfs.transfer.maxverifies",
            "lfs.transfer.batchsize",
            "lfs.basictransfersonly",
        ];
        for value in [
            "",
            "-1",
            "many",
            "1.5",
            "8k",
            " ",
            "99999999999999999999999",
        ] {
            let values = keys.map(|key| (key, value));
            assert_eq!(read(&values), TransferSettings::default(), "{value:?}");
        }
        // git-lfs takes these for "not set".
        let zero = ["lfs.concurrenttransfers", "lfs.transfer.maxretries"].map(|key| (key, "0"));
        assert_eq!(read(&zero), TransferSettings::default());
    }

    #[test]
    fn values_stay_within_reason() {
        let most = read(&[
            ("lfs.concurrenttransfers", "100000"),
            ("lfs.transfer.batchsize", "5000"),
            ("lfs.transfer.maxverifies", "1"),
        ]);
        assert_eq!((most.concurrent, most.batch_size), (64, 100));
        assert_eq!(most.max_verifies, 3);
    }
}
