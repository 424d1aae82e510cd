//! When two addresses name one repository, however each is spelt.

use std::path::{Path, PathBuf};

use super::{Location, decode, is_hub_host, parse_web_path};
use crate::id::{Endpoint, RepoType};

/// Who logs in where a path is a name of the server's, and the same for every protocol. The paths of
/// other users are those of files.
const FORGE_USER: &str = "git";

impl Location {
    /// Whether both name the same repository.
    ///
    /// `.git` and `/` at the end say nothing; nor do a host's aliases, the case of a host or of an id of
    /// the Hub, and whether it is ssh or https, as far as it is known what the paths stand for. Plain http
    /// is another way: what goes there can be read and changed by others.
    pub(crate) fn is_same_place(&self, other: &Self, endpoint: &Endpoint) -> bool {
        match (self, other) {
            (Self::Folder(one), Self::Folder(two)) => real(one) == real(two),
            (Self::Ssh(one), Self::Ssh(two)) if bare(one) == bare(two) => true,
            _ => match (self.served(endpoint), other.served(endpoint)) {
                (Some(one), Some(two)) => one == two,
                _ => false,
            },
        }
    }

    /// Where a server has it; `None` if another spelling cannot be told from another repository.
    fn served(&self, endpoint: &Endpoint) -> Option<Served> {
        match self {
            Self::Folder(_) => None,
            Self::Hub { id, repo_type } => Some(Served::on_hub(&id.to_string(), *repo_type)),
            Self::Http(url) => {
                let port = url
                    .authority()
                    .rsplit_once(':')
                    .map(|(_, port)| port.to_owned());
                let port = port.filter(|_| !url.is_at_default_port());
                let plain = !url.is_https();
                Some(Served::elsewhere(url.host(), port, plain, url.path()))
            }
            Self::Ssh(text) => {
                let (user, host, path) = ssh_parts(text)?;
                let own = endpoint.url().host();
                if is_hub_host(host, endpoint) || host.eq_ignore_ascii_case(own) {
                    return Served::by_path(path);
                }
                (user == FORGE_USER).then(|| Served::elsewhere(host, None, false, path))
            }
        }
    }
}

/// A repository on a server.
#[derive(PartialEq, Eq)]
enum Served {
    /// Its id in small letters: the Hub has no two that differ in case alone.
    Hub(String, RepoType),
    Elsewhere {
        host: String,
        /// An unusual one of HTTP; that of ssh says nothing of others.
        port: Option<String>,
        /// By http.
        plain: bool,
        path: String,
    },
}

impl Served {
    fn on_hub(id: &str, repo_type: RepoType) -> Self {
        Self::Hub(id.to_ascii_lowercase(), repo_type)
    }

    fn by_path(path: &str) -> Option<Self> {
        match parse_web_path(path.to_owned(), path, None).ok()?.location {
            Location::Hub { id, repo_type } => Some(Self::on_hub(&id.to_string(), repo_type)),
            _ => None,
        }
    }

    fn elsewhere(host: &str, port: Option<String>, plain: bool, path: &str) -> Self {
        let path = decode(path);
        Self::Elsewhere {
            host: host.to_ascii_lowercase(),
            port,
            plain,
            path: bare(path.trim_start_matches('/')).to_owned(),
        }
    }
}

/// An address without what git adds to it, or does not miss.
fn bare(text: &str) -> &str {
    let text = text.trim_end_matches('/');
    text.strip_suffix(".git").unwrap_or(text)
}

/// A repository on this machine, found as git finds it: `x` may stand for `x.git`.
fn real(path: &Path) -> PathBuf {
    let with_suffix = PathBuf::from(format!("{}.git", path.display()));
    let found = [path, &with_suffix]
        .into_iter()
        .find_map(|path| path.canonicalize().ok());
    let found = found.unwrap_or_else(|| path.to_path_buf());
    // The git folder of a repository with a work tree stands for it.
    match found.parent() {
        Some(parent) if found.ends_with(".git") => parent.to_path_buf(),
        _ => found,
    }
}

