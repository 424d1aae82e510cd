//! Copies of files that are hashed and written to the disk while they grow.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use crossbeam_channel::{Receiver, bounded, unbounded};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Object;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::id::LfsOid;

/// Bytes read at a time; beyond 64 KiB nothing is gained, and cancelling stays quick.
const BUFFER: usize = 256 << 10;
/// From this size on, the two threads that follow a copy cost less than waiting for it.
pub(super) const LARGE: u64 = 4 << 20;
/// Bytes that are copied before the disk gets them. The copy is never more than three such pieces ahead of
/// the disk: whoever cancels waits for no more than that, however slow the disk is.
const WRITE_BACK: u64 = 16 << 20;

/// Copies the first `limit` bytes of a file to an empty scratch file, or all there are, and hashes what
/// arrived there: the copy, so that the bytes match their name even if the file is being written.
///
/// A large copy is hashed by one thread and synced by another while it grows: 1 GiB takes 0.78 s until it
/// is on the disk, instead of 1.4 s and up to 3.9 s when the kernel slows down who leaves all of the
/// writing to the end. The order in which the bytes get to the disk means nothing before `sync_all`.
pub(super) fn copy_hashed(
    source: &File,
    temp: &NamedTempFile,
    limit: u64,
    cancel: &CancelToken,
) -> Result<Object> {
    if limit < LARGE {
        return copy_then_hash(source, temp, limit, cancel);
    }
    copy_followed(source, temp, limit, cancel, |file| file.sync_data())
}

/// One after the other.
fn copy_then_hash(
    source: &File,
    temp: &NamedTempFile,
    limit: u64,
    cancel: &CancelToken,
) -> Result<Object> {
    let (target, path) = (temp.as_file(), temp.path());
    let size = fs::clone_or_copy_start(source, target, limit, path, cancel, |_| true)?;
    let mut hashing = Hashing::new(target, path, cancel);
    hashing.up_to(size)?;
    Ok(hashing.finish())
}

/// At the same time, as far as the system has threads to give.
fn copy_followed(
    source: &File,
    temp: &NamedTempFile,
    limit: u64,
    cancel: &CancelToken,
    sync: impl Fn(&File) -> io::Result<()> + Send,
) -> Result<Object> {
    let (target, path) = (temp.as_file(), temp.path());
    let mut hashing = Hashing::new(target, path, cancel);
    let size = followed(&mut hashing, sync, |reached| {
        fs::clone_or_copy_start(source, target, limit, path, cancel, reached)
    })?;
    hashing.up_to(size)?;
    Ok(hashing.finish())
}

/// Has a file hashed and synced by two threads while `grow` writes to it.
///
/// `grow` tells how long the file is by now, and may stop when it hears false: then one of them has
/// failed. Where the system has no threads to give, less of it is hashed by the end, or nothing.
pub(super) fn followed<T>(
    hashing: &mut Hashing<'_>,
    sync: impl Fn(&File) -> io::Result<()> + Send,
    grow: impl FnOnce(&mut dyn FnMut(u64) -> bool) -> Result<T>,
) -> Result<T> {
    let (file, path, mut given) = (hashing.file, hashing.path, hashing.so_far.at);
    let (grown, to_hash) = unbounded();
    let (large_piece, to_sync) = bounded(1);
    thread::scope(|scope| {
        // With its end of the channel: that is how `grow` hears that it failed.
        let hashed = move || hashing.follow(&to_hash);
        let hashed = thread::Builder::new().spawn_scoped(scope, hashed).ok();
        let synced = move || write_back(file, path, &to_sync, sync);
        let synced = thread::Builder::new().spawn_scoped(scope, synced).ok();
        let mut reached = |bytes: u64| {
            // Who does not listen any more has failed, and says why.
            let heard = hashed.is_none() || grown.send(bytes).is_ok();
            if synced.is_none() || bytes - given < WRITE_BACK {
                return heard;
            }
            given = bytes;
            heard && large_piece.send(()).is_ok()
        };
        let grew = grow(&mut reached);
        drop((grown, large_piece));
        let hashed = hashed.map_or(Ok(()), joined);
        let synced = synced.map_or(Ok(()), joined);
        let grew = grew?;
        synced?;
        hashed.map(|()| grew)
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| {
        Err(
            Error::new(ErrorKind::Internal, "a thread that follows a copy failed")
                .with_hint("this is a bug of the library: please report it"),
        )
    })
}

/// Syncs what is there whenever another large piece is.
fn write_back(
    file: &File,
    path: &Path,
    pieces: &Receiver<()>,
    sync: impl Fn(&File) -> io::Result<()>,
) -> Result<()> {
    // An error is reported once only: not to the `sync_all` of whoever keeps the file.
    let failed = |error| Error::io("write", path, error);
    pieces.iter().try_for_each(|()| sync(file).map_err(failed))
}

/// The hash of a beginning, and how long that is.
#[derive(Clone, Default)]
pub(super) struct HashSoFar {
    hasher: Sha256,
    at: u64,
}

impl HashSoFar {
    /// The object that the beginning is.
    pub(super) fn object(self) -> Object {
        Object {
            oid: LfsOid::from_bytes(self.hasher.finalize().into()),
            size: self.at,
        }
    }
}

/// The hash of a file from its beginning to where it was read so far.
pub(super) struct Hashing<'a> {
    file: &'a File,
    path: &'a Path,
    cancel: &'a CancelToken,
    so_far: HashSoFar,
    buffer: Vec<u8>,
}

