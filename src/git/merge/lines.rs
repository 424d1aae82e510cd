//! Merging a list of rules, one to a line: nobody's rule gets lost, nobody's removal is undone.

use std::collections::HashSet;

/// The lines of both sides, ours first where both add some at the same place.
///
/// A line that one side removed is gone, unless the other side wrote it anew. Lines keep their
/// order and place, for of two attribute rules the later one wins. New lines get the line end that
/// our first line has.
pub(super) fn union(base: &[u8], ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    let end = [ours, theirs]
        .into_iter()
        .find_map(first_end)
        .unwrap_or(b"\n");
    let known: HashSet<&[u8]> = lines(base).map(text).collect();
    let in_theirs: HashSet<&[u8]> = lines(theirs).map(text).collect();
    let in_ours: HashSet<&[u8]> = lines(ours).map(text).collect();

    let kept = |line: &&[u8]| !known.contains(text(line)) || in_theirs.contains(text(line));
    let mut merged: Vec<&[u8]> = lines(ours).filter(kept).collect();
    // Where the next line of theirs goes: behind the line it follows there, and behind those that
    // we added after that one.
    let mut place = behind_own(&merged, 0, &in_theirs);
    let mut added = HashSet::new();
    for line in lines(theirs).map(text) {
        if known.contains(line) || in_ours.contains(line) {
            let found = merged[place..].iter().position(|here| text(here) == line);
            if let Some(ahead) = found {
                place = behind_own(&merged, place + ahead + 1, &in_theirs);
            }
        } else if added.insert(line) {
            merged.insert(place, line);
            place += 1;
        }
    }

    let mut content = Vec::with_capacity(ours.len() + theirs.len());
    for (number, line) in merged.iter().enumerate() {
        content.extend_from_slice(line);
        let bare = !line.ends_with(b"\n");
        let last_of_ours = number + 1 == merged.len() && !added.contains(line);
        if bare && !last_of_ours {
            content.extend_from_slice(end);
        }
    }
    content
}

/// The first place from `place` on where no line stands that only we have.
fn behind_own(merged: &[&[u8]], place: usize, in_theirs: &HashSet<&[u8]>) -> usize {
    let own = |line: &&&[u8]| !in_theirs.contains(text(line));
    place + merged[place..].iter().take_while(own).count()
}

/// The lines with their ends.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split_inclusive(|byte| *byte == b'\n')
}

fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn first_end(content: &[u8]) -> Option<&'static [u8]> {
    let first = lines(content).next().filter(|line| line.ends_with(b"\n"))?;
    Some(if first.ends_with(b"\r\n") {
        b"\r\n"
    } else {
        b"\n"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn merges(base: &str, ours: &str, theirs: &str, expected: &str) {
        let merged = union(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        assert_eq!(String::from_utf8_lossy(&merged), expected);
    }

    #[test]
    fn both_append() {
        merges("a\n", "a\nb\n", "a\nc\nd\n", "a\nb\nc\nd\n");
        merges("", "b\n", "c\n", "b\nc\n");
        merges("a\n", "a\nb\nsame\n", "a\nsame\nc\n", "a\nb\nsame\nc\n");
        merges("a\n", "a\nb\n", "a\nc\nc\n", "a\nb\nc\n");
    }

    #[test]
    fn removed_lines_stay_removed() {
        merges("a\nb\nc\n", "b\nc\n", "a\nb\nd\n", "b\nd\n");
        merges("a\n", "", "a\nb\n", "b\n");
        merges("a\n", "a\nb\n", "", "b\n");
        merges("a\n", "", "", "");
    }

    #[test]
    fn lines_keep_their_place_for_the_later_rule_wins() {
        merges(
            "*.bin lfs\nsmall.bin !lfs\n",
            "*.bin lfs\nsmall.bin !lfs\nours lfs\n",
            "*.bin lfs lockable\nsmall.bin !lfs\n",
            "*.bin lfs lockable\nsmall.bin !lfs\nours lfs\n",
        );
        merges("a\nb\n", "a1\nb\n", "a2\nb\n", "a1\na2\nb\n");
        merges("a\nb\n", "b\na\n", "a\nx\nb\n", "b\na\nx\n");
        merges(
            "a\n\nb\n",
            "a\n\nb\nc\n",
            "a\n\nb\n\n# more\nd\n",
            "a\n\nb\nc\n# more\nd\n",
        );
    }

    #[test]
    fn line_ends_are_kept() {
        merges("a\r\n", "a\r\nb\r\n", "a\r\nc\n", "a\r\nb\r\nc\r\n");
        // The end of a line is no part of the rule.
        merges("a\n", "a\r\n", "a\nb\n", "a\r\nb\r\n");
        merges("a", "a\nb", "a\nc", "a\nb\nc\n");
        merges("a\nb", "x\na\nb", "a\nb", "x\na\nb");
    }
}
