use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, Head, Resolved};
use crate::id::CommitId;
use crate::local::refuse_unfinished;
use crate::name::{BranchName, RefName, Revision};

/// How to check out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckoutOptions {
    /// The revision must exist.
    #[default]
    Existing,
    /// A branch that does not exist, here or on the remote, is created at HEAD.
    Create,
}

/// What [`Repository::checkout`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckoutReport {
    /// The branch HEAD is on now; `None` if it is detached.
    pub branch: Option<BranchName>,
    /// The commit that is checked out; `None` on a branch without commits.
    pub commit: Option<CommitId>,
    /// Whether the local branch was made by this checkout.
    pub created: bool,
}

/// Checking out.
impl Repository {
    /// Checks out a branch, a tag or a commit; LFS files come with their content.
    ///
    /// The name is looked for among local branches, tags, branches of the remote (which get a local
    /// branch that follows them) and commit ids, in this order; never among files. Local edits
    /// are never overwritten: files that do not differ between the two commits keep them.
    ///
    /// A full name, `refs/tags/v1`, is looked for as such. What is neither branch nor tag is fetched:
    /// `refs/pr/3`, a pull request of the Hub, becomes the local branch `pr/3`, which follows it, so that
    /// [`pull`](Self::pull) takes from there and [`push`](Self::push) and [`save`](Self::save) go there; any
    /// other, `refs/convert/parquet` say, is checked out without a branch.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::RevisionNotFound`], [`ErrorKind::DirtyWorktree`]
    /// with the files in the way, and those of downloads. Nothing has changed then.
    pub fn checkout(&self, revision: impl AsRef<str>) -> Result<CheckoutReport> {
        self.checkout_with(revision, CheckoutOptions::Existing)
    }

    /// Checks out, and creates the branch if `options` say so.
    ///
    /// # Errors
    /// As [`checkout`](Self::checkout).
    pub fn checkout_with(
        &self,
        revision: impl AsRef<str>,
        options: CheckoutOptions,
    ) -> Result<CheckoutReport> {
        let revision: Revision = revision.as_ref().parse()?;
        let _span = tracing::info_span!("checkout", %revision).entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let git = self.local.git()?;
        let name: Option<RefName> = revision.as_str().parse().ok();
        let branch = match name.and_then(|name| name.pull_request()) {
            Some(branch) => Some(branch),
            None => revision.as_str().parse().ok(),
        };
        let _lock = self.local.lock_branch(branch.as_ref())?;
        refuse_unfinished(&git, "check out")?;
        let head = git.head()?;
        let resolved = match self.local.resolve(&git, &revision) {
            Err(error) if may_create(&error, &revision, options) => {
                return self.create_branch_at_head(&git, revision.as_str().parse()?, &head);
            }
            resolved => resolved?,
        };
        self.go_to(&git, &head, &resolved)
    }

    /// Checks out a local branch, else the remote's, else a new one at HEAD; nothing if HEAD is on it.
    pub(super) fn check_out_branch(
        &self,
        git: &Git,
        branch: &BranchName,
    ) -> Result<CheckoutReport> {
        let _lock = self.local.lock_branch(Some(branch))?;
        refuse_unfinished(git, "check out")?;
        let head = git.head()?;
        if head.branch("").ok() == Some(branch) {
            return Ok(CheckoutReport {
                branch: Some(branch.clone()),
                commit: head.commit(),
                created: false,
            });
        }
        let (branch, remote) = (branch.clone(), self.local.remote_name().clone());
        let resolved = if let Some(commit) = git.ref_commit(&branch.local_ref())? {
            Resolved::LocalBranch { branch, commit }
        } else if let Some(commit) = git.ref_commit(&branch.tracking_ref(&remote))? {
            Resolved::RemoteBranch {
                branch,
                remote,
                commit,
            }
        } else {
            return self.create_branch_at_head(git, branch, &head);
        };
        self.go_to(git, &head, &resolved)
    }

    /// Makes work tree, index and HEAD those of what a revision turned out to be. The caller holds the lock.
    fn go_to(&self, git: &Git, head: &Head, resolved: &Resolved) -> Result<CheckoutReport> {
        let (commit, branch, created) = match resolved {
            Resolved::LocalBranch { branch, commit } => (*commit, Some(branch.clone()), false),
            Resolved::RemoteBranch { branch, commit, .. }
            | Resolved::Followed { branch, commit, .. } => (*commit, Some(branch.clone()), true),
            Resolved::Tag { commit, .. } | Resolved::Commit { commit } => (*commit, None, false),
        };
        if let Some(branch) = &branch
            && head.branch("").ok() != Some(branch)
            && let Some(elsewhere) = git.checked_out_elsewhere(branch)?
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{branch} is checked out in {}", elsewhere.display()),
            )
            .with_hint("work there, or check out another branch here"));
        }
        self.local.switch_to(git, head.commit(), commit)?;
        self.point_head(git, resolved)?;
        Ok(CheckoutReport {
            branch,
            commit: Some(commit),
            created,
        })
    }

    fn create_branch_at_head(
        &self,
        git: &Git,
        branch: BranchName,
        head: &Head,
    ) -> Result<CheckoutReport> {
        let commit = head.commit();
        if let Some(commit) = commit {
            // What the config says of one that is gone is not about this one.
            if git.upstream(&branch).is_some() {
                git.unfollow(&branch)?;
            }
            git.set_ref(
                &branch.local_ref(),
                commit,
                None,
                "branch: created from HEAD",
            )?;
        }
        git.set_symbolic(
            "HEAD",
            &branch.local_ref(),
            "checkout: moving to a new branch",
        )?;
        Ok(CheckoutReport {
            branch: Some(branch),
            commit,
            created: true,
        })
    }
}

/// Whether a revision that was not found is to be made a branch.
pub(super) fn may_create(error: &Error, revision: &Revision, options: CheckoutOptions) -> bool {
    let name = revision.as_str();
    // What looks like an id or a full name was meant as such.
    let is_branch = !name.starts_with("refs/") && name.parse::<CommitId>().is_err();
    error.kind() == ErrorKind::RevisionNotFound && options == CheckoutOptions::Create && is_branch
}

/// The error for a branch that would need a merge.
pub(super) fn diverged(branch: &BranchName, ahead: usize, behind: usize) -> Error {
    Error::new(
        ErrorKind::Diverged,
        format!(
            "{branch} and its remote have diverged: {ahead} commits are only here, {behind} only there"
        ),
    )
    .with_hint("pull with PullStrategy::Merge or PullStrategy::Rebase, or push to another branch")
}
