//! Why no answer came.

use std::fmt::Write as _;
use std::io;

use rustls::InvalidMessage;

use super::proxies::TLS;
use super::untrusted::untrusted;
use crate::error::{Error, ErrorKind};
use crate::secret::printable;

/// What is known of a request that got no answer.
pub(super) struct Attempt<'a> {
    /// What was tried: method and URL.
    pub(super) what: &'a str,
    /// Host and port of the proxy it went through.
    pub(super) proxy: Option<String>,
    /// A switch that would have let any certificate pass, had it been followed.
    pub(super) ignored: Option<&'static str>,
}

impl<'a> Attempt<'a> {
    /// One that is under way: the connection stands.
    pub(super) fn under_way(what: &'a str) -> Self {
        Self {
            what,
            proxy: None,
            ignored: None,
        }
    }

    /// What went wrong before, or in place of, a response.
    pub(super) fn failed(&self, error: ureq::Error) -> Error {
        // The source of the body failed, not the connection.
        if let ureq::Error::Io(source) = &error
            && let Some(own) = source.get_ref().and_then(|inner| inner.downcast_ref())
        {
            let own: &Error = own;
            return own.clone();
        }
        let Reason { kind, text, hint } = self.reason(&error);
        Error::new(kind, format!("{}: {text}", self.what))
            .with_hint(hint)
            .with_source(error)
    }

    fn reason(&self, error: &ureq::Error) -> Reason {
        use ureq::Error as E;
        if let Some(tls) = tls_error(error) {
            return self.no_tls(tls);
        }
        let reason = |kind, text: &str, hint: &str| Reason {
            kind,
            text: text.to_owned(),
            hint: hint.to_owned(),
        };
        let silent = || {
            reason(
                ErrorKind::Timeout,
                "the server was silent for too long",
                "try again; if it happens often, the connection or the server is overloaded",
            )
        };
        match error {
            E::Timeout(_) => silent(),
            E::Io(source)
                if matches!(
                    source.kind(),
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
                ) =>
            {
                silent()
            }
            E::HostNotFound => match &self.proxy {
                Some(proxy) => {
                    self.no_proxy(&format!("the proxy's host name is not known: {proxy}"))
                }
                None => reason(
                    ErrorKind::Network,
                    "the host name is not known",
                    "check the address (HF_ENDPOINT) and the network",
                ),
            },
            E::Io(source) if source.kind() == io::ErrorKind::ConnectionRefused => match &self.proxy
            {
                Some(proxy) => self.no_proxy(&format!("nobody listens at the proxy {proxy}")),
                None => reason(
                    ErrorKind::Network,
                    "nobody listens there",
                    "check the address (HF_ENDPOINT), or start the server",
                ),
            },
            E::Io(source) if is_lookup(source) => self.reason(&E::HostNotFound),
            E::Io(source) => Reason {
                kind: ErrorKind::Network,
                text: format!("the connection broke ({source})"),
                hint: "try again".to_owned(),
            },
            E::ConnectionFailed => reason(
                ErrorKind::Network,
                "no connection could be made",
                "check the network and the proxy settings",
            ),
            E::Tls(words) => Reason {
                kind: ErrorKind::Protocol,
                text: format!("no secure connection could be made ({words})"),
                hint: "is the address right?".to_owned(),
            },
            E::ConnectProxyFailed(words) => self.refused_by_proxy(words),
            E::Protocol(_) | E::Http(_) | E::BodyExceedsLimit(_) | E::LargeResponseHeader(..) => {
                Reason {
                    kind: ErrorKind::Protocol,
                    text: format!("the server broke the protocol ({error})"),
                    hint: "try again; if it persists the server or a proxy is at fault".to_owned(),
                }
            }
            _ => Reason {
                kind: ErrorKind::Network,
                text: error.to_string(),
                hint: "try again".to_owned(),
            },
        }
    }

    fn no_proxy(&self, text: &str) -> Reason {
        Reason {
            kind: ErrorKind::Network,
            text: text.to_owned(),
            hint: "check http.proxy, http_proxy, https_proxy and all_proxy; no_proxy names hosts to be \
                   reached without"
                .to_owned(),
        }
    }