/// User, host and path of `ssh://user@host:port/path` and of `user@host:path`.
fn ssh_parts(text: &str) -> Option<(&str, &str, &str)> {
    if let Some((_, rest)) = text.split_once("://") {
        let (authority, path) = rest.split_at(rest.find('/')?);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let port = host.rfind(':').filter(|at| !host[*at..].contains(']'));
        return Some((user, &host[..port.unwrap_or(host.len())], path));
    }
    let (user, rest) = text.split_once('@')?;
    let (host, path) = rest.split_once(':')?;
    Some((user, host, path))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn same(one: &str, two: &str) -> bool {
        let endpoint = Endpoint::default();
        let at = |text| parse(text, &endpoint, None).expect(text).location;
        let found = at(one).is_same_place(&at(two), &endpoint);
        assert_eq!(
            at(two).is_same_place(&at(one), &endpoint),
            found,
            "{one} {two}"
        );
        found
    }

    #[test]
    fn spellings_of_one_repository() {
        let hub = [
            "ns/name",
            "NS/Name",
            "https://huggingface.co/ns/name",
            "https://huggingface.co/ns/name.git/",
            "https://hf.co/ns/name",
            "https://HF.co:443/ns/name",
            "https://user:hf_x@huggingface.co/ns/name",
            "hf://ns/name@v1",
            "git@hf.co:ns/name",
            "git@hf.co:ns/name.git",
            "ssh://git@hf.co/ns/name",
            "ssh://git@huggingface.co:22/ns/name.git",
        ];
        let forge = [
            "https://git.example/team/m",
            "https://Git.Example/team/m.git",
            "https://git.example:443/team/m/",
            "git@git.example:team/m.git",
            "ssh://git@git.example:2222/team/m",
        ];
        for names in [&hub[..], &forge[..]] {
            for (one, two) in names
                .iter()
                .flat_map(|one| names.iter().map(move |two| (one, two)))
            {
                assert!(same(one, two), "{one} {two}");
            }
        }
        assert!(same("alice@[::1]:m.git", "alice@[::1]:m/"));
    }

    #[test]
    fn what_only_looks_alike() {
        for (one, two) in [
            ("ns/name", "ns/name2"),
            ("ns/name", "datasets/ns/name"),
            ("ns/name", "https://huggingface.co:8443/ns/name"),
            ("ns/name", "https://huggingface.co.evil.example/ns/name"),
            ("ns/name", "git@hf.co:datasets/ns/name"),
            ("ns/name", "./ns/name"),
            ("ns/name", "http://huggingface.co/ns/name"),
            ("git@git.example:team/m", "http://git.example/team/m"),
            ("https://git.example/team/m", "https://git.example/team/M"),
            (
                "https://git.example/team/m",
                "https://git.example:8443/team/m",
            ),
            ("https://git.example/team/m", "alice@git.example:team/m"),
            ("alice@host:m", "bob@host:m"),
            ("alice@host:m", "ssh://alice@host/m"),
            ("git@h:a/b", "git@h:a/c"),
            ("git@h:a/b", "/a/b"),
        ] {
            assert!(!same(one, two), "{one} {two}");
        }
    }

    #[test]
    fn folders_are_found_as_git_finds_them() {
        let folder = tempfile::tempdir().expect("temp");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        std::fs::create_dir_all(folder.path().join("bare.git")).expect("made");
        std::fs::create_dir_all(folder.path().join("work/.git")).expect("made");
        std::os::unix::fs::symlink("work", folder.path().join("link")).expect("linked");
        for (one, two) in [
            ("bare.git", "bare"),
            ("bare.git", "bare.git/"),
            ("work", "link"),
            ("work", "work/.git"),
            ("none", "none"),
        ] {
            assert!(same(&at(one), &at(two)), "{one} {two}");
        }
        assert!(!same(&at("bare.git"), &at("work")));
    }
}
