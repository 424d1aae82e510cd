use std::num::NonZeroU32;

use super::{CheckoutOptions, PrepareRepository, Repository};
use crate::error::{ErrorKind, Result};
use crate::git::{Git, Reach, Remote, Resolved, Tags, may_be_id, refuse_depth};
use crate::name::Revision;

/// Clones without the whole history.
impl PrepareRepository {
    /// Clones only the newest `commits` commits of each branch and tag, as
    /// `git clone --depth <n> --no-single-branch` does.
    ///
    /// Everything works in such a shallow clone: later fetches bring what is new, and where a merge or
    /// rebase needs a commit beyond the end of history, the rest is fetched by itself.
    /// [`Repository::fetch_history`] does it on demand. A revision that is the id of a commit further back
    /// costs the whole history, too (or a word of four and more hex digits that names nothing).
    ///
    /// Holds for cloning; an existing clone is opened as it is.
    ///
    /// # Errors
    /// Cloning fails with [`ErrorKind::Unsupported`] if the source is a folder of this machine; nothing
    /// is made then.
    ///
    /// ```no_run
    /// use std::num::NonZeroU32;
    /// use hf_repository::Repository;
    /// let newest = NonZeroU32::MIN; // one
    /// let repo = Repository::prepare("user/my-model", "out").depth(newest).open_or_clone()?;
    /// assert!(repo.is_shallow()?);
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    pub fn depth(mut self, commits: NonZeroU32) -> Self {
        self.depth = Some(commits);
        self
    }

    /// Refuses a depth that cannot be had, before anything is made.
    pub(super) fn refuse_depth(&self, remote: &Remote) -> Result<()> {
        match self.depth {
            None => Ok(()),
            Some(commits) => refuse_depth(remote, Reach::Last(commits)),
        }
    }

    /// How far back the clone goes.
    pub(super) fn reach(&self, git: &Git) -> Reach {
        match self.depth {
            Some(commits) => Reach::Last(commits),
            // What was chosen for a try that was interrupted holds no longer.
            None if git.is_shallow() => Reach::Whole,
            None => Reach::New,
        }
    }
}

/// History that is cut short.
impl Repository {
    /// Whether the clone is shallow: history ends here before it does on the remote.
    ///
    /// # Errors
    /// Those of opening the clone.
    pub fn is_shallow(&self) -> Result<bool> {
        Ok(self.local.git()?.is_shallow())
    }

    /// Fetches all the history that a shallow clone lacks, as `git fetch --unshallow` does; the clone is
    /// shallow no longer. Nothing happens in a clone that has it all.
    ///
    /// Work tree, index and local branches stay as they are, LFS content is not downloaded.
    ///
    /// ```no_run
    /// use hf_repository::Repository;
    /// let repo = Repository::open("out")?;
    /// repo.fetch_history()?;
    /// assert!(!repo.is_shallow()?);
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the network; [`ErrorKind::Unsupported`] if the remote is a folder of this machine.
    pub fn fetch_history(&self) -> Result<()> {
        let _span = tracing::info_span!("fetch_history").entered();
        let _settled = self.local.progress.settled();
        let git = self.local.git()?;
        if !git.is_shallow() {
            return Ok(());
        }
        let wanted = (Tags::Following, Reach::Whole);
        self.local
            .fetch_reaching(&git, wanted, &self.local.cancel)
            .map(drop)
    }

    /// What a revision is that was asked for when cloning: the id of a commit may be beyond the depth.
    pub(super) fn resolve_to_begin(
        &self,
        git: &Git,
        revision: &Revision,
        missing: CheckoutOptions,
    ) -> Result<Resolved> {
        let find = |git: &Git| self.local.resolve(git, revision);
        match find(git) {
            Err(error)
                if error.kind() == ErrorKind::RevisionNotFound
                    && missing == CheckoutOptions::Existing
                    && git.is_shallow()
                    && may_be_id(revision.as_str()) =>
            {
                let wanted = (Tags::All, Reach::Whole);
                self.local.fetch_reaching(git, wanted, &self.local.cancel)?;
                find(&git.anew()?)
            }
            found => found,
        }
    }
}
