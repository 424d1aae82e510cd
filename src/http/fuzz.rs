//! Headers and bodies as hostile servers send them.

use std::time::{Duration, Instant, SystemTime};

use super::retry::{Retry, RetryPolicy};
use super::status::{meaning, parse_rate_limit, parse_retry_after, words};
use crate::error::{Error, ErrorKind};
use crate::probe::assert_fit_to_print;

pub(crate) fn rate_limit(data: &[u8]) {
    let Ok(value) = std::str::from_utf8(data) else {
        return;
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for wish in [parse_retry_after(value, now), parse_rate_limit(value)] {
        let Some(wish) = wish else { continue };
        let error = Error::new(ErrorKind::RateLimited, "x").with_retry_after(Some(wish));
        let policy = RetryPolicy::default();
        for jitter in [0.0, 1.0] {
            if let Retry::After(pause) = policy.after(&error, 1, jitter) {
                // Nobody is made to wait longer than the limit, and nobody comes too early.
                assert!(pause >= wish && pause <= policy.longest_wish + Duration::from_secs(1));
                assert!(Instant::now().checked_add(pause).is_some());
            }
        }
    }
    let seconds = value.trim();
    if !seconds.is_empty() && seconds.len() < 19 && seconds.bytes().all(|b| b.is_ascii_digit()) {
        let wish = parse_retry_after(value, now).map(|wish| wish.as_secs());
        assert_eq!(wish, seconds.parse().ok());
    }
}

pub(crate) fn server_words(data: &[u8]) {
    let (status, body) = data.split_at(data.len().min(2));
    let status = u16::from_le_bytes([
        status.first().copied().unwrap_or_default(),
        status.get(1).copied().unwrap_or_default(),
    ]);
    let text = String::from_utf8_lossy(body);
    for (code, authenticated) in [(None, true), (Some(&*text), false)] {
        let (kind, what, hint) = meaning(status, code, authenticated);
        assert!(!what.is_empty() && hint.is_none_or(|hint| !hint.is_empty()));
        let error =
            Error::new(kind, what).with_server_message(&words((text.clone().into_owned(), true)));
        assert_fit_to_print(&error.to_string());
        let message = error.server_message().unwrap_or_default();
        assert!(!message.contains(|c: char| c.is_control() && c != '\n'));
    }
}
