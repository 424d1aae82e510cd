//! The door to the file system: atomic writes, copies that share blocks, stat, locks.

pub(crate) mod alive;
mod copy;
mod folder;
mod git_lock;
pub(crate) mod line_pipe;
pub(crate) mod lock;
mod private;
mod read;
mod rename;
mod secluded;
pub(crate) mod sharing;
mod stat;

pub(crate) use copy::{clone_or_copy, clone_or_copy_start, require_space};
pub(crate) use folder::{Folder, Names};
pub(crate) use git_lock::{GitLock, Readers};
pub(crate) use private::change_private;
pub(crate) use read::{
    Take, is_gone, may_be_out_of_files, open_if_exists, open_no_link, read_if_exists, read_start,
    read_start_into, read_start_of_link,
};
pub(crate) use rename::{begin_write_out, exchange, rename_to_free};
pub(crate) use secluded::Secluded;
pub(crate) use stat::{FileKind, Stat, index_size, lstat};

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

pub(crate) fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io("create the folder", path, error))
}

/// Creates the folders a file lies in.
pub(crate) fn create_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), create_dir_all)
}

pub(crate) fn remove_file_if_exists(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Replaces a file's content by one rename: readers see the old or the new, and so does a crash.
///
/// An existing file keeps its permissions, a new one gets those of the process's umask.
pub(crate) fn atomic_write(path: &Path, content: &[u8]) -> Result<()> {
    atomic_write_by_way_of(path.parent().unwrap_or(Path::new(".")), path, content)
}

/// The same, with the new file written in `scratch` first: if the process is killed meanwhile, what is
/// left lies there, and not in a user's folder.
pub(crate) fn atomic_write_by_way_of(scratch: &Path, path: &Path, content: &[u8]) -> Result<()> {
    let mut temp = temp_in(scratch)?;
    temp.write_all(content)
        .and_then(|()| temp.as_file().sync_all())
        .map_err(|error| Error::io("write", path, error))?;
    if let Ok(meta) = fs::metadata(path) {
        temp.as_file()
            .set_permissions(meta.permissions())
            .map_err(|error| Error::io("set the permissions of", path, error))?;
    }
    match temp.persist(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::CrossesDevices => {
            copy_tree(error.file.path(), path)?;
        }
        Err(error) => return Err(Error::io("replace", path, error.error)),
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Replaces a file by one rename, without waiting for the disk: for what is written again if it is lost.
pub(crate) fn replace_scrap(path: &Path, content: &[u8]) -> Result<()> {
    let mut temp = temp_in(path.parent().unwrap_or(Path::new(".")))?;
    temp.write_all(content)
        .map_err(|error| Error::io("write", path, error))?;
    let placed = temp.persist(path).map(drop);
    placed.map_err(|error| Error::io("replace", path, error.error))
}

/// Creates a file with its content in it, unless one is there; whether it was created.
pub(crate) fn atomic_create(path: &Path, content: &[u8]) -> Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temp = temp_in(folder)?;
    temp.write_all(content)
        .and_then(|()| temp.as_file().sync_all())
        .map_err(|error| Error::io("write", path, error))?;
    match temp.persist_noclobber(path) {
        Ok(_) => sync_dir(folder).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io("create", path, error.error)),
    }
}

const TEMP_PREFIX: &str = ".hf-repository-";

/// A temporary file beside its final place, with the permissions a new file would get.
pub(crate) fn temp_in(folder: &Path) -> Result<NamedTempFile> {
    temp_named(folder, TEMP_PREFIX)
}

/// The same, with another beginning of its name.
pub(crate) fn temp_named(folder: &Path, prefix: &str) -> Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(prefix)
        // tempfile asks for 0600 unless told otherwise; the umask still applies.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|error| Error::io("create a file in", folder, error))
}

/// The permissions that the umask leaves a new program in a folder; other files lack the execute bits.
pub(crate) fn mode_of_new_programs(folder: &Path) -> Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    // To ask for the umask is to change it, for all threads.
    let probe = tempfile::Builder::new()
        .prefix(TEMP_PREFIX)
        .permissions(fs::Permissions::from_mode(0o777))
        .tempfile_in(folder)
        .map_err(|error| Error::io("create a file in", folder, error))?;
    let meta = probe.as_file().metadata();
    let meta = meta.map_err(|error| Error::io("look at", probe.path(), error))?;
    Ok(meta.permissions().mode() & 0o777)
}

/// Opens a file for its owner's eyes only, to read it and to write at its end; creates it if need be.
pub(crate) fn open_private(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::io("open", path, error))
}

