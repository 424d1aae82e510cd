//! A folder whose files are looked at by their names, not by whole paths.

use std::ffi::{CStr, OsStr};
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::read::is_link;
use super::{FileKind, Stat, is_gone};
use crate::error::{Error, Result};

/// An open folder: for a look at a name in it the kernel goes through no path again.
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    may_be_listed: bool,
}

/// The names in a folder, in the order of their bytes.
#[derive(Default)]
pub(crate) struct Names {
    /// One behind the other: an allocation for each takes as long as a tenth of a look at its file.
    text: Vec<u8>,
    found: Vec<(Range<usize>, FileKind)>,
}

impl Names {
    fn push(&mut self, name: &[u8], kind: FileKind) {
        let begins = self.text.len();
        self.text.extend_from_slice(name);
        self.found.push((begins..self.text.len(), kind));
    }

    fn sort(&mut self) {
        let Self { text, found } = self;
        found.sort_unstable_by(|(one, _), (other, _)| text[one.clone()].cmp(&text[other.clone()]));
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Each name, and what it was when the folder was listed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], FileKind)> {
        (0..self.len()).map(|at| (self.name(at), self.kind(at)))
    }

    pub(crate) fn kind(&self, at: usize) -> FileKind {
        self.found[at].1
    }

    fn name(&self, at: usize) -> &[u8] {
        &self.text[self.found[at].0.clone()]
    }

    /// Where a name is; looked at first is `near`.
    pub(crate) fn find(&self, name: &[u8], near: usize) -> Option<usize> {
        if near < self.len() && self.name(near) == name {
            return Some(near);
        }
        let order = |there: &(Range<usize>, FileKind)| self.text[there.0.clone()].cmp(name);
        self.found.binary_search_by(order).ok()
    }
}

impl Folder {
    /// Opens a folder; `None` if there is none, or something else in its place, a link to one included.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        // With a slash behind it a link would be followed.
        let bytes = path.as_os_str().as_bytes();
        let end = bytes.iter().rposition(|byte| *byte != b'/');
        let path = Path::new(OsStr::from_bytes(
            &bytes[..end.map_or(bytes.len(), |at| at + 1)],
        ));
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |how| rustix::fs::open(path, flags | how, Mode::empty());
        let (opened, may_be_listed) = match open(OFlags::RDONLY) {
            // It may be one that may be entered all the same.
            Err(Errno::ACCESS) => (open(OFlags::PATH), false),
            opened => (opened, true),
        };
        match opened.map_err(io::Error::from) {
            Ok(fd) => Ok(Some(Self {
                fd,
                path: path.to_owned(),
                may_be_listed,
            })),
            Err(error) if is_gone(&error) || is_link(&error) => Ok(None),
            Err(error) => Err(Error::io("list", path, error)),
        }
    }

    /// Everything in it, in the order of the names' bytes; `None` if it may not be listed.
    ///
    /// What was renamed while it was listed may be missing: not on ext4, but on tmpfs and overlayfs.
    pub(crate) fn names(&self) -> Result<Option<Names>> {
        if !self.may_be_listed {
            return Ok(None);
        }
        let mut names = Names::default();
        self.each_entry(|name, kind| {
            let bytes = name.to_bytes();
            if bytes == b"." || bytes == b".." {
                return Ok(());
            }
            let kind = match kind {
                // Some file systems do not tell.
                FileType::Unknown => match self.lstat(bytes)? {
                    Some(stat) => stat.kind,
                    None => return Ok(()),
                },
                kind => FileKind::from(kind),
            };
            names.push(bytes, kind);
            Ok(())
        })?;
        names.sort();
        Ok(Some(names))
    }

    /// With a buffer for a few hundred names, which is what most folders have: that of rustix' `Dir` has room for
    /// some twenty at first, and for each call the kernel takes as long as for several files.
    #[cfg(target_os = "linux")]
    fn each_entry(&self, mut each: impl FnMut(&CStr, FileType) -> Result<()>) -> Result<()> {
        // Whoever listed it before left it at its end.
        rustix::fs::seek(&self.fd, SeekFrom::Start(0))
            .map_err(|error| Error::io("list", &self.path, error.into()))?;
        let mut buffer = [std::mem::MaybeUninit::uninit(); 32 << 10];
        let mut entries = rustix::fs::RawDir::new(&self.fd, &mut buffer);
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => each(entry.file_name(), entry.file_type())?,
                Err(error) => return self.ends(error),
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn each_entry(&self, mut each: impl FnMut(&CStr, FileType) -> Result<()>) -> Result<()> {
        let entries = rustix::fs::Dir::read_from(&self.fd);
        let entries = entries.map_err(|error| Error::io("list", &self.path, error.into()))?;
        for entry in entries {
            match entry {
                Ok(entry) => each(entry.file_name(), entry.file_type())?,
                Err(error) => return self.ends(error),
            }
        }
        Ok(())
    }

    /// What an error in the middle of a listing means.
    fn ends(&self, error: Errno) -> Result<()> {
        let error = io::Error::from(error);
        // It was deleted while it was listed.
        if is_gone(&error) {
            return Ok(());
        }
        Err(Error::io("list", &self.path, error))
    }

    /// Looks at a name without following a link; `None` if nothing is there.
    pub(crate) fn lstat(&self, name: &[u8]) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Stat::from(&stat))),
            Err(error) => {
                let error = io::Error::from(error);
                if is_gone(&error) {
                    return Ok(None);
                }
                let name = self.path.join(String::from_utf8_lossy(name).as_ref());
                Err(Error::io("look at", &name, error))
            }
        }
    }
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Symlink => Self::Symlink,
            FileType::Directory => Self::Folder,
            _ => Self::Other,
        }
    }
}

