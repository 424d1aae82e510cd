//! Sending, and following redirects with care.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::{Agent, AsSendBody, SendBody};

use super::failure::Attempt;
use super::grant::{Auth, Grant};
use super::grants::{Grants, Reaction, Sent, Then};
use super::headers;
use super::host::{Bucket, Host};
use super::request::{Body, Method, Request};
use super::response::Response;
use super::retry::{RetryPolicy, Tries, wait};
use super::route::Route;
use super::settings::{Reach, Remote, Settings, offline};
use super::source::LoginSource;
use super::trust::Verification;
use super::watch::{Pulse, Source, Watched};
use crate::cancel::{CancelToken, OnCancel};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Shown;
use crate::url::Url;

/// Redirects followed for one request; git follows one, git-lfs two, browsers twenty.
const MAX_REDIRECTS: usize = 5;
/// Logins tried for one request; there are fewer places where they come from.
const MAX_LOGINS: usize = 8;

/// Sends requests; clones share connections.
#[derive(Clone)]
pub(crate) struct Client {
    inner: Arc<Inner>,
    /// When the work this is used for has to be over.
    deadline: Option<Instant>,
}

/// Agents by what they are made for; made when they are first needed.
type Agents = Mutex<HashMap<Route, Agent>>;

struct Inner {
    settings: Settings,
    grants: Grants,
    agents: Arc<Agents>,
    cancel: CancelToken,
    /// Ends blocked requests when cancelled.
    _on_cancel: OnCancel,
}

impl Client {
    /// A client that asks nobody.
    #[cfg(test)]
    pub(crate) fn new(settings: Settings, grants: Vec<Grant>) -> Result<Self> {
        Self::asking(settings, grants, Vec::new())
    }

    /// A client that asks for logins, in this order, where a server wants one and there is none, or
    /// refuses the one it got.
    pub(crate) fn asking(
        settings: Settings,
        grants: Vec<Grant>,
        sources: Vec<Arc<dyn LoginSource>>,
    ) -> Result<Self> {
        let grants = Grants::new(grants, sources, settings.plain_http);
        Self::build(settings, grants, &CancelToken::new())
    }

    /// A client with connections of its own, all of which end when `cancel` is pulled, even if the
    /// other side is silent. The secrets are the same ones, now and whenever they are replaced.
    pub(crate) fn with_cancel(&self, cancel: &CancelToken) -> Result<Self> {
        Self::build(
            self.inner.settings.clone(),
            self.inner.grants.clone(),
            cancel,
        )
    }

    /// A client with the same logins for work on another remote.
    pub(crate) fn for_remote(&self, remote: Option<Remote>) -> Result<Self> {
        let settings = self.inner.settings.clone().with_remote(remote);
        let settings = Settings {
            push: None,
            ..settings
        };
        Self::build(settings, self.inner.grants.clone(), &self.inner.cancel)
    }

    /// A client as [`with_cancel`](Self::with_cancel) makes it, that tries as hard as `retry` says; the
    /// limit for all tries together stays what it was.
    pub(crate) fn with_retry(&self, cancel: &CancelToken, retry: RetryPolicy) -> Result<Self> {
        let mut settings = self.inner.settings.clone();
        settings.retry = RetryPolicy {
            total: settings.retry.total,
            ..retry
        };
        Self::build(settings, self.inner.grants.clone(), cancel)
    }

    /// This client if `cancel` is what stops it already, else one [`with_cancel`](Self::with_cancel).
    pub(crate) fn for_work(&self, cancel: &CancelToken) -> Result<Self> {
        if self.inner.cancel.is_same(cancel) {
            Ok(self.clone())
        } else {
            self.with_cancel(cancel)
        }
    }

    fn build(settings: Settings, grants: Grants, cancel: &CancelToken) -> Result<Self> {
        let agents = Arc::new(Agents::default());
        let made = Arc::clone(&agents);
        let on_cancel = cancel.on_cancel(move || {
            let made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.values().for_each(|agent| agent.clone().shutdown());
        });
        let inner = Inner {
            settings,
            grants,
            agents,
            cancel: cancel.clone(),
            _on_cancel: on_cancel,
        };
        Ok(Self {
            inner: Arc::new(inner),
            deadline: None,
        })
    }

    /// Runs `attempt` until it succeeds, cannot succeed, or the tries are used up. It has to be
    /// something that may be repeated; it is given the client to use.
    pub(crate) fn retrying<T>(&self, mut attempt: impl FnMut(&Self) -> Result<T>) -> Result<T> {
        let mut tries = self.tries();
        let client = self.until(&tries);
        loop {
            match attempt(&client) {
                Ok(value) => return Ok(value),
                Err(error) => tries.again(error)?,
            }
        }
    }

    /// How hard this client tries.
    pub(crate) fn retry(&self) -> RetryPolicy {
        self.inner.settings.retry
    }

