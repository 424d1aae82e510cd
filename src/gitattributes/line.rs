//! One line: a pattern or the name of a macro, and what it assigns.

use std::borrow::Cow;

use super::quote::unquote;

/// What a line says of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// `name`
    Set,
    /// `-name`
    Unset,
    /// `!name`: as if nothing had been said.
    Unspecified,
    /// `name=value`
    Value(Box<[u8]>),
}

/// An attribute, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: Box<str>,
    pub(crate) state: State,
}

/// Bytes from which on git leaves out a line.
pub(crate) const LONGEST_LINE: usize = 2048;

/// What a line is about.
pub(crate) struct Split<'a> {
    /// The line up to the end of its first word, as it is written.
    pub(crate) lead: &'a [u8],
    /// The first word, without its quotes.
    pub(crate) word: Cow<'a, [u8]>,
    /// What follows it, blanks included.
    pub(crate) rest: &'a [u8],
}

pub(super) fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Takes the first word off a line; `None` if git sees nothing in it.
pub(crate) fn split(line: &[u8]) -> Option<Split<'_>> {
    // To git a line is a string of C.
    let end = line.iter().position(|byte| *byte == 0);
    let line = &line[..end.unwrap_or(line.len())];
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let start = line.iter().position(|byte| !is_blank(byte))?;
    if line[start] == b'#' || line.len() >= LONGEST_LINE {
        return None;
    }
    let text = &line[start..];
    let (word, rest) = match unquote(text) {
        Some((word, rest)) => (Cow::Owned(word), rest),
        None => {
            let end = text.iter().position(is_blank).unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            (Cow::Borrowed(word), rest)
        }
    };
    let lead = &line[..line.len() - rest.len()];
    Some(Split { lead, word, rest })
}

/// What the words behind the first assign; `None` if one has no valid name: then the whole line is
/// none.
pub(crate) fn assignments(rest: &[u8]) -> Option<Vec<Assignment>> {
    let words = rest.split(is_blank).filter(|word| !word.is_empty());
    words.map(assignment).collect()
}

fn assignment(word: &[u8]) -> Option<Assignment> {
    let (name, value) = match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let (name, state) = match name.split_first() {
        Some((b'-', name)) => (name, State::Unset),
        Some((b'!', name)) => (name, State::Unspecified),
        _ => (
            name,
            value.map_or(State::Set, |value| State::Value(value.into())),
        ),
    };
    let name = valid_name(name)?.into();
    Some(Assignment { name, state })
}

/// The name, if attributes may have it.
pub(super) fn valid_name(name: &[u8]) -> Option<&str> {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let plain = !name.is_empty() && name[0] != b'-' && name.iter().all(valid);
    let name = std::str::from_utf8(name).ok().filter(|_| plain)?;
    (!name.starts_with("builtin_")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<(String, String)> {
        let split = split(line.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&split.word), text(split.rest)))
    }

    #[test]
    fn lines_are_split_where_git_splits_them() {
        for (line, word, rest) in [
            ("*.bin filter=lfs", "*.bin", " filter=lfs"),
            ("\"a b\\\"\" x\r\n", "a b\"", " x"),
            ("  a\tx\n", "a", "\tx"),
            ("\"open x", "\"open", " x"),
            ("\"a\"x", "a", "x"),
            ("a x\0y", "a", " x"),
            ("a", "a", ""),
        ] {
            assert_eq!(words(line), Some((word.into(), rest.into())), "{line:?}");
        }
        for none in ["", " \r\n", "# c", " #c", &"a".repeat(2048)] {
            assert_eq!(words(none), None, "{none}");
        }
    }

    #[test]
    fn a_line_with_a_wrong_name_is_none() {
        let found = assignments(b" filter=lfs  -text !eol\tx=a=b  crlf= ").expect("valid");
        let told: Vec<String> = found
            .iter()
            .map(|one| match &one.state {
                State::Set => one.name.to_string(),
                State::Unset => format!("-{}", one.name),
                State::Unspecified => format!("!{}", one.name),
                State::Value(value) => format!("{}={}", one.name, String::from_utf8_lossy(value)),
            })
            .collect();
        assert_eq!(told, ["filter=lfs", "-text", "!eol", "x=a=b", "crlf="]);
        for wrong in ["a b,c", "--a", "=x", "a builtin_b", "ü", "!-a"] {
            assert_eq!(assignments(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
