//! The index: entries with the content file's stat, so that git and we agree on what is clean.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use git2::{IndexEntry, IndexTime};

use super::error::wrap;
use super::index_draft::{Draft, IfTaken};
use super::{Git, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Stat};
use crate::path::RepoPath;

/// What kind of thing an entry of a tree or index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    File,
    Executable,
    Symlink,
    /// A commit of another repository (a submodule).
    Gitlink,
}

impl Mode {
    pub(super) fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            0o100_644 | 0o100_664 => Some(Self::File),
            0o100_755 => Some(Self::Executable),
            0o120_000 => Some(Self::Symlink),
            0o160_000 => Some(Self::Gitlink),
            _ => None,
        }
    }

    pub(super) fn raw(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
            Self::Gitlink => 0o160_000,
        }
    }

    /// Whether entries of this mode are files with content.
    pub(crate) fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Executable)
    }

    /// The mode to record for what lies in the work tree where `tracked` was recorded before.
    ///
    /// On a file system without executable bits (`core.fileMode=false`) a file keeps its mode.
    pub(super) fn found(stat: &Stat, tracked: Option<Self>, trusts_modes: bool) -> Option<Self> {
        let found = Self::of(stat)?;
        if trusts_modes || !found.is_file() {
            return Some(found);
        }
        Some(tracked.filter(|mode| mode.is_file()).unwrap_or(Self::File))
    }

    /// The mode git records for what lies in the work tree.
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        match stat.kind {
            FileKind::File if stat.executable => Some(Self::Executable),
            FileKind::File => Some(Self::File),
            FileKind::Symlink => Some(Self::Symlink),
            FileKind::Folder | FileKind::Other => None,
        }
    }
}

/// The part of a file's stat that the index keeps, as 32-bit values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) mtime: (i32, u32),
    pub(super) ctime: (i32, u32),
    pub(super) ino: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u32,
}

impl Recorded {
    /// What libgit2 read of it.
    pub(super) fn from_raw(raw: &IndexEntry) -> Self {
        let time = |time: &IndexTime| (time.seconds(), time.nanoseconds());
        Self {
            mtime: time(&raw.mtime),
            ctime: time(&raw.ctime),
            ino: raw.ino,
            uid: raw.uid,
            gid: raw.gid,
            size: raw.file_size,
        }
    }

    /// What git would record for a file with this stat.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the index keeps the low 32 bits"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            mtime: (stat.mtime.0 as i32, stat.mtime.1),
            ctime: (stat.ctime.0 as i32, stat.ctime.1),
            ino: stat.ino as u32,
            uid: stat.uid,
            gid: stat.gid,
            size: fs::index_size(stat.size),
        }
    }

    /// Whether the stat is this one, and tells that the file is still what `id` stands for.
    pub(super) fn proves(&self, id: ObjectId, stat: &Stat) -> bool {
        // A size of 0 marks a suspect, and older gits wrote it for multiples of 4 GiB.
        let proves = self.size != 0 || id.to_string() == EMPTY_BLOB;
        proves && *self == Self::of(stat)
    }

    /// Whether the file was written so late that its stat proves nothing.
    pub(super) fn is_racy(&self, index_written: Option<(i64, u32)>) -> bool {
        let mtime = (i64::from(self.mtime.0), self.mtime.1);
        index_written.is_some_and(|written| mtime >= written)
    }
}

/// One file of the index.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: RepoPath,
    pub(crate) id: ObjectId,
    pub(crate) mode: Mode,
    recorded: Recorded,
    flags: Flags,
}

/// What a user told git about an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `--assume-unchanged`
    assume_valid: bool,
    /// `--skip-worktree`
    skip_worktree: bool,
    /// `git add -N`: announced, but not added yet.
    announced: bool,
}

/// The flag of an entry whose file nobody need look at.
pub(super) const ASSUME_VALID: u16 = 0x8000;

impl Flags {
    // Of the extended flags.
    pub(super) const SKIP_WORKTREE: u16 = 1 << 14;
    pub(super) const ANNOUNCED: u16 = 1 << 13;

    fn of(raw: &IndexEntry) -> Self {
        Self {
            assume_valid: raw.flags & ASSUME_VALID != 0,
            skip_worktree: raw.flags_extended & Self::SKIP_WORKTREE != 0,
            announced: raw.flags_extended & Self::ANNOUNCED != 0,
        }
    }

    /// The plain and the extended flags.
    fn raw(self) -> (u16, u16) {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        let extended =
            bit(self.skip_worktree, Self::SKIP_WORKTREE) | bit(self.announced, Self::ANNOUNCED);
        (bit(self.assume_valid, ASSUME_VALID), extended)
    }
}

impl Entry {
    /// An entry for a file whose content `id` stands for, with the stat of that content.
    pub(crate) fn new(path: RepoPath, id: ObjectId, mode: Mode, stat: &Stat) -> Self {
        Self {
            path,
            id,
            mode,
            recorded: Recorded::of(stat),
            flags: Flags::default(),
        }
    }

