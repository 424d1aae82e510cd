//! Credentials that somebody wrote into a repository's own files: found, and taken out of the text.
//!
//! Older tools cloned from `https://user:token@host`, and git records what it was given: in the config,
//! and in logs of where things came from. Only the text is looked at here, byte by byte, so that all of
//! it that is no credential stays what it is.

use std::ops::Range;
use std::path::PathBuf;

use crate::secret::{fit_to_show, holds_secret};

/// What some editors put at the start of a file; git skips it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A credential that is written in one of a clone's files; what it is, is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedCredential {
    /// The file.
    pub file: PathBuf,
    /// The line in it, counted from 1.
    pub line: usize,
    /// The key, where the file is a config and the line no comment.
    pub key: Option<String>,
    /// The server it is for, `scheme://host[:port]`, where that is known.
    pub origin: Option<String>,
    /// How it is written there.
    pub kind: RecordedKind,
}

/// How a credential is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordedKind {
    /// In the address of a remote or of another server. This is what
    /// [`scrub_remote_credentials`](crate::Repository::scrub_remote_credentials) takes out.
    Address,
    /// In the address of a proxy, which has no other place for it: it is left there.
    Proxy,
    /// As a header that is to be sent, which somebody chose to do: it is left there.
    Header,
    /// In another value, as in a credential helper's words: it is left there.
    Value,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    line: usize,
    key: Option<String>,
    origin: Option<String>,
    kind: RecordedKind,
    /// What to take out; nothing of what is left there.
    cut: Range<usize>,
}

impl Spot {
    pub(crate) fn in_file(self, file: PathBuf) -> RecordedCredential {
        let Self {
            line,
            key,
            origin,
            kind,
            cut: _,
        } = self;
        RecordedCredential {
            file,
            line,
            key,
            origin,
            kind,
        }
    }

    /// Whether it goes with [`without`].
    pub(crate) fn can_go(&self) -> bool {
        self.kind == RecordedKind::Address
    }
}

/// The credentials in the text of a config file.
pub(crate) fn in_config(text: &[u8]) -> Vec<Spot> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut key = None;
    let mut state = Value::default();
    for (number, start, line) in lines(text) {
        // Where the sections' names end.
        let mut body = 0;
        if !state.goes_on {
            if number == 1 && line.starts_with(BYTE_ORDER_MARK) {
                body = BYTE_ORDER_MARK.len();
            }
            while let Some((name, length)) = header(&line[body..]) {
                section = name;
                body += length;
                // An address in the name of the section itself belongs to all keys in it.
                key = Some(section.clone());
            }
            let rest = String::from_utf8_lossy(&line[body..]);
            let rest = rest.trim_start();
            if rest.starts_with(['#', ';']) {
                key = None;
            } else if let Some(name) = rest.split(|c: char| c == '=' || c.is_whitespace()).next()
                && !name.is_empty()
            {
                key = Some(format!("{section}.{}", name.to_ascii_lowercase()));
            }
        }
        let comment = body + state.read(&line[body..]);
        let is = |end: &str| key.as_deref().is_some_and(|key| key.ends_with(end));
        let spot = |key: Option<&str>, kind, origin, cut| Spot {
            line: number,
            key: key.map(fit_to_show),
            origin,
            kind,
            cut,
        };
        let before = found.len();
        for (userinfo, origin) in addresses(line) {
            let in_comment = userinfo.start >= comment;
            let key = key.as_deref().filter(|_| !in_comment);
            // Of `[http "https://…"] proxy = …` in one line the second.
            let in_value = userinfo.start >= body && !in_comment;
            let kind = match in_value {
                true if is(".proxy") => RecordedKind::Proxy,
                true if !key.is_some_and(is_address) => RecordedKind::Value,
                _ => RecordedKind::Address,
            };
            let cut = start + userinfo.start..start + userinfo.end;
            found.push(spot(key, kind, Some(origin), cut));
        }
        let rest = String::from_utf8_lossy(&line[body..]);
        let lower = rest.to_ascii_lowercase();
        if is(".extraheader")
            && ["authorization", "cookie"]
                .iter()
                .any(|name| lower.contains(name))
        {
            let meant_for = section.split_once('.').map_or("", |(_, url)| url);
            let mut addresses = addresses_of(meant_for.as_bytes());
            let origin = addresses.next().map(|(_, origin)| origin);
            let kind = RecordedKind::Header;
            found.push(spot(key.as_deref(), kind, origin, start..start));
        } else if found.len() == before && key.is_some() && holds_secret(&rest) {
            let kind = RecordedKind::Value;
            found.push(spot(key.as_deref(), kind, None, start..start));
        }
    }
    found
}

