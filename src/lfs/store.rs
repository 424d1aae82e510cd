//! The local store: objects by their SHA-256, laid out as git-lfs lays them out.
//!
//! `objects/aa/bb/<oid>`, whole and verified or not at all: content is written elsewhere
//! (`tmp` for files of ours, `incomplete` for downloads), hashed, fsynced and renamed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Object;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind};
use crate::id::LfsOid;

/// The objects of one clone, shared by its work trees.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

/// A scratch file this young may belong to somebody who is about to lock it.
const ORPHAN_AGE: Duration = Duration::from_secs(60);

impl Store {
    /// The store in `root`: `<git dir>/lfs`, or what `lfs.storage` says. Nothing is created yet.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where an object lies, or would lie.
    pub(crate) fn object_path(&self, oid: LfsOid) -> PathBuf {
        let name = oid.to_string();
        self.root
            .join("objects")
            .join(&name[..2])
            .join(&name[2..4])
            .join(name)
    }

    /// Whether the object is here with the right size. The empty object always is.
    pub(crate) fn contains(&self, object: Object) -> bool {
        if object.size == 0 {
            return object.oid == LfsOid::EMPTY;
        }
        fs::lstat(&self.object_path(object.oid))
            .is_ok_and(|stat| stat.is_some_and(|stat| stat.size == object.size))
    }

