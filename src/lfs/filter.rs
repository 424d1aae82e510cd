//! `lfs.fetchinclude` and `lfs.fetchexclude`: for which paths content is fetched.
//!
//! Lists with commas, patterns as in `.gitignore`: one without a slash is for names in any folder,
//! one with a slash starts at the root, and what matches a folder is for all in it. What is excluded
//! stays so, included or not.

use super::pattern::Pattern;
use crate::config::Config;
use crate::path::RepoPath;

/// The two lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl Filter {
    /// Reads the lists of a config.
    pub(crate) fn read(config: &Config) -> Self {
        let list = |key| {
            let parts = config.get(key).unwrap_or_default().split(',');
            parts.filter_map(Glob::new).collect()
        };
        Self {
            include: list("lfs.fetchinclude"),
            exclude: list("lfs.fetchexclude"),
        }
    }

    /// For what any of the patterns catches; at least one.
    pub(crate) fn catching(patterns: &[Pattern]) -> Self {
        let glob = |pattern: &Pattern| match pattern {
            Pattern::Glob(text) => Glob::new(text),
            Pattern::Literal(path) => Some(Glob::literal(path)),
        };
        Self {
            include: patterns.iter().filter_map(glob).collect(),
            exclude: Vec::new(),
        }
    }

    /// Whether content is fetched for a path.
    pub(crate) fn takes(&self, path: &RepoPath) -> bool {
        let segments: Vec<&str> = path.as_str().split('/').collect();
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.catches(&segments));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// One pattern, by its segments.
#[derive(Clone, Debug)]
struct Glob(Vec<Segment>);

#[derive(Clone, Debug)]
enum Segment {
    /// `**`: any number of folders.
    Any,
    One(Vec<char>),
}

impl Glob {
    fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_suffix('/').unwrap_or(text);
        let text = text.strip_prefix("./").unwrap_or(text);
        if text.is_empty() {
            return None;
        }
        let mut segments = Vec::new();
        if !text.contains('/') {
            segments.push(Segment::Any);
        }
        for part in text.trim_start_matches('/').split('/') {
            segments.push(match part {
                "**" => Segment::Any,
                part => Segment::One(part.chars().collect()),
            });
        }
        if let Some(Segment::Any) = segments.last() {
            // All in the folder, but not a file of the folder's name.
            segments.push(Segment::One(vec!['*']));
        }
        Some(Self(segments))
    }

    /// For one file or folder, whatever characters its name has.
    fn literal(path: &RepoPath) -> Self {
        let segment = |name: &str| {
            let escaped = name.chars().flat_map(|c| ['\\', c]);
            Segment::One(escaped.collect())
        };
        Self(path.as_str().split('/').map(segment).collect())
    }

    /// Whether the path, or a folder it lies in, matches.
    fn catches(&self, path: &[&str]) -> bool {
        (1..=path.len()).any(|length| {
            star(
                &self.0,
                &path[..length],
                |segment| matches!(segment, Segment::Any),
                |segment, name| match segment {
                    Segment::Any => false,
                    Segment::One(glob) => name_matches(glob, name),
                },
            )
        })
    }
}

/// Whether `items` match a pattern in which some elements stand for any number of them.
///
/// Only the last such element is ever tried again, so the time is that of both lengths multiplied,
/// whatever somebody wrote into a repository's `.lfsconfig`.
fn star<P, T: Copy>(
    pattern: &[P],
    items: &[T],
    is_star: impl Fn(&P) -> bool,
    matches: impl Fn(&P, T) -> bool,
) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut retry = None;
    while item < items.len() {
        if at < pattern.len() && is_star(&pattern[at]) {
            retry = Some((at, item));
            at += 1;
        } else if at < pattern.len() && matches(&pattern[at], items[item]) {
            (at, item) = (at + 1, item + 1);
        } else if let Some((star, taken)) = retry {
            retry = Some((star, taken + 1));
            (at, item) = (star + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(is_star)
}

/// What one character of a name is compared with.
enum Piece {
    Star,
    AnyOne,
    Char(char),
    /// Ranges, and whether those not in them are meant.
    Class(Vec<(char, char)>, bool),
}

fn name_matches(glob: &[char], name: &str) -> bool {
    let pieces = pieces(glob);
    let name: Vec<char> = name.chars().collect();
    star(
        &pieces,
        &name,
        |piece| matches!(piece, Piece::Star),
        |piece, c| match piece {
            Piece::Star => false,
            Piece::AnyOne => true,
            Piece::Char(wanted) => *wanted == c,
            Piece::Class(ranges, negated) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        },
    )
}

fn pieces(glob: &[char]) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut rest = glob;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        out.push(match first {
            '*' => Piece::Star,
            '?' => Piece::AnyOne,
            '\\' => match rest.split_first() {
                Some((c, tail)) => {
                    rest = tail;
                    Piece::Char(*c)
                }
                None => Piece::Char('\\'),
            },
            '[' => match class(rest) {
                Some((class, tail)) => {
                    rest = tail;
                    class
                }
                None => Piece::Char('['),
            },
            c => Piece::Char(*c),
        });
    }
    out
}

