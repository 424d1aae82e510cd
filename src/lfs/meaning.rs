//! What patterns mean, so that two spellings of one are known for the same.

/// What a pattern means, however it is spelt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Meaning {
    /// Just this file, seen from the folder of the rule. git-lfs leaves the anchor away at the root, so
    /// it does not count here.
    File(String),
    /// All that the glob matches.
    Glob(String),
}

impl Meaning {
    /// The meanings of a line's first word, its quotes gone.
    pub(super) fn of_word(word: &[u8]) -> Vec<Self> {
        let Ok(word) = std::str::from_utf8(word) else {
            return Vec::new();
        };
        let glob = Self::glob(word);
        match plain_name(word) {
            Some(name) => vec![glob, Self::File(name)],
            None => vec![glob],
        }
    }

    pub(super) fn glob(pattern: &str) -> Self {
        let mut text = String::new();
        for part in parts(pattern) {
            match part {
                // What a backslash does within a class is left as it is written.
                Part::Live('[') => {
                    text = pattern.to_owned();
                    break;
                }
                Part::Live(c) => text.push(c),
                Part::Letter(c) => {
                    if matches!(c, '*' | '?' | '[' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
            }
        }
        // A slash further on anchors as well, and `**/` before a name undoes the anchor.
        if text.get(1..).is_some_and(|rest| rest.contains('/')) && text.starts_with('/') {
            text.remove(0);
        }
        match text.strip_prefix("**/") {
            Some(name) if !name.contains('/') => Self::Glob(name.to_owned()),
            _ => Self::Glob(text),
        }
    }
}

/// The file a pattern names; `None` if it is for more than one name.
fn plain_name(pattern: &str) -> Option<String> {
    let letters = parts(pattern).map(|part| match part {
        Part::Letter(c) => Some(c),
        Part::Live(_) => None,
    });
    let name: String = letters.collect::<Option<_>>()?;
    Some(match name.strip_prefix('/') {
        Some(below) => below.to_owned(),
        None => name,
    })
}

/// A letter of a pattern that stands for itself, or one that does not.
enum Part {
    Letter(char),
    Live(char),
}

/// What a pattern is made of; git-lfs's way to write a space is one.
fn parts(pattern: &str) -> impl Iterator<Item = Part> {
    const SPACE: &str = "[[:space:]]";
    let mut rest = pattern;
    std::iter::from_fn(move || {
        if let Some(after) = rest.strip_prefix(SPACE) {
            rest = after;
            return Some(Part::Letter(' '));
        }
        let mut letters = rest.chars();
        let part = match letters.next()? {
            '\\' => match letters.next() {
                Some(c) => Part::Letter(c),
                // git matches nothing by it.
                None => Part::Live('\\'),
            },
            c @ ('*' | '?' | '[') => Part::Live(c),
            c => Part::Letter(c),
        };
        rest = letters.as_str();
        Some(part)
    })
}