impl<'a> Hashing<'a> {
    fn new(file: &'a File, path: &'a Path, cancel: &'a CancelToken) -> Self {
        Self::from(HashSoFar::default(), file, path, cancel)
    }

    /// Goes on where it was left.
    pub(super) fn from(
        so_far: HashSoFar,
        file: &'a File,
        path: &'a Path,
        cancel: &'a CancelToken,
    ) -> Self {
        Self {
            file,
            path,
            cancel,
            so_far,
            buffer: Vec::new(),
        }
    }

    /// Where it was left.
    pub(super) fn so_far(self) -> HashSoFar {
        self.so_far
    }

    /// Reads on to where the file has `end` bytes.
    pub(super) fn up_to(&mut self, end: u64) -> Result<()> {
        let failed = |error| Error::io("read", self.path, error);
        let HashSoFar { hasher, at } = &mut self.so_far;
        while *at < end {
            self.cancel.check()?;
            let wanted = usize::try_from(end - *at).unwrap_or(BUFFER).min(BUFFER);
            // Small objects, of which there may be thousands, need no large one.
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
            let buffer = &mut self.buffer[..wanted];
            match self.file.read_at(buffer, *at) {
                // Somebody makes our own copy shorter.
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    *at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Reads along while the file grows, as long as there is somebody to say so.
    fn follow(&mut self, ends: &Receiver<u64>) -> Result<()> {
        ends.iter().try_for_each(|end| self.up_to(end))
    }

    fn finish(self) -> Object {
        self.so_far.object()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of so many bytes, mostly holes, with another number in each mebibyte; and its hash.
    fn file(size: u64) -> (NamedTempFile, LfsOid) {
        let file = NamedTempFile::new().expect("temp");
        for number in (0..size).step_by(1 << 20) {
            let number = (number >> 20).to_le_bytes();
            let at = u64::from(number[0]) << 20;
            file.as_file().write_all_at(&number, at).expect("written");
        }
        file.as_file().set_len(size).expect("cut");
        let content = std::fs::read(file.path()).expect("read");
        let oid = LfsOid::from_bytes(Sha256::digest(&content).into());
        (file, oid)
    }

    fn copied(source: &NamedTempFile, limit: u64) -> (NamedTempFile, Result<Object>) {
        let temp = NamedTempFile::new().expect("temp");
        let source = File::open(source.path()).expect("opened");
        let object = copy_hashed(&source, &temp, limit, &CancelToken::new());
        (temp, object)
    }

    #[test]
    fn copies_of_all_sizes_are_whole_and_have_their_hash() {
        for size in [
            0,
            1,
            LARGE - 1,
            LARGE,
            WRITE_BACK + 1,
            2 * WRITE_BACK + LARGE,
        ] {
            let (source, oid) = file(size);
            let (temp, object) = copied(&source, size);
            assert_eq!(object.expect("copied"), Object { oid, size });
            let same = std::fs::read(temp.path()).expect("read")
                == std::fs::read(source.path()).expect("read");
            assert!(same, "{size}");
        }
    }

    #[test]
    fn what_is_less_or_more_than_expected_is_what_is_there() {
        let (size, shorter) = (3 * LARGE, 2 * LARGE);
        let (source, oid) = file(size);
        let (_, object) = copied(&source, 2 * size);
        assert_eq!(object.expect("copied"), Object { oid, size });
        let (temp, object) = copied(&source, shorter);
        let content = std::fs::read(temp.path()).expect("read");
        let oid = LfsOid::from_bytes(Sha256::digest(&content).into());
        let size = content.len() as u64;
        assert_eq!(
            (object.expect("copied"), size),
            (Object { oid, size }, shorter)
        );
    }

    #[test]
    fn a_failure_of_a_follower_ends_the_copy_and_is_told() {
        let (source, _) = file(6 * WRITE_BACK);
        let from = File::open(source.path()).expect("opened");
        let cancel = CancelToken::new();
        let temp = NamedTempFile::new().expect("temp");
        let full = |_: &File| Err(io::ErrorKind::StorageFull.into());
        let error = copy_followed(&from, &temp, u64::MAX, &cancel, full).expect_err("full");
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        // The hash thread cannot read what was opened for writing only.
        let target = NamedTempFile::new().expect("temp");
        let write_only = File::options().write(true).open(target.path());
        let target =
            NamedTempFile::from_parts(write_only.expect("opened"), target.into_temp_path());
        let slow = |_: &File| {
            thread::sleep(std::time::Duration::from_millis(30));
            Ok(())
        };
        let error = copy_followed(&from, &target, u64::MAX, &cancel, slow).expect_err("unreadable");
        assert_eq!(error.kind(), ErrorKind::Io);
        let copied = std::fs::metadata(target.path()).expect("there").len();
        // Where blocks are shared, all is there at once.
        let (to, path) = (temp.as_file(), temp.path());
        let at_once = fs::clone_or_copy_start(&from, to, u64::MAX, path, &cancel, |_| false);
        let most = at_once.expect("copied").max(6 * WRITE_BACK - 1);
        assert!(copied <= most, "{copied}");
    }

    #[test]
    fn a_copy_is_not_far_ahead_of_the_disk() {
        let (source, oid) = file(6 * WRITE_BACK);
        let from = File::open(source.path()).expect("opened");
        let temp = NamedTempFile::new().expect("temp");
        let (cancel, before) = (CancelToken::new(), std::sync::Mutex::new(Vec::new()));
        let slow = |file: &File| {
            // Time for whoever would not wait to go on.
            thread::sleep(std::time::Duration::from_millis(30));
            let length = file.metadata()?.len();
            before.lock().expect("whole").push(length);
            Ok(())
        };
        let object = copy_followed(&from, &temp, u64::MAX, &cancel, slow).expect("copied");
        assert_eq!(object.oid, oid);
        let before = before.into_inner().expect("whole");
        if before.len() == 1 {
            // The file system shares the blocks.
            return;
        }
        let ahead = |(synced, length): (u64, &u64)| length - synced * WRITE_BACK;
        let ahead: Vec<u64> = (0..).zip(&before).map(ahead).collect();
        assert!(
            before.len() == 6 && ahead.iter().all(|ahead| *ahead <= 3 * WRITE_BACK),
            "{ahead:?}"
        );
    }

    #[test]
    fn without_threads_it_is_the_same() {
        let size = 2 * LARGE;
        let (source, oid) = file(size);
        let from = File::open(source.path()).expect("opened");
        let temp = NamedTempFile::new().expect("temp");
        let object = copy_then_hash(&from, &temp, size, &CancelToken::new());
        assert_eq!(object.expect("copied"), Object { oid, size });
    }

    #[test]
    fn a_copy_that_shrinks_is_an_error() {
        let (source, _) = file(10);
        let (path, cancel) = (source.path(), CancelToken::new());
        let mut hashing = Hashing::new(source.as_file(), path, &cancel);
        assert!(hashing.up_to(10).is_ok() && hashing.up_to(11).is_err());
    }
}
