//! An index as it is needed to make a tree of it.

use super::Listing;
use super::file::is_as_written;
use crate::error::Result;
use crate::git::error::wrap;
use crate::git::index::Flags;
use crate::git::{Entry, Git};

impl Git {
    /// Reads the index as [`listing`](Self::listing) does, and makes sure that it is as it was written.
    pub(crate) fn listing_to_commit(&self) -> Result<Listing> {
        self.listing_unchecked(is_as_written)?.checked()
    }

    /// A listing of these files, whatever the index has.
    pub(crate) fn listing_of(&self, files: &[Entry]) -> Result<Listing> {
        let mut index = git2::Index::new().map_err(wrap("list files"))?;
        for file in files {
            index.add(&file.to_raw()).map_err(wrap("list files"))?;
        }
        Listing::of_raw(self, &index, None)
    }
}

impl Listing {
    /// Forgets what was announced with `git add -N`: git leaves it out of commits.
    pub(crate) fn forget_announced(&mut self) {
        let before = self.rows.len();
        let is_announced = |flags: u16| flags & Flags::ANNOUNCED != 0;
        self.rows.retain(|row| !is_announced(row.flags_extended));
        if self.rows.len() < before {
            // None of those above such a file is right; whoever announced it should have said so.
            self.trees = None;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn has_conflicts(&self) -> bool {
        self.rows.iter().any(|row| row.stage() != 0)
    }
}
