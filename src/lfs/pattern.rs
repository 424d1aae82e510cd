//! Patterns of `.gitattributes` lines, spelt so that git and git-lfs both read them.
//!
//! Where git-lfs's own spelling is right (`[[:space:]]` for a space, `\#`), it is used, so that
//! both tools can take out what the other wrote. Nothing is written that libgit2 reads otherwise
//! than git does; what git reads is in <https://git-scm.com/docs/gitattributes>.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::path::RepoPath;

/// Which files a rule is for.
///
/// ```
/// use hf_repository::{Pattern, RepoPath};
/// let all = Pattern::Glob("*.safetensors".into());
/// let one = Pattern::Literal(RepoPath::new("logs [old]/run #1.txt")?);
/// assert_eq!(one.to_string(), "logs [old]/run #1.txt");
/// # let _ = all;
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// A glob in the sense of `.gitignore`, as in `*.bin` or `data/**/*.parquet`.
    Glob(String),
    /// One file, whatever characters its name has.
    Literal(RepoPath),
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob(glob) => f.write_str(&crate::secret::printable(glob)),
            Self::Literal(path) => path.fmt(f),
        }
    }
}

impl Pattern {
    /// Refuses patterns that no line can hold, or that would catch git's own files.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |why: &str| {
            Err(Error::new(
                ErrorKind::InvalidInput,
                format!("cannot track {self:?}: {why}"),
            )
            .with_hint(
                "a glob looks like \"*.bin\"; for a name with odd characters use Pattern::Literal",
            ))
        };
        let glob = match self {
            Self::Glob(glob) => below_root(glob),
            Self::Literal(_) => "",
        };
        match self {
            Self::Glob(_) if glob.is_empty() => refuse("it is empty"),
            Self::Glob(_) if glob.contains(['\n', '\0']) => refuse("it spans lines"),
            Self::Glob(_) if glob.starts_with('!') => {
                refuse("rules of attributes cannot be negated")
            }
            Self::Glob(_) if glob.starts_with("[attr]") => refuse("it would define a macro"),
            Self::Glob(_) if catches_git_files(glob) => {
                refuse("it would catch .gitattributes itself")
            }
            Self::Literal(path) if path.file_name().starts_with(".git") => {
                refuse("git must be able to read that file")
            }
            _ => Ok(()),
        }
    }

    /// The first word of the rule's line.
    pub(crate) fn spelling(&self) -> String {
        match self {
            Self::Glob(glob) => {
                let escaped = escape(below_root(glob), "#");
                // A quote at the start would be taken for git's quoting of the whole word.
                let guard = if escaped.starts_with('"') { "\\" } else { "" };
                format!("{guard}{escaped}")
            }
            Self::Literal(path) => {
                let escaped = escape(path.as_str(), "#\\*?[]");
                // A bare name would match in every folder; a quote or `!` means something there.
                let anchor = path.parent().is_none() || escaped.starts_with(['"', '!']);
                format!("{}{escaped}", if anchor { "/" } else { "" })
            }
        }
    }

    /// Whether the first word of a line, whoever wrote it, is a rule for the same files.
    pub(crate) fn is_spelt(&self, word: &str) -> bool {
        let Some(found) = unquote(word) else {
            return false;
        };
        let own = unquote(&self.spelling());
        if own.as_deref() == Some(&*found) {
            return true;
        }
        // git-lfs leaves the root's names without the slash, and keeps odd characters raw.
        let decoded = unescape(&found);
        match self {
            Self::Glob(glob) => found == *glob || own.is_some_and(|own| unescape(&own) == decoded),
            Self::Literal(path) => {
                let name = decoded.strip_prefix('/').unwrap_or(&decoded);
                let has_globs = has_live_glob(&found);
                !has_globs && name == path.as_str()
            }
        }
    }
}

/// The glob without the `./` that shells put before names.
fn below_root(glob: &str) -> &str {
    glob.strip_prefix("./").unwrap_or(glob)
}

/// Globs that would give `.gitattributes` or `.gitignore` to LFS.
fn catches_git_files(glob: &str) -> bool {
    let name = glob.rsplit('/').next().unwrap_or(glob);
    matches!(name, "*" | "**" | ".*" | ".git*") || name.starts_with(".gitattributes")
}

