//! What a caller says about a commit scope.

use crate::error::{Error, ErrorKind, Result};
use crate::name::BranchName;
use crate::repository::PullStrategy;
use crate::worktree::{AutoTrack, OnChanging, StageOptions};

/// What becomes of the commit when a scope is [finished](crate::CommitScope::finish).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopePush {
    /// It is pushed, and `finish` waits until the remote has it.
    #[default]
    Wait,
    /// It is promised as by [`save`](crate::Repository::save), and `finish` returns.
    Background,
    /// It stays here until something else pushes the branch.
    Off,
}

/// What becomes of changes that are in the work tree before a scope begins: they are not its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlierChanges {
    /// The scope does not begin: [`ErrorKind::DirtyWorktree`] with the files.
    #[default]
    Refuse,
    /// They are committed along with the scope's. [`CommitScope::earlier_changes`](crate::CommitScope::earlier_changes)
    /// lists them.
    Include,
    /// They stay as they are and uncommitted, except for files that are written again in the scope.
    /// What is staged already would be committed with whatever comes next, so that is still refused; and so
    /// is a changed `.gitattributes`, unless with [`AutoTrack::Off`]: new LFS files
    /// get their rules there.
    LeaveOut,
}

/// What a commit scope is to do.
///
/// ```
/// use hf_repository::{BranchName, PullStrategy, ScopeOptions, ScopePush};
/// let options = ScopeOptions::new("epoch 3")
///     .branch("experiments/lr-3e-4".parse()?)
///     .pull(PullStrategy::Rebase)
///     .push(ScopePush::Background)
///     .path("checkpoints");
/// # let _ = options;
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScopeOptions {
    pub(super) message: String,
    pub(super) branch: Option<BranchName>,
    pub(super) pull: Option<PullStrategy>,
    pub(super) push: ScopePush,
    pub(super) earlier: EarlierChanges,
    pub(super) stage: StageOptions,
}

impl ScopeOptions {
    /// A commit of everything that changes, with this message, pushed by the end.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            branch: None,
            pull: None,
            push: ScopePush::default(),
            earlier: EarlierChanges::default(),
            stage: StageOptions::default(),
        }
    }

    /// Checks that branch out first, and creates it at HEAD if neither the clone nor the remote, as
    /// it is known here, has it. It stays checked out.
    #[must_use]
    pub fn branch(mut self, branch: BranchName) -> Self {
        self.branch = Some(branch);
        self
    }

    /// Pulls before the work begins. A branch that the remote does not have is not pulled.
    #[must_use]
    pub fn pull(mut self, strategy: PullStrategy) -> Self {
        self.pull = Some(strategy);
        self
    }

    /// Decides whether the commit is pushed, and who waits for that.
    #[must_use]
    pub fn push(mut self, push: ScopePush) -> Self {
        self.push = push;
        self
    }

    /// Decides about changes that are there before the scope begins.
    #[must_use]
    pub fn earlier_changes(mut self, earlier: EarlierChanges) -> Self {
        self.earlier = earlier;
        self
    }

    /// Adds a file or folder; without any, everything is committed. A name is a name, not a pattern.
    /// It must be there when the scope is finished.
    ///
    /// Changes elsewhere are not looked at, not even for [`EarlierChanges`].
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

    /// Decides which files become LFS files without a rule.
    #[must_use]
    pub fn auto_track(mut self, auto_track: AutoTrack) -> Self {
        self.stage = self.stage.auto_track(auto_track);
        self
    }

    /// Decides what becomes of files that change while they are read.
    #[must_use]
    pub fn on_changing(mut self, on_changing: OnChanging) -> Self {
        self.stage = self.stage.on_changing(on_changing);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.message.trim().is_empty() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "the commit message is empty")
                    .with_hint("say in a line what the work is"),
            );
        }
        Ok(())
    }
}

impl From<&str> for ScopeOptions {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for ScopeOptions {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}
