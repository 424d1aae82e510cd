//! Writing many blobs: into one pack instead of a file and an fsync for each.

use git2::ObjectType;

use super::new_pack::Packer;
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::parallel;

impl Git {
    /// Stores each of `blobs`; their ids, in the same order.
    pub(crate) fn write_blobs(
        &self,
        blobs: &[Vec<u8>],
        cancel: &CancelToken,
    ) -> Result<Vec<ObjectId>> {
        let objects = self.new_objects(blobs.len())?;
        let begin = || Ok(Packer::new());
        let ids = parallel::map_with(blobs, cancel, begin, |packer, bytes| {
            objects.add(packer, ObjectType::Blob, bytes)
        })?;
        objects.finish()?;
        Ok(ids)
    }
}
