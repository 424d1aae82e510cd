//! Logins in `~/.netrc`, the file of curl and so of git and git-lfs.
//!
//! Format: <https://everything.curl.dev/usingcurl/netrc.html>. The variable `NETRC` names another
//! file, as for curl since 8.16. An entry names a host, neither scheme nor port, and the address that is
//! asked about may be a stranger's idea, by a `.lfsconfig` or a redirect: so it counts where it is
//! certain that the host itself is asked. The entry `default` is left out: a password for whoever asks
//! is one for whoever wants it.

use std::iter::Peekable;
use std::path::PathBuf;
use std::str::Chars;

use crate::cancel::CancelToken;
use crate::env;
use crate::error::Result;
use crate::fs;
use crate::http::{LoginSource, Offer, PlainHttp, Wanted};
use crate::secret::Login;
use crate::url::{Origin, Url};

/// Bytes of a file that are looked at.
const MOST: u64 = 1 << 20;

/// The user's netrc file.
#[derive(Debug)]
pub(crate) struct Netrc {
    /// The Hub, whose tokens are kept elsewhere.
    pub(crate) hub: Url,
    /// Where the clone's own remote is: the one place that may have any port.
    pub(crate) own: Vec<Origin>,
    pub(crate) plain: PlainHttp,
}

impl Netrc {
    fn is_for(&self, url: &Url) -> bool {
        url.host() != self.hub.host()
            && self.plain.allows(url)
            && (url.is_at_default_port() || self.own.contains(&url.origin()))
    }
}

impl LoginSource for Netrc {
    fn name(&self) -> &'static str {
        "netrc"
    }

    fn serves(&self, url: &Url) -> bool {
        self.is_for(url) && file().is_some_and(|file| file.exists())
    }

    fn get(&self, wanted: &Wanted, _cancel: &CancelToken) -> Result<Option<Offer>> {
        let Some(file) = file() else { return Ok(None) };
        let text = match fs::read_start_of_link(&file, MOST) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "the netrc file is left out");
                return Ok(None);
            }
        };
        let text = String::from_utf8_lossy(&text);
        let host = wanted.url.host().trim_matches(['[', ']']);
        let login = find(&text, host, wanted.user.as_deref());
        Ok(login.map(Offer::from))
    }
}

fn file() -> Option<PathBuf> {
    let named = env::var("NETRC").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(env::var("HOME")?).join(".netrc")))
}

/// The first login for a host, of that user if one is named.
fn find(text: &str, host: &str, user: Option<&str>) -> Option<Login> {
    // Every line has one before it, then.
    let text = format!("\n{text}");
    let mut words = Words(text.chars().peekable());
    let (mut here, mut name, mut password) = (false, None, None);
    loop {
        let word = words.next();
        let ends = matches!(word.as_deref(), None | Some("machine" | "default"));
        if ends && here {
            let named = name.take().or_else(|| user.map(str::to_owned));
            if let (Some(name), Some(password)) = (named, password.take())
                && user.is_none_or(|user| user == name)
            {
                return Some(Login::new(name, password));
            }
        }
        match word?.as_str() {
            "machine" => {
                here = words
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case(host));
                (name, password) = (None, None);
            }
            "default" => here = false,
            "login" => name = words.next(),
            "password" => password = words.next(),
            "account" => drop(words.next()),
            "macdef" => words.skip_macro(),
            _ => {}
        }
    }
}

/// Words apart by blanks; quoted ones may hold some, and a backslash takes the next character as it is.
/// What follows a `#` that begins a line is a comment.
struct Words<'a>(Peekable<Chars<'a>>);

impl Words<'_> {
    /// A macro ends with an empty line.
    fn skip_macro(&mut self) {
        let mut before = ' ';
        for c in self.0.by_ref() {
            if c == '\n' && before == '\n' {
                return;
            }
            before = c;
        }
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while let Some(blank) = self.0.next_if(|c| c.is_whitespace()) {
            while blank == '\n' && self.0.next_if_eq(&'#').is_some() {
                while self.0.next_if(|c| *c != '\n').is_some() {}
            }
        }
        let quoted = self.0.next_if_eq(&'"').is_some();
        self.0.peek()?;
        let mut word = String::new();
        while let Some(c) = self.0.next_if(|c| quoted || !c.is_whitespace()) {
            match c {
                '"' if quoted => break,
                '\\' if quoted => word.extend(self.0.next()),
                c => word.push(c),
            }
        }
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_the_host_itself_only() {
        let url = |text: &str| Url::parse(text).expect(text);
        let netrc = |plain| Netrc {
            hub: url("https://hub.example"),
            own: vec![url("https://git.example:8443/a").origin()],
            plain,
        };
        for (address, loopback, anywhere) in [
            ("https://git.example/x", true, true),
            ("https://other.example:443", true, true),
            ("https://git.example:8443", true, true),
            ("https://git.example:9999", false, false),
            ("https://other.example:8443", false, false),
            ("http://git.example", false, true),
            ("http://git.example:8443", false, false),
            ("http://localhost", true, true),
            ("http://127.0.0.1:9999", false, false),
            ("https://hub.example:8443", false, false),
            ("http://hub.example", false, false),
            ("https://HUB.example", false, false),
        ] {
            let is_for = |plain| netrc(plain).is_for(&url(address));
            assert_eq!(is_for(PlainHttp::Loopback), loopback, "{address}");
            assert_eq!(is_for(PlainHttp::Anywhere), anywhere, "{address}");
        }
    }

    #[test]
    fn entries_are_found_by_host_and_user() {
        let text = "# mine\nmachine a.example login ann password one\n\
                    machine b.example\n\tlogin bob\n\tpassword \"t w\\\"o\"\n\
                    macdef init\nmachine c.example login eve password no\n\n\
                    machine a.example account x login joe password #three\n\
                    machine d.example password four\ndefault login any password all\n";
        for (host, user, expected) in [
            ("a.example", None, Some(("ann", "one"))),
            ("A.example", Some("joe"), Some(("joe", "#three"))),
            ("a.example", Some("eve"), None),
            ("b.example", None, Some(("bob", "t w\"o"))),
            ("c.example", None, None),
            ("d.example", None, None),
            ("d.example", Some("dan"), Some(("dan", "four"))),
            ("other.example", None, None),
        ] {
            let expected = expected.map(|(user, password)| Login::new(user, password));
            assert_eq!(find(text, host, user), expected, "{host} {user:?}");
        }
        for odd in ["", "machine", "machine a.example login", "\"", "macdef"] {
            assert_eq!(find(odd, "a.example", None), None, "{odd}");
        }
    }
}
