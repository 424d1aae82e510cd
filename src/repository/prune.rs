use super::Repository;
use crate::config::{Config, Use};
use crate::error::{Error, ErrorKind, Result};
use crate::git::Git;
use crate::id::{CommitId, LfsOid};
use crate::lfs::Object;
use crate::lfs::pruning::{KeepRecent, PruneWish, Pruning, VerifyRemote};
use crate::lfs::store::Stored;
use crate::name::RemoteName;
use crate::worktree::{SharedStore, Survey};

/// How to prune.
///
/// ```
/// use hf_repository::{KeepRecent, PruneOptions, VerifyRemote};
/// // What could go if only what was pushed, as far as is known here, and HEAD counted?
/// let options = PruneOptions::default()
///     .dry_run()
///     .verify_remote(VerifyRemote::TrackingRefs)
///     .keep_recent(KeepRecent::Nothing);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PruneOptions {
    wish: PruneWish,
    shared: SharedStore,
}

impl PruneOptions {
    /// Only reports what would be deleted.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.wish.how = Pruning::DryRun;
        self
    }

    /// How to find out what the remote has.
    ///
    /// Unless this is called the built-in engine does as [`VerifyRemote::AskServer`] says, and git-lfs
    /// as its `lfs.pruneverifyremotealways` says.
    #[must_use]
    pub fn verify_remote(mut self, verify: VerifyRemote) -> Self {
        self.wish.verify = Some(verify);
        self
    }

    /// What to keep only because it is recent; as git's config says unless this is called.
    #[must_use]
    pub fn keep_recent(mut self, recent: KeepRecent) -> Self {
        self.wish.recent = recent;
        self
    }

    /// Who uses the store, if it lies outside the clone; it is not pruned unless this is called.
    #[must_use]
    pub fn shared_store(mut self, shared: SharedStore) -> Self {
        self.shared = shared;
        self
    }
}

/// What [`Repository::prune`] removed from the local LFS store, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// How many objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Which they are, in order.
    pub oids: Vec<LfsOid>,
    /// Objects that nothing here needs, and that commits on the remote name, but that the LFS server did
    /// not say it has: they stay. Empty if it was not asked.
    pub unconfirmed: Vec<LfsOid>,
}

impl PruneReport {
    fn new(mut stored: Vec<Stored>, mut unconfirmed: Vec<LfsOid>) -> Self {
        stored.sort_by_key(|stored| stored.oid);
        unconfirmed.sort();
        Self {
            objects: stored.len(),
            bytes: stored.iter().map(|stored| stored.bytes).sum(),
            oids: stored.iter().map(|stored| stored.oid).collect(),
            unconfirmed,
        }
    }
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
    ///   the tracking refs remember of it does not count;
    /// * the commit of a branch, tracking ref or tag of the last days, as `lfs.fetchrecentrefsdays` and
    ///   the like say: see [`KeepRecent`].
    ///
    /// Of the others, those that commits on the remote name are deleted if the LFS server says that it
    /// has them: a later checkout downloads them again. Those that no commit names (a file that was
    /// staged, and staged again before the commit) are deleted when they are an hour old. Reflogs do
    /// not count: a commit that only a reflog names may lose its objects.
    ///
    /// With [`LfsEngine::GitLfs`](crate::LfsEngine::GitLfs) this is `git lfs prune`, with its settings
    /// and its judgement. `docs/pruning.md` in the repository says where the two differ.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the store lies outside the clone, where other
    /// clones may need it; [`Locked`](ErrorKind::Locked) if somebody else is changing the index;
    /// [`ProgramFailed`](ErrorKind::ProgramFailed) with git-lfs's own words; and those of credentials
    /// and network.
    pub fn prune(&self) -> Result<PruneReport> {
        self.prune_with(&PruneOptions::default())
    }

