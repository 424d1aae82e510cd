//! Deleting LFS objects nobody needs any more from the local store.
//!
//! Two proofs are needed for an object: it is not in the [`keep_set`], taken twice, the second time
//! with the clone's lock in hand; and it is on the remote, by the remote's own word, or so old that
//! nobody can be about to use it.
//!
//! The lock keeps our own staging away. It does not keep others away, `git add` with git-lfs above
//! all, which writes an object only if the store lacks it, and names it in the index a moment later.
//! An object that is deleted within that moment is one the remote has, so it can be had again; for
//! those that the remote may lack there is [`UNNAMED_AGE`], and git's lock on the index, which
//! `git add` holds from before it looks at the store.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::Context;
use super::keep::keep_set;
use super::pointers::Pointers;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::AdvisoryLock;
use crate::git::{Git, ObjectId};
use crate::id::{CommitId, LfsOid};
use crate::lfs::store::Stored;
use crate::lfs::{Object, Remote};

/// How long an object that no commit names is left alone.
///
/// Staging hashes a file first and names it in the index at the end: with hundreds of gigabytes to
/// read, or by a program that makes commits without an index, that may take a while. Whatever is
/// stored again becomes young again.
const UNNAMED_AGE: Duration = Duration::from_secs(60 * 60);

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

/// What can be deleted, as things are now.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Named by commits the remote has, and the remote has them.
    there: Vec<Stored>,
    /// Named by no commit, and old.
    unnamed: Vec<Stored>,
}

impl Plan {
    pub(crate) fn total(&self) -> Pruned {
        let mut total = Pruned::default();
        for stored in self.there.iter().chain(&self.unnamed) {
            total.add(Some(stored.bytes));
        }
        total
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
    /// to any more: see [`objects_brought`].
    ///
    /// # Errors
    /// If the clone cannot be read. What was deleted stays deleted.
    pub(crate) fn abandoned(&self, candidates: impl IntoIterator<Item = Object>) -> Result<Pruned> {
        self.delete(&self.not_needed(candidates)?)
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
        let mut pruned = Pruned::default();
        if objects.is_empty() {
            return Ok(pruned);
        }
        let _lock = (self.lock)()?;
        let keep = self.keep_set()?;
        for Object { oid, .. } in objects {
            if !keep.contains(oid) {
                pruned.add(self.context.store.remove(*oid)?);
            }
        }
        Ok(pruned)
    }

    /// Looks at every object of the store.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the store lies outside the clone; others as
    /// [`candidates`](Self::candidates).
    pub(crate) fn plan(&self) -> Result<Plan> {
        let Context {
            git,
            store,
            engine,
            cancel,
            ..
        } = self.context;
        if !store.is_inside(git.common_dir()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "cannot prune: lfs.storage puts the objects outside the clone, where others may need them",
            )
            .with_hint("if no other clone uses that folder, run: git lfs prune --verify-remote"));
        }
        let keep = self.keep_set()?;
        let mut rest: HashMap<LfsOid, Stored> = store
            .stored()?
            .into_iter()
            .filter(|stored| !keep.contains(&stored.oid))
            .map(|stored| (stored.oid, stored))
            .collect();
        let named = self.named_there(&rest)?;
        let there = engine.there(self.remote, &named, cancel)?;
        let there = there.iter().filter_map(|object| rest.get(&object.oid));
        let there = there.copied().collect();
        for object in &named {
            rest.remove(&object.oid);
        }
        let old = |stored: &Stored| stored.is_older(UNNAMED_AGE);
        Ok(Plan {
            there,
            unnamed: rest.into_values().filter(old).collect(),
        })
    }

    /// Deletes what the plan says, but for objects that have come to be needed since.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if somebody else works on the clone; others if it cannot be read or
    /// written. What was deleted stays deleted.
    pub(crate) fn carry_out(&self, plan: &Plan) -> Result<Pruned> {
        if plan.total().objects == 0 {
            return Ok(Pruned::default());
        }
        let _lock = (self.lock)()?;
        // Given back as it is: nothing is staged here, and by nobody else meanwhile.
        let _index = self.context.git.index_to_change()?;
        let keep = self.keep_set()?;
        let store = self.context.store;
        let mut pruned = Pruned::default();
        let free = |stored: &&Stored| !keep.contains(&stored.oid);
        for stored in plan.there.iter().filter(free) {
            pruned.add(store.remove(stored.oid)?);
        }
        for stored in plan.unnamed.iter().filter(free) {
            pruned.add(store.remove_if_older(stored.oid, UNNAMED_AGE)?);
        }
        Ok(pruned)
    }

    fn keep_set(&self) -> Result<HashSet<LfsOid>> {
        keep_set(self.context.git, self.confirmed, self.context.cancel)
    }

    /// Those of the stored objects that the confirmed commits name, with all that came before them.
    fn named_there(&self, stored: &HashMap<LfsOid, Stored>) -> Result<Vec<Object>> {
        let Context { git, cancel, .. } = self.context;
        let mut pointers = Pointers::new(git);
        let (mut seen, mut named) = (HashSet::new(), BTreeSet::new());
        let mut oids = HashSet::new();
        for commit in git.commits_beyond(self.confirmed, &[])? {
            // Newest first: what was replaced lately is found long before the history ends.
            if oids.len() == stored.len() {
                break;
            }
            cancel.check()?;
            let mut blobs = HashSet::new();
            git.blobs_brought_by(commit, &mut blobs)?;
            for blob in blobs {
                if seen.insert(blob)
                    && let Some(object) = pointers.get(blob)?
                    && stored.contains_key(&object.oid)
                {
                    oids.insert(object.oid);
                    named.insert(object);
                }
            }
        }
        let mut named: Vec<Object> = named.into_iter().collect();
        // Two pointers may disagree about a size; servers must not be asked twice about one object.
        named.dedup_by_key(|object| object.oid);
        Ok(named)
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
