//! Reading files that others write, replace or delete meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Stat;
use crate::error::{Error, Result};

/// How much is wanted of a file that somebody may be writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// All of it, unchanged from beginning to end.
    Whole,
    /// What it held at the first look; what was appended since is left out.
    Prefix,
}

impl Take {
    /// Whether what was read between two looks, up to the size of the first, is what is wanted.
    ///
    /// A file that has the same size and another time was written over, not appended to. One that
    /// was written over and grew as well cannot be told from one that only grew.
    pub(crate) fn accepts(self, before: &Stat, after: Option<&Stat>) -> bool {
        let Some(after) = after else { return false };
        let grew = after.kind == before.kind && after.ino == before.ino && after.size > before.size;
        after == before || (self == Self::Prefix && grew)
    }
}

/// Whether an error says that the file, or a folder above it, is not there (any more).
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            // NFS, when another machine deleted it.
            | io::ErrorKind::StaleNetworkFileHandle
    )
}

/// Whether an error may say that the process, or the whole system, has as many files open as it may.
///
/// std puts that among others that it has no name for, and `tempfile` hands on no more than its kind.
pub(crate) fn may_be_out_of_files(error: &io::Error) -> bool {
    error.kind() == io::Error::from(Errno::MFILE).kind()
}

/// Opens a file for reading; `None` if there is none.
pub(crate) fn open_if_exists(path: &Path) -> Result<Option<File>> {
    open(path, OFlags::empty())
}

/// Opens a file of the work tree for reading; `None` if there is none, or a link in its place.
///
/// What was a file when it was looked at may be a link by now, and lead anywhere.
pub(crate) fn open_no_link(path: &Path) -> Result<Option<File>> {
    open(path, OFlags::NOFOLLOW)
}

fn open(path: &Path, flags: OFlags) -> Result<Option<File>> {
    // Nobody may ever write into what turns out to be a pipe.
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from);
    let file = opened.and_then(|file| {
        let file = File::from(file);
        let kind = file.metadata()?.file_type();
        if kind.is_file() || kind.is_dir() {
            return Ok(file);
        }
        let text = "it is a pipe, a socket or a device";
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    });
    match file {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_gone(&error) || is_link(&error) => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// Whether opening failed because a link was in the file's place.
pub(super) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// The content of a file; `None` if there is none.
pub(crate) fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>> {
    read(path, open_if_exists(path)?, u64::MAX)
}

/// The first bytes of a file of the work tree, however long it grew meanwhile; `None` if there is
/// none, or a link in its place.
pub(crate) fn read_start(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    read(path, open_no_link(path)?, limit)
}

/// As [`read_start`], into a buffer that had something else before; whether there is a file.
pub(crate) fn read_start_into(path: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<bool> {
    buffer.clear();
    let Some(file) = open_no_link(path)? else {
        return Ok(false);
    };
    // With room for all of it, it is one call.
    buffer.reserve(usize::try_from(limit).unwrap_or_default());
    match file.take(limit).read_to_end(buffer) {
        Ok(_) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// As [`read_start`], for a file of the user's own: a link to it is followed.
pub(crate) fn read_start_of_link(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    read(path, open_if_exists(path)?, limit)
}

/// Bytes of most files that are read as a whole, at most.
const SMALL: usize = 8 << 10;

fn read(path: &Path, file: Option<File>, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = file else {
        return Ok(None);
    };
    // Room for a small file at once, which is then read by one call and not by four.
    let room = usize::try_from(limit).map_or(SMALL, |limit| limit.min(SMALL));
    let mut bytes = Vec::with_capacity(room);
    match file.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::lstat;

    #[test]
    fn what_counts_as_unchanged() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("f");
        std::fs::write(&file, b"some").expect("written");
        let before = lstat(&file).expect("look").expect("there");
        let longer = Stat {
            size: 5,
            mtime: (before.mtime.0 + 1, 0),
            ..before
        };
        let shorter = Stat { size: 3, ..longer };
        let other = Stat {
            ino: before.ino + 1,
            ..longer
        };
        let written_over = Stat { size: 4, ..longer };
        let table = [
            (Some(before), true, true),
            (Some(longer), false, true),
            (Some(shorter), false, false),
            (Some(other), false, false),
            (Some(written_over), false, false),
            (None, false, false),
        ];
        for (after, whole, prefix) in table {
            assert_eq!(Take::Whole.accepts(&before, after.as_ref()), whole);
            assert_eq!(Take::Prefix.accepts(&before, after.as_ref()), prefix);
        }
    }

    #[test]
    fn what_became_a_link_or_a_pipe_is_not_read() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("f");
        std::fs::write(&file, b"secret").expect("written");
        let link = folder.path().join("l");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        assert!(open_no_link(&link).expect("no error").is_none());
        assert_eq!(read_start(&link, 9).expect("no error"), None);
        assert!(open_if_exists(&link).expect("opened").is_some());
        let pipe = folder.path().join("p");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RWXU).expect("made");
        assert!(open_no_link(&pipe).is_err() && read_if_exists(&pipe).is_err());
        // Nor is it waited for where left-overs are looked for.
        let old = std::time::SystemTime::now() - 2 * crate::fs::ORPHAN_AGE;
        let opened = File::options().append(true).open(&file).expect("opened");
        opened.set_modified(old).expect("aged");
        let is_orphan = crate::fs::is_orphan;
        assert!(is_orphan(&file) && !is_orphan(&pipe) && !is_orphan(&link));
    }

    #[test]
    fn a_file_that_is_not_there_is_none_and_a_start_is_a_start() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("f");
        assert_eq!(read_if_exists(&file).expect("no error"), None);
        std::fs::write(&file, b"hello").expect("written");
        assert_eq!(read_if_exists(&file.join("below")).expect("no error"), None);
        let start = read_start(&file, 2).expect("read");
        assert_eq!(start.as_deref(), Some(&b"he"[..]));
        // A folder is there, and is no file: that is an error.
        assert!(read_if_exists(folder.path()).is_err());
    }
}
