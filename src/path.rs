//! Paths inside a repository, checked once at the edge.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// The path of a file in a repository: relative, `/`-separated UTF-8.
///
/// It never is empty, never has `.`, `..` or empty parts, and never enters a `.git` folder, in
/// whatever spelling a case-folding file system would take for one.
///
/// ```
/// use hf_repository::RepoPath;
/// assert_eq!(RepoPath::new("weights/model.bin")?.as_str(), "weights/model.bin");
/// assert!(RepoPath::new("../secrets").is_err());
/// assert!(RepoPath::new(".GIT/config").is_err());
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(String);

impl RepoPath {
    /// Checks and takes a path.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`] for anything but a plain path below the root.
    pub fn new(path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        match path.split('/').find_map(complaint) {
            None if path.contains('\0') => Err(invalid(&path, "holds a NUL byte")),
            None => Ok(Self(path)),
            Some(why) => Err(invalid(&path, why)),
        }
    }

    /// Whether [`new`](Self::new) takes it.
    pub(crate) fn is_valid(path: &str) -> bool {
        !path.contains('\0') && path.split('/').all(|part| complaint(part).is_none())
    }

    /// The path as git spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    pub fn file_name(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(self.0.as_str(), |(_, name)| name)
    }

    /// The folder it lies in; `None` at the root.
    pub(crate) fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// Where the file lies under `root`.
    pub(crate) fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// Whether this is `folder` itself or something below it.
    pub(crate) fn is_within(&self, folder: &str) -> bool {
        self.0
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn invalid(path: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidPath, format!("the path {path:?} {why}"))
        .with_hint("name files relative to the root of the repository, as in \"weights/model.bin\"")
}

fn complaint(part: &str) -> Option<&'static str> {
    match part {
        "" => Some("is absolute, empty or has an empty part"),
        "." | ".." => Some("has a part \".\" or \"..\""),
        _ if is_dot_git(part) => Some("points into a \".git\" folder"),
        _ => None,
    }
}

/// Whether some file system takes `part` for `.git`: case-folded, its NTFS short name, with
/// trailing dots or spaces, or with code points that HFS+ ignores.
fn is_dot_git(part: &str) -> bool {
    // Hardly any name could be: this is asked of every path of an index.
    let begins = matches!(part.as_bytes().first(), Some(b'.' | b'g' | b'G'));
    if !begins && part.bytes().all(|byte| byte.is_ascii() && byte != b'\\') {
        return false;
    }
    let ignored = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let folded: String = part.chars().filter(|c| !ignored(*c)).collect();
    // On Windows a backslash ends a part, too.
    folded.split('\\').any(|part| {
        let stream = part.split(':').next().unwrap_or_default();
        let trimmed = stream.trim_end_matches(['.', ' ']);
        trimmed.eq_ignore_ascii_case(".git") || trimmed.eq_ignore_ascii_case("git~1")
    })
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name may hold line ends, an error or a log line may not.
        f.write_str(&crate::secret::printable(&self.0).replace('\n', " "))
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::borrow::Borrow<str> for RepoPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RepoPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_spellings_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "a//b",
            "a/",
            "./a",
            "a/../b",
            "..",
            ".git",
            "a/.git/hooks/x",
            ".GIT/x",
            "git~1/x",
            ".git./x",
            ".git /x",
            ".git::$INDEX_ALLOCATION/x",
            ".g\u{200c}it/x",
            ".GIT\\config",
            "a\\git~1\\x",
            "a\0b",
        ] {
            assert!(RepoPath::new(bad).is_err(), "{bad:?}");
        }
        for good in [
            ".gitattributes",
            ".github/x",
            "a b",
            "ü/ñ",
            "a\\b",
            "x.git",
            "[*?]",
            "a\tb",
        ] {
            assert!(RepoPath::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn what_is_shown_is_one_line() {
        let path = RepoPath::new("a\nb\u{1b}[31m").expect("valid");
        assert_eq!(path.to_string(), "a b[31m");
    }

    #[test]
    fn within_compares_whole_parts() {
        let path = RepoPath::new("dir/file").expect("valid");
        assert!(path.is_within("dir") && path.is_within("dir/file"));
        assert!(!path.is_within("di") && !path.is_within("dir/fil"));
    }
}
