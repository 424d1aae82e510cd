//! What a caller says about staging.

use std::collections::BTreeSet;

use super::autotrack::AutoTrack;
use crate::fs::Take;
use crate::path::RepoPath;

/// What to stage, and how.
///
/// ```
/// use hf_repository::{AutoTrack, OnChanging, StageOptions};
/// let options = StageOptions::default()
///     .path("out")
///     .exclude("out/scratch")
///     .on_changing(OnChanging::Snapshot)
///     .auto_track(AutoTrack::Off);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StageOptions {
    pub(crate) paths: Vec<String>,
    pub(crate) excluded: Vec<String>,
    pub(crate) auto_track: AutoTrack,
    pub(crate) on_changing: OnChanging,
    /// Files of which no other is looked at; what a deferred save has seen.
    pub(crate) only: Option<BTreeSet<RepoPath>>,
}

impl StageOptions {
    /// Adds a file or folder; without any, everything is staged. A name is a name, not a pattern.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Leaves out a file or folder, whether or not it is there. A name is a name, not a pattern.
    ///
    /// What is left out is not read, stays as it is in the index, deletions included, and is not
    /// listed as skipped.
    #[must_use]
    pub fn exclude(mut self, path: impl Into<String>) -> Self {
        self.excluded.push(path.into());
        self
    }

    /// Decides which files become LFS files without a rule.
    #[must_use]
    pub fn auto_track(mut self, auto_track: AutoTrack) -> Self {
        self.auto_track = auto_track;
        self
    }

    pub(crate) fn only(mut self, files: BTreeSet<RepoPath>) -> Self {
        self.only = Some(files);
        self
    }

    /// Decides what becomes of files that change while they are read.
    #[must_use]
    pub fn on_changing(mut self, on_changing: OnChanging) -> Self {
        self.on_changing = on_changing;
        self
    }
}

/// What becomes of a file that changes while it is read.
///
/// A change shows in what `lstat` says of the file: size, times, inode. So one thing stays unseen:
/// a file written through a memory map that the system has not stamped yet, or on a file system
/// whose clock ticks slower than every 12 ms, within one tick. LFS objects match their names even
/// then. A file that vanishes is no failure in any mode: its deletion is left for the next stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnChanging {
    /// It is read anew, three times in all, and then left as it was in the index:
    /// [`Skipped::Changing`](crate::Skipped::Changing).
    #[default]
    Retry,
    /// The stage fails with [`ErrorKind::FileChanged`](crate::ErrorKind::FileChanged), and nothing
    /// is staged.
    Fail,
    /// Of a file that only grew, what it held at the first look is staged; the rest shows as a
    /// change. Any other change is treated as by [`Retry`](Self::Retry).
    ///
    /// This is for files that are appended to, logs for instance. One that is written over in
    /// place and grows as well looks the same: what is staged of it may be a mixture.
    Snapshot,
}

/// A file that changes while it is read is read this often.
const TRIES: usize = 3;

impl OnChanging {
    /// What is wanted of a file, try after try.
    pub(super) fn tries(self) -> &'static [Take] {
        match self {
            Self::Retry => &[Take::Whole; TRIES],
            Self::Fail => &[Take::Whole],
            Self::Snapshot => &[Take::Prefix; TRIES],
        }
    }
}
