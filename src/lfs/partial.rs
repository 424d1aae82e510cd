//! Downloads on their way: what came of an object is kept until the rest comes.
//!
//! git-lfs keeps the beginning of a download as `incomplete/<oid>.part`, and whoever goes on with
//! it first gives it a name of its own, so that no two write to one file. So do we; and since a
//! killed process cannot give the name back, our own names are locked as long as somebody writes,
//! and are taken over when nobody does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self as std_fs, File, Permissions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Object;
use super::copying::{self, HashSoFar, Hashing};
use super::lasting::{self, NotStored, Together, Whole};
use super::store::{self, Store};
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::fs;
use crate::id::LfsOid;

/// What follows the oid in the names of our own files.
const OURS: &str = "-hf-repository-";

/// Whether other threads hash and sync a download while it comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    Yes,
    /// There are other downloads for them.
    No,
}

/// The folder where downloads are on their way, and what lay there when it was looked at.
///
/// It is read once for many downloads: for 5,000 of them that made a fifth of a clone.
pub(super) struct Folder {
    path: PathBuf,
    /// What processes of ours left that were killed, or have in hand.
    left: HashMap<LfsOid, Vec<PathBuf>>,
}

impl Folder {
    /// Looks at a store's folder, which is made if there is none.
    pub(super) fn of(store: &Store) -> Result<Self> {
        let path = store.folder("incomplete")?;
        let mut left = HashMap::<_, Vec<_>>::new();
        for entry in std_fs::read_dir(&path).into_iter().flatten().flatten() {
            if let Some(oid) = oid_of_ours(&entry.file_name()) {
                left.entry(oid).or_default().push(entry.path());
            }
        }
        Ok(Self { path, left })
    }
}

/// The object that a file of our own is the beginning of.
fn oid_of_ours(name: &OsStr) -> Option<LfsOid> {
    let name = name.to_str()?;
    let (oid, _) = name.split_once(OURS)?;
    oid.parse().ok()
}

/// The beginning of an object, and nobody else writes to it. Dropped unfinished, what came is left
/// for the next download.
pub(super) struct Partial {
    object: Object,
    file: File,
    /// Where the bytes are written.
    path: PathBuf,
    /// Where the beginning is left.
    part: PathBuf,
    /// Where the whole belongs.
    target: PathBuf,
    /// Of what is here, or of the beginning of that.
    hash: HashSoFar,
    have: u64,
    /// Nothing is at the path any more.
    stored: bool,
}

impl Partial {
    /// Takes what there is of an object, or begins it.
    pub(super) fn claim(
        store: &Store,
        folder: &Folder,
        object: Object,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let part = folder.path.join(format!("{}.part", object.oid));
        let (file, path) = match take(folder, object.oid, &part)? {
            Some(taken) => taken,
            None => begin(&folder.path, object.oid)?,
        };
        let mut partial = Self {
            object,
            file,
            path,
            part,
            target: store.object_path(object.oid),
            hash: HashSoFar::default(),
            have: 0,
            stored: false,
        };
        partial.find(cancel)?;
        let missing = object.size - partial.have;
        fs::require_space(&partial.file, missing, &partial.target)?;
        Ok(partial)
    }

    pub(super) fn object(&self) -> Object {
        self.object
    }

    /// Bytes that are here.
    pub(super) fn have(&self) -> u64 {
        self.have
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have == self.object.size
    }

    /// Looks at what was here before.
    fn find(&mut self, cancel: &CancelToken) -> Result<()> {
        let failed = |error| Error::io("read", &self.part, error);
        let length = self.file.metadata().map_err(failed)?.len();
        if length > self.object.size {
            return self.restart();
        }
        self.file.seek(SeekFrom::Start(length)).map_err(failed)?;
        self.have = length;
        self.catch_up(cancel)
    }

    /// Hashes what was not hashed yet.
    fn catch_up(&mut self, cancel: &CancelToken) -> Result<()> {
        let so_far = std::mem::take(&mut self.hash);
        let mut hashing = Hashing::from(so_far, &self.file, &self.path, cancel);
        hashing.up_to(self.have)?;
        self.hash = hashing.so_far();
        Ok(())
    }

    /// Has `receive` [add](Self::add) what is missing. If that is much, and `followed`, it is hashed and
    /// synced by other threads meanwhile: `receive` tells them how much is here, and stops when it hears false.
    pub(super) fn grow(
        &mut self,
        follow: Follow,
        cancel: &CancelToken,
        receive: impl FnOnce(&mut Self, &mut dyn FnMut(u64) -> bool) -> Result<()>,
    ) -> Result<()> {
        let missing = self.object.size.saturating_sub(self.have);
        if follow == Follow::No || missing < copying::LARGE {
            return receive(self, &mut |_| true);
        }
        let file = self.file.try_clone();
        let file = file.map_err(|error| Error::io("open", &self.path, error))?;
        let path = self.path.clone();
        let so_far = std::mem::take(&mut self.hash);
        let mut hashing = Hashing::from(so_far, &file, &path, cancel);
        let grew = copying::followed(&mut hashing, File::sync_data, |reached| {
            receive(self, reached)
        });
        // A try that breaks off is not the last one.
        self.hash = hashing.so_far();
        grew
    }

