//! Where the config says that the LFS server is.
//!
//! Order and keys are git-lfs's: `lfs.pushurl` (for uploads), `lfs.url`, `remote.<name>.lfspushurl`
//! (for uploads), `remote.<name>.lfsurl`; without any, the server is found from the git URL.

use std::path::PathBuf;

use crate::config::{Config, Entry, Use, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::source::without_password;
use crate::url::{Url, Userinfo};

/// An LFS server as the config names it.
#[derive(Debug)]
pub(crate) enum Endpoint {
    /// Credentials only where the user wrote them, never from `.lfsconfig`.
    Http(Url, Option<Userinfo>),
    /// A repository on this machine.
    Folder(PathBuf),
    /// An address for ssh, without a password.
    Ssh(String),
}

/// The LFS server for `remote`, if the config names one.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the value is no address, or is one of this machine that the
/// repository itself asks for.
pub(crate) fn configured(config: &Config, remote: &str, usage: Use) -> Result<Option<Endpoint>> {
    let keys = [
        (Use::Push, "lfs.pushurl".to_owned()),
        (Use::Fetch, "lfs.url".to_owned()),
        (Use::Push, format!("remote.{remote}.lfspushurl")),
        (Use::Fetch, format!("remote.{remote}.lfsurl")),
    ];
    let entry = keys
        .iter()
        .filter(|(wanted, _)| *wanted == Use::Fetch || usage == Use::Push)
        .filter_map(|(_, key)| config.find(key))
        .find(|entry| !entry.value.is_empty());
    entry.map(|entry| read(config, entry, usage)).transpose()
}

fn read(config: &Config, entry: &Entry, usage: Use) -> Result<Endpoint> {
    let rewritten = config.rewritten(&entry.value, usage);
    // What the user's own rules made of it, the user asked for.
    let own = entry.writer == Writer::User || rewritten.is_some();
    let address = rewritten.as_deref().unwrap_or(&entry.value);
    let file = match entry.writer {
        Writer::User => "git's config",
        Writer::Repository => ".lfsconfig",
    };
    let what = format!("{} in {file}", crate::secret::printable(&entry.key));
    let refuse = |why: &str, hint: &str| {
        // The address is not echoed: it may hold a password.
        Err(Error::new(ErrorKind::InvalidInput, format!("{what} {why}")).with_hint(hint.to_owned()))
    };
    let path = address
        .strip_prefix("file://")
        .or_else(|| address.starts_with('/').then_some(address));
    if let Some(path) = path {
        if !own {
            return refuse(
                "names a folder of this machine, and a repository must not do that",
                "if you trust it, set the same key with: git config",
            );
        }
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        return Ok(Endpoint::Folder(PathBuf::from(path.into_owned())));
    }
    if let Ok((url, userinfo)) = Url::parse_with_userinfo(address) {
        if url.is_http() {
            let url = url.with_path(url.path().trim_end_matches('/'));
            return Ok(Endpoint::Http(url, userinfo.filter(|_| own)));
        }
        if matches!(url.scheme(), "ssh" | "git+ssh" | "ssh+git") {
            return Ok(Endpoint::Ssh(without_password(address)));
        }
    } else if let Some((host, _)) = address.split_once(':')
        && host.contains('@')
        && !host.contains('/')
    {
        return Ok(Endpoint::Ssh(without_password(address)));
    }
    refuse(
        "is no address of an LFS server",
        "an address looks like https://host/user/name.git/info/lfs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(lines: &[(&str, &str, Writer)], usage: Use) -> Result<Option<Endpoint>> {
        let mut config = Config::default();
        for (key, value, writer) in lines {
            config.push(key, value, *writer);
        }
        configured(&config, "origin", usage)
    }

    fn url(lines: &[(&str, &str, Writer)], usage: Use) -> Option<String> {
        match find(lines, usage).expect("valid") {
            Some(Endpoint::Http(url, _)) => Some(url.to_full()),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    use Writer::{Repository, User};

    #[test]
    fn keys_count_in_the_order_of_git_lfs() {
        let all = [
            ("remote.origin.lfsurl", "https://4/", User),
            ("remote.origin.lfspushurl", "https://3/x/", User),
            ("lfs.url", "https://2/x", User),
            ("lfs.pushurl", "https://1", User),
        ];
        for (count, push, fetch) in [
            (4, Some("https://1"), Some("https://2/x")),
            (3, Some("https://2/x"), Some("https://2/x")),
            (2, Some("https://3/x"), Some("https://4")),
            (1, Some("https://4"), Some("https://4")),
            (0, None, None),
        ] {
            assert_eq!(url(&all[..count], Use::Push).as_deref(), push, "{count}");
            assert_eq!(url(&all[..count], Use::Fetch).as_deref(), fetch, "{count}");
        }
        assert_eq!(
            url(
                &[
                    ("remote.other.lfsurl", "https://x", User),
                    ("lfs.url", "", User)
                ],
                Use::Fetch
            ),
            None
        );
    }

    #[test]
    fn addresses_are_rewritten() {
        let lines = [
            ("lfs.url", "lfs:a/b", Repository),
            ("url.https://fetch/.insteadOf", "lfs:", User),
            ("url.https://push/.pushInsteadOf", "lfs:", User),
        ];
        assert_eq!(
            url(&lines, Use::Fetch).as_deref(),
            Some("https://fetch/a/b")
        );
        assert_eq!(url(&lines, Use::Push).as_deref(), Some("https://push/a/b"));
    }

    #[test]
    fn a_repository_names_no_folder_and_no_credentials() {
        for address in ["file:///srv/x", "/srv/x"] {
            let found = find(&[("lfs.url", address, User)], Use::Fetch).expect("valid");
            assert!(matches!(found, Some(Endpoint::Folder(path)) if path == *"/srv/x"));
            let error = find(&[("lfs.url", address, Repository)], Use::Fetch).expect_err(address);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.to_string().contains("lfs.url in .lfsconfig"),
                "{error}"
            );
        }
        let mine = find(&[("lfs.url", "https://u:s3cret@h/x", User)], Use::Fetch).expect("valid");
        assert!(matches!(mine, Some(Endpoint::Http(_, Some(_)))));
        let theirs = find(
            &[("lfs.url", "https://u:s3cret@h/x", Repository)],
            Use::Fetch,
        )
        .expect("valid");
        assert!(matches!(theirs, Some(Endpoint::Http(_, None))));
    }

    #[test]
    fn nonsense_names_its_key() {
        for address in [
            "x",
            "../x",
            "./info/lfs",
            "ftp://u:s3cret@h/x",
            "https://",
            "u:s3cret/x",
            "c:\\x",
        ] {
            for writer in [User, Repository] {
                let error = find(&[("lfs.url", address, writer)], Use::Fetch).expect_err(address);
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
                assert!(error.to_string().contains("lfs.url"), "{error}");
                assert!(error.hint().is_some() && !error.to_string().contains("s3cret"));
            }
        }
        for address in ["git@h:a/b", "ssh://git@h/a/b"] {
            let found = find(&[("lfs.url", address, User)], Use::Fetch).expect("valid");
            assert!(matches!(found, Some(Endpoint::Ssh(_))), "{address}");
        }
    }
}
