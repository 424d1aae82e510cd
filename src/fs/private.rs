//! Files that only their owner may read, changed in git's way: by way of `<file>.lock`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{is_gone, read_if_exists, remove_file_if_exists, sync_dir};
use crate::error::{Error, ErrorKind, Result};

/// Between looks at whether a lock is free.
const PAUSE: Duration = Duration::from_millis(10);

/// Replaces a file by what `change` makes of it, unless that is nothing; readers see the old or the new.
/// Whoever changes the file by the same lock waits, as do we, for up to `wait`. The new file is for its
/// owner's eyes only, whatever the old one was. A link stays one.
///
/// # Errors
/// [`ErrorKind::Locked`] if somebody has the lock all the time, and those of the file system.
pub(crate) fn change_private(
    path: &Path,
    wait: Duration,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) -> Result<()> {
    let path = match fs::canonicalize(path) {
        Err(error) if !is_gone(&error) => return Err(Error::io("find", path, error)),
        found => found.unwrap_or_else(|_| path.to_path_buf()),
    };
    let lock = Lock::take(&path, wait)?;
    let before = read_if_exists(&path)?.unwrap_or_default();
    match change(before) {
        Some(after) => lock.finish(&path, &after),
        None => Ok(()),
    }
}

/// Holds the lock file; goes with it unless it became the file itself.
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    fn take(target: &Path, wait: Duration) -> Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let deadline = Instant::now() + wait;
        loop {
            let mut options = File::options();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(Self { file, path }),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("create", &path, error));
                }
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(error) => {
                    let text = format!("cannot change {}: it is locked", target.display());
                    return Err(Error::new(ErrorKind::Locked, text)
                        .with_hint(format!(
                            "if no program is at it any more, delete {}",
                            path.display()
                        ))
                        .with_source(error));
                }
            }
        }
    }

    fn finish(mut self, target: &Path, content: &[u8]) -> Result<()> {
        let written = self.file.write_all(content);
        written
            .and_then(|()| self.file.sync_all())
            .map_err(|error| Error::io("write", target, error))?;
        fs::rename(&self.path, target).map_err(|error| Error::io("replace", target, error))?;
        target.parent().map_or(Ok(()), sync_dir)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Renamed it is gone already; nobody else can have taken the name meanwhile but by creating it
        // anew, and that is then not ours.
        let own = super::is_still_at(&self.file, &self.path);
        if own && let Err(error) = remove_file_if_exists(&self.path) {
            tracing::warn!(%error, "a lock file is left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("temp");
        let (file, link) = (folder.path().join("f"), folder.path().join("link"));
        fs::write(&file, "one").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        let change = |path: &Path, text: &str| {
            change_private(path, Duration::ZERO, |mut old| {
                old.extend(text.as_bytes());
                Some(old)
            })
        };
        change(&link, " two").expect("changed");
        change(&folder.path().join("new"), "three").expect("created");
        let mode = |path: &Path| fs::metadata(path).expect("stat").permissions().mode() & 0o777;
        assert_eq!(fs::read(&file).expect("read"), b"one two");
        assert!(link.is_symlink());
        assert_eq!(
            (mode(&file), mode(&folder.path().join("new"))),
            (0o600, 0o600)
        );
        // Nothing to change, nothing left; and a lock of somebody else's stays.
        change_private(&file, Duration::ZERO, |_| None).expect("left");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 3);
        fs::write(folder.path().join("f.lock"), "").expect("locked");
        let error = change(&file, "!").expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(folder.path().join("f.lock").exists());
    }
}
