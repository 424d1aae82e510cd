//! Editing `.gitattributes` line by line; what is not ours stays byte for byte.

use super::pattern::{Pattern, split_line};

/// What a rule for LFS files says, as git-lfs writes it.
const RULE: &str = "filter=lfs diff=lfs merge=lfs -text";

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

/// Adds a rule for each pattern that has none; a line that says something else of the same
/// pattern is replaced where it stands, keeping `lockable`.
pub(crate) fn track(content: &[u8], patterns: &[Pattern]) -> Edit {
    let mut lines = Lines::read(content);
    let outcomes = patterns
        .iter()
        .map(|pattern| lines.track(pattern))
        .collect();
    Edit {
        content: lines.write(),
        outcomes,
    }
}

/// Takes out every LFS rule for the patterns.
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

struct Lines {
    /// With their line ends.
    lines: Vec<Vec<u8>>,
    /// The line end of new lines: that of the first line.
    end: &'static str,
}

impl Lines {
    fn read(content: &[u8]) -> Self {
        let lines: Vec<Vec<u8>> = content
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let crlf = lines.first().is_some_and(|line| line.ends_with(b"\r\n"));
        Self {
            lines,
            end: if crlf { "\r\n" } else { "\n" },
        }
    }

    fn write(self) -> Vec<u8> {
        self.lines.concat()
    }

    /// Position and attributes of the lines for `pattern`.
    fn find(&self, pattern: &Pattern) -> Vec<(usize, String)> {
        let rule = |line: &Vec<u8>| {
            let text = std::str::from_utf8(line).ok()?;
            let (word, rest) = split_line(text.trim_end_matches(['\r', '\n']))?;
            pattern.is_spelt(word).then(|| rest.to_owned())
        };
        let all = self.lines.iter().enumerate();
        all.filter_map(|(at, line)| Some((at, rule(line)?)))
            .collect()
    }

    fn track(&mut self, pattern: &Pattern) -> Outcome {
        let found = self.find(pattern);
        let Some((last, attributes)) = found.last() else {
            self.close_last_line();
            self.lines.push(self.rule(pattern, ""));
            return Outcome::Changed;
        };
        // The last line of a file wins, so it is the one that counts.
        if is_lfs(attributes) {
            return Outcome::Unchanged;
        }
        let lockable = if attributes.split_whitespace().any(|word| word == "lockable") {
            " lockable"
        } else {
            ""
        };
        let line = self.rule(pattern, lockable);
        self.lines[*last] = line;
        Outcome::Changed
    }

    fn untrack(&mut self, pattern: &Pattern) -> Outcome {
        let found = self.find(pattern);
        let rules: Vec<usize> = found
            .into_iter()
            .filter(|(_, rest)| is_lfs(rest))
            .map(|(at, _)| at)
            .collect();
        for at in rules.iter().rev() {
            self.lines.remove(*at);
        }
        if rules.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Changed
        }
    }

    fn rule(&self, pattern: &Pattern, more: &str) -> Vec<u8> {
        format!("{} {RULE}{more}{}", pattern.spelling(), self.end).into_bytes()
    }

    fn close_last_line(&mut self) {
        let end = self.end;
        if let Some(last) = self.lines.last_mut()
            && !last.ends_with(b"\n")
        {
            last.extend_from_slice(end.as_bytes());
        }
    }
}

fn is_lfs(attributes: &str) -> bool {
    attributes
        .split_whitespace()
        .rfind(|word| word.ends_with("filter") || word.starts_with("filter="))
        == Some("filter=lfs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RepoPath;

    fn glob(text: &str) -> Pattern {
        Pattern::Glob(text.into())
    }

    fn literal(name: &str) -> Pattern {
        Pattern::Literal(RepoPath::new(name).expect(name))
    }

    fn text(edit: Edit) -> String {
        String::from_utf8(edit.content).expect("utf-8")
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        let before = "# comment\r\n\r\n*.txt text\r\n[attr]x filter=lfs";
        let edit = track(before.as_bytes(), &[glob("*.bin")]);
        assert_eq!(edit.outcomes, [Outcome::Changed]);
        assert_eq!(
            text(edit),
            format!("{before}\r\n*.bin filter=lfs diff=lfs merge=lfs -text\r\n")
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
    fn a_line_that_says_otherwise_is_replaced_in_place() {
        let edit = track(b"*.bin -filter lockable\n*.x y\n", &[glob("*.bin")]);
        assert_eq!(
            text(edit),
            "*.bin filter=lfs diff=lfs merge=lfs -text lockable\n*.x y\n"
        );
    }

    #[test]
    fn only_lfs_rules_are_taken_out() {
        let before = b"*.bin text\n*.bin filter=lfs diff=lfs merge=lfs -text\n";
        assert_eq!(text(untrack(before, &[glob("*.bin")])), "*.bin text\n");
        assert_eq!(
            untrack(before, &[glob("*.pt")]).outcomes,
            [Outcome::Unchanged]
        );
    }
}
