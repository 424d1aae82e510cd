//! Editing `.gitattributes` line by line; what is not ours stays byte for byte.

use std::collections::HashMap;

use super::meaning::Meaning;
use super::pattern::Pattern;
use super::rule::{Lockable, Others, Rule, is_value_lfs, new_line, others};
use crate::gitattributes::{Case, Glob, split};
use crate::path::RepoPath;

/// The file after an edit.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) content: Vec<u8>,
    /// Per pattern, in the order given.
    pub(crate) outcomes: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A line was written or taken out.
    Changed,
    /// The file was as wanted already.
    Unchanged,
}

/// Adds a rule for each pattern that has none. A line that says something else of the same files is
/// changed where it stands; what it says of other attributes stays.
pub(crate) fn track(content: &[u8], patterns: &[Pattern]) -> Edit {
    track_as(content, patterns, Lockable::Keep)
}

/// The same, with a word on whether the files may be locked.
pub(crate) fn track_as(content: &[u8], patterns: &[Pattern], lockable: Lockable) -> Edit {
    let mut lines = Lines::read(content);
    let all = patterns.iter();
    let outcomes = all.map(|pattern| lines.track(pattern, lockable)).collect();
    Edit {
        content: lines.write(),
        outcomes,
    }
}

/// Takes out every LFS rule for the patterns; what a line says of other attributes stays.
pub(crate) fn untrack(content: &[u8], patterns: &[Pattern]) -> Edit {
    let mut lines = Lines::read(content);
    let outcomes = patterns
        .iter()
        .map(|pattern| lines.untrack(pattern))
        .collect();
    Edit {
        content: lines.write(),
        outcomes,
    }
}

/// Those of the files that have an LFS rule of their own, if nobody else needs it.
///
/// A rule may be for more files than the one it names (without an anchor, or with a class in it); the
/// others are asked for.
pub(crate) fn rules_of_files(
    content: &[u8],
    files: &[RepoPath],
    mut is_needed: impl FnMut(&Glob) -> bool,
) -> Vec<RepoPath> {
    let lines = Lines::read(content);
    let mut found = Vec::new();
    for file in files {
        let pattern = Pattern::Literal(file.clone());
        let rules = lines
            .find(&pattern)
            .into_iter()
            .filter_map(|at| lines.rule(at));
        let mut rules = rules.filter(|rule| rule.is_lfs()).peekable();
        let spare = |rule: &Rule| {
            rule.names_one_file() || Glob::parse(&rule.word).is_some_and(|glob| !is_needed(&glob))
        };
        if rules.peek().is_some() && rules.all(spare) {
            found.push(file.clone());
        }
    }
    found
}

/// What some editors put before a text; git overlooks it.
const BOM: &[u8] = b"\xef\xbb\xbf";

struct Lines {
    has_bom: bool,
    lines: Vec<Line>,
    by_meaning: HashMap<Meaning, Vec<usize>>,
    /// Lines that give files to another filter, or to none.
    against: Vec<(usize, Glob)>,
    /// The line end of new lines: that of the first line.
    end: &'static str,
}

/// A line with its end; it is empty once it was taken out.
struct Line {
    text: Vec<u8>,
    rule: Option<Rule>,
}

impl Lines {
    fn read(content: &[u8]) -> Self {
        let bare = content.strip_prefix(BOM);
        let mut lines = Self {
            has_bom: bare.is_some(),
            lines: Vec::new(),
            by_meaning: HashMap::new(),
            against: Vec::new(),
            end: "\n",
        };
        let content = bare.unwrap_or(content);
        for text in content.split_inclusive(|byte| *byte == b'\n') {
            if lines.lines.is_empty() && text.ends_with(b"\r\n") {
                lines.end = "\r\n";
            }
            lines.push(text.to_vec(), Rule::read(text));
        }
        lines
    }

    fn push(&mut self, text: Vec<u8>, rule: Option<Rule>) {
        let at = self.lines.len();
        if let Some(rule) = &rule {
            for meaning in Meaning::of_word(&rule.word) {
                self.by_meaning.entry(meaning).or_default().push(at);
            }
            if rule.filter().is_some_and(|state| !is_value_lfs(state)) {
                self.against
                    .extend(Glob::parse(&rule.word).map(|glob| (at, glob)));
            }
        }
        self.lines.push(Line { text, rule });
    }

