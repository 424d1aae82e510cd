//! All of the index at once, to look at: what `status` goes through.
//!
//! Read from the file itself: libgit2 spends most of the time on a checksum that git does not look at either,
//! and on an allocation an entry. Whoever changes the index reads it by libgit2, checksum and all. The format is git's
//! <https://git-scm.com/docs/index-format>; what is not understood here is left to libgit2.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use git2::{IndexEntry, IndexTime};

use super::index::{ASSUME_VALID, Flags, Recorded};
use super::{Entry, Git, Index, Mode, ObjectId};
use crate::error::{Error, Result};
use crate::fs::{self, Stat};
use crate::path::RepoPath;

/// The index as it was read, in git's order.
pub(crate) struct Listing {
    rows: Vec<Row>,
    /// The paths of all rows, one behind the other.
    text: Vec<u8>,
    written_at: Option<(i64, u32)>,
    trees: Option<CachedTree>,
    trusts_modes: bool,
}

/// One entry; a path in conflict has several.
struct Row {
    at: u32,
    length: u32,
    id: ObjectId,
    mode: u32,
    recorded: Recorded,
    flags: u16,
    flags_extended: u16,
}

/// What the index remembers of the trees that its files made when they were last committed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CachedTree {
    /// `None` if something below has changed since.
    pub(super) id: Option<ObjectId>,
    below: Vec<(Vec<u8>, CachedTree)>,
}

impl CachedTree {
    pub(super) fn child(&self, name: &[u8]) -> Option<&Self> {
        let found = self.below.iter().find(|(of, _)| of == name);
        found.map(|(_, tree)| tree)
    }
}

impl Git {
    /// Reads the index from disk, whatever this handle saw before.
    pub(crate) fn listing(&self) -> Result<Listing> {
        self.listing_if(|_| true)
    }

    /// The same; a file that is not `good` is left to libgit2.
    fn listing_if(&self, good: fn(&[u8]) -> bool) -> Result<Listing> {
        let path = self.git_dir().join("index");
        let Some(mut file) = fs::open_if_exists(&path)? else {
            return Listing::of(self, &self.index()?);
        };
        let failed = |error| Error::io("read", &path, error);
        let meta = file.metadata().map_err(failed)?;
        let written_at = Stat::from(&meta).mtime;
        let mut bytes = Vec::new();
        read_whole(&mut file, meta.len(), &mut bytes).map_err(failed)?;
        match parse(&bytes).filter(|_| good(&bytes)) {
            Some((rows, text, trees)) => {
                let listing = Listing {
                    rows,
                    text,
                    trees,
                    written_at: Some(written_at),
                    trusts_modes: self.trusts_modes,
                };
                listing.check()?;
                Ok(listing)
            }
            None => Listing::of(self, &self.index()?),
        }
    }
}

