//! Globs, as git's `wildmatch.c` matches them; its corner cases are kept, for they decide too.

use std::collections::HashMap;

/// What stars and question marks may stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slash {
    /// Anything.
    Plain,
    /// Anything but `/`; `**` between slashes is for folders.
    Parts,
}

/// What became of a part of the pattern and a part of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Match,
    NoMatch,
    /// However many letters an earlier star takes, it will not match.
    AbortAll,
    /// The same, unless the star is one that takes slashes.
    AbortToStars,
}

use Outcome::{AbortAll, AbortToStars, Match, NoMatch};

/// Whether the pattern matches the whole text. Upper-case letters are taken for lower-case ones in
/// both, if `fold` says so.
pub(super) fn wildmatch(pattern: &[u8], text: &[u8], slash: Slash, fold: bool) -> bool {
    let mut matcher = Matcher {
        pattern,
        text,
        slash,
        fold,
        known: HashMap::new(),
    };
    matcher.run(0, 0) == Match
}

struct Matcher<'a> {
    pattern: &'a [u8],
    text: &'a [u8],
    slash: Slash,
    fold: bool,
    /// What is known not to match, from where in the pattern and from where in the text. Without it
    /// some patterns with many `**/` would take for ever, as they do in git.
    known: HashMap<(usize, usize), Outcome>,
}

