//! Work that becomes one commit when it is finished, and none if it is not.

mod earlier;
mod options;
mod report;

use std::path::Path;

use earlier::Earlier;
pub use options::{EarlierChanges, ScopeOptions, ScopePush};
pub use report::{ScopeOutcome, ScopeReport};

use super::Repository;
use super::pull::PullReport;
use crate::error::{ErrorKind, Result};
use crate::git::{Git, Tags};
use crate::id::CommitId;
use crate::local::refuse_unfinished;
use crate::name::BranchName;
use crate::path::RepoPath;
use crate::push::{SaveOptions, Saved, refuse_other_branch};
use crate::worktree::{self, Stage, StageOptions, StageReport};

/// Work on its way to one commit; see [`Repository::begin`].
///
/// Dropped unfinished, be it by `?` or by a panic, it does nothing: no file is touched, nothing is
/// staged, nothing is committed. What was written stays as it is.
#[derive(Debug)]
#[must_use = "a scope that is not finished commits nothing"]
pub struct CommitScope<'a> {
    repository: &'a Repository,
    options: ScopeOptions,
    branch: BranchName,
    pulled: Option<PullReport>,
    earlier: Vec<Earlier>,
}

/// Commits of whole pieces of work.
impl Repository {
    /// Begins work that becomes one commit, or none.
    ///
    /// Write below [`CommitScope::path`], then call [`finish`](CommitScope::finish): it stages, commits and
    /// pushes. Return early, panic or drop the scope, and nothing is committed.
    ///
    /// Nothing is locked meanwhile, however long it takes: other calls and other programs may commit to
    /// the branch, and the scope's commit comes on top of theirs. What they commit of its files is then
    /// no change of the scope any more. Two scopes at a time should have [paths](ScopeOptions::path)
    /// that lie apart; else the first to finish takes the other's changes along. But another
    /// branch must not be checked out before the scope ends.
    ///
    /// ```no_run
    /// use hf_repository::{Repository, ScopeOptions, ScopeOutcome};
    /// # fn train(_: &std::path::Path) -> std::io::Result<()> { Ok(()) }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let repo = Repository::open("out")?;
    /// let scope = repo.begin(ScopeOptions::new("epoch 3").path("checkpoints"))?;
    /// train(scope.path())?; // an error here, and nothing is committed
    /// match scope.finish()?.outcome {
    ///     ScopeOutcome::Pushed { commit, .. } => println!("{commit} is on the Hub"),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// All come before the work; but if the pull fails, the branch that was asked for is checked out
    /// already. [`ErrorKind::DetachedHead`] if no branch is checked out and none is
    /// asked for, [`ErrorKind::DirtyWorktree`] with the files if there are changes already and
    /// [`EarlierChanges`] does not say what becomes of them, [`ErrorKind::InvalidInput`] for an empty message,
    /// [`ErrorKind::InvalidPath`], and those of [`checkout`](Self::checkout) and
    /// [`pull_with`](Self::pull_with).
    pub fn begin(&self, options: impl Into<ScopeOptions>) -> Result<CommitScope<'_>> {
        let options = options.into();
        let _span = tracing::info_span!("begin").entered();
        options.check()?;
        self.settle();
        let git = self.local.git()?;
        refuse_unfinished(&git, "begin")?;
        worktree::refuse_interrupted(&git, "begin")?;
        let head = git.head()?;
        if options.branch.is_none() {
            head.branch("begin")?;
        }
        let earlier = earlier::look(&self.local, &git, &head, &options)?;
        if let Some(branch) = &options.branch {
            self.go_to_branch(&git, branch, options.pull.is_some())?;
        }
        let pulled = match options.pull {
            None => None,
            Some(strategy) => match self.pull_with(strategy) {
                // The remote has no such branch: there is nothing to pull.
                Err(error) if error.kind() == ErrorKind::RevisionNotFound => {
                    tracing::info!("the branch is not on the remote yet: nothing is pulled");
                    None
                }
                report => Some(report?),
            },
        };
        let branch = git.head()?.branch("begin")?.clone();
        Ok(CommitScope {
            repository: self,
            options,
            branch,
            pulled,
            earlier,
        })
    }

    /// Checks a branch out, that of the remote or a new one if need be.
    fn go_to_branch(&self, git: &Git, branch: &BranchName, ask_remote: bool) -> Result<()> {
        let tracking = branch.tracking_ref(self.local.remote_name());
        let known = |name: &str| git.ref_commit(name).map(|commit| commit.is_some());
        if ask_remote && !known(&branch.local_ref())? && !known(&tracking)? {
            // Made here, it would have another history than the remote's of that name.
            let cancel = &self.local.cancel;
            self.local.fetch(git, Tags::Following, cancel)?;
        }
        self.check_out_branch(git, branch).map(drop)
    }
}