fn read_whole(file: &mut File, size: u64, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
    bytes.reserve_exact(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.read_to_end(bytes)
}

impl Listing {
    /// The same of an index that is open, as it is in memory.
    pub(crate) fn of(git: &Git, index: &Index) -> Result<Self> {
        Self::of_raw(git, index.raw(), index.written_at())
    }

    pub(super) fn of_raw(
        git: &Git,
        index: &git2::Index,
        written_at: Option<(i64, u32)>,
    ) -> Result<Self> {
        let (mut rows, mut text) = (Vec::new(), Vec::new());
        for raw in index.iter() {
            rows.push(Row {
                at: small(text.len())?,
                length: small(raw.path.len())?,
                id: raw.id,
                mode: raw.mode,
                recorded: Recorded::from_raw(&raw),
                flags: raw.flags,
                flags_extended: raw.flags_extended,
            });
            text.extend_from_slice(&raw.path);
        }
        let listing = Self {
            rows,
            text,
            trees: None,
            written_at,
            trusts_modes: git.trusts_modes,
        };
        listing.check()?;
        Ok(listing)
    }

    /// An error for the first name or mode that is nothing for us.
    fn check(&self) -> Result<()> {
        for (number, row) in self.rows.iter().enumerate() {
            let valid = std::str::from_utf8(self.path_of(row)).is_ok_and(RepoPath::is_valid)
                && Mode::from_raw(row.mode).is_some();
            if !valid && row.stage() == 0 {
                self.entry(number)?;
            }
        }
        Ok(())
    }

    pub(crate) fn rows(&self) -> Range<usize> {
        0..self.rows.len()
    }

    fn path_of(&self, row: &Row) -> &[u8] {
        &self.text[row.at as usize..][..row.length as usize]
    }

    pub(crate) fn path(&self, row: usize) -> &[u8] {
        self.path_of(&self.rows[row])
    }

    /// How many of the rows, in git's order, lie below a folder whose name ends with `/`.
    pub(crate) fn below(&self, rows: Range<usize>, folder: &[u8]) -> usize {
        // Most folders are small: looked for in steps that double.
        let begins = |row: &Row| self.path_of(row).starts_with(folder);
        let rows = &self.rows[rows];
        let mut step = 1;
        while step < rows.len() && begins(&rows[step]) {
            step *= 2;
        }
        let known = step / 2;
        let rest = &rows[known..step.min(rows.len())];
        known + rest.partition_point(begins)
    }

    /// Whether anybody wants to know of it: no user told git not to look, and it is not in conflict.
    pub(crate) fn is_watched(&self, row: usize) -> bool {
        let row = &self.rows[row];
        row.stage() == 0 && !row.is_hidden()
    }

    /// Whether it is the folder of a repository of its own, a submodule.
    pub(crate) fn is_repository(&self, row: usize) -> bool {
        Mode::from_raw(self.rows[row].mode) == Some(Mode::Gitlink)
    }

    /// Files that the work tree need not have (`--skip-worktree`), by name.
    pub(super) fn skipped(&self, name: &str) -> impl Iterator<Item = (&[u8], ObjectId)> {
        let named = move |path: &&[u8]| {
            let above = path.strip_suffix(name.as_bytes());
            above.is_some_and(|above| above.is_empty() || above.ends_with(b"/"))
        };
        let skipped = |row: &&Row| row.flags_extended & Flags::SKIP_WORKTREE != 0;
        let rows = self.rows.iter().filter(skipped);
        let rows = rows.map(|row| (self.path_of(row), row.id));
        rows.filter(move |(path, _)| named(path))
    }

    /// Whether a file with this stat needs no look at its content.
    pub(crate) fn is_as_recorded(&self, row: usize, stat: &Stat) -> bool {
        let row = &self.rows[row];
        let mode = Mode::from_raw(row.mode);
        Mode::found(stat, mode, self.trusts_modes) == mode
            && row.recorded.proves(row.id, stat)
            && !row.recorded.is_racy(self.written_at)
    }

    /// Whether a file's stat alone tells that it has changed: git does not read such a file, either.
    pub(crate) fn is_surely_changed(&self, row: usize, stat: &Stat) -> bool {
        let row = &self.rows[row];
        let is_file = |mode: Option<Mode>| mode.is_some_and(Mode::is_file);
        let (before, now) = (
            Mode::from_raw(row.mode),
            Mode::found(stat, Mode::from_raw(row.mode), self.trusts_modes),
        );
        let other_size = row.recorded.size != 0 && row.recorded.size != fs::index_size(stat.size);
        is_file(before) && is_file(now) && (before != now || other_size)
    }

    pub(super) fn stage(&self, row: usize) -> u16 {
        self.rows[row].stage()
    }

    pub(super) fn content(&self, row: usize) -> Option<(ObjectId, Mode)> {
        let row = &self.rows[row];
        Mode::from_raw(row.mode).map(|mode| (row.id, mode))
    }

    /// All files with a name, in whatever folder.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = (RepoPath, ObjectId, Mode)> {
        let has_name = move |row: &usize| {
            let path = self.path(*row).strip_suffix(name.as_bytes());
            self.stage(*row) == 0
                && path.is_some_and(|above| above.is_empty() || above.ends_with(b"/"))
        };
        self.rows().filter(has_name).filter_map(|row| {
            let path = std::str::from_utf8(self.path(row)).ok()?;
            let (id, mode) = self.content(row)?;
            Some((RepoPath::new(path).ok()?, id, mode))
        })
    }

    pub(super) fn trees(&self) -> Option<&CachedTree> {
        self.trees.as_ref()
    }

    /// One row as an entry of its own.
    pub(crate) fn entry(&self, row: usize) -> Result<Entry> {
        let row = &self.rows[row];
        let time = |(seconds, nanos)| IndexTime::new(seconds, nanos);
        Entry::from_raw(&IndexEntry {
            ctime: time(row.recorded.ctime),
            mtime: time(row.recorded.mtime),
            dev: 0,
            ino: row.recorded.ino,
            mode: row.mode,
            uid: row.recorded.uid,
            gid: row.recorded.gid,
            file_size: row.recorded.size,
            id: row.id,
            flags: row.flags,
            flags_extended: row.flags_extended,
            path: self.path_of(row).to_vec(),
        })
    }

    /// The file at a path, unless it is in conflict.
    pub(super) fn find(&self, path: &[u8]) -> Option<(ObjectId, Mode)> {
        let key = |row: &Row| (self.path_of(row), row.stage());
        let found = self.rows.binary_search_by(|row| key(row).cmp(&(path, 0)));
        self.content(found.ok()?)
    }
}

