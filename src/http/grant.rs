//! Which secret may go where.

use crate::secret::Token;
use crate::url::{Origin, Url};

/// A secret and the only origin it is for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) origin: Origin,
    /// The user name for Basic; the Hub takes any.
    pub(crate) user: Option<String>,
    pub(crate) token: Token,
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

/// The `Authorization` header for a URL: only for the grant's own origin, and over plain http only
/// to this machine.
pub(super) fn authorization(grants: &[Grant], auth: Auth, url: &Url) -> Option<String> {
    if auth == Auth::None || !(url.is_https() || url.is_loopback()) {
        return None;
    }
    let grant = grants.iter().find(|grant| grant.origin == url.origin())?;
    let Grant { user, token, .. } = grant;
    Some(match auth {
        Auth::Bearer if user.is_none() => format!("Bearer {}", token.expose()),
        _ => {
            let user = user.as_deref().unwrap_or(ANY_USER);
            format!(
                "Basic {}",
                base64(format!("{user}:{}", token.expose()).as_bytes())
            )
        }
    })
}

/// RFC 4648 with padding; one header is not worth a dependency.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().enumerate().fold(0_usize, |group, (at, byte)| {
            group | usize::from(*byte) << (16 - 8 * at)
        });
        for at in 0..4 {
            let digit = char::from(ALPHABET[group >> (18 - 6 * at) & 0x3f]);
            out.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn base64_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_token_goes_to_its_origin_only() {
        let token = "hf_x".parse().expect("valid");
        let grants = [Grant {
            origin: url("https://hub.example").origin(),
            user: None,
            token,
        }];
        let header = |auth, to: &str| authorization(&grants, auth, &url(to));
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
        let token: Token = "hf_x".parse().expect("valid");
        for (base, sent) in [
            ("http://127.0.0.1:8080", true),
            ("http://hub.example", false),
        ] {
            let origin = url(base).origin();
            let grants = [Grant {
                origin,
                user: None,
                token: token.clone(),
            }];
            assert_eq!(
                authorization(&grants, Auth::Basic, &url(base)).is_some(),
                sent,
                "{base}"
            );
        }
    }
}
