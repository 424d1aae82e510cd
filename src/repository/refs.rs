//! What tags and branches have in common.

use super::Repository;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::AdvisoryLock;
use crate::git::{Advertisement, Git, ObjectId};
use crate::id::CommitId;
use crate::name::{RefName, RemoteName, Revision};
use crate::remote::Connection;

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

/// Refs that are neither branches nor tags.
impl Repository {
    /// Fetches any ref of the remote, a pull request (`refs/pr/3`) or what the Hub made of the files
    /// (`refs/convert/parquet`), and says where it is. Nothing is checked out.
    ///
    /// From then on it can be named as a revision, where a tag is to be, say.
    /// [`checkout`](Self::checkout) fetches by itself.
    ///
    /// ```no_run
    /// # let repo = hf_repository::Repository::open("out")?;
    /// use hf_repository::TagOptions;
    /// repo.fetch_ref("refs/pr/3")?;
    /// repo.create_tag_with("proposed", TagOptions::default().at("refs/pr/3".parse()?))?;
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::InvalidInput`] for a tag's, [`ErrorKind::RevisionNotFound`] if the remote has no such ref, and
    /// those of credentials and network.
    pub fn fetch_ref(&self, name: impl AsRef<str>) -> Result<CommitId> {
        let name: RefName = name.as_ref().parse()?;
        let _span = tracing::info_span!("fetch_ref", %name).entered();
        let _settled = self.local.progress.settled();
        if !name.is_other() && name.branch().is_none() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{name} is not fetched by itself"),
            )
            .with_hint("pull() brings the tags of what it fetches"));
        }
        let git = self.local.git()?;
        self.local.fetch_known_ref(&git, &name)
    }
}

impl Repository {
    /// What a remote has.
    pub(super) fn ask(&self, git: &Git, remote: &RemoteName) -> Result<Advertisement> {
        let cancel = &self.local.cancel;
        let remote = self.local.remote.to(git, remote)?;
        git.fetch_advertisement(&remote.git(Use::Fetch, cancel)?, cancel)
    }

    /// The connection to a remote, if one is named.
    pub(super) fn connection_to(
        &self,
        git: &Git,
        remote: Option<&RemoteName>,
    ) -> Result<Option<Connection>> {
        remote
            .map(|remote| self.local.remote.to(git, remote))
            .transpose()
    }

    /// The lock for changing refs, HEAD and what the config says of branches.
    pub(super) fn lock_refs(&self, full_names: &[&str]) -> Result<AdvisoryLock> {
        let locks: Vec<String> = full_names
            .iter()
            .map(|name| format!("{name}.lock"))
            .collect();
        let mut takes = vec!["HEAD.lock", "packed-refs.lock", "config.lock"];
        takes.extend(locks.iter().map(String::as_str));
        self.local.lock(&takes)
    }

    /// Undoes what was created for a remote that did not want it.
    pub(super) fn take_back(&self, git: &Git, full_name: &str, id: ObjectId) {
        let undo = || -> Result<bool> {
            let _lock = self.lock_refs(&[full_name])?;
            git.delete_ref(full_name, id)
        };
        if let Err(error) = undo() {
            tracing::warn!(%error, full_name, "what the remote did not take stays here");
        }
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