    /// Adds bytes at the end.
    pub(super) fn add(&mut self, data: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(data) {
            // How much of it was written is not known: none of it counts.
            let _ = self.file.set_len(self.have);
            let _ = self.file.seek(SeekFrom::Start(self.have));
            return Err(Error::io("write", &self.target, error));
        }
        self.have += data.len() as u64;
        Ok(())
    }

    /// Forgets what is here.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.have = 0;
        self.hash = HashSoFar::default();
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|error| Error::io("write", &self.target, error))
    }

    /// Checks what came against the object's name and size. What is wrong is not kept.
    pub(super) fn check(&mut self, cancel: &CancelToken) -> Result<()> {
        self.catch_up(cancel)?;
        let oid = self.hash.clone().object().oid;
        if !self.is_complete() || oid != self.object.oid {
            let have = self.have;
            self.restart()?;
            return Err(store::corrupt(self.object, oid, have));
        }
        Ok(())
    }

    /// Stores what was [checked](Self::check).
    pub(super) fn finish(&mut self) -> Result<()> {
        let stored = lasting::put(&self.file, &self.path, &self.target);
        self.is_stored(stored)
    }

    /// Stores several that were checked, each of them if it can be; they last once `together` is finished.
    pub(super) fn finish_all(
        several: &mut [&mut Self],
        together: &mut Together,
    ) -> Vec<Result<()>> {
        let files = several.iter().map(|partial| Whole {
            file: &partial.file,
            path: &partial.path,
            target: partial.target.clone(),
        });
        let stored = together.put(&files.collect::<Vec<_>>());
        let each = several.iter_mut().zip(stored);
        each.map(|(partial, stored)| partial.is_stored(stored))
            .collect()
    }

    /// Draws the conclusions.
    fn is_stored(&mut self, stored: Result<(), NotStored>) -> Result<()> {
        match stored {
            Ok(()) => {
                self.stored = true;
                // The beginning that somebody else left is of no use any more.
                let _ = std_fs::remove_file(&self.part);
                Ok(())
            }
            Err(NotStored::Content(error)) => {
                let _ = self.restart();
                Err(error)
            }
            Err(NotStored::Name(error)) => Err(error),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.stored {
            return;
        }
        let length = |path: &Path| std_fs::metadata(path).map_or(0, |found| found.len());
        let _ = if self.have > length(&self.part) {
            std_fs::rename(&self.path, &self.part)
        } else {
            std_fs::remove_file(&self.path)
        };
    }
}

/// Takes over the beginning that somebody left: git-lfs, we, or a process of ours that was killed.
fn take(folder: &Folder, oid: LfsOid, part: &Path) -> Result<Option<(File, PathBuf)>> {
    if part.exists() {
        let (fresh, path) = begin(&folder.path, oid)?;
        // git-lfs's files are for their owner alone; objects are as readable as other files.
        let mode = fresh.metadata().map(|found| found.permissions());
        match std_fs::rename(part, &path) {
            Ok(()) => {
                drop(fresh);
                let file = own(&path, mode.ok());
                return Ok(file.map(|file| (file, path)));
            }
            // Somebody was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some((fresh, path)));
            }
            Err(error) => return Err(Error::io("take over", part, error)),
        }
    }
    let mut left = folder.left.get(&oid).into_iter().flatten();
    Ok(left.find_map(|path| own(path, None).map(|file| (file, path.clone()))))
}

/// Opens a file that nobody writes to, and keeps others from writing to it.
fn own(path: &Path, mode: Option<Permissions>) -> Option<File> {
    let file = File::options().read(true).write(true).open(path).ok()?;
    file.try_lock().ok()?;
    // Whoever had the lock until now may have moved the file away.
    if !fs::is_still_at(&file, path) {
        return None;
    }
    if let Some(mode) = mode {
        // As good as it gets: a file of another user's keeps its mode.
        let _ = file.set_permissions(mode);
    }
    Some(file)
}

/// A new, empty file.
fn begin(folder: &Path, oid: LfsOid) -> Result<(File, PathBuf)> {
    loop {
        let (file, path) = fs::temp_named(folder, &format!("{oid}{OURS}"))?
            .keep()
            .map_err(|error| Error::io("create a file in", folder, error.error))?;
        match file.try_lock() {
            Ok(()) if fs::is_still_at(&file, &path) => return Ok((file, path)),
            // Somebody took the new file for one that was left, in the moment before it was locked.
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            // Without locks, beginnings of killed processes are never taken over.
            Err(TryLockError::Error(_)) => return Ok((file, path)),
        }
    }
}