impl From<&rustix::fs::Stat> for Stat {
    fn from(stat: &rustix::fs::Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode).into(),
            executable: stat.st_mode & 0o100 != 0,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mtime: (
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            ),
            ctime: (
                stat.st_ctime,
                u32::try_from(stat.st_ctime_nsec).unwrap_or_default(),
            ),
            ino: stat.st_ino,
            uid: stat.st_uid,
            gid: stat.st_gid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::lstat;

    #[test]
    fn names_are_seen_as_by_their_paths() {
        let temp = tempfile::tempdir().expect("temp");
        let at = |name: &str| temp.path().join(name);
        std::fs::write(at("b"), "text").expect("written");
        std::fs::create_dir(at("a")).expect("made");
        std::os::unix::fs::symlink("b", at("c")).expect("linked");
        let folder = Folder::open(temp.path()).expect("readable").expect("there");
        let names = folder.names().expect("listed").expect("allowed");
        let kinds = [FileKind::Folder, FileKind::File, FileKind::Symlink];
        let found: Vec<_> = names.iter().map(|(_, kind)| kind).collect();
        assert_eq!(found, kinds);
        assert_eq!(
            (names.find(b"b", 0), names.find(b"b", 1)),
            (Some(1), Some(1))
        );
        assert_eq!((names.find(b"bb", 1), names.find(b"", 9)), (None, None));
        for (name, _) in names.iter() {
            let path = at(std::str::from_utf8(name).expect("plain"));
            assert_eq!(
                folder.lstat(name).expect("seen"),
                lstat(&path).expect("seen")
            );
        }
        assert_eq!(folder.lstat(b"d").expect("no error"), None);
        let many = at("a");
        let long = |number: u32| format!("{number:0200}");
        for number in 0..400 {
            std::fs::write(many.join(long(number)), "").expect("written");
        }
        let folder = Folder::open(&many).expect("readable").expect("there");
        // They do not fit into one buffer; and it can be listed again.
        for _ in 0..2 {
            let names = folder.names().expect("listed").expect("allowed");
            let names: Vec<_> = names.iter().map(|(name, _)| name.to_vec()).collect();
            let wanted: Vec<_> = (0..400).map(|number| long(number).into_bytes()).collect();
            assert_eq!(names, wanted);
        }
        std::os::unix::fs::symlink("a", at("link")).expect("linked");
        for none in ["b", "d", "c", "link", "link/", "link//"] {
            let opened = Folder::open(&at(none)).expect("no error");
            assert!(opened.is_none(), "{none}");
        }
        assert!(Folder::open(&at("link/.")).expect("no error").is_some());
    }
}