impl Matcher<'_> {
    /// The byte of the pattern; none is 0, which no pattern holds.
    fn p(&self, at: usize) -> u8 {
        self.pattern.get(at).copied().unwrap_or(0)
    }

    fn t(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn folded(&self, byte: u8) -> u8 {
        if self.fold {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    }

    fn has_slash(&self, from: usize) -> bool {
        self.text[from..].contains(&b'/')
    }

    fn run_once(&mut self, p: usize, t: usize) -> Outcome {
        if let Some(outcome) = self.known.get(&(p, t)) {
            return *outcome;
        }
        let outcome = self.run(p, t);
        if outcome != Match {
            self.known.insert((p, t), outcome);
        }
        outcome
    }

    /// Matches what follows `p` in the pattern with what follows `t` in the text.
    fn run(&mut self, mut p: usize, mut t: usize) -> Outcome {
        let start = p;
        while p < self.pattern.len() {
            if t >= self.text.len() && self.p(p) != b'*' {
                return AbortAll;
            }
            let letter = self.folded(self.t(t));
            match self.folded(self.p(p)) {
                b'?' => {
                    if self.slash == Slash::Parts && letter == b'/' {
                        return NoMatch;
                    }
                }
                b'*' => match self.star(start, p, t) {
                    Star::Done(outcome) => return outcome,
                    Star::Slash(at_p, at_t) => (p, t) = (at_p, at_t),
                },
                b'[' => match self.class(p, letter) {
                    None => return AbortAll,
                    Some((end, within)) => {
                        if !within || self.slash == Slash::Parts && letter == b'/' {
                            return NoMatch;
                        }
                        p = end;
                    }
                },
                b'\\' => {
                    p += 1;
                    if letter != self.p(p) {
                        return NoMatch;
                    }
                }
                other => {
                    if letter != other {
                        return NoMatch;
                    }
                }
            }
            p += 1;
            t += 1;
        }
        if t < self.text.len() { NoMatch } else { Match }
    }

    /// One star or several at `p`; `start` is where the pattern of this turn begins.
    fn star(&mut self, start: usize, p: usize, mut t: usize) -> Star {
        let mut next = p + 1;
        let mut takes_slash = self.slash == Slash::Plain;
        let mut several = false;
        while self.p(next) == b'*' {
            several = true;
            next += 1;
        }
        if several && self.slash == Slash::Parts {
            let begins = p == start || self.p(p - 1) == b'/';
            let ends = match self.p(next) {
                0 | b'/' => true,
                b'\\' => self.p(next + 1) == b'/',
                _ => false,
            };
            takes_slash = begins && ends;
            // `**/` may be no folder at all.
            if takes_slash && self.p(next) == b'/' && self.run_once(next + 1, t) == Match {
                return Star::Done(Match);
            }
        }
        if next >= self.pattern.len() {
            let stops = !takes_slash && self.has_slash(t);
            return Star::Done(if stops { AbortToStars } else { Match });
        }
        if !takes_slash && self.p(next) == b'/' {
            return match self.text[t..].iter().position(|byte| *byte == b'/') {
                Some(at) => Star::Slash(next, t + at),
                None => Star::Done(AbortAll),
            };
        }
        while t < self.text.len() {
            let mut letter = self.folded(self.t(t));
            let wanted = self.folded(self.p(next));
            if !is_special(wanted) {
                // Up to the next such letter, all belongs to the star.
                let found = self.text[t..]
                    .iter()
                    .position(|byte| self.folded(*byte) == wanted || !takes_slash && *byte == b'/');
                let at = found.map_or(self.text.len(), |at| t + at);
                letter = self.folded(self.t(at));
                if at >= self.text.len() || letter != wanted {
                    return Star::Done(if takes_slash { AbortAll } else { AbortToStars });
                }
                t = at;
            }
            let outcome = if several && takes_slash {
                self.run_once(next, t)
            } else {
                self.run(next, t)
            };
            if outcome != NoMatch {
                if !takes_slash || outcome != AbortToStars {
                    return Star::Done(outcome);
                }
            } else if !takes_slash && letter == b'/' {
                return Star::Done(AbortToStars);
            }
            t += 1;
        }
        Star::Done(AbortAll)
    }

    /// A class like `[a-z]` at `p`: where it ends, and whether the letter is in it. `None` if it is broken.
    fn class(&self, p: usize, letter: u8) -> Option<(usize, bool)> {
        let mut at = p + 1;
        let negated = matches!(self.p(at), b'!' | b'^');
        if negated {
            at += 1;
        }
        let mut found = false;
        let mut before = 0;
        loop {
            let mut byte = *self.pattern.get(at)?;
            if byte == b'\\' {
                at += 1;
                byte = *self.pattern.get(at)?;
                found |= letter == byte;
            } else if byte == b'-' && before != 0 && !matches!(self.p(at + 1), 0 | b']') {
                at += 1;
                byte = *self.pattern.get(at)?;
                if byte == b'\\' {
                    at += 1;
                    byte = *self.pattern.get(at)?;
                }
                let range = before..=byte;
                found |= range.contains(&letter)
                    || self.fold && range.contains(&letter.to_ascii_uppercase());
                byte = 0;
            } else if byte == b'[' && self.p(at + 1) == b':' {
                let name = at + 2;
                let length = self.pattern[name..].iter().position(|byte| *byte == b']')?;
                match self.pattern[name..name + length].strip_suffix(b":") {
                    Some(kind) => {
                        found |= self.is_of(kind, letter)?;
                        at = name + length;
                        byte = 0;
                    }
                    // No `:]`: a bracket like any other letter.
                    None => found |= letter == b'[',
                }
            } else {
                found |= letter == byte;
            }
            before = byte;
            at += 1;
            if self.p(at) == b']' {
                return Some((at, found != negated));
            }
        }
    }

    /// Whether the letter is of a kind that POSIX names; `None` if there is no such kind.
    fn is_of(&self, kind: &[u8], letter: u8) -> Option<bool> {
        Some(match kind {
            b"alnum" => letter.is_ascii_alphanumeric(),
            b"alpha" => letter.is_ascii_alphabetic(),
            b"blank" => matches!(letter, b' ' | b'\t'),
            b"cntrl" => letter.is_ascii_control(),
            b"digit" => letter.is_ascii_digit(),
            b"graph" => letter.is_ascii_graphic(),
            b"lower" => letter.is_ascii_lowercase(),
            b"print" => matches!(letter, b' '..=b'~'),
            b"punct" => letter.is_ascii_punctuation(),
            // To git a vertical tab and a form feed are none.
            b"space" => matches!(letter, b' ' | b'\t' | b'\n' | b'\r'),
            b"upper" => letter.is_ascii_uppercase() || self.fold && letter.is_ascii_lowercase(),
            b"xdigit" => letter.is_ascii_hexdigit(),
            _ => return None,
        })
    }
}

/// How it goes on behind a star.
enum Star {
    Done(Outcome),
    /// At the slash that follows it, in pattern and text.
    Slash(usize, usize),
}

pub(super) fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pattern: &str, text: &str) -> bool {
        wildmatch(pattern.as_bytes(), text.as_bytes(), Slash::Parts, false)
    }

    #[test]
    fn patterns_match_what_git_matches() {
        // The answers are those of git's own tests of wildmatch.
        for (pattern, text, matches) in [
            ("foo", "foo", true),
            ("", "", true),
            ("???", "foo", true),
            ("*f", "foo", false),
            ("*foo*", "foo", true),
            ("*ob*a*r*", "foobar", true),
            ("\\*foo", "*foo", true),
            ("foo\\", "foo\\", false),
            ("f\\oo", "foo", true),
            ("[ab]", "[ab]", false),
            ("**/foo", "foo", true),
            ("**/foo", "a/b/foo", true),
            ("foo/**/**/bar", "foo/bar", true),
            ("foo/**/bar", "foo/b/a/z/bar", true),
            ("foo**bar", "foo/baz/bar", false),
            ("foo/*/bar", "foo/baz/bar", true),
            ("*/foo", "bar/baz/foo", false),
            ("**/bar*", "deep/foo/bar/baz", false),
            ("**/bar/**", "deep/foo/bar/baz/x", true),
            ("t[a-g]n", "ten", true),
            ("t[!a-g]n", "ten", false),
            ("t[^a-g]n", "ton", true),
            ("a[]]b", "a]b", true),
            ("a[]-]b", "a-b", true),
            ("a[]a-]b", "aab", true),
            ("]", "]", true),
            ("f[^eiu][^eiu][^eiu][^eiu][^eiu]r", "foo/bba/arr", false),
            ("[[:alpha:]][[:digit:]][[:upper:]]", "a1B", true),
            ("[[:digit:][:spaci:]]", "1", false),
            ("[a-c[:digit:]x-z]", "5", true),
            ("[\\\\-^]", "]", true),
            ("[\\-_]", "-", true),
            ("[,-.]", "-", true),
            ("[[-\\]]", "\\", true),
            ("[a-", "a", false),
            ("**/a*a*b*b*cc*cc*", "aaabbb/aaabbbcccc", true),
            ("[[:space:]]", "\u{b}", false),
        ] {
            assert_eq!(parts(pattern, text), matches, "{pattern} {text}");
        }
        assert!(wildmatch(b"foo*bar", b"foo/baz/bar", Slash::Plain, false));
        assert!(wildmatch(b"[A-Z]x", b"ax", Slash::Plain, true));
        assert!(!wildmatch(b"[A-Z]x", b"ax", Slash::Plain, false));
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        let text = "a/".repeat(100);
        assert!(!parts(&format!("{}b", "**/a/".repeat(100)), &text));
        assert!(!parts(&format!("{}b", "*a".repeat(100)), &"a".repeat(1000)));
        assert!(!parts(&format!("{}b", "**/*a".repeat(100)), &text));
    }
}
