use super::Repository;
use super::branches::no_branch;
use crate::error::Result;
use crate::git::{Git, Upstream};
use crate::name::BranchName;

/// What branches follow.
impl Repository {
    /// Makes a branch of this clone follow a ref of a remote; no network. It need not exist there yet.
    ///
    /// [`pull`](Self::pull) takes from there. [`push`](Self::push) goes to the branch of the same name all
    /// the same, unless what is followed is no branch at all: a branch that follows `refs/pr/3` is pushed
    /// there.
    ///
    /// ```no_run
    /// # let repo = hf_repository::Repository::open("out")?;
    /// use hf_repository::{RemoteName, Upstream};
    /// repo.set_upstream("review", &Upstream::new(RemoteName::origin(), "refs/pr/3".parse()?))?;
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName), [`ErrorKind::RevisionNotFound`](crate::ErrorKind::RevisionNotFound) if there is no such branch,
    /// [`ErrorKind::RemoteNotFound`](crate::ErrorKind::RemoteNotFound).
    pub fn set_upstream(&self, branch: impl AsRef<str>, upstream: &Upstream) -> Result<()> {
        let branch: BranchName = branch.as_ref().parse()?;
        let git = self.local.git()?;
        let _lock = self.lock_refs(&[])?;
        self.refuse_unknown(&git, &branch)?;
        self.local.remote.to(&git, &upstream.remote)?;
        git.follow(&branch, upstream)
    }

    /// Makes a branch of this clone follow nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName), [`ErrorKind::RevisionNotFound`](crate::ErrorKind::RevisionNotFound) if there is no such branch.
    pub fn remove_upstream(&self, branch: impl AsRef<str>) -> Result<()> {
        let branch: BranchName = branch.as_ref().parse()?;
        let git = self.local.git()?;
        let _lock = self.lock_refs(&[])?;
        self.refuse_unknown(&git, &branch)?;
        git.unfollow(&branch)
    }

    /// What a branch of this clone follows.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName).
    pub fn upstream(&self, branch: impl AsRef<str>) -> Result<Option<Upstream>> {
        let branch: BranchName = branch.as_ref().parse()?;
        Ok(self.local.git()?.upstream(&branch))
    }

    fn refuse_unknown(&self, git: &Git, branch: &BranchName) -> Result<()> {
        let is_head = git.head()?.branch("").ok() == Some(branch);
        match is_head || git.ref_commit(&branch.local_ref())?.is_some() {
            true => Ok(()),
            false => Err(no_branch(branch)),
        }
    }
}
