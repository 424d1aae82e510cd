//! From a work-tree file to an object: copy, hash the copy, keep it under its name.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Object;
use super::copying::copy_hashed;
use super::lasting::Together;
use super::pointer::{MAX_POINTER_BYTES, Pointer};
use super::store::Store;
use super::{io_error, unless_changed};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Stat, Take};
use crate::id::LfsOid;
use crate::parallel;

/// A file whose content is in the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleaned {
    pub(crate) object: Object,
    /// What the file was when the content was its own.
    pub(crate) stat: Stat,
}

/// Bytes read at a time; beyond 64 KiB nothing is gained, and cancelling stays quick.
const BUFFER: usize = 256 << 10;

/// Files that are made lasting together: as many are open meanwhile, of the thousand that a process may
/// have; with more of them little is gained.
const TOGETHER: usize = 64;
/// From this size on, waiting for the disk is a small part of the work.
const SMALL: u64 = 4 << 20;

/// Puts a file's content into the store.
///
/// The copy is hashed, not the file: so the object's bytes match its name even if the file is
/// being written, and that only costs another try.
pub(crate) fn clean(
    store: &Store,
    file: &Path,
    take: Take,
    cancel: &CancelToken,
) -> Result<Cleaned> {
    let Copied { temp, object, stat } = copy_hash(store, file, take, cancel)?;
    store.insert(object, temp)?;
    Ok(Cleaned { object, stat })
}

/// Puts the contents of several files into the store, as [`clean`] does with each; `None` for each that
/// changed. `begins` is told the number of each one whose turn comes.
///
/// Several threads copy, the large files first. What is small is made lasting together: one after the
/// other, each would wait for the disk three times.
pub(super) fn clean_all(
    store: &Store,
    files: &[PathBuf],
    take: Take,
    begins: &(dyn Fn(usize) + Sync),
    cancel: &CancelToken,
) -> Result<Vec<Option<Cleaned>>> {
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for numbered in files.iter().enumerate() {
        match fs::lstat(numbered.1)? {
            Some(stat) if stat.size >= SMALL => large.push(numbered),
            _ => small.push(numbered),
        }
    }
    let one = |(number, file): &(usize, &PathBuf)| {
        begins(*number);
        Ok((*number, unless_changed(clean(store, file, take, cancel))?))
    };
    let mut all: Vec<Option<Cleaned>> = files.iter().map(|_| None).collect();
    // Few at a time, so that no thread takes several in a row while the other has nothing to do.
    for few in large.chunks(parallel::threads() * 4) {
        for (number, cleaned) in parallel::map(few, cancel, one)? {
            all[number] = cleaned;
        }
    }
    let mut together = Together::default();
    for few in small.chunks(TOGETHER) {
        let copy = |(number, file): &(usize, &PathBuf)| {
            begins(*number);
            unless_changed(copy_hash(store, file, take, cancel))
        };
        match parallel::map(few, cancel, copy) {
            Ok(copied) => {
                let mut temps = Vec::new();
                for ((number, _), copied) in few.iter().zip(copied) {
                    all[*number] = copied.map(|Copied { temp, object, stat }| {
                        temps.push((object, temp));
                        Cleaned { object, stat }
                    });
                }
                store.insert_all(temps, &mut together)?;
            }
            // The process may have so many files open that there is room for a few only. If it is something
            // else, it comes again.
            Err(error) if io_error(&error).is_some_and(fs::may_be_out_of_files) => {
                for numbered in few {
                    cancel.check()?;
                    let (number, cleaned) = one(numbered)?;
                    all[number] = cleaned;
                }
            }
            Err(error) => return Err(error),
        }
    }
    together.finish(cancel)?;
    Ok(all)
}

/// A file's content in a scratch file of the store.
struct Copied {
    temp: NamedTempFile,
    object: Object,
    stat: Stat,
}

fn copy_hash(store: &Store, file: &Path, take: Take, cancel: &CancelToken) -> Result<Copied> {
    let (temp, stat, object) = copy_by(store, file, take, |source, temp, limit| {
        let object = copy_hashed(source, temp, limit, cancel)?;
        Ok((object.size, object))
    })?;
    Ok(Copied { temp, object, stat })
}

