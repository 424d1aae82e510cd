//! Files that git was told not to look at, with `--skip-worktree` or `--assume-unchanged`: what counts is
//! what the index has of them. Their copies in the work tree are neither read nor written.

use super::{Sorted, Stage, StageReport};
use crate::error::Result;
use crate::git::{Attributes, Entry, Filter, Index};
use crate::worktree::follow_rewrite::staged_into_store;
use crate::worktree::pointers::Pointers;

impl Stage<'_> {
    /// Decides whether one that the index has as it is should be an LFS file.
    pub(super) fn sort_hidden(
        &self,
        entry: Entry,
        attributes: &Attributes<'_>,
        pointers: &mut Pointers<'_>,
        sorted: &mut Sorted,
    ) -> Result<()> {
        if pointers.get(entry.id)?.is_some() {
            return Ok(());
        }
        match attributes.filter(&entry.path)? {
            Filter::Lfs => sorted.lfs.push(entry.path),
            Filter::None => {
                let reason = self
                    .options
                    .auto_track
                    .reason_of_staged(self.context.git, &entry)?;
                sorted
                    .to_track
                    .extend(reason.map(|reason| (entry.path, reason)));
            }
            Filter::Off | Filter::Foreign => {}
        }
        Ok(())
    }

    /// Makes an LFS file of what the index has.
    pub(super) fn put_hidden(
        &self,
        index: &mut Index,
        entry: &Entry,
        report: &mut StageReport,
    ) -> Result<()> {
        self.context.cancel.check()?;
        if Pointers::new(self.context.git).get(entry.id)?.is_none() {
            staged_into_store(&self.context, index, entry)?;
            report.lfs.push(entry.path.clone());
        }
        Ok(())
    }
}