/// Whether an open file is (still) the one at a path.
pub(crate) fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(here), Ok(there)) => (here.dev(), here.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// A scratch file this young may belong to somebody who is about to lock it, or who holds a lock that is seen
/// on another machine only.
pub(crate) const ORPHAN_AGE: Duration = Duration::from_secs(60);

/// Whether a scratch file, which is locked as long as somebody is at it, was left by a process that is no more.
pub(crate) fn is_orphan(path: &Path) -> bool {
    let Ok(Some(file)) = open_no_link(path) else {
        return false;
    };
    let written = file.metadata().and_then(|meta| meta.modified());
    let idle = written.ok().and_then(|time| time.elapsed().ok());
    idle.is_some_and(|idle| idle >= ORPHAN_AGE) && file.try_lock().is_ok()
}

/// Whether a file is, by its name, one that [`temp_in`] made.
pub(crate) fn is_temp(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(TEMP_PREFIX)
}

/// Removes files of [`temp_in`] that killed processes left in a folder: those of at least this age.
///
/// Best effort: what cannot be removed only takes room.
pub(crate) fn remove_temps(folder: &Path, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let written = entry.metadata().and_then(|meta| meta.modified());
        let old = written.is_ok_and(|time| time.elapsed().is_ok_and(|passed| passed >= age));
        if old && is_temp(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Coarse kernels stamp files every 4 to 10 ms.
pub(crate) const CLOCK_TICK: Duration = Duration::from_millis(12);

/// Waits, for a moment at most, until a file written now gets a later time than `mtime`; whether
/// it had to wait.
pub(crate) fn let_clock_move_on(mtime: (i64, u32)) -> bool {
    let Ok(seconds) = u64::try_from(mtime.0) else {
        return false;
    };
    let written = SystemTime::UNIX_EPOCH + Duration::new(seconds, mtime.1);
    let young = written.elapsed().is_ok_and(|age| age < CLOCK_TICK);
    if young {
        std::thread::sleep(CLOCK_TICK);
    }
    young
}

/// Gives a file the present time, by the clock that stamps files.
pub(crate) fn touch(file: &File, path: &Path) -> Result<()> {
    let now = |nanos| rustix::fs::Timespec {
        tv_sec: 0,
        tv_nsec: nanos,
    };
    let times = rustix::fs::Timestamps {
        last_access: now(rustix::fs::UTIME_OMIT),
        last_modification: now(rustix::fs::UTIME_NOW),
    };
    rustix::fs::futimens(file, &times).map_err(|error| Error::io("touch", path, error.into()))
}

/// Gives what lies at a path the present time; why not, if that failed.
pub(crate) fn touch_at(path: &Path) -> Option<io::Error> {
    let now = rustix::fs::Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    let times = rustix::fs::Timestamps {
        last_access: now,
        last_modification: now,
    };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    let touched = rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags);
    touched.err().map(io::Error::from)
}

/// Gives back the space that the first `bytes` of a file take; the rest keeps its place. A file system
/// that cannot is left alone.
pub(crate) fn give_back(file: &File, bytes: u64) {
    let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    let _ = rustix::fs::fallocate(file, flags, 0, bytes);
}

/// How long ago a time of [`Stat`] was; `None` if it is yet to come.
pub(crate) fn age_of(time: (i64, u32)) -> Option<Duration> {
    let seconds = u64::try_from(time.0).unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, time.1);
    time.elapsed().ok()
}

/// Waits until a file's content is on the disk.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::io("sync", path, error))
}

/// Waits until the names in a folder are on the disk.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    sync_file(path)
}

/// How something came to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Renamed,
    /// What is there now are copies.
    Copied,
}

/// Renames a file or folder over `target`; across file systems a file is copied beside it first.
pub(crate) fn move_into_place(source: &Path, target: &Path) -> Result<Moved> {
    match fs::rename(source, target) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_tree(source, target).map(|()| Moved::Copied)
        }
        Err(error) => Err(Error::io("move a file to", target, error)),
        Ok(()) => Ok(Moved::Renamed),
    }
}

fn copy_tree(source: &Path, target: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(source).map_err(|error| Error::io("read", source, error))?;
    if meta.is_dir() {
        create_dir_all(target)?;
        let entries = fs::read_dir(source).map_err(|error| Error::io("list", source, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("list", source, error))?;
            copy_tree(&entry.path(), &target.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if meta.is_symlink() {
        let to = fs::read_link(source).map_err(|error| Error::io("read", source, error))?;
        remove_file_if_exists(target)?;
        return std::os::unix::fs::symlink(to, target)
            .map_err(|error| Error::io("create the link", target, error));
    }
    let folder = target.parent().unwrap_or(Path::new("."));
    let temp = temp_in(folder)?;
    fs::copy(source, temp.path()).map_err(|error| Error::io("write", target, error))?;
    temp.as_file()
        .sync_all()
        .map_err(|error| Error::io("write", target, error))?;
    temp.persist(target)
        .map(drop)
        .map_err(|error| Error::io("replace", target, error.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn temporary_files_of_the_dead_are_removed() {
        let folder = tempfile::tempdir().expect("temp");
        let (_, left) = temp_in(folder.path()).expect("temp").keep().expect("kept");
        fs::write(folder.path().join("other"), "").expect("written");
        remove_temps(folder.path(), Duration::from_secs(60));
        assert!(left.exists(), "somebody may be at it");
        remove_temps(folder.path(), Duration::ZERO);
        assert!(!left.exists() && folder.path().join("other").exists());
    }

    #[test]
    fn atomic_write_keeps_permissions_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("a");
        atomic_write(&file, b"one").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("chmod");
        atomic_write(&file, b"two").expect("written");
        assert_eq!(fs::read(&file).expect("read"), b"two");
        assert_eq!(
            fs::metadata(&file).expect("stat").permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