    /// The proxy answered, but opened no way. ureq puts its status into words only.
    fn refused_by_proxy(&self, words: &str) -> Reason {
        let digits = words.split(|c: char| !c.is_ascii_digit());
        let status = digits
            .filter(|word| word.len() == 3)
            .find_map(|word| word.parse().ok());
        let proxy = self.proxy.as_deref().unwrap_or("there");
        let (kind, text, hint) = match status {
            Some(407) => (
                ErrorKind::Proxy,
                format!("the proxy {proxy} wants other credentials (407)"),
                "put user:password@ before the host in the proxy's address, with special characters \
                 written as %XX",
            ),
            Some(status @ (400..=499 | 501 | 505)) => (
                ErrorKind::Proxy,
                format!("the proxy {proxy} refuses to lead there ({status})"),
                "ask who runs the proxy, or name the host in no_proxy; plain http goes by CONNECT as \
                 well, which some proxies allow for https only",
            ),
            Some(status @ 500..=599) => (
                ErrorKind::Network,
                format!("the proxy {proxy} cannot reach the server ({status})"),
                "try again; check the address (HF_ENDPOINT)",
            ),
            _ => (
                ErrorKind::Network,
                format!(
                    "the proxy {proxy} opened no connection ({})",
                    printable(words)
                ),
                "is it a proxy for http?",
            ),
        };
        Reason {
            kind,
            text,
            hint: hint.to_owned(),
        }
    }

    /// Another try would meet the same server.
    fn no_tls(&self, error: &rustls::Error) -> Reason {
        match error {
            rustls::Error::InvalidCertificate(error) => {
                let (text, mut hint) = untrusted(error);
                if self
                    .proxy
                    .as_deref()
                    .is_some_and(|proxy| proxy.starts_with(TLS))
                {
                    hint.push_str("; the proxy speaks TLS as well, and it may be its certificate");
                }
                if let Some(switch) = self.ignored {
                    let _ = write!(
                        hint,
                        "; {switch} is not followed, danger_accept_invalid_certificates() is the option \
                         that turns the check off"
                    );
                }
                Reason {
                    kind: ErrorKind::Certificate,
                    text,
                    hint,
                }
            }
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Reason {
                kind: ErrorKind::Protocol,
                text: "the server does not speak TLS".to_owned(),
                hint: "is it reached by http:// instead, or does a proxy answer?".to_owned(),
            },
            rustls::Error::AlertReceived(alert) => Reason {
                kind: ErrorKind::Protocol,
                text: format!("the server ends the secure connection ({alert:?})"),
                hint: "it may ask for a certificate of the client, or for an older TLS than 1.2; \
                       neither is supported"
                    .to_owned(),
            },
            _ => Reason {
                kind: ErrorKind::Protocol,
                text: format!("no secure connection could be made ({error})"),
                hint: "the server, or what is between, speaks TLS wrongly or too old a version"
                    .to_owned(),
            },
        }
    }
}

/// Whether a name could not be looked up. std has no kind for it, only words; were they others, the
/// error would only be less clear.
fn is_lookup(error: &io::Error) -> bool {
    let words = error.to_string();
    words.starts_with("failed to lookup address information")
}

struct Reason {
    kind: ErrorKind,
    text: String,
    hint: String,
}

/// A failure of TLS, however it is wrapped: those of the handshake come as input/output errors.
fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_proxy(words: &str) -> Error {
        let attempt = Attempt {
            what: "GET https://h.example/",
            proxy: Some("proxy.example:3128".to_owned()),
            ignored: None,
        };
        attempt.failed(ureq::Error::ConnectProxyFailed(words.to_owned()))
    }

    #[test]
    fn a_proxy_that_refuses_is_not_asked_again_and_one_that_fails_is() {
        for (words, kind, part) in [
            ("proxy server responded 407/407", ErrorKind::Proxy, "407"),
            (
                "proxy server responded 403/403",
                ErrorKind::Proxy,
                "refuses",
            ),
            (
                "proxy server responded 503/503",
                ErrorKind::Network,
                "cannot reach",
            ),
            (
                "proxy server did not respond",
                ErrorKind::Network,
                "did not respond",
            ),
        ] {
            let error = of_proxy(words);
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.is_retryable(), kind == ErrorKind::Network);
            let text = error.to_string();
            assert!(
                text.contains(part) && text.contains("proxy.example:3128"),
                "{text}"
            );
        }
    }
}
