//! Blobs: reading them with a limit, writing them, and what a file would become.

use std::cell::RefCell;
use std::io::Read;

use git2::ObjectType;

use super::error::wrap;
use super::new_pack::LARGEST;
use super::packed_blobs::{PackedBlobs, Unpacker};
use super::{Git, ObjectId};
use crate::error::{Error, ErrorKind, Result};

impl Git {
    /// Size of a blob in bytes, from its header alone.
    pub(crate) fn blob_size(&self, id: ObjectId) -> Result<u64> {
        if let Some(size) = self.look_packed(id, 0, 0, |size, _| size) {
            return Ok(size);
        }
        let odb = self.repo.odb().map_err(wrap("open the object store"))?;
        let (size, _) = odb
            .read_header(id)
            .map_err(wrap(&format!("read the object {id}")))?;
        Ok(size as u64)
    }

    /// A blob's bytes, if it has at most `limit` of them.
    pub(crate) fn small_blob(&self, id: ObjectId, limit: u64) -> Result<Option<Vec<u8>>> {
        let small = |size, bytes: &[u8]| (size <= limit).then(|| bytes.to_vec());
        if let Some(found) = self.look_packed(id, limit, limit, small) {
            return Ok(found);
        }
        if self.blob_size(id)? > limit {
            return Ok(None);
        }
        self.blob(id).map(Some)
    }

    /// A blob's bytes.
    pub(crate) fn blob(&self, id: ObjectId) -> Result<Vec<u8>> {
        let small = |size, bytes: &[u8]| (size <= LARGEST).then(|| bytes.to_vec());
        if let Some(Some(bytes)) = self.look_packed(id, LARGEST, LARGEST, small) {
            return Ok(bytes);
        }
        let blob = self
            .repo
            .find_blob(id)
            .map_err(wrap(&format!("read the blob {id}")))?;
        Ok(blob.content().to_vec())
    }

    /// Looks at a blob that lies in one of the packs as it is; see [`PackedBlobs::look`].
    fn look_packed<R>(
        &self,
        id: ObjectId,
        most: u64,
        limit: u64,
        take: impl FnOnce(u64, &[u8]) -> R,
    ) -> Option<R> {
        let (packed, unpacker) = self.packed.get_or_init(|| {
            let packed = PackedBlobs::open(&self.common_dir().join("objects/pack"));
            (packed, RefCell::new(Unpacker::new()))
        });
        let mut unpacker = unpacker.borrow_mut();
        let look = packed.look(id, most, limit, &mut unpacker);
        look.map(|(size, bytes)| take(size, bytes))
    }

    /// A blob's first bytes, at most so many.
    pub(crate) fn blob_start(&self, id: ObjectId, most: usize) -> Result<Vec<u8>> {
        let start = self.look_packed(id, most as u64, u64::MAX, |_, bytes| bytes.to_vec());
        start.map_or_else(|| blob_start(&self.repo, id, most), Ok)
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

/// A blob's first bytes, at most so many.
pub(super) fn blob_start(repo: &git2::Repository, id: ObjectId, most: usize) -> Result<Vec<u8>> {
    let odb = repo.odb().map_err(wrap("open the object store"))?;
    // A packed one comes whole or not at all.
    let Ok((mut reader, ..)) = odb.reader(id) else {
        let blob = repo
            .find_blob(id)
            .map_err(wrap(&format!("read the blob {id}")))?;
        let bytes = blob.content();
        return Ok(bytes[..bytes.len().min(most)].to_vec());
    };
    let (mut bytes, mut read) = (vec![0; most], 0);
    while read < most {
        match reader.read(&mut bytes[read..]) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) => {
                let text = format!("cannot read the blob {id}");
                return Err(Error::new(ErrorKind::Git, text).with_source(error));
            }
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
