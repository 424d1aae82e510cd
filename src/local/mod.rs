//! A clone on this machine and the way to its remote: what the caller's thread and the worker share.

mod author;
mod other_refs;
pub(crate) mod recorded;
mod there;

pub(crate) use author::Author;
pub(crate) use there::There;

use std::path::PathBuf;
use std::time::Duration;

use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::{AdvisoryLock, GitFolders, Purpose};
use crate::fs::sharing::Sharing;
use crate::git::{Fetched, Git, ObjectId, Reach, Tags, private_folder};
use crate::id::CommitId;
use crate::lfs::store::Store;
use crate::lfs::{self, Engine};
use crate::name::{BranchName, RemoteName};
use crate::progress::Progress;
use crate::remote::Connection;
use crate::worktree::{self, Context, Fill, Switch, Wanted};

/// How long a change waits for another one to finish, in this process or another.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(60);

/// How long one push or fetch waits for another's: that one has limits of its own, and may be large.
const NETWORK_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// One clone. It holds no open handle on git, so that any thread may use it.
pub(crate) struct Local {
    pub(crate) workdir: PathBuf,
    /// git's folder of this work tree.
    pub(crate) git_dir: PathBuf,
    /// git's folder that all work trees share.
    pub(crate) common_dir: PathBuf,
    /// Whether other users work in the clone as well.
    pub(crate) sharing: Option<Sharing>,
    pub(crate) store: Store,
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) remote: Connection,
    pub(crate) author: Author,
    pub(crate) progress: Progress,
    /// Stops all work of the clone.
    pub(crate) cancel: CancelToken,
}

impl Local {
    /// A git handle of the calling thread's own.
    pub(crate) fn git(&self) -> Result<Git> {
        Git::open(&self.workdir)
    }

    pub(crate) fn context<'a>(&'a self, git: &'a Git) -> Context<'a> {
        Context {
            git,
            store: &self.store,
            engine: &*self.engine,
            progress: &self.progress,
            cancel: &self.cancel,
        }
    }

    /// Where this library keeps its own files inside the clone.
    pub(crate) fn private(&self) -> PathBuf {
        private_folder(&self.git_dir)
    }

