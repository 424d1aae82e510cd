//! The spellings in which programs and servers repeat a secret.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Shorter texts are found everywhere, and taking them out would tell more than leaving them.
pub(super) const SHORTEST: usize = 6;

/// The parts of `text` that say `secret`: as it is, percent-encoded, with the escapes of JSON or of a
/// quotation, in hex, or inside of base64 wherever it begins there.
pub(super) fn places(text: &str, secret: &str) -> Vec<Range<usize>> {
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let mut found = find_all(text, secret);
    for needle in hexes(secret) {
        found.extend(find_all(text, &needle));
    }
    for needle in base64s(secret.as_bytes()) {
        // What surrounds it there is coded with it: a user name, the first letters of the secret.
        let mut done = 0;
        for hit in find_all(text, &needle) {
            if hit.start >= done {
                let word = whole(text, hit);
                done = word.end;
                found.push(word);
            }
        }
    }
    found
}

fn hexes(secret: &str) -> [Zeroizing<String>; 2] {
    let mut lower = Zeroizing::new(String::with_capacity(2 * secret.len()));
    for byte in secret.bytes() {
        for digit in [byte >> 4, byte & 0xf] {
            lower.extend(char::from_digit(digit.into(), 16));
        }
    }
    let upper = Zeroizing::new(lower.to_ascii_uppercase());
    [lower, upper]
}

/// What base64 makes of the bytes behind 0, 1 or 2 others, without the digits that depend on what
/// stands around them; in both alphabets.
fn base64s(secret: &[u8]) -> Vec<Zeroizing<String>> {
    let mut needles: Vec<Zeroizing<String>> = Vec::new();
    for before in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; before + secret.len()]);
        bytes[before..].copy_from_slice(secret);
        let certain = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let coded = Zeroizing::new(engine.encode(&*bytes));
            let needle = Zeroizing::new(coded[certain.clone()].to_owned());
            if !needles.contains(&needle) {
                needles.push(needle);
            }
        }
    }
    needles
}

/// The whole word of base64 around a part of it.
fn whole(text: &str, part: Range<usize>) -> Range<usize> {
    let coded = |c: char| c.is_ascii_alphanumeric() || "+/-_=%".contains(c);
    let start = text[..part.start].trim_end_matches(coded).len();
    let end = text.len() - text[part.end..].trim_start_matches(coded).len();
    start..end
}

/// Which reading of an ambiguous `%` or `\` comes first.
#[derive(Clone, Copy)]
enum Reading {
    Plain,
    Escaped,
}

fn find_all(text: &str, needle: &str) -> Vec<Range<usize>> {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let candidate = text[at] == needle[0] || matches!(text[at], b'%' | b'\\' | b'+');
        let end = candidate
            .then(|| {
                let read = |reading| match_at(&text[at..], needle, reading);
                read(Reading::Plain).or_else(|| read(Reading::Escaped))
            })
            .flatten();
        match end {
            Some(length) => {
                found.push(at..at + length);
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// How much of the start of `text` says `needle`, if it does.
fn match_at(text: &[u8], needle: &[u8], reading: Reading) -> Option<usize> {
    let mut at = 0;
    for byte in needle {
        let rest = &text[at..];
        let plain = (rest.first() == Some(byte)).then_some(1);
        let escaped = || {
            escape(rest)
                .filter(|(said, _)| said == byte)
                .map(|(_, length)| length)
        };
        at += match reading {
            Reading::Plain => plain.or_else(escaped)?,
            Reading::Escaped => escaped().or(plain)?,
        };
    }
    Some(at)
}

/// The byte that an escape stands for, and the escape's length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let hex = |digits: Range<usize>| {
        let digits = std::str::from_utf8(text.get(digits)?).ok()?;
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        all.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    match text {
        [b'+', ..] => Some((b' ', 1)),
        [b'%', ..] => Some((hex(1..3)?, 3)),
        [b'\\', b'u', b'0', b'0', ..] => Some((hex(4..6)?, 6)),
        [b'\\', b'u', b'{', ..] => {
            let digits = text.iter().skip(3).take(7).position(|byte| *byte == b'}')?;
            let leading = digits.checked_sub(2)?;
            let zeros = text[3..3 + leading].iter().all(|digit| *digit == b'0');
            let byte = hex(3 + leading..3 + digits)?;
            zeros.then_some((byte, digits + 4))
        }
        [b'\\', b'x', ..] => Some((hex(2..4)?, 4)),
        [b'\\', escaped @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Some((*escaped, 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, secret: &str) -> Vec<String> {
        let places = places(text, secret).into_iter();
        places.map(|place| text[place].to_owned()).collect()
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let secret = "p%a \"s\\s/w+rdé";
        for (text, said) in [
            (format!("is {secret}!"), secret),
            (
                "x=p%25a%20%22s%5Cs%2Fw%2Brd%c3%A9&y".into(),
                "p%25a%20%22s%5Cs%2Fw%2Brd%c3%A9",
            ),
            (
                "p%25a+%22s%5Cs/w%2Brd%C3%A9".into(),
                "p%25a+%22s%5Cs/w%2Brd%C3%A9",
            ),
            (r#"{"p%a \"s\\s\/w+rdé"}"#.into(), r#"p%a \"s\\s\/w+rdé"#),
            (
                r#"p%a \u0022s\\s/w\x2brdé"#.into(),
                r#"p%a \u0022s\\s/w\x2brdé"#,
            ),
        ] {
            assert_eq!(found(&text, secret), [said], "{text}");
        }
        assert!(found("p%a \"s\\s/w+rd", secret).is_empty());
    }

    #[test]
    fn an_escape_without_an_end_is_none() {
        let secret = "hhhhhhhh";
        let said = r"\u{68}\u{000068}\u0068\x68%68hhh";
        assert_eq!(found(said, secret), [said]);
        // Of all beginnings of it, and with what else may stand at its end.
        for end in 0..said.len() {
            for behind in ["", "é", "6", "}"] {
                let text = format!("{}{behind}", &said[..end]);
                assert!(found(&text, secret).is_empty(), "{text}");
            }
        }
        for broken in [
            r"\u{68",
            r"\u{41é",
            r"\u{}",
            r"\u{8}",
            r"\u{168}",
            r"\u{0000068}",
        ] {
            assert_eq!(escape(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn hex_and_base64_are_found_wherever_it_begins() {
        let secret = "hf_0123456789?>~";
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(found(&format!("0x{hex}."), secret), [hex]);
        for before in ["", "u:", "ab:", "user:", "x-access-token:"] {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let coded = engine.encode(format!("{before}{secret}"));
                let text = format!("Basic {coded}== ok");
                assert_eq!(found(&text, secret), [format!("{coded}==")], "{before}");
            }
        }
    }

    #[test]
    fn short_texts_are_no_secrets() {
        assert!(found("main main", "main").is_empty());
    }
}
