//! A mark that lives exactly as long as whoever made it, `kill -9` included.
//!
//! It is a file with an OS lock. When the process ends, however it ends, the lock goes; so nothing has
//! to be known about process ids, and several owners in one process are told apart.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::lock::is_at;
use crate::error::{Error, ErrorKind, Result};

/// Held by the living; the file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Alive {
    id: String,
    file: Mutex<Option<NamedTempFile>>,
}

/// What the marks are called.
const PREFIX: &str = "owner-";
/// A fresh mark can be taken for a dead one before it is locked; that happens once, if ever.
const TRIES: u32 = 10;

impl Alive {
    /// Puts a mark of its own into `folder`.
    pub(crate) fn mark(folder: &Path) -> Result<Self> {
        super::create_dir_all(folder)?;
        for _ in 0..TRIES {
            let file = tempfile::Builder::new()
                .prefix(PREFIX)
                .rand_bytes(12)
                .tempfile_in(folder)
                .map_err(|error| Error::io("create a file in", folder, error))?;
            file.as_file().lock().map_err(|error| {
                Error::io("lock", file.path(), error).with_hint(
                    "the file system does not support file locks; keep the clone on a local disk",
                )
            })?;
            if is_at(file.as_file(), file.path()) {
                let name = file.path().file_name().unwrap_or_default();
                let id = name.to_string_lossy().into_owned();
                let file = Mutex::new(Some(file));
                return Ok(Self { id, file });
            }
        }
        let text = format!("cannot leave a mark in {}", folder.display());
        Err(Error::new(ErrorKind::Io, text))
    }

    /// Takes the mark away, as if its maker had ended.
    pub(crate) fn release(&self) {
        let file = self
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(file);
    }

    /// The mark's name, for [`is_alive`].
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// Whether the maker of a mark still lives; what a dead one left is removed.
pub(crate) fn is_alive(folder: &Path, id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !id.starts_with(PREFIX) || !id.bytes().all(plain) {
        return false;
    }
    let path = folder.join(id);
    let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else {
        return false;
    };
    match File::try_lock(&file) {
        Ok(()) => {
            let _ = std::fs::remove_file(&path);
            false
        }
        // Anything else than a lock that is held says nothing: better to wait than to do it twice.
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
    }
}

/// Removes the marks of all the dead.
pub(crate) fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        is_alive(folder, &entry.file_name().to_string_lossy());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_lives_as_long_as_its_maker() {
        let folder = tempfile::tempdir().expect("temp");
        let one = Alive::mark(folder.path()).expect("marked");
        let two = Alive::mark(folder.path()).expect("marked");
        assert_ne!(one.id(), two.id());
        let id = one.id().to_owned();
        assert!(is_alive(folder.path(), &id));
        drop(one);
        assert!(!is_alive(folder.path(), &id));
        assert!(is_alive(folder.path(), two.id()));
    }

    #[test]
    fn the_mark_of_a_killed_process_is_dead_and_goes() {
        let folder = tempfile::tempdir().expect("temp");
        let left = folder.path().join("owner-aBc123");
        File::create(&left).expect("created");
        assert!(!is_alive(folder.path(), "owner-aBc123"));
        assert!(!left.exists());
        for strange in ["", "../owner-x", "owner-/x", "lock"] {
            assert!(!is_alive(folder.path(), strange), "{strange:?}");
        }
        File::create(&left).expect("created");
        let living = Alive::mark(folder.path()).expect("marked");
        sweep(folder.path());
        assert!(!left.exists() && is_alive(folder.path(), living.id()));
    }
}
