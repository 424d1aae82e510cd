//! Blobs for threads other than the one that a handle belongs to.

use std::path::PathBuf;
use std::sync::Arc;

use git2::{ObjectType, Repository};

use super::error::unreadable;
use super::objects::blob_start;
use super::open::open_again;
use super::packed_blobs::{PackedBlobs, Unpacker};
use super::{Git, ObjectId};
use crate::error::Result;

/// Bytes up to which a blob is read as a whole where only its start is wanted.
const SMALL_BLOB: usize = 64 << 10;

/// Opens a reader for whichever thread asks.
pub(crate) struct BlobReaders {
    workdir: PathBuf,
    packed: Arc<PackedBlobs>,
}

/// Reads blobs.
pub(crate) struct BlobReader {
    workdir: PathBuf,
    packed: Arc<PackedBlobs>,
    unpacker: Unpacker,
    /// What reads those that are not in packs, or not as they are.
    pub(super) repo: Option<Repository>,
}

impl Git {
    /// Readers of what is on the disk; objects that are kept in memory are not among it.
    pub(crate) fn blob_readers(&self) -> BlobReaders {
        BlobReaders {
            workdir: self.workdir.clone(),
            packed: Arc::new(PackedBlobs::open(&self.common_dir().join("objects/pack"))),
        }
    }
}

impl BlobReaders {
    pub(crate) fn reader(&self) -> BlobReader {
        BlobReader {
            workdir: self.workdir.clone(),
            packed: Arc::clone(&self.packed),
            unpacker: Unpacker::new(),
            repo: None,
        }
    }
}

impl BlobReader {
    /// Hands a blob's bytes to `take`; they are not copied for it.
    pub(crate) fn read<R>(&mut self, id: ObjectId, take: impl FnOnce(&[u8]) -> R) -> Result<R> {
        if let Some(bytes) = self.packed.read(id, &mut self.unpacker) {
            return Ok(take(bytes));
        }
        let read = |repo: &Repository| {
            let odb = repo.odb()?;
            let object = odb.read(id)?;
            match object.kind() {
                ObjectType::Blob => Ok(take(object.data())),
                _ => Err(git2::Error::from_str("it is no blob")),
            }
        };
        let read = read(self.repo()?);
        read.map_err(|error| unreadable(id, &self.workdir, error))
    }

    /// A blob's size, and its first bytes, at most so many; none of one that is longer than `limit`, which
    /// is not read: where it is a delta, it would be in memory as a whole.
    ///
    /// A small one is read once. By three questions, each of which finds the object and inflates it anew,
    /// the look at ten thousand files before a push took 0.43 s, and so it takes 0.15 s.
    pub(crate) fn look(&mut self, id: ObjectId, most: usize, limit: u64) -> Result<(u64, Vec<u8>)> {
        let look = self.packed.look(id, most as u64, limit, &mut self.unpacker);
        if let Some((size, start)) = look {
            return Ok((size, start.to_vec()));
        }
        let workdir = self.workdir.clone();
        let failed = |error| unreadable(id, &workdir, error);
        let repo = self.repo()?;
        let odb = repo.odb().map_err(failed)?;
        let (size, _) = odb.read_header(id).map_err(failed)?;
        if size as u64 > limit {
            return Ok((size as u64, Vec::new()));
        }
        if size > SMALL_BLOB {
            return Ok((size as u64, blob_start(repo, id, most)?));
        }
        let blob = odb.read(id).map_err(failed)?;
        let data = blob.data();
        Ok((size as u64, data[..data.len().min(most)].to_vec()))
    }

    fn repo(&mut self) -> Result<&Repository> {
        let repo = match self.repo.take() {
            Some(repo) => repo,
            None => open_again(&self.workdir)?,
        };
        Ok(self.repo.insert(repo))
    }
}
