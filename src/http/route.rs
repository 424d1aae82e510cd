//! The way to one URL: through which proxy, trusting whom, under which name.

use std::path::{Path, PathBuf};

use ureq::config::Config;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::settings::Settings;
use crate::config;
use crate::env;
use crate::error::{Error, ErrorKind, Result};
use crate::url::Url;

/// What an agent is made for; URLs with the same route share one, and its connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Route {
    proxy: Option<String>,
    ca_file: Option<PathBuf>,
    verify: Verify,
    user_agent: Option<String>,
}

/// Whether a server has to prove who it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Verify {
    Yes,
    No,
}

/// Bytes per read or write; larger buffers doubled the rate of uploads over loopback.
const BUFFER: usize = 256 << 10;
/// Kept-open connections: the transfer threads', and some for git and the API.
const IDLE_CONNECTIONS: usize = 16;
/// Bytes of response headers; signed URLs in them can be long.
const HEADER_BYTES: usize = 64 << 10;

impl Settings {
    /// The way to a URL, as the config and the environment say.
    pub(super) fn route(&self, url: &Url) -> Route {
        let value = |name| self.value(name, url);
        let verify = match value("sslVerify").map(config::switch) {
            Some(Some(false)) if url.is_https() => Verify::No,
            _ => Verify::Yes,
        };
        Route {
            proxy: self.proxy(url),
            ca_file: self
                .ca_file
                .clone()
                .or_else(|| {
                    value("sslCAInfo")
                        .filter(|file| !file.is_empty())
                        .map(env::expand)
                })
                .or_else(|| self.other_ca_file.clone()),
            verify,
            user_agent: value("userAgent").map(str::to_owned),
        }
    }

    /// An agent for a route.
    ///
    /// # Errors
    /// If the proxy's address or the certificates cannot be read.
    pub(super) fn agent(&self, route: &Route) -> Result<Agent> {
        let proxy = route.proxy.as_deref().map(read_proxy).transpose()?;
        let mut tls = TlsConfig::builder();
        if let Some(file) = &route.ca_file {
            tls = tls.root_certs(read_certificates(file)?);
        }
        if route.verify == Verify::No {
            tracing::warn!(
                "http.sslVerify is false: anybody on the way can pose as the server, and read the token"
            );
            tls = tls.disable_verification(true);
        }
        let own_name = concat!("hf-repository/", env!("CARGO_PKG_VERSION"));
        let config: Config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where it is known which origin a token belongs to.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(route.user_agent.as_deref().unwrap_or(own_name))
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

fn read_proxy(address: &str) -> Result<Proxy> {
    let hint = "http.proxy, http_proxy and https_proxy look like http://host:3128";
    if address.starts_with("socks") {
        return Err(
            Error::new(ErrorKind::Unsupported, "SOCKS proxies are not supported").with_hint(hint),
        );
    }
    // The address is not echoed: it may hold a password.
    Proxy::new(address).map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            "the proxy's address cannot be read",
        )
        .with_hint(hint)
    })
}

fn read_certificates(file: &Path) -> Result<RootCerts> {
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
        .with_hint("http.sslCAInfo, GIT_SSL_CAINFO and SSL_CERT_FILE must name a PEM file"));
    }
    Ok(RootCerts::from(certificates))
}
