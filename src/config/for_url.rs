//! Keys that hold for some URLs: `http.proxy` for all, `http.<url>.proxy` for those like `<url>`.
//!
//! The rules are git's, <https://git-scm.com/docs/git-config#Documentation/git-config.txt-httplturlgt>:
//! scheme and port are the same, the host too or by `*` for one label, the path is the same or above,
//! and a user that is named is the same. Of several, the one with the longer host, then the longer
//! path, then with the user counts.

use super::{Config, Entry};
use crate::url::Url;

/// A key of a section that holds for a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

/// How well a key fits a URL; larger is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    host: usize,
    path: usize,
    user: bool,
}

impl Config {
    /// The values of `section.name` and `section.<url>.name` that hold for `url`, in their order.
    ///
    /// As in git, a value that fits worse than one before it is left out; so for a single value it
    /// is the last one that counts. Values for all URLs come with `false`, others with `true`.
    pub(crate) fn values_for(
        &self,
        section: &str,
        name: &str,
        url: &Url,
        user: Option<&str>,
    ) -> Vec<(&str, bool)> {
        let general = format!("{section}.{}", name.to_ascii_lowercase());
        let (prefix, suffix) = (
            format!("{section}."),
            format!(".{}", name.to_ascii_lowercase()),
        );
        let fit = |entry: &Entry| {
            if entry.key == general {
                return Some(Fit::default());
            }
            let pattern = entry.key.strip_prefix(&prefix)?.strip_suffix(&suffix)?;
            fit(pattern, url, user)
        };
        let mut best = Fit::default();
        let mut found = Vec::new();
        for entry in &self.entries {
            if let Some(fit) = fit(entry)
                && fit >= best
            {
                best = fit;
                found.push((&*entry.value, entry.key != general));
            }
        }
        found
    }

    /// All of `section.<name>` and `section.<url>.<name>` that holds for `url`, in its order and however
    /// well it fits: so git reads `credential`. A key that is no URL is for `other` to judge.
    pub(crate) fn all_for(
        &self,
        section: &str,
        url: &Url,
        user: Option<&str>,
        other: impl Fn(&str) -> bool,
    ) -> Vec<Setting<'_>> {
        let settings = self.entries.iter().filter_map(|entry| {
            let rest = entry.key.strip_prefix(section)?.strip_prefix('.')?;
            let (pattern, name) = match rest.rsplit_once('.') {
                Some((pattern, name)) => (Some(pattern), name),
                None => (None, rest),
            };
            let fits = pattern.is_none_or(|pattern| match Url::parse(pattern) {
                Ok(_) => fit(pattern, url, user).is_some(),
                Err(_) => other(pattern),
            });
            let value = &*entry.value;
            fits.then_some(Setting { name, value })
        });
        settings.collect()
    }

    /// The value that counts.
    pub(crate) fn value_for(
        &self,
        section: &str,
        name: &str,
        url: &Url,
        user: Option<&str>,
    ) -> Option<&str> {
        let values = self.values_for(section, name, url, user);
        values.last().map(|(value, _)| *value)
    }
}

fn fit(pattern: &str, url: &Url, user: Option<&str>) -> Option<Fit> {
    let (pattern, info) = Url::parse_with_userinfo(pattern).ok()?;
    let (wanted, own) = (pattern.origin(), url.origin());
    if !wanted.is_like(&own) || !host_fits(pattern.host(), url.host()) {
        return None;
    }
    let named = info.map(|info| info.user).filter(|name| !name.is_empty());
    if named.is_some() && named.as_deref() != user {
        return None;
    }
    let path = pattern.path().trim_end_matches('/');
    path_fits(path, url.path()).then(|| Fit {
        host: pattern.host().len(),
        path: path.len() + 1,
        user: named.is_some(),
    })
}

fn host_fits(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.split('.'), host.split('.'));
    pattern.clone().count() == host.clone().count()
        && pattern
            .zip(host)
            .all(|(one, other)| one == "*" || one == other)
}

/// Whether a path is `above` or lies below it. The LFS server of `…/name` lies at
/// `…/name.git/info/lfs`, and is meant too, as by git-lfs.
fn path_fits(above: &str, path: &str) -> bool {
    let below = |path: &str| {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(path)
        || path.contains(".git/info/lfs") && below(&path.replacen(".git/info/lfs", "/info/lfs", 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Writer;

    fn config(lines: &[(&str, &str)]) -> Config {
        let mut config = Config::default();
        for (key, value) in lines {
            config.push(key, value, Writer::User);
        }
        config
    }

    fn value<'a>(config: &'a Config, url: &str, user: Option<&str>) -> Option<&'a str> {
        config.value_for("http", "proxy", &Url::parse(url).expect(url), user)
    }

    #[test]
    fn the_key_that_fits_best_counts() {
        let config = config(&[
            ("http.https://*.example.org.proxy", "wild"),
            ("http.https://git.example.org/a/b.proxy", "path"),
            ("http.https://ann@git.example.org/a/b.proxy", "ann"),
            ("http.https://git.example.org.proxy", "host"),
            ("http.https://git.example.org:8443.proxy", "port"),
            ("http.http://git.example.org.proxy", "plain"),
        ]);
        for (url, user, expected) in [
            ("https://git.example.org/", None, Some("host")),
            ("https://git.example.org/a/bc", None, Some("host")),
            ("https://git.example.org/a/b", None, Some("path")),
            ("https://git.example.org:443/a/b/c?q", None, Some("path")),
            (
                "https://git.example.org/a/b.git/info/lfs/x",
                None,
                Some("path"),
            ),
            ("https://git.example.org/a/b", Some("ann"), Some("ann")),
            ("https://git.example.org/a/b", Some("bob"), Some("path")),
            ("https://git.example.org:8443/a/b", None, Some("port")),
            ("http://git.example.org/a/b", None, Some("plain")),
            ("https://x.example.org/a", None, Some("wild")),
            ("https://x.y.example.org/a", None, None),
            ("https://example.org/a", None, None),
            ("https://git.example.org.evil/a", None, None),
        ] {
            assert_eq!(value(&config, url, user), expected, "{url} {user:?}");
        }
    }

    #[test]
    fn what_fits_worse_than_one_before_is_left_out() {
        let list = |lines: &[(&str, &str)]| {
            let config = config(lines);
            let url = Url::parse("https://h/a").expect("valid");
            let values = config.values_for("http", "extraHeader", &url, None);
            values
                .iter()
                .map(|(value, _)| (*value).to_owned())
                .collect::<Vec<_>>()
        };
        let (general, own) = (
            ("http.extraHeader", "g"),
            ("http.https://h.extraHeader", "o"),
        );
        assert_eq!(list(&[general, own]), ["g", "o"]);
        assert_eq!(list(&[own, general]), ["o"]);
        assert_eq!(list(&[general, general]), ["g", "g"]);
    }

    #[test]
    fn a_list_is_made_of_all_that_fits() {
        let config = config(&[
            ("credential.https://h/a.helper", "own"),
            ("credential.helper", "general"),
            ("credential.https://h/ab.helper", "beside"),
            ("credential.h.Helper", "partial"),
            ("credentials.helper", "another section"),
        ]);
        let url = Url::parse("https://h/a/b").expect("valid");
        let settings = config.all_for("credential", &url, None, |pattern| pattern == "h");
        let values: Vec<_> = settings.iter().map(|setting| setting.value).collect();
        assert_eq!(values, ["own", "general", "partial"]);
        assert!(settings.iter().all(|setting| setting.name == "helper"));
    }
}
