use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result};

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Symlink,
    Folder,
    Other,
}

/// What `lstat` says of a path; two equal ones mean that the file was not written in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: FileKind,
    /// Whether the owner may execute it.
    pub(crate) executable: bool,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Seconds since 1970, and nanoseconds.
    pub(crate) mtime: (i64, u32),
    pub(crate) ctime: (i64, u32),
    pub(crate) ino: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Looks at a path without following a link; `None` if nothing is there.
pub(crate) fn lstat(path: &Path) -> Result<Option<Stat>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(Stat::from(&meta))),
        Err(error) if super::is_gone(&error) => Ok(None),
        Err(error) => Err(Error::io("look at", path, error)),
    }
}

impl From<&fs::Metadata> for Stat {
    fn from(meta: &fs::Metadata) -> Self {
        let kind = meta.file_type();
        let kind = if kind.is_file() {
            FileKind::File
        } else if kind.is_symlink() {
            FileKind::Symlink
        } else if kind.is_dir() {
            FileKind::Folder
        } else {
            FileKind::Other
        };
        let nanos = |value: i64| u32::try_from(value).unwrap_or_default();
        Self {
            kind,
            executable: meta.mode() & 0o100 != 0,
            size: meta.size(),
            mtime: (meta.mtime(), nanos(meta.mtime_nsec())),
            ctime: (meta.ctime(), nanos(meta.ctime_nsec())),
            ino: meta.ino(),
            uid: meta.uid(),
            gid: meta.gid(),
        }
    }
}

/// A size as git's index keeps it: the low 32 bits, but never 0 for a file that is not empty.
///
/// Since 2.44 git records `0x8000_0000` for multiples of 4 GiB, because 0 means "look again".
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low 32 bits are what is kept"
)]
pub(crate) fn index_size(size: u64) -> u32 {
    match size as u32 {
        0 if size > 0 => 0x8000_0000,
        low => low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_munged_as_git_does() {
        let gib4 = 1_u64 << 32;
        let table = [
            (0, 0),
            (1, 1),
            (gib4 - 1, u32::MAX),
            (gib4, 0x8000_0000),
            (gib4 + 1, 1),
        ];
        for (size, kept) in table {
            assert_eq!(index_size(size), kept, "{size}");
        }
        assert_eq!(index_size(2 * gib4), 0x8000_0000);
    }

    #[test]
    fn a_file_is_not_looked_for_below_a_file() {
        let folder = tempfile::tempdir().expect("temp");
        fs::write(folder.path().join("a"), "x").expect("written");
        assert_eq!(lstat(&folder.path().join("a/b")).expect("no error"), None);
        assert_eq!(lstat(&folder.path().join("b")).expect("no error"), None);
    }
}
