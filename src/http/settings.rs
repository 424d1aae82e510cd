//! How connections are made: timeouts, and which proxy counts.

use std::sync::Arc;
use std::time::Duration;

use super::proxies::Proxies;
use super::retry::RetryPolicy;
use super::source::Wanted;
use super::trust::Trust;
use super::{Bandwidth, PlainHttp};
use crate::config::Config;
use crate::env;
use crate::error::{Error, ErrorKind};
use crate::secret::Shown;
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
    pub(crate) trust: Trust,
    pub(crate) proxies: Proxies,
    /// git's config, for what depends on the URL.
    pub(crate) config: Arc<Config>,
    pub(crate) remote: Option<Remote>,
    /// What a login would be for where pushes go, if that is elsewhere.
    pub(crate) push: Option<Wanted>,
    /// Where secrets may go without TLS.
    pub(crate) plain_http: PlainHttp,
    pub(crate) reach: Reach,
}

/// Whether servers may be asked at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    #[default]
    Online,
    /// The user wants no network.
    Offline,
}

/// The variable that turns the network off, as for the Hub's other tools.
const OFFLINE: &str = "HF_HUB_OFFLINE";

/// The error for whatever would have needed the network.
pub(crate) fn offline(what: &str) -> Error {
    Error::new(
        ErrorKind::Offline,
        format!("{what}: not tried, because {OFFLINE} is set"),
    )
    .with_hint(format!(
        "unset {OFFLINE} and call again; what is saved here stays, and is pushed then"
    ))
}

/// What concerns the clone's own remote.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) url: Url,
    /// The user its URL names.
    pub(crate) user: Option<String>,
    /// `remote.<name>.proxy`.
    pub(crate) proxy: Option<String>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The proxy's address may hold a password.
        write!(f, "Remote({})", self.url)
    }
}

/// As long as a busy server may take to accept; git-lfs gives it 30 s, browsers about 10.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// git-lfs's `lfs.activitytimeout`.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes per stall window: slower than the slowest modem, and a gigabyte would take a year.
const STALL_BYTES: u64 = 1 << 10;
/// What stands for "no limit": longer than any work.
pub(super) const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            stall_bytes: STALL_BYTES,
            retry: RetryPolicy::default(),
            bandwidth: Bandwidth::unlimited(),
            trust: Trust::default(),
            proxies: Proxies::default(),
            config: Arc::default(),
            remote: None,
            push: None,
            plain_http: PlainHttp::default(),
            reach: Reach::default(),
        }
    }
}

impl Settings {
    /// The defaults, with reach, proxies and certificates as the environment says.
    pub(crate) fn from_env() -> Self {
        let reach = match env::flag(OFFLINE) {
            true => Reach::Offline,
            false => Reach::Online,
        };
        Self {
            reach,
            trust: Trust::from_env(),
            proxies: Proxies::read(env::var),
            ..Self::default()
        }
    }

    /// These settings, as git's config says.
    pub(crate) fn with_config(mut self, config: Config) -> Self {
        let seconds = |key: &str| -> Option<u64> {
            let value = config.get(key)?;
            let number = value.parse().ok();
            if number.is_none() {
                tracing::warn!(
                    key,
                    value = %Shown(value),
                    "the value means nothing; the default is used instead"
                );
            }
            number
        };
        let positive = |key| seconds(key).filter(|seconds| *seconds > 0);
        // One limit for both here; each alone may take what git-lfs gives it.
        let connect = positive("lfs.dialtimeout").max(positive("lfs.tlstimeout"));
        if let Some(seconds) = connect {
            self.connect_timeout = Duration::from_secs(seconds).min(NO_LIMIT);
        }
        if let Some(seconds) = seconds("lfs.activitytimeout") {
            self.stall_timeout = match seconds {
                0 => NO_LIMIT,
                seconds => Duration::from_secs(seconds).min(NO_LIMIT),
            };
        }
        self.config = Arc::new(config);
        self
    }

    /// These settings for a clone with such a remote.
    pub(crate) fn with_remote(mut self, remote: Option<Remote>) -> Self {
        self.remote = remote;
        self
    }

    /// The values of `http.<name>` for a URL, and whether each was meant for URLs like it only.
    pub(super) fn values(&self, name: &str, url: &Url) -> Vec<(&str, bool)> {
        self.config.values_for("http", name, url, self.user(url))
    }

    /// The value of `http.<name>` for a URL.
    pub(super) fn value(&self, name: &str, url: &Url) -> Option<&str> {
        self.config.value_for("http", name, url, self.user(url))
    }

    /// The remote of a URL's origin, if it is that of the clone.
    fn remote_of(&self, url: &Url) -> Option<&Remote> {
        let remote = self.remote.as_ref()?;
        (remote.url.origin() == url.origin()).then_some(remote)
    }

    fn user(&self, url: &Url) -> Option<&str> {
        self.remote_of(url)?.user.as_deref()
    }

