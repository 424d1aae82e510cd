//! What staging would give to LFS by itself, without doing it.

use std::collections::BTreeMap;

use super::{Stage, present};
use crate::error::Result;
use crate::git::FileState;
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;
use crate::worktree::autotrack::{self, TrackReason};
use crate::worktree::scan::scan_selected;
use crate::worktree::selection::Selection;

/// What [`stage`](crate::Repository::stage) would make LFS files without a rule that says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoTrackPreview {
    /// The files, in order, each with the reason.
    pub files: Vec<(RepoPath, TrackReason)>,
    /// The rules that would be written into `.gitattributes`.
    pub rules: Vec<Pattern>,
}

impl Stage<'_> {
    /// Decides as [`run`](Stage::run) does, and changes nothing.
    pub(crate) fn preview(&self) -> Result<AutoTrackPreview> {
        let git = self.context.git;
        let index = git.index()?;
        let selection = Selection::new(self.options)?;
        selection.check(git, &index)?;
        let listing = git.listing()?;
        let scan = scan_selected(git, &listing, &selection, self.context.cancel)?;
        let changed: BTreeMap<RepoPath, FileState> = scan.changes.into_iter().collect();
        let staged = self.staged(&listing)?;
        let attributes = git.attributes_beside(&listing)?;
        let present = present(&changed, &staged, &selection);
        let mut sorted = self.sort(&index, &attributes, present)?;
        sorted.to_track.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(AutoTrackPreview {
            rules: autotrack::rules(git, &index, &sorted.to_track, &sorted.plain)?,
            files: sorted.to_track,
        })
    }
}
