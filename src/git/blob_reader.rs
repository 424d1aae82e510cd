//! Blobs for threads other than the one that a handle belongs to.

use std::path::PathBuf;

use git2::{ObjectType, Odb};

use super::error::wrap;
use super::open::open_again;
use super::{Git, ObjectId};
use crate::error::Result;

/// Opens a handle for whichever thread asks.
pub(crate) struct BlobReaders {
    workdir: PathBuf,
}

/// A handle that reads blobs.
pub(crate) struct BlobReader(git2::Repository);

impl Git {
    /// Readers of what is on the disk; objects that are kept in memory are not among it.
    pub(crate) fn blob_readers(&self) -> BlobReaders {
        BlobReaders {
            workdir: self.workdir.clone(),
        }
    }
}

impl BlobReaders {
    pub(crate) fn open(&self) -> Result<BlobReader> {
        open_again(&self.workdir).map(BlobReader)
    }
}

impl BlobReader {
    /// Hands a blob's bytes to `take`; they are not copied for it.
    pub(crate) fn read<R>(&self, id: ObjectId, take: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let read = |odb: Odb<'_>| {
            let object = odb.read(id)?;
            match object.kind() {
                ObjectType::Blob => Ok(take(object.data())),
                _ => Err(git2::Error::from_str("it is no blob")),
            }
        };
        let read = self.0.odb().and_then(read);
        read.map_err(wrap(&format!("read the blob {id}")))
    }
}
