use std::path::{Path, PathBuf};

use super::{PrepareRepository, Repository};
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::fs::lock::{AdvisoryLock, GitFolders, Purpose};
use crate::fs::sharing::Sharing;
use crate::git::{self, Git, Resolved, Tags, private_folder};
use crate::local::LOCK_WAIT;
use crate::name::BranchName;
use crate::place::Reading;
use crate::remote::Connection;
use crate::source::Location;
use crate::worktree::{self, Content};

/// Present in the private folder until everything is there.
const UNFINISHED: &str = "clone-unfinished";

/// Whether the folder holds a clone that was begun by us and never finished.
pub(super) fn is_unfinished(git_dir: &Path) -> bool {
    // Our own folder comes first: where nothing else is, somebody has only just begun.
    let only_ours = || {
        let private = private_folder(git_dir);
        std::fs::read_dir(git_dir)
            .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|e| e.path() == private)))
    };
    private_folder(git_dir).join(UNFINISHED).exists() || only_ours()
}

/// What to call a place in messages.
pub(super) fn describe(location: &Location) -> String {
    match location {
        Location::Hub { id, repo_type } => format!("the {repo_type} {id}"),
        Location::Http(url) => url.to_string(),
        Location::Folder(path) => path.display().to_string(),
        Location::Ssh(url) => url.clone(),
    }
}

/// Cloning.
impl PrepareRepository {
    /// Clones into an empty or missing folder.
    ///
    /// Objects first, LFS content included; the work tree appears when all of it is at hand. If
    /// this fails, what it created is removed again. If the process is killed, the next
    /// [`open_or_clone`](Self::open_or_clone) or `clone_repo` goes on where it ended.
    ///
    /// # Errors
    /// [`ErrorKind::FolderNotEmpty`], [`ErrorKind::RepoNotFound`], [`ErrorKind::Unauthorized`],
    /// [`ErrorKind::RevisionNotFound`], [`ErrorKind::LfsObjectMissing`],
    /// [`ErrorKind::LfsObjectCorrupt`], and those of the network.
    pub fn clone_repo(self) -> Result<Repository> {
        let _span = tracing::info_span!("clone").entered();
        let _settled = self.settled();
        let endpoint = self.resolve_endpoint()?;
        let config = git::user_config()?;
        let place = self.place(&endpoint, &config)?;
        let from_source = place.fetch.revision.clone();
        let revision = self.wanted_revision().cloned().or(from_source);
        let target = Target::examine(&self.folder)?;
        let connection = self.connect(&endpoint, place, config)?;
        // Before anything is made: whether the remote can be reached by us at all.
        connection.git(Use::Fetch, &self.cancel)?;
        self.create_on_hub(&connection)?;

        let git_dir = self.folder.join(".git");
        // Taken before there is a repository, so that only one process makes it. It is released
        // after the guard has cleaned up: nobody removes what another process is making.
        let _lock = self.lock_new(&git_dir)?;
        let guard = target.claim()?;
        let git = match Git::open(&self.folder) {
            Ok(git) => git,
            Err(_) => begin(&self.folder)?,
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
                let there = reading.place(&url)?;
                self.refuse_other_source(&there.fetch.location, connection.location())?;
            }
            None => git.add_remote(connection.name(), &connection.config_url())?,
        }
        match self.content {
            Some(content) => content.remember(&git)?,
            // What was chosen for a try that was interrupted holds no longer.
            None if is_unfinished(&git_dir) => Content::forget(&git)?,
            None => {}
        }
        let repository = self.finish(&git, connection)?;
        if !is_unfinished(&git_dir) {
            // Another process cloned into the same folder while this one waited for it.
            guard.keep();
            return Ok(repository);
        }
        let fetched = repository
            .local
            .fetch(&git, Tags::All, &repository.local.cancel)?;
        repository.local.learn_owner(&git);
        match revision {
            Some(revision) => {
                let resolved = git.resolve(&revision, repository.local.remote_name())?;
                repository.check_out_clone(&git, &resolved)?;
            }
            None => {
                let default = fetched
                    .default_branch
                    .clone()
                    .unwrap_or_else(BranchName::main);
                match git.ref_commit(&default.tracking_ref(repository.local.remote_name()))? {
                    Some(commit) => {
                        let remote = repository.local.remote_name().clone();
                        let resolved = Resolved::RemoteBranch {
                            branch: default,
                            remote,
                            commit,
                        };
                        repository.check_out_clone(&git, &resolved)?;
                    }
                    None => {
                        git.set_symbolic("HEAD", &default.local_ref(), "clone")?;
                        git.set_upstream(&default, repository.local.remote_name())?;
                    }
                }
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
        fs::remove_file_if_exists(&private_folder(&git_dir).join(UNFINISHED))?;
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
fn begin(folder: &Path) -> Result<Git> {
    let private = private_folder(&folder.join(".git"));
    fs::create_dir_all(&private)?;
    fs::atomic_write(&private.join(UNFINISHED), b"")?;
    git::create(folder, &BranchName::main())
}

impl Repository {
    fn check_out_clone(&self, git: &Git, resolved: &Resolved) -> Result<()> {
        let commit = match resolved {
            Resolved::LocalBranch { commit, .. }
            | Resolved::RemoteBranch { commit, .. }
            | Resolved::Tag { commit, .. }
            | Resolved::Commit { commit } => *commit,
        };
        self.local.switch_to(git, None, commit)?;
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
    /// [`ErrorKind::Unauthorized`] and [`ErrorKind::Forbidden`] say what the credentials lack,
    /// [`ErrorKind::RepoNotFound`] that there is nothing to push to.
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

/// The folder to clone into.
struct Target {
    folder: PathBuf,
    found: Found,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    EmptyFolder,
    Unfinished,
}

impl Target {
    fn examine(folder: &Path) -> Result<Self> {
        let found = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => return Err(Error::io("clone into", folder, error)),
            Ok(mut entries) => {
                if is_unfinished(&folder.join(".git")) {
                    Found::Unfinished
                } else if entries.next().is_none() {
                    Found::EmptyFolder
                } else if is_unfinished(&folder.join(".git")) {
                    // Somebody has begun between the two looks.
                    Found::Unfinished
                } else {
                    return Err(Error::new(
                        ErrorKind::FolderNotEmpty,
                        format!(
                            "cannot clone into {}: there are files in it",
                            folder.display()
                        ),
                    )
                    .with_hint("choose another folder, or use open_or_clone() if it is a clone"));
                }
            }
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            found,
        })
    }

    fn claim(self) -> Result<Guard> {
        fs::create_dir_all(&self.folder)?;
        Ok(Guard {
            folder: Some(self.folder),
            found: self.found,
        })
    }
}

/// Removes an unfinished clone when dropped, unless there is something in it worth keeping.
#[must_use]
struct Guard {
    folder: Option<PathBuf>,
    found: Found,
}

impl Guard {
    fn keep(mut self) {
        self.folder = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take() else {
            return;
        };
        if self.found == Found::Unfinished || has_work(&folder) {
            tracing::warn!(folder = %folder.display(), "the clone is unfinished; call again");
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(folder.join(".git")) {
            tracing::debug!(%error, "nothing to remove");
        }
        if self.found == Found::Nothing {
            // Fails, as it should, if something appeared meanwhile.
            let _ = std::fs::remove_dir(&folder);
        }
    }
}

/// Whether the folder holds anything besides `.git`: checked-out files, or somebody's own.
fn has_work(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() != ".git"))
}