    fn write(self) -> Vec<u8> {
        let start = if self.has_bom { BOM } else { &[] };
        let lines = self.lines.into_iter().flat_map(|line| line.text);
        start.iter().copied().chain(lines).collect()
    }

    fn rule(&self, at: usize) -> Option<&Rule> {
        self.lines[at].rule.as_ref()
    }

    /// The lines for `pattern`, in their order.
    fn find(&self, pattern: &Pattern) -> Vec<usize> {
        let known = pattern.meanings();
        let known = known.iter().filter_map(|own| self.by_meaning.get(own));
        let mut found: Vec<usize> = known.flatten().copied().collect();
        found.retain(|at| self.lines[*at].rule.is_some());
        found.sort_unstable();
        found.dedup();
        found
    }

    fn track(&mut self, pattern: &Pattern, lockable: Lockable) -> Outcome {
        let wanted = |rule: &Rule| {
            rule.is_lfs()
                && match lockable {
                    Lockable::Keep => true,
                    Lockable::Yes => rule.is_lockable(),
                    Lockable::No => !rule.is_lockable(),
                }
        };
        // The last line of a file wins, so it is the one that counts.
        let last = self.find(pattern).last().copied();
        let Some((at, rule)) = last.and_then(|at| Some((at, self.rule(at)?))) else {
            self.append(new_line(
                &pattern.spelling(),
                &[],
                lockable == Lockable::Yes,
            ));
            return Outcome::Changed;
        };
        let overruled = self.is_overruled(pattern, at);
        if wanted(rule) && !overruled {
            return Outcome::Unchanged;
        }
        // A line without an anchor is for more files than this one: theirs stays.
        let spelling = pattern.spelling();
        let same = Meaning::of_word(&rule.word);
        if !Meaning::of_word(spelling.as_bytes())
            .iter()
            .all(|meaning| same.contains(meaning))
        {
            self.append(new_line(&spelling, &[], lockable == Lockable::Yes));
            return Outcome::Changed;
        }
        let lockable = match lockable {
            Lockable::Keep => rule.is_lockable(),
            Lockable::Yes => true,
            Lockable::No => false,
        };
        let text = new_line(&spelling, &rule.assigned, lockable);
        if overruled {
            self.take_out(at);
            self.append(text);
        } else {
            self.replace(at, text);
        }
        Outcome::Changed
    }

    /// Whether a later line takes the file away from LFS.
    fn is_overruled(&self, pattern: &Pattern, at: usize) -> bool {
        let Pattern::Literal(path) = pattern else {
            // What follows a glob are exceptions to it.
            return false;
        };
        let mut later = self
            .against
            .iter()
            .rev()
            .take_while(|(other, _)| *other > at);
        later.any(|(other, glob)| {
            self.rule(*other).is_some_and(|rule| !rule.is_lfs())
                && glob.matches(path.as_str(), Case::Counts)
        })
    }

    fn untrack(&mut self, pattern: &Pattern) -> Outcome {
        let mut outcome = Outcome::Unchanged;
        for at in self.find(pattern) {
            let Some(rule) = self.rule(at).filter(|rule| rule.is_lfs()) else {
                continue;
            };
            outcome = Outcome::Changed;
            let others = others(&rule.assigned, Others::Instead);
            if others.is_empty() {
                self.take_out(at);
            } else {
                let lead = split(&self.lines[at].text).map_or_else(Vec::new, |it| it.lead.to_vec());
                self.replace(at, [lead, others].concat());
            }
        }
        outcome
    }

    fn take_out(&mut self, at: usize) {
        self.lines[at] = Line {
            text: Vec::new(),
            rule: None,
        };
    }

    /// Puts another line there, with the end the old one has.
    fn replace(&mut self, at: usize, text: Vec<u8>) {
        let rule = Rule::read(&text);
        let old = &self.lines[at].text;
        let end = old.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        let text = [&text, &old[end.map_or(0, |at| at + 1)..]].concat();
        self.lines[at] = Line { text, rule };
    }

    fn append(&mut self, mut text: Vec<u8>) {
        let end = self.end.as_bytes();
        let last = self.lines.iter_mut().rfind(|line| !line.text.is_empty());
        if let Some(last) = last
            && !last.text.ends_with(b"\n")
        {
            last.text.extend_from_slice(end);
        }
        text.extend_from_slice(end);
        let rule = Rule::read(&text);
        self.push(text, rule);
    }
}

#[cfg(test)]
mod tests;
