//! A folder outside of any repository that only this user may enter, for as long as it is needed.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Error, Result};

/// Memory that looks like files.
const MEMORY: &str = "/dev/shm";
/// A folder this young may belong to somebody who is about to lock it.
const ORPHAN_AGE: Duration = Duration::from_secs(60);
/// No name that somebody would give to a folder of their own.
const PREFIX: &str = ".hf-repository-pipes.";
/// Letters behind it, drawn at random.
const LETTERS: usize = 12;

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
            .rand_bytes(LETTERS)
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
        if is_ours(&entry.file_name()) && is_orphan(&entry.path(), age) {
            remove(&entry.path());
        }
    }
}

fn is_ours(name: &OsStr) -> bool {
    let letters = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    letters.is_some_and(|letters| {
        letters.len() == LETTERS && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Nothing of ours has folders in it: one that has is left to whoever made it.
fn remove(folder: &Path) {
    let inside: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    if inside.iter().any(is_folder) {
        return;
    }
    for entry in inside {
        let _ = fs::remove_file(entry.path());
    }
    let _ = fs::remove_dir(folder);
}

fn is_orphan(path: &Path, age: Duration) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return false;
    };
    let old = meta.modified().ok().and_then(|time| time.elapsed().ok());
    meta.is_dir()
        && meta.uid() == rustix::process::geteuid().as_raw()
        && meta.permissions().mode() & 0o7777 == 0o700
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
        let folder = |name: &str, mode| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).expect("made");
            fs::write(folder.join("file"), "").expect("written");
            fs::set_permissions(&folder, Permissions::from_mode(mode)).expect("chmod");
            folder
        };
        let dead = folder(".hf-repository-pipes.deaddeaddead", 0o700);
        let kept = [
            folder(".hf-repository-pipes.openopenopen", 0o755),
            folder(".hf-repository-pipes.short", 0o700),
            folder("hf-repository-demo", 0o700),
            folder(".hf-repository-pipes.insideinside", 0o700),
        ];
        fs::create_dir(kept[3].join("folder")).expect("made");
        let link = place.path().join(".hf-repository-pipes.linklinklink");
        std::os::unix::fs::symlink(&kept[0], &link).expect("made");
        remove_orphans(place.path(), Duration::from_secs(60));
        assert!(dead.exists(), "it may be about to be locked");
        remove_orphans(place.path(), Duration::ZERO);
        assert!(!dead.exists() && link.exists());
        for folder in &kept {
            assert!(folder.join("file").exists(), "{}", folder.display());
        }
        assert!(living.path().exists());
        let path = living.path().to_path_buf();
        drop(living);
        assert!(!path.exists());
    }
}
