//! An access token.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::SecretText;
use crate::error::{Error, ErrorKind, Result};

/// An access token; it cannot be printed, and its bytes are wiped when nobody needs it any more.
///
/// ```
/// use hf_repository::Token;
/// let token: Token = "hf_abc\n".parse()?;
/// assert_eq!(format!("{token:?}"), "Token(…)");
/// # Ok::<(), hf_repository::Error>(())
/// ```
///
/// It has neither a text nor a serialized form, so it gets into no message and no file by mistake. This
/// takes anything that can be shown and serialized:
///
/// ```
/// fn tell<T: std::fmt::Display + serde::Serialize>(_: &T) {}
/// let token = String::from("hf_abc");
/// tell(&token);
/// ```
///
/// and a token is nothing of that kind:
///
/// ```compile_fail,E0277
/// fn tell<T: std::fmt::Display>(_: &T) {}
/// let token: hf_repository::Token = "hf_abc".parse().unwrap();
/// tell(&token);
/// ```
///
/// ```compile_fail,E0277
/// fn tell<T: serde::Serialize>(_: &T) {}
/// let token: hf_repository::Token = "hf_abc".parse().unwrap();
/// tell(&token);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(SecretText);

impl Token {
    /// The token itself, for the one header it is sent in.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// A password that stood in a URL: any text.
    pub(crate) fn from_userinfo(text: impl Into<String>) -> Self {
        Self(SecretText::new(text.into()))
    }

    /// Cleans what a file or variable holds: line ends deleted, blanks trimmed, empty is none.
    pub(crate) fn clean(text: &str) -> Result<Option<Self>> {
        // Of the full length at once: growing would leave pieces of it behind.
        let mut clean = Zeroizing::new(String::with_capacity(text.len()));
        clean.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')));
        match clean.trim() {
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
            text => Ok(Some(Self(SecretText::new(text.to_owned())))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_cleaned_like_the_python_client_does() {
        let clean = Token::clean(" hf_a\r\nb\n").ok().flatten();
        assert_eq!(clean.as_ref().map(Token::expose), Some("hf_ab"));
        assert_eq!(Token::clean("\n \r").ok(), Some(None));
        assert!(Token::clean("api_org_x").is_err());
        assert!(Token::clean("hf_\u{1}x").is_err());
        assert!("".parse::<Token>().is_err());
    }
}
