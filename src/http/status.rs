//! What a status code means, in one place.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::response::{Response, TEXT_LIMIT};
use super::seat::NOT_SENT;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{CutAt, fit_to_show_cut};

impl Response {
    /// The response itself if its status is 2xx, else the error it stands for.
    pub(crate) fn error_for_status(self) -> Result<Self> {
        if (200..300).contains(&self.status()) {
            Ok(self)
        } else {
            Err(self.into_error())
        }
    }

    /// The error that a status other than 2xx stands for, with the server's words.
    pub(crate) fn into_error(self) -> Error {
        let _sent = self.sent();
        let status = self.status();
        let retry_after = self.retry_after();
        let request_id = self.header("x-request-id").map(str::to_owned);
        let code = self.header("x-error-code").map(str::to_owned);
        let message = self.header("x-error-message").map(str::to_owned);
        let (kind, meaning, hint) = meaning(status, code.as_deref(), self.authenticated());
        let mut what = format!("{}: {status} {meaning}", self.request());
        if !self.tried().is_empty() {
            what = format!("{what}; tried: {}", self.tried());
        }
        let hint = match self.tried().contains(NOT_SENT) {
            true => Some(PLAIN_HTTP_HINT),
            false => hint,
        };
        let is_text = self
            .header("content-type")
            .is_none_or(|kind| kind.contains("json") || kind.starts_with("text/plain"));
        let words = message
            .or_else(|| is_text.then(|| words(self.text(TEXT_LIMIT))))
            .unwrap_or_default();
        // The Hub's way to say that two requests came at once.
        let passes = status == 409 && words.contains("conflicting operation is in progress");
        let kind = if passes { ErrorKind::Server } else { kind };
        let error = Error::new(kind, what)
            .with_server_message(&words)
            .with_retry_after(retry_after)
            .with_request_id(request_id);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// How long the server wants to hear nothing more from anybody here.
    pub(super) fn closed_for(&self) -> Option<Duration> {
        if self.status() == 429 {
            return self.retry_after();
        }
        // The quota may be used up by the very request that was still answered.
        self.header("ratelimit").and_then(parse_rate_limit)
    }

    /// How long the server asks to wait: `Retry-After`, else the `RateLimit` header when used up.
    fn retry_after(&self) -> Option<Duration> {
        let now = SystemTime::now();
        self.header("retry-after")
            .and_then(|value| parse_retry_after(value, now))
            .or_else(|| self.header("ratelimit").and_then(parse_rate_limit))
    }
}

/// For those whose secret stayed here.
const PLAIN_HTTP_HINT: &str = "use the server's https:// address; over http:// everybody on the way can \
                               read the token, so only danger_send_tokens_over_plain_http() sends it";

pub(super) type Meaning = (ErrorKind, &'static str, Option<&'static str>);

pub(super) fn meaning(status: u16, code: Option<&str>, authenticated: bool) -> Meaning {
    match (status, code) {
        (401, _) if !authenticated => (
            ErrorKind::Unauthorized,
            "the server wants credentials",
            Some(
                "if the repository exists it is private: for the Hub set HF_TOKEN, log in with its tools \
                 or pass a token; for another server set up a git credential helper; else check its name",
            ),
        ),
        (401, _) => (
            ErrorKind::Unauthorized,
            "the server refuses the credentials",
            Some(
                "the token or password is wrong, expired or revoked: make a new token in the Hub's settings, \
                 and put it where the old one is",
            ),
        ),
        (403, Some("GatedRepo")) => (
            ErrorKind::Forbidden,
            "the repository is gated",
            Some("ask for access on the repository's page"),
        ),
        (403, _) => (
            ErrorKind::Forbidden,
            "the credentials do not allow this",
            Some("pushing needs a token with write access to this repository"),
        ),
        (404, Some("RevisionNotFound")) => (
            ErrorKind::RevisionNotFound,
            "there is no such revision",
            None,
        ),
        (404 | 410, _) => (
            ErrorKind::RepoNotFound,
            "there is nothing there",
            Some("check the name and the type; private repositories are hidden from strangers"),
        ),
        (407, _) => (
            ErrorKind::Proxy,
            "the proxy wants credentials",
            Some("put them into the proxy's URL"),
        ),
        (408, _) => (
            ErrorKind::Timeout,
            "the server gave up waiting",
            Some("try again"),
        ),
        (409, _) => (ErrorKind::AlreadyExists, "that exists already", None),
        (412, _) => (
            ErrorKind::Protocol,
            "what the request builds on has changed meanwhile",
            Some("look at the repository anew, then call again"),
        ),
        (413, _) => (
            ErrorKind::Protocol,
            "the request is larger than the server, or a proxy before it, takes",
            Some("ask whoever runs the server for a higher limit"),
        ),
        (422, _) => (
            ErrorKind::Protocol,
            "the server understands the request, but finds it wrong",
            None,
        ),
        (429, _) => (
            ErrorKind::RateLimited,
            "too many requests",
            Some("wait a while, then call again"),
        ),
        (501, _) => (ErrorKind::Protocol, "the server does not do this", None),
        (507 | 509, _) => (
            ErrorKind::Forbidden,
            "the storage or bandwidth of the repository is used up",
            Some("free some of it, or raise the quota"),
        ),
        (500..=599, _) => (
            ErrorKind::Server,
            "the server failed",
            Some("try again later"),
        ),
        _ => (ErrorKind::Protocol, "the server did not accept this", None),
    }
}

/// The message in a JSON error body, or the whole text if it is none.
pub(super) fn words((body, whole): (String, bool)) -> String {
    #[derive(Deserialize)]
    struct Words {
        message: Option<String>,
        error: Option<String>,
    }
    match serde_json::from_str::<Words>(&body) {
        Ok(words) => words.message.or(words.error).unwrap_or_default(),
        Err(_) if whole => body,
        Err(_) => fit_to_show_cut(&body, CutAt::End),
    }
}

/// Seconds, or a date of RFC 9110.
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// `"api";r=0;t=42`: nothing remains for 42 seconds; one more to be on the safe side.
pub(super) fn parse_rate_limit(value: &str) -> Option<Duration> {
    let field = |name: &str| {
        let mut fields = value.split(';').map(str::trim);
        fields.find_map(|part| {
            part.strip_prefix(name)?
                .strip_prefix('=')?
                .parse::<u64>()
                .ok()
        })
    };
    match (field("r"), field("t")) {
        (Some(0), Some(seconds)) => Some(Duration::from_secs(seconds.saturating_add(1))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_in_all_spellings() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let seconds = |value| parse_retry_after(value, now).map(|time| time.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(
            parse_rate_limit("\"api\";r=0;t=42"),
            Some(Duration::from_secs(43))
        );
        assert_eq!(parse_rate_limit("\"api\";r=3;t=42"), None);
    }

    #[test]
    fn the_message_is_found_in_json() {
        let words = |body: &str, whole| words((body.to_owned(), whole));
        assert_eq!(words(r#"{"error":"no"}"#, true), "no");
        assert_eq!(words(r#"{"message":"m","error":"e"}"#, true), "m");
        assert_eq!(words("plain", true), "plain");
        assert_eq!(words("plain\nhf_cut", false), "plain");
    }
}
