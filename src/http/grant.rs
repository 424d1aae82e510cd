//! Which secret may go where.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::secret::{Secret, Token};
use crate::url::{Origin, Url};

/// A secret and the only origin it is for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) origin: Origin,
    /// The user name for Basic; the Hub takes any.
    pub(crate) user: Option<String>,
    pub(crate) secret: Secret,
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
const ANY_USER: &str = "hf_user";

/// Where secrets may go without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    /// To this machine, where nobody listens in.
    #[default]
    Loopback,
    /// Wherever they are for: the caller says that the network is safe.
    Anywhere,
}

/// The secrets of a client and of all clients made from it, at most one for an origin. They may be
/// replaced while requests are under way.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    list: Arc<RwLock<Vec<Grant>>>,
    /// Tokens that were given out, the latest first.
    given: Arc<Mutex<VecDeque<Token>>>,
    plain: PlainHttp,
}

/// Tokens that stay known after they were replaced: a server may repeat one minutes later.
const REMEMBERED: usize = 16;

impl Grants {
    pub(super) fn new(grants: Vec<Grant>, plain: PlainHttp) -> Self {
        Self {
            list: Arc::new(RwLock::new(grants)),
            given: Arc::default(),
            plain,
        }
    }

    /// Whether a secret for a URL's origin may be sent the way the URL says.
    fn may_travel(&self, url: &Url) -> bool {
        url.is_https() || url.is_loopback() || self.plain == PlainHttp::Anywhere
    }

    /// The grant for an origin.
    pub(crate) fn find(&self, origin: &Origin) -> Option<Grant> {
        let grants = self.list.read().unwrap_or_else(PoisonError::into_inner);
        grants.iter().find(|grant| grant.origin == *origin).cloned()
    }

    /// Adds a grant; it takes the place of the one for its origin.
    pub(crate) fn put(&self, grant: Grant) {
        let mut grants = self.list.write().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|other| other.origin != grant.origin);
        grants.push(grant);
    }

    /// User name and token for a URL, for a program of the user's own: only the grant's own origin's,
    /// and over plain http as [`PlainHttp`] says.
    ///
    /// # Errors
    /// If there should be one, but the caller's provider gives no token.
    pub(crate) fn login(&self, url: &Url) -> Result<Option<(String, Token)>> {
        if !self.may_travel(url) {
            return Ok(None);
        }
        let Some(Grant { user, secret, .. }) = self.find(&url.origin()) else {
            return Ok(None);
        };
        let user = user.unwrap_or_else(|| ANY_USER.to_owned());
        Ok(Some((user, self.giving(secret.token()?))))
    }

    /// The `Authorization` header for a URL: only for the grant's own origin, and over plain http
    /// as [`PlainHttp`] says.
    ///
    /// # Errors
    /// If there should be one, but the caller's provider gives no token.
    pub(super) fn authorization(&self, auth: Auth, url: &Url) -> Result<Option<Zeroizing<String>>> {
        if auth == Auth::None || !self.may_travel(url) {
            return Ok(None);
        }
        // A copy: a provider may take its time, and may itself replace the token.
        let Some(Grant { user, secret, .. }) = self.find(&url.origin()) else {
            return Ok(None);
        };
        let token = self.giving(secret.token()?);
        Ok(Some(Zeroizing::new(match auth {
            Auth::Bearer if user.is_none() => format!("Bearer {}", token.expose()),
            _ => {
                let user = user.as_deref().unwrap_or(ANY_USER);
                let pair = Zeroizing::new(format!("{user}:{}", token.expose()));
                let coded = Zeroizing::new(STANDARD.encode(&*pair));
                format!("Basic {}", *coded)
            }
        })))
    }

    /// Remembers a token that leaves here, so that it is recognised in what comes back.
    fn giving(&self, token: Token) -> Token {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if !given.contains(&token) {
            given.truncate(REMEMBERED - 1);
            given.push_front(token.clone());
        }
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Provider;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    fn grants(base: &str) -> Grants {
        let grant = Grant {
            origin: url(base).origin(),
            user: None,
            secret: secret("hf_x"),
        };
        Grants::new(vec![grant], PlainHttp::Loopback)
    }

    fn secret(token: &str) -> Secret {
        Secret::Token(token.parse().expect("valid"))
    }

    #[test]
    fn a_token_goes_to_its_origin_only() {
        let grants = grants("https://hub.example");
        let header = |auth, to: &str| {
            let header = grants.authorization(auth, &url(to)).expect("no provider");
            header.map(|value| value.to_string())
        };
        assert_eq!(
            header(Auth::Bearer, "https://hub.example/api"),
            Some("Bearer hf_x".into())
        );
        assert_eq!(
            header(Auth::Basic, "https://HUB.example:443/"),
            Some("Basic aGZfdXNlcjpoZl94".into())
        );
        for elsewhere in [
            "http://hub.example/",
            "https://hub.example:8443/",
            "https://cdn.hub.example/",
            "https://hub.example.evil/",
        ] {
            assert_eq!(header(Auth::Basic, elsewhere), None, "{elsewhere}");
        }
        assert_eq!(header(Auth::None, "https://hub.example/"), None);
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for (base, sent) in [
            ("http://127.0.0.1:8080", true),
            ("http://hub.example", false),
        ] {
            let header = grants(base).authorization(Auth::Basic, &url(base));
            assert_eq!(header.expect("no provider").is_some(), sent, "{base}");
        }
    }

    #[test]
    fn plain_http_elsewhere_is_for_those_who_ask() {
        let base = "http://hub.example";
        let grant = grants(base).find(&url(base).origin()).expect("there");
        let grants = Grants::new(vec![grant], PlainHttp::Anywhere);
        let header = |to: &str| grants.authorization(Auth::Basic, &url(to));
        assert!(header(base).expect("no provider").is_some());
        assert!(grants.login(&url(base)).expect("no provider").is_some());
        for elsewhere in [
            "http://hub.example:81",
            "http://other.example",
            "https://hub.example",
        ] {
            assert!(
                header(elsewhere).expect("no provider").is_none(),
                "{elsewhere}"
            );
        }
    }

    #[test]
    fn a_new_token_replaces_the_one_for_its_origin() {
        let grants = grants("https://hub.example");
        let elsewhere = grants.clone();
        for (base, token) in [
            ("https://hub.example", "hf_new"),
            ("https://git.example", "hf_other"),
        ] {
            let (origin, secret) = (url(base).origin(), secret(token));
            elsewhere.put(Grant {
                origin,
                user: None,
                secret,
            });
            let header = grants.authorization(Auth::Bearer, &url(base));
            let header = header.expect("no provider").map(|value| value.to_string());
            assert_eq!(header, Some(format!("Bearer {token}")));
        }
        assert!(!format!("{grants:?}").contains("hf_"));
    }

    #[test]
    fn a_provider_is_asked_only_where_its_token_goes() {
        let grants = grants("https://hub.example");
        grants.put(Grant {
            origin: url("https://hub.example").origin(),
            user: None,
            secret: Secret::Provider(Provider::new(|| Err("none today"))),
        });
        let ask = |auth, to: &str| grants.authorization(auth, &url(to));
        assert!(ask(Auth::Basic, "https://cdn.example/").is_ok());
        assert!(ask(Auth::None, "https://hub.example/").is_ok());
        assert!(ask(Auth::Basic, "https://hub.example/").is_err());
    }
}