/// Backslashes before the `special` characters, and classes for what a line cannot hold.
///
/// `[[:space:]]`, git-lfs's way, also matches a tab, and `[[:cntrl:]]` every control character.
/// git would take the exact character in a quoted word, but libgit2 reads no quoted words.
fn escape(text: &str, special: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ' ' => out.push_str("[[:space:]]"),
            c if c.is_ascii_control() => out.push_str("[[:cntrl:]]"),
            c => {
                if special.contains(c) {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out
}

/// Undoes C-quoting; a word that is not quoted is itself.
fn unquote(word: &str) -> Option<String> {
    let Some(inner) = word.strip_prefix('"') else {
        return Some(word.to_owned());
    };
    let inner = inner.strip_suffix('"')?.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        if inner[at] != b'\\' {
            out.push(inner[at]);
            at += 1;
            continue;
        }
        let escape = *inner.get(at + 1)?;
        at += 2;
        out.push(match escape {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'"' | b'\\' => escape,
            b'0'..=b'3' => {
                let digits = inner.get(at - 1..at + 2)?;
                at += 2;
                let octal = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(octal, 8).ok()?
            }
            _ => return None,
        });
    }
    String::from_utf8(out).ok()
}

/// The plain name behind a pattern without live globs.
fn unescape(pattern: &str) -> String {
    let mut out = String::new();
    let spaced = pattern.replace("[[:space:]]", " ");
    let mut chars = spaced.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' {
            chars.next().unwrap_or('\\')
        } else {
            c
        });
    }
    out
}

/// Whether a glob character in the pattern is not escaped.
fn has_live_glob(pattern: &str) -> bool {
    let spaced = pattern.replace("[[:space:]]", " ");
    let mut escaped = false;
    spaced.chars().any(|c| {
        let live = !escaped && matches!(c, '*' | '?' | '[');
        escaped = c == '\\' && !escaped;
        live
    })
}

/// The first word of a line and the rest, quoting respected; `None` for lines that are no rules.
pub(super) fn split_line(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches([' ', '\t']);
    if line.is_empty() || line.starts_with('#') || line.starts_with("[attr]") {
        return None;
    }
    if let Some(inner) = line.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            match c {
                '"' if !escaped => return Some(line.split_at(at + 2)),
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        return None;
    }
    let end = line.find([' ', '\t']).unwrap_or(line.len());
    Some(line.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(name: &str) -> Pattern {
        Pattern::Literal(RepoPath::new(name).expect(name))
    }

    #[test]
    fn spellings() {
        for (name, spelling) in [
            ("model.bin", "/model.bin"),
            ("dir/model.bin", "dir/model.bin"),
            ("a b", "/a[[:space:]]b"),
            ("a[1]*?.bin", "/a\\[1\\]\\*\\?.bin"),
            ("#x", "/\\#x"),
            ("a\tb", "/a[[:cntrl:]]b"),
            ("a\"b", "/a\"b"),
            ("\"a/b", "/\"a/b"),
            ("!a/b", "/!a/b"),
            ("ü", "/ü"),
            ("a\\b", "/a\\\\b"),
        ] {
            assert_eq!(literal(name).spelling(), spelling, "{name:?}");
            assert!(literal(name).is_spelt(spelling));
        }
        assert_eq!(Pattern::Glob("*.bin".into()).spelling(), "*.bin");
        assert_eq!(
            Pattern::Glob("a dir/*".into()).spelling(),
            "a[[:space:]]dir/*"
        );
    }

    #[test]
    fn what_git_lfs_wrote_is_recognised() {
        assert!(literal("a b").is_spelt("a[[:space:]]b"));
        assert!(literal("a[1].txt").is_spelt("a\\[1\\].txt"));
        assert!(literal("\u{fc}").is_spelt("\"\\303\\274\""));
        assert!(!literal("a1.txt").is_spelt("a[1].txt"));
        assert!(Pattern::Glob("*.bin".into()).is_spelt("*.bin"));
        assert!(!Pattern::Glob("*.bin".into()).is_spelt("*.bim"));
        assert!(!literal("x").is_spelt("\"x"));
    }

    #[test]
    fn lines_are_split_where_git_splits_them() {
        assert_eq!(
            split_line("*.bin filter=lfs"),
            Some(("*.bin", " filter=lfs"))
        );
        assert_eq!(split_line("\"a b\\\"\" x"), Some(("\"a b\\\"\"", " x")));
        assert_eq!(split_line("  a\tx"), Some(("a", "\tx")));
        for none in ["", "# c", "[attr]m x", "\"open"] {
            assert_eq!(split_line(none), None, "{none}");
        }
    }

    #[test]
    fn dangerous_patterns_are_refused() {
        for glob in [
            "",
            "*",
            ".git*",
            "a\nb",
            "!x",
            "**/*",
            ".gitattributes",
            "./",
            "./*",
            "./!x",
            "./[attr]x",
        ] {
            assert!(Pattern::Glob(glob.into()).check().is_err(), "{glob:?}");
        }
        assert!(literal("sub/.gitignore").check().is_err());
        assert!(Pattern::Glob("*.bin".into()).check().is_ok());
    }
}
