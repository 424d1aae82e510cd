//! Objects that may be damaged: looking at them, moving them out of the way, and taking a copy instead.

use std::path::{Path, PathBuf};

use super::Object;
use super::clean::hash_file;
use super::copying::copy_hashed;
use super::store::{Store, remove_empty_parents};
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::fs::{self, FileKind, Stat};
use crate::id::LfsOid;

/// What lies where an object should.
#[derive(Debug)]
pub(crate) enum Examined {
    /// No file.
    Missing,
    /// The object; its bytes.
    Whole(u64),
    /// Something else.
    Corrupt(Stat),
    /// Nobody knows: it cannot be read.
    Unreadable(Stat, Error),
}

impl Examined {
    /// Bytes of what lies there.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Missing => None,
            Self::Whole(bytes) => Some(*bytes),
            Self::Corrupt(stat) | Self::Unreadable(stat, _) => Some(stat.size),
        }
    }
}

impl Store {
    /// Reads an object, and compares it with its name.
    ///
    /// # Errors
    /// If cancelled, or the folders cannot be read.
    pub(crate) fn examine(&self, oid: LfsOid, cancel: &CancelToken) -> Result<Examined> {
        let path = self.object_path(oid);
        let stat = fs::lstat(&path)?.filter(|stat| stat.kind == FileKind::File);
        let Some(stat) = stat else {
            return Ok(Examined::Missing);
        };
        match hash_file(&path, u64::MAX, cancel) {
            Ok(Some(found)) if found == oid => Ok(Examined::Whole(stat.size)),
            Ok(Some(_)) => Ok(Examined::Corrupt(stat)),
            Ok(None) => Ok(Examined::Missing),
            Err(_) if cancel.is_cancelled() => Err(Error::cancelled()),
            Err(error) => Ok(Examined::Unreadable(stat, error)),
        }
    }

    /// Moves what is no object to `bad`, where git-lfs has such files; its new place.
    ///
    /// `None`, and nothing done, if what lies there is not what was `seen`, or lies behind a link.
    pub(crate) fn set_aside(&self, oid: LfsOid, seen: &Stat) -> Result<Option<PathBuf>> {
        let path = self.object_path(oid);
        if self.object_stat(&path)?.as_ref() != Some(seen) {
            return Ok(None);
        }
        let folder = self.folder("bad")?;
        let mut target = folder.join(oid.to_string());
        // One of before stays: who knows what can be had from it.
        let mut number = 1;
        while fs::lstat(&target)?.is_some() {
            number += 1;
            target = folder.join(format!("{oid}.{number}"));
        }
        std::fs::rename(&path, &target).map_err(|error| Error::io("set aside", &path, error))?;
        fs::sync_dir(&folder)?;
        remove_empty_parents(&path);
        Ok(Some(target))
    }

    /// Moves what was set aside back, unless something is there by now; whether it did.
    pub(crate) fn put_back(&self, oid: LfsOid, place: &Path) -> Result<bool> {
        let path = self.object_path(oid);
        if fs::lstat(&path)?.is_some() {
            return Ok(false);
        }
        fs::create_parent(&path)?;
        std::fs::rename(place, &path).map_err(|error| Error::io("put back", &path, error))?;
        if let Some(folder) = path.parent() {
            fs::sync_dir(folder)?;
        }
        Ok(true)
    }

    /// Makes a copy of a file the object, if it has the right bytes.
    pub(crate) fn adopt(&self, object: Object, file: &Path, cancel: &CancelToken) -> Result<bool> {
        let Some(source) = fs::open_no_link(file)? else {
            return Ok(false);
        };
        let found = source
            .metadata()
            .map_err(|error| Error::io("read", file, error))?;
        if !found.is_file() || found.len() != object.size {
            return Ok(false);
        }
        let temp = self.scratch()?;
        // The copy is hashed: the file may be changing.
        if copy_hashed(&source, &temp, object.size, cancel)? != object {
            return Ok(false);
        }
        self.insert(object, temp)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn what_is_damaged_is_found_moved_and_replaced() {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let oid = LfsOid::from_bytes(Sha256::digest(b"weights").into());
        let object = Object { oid, size: 7 };
        let cancel = CancelToken::new();
        let examine = || store.examine(oid, &cancel).expect("looked");
        assert!(matches!(examine(), Examined::Missing));
        let path = store.object_path(oid);
        let mut places = Vec::new();
        for text in ["Weights", "weight"] {
            fs::create_parent(&path).expect("folders");
            std::fs::write(&path, text).expect("written");
            let Examined::Corrupt(seen) = examine() else {
                panic!("found whole");
            };
            // What was replaced since is not touched.
            let other = Stat { size: 9, ..seen };
            assert_eq!(store.set_aside(oid, &other).expect("tried"), None);
            let place = store
                .set_aside(oid, &seen)
                .expect("moved")
                .expect("a place");
            assert!(!path.exists());
            assert!(store.put_back(oid, &place).expect("moved back"));
            assert!(path.exists() && !place.exists());
            let seen = fs::lstat(&path).expect("looked").expect("there");
            places.extend(store.set_aside(oid, &seen).expect("moved"));
            assert!(!path.exists());
        }
        let kept: Vec<_> = places.iter().map(std::fs::read).collect();
        assert_eq!(kept[0].as_ref().expect("kept"), b"Weights");
        assert_eq!(kept[1].as_ref().expect("kept"), b"weight");
        let file = folder.path().join("file");
        for (text, taken) in [("Weights", false), ("weights!", false), ("weights", true)] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(store.adopt(object, &file, &cancel).expect("tried"), taken);
        }
        assert!(matches!(examine(), Examined::Whole(7)));
        // A copy: what becomes of the file is its own business.
        std::fs::write(&file, "Weights").expect("written");
        assert!(matches!(examine(), Examined::Whole(7)));
        let back = store.put_back(oid, places[0].as_ref());
        assert!(!back.expect("looked"), "over a whole one");
        let left = std::fs::read_dir(folder.path().join("lfs/tmp")).expect("listed");
        assert_eq!(left.count(), 0, "scratch files are left");
        cancel.cancel();
        assert!(store.examine(oid, &cancel).is_err());
    }
}
