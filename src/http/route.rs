//! The way to one URL: through which proxy, trusting whom, under which name.

use ureq::config::Config;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, ProxyProtocol};

use super::proxies::{TLS, read_proxy};
use super::resolving::Resolving;
use super::settings::Settings;
use super::together::HeadWithBody;
use super::trust::Believed;
use crate::error::Result;
use crate::url::Url;

/// What an agent is made for; URLs with the same route share one, and its connections.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Route {
    proxy: Option<String>,
    believed: Believed,
    user_agent: Option<String>,
}

impl Route {
    /// Host and port of the proxy, without credentials; with its scheme where that is TLS.
    pub(super) fn proxy_host(&self) -> Option<String> {
        let proxy = read_proxy(self.proxy.as_deref()?).ok()?;
        let scheme = match proxy.protocol() {
            ProxyProtocol::Https => TLS,
            _ => "",
        };
        Some(format!("{scheme}{}:{}", proxy.host(), proxy.port()))
    }

    /// A switch that would have let any certificate pass, had it been followed.
    pub(super) fn ignored_switch(&self) -> Option<&'static str> {
        self.believed.ignored
    }
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
        let proxy = self.proxy(url);
        // Without TLS nobody shows a certificate, and none is looked for.
        let secure = |address: &str| {
            let scheme = address.get(..TLS.len());
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(TLS))
        };
        let tls = url.is_https() || proxy.as_deref().is_some_and(secure);
        Route {
            proxy,
            believed: if tls {
                self.believed(url)
            } else {
                Believed::default()
            },
            user_agent: self.value("userAgent", url).map(str::to_owned),
        }
    }

    /// An agent for a route.
    ///
    /// # Errors
    /// If the proxy's address or the certificates cannot be read.
    pub(super) fn agent(&self, route: &Route) -> Result<Agent> {
        let proxy = route.proxy.as_deref().map(read_proxy).transpose()?;
        let own_name = concat!("hf-repository/", env!("CARGO_PKG_VERSION"));
        let config: Config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where it is known which origin a token belongs to.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(route.user_agent.as_deref().unwrap_or(own_name))
            .proxy(proxy)
            .tls_config(self.trust.tls(&route.believed)?)
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
        let connector = DefaultConnector::new().chain(HeadWithBody);
        Ok(Agent::with_parts(config, connector, <Resolving>::default()))
    }
}
