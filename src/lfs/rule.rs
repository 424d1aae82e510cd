//! One line of `.gitattributes` as a rule for LFS files.

use super::meaning::Meaning;
use crate::gitattributes::{Assignment, State, assignments, split};

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

/// A line with a pattern.
pub(super) struct Rule {
    /// Without its quotes.
    pub(super) word: Vec<u8>,
    pub(super) assigned: Vec<Assignment>,
}

impl Rule {
    /// Reads a line; `None` if git finds no pattern in it.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
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
    pub(super) fn filter(&self) -> Option<&State> {
        let mut said = self.assigned.iter().rev();
        said.find(|one| &*one.name == "filter")
            .map(|one| &one.state)
    }

    pub(super) fn is_lfs(&self) -> bool {
        self.filter().is_some_and(is_value_lfs)
    }

    pub(super) fn is_lockable(&self) -> bool {
        let mut said = self.assigned.iter().rev();
        said.find(|one| &*one.name == "lockable")
            .is_some_and(|one| one.state == State::Set)
    }

    /// Whether it is for one file only: with an anchor, and without a class for what is no letter.
    pub(super) fn names_one_file(&self) -> bool {
        let is_file = |meaning: &Meaning| matches!(meaning, Meaning::File(_));
        self.word.contains(&b'/')
            && !self.word.windows(3).any(|part| part == b"[[:")
            && Meaning::of_word(&self.word).iter().any(is_file)
    }
}

pub(super) fn is_value_lfs(state: &State) -> bool {
    matches!(state, State::Value(value) if **value == *b"lfs")
}

/// A line as git-lfs writes it, after what was said of other attributes, so that it counts more.
pub(super) fn new_line(word: &str, said: &[Assignment], lockable: bool) -> Vec<u8> {
    let mut line = [
        word.as_bytes(),
        &others(said, Others::Beside),
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
pub(super) enum Others {
    /// What a rule for LFS files has a word of its own on is left out.
    Beside,
    /// All that is none of git-lfs's own words.
    Instead,
}

/// What a line says that is no part of a rule for LFS files, a blank before each word.
pub(super) fn others(said: &[Assignment], which: Others) -> Vec<u8> {
    let of_lfs = |one: &&Assignment| match &*one.name {
        "filter" | "lockable" => true,
        "text" => which == Others::Beside || one.state == State::Unset,
        "diff" | "merge" => which == Others::Beside || is_value_lfs(&one.state),
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
