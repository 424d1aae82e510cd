use super::Repository;
use super::integrate::{Joined, Parted};
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, Tags};
use crate::id::CommitId;
use crate::local::refuse_unfinished;
use crate::name::{BranchName, RefName};
use crate::push;
use crate::worktree;

/// What a pull does if the clone and the remote both have commits of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullStrategy {
    /// It fails with [`ErrorKind::Diverged`].
    #[default]
    FastForward,
    /// A merge commit brings both together; no commit gets another id.
    Merge,
    /// Commits that only this clone has are replayed on top of the remote's, with their author,
    /// date and message; they get other ids.
    Rebase,
}

/// What [`Repository::pull`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullReport {
    /// The branch.
    pub branch: BranchName,
    /// Where it was; `None` if it had no commit.
    pub before: Option<CommitId>,
    /// Where it is now; `None` if the remote's branch has no commit either.
    pub after: Option<CommitId>,
    /// The merge commit, if one had to be made.
    pub merged: Option<CommitId>,
    /// Commits that were replayed, oldest first, each with the one that took its place.
    ///
    /// One whose change the remote had already has no commit of its own any more: it is now the
    /// one before it.
    pub rewritten: Vec<(CommitId, CommitId)>,
}

impl PullReport {
    /// Whether anything new came.
    pub fn is_up_to_date(&self) -> bool {
        self.before == self.after
    }
}

/// Pulling.
impl Repository {
    /// Brings the current branch to where the remote's branch is, fast-forward only.
    ///
    /// It is [`pull_with`](Self::pull_with) and [`PullStrategy::FastForward`].
    ///
    /// # Errors
    /// As [`pull_with`](Self::pull_with); [`ErrorKind::Diverged`] if both sides have commits of
    /// their own.
    pub fn pull(&self) -> Result<PullReport> {
        self.pull_with(PullStrategy::FastForward)
    }

