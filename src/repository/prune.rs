use super::Repository;
use crate::error::Result;

/// What [`Repository::prune`] removed from the local LFS store.
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
    /// Deletes LFS objects from the local store that are neither checked out, nor recent, nor
    /// waiting to be pushed.
    ///
    /// For now this is `git lfs prune`, with its settings and its judgement, and needs
    /// [`LfsEngine::GitLfs`](crate::LfsEngine::GitLfs).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) with the built-in engine, which
    /// never deletes an object; [`ProgramFailed`](crate::ErrorKind::ProgramFailed) with git-lfs's
    /// own words.
    pub fn prune(&self) -> Result<PruneReport> {
        let _span = tracing::info_span!("prune").entered();
        self.settle();
        let _lock = self.local.lock(&[])?;
        let (objects, bytes) = self.local.engine.prune(&self.local.cancel)?;
        tracing::info!(objects, bytes, "pruned");
        Ok(PruneReport { objects, bytes })
    }
}