impl CommitScope<'_> {
    /// The root of the work tree: where the work is to be done. The process's folder stays as it is.
    pub fn path(&self) -> &Path {
        self.repository.workdir()
    }

    /// The branch that gets the commit.
    pub fn branch(&self) -> &BranchName {
        &self.branch
    }

    /// What the pull did that [`ScopeOptions::pull`] asked for; `None` if there was none, or the remote
    /// has no such branch yet.
    pub fn pulled(&self) -> Option<&PullReport> {
        self.pulled.as_ref()
    }

    /// Files that had changed before the scope began.
    pub fn earlier_changes(&self) -> impl Iterator<Item = &RepoPath> {
        self.earlier.iter().map(|earlier| &earlier.path)
    }

    /// Stages and commits what changed, and pushes as [`ScopePush`] says.
    ///
    /// Staging and commit are one step: nothing that another thread or process saves comes between. A moved
    /// remote is dealt with as by [`save`](Repository::save).
    ///
    /// After an error it may be called again, when the disk has room or the lock is free, say: the scope
    /// still knows what was there before it. After a success it does the same for what was written since.
    ///
    /// # Errors
    /// [`ErrorKind::BranchChanged`] if another branch is checked out by now; those of
    /// [`stage_with`](Repository::stage_with) and [`commit`](Repository::commit). Nothing is committed then,
    /// and the files stay as written.
    ///
    /// [`ErrorKind::Unpushed`] under [`ScopePush::Wait`] if the commit was made and cannot be pushed, with the
    /// reason as the [source](std::error::Error::source) and the commit in
    /// [`Error::unpushed`](crate::Error::unpushed). It is promised: the next save or flush pushes it.
    pub fn finish(&self) -> Result<ScopeReport> {
        let _span = tracing::info_span!("finish").entered();
        let local = &self.repository.local;
        refuse_other_branch(&local.git()?.head()?, &self.branch)?;
        let stage = self.stage_options()?;
        if self.options.push == ScopePush::Off {
            let (commit, staged) = self.commit(&stage)?;
            return Ok(ScopeReport {
                outcome: commit.map_or(ScopeOutcome::Unchanged, |commit| ScopeOutcome::Committed {
                    commit,
                }),
                staged,
                failures: Vec::new(),
            });
        }
        let options = SaveOptions::new(&self.options.message).stage(stage);
        let report = self
            .repository
            .save(options.on_branch(self.branch.clone()))?;
        let outcome = match report.saved {
            Saved::Queued { commit, handle } if self.options.push == ScopePush::Wait => {
                let delivery = self.repository.pushes.wait_for(commit, &handle)?;
                ScopeOutcome::Pushed { commit, delivery }
            }
            Saved::Queued { commit, handle } => ScopeOutcome::Queued { commit, handle },
            // Only deferred saves are still being staged.
            Saved::Unchanged | Saved::Staging { .. } => ScopeOutcome::Unchanged,
        };
        Ok(ScopeReport {
            outcome,
            staged: report.staged,
            failures: report.failures,
        })
    }

    /// What is to be staged: without what is to be left out and has not changed since.
    fn stage_options(&self) -> Result<StageOptions> {
        let mut options = self.options.stage.clone();
        if self.options.earlier == EarlierChanges::LeaveOut {
            for earlier in &self.earlier {
                if earlier.is_as_it_was(self.path())? {
                    options = options.exclude(earlier.path.as_str());
                }
            }
        }
        Ok(options)
    }

    /// Stages and commits under one lock; promises nothing.
    fn commit(&self, options: &StageOptions) -> Result<(Option<CommitId>, StageReport)> {
        let local = &self.repository.local;
        let _settled = local.progress.settled();
        self.repository.settle();
        let git = local.git()?;
        let _lock = local.lock_branch(Some(&self.branch))?;
        refuse_unfinished(&git, "commit")?;
        let head = git.head()?;
        refuse_other_branch(&head, &self.branch)?;
        worktree::refuse_interrupted(&git, "commit")?;
        let staged = Stage {
            context: local.context(&git),
            options,
        }
        .run()?;
        let Some(tree) = worktree::staged_tree(&git, &head)? else {
            return Ok((None, staged));
        };
        let identity = local.identity_for(&git)?;
        let message = format!("{}\n", self.options.message.trim());
        let commit = git.commit_tree(&head, tree, &message, &identity)?;
        git.remember_trees(tree);
        Ok((Some(commit), staged))
    }
}
