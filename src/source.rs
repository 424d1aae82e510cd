//! Where a clone comes from: every spelling of it a user may have at hand.

mod same;

use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{Endpoint, RepoId, RepoType};
use crate::name::Revision;
use crate::url::{Url, Userinfo};

/// What a user's text names, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) location: Location,
    /// A revision that came with the address.
    pub(crate) revision: Option<Revision>,
    /// Credentials that stood in the URL; they go to its origin only, never into a file.
    pub(crate) userinfo: Option<Userinfo>,
}

/// The place itself, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A repository on the Hub at the endpoint.
    Hub { id: RepoId, repo_type: RepoType },
    /// Some other git server.
    Http(Url),
    /// A repository on this machine.
    Folder(PathBuf),
    /// `ssh://…` or `git@host:path`.
    Ssh(String),
}

/// Hosts that stand for the public Hub when it is the endpoint.
const PUBLIC_ALIASES: [&str; 2] = ["huggingface.co", "hf.co"];
/// First segment of a web page's path behind the id; a revision follows.
const PAGES: [&str; 5] = ["tree", "blob", "resolve", "raw", "blame"];

/// Reads `text` as an id, a Hub URL, an `hf://` address, another URL or a path.
///
/// `repo_type` is what the caller said apart from the text; if both say something they must agree.
pub(crate) fn parse(
    text: &str,
    endpoint: &Endpoint,
    repo_type: Option<RepoType>,
) -> Result<Source> {
    let source = parse_any(text, endpoint, repo_type)?;
    // Written as `host/name` it would be another repository.
    if let Location::Hub { id, .. } = &source.location
        && id
            .namespace()
            .is_some_and(|name| is_hub_host(name, endpoint))
    {
        return Err(Error::new(
            ErrorKind::InvalidSource,
            format!("{id} names the Hub's host twice, or a user that has its name"),
        )
        .with_hint("the host is followed by user/my-model"));
    }
    Ok(source)
}

fn parse_any(text: &str, endpoint: &Endpoint, repo_type: Option<RepoType>) -> Result<Source> {
    if let Some(rest) = text.strip_prefix("hf://") {
        return parse_uri(text, rest, repo_type);
    }
    if is_ssh(text) {
        return plain(Location::Ssh(without_password(text)));
    }
    if text.contains('@') && !text.contains("://") && !is_path(text) {
        // The text is not echoed: it may hold a password.
        return Err(Error::new(
            ErrorKind::InvalidSource,
            "the source has a user in it, but does not begin with https://",
        )
        .with_hint("a URL looks like https://user@huggingface.co/user/my-model"));
    }
    if let Some(path) = text.strip_prefix("file://") {
        return plain(Location::Folder(PathBuf::from(decode(path))));
    }
    if text.contains("://") {
        // The text is not echoed: it may hold a password.
        let (url, userinfo) = Url::parse_with_userinfo(text).map_err(|_| {
            Error::new(ErrorKind::InvalidSource, "the clone URL cannot be read")
                .with_hint("a URL looks like https://huggingface.co/user/my-model")
        })?;
        if !url.is_http() {
            return Err(Error::new(
                ErrorKind::InvalidSource,
                format!("cannot clone from {url}: only http(s), ssh, file and hf addresses"),
            )
            .with_hint("use the https URL of the repository"));
        }
        return match hub_path(&url, endpoint) {
            Some(path) => {
                let source = parse_web_path(text_of(&url), &path, repo_type)?;
                Ok(Source { userinfo, ..source })
            }
            None => Ok(Source {
                location: Location::Http(url),
                revision: None,
                userinfo,
            }),
        };
    }
    if is_path(text) {
        return plain(Location::Folder(PathBuf::from(text)));
    }
    // `huggingface.co/user/name`, as people copy it from the address bar.
    let host = text.split('/').next().unwrap_or_default();
    if text.contains('/') && is_hub_host(host, endpoint) {
        let path = &text[host.len()..];
        return parse_web_path(text.to_owned(), path, repo_type);
    }
    parse_id(text, repo_type)
}

