//! Sending, and following redirects with care.

use std::sync::Arc;

use ureq::{Agent, AsSendBody, SendBody};

use super::grant::{Grant, Grants};
use super::request::{Body, Method, Request};
use super::response::{Response, transport_error};
use super::settings::Settings;
use crate::cancel::{CancelToken, OnCancel};
use crate::error::{Error, ErrorKind, Result};
use crate::url::Url;

/// Redirects followed for one request; git follows one, git-lfs two, browsers twenty.
const MAX_REDIRECTS: usize = 5;

/// Sends requests; clones share connections.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    settings: Settings,
    grants: Grants,
    direct: Agent,
    http_proxy: Option<Agent>,
    https_proxy: Option<Agent>,
    cancel: CancelToken,
    /// Ends blocked requests when cancelled.
    _on_cancel: OnCancel,
}

impl Client {
    pub(crate) fn new(settings: Settings, grants: Vec<Grant>) -> Result<Self> {
        Self::build(settings, Grants::new(grants), &CancelToken::new())
    }

    /// A client with connections of its own, all of which end when `cancel` is pulled, even if the
    /// other side is silent. The secrets are the same ones, now and whenever they are replaced.
    pub(crate) fn with_cancel(&self, cancel: &CancelToken) -> Result<Self> {
        Self::build(self.0.settings.clone(), self.0.grants.clone(), cancel)
    }

    /// This client if `cancel` is what stops it already, else one [`with_cancel`](Self::with_cancel).
    pub(crate) fn for_work(&self, cancel: &CancelToken) -> Result<Self> {
        if self.0.cancel.is_same(cancel) {
            Ok(self.clone())
        } else {
            self.with_cancel(cancel)
        }
    }

    fn build(settings: Settings, grants: Grants, cancel: &CancelToken) -> Result<Self> {
        let through = |proxy: &Option<String>| {
            proxy
                .as_deref()
                .map(|proxy| settings.agent(Some(proxy)))
                .transpose()
        };
        let direct = settings.agent(None)?;
        let (http_proxy, https_proxy) = (
            through(&settings.proxies.http)?,
            through(&settings.proxies.https)?,
        );
        let agents: Vec<Agent> = [Some(&direct), http_proxy.as_ref(), https_proxy.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let on_cancel = cancel.on_cancel(move || {
            agents.iter().for_each(|agent| agent.clone().shutdown());
        });
        Ok(Self(Arc::new(Inner {
            settings,
            grants,
            direct,
            http_proxy,
            https_proxy,
            cancel: cancel.clone(),
            _on_cancel: on_cancel,
        })))
    }

    /// Whether there is a secret for a URL's origin.
    pub(crate) fn has_grant_for(&self, url: &Url) -> bool {
        self.0.grants.find(&url.origin()).is_some()
    }

    /// Its secrets, and those of all clients made from it.
    pub(crate) fn grants(&self) -> &Grants {
        &self.0.grants
    }

    pub(crate) fn cancel(&self) -> &CancelToken {
        &self.0.cancel
    }

    /// Sends a request; any status is a response, see [`Response::error_for_status`].
    ///
    /// # Errors
    /// When no response came: not connected, stalled, cut off, cancelled, redirected to where we do
    /// not go, or not even sent because the caller's token provider failed.
    pub(crate) fn send(&self, mut request: Request) -> Result<Response> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_once(&mut request)?;
            let Some(location) = redirect(&response) else {
                return Ok(response);
            };
            let next = response.url().resolve(&location).map_err(|_| {
                Error::new(
                    ErrorKind::Protocol,
                    format!("{}: the server redirects to nowhere", request.describe()),
                )
            })?;
            follow(&mut request, &response, next)?;
        }
        Err(Error::new(
            ErrorKind::Protocol,
            format!(
                "{}: more than {MAX_REDIRECTS} redirects",
                request.describe()
            ),
        )
        .with_hint("is the address right?"))
    }

    fn send_once(&self, request: &mut Request) -> Result<Response> {
        let cancel = &self.0.cancel;
        cancel.check()?;
        let url = &request.url;
        if !url.is_http() {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("{url} is not an http(s) URL"),
            ));
        }
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(url.to_full());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let sent_authorization = request
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let grant = if sent_authorization {
            None
        } else {
            self.0.grants.authorization(request.auth, url)?
        };
        let authenticated = sent_authorization || grant.is_some();
        if let Some(value) = grant {
            builder = builder.header("Authorization", value);
        }
        tracing::debug!(method = request.method.as_str(), %url, authenticated, "request");
        let agent = self.agent(url);
        let result = match &mut request.body {
            Body::Empty if request.method == Method::Get => run(agent, builder, ()),
            Body::Empty => run(agent, builder.header("Content-Length", "0"), Vec::new()),
            // A copy, for a redirect or another try; only small bodies are bytes.
            Body::Bytes(bytes) => run(agent, builder, bytes.clone()),
            Body::Sized { length, reader } => {
                let reader = std::mem::replace(reader, Box::new(std::io::empty()));
                let builder = builder.header("Content-Length", length.to_string());
                run(agent, builder, SendBody::from_owned_reader(reader))
            }
            Body::Stream(reader) => {
                let reader = std::mem::replace(reader, Box::new(std::io::empty()));
                run(agent, builder, SendBody::from_owned_reader(reader))
            }
        };
        match result {
            Ok(response) => Ok(Response::new(
                response,
                request.describe(),
                request.url.clone(),
                authenticated,
            )),
            Err(_) if cancel.is_cancelled() => Err(Error::cancelled()),
            Err(error) => Err(transport_error(&request.describe(), error)),
        }
    }

    fn agent(&self, url: &Url) -> &Agent {
        let proxied = self.0.settings.proxies.choose(url).is_some();
        let agent = match (proxied, url.is_https()) {
            (true, true) => self.0.https_proxy.as_ref(),
            (true, false) => self.0.http_proxy.as_ref(),
            (false, _) => None,
        };
        agent.unwrap_or(&self.0.direct)
    }
}

fn run(
    agent: &Agent,
    builder: http::request::Builder,
    body: impl AsSendBody,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    agent.run(builder.body(body)?)
}

/// Where the server sends us, if it does.
fn redirect(response: &Response) -> Option<String> {
    if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    response.header("location").map(str::to_owned)
}

/// Turns the request to its new place, or refuses to.
fn follow(request: &mut Request, response: &Response, next: Url) -> Result<()> {
    let refuse = |why: &str| {
        Error::new(
            ErrorKind::Protocol,
            format!("{}: redirected {why}", request.describe()),
        )
    };
    if request.url.is_https() && !next.is_https() {
        return Err(refuse(&format!("from https to {next}"))
            .with_hint("the server is misconfigured, or somebody is listening"));
    }
    let replayable = matches!(request.body, Body::Empty | Body::Bytes(_));
    let keeps_method = request.method == Method::Get || matches!(response.status(), 307 | 308);
    if !keeps_method || !replayable {
        return Err(
            refuse(&format!("to {next}, which cannot be followed with a body"))
                .with_hint("use the repository's new address"),
        );
    }
    if next.origin() != request.url.origin() {
        // Headers of an action may carry a permission; it was meant for the first origin.
        request.headers.retain(|(name, _)| {
            !["authorization", "cookie"]
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret))
        });
    }
    request.url = next;
    Ok(())
}
