//! One of git's own lock files, `<file>.lock`, held by us: whoever of git and its friends wants to change
//! the file waits or gives up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// How often the lock is tried, and the first pause between; it grows by half each time. That is about a
/// second, as git itself waits for some of its locks.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// Held until it is dropped.
#[must_use]
pub(crate) struct GitLock {
    file: File,
    path: PathBuf,
}

impl GitLock {
    /// Locks the file at `path`, which need not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if somebody else has it.
    pub(crate) fn hold(path: &Path) -> Result<Self> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        super::create_parent(&lock)?;
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match File::create_new(&lock) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => thread::sleep(pause),
                made => {
                    let file = made.map_err(|error| Error::io("create", &lock, error))?;
                    return Ok(Self { file, path: lock });
                }
            }
            pause = pause * 3 / 2;
        }
        Err(Error::new(
            ErrorKind::Locked,
            format!("cannot change {}: it is locked", path.display()),
        )
        .with_hint(format!(
            "another process works on it; if none does, remove {}",
            lock.display()
        )))
    }

    /// Puts `content` in the place of the locked file, as git does: the lock becomes the file. What has
    /// the file's permissions keeps them.
    pub(crate) fn replace(mut self, target: &Path, content: &[u8]) -> Result<()> {
        let written = || -> io::Result<()> {
            self.file.write_all(content)?;
            if let Ok(meta) = fs::metadata(target) {
                self.file.set_permissions(meta.permissions())?;
            }
            self.file.sync_all()
        };
        let mut written = written;
        written().map_err(|error| Error::io("write", &self.path, error))?;
        fs::rename(&self.path, target).map_err(|error| Error::io("replace", target, error))?;
        target.parent().map_or(Ok(()), super::sync_dir)
    }
}

impl Drop for GitLock {
    fn drop(&mut self) {
        // After a rename it is somebody else's by now, if it is there at all.
        if super::is_still_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_becomes_the_file_or_goes() {
        let folder = tempfile::tempdir().expect("temp");
        let (file, lock) = (
            folder.path().join("a/config"),
            folder.path().join("a/config.lock"),
        );
        let held = GitLock::hold(&file).expect("held");
        let error = GitLock::hold(&file).err().expect("held by another");
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("config.lock"))
        );
        drop(held);
        assert!(!lock.exists());
        GitLock::hold(&file)
            .expect("held")
            .replace(&file, b"new")
            .expect("replaced");
        assert_eq!(fs::read(&file).expect("there"), b"new");
        assert!(!lock.exists());
    }
}
