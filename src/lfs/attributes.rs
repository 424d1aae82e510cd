//! Editing `.gitattributes` line by line; what is not ours stays byte for byte.

use std::collections::HashMap;

use super::pattern::{Meaning, Pattern};
use crate::gitattributes::{Assignment, Case, Glob, State, assignments, split};
use crate::path::RepoPath;

/// Whether files may be locked, which is what git-lfs's attribute `lockable` says.
///
/// git-lfs makes such files read-only until `git lfs lock` takes the lock; nothing else here knows of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lockable {
    /// A rule that is there stays as it is; a new one is not for lockable files.
    #[default]
    Keep,
    /// They may, as with `git lfs track --lockable`.
    Yes,
    /// They may not, as with `git lfs track --not-lockable`.
    No,
}

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

struct Rule {
    /// Without its quotes.
    word: Vec<u8>,
    assigned: Vec<Assignment>,
}

impl Rule {
    /// Reads a line; `None` if git finds no pattern in it.
    fn read(line: &[u8]) -> Option<Self> {
        let split = split(line)?;
        if split.word.starts_with(b"[attr]") || split.word.starts_with(b"!") {
            return None;
        }
        Some(Self {
            assigned: assignments(split.rest)?,
            word: split.word.into_owned(),
        })
    }

    /// The last word counts.
    fn filter(&self) -> Option<&State> {
        let mut said = self.assigned.iter().rev();
        said.find(|one| &*one.name == "filter")
            .map(|one| &one.state)
    }

    fn is_lfs(&self) -> bool {
        self.filter().is_some_and(is_value_lfs)
    }

    fn is_lockable(&self) -> bool {
        let mut said = self.assigned.iter().rev();
        said.find(|one| &*one.name == "lockable")
            .is_some_and(|one| one.state == State::Set)
    }

    /// Whether it is for one file only: with an anchor, and without a class for what is no letter.
    fn names_one_file(&self) -> bool {
        let is_file = |meaning: &Meaning| matches!(meaning, Meaning::File(_));
        self.word.contains(&b'/')
            && !self.word.windows(3).any(|part| part == b"[[:")
            && Meaning::of_word(&self.word).iter().any(is_file)
    }
}

