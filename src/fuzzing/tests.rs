//! The bodies as property tests: the seeds as they are, then changed at random for a moment.
//!
//! Another run of changes: `HF_REPOSITORY_SEED=<number>`. What fails is printed, and belongs into
//! `fixtures/seeds/` once it is mended.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Body, TARGETS};
use crate::probe::SEPARATOR;

/// Time for each target.
const MOMENT: Duration = Duration::from_millis(400);
/// Changed inputs for each target; a debug build on a busy machine may try fewer.
const ROUNDS: u64 = 20_000;

/// What the formats are made of, so that a change is more than noise.
const WORDS: [&str; 40] = [
    "\n",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\"",
    "'",
    "\\",
    ":",
    "/",
    "//",
    "..",
    ".git",
    "@",
    "?",
    "#",
    "%00",
    "%2f",
    "{",
    "}",
    "[",
    "]",
    ",",
    "=",
    "-1",
    "0",
    "18446744073709551615",
    "9223372036854775808",
    "null",
    "true",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{feff}",
    "\u{fffd}",
    "ü",
    "https://u:p@h/a?b",
    "[include]",
    "path = p",
    "---\n",
    "!!x &a *a",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("fixtures/seeds").join(target);
    let entries = fs::read_dir(&folder).expect(target);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("listed").path()).collect();
    paths.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).expect("read"));
    paths.into_iter().map(read).collect()
}

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        number as usize % limit.max(1)
    }

    fn span(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(17)).min(length)
    }

    fn change(&mut self, data: &mut Vec<u8>, others: &[(PathBuf, Vec<u8>)]) {
        let at = self.below(data.len() + 1);
        match self.below(8) {
            0 if at < data.len() => data[at] ^= 1 << self.below(8),
            1 if at < data.len() => data[at] = self.below(256) as u8,
            2 => drop(data.drain(self.span(data.len()))),
            3 => {
                let piece = data[self.span(data.len())].to_vec();
                data.splice(at..at, piece);
            }
            4 => data.truncate(at),
            5 => data.insert(at, SEPARATOR),
            6 => {
                let other = &others[self.below(others.len())].1;
                let piece = other[self.below(other.len() + 1)..].to_vec();
                data.splice(at.., piece);
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())].bytes();
                data.splice(at..at, word);
            }
        }
    }
}

/// Says what was tried if the body panics.
struct Tried<'a>(&'a str, String, &'a [u8]);

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(target, how, data) = self;
            eprintln!("{target}, {how}: b\"{}\"", data.escape_ascii());
        }
    }
}

fn run(target: &str, body: Body, seed: u64) -> u64 {
    let seeds = seeds(target);
    for (path, data) in &seeds {
        let _tried = Tried(target, path.display().to_string(), data);
        body(data);
    }
    let mut random = Random::new(seed);
    let begun = Instant::now();
    for round in 0..ROUNDS {
        if begun.elapsed() > MOMENT {
            return round;
        }
        let mut data = seeds[random.below(seeds.len())].1.clone();
        for _ in 0..=random.below(4) {
            random.change(&mut data, &seeds);
        }
        let how = format!("HF_REPOSITORY_SEED={seed}, round {round}");
        let _tried = Tried(target, how, &data);
        body(&data);
    }
    ROUNDS
}

#[test]
fn seeds_and_what_is_like_them_break_no_promise() {
    let seed = crate::env::var("HF_REPOSITORY_SEED").and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(0x5eed_0000);
    let mut broken = Vec::new();
    for (target, body) in TARGETS {
        match std::panic::catch_unwind(|| run(target, *body, seed)) {
            Ok(rounds) => println!("{target}: {rounds} changed inputs"),
            Err(_) => broken.push(*target),
        }
    }
    assert!(broken.is_empty(), "broken promises, see above: {broken:?}");
}

#[test]
fn every_target_is_fuzzed_and_has_seeds() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("there");
    for (target, _) in TARGETS {
        let bin = format!("name = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"");
        assert!(
            manifest.contains(&bin),
            "fuzz/Cargo.toml does not build {target}"
        );
        let file = root().join(format!("fuzz/fuzz_targets/{target}.rs"));
        let text = fs::read_to_string(file).expect(target);
        assert!(
            text.contains(&format!("fuzzing::{target}(data)")),
            "{target}"
        );
        assert!(seeds(target).len() >= 3, "{target} needs seeds");
    }
    let built = manifest.matches("[[bin]]").count();
    assert_eq!(built, TARGETS.len(), "a target without a body");
    let folders = fs::read_dir(root().join("fixtures/seeds")).expect("there");
    let folders = folders.filter(|it| it.as_ref().is_ok_and(|it| it.path().is_dir()));
    assert_eq!(folders.count(), TARGETS.len(), "seeds for no target");
}

#[test]
fn a_body_that_panics_is_noticed() {
    let body: Body = |data| assert!(!data.contains(&b'\t'), "a tab");
    let caught = std::panic::catch_unwind(|| run("rate_limit", body, 1));
    assert!(caught.is_err(), "the changes never made a tab");
}
