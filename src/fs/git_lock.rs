//! One of git's own lock files, `<file>.lock`, held by us: whoever of git and its friends wants to change
//! the file waits or gives up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// How long others are waited for: as long as git itself waits for some of its locks.
const WAIT: Duration = Duration::from_secs(1);
/// Between looks at whether a lock is free.
const PAUSE: Duration = Duration::from_millis(10);

/// Who may read a file that a lock becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Those who may read the file that was there.
    AsBefore,
    Owner,
}

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
        Self::hold_within(WAIT, path)
    }

    /// The same; others are waited for so long.
    pub(crate) fn hold_within(wait: Duration, path: &Path) -> Result<Self> {
        let lock = name_of(path);
        let made = Self::create(wait, path, &lock, || Ok(Folders::default()))?;
        made.map_err(|error| Error::io("create", &lock, error))
    }

    /// The same for a ref, whose folders need not exist; `None` if there can be none, as another has the
    /// name of one of them.
    pub(crate) fn hold_ref(path: &Path) -> Result<Option<Self>> {
        let lock = name_of(path);
        match Self::create(WAIT, path, &lock, || Folders::of(&lock))? {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            made => made
                .map(Some)
                .map_err(|error| Error::io("create", &lock, error)),
        }
    }

    fn create(
        wait: Duration,
        path: &Path,
        lock: &Path,
        folders: impl Fn() -> io::Result<Folders>,
    ) -> Result<io::Result<Self>> {
        let deadline = Instant::now() + wait;
        // Whatever is written into it may be nobody else's business.
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        loop {
            let made = folders().and_then(|folders| Ok((options.open(lock)?, folders)));
            match made {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Ok(Err(error));
                }
                Err(_) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(error) => {
                    let text = format!("cannot change {}: it is locked", path.display());
                    let hint = format!(
                        "another process works on it; if none does, remove {}",
                        lock.display()
                    );
                    return Err(Error::new(ErrorKind::Locked, text)
                        .with_hint(hint)
                        .with_source(error));
                }
                Ok((file, folders)) => {
                    return Ok(Ok(Self {
                        file,
                        path: lock.to_path_buf(),
                        _folders: folders,
                    }));
                }
            }
        }
    }

    /// Puts `content` in the place of the locked file, as git does: the lock becomes the file.
    pub(crate) fn replace(mut self, target: &Path, content: &[u8], readers: Readers) -> Result<()> {
        let mut written = || -> io::Result<()> {
            self.file.write_all(content)?;
            if readers == Readers::AsBefore
                && let Ok(meta) = fs::metadata(target)
            {
                self.file.set_permissions(meta.permissions())?;
            }
            self.file.sync_all()
        };
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
        fs::create_dir(folder.path().join("a")).expect("created");
        fs::write(&file, "old").expect("written");
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
            .replace(&file, b"new", Readers::AsBefore)
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
