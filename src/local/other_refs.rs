//! Refs of the remote that are no branches: pull requests, and what the Hub converts by itself.

use super::Local;
use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, Resolved, Upstream};
use crate::id::CommitId;
use crate::name::{BranchName, RefName, Revision};

impl Local {
    /// Fetches a ref of the remote, whatever its kind, after whoever else is fetching.
    pub(crate) fn fetch_ref(
        &self,
        git: &Git,
        wanted: &RefName,
        cancel: &CancelToken,
    ) -> Result<Option<CommitId>> {
        let remote = self.remote.git(Use::Fetch, cancel)?;
        let tracking = wanted.tracking_ref(self.remote_name());
        let _fetcher = self.lock_fetching(&[&format!("{tracking}.lock")], cancel)?;
        git.fetch_ref(&remote, self.remote_name(), wanted, &self.progress, cancel)
    }

    /// Finds a revision as [`Git::resolve`] does, and fetches it if it is a ref that no clone has by
    /// itself.
    ///
    /// For a pull request there is a local branch that follows it: `pr/3` for `refs/pr/3`.
    pub(crate) fn resolve(&self, git: &Git, revision: &Revision) -> Result<Resolved> {
        let name = revision.as_str().parse::<RefName>().ok();
        let Some(name) = name.filter(RefName::is_other) else {
            return git.resolve(revision, self.remote_name());
        };
        let Some(branch) = name.pull_request() else {
            let commit = self.fetch_known_ref(git, &name)?;
            return Ok(Resolved::Commit { commit });
        };
        let upstream = Upstream::new(self.remote_name().clone(), name);
        let Some(commit) = git.ref_commit(&branch.local_ref())? else {
            git.refuse_taken(&branch.local_ref())?;
            let commit = self.fetch_known_ref(git, &upstream.name)?;
            return Ok(Resolved::Followed {
                branch,
                upstream,
                commit,
            });
        };
        if git.upstream(&branch).as_ref() == Some(&upstream) {
            return Ok(Resolved::LocalBranch { branch, commit });
        }
        Err(follows_something_else(&branch, &upstream))
    }

    /// Fetches a ref that is to be there.
    pub(crate) fn fetch_known_ref(&self, git: &Git, name: &RefName) -> Result<CommitId> {
        let found = self.fetch_ref(git, name, &self.cancel)?;
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::RevisionNotFound,
                format!("the remote has no {name}"),
            )
            .with_hint("is it the number of a pull request, and of this repository?")
        })
    }
}

fn follows_something_else(branch: &BranchName, upstream: &Upstream) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!("there is a branch {branch}, and it does not follow {upstream}"),
    )
    .with_hint("rename it, or let it follow that: set_upstream()")
}
