//! Files that only their owner may read, changed in git's way: by way of `<file>.lock`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::git_lock::{GitLock, Readers};
use super::{is_gone, read_if_exists};
use crate::error::{Error, Result};

/// Replaces a file by what `change` makes of it, unless that is nothing; readers see the old or the new.
/// Whoever changes the file by the same lock waits, as do we, for up to `wait`. The new file is for its
/// owner's eyes only, whatever the old one was. A link stays one.
///
/// # Errors
/// [`ErrorKind::Locked`](crate::error::ErrorKind::Locked) if somebody has the lock all the time, and those of the file system.
pub(crate) fn change_private(
    path: &Path,
    wait: Duration,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) -> Result<()> {
    let path = match fs::canonicalize(path) {
        Err(error) if !is_gone(&error) => return Err(Error::io("find", path, error)),
        found => found.unwrap_or_else(|_| path.to_path_buf()),
    };
    let lock = GitLock::hold_within(wait, &path)?;
    let before = read_if_exists(&path)?.unwrap_or_default();
    match change(before) {
        Some(after) => lock.replace(&path, &after, Readers::Owner),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
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