/// Gives the beginnings that killed processes left the name under which everybody looks for them.
pub(super) fn release_orphans(folder: &Path) {
    for entry in std_fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let oid = oid_of_ours(&entry.file_name());
        // A young one may belong to somebody who is about to lock it.
        let written = entry.metadata().and_then(|meta| meta.modified());
        let old = written.is_ok_and(|time| time.elapsed().is_ok_and(|age| age >= fs::ORPHAN_AGE));
        let (true, Some(oid), Some(_file)) = (old, oid, own(&path, None)) else {
            continue;
        };
        let part = folder.join(format!("{oid}.part"));
        // Never over another beginning: a link fails if there is one.
        let _ = std_fs::hard_link(&path, part);
        let _ = std_fs::remove_file(&path);
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::error::ErrorKind;

    const CONTENT: &[u8] = b"0123456789";

    fn object() -> Object {
        let oid = LfsOid::from_bytes(Sha256::digest(CONTENT).into());
        Object { oid, size: 10 }
    }

    fn claim(store: &Store) -> Partial {
        let folder = Folder::of(store).expect("a folder");
        Partial::claim(store, &folder, object(), &CancelToken::new()).expect("claimed")
    }

    fn store() -> (tempfile::TempDir, Store, PathBuf) {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let incomplete = store.folder("incomplete").expect("folder");
        (folder, store, incomplete)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std_fs::read_dir(folder).expect("list").flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_download_goes_on_where_it_stopped() {
        let (_folder, store, incomplete) = store();
        let mut first = claim(&store);
        first.add(b"0123").expect("written");
        drop(first);
        let part = incomplete.join(format!("{}.part", object().oid));
        assert_eq!(std_fs::read(&part).expect("left"), b"0123");
        let mut second = claim(&store);
        let goes_on = crate::probe::soon(|| {
            if second.have() == 0 {
                second = claim(&store);
            }
            second.have() == 4
        });
        assert!(goes_on);
        assert!(!part.exists(), "it has a name of its own now");
        second.add(b"456789").expect("written");
        second.check(&CancelToken::new()).expect("right");
        second.finish().expect("stored");
        drop(second);
        assert!(store.contains(object()));
        assert_eq!(names(&incomplete), [""; 0]);
    }

    /// Bytes that a disk failed to take may still be read for a while, and look right.
    #[test]
    fn what_the_disk_did_not_take_is_not_gone_on_with() {
        let failed = || Error::new(ErrorKind::Io, "no room any more");
        for (why, left) in [
            (NotStored::Name(failed()), 1),
            (NotStored::Content(failed()), 0),
        ] {
            let (_folder, store, incomplete) = store();
            let mut partial = claim(&store);
            partial.add(CONTENT).expect("written");
            partial.check(&CancelToken::new()).expect("right");
            partial.is_stored(Err(why)).expect_err("told");
            drop(partial);
            assert_eq!(names(&incomplete).len(), left);
        }
    }

    #[test]
    fn two_never_write_to_one_file() {
        let (_folder, store, incomplete) = store();
        let part = incomplete.join(format!("{}.part", object().oid));
        std_fs::write(&part, b"01").expect("written");
        let (mut first, mut second) = (claim(&store), claim(&store));
        assert_eq!((first.have(), second.have()), (2, 0));
        second.add(b"0123").expect("written");
        first.add(b"2").expect("written");
        drop(second);
        drop(first);
        // The longer beginning is kept, whoever ends last.
        assert_eq!(std_fs::read(&part).expect("left"), b"0123");
        assert_eq!(names(&incomplete).len(), 1);
    }

    #[test]
    fn what_is_wrong_is_not_kept() {
        let (_folder, store, incomplete) = store();
        let part = incomplete.join(format!("{}.part", object().oid));
        std_fs::write(&part, b"far too much for it").expect("written");
        let mut partial = claim(&store);
        assert_eq!(partial.have(), 0);
        partial.add(b"9876543210").expect("written");
        let error = partial.check(&CancelToken::new());
        let error = error.expect_err("other bytes");
        assert_eq!(error.kind(), ErrorKind::LfsObjectCorrupt);
        drop(partial);
        assert_eq!(names(&incomplete), [""; 0]);
        assert!(!store.contains(object()));
    }

    #[test]
    fn what_a_killed_process_left_is_taken_over() {
        let (_folder, store, incomplete) = store();
        let left = |name: &str| incomplete.join(format!("{}{OURS}{name}", object().oid));
        std_fs::write(left("one"), b"01234").expect("written");
        let mut partial = claim(&store);
        assert_eq!(partial.have(), 5);
        // Its owner lives.
        release_orphans(&incomplete);
        partial.add(b"56789").expect("written");
        partial.check(&CancelToken::new()).expect("right");
        partial.finish().expect("stored");
        drop(partial);
        std_fs::write(left("two"), b"012").expect("written");
        release_orphans(&incomplete);
        assert_eq!(names(&incomplete).len(), 1, "it is young");
        let file = File::options().write(true).open(left("two"));
        let old = std::time::SystemTime::now() - 2 * fs::ORPHAN_AGE;
        file.expect("open").set_modified(old).expect("set");
        release_orphans(&incomplete);
        assert_eq!(names(&incomplete), [format!("{}.part", object().oid)]);
    }
}
