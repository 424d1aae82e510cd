//! Addresses without secrets, and the origins that tokens are bound to.

use std::fmt;

use http::Uri;

use crate::secret::{Token, printable};

/// A parsed `scheme://host[:port]/path[?query]`, never with credentials in it.
///
/// `Display` leaves the query out: signed storage URLs carry their permission there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Url {
    scheme: String,
    host: String,
    port: Option<u16>,
    path_and_query: String,
}

/// Scheme, host and port: what decides whether two URLs may share a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// The `user:password@` of a URL, taken out before the URL is kept anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Userinfo {
    pub(crate) user: String,
    pub(crate) password: Option<Token>,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not an absolute URL")]
pub(crate) struct ParseUrlError;

impl Url {
    /// Reads a URL and drops any credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, ParseUrlError> {
        Self::parse_with_userinfo(text).map(|(url, _)| url)
    }

    /// Reads a URL and hands its credentials over separately. Control characters are in neither, as in
    /// HTTP's own logins: they could steer a terminal, or end a line of what programs are told.
    pub(crate) fn parse_with_userinfo(
        text: &str,
    ) -> Result<(Self, Option<Userinfo>), ParseUrlError> {
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().map_err(|_| ParseUrlError)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(ParseUrlError);
        };
        let userinfo = authority.as_str().rsplit_once('@').map(|(info, _)| {
            let (user, password) = match info.split_once(':') {
                Some((user, password)) => (user, Some(Token::from_userinfo(decode(password)))),
                None => (info, None),
            };
            Userinfo {
                user: decode(user),
                password,
            }
        });
        if userinfo.as_ref().is_some_and(Userinfo::has_controls) {
            return Err(ParseUrlError);
        }
        let url = Self {
            scheme: scheme.to_ascii_lowercase(),
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16(),
            path_and_query: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        };
        // `http` overlooks ports that are none, and what stands behind an address.
        let place = authority.as_str();
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let port = place.strip_prefix(authority.host());
        let is_port = matches!(port, Some("" | ":")) || url.port.is_some();
        if is_port && is_host(&url.host) {
            Ok((url, userinfo))
        } else {
            Err(ParseUrlError)
        }
    }

    /// A URL known to be right, for constants.
    pub(crate) fn constant(scheme: &str, host: &str) -> Self {
        Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port: None,
            path_and_query: "/".to_owned(),
        }
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    pub(crate) fn is_http(&self) -> bool {
        matches!(self.scheme.as_str(), "http" | "https")
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether the host is this machine, so that plain http shows secrets to nobody else.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn origin(&self) -> Origin {
        let default = match self.scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Origin {
            scheme: self.scheme.clone(),
            host: self.host.clone(),
            port: self.port.or(default),
        }
    }

    /// Whether the port is the one that the scheme has anyway.
    pub(crate) fn is_at_default_port(&self) -> bool {
        let plain = Self {
            port: None,
            ..self.clone()
        };
        self.origin() == plain.origin()
    }

    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// This URL with `/` and `segments` behind its path, and no query.
    pub(crate) fn join(&self, segments: &str) -> Self {
        let path = self.path().trim_end_matches('/');
        Self {
            path_and_query: format!("{path}/{segments}"),
            ..self.clone()
        }
    }

    /// This URL with another path and no query.
    pub(crate) fn with_path(&self, path: &str) -> Self {
        Self {
            path_and_query: path.to_owned(),
            ..self.clone()
        }
    }

    /// Where a `Location` header leads from here: absolute, `//host`, `/path` or relative.
    pub(crate) fn resolve(&self, location: &str) -> Result<Self, ParseUrlError> {
        if has_scheme(location) {
            Self::parse(location)
        } else if location.starts_with("//") {
            Self::parse(&format!("{}:{location}", self.scheme))
        } else if location.starts_with('/') {
            Self::parse(&format!("{}{location}", self.base()))
        } else {
            let folder = self
                .path()
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            Self::parse(&format!("{}{folder}/{location}", self.base()))
        }
    }

    fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// The host, with the port where one is named.
    pub(crate) fn authority(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.host)
    }

    /// The whole URL, query included: for the wire, and for git's config.
    pub(crate) fn to_full(&self) -> String {
        let path = if self.path_and_query == "/" {
            ""
        } else {
            &self.path_and_query
        };
        format!("{}{path}", self.base())
    }
}

