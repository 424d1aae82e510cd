use std::path::Path;

use super::checkout::may_create;
use super::target::{Making, Target, finished, is_unfinished};
use super::{CheckoutOptions, PrepareRepository, Repository};
use crate::config::Use;
use crate::error::Result;
use crate::fs::lock::{AdvisoryLock, GitFolders, Purpose};
use crate::fs::sharing::Sharing;
use crate::git::{self, Git, Resolved, Tags, private_folder};
use crate::local::LOCK_WAIT;
use crate::name::{BranchName, Revision};
use crate::place::Reading;
use crate::remote::Connection;
use crate::source::Location;
use crate::worktree::{self, Content};

/// Cloning.
impl PrepareRepository {
    /// Clones into an empty or missing folder.
    ///
    /// Objects first, LFS content included; the work tree appears when all of it is at hand. If
    /// this fails, what it created is removed again. If the process is killed, the next
    /// [`open_or_clone`](Self::open_or_clone) or `clone_repo` goes on where it ended.
    ///
    /// So LFS content that came before an error has to come again. If it is much, clone with
    /// [`Content::PointersOnly`], and call [`fetch_content`](Repository::fetch_content) then: what that has
    /// downloaded stays when it fails, and the next call goes on.
    ///
    /// # Errors
    /// [`ErrorKind::FolderNotEmpty`](crate::ErrorKind::FolderNotEmpty),
    /// [`RepoNotFound`](crate::ErrorKind::RepoNotFound),
    /// [`Unauthorized`](crate::ErrorKind::Unauthorized),
    /// [`RevisionNotFound`](crate::ErrorKind::RevisionNotFound),
    /// [`LfsObjectMissing`](crate::ErrorKind::LfsObjectMissing),
    /// [`LfsObjectCorrupt`](crate::ErrorKind::LfsObjectCorrupt), and those of the network.
    pub fn clone_repo(self) -> Result<Repository> {
        let _span = tracing::info_span!("clone").entered();
        self.make(Making::Clone)
    }

    /// Makes the folder a clone, or finishes one.
    pub(super) fn make(self, how: Making) -> Result<Repository> {
        let _settled = self.settled();
        let endpoint = self.resolve_endpoint()?;
        let config = git::user_config()?;
        let place = self.place(&endpoint, &config)?;
        let from_source = place.fetch.revision.clone();
        let revision = self.revision.clone().or(from_source);
        let target = Target::examine(&self.folder, how)?;
        let connection = self.connect(&endpoint, place, config)?;
        // Before anything is made: whether the remote can be reached by us at all.
        let remote = connection.git(Use::Fetch, &self.cancel)?;
        self.refuse_depth(&remote)?;
        if let Some(content) = &self.content {
            content.check()?;
        }
        self.create_on_hub(&connection)?;

        let git_dir = self.folder.join(".git");
        // Taken before there is a repository, so that only one process makes it. It is released
        // after the guard has cleaned up: nobody removes what another process is making.
        let lock = self.lock_new(&git_dir)?;
        let guard = target.claim()?;
        let opened = Git::open(&self.folder);
        if opened.is_ok() && !is_unfinished(&git_dir) {
            // Another process made it while this one waited.
            guard.keep();
            drop(lock);
            return self.open();
        }
        let how = how.or_as_begun(&git_dir)?;
        let git = match opened {
            Ok(git) => git,
            Err(_) => begin(&self.folder, how)?,
        };
        match git.remote_url(connection.name()) {
            Some(url) => {
                let config = git.whole_config()?;
                let reading = Reading {
                    endpoint: &endpoint,
                    config: &config,
                    base: &self.folder,
                    repo_type: None,
                };
                let there = reading.place(&url)?.fetch.location;
                self.refuse_other_source(&there, connection.location(), &endpoint)?;
            }
            None => git.add_remote(connection.name(), &connection.config_url())?,
        }
        match &self.content {
            Some(content) => content.remember(&git)?,
            // What was chosen for a try that was interrupted holds no longer.
            None => Content::forget(&git)?,
        }
        let missing = self.missing;
        let reach = self.reach(&git);
        let repository = self.finish(&git, connection)?;
        let cancel = &repository.local.cancel;
        let fetched = repository
            .local
            .fetch_reaching(&git, (Tags::All, reach), cancel)?;
        repository.local.learn_owner(&git);
        let default = fetched.default_branch.clone();
        let default = default.unwrap_or_else(BranchName::main);
        match repository.start(&git, revision.as_ref(), missing, &default)? {
            Start::At(resolved) => repository.check_out_new(&git, &resolved, how)?,
            Start::Unborn(branch) => {
                git.set_symbolic("HEAD", &branch.local_ref(), "clone")?;
                git.set_upstream(&branch, repository.local.remote_name())?;
            }
        }
        if let Some(default) = fetched.default_branch {
            let tracking = default.tracking_ref(repository.local.remote_name());
            let head = format!("refs/remotes/{}/HEAD", repository.local.remote_name());
            // A remote's HEAD may name a branch that is not there; git calls a ref to it broken.
            if git.ref_commit(&tracking)?.is_some() {
                git.set_symbolic(&head, &tracking, "clone")?;
            }
        }
        finished(&git_dir)?;
        guard.keep();
        Ok(repository)
    }

