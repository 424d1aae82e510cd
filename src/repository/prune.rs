use super::Repository;
use crate::config::Use;
use crate::error::Result;
use crate::id::CommitId;
use crate::lfs::Pruning;
use crate::worktree::{Prune, Pruned};

/// How to prune.
///
/// ```
/// use hf_repository::PruneOptions;
/// let options = PruneOptions::default().dry_run();
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PruneOptions {
    how: Pruning,
}

impl PruneOptions {
    /// Only reports what would be deleted.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.how = Pruning::DryRun;
        self
    }
}

/// What [`Repository::prune`] removed from the local LFS store, or would remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// How many objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Pruning.
impl Repository {
    /// Deletes LFS objects from the local store that this clone does not need.
    ///
    /// An object stays if one of these names it:
    /// * the index or the checked-out commit, here or in another work tree of the same clone;
    /// * a stash;
    /// * a commit that a branch, a tag, any other ref, a detached HEAD or an unfinished merge or
    ///   rebase leads to, and that the remote does not have. The remote is asked for its refs; what
    ///   the tracking refs remember of it does not count.
    ///
    /// Of the others, those that commits on the remote name are deleted if the LFS server says that it
    /// has them: a later checkout downloads them again. Those that no commit names (a file that was
    /// staged, and staged again before the commit) are deleted when they are an hour old. Reflogs do
    /// not count: a commit that only a reflog names may lose its objects.
    ///
    /// With [`LfsEngine::GitLfs`](crate::LfsEngine::GitLfs) this is `git lfs prune`, with its settings
    /// and its judgement.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if `lfs.storage` puts the objects outside the clone, where other
    /// clones may need them; [`Locked`](crate::ErrorKind::Locked) if somebody else is changing the index;
    /// [`ProgramFailed`](crate::ErrorKind::ProgramFailed) with git-lfs's own words; and those of credentials
    /// and network.
    pub fn prune(&self) -> Result<PruneReport> {
        self.prune_with(&PruneOptions::default())
    }

    /// Prunes as `options` say.
    ///
    /// # Errors
    /// As [`prune`](Self::prune).
    pub fn prune_with(&self, options: &PruneOptions) -> Result<PruneReport> {
        let _span = tracing::info_span!("prune", how = ?options.how).entered();
        self.settle();
        let by_engine = {
            let _lock = self.local.lock(&[])?;
            self.local.engine.prune(options.how, &self.local.cancel)?
        };
        let Pruned { objects, bytes } = match by_engine {
            Some((objects, bytes)) => Pruned { objects, bytes },
            None => self.prune_by_refs(options.how)?,
        };
        tracing::info!(objects, bytes, "pruned");
        Ok(PruneReport { objects, bytes })
    }

    /// Prunes what the remote has by its own refs, asked for now.
    fn prune_by_refs(&self, how: Pruning) -> Result<Pruned> {
        let local = &self.local;
        let git = local.git()?;
        let remote = local.remote.git(Use::Fetch, &local.cancel)?;
        let advertised = git.fetch_advertisement(&remote, &local.cancel)?;
        let tips = advertised.refs.iter();
        let confirmed: Vec<CommitId> = tips.filter_map(|tip| git.known_commit(tip.id)).collect();
        let prune = Prune {
            context: local.context(&git),
            remote: &local.remote.lfs(&git, Use::Fetch, None)?,
            confirmed: &confirmed,
            lock: &|| local.lock(&["index.lock"]),
        };
        let plan = prune.plan()?;
        match how {
            Pruning::DryRun => Ok(plan.total()),
            Pruning::Delete => prune.carry_out(&plan),
        }
    }
}