    /// Opens an object for reading.
    pub(crate) fn open(&self, object: Object) -> Result<File> {
        let path = self.object_path(object.oid);
        let missing = |what: &str| {
            Error::new(
                ErrorKind::LfsObjectMissing,
                format!("the LFS object {} {what}", object.oid),
            )
            .with_hint("fetch it again from the remote")
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing("is not in the local store"));
            }
            Err(error) => return Err(Error::io("open", &path, error)),
        };
        let size = file
            .metadata()
            .map_err(|error| Error::io("open", &path, error))?
            .len();
        if size == object.size {
            Ok(file)
        } else {
            Err(missing("has another size than its pointer says"))
        }
    }

    /// A place to write a download to.
    pub(crate) fn writer(&self, object: Object) -> Result<ObjectWriter> {
        let temp = self.temp("incomplete")?;
        let target = self.object_path(object.oid);
        Ok(ObjectWriter {
            object,
            temp,
            target,
            hasher: Sha256::new(),
            written: 0,
        })
    }

    /// An empty scratch file on the store's file system.
    pub(crate) fn scratch(&self) -> Result<NamedTempFile> {
        self.temp("tmp")
    }

    /// Makes a scratch file whose bytes were hashed the object of that name.
    pub(crate) fn insert(&self, object: Object, temp: NamedTempFile) -> Result<()> {
        if object.size == 0 || self.contains(object) {
            return Ok(());
        }
        finish(temp, &self.object_path(object.oid))
    }

    /// Writes an object's content to a new file, sharing its blocks where possible.
    pub(crate) fn checkout(&self, object: Object, target: &Path, executable: bool) -> Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let source = self.open(object)?;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o777 } else { 0o666 })
            .open(target)
            .map_err(|error| Error::io("create", target, error))?;
        // Not cancelled half way: the file lies in a folder of ours and goes with it.
        fs::clone_or_copy(&source, &file, target, &CancelToken::new()).map(drop)
    }

    /// Removes scratch files of processes that were killed; whoever lives has a lock on theirs.
    ///
    /// Best effort: what cannot be removed only takes room.
    pub(crate) fn remove_orphans(&self) {
        for name in ["tmp", "incomplete"] {
            let entries = std::fs::read_dir(self.root.join(name));
            for entry in entries.into_iter().flatten().flatten() {
                // `.part` files of git-lfs are downloads that can go on.
                let ours = fs::is_temp(&entry.path());
                let age = entry.metadata().and_then(|meta| meta.modified());
                let age = age
                    .ok()
                    .and_then(|time| SystemTime::now().duration_since(time).ok());
                let dead = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
                if ours && age.is_some_and(|age| age >= ORPHAN_AGE) && dead() {
                    tracing::debug!(path = %entry.path().display(), "removing an orphan");
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }

    /// How many objects there are, and their bytes.
    pub(crate) fn usage(&self) -> Result<(usize, u64)> {
        let (mut objects, mut bytes) = (0, 0);
        let mut open = vec![self.root.join("objects")];
        while let Some(folder) = open.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(|error| Error::io("list", &folder, error))?,
            };
            for entry in entries {
                let entry = entry.map_err(|error| Error::io("list", &folder, error))?;
                match fs::lstat(&entry.path())? {
                    Some(stat) if stat.kind == FileKind::Folder => open.push(entry.path()),
                    Some(stat) => {
                        objects += 1;
                        bytes += stat.size;
                    }
                    None => {}
                }
            }
        }
        Ok((objects, bytes))
    }

    /// A new file in one of the scratch folders, locked as long as it is open.
    fn temp(&self, name: &str) -> Result<NamedTempFile> {
        let folder = self.folder(name)?;
        let temp = fs::temp_in(&folder)?;
        // Without locks orphans are never found dead, and stay.
        let _ = temp.as_file().try_lock();
        Ok(temp)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

fn finish(temp: NamedTempFile, target: &Path) -> Result<()> {
    temp.as_file()
        .sync_all()
        .map_err(|error| Error::io("write", target, error))?;
    fs::create_parent(target)?;
    temp.persist(target)
        .map_err(|error| Error::io("store", target, error.error))?;
    target.parent().map_or(Ok(()), fs::sync_dir)
}

/// An object on its way into the store; dropped unfinished, it leaves nothing.
pub(crate) struct ObjectWriter {
    object: Object,
    temp: NamedTempFile,
    target: PathBuf,
    hasher: Sha256,
    written: u64,
}

impl ObjectWriter {
    /// Checks what was written against the object's name and size, and stores it.
    pub(crate) fn finish(self) -> Result<()> {
        let oid = LfsOid::from_bytes(self.hasher.finalize().into());
        if self.written != self.object.size || oid != self.object.oid {
            return Err(Error::new(
                ErrorKind::LfsObjectCorrupt,
                format!(
                    "the LFS object {} came with wrong content ({} bytes that hash to {oid})",
                    self.object.oid, self.written
                ),
            )
            .with_hint(
                "the copy on the server is damaged: push the file again from where it is whole",
            ));
        }
        finish(self.temp, &self.target)
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.temp.write(data)?;
        self.hasher.update(&data[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(content: &[u8]) -> Object {
        let oid = LfsOid::from_bytes(Sha256::digest(content).into());
        Object {
            oid,
            size: content.len() as u64,
        }
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[test]
    fn scratch_files_of_the_dead_are_removed() {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let old = SystemTime::now() - 2 * ORPHAN_AGE;
        let age = |file: &File| file.set_modified(old).expect("aged");
        let (living, young) = (
            store.scratch().expect("temp"),
            store.scratch().expect("temp"),
        );
        age(living.as_file());
        let (_, dead) = store.scratch().expect("temp").keep().expect("kept");
        age(&File::options().append(true).open(&dead).expect("open"));
        // git-lfs's own, to be resumed one day.
        let part = store.folder("incomplete").expect("folder").join("ab.part");
        age(&File::create(&part).expect("created"));
        store.remove_orphans();
        assert!(!dead.exists());
        assert!(living.path().exists() && young.path().exists() && part.exists());
    }

    #[test]
    fn only_verified_content_enters() {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let wanted = object(b"content");
        let mut writer = store.writer(wanted).expect("writer");
        writer.write_all(b"Content").expect("written");
        let error = writer.finish().expect_err("wrong bytes");
        assert_eq!(error.kind(), ErrorKind::LfsObjectCorrupt);
        assert!(!store.contains(wanted));
        assert_eq!(
            store.open(wanted).expect_err("absent").kind(),
            ErrorKind::LfsObjectMissing
        );

        let mut writer = store.writer(wanted).expect("writer");
        writer.write_all(b"content").expect("written");
        writer.finish().expect("right bytes");
        assert!(store.contains(wanted));
        assert!(!store.contains(Object { size: 8, ..wanted }));
        assert_eq!(files(&folder.path().join("lfs/incomplete")), 0);
    }

    #[test]
    fn checkout_copies_and_sets_the_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let wanted = object(b"#!/bin/sh");
        let mut temp = store.scratch().expect("scratch");
        temp.write_all(b"#!/bin/sh").expect("written");
        store.insert(wanted, temp).expect("stored");
        let target = folder.path().join("run");
        store.checkout(wanted, &target, true).expect("copied");
        assert_eq!(std::fs::read(&target).expect("read"), b"#!/bin/sh");
        assert_ne!(
            std::fs::metadata(&target)
                .expect("stat")
                .permissions()
                .mode()
                & 0o100,
            0
        );
        std::fs::write(&target, "changed").expect("written");
        assert!(store.contains(wanted), "the store has a copy of its own");
    }
}
