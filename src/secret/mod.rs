//! Values that must not be printed, and text from elsewhere made fit to print.

mod provider;

use std::fmt;
use std::str::FromStr;

pub(crate) use provider::{Provider, Secret};

use crate::error::{Error, ErrorKind, Result};

/// An access token; it cannot be printed.
///
/// ```
/// use hf_repository::Token;
/// let token: Token = "hf_abc\n".parse()?;
/// assert_eq!(format!("{token:?}"), "Token(…)");
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token itself, for the one header it is sent in.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_userinfo(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Cleans what a file or variable holds: line ends deleted, blanks trimmed, empty is none.
    pub(crate) fn clean(text: &str) -> Result<Option<Self>> {
        let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        match text.trim() {
            "" => Ok(None),
            text if text.starts_with("api_org") => Err(Error::new(
                ErrorKind::InvalidInput,
                "organization tokens cannot push",
            )
            .with_hint("make a user token at <endpoint>/settings/tokens")),
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(Error::new(
                ErrorKind::InvalidInput,
                "the token holds characters no token has",
            )
            .with_hint("copy the token again; it looks like hf_…")),
            text => Ok(Some(Self(text.to_owned()))),
        }
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::clean(text)?.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the token is empty")
                .with_hint("leave the token out to use HF_TOKEN or the token file")
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// `text` without the control characters that could steer a terminal or forge log lines.
///
/// Line feeds stay; a server's text may span lines.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !is_unprintable(*c))
        .collect()
}

/// What a program said, without what URLs in it may hold: passwords, and the queries in which signed
/// storage URLs carry their permission.
pub(crate) fn without_url_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>".contains(c);
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        let (address, query) = url.split_at(url.find('?').unwrap_or(url.len()));
        let host_ends = address.find('/').unwrap_or(address.len());
        let host = address[..host_ends].rfind('@').map_or(0, |at| at + 1);
        out.push_str(&address[host..]);
        if !query.is_empty() {
            out.push_str("?…");
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Control characters, and the marks that reorder or hide text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_cleaned_like_the_python_client_does() {
        assert_eq!(
            Token::clean(" hf_a\r\nb\n").ok().flatten().map(|t| t.0),
            Some("hf_ab".into())
        );
        assert_eq!(Token::clean("\n \r").ok(), Some(None));
        assert!(Token::clean("api_org_x").is_err());
        assert!(Token::clean("hf_\u{1}x").is_err());
        assert!("".parse::<Token>().is_err());
    }

    #[test]
    fn urls_in_words_keep_no_secret() {
        for (said, shown) in [
            ("no URL: a@b?c", "no URL: a@b?c"),
            (
                "PUT https://u:s3@h.x/a?sig=s3: no",
                "PUT https://h.x/a?… no",
            ),
            ("'http://u@h/a' and ssh://git@h", "'http://h/a' and ssh://h"),
            ("https://h?s3\thttps://s3@h", "https://h?…\thttps://h"),
            ("://", "://"),
        ] {
            assert_eq!(without_url_secrets(said), shown);
        }
    }
}