/// Whether a key's value is the address of a remote or of an LFS server and nothing else. What others
/// hold, commands for example, may not work any more without its password.
fn is_address(key: &str) -> bool {
    let Some((section, rest)) = key.split_once('.') else {
        return false;
    };
    let (has_name, key) = match rest.rsplit_once('.') {
        Some((_, key)) => (true, key),
        None => (false, rest),
    };
    match (section, has_name) {
        ("remote", true) => matches!(key, "url" | "pushurl" | "lfsurl" | "lfspushurl"),
        ("remote", false) => key == "pushdefault",
        ("lfs", false) => matches!(key, "url" | "pushurl"),
        ("url", true) => matches!(key, "insteadof" | "pushinsteadof"),
        ("submodule", true) => key == "url",
        ("branch", true) => matches!(key, "remote" | "pushremote"),
        _ => false,
    }
}

/// How far a value has been read that may go on in the next line.
#[derive(Default)]
struct Value {
    quoted: bool,
    goes_on: bool,
}

impl Value {
    /// Reads a line of it, as git does, and tells where its comment begins, or the line ends.
    fn read(&mut self, line: &[u8]) -> usize {
        let mut quoted = self.goes_on && self.quoted;
        let mut escaped = false;
        let mut comment = line.len();
        for (at, byte) in line.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b'#' | b';' if !quoted => {
                    comment = at;
                    break;
                }
                _ => {}
            }
        }
        // A backslash at the end of a comment is nothing but that.
        *self = Self {
            quoted,
            goes_on: escaped,
        };
        comment
    }
}

/// The credentials in any other text: of addresses alone.
pub(crate) fn in_words(text: &[u8]) -> Vec<Spot> {
    let mut found = Vec::new();
    for (number, start, line) in lines(text) {
        for (userinfo, origin) in addresses(line) {
            found.push(Spot {
                line: number,
                key: None,
                origin: Some(origin),
                kind: RecordedKind::Address,
                cut: start + userinfo.start..start + userinfo.end,
            });
        }
    }
    found
}

/// The text without what can go of the spots found in it.
pub(crate) fn without(text: &[u8], spots: &[Spot]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut done = 0;
    for spot in spots.iter().filter(|spot| spot.can_go()) {
        out.extend_from_slice(&text[done..spot.cut.start]);
        done = spot.cut.end;
    }
    out.extend_from_slice(&text[done..]);
    out
}