impl Userinfo {
    fn has_controls(&self) -> bool {
        let Self { user, password } = self;
        let password = password.as_ref().map_or("", Token::expose);
        let controls = |text: &str| text.contains(char::is_control);
        controls(user) || printable(user) != *user || controls(password)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path() == "/" { "" } else { self.path() };
        // Servers send paths, and not all that steers a terminal is ASCII.
        let path = printable(path);
        write!(f, "{}{path}", self.base())?;
        if self.path_and_query.contains('?') {
            f.write_str("?…")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl Origin {
    /// Whether all but the host is the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.port == other.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A name, an IPv4 address, or an IPv6 one in brackets; `http` lets some mixtures pass.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match inner {
        Some(address) => {
            let address = address.split('%').next().unwrap_or_default();
            address.parse::<std::net::Ipv6Addr>().is_ok()
        }
        None => !host.is_empty() && !host.contains(['[', ']', ':', '@']),
    }
}

/// Whether a text begins with a scheme; a colon behind a `/` or in a query makes none.
fn has_scheme(text: &str) -> bool {
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    text.split_once(':')
        .is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(in_scheme))
}

/// Undoes percent-encoding; bytes that are not UTF-8 afterwards become replacement characters.
fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn credentials_never_stay_in_a_url() {
        let (url, info) =
            Url::parse_with_userinfo("https://al%40ice:hf_secret@Hub.example:8443/a/b?sig=1#f")
                .expect("valid");
        assert_eq!(url.to_full(), "https://hub.example:8443/a/b?sig=1");
        assert_eq!(url.to_string(), "https://hub.example:8443/a/b?…");
        let info = info.expect("present");
        assert_eq!(info.user, "al@ice");
        assert_eq!(info.password.expect("present").expose(), "hf_secret");
    }

    #[test]
    fn no_login_steers_a_terminal_or_ends_a_line() {
        for info in [
            "a%0ab",
            "a%1b[2Jb",
            "a%00",
            "a%c2%9b2J",
            "a%e2%80%ae",
            "a:b%0ahost=evil",
            "a:%0d",
        ] {
            let text = format!("https://{info}@h/x");
            assert!(Url::parse_with_userinfo(&text).is_err(), "{text}");
        }
        assert!(Url::parse_with_userinfo("https://%c3%a9:p%20w@h/x").is_ok());
    }

    #[test]
    fn what_is_shown_cannot_steer_a_terminal() {
        assert_eq!(
            url("https://h/a\u{9b}2J\u{202e}b").to_string(),
            "https://h/a2Jb"
        );
    }

    #[test]
    fn origins_compare_scheme_host_and_port() {
        assert_eq!(
            url("https://a/x").origin(),
            url("https://A:443/y?z").origin()
        );
        assert_ne!(url("https://a").origin(), url("http://a").origin());
        assert_ne!(url("http://a").origin(), url("http://a:81").origin());
        assert_ne!(url("http://a").origin(), url("http://b").origin());
    }

    #[test]
    fn locations_resolve_like_a_browser() {
        let base = url("http://h:1/a/b?q");
        for (location, expected) in [
            ("https://o/x", "https://o/x"),
            ("//o/x", "http://o/x"),
            ("/x?y", "http://h:1/x?y"),
            ("c", "http://h:1/a/c"),
            ("/x?to=https://o/", "http://h:1/x?to=https://o/"),
            ("c?to=https://o/", "http://h:1/a/c?to=https://o/"),
            ("HTTPS://o/x", "https://o/x"),
        ] {
            assert_eq!(base.resolve(location).expect(location).to_full(), expected);
        }
    }

    #[test]
    fn loopback_is_recognised_in_all_spellings() {
        for text in [
            "http://127.0.0.1",
            "http://127.9.9.9:1",
            "http://[::1]:8",
            "http://localhost",
        ] {
            assert!(url(text).is_loopback(), "{text}");
        }
        assert!(!url("http://127.0.0.1.evil.example").is_loopback());
    }

    #[test]
    fn paths_are_not_urls() {
        for text in [
            "",
            "a/b",
            "/a",
            "c:\\x",
            "git@hf.co:a/b",
            "http://",
            "http://h:4294967376/",
            "http:///x",
            "http://=[::1]:8/x",
            "http://[127.0.0.1]/x",
            "http://[::1]x/",
            "http://h:99999/",
            "http://h:x/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
