//! Pointer files: what git stores in place of an LFS file's content.
//!
//! Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.

use std::fmt::Write as _;

use crate::id::LfsOid;

/// A pointer is shorter than this many bytes, whatever it says.
pub(crate) const MAX_POINTER_BYTES: usize = 1024;

const VERSION: &str = "https://git-lfs.github.com/spec/v1";
/// What pointers were headed with before the format was final; still read.
const VERSIONS: [&str; 3] = [
    VERSION,
    "https://hawser.github.com/spec/v1",
    "http://git-media.io/v/2",
];

/// The content of a pointer file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) oid: LfsOid,
    /// Bytes of content.
    pub(crate) size: u64,
    /// Filters the content went through before it was stored, by priority.
    pub(crate) extensions: Vec<Extension>,
}

/// One `ext-<priority>-<name>` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    /// 0 to 9.
    pub(crate) priority: u8,
    pub(crate) name: String,
    /// The object before this extension changed it.
    pub(crate) oid: LfsOid,
}

/// Why bytes are not a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PointerError {
    /// Any other file.
    #[error("not a Git LFS pointer")]
    NotAPointer,
    /// It says it is one, but breaks the format.
    #[error("malformed Git LFS pointer: {0}")]
    Malformed(&'static str),
}

impl Pointer {
    pub(crate) fn new(oid: LfsOid, size: u64) -> Self {
        Self {
            oid,
            size,
            extensions: Vec::new(),
        }
    }

    /// Reads a pointer; spellings git-lfs tolerates (CRLF, blank lines, no last LF) are read too.
    ///
    /// No bytes at all are the pointer of the empty file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, PointerError> {
        use PointerError::{Malformed, NotAPointer};
        if bytes.is_empty() {
            return Ok(Self::new(LfsOid::EMPTY, 0));
        }
        if bytes.len() >= MAX_POINTER_BYTES {
            return Err(NotAPointer);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NotAPointer)?.trim();
        if !["git-media", "hawser", "git-lfs"]
            .iter()
            .any(|word| text.contains(word))
        {
            return Err(NotAPointer);
        }
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let version = lines.next().and_then(|line| line.strip_prefix("version "));
        if !version.is_some_and(|version| VERSIONS.contains(&version)) {
            return Err(NotAPointer);
        }
        let (mut oid, mut size, mut extensions) = (None, None, Vec::<Extension>::new());
        for line in lines {
            let (key, value) = line
                .split_once(' ')
                .ok_or(Malformed("a line has no value"))?;
            match key {
                _ if size.is_some() => return Err(Malformed("there is something after the size")),
                "oid" if oid.is_none() => oid = Some(parse_oid(value)?),
                "size" if oid.is_some() => size = Some(parse_size(value)?),
                _ if oid.is_none() => {
                    let extension = parse_extension(key, value)?;
                    if extensions
                        .iter()
                        .any(|other| other.priority == extension.priority)
                    {
                        return Err(Malformed("two extensions have the same priority"));
                    }
                    extensions.push(extension);
                }
                _ => return Err(Malformed("a line is out of order")),
            }
        }
        extensions.sort_by_key(|extension| extension.priority);
        match (oid, size) {
            (Some(oid), Some(size)) => Ok(Self {
                oid,
                size,
                extensions,
            }),
            (None, _) => Err(Malformed("the oid is missing")),
            (_, None) => Err(Malformed("the size is missing")),
        }
    }

    /// The one canonical spelling of the pointer.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.size == 0 {
            return Vec::new();
        }
        let mut text = format!("version {VERSION}\n");
        // Writing to a string cannot fail.
        for Extension {
            priority,
            name,
            oid,
        } in &self.extensions
        {
            let _ = writeln!(text, "ext-{priority}-{name} sha256:{oid}");
        }
        let _ = write!(text, "oid sha256:{}\nsize {}\n", self.oid, self.size);
        text.into_bytes()
    }
}

