//! Where the token comes from when the caller gives none.
//!
//! Order: explicit, `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the token file the Hub's tools write on
//! login (`HF_TOKEN_PATH`, else `$HF_HOME/token`). `HF_HUB_DISABLE_IMPLICIT_TOKEN` turns all but the
//! first off.

use std::path::PathBuf;

use crate::env;
use crate::error::Result;
use crate::fs;
use crate::http::Given;
use crate::secret::{Secret, Token};

/// A secret and where it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) secret: Secret,
    pub(crate) source: TokenSource,
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    Explicit,
    Variable(&'static str),
    File(PathBuf),
}

impl TokenSource {
    /// For the list of what was tried.
    pub(crate) fn given(&self) -> Given {
        match self {
            Self::Explicit => Given::ByCaller("the token that was passed"),
            Self::Variable(name) => Given::InPlace(name),
            Self::File(_) => Given::InPlace("the token file"),
        }
    }
}

/// The variables that may hold a token, in order.
const VARIABLES: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// The first secret there is; none is fine for public repositories.
pub(crate) fn find_secret(explicit: Option<Secret>) -> Result<Option<Found>> {
    if let Some(secret) = explicit {
        return Ok(Some(Found {
            secret,
            source: TokenSource::Explicit,
        }));
    }
    if env::flag("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return Ok(None);
    }
    for name in VARIABLES {
        if let Some(token) = env::var(name)
            .map(|text| Token::clean(&text))
            .transpose()?
            .flatten()
        {
            return Ok(Some(Found {
                secret: Secret::Token(token),
                source: TokenSource::Variable(name),
            }));
        }
    }
    let path = env::var("HF_TOKEN_PATH")
        .map(|path| env::expand(&path))
        .or_else(|| Some(env::hf_home()?.join("token")));
    let Some(path) = path else { return Ok(None) };
    // A file that cannot be read is as good as none: public repositories need no token.
    let text = match fs::read_if_exists(&path) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "the token file is left out");
            return Ok(None);
        }
    };
    let token = Token::clean(&String::from_utf8_lossy(&text))?;
    Ok(token.map(|token| Found {
        secret: Secret::Token(token),
        source: TokenSource::File(path),
    }))
}
