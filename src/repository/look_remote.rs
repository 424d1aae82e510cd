use std::path::Path;

use super::Repository;
use super::prepare::PrepareRepository;
use super::target::is_unfinished;
use crate::error::{ErrorKind, Result};
use crate::git::Git;
use crate::id::{RepoId, RepoType};

/// Looking at where it came from; no network.
impl Repository {
    /// Whether `folder` is the root of a git repository's work tree that can be read here.
    ///
    /// A folder inside of one is none, and neither is a clone that was interrupted. Whether it has a
    /// remote, which [`open`](Self::open) needs, is not looked at:
    /// [`PrepareRepository::is_cloned`] says whether it is a clone of something in particular.
    pub fn is_repository(folder: impl AsRef<Path>) -> bool {
        let folder = folder.as_ref();
        Git::open(folder).is_ok_and(|git| !is_unfinished(git.git_dir()))
    }

    /// The address of the remote, without credentials.
    pub fn remote_url(&self) -> String {
        self.local.remote.config_url()
    }

    /// The repository on the Hub that this is a clone of; `None` if the remote is anything else.
    pub fn hub_id(&self) -> Option<(RepoType, RepoId)> {
        let (id, repo_type) = self.local.remote.hub_repo()?;
        Some((repo_type, id.clone()))
    }

    /// The page of the commit that is checked out, on the Hub.
    ///
    /// `None` before the first commit, and for remotes that are no repository of the Hub. The commit need
    /// not be pushed yet: [`PushReport::url`](crate::PushReport::url) is the page of one that is.
    ///
    /// # Errors
    /// If HEAD cannot be read.
    pub fn head_commit_url(&self) -> Result<Option<String>> {
        let head = self.head()?;
        Ok(head.and_then(|commit| self.local.remote.commit_url(commit)))
    }

    /// Whether the current branch follows a branch of a remote, and that branch has been seen there.
    ///
    /// # Errors
    /// [`ErrorKind::DetachedHead`] without a branch.
    pub fn has_upstream(&self) -> Result<bool> {
        let git = self.local.git()?;
        let head = git.head()?;
        git.has_upstream(head.branch("look for its upstream")?)
    }
}

impl PrepareRepository {
    /// Whether the folder is a clone of the source, and complete; nothing is changed.
    ///
    /// However either of them is spelt: with a trailing `.git` or `/`, as an id, a URL or an `hf://` address. What
    /// another program cloned counts as well.
    ///
    /// ```no_run
    /// use hf_repository::Repository;
    /// if !Repository::prepare("user/my-model", "out").is_cloned()? {
    ///     println!("the first run takes a while");
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSource`] for a source that cannot be read, and those of [`open`](Self::open), but for
    /// [`NotARepository`](ErrorKind::NotARepository) and [`RemoteMismatch`](ErrorKind::RemoteMismatch).
    pub fn is_cloned(&self) -> Result<bool> {
        let looked = self
            .git()
            .and_then(|git| self.recorded_place(&git).map(drop));
        match looked {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::NotARepository | ErrorKind::RemoteMismatch => Ok(false),
                _ => Err(error),
            },
        }
    }
}
