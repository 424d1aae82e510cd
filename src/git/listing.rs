//! All of the index at once, to look at: what `status` goes through.
//!
//! Read from the file itself: libgit2 spends most of the time on a checksum that git does not look at either,
//! and on an allocation an entry. Whoever changes the index reads it by libgit2, checksum and all. What is not
//! understood here is left to libgit2.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use git2::{IndexEntry, IndexTime, TreeEntry};

use super::cached_trees::CachedTree;
use super::index::{ASSUME_VALID, Flags, Recorded};
use super::{Entry, Git, Mode, ObjectId};
use crate::error::{Error, Result};
use crate::fs::{self, Stat};
use crate::path::RepoPath;

/// The index as it was read, in git's order.
pub(crate) struct Listing {
    rows: Vec<Row>,
    /// What has the paths of all rows: the file itself, or nothing else.
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

impl Git {
    /// Reads the index from disk, whatever this handle saw before.
    pub(crate) fn listing(&self) -> Result<Listing> {
        self.listing_unchecked(|_| true)?.checked()
    }

    /// The same, whatever names and modes it holds; a file that is not `good` is left to libgit2.
    pub(super) fn listing_unchecked(&self, good: fn(&[u8]) -> bool) -> Result<Listing> {
        let path = self.git_dir().join("index");
        let by_libgit2 = || {
            let index = self.index()?;
            Listing::of_raw(self, index.raw(), index.written_at())
        };
        let Some(mut file) = fs::open_if_exists(&path)? else {
            return by_libgit2();
        };
        let failed = |error| Error::io("read", &path, error);
        let meta = file.metadata().map_err(failed)?;
        let written_at = Stat::from(&meta).mtime;
        let mut bytes = Vec::new();
        read_whole(&mut file, meta.len(), &mut bytes).map_err(failed)?;
        let listing = match good(&bytes) {
            true => self.listing_in(bytes, Some(written_at)),
            false => None,
        };
        listing.map_or_else(by_libgit2, Ok)
    }

    /// What an index file holds, names and modes unchecked; `None` if it is not to be understood here.
    pub(super) fn listing_in(
        &self,
        bytes: Vec<u8>,
        written_at: Option<(i64, u32)>,
    ) -> Option<Listing> {
        let parsed = file::parse(&bytes)?;
        Some(Listing {
            rows: parsed.rows,
            text: parsed.text.unwrap_or(bytes),
            trees: parsed.trees,
            written_at,
            trusts_modes: self.trusts_modes,
        })
    }
}

fn read_whole(file: &mut File, size: u64, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
    bytes.reserve_exact(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.read_to_end(bytes)
}

impl Listing {
    /// The same of an index that is in memory; names and modes unchecked.
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
        Ok(Self {
            rows,
            text,
            trees: None,
            written_at,
            trusts_modes: git.trusts_modes,
        })
    }

    /// Itself, or an error for the first name or mode that is nothing for us.
    fn checked(self) -> Result<Self> {
        // Neighbours lie in one folder, which is looked at once: a tenth of reading an index.
        let mut folder: &[u8] = &[];
        for (number, row) in self.rows.iter().enumerate() {
            let path = self.path_of(row);
            let new = path.strip_prefix(folder).unwrap_or(path);
            let valid = std::str::from_utf8(new).is_ok_and(RepoPath::is_valid)
                && Mode::from_raw(row.mode).is_some();
            if valid {
                let name = path.iter().rposition(|byte| *byte == b'/');
                folder = &path[..name.map_or(0, |at| at + 1)];
            } else if row.stage() == 0 {
                self.entry(number)?;
            }
        }
        Ok(self)
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

    /// Whether a row is just what a tree's entry says, and no promise of something to come.
    pub(super) fn is_as_in_tree(&self, row: usize, entry: &TreeEntry<'_>) -> bool {
        let row = &self.rows[row];
        let is_announced = row.flags_extended & Flags::ANNOUNCED != 0;
        let mode = u32::try_from(entry.filemode_raw());
        row.stage() == 0 && !is_announced && row.id == entry.id() && mode == Ok(row.mode)
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

mod file;
mod to_commit;
pub(super) use file::with_trees;
#[cfg(test)]
mod tests;
