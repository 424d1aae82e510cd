//! The index: entries with the content file's stat, so that git and we agree on what is clean.

use std::path::Path;

use git2::{IndexEntry, IndexTime};

use super::error::{patiently, wrap};
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

    fn raw(self) -> u32 {
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
pub(crate) struct Recorded {
    mtime: (i32, u32),
    ctime: (i32, u32),
    ino: u32,
    uid: u32,
    gid: u32,
    size: u32,
}

impl Recorded {
    /// What git would record for a file with this stat.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the index keeps the low 32 bits"
    )]
    fn of(stat: &Stat) -> Self {
        Self {
            mtime: (stat.mtime.0 as i32, stat.mtime.1),
            ctime: (stat.ctime.0 as i32, stat.ctime.1),
            ino: stat.ino as u32,
            uid: stat.uid,
            gid: stat.gid,
            size: fs::index_size(stat.size),
        }
    }

    /// Older gits and libgit2 record sizes that are a multiple of 4 GiB as 0.
    fn is_same(&self, other: &Self) -> bool {
        let size = |record: &Self| {
            if record.size == 0x8000_0000 {
                0
            } else {
                record.size
            }
        };
        size(self) == size(other) && Self { size: 0, ..*self } == Self { size: 0, ..*other }
    }
}

/// One file of the index.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: RepoPath,
    pub(crate) id: ObjectId,
    pub(crate) mode: Mode,
    recorded: Recorded,
}

impl Entry {
    /// An entry for a file whose content `id` stands for, with the stat of that content.
    pub(crate) fn new(path: RepoPath, id: ObjectId, mode: Mode, stat: &Stat) -> Self {
        Self {
            path,
            id,
            mode,
            recorded: Recorded::of(stat),
        }
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
        self.recorded.is_same(&Recorded::of(stat))
    }

    /// Whether the file was written so late that its stat proves nothing.
    pub(crate) fn is_racy(&self, index_written: Option<(i64, u32)>) -> bool {
        let mtime = (i64::from(self.recorded.mtime.0), self.recorded.mtime.1);
        index_written.is_some_and(|written| mtime >= written)
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
        let time = |time: &IndexTime| (time.seconds(), time.nanoseconds());
        let recorded = Recorded {
            mtime: time(&raw.mtime),
            ctime: time(&raw.ctime),
            ino: raw.ino,
            uid: raw.uid,
            gid: raw.gid,
            size: raw.file_size,
        };
        Ok(Self {
            path,
            id: raw.id,
            mode,
            recorded,
        })
    }

    pub(super) fn to_raw(&self) -> IndexEntry {
        let time = |(seconds, nanos)| IndexTime::new(seconds, nanos);
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
            flags: 0,
            flags_extended: 0,
            path: self.path.as_str().as_bytes().to_vec(),
        }
    }
}

/// The index as read from disk, with changes that [`write`](Self::write) makes lasting.
pub(crate) struct Index {
    raw: git2::Index,
    /// Modification time of the file when it was read; `None` for a repository without one.
    read_at: Option<(i64, u32)>,
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
        Ok(Index { raw, read_at })
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
            .map_err(wrap(&format!("stage {}", entry.path)))
    }

    pub(crate) fn remove(&mut self, path: &RepoPath) -> Result<()> {
        self.raw
            .remove_path(Path::new(path.as_str()))
            .map_err(wrap(&format!("unstage {path}")))
    }

    /// Makes the changes lasting: written under git's lock, then fsynced.
    ///
    /// Entries as young as the file itself would be suspects for every later reader, so if there
    /// are any the index is written once more when the clock has moved on.
    pub(crate) fn write(&mut self) -> Result<()> {
        let Some(path) = self.raw.path().map(Path::to_path_buf) else {
            return Ok(());
        };
        for _ in 0..RACY_REWRITES {
            patiently("write the index", || self.raw.write())?;
            self.read_at = fs::lstat(&path)?.map(|stat| stat.mtime);
            let racy: Vec<IndexEntry> = self.raw.iter().filter(|raw| self.is_young(raw)).collect();
            if racy.is_empty() {
                break;
            }
            std::thread::sleep(CLOCK_TICK);
            // Only entries added through this handle may keep their stat when written again.
            for raw in &racy {
                self.raw.add(raw).map_err(wrap("write the index"))?;
            }
        }
        fs::sync_file(&path)
    }

    fn is_young(&self, raw: &IndexEntry) -> bool {
        let mtime = (i64::from(raw.mtime.seconds()), raw.mtime.nanoseconds());
        // A file from the future stays suspect however often the index is written.
        self.read_at
            .is_some_and(|written| mtime >= written && mtime.0 <= written.0 + 1)
    }

    /// The tree of the index, written to the object store.
    pub(crate) fn write_tree(&mut self) -> Result<ObjectId> {
        self.raw.write_tree().map_err(wrap("write the tree"))
    }

    pub(super) fn raw(&self) -> &git2::Index {
        &self.raw
    }
}

/// Coarse kernels stamp files every 4 to 10 ms.
const CLOCK_TICK: std::time::Duration = std::time::Duration::from_millis(12);
/// One write and one repetition are enough unless the files are being rewritten meanwhile.
const RACY_REWRITES: u32 = 3;
