//! The file of git's `store` helper: one login a line, as a URL.
//!
//! What is written is what <https://git-scm.com/docs/git-credential-store> writes: every byte that is
//! not unreserved in RFC 3986 by a percent sign, that of the port's colon included, in small letters;
//! the newest line first. Lines that are no logins stay as they are.

use std::path::PathBuf;
use std::time::Duration;

use super::protocol::{Record, parse_url};
use crate::env;
use crate::error::Result;
use crate::fs;
use crate::secret::Token;

/// How long to wait for another program at the file; git's `credentialStore.lockTimeoutMS`.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Files of the `store` helper, the first of them the one for new logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    files: Vec<PathBuf>,
}

impl Store {
    /// This file, and no other.
    pub(super) fn at(file: PathBuf) -> Self {
        Self { files: vec![file] }
    }

    /// `~/.git-credentials`, and `git/credentials` in the user's folder for configuration.
    pub(super) fn of_user() -> Self {
        let home = env::var("HOME").map(PathBuf::from);
        let own = home.as_ref().map(|home| home.join(".git-credentials"));
        let folder = env::var("XDG_CONFIG_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| Some(home?.join(".config")));
        let configured = folder.map(|folder| folder.join("git").join("credentials"));
        Self {
            files: own.into_iter().chain(configured).collect(),
        }
    }

    /// The helper `store` with its arguments, if that is what a line of the config means. One that wants
    /// a shell to be understood is none.
    pub(super) fn named(helper: &str) -> Option<Self> {
        let mut words = helper.split_ascii_whitespace();
        if words.next()? != "store"
            || helper.contains(['\'', '"', '\\', '$', '`', ';', '&', '|', '*'])
        {
            return None;
        }
        let argument = words.next();
        let file = match argument.map(|argument| argument.strip_prefix("--file")) {
            None => return Some(Self::of_user()),
            Some(None) => return None,
            // Of a tilde only the shell knows, and that at a word's beginning.
            Some(Some("")) => env::expand(words.next()?),
            Some(Some(rest)) => PathBuf::from(rest.strip_prefix('=')?),
        };
        words.next().is_none().then(|| Self::at(file))
    }

    /// The first login that fits.
    pub(super) fn get(&self, asked: &Record) -> Result<Option<Record>> {
        for file in &self.files {
            let text = fs::read_if_exists(file)?.unwrap_or_default();
            let found = logins(&text).find(|login| fits(asked, login, Password::Any));
            if let Some(found) = found {
                return Ok(Some(Record {
                    username: found.username,
                    password: found.password,
                    ..Record::default()
                }));
            }
        }
        Ok(None)
    }

    /// Puts a login on top, in place of those it fits; one without a name or a password is not kept.
    pub(super) fn store(&self, login: &Record) -> Result<()> {
        let Some(line) = line(login) else {
            return Ok(());
        };
        let there = self.files.iter().find(|file| file.exists());
        let Some(file) = there.or(self.files.first()) else {
            return Ok(());
        };
        fs::change_private(file, LOCK_WAIT, |old| {
            let mut new = format!("{line}\n").into_bytes();
            new.extend(without(&old, login, Password::Any));
            Some(new)
        })
    }

    /// Removes the logins that fit, the password included where one is given.
    pub(super) fn erase(&self, login: &Record) -> Result<()> {
        if login.protocol.is_none() && login.host.is_none() && login.username.is_none() {
            return Ok(());
        }
        for file in self.files.iter().filter(|file| file.exists()) {
            fs::change_private(file, LOCK_WAIT, |old| {
                let new = without(&old, login, Password::Same);
                (new != old).then_some(new)
            })?;
        }
        Ok(())
    }
}

/// Whether the password matters when two logins are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Password {
    Any,
    Same,
}

/// Whether all that is wanted is so in what there is.
fn fits(wanted: &Record, login: &Record, password: Password) -> bool {
    fn same<T: PartialEq>(wanted: &Option<T>, login: &Option<T>) -> bool {
        wanted.is_none() || wanted == login
    }
    same(&wanted.protocol, &login.protocol)
        && same(&wanted.host, &login.host)
        && same(&wanted.path, &login.path)
        && same(&wanted.username, &login.username)
        && (password == Password::Any || same(&wanted.password, &login.password))
}

