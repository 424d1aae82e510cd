//! The first word of a line as a pattern for paths.

use super::wildmatch::{Slash, is_special, wildmatch};

/// Whether `A` and `a` are one (`core.ignoreCase`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Counts,
    /// They are, for letters of ASCII.
    Folds,
}

/// A pattern, by the shape it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    shape: Shape,
    /// Without the `/` that anchors it.
    text: Box<[u8]>,
    /// So many bytes at the start are no wildcards.
    plain: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// For the last part of a path.
    Name,
    /// The same: a star, and how the name ends.
    Ending,
    /// For the whole path below the folder the rule is of.
    Path,
    /// It would match folders, and those have no attributes.
    Nothing,
}

impl Glob {
    /// Reads a pattern; `None` if it is negated, which attributes cannot be.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        let end = word.iter().position(|byte| *byte == 0);
        let word = &word[..end.unwrap_or(word.len())];
        if word.starts_with(b"!") {
            return None;
        }
        let plain_in = |text: &[u8]| {
            let found = text.iter().position(|byte| is_special(*byte));
            found.unwrap_or(text.len())
        };
        let (shape, text) = if word.ends_with(b"/") {
            (Shape::Nothing, word)
        } else if word.contains(&b'/') {
            (Shape::Path, word.strip_prefix(b"/").unwrap_or(word))
        } else if word.starts_with(b"*") && plain_in(&word[1..]) == word.len() - 1 {
            (Shape::Ending, &word[1..])
        } else {
            (Shape::Name, word)
        };
        Some(Self {
            shape,
            text: text.into(),
            plain: plain_in(text),
        })
    }

    /// The name or path that it is for, in lower case, if it has no wildcards.
    pub(super) fn plain_text(&self) -> Option<Vec<u8>> {
        let plain =
            matches!(self.shape, Shape::Name | Shape::Path) && self.plain == self.text.len();
        plain.then(|| self.text.to_ascii_lowercase())
    }

    /// Whether the rule is for that path, seen from the folder whose file holds the rule.
    pub(crate) fn matches(&self, path: &str, case: Case) -> bool {
        self.matches_bytes(path.as_bytes(), case)
    }

    /// The same for a path that need not be UTF-8.
    pub(crate) fn matches_bytes(&self, path: &[u8], case: Case) -> bool {
        let name = || path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let (pattern, text, slash) = match self.shape {
            Shape::Nothing => return false,
            Shape::Ending => {
                let name = name();
                let end = name.len().checked_sub(self.text.len());
                return end.is_some_and(|at| alike(&self.text, &name[at..], case));
            }
            Shape::Name => (&*self.text, name(), Slash::Plain),
            Shape::Path => (&*self.text, path, Slash::Parts),
        };
        if self.plain == pattern.len() {
            return alike(pattern, text, case);
        }
        let fold = case == Case::Folds;
        if self.shape == Shape::Name {
            return wildmatch(pattern, text, slash, fold);
        }
        // As in git, stars behind what is plain see nothing before them: `a**/b` is `a` and `**/b`.
        let (start, rest) = pattern.split_at(self.plain);
        text.split_at_checked(self.plain)
            .is_some_and(|(begin, below)| {
                alike(start, begin, case) && wildmatch(rest, below, slash, fold)
            })
    }
}

fn alike(one: &[u8], other: &[u8], case: Case) -> bool {
    match case {
        Case::Counts => one == other,
        Case::Folds => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_patterns() {
        for (pattern, path, matches) in [
            ("x", "a/b/x", true),
            ("/x", "x", true),
            ("/x", "a/x", false),
            ("a/x", "a/x", true),
            ("a/x", "b/a/x", false),
            ("*.bin", "a/.bin", true),
            ("*.bin", "bin", false),
            ("*.b*n", "a/x.bun", true),
            ("/*.bin", "a/x.bin", false),
            ("a**/b", "a/x/b", true),
            ("a**/b", "axb", false),
            ("x/", "x", false),
            ("\\!x", "!x", true),
            ("", "x", false),
        ] {
            let glob = Glob::parse(pattern.as_bytes()).expect(pattern);
            assert_eq!(
                glob.matches(path, Case::Counts),
                matches,
                "{pattern} {path}"
            );
        }
        assert_eq!(Glob::parse(b"!x"), None);
        let upper = Glob::parse(b"A/*.BIN").expect("valid");
        assert!(upper.matches("a/x.Bin", Case::Folds) && !upper.matches("a/x.Bin", Case::Counts));
    }
}
