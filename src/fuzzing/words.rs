//! Addresses: what is secret in them stays so.

use std::error::Error as _;

use crate::error::Error;
use crate::id::{Endpoint, RepoType};
use crate::probe::parts;
use crate::secret::{
    CutAt, SecretText, fit_to_show, fit_to_show_cut, fit_to_show_end, holds_secret, printable,
};
use crate::source::{self, Location};
use crate::url::Url;

/// Recognisable, and made of characters that nothing escapes.
const SECRET: &str = "S3CRETs3cret";

/// How the addresses with passwords begin.
const SCHEMES: [&str; 7] = [
    "https://",
    "http://",
    "hf://",
    "ssh://",
    "git+ssh://",
    "ftp://",
    "",
];

/// User, what stands around the secret in the password, and the rest behind a scheme, which the first
/// byte chooses. As in every URL, what would end the host's part is not in the password.
fn address(data: &[u8]) -> Option<String> {
    // Nor with anything between its letters that is not shown.
    if printable(&String::from_utf8_lossy(data)).contains(SECRET) {
        return None;
    }
    let scheme = data.first().map_or(0, |first| usize::from(*first)) % SCHEMES.len();
    let scheme = SCHEMES[scheme];
    let [_, user, before, after, rest] = parts(data);
    let user = user.replace(['/', '?', '#', ':', '@'], "_");
    let [before, after] = [before, after].map(|part| part.replace(['/', '?', '#'], "_"));
    Some(format!("{scheme}{user}:{before}{SECRET}{after}@{rest}"))
}

fn assert_hidden(what: &str, text: &str) {
    assert!(!text.contains(SECRET), "{what} shows the secret: {text}");
}

fn assert_error_hides(error: &Error) {
    assert_hidden("Display", &error.to_string());
    assert_hidden("Debug", &format!("{error:?}"));
    assert_hidden("the hint", error.hint().unwrap_or_default());
    let mut next = error.source();
    while let Some(cause) = next {
        assert_hidden("a cause", &format!("{cause} {cause:?}"));
        next = cause.source();
    }
}

pub(super) fn source(data: &[u8]) {
    let own: Endpoint = "http://127.0.0.1:8080/hub".parse().expect("an endpoint");
    for endpoint in [&Endpoint::default(), &own] {
        for repo_type in [None, Some(RepoType::Dataset)] {
            // Any text at all.
            if let Ok(text) = std::str::from_utf8(data) {
                match source::parse(text, endpoint, repo_type) {
                    Ok(found) => assert_is_itself(&found.location, endpoint),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
            // One with a password; what starts like a path is one, and paths have no passwords.
            let Some(text) = address(data) else { continue };
            if text.starts_with(['/', '.', '~']) || text.starts_with("file://") {
                continue;
            }
            match source::parse(&text, endpoint, repo_type) {
                Ok(found) => assert_hidden("a source", &format!("{found:?}")),
                Err(error) => assert_error_hides(&error),
            }
        }
    }
}

/// What is written down of a place names the same place when it is read.
fn assert_is_itself(location: &Location, endpoint: &Endpoint) {
    assert!(location.is_same_place(location, endpoint));
    let text = match location {
        Location::Hub { id, repo_type } => format!("{}{id}", repo_type.url_prefix()),
        Location::Http(url) => url.to_full(),
        Location::Ssh(text) => text.clone(),
        Location::Folder(_) => return,
    };
    let again = source::parse(&text, endpoint, None).expect("what is written is read");
    assert!(again.userinfo.is_none() && again.revision.is_none());
    assert_eq!(&again.location, location);
}

pub(super) fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = Url::parse(&text) {
        assert_same(&url);
        if let Ok(next) = url.resolve(&text) {
            assert_same(&next);
        }
    }
    let base = Url::parse("https://hub.example:8443/a/b?q").expect("a URL");
    if let Ok(next) = base.resolve(&text) {
        assert_same(&next);
    }

    // What our own parser takes for a password or a query is one where a program prints the URL, too.
    let Some(address) = address(data) else { return };
    if let Ok((url, Some(info))) = Url::parse_with_userinfo(&address) {
        assert_hidden("Url", &format!("{url} {url:?} {info:?}"));
        // While somebody has the password, it is hidden by itself; here its place has to tell.
        let secret = info.password.is_some_and(|it| it.expose().contains(SECRET));
        if secret {
            let said = format!("cannot reach {address} today");
            assert_hidden("a program's words", &fit_to_show(&said));
        }
    }
}

/// Longest text that is shown; twice that of an error's line, as it may span some.
const SHOWN: usize = 16 << 10;

/// A secret, what stands before it, and what behind.
pub(super) fn redaction(data: &[u8]) {
    let [secret, before, after] = parts(data);
    for shown in [fit_to_show(&before), fit_to_show_end(&before)] {
        // Shown again it may lose a little more, where it plays with our own mark, and nothing comes back.
        for text in [fit_to_show(&shown), shown] {
            assert!(text.len() <= SHOWN);
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        }
    }
    // As secrets are: of letters that are printed, and long enough not to be found everywhere.
    let secret: String = secret.chars().filter(char::is_ascii_graphic).collect();
    if secret.len() < 8 || HIDDEN.contains(&secret) {
        return;
    }
    // One with brackets may be said by chance: by a header's name and our own mark behind it.
    if secret.contains(['[', ']']) {
        return;
    }
    let known = SecretText::new(secret.clone());
    for spelt in spellings(&secret) {
        let said = format!("{before} {spelt} {after}");
        assert!(holds_secret(&spelt), "{spelt} is not seen");
        let shown = fit_to_show(&said);
        assert!(!shown.contains(&*spelt), "{spelt} in {shown}");
        let again = fit_to_show(&shown);
        assert!(!again.contains(&*spelt), "{spelt} in {again}, shown again");
        let middle = said.floor_char_boundary(before.len() + 1 + spelt.len() / 2);
        for (part, cut) in [
            (&said[middle..], CutAt::Start),
            (&said[..middle], CutAt::End),
        ] {
            let shown = fit_to_show_cut(part, cut);
            assert!(!shown.contains(&*spelt), "{spelt} in {shown}, cut");
        }
    }
    drop(known);
}

/// What stands in the place of a secret.
const HIDDEN: &str = "[hidden]";

/// Ways to say a secret: as it is, and as URLs, dumps and headers have it.
fn spellings(secret: &str) -> [String; 5] {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
    [
        secret.to_owned(),
        percent,
        hex,
        base64.encode(secret),
        base64.encode(format!("user:{secret}")),
    ]
}

/// A URL is read as what it was written as, and never with anybody's name in it.
fn assert_same(url: &Url) {
    let full = url.to_full();
    assert_eq!(Url::parse(&full).ok().as_ref(), Some(url), "{full}");
    let (again, info) = Url::parse_with_userinfo(&full).expect("read again");
    assert!(info.is_none(), "{full} names a user");
    assert_eq!(again.origin(), url.origin());
    let shown = url.to_string();
    assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
}
