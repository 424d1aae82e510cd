//! Patterns of `.gitattributes` lines, spelt so that git and git-lfs both read them.
//!
//! Where git-lfs's own spelling is right (`[[:space:]]` for a space, `\#`), it is used, so that
//! both tools can take out what the other wrote. What git reads is in
//! <https://git-scm.com/docs/gitattributes>.

use std::fmt;

use super::meaning::Meaning;
use crate::error::{Error, ErrorKind, Result};
use crate::gitattributes::{Case, Glob, LONGEST_LINE};
use crate::path::RepoPath;

/// Bytes that a line has besides its pattern, at most.
const RULE_BYTES: usize = 64;

/// Files that git reads for itself, of whatever folder.
const GIT_FILES: [&str; 3] = [".gitattributes", ".gitignore", ".gitmodules"];

/// Whether git itself reads files of that name, so that they can be no LFS files.
pub(crate) fn is_read_by_git(path: &RepoPath) -> bool {
    let name = path.file_name();
    let is_name = |file: &&str| file.eq_ignore_ascii_case(name);
    GIT_FILES.iter().any(is_name)
}

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
    /// Refuses patterns that no line can hold.
    pub(crate) fn check(&self) -> Result<()> {
        let Self::Glob(glob) = self else {
            return Ok(());
        };
        let glob = below_root(glob);
        if glob.is_empty() {
            return self.refuse("it is empty");
        }
        if glob.contains(['\n', '\0']) {
            return self.refuse("it spans lines");
        }
        if glob.starts_with('!') {
            return self.refuse("rules of attributes cannot be negated");
        }
        if glob.starts_with("[attr]") {
            return self.refuse("it would define a macro");
        }
        Ok(())
    }

    /// Refuses also what had no effect, or a wrong one: to take a file from git that git must be able to
    /// read.
    pub(crate) fn check_new(&self) -> Result<()> {
        self.check()?;
        let spelling = self.spelling();
        if spelling.len() + RULE_BYTES >= LONGEST_LINE {
            return self.refuse("git reads no line as long as its would be");
        }
        if spelling.ends_with('/') {
            return self.refuse("it would match no file; all below a folder is \"folder/**\"");
        }
        let glob = self.glob();
        let catches = |file| {
            glob.as_ref()
                .is_some_and(|glob| glob.matches(file, Case::Folds))
        };
        if GIT_FILES.into_iter().any(catches) {
            return self.refuse("git must be able to read .gitattributes and the like");
        }
        match self {
            Self::Literal(path) if is_read_by_git(path) => {
                self.refuse("git must be able to read that file")
            }
            _ => Ok(()),
        }
    }

    fn refuse(&self, why: &str) -> Result<()> {
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("cannot track {self:?}: {why}"),
        )
        .with_hint(
            "a glob looks like \"*.bin\"; for a name with odd characters use Pattern::Literal",
        ))
    }

    /// What its rule, in the root's file, is for.
    pub(crate) fn glob(&self) -> Option<Glob> {
        Glob::parse(self.spelling().as_bytes())
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
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_spelt(&self, word: &[u8]) -> bool {
        let found = Meaning::of_word(word);
        self.meanings().iter().any(|own| found.contains(own))
    }

    /// What lines for these files may mean.
    pub(super) fn meanings(&self) -> Vec<Meaning> {
        let spelt = Meaning::glob(&self.spelling());
        match self {
            // Others may have quoted what is spelt as a class here.
            Self::Glob(glob) => vec![spelt, Meaning::glob(below_root(glob))],
            Self::Literal(path) => vec![spelt, Meaning::File(path.as_str().to_owned())],
        }
    }

    /// The folders whose `.gitattributes` may have a rule for these files, with the pattern as it is
    /// there: the root's comes first.
    pub(crate) fn places(&self) -> Vec<(String, Self)> {
        let whole = match self {
            Self::Glob(glob) => below_root(glob),
            Self::Literal(path) => path.as_str(),
        };
        let mut places = vec![(String::new(), self.clone())];
        for (at, _) in whole.match_indices('/') {
            let (folder, rest) = (&whole[..at], &whole[at + 1..]);
            let below = match self {
                Self::Glob(_) if folder.contains(['*', '?', '[', '\\']) => break,
                Self::Glob(_) if rest.contains('/') => Some(Self::Glob(rest.to_owned())),
                // There it is for the files of that folder alone.
                Self::Glob(_) => Some(Self::Glob(format!("/{rest}"))),
                Self::Literal(_) => RepoPath::new(rest).ok().map(Self::Literal),
            };
            let folder = folder.strip_prefix('/').unwrap_or(folder);
            if let Some(below) = below.filter(|_| !folder.is_empty()) {
                places.push((folder.to_owned(), below));
            }
        }
        places
    }
}

