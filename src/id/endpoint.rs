use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::url::Url;

/// The address of a Hub: `https://huggingface.co`, or whatever `HF_ENDPOINT` says.
///
/// ```
/// use hf_repository::Endpoint;
/// let endpoint: Endpoint = "http://127.0.0.1:8080/".parse()?;
/// assert_eq!(endpoint.to_string(), "http://127.0.0.1:8080");
/// assert_eq!(Endpoint::default().to_string(), "https://huggingface.co");
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether this is the public Hub, which also answers to `hf.co`.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self(Url::constant("https", "huggingface.co"))
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| {
            Error::new(
                ErrorKind::InvalidSource,
                format!("the endpoint {text:?} {why}"),
            )
            .with_hint("an endpoint looks like https://huggingface.co")
        };
        // Not echoed: it may hold a password.
        if text.contains('@') {
            return Err(
                Error::new(ErrorKind::InvalidSource, "the endpoint holds credentials")
                    .with_hint("pass the token apart from the endpoint"),
            );
        }
        let url = Url::parse(text.trim_end_matches('/')).map_err(|_| invalid("is not a URL"))?;
        if !url.is_http() {
            return Err(invalid("is not an http(s) URL"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
