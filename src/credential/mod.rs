//! Where the token comes from when the caller gives none.
//!
//! Order: explicit, `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the token file the Hub's tools write on
//! login (`HF_TOKEN_PATH`, else `$HF_HOME/token`). `HF_HUB_DISABLE_IMPLICIT_TOKEN` turns all but the
//! first off.

use std::path::PathBuf;

use crate::env;
use crate::error::Result;
use crate::fs;
use crate::secret::Token;

/// A token and where it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) token: Token,
    pub(crate) source: TokenSource,
}

/// Where a token was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    Explicit,
    Variable(&'static str),
    File(PathBuf),
}

/// The variables that may hold a token, in order.
const VARIABLES: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// The first token there is; none is fine for public repositories.
pub(crate) fn find_token(explicit: Option<Token>) -> Result<Option<Found>> {
    if let Some(token) = explicit {
        return Ok(Some(Found {
            token,
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
                token,
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
        token,
        source: TokenSource::File(path),
    }))
}
