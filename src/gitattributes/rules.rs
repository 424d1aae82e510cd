//! The rules of a file, and what the rules of several files say of a path.

use std::collections::HashMap;

use super::glob::{Case, Glob};
use super::line::{Assignment, State, assignments, split, valid_name};

/// The rules of one file, in its order.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    patterns: Vec<(Glob, Vec<Assignment>)>,
    macros: Vec<(Box<str>, Vec<Assignment>)>,
}

impl Rules {
    /// Reads a file; what git would warn of is left out.
    pub(crate) fn parse(content: &[u8]) -> Self {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut rules = Self::default();
        for line in content.split(|byte| *byte == b'\n') {
            let Some(split) = split(line) else { continue };
            let Some(assigned) = assignments(split.rest) else {
                continue;
            };
            if let Some(name) = split.word.strip_prefix(b"[attr]")
                && !name.is_empty()
            {
                if let Some(name) = valid_name(name) {
                    rules.macros.push((name.into(), assigned));
                }
            } else if let Some(glob) = Glob::parse(&split.word) {
                rules.patterns.push((glob, assigned));
            }
        }
        rules
    }
}

/// Macros by their names. Those of folders below the root do not count.
#[derive(Debug)]
pub(crate) struct Macros(HashMap<Box<str>, Vec<Assignment>>);

impl Default for Macros {
    /// The one that git brings along.
    fn default() -> Self {
        let binary = assignments(b"-diff -merge -text").unwrap_or_default();
        Self(HashMap::from([("binary".into(), binary)]))
    }
}

impl Macros {
    /// Takes the macros of a file; they count more than those already here.
    pub(crate) fn add(&mut self, rules: &Rules) {
        for (name, assigned) in &rules.macros {
            self.0.insert(name.clone(), assigned.clone());
        }
    }
}

/// What is said of a path.
#[derive(Debug, Default)]
pub(crate) struct Decided<'r>(HashMap<&'r str, &'r State>);

impl<'r> Decided<'r> {
    /// The word on an attribute; `None` if no rule has any.
    pub(crate) fn get(&self, name: &str) -> Option<&'r State> {
        self.0.get(name).copied()
    }

    /// The words of a rule, the last first; those already said stay.
    fn fill(&mut self, assigned: &'r [Assignment], macros: &'r Macros) {
        let mut open = vec![assigned.iter()];
        while let Some(words) = open.last_mut() {
            let Some(word) = words.next_back() else {
                open.pop();
                continue;
            };
            if self.get(&word.name).is_some() {
                continue;
            }
            self.0.insert(&word.name, &word.state);
            if word.state == State::Set
                && let Some(more) = macros.0.get(&word.name)
            {
                open.push(more.iter());
            }
        }
    }
}

/// Asks files about a path, the file that counts most first, each with the path as seen from its folder.
///
/// It goes on until each of the `wanted` attributes is decided, or no rule is left.
pub(crate) fn decide<'r>(
    files: impl Iterator<Item = (&'r str, &'r Rules)>,
    macros: &'r Macros,
    wanted: &[&str],
    case: Case,
) -> Decided<'r> {
    let mut decided = Decided::default();
    for (path, rules) in files {
        for (glob, assigned) in rules.patterns.iter().rev() {
            if glob.matches(path, case) {
                decided.fill(assigned, macros);
                if wanted.iter().all(|name| decided.get(name).is_some()) {
                    return decided;
                }
            }
        }
    }
    decided
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(files: &[&str], path: &str) -> Option<String> {
        let files: Vec<Rules> = files
            .iter()
            .map(|text| Rules::parse(text.as_bytes()))
            .collect();
        let mut macros = Macros::default();
        for rules in files.iter().rev() {
            macros.add(rules);
        }
        let asked = files.iter().map(|rules| (path, rules));
        let decided = decide(asked, &macros, &["filter"], Case::Counts);
        let state = decided.get("filter")?;
        Some(match state {
            State::Value(value) => String::from_utf8_lossy(value).into_owned(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn the_last_word_of_the_nearest_file_counts() {
        let lfs = Some("lfs".to_owned());
        assert_eq!(filter(&["* filter=x\n*.b filter=lfs"], "a.b"), lfs);
        assert_eq!(filter(&["*.c -filter", "*.b filter=lfs\n"], "a.b"), lfs);
        assert_eq!(
            filter(&["*.b -filter", "*.b filter=lfs"], "a.b").as_deref(),
            Some("Unset")
        );
        assert_eq!(filter(&["*.b filter -filter filter=lfs"], "a.b"), lfs);
        assert_eq!(filter(&["\u{feff}*.b filter=lfs"], "a.b"), lfs);
        assert_eq!(filter(&["*.b filter=lfs bad,name"], "a.b"), None);
        assert_eq!(filter(&["\"a\\tb\" filter=lfs"], "a\tb"), lfs);
    }

    #[test]
    fn macros_are_expanded_where_they_are_set() {
        let lfs = Some("lfs".to_owned());
        let file = "[attr]big filter=lfs -text\n*.b big\n";
        assert_eq!(filter(&[file], "a.b"), lfs);
        assert_eq!(filter(&["a.b -big", file], "a.b"), None);
        assert_eq!(
            filter(&["a.b -filter", file], "a.b").as_deref(),
            Some("Unset")
        );
        // The last word of a line comes first, and the macro with it.
        assert_eq!(
            filter(&["[attr]m -filter\n*.b filter=lfs m"], "x.b").as_deref(),
            Some("Unset")
        );
        assert_eq!(filter(&["[attr]m -filter\n*.b m filter=lfs"], "x.b"), lfs);
        // A loop ends, and so does a chain.
        assert_eq!(
            filter(&["[attr]a b\n[attr]b a filter=lfs\n*.b a"], "x.b"),
            lfs
        );
        let chain: String = (0..100_000)
            .map(|n| format!("[attr]m{n} m{}\n", n + 1))
            .collect();
        let chain = format!("{chain}[attr]m100000 filter=lfs\n*.b m0\n");
        assert_eq!(filter(&[&chain], "x.b"), lfs);
    }
}