fn plain(location: Location) -> Result<Source> {
    Ok(Source {
        location,
        revision: None,
        userinfo: None,
    })
}

/// An ssh address as it may be shown.
pub(crate) fn without_password(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    // The path may have an `@` of its own.
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((user, host)) = authority.rsplit_once('@') else {
        return text.to_owned();
    };
    if scheme.is_empty()
        && authority
            .split_once('@')
            .is_some_and(|(user, _)| !user.contains(':'))
    {
        // As scp has it: all behind the first colon is a path.
        return text.to_owned();
    }
    let user = user.split(':').next().unwrap_or_default();
    format!("{scheme}{user}@{host}{path}")
}

fn text_of(url: &Url) -> String {
    url.to_string()
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// `ssh://…`, its older spellings, and `user@host:path` as scp has it.
fn is_ssh(text: &str) -> bool {
    let schemes = ["ssh://", "git+ssh://", "ssh+git://"];
    let scp = || {
        let (user, rest) = text.split_once('@')?;
        let (host, _) = rest.split_once(':')?;
        // A colon in the user would be a password's, and a dash an option's.
        let plain = |part: &str| !part.is_empty() && !part.contains([':', '/', '@']);
        Some(plain(user) && plain(host) && !user.starts_with('-'))
    };
    schemes.iter().any(|scheme| text.starts_with(scheme)) || scp().unwrap_or(false)
}

/// Paths are told from ids by how they start; `./name` names a folder that looks like an id.
fn is_path(text: &str) -> bool {
    text.starts_with(['/', '.', '~']) || PathBuf::from(text).is_absolute()
}

fn is_hub_host(host: &str, endpoint: &Endpoint) -> bool {
    let own = endpoint.url();
    let authority = own.to_full();
    let authority = authority.split("://").nth(1).unwrap_or_default();
    host.eq_ignore_ascii_case(authority.split('/').next().unwrap_or_default())
        || endpoint.is_default()
            && PUBLIC_ALIASES
                .iter()
                .any(|alias| host.eq_ignore_ascii_case(alias))
}

/// The path below the endpoint, if `url` lies there.
fn hub_path(url: &Url, endpoint: &Endpoint) -> Option<String> {
    let own = endpoint.url();
    let public = url.is_https() && url.is_at_default_port();
    let alias = endpoint.is_default() && public && PUBLIC_ALIASES.contains(&url.host());
    if !alias && url.origin() != own.origin() {
        return None;
    }
    let base = own.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(base)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
}

/// `[datasets/|spaces/]namespace/name[.git][/tree/<revision>…]`
fn parse_web_path(shown: String, path: &str, repo_type: Option<RepoType>) -> Result<Source> {
    let mut segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let stated = segments
        .first()
        .and_then(|first| match RepoType::from_segment(first) {
            Some(RepoType::Model) | None => None,
            other => other,
        });
    if stated.is_some() {
        segments.remove(0);
    }
    let end = segments
        .iter()
        .position(|segment| PAGES.contains(segment))
        .unwrap_or(segments.len());
    let (id, page) = segments.split_at(end);
    let revision = page
        .get(1)
        .map(|revision| decode(revision).parse())
        .transpose()?;
    let id = id.join("/");
    let id: RepoId = id.strip_suffix(".git").unwrap_or(&id).parse()?;
    // Without a type in it, a Hub URL names a model.
    let stated = stated.unwrap_or(RepoType::Model);
    let repo_type = agree(&shown, Some(stated), repo_type)?;
    Ok(Source {
        location: Location::Hub { id, repo_type },
        revision,
        userinfo: None,
    })
}

/// `[models/|datasets/|spaces/]namespace/name[@revision][/path]`
fn parse_uri(shown: &str, rest: &str, repo_type: Option<RepoType>) -> Result<Source> {
    let (rest, stated) = take_type(rest);
    if rest.split('@').next().is_some_and(|id| id.contains(':')) {
        // The text is not echoed: it may hold a password.
        return Err(Error::new(
            ErrorKind::InvalidSource,
            "an hf:// address has no user and no password in it",
        )
        .with_hint("it looks like hf://user/my-model@main"));
    }
    let (id, revision) = match rest.split_once('@') {
        Some((id, tail)) => (id.to_owned(), Some(uri_revision(tail).parse()?)),
        None => (
            rest.splitn(3, '/').take(2).collect::<Vec<_>>().join("/"),
            None,
        ),
    };
    let id: RepoId = id.parse()?;
    let repo_type = agree(shown, Some(stated.unwrap_or_default()), repo_type)?;
    Ok(Source {
        location: Location::Hub { id, repo_type },
        revision,
        userinfo: None,
    })
}

/// The revision at the start of `tail`: up to a `/`, but `refs/pr/N` and `refs/convert/x` whole.
fn uri_revision(tail: &str) -> String {
    let parts = if tail.starts_with("refs/pr/") || tail.starts_with("refs/convert/") {
        3
    } else {
        1
    };
    decode(&tail.split('/').take(parts).collect::<Vec<_>>().join("/"))
}

/// `name`, `namespace/name`, `datasets/name` or `datasets/namespace/name`.
fn parse_id(text: &str, repo_type: Option<RepoType>) -> Result<Source> {
    let (rest, stated) = take_type(text);
    let id: RepoId = rest.parse()?;
    let repo_type = agree(text, stated, repo_type)?;
    plain(Location::Hub { id, repo_type })
}

fn take_type(text: &str) -> (&str, Option<RepoType>) {
    text.split_once('/')
        .and_then(|(first, rest)| RepoType::from_segment(first).map(|found| (rest, Some(found))))
        .unwrap_or((text, None))
}

fn agree(shown: &str, stated: Option<RepoType>, asked: Option<RepoType>) -> Result<RepoType> {
    match (stated, asked) {
        (Some(stated), Some(asked)) if stated != asked => Err(Error::new(
            ErrorKind::InvalidSource,
            format!("{shown:?} names a {stated}, but the repository type was given as {asked}"),
        )
        .with_hint("leave the type out, or pass the bare id with it")),
        (stated, asked) => Ok(stated.or(asked).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> (String, RepoType, Option<String>) {
        let source = parse(text, &Endpoint::default(), None).expect(text);
        match source.location {
            Location::Hub { id, repo_type } => (
                id.to_string(),
                repo_type,
                source.revision.map(|r| r.to_string()),
            ),
            other => panic!("{text} became {other:?}"),
        }
    }

    #[test]
    fn an_at_in_the_path_of_an_ssh_address_is_no_user() {
        for (text, shown) in [
            ("ssh://git:pw@h:22/a/b@v2", "ssh://git@h:22/a/b@v2"),
            ("ssh://h/a@b", "ssh://h/a@b"),
            ("git@h:a@b/c", "git@h:a@b/c"),
            ("git@h:a@b", "git@h:a@b"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }

    #[test]
    fn every_form_of_a_hub_address() {
        use RepoType::{Dataset, Model, Space};
        for (text, id, repo_type, revision) in [
            ("https://huggingface.co/ns/name", "ns/name", Model, None),
            ("https://huggingface.co/ns/name/", "ns/name", Model, None),
            ("https://huggingface.co/ns/name.git", "ns/name", Model, None),
            (
                "https://huggingface.co/datasets/ns/name",
                "ns/name",
                Dataset,
                None,
            ),
            (
                "https://huggingface.co/spaces/ns/name",
                "ns/name",
                Space,
                None,
            ),
            (
                "https://huggingface.co/ns/name/tree/main",
                "ns/name",
                Model,
                Some("main"),
            ),
            (
                "https://huggingface.co/ns/name/blob/v1/a/b.txt",
                "ns/name",
                Model,
                Some("v1"),
            ),
            (
                "https://huggingface.co/ns/name/resolve/refs%2Fpr%2F1/x",
                "ns/name",
                Model,
                Some("refs/pr/1"),
            ),
            ("huggingface.co/ns/name", "ns/name", Model, None),
            ("https://hf.co/ns/name", "ns/name", Model, None),
            ("ns/name", "ns/name", Model, None),
            ("gpt2", "gpt2", Model, None),
            ("datasets/squad", "squad", Dataset, None),
            ("datasets/ns/name", "ns/name", Dataset, None),
            ("spaces/ns/name", "ns/name", Space, None),
            ("hf://ns/name", "ns/name", Model, None),
            (
                "hf://datasets/ns/name@v1/data/x.csv",
                "ns/name",
                Dataset,
                Some("v1"),
            ),
            (
                "hf://ns/name@refs/pr/7/x",
                "ns/name",
                Model,
                Some("refs/pr/7"),
            ),
            (
                "hf://ns/name@feature%2Fx",
                "ns/name",
                Model,
                Some("feature/x"),
            ),
            ("httpx/model", "httpx/model", Model, None),
            (
                "https://user:tok@huggingface.co/ns/name",
                "ns/name",
                Model,
                None,
            ),
        ] {
            assert_eq!(
                hub(text),
                (id.into(), repo_type, revision.map(Into::into)),
                "{text}"
            );
        }
    }

    #[test]
    fn other_places_pass_through() {
        let at = |text| {
            parse(text, &Endpoint::default(), None)
                .expect(text)
                .location
        };
        assert!(matches!(at("/srv/git/x.git"), Location::Folder(_)));
        assert_eq!(at("file:///srv/a%20b"), Location::Folder("/srv/a b".into()));
        assert!(matches!(at("./ns"), Location::Folder(_)));
        assert!(matches!(
            at("https://git.example/ns/name"),
            Location::Http(_)
        ));
        assert!(matches!(
            at("https://huggingface.co.evil.example/ns/name"),
            Location::Http(_)
        ));
        for text in [
            "http://huggingface.co/ns/name",
            "https://hf.co:8443/ns/name",
        ] {
            assert!(matches!(at(text), Location::Http(_)), "{text}");
        }
        assert!(matches!(at("git@hf.co:ns/name"), Location::Ssh(_)));
        for text in [
            "ssh://git@hf.co/ns/name",
            "git+ssh://git@hf.co/ns/name",
            "alice@host:~/models/m.git",
            "alice@[::1]:m.git",
        ] {
            assert!(matches!(at(text), Location::Ssh(_)), "{text}");
        }
    }

    #[test]
    fn an_endpoint_with_a_port_and_a_path_is_recognised() {
        let endpoint: Endpoint = "http://127.0.0.1:8080/hub".parse().expect("valid");
        let at = |text| parse(text, &endpoint, None).expect(text).location;
        assert!(matches!(
            at("http://127.0.0.1:8080/hub/ns/name"),
            Location::Hub { .. }
        ));
        assert!(matches!(
            at("http://127.0.0.1:8080/ns/name"),
            Location::Http(_)
        ));
        assert!(matches!(
            at("https://huggingface.co/ns/name"),
            Location::Http(_)
        ));
    }

    #[test]
    fn contradictions_and_nonsense_are_errors() {
        let fails = |text: &str, kind| {
            let error = parse(text, &Endpoint::default(), kind).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidSource, "{text}");
            assert!(error.hint().is_some());
            assert!(!error.to_string().contains("s3cret"), "{error}");
        };
        fails("https://huggingface.co/ns/name", Some(RepoType::Dataset));
        fails("datasets/ns/name", Some(RepoType::Space));
        fails("", None);
        fails("a/b/c", None);
        fails("ns/na me", None);
        fails("ftp://u:s3cret@host/x", None);
        fails("https://u:s3cret@ho st/x", None);
        fails("u:s3cret@host:x", None);
        fails("-oProxyCommand=x@host:x", None);
        fails("https://huggingface.co/", None);
        fails("hf.co/hf.co/name", None);
        fails("hf://huggingface.co/name", None);
        let typed = parse("ns/name", &Endpoint::default(), Some(RepoType::Dataset)).expect("fine");
        assert!(matches!(
            typed.location,
            Location::Hub {
                repo_type: RepoType::Dataset,
                ..
            }
        ));
    }
}