    fn folders(&self) -> GitFolders<'_> {
        GitFolders {
            own: &self.git_dir,
            common: &self.common_dir,
            sharing: self.sharing,
        }
    }

    pub(crate) fn remote_name(&self) -> &RemoteName {
        self.remote.name()
    }

    /// Waits until nobody else changes this clone; `takes` names the git locks that will be taken.
    pub(crate) fn lock(&self, takes: &[&str]) -> Result<AdvisoryLock> {
        self.lock_within(LOCK_WAIT, takes)
    }

    pub(crate) fn lock_within(&self, wait: Duration, takes: &[&str]) -> Result<AdvisoryLock> {
        self.lock_for(wait, takes, &self.cancel)
    }

    fn lock_for(
        &self,
        wait: Duration,
        takes: &[&str],
        cancel: &CancelToken,
    ) -> Result<AdvisoryLock> {
        let purpose = Purpose::Change;
        AdvisoryLock::acquire(
            &self.private(),
            self.folders(),
            purpose,
            takes,
            wait,
            cancel,
        )
    }

    /// Waits until nobody else pushes from this clone, for as long as it takes.
    pub(crate) fn lock_pushing(&self, cancel: &CancelToken) -> Result<AdvisoryLock> {
        let tracking = format!("refs/remotes/{}/", self.remote_name());
        AdvisoryLock::acquire(
            &self.private(),
            self.folders(),
            Purpose::Push,
            &[&tracking, "packed-refs.lock"],
            NETWORK_WAIT,
            cancel,
        )
    }

    /// The same if it can be had at once; for one who holds the lock for changes.
    pub(crate) fn try_lock_pushing(&self) -> Result<Option<AdvisoryLock>> {
        let private = self.private();
        let (purpose, wait) = (Purpose::Push, Duration::ZERO);
        // What is made, if anything, is shared by the lock that the caller holds.
        let folders = GitFolders {
            sharing: None,
            ..self.folders()
        };
        match AdvisoryLock::acquire(&private, folders, purpose, &[], wait, &self.cancel) {
            Err(error) if error.kind() == ErrorKind::Locked => Ok(None),
            lock => lock.map(Some),
        }
    }

    /// The lock for changing index, HEAD and `branch`.
    pub(crate) fn lock_branch(&self, branch: Option<&BranchName>) -> Result<AdvisoryLock> {
        self.lock_branch_until(branch, &self.cancel)
    }

    /// The same, given up when `cancel` is pulled.
    pub(crate) fn lock_branch_until(
        &self,
        branch: Option<&BranchName>,
        cancel: &CancelToken,
    ) -> Result<AdvisoryLock> {
        let branch = branch.map(|branch| format!("refs/heads/{branch}.lock"));
        let mut takes = vec!["index.lock", "HEAD.lock", "packed-refs.lock", "config.lock"];
        takes.extend(branch.as_deref());
        self.lock_for(LOCK_WAIT, &takes, cancel)
    }

    /// Fetches all branches of the remote, after whoever else is fetching.
    pub(crate) fn fetch(&self, git: &Git, tags: Tags, cancel: &CancelToken) -> Result<Fetched> {
        self.fetch_reaching(git, (tags, Reach::New), cancel)
    }

    /// The same, as far back as asked.
    pub(crate) fn fetch_reaching(
        &self,
        git: &Git,
        wanted: (Tags, Reach),
        cancel: &CancelToken,
    ) -> Result<Fetched> {
        let remote = self.remote.git(Use::Fetch, cancel)?;
        let name = self.remote_name();
        let tracking = format!("refs/remotes/{name}/");
        let _fetcher = self.lock_fetching(&[&tracking, "refs/tags/"], cancel)?;
        git.fetch(&remote, name, wanted, &self.progress, cancel)
    }

    /// Waits for whoever else is fetching; `takes` are the lock files of refs that are about to be taken.
    pub(crate) fn lock_fetching(
        &self,
        takes: &[&str],
        cancel: &CancelToken,
    ) -> Result<AdvisoryLock> {
        let takes = [&["shallow.lock"], takes].concat();
        AdvisoryLock::acquire(
            &private_folder(&self.common_dir),
            self.folders(),
            Purpose::Fetch,
            &takes,
            NETWORK_WAIT,
            cancel,
        )
    }

    /// Fetches the whole history if two commits seem to have nothing in common because it is cut short here.
    ///
    /// Returns the handle that sees it, if it was needed.
    pub(crate) fn deepen_to_join(
        &self,
        git: &Git,
        (one, other): (CommitId, CommitId),
        cancel: &CancelToken,
    ) -> Result<Option<Git>> {
        if !git.may_share_hidden_history(one, other)? {
            return Ok(None);
        }
        tracing::info!("the clone is shallow: fetching the history both sides come from");
        self.fetch_reaching(git, (Tags::Following, Reach::Whole), cancel)?;
        git.anew().map(Some)
    }

    /// Makes work tree and index those of `commit`; HEAD stays.
    pub(crate) fn switch_to(
        &self,
        git: &Git,
        from: Option<CommitId>,
        commit: CommitId,
    ) -> Result<()> {
        let from = from.map(|commit| git.tree_of(commit)).transpose()?;
        self.switch(git, from, commit, &|| self.lfs_of(git, commit))
    }

    /// Makes the index that of `commit`, and gives the work tree the files it lacks; those that are there
    /// stay as they are. HEAD stays.
    pub(crate) fn adopt(&self, git: &Git, commit: CommitId) -> Result<()> {
        let present = worktree::adopt(self.context(git), git.tree_of(commit)?)?;
        self.switch(git, Some(present), commit, &|| self.lfs_of(git, commit))
    }

    fn lfs_of(&self, git: &Git, commit: CommitId) -> Result<Option<lfs::Remote>> {
        self.remote.lfs(git, Use::Fetch, Some(commit)).map(Some)
    }

    /// The same, with what the store has; content that is not there is an error.
    pub(crate) fn switch_offline(
        &self,
        git: &Git,
        from: Option<CommitId>,
        commit: CommitId,
    ) -> Result<()> {
        let from = from.map(|commit| git.tree_of(commit)).transpose()?;
        self.switch(git, from, commit, &|| Ok(None))
    }

    fn switch(
        &self,
        git: &Git,
        from: Option<ObjectId>,
        commit: CommitId,
        lfs: &dyn Fn() -> Result<Option<lfs::Remote>>,
    ) -> Result<()> {
        let wanted = Wanted::recall(git, Some(commit))?;
        Switch {
            context: self.context(git),
            fill: Fill {
                remote: lfs,
                remote_name: self.remote_name().as_str(),
                ref_name: None,
                commit: Some(commit),
            },
            from,
            to: git.tree_of(commit)?,
            wanted: &|path| wanted.wants(path),
        }
        .run()
    }

    /// Whether the remote, as it was last heard of, lacks a commit.
    pub(crate) fn is_unpushed(&self, git: &Git, commit: CommitId) -> Result<bool> {
        let there = git.tracked(self.remote_name())?;
        Ok(!git.commits_between(commit, &there)?.is_empty())
    }
}

/// The error for changes while a merge or the like is under way.
pub(crate) fn refuse_unfinished(git: &Git, action: &str) -> Result<()> {
    match git.unfinished_operation() {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::UnfinishedOperation,
            format!("cannot {action}: a {name} is under way"),
        )
        .with_hint(format!("finish it, or give it up with: git {name} --abort"))),
    }
}
