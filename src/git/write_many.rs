//! Writing trees, and many blobs: into one pack instead of a file and an fsync for each.

use std::collections::HashSet;

use git2::ObjectType;

use super::error::wrap;
use super::keeper::new_below;
use super::new_pack::Packer;
use super::{Entry, Git, Index, ObjectId};
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

    /// The tree of an index, written to the object store.
    pub(crate) fn write_tree(&self, index: &mut Index) -> Result<ObjectId> {
        self.write_tree_of_raw(index.raw_mut())
    }

    /// Writes the tree of these files, whatever the index holds.
    pub(crate) fn write_tree_of(&self, files: &[Entry]) -> Result<ObjectId> {
        let mut index = git2::Index::new().map_err(wrap("write a tree"))?;
        for file in files {
            index.add(&file.to_raw()).map_err(wrap("write a tree"))?;
        }
        self.write_tree_of_raw(&mut index)
    }

    fn write_tree_of_raw(&self, index: &mut git2::Index) -> Result<ObjectId> {
        if self.in_memory {
            return index
                .write_tree_to(&self.repo)
                .map_err(wrap("write a tree"));
        }
        // How many trees are new shows when they are there.
        let scratch = self.reopen()?;
        let odb = scratch.odb().map_err(wrap("write a tree"))?;
        let _memory = odb
            .add_new_mempack_backend(i32::MAX)
            .map_err(wrap("write a tree"))?;
        let tree = index
            .write_tree_to(&scratch)
            .map_err(wrap("write a tree"))?;
        let start = (tree, ObjectType::Tree);
        let new = new_below(&scratch, self, start, &mut HashSet::new(), false)?;
        let objects = self.new_objects(new.len())?;
        let mut packer = Packer::new();
        for id in new {
            let object = odb.read(id).map_err(wrap("read a tree"))?;
            objects.add(&mut packer, object.kind(), object.data())?;
        }
        objects.finish()?;
        Ok(tree)
    }
}
