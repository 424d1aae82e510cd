//! What kind of content a file has, from its first bytes.

use std::path::Path;

use crate::error::Result;
use crate::fs;

/// Size in bytes from which on the Hub refuses a file outside LFS.
pub(crate) const HUB_LIMIT: u64 = 10 << 20;
/// Bytes looked at: what git looks at to call a file binary.
pub(crate) const SAMPLE: usize = 8000;

/// Text or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Text,
    Binary,
}

/// Looks at the start of a file; `None` if there is none.
pub(crate) fn content(path: &Path) -> Result<Option<Content>> {
    let sample = fs::read_start(path, SAMPLE as u64)?;
    Ok(sample.map(|sample| classify(&sample)))
}

/// Binary is what holds a byte no text has: the rule of the old Python client.
///
/// Text bytes are BEL to LF, FF, CR, ESC, and everything from the space on except DEL; so UTF-8 and
/// Latin-1 are text, UTF-16 is not, and neither is anything with a NUL.
pub(crate) fn classify(sample: &[u8]) -> Content {
    let text = |byte: &u8| matches!(byte, 7..=10 | 12 | 13 | 27 | 0x20..=0x7e | 0x80..=0xff);
    if sample.iter().all(text) {
        Content::Text
    } else {
        Content::Binary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_the_python_client() {
        for text in [
            &b""[..],
            b"plain\r\n\ttext\x0c",
            "ünï".as_bytes(),
            b"\xe9t\xe9",
            b"\x1b[0m",
        ] {
            assert_eq!(classify(text), Content::Text, "{text:?}");
        }
        for binary in [&b"\0"[..], b"a\x0bb", b"a\x7fb", b"h\0i\0", b"\x01"] {
            assert_eq!(classify(binary), Content::Binary, "{binary:?}");
        }
    }
}
