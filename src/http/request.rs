//! What is sent.

use std::fmt;
use std::io::Read;

use super::{Auth, Bucket};
use crate::error::Result;
use crate::url::Url;

/// A request; nothing is sent until a client gets it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) auth: Auth,
    pub(super) body: Body,
    pub(super) bucket: Bucket,
    pub(super) patience: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
}

impl Method {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// The body of a request.
pub(crate) enum Body {
    Empty,
    Bytes(Vec<u8>),
    /// So many bytes from a reader, which is opened anew if the server sends the request elsewhere.
    Sized {
        length: u64,
        open: Open,
    },
    /// All that a reader gives, in chunks.
    Stream(Box<dyn Read + Send>),
}

/// Opens the source of a body.
pub(crate) type Open = Box<dyn FnMut() -> Result<Box<dyn Read + Send>> + Send>;

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Sized { length, .. } => write!(f, "Sized({length})"),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Request {
    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::Get, url)
    }

    pub(crate) fn post(url: Url) -> Self {
        Self::new(Method::Post, url)
    }

    pub(crate) fn put(url: Url) -> Self {
        Self::new(Method::Put, url)
    }

    fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            auth: Auth::None,
            body: Body::Empty,
            bucket: Bucket::Api,
            patience: 1,
        }
    }

    /// Adds a header; one of the same name is replaced.
    pub(crate) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// What the server counts it as.
    pub(crate) fn bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = bucket;
        self
    }

    /// Lets the server be silent for so many stall limits before it answers: some work takes its time.
    pub(crate) fn patience(mut self, stalls: u32) -> Self {
        self.patience = stalls;
        self
    }

    /// Whether its body can be sent again.
    pub(super) fn may_repeat(&self) -> bool {
        !matches!(self.body, Body::Stream(_))
    }

    /// What to call it in messages.
    pub(super) fn describe(&self) -> String {
        format!("{} {}", self.method.as_str(), self.url)
    }
}
