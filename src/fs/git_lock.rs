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
    /// Goes after the lock that lies in them.
    _folders: Folders,
}

impl GitLock {
    /// Locks the file at `path`, which need not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if somebody else has it.
    pub(crate) fn hold(path: &Path) -> Result<Self> {
        let lock = name_of(path);
        Self::create(path, &lock)?.map_err(|error| Error::io("create", &lock, error))
    }

    /// The same for a ref; `None` if there can be none, as another has the name of one of its folders.
    pub(crate) fn hold_ref(path: &Path) -> Result<Option<Self>> {
        let lock = name_of(path);
        match Self::create(path, &lock)? {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            made => made
                .map(Some)
                .map_err(|error| Error::io("create", &lock, error)),
        }
    }

    fn create(path: &Path, lock: &Path) -> Result<io::Result<Self>> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let folders = match Folders::of(lock) {
                Ok(folders) => folders,
                Err(error) => return Ok(Err(error)),
            };
            match File::create_new(lock) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => thread::sleep(pause),
                made => {
                    return Ok(made.map(|file| Self {
                        file,
                        path: lock.to_path_buf(),
                        _folders: folders,
                    }));
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

fn name_of(path: &Path) -> PathBuf {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    PathBuf::from(lock)
}

/// Folders that were created for a lock. Those with nothing in them go with it: they may be in the way of
/// a branch of their name.
#[derive(Default)]
struct Folders(Vec<PathBuf>);

impl Folders {
    fn of(file: &Path) -> io::Result<Self> {
        let above = file.ancestors().skip(1);
        let missing: Vec<_> = above.take_while(|folder| !folder.exists()).collect();
        let mut made = Self::default();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => made.0.push(folder.to_path_buf()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // It stays where somebody else has put something in it.
            let _ = fs::remove_dir(folder);
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

    #[test]
    fn folders_go_with_the_lock_of_a_ref_that_is_gone() {
        let folder = tempfile::tempdir().expect("temp");
        let refs = folder.path().join("refs");
        fs::create_dir(&refs).expect("created");
        let held = GitLock::hold_ref(&refs.join("a/b/c")).expect("held");
        assert!(held.is_some() && refs.join("a/b/c.lock").exists());
        fs::write(refs.join("a/other"), "").expect("written");
        drop(held);
        assert!(refs.join("a/other").exists() && !refs.join("a/b").exists());
        for name in ["a/other/b", "a/other/b/c"] {
            let held = GitLock::hold_ref(&refs.join(name)).expect("no lock");
            assert!(held.is_none());
        }
    }
}
