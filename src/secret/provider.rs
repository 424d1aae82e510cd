//! Secrets that may be another one each time they are needed.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Token;
use crate::error::{Error, ErrorKind, Result};

/// What the secret for a server is.
#[derive(Clone, Debug)]
pub(crate) enum Secret {
    /// This one.
    Token(Token),
    /// What the caller's function gives at the moment.
    Provider(Provider),
}

impl Secret {
    /// The secret as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] if the caller's function has none.
    pub(crate) fn token(&self) -> Result<Token> {
        match self {
            Self::Token(token) => Ok(token.clone()),
            Self::Provider(provider) => provider.token(),
        }
    }
}

/// A function of the caller's that gives tokens; it cannot be printed.
#[derive(Clone)]
pub(crate) struct Provider(Arc<Function>);

type Function = dyn Fn() -> Result<Token, Box<dyn StdError + Send + Sync>> + Send + Sync;

impl Provider {
    pub(crate) fn new<E: Into<Box<dyn StdError + Send + Sync>>>(
        provide: impl Fn() -> Result<Token, E> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move || provide().map_err(Into::into)))
    }

    fn token(&self) -> Result<Token> {
        let failed = |what: &str| {
            Error::new(
                ErrorKind::Unauthorized,
                format!("the token provider {what}"),
            )
        };
        // It is called in the middle of a transfer, on any thread: its panic must not end that.
        match catch_unwind(AssertUnwindSafe(|| (self.0)())) {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(error)) => Err(failed("has no token")
                .with_hint("the source of this error is what the provider said")
                .with_source(error)),
            Err(_) => Err(failed("panicked")),
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(provider: Provider) -> Result<Token> {
        Secret::Provider(provider).token()
    }

    #[test]
    fn whatever_goes_wrong_is_unauthorized() {
        let error = ask(Provider::new(|| Err("the vault is sealed"))).expect_err("failed");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("the vault is sealed"));
        // This crate's own errors, as from parsing, are taken like any other.
        let error = ask(Provider::new(|| "".parse::<Token>())).expect_err("empty");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let panics = || -> Result<Token> { panic!("as the test wants") };
        let error = ask(Provider::new(panics)).expect_err("panicked");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
    }

    #[test]
    fn a_provider_cannot_be_printed() {
        let token: Token = "hf_secret".parse().expect("valid");
        let given = token.clone();
        let provider = Provider::new(move || Ok::<_, Error>(given.clone()));
        for secret in [Secret::Token(token), Secret::Provider(provider)] {
            assert!(!format!("{secret:?}").contains("hf_secret"));
        }
    }
}
