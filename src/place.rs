//! Where a remote is: as somebody wrote it, and where that leads by the rules of git's config.

use std::path::Path;

use crate::config::{Config, Use};
use crate::env;
use crate::error::Result;
use crate::hub;
use crate::id::{Endpoint, RepoType};
use crate::name::RemoteName;
use crate::source::{self, Location, Source};
use crate::url::Url;

/// A remote's address.
#[derive(Debug)]
pub(crate) struct Place {
    /// As it was written, where that can be read without any rules, else where it leads.
    pub(crate) home: Location,
    /// What to write into `remote.<name>.url`: plain, and never with credentials.
    pub(crate) recorded: String,
    /// Where fetches go, by `url.<base>.insteadOf`.
    pub(crate) fetch: Source,
    /// Where pushes go, by `pushurl` and `pushInsteadOf`.
    pub(crate) push: PushPlace,
}

/// Where pushes go.
#[derive(Debug)]
pub(crate) enum PushPlace {
    /// To where fetches come from.
    Same,
    Elsewhere(Source),
    /// What is written there cannot be read. Some write `no_push:` to be safe; fetching goes on.
    Nowhere,
}

/// How addresses are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) config: &'a Config,
    /// What relative paths start from; empty for the process's folder.
    pub(crate) base: &'a Path,
    /// What the caller said apart from the address.
    pub(crate) repo_type: Option<RepoType>,
}

impl Reading<'_> {
    /// Reads an id, a URL or a path.
    ///
    /// # Errors
    /// If neither it nor what it stands for can be read.
    pub(crate) fn place(&self, text: &str) -> Result<Place> {
        if let Some(address) = self.config.rewritten(text, Use::Fetch) {
            let fetch = self.read(&address, None)?;
            let plain = self.read(text, self.repo_type).ok();
            // An abbreviation is recorded as such; one with credentials is not.
            let recorded = match &plain {
                Some(plain) => self.address(&plain.location),
                None if text.contains('@') => self.address(&fetch.location),
                None => text.to_owned(),
            };
            return Ok(Place {
                home: plain.map_or_else(|| fetch.location.clone(), |plain| plain.location),
                recorded,
                push: self.push_instead(text, &fetch),
                fetch,
            });
        }
        let plain = self.read(text, self.repo_type)?;
        let recorded = self.address(&plain.location);
        let push = self.push_instead(text, &plain);
        // `user/name` stands for a URL, which may stand for another.
        let (fetch, push) = match self.config.rewritten(&recorded, Use::Fetch) {
            Some(address) => (self.read(&address, None)?, push),
            None => (plain.clone(), push),
        };
        let push = match push {
            PushPlace::Same if recorded != text => self.push_instead(&recorded, &fetch),
            push => push,
        };
        let userinfo = fetch.userinfo.or(plain.userinfo);
        Ok(Place {
            home: plain.location,
            recorded,
            fetch: Source {
                userinfo,
                revision: plain.revision,
                ..fetch
            },
            push,
        })
    }

    /// Reads `remote.<name>.pushurl`, if there is one.
    pub(crate) fn push_place(&self, remote: &RemoteName) -> Option<PushPlace> {
        let text = self.config.first(&format!("remote.{remote}.pushurl"))?;
        // What is written for pushes only is no matter for pushInsteadOf.
        let address = self.config.rewritten(text, Use::Fetch);
        let address = address.as_deref().unwrap_or(text);
        // To git this is a path, and to us it must not become a repository of the Hub.
        let is_path = !address.contains(':');
        let text = if is_path && !address.starts_with(['/', '~']) {
            format!("./{address}")
        } else {
            address.to_owned()
        };
        let read = self.read(&text, None);
        Some(read.map_or(PushPlace::Nowhere, PushPlace::Elsewhere))
    }

    fn push_instead(&self, text: &str, fetch: &Source) -> PushPlace {
        let Some(address) = self.config.rewritten(text, Use::Push) else {
            return PushPlace::Same;
        };
        match self.read(&address, None) {
            Ok(push) if push.location == fetch.location => PushPlace::Same,
            Ok(push) => PushPlace::Elsewhere(push),
            Err(_) => PushPlace::Nowhere,
        }
    }

    /// A relative path is made absolute, as `git clone` records it.
    fn read(&self, text: &str, repo_type: Option<RepoType>) -> Result<Source> {
        let mut source = source::parse(text, self.endpoint, repo_type)?;
        if let Location::Folder(path) = &mut source.location {
            if path.starts_with("~") {
                *path = env::expand(&path.to_string_lossy());
            }
            let joined = self.base.join(&*path);
            *path = std::path::absolute(&joined).unwrap_or(joined);
        }
        Ok(source)
    }

    fn address(&self, location: &Location) -> String {
        match location {
            Location::Ssh(url) => url.clone(),
            Location::Folder(path) => path.to_string_lossy().into_owned(),
            Location::Hub { .. } | Location::Http(_) => http_url(self.endpoint, location)
                .map(|url| url.to_full())
                .unwrap_or_default(),
        }
    }
}

