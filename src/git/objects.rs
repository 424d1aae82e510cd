//! Blobs: reading them with a limit, writing them, and what a file would become.

use git2::ObjectType;

use super::error::wrap;
use super::{Git, ObjectId};
use crate::error::Result;
use crate::path::RepoPath;

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

    /// The id that `bytes` would have as a blob.
    pub(crate) fn hash_blob(bytes: &[u8]) -> Result<ObjectId> {
        ObjectId::hash_object(ObjectType::Blob, bytes).map_err(wrap("hash a blob"))
    }

    /// Whether the work-tree file, cleaned as git would (line ends), is the blob `id`.
    pub(crate) fn worktree_is(&self, path: &RepoPath, id: ObjectId) -> Result<bool> {
        let file = path.under(&self.workdir);
        let Ok(meta) = std::fs::symlink_metadata(&file) else {
            return Ok(false);
        };
        if meta.is_symlink() {
            let target = std::fs::read_link(&file)
                .map_err(|error| crate::Error::io("read the link", &file, error))?;
            return Ok(Self::hash_blob(target.as_os_str().as_encoded_bytes())? == id);
        }
        if !meta.is_file() {
            return Ok(false);
        }
        let raw =
            ObjectId::hash_file(ObjectType::Blob, &file).map_err(wrap(&format!("read {path}")))?;
        if raw == id {
            return Ok(true);
        }
        // Only text with other line ends can still be the same blob.
        match self.small_blob(id, FILTERED_LIMIT)? {
            Some(_) if meta.len() <= FILTERED_LIMIT => {
                let text =
                    std::fs::read(&file).map_err(|error| crate::Error::io("read", &file, error))?;
                let unix = String::from_utf8_lossy(&text).replace("\r\n", "\n");
                Ok(text.contains(&b'\r') && Self::hash_blob(unix.as_bytes())? == id)
            }
            _ => Ok(false),
        }
    }
}

/// Bytes of a text file that is worth comparing with its line ends changed.
const FILTERED_LIMIT: u64 = 16 << 20;
