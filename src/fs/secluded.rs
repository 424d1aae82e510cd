//! A folder outside of any repository that only this user may enter, for as long as it is needed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Error, Result};

/// Memory that looks like files.
const MEMORY: &str = "/dev/shm";
/// A folder this young may belong to somebody who is about to lock it.
const ORPHAN_AGE: Duration = Duration::from_secs(60);
const PREFIX: &str = "hf-repository-";

/// Goes with everything in it when it is dropped. What a killed process leaves is removed by the next
/// one that makes such a folder.
pub(crate) struct Secluded {
    folder: TempDir,
    /// The folder itself, locked: its owner lives.
    _lock: File,
}

impl Secluded {
    /// In memory if possible, else among the temporary files.
    ///
    /// The umask does not count: whoever could write into it could take the place of the pipes in it.
    pub(crate) fn new() -> Result<Self> {
        let temporary = std::env::temp_dir();
        let made = Self::new_in(Path::new(MEMORY)).or_else(|_| Self::new_in(&temporary));
        made.map_err(|error| Error::io("create a folder in", &temporary, error))
    }

    fn new_in(place: &Path) -> std::io::Result<Self> {
        remove_orphans(place, ORPHAN_AGE);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(place)?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes folders whose owners are gone. Best effort: there is nothing secret in them.
fn remove_orphans(place: &Path, age: Duration) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && is_orphan(&entry.path(), age) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_orphan(path: &PathBuf, age: Duration) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return false;
    };
    let old = meta.modified().ok().and_then(|time| time.elapsed().ok());
    meta.is_dir()
        && meta.uid() == rustix::process::geteuid().as_raw()
        && old.is_some_and(|passed| passed >= age)
        && File::open(path).is_ok_and(|folder| folder.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_enter_and_the_dead_leave_nothing() {
        let place = tempfile::tempdir().expect("temp");
        let living = Secluded::new_in(place.path()).expect("made");
        let mode = fs::metadata(living.path())
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o700);
        let dead = place.path().join("hf-repository-dead");
        let other = place.path().join("other");
        let link = place.path().join("hf-repository-link");
        fs::create_dir_all(dead.join("pipes")).expect("made");
        fs::create_dir(&other).expect("made");
        std::os::unix::fs::symlink(&other, &link).expect("made");
        remove_orphans(place.path(), Duration::from_secs(60));
        assert!(dead.exists(), "it may be about to be locked");
        remove_orphans(place.path(), Duration::ZERO);
        assert!(!dead.exists() && other.exists() && link.exists());
        assert!(living.path().exists());
        let path = living.path().to_path_buf();
        drop(living);
        assert!(!path.exists());
    }
}