pub(super) fn login(line: &[u8]) -> Option<Record> {
    let record = parse_url(std::str::from_utf8(line).ok()?).ok()?;
    (record.username.is_some() && record.password.is_some()).then_some(record)
}

fn logins(text: &[u8]) -> impl Iterator<Item = Record> {
    text.split(|byte| *byte == b'\n').filter_map(login)
}

/// The text without the lines that fit.
pub(super) fn without(text: &[u8], wanted: &Record, password: Password) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    // What is behind the last line end is no line.
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let mut kept = Vec::new();
    for line in lines {
        if !login(line).is_some_and(|login| fits(wanted, &login, password)) {
            kept.extend_from_slice(line);
            kept.push(b'\n');
        }
    }
    kept
}

pub(super) fn line(login: &Record) -> Option<String> {
    let (protocol, host) = (login.protocol.as_deref()?, login.host.as_deref()?);
    let (user, password) = (login.username.as_deref()?, login.password.as_ref()?);
    let mut line = format!("{protocol}://");
    encode(&mut line, user, "");
    line.push(':');
    encode(&mut line, Token::expose(password), "");
    line.push('@');
    encode(&mut line, host, "");
    if let Some(path) = &login.path {
        line.push('/');
        encode(&mut line, path, "!*'();:@&=+$,/?#[]");
    }
    Some(line)
}

fn encode(line: &mut String, text: &str, also: &str) {
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(c) || also.contains(c) {
            line.push(c);
        } else {
            line.push_str(&format!("%{byte:02x}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(url: &str) -> Record {
        parse_url(url).expect(url)
    }

    #[test]
    fn lines_are_written_as_git_writes_them() {
        for (url, expected) in [
            (
                "http://hf_user:hf_x%2Fy@127.0.0.1:8080",
                "http://hf_user:hf_x%2fy@127.0.0.1%3a8080",
            ),
            (
                "https://a%40b:%C3%A4%20~@[::1]:1/x%20y/z",
                "https://a%40b:%c3%a4%20~@%5b%3a%3a1%5d%3a1/x%20y/z",
            ),
        ] {
            let record = record(url);
            assert_eq!(line(&record).as_deref(), Some(expected));
            assert_eq!(login(expected.as_bytes()), Some(record));
        }
        assert_eq!(line(&record("https://h")), None);
        assert_eq!(line(&record("https://u@h")), None);
    }

    #[test]
    fn the_newest_is_on_top_and_what_is_no_login_stays() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("f");
        let store = Store::at(file.clone());
        let text = || std::fs::read_to_string(&file).expect("there");
        store.store(&record("https://a:1@h")).expect("stored");
        std::fs::write(&file, format!("# mine\n{}https://b:2@h", text())).expect("written");
        store.store(&record("https://a:3@h")).expect("stored");
        assert_eq!(text(), "https://a:3@h\n# mine\nhttps://b:2@h\n");
        let get = |url: &str| {
            let found = store.get(&record(url)).expect("readable");
            found.map(|found| found.password.expect("there").expose().to_owned())
        };
        assert_eq!(get("https://h").as_deref(), Some("3"));
        assert_eq!(get("https://b@h").as_deref(), Some("2"));
        assert_eq!(get("http://h"), None);
        assert_eq!(get("https://h:8443"), None);
        // Another password is another login.
        store.erase(&record("https://b:9@h")).expect("erased");
        assert_eq!(get("https://b@h").as_deref(), Some("2"));
        store.erase(&record("https://h")).expect("erased");
        assert_eq!(text(), "# mine\n");
        store.erase(&Record::default()).expect("nothing");
        assert_eq!(text(), "# mine\n");
    }

    #[test]
    fn the_helper_is_known_by_its_name() {
        let home = PathBuf::from(env::var("HOME").expect("tests have a home"));
        let at = |path: &str| Some(Store::at(PathBuf::from(path)));
        assert_eq!(Store::named("store"), Some(Store::of_user()));
        assert_eq!(Store::named("store --file /a/b"), at("/a/b"));
        assert_eq!(Store::named("store --file=/a/b"), at("/a/b"));
        let own = Store::named("store --file ~/x");
        assert_eq!(own, Some(Store::at(home.join("x"))));
        for other in [
            "cache",
            "!store",
            "store --fil x y",
            "store --file '/a b'",
            "store x",
            "",
        ] {
            assert_eq!(Store::named(other), None, "{other}");
        }
    }
}