    /// An entry whose file has to be looked at before anything is known of it.
    pub(crate) fn without_stat(path: RepoPath, id: ObjectId, mode: Mode) -> Self {
        Self {
            path,
            id,
            mode,
            recorded: Recorded::default(),
            flags: Flags::default(),
        }
    }

    /// Whether the user told git not to look at the file.
    pub(crate) fn is_hidden(&self) -> bool {
        self.flags.assume_valid || self.flags.skip_worktree
    }

    /// Whether the file had so many bytes when its stat was taken.
    pub(crate) fn has_size(&self, bytes: u64) -> bool {
        self.recorded.size == fs::index_size(bytes)
    }

    /// The same entry without what was known of the file.
    pub(crate) fn unseen(&self) -> Self {
        Self {
            recorded: Recorded::default(),
            ..self.clone()
        }
    }

    /// The same entry, as hidden as the one it takes the place of.
    #[must_use]
    pub(crate) fn hidden_as(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            self.flags.assume_valid = before.flags.assume_valid;
            self.flags.skip_worktree = before.flags.skip_worktree;
        }
        self
    }

    /// The same entry with another stat.
    pub(crate) fn restat(&self, stat: &Stat) -> Self {
        Self {
            recorded: Recorded::of(stat),
            ..self.clone()
        }
    }

    /// Whether the stat is the one recorded, the mode left aside.
    pub(super) fn has_stat(&self, stat: &Stat) -> bool {
        self.recorded.proves(self.id, stat)
    }

    /// Whether the file was written so late that its stat proves nothing.
    pub(crate) fn is_racy(&self, index_written: Option<(i64, u32)>) -> bool {
        self.recorded.is_racy(index_written)
    }

    pub(super) fn from_raw(raw: &IndexEntry) -> Result<Self> {
        let name = std::str::from_utf8(&raw.path).map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the file name {:?} is not UTF-8",
                    String::from_utf8_lossy(&raw.path)
                ),
            )
            .with_hint("rename the file with git mv; the Hub takes UTF-8 names only")
        })?;
        let path = RepoPath::new(name)?;
        let mode = Mode::from_raw(raw.mode).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("{path} has the mode {:o}", raw.mode),
            )
        })?;
        Ok(Self {
            path,
            id: raw.id,
            mode,
            recorded: Recorded::from_raw(raw),
            flags: Flags::of(raw),
        })
    }

    pub(super) fn to_raw(&self) -> IndexEntry {
        let time = |(seconds, nanos)| IndexTime::new(seconds, nanos);
        let (flags, flags_extended) = self.flags.raw();
        IndexEntry {
            ctime: time(self.recorded.ctime),
            mtime: time(self.recorded.mtime),
            dev: 0,
            ino: self.recorded.ino,
            mode: self.mode.raw(),
            uid: self.recorded.uid,
            gid: self.recorded.gid,
            file_size: self.recorded.size,
            id: self.id,
            flags,
            flags_extended,
            path: self.path.as_str().as_bytes().to_vec(),
        }
    }
}

/// The index as read from disk: to look at, or with git's lock to change it.
pub(crate) struct Index {
    raw: git2::Index,
    /// Modification time of the file when it was read; `None` for a repository without one.
    read_at: Option<(i64, u32)>,
    change: Option<Draft>,
}

/// git's lock on an index that is written already.
#[must_use]
pub(crate) struct IndexLock {
    _draft: Draft,
}

impl Git {
    /// Reads the index from disk, whatever this handle saw before.
    pub(crate) fn index(&self) -> Result<Index> {
        let mut raw = self.repo.index().map_err(wrap("read the index"))?;
        raw.read(true).map_err(wrap("read the index"))?;
        let read_at = match raw.path() {
            Some(path) => fs::lstat(path)?.map(|stat| stat.mtime),
            None => None,
        };
        Ok(Index {
            raw,
            read_at,
            change: None,
        })
    }

    /// Takes git's lock on the index, waiting a moment for it, and reads the index to change it.
    ///
    /// Held until [`Index::write`], or until it is dropped, so that nothing anybody else stages
    /// is overwritten.
    pub(crate) fn index_to_change(&self) -> Result<Index> {
        let draft = Draft::begin(self.git_dir(), IfTaken::Wait)?;
        let read_at = fs::lstat(&draft.index)?.map(|stat| stat.mtime);
        if read_at.is_some() {
            std::fs::copy(&draft.index, &draft.file)
                .map_err(|error| Error::io("write", &draft.file, error))?;
        }
        let raw = git2::Index::open(&draft.file).map_err(wrap("read the index"))?;
        Ok(Index {
            raw,
            read_at,
            change: Some(draft),
        })
    }
}

