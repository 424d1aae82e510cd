use super::Repository;
use super::checkout::diverged;
use crate::error::{Error, ErrorKind, Result};
use crate::git::Tags;
use crate::id::CommitId;
use crate::local::refuse_unfinished;
use crate::name::BranchName;
use crate::worktree::{self, Content};

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
    /// LFS content is downloaded before the first file changes; a file is replaced by one rename,
    /// so a reader sees its old or its new content and nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::Diverged`] if both sides have commits of their own,
    /// [`ErrorKind::DirtyWorktree`] if a local edit would be overwritten,
    /// [`ErrorKind::DetachedHead`], [`ErrorKind::RevisionNotFound`] if the remote has no such
    /// branch, and those of downloads and the network. The work tree has not changed then.
    pub fn pull(&self) -> Result<PullReport> {
        let _span = tracing::info_span!("pull").entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let git = self.local.git()?;
        let head = git.head()?;
        let branch = head.branch("pull")?.clone();
        let _lock = self.local.lock_branch(Some(&branch))?;
        refuse_unfinished(&git, "pull")?;
        let remote = self.local.remote.git(&self.local.cancel)?;
        let fetched = git.fetch(
            &remote,
            self.local.remote_name(),
            Tags::Following,
            &self.local.progress,
            &self.local.cancel,
        )?;
        let head = git.head()?;
        let before = head.commit();
        let report = |after| PullReport {
            branch: branch.clone(),
            before,
            after,
        };
        if !fetched.branches.contains(&branch) {
            if fetched.branches.is_empty() && before.is_none() {
                return Ok(report(None));
            }
            return Err(Error::new(
                ErrorKind::RevisionNotFound,
                format!("the remote has no branch {branch}"),
            )
            .with_hint("push the branch first"));
        }
        let Some(theirs) = git.ref_commit(&branch.tracking_ref(self.local.remote_name()))? else {
            return Ok(report(before));
        };
        if let Some(ours) = before {
            if git.is_ancestor(theirs, ours)? {
                return Ok(report(before));
            }
            if !git.is_ancestor(ours, theirs)? {
                let (ahead, behind) = git.ahead_behind(ours, theirs)?;
                return Err(diverged(&branch, ahead, behind));
            }
        }
        self.local
            .switch_to(&git, before, theirs, Content::recall(&git))?;
        git.set_ref(&branch.local_ref(), theirs, before, "pull: fast-forward")?;
        worktree::complete(&git)?;
        tracing::info!(commit = %theirs, "pulled");
        Ok(report(Some(theirs)))
    }
}