    /// What a login for a URL's server is wanted for, as git and git-lfs would ask: for the remote, if
    /// it is there, else for the repository that the URL belongs to.
    pub(super) fn wanted(&self, url: &Url) -> Wanted {
        if let Some(remote) = self.remote_of(url) {
            return Wanted {
                url: remote.url.clone(),
                user: remote.user.clone(),
            };
        }
        let push = self.push.iter();
        let mut push = push.filter(|push| push.url.origin() == url.origin());
        if let Some(push) = push.next() {
            return push.clone();
        }
        let path = url.path();
        let parts = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];
        let mut repository = parts.iter().filter_map(|part| path.strip_suffix(part));
        Wanted {
            url: url.with_path(repository.next().unwrap_or(path)),
            user: None,
        }
    }

    /// The proxy for a URL: the remote's own, the config's, the environment's. An empty address in
    /// the config means none.
    pub(super) fn proxy(&self, url: &Url) -> Option<String> {
        if self.proxies.excepts(url) {
            return None;
        }
        let own = self
            .remote_of(url)
            .and_then(|remote| remote.proxy.as_deref());
        let address = match own.or_else(|| self.value("proxy", url)) {
            Some(address) => Some(address),
            None => self.proxies.choose(url),
        };
        address
            .filter(|address| !address.is_empty())
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(lines: &[(&str, &str)], proxy: Option<&str>) -> Settings {
        let mut config = Config::default();
        for (key, value) in lines {
            config.push(key, value, crate::config::Writer::User);
        }
        let remote = Remote {
            url: Url::parse("https://hub.example").expect("valid"),
            user: None,
            proxy: proxy.map(str::to_owned),
        };
        let variables = [
            ("https_proxy", "http://env"),
            ("no_proxy", "direct.example"),
        ];
        let settings = Settings {
            proxies: Proxies::of(&variables),
            ..Settings::default()
        };
        settings.with_config(config).with_remote(Some(remote))
    }

    #[test]
    fn the_nearest_proxy_counts() {
        let lines = [
            ("http.proxy", "http://all"),
            ("http.https://cdn.example.proxy", "http://cdn"),
            ("http.https://none.example.proxy", ""),
        ];
        let proxy = |settings: &Settings, url: &str| settings.proxy(&Url::parse(url).expect(url));
        let some = configured(&lines, Some("http://remote"));
        for (url, expected) in [
            ("https://hub.example/a", Some("http://remote")),
            ("https://other.example", Some("http://all")),
            ("https://cdn.example/a", Some("http://cdn")),
            ("https://none.example/a", None),
            ("https://direct.example/a", None),
            ("http://127.0.0.1:1", None),
        ] {
            assert_eq!(proxy(&some, url).as_deref(), expected, "{url}");
        }
        let none = configured(&[], None);
        assert_eq!(
            proxy(&none, "https://hub.example").as_deref(),
            Some("http://env")
        );
        let shown = format!("{some:?}");
        assert!(
            !shown.contains("http://remote") && !shown.contains("http://all"),
            "{shown}"
        );
    }

    #[test]
    fn timeouts_are_those_of_the_config() {
        let of = |lines: &[(&str, &str)]| {
            let settings = configured(lines, None);
            (settings.connect_timeout, settings.stall_timeout)
        };
        let seconds = Duration::from_secs;
        assert_eq!(of(&[]), (CONNECT_TIMEOUT, STALL_TIMEOUT));
        let lines = [
            ("lfs.dialtimeout", "3"),
            ("lfs.tlstimeout", "5"),
            ("lfs.activitytimeout", "7"),
        ];
        assert_eq!(of(&lines), (seconds(5), seconds(7)));
        let lines = [("lfs.dialtimeout", "0"), ("lfs.activitytimeout", "0")];
        assert_eq!(of(&lines), (CONNECT_TIMEOUT, NO_LIMIT));
        let lines = [("lfs.dialtimeout", "x"), ("lfs.activitytimeout", "-1")];
        assert_eq!(of(&lines), (CONNECT_TIMEOUT, STALL_TIMEOUT));
    }

    #[test]
    fn logins_are_wanted_for_repositories() {
        let settings = Settings {
            push: Some(Wanted {
                url: Url::parse("https://push.example/a/b").expect("valid"),
                user: Some("ann".to_owned()),
            }),
            ..configured(&[], None)
        };
        for (url, expected, user) in [
            // Whatever is asked of the remote's server is asked for the remote.
            (
                "https://hub.example/x/y/info/refs",
                "https://hub.example",
                None,
            ),
            (
                "https://push.example/a/b/git-upload-pack",
                "https://push.example/a/b",
                Some("ann"),
            ),
            (
                "https://other.example/a/b/info/refs?service=x",
                "https://other.example/a/b",
                None,
            ),
            (
                "https://other.example/a/b/git-receive-pack",
                "https://other.example/a/b",
                None,
            ),
            (
                "https://push.example:8443/a?b",
                "https://push.example:8443/a",
                None,
            ),
        ] {
            let wanted = settings.wanted(&Url::parse(url).expect(url));
            assert_eq!(
                (wanted.url.to_full().as_str(), wanted.user.as_deref()),
                (expected, user)
            );
        }
    }
}
