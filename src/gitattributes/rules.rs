//! The rules of a file, and what the rules of several files say of a path.

use std::collections::HashMap;

use super::glob::{Case, Glob};
use super::line::{Assignment, State, assignments, split, valid_name};

/// The rules of one file, in its order.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    patterns: Vec<(Glob, Vec<Assignment>)>,
    /// Where the patterns with wildcards are.
    wild: Vec<usize>,
    /// Where the others are. There may be one for each file, and each file is asked about.
    plain: HashMap<Vec<u8>, Vec<usize>>,
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
                let at = rules.patterns.len();
                match glob.plain_text() {
                    Some(text) => rules.plain.entry(text).or_default().push(at),
                    None => rules.wild.push(at),
                }
                rules.patterns.push((glob, assigned));
            }
        }
        rules
    }

    /// What is assigned to a path, the last rule first.
    fn of<'r>(&'r self, path: &str, case: Case) -> impl Iterator<Item = &'r [Assignment]> {
        let matches = move |at: &usize| self.patterns[*at].0.matches(path, case);
        let mut plain = self.plain_rules_of(path);
        plain.retain(matches);
        let mut wild = self.wild.iter().copied().rev().filter(matches).peekable();
        let next = move || match (plain.last(), wild.peek()) {
            (Some(one), other) if other.is_none_or(|other| other < one) => plain.pop(),
            _ => wild.next(),
        };
        std::iter::from_fn(next).map(|at| &*self.patterns[at].1)
    }

    /// Where rules may be that name the path or the last part of it.
    fn plain_rules_of(&self, path: &str) -> Vec<usize> {
        if self.plain.is_empty() {
            return Vec::new();
        }
        let path = path.as_bytes().to_ascii_lowercase();
        let name = path.iter().rposition(|byte| *byte == b'/');
        let name = name.map(|at| &path[at + 1..]);
        let known = [Some(&*path), name].into_iter().flatten();
        let mut found: Vec<usize> = known
            .filter_map(|text| self.plain.get(text))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found
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
        for assigned in rules.of(path, case) {
            decided.fill(assigned, macros);
            if wanted.iter().all(|name| decided.get(name).is_some()) {
                return decided;
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
    fn rules_with_and_without_wildcards_keep_their_order() {
        let lines = [
            "a/x filter=1",
            "*x filter=2",
            "x filter=3",
            "/a/* filter=4",
            "A/x filter=5",
        ];
        for last in 0..lines.len() {
            let (start, end) = lines.split_at(last);
            let text = [end, start].concat().join("\n");
            let wanted = if last == 0 { lines.len() - 1 } else { last };
            assert_eq!(filter(&[&text], "a/x"), Some(wanted.to_string()), "{text}");
        }
    }

    #[test]
    fn of_many_rules_that_name_files_few_are_looked_at() {
        let text: String = (0..1000)
            .map(|n| format!("/part-{n} filter=lfs\n"))
            .collect();
        let rules = Rules::parse(format!("{text}part-7 -filter\n*.bin x\n").as_bytes());
        assert_eq!(rules.wild, [1001]);
        assert_eq!(rules.plain_rules_of("part-7"), [7, 1000]);
        assert_eq!(rules.of("sub/part-7", Case::Counts).count(), 1);
        assert_eq!(rules.plain_rules_of("other"), [0; 0]);
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
        let chain: String = (0..5_000)
            .map(|n| format!("[attr]m{n} m{}\n", n + 1))
            .collect();
        let chain = format!("{chain}[attr]m5000 filter=lfs\n*.b m0\n");
        assert_eq!(filter(&[&chain], "x.b"), lfs);
    }
}
