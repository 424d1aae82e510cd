//! What a file of the work tree holds, compared with what it might.

use std::cell::OnceCell;

use super::pointers::Pointers;
use super::scan::holds;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::Stat;
use crate::git::{Git, Index, Mode, ObjectId};
use crate::path::RepoPath;

/// Filters turn a blob into at most so many times its size: line ends double it, `$Id$` expands to
/// some fifty bytes.
const GROWTH: u64 = 16;
/// Bytes that small blobs may grow by besides.
const SLACK: u64 = 64;

/// One file of the work tree; hashed when it is needed, and once.
pub(super) struct Content<'a> {
    git: &'a Git,
    index: &'a Index,
    path: &'a RepoPath,
    stat: Stat,
    cancel: &'a CancelToken,
    raw: OnceCell<Option<ObjectId>>,
    staged: OnceCell<ObjectId>,
}

impl<'a> Content<'a> {
    pub(super) fn new(
        git: &'a Git,
        index: &'a Index,
        path: &'a RepoPath,
        stat: Stat,
        cancel: &'a CancelToken,
    ) -> Self {
        Self {
            git,
            index,
            path,
            stat,
            cancel,
            raw: OnceCell::new(),
            staged: OnceCell::new(),
        }
    }

    /// Whether the file is what git or LFS would make of a blob.
    pub(super) fn is(&self, (blob, mode): (ObjectId, Mode)) -> Result<bool> {
        if self.git.mode_of(&self.stat, Some(mode)) != Some(mode) {
            return Ok(false);
        }
        if mode.is_file()
            && let Some(object) = Pointers::new(self.git).get(blob)?
        {
            return holds(self.git, self.path, &self.stat, blob, object, self.cancel);
        }
        let size = self.git.blob_size(blob)?;
        if self.stat.size == size && self.raw_id()? == Some(blob) {
            return Ok(true);
        }
        // What is much larger cannot be that blob, and need not be read.
        if self.stat.size > size.saturating_mul(GROWTH).saturating_add(SLACK) {
            return Ok(false);
        }
        Ok(self.staged_id()? == blob)
    }

    fn raw_id(&self) -> Result<Option<ObjectId>> {
        if let Some(id) = self.raw.get() {
            return Ok(*id);
        }
        let id = self.git.raw_id(self.path)?;
        Ok(*self.raw.get_or_init(|| id))
    }

    fn staged_id(&self) -> Result<ObjectId> {
        if let Some(id) = self.staged.get() {
            return Ok(*id);
        }
        let id = self.git.staged_id(self.path, self.index)?;
        Ok(*self.staged.get_or_init(|| id))
    }
}
