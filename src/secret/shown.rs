//! Text from elsewhere, as it may be shown: in errors, logs, events and reports.
//!
//! Servers repeat what they were sent, programs print URLs with passwords in them, and either may try
//! to steer the terminal of whoever reads it. [`fit_to_show`] is the one way from there to an eye.

use std::fmt;
use std::ops::Range;

use super::forms;
use super::text::{SecretText, known};

/// What is shown in place of a secret.
const HIDDEN: &str = "[hidden]";
/// Bytes of a text that anybody still reads.
const SHOWN_BYTES: usize = 16 << 10;
/// Bytes of a text that are searched: a server may send megabytes, and many of them.
const LOOKED_AT_BYTES: usize = 64 << 10;
/// Bytes at the cut end of a text that may be the rest of a secret that was cut in two: longer than
/// any line with a token in it.
const EDGE_BYTES: usize = 16 << 10;

/// `text` without what steers terminals, without secrets, and no longer than anybody reads.
pub(crate) fn fit_to_show(text: &str) -> String {
    if text.len() > LOOKED_AT_BYTES {
        let start = &text[..text.floor_char_boundary(LOOKED_AT_BYTES)];
        return fit_to_show_cut(start, CutAt::End);
    }
    bounded(hide(text))
}

/// Something that others had a say in, as it may be logged.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fit_to_show(&self.0.to_string()))
    }
}

/// The same, of what is longer the end.
pub(crate) fn fit_to_show_end(text: &str) -> String {
    last(&hide(text)).to_owned()
}

/// Whether `text` says a secret that somebody in this process has, or a token of the Hub.
pub(crate) fn holds_secret(text: &str) -> bool {
    let says = |secret: &SecretText| !forms::places(text, secret.expose()).is_empty();
    known().iter().any(says) || !tokens(text).is_empty()
}

/// Where a text was cut off, before it came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutAt {
    Start,
    End,
}

/// The same for a part of a longer text. A secret that was cut in two is not found, so the line at the
/// cut is left out. Of the start of a text its start is kept, of the end its end.
pub(crate) fn fit_to_show_cut(text: &str, cut: CutAt) -> String {
    let text = hide(text);
    match cut {
        CutAt::Start => {
            let edge = text.floor_char_boundary(EDGE_BYTES);
            let edge = text[..edge].find('\n').map_or(edge, |end| end + 1);
            last(&text[edge..]).to_owned()
        }
        CutAt::End => {
            let edge = text.ceil_char_boundary(text.len().saturating_sub(EDGE_BYTES));
            let edge = text[edge..].rfind('\n').map_or(edge, |end| edge + end);
            bounded(text[..edge].to_owned())
        }
    }
}

/// The end of a text, in whole lines if it has any.
fn last(text: &str) -> &str {
    if text.len() <= SHOWN_BYTES {
        return text;
    }
    let text = &text[text.ceil_char_boundary(text.len() - SHOWN_BYTES)..];
    text.find('\n').map_or(text, |end| &text[end + 1..])
}

