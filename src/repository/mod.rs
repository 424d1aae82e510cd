//! The facade: one clone on disk, and what can be done with it.

mod checkout;
mod clone;
mod commit;
mod content;
mod look;
mod prepare;
mod prune;
mod pull;
mod push;
mod remote;
mod stage;
mod track;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use checkout::{CheckoutOptions, CheckoutReport};
pub use commit::CommitOutcome;
pub use content::Content;
pub use look::{Status, StatusEntry};
pub use prepare::{LfsEngine, PrepareRepository};
pub use prune::PruneReport;
pub use pull::PullReport;
pub use push::{PushReport, PushedRef};
pub use track::TrackReport;

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::AdvisoryLock;
use crate::git::{Git, Identity, private_folder};
use crate::lfs::Engine;
use crate::lfs::store::Store;
use crate::name::RemoteName;
use crate::progress::Progress;
use crate::worktree::Context;
use remote::Connection;

/// A local clone of a repository, kept in sync with its remote.
///
/// All methods take `&self` and may be called from several threads; those that change the clone
/// wait for one another, also across processes.
///
/// ```no_run
/// use hf_repository::Repository;
/// let repo = Repository::prepare("user/my-model", "out").open_or_clone()?;
/// std::fs::write("out/config.json", "{}").expect("writable");
/// repo.stage()?;
/// repo.commit("add the configuration")?;
/// let report = repo.push()?;
/// println!("{:?}", report.commit);
/// # Ok::<(), hf_repository::Error>(())
/// ```
pub struct Repository {
    workdir: PathBuf,
    git_dir: PathBuf,
    store: Store,
    engine: Box<dyn Engine>,
    connection: Connection,
    identity: Option<Identity>,
    progress: Progress,
    cancel: CancelToken,
}

/// How long a change waits for another one to finish, in this process or another.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Opening.
impl Repository {
    /// Describes a clone of `source` in `folder`; see [`PrepareRepository`] for what comes next.
    ///
    /// `source` may be an id (`user/model`, `datasets/user/name`), a Hub URL, an `hf://` address,
    /// the URL of another git server, or the path of a repository on this machine.
    pub fn prepare(source: impl Into<String>, folder: impl Into<PathBuf>) -> PrepareRepository {
        PrepareRepository::new(source.into(), folder.into())
    }

    /// Opens the clone whose work tree's root is `folder`, without any network.
    ///
    /// # Errors
    /// [`ErrorKind::NotARepository`] if there is none, [`ErrorKind::Unsupported`] for bare
    /// repositories and formats this library does not know.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        PrepareRepository::existing(folder.into()).open()
    }
}

impl Repository {
    fn git(&self) -> Result<Git> {
        Git::open(&self.workdir)
    }

    fn context<'a>(&'a self, git: &'a Git) -> Context<'a> {
        Context {
            git,
            store: &self.store,
            engine: &*self.engine,
            progress: &self.progress,
            cancel: &self.cancel,
        }
    }

    /// Waits until nobody else changes this clone; `takes` names the git locks that will be taken.
    fn lock(&self, takes: &[&str]) -> Result<AdvisoryLock> {
        self.lock_within(LOCK_WAIT, takes)
    }

    fn lock_within(&self, wait: Duration, takes: &[&str]) -> Result<AdvisoryLock> {
        let private = private_folder(&self.git_dir);
        AdvisoryLock::acquire(&private, &self.git_dir, takes, wait, &self.cancel)
    }

    fn remote_name(&self) -> &RemoteName {
        self.connection.name()
    }
}

/// git's lock files that a change of index, HEAD and branch takes.
fn locks_of(branch: Option<&crate::name::BranchName>) -> Vec<String> {
    let mut names = vec!["index.lock".to_owned(), "HEAD.lock".to_owned()];
    names.extend(branch.map(|branch| format!("refs/heads/{branch}.lock")));
    names
}

/// The error for changes while a merge or the like is under way.
fn refuse_unfinished(git: &Git, action: &str) -> Result<()> {
    match git.unfinished_operation() {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::UnfinishedOperation,
            format!("cannot {action}: a {name} is under way"),
        )
        .with_hint(format!("finish it, or give it up with: git {name} --abort"))),
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("workdir", &self.workdir)
            .finish_non_exhaustive()
    }
}

/// The parts a repository is made of, for [`PrepareRepository`].
struct Parts {
    engine: Box<dyn Engine>,
    connection: Connection,
    identity: Option<Identity>,
    progress: Progress,
    cancel: CancelToken,
}

impl Repository {
    fn assemble(git: &Git, store: Store, parts: Parts) -> Self {
        let Parts {
            engine,
            connection,
            identity,
            progress,
            cancel,
        } = parts;
        Self {
            workdir: git.workdir().to_path_buf(),
            git_dir: git.git_dir().to_path_buf(),
            store,
            engine,
            connection,
            identity,
            progress,
            cancel,
        }
    }

    /// The root of the work tree.
    pub fn workdir(&self) -> &Path {
        &self.workdir
    }
}