impl Row {
    fn stage(&self) -> u16 {
        self.flags >> 12 & 3
    }

    fn is_hidden(&self) -> bool {
        let skipped = self.flags_extended & Flags::SKIP_WORKTREE != 0;
        skipped || self.flags & ASSUME_VALID != 0
    }
}

fn small(number: usize) -> Result<u32> {
    let failed = |_| {
        Error::new(
            crate::error::ErrorKind::Unsupported,
            "the index is too large",
        )
    };
    u32::try_from(number).map_err(failed)
}

type Parsed = (Vec<Row>, Vec<u8>, Option<CachedTree>);

const HEADER: usize = 12;
const CHECKSUM: usize = 20;
/// Bytes of an entry before its flags.
const FIXED: usize = 60;
const EXTENDED: u16 = 0x4000;

/// Reads the file; `None` if anything in it is not as expected.
fn parse(bytes: &[u8]) -> Option<Parsed> {
    let header = bytes.get(..HEADER)?;
    let version = u32_at(header, 4)?;
    if !header.starts_with(b"DIRC") || !(2..=4).contains(&version) {
        return None;
    }
    let body = bytes.get(..bytes.len().checked_sub(CHECKSUM)?)?;
    let count = usize::try_from(u32_at(header, 8)?).ok()?;
    // An entry has 62 bytes and more: a wrong count asks for no memory.
    let mut rows: Vec<Row> = Vec::with_capacity(count.min(body.len() / FIXED));
    let mut text = Vec::with_capacity(body.len() / 2);
    let mut at = HEADER;
    for _ in 0..count {
        let (mut row, ends) = row(body, at, version, &rows, &mut text)?;
        row.length = u32::try_from(text.len()).ok()?.checked_sub(row.at)?;
        if let Some(before) = rows.last() {
            let path = |row: &Row| &text[row.at as usize..][..row.length as usize];
            if (path(before), before.stage()) >= (path(&row), row.stage()) {
                return None;
            }
        }
        rows.push(row);
        at = ends;
    }
    text.shrink_to_fit();
    let trees = extensions(body.get(at..)?)?;
    Some((rows, text, trees))
}