fn bounded(mut text: String) -> String {
    if text.len() > SHOWN_BYTES {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

fn hide(text: &str) -> String {
    // First what could stand between the letters of a secret.
    let mut text = printable(text);
    for secret in known() {
        text = without(&text, forms::places(&text, secret.expose()));
    }
    text = without(&text, headers(&text));
    text = without(&text, permissions(&text));
    text = without(&text, tokens(&text));
    without_url_secrets(&text)
}

/// `text` without the control characters that could steer a terminal or forge log lines.
///
/// Line feeds stay; a server's text may span lines.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !is_unprintable(*c))
        .collect()
}

/// Whether a value holds what ends a line of the texts that programs exchange. A carriage return does so
/// for some of them.
pub(crate) fn ends_lines(value: &str) -> bool {
    value.contains(['\n', '\r', '\0'])
}

/// Control characters, and the marks that reorder or hide text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` with a mark in place of each of the parts.
fn without(text: &str, mut parts: Vec<Range<usize>>) -> String {
    parts.sort_by_key(|part| (part.start, part.end));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for part in parts {
        if part.start >= done {
            out.push_str(&text[done..part.start]);
            out.push_str(HIDDEN);
        }
        done = done.max(part.end);
    }
    out.push_str(&text[done..]);
    out
}

/// The values of headers that carry a permission, as they stand in a listing or in JSON.
fn headers(text: &str) -> Vec<Range<usize>> {
    const QUOTES: [char; 4] = ['"', '\'', '\\', ' '];
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for name in ["authorization", "cookie"] {
        let mut done = 0;
        for (at, name) in lower.match_indices(name) {
            // Whoever repeats the name must not make this look at the rest each time.
            if at < done {
                continue;
            }
            let rest = text[at + name.len()..].trim_start_matches(QUOTES);
            let Some(value) = rest.strip_prefix([':', '=']) else {
                continue;
            };
            // Some print a list of values.
            let value = value.trim_start_matches(QUOTES);
            let listed = value
                .strip_prefix('[')
                .filter(|list| list.starts_with(QUOTES));
            let value = listed.unwrap_or(value).trim_start_matches(QUOTES);
            let length = value.find(['"', '\'', '\\', '\n']).unwrap_or(value.len());
            let start = text.len() - value.len();
            done = start + length;
            if length > 0 {
                found.push(start..done);
            }
        }
    }
    found
}

/// What follows `Bearer` and `Basic`, unless it is a plain word.
fn permissions(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for scheme in ["bearer ", "basic ", "bearer%20", "basic%20"] {
        let mut done = 0;
        for (at, _) in lower.match_indices(scheme) {
            if at < done {
                continue;
            }
            let start = at + scheme.len();
            let coded = |c: char| c.is_ascii_alphanumeric() || "._~+/=-%".contains(c);
            let length = text[start..]
                .find(|c| !coded(c))
                .unwrap_or(text.len() - start);
            let word = &text[start..start + length];
            let odd = |c: char| !c.is_ascii_lowercase() && !".-/".contains(c);
            if word.len() >= 8 && word.chars().skip(1).any(odd) {
                done = start + length;
                found.push(start..done);
            }
        }
    }
    found
}

/// What looks like a token of the Hub.
fn tokens(text: &str) -> Vec<Range<usize>> {
    /// Real ones have 34 letters and digits behind the `hf_`.
    const LETTERS: usize = 16;
    let mut found = Vec::new();
    let mut done = 0;
    for (at, prefix) in text.match_indices("hf_") {
        if at < done {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let coded = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let length = rest.find(|c| !coded(c)).unwrap_or(rest.len());
        done = at + prefix.len() + length;
        let mut stretches = rest[..length].split(|c: char| !c.is_ascii_alphanumeric());
        // A name has small letters only.
        let drawn = |stretch: &str| stretch.bytes().any(|byte| !byte.is_ascii_lowercase());
        if stretches.any(|stretch| stretch.len() >= LETTERS && drawn(stretch)) {
            found.push(at..done);
        }
    }
    found
}

/// What a program said, without what URLs in it may hold: passwords, and the queries in which signed
/// storage URLs carry their permission.
fn without_url_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let is_ssh = before.ends_with("ssh://");
        out.push_str(before);
        let blank = |c: char| c.is_whitespace() || c.is_control();
        // A password may hold quotes, so they end the URL only behind it.
        let authority_ends = |c: char| blank(c) || "/?#".contains(c);
        let authority = &url[..url.find(authority_ends).unwrap_or(url.len())];
        let host = authority.rfind('@').map_or(0, |at| at + 1);
        let (user, url) = url.split_at(host);
        // Everybody is `git` there, and it has no password.
        if is_ssh && !user.contains(':') {
            out.push_str(user);
        }
        let ends = |c: char| blank(c) || "\"'`<>".contains(c);
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        let (address, query) = url.split_at(url.find('?').unwrap_or(url.len()));
        out.push_str(address);
        match query.strip_prefix("?…") {
            // It has been here before.
            Some(more) if !more.contains('=') => out.push_str(query),
            _ if query.is_empty() => {}
            _ => out.push_str("?…"),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;

    use super::*;
    use crate::probe::soon;
    use crate::secret::Token;

    #[test]
    fn urls_in_words_keep_no_secret() {
        for (said, shown) in [
            ("no URL: a@b?c", "no URL: a@b?c"),
            (
                "PUT https://u:s3@h.x/a?sig=s3: no",
                "PUT https://h.x/a?… no",
            ),
            ("GET https://h.x/a?…: 404", "GET https://h.x/a?…: 404"),
            ("https://h/a?…&sig=s3 x", "https://h/a?… x"),
            (
                "'http://u@h/a' and ssh://git@h",
                "'http://h/a' and ssh://git@h",
            ),
            ("ssh://git:s3@h/x", "ssh://h/x"),
            ("https://h?s3\thttps://s3@h", "https://h?…\thttps://h"),
            ("'https://u:it's3@h/a'", "'https://h/a'"),
            ("://", "://"),
        ] {
            assert_eq!(without_url_secrets(said), shown);
        }
    }

    #[test]
    fn what_the_process_knows_is_hidden() {
        let token: Token = "sesame-open".parse().expect("valid");
        for said in [
            "no sesame-open here",
            "no sesame\u{200b}-op\u{1b}en here",
            "no sesame%2Dopen here",
            "no c2VzYW1lLW9wZW4= here",
        ] {
            assert_eq!(fit_to_show(said), "no [hidden] here", "{said:?}");
        }
        drop(token);
        assert!(soon(|| fit_to_show("sesame-open") == "sesame-open"));
        let password = SecretText::new("main".to_owned());
        assert_eq!(fit_to_show("branch main"), "branch main", "{password:?}");
    }

    #[test]
    fn what_looks_like_a_permission_is_hidden() {
        for (said, shown) in [
            (
                "Authorization: Basic abc\nHost: h",
                "Authorization: [hidden]\nHost: h",
            ),
            (
                r#"{"authorization": "x y", "a": 1}"#,
                r#"{"authorization": "[hidden]", "a": 1}"#,
            ),
            (
                r#"{\"Authorization\":[\"Basic x\"]}"#,
                r#"{\"Authorization\":[\"[hidden]\"]}"#,
            ),
            ("proxy-authorization=abc", "proxy-authorization=[hidden]"),
            ("got Bearer abcd.Efgh1234, no", "got Bearer [hidden], no"),
            ("Set-Cookie: session=1", "Set-Cookie: [hidden]"),
            (
                "Basic authentication and Bearer tokens only",
                "Basic authentication and Bearer tokens only",
            ),
            ("authorization failed", "authorization failed"),
            (
                "hf_abcdefghijklmnop1 and hf_hub_download",
                "[hidden] and hf_hub_download",
            ),
            (
                "/envs/hf_sentencetransformers/bin",
                "/envs/hf_sentencetransformers/bin",
            ),
            ("hf_oauth_eyJhbGciOiJFZERTQSJ9.eyJ-x no", "[hidden] no"),
        ] {
            assert_eq!(fit_to_show(said), shown);
            assert_eq!(fit_to_show(shown), shown, "once more");
        }
    }

    #[test]
    fn a_secret_that_is_cut_in_two_does_not_show_its_rest() {
        let secret = SecretText::new("s3cret".repeat(10));
        let all = format!("one {}\ntwo\n", secret.expose());
        for cut in 1..all.len() {
            for (part, at) in [(&all[cut..], CutAt::Start), (&all[..cut], CutAt::End)] {
                let shown = fit_to_show_cut(part, at);
                assert!(!shown.contains("s3"), "{shown} at {cut}");
            }
        }
        assert_eq!(fit_to_show_cut("cut\nkept", CutAt::Start), "kept");
        assert_eq!(fit_to_show_cut("kept\ncut", CutAt::End), "kept");
        // Without any line the edge goes.
        let long = "x".repeat(EDGE_BYTES + 7);
        for at in [CutAt::Start, CutAt::End] {
            assert_eq!(fit_to_show_cut(&long, at), "xxxxxxx");
        }
    }

    #[test]
    fn what_is_repeated_is_looked_at_once() {
        let token: Token = "sesame-open".parse().expect("valid");
        let coded = STANDARD_NO_PAD.encode(token.expose());
        for part in [
            "hf_",
            "authorization:",
            "cookie=",
            "basic%20",
            "bearer ",
            &coded,
            "\\u{",
        ] {
            let text = part.repeat((64 << 10) / part.len());
            // With a look at all the rest for each, this would take minutes.
            assert!(fit_to_show(&text).len() <= SHOWN_BYTES, "{part}");
        }
    }

    #[test]
    fn nobody_reads_more_than_a_few_pages() {
        let secret = SecretText::new("s3cret".repeat(10));
        for before in LOOKED_AT_BYTES - 70..LOOKED_AT_BYTES {
            let said = format!("{} {}", "x\n".repeat(before / 2), secret.expose());
            assert!(!fit_to_show(&said).contains("s3"));
        }
        let shown = fit_to_show(&"é".repeat(SHOWN_BYTES));
        assert!(shown.len() <= SHOWN_BYTES && shown.ends_with('…'));
        assert_eq!(fit_to_show(&shown), shown);
    }
}