impl Index {
    /// Files under version control, in git's order; the sides of conflicts are left out.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<Entry>> + '_ {
        const STAGE_MASK: u16 = 0x3000;
        self.raw
            .iter()
            .filter(|raw| raw.flags & STAGE_MASK == 0)
            .map(|raw| Entry::from_raw(&raw))
    }

    pub(crate) fn get(&self, path: &RepoPath) -> Result<Option<Entry>> {
        let raw = self.raw.get_path(Path::new(path.as_str()), 0);
        raw.map(|raw| Entry::from_raw(&raw)).transpose()
    }

    /// When the file was last written, for [`Entry::is_racy`].
    pub(crate) fn written_at(&self) -> Option<(i64, u32)> {
        self.read_at
    }

    pub(crate) fn has_conflicts(&self) -> bool {
        self.raw.has_conflicts()
    }

    /// Adds or replaces a file.
    pub(crate) fn put(&mut self, entry: &Entry) -> Result<()> {
        self.raw
            .add(&entry.to_raw())
            .map_err(wrap(&format!("stage {}", entry.path)))?;
        if let Some(draft) = &mut self.change {
            draft.fresh.insert(entry.path.as_str().as_bytes().to_vec());
        }
        Ok(())
    }

    /// Gives an entry another blob for the same content. What its stat proves of the file is as much,
    /// or as little, as before.
    pub(crate) fn exchange(&mut self, entry: &Entry, id: ObjectId) -> Result<()> {
        let raw = IndexEntry {
            id,
            ..entry.to_raw()
        };
        self.raw
            .add(&raw)
            .map_err(wrap(&format!("stage {}", entry.path)))
    }

    pub(crate) fn clear(&mut self) -> Result<()> {
        self.raw.clear().map_err(wrap("empty the index"))
    }

    pub(crate) fn remove(&mut self, path: &RepoPath) -> Result<()> {
        self.raw
            .remove_path(Path::new(path.as_str()))
            .map_err(wrap(&format!("unstage {path}")))
    }

    /// Makes the changes lasting, and gives the lock back.
    pub(crate) fn write(&mut self) -> Result<()> {
        self.write_under_lock().map(drop)
    }

    /// The same for an index that holds what a tree does: it remembers that tree and those below.
    pub(crate) fn write_remembering(&mut self, git: &Git, tree: ObjectId) -> Result<()> {
        self.finish(Some((git, tree))).map(drop)
    }

    /// Makes the changes lasting; what is returned keeps the lock until it is dropped.
    pub(crate) fn write_under_lock(&mut self) -> Result<IndexLock> {
        self.finish(None)
    }

    /// Entries as young as the file itself would be suspects for every later reader, so the file's
    /// time is moved on until there are none. Entries that were suspects before, and that nobody has
    /// looked at since, are marked as such by a size of 0, as git does.
    fn finish(&mut self, remembered: Option<(&Git, ObjectId)>) -> Result<IndexLock> {
        let Some(draft) = self.change.take() else {
            let text = "the index was opened for reading only";
            return Err(Error::new(ErrorKind::Git, text));
        };
        let (suspects, young) = self.late(&draft.fresh);
        for mut raw in suspects {
            raw.file_size = 0;
            raw.mtime = IndexTime::new(0, 0);
            self.raw.add(&raw).map_err(wrap("write the index"))?;
        }
        self.raw.write().map_err(wrap("write the index"))?;
        if let Some((git, tree)) = remembered {
            git.remember_in(&draft.file, tree);
        }
        let failed = |error: io::Error| Error::io("write", &draft.file, error);
        let file = File::options()
            .append(true)
            .open(&draft.file)
            .map_err(failed)?;
        for _ in 0..CLOCK_TICKS {
            let written = fs::lstat(&draft.file)?.map(|stat| stat.mtime);
            if !young.iter().any(|mtime| is_young(*mtime, written)) {
                break;
            }
            std::thread::sleep(fs::CLOCK_TICK);
            fs::touch(&file, &draft.file)?;
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&draft.file, &draft.index)
            .map_err(|error| Error::io("replace", &draft.index, error))?;
        fs::sync_dir(draft.index.parent().unwrap_or(Path::new(".")))?;
        self.read_at = fs::lstat(&draft.index)?.map(|stat| stat.mtime);
        Ok(IndexLock { _draft: draft })
    }

    /// Entries that were suspects when the index was read and were not looked at since; and the times of
    /// those that may be as young as the index that is to be written.
    fn late(&self, fresh: &HashSet<Vec<u8>>) -> (Vec<IndexEntry>, Vec<(i64, u32)>) {
        let (mut suspects, mut young) = (Vec::new(), Vec::new());
        for raw in self.raw.iter() {
            let mtime = (i64::from(raw.mtime.seconds()), raw.mtime.nanoseconds());
            // Older ones are older than the next index, too.
            if self.read_at.is_some_and(|before| mtime < before) {
                continue;
            }
            if self.read_at.is_some() && raw.file_size != 0 && !fresh.contains(&raw.path) {
                suspects.push(raw);
            } else {
                young.push(mtime);
            }
        }
        (suspects, young)
    }

    pub(super) fn raw(&self) -> &git2::Index {
        &self.raw
    }
}

/// The id of the blob without bytes.
pub(super) const EMPTY_BLOB: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// Whether a file was written as late as the index. One from the future stays a suspect for ever.
fn is_young(mtime: (i64, u32), written: Option<(i64, u32)>) -> bool {
    written.is_some_and(|written| mtime >= written && mtime.0 <= written.0 + 1)
}

/// Two ticks are enough unless the files are being rewritten meanwhile.
const CLOCK_TICKS: u32 = 3;
