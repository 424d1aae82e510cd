//! Deleting what a push made superfluous; [`survey`](super::survey) looks at a whole store.
//!
//! Two proofs are needed for an object: it is not in the [`keep_set`], taken twice, the second time
//! with the clone's lock in hand; and it is on the remote, by the remote's own word.
//!
//! The lock keeps our own staging away. It does not keep others away, `git add` with git-lfs above
//! all, which writes an object only if the store lacks it, and names it in the index a moment later.
//! An object that is deleted within that moment is one the remote has, so it can be had again; where
//! it is not, the index is locked, too.

use std::collections::{BTreeSet, HashSet};

use super::Context;
use super::keep::keep_set;
use super::pointers::Pointers;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::lock::AdvisoryLock;
use crate::git::{Git, ObjectId};
use crate::id::{CommitId, LfsOid};
use crate::lfs::{Object, Remote};

/// What to go by when deleting objects.
pub(crate) struct Prune<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) remote: &'a Remote,
    /// Commits the server has, as it said itself just now: by its answer to a push, or by the refs it
    /// advertises. Never those of tracking refs, which may be long gone.
    pub(crate) confirmed: &'a [CommitId],
    /// Takes the clone's lock. It is asked for late: nobody should wait for our questions to a server.
    pub(crate) lock: &'a dyn Fn() -> Result<AdvisoryLock>,
}

/// Objects to delete, or deleted: how many, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    pub(crate) objects: usize,
    pub(crate) bytes: u64,
}

impl Pruned {
    fn add(&mut self, bytes: Option<u64>) {
        self.objects += usize::from(bytes.is_some());
        self.bytes += bytes.unwrap_or_default();
    }
}

impl Prune<'_> {
    /// Deletes those of the `candidates` that are on the remote and not needed here.
    ///
    /// For after a push: see [`replaced_objects`]. However young they are, they go, or a fast
    /// training loop would fill the disk. A store outside the clone is left alone.
    ///
    /// # Errors
    /// If the clone cannot be read, or the remote cannot be asked. What was deleted stays deleted.
    pub(crate) fn candidates(
        &self,
        candidates: impl IntoIterator<Item = Object>,
    ) -> Result<Pruned> {
        let Context { engine, cancel, .. } = self.context;
        let found = self.not_needed(candidates)?;
        if found.is_empty() {
            return Ok(Pruned::default());
        }
        self.delete(&engine.there(self.remote, &found, cancel)?)
    }

    /// Deletes those of the `candidates` that are not needed here, be they on the remote or not.
    ///
    /// For what commits brought in that were given up before they were pushed, and that no ref leads
    /// to any more: see [`objects_brought`]. Nobody else may have them, so the index is locked as
    /// well; other work trees have one each, and there they are left to [`survey`](super::survey).
    ///
    /// # Errors
    /// If the clone cannot be read. What was deleted stays deleted.
    pub(crate) fn abandoned(&self, candidates: impl IntoIterator<Item = Object>) -> Result<Pruned> {
        let git = self.context.git;
        let found = self.not_needed(candidates)?;
        if found.is_empty() || git.work_tree_folders()?.len() > 1 {
            return Ok(Pruned::default());
        }
        let _lock = (self.lock)()?;
        let index = git.git_dir().join("index");
        let (mut before, mut after) = (HashSet::new(), HashSet::new());
        git.blobs_of_index(&index, &mut before)?;
        let mut keep = self.keep_set()?;
        // Not for longer than needed: whoever finds it locked gives up at once.
        let _index = git.index_to_change()?;
        git.blobs_of_index(&index, &mut after)?;
        let added = objects(git, after.difference(&before))?;
        keep.extend(added.into_iter().map(|object| object.oid));
        self.delete_but(&keep, &found)
    }

    /// Those of the objects that are here and that nothing keeps.
    fn not_needed(&self, objects: impl IntoIterator<Item = Object>) -> Result<Vec<Object>> {
        let Context { git, store, .. } = self.context;
        if !store.is_inside(git.common_dir()) {
            tracing::debug!("the store may serve other clones as well: nothing is pruned");
            return Ok(Vec::new());
        }
        let objects = objects.into_iter();
        let mut found: Vec<Object> = objects.filter(|object| store.contains(*object)).collect();
        if !found.is_empty() {
            let keep = self.keep_set()?;
            found.retain(|object| !keep.contains(&object.oid));
        }
        Ok(found)
    }

    /// Deletes the objects, but for those that have come to be needed since they were found.
    fn delete(&self, objects: &[Object]) -> Result<Pruned> {
        if objects.is_empty() {
            return Ok(Pruned::default());
        }
        let _lock = (self.lock)()?;
        self.delete_but(&self.keep_set()?, objects)
    }

    fn delete_but(&self, keep: &HashSet<LfsOid>, objects: &[Object]) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for Object { oid, .. } in objects {
            if !keep.contains(oid) {
                pruned.add(self.context.store.remove(*oid)?);
            }
        }
        Ok(pruned)
    }

    fn keep_set(&self) -> Result<HashSet<LfsOid>> {
        keep_set(self.context.git, &[self.confirmed], self.context.cancel)
    }
}

/// The objects that the commits after `old`, up to `new`, made superfluous: those they replaced or
/// removed, and those they brought in that are no longer part of `new`.
///
/// They are what to look at after a push that moved a branch from `old` to `new`; whether they are
/// needed elsewhere is for [`Prune::candidates`] to find out.
pub(crate) fn replaced_objects(
    git: &Git,
    old: Option<CommitId>,
    new: CommitId,
    cancel: &CancelToken,
) -> Result<Vec<Object>> {
    let mut blobs = HashSet::new();
    for commit in git.commits_beyond(&[new], old.as_slice())? {
        cancel.check()?;
        let tree = git.tree_of(commit)?;
        for parent in git.parents_of(commit)? {
            git.blobs_beyond(git.tree_of(parent)?, &[tree], &mut blobs)?;
        }
        git.blobs_brought_by(commit, &mut blobs)?;
    }
    let mut current = HashSet::new();
    git.blobs_beyond(git.tree_of(new)?, &[], &mut current)?;
    objects(git, blobs.difference(&current))
}

/// The objects that the commits after `old`, up to `new`, brought in.
pub(crate) fn objects_brought(
    git: &Git,
    old: Option<CommitId>,
    new: CommitId,
    cancel: &CancelToken,
) -> Result<Vec<Object>> {
    let mut blobs = HashSet::new();
    for commit in git.commits_beyond(&[new], old.as_slice())? {
        cancel.check()?;
        git.blobs_brought_by(commit, &mut blobs)?;
    }
    objects(git, &blobs)
}

/// What the pointers among the blobs name, empty objects left aside.
fn objects<'a>(git: &Git, blobs: impl IntoIterator<Item = &'a ObjectId>) -> Result<Vec<Object>> {
    let mut pointers = Pointers::new(git);
    let mut objects = BTreeSet::new();
    for blob in blobs {
        objects.extend(pointers.get(*blob)?.filter(|object| object.size > 0));
    }
    Ok(objects.into_iter().collect())
}

#[cfg(test)]
mod tests;
