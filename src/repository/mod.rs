//! The facade: one clone on disk, and what can be done with it.

mod adopt;
mod background;
mod branch_delete;
mod branch_words;
mod branches;
mod card;
mod checkout;
mod clone;
mod commit;
mod content;
mod depth;
mod fsck;
mod history;
mod history_words;
mod holders;
mod integrate;
mod look;
mod look_files;
mod look_remote;
mod open;
mod prepare;
mod prune;
mod pull;
mod push;
mod recorded;
mod refs;
mod revision;
mod rewrite;
mod scope;
mod stage;
mod tag_words;
mod tags;
mod target;
mod token;
mod track;
mod upstream;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use branch_words::{Branch, BranchOptions, BranchOutcome, CheckedOut, Unmerged};
pub use checkout::{CheckoutOptions, CheckoutReport};
pub use commit::CommitOutcome;
pub use fsck::FsckOptions;
pub use history_words::{CleanupPlan, HistoryReport, Retention, UnreferencedObject};
pub use look::{Status, StatusEntry};
pub use prepare::{LfsEngine, PrepareRepository};
pub use prune::{PruneOptions, PruneReport};
pub use pull::{PullReport, PullStrategy};
pub use push::PushOptions;
pub use refs::Where;
pub use rewrite::{RewriteOptions, RewriteReport};
pub use scope::{CommitScope, EarlierChanges, ScopeOptions, ScopeOutcome, ScopePush, ScopeReport};
pub use tag_words::{Tag, TagKind, TagOptions, TagOutcome};
pub use track::{TrackOptions, TrackReport};

use crate::error::Result;
use crate::local::Local;
use crate::push::Pushes;

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
    local: Arc<Local>,
    pushes: Pushes,
}

/// Opening.
impl Repository {
    /// Describes a clone of `source` in `folder`; see [`PrepareRepository`] for what comes next.
    ///
    /// `source` may be an id (`user/model`, `datasets/user/name`), a Hub URL, an `hf://` address,
    /// the URL of another git server (https or ssh), or the path of a repository on this machine.
    pub fn prepare(source: impl Into<String>, folder: impl Into<PathBuf>) -> PrepareRepository {
        PrepareRepository::new(source.into(), folder.into())
    }

    /// Opens the clone whose work tree's root is `folder`, without any network.
    ///
    /// # Errors
    /// [`ErrorKind::NotARepository`](crate::ErrorKind::NotARepository) if there is none,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for bare repositories and formats
    /// this library does not know.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        PrepareRepository::existing(folder.into()).open()
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("workdir", &self.local.workdir)
            .finish_non_exhaustive()
    }
}

/// Looking.
impl Repository {
    /// The root of the work tree.
    pub fn workdir(&self) -> &Path {
        &self.local.workdir
    }
}