/// The glob without the `./` that shells put before names.
fn below_root(glob: &str) -> &str {
    glob.strip_prefix("./").unwrap_or(glob)
}

/// Backslashes before the `special` characters, and classes for what a line cannot hold.
///
/// `[[:space:]]`, git-lfs's way, also matches a tab, and `[[:cntrl:]]` every control character.
/// git would take the exact character in a quoted word; git-lfs cannot take out such a line.
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
            assert!(literal(name).is_spelt(spelling.as_bytes()), "{name:?}");
        }
        assert_eq!(Pattern::Glob("*.bin".into()).spelling(), "*.bin");
        assert_eq!(
            Pattern::Glob("a dir/*".into()).spelling(),
            "a[[:space:]]dir/*"
        );
    }

    #[test]
    fn what_others_wrote_is_recognised() {
        for (name, word, same) in [
            ("a b", "a[[:space:]]b", true),
            ("a[1].txt", "a\\[1\\].txt", true),
            ("a[1].txt", "a\\[1].txt", true),
            ("a1.txt", "a[1].txt", false),
            ("ü", "ü", true),
            ("a\tb", "a\tb", true),
            ("a\tb", "a\nb", false),
            ("#x", "#x", true),
            ("x", "\\x", true),
            ("*.b", "*.b", false),
            ("x", "\"x", false),
            ("sub/x", "/sub/x", true),
        ] {
            assert_eq!(
                literal(name).is_spelt(word.as_bytes()),
                same,
                "{name:?} {word:?}"
            );
        }
        for (glob, word, same) in [
            ("*.bin", "*.bin", true),
            ("*.bin", "*.bim", false),
            ("*.b", "\\*.b", false),
            ("*.a b", "*.a[[:space:]]b", true),
            ("*.a b", "*.a b", true),
            ("./*.b", "*.b", true),
            ("/*.b", "*.b", false),
            ("/s/*.b", "s/*.b", true),
            ("x", "/x", false),
            ("**/x*", "x*", true),
            ("x*", "/**/x*", true),
            ("**/s/x", "s/x", false),
        ] {
            let glob = Pattern::Glob(glob.into());
            assert_eq!(glob.is_spelt(word.as_bytes()), same, "{glob:?} {word:?}");
        }
    }

    #[test]
    fn files_that_may_hold_a_rule() {
        let places = |pattern: Pattern| -> Vec<String> {
            let all = pattern.places().into_iter();
            all.map(|(folder, below)| format!("{folder}: {below}"))
                .collect()
        };
        assert_eq!(places(literal("a/b/x")), [": a/b/x", "a: b/x", "a/b: x"]);
        let glob = |text: &str| places(Pattern::Glob(text.into()));
        assert_eq!(glob("a/b/*.x"), [": a/b/*.x", "a: b/*.x", "a/b: /*.x"]);
        assert_eq!(glob("/a/*/*.x"), [": /a/*/*.x", "a: */*.x"]);
        assert_eq!(glob("*.x"), [": *.x"]);
        assert_eq!(glob("a/**/*.x"), [": a/**/*.x", "a: **/*.x"]);
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
            "?gitignore",
            "**/.g*",
            "*attributes",
            "data/",
        ] {
            assert!(Pattern::Glob(glob.into()).check_new().is_err(), "{glob:?}");
        }
        assert!(literal("sub/.gitignore").check_new().is_err());
        assert!(literal("sub/.gitea-logo.png").check_new().is_ok());
        assert!(literal(&"a ".repeat(200)).check_new().is_err());
        for glob in ["*.bin", "data/*", "data/**", "g*", "[!.]*"] {
            assert!(Pattern::Glob(glob.into()).check_new().is_ok(), "{glob:?}");
        }
        // What others wrote may be taken out.
        assert!(Pattern::Glob("*".into()).check().is_ok());
    }
}