/// The entry that begins at `at`, its path at the end of `text`, and where it ends.
fn row(
    body: &[u8],
    at: usize,
    version: u32,
    before: &[Row],
    text: &mut Vec<u8>,
) -> Option<(Row, usize)> {
    let fixed = body.get(at..at.checked_add(FIXED + 2)?)?;
    let word = |number: usize| u32_at(fixed, number * 4);
    #[expect(clippy::cast_possible_wrap, reason = "as it was written")]
    let time = |number: usize| Some((word(number)? as i32, word(number + 1)?));
    let flags = u16_at(fixed, FIXED)?;
    let mut path = at + FIXED + 2;
    let mut flags_extended = 0;
    if flags & EXTENDED != 0 {
        flags_extended = u16_at(body.get(path..)?, 0)?;
        path += 2;
    }
    let begins = text.len();
    if version == 4 {
        let (cut, length) = varint(body.get(path..)?)?;
        path += length;
        if let Some(before) = before.last() {
            let kept = (before.length as usize).checked_sub(cut)?;
            text.extend_from_within(before.at as usize..before.at as usize + kept);
        } else if cut != 0 {
            return None;
        }
    }
    let rest = body.get(path..)?;
    let known = usize::from(flags & 0xfff);
    // The length is told unless it is too large for its twelve bits.
    let length = if version < 4 && known < 0xfff && rest.get(known) == Some(&0) {
        known
    } else {
        rest.iter().position(|byte| *byte == 0)?
    };
    text.extend_from_slice(&rest[..length]);
    let ends = match version {
        4 => path + length + 1,
        // Filled up with one to eight zeros.
        _ => at + (path + length - at + 8) / 8 * 8,
    };
    let row = Row {
        at: u32::try_from(begins).ok()?,
        length: 0,
        id: ObjectId::from_bytes(fixed.get(40..FIXED)?).ok()?,
        mode: word(6)?,
        recorded: Recorded {
            ctime: time(0)?,
            mtime: time(2)?,
            ino: word(5)?,
            uid: word(7)?,
            gid: word(8)?,
            size: word(9)?,
        },
        flags,
        flags_extended,
    };
    Some((row, ends))
}

/// What follows the entries; `None` if something in it may change what they mean.
fn extensions(mut rest: &[u8]) -> Option<Option<CachedTree>> {
    let mut trees = None;
    while !rest.is_empty() {
        let name = rest.get(..4)?;
        let size = usize::try_from(u32_at(rest, 4)?).ok()?;
        let content = rest.get(8..)?.get(..size)?;
        if name == b"TREE" {
            // It is a help; without it more is read.
            trees = cached_tree(&mut { content });
        } else if !name[0].is_ascii_uppercase() {
            return None;
        }
        rest = &rest[8 + size..];
    }
    Some(trees)
}

/// Folders deeper than this are nothing to keep trees of.
const DEEPEST: usize = 4096;

fn cached_tree(rest: &mut &[u8]) -> Option<CachedTree> {
    /// The next tree, its name, and how many there are below it.
    fn next(rest: &mut &[u8]) -> Option<(Vec<u8>, CachedTree, usize)> {
        let (name, after) = cut(rest, 0)?;
        let (files, after) = cut(after, b' ')?;
        let (below, after) = cut(after, b'\n')?;
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
        let id = if number(files)? >= 0 {
            let (id, left) = after.split_at_checked(20)?;
            *rest = left;
            Some(ObjectId::from_bytes(id).ok()?)
        } else {
            *rest = after;
            None
        };
        let tree = CachedTree {
            id,
            below: Vec::new(),
        };
        Some((name.to_vec(), tree, usize::try_from(number(below)?).ok()?))
    }
    // Not by a function that calls itself: the file says how deep it would go.
    let mut open = vec![next(rest)?];
    loop {
        while open.last()?.2 > 0 {
            open.last_mut()?.2 -= 1;
            let tree = next(rest)?;
            if open.len() == DEEPEST {
                return None;
            }
            open.push(tree);
        }
        let (name, tree, _) = open.pop()?;
        match open.last_mut() {
            Some((_, above, _)) => above.below.push((name, tree)),
            None => return Some(tree),
        }
    }
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == at)?;
    Some((&text[..end], &text[end + 1..]))
}

/// A number as version 4 and packs write it, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value: usize = 0;
    for (at, byte) in bytes.iter().enumerate() {
        value = value
            .checked_mul(128)?
            .checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
        value = value.checked_add(1)?;
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

mod to_commit;

#[cfg(test)]
mod tests;
