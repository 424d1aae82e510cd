//! What tags and branches have in common.

use super::Repository;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::AdvisoryLock;
use crate::git::{Advertisement, Git};
use crate::id::CommitId;
use crate::name::{RemoteName, Revision};

/// Where a tag or branch is to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Where {
    /// In this clone.
    #[default]
    Here,
    /// On a remote only.
    On(RemoteName),
    /// In this clone and on a remote.
    HereAndOn(RemoteName),
}

impl Where {
    pub(super) fn remote(&self) -> Option<&RemoteName> {
        match self {
            Self::Here => None,
            Self::On(remote) | Self::HereAndOn(remote) => Some(remote),
        }
    }

    pub(super) fn is_here(&self) -> bool {
        matches!(self, Self::Here | Self::HereAndOn(_))
    }
}

impl Repository {
    /// What a remote has.
    pub(super) fn ask(&self, git: &Git, remote: &RemoteName) -> Result<Advertisement> {
        let cancel = &self.local.cancel;
        let remote = self.local.remote.to(git, remote)?;
        git.fetch_advertisement(&remote.git(Use::Fetch, cancel)?, cancel)
    }

    /// The lock for changing one ref and nothing else.
    pub(super) fn lock_ref(&self, full_name: &str) -> Result<AdvisoryLock> {
        self.local
            .lock(&[&format!("{full_name}.lock"), "packed-refs.lock"])
    }

    /// The commit a revision leads to; without one, the one that is checked out.
    pub(super) fn commit_at(
        &self,
        git: &Git,
        at: Option<&Revision>,
        action: &str,
    ) -> Result<CommitId> {
        match at {
            Some(revision) => Ok(git.resolve(revision, self.local.remote_name())?.commit()),
            None => git.head()?.commit().ok_or_else(|| {
                Error::new(
                    ErrorKind::UnbornBranch,
                    format!("cannot {action}: there is no commit yet"),
                )
                .with_hint("commit something first, or name a revision")
            }),
        }
    }
}
