//! The language of `.gitignore` files, read as git reads it.
//!
//! See <https://git-scm.com/docs/gitignore>, and to the letter git's `dir.c`. Nothing here opens a file.

use crate::gitattributes::{Case, Glob};

/// Where git looks for rules in a folder.
pub(crate) const FILE_NAME: &str = ".gitignore";

/// The rules of one file.
#[derive(Debug, Default)]
pub(crate) struct IgnoreRules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    /// It takes back what an earlier rule says.
    negated: bool,
    folders_only: bool,
    glob: Glob,
}

impl IgnoreRules {
    pub(crate) fn parse(content: &[u8]) -> Self {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let lines = content.split(|byte| *byte == b'\n');
        Self(lines.filter_map(Rule::parse).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a path, seen from the folder of the file, is ignored; `None` if nothing is said of it.
    pub(crate) fn decide(&self, path: &[u8], is_folder: bool, case: Case) -> Option<bool> {
        let last =
            self.0.iter().rev().find(|rule| {
                (is_folder || !rule.folders_only) && rule.glob.matches_bytes(path, case)
            });
        last.map(|rule| !rule.negated)
    }
}

impl Rule {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // For git this is a string of C.
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        if line.starts_with(b"#") {
            return None;
        }
        let line = &line[..without_spaces(line)];
        let (negated, word) = match line.strip_prefix(b"!") {
            Some(word) => (true, word),
            None => (false, line),
        };
        let (folders_only, word) = match word.strip_suffix(b"/") {
            Some(word) => (true, word),
            None => (false, word),
        };
        if word.is_empty() {
            return None;
        }
        let glob = if word.starts_with(b"!") {
            // Only the first one negates.
            Glob::parse(&[b"\\", word].concat())
        } else {
            Glob::parse(word)
        };
        glob.map(|glob| Self {
            negated,
            folders_only,
            glob,
        })
    }
}

/// The length of a line without the spaces at its end; a backslash keeps the one behind it.
fn without_spaces(line: &[u8]) -> usize {
    let (mut at, mut end) = (0, 0);
    while let Some(byte) = line.get(at) {
        match byte {
            b' ' => {}
            // git leaves a line alone that ends with one.
            b'\\' if at + 1 == line.len() => return line.len(),
            b'\\' => {
                at += 1;
                end = at + 1;
            }
            _ => end = at + 1,
        }
        at += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_git_reads_them() {
        for (line, path, is_folder, ignored) in [
            ("x", "a/x", false, Some(true)),
            ("!x", "a/x", false, Some(false)),
            ("x/", "x", false, None),
            ("x/", "a/x", true, Some(true)),
            ("/x", "a/x", false, None),
            ("a/x/", "a/x", true, Some(true)),
            ("a/x/", "a/xy", true, None),
            ("*.pyc", "a/b.pyc", false, Some(true)),
            ("a/**/x", "a/b/c/x", false, Some(true)),
            ("#x", "#x", false, None),
            ("\\#x", "#x", false, Some(true)),
            ("\\!x", "!x", false, Some(true)),
            ("!!x", "!x", false, Some(false)),
            ("x  ", "x", false, Some(true)),
            ("x\\ ", "x ", false, Some(true)),
            ("x\\  ", "x ", false, Some(true)),
            ("x\t", "x", false, None),
            ("x\r", "x", false, Some(true)),
            ("\u{feff}x", "x", false, Some(true)),
            ("/", "x", true, None),
            ("x//", "x", true, None),
            ("x\0y", "x", false, Some(true)),
            ("", "", false, None),
        ] {
            let rules = IgnoreRules::parse(line.as_bytes());
            let found = rules.decide(path.as_bytes(), is_folder, Case::Counts);
            assert_eq!(found, ignored, "{line:?} {path:?}");
        }
        let rules = IgnoreRules::parse(b"*.bin\n!keep.bin\n/keep.bin");
        let says = |path: &[u8]| rules.decide(path, false, Case::Counts);
        assert_eq!(says(b"keep.bin"), Some(true));
        assert_eq!(says(b"a/keep.bin"), Some(false));
        assert_eq!(says(b"\xff.bin"), Some(true));
        assert_eq!(rules.decide(b"X.BIN", false, Case::Folds), Some(true));
    }
}