    /// Prunes as `options` say.
    ///
    /// ```no_run
    /// use hf_repository::{PruneOptions, Repository};
    /// let repo = Repository::open("out")?;
    /// let would = repo.prune_with(&PruneOptions::default().dry_run())?;
    /// println!("{} objects, {} bytes: {:?}", would.objects, would.bytes, would.oids);
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`prune`](Self::prune), and [`ErrorKind::InvalidName`] if `lfs.pruneremotetocheck` names no
    /// remote that could be.
    pub fn prune_with(&self, options: &PruneOptions) -> Result<PruneReport> {
        let _span = tracing::info_span!("prune", how = ?options.wish.how).entered();
        self.settle();
        options
            .shared
            .check(&self.local.store, &self.local.common_dir)?;
        let by_engine = {
            let _lock = self.local.lock(&[])?;
            // git-lfs looks at branches and tags alone.
            if self.local.git()?.has_unnamed_promises()? {
                None
            } else {
                self.local.engine.prune(options.wish, &self.local.cancel)?
            }
        };
        let report = match by_engine {
            Some(stored) => PruneReport::new(stored, Vec::new()),
            None => self.prune_by_refs(options.wish)?,
        };
        tracing::info!(report.objects, report.bytes, "pruned");
        Ok(report)
    }

    /// Prunes what the remote has, by its own refs or by those that remember it.
    fn prune_by_refs(&self, wish: PruneWish) -> Result<PruneReport> {
        let git = self.local.git()?;
        let config = git.whole_config()?;
        let checked = remote_to_check(&config)?;
        match wish.verify {
            None | Some(VerifyRemote::AskServer) => self.prune_asking(&git, wish, &config, checked),
            Some(VerifyRemote::TrackingRefs) => {
                let remote = checked.as_ref().unwrap_or(self.local.remote_name());
                let tracked = tracked(&git, remote)?;
                self.prune_by(&git, wish, &config, &[&tracked], &|objects| {
                    Ok(objects.to_vec())
                })
            }
        }
    }

    fn prune_asking(
        &self,
        git: &Git,
        wish: PruneWish,
        config: &Config,
        checked: Option<RemoteName>,
    ) -> Result<PruneReport> {
        let local = &self.local;
        let remote = local.remote.git(Use::Fetch, &local.cancel)?;
        let advertised = git.fetch_advertisement(&remote, &local.cancel)?;
        let tips = advertised.refs.iter();
        let confirmed: Vec<CommitId> = tips.filter_map(|tip| git.known_commit(tip.id)).collect();
        // Another remote is to have it as well; what is known of that one are tracking refs.
        let checked = checked.filter(|checked| checked != local.remote_name());
        let tracked = checked.map(|checked| tracked(git, &checked)).transpose()?;
        let mut pushed: Vec<&[CommitId]> = vec![&confirmed];
        pushed.extend(tracked.as_deref());
        let lfs = local.remote.lfs(git, Use::Fetch, None)?;
        self.prune_by(git, wish, config, &pushed, &|objects| {
            local.engine.there(&lfs, objects, &local.cancel)
        })
    }

    fn prune_by(
        &self,
        git: &Git,
        wish: PruneWish,
        config: &Config,
        pushed: &[&[CommitId]],
        there: &dyn Fn(&[Object]) -> Result<Vec<Object>>,
    ) -> Result<PruneReport> {
        let survey = Survey {
            context: self.local.context(git),
            pushed,
            there,
            window: wish.recent.window(config),
            lock: &|| self.local.lock(&["index.lock"]),
        };
        let plan = survey.plan()?;
        let stored = match wish.how {
            Pruning::DryRun => plan.all().copied().collect(),
            Pruning::Delete => survey.carry_out(&plan)?,
        };
        Ok(PruneReport::new(stored, plan.unconfirmed))
    }
}

/// The remote that the user wants to have what is deleted here.
fn remote_to_check(config: &Config) -> Result<Option<RemoteName>> {
    const KEY: &str = "lfs.pruneremotetocheck";
    let Some(name) = config.get(KEY).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let name: Result<RemoteName> = name.parse();
    name.map(Some).map_err(|error| {
        Error::new(ErrorKind::InvalidName, format!("cannot prune: {error}"))
            .with_hint(format!("correct it: git config {KEY} <remote>"))
    })
}

/// What a remote has, as far as is remembered here.
fn tracked(git: &Git, remote: &RemoteName) -> Result<Vec<CommitId>> {
    git.tracked(remote)
}