    fn lock_new(&self, git_dir: &Path) -> Result<AdvisoryLock> {
        // There is no config of the clone's own yet.
        let config = git::user_config()?;
        let sharing = config.get("core.sharedRepository").and_then(Sharing::parse);
        AdvisoryLock::acquire(
            &private_folder(git_dir),
            GitFolders {
                own: git_dir,
                common: git_dir,
                sharing,
            },
            Purpose::Change,
            // It sets refs of every kind: whoever goes on with it must know these for its own.
            &[
                "index.lock",
                "HEAD.lock",
                "config.lock",
                "packed-refs.lock",
                "refs/heads/",
                "refs/remotes/",
                "refs/tags/",
            ],
            LOCK_WAIT,
            &self.cancel,
        )
    }

    fn create_on_hub(&self, connection: &Connection) -> Result<()> {
        let (Some(visibility), Location::Hub { id, repo_type }) =
            (self.visibility(), connection.location())
        else {
            return Ok(());
        };
        let Some(hub) = connection.hub() else {
            return Ok(());
        };
        // Asking first keeps read tokens working for repositories that exist.
        if hub.repo_exists(id, *repo_type)? {
            return Ok(());
        }
        hub.create_repo(id, *repo_type, visibility).map(drop)
    }
}

/// An empty repository that says from its first file on that it is unfinished.
fn begin(folder: &Path, how: Making) -> Result<Git> {
    how.begin(&folder.join(".git"))?;
    git::create(folder, &BranchName::main())
}

/// Where a new clone begins.
enum Start {
    At(Resolved),
    /// The remote has no commit.
    Unborn(BranchName),
}

impl Repository {
    /// Where to begin: at the revision, else at the default branch, or on a new branch there.
    fn start(
        &self,
        git: &Git,
        revision: Option<&Revision>,
        missing: CheckoutOptions,
        default: &BranchName,
    ) -> Result<Start> {
        let remote = self.local.remote_name();
        let mut new = None;
        if let Some(revision) = revision {
            match self.resolve_to_begin(git, revision, missing) {
                Err(error) if may_create(&error, revision, missing) => {
                    new = Some(revision.as_str().parse::<BranchName>()?);
                }
                resolved => return resolved.map(Start::At),
            }
        }
        let there = git.ref_commit(&default.tracking_ref(remote))?;
        if let (Some(branch), Some(commit)) = (&new, there) {
            git.set_ref(&branch.local_ref(), commit, None, "branch: created")?;
            let branch = branch.clone();
            return Ok(Start::At(Resolved::LocalBranch { branch, commit }));
        }
        // A call that was killed at its end had it already, where the remote was at that time.
        let begun = git.ref_commit(&default.local_ref())?;
        Ok(match begun.or(there) {
            Some(commit) if new.is_none() => Start::At(Resolved::RemoteBranch {
                branch: default.clone(),
                remote: remote.clone(),
                commit,
            }),
            _ => Start::Unborn(new.unwrap_or_else(|| default.clone())),
        })
    }

    fn check_out_new(&self, git: &Git, resolved: &Resolved, how: Making) -> Result<()> {
        match how {
            Making::Clone => {
                // With an index, what HEAD is at was checked out by a call that was killed at its end.
                let is_begun = git.index()?.entries().next().is_some();
                let from = if is_begun { git.head()?.commit() } else { None };
                self.local.switch_to(git, from, resolved.commit())?;
            }
            Making::Adopt => self.local.adopt(git, resolved.commit())?,
        }
        if let Resolved::LocalBranch { branch, .. } = resolved
            && let remote = self.local.remote_name()
            && git.ref_commit(&branch.tracking_ref(remote))?.is_some()
        {
            git.set_upstream(branch, remote)?;
        }
        self.point_head(git, resolved)
    }

    /// Moves HEAD to what was checked out; a remote branch gets a local one that follows it.
    pub(super) fn point_head(&self, git: &Git, resolved: &Resolved) -> Result<()> {
        let log = "checkout: moving by hf-repository";
        match resolved {
            Resolved::LocalBranch { branch, .. } => {
                git.set_symbolic("HEAD", &branch.local_ref(), log)
            }
            Resolved::RemoteBranch {
                branch,
                remote,
                commit,
            } => {
                if git.ref_commit(&branch.local_ref())?.is_none() {
                    git.set_ref(&branch.local_ref(), *commit, None, "branch: created")?;
                }
                git.set_upstream(branch, remote)?;
                git.set_symbolic("HEAD", &branch.local_ref(), log)
            }
            Resolved::Followed {
                branch,
                upstream,
                commit,
            } => {
                // In this order: a branch that follows nothing would be pushed to one of its name.
                git.follow(branch, upstream)?;
                git.set_ref(&branch.local_ref(), *commit, None, "branch: created")?;
                git.set_symbolic("HEAD", &branch.local_ref(), log)
            }
            Resolved::Tag { commit, .. } | Resolved::Commit { commit } => git.detach_head(*commit),
        }?;
        worktree::complete(git)
    }

    /// Tells whether the token may push, before any work depends on it.
    ///
    /// Asks the git server for its refs as a pusher would, and its LFS server for an upload of
    /// nothing; sends no data.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized) and
    /// [`Forbidden`](crate::ErrorKind::Forbidden) say what the credentials lack,
    /// [`RepoNotFound`](crate::ErrorKind::RepoNotFound) that there is nothing to push to.
    pub fn check_write_access(&self) -> Result<()> {
        let _span = tracing::info_span!("check_write_access").entered();
        let git = self.local.git()?;
        git.push_advertisement(
            &self.local.remote.git(Use::Push, &self.local.cancel)?,
            &self.local.cancel,
        )?;
        if let Some(hub) = self.local.remote.hub() {
            hub.check_may_write()?;
            self.local.learn_owner(&git);
        }
        let lfs = self.local.remote.lfs(&git, Use::Push, None)?;
        self.local.engine.check_upload(&lfs)
    }
}
