//! What came back.

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use ureq::BodyReader;

use super::failure::Attempt;
use super::watch::Watched;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::SecretText;
use crate::url::Url;

/// Bytes of a JSON answer; a batch of 100 objects with long signed URLs has some 200 KB.
const JSON_LIMIT: u64 = 16 << 20;
/// Bytes of an error's text that are worth reading.
pub(super) const TEXT_LIMIT: u64 = 64 << 10;

/// A response whose body has not been read yet.
pub(crate) struct Response {
    inner: http::Response<Watched<BodyReader<'static>>>,
    /// Method and URL, for messages.
    request: String,
    url: Url,
    /// Whether the request carried credentials.
    authenticated: bool,
    /// What else it carried in confidence; it is known while errors are made of the answer.
    sent: Vec<SecretText>,
    /// The logins that were tried before, for the error of a refusal.
    tried: String,
}

impl Response {
    pub(super) fn new(
        inner: http::Response<Watched<BodyReader<'static>>>,
        request: String,
        url: Url,
        authenticated: bool,
        sent: Vec<SecretText>,
    ) -> Self {
        Self {
            inner,
            request,
            url,
            authenticated,
            sent,
            tried: String::new(),
        }
    }

    pub(super) fn after_trying(mut self, tried: String) -> Self {
        self.tried = tried;
        self
    }

    pub(super) fn tried(&self) -> &str {
        &self.tried
    }

    pub(crate) fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// Where the response came from, after redirects.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// A header's value, if it has one that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    pub(super) fn request(&self) -> &str {
        &self.request
    }

    pub(super) fn authenticated(&self) -> bool {
        self.authenticated
    }

    /// What the request carried in confidence; to be held while the answer is looked at.
    pub(super) fn sent(&self) -> Vec<SecretText> {
        self.sent.clone()
    }

    /// The body as it arrives; errors are explained by [`read_error`](Self::read_error).
    pub(crate) fn into_reader(self) -> impl Read + Send + 'static {
        self.inner.into_body()
    }

    /// At most `limit` bytes of the body, and whether that is all; what breaks off in between is lost.
    pub(super) fn text(self, limit: u64) -> (String, bool) {
        let mut bytes = Vec::new();
        let read = self.into_reader().take(limit).read_to_end(&mut bytes);
        let whole = read.is_ok() && (bytes.len() as u64) < limit;
        (String::from_utf8_lossy(&bytes).into_owned(), whole)
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T> {
        let (request, url, _sent) = (self.request.clone(), self.url.clone(), self.sent());
        let mut bytes = Vec::new();
        self.into_reader()
            .take(JSON_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Self::read_error(error, &url))?;
        if bytes.len() as u64 > JSON_LIMIT {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("{request}: the answer has more than {JSON_LIMIT} bytes"),
            ));
        }
        // Some servers put a byte order mark first.
        let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        serde_json::from_slice(json).map_err(|error| {
            let html = json.trim_ascii_start().starts_with(b"<");
            let what = if html {
                "a web page instead of JSON"
            } else {
                "JSON that makes no sense"
            };
            Error::new(
                ErrorKind::Protocol,
                format!("{request}: the server sent {what}"),
            )
            .with_hint("is the address right, and is no login page or proxy in between?")
            .with_source(error)
        })
    }

    /// Explains why a body could not be read to its end.
    pub(crate) fn read_error(error: io::Error, url: &Url) -> Error {
        let what = format!("reading from {url}");
        Attempt::under_way(&what).failed(ureq::Error::from(error))
    }
}
