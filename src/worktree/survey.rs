//! Looking at every object of a store, and deleting those that nobody needs.
//!
//! The proofs are those of [`prune`](super::prune), with one more way: what no commit names, and so
//! may be nowhere else, goes when it is so old that nobody can be about to use it. `git add` holds
//! git's lock on the index from before it looks at the store; so does whoever deletes here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Context;
use super::keep::{keep_set, recent_objects};
use super::pointers::Pointers;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::AdvisoryLock;
use crate::id::{CommitId, LfsOid};
use crate::lfs::Object;
use crate::lfs::pruning::Window;
use crate::lfs::store::{Store, Stored};

/// How long an object that no commit names is left alone.
///
/// Staging hashes a file first and names it in the index at the end: with hundreds of gigabytes to
/// read, or by a program that makes commits without an index, that may take a while. Whatever is
/// stored again becomes young again.
const UNNAMED_AGE: Duration = Duration::from_secs(60 * 60);

/// Who may need what lies in a store outside the clone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedStore {
    /// Perhaps other clones: nothing is deleted.
    #[default]
    Refuse,
    /// This clone, with its work trees, and nobody else: the caller has made sure of it.
    OnlyThisClone,
}

impl SharedStore {
    /// Refuses to delete anything from a store that others may use.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub(crate) fn check(self, store: &Store, common_dir: &Path) -> Result<()> {
        if self == Self::OnlyThisClone || store.is_inside(common_dir) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "cannot prune: the LFS store lies outside the clone (lfs.storage, or a link), where others may need it",
        )
        .with_hint("if no other clone uses that folder, prune with SharedStore::OnlyThisClone"))
    }
}

/// A look at a whole store, and what to go by.
pub(crate) struct Survey<'a> {
    pub(crate) context: Context<'a>,
    /// Commits each remote has that counts; an object goes if all have it.
    pub(crate) pushed: &'a [&'a [CommitId]],
    /// Those of the objects that the remote has.
    pub(crate) there: &'a dyn Fn(&[Object]) -> Result<Vec<Object>>,
    pub(crate) window: Window,
    /// Takes the clone's lock. It is asked for late: nobody should wait for our questions to a server.
    pub(crate) lock: &'a dyn Fn() -> Result<AdvisoryLock>,
}

/// What can be deleted, as things are now.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Named by commits the remote has, and the remote has them.
    there: Vec<Stored>,
    /// Named by no commit, and old.
    unnamed: Vec<Stored>,
    /// Named by commits the remote has, and yet the remote does not have them.
    pub(crate) unconfirmed: Vec<LfsOid>,
}

impl Plan {
    /// What it would delete.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Stored> {
        self.there.iter().chain(&self.unnamed)
    }
}

impl Survey<'_> {
    /// Looks at every object of the store.
    ///
    /// # Errors
    /// If the clone cannot be read, or the remote cannot be asked.
    pub(crate) fn plan(&self) -> Result<Plan> {
        let Context {
            git, store, cancel, ..
        } = self.context;
        let mut keep = self.keep_set()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs().cast_signed());
        keep.extend(recent_objects(git, &self.window, now, cancel)?);
        let mut rest: HashMap<LfsOid, Stored> = store
            .stored()?
            .into_iter()
            .filter(|stored| !keep.contains(&stored.oid))
            .map(|stored| (stored.oid, stored))
            .collect();
        let mut plan = Plan::default();
        let named = self.named_there(&rest)?;
        let confirmed: HashSet<Object> = (self.there)(&named)?.into_iter().collect();
        for object in named {
            if let Some(stored) = rest.remove(&object.oid) {
                if confirmed.contains(&object) {
                    plan.there.push(stored);
                } else {
                    plan.unconfirmed.push(object.oid);
                }
            }
        }
        let old = |stored: &Stored| stored.is_older(UNNAMED_AGE);
        plan.unnamed = rest.into_values().filter(old).collect();
        Ok(plan)
    }

    /// Deletes what the plan says, but for objects that have come to be needed since; those that went.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if somebody else works on the clone; others if it cannot be read or
    /// written. What was deleted stays deleted.
    pub(crate) fn carry_out(&self, plan: &Plan) -> Result<Vec<Stored>> {
        let mut gone = Vec::new();
        if plan.all().next().is_none() {
            return Ok(gone);
        }
        let _lock = (self.lock)()?;
        // Given back as it is: nothing is staged here, and by nobody else meanwhile.
        let _index = self.context.git.index_to_change()?;
        // What is only recent needs no second look: the remote has it.
        let keep = self.keep_set()?;
        let store = self.context.store;
        let free = |stored: &&Stored| !keep.contains(&stored.oid);
        for stored in plan.there.iter().filter(free) {
            gone.extend(store.remove(stored.oid)?.map(|_| *stored));
        }
        for stored in plan.unnamed.iter().filter(free) {
            let removed = store.remove_if_older(stored.oid, UNNAMED_AGE)?;
            gone.extend(removed.map(|_| *stored));
        }
        Ok(gone)
    }

    fn keep_set(&self) -> Result<HashSet<LfsOid>> {
        keep_set(self.context.git, self.pushed, self.context.cancel)
    }

    /// Those of the stored objects that the pushed commits name, with all that came before them.
    fn named_there(&self, stored: &HashMap<LfsOid, Stored>) -> Result<Vec<Object>> {
        let Context { git, cancel, .. } = self.context;
        let Some(pushed) = self.pushed.first() else {
            return Ok(Vec::new());
        };
        let mut pointers = Pointers::new(git);
        let (mut seen, mut named) = (HashSet::new(), BTreeSet::new());
        let mut oids = HashSet::new();
        for commit in git.commits_beyond(pushed, &[])? {
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
