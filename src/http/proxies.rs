//! Which proxies there are, and for whom.

use std::net::IpAddr;

use ureq::{Proxy, ProxyProtocol};

use crate::error::{Error, ErrorKind, Result};
use crate::url::Url;

/// How the address of a proxy begins that speaks TLS itself.
pub(super) const TLS: &str = "https://";

/// Which proxy to use for which URL, in the manner of curl and git.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
    /// Hosts that are reached directly, `*` for all.
    no_proxy: Vec<String>,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Addresses may hold passwords.
        f.write_str("Proxies(…)")
    }
}

impl Proxies {
    /// Reads the variables; lower-case names win. `HTTP_PROXY` in capitals is not read: a CGI
    /// server sets it from a request's header.
    pub(super) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| lookup(name));
        let all = first(&["all_proxy", "ALL_PROXY"]);
        let list = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        Self {
            http: first(&["http_proxy"]).or_else(|| all.clone()),
            https: first(&["https_proxy", "HTTPS_PROXY"]).or(all),
            no_proxy: list
                .split([',', ' '])
                .map(|host| host.trim().to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect(),
        }
    }

    /// The proxy for a URL, if it is not reached directly.
    pub(super) fn choose(&self, url: &Url) -> Option<&str> {
        let proxy = if url.is_https() {
            &self.https
        } else {
            &self.http
        };
        proxy.as_deref().filter(|_| !self.excepts(url))
    }

    /// Whether a URL is reached directly, whatever proxies there are.
    ///
    /// This machine always is: a proxy would take the name for itself, and see a token that is
    /// sent over plain http only because it stays here.
    pub(super) fn excepts(&self, url: &Url) -> bool {
        let host = url.host().trim_matches(['[', ']']);
        let names = |entry: &String| {
            let entry = entry.trim_matches(['[', ']']);
            let domain = entry.strip_prefix('*').unwrap_or(entry);
            let domain = domain.trim_start_matches('.');
            entry == "*"
                || host == domain
                || host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.'))
                || is_in_network(host, entry)
        };
        url.is_loopback() || self.no_proxy.iter().any(names)
    }
}

/// Whether a host is an address in a network such as `10.0.0.0/8`, as curl reads them.
fn is_in_network(host: &str, network: &str) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let parsed = || {
        let (network, prefix) = network.split_once('/')?;
        let (network, width) = bits(network.parse().ok()?);
        let (host, own_width) = bits(host.parse().ok()?);
        let prefix: u32 = prefix.parse().ok()?;
        let fits = width == own_width && prefix <= width;
        // All bits are shifted out where the prefix is 0.
        let differing = (network ^ host)
            .checked_shr(128_u32.checked_sub(prefix)?)
            .unwrap_or_default();
        Some(fits && differing == 0)
    };
    parsed().unwrap_or_default()
}

/// The proxy at an address.
///
/// # Errors
/// If it cannot be read, or is of a kind that is not supported.
pub(super) fn read_proxy(address: &str) -> Result<Proxy> {
    let hint = "http.proxy, http_proxy, https_proxy and all_proxy look like http://host:3128, with \
                user:password@ before the host where it is needed, special characters written as %XX";
    // The address is not echoed: it may hold a password.
    let unreadable = || {
        let text = "the proxy's address cannot be read";
        Error::new(ErrorKind::InvalidInput, text).with_hint(hint)
    };
    let proxy = Proxy::new(address).map_err(|_| unreadable())?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(
            Error::new(ErrorKind::Unsupported, "SOCKS proxies are not supported").with_hint(hint),
        );
    }
    // One that is no number would be the default.
    let authority = proxy.uri().authority().map(http::uri::Authority::as_str);
    let host = authority.and_then(|text| text.rsplit('@').next());
    let port = host.and_then(|text| text.strip_prefix(proxy.host()));
    match port.map(|text| text.strip_prefix(':').unwrap_or(text)) {
        Some(port) if port.is_empty() || port.parse::<u16>().is_ok() => Ok(proxy),
        _ => Err(unreadable()),
    }
}

#[cfg(test)]
impl Proxies {
    /// Those of some variables.
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        Self::read(|name| {
            let mut found = variables.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| (*value).to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose<'a>(proxies: &'a Proxies, url: &str) -> Option<&'a str> {
        proxies.choose(&Url::parse(url).expect(url))
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let some = Proxies::of(&[("http_proxy", "http://a"), ("HTTPS_PROXY", "http://b")]);
        assert_eq!(choose(&some, "http://h/x"), Some("http://a"));
        assert_eq!(choose(&some, "https://h/x"), Some("http://b"));
        let all = Proxies::of(&[("ALL_PROXY", "http://c"), ("https_proxy", "http://d")]);
        assert_eq!(choose(&all, "http://h"), Some("http://c"));
        assert_eq!(choose(&all, "https://h"), Some("http://d"));
        assert_eq!(
            choose(&Proxies::of(&[("HTTP_PROXY", "http://evil")]), "http://h"),
            None
        );
    }

    #[test]
    fn listed_hosts_are_reached_directly() {
        let list = "10.0.0.1, .corp.example,exact.example,[fe80::1],*.star.example,172.16.0.0/12,fd00::/8,\
                    10.9.0.0/33,10.9.0.0/200,nonsense/8";
        let some = Proxies::of(&[("all_proxy", "http://p"), ("no_proxy", list)]);
        for direct in [
            "http://10.0.0.1:8080/x",
            "https://a.corp.example",
            "https://corp.example",
            "https://exact.example",
            "https://sub.exact.example",
            "http://[fe80::1]:9",
            "https://a.star.example",
            "http://172.31.255.1:8080",
            "http://[fd12::7]",
            // This machine, listed or not.
            "http://127.0.0.2:8080",
            "http://localhost",
            "http://[::1]:9",
        ] {
            assert_eq!(choose(&some, direct), None, "{direct}");
        }
        for proxied in [
            "https://notcorp.example",
            "http://10.0.0.2",
            "http://10.9.0.1",
            "http://172.32.0.1",
            "http://[fe00::1]",
            "https://nonsense",
            "https://example",
        ] {
            assert_eq!(choose(&some, proxied), Some("http://p"), "{proxied}");
        }
        assert_eq!(
            choose(
                &Proxies::of(&[("all_proxy", "http://p"), ("no_proxy", "*")]),
                "http://x"
            ),
            None
        );
    }

    #[test]
    fn addresses_of_proxies() {
        for (address, place) in [
            ("http://p.example", "p.example:80"),
            ("http://p.example:3128/", "p.example:3128"),
            ("p.example:3128", "p.example:3128"),
            ("user:p%40ss@p.example:3128", "p.example:3128"),
            ("http://user:p@ss@[::1]:8080", "[::1]:8080"),
            ("https://p.example", "p.example:443"),
        ] {
            let proxy = read_proxy(address).expect(address);
            assert_eq!(format!("{}:{}", proxy.host(), proxy.port()), place);
        }
        for address in [
            "http://p.example:x",
            "http://p.example:65536",
            "http://user:s3cr/et@p.example:1",
            "http://user:s3cr#et@p.example:1",
            "http://user:s3cr%ffet@p.example:1",
            "ftp://user:s3cret@p.example",
            "socks5://user:s3cret@p.example",
            "SOCKS4a://user:s3cret@p.example",
            "http://",
        ] {
            let error = read_proxy(address).expect_err(address);
            let told = format!("{error} {error:?}");
            assert!(!told.contains("s3cr"), "{told}");
        }
    }
}