fn is_value_lfs(state: &State) -> bool {
    matches!(state, State::Value(value) if **value == *b"lfs")
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
            let others = others(&rule.assigned, Others::AndDrivers);
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

/// A line as git-lfs writes it, after what was said of other attributes, so that it counts more.
fn new_line(word: &str, said: &[Assignment], lockable: bool) -> Vec<u8> {
    let mut line = [
        word.as_bytes(),
        &others(said, Others::NoDrivers),
        b" filter=lfs",
    ]
    .concat();
    for (driver, usual) in [("diff", b" diff=lfs".as_slice()), ("merge", b" merge=lfs")] {
        let own = said.iter().rfind(|one| &*one.name == driver);
        match own.filter(|one| matches!(one.state, State::Value(_))) {
            Some(own) => line.extend(spelt(own)),
            None => line.extend(usual),
        }
    }
    line.extend(b" -text");
    if lockable {
        line.extend(b" lockable");
    }
    line
}

#[derive(Clone, Copy, PartialEq)]
enum Others {
    /// Not what is said of `diff` and `merge`.
    NoDrivers,
    /// But with drivers that are none of git-lfs's.
    AndDrivers,
}

/// What a line says that is no part of a rule for LFS files, a blank before each word.
fn others(said: &[Assignment], which: Others) -> Vec<u8> {
    let of_lfs = |one: &&Assignment| match &*one.name {
        "filter" | "text" | "lockable" => true,
        "diff" | "merge" => which == Others::NoDrivers || is_value_lfs(&one.state),
        _ => false,
    };
    let others = said.iter().filter(|one| !of_lfs(one));
    others.flat_map(spelt).collect()
}

fn spelt(one: &Assignment) -> Vec<u8> {
    let (sign, value) = match &one.state {
        State::Set => (" ", None),
        State::Unset => (" -", None),
        State::Unspecified => (" !", None),
        State::Value(value) => (" ", Some(value)),
    };
    let mut word = format!("{sign}{}", one.name).into_bytes();
    if let Some(value) = value {
        word.push(b'=');
        word.extend_from_slice(value);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Pattern {
        Pattern::Glob(text.into())
    }

    fn literal(name: &str) -> Pattern {
        Pattern::Literal(RepoPath::new(name).expect(name))
    }

    fn tracked(before: &str, patterns: &[Pattern]) -> String {
        text(track(before.as_bytes(), patterns))
    }

    fn untracked(before: &str, patterns: &[Pattern]) -> String {
        text(untrack(before.as_bytes(), patterns))
    }

    fn text(edit: Edit) -> String {
        String::from_utf8(edit.content).expect("utf-8")
    }

    const RULE: &str = "filter=lfs diff=lfs merge=lfs -text";

    #[test]
    fn other_lines_stay_as_they_are() {
        let before = "# comment\r\n\r\n*.txt text\r\n[attr]x filter=lfs";
        let edit = track(before.as_bytes(), &[glob("*.bin")]);
        assert_eq!(edit.outcomes, [Outcome::Changed]);
        assert_eq!(text(edit), format!("{before}\r\n*.bin {RULE}\r\n"));
        let odd = format!("\u{feff}\t*.a  {RULE}\n\n# c\n *.b\tx\r\n\n*.bin {RULE}");
        assert_eq!(
            untracked(&odd, &[glob("*.a")]),
            format!("\u{feff}\n# c\n *.b\tx\r\n\n*.bin {RULE}")
        );
        assert_eq!(
            untracked(&odd, &[glob("*.bin")]),
            format!("\u{feff}\t*.a  {RULE}\n\n# c\n *.b\tx\r\n\n")
        );
    }

    #[test]
    fn tracking_twice_changes_nothing() {
        let patterns = [glob("*.bin"), literal("a b#[1].txt"), literal("t\tq\".x")];
        let once = track(b"", &patterns);
        let twice = track(&once.content, &patterns);
        assert_eq!(once.content, twice.content);
        assert_eq!(twice.outcomes, [Outcome::Unchanged; 3]);
        let none = untrack(&once.content, &patterns);
        assert_eq!(
            (none.content.as_slice(), none.outcomes),
            (&b""[..], vec![Outcome::Changed; 3])
        );
    }

    #[test]
    fn a_line_that_says_otherwise_is_changed_in_place() {
        for (before, after) in [
            ("*.bin -filter lockable", "*.bin F lockable"),
            ("*.bin -filter -diff -merge text", "*.bin F"),
            ("*.bin !filter eol=lf", "*.bin eol=lf F"),
            ("*.bin binary", "*.bin binary F"),
            (
                "*.bin diff=bin x=y -filter",
                "*.bin x=y filter=lfs diff=bin merge=lfs -text",
            ),
            ("*.bin filter=lfs -filter", "*.bin F"),
        ] {
            let after = after.replace('F', RULE);
            for end in ["\n", "\r\n"] {
                let edit = tracked(&format!("{before}{end}*.x y{end}"), &[glob("*.bin")]);
                assert_eq!(edit, format!("{after}{end}*.x y{end}"));
            }
        }
        // Git leaves out the first line, and takes the second.
        let broken = "*.bin filter=lfs a,b\n";
        assert_eq!(
            tracked(broken, &[glob("*.bin")]),
            format!("{broken}*.bin {RULE}\n")
        );
    }

    #[test]
    fn lockable_is_kept_and_can_be_said() {
        let lockable = format!("*.bin {RULE} lockable\n");
        let plain = format!("*.bin {RULE}\n");
        for (before, wish, after) in [
            ("", Lockable::Yes, &lockable),
            ("", Lockable::No, &plain),
            (&*plain, Lockable::Yes, &lockable),
            (&*lockable, Lockable::Keep, &lockable),
            (&*lockable, Lockable::No, &plain),
        ] {
            let edit = track_as(before.as_bytes(), &[glob("*.bin")], wish);
            assert_eq!(text(edit), *after, "{before} {wish:?}");
        }
        assert_eq!(untracked(&lockable, &[glob("*.bin")]), "");
    }

    #[test]
    fn only_what_is_of_lfs_is_taken_out() {
        let before = format!("*.bin text\n*.bin {RULE}\n");
        assert_eq!(untracked(&before, &[glob("*.bin")]), "*.bin text\n");
        assert_eq!(
            untrack(before.as_bytes(), &[glob("*.pt")]).outcomes,
            [Outcome::Unchanged]
        );
        for (before, after) in [
            ("\"a b\" F mine=1 lockable\n", "\"a b\" mine=1\n"),
            (
                "/a[[:space:]]b filter=lfs diff=word merge=lfs -text -x",
                "/a[[:space:]]b diff=word -x",
            ),
        ] {
            let edit = untracked(&before.replace('F', RULE), &[literal("a b")]);
            assert_eq!(edit, after);
        }
    }

    #[test]
    fn a_file_gets_a_line_that_counts() {
        // A later line that takes it away from LFS.
        let rule = format!("/x.bin {RULE}\n");
        assert_eq!(
            tracked(&format!("{rule}*.bin -filter\n"), &[literal("x.bin")]),
            format!("*.bin -filter\n{rule}")
        );
        assert_eq!(
            tracked(&format!("{rule}*.pt -filter\n"), &[literal("x.bin")]),
            format!("{rule}*.pt -filter\n")
        );
        // A line that is for files in all folders stays theirs.
        assert_eq!(
            tracked("x.bin -filter\n", &[literal("x.bin")]),
            format!("x.bin -filter\n{rule}")
        );
        assert_eq!(
            tracked("x.bin filter=lfs\n", &[literal("x.bin")]),
            "x.bin filter=lfs\n"
        );
    }

    #[test]
    fn rules_that_only_deleted_files_have() {
        let text = format!(
            "/gone {RULE}\nbare {RULE}\n/a[[:space:]]b {RULE}\n/c[[:cntrl:]]d {RULE}\n*.bin {RULE}\n/text text\n"
        );
        let gone = ["gone", "bare", "a b", "c\td", "x.bin", "text"];
        let gone = gone.map(|name| RepoPath::new(name).expect(name));
        let left = |there: &str| -> Vec<String> {
            let needed = |glob: &Glob| glob.matches(there, Case::Counts);
            let found = rules_of_files(text.as_bytes(), &gone, needed);
            found.iter().map(|file| file.as_str().to_owned()).collect()
        };
        assert_eq!(left("other"), ["gone", "bare", "a b", "c\td"]);
        assert_eq!(left("sub/bare"), ["gone", "a b", "c\td"]);
        assert_eq!(left("c\nd"), ["gone", "bare", "a b"]);
        assert_eq!(left("a\tb"), ["gone", "bare", "c\td"]);
    }
}
