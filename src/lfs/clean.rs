//! From a work-tree file to an object: copy, hash the copy, keep it under its name.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Object;
use super::pointer::{MAX_POINTER_BYTES, Pointer};
use super::store::Store;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Stat};
use crate::id::LfsOid;

/// A file whose content is in the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleaned {
    pub(crate) object: Object,
    /// What the file was, before and after it was read.
    pub(crate) stat: Stat,
}

/// Bytes read at a time; beyond 64 KiB nothing is gained, and cancelling stays quick.
const BUFFER: usize = 256 << 10;

/// Puts a file's content into the store.
///
/// The copy is hashed, not the file: so the object's bytes match its name even if the file is
/// being written, and that only costs another try.
pub(crate) fn clean(store: &Store, file: &Path, cancel: &CancelToken) -> Result<Cleaned> {
    let before = stat_of(file)?;
    let source = File::open(file).map_err(|error| Error::io("read", file, error))?;
    let temp = store.scratch()?;
    fs::clone_or_copy(&source, temp.as_file(), temp.path(), cancel)?;
    let (oid, size) = hash(temp.path(), cancel)?;
    if stat_of(file)? != before || size != before.size {
        return Err(Error::new(
            ErrorKind::FileChanged,
            format!("{} changed while it was read", file.display()),
        )
        .with_hint("call again when nothing writes to it"));
    }
    let object = Object { oid, size };
    store.insert(object, temp)?;
    Ok(Cleaned {
        object,
        stat: before,
    })
}

fn stat_of(file: &Path) -> Result<Stat> {
    let stat = fs::lstat(file)?.filter(|stat| stat.kind == FileKind::File);
    stat.ok_or_else(|| {
        Error::new(
            ErrorKind::FileChanged,
            format!("{} is not a file any more", file.display()),
        )
    })
}

/// The SHA-256 of a file.
pub(crate) fn hash_file(file: &Path, cancel: &CancelToken) -> Result<LfsOid> {
    hash(file, cancel).map(|(oid, _)| oid)
}

fn hash(path: &Path, cancel: &CancelToken) -> Result<(LfsOid, u64)> {
    let failed = |error: io::Error| Error::io("read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        cancel.check()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok((LfsOid::from_bytes(hasher.finalize().into()), size)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
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
    let text = fs::read_if_exists(file)?.unwrap_or_default();
    Ok((!text.is_empty() && Pointer::parse(&text).is_ok()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_a_copy_of_the_file() {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let file = folder.path().join("f");
        std::fs::write(&file, b"hello\n").expect("written");
        let cleaned = clean(&store, &file, &CancelToken::new()).expect("cleaned");
        let known = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(cleaned.object.oid.to_string(), known);
        std::fs::write(&file, b"changed").expect("written");
        let stored = std::fs::read(store.object_path(cleaned.object.oid)).expect("stored");
        assert_eq!(stored, b"hello\n");
    }

    #[test]
    fn an_empty_file_stores_nothing_and_pointers_pass() {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let file = folder.path().join("f");
        std::fs::write(&file, b"").expect("written");
        let cleaned = clean(&store, &file, &CancelToken::new()).expect("cleaned");
        assert_eq!(
            cleaned.object,
            Object {
                oid: LfsOid::EMPTY,
                size: 0
            }
        );
        assert!(!folder.path().join("lfs/objects").exists());
        assert_eq!(read_pointer_file(&file).expect("read"), None);
        std::fs::write(&file, Pointer::new(LfsOid::EMPTY, 5).encode()).expect("written");
        assert!(read_pointer_file(&file).expect("read").is_some());
    }

    #[test]
    fn a_cancelled_clean_leaves_nothing() {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let file = folder.path().join("f");
        std::fs::write(&file, b"x").expect("written");
        let cancel = CancelToken::new();
        cancel.cancel();
        let error = clean(&store, &file, &cancel).expect_err("cancelled");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(
            std::fs::read_dir(folder.path().join("lfs/tmp"))
                .expect("list")
                .count(),
            0
        );
    }
}
