//! A new index in the making, under git's lock.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::{patiently, wrap};
use crate::error::{Error, Result};
use crate::fs;

/// A new index in the making, while git's lock keeps everybody else from making one.
pub(super) struct Draft {
    pub(super) index: PathBuf,
    lock: PathBuf,
    pub(super) file: PathBuf,
    /// Paths whose stat was taken while the lock was held.
    pub(super) fresh: HashSet<Vec<u8>>,
}

/// The end of the name of a draft to which trees are added.
pub(super) const WITH_TREES: &str = "trees";

/// What to do while somebody else has the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfTaken {
    /// For a moment; then it is an error.
    Wait,
    GiveUp,
}

impl Draft {
    /// Takes git's lock on the index.
    pub(super) fn begin(git_dir: &Path, if_taken: IfTaken) -> Result<Self> {
        let private = super::private_folder(git_dir);
        fs::create_dir_all(&private)?;
        let lock = git_dir.join("index.lock");
        take_lock(&lock, &private, if_taken)?;
        let draft = Self {
            file: private.join("index-draft"),
            index: git_dir.join("index"),
            lock,
            fresh: HashSet::new(),
        };
        // What a killed process left; the lock says that no other is at it.
        fs::remove_file_if_exists(&draft.file)?;
        for made_beside in ["lock", WITH_TREES] {
            fs::remove_file_if_exists(&draft.file.with_extension(made_beside))?;
        }
        Ok(draft)
    }

    /// Makes an index lasting that says the same of all files as the one that is there: it gets its time, too.
    pub(super) fn replace_alike(self, bytes: &[u8]) -> Result<()> {
        let failed = |error: io::Error| Error::io("write", &self.file, error);
        let before = std::fs::metadata(&self.index).map_err(failed)?;
        let mut file = File::create_new(&self.file).map_err(failed)?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.set_permissions(before.permissions()))
            .and_then(|()| file.set_modified(before.modified()?))
            .and_then(|()| file.sync_all());
        written.map_err(failed)?;
        // The old one would do as well: nobody waits for the folder.
        std::fs::rename(&self.file, &self.index)
            .map_err(|error| Error::io("replace", &self.index, error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
        let _ = std::fs::remove_file(&self.lock);
    }
}

/// Creates git's lock file, with words in it by which we know it for ours.
fn take_lock(lock: &Path, private: &Path, if_taken: IfTaken) -> Result<()> {
    let mark = private.join("index-mark");
    if fs::read_if_exists(&mark)?.as_deref() != Some(fs::lock::MARK) {
        fs::atomic_write(&mark, fs::lock::MARK)?;
    }
    let take = || {
        // A link appears with its words in it: killed at any moment, it is known for ours.
        let linked = std::fs::hard_link(&mark, lock);
        let taken = linked.or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(error),
            // A file system without links.
            _ => File::create_new(lock).and_then(|mut file| {
                file.write_all(fs::lock::MARK)
                    .inspect_err(|_| drop(std::fs::remove_file(lock)))
            }),
        });
        taken.map_err(|error| {
            let code = match error.kind() {
                io::ErrorKind::AlreadyExists => git2::ErrorCode::Locked,
                _ => git2::ErrorCode::GenericError,
            };
            let text = format!("{}: {error}", lock.display());
            git2::Error::new(code, git2::ErrorClass::Os, text)
        })
    };
    let what = "take the index's lock";
    match if_taken {
        IfTaken::Wait => patiently(what, take),
        IfTaken::GiveUp => take().map_err(wrap(what)),
    }
}
