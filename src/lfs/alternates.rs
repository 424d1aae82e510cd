//! Objects that other repositories on this machine have, as with `git clone --reference`.
//!
//! Beside an object folder that git borrows from (`objects/info/alternates`) may be an `lfs/objects`
//! to borrow from, too. An object found there becomes one of ours without a download: by a hard link
//! where that can be, since objects never change, else by a copy. Its bytes are hashed in any case; a
//! damaged one is as good as none.

use std::path::{Path, PathBuf};

use super::Object;
use super::clean::hash_file;
use super::lasting;
use super::store::Store;
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::fs::{self, FileKind};

/// How far alternates of alternates are followed; git's own limit.
const DEPTH: usize = 5;

/// The LFS folders of the repositories that the one in `common_dir` borrows from.
///
/// `variable` is `GIT_ALTERNATE_OBJECT_DIRECTORIES`: folders with `:` between them.
pub(crate) fn find(common_dir: &Path, variable: Option<&str>) -> Vec<PathBuf> {
    let own = common_dir.join("objects").canonicalize();
    // Known from the start, so that a circle does not lead back here.
    let mut folders: Vec<PathBuf> = own.into_iter().collect();
    let known = folders.len();
    let listed = variable.into_iter().flat_map(|list| list.split(':'));
    for entry in listed.filter(|entry| !entry.is_empty()) {
        add(&mut folders, PathBuf::from(unquoted(entry)), DEPTH);
    }
    for folder in borrowed(&common_dir.join("objects")) {
        add(&mut folders, folder, DEPTH);
    }
    let lfs = |objects: &PathBuf| Some(objects.parent()?.join("lfs"));
    let mut roots: Vec<PathBuf> = folders.iter().skip(known).filter_map(lfs).collect();
    roots.retain(|root| root.join("objects").is_dir());
    roots
}

fn add(folders: &mut Vec<PathBuf>, folder: PathBuf, depth: usize) {
    // Links and `..` resolved: a circle ends, and a parent is the real one.
    let Ok(folder) = folder.canonicalize() else {
        tracing::debug!(folder = %folder.display(), "an alternate is not there");
        return;
    };
    if depth == 0 || folders.contains(&folder) {
        return;
    }
    let next = borrowed(&folder);
    folders.push(folder);
    for other in next {
        add(folders, other, depth - 1);
    }
}

/// The folders that an object folder borrows from, by its `info/alternates`.
fn borrowed(objects: &Path) -> Vec<PathBuf> {
    let text = match fs::read_if_exists(&objects.join("info").join("alternates")) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "the list of alternates is left out");
            return Vec::new();
        }
    };
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| objects.join(unquoted(line)))
        .collect()
}

/// A path that git wrote in quotes, for odd characters in it.
fn unquoted(text: &str) -> String {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return text.to_owned();
    };
    let mut out = Vec::new();
    let mut bytes = inner.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(digit @ b'0'..=b'7') = bytes.peek().copied() {
                        bytes.next();
                        value = value * 8 + u32::from(digit - b'0');
                    }
                }
                out.push(value as u8);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Store {
    /// Whether the object is here, or can be had from another repository of this machine; then it is
    /// here afterwards.
    ///
    /// # Errors
    /// If cancelled. What goes wrong with an alternate only means that it does not help.
    pub(crate) fn obtain(&self, object: Object, cancel: &CancelToken) -> Result<bool> {
        if self.contains(object) {
            return Ok(true);
        }
        for other in self.alternates() {
            let source = other.object_path(object.oid);
            let usable = fs::lstat(&source).is_ok_and(|stat| {
                stat.is_some_and(|stat| stat.kind == FileKind::File && stat.size == object.size)
            });
            if !usable {
                continue;
            }
            match self.take(object, &source, cancel) {
                Ok(true) => return Ok(true),
                Ok(false) => {
                    tracing::warn!(object = %source.display(), "damaged, and left alone");
                }
                Err(_) if cancel.is_cancelled() => return Err(Error::cancelled()),
                Err(error) => tracing::warn!(%error, "an alternate does not help"),
            }
        }
        Ok(false)
    }

    /// Makes `source` our object, if it has the right bytes.
    fn take(&self, object: Object, source: &Path, cancel: &CancelToken) -> Result<bool> {
        let temp = self.scratch()?;
        let linked = temp.path().with_extension("link");
        let file = if std::fs::hard_link(source, &linked).is_ok() {
            Linked(linked)
        } else {
            // Another file system, or somebody else's file.
            let from =
                std::fs::File::open(source).map_err(|error| Error::io("open", source, error))?;
            fs::clone_or_copy(&from, temp.as_file(), temp.path(), cancel)?;
            Linked(temp.path().to_path_buf())
        };
        // What is hashed is what is kept, whatever becomes of the name it came from.
        if hash_file(&file.0, u64::MAX, cancel)? != Some(object.oid) {
            return Ok(false);
        }
        let target = self.object_path(object.oid);
        let opened =
            std::fs::File::open(&file.0).map_err(|error| Error::io("open", &file.0, error))?;
        lasting::put(&opened, &file.0, &target)?;
        tracing::debug!(object = %object.oid, from = %source.display(), "taken from an alternate");
        Ok(true)
    }
}

