//! Which blobs are LFS pointers.

use std::collections::HashMap;

use crate::error::Result;
use crate::git::{Git, ObjectId};
use crate::lfs::Object;
use crate::lfs::pointer::{MAX_POINTER_BYTES, Pointer};

/// Looks blobs up once and remembers what they are.
pub(crate) struct Pointers<'a> {
    git: &'a Git,
    known: HashMap<ObjectId, Option<Object>>,
}

impl<'a> Pointers<'a> {
    pub(crate) fn new(git: &'a Git) -> Self {
        Self {
            git,
            known: HashMap::new(),
        }
    }

    /// The object a blob points to; `None` for any other blob.
    ///
    /// The empty blob is the pointer of the empty object.
    pub(crate) fn get(&mut self, blob: ObjectId) -> Result<Option<Object>> {
        if let Some(known) = self.known.get(&blob) {
            return Ok(*known);
        }
        let bytes = self.git.small_blob(blob, MAX_POINTER_BYTES as u64)?;
        let object = bytes
            .and_then(|bytes| Pointer::parse(&bytes).ok())
            .map(|pointer| Object {
                oid: pointer.oid,
                size: pointer.size,
            });
        self.known.insert(blob, object);
        Ok(object)
    }
}