/// Reads a class behind its `[`; one without an end is none.
fn class(text: &[char]) -> Option<(Piece, &[char])> {
    let (negated, mut rest) = match text.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        let (first, tail) = rest.split_first()?;
        match (*first, tail) {
            (']', tail) if !ranges.is_empty() => {
                return Some((Piece::Class(ranges, negated), tail));
            }
            ('[', [':', tail @ ..]) => {
                let end = tail.windows(2).position(|two| two == [':', ']'])?;
                ranges.extend(named(&tail[..end].iter().collect::<String>())?);
                rest = &tail[end + 2..];
            }
            (first, tail) => {
                let (from, tail) = literal(first, tail)?;
                match tail {
                    ['-', to, tail @ ..] if *to != ']' => {
                        let (to, tail) = literal(*to, tail)?;
                        ranges.push((from, to));
                        rest = tail;
                    }
                    _ => {
                        ranges.push((from, from));
                        rest = tail;
                    }
                }
            }
        }
    }
}

fn literal(c: char, tail: &[char]) -> Option<(char, &[char])> {
    match c {
        '\\' => tail.split_first().map(|(c, tail)| (*c, tail)),
        c => Some((c, tail)),
    }
}

/// The classes of POSIX, for ASCII as in git.
fn named(name: &str) -> Option<Vec<(char, char)>> {
    Some(match name {
        "alnum" => vec![('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => vec![('A', 'Z'), ('a', 'z')],
        "blank" => vec![(' ', ' '), ('\t', '\t')],
        "cntrl" => vec![('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => vec![('0', '9')],
        "graph" => vec![('!', '~')],
        "lower" => vec![('a', 'z')],
        "print" => vec![(' ', '~')],
        "punct" => vec![('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => vec![(' ', ' '), ('\t', '\r')],
        "upper" => vec![('A', 'Z')],
        "xdigit" => vec![('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Writer;

    fn takes(include: &str, exclude: &str, path: &str) -> bool {
        let mut config = Config::default();
        config.push("lfs.fetchinclude", include, Writer::User);
        config.push("lfs.fetchexclude", exclude, Writer::User);
        Filter::read(&config).takes(&RepoPath::new(path).expect(path))
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        for (pattern, path, expected) in [
            ("*.bin", "a.bin", true),
            ("*.bin", "x/y/a.bin", true),
            ("*.bin", "a.bin.txt", false),
            ("x", "x/a.bin", true),
            ("x", "y/x/a.bin", true),
            ("x/", "x/y/a.bin", true),
            ("/x", "y/x/a.bin", false),
            ("/x", "x/a.bin", true),
            ("x/a*", "x/abc/d", true),
            ("x/a*", "y/x/abc", false),
            ("x/*", "x/a/b", true),
            ("*/a", "x/y/a", false),
            ("**/a", "x/y/a", true),
            ("x/**/a", "x/a", true),
            ("x/**/a", "x/y/z/a", true),
            ("x/**", "x/y", true),
            ("x/**", "x", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]y", "]y", true),
            ("[[:digit:]]", "7", true),
            ("[", "[", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a*b*c", "aXbYc", true),
            ("ä*", "äx", true),
        ] {
            assert_eq!(takes(pattern, "", path), expected, "{pattern} {path}");
            assert_eq!(takes("", pattern, path), !expected, "not {pattern} {path}");
        }
    }

    #[test]
    fn what_is_excluded_stays_so() {
        assert!(takes("", "", "a") && takes(" , ,", ",", "a"));
        assert!(takes("a*, b*", "ab", "ac") && takes("a*, b*", "ab", "b"));
        assert!(!takes("a*, b*", "ab", "ab") && !takes("a*", "", "c"));
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let pattern = "*a".repeat(200);
        assert!(!takes(&format!("{pattern}b"), "", &"a".repeat(2000)));
        let path = "a/".repeat(500) + "a";
        assert!(!takes(&format!("{}b", "**/a/".repeat(200)), "", &path));
    }
}