/// The Hub to talk to: what the caller says, else `HF_ENDPOINT`, else the public one.
pub(crate) fn endpoint(said: Option<&Endpoint>) -> Result<Endpoint> {
    match (said, env::var("HF_ENDPOINT")) {
        (Some(endpoint), _) => Ok(endpoint.clone()),
        (None, Some(text)) => text.parse(),
        (None, None) => Ok(Endpoint::default()),
    }
}

/// The git URL of a place on a server.
pub(crate) fn http_url(endpoint: &Endpoint, location: &Location) -> Option<Url> {
    match location {
        Location::Hub { id, repo_type } => Some(hub::git_url(endpoint, id, *repo_type)),
        Location::Http(url) => Some(url.clone()),
        Location::Folder(_) | Location::Ssh(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Writer;

    fn place(text: &str, lines: &[(&str, &str)]) -> (String, String, Option<String>) {
        let mut config = Config::default();
        for (key, value) in lines {
            config.push(key, value, Writer::User);
        }
        let endpoint = Endpoint::default();
        let reading = Reading {
            endpoint: &endpoint,
            config: &config,
            base: Path::new("/base"),
            repo_type: None,
        };
        let place = reading.place(text).expect(text);
        (
            place.recorded,
            reading.address(&place.fetch.location),
            match place.push {
                PushPlace::Elsewhere(push) => Some(reading.address(&push.location)),
                PushPlace::Same => None,
                PushPlace::Nowhere => Some("nowhere".to_owned()),
            },
        )
    }

    #[test]
    fn addresses_lead_where_git_would_go() {
        let hub = (
            "url.https://mirror.example/hub/.insteadOf",
            "https://huggingface.co/",
        );
        let short = ("url.https://huggingface.co/.insteadOf", "hf:");
        let push = (
            "url.https://push.example/.pushInsteadOf",
            "https://huggingface.co/",
        );
        let (own, mirror) = (
            "https://huggingface.co/a/b",
            "https://mirror.example/hub/a/b",
        );
        let pushed = Some("https://push.example/a/b".to_owned());
        for (text, lines, expected) in [
            ("a/b", &[][..], (own, own, None)),
            ("a/b", &[hub], (own, mirror, None)),
            (own, &[hub], (own, mirror, None)),
            ("hf:a/b", &[short], ("hf:a/b", own, None)),
            ("a/b", &[push], (own, own, pushed.clone())),
            (own, &[push, hub], (own, mirror, pushed)),
            (
                "x",
                &[("url./srv/.insteadOf", "https://huggingface.co/")],
                ("https://huggingface.co/x", "/srv/x", None),
            ),
            ("../x", &[], ("/base/../x", "/base/../x", None)),
        ] {
            let expected = (expected.0.to_owned(), expected.1.to_owned(), expected.2);
            assert_eq!(place(text, lines), expected, "{text} {lines:?}");
        }
    }

    #[test]
    fn credentials_of_a_rule_are_found_and_not_recorded() {
        let mut config = Config::default();
        let key = "url.https://ci:s3cret@huggingface.co/.insteadOf";
        config.push(key, "https://huggingface.co/", Writer::User);
        let endpoint = Endpoint::default();
        let reading = Reading {
            endpoint: &endpoint,
            config: &config,
            base: Path::new(""),
            repo_type: None,
        };
        let place = reading.place("a/b").expect("read");
        assert_eq!(place.recorded, "https://huggingface.co/a/b");
        assert_eq!(place.fetch.userinfo.expect("there").user, "ci");
        assert!(matches!(place.push, PushPlace::Same));
    }
}
