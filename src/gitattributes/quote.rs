//! Words in quotes, as C has them.

/// The word behind a quoted one at the start of `text`, and what follows the closing quote.
///
/// `None` if there is no whole quoted word: git then takes the quote for a part of the word.
pub(super) fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut word = Vec::new();
    loop {
        let (&first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => return Some((word, rest)),
            b'\\' => {
                let (&kind, after) = rest.split_first()?;
                rest = after;
                word.push(match kind {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'"' | b'\\' => kind,
                    b'0'..=b'3' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        digits.iter().try_fold(kind - b'0', |value, digit| {
                            matches!(digit, b'0'..=b'7').then(|| value << 3 | (digit - b'0'))
                        })?
                    }
                    _ => return None,
                });
            }
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unquoted() {
        for (text, word, rest) in [
            ("\"a b\" x", "a b", " x"),
            ("\"\\303\\274\\t\\\"\\\\\"y", "ü\t\"\\", "y"),
            ("\"\"", "", ""),
            ("\"\\377\"", "\u{fffd}", ""),
        ] {
            let (found, left) = unquote(text.as_bytes()).expect(text);
            assert_eq!(String::from_utf8_lossy(&found), word);
            assert_eq!(left, rest.as_bytes());
        }
        for broken in [
            "a",
            "\"a",
            "\"\\",
            "\"\\q\"",
            "\"\\40\"",
            "\"\\480\"",
            "\"\\400\"",
        ] {
            assert_eq!(unquote(broken.as_bytes()), None, "{broken}");
        }
    }
}
