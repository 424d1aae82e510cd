//! The revision that was asked for when a clone is opened.

use super::checkout::may_create;
use super::{CheckoutOptions, Repository};
use crate::error::{ErrorKind, Result};
use crate::git::{Head, Resolved, Tags};
use crate::name::{RefName, Revision};

impl Repository {
    /// Checks out the revision, unless HEAD is there; asks the remote if it is not known here.
    pub(super) fn go_to_revision(
        &self,
        revision: &Revision,
        missing: CheckoutOptions,
    ) -> Result<()> {
        let git = self.local.git()?;
        let head = git.head()?;
        if head
            .branch("")
            .is_ok_and(|branch| branch.as_str() == revision.as_str())
        {
            return Ok(());
        }
        let remote = self.local.remote_name();
        // What is no branch and no tag is fetched by checking it out.
        let other = revision.as_str().parse::<RefName>().ok();
        let other = other.filter(RefName::is_other);
        if let (Some(name), Ok(branch)) = (&other, head.branch(""))
            && name.pull_request().as_ref() == Some(branch)
            && git.pull_source(branch, remote) == *name
        {
            return Ok(());
        }
        match git.resolve(revision, remote) {
            Ok(Resolved::Tag { commit, .. } | Resolved::Commit { commit })
                if head == (Head::Detached { commit }) =>
            {
                return Ok(());
            }
            // By its full name.
            Ok(Resolved::LocalBranch { branch, .. }) if head.branch("").ok() == Some(&branch) => {
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::RevisionNotFound && other.is_some() => {}
            Err(error) if error.kind() == ErrorKind::RevisionNotFound => {
                match self.local.fetch(&git, Tags::Following, &self.local.cancel) {
                    // Nobody can be asked, and a new branch can be made all the same.
                    Err(error)
                        if error.kind() == ErrorKind::Offline
                            && missing == CheckoutOptions::Create => {}
                    fetched => drop(fetched?),
                }
                match self.resolve_to_begin(&git, revision, missing) {
                    Err(error) if may_create(&error, revision, missing) => {}
                    resolved => drop(resolved?),
                }
            }
            resolved => drop(resolved?),
        }
        self.checkout_with(revision.as_str(), missing).map(drop)
    }
}
