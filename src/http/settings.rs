//! How connections are made: timeouts, proxies, certificates.

use std::path::PathBuf;
use std::time::Duration;

use ureq::config::Config;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::Bandwidth;
use super::retry::RetryPolicy;
use crate::env;
use crate::error::{Error, ErrorKind, Result};
use crate::url::Url;

/// How to reach servers.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// For name lookup, connecting and the TLS handshake together.
    pub(crate) connect_timeout: Duration,
    /// The longest time without a single byte, in either direction.
    pub(crate) stall_timeout: Duration,
    /// Bytes that an object's transfer must move in such a time.
    pub(crate) stall_bytes: u64,
    pub(crate) retry: RetryPolicy,
    pub(crate) bandwidth: Bandwidth,
    /// A PEM file to trust instead of the certificates that come with the library.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxies: Proxies,
}

/// As long as a busy server may take to accept; git-lfs gives it 30 s, browsers about 10.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// git-lfs's `lfs.activitytimeout`.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes per stall window: slower than the slowest modem, and a gigabyte would take a year.
const STALL_BYTES: u64 = 1 << 10;
/// Bytes per read or write; larger buffers doubled the rate of uploads over loopback.
const BUFFER: usize = 256 << 10;
/// Kept-open connections: the transfer threads', and some for git and the API.
const IDLE_CONNECTIONS: usize = 16;
/// Bytes of response headers; signed URLs in them can be long.
const HEADER_BYTES: usize = 64 << 10;

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            stall_bytes: STALL_BYTES,
            retry: RetryPolicy::default(),
            bandwidth: Bandwidth::unlimited(),
            ca_file: None,
            proxies: Proxies::default(),
        }
    }
}

impl Settings {
    /// The defaults, with proxies and certificates as the environment says.
    pub(crate) fn from_env() -> Self {
        Self {
            ca_file: env::var("SSL_CERT_FILE").map(PathBuf::from),
            proxies: Proxies::read(env::var),
            ..Self::default()
        }
    }

    /// An agent with these settings, through `proxy` if one is given.
    pub(super) fn agent(&self, proxy: Option<&str>) -> Result<Agent> {
        let proxy = proxy
            .map(|address| {
                // The address is not echoed: it may hold a password.
                Proxy::new(address).map_err(|_| {
                    Error::new(
                        ErrorKind::InvalidInput,
                        "the proxy's address cannot be read",
                    )
                    .with_hint("http_proxy and https_proxy look like http://host:3128")
                })
            })
            .transpose()?;
        let mut tls = TlsConfig::builder();
        if let Some(file) = &self.ca_file {
            tls = tls.root_certs(read_certificates(file)?);
        }
        let config: Config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where it is known which origin a token belongs to.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("hf-repository/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .tls_config(tls.build())
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_per_read(Some(self.stall_timeout))
            .timeout_per_write(Some(self.stall_timeout))
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .max_response_header_size(HEADER_BYTES)
            .build();
        Ok(config.new_agent())
    }
}

fn read_certificates(file: &std::path::Path) -> Result<RootCerts> {
    let bytes = std::fs::read(file).map_err(|error| Error::io("read", file, error))?;
    let certificates: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{} holds no certificate", file.display()),
        )
        .with_hint("SSL_CERT_FILE must name a PEM file"));
    }
    Ok(RootCerts::from(certificates))
}

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
    ///
    /// This machine always is: a proxy would take the name for itself, and see a token that is
    /// sent over plain http only because it stays here.
    pub(super) fn choose(&self, url: &Url) -> Option<&str> {
        if url.is_loopback() {
            return None;
        }
        let proxy = if url.is_https() {
            &self.https
        } else {
            &self.http
        };
        let host = url.host().trim_matches(['[', ']']);
        let direct = self.no_proxy.iter().any(|entry| {
            let entry = entry.trim_matches(['[', ']']).trim_start_matches('.');
            entry == "*"
                || host == entry
                || host
                    .strip_suffix(entry)
                    .is_some_and(|rest| rest.ends_with('.'))
        });
        proxy.as_deref().filter(|_| !direct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn choose<'a>(proxies: &'a Proxies, url: &str) -> Option<&'a str> {
        proxies.choose(&Url::parse(url).expect(url))
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let some = proxies(&[("http_proxy", "http://a"), ("HTTPS_PROXY", "http://b")]);
        assert_eq!(choose(&some, "http://h/x"), Some("http://a"));
        assert_eq!(choose(&some, "https://h/x"), Some("http://b"));
        let all = proxies(&[("ALL_PROXY", "http://c"), ("https_proxy", "http://d")]);
        assert_eq!(choose(&all, "http://h"), Some("http://c"));
        assert_eq!(choose(&all, "https://h"), Some("http://d"));
        assert_eq!(
            choose(&proxies(&[("HTTP_PROXY", "http://evil")]), "http://h"),
            None
        );
    }

    #[test]
    fn listed_hosts_are_reached_directly() {
        let list = "10.0.0.1, .corp.example,exact.example,[fe80::1]";
        let some = proxies(&[("all_proxy", "http://p"), ("no_proxy", list)]);
        for direct in [
            "http://10.0.0.1:8080/x",
            "https://a.corp.example",
            "https://corp.example",
            "https://exact.example",
            "https://sub.exact.example",
            "http://[fe80::1]:9",
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
            "https://example",
        ] {
            assert_eq!(choose(&some, proxied), Some("http://p"), "{proxied}");
        }
        assert_eq!(
            choose(
                &proxies(&[("all_proxy", "http://p"), ("no_proxy", "*")]),
                "http://x"
            ),
            None
        );
    }
}