/// Copies what is wanted of a file to a scratch file of the store; the stat is the copy's.
pub(super) fn copy(
    store: &Store,
    file: &Path,
    take: Take,
    cancel: &CancelToken,
) -> Result<(NamedTempFile, Stat)> {
    let (temp, stat, ()) = copy_by(store, file, take, |source, temp, limit| {
        let target = temp.as_file();
        let size = fs::clone_or_copy_start(source, target, limit, temp.path(), cancel, |_| true)?;
        Ok((size, ()))
    })?;
    Ok((temp, stat))
}

/// The file is free to change once it is copied: the copy is whole, and the stat is older. `by` copies up
/// to so many bytes, and says how many there were.
fn copy_by<R>(
    store: &Store,
    file: &Path,
    take: Take,
    by: impl FnOnce(&File, &NamedTempFile, u64) -> Result<(u64, R)>,
) -> Result<(NamedTempFile, Stat, R)> {
    let before = settled(file, take)?;
    let source = fs::open_no_link(file)?.ok_or_else(|| changed(file))?;
    let opened = source
        .metadata()
        .map_err(|error| Error::io("read", file, error))?;
    if Stat::from(&opened).ino != before.ino {
        return Err(changed(file));
    }
    let temp = store.scratch()?;
    let (size, result) = by(&source, &temp, before.size).map_err(|error| {
        if lost_source(&error) {
            changed(file)
        } else {
            error
        }
    })?;
    if size != before.size || !take.accepts(&before, fs::lstat(file)?.as_ref()) {
        return Err(changed(file));
    }
    Ok((temp, before, result))
}

pub(super) fn changed(file: &Path) -> Error {
    Error::new(
        ErrorKind::FileChanged,
        format!("{} changed while it was read", file.display()),
    )
    .with_hint("call again when nothing writes to it")
}

/// Whether a copy failed because the file was deleted under it, on another machine.
fn lost_source(error: &Error) -> bool {
    io_error(error).is_some_and(fs::is_gone)
}

/// The stat of a file, such that whatever is written from here on gives it another time.
///
/// A file that changes in the short wait for this need not be copied to know that it changes.
pub(super) fn settled(file: &Path, take: Take) -> Result<Stat> {
    let stat = fs::lstat(file)?.filter(|stat| stat.kind == FileKind::File);
    let stat = stat.ok_or_else(|| changed(file))?;
    if fs::let_clock_move_on(stat.mtime) && !take.accepts(&stat, fs::lstat(file)?.as_ref()) {
        return Err(changed(file));
    }
    Ok(stat)
}

/// The SHA-256 of a file's first `limit` bytes; `None` if it is gone.
pub(crate) fn hash_file(file: &Path, limit: u64, cancel: &CancelToken) -> Result<Option<LfsOid>> {
    match hash(file, limit, cancel) {
        Err(error) if lost_source(&error) => Ok(None),
        result => result.map(Some),
    }
}

/// Hashes at most `limit` bytes: a file may grow faster than it is read.
fn hash(path: &Path, limit: u64, cancel: &CancelToken) -> Result<LfsOid> {
    let failed = |error: io::Error| Error::io("read", path, error);
    let file = fs::open_no_link(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let mut file = file.take(limit);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        cancel.check()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(LfsOid::from_bytes(hasher.finalize().into())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The text of a file that is a pointer already; `None` for any other file.
///
/// The empty file is left to [`clean`], which makes the same pointer of it.
pub(crate) fn read_pointer_file(file: &Path) -> Result<Option<Vec<u8>>> {
    let Some(stat) = fs::lstat(file)? else {
        return Ok(None);
    };
    if stat.kind != FileKind::File || stat.size == 0 || stat.size >= MAX_POINTER_BYTES as u64 {
        return Ok(None);
    }
    let text = fs::read_start(file, MAX_POINTER_BYTES as u64)?.unwrap_or_default();
    Ok((!text.is_empty() && Pointer::parse(&text).is_ok()).then_some(text))
}

#[cfg(test)]
mod tests;
