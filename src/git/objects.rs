//! Blobs: reading them with a limit, writing them, and what a file would become.

use git2::ObjectType;

use super::error::wrap;
use super::{Git, ObjectId};
use crate::error::Result;

impl Git {
    /// Size of a blob in bytes, from its header alone.
    pub(crate) fn blob_size(&self, id: ObjectId) -> Result<u64> {
        let odb = self.repo.odb().map_err(wrap("open the object store"))?;
        let (size, _) = odb
            .read_header(id)
            .map_err(wrap(&format!("read the object {id}")))?;
        Ok(size as u64)
    }

    /// A blob's bytes, if it has at most `limit` of them.
    pub(crate) fn small_blob(&self, id: ObjectId, limit: u64) -> Result<Option<Vec<u8>>> {
        if self.blob_size(id)? > limit {
            return Ok(None);
        }
        self.blob(id).map(Some)
    }

    /// A blob's bytes.
    pub(crate) fn blob(&self, id: ObjectId) -> Result<Vec<u8>> {
        let blob = self
            .repo
            .find_blob(id)
            .map_err(wrap(&format!("read the blob {id}")))?;
        Ok(blob.content().to_vec())
    }

    /// Stores `bytes` as a blob.
    pub(crate) fn write_blob(&self, bytes: &[u8]) -> Result<ObjectId> {
        self.repo.blob(bytes).map_err(wrap("write a blob"))
    }

    /// Whether a tree is here.
    pub(crate) fn has_tree(&self, id: ObjectId) -> bool {
        self.repo.find_tree(id).is_ok()
    }

    /// The id that `bytes` would have as a blob.
    pub(crate) fn hash_blob(bytes: &[u8]) -> Result<ObjectId> {
        ObjectId::hash_object(ObjectType::Blob, bytes).map_err(wrap("hash a blob"))
    }
}
