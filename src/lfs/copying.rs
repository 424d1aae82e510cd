//! Copies of files that are hashed and written to the disk while they grow.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use crossbeam_channel::{Receiver, unbounded};
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
const LARGE: u64 = 4 << 20;
/// Bytes that are copied before the disk gets them. What it is slower at than the copy is not waited for
/// until the end.
const WRITE_BACK: u64 = 64 << 20;

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
    let (target, path) = (temp.as_file(), temp.path());
    let mut hashing = Hashing::new(target, path, cancel);
    if limit < LARGE {
        let size = fs::clone_or_copy_start(source, target, limit, path, cancel, |_| true)?;
        hashing.up_to(size)?;
        return Ok(hashing.finish());
    }
    let (copied, to_hash) = unbounded();
    let (large_piece, to_sync) = unbounded();
    thread::scope(|scope| {
        let hashed = scope.spawn(move || hashing.follow(&to_hash));
        let synced = scope.spawn(move || write_back(target, path, &to_sync));
        let mut given = 0;
        // Who does not listen any more has failed, and says why.
        let reached = |bytes: u64| {
            let mut heard = copied.send(bytes).is_ok();
            if bytes - given >= WRITE_BACK {
                given = bytes;
                heard &= large_piece.send(()).is_ok();
            }
            heard
        };
        let size = fs::clone_or_copy_start(source, target, limit, path, cancel, reached);
        drop((copied, large_piece));
        let (hashed, synced) = (joined(hashed), joined(synced));
        let size = size?;
        synced?;
        hashed.inspect(|object| debug_assert_eq!(object.size, size))
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
fn write_back(file: &File, path: &Path, pieces: &Receiver<()>) -> Result<()> {
    while pieces.recv().is_ok() {
        // Those that came meanwhile are there as well.
        while pieces.try_recv().is_ok() {}
        // An error is reported once only: not to the `sync_all` of whoever keeps the file.
        file.sync_data()
            .map_err(|error| Error::io("write", path, error))?;
    }
    Ok(())
}

/// The hash of a file from its beginning to where it was read so far.
struct Hashing<'a> {
    file: &'a File,
    path: &'a Path,
    cancel: &'a CancelToken,
    hasher: Sha256,
    buffer: Vec<u8>,
    at: u64,
}

impl<'a> Hashing<'a> {
    fn new(file: &'a File, path: &'a Path, cancel: &'a CancelToken) -> Self {
        Self {
            file,
            path,
            cancel,
            hasher: Sha256::new(),
            buffer: vec![0; BUFFER],
            at: 0,
        }
    }

    /// Reads on to where the file has `end` bytes.
    fn up_to(&mut self, end: u64) -> Result<()> {
        let failed = |error| Error::io("read", self.path, error);
        while self.at < end {
            self.cancel.check()?;
            let wanted = usize::try_from(end - self.at).unwrap_or(BUFFER).min(BUFFER);
            let buffer = &mut self.buffer[..wanted];
            match self.file.read_at(buffer, self.at) {
                // Somebody makes our own copy shorter.
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.hasher.update(&buffer[..count]);
                    self.at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Reads along while the file grows, as long as there is somebody to say so.
    fn follow(mut self, ends: &Receiver<u64>) -> Result<Object> {
        for end in ends {
            self.up_to(end)?;
        }
        Ok(self.finish())
    }

    fn finish(self) -> Object {
        Object {
            oid: LfsOid::from_bytes(self.hasher.finalize().into()),
            size: self.at,
        }
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
        let (source, _) = file(4 * LARGE);
        let temp = NamedTempFile::new().expect("temp");
        let cancel = CancelToken::new();
        cancel.cancel();
        let from = File::open(source.path()).expect("opened");
        let error = copy_hashed(&from, &temp, u64::MAX, &cancel).expect_err("cancelled");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        // The hash thread cannot read what was opened for writing only.
        let target = NamedTempFile::new().expect("temp");
        let write_only = File::options().write(true).open(target.path());
        let target =
            NamedTempFile::from_parts(write_only.expect("opened"), target.into_temp_path());
        let cancel = CancelToken::new();
        let error = copy_hashed(&from, &target, u64::MAX, &cancel).expect_err("unreadable");
        assert_eq!(error.kind(), ErrorKind::Io);
        // Nor is a pipe's end synced: `write_back` says so.
        let (tell, told) = unbounded();
        tell.send(()).expect("heard");
        let (_reader, writer) = io::pipe().expect("a pipe");
        let pipe = File::from(std::os::fd::OwnedFd::from(writer));
        assert!(write_back(&pipe, Path::new("pipe"), &told).is_err());
    }

    #[test]
    fn a_copy_that_shrinks_is_an_error() {
        let (source, _) = file(10);
        let (path, cancel) = (source.path(), CancelToken::new());
        let mut hashing = Hashing::new(source.as_file(), path, &cancel);
        assert!(hashing.up_to(10).is_ok() && hashing.up_to(11).is_err());
    }
}