fn parse_oid(value: &str) -> Result<LfsOid, PointerError> {
    value
        .strip_prefix("sha256:")
        .and_then(|hex| hex.parse().ok())
        .ok_or(PointerError::Malformed(
            "the oid is not sha256 with 64 hex digits",
        ))
}

fn parse_size(value: &str) -> Result<u64, PointerError> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let size: Option<i64> = value.parse().ok().filter(|_| digits);
    size.and_then(|size| u64::try_from(size).ok())
        .ok_or(PointerError::Malformed("the size is not a number of bytes"))
}

fn parse_extension(key: &str, value: &str) -> Result<Extension, PointerError> {
    let malformed = PointerError::Malformed("there is a line nobody knows");
    let rest = key.strip_prefix("ext-").ok_or(malformed)?;
    let (priority, name) = rest.split_once('-').ok_or(malformed)?;
    let single = priority.len() == 1 && priority.bytes().all(|byte| byte.is_ascii_digit());
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !single || !named {
        return Err(malformed);
    }
    let priority = priority.parse().map_err(|_| malformed)?;
    Ok(Extension {
        priority,
        name: name.to_owned(),
        oid: parse_oid(value)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

    fn text(body: &str) -> String {
        format!(
            "version https://git-lfs.github.com/spec/v1\n{}",
            body.replace("OID", OID)
        )
    }

    #[test]
    fn round_trips_and_knows_the_canonical_form() {
        let canonical = [
            text("oid sha256:OID\nsize 12345\n"),
            text("ext-0-foo sha256:OID\next-1-bar sha256:OID\noid sha256:OID\nsize 1\n"),
        ];
        for text in &canonical {
            let pointer = Pointer::parse(text.as_bytes()).expect("valid");
            assert_eq!(pointer.encode(), text.as_bytes());
        }
        let empty = Pointer::parse(b"").expect("the empty file");
        assert_eq!(
            (empty.oid, empty.size, empty.encode()),
            (LfsOid::EMPTY, 0, Vec::new())
        );
    }

    #[test]
    fn tolerated_forms_are_read_but_not_canonical() {
        for text in [
            text("oid sha256:OID\nsize 7"),
            text("oid sha256:OID\r\nsize 7\r\n"),
            format!("\n{}\n", text("\noid sha256:OID\n\nsize 7\n")),
            text("oid sha256:OID\nsize 7\n").replace("git-lfs.github", "hawser.github"),
        ] {
            let pointer = Pointer::parse(text.as_bytes()).expect(&text);
            assert_eq!(pointer.size, 7);
            assert_ne!(pointer.encode(), text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let too_long = text(&format!("oid sha256:OID\nsize 1\n{}", "\n".repeat(1024)));
        for other in ["git-lfs", "hello\n", "version 1\ngit-lfs\n", &too_long] {
            assert_eq!(
                Pointer::parse(other.as_bytes()),
                Err(PointerError::NotAPointer),
                "{other}"
            );
        }
        for body in [
            "",
            "oid sha256:OID\n",
            "size 1\n",
            "size 1\noid sha256:OID\n",
            "oid sha256:OID\nsize -1\n",
            "oid sha256:OID\nsize +1\n",
            "oid sha256:OID\nsize 9223372036854775808\n",
            "oid sha256:OID\nsize 1\nmore x\n",
            "oid sha256:OIDx\nsize 1\n",
            "oid md5:OID\nsize 1\n",
            "oid sha256:OID\nfoo bar\nsize 1\n",
            "ext-0-a sha256:OID\next-0-b sha256:OID\noid sha256:OID\nsize 1\n",
            "ext-10-a sha256:OID\noid sha256:OID\nsize 1\n",
        ] {
            let result = Pointer::parse(text(body).as_bytes());
            assert!(
                matches!(result, Err(PointerError::Malformed(_))),
                "{body:?}: {result:?}"
            );
        }
    }
}
