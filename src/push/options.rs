//! What a caller says about saving.

use crate::error::{Error, ErrorKind, Result};
use crate::name::BranchName;
use crate::worktree::{AutoTrack, OnChanging, StageOptions};

/// When the files of a [`save`](crate::Repository::save) are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Timing {
    /// Before it returns.
    #[default]
    Now,
    /// After it has returned.
    Deferred,
}

/// What to save, and how.
///
/// ```
/// use hf_repository::{OnChanging, SaveOptions};
/// let options = SaveOptions::new("step 500")
///     .path("checkpoints")
///     .exclude("checkpoints/tmp")
///     .on_changing(OnChanging::Snapshot);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SaveOptions {
    pub(crate) message: String,
    pub(crate) stage: StageOptions,
    pub(crate) timing: Timing,
    /// The branch that must be checked out; what a commit scope was begun on.
    pub(super) branch: Option<BranchName>,
}

impl SaveOptions {
    /// Everything that changed, under a commit message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            stage: StageOptions::default(),
            timing: Timing::Now,
            branch: None,
        }
    }

    pub(crate) fn on_branch(mut self, branch: BranchName) -> Self {
        self.branch = Some(branch);
        self
    }

    /// Adds a file or folder; without any, everything is saved. A name is a name, not a pattern.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.stage = self.stage.path(path);
        self
    }

    /// Leaves out a file or folder, whether or not it is there.
    #[must_use]
    pub fn exclude(mut self, path: impl Into<String>) -> Self {
        self.stage = self.stage.exclude(path);
        self
    }

    /// Decides what becomes of files that change while they are read.
    ///
    /// A deferred save reads nothing while it is called; a change afterwards always fails it.
    #[must_use]
    pub fn on_changing(mut self, on_changing: OnChanging) -> Self {
        self.stage = self.stage.on_changing(on_changing);
        self
    }

    /// Decides which files become LFS files without a rule.
    #[must_use]
    pub fn auto_track(mut self, auto_track: AutoTrack) -> Self {
        self.stage = self.stage.auto_track(auto_track);
        self
    }

    /// How to stage, in full.
    #[must_use]
    pub fn stage(mut self, stage: StageOptions) -> Self {
        self.stage = stage;
        self
    }

    /// Returns at once and reads the files in the background.
    ///
    /// Until [`wait_staged`](crate::PushHandle::wait_staged) returns they must not be written. One that was is
    /// [`ErrorKind::FileChanged`] on the handle, and nothing is committed. What cannot be noticed is a
    /// write that leaves size and times as they were: through a memory map whose pages the system
    /// has not stamped again, or within one tick of the file system's clock after the last one.
    #[must_use]
    pub fn deferred(mut self) -> Self {
        self.timing = Timing::Deferred;
        self
    }

    pub(super) fn message(&self) -> Result<String> {
        let message = self.message.trim();
        if message.is_empty() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "the commit message is empty")
                    .with_hint("say in a line what is saved"),
            );
        }
        Ok(format!("{message}\n"))
    }
}

impl From<&str> for SaveOptions {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for SaveOptions {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}
