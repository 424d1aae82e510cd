//! One secret, and how it is presented.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::{Secret, Token};
use crate::url::{Origin, Url};

/// A secret and the only origin it is for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) origin: Origin,
    /// The user name for Basic; the Hub takes any.
    pub(crate) user: Option<String>,
    pub(crate) secret: Secret,
    pub(crate) given: Given,
}

/// Who gave a secret: what to call it in messages, and whether another account may take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The caller, in code: where it is refused nothing else will do.
    ByCaller(&'static str),
    /// It was found where it is kept; if it is refused others are looked for.
    InPlace(&'static str),
}

impl Given {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ByCaller(name) | Self::InPlace(name) => name,
        }
    }
}

/// How a request presents its grant, if there is one for where it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Not at all.
    #[default]
    None,
    /// As git and git-lfs do.
    Basic,
    /// As the Hub's API wants it.
    Bearer,
}

/// What the Hub's own tools call the user when only the token counts.
pub(crate) const ANY_USER: &str = "hf_user";
/// What the Hub's tokens begin with.
const TOKEN_PREFIX: &str = "hf_";

/// Where secrets may go without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    /// To this machine, where nobody listens in.
    #[default]
    Loopback,
    /// Wherever they are for: the caller says that the network is safe.
    Anywhere,
}

impl PlainHttp {
    /// Whether a secret may be sent the way a URL says.
    pub(crate) fn allows(self, url: &Url) -> bool {
        url.is_https() || url.is_loopback() || self == Self::Anywhere
    }
}

/// The `Authorization` header; `None` where none is wanted.
pub(super) fn header(auth: Auth, user: Option<&str>, token: &Token) -> Option<Zeroizing<String>> {
    let token = token.expose();
    let value = match auth {
        Auth::None => return None,
        // A helper gives a token with the name it keeps it by.
        Auth::Bearer if user.is_none() || token.starts_with(TOKEN_PREFIX) => {
            format!("Bearer {token}")
        }
        Auth::Basic | Auth::Bearer => {
            let pair = Zeroizing::new(format!("{}:{token}", user.unwrap_or(ANY_USER)));
            let coded = Zeroizing::new(STANDARD.encode(&*pair));
            format!("Basic {}", *coded)
        }
    };
    Some(Zeroizing::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_api_gets_tokens_as_bearers() {
        let token: Token = "hf_x".parse().expect("valid");
        let header = |auth, user: Option<&str>, token: &Token| {
            header(auth, user, token).map(|value| value.to_string())
        };
        let basic = Some("Basic aGZfdXNlcjpoZl94".to_owned());
        let bearer = Some("Bearer hf_x".to_owned());
        assert_eq!(header(Auth::Basic, None, &token), basic);
        assert_eq!(header(Auth::Basic, Some("hf_user"), &token), basic);
        assert_eq!(header(Auth::Bearer, None, &token), bearer);
        assert_eq!(header(Auth::Bearer, Some("joe"), &token), bearer);
        assert_eq!(header(Auth::None, None, &token), None);
        // What is no token is a password, which no Bearer header takes.
        let password: Token = "secret".parse().expect("valid");
        let header = header(Auth::Bearer, Some("joe"), &password);
        assert_eq!(header.as_deref(), Some("Basic am9lOnNlY3JldA=="));
    }
}