    /// Brings what the remote's branch has into the current branch.
    ///
    /// That is the branch, or the pull request, that the current one [follows](Self::set_upstream) there;
    /// if it follows none, the branch of its name.
    ///
    /// Where only the remote has new commits, every strategy fast-forwards. Where both sides have,
    /// merge and rebase go path by path: a file that one side alone changed becomes what that side
    /// made of it, be it content, mode or its removal. Contents of two sides are never mixed, so a
    /// file that both changed is a conflict; `.gitattributes` alone is merged by lines. Renames
    /// are a removal and a new file. A file of one side that a new rule of the other gives to LFS
    /// stays as it is until it is written again.
    ///
    /// LFS content is downloaded before the first file changes; a file is replaced by one rename,
    /// so a reader sees its old or its new content and nothing else. Uncommitted edits of files
    /// that do not change are carried along.
    ///
    /// ```no_run
    /// use hf_repository::{ErrorKind, PullStrategy, Repository};
    /// let repo = Repository::open("out")?;
    /// match repo.pull_with(PullStrategy::Merge) {
    ///     Ok(report) => println!("now at {:?}", report.after),
    ///     Err(error) if error.kind() == ErrorKind::Conflict => {
    ///         for file in error.offences() {
    ///             println!("both sides changed {}", file.path);
    ///         }
    ///     }
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with the files that both sides changed;
    /// [`ErrorKind::Diverged`] if the strategy is to fast-forward and both sides have commits of
    /// their own, or if they have none in common;
    /// [`ErrorKind::Unsupported`] if a commit to be replayed is a merge;
    /// [`ErrorKind::DirtyWorktree`] if a local edit would be overwritten;
    /// [`ErrorKind::DetachedHead`], [`ErrorKind::RevisionNotFound`] if the remote has no such
    /// branch, and those of downloads and the network. Work tree, index and branch have not
    /// changed then.
    pub fn pull_with(&self, strategy: PullStrategy) -> Result<PullReport> {
        let _span = tracing::info_span!("pull", ?strategy).entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let git = self.local.git()?;
        let head = git.head()?;
        let branch = head.branch("pull")?.clone();
        let _lock = self.local.lock_branch(Some(&branch))?;
        refuse_unfinished(&git, "pull")?;
        let fetched = self
            .local
            .fetch(&git, Tags::Following, &self.local.cancel)?;
        self.local.learn_owner(&git);
        let remote = self.local.remote_name();
        let source = git.pull_source(&branch, remote);
        let is_there = if source == RefName::from(&branch) {
            fetched.branches.contains(&branch)
        } else {
            // Not among what a fetch brings, or not surely.
            let found = self.local.fetch_ref(&git, &source, &self.local.cancel)?;
            found.is_some()
        };
        let head = git.head()?;
        let before = head.commit();
        let report = |after| PullReport {
            branch: branch.clone(),
            before,
            after,
            merged: None,
            rewritten: Vec::new(),
        };
        if !is_there {
            if fetched.branches.is_empty() && before.is_none() {
                return Ok(report(None));
            }
            self.forget_tracking(&git, &source, before)?;
            let what = match source.branch() {
                Some(branch) => format!("branch {branch}"),
                None => source.to_string(),
            };
            return Err(Error::new(
                ErrorKind::RevisionNotFound,
                format!("the remote has no {what}"),
            )
            .with_hint("push the branch first"));
        }
        let Some(theirs) = git.ref_commit(&source.tracking_ref(remote))? else {
            return Ok(report(before));
        };
        let deepened = match before {
            Some(ours) => {
                let parted = (ours, theirs);
                self.local
                    .deepen_to_join(&git, parted, &self.local.cancel)?
            }
            None => None,
        };
        let git = deepened.unwrap_or(git);
        let joined = match before {
            Some(ours) if git.is_ancestor(theirs, ours)? => return Ok(report(before)),
            // A background push replayed our commits: what the remote has is all of ours.
            Some(ours) if self.was_replayed(&git, &branch, ours, theirs)? => Joined {
                tip: theirs,
                merged: None,
                rewritten: Vec::new(),
                log: "pull: follow",
            },
            Some(ours) if !git.is_ancestor(ours, theirs)? => {
                let parted = Parted {
                    branch: &branch,
                    remote,
                    source: &source,
                    ours,
                    theirs,
                };
                parted.join(&git, strategy, &self.local.identity_for(&git)?)?
            }
            _ => Joined {
                tip: theirs,
                merged: None,
                rewritten: Vec::new(),
                log: "pull: fast-forward",
            },
        };
        let tip = joined.tip;
        push::note_replayed(&git, &joined.rewritten)?;
        self.local.switch_to(&git, before, tip)?;
        git.set_ref(&branch.local_ref(), tip, before, joined.log)?;
        worktree::complete(&git)?;
        if let Some(before) = before {
            push::forget(&git, &branch, before, tip)?;
        }
        tracing::info!(commit = %tip, "pulled");
        Ok(PullReport {
            merged: joined.merged,
            rewritten: joined.rewritten,
            ..report(Some(tip))
        })
    }

    /// The remote's branch is gone: what was known of it is forgotten, unless it has commits of its own.
    fn forget_tracking(&self, git: &Git, source: &RefName, ours: Option<CommitId>) -> Result<()> {
        let name = source.tracking_ref(self.local.remote_name());
        match (git.ref_commit(&name)?, ours) {
            (Some(theirs), Some(ours)) if git.is_ancestor(theirs, ours)? => git.drop_ref(&name),
            _ => Ok(()),
        }
    }

    fn was_replayed(
        &self,
        git: &Git,
        branch: &BranchName,
        ours: CommitId,
        theirs: CommitId,
    ) -> Result<bool> {
        match push::target(git, branch, ours)? {
            Some(goal) => git.is_ancestor(goal, theirs),
            None => Ok(false),
        }
    }
}
