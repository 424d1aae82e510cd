//! The local store: objects by their SHA-256, laid out as git-lfs lays them out.
//!
//! `objects/aa/bb/<oid>`, whole and verified or not at all: content is written elsewhere
//! (`tmp` for files of ours, `incomplete` for downloads), hashed, fsynced and renamed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::lasting::{self, Together, Whole};
use super::{Object, io_error, partial};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Stat};
use crate::id::LfsOid;

/// The objects of one clone, shared by its work trees.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
    /// Where the stores of other repositories are that may have an object.
    alternates: Arc<[PathBuf]>,
}

/// One object of the store, as it lies there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) oid: LfsOid,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// When it was stored, or stored again: seconds since 1970, and nanoseconds.
    pub(crate) written: (i64, u32),
}

impl Stored {
    /// Whether it was stored `age` ago or longer.
    pub(crate) fn is_older(&self, age: Duration) -> bool {
        is_older(self.written, age)
    }
}

/// A time in the future is not old.
fn is_older(written: (i64, u32), age: Duration) -> bool {
    fs::age_of(written).is_some_and(|found| found >= age)
}

/// Folders between `objects` and an object.
const FOLDER_LEVELS: usize = 2;

impl Store {
    /// The store in `root`: `<git dir>/lfs`, or what `lfs.storage` says. Nothing is created yet.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            alternates: Arc::default(),
        }
    }

    /// This store, with others to take objects from; see [`obtain`](Self::obtain).
    pub(crate) fn borrowing(mut self, roots: Vec<PathBuf>) -> Self {
        self.alternates = roots.into();
        self
    }

    /// The stores to take objects from.
    pub(super) fn alternates(&self) -> impl Iterator<Item = Self> + '_ {
        self.alternates.iter().cloned().map(Self::new)
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
    ///
    /// One that is here already becomes young again, so that [`remove_if_older`] leaves it.
    ///
    /// [`remove_if_older`]: Self::remove_if_older
    pub(crate) fn insert(&self, object: Object, temp: NamedTempFile) -> Result<()> {
        if object.size == 0 {
            return Ok(());
        }
        if self.is_renewed(object) {
            return lasting::keep_name(&self.object_path(object.oid));
        }
        keep(temp, &self.object_path(object.oid))
    }

    /// The same for many, which last once `together` is finished.
    pub(super) fn insert_all(
        &self,
        scratch: Vec<(Object, NamedTempFile)>,
        together: &mut Together,
    ) -> Result<()> {
        let mut fresh = scratch;
        fresh.retain(|(object, _)| {
            let renewed = self.is_renewed(*object);
            if renewed && object.size > 0 {
                together.keep_name(&self.object_path(object.oid));
            }
            !renewed
        });
        let files = fresh.iter().map(|(object, temp)| Whole {
            file: temp.as_file(),
            path: temp.path(),
            target: self.object_path(object.oid),
        });
        let stored = together.put(&files.collect::<Vec<_>>());
        for ((_, temp), stored) in fresh.into_iter().zip(stored) {
            stored?;
            // It is not at its old path any more.
            drop(temp.into_temp_path().keep());
        }
        Ok(())
    }

    /// Whether the object is here already, and if so makes it young. The empty one always is.
    fn is_renewed(&self, object: Object) -> bool {
        if object.size == 0 {
            return true;
        }
        // Somebody else's file cannot be touched; one that was removed this moment is written again.
        let is_gone = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        self.contains(object) && !fs::touch_at(&self.object_path(object.oid)).is_some_and(is_gone)
    }

    /// Writes an object's content to a new file, sharing its blocks where possible.
    pub(crate) fn checkout(&self, object: Object, target: &Path, executable: bool) -> Result<Stat> {
        use std::os::unix::fs::OpenOptionsExt;
        let source = self.open(object)?;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o777 } else { 0o666 })
            .open(target)
            .map_err(|error| Error::io("create", target, error))?;
        // Not cancelled half way: the file lies in a folder of ours and goes with it.
        fs::clone_or_copy(&source, &file, target, &CancelToken::new())?;
        let meta = file.metadata();
        let meta = meta.map_err(|error| Error::io("look at", target, error))?;
        Ok(Stat::from(&meta))
    }

    /// Removes scratch files of processes that were killed; whoever lives has a lock on theirs.
    ///
    /// Best effort: what cannot be removed only takes room.
    pub(crate) fn remove_orphans(&self) {
        partial::release_orphans(&self.root.join("incomplete"));
        for name in ["tmp", "incomplete"] {
            let entries = std::fs::read_dir(self.root.join(name));
            for entry in entries.into_iter().flatten().flatten() {
                // `.part` files of git-lfs are downloads that can go on.
                if fs::is_temp(&entry.path()) && fs::is_orphan(&entry.path()) {
                    tracing::debug!(path = %entry.path().display(), "removing an orphan");
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }

    /// All objects. Files that are not where an object of their name would be are none.
    pub(crate) fn stored(&self) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        let mut open = vec![self.root.join("objects")];
        while let Some(folder) = open.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(|error| Error::io("list", &folder, error))?,
            };
            for entry in entries {
                let entry = entry.map_err(|error| Error::io("list", &folder, error))?;
                let path = entry.path();
                match fs::lstat(&path)? {
                    Some(stat) if stat.kind == FileKind::Folder => open.push(path),
                    Some(stat) if stat.kind == FileKind::File => {
                        let oid = entry.file_name().to_string_lossy().parse();
                        if let Ok(oid) = oid
                            && self.object_path(oid) == path
                        {
                            found.push(Stored {
                                oid,
                                bytes: stat.size,
                                written: stat.mtime,
                            });
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    /// Whether the objects lie inside `folder`, links followed.
    pub(crate) fn is_inside(&self, folder: &Path) -> bool {
        let objects = self.root.join("objects");
        let real = |path: &Path| path.canonicalize().ok();
        match (real(&objects).or_else(|| real(&self.root)), real(folder)) {
            (Some(objects), Some(folder)) => objects.starts_with(folder),
            // Nothing was stored yet.
            (None, _) => self.root.starts_with(folder),
            (Some(_), None) => false,
        }
    }

    /// Deletes an object; its bytes, or `None` if it was not here.
    ///
    /// Whoever has it open goes on reading. Only files in the store's own folders are deleted,
    /// whatever links somebody put there.
    pub(crate) fn remove(&self, oid: LfsOid) -> Result<Option<u64>> {
        let path = self.object_path(oid);
        let Some(stat) = self.object_stat(&path)? else {
            return Ok(None);
        };
        fs::remove_file_if_exists(&path)?;
        remove_empty_parents(&path);
        Ok(Some(stat.size))
    }

    /// Deletes an object unless it was stored, or stored again, within the time `age`.
    ///
    /// Exact even while another process [inserts](Self::insert) the same object: that makes it
    /// young before it is taken away here, or finds it gone and writes it again.
    pub(crate) fn remove_if_older(&self, oid: LfsOid, age: Duration) -> Result<Option<u64>> {
        let path = self.object_path(oid);
        let Some(stat) = self
            .object_stat(&path)?
            .filter(|stat| is_older(stat.mtime, age))
        else {
            return Ok(None);
        };
        let away = self.scratch()?;
        let moved = |error| Error::io("remove", &path, error);
        match std::fs::rename(&path, away.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.map_err(moved)?,
        }
        if fs::lstat(away.path())?.is_some_and(|stat| !is_older(stat.mtime, age)) {
            std::fs::rename(away.path(), &path).map_err(moved)?;
            return Ok(None);
        }
        remove_empty_parents(&path);
        Ok(Some(stat.size))
    }

    /// What lies at an object's path, if it is a file and no link leads there.
    pub(super) fn object_stat(&self, path: &Path) -> Result<Option<Stat>> {
        for folder in path.ancestors().skip(1).take(FOLDER_LEVELS) {
            if fs::lstat(folder)?.is_none_or(|stat| stat.kind != FileKind::Folder) {
                return Ok(None);
            }
        }
        Ok(fs::lstat(path)?.filter(|stat| stat.kind == FileKind::File))
    }

    /// A new file in one of the scratch folders, locked as long as it is open.
    fn temp(&self, name: &str) -> Result<NamedTempFile> {
        let temp = match fs::temp_in(&self.root.join(name)) {
            Err(error) if io_error(&error).is_some_and(is_not_there) => {
                fs::temp_in(&self.folder(name)?)?
            }
            made => made?,
        };
        // Without locks orphans are never found dead, and stay.
        let _ = temp.as_file().try_lock();
        Ok(temp)
    }

    /// One of the store's own folders.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

fn is_not_there(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Makes a scratch file an object.
fn keep(temp: NamedTempFile, target: &Path) -> Result<()> {
    lasting::put(temp.as_file(), temp.path(), target)?;
    // It is not at its old path any more.
    drop(temp.into_temp_path().keep());
    Ok(())
}

/// What came is not the object it should be.
pub(super) fn corrupt(object: Object, found: LfsOid, bytes: u64) -> Error {
    Error::new(
        ErrorKind::LfsObjectCorrupt,
        format!(
            "the LFS object {} came with wrong content ({bytes} bytes that hash to {found})",
            object.oid
        ),
    )
    .with_hint("the copy on the server is damaged: push the file again from where it is whole")
}

/// Best effort. A folder that somebody just made to store another object there is empty, too, but
/// only one in 65,536 objects goes there, and storing it can be tried again.
pub(super) fn remove_empty_parents(path: &Path) {
    for folder in path.ancestors().skip(1).take(FOLDER_LEVELS) {
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
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
            return Err(corrupt(self.object, oid, self.written));
        }
        keep(self.temp, &self.target)
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
mod tests;