/// A name that goes again unless it was renamed.
struct Linked(PathBuf);

impl Drop for Linked {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LfsOid;
    use sha2::{Digest, Sha256};
    use std::os::unix::fs::MetadataExt;

    fn repository(folder: &Path, name: &str, alternates: &str) -> PathBuf {
        let git_dir = folder.join(name);
        std::fs::create_dir_all(git_dir.join("objects/info")).expect("folders");
        std::fs::create_dir_all(git_dir.join("lfs/objects")).expect("folders");
        if !alternates.is_empty() {
            std::fs::write(git_dir.join("objects/info/alternates"), alternates).expect("written");
        }
        git_dir
    }

    fn put(root: &Path, content: &[u8], stored: &[u8]) -> Object {
        let oid = LfsOid::from_bytes(Sha256::digest(content).into());
        let path = Store::new(root.to_path_buf()).object_path(oid);
        fs::create_parent(&path).expect("folders");
        std::fs::write(path, stored).expect("written");
        Object {
            oid,
            size: content.len() as u64,
        }
    }

    #[test]
    fn lists_are_followed_as_git_does() {
        let temp = tempfile::tempdir().expect("temp");
        let folder = temp.path().canonicalize().expect("real");
        let one = repository(
            &folder,
            "one",
            "# a comment\n\n../../two/objects\n/no/such\n",
        );
        let two = repository(&folder, "two", "\"../../thr\\145e \\\"x/objects\"\n");
        let three = repository(&folder, "three \"x", "../../one/objects\n");
        let four = repository(&folder, "four", "");
        let variable = format!("{}:/nowhere/objects:", four.join("objects").display());
        let lfs = |dir: &PathBuf| dir.join("lfs");
        assert_eq!(find(&one, None), [&two, &three].map(lfs));
        assert_eq!(find(&four, None), [""; 0].map(PathBuf::from));
        assert_eq!(find(&two, Some(&variable)), [&four, &three, &one].map(lfs));
    }

    #[test]
    fn an_object_elsewhere_is_linked_or_found_damaged() {
        let temp = tempfile::tempdir().expect("temp");
        let (other, worse) = (temp.path().join("other"), temp.path().join("worse"));
        let root = temp.path().join("own");
        let store = Store::new(root.clone()).borrowing(vec![worse.clone(), other.clone()]);
        let cancel = CancelToken::new();
        let whole = put(&other, b"weights", b"weights");
        // The same size, other bytes.
        put(&worse, b"weights", b"Weights");
        let damaged = put(&other, b"data", b"Data");
        assert!(store.obtain(whole, &cancel).expect("tried"));
        let ino = |root: &Path| {
            let path = Store::new(root.to_path_buf()).object_path(whole.oid);
            std::fs::metadata(path).expect("there").ino()
        };
        assert_eq!(ino(&root), ino(&other));
        assert!(!store.obtain(damaged, &cancel).expect("tried"));
        assert!(!store.contains(damaged));
        let left = std::fs::read_dir(root.join("tmp")).expect("listed").count();
        assert_eq!(left, 0, "scratch files are left");
        // A cancelled search is no answer.
        let cancelled = CancelToken::new();
        cancelled.cancel();
        let missing = put(&other, b"more", b"more");
        assert!(store.obtain(missing, &cancelled).is_err());
    }

    #[test]
    fn from_another_file_system_an_object_is_copied() {
        let temp = tempfile::tempdir().expect("temp");
        let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        let device = |folder: &Path| std::fs::metadata(folder).expect("there").dev();
        if device(temp.path()) == device(other.path()) {
            return;
        }
        let store = Store::new(temp.path().join("own")).borrowing(vec![other.path().to_path_buf()]);
        let cancel = CancelToken::new();
        let whole = put(other.path(), b"weights", b"weights");
        let damaged = put(other.path(), b"data", b"Data");
        assert!(store.obtain(whole, &cancel).expect("tried"));
        let copy = std::fs::read(store.object_path(whole.oid)).expect("there");
        assert_eq!(copy, b"weights");
        assert!(!store.obtain(damaged, &cancel).expect("tried"));
        let left = std::fs::read_dir(temp.path().join("own/tmp")).expect("listed");
        assert_eq!(left.count(), 0, "scratch files are left");
    }
}