/// The number of each line, where it starts, and its bytes without the line end.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut start = 0;
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines.map(move |(number, line)| {
        let at = start;
        start += line.len() + 1;
        (number + 1, at, line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Section and subsection of the header a line starts with, as git joins them, and the header's length.
fn header(line: &[u8]) -> Option<(String, usize)> {
    let open = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
    if line[open] != b'[' {
        return None;
    }
    let (mut name, mut named) = (Vec::new(), false);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.iter().enumerate().skip(open + 1) {
        match byte {
            _ if escaped => {
                name.push(*byte);
                escaped = false;
            }
            b'\\' if quoted => escaped = true,
            b'"' => {
                if !quoted {
                    name = [name.trim_ascii_end(), b"."].concat();
                    name.make_ascii_lowercase();
                    named = true;
                }
                quoted = !quoted;
            }
            b']' if !quoted => {
                if !named {
                    name.make_ascii_lowercase();
                }
                return Some((String::from_utf8_lossy(&name).into_owned(), at + 1));
            }
            byte => name.push(*byte),
        }
    }
    None
}

/// The `user:password@` of each address in a line that has one, with the address's origin.
fn addresses(line: &[u8]) -> impl Iterator<Item = (Range<usize>, String)> {
    addresses_of(line).filter(|(userinfo, _)| !userinfo.is_empty())
}

/// The same of all addresses; of those without a credential it is empty.
fn addresses_of(line: &[u8]) -> impl Iterator<Item = (Range<usize>, String)> {
    let marks = (0..line.len()).filter(|at| line[*at..].starts_with(b"://"));
    marks.map(|mark| {
        let scheme = line[..mark].iter().rev();
        let scheme =
            scheme.take_while(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(byte));
        let scheme = &line[mark - scheme.count()..mark];
        let start = mark + 3;
        let mut end = start;
        while let Some(byte) = line.get(end) {
            match byte {
                // What is escaped in a quotation.
                b'\\' => end += 1,
                b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' => break,
                byte if byte.is_ascii_whitespace() => break,
                _ => {}
            }
            end += 1;
        }
        let authority = &line[start..end.min(line.len())];
        let host = authority
            .iter()
            .rposition(|byte| *byte == b'@')
            .map_or(0, |at| at + 1);
        let (userinfo, rest) = authority.split_at(host);
        let origin = [scheme, b"://", rest].concat();
        let origin = fit_to_show(&String::from_utf8_lossy(&origin));
        let cut = if is_credential(userinfo) { host } else { 0 };
        (start..start + cut, origin)
    })
}

/// Whether a `…@` has a password; a user alone is none, unless a token stands in its place.
fn is_credential(userinfo: &[u8]) -> bool {
    let userinfo = userinfo.strip_suffix(b"@").unwrap_or(userinfo);
    match userinfo.iter().position(|byte| *byte == b':') {
        Some(colon) => colon + 1 < userinfo.len() || holds(&userinfo[..colon]),
        None => holds(userinfo),
    }
}

fn holds(user: &[u8]) -> bool {
    holds_secret(&String::from_utf8_lossy(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "hf_abcdefghijklmnopqrstuvwxyz01234567";

    fn told(spots: &[Spot]) -> Vec<(usize, String, String, RecordedKind)> {
        let told = spots.iter().map(|spot| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (spot.line, text(&spot.key), text(&spot.origin), spot.kind)
        });
        told.collect()
    }

    #[test]
    fn credentials_in_a_config_are_found_and_everything_else_stays() {
        let text = format!(
            "# from https://a:s3@old.example/x\r\n[core]\r\n\tbare = false\n\
             [remote \"origin\"]\n\turl = https://user:{TOKEN}@hub.example/a/b # mine\n\
             \tpushURL = \"https://u:p\\\"s3@hub.example:8443/a\"\n\
             [remote \"up.stream\"]\n\turl = https://{TOKEN}@hub.example/c\n\
             \turl = https://just-a-user@hub.example/d\n\turl = git@host:path\n\
             \tproxy = http://u:s3@proxy.example:3128\n\
             [url \"https://ci:s3@hub.example/\"] insteadOf = https://hub.example/\n\
             [lfs \"https://user:s3@hub.example/a/b.git/info/lfs\"]\n\taccess = basic\n\
             [http \"https://hub.example\"]\n\textraHeader = AUTHORIZATION: basic eDpz\n\
             [LFS]\n\turl=https://[::1]:8080/x\n\tlocksverify = \\\n\tfalse\n\
             [credential]\n\thelper = \"!f() {{ echo password={TOKEN}; }}; f\"\n\
             [remote.old]\n\turl = ssh://git:s3@hub.example/x"
        );
        let spots = in_config(text.as_bytes());
        let hub = "https://hub.example";
        use RecordedKind::{Address, Header, Proxy, Value};
        let expected = [
            (1, "", "https://old.example", Address),
            (5, "remote.origin.url", hub, Address),
            (
                6,
                "remote.origin.pushurl",
                "https://hub.example:8443",
                Address,
            ),
            (8, "remote.up.stream.url", hub, Address),
            (
                11,
                "remote.up.stream.proxy",
                "http://proxy.example:3128",
                Proxy,
            ),
            (12, "url.https://hub.example/.insteadof", hub, Address),
            (13, "lfs.https://hub.example/a/b.git/info/lfs", hub, Address),
            (16, "http.https://hub.example.extraheader", hub, Header),
            (22, "credential.helper", "", Value),
            (24, "remote.old.url", "ssh://hub.example", Address),
        ]
        .map(|(line, key, origin, kind)| (line, key.to_owned(), origin.to_owned(), kind));
        assert_eq!(told(&spots), expected);
        let clean = String::from_utf8(without(text.as_bytes(), &spots)).expect("text");
        let mut by_hand = text;
        for part in ["a:s3@", "ci:s3@", "user:s3@", "git:s3@", "u:p\\\"s3@"] {
            by_hand = by_hand.replace(part, "");
        }
        by_hand = by_hand.replace(&format!("user:{TOKEN}@"), "");
        by_hand = by_hand.replace(&format!("{TOKEN}@"), "");
        assert_eq!(clean, by_hand);
        assert!(
            in_config(clean.as_bytes())
                .iter()
                .all(|spot| !spot.can_go())
        );
    }

    #[test]
    fn of_values_only_addresses_are_changed() {
        let address = "https://u:s3@h.example/x";
        let left = [
            format!("[credential]\nhelper = \"!curl -s {address}\""),
            format!("[lfs \"customtransfer.x\"]\nargs = {address}"),
            format!("[alias]\nx = !curl {address}"),
            format!("[filter \"url\"]\nclean = curl {address}"),
            format!("[core]\nsshCommand = ssh \\\n {address}"),
            format!("[remote]\nurl = {address}"),
            format!("[other \"remote.x\"]\nurl = {address}"),
        ];
        // Bytes that are no text count as what they are, not as what they are shown as.
        let odd = [
            &b"[a \"\xff\xff\xff\xff\xff\xff\xff\"] x = "[..],
            address.as_bytes(),
        ]
        .concat();
        for text in left.iter().map(|text| text.as_bytes()).chain([&odd[..]]) {
            let told = told(&in_config(text));
            let kinds: Vec<_> = told.iter().map(|told| told.3).collect();
            assert_eq!(kinds, [RecordedKind::Value], "{told:?}");
            assert_eq!(told[0].2, "https://h.example");
        }
        let goes = [
            format!("\u{feff}[remote \"a.b\"]\nPushUrl = {address}"),
            format!("[x] [remote \"a\"] lfspushurl = {address}"),
            format!("[lfs]\npushurl = {address}"),
            format!("[url \"x\"]\npushInsteadOf = {address}"),
            format!("[submodule \"a\"]\nurl = \\\n{address}"),
            format!("[branch \"a\"]\npushRemote = {address}"),
            format!("[alias]\nx = \"!y #\" # {address}"),
            format!("[credential \"{address}\"] helper = x"),
        ];
        for text in goes {
            let spots = in_config(text.as_bytes());
            assert_eq!(
                without(text.as_bytes(), &spots),
                text.replace("u:s3@", "").as_bytes()
            );
        }
    }

    #[test]
    fn comments_do_not_go_on() {
        let before = [
            "# C:\\",
            "[x] ; \\",
            "[x]\ny = \"a#b\" # C:\\",
            "[x]\ny = a\\\n b # \\\\\\",
        ];
        for before in before {
            let text = format!("{before}\r\n[remote \"a\"]\nurl = https://u:s3@h.example/x");
            let told = told(&in_config(text.as_bytes()));
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            assert_eq!(
                (&*told[0].1, told[0].3),
                ("remote.a.url", RecordedKind::Address)
            );
            let text = text.replace("\n[remote \"a\"]\nurl", "\n[remote \"a\"] url");
            let spots = in_config(text.as_bytes());
            assert_eq!(spots[0].key.as_deref(), Some("remote.a.url"), "{text}");
        }
        let text = "[x]\ny = \"a\\\n # b\\\n[remote \\\"a\\\"] url = https://u:s3@h.example/x\"";
        let told = told(&in_config(text.as_bytes()));
        assert_eq!((&*told[0].1, told[0].3), ("x.y", RecordedKind::Value));
    }

    #[test]
    fn credentials_in_other_texts_are_found() {
        let text = b"0 1 A <a@h> 1 +0\tclone: from https://u:s3@hub.example/a\n\xff x://y@h\n";
        let spots = in_words(text);
        assert_eq!(spots.len(), 1);
        let clean = b"0 1 A <a@h> 1 +0\tclone: from https://hub.example/a\n\xff x://y@h\n";
        assert_eq!(without(text, &spots), clean);
    }
}