    /// The tries of a piece of work that begins now.
    pub(crate) fn tries(&self) -> Tries<'_> {
        Tries::new(self.inner.settings.retry, &self.inner.cancel)
    }

    /// This client for as long as there are tries.
    pub(crate) fn until(&self, tries: &Tries<'_>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            deadline: tries.deadline().or(self.deadline),
        }
    }

    /// Whether there is a login for a URL's origin.
    pub(crate) fn has_login_for(&self, url: &Url) -> bool {
        self.inner.grants.has_login(url)
    }

    /// Whether there is a login for a URL's origin, or may be one.
    pub(crate) fn may_have_login_for(&self, url: &Url) -> bool {
        self.inner.grants.may_have_login(url)
    }

    /// git's config, as it counts for what this sends.
    pub(crate) fn config(&self) -> &Config {
        &self.inner.settings.config
    }

    /// Whether there is a network.
    pub(crate) fn reach(&self) -> Reach {
        self.inner.settings.reach
    }

    /// Its secrets, and those of all clients made from it.
    pub(crate) fn grants(&self) -> &Grants {
        &self.inner.grants
    }

    /// See [`Settings::pem_for_programs`].
    pub(crate) fn pem_for_programs(&self, url: Option<&Url>) -> Result<Option<String>> {
        self.inner.settings.pem_for_programs(url)
    }

    /// Whether servers have to prove who they are.
    pub(crate) fn verification(&self) -> Verification {
        self.inner.settings.trust.verification
    }

    pub(crate) fn cancel(&self) -> &CancelToken {
        &self.inner.cancel
    }

    /// Sends a request; any status is a response, see [`Response::error_for_status`].
    ///
    /// # Errors
    /// When no response came: not connected, stalled, cut off, cancelled, redirected to where we do
    /// not go, or not even sent because the caller's token provider failed.
    pub(crate) fn send(&self, mut request: Request) -> Result<Response> {
        for _ in 0..=MAX_REDIRECTS {
            let host = Host::at(&request.url.origin());
            self.wait_for(&host, &request)?;
            let response = self.send_known(&mut request)?;
            // A longer time than anybody waits for is this caller's business alone: it may be wrong, and
            // nobody else should be locked out by it.
            if let Some(pause) = response.closed_for()
                && pause <= self.inner.settings.retry.longest_wish
            {
                host.close(request.bucket, pause);
            }
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

    /// Waits as long as the server wants to hear nothing: it told somebody else in this process.
    fn wait_for(&self, host: &Host, request: &Request) -> Result<()> {
        let pause = host.closed_for(request.bucket);
        if pause.is_zero() {
            return Ok(());
        }
        // Others may be more patient.
        let longest = self.inner.settings.retry.longest_wish;
        if pause > longest || self.time_left().is_some_and(|left| left < pause) {
            return Err(Error::new(
                ErrorKind::RateLimited,
                format!(
                    "{}: the server wants no request for another {} s",
                    request.describe(),
                    pause.as_secs()
                ),
            )
            .with_retry_after(Some(pause))
            .with_hint("wait a while, then call again"));
        }
        tracing::debug!(?pause, url = %Shown(&request.url), "waiting for the server's quota");
        wait(pause, &self.inner.cancel)
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Sends a request as whoever we are to the server. One that wants to know that, or somebody else,
    /// gets what other login there is.
    fn send_known(&self, request: &mut Request) -> Result<Response> {
        let mut left = MAX_LOGINS;
        loop {
            let (response, sent) = self.send_once(request)?;
            let Some(sent) = sent else {
                return Ok(response);
            };
            let reaction = match response.status() {
                200..=299 => Reaction::Took,
                401 => Reaction::Refused,
                _ => Reaction::Other,
            };
            let (grants, cancel) = (&self.inner.grants, &self.inner.cancel);
            if reaction == Reaction::Refused && (!request.may_repeat() || left == 0) {
                let story = grants.story(&request.url);
                return Ok(response.after_trying(story));
            }
            let wanted = self.inner.settings.wanted(&request.url);
            match grants.react(&sent, reaction, &wanted, cancel) {
                Ok(Then::Again) => left -= 1,
                Ok(Then::Stop(story)) => return Ok(response.after_trying(story)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends it as it is; without what it was sent with if that is no business of ours.
    fn send_once(&self, request: &mut Request) -> Result<(Response, Option<Sent>)> {
        let cancel = &self.inner.cancel;
        cancel.check()?;
        let url = &request.url;
        if self.inner.settings.reach == Reach::Offline {
            return Err(offline(&request.describe()));
        }
        if !url.is_http() {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("{url} is not an http(s) URL"),
            ));
        }
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(url.to_full());
        let extra = self.inner.settings.extra_headers(request);
        for (name, value) in request.headers.iter().chain(&extra) {
            builder = builder.header(name, headers::value(name, value)?);
        }
        let confidential = headers::secrets(request.headers.iter().chain(&extra));
        let sent_authorization = extra
            .iter()
            .chain(&request.headers)
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let sent = if sent_authorization || request.auth == Auth::None {
            None
        } else {
            Some(self.inner.grants.authorization(request.auth, url)?)
        };
        let header = sent.as_ref().and_then(|sent| sent.header.as_ref());
        let authenticated = sent_authorization || header.is_some();
        if let Some(value) = header {
            builder = builder.header("Authorization", headers::value("Authorization", value)?);
        }
        let (method, shown) = (request.method.as_str(), Shown(url));
        tracing::debug!(method, url = %shown, authenticated, "request");
        let sending = Sending {
            agent: &self.agent(url)?,
            total: self.time_left(),
            patience: (request.patience > 1).then(|| {
                self.inner
                    .settings
                    .stall_timeout
                    .saturating_mul(request.patience)
            }),
        };
        let pulse = self.pulse(request.bucket);
        let watched = |reader: Box<dyn Read + Send>| {
            let bandwidth = self.inner.settings.bandwidth.clone();
            let reader = Watched::new(reader, pulse, bandwidth, cancel.clone());
            SendBody::from_owned_reader(reader)
        };
        let result = match &mut request.body {
            Body::Empty if request.method == Method::Get => sending.run(builder, ()),
            Body::Empty => sending.run(builder.header("Content-Length", "0"), Vec::new()),
            // A copy, for a redirect or another try; only small bodies are bytes.
            Body::Bytes(bytes) => sending.run(builder, bytes.clone()),
            Body::Sized { length, open } => {
                let builder = builder.header("Content-Length", length.to_string());
                let source = Source::new(open()?, *length);
                sending.run(builder, watched(Box::new(source)))
            }
            Body::Stream(reader) => {
                let reader = std::mem::replace(reader, Box::new(std::io::empty()));
                sending.run(builder, watched(reader))
            }
        };
        match result {
            Ok(response) => {
                let bandwidth = self.inner.settings.bandwidth.clone();
                let watch = move |body| Watched::new(body, pulse, bandwidth, cancel.clone());
                let (parts, body) = response.into_parts();
                let body = body.into_with_config().limit(u64::MAX).reader();
                let response = Response::new(
                    http::Response::from_parts(parts, watch(body)),
                    request.describe(),
                    request.url.clone(),
                    authenticated,
                    confidential,
                );
                Ok((response, sent))
            }
            Err(_) if cancel.is_cancelled() => Err(Error::cancelled()),
            Err(error) => {
                let route = self.inner.settings.route(&request.url);
                let attempt = Attempt {
                    what: &request.describe(),
                    proxy: route.proxy_host(),
                    ignored: route.ignored_switch(),
                };
                Err(attempt.failed(error))
            }
        }
    }

    /// What has to move. git's servers think for minutes, and say no more than that they live.
    fn pulse(&self, bucket: Bucket) -> Option<Pulse> {
        let pulse = Pulse {
            window: self.inner.settings.stall_timeout,
            bytes: self.inner.settings.stall_bytes,
        };
        (bucket != Bucket::Git).then_some(pulse)
    }

    /// The agent for a URL.
    fn agent(&self, url: &Url) -> Result<Agent> {
        let route = self.inner.settings.route(url);
        let mut agents = self
            .inner
            .agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&route) {
            return Ok(agent.clone());
        }
        let agent = self.inner.settings.agent(&route)?;
        agents.insert(route, agent.clone());
        drop(agents);
        // Whoever cancels from now on finds it.
        self.inner.cancel.check()?;
        Ok(agent)
    }
}

/// How one request goes out.
struct Sending<'a> {
    agent: &'a Agent,
    /// For all of it.
    total: Option<Duration>,
    /// For each silence.
    patience: Option<Duration>,
}

impl Sending<'_> {
    fn run(
        &self,
        builder: http::request::Builder,
        body: impl AsSendBody,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let mut config = self.agent.configure_request(builder.body(body)?);
        if self.total.is_some() {
            config = config.timeout_global(self.total);
        }
        if self.patience.is_some() {
            config = config.timeout_per_read(self.patience);
        }
        self.agent.run(config.build())
    }
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
    let keeps_method = request.method == Method::Get || matches!(response.status(), 307 | 308);
    if !keeps_method || !request.may_repeat() {
        return Err(
            refuse(&format!("to {next}, which cannot be followed with a body"))
                .with_hint("use the repository's new address"),
        );
    }
    if next.origin() != request.url.origin() {
        // Headers of an action may carry a permission, whatever their name; it was meant for the first
        // origin.
        request.headers.retain(|(name, _)| headers::is_plain(name));
    }
    request.url = next;
    Ok(())
}
