//! Getting damaged objects from where they are whole.
//!
//! Nothing is deleted: what is damaged is moved to `bad` in the store, and stays there; what could not be
//! read is moved back if nothing takes its place, for it may be whole. Each object then comes from the work tree, from a repository that this one borrows from, or from the server,
//! and is hashed on its way. Killed anywhere, the next check finds the object missing, and goes on.

use std::collections::{BTreeMap, HashMap};

use super::{Damage, DamagedObject, Findings, Repair};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::AdvisoryLock;
use crate::id::{CommitId, LfsOid};
use crate::lfs::store::Store;
use crate::lfs::{Job, Object, Outcome, Remote};
use crate::path::RepoPath;
use crate::worktree::{Context, Folders};

/// Where whole objects come from.
pub(crate) struct Repairing<'a> {
    pub(crate) context: Context<'a>,
    /// Looked up when something has to be downloaded.
    pub(crate) remote: &'a dyn Fn() -> Result<Remote>,
    pub(crate) remote_name: &'a str,
    /// Takes the clone's lock.
    pub(crate) lock: &'a dyn Fn() -> Result<AdvisoryLock>,
}

impl Repairing<'_> {
    /// Repairs what can be repaired; what became of each object is in the report.
    ///
    /// # Errors
    /// If cancelled, or the clone cannot be read or locked.
    pub(crate) fn run(&self, findings: &mut Findings) -> Result<()> {
        if findings.report.objects.is_empty() {
            return Ok(());
        }
        // Whoever stages now would take a damaged object for a whole one; and what is made with the
        // lock in hand gets the permissions of `core.sharedRepository`.
        let _lock = (self.lock)()?;
        self.set_aside(findings);
        let done = self.replace(findings);
        put_back(self.context.store, &mut findings.report.objects);
        done
    }

    fn replace(&self, findings: &mut Findings) -> Result<()> {
        let Findings { report, sizes, .. } = findings;
        let mut folders = Folders::new(self.context.git);
        let mut left: BTreeMap<Option<CommitId>, Vec<&mut DamagedObject>> = BTreeMap::new();
        for damaged in &mut report.objects {
            if !matches!(damaged.repair, Repair::NotTried) {
                continue;
            }
            self.context.cancel.check()?;
            let others = sizes.get(&damaged.oid).map_or(&[][..], Vec::as_slice);
            match self.take_here(damaged, others, &mut folders) {
                Ok(Some((repair, size))) => {
                    damaged.repair = repair;
                    damaged.size = size;
                }
                Ok(None) => left.entry(damaged.commit).or_default().push(damaged),
                Err(_) if self.context.cancel.is_cancelled() => return Err(Error::cancelled()),
                Err(error) => damaged.repair = Repair::Failed(error),
            }
        }
        for (commit, mut damaged) in left {
            while !damaged.is_empty() {
                damaged = self.download(commit, damaged)?;
                damaged.retain_mut(|refused| {
                    let other = sizes.get_mut(&refused.oid).and_then(Vec::pop);
                    refused.size = other.unwrap_or(refused.size);
                    other.is_some()
                });
            }
        }
        Ok(())
    }

    /// Moves what is no object out of the way of what will be.
    fn set_aside(&self, findings: &mut Findings) {
        for damaged in &mut findings.report.objects {
            let Some(seen) = findings.seen.get(&damaged.oid) else {
                continue;
            };
            match self.context.store.set_aside(damaged.oid, seen) {
                Ok(Some(place)) => damaged.set_aside = Some(place),
                Ok(None) => {
                    let text = format!(
                        "the LFS object {} was replaced meanwhile, or lies behind a link",
                        damaged.oid
                    );
                    let error = Error::new(ErrorKind::FileChanged, text);
                    damaged.repair = Repair::Failed(error.with_hint("check once more"));
                }
                Err(error) => damaged.repair = Repair::Failed(error),
            }
        }
    }

    /// Makes the object of what this machine has.
    fn take_here(
        &self,
        damaged: &DamagedObject,
        others: &[u64],
        folders: &mut Folders<'_>,
    ) -> Result<Option<(Repair, u64)>> {
        let Context {
            git, store, cancel, ..
        } = self.context;
        for size in [damaged.size].iter().chain(others) {
            let object = Object {
                size: *size,
                ..damaged.object()
            };
            for path in &damaged.paths {
                // Never through a link: what lies behind it is not in the work tree.
                if folders.holds(path)?
                    && store.adopt(object, &path.under(git.workdir()), cancel)?
                {
                    return Ok(Some((Repair::FromWorktree, *size)));
                }
            }
            if store.obtain(object, cancel)? {
                return Ok(Some((Repair::FromAlternate, *size)));
            }
        }
        Ok(None)
    }

    /// Downloads objects that a commit names, or the index; those that could not be had.
    fn download<'d>(
        &self,
        commit: Option<CommitId>,
        mut damaged: Vec<&'d mut DamagedObject>,
    ) -> Result<Vec<&'d mut DamagedObject>> {
        let Context {
            engine,
            progress,
            cancel,
            git,
            ..
        } = self.context;
        let objects: Vec<Object> = damaged.iter().map(|damaged| damaged.object()).collect();
        let named = damaged
            .iter()
            .filter_map(|damaged| Some((damaged.oid, damaged.paths.first()?.clone())));
        let names: HashMap<LfsOid, RepoPath> = named.collect();
        let fetch = || {
            engine.download(&Job {
                remote: &(self.remote)()?,
                remote_name: self.remote_name,
                ref_name: None,
                commit: match commit {
                    Some(commit) => Some(commit),
                    None => git.head()?.commit(),
                },
                objects: &objects,
                names: &names,
                progress,
                cancel,
            })
        };
        match fetch() {
            Ok(report) => {
                let mut outcomes: HashMap<Object, Outcome> = report.outcomes.into_iter().collect();
                for damaged in &mut damaged {
                    damaged.repair = match outcomes.remove(&damaged.object()) {
                        Some(Outcome::Transferred | Outcome::AlreadyThere) => Repair::Downloaded,
                        Some(Outcome::Failed(error)) => Repair::Failed(error),
                        None => Repair::Failed(lost(damaged.oid)),
                    };
                }
                damaged.retain(|damaged| !damaged.is_repaired());
                Ok(damaged)
            }
            Err(_) if cancel.is_cancelled() => Err(Error::cancelled()),
            Err(error) => {
                for damaged in damaged {
                    damaged.repair = Repair::Failed(error.clone());
                }
                Ok(Vec::new())
            }
        }
    }
}

/// What nobody could read is still there if nothing better is: it may be readable again, and whole.
fn put_back(store: &Store, objects: &mut [DamagedObject]) {
    let unreadable = |one: &&mut DamagedObject| matches!(one.damage, Damage::Unreadable(_));
    for damaged in objects.iter_mut().filter(unreadable) {
        let Some(place) = &damaged.set_aside else {
            continue;
        };
        if damaged.is_repaired() {
            continue;
        }
        match store.put_back(damaged.oid, place) {
            Ok(true) => damaged.set_aside = None,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "an unreadable object stays set aside"),
        }
    }
}

impl DamagedObject {
    fn object(&self) -> Object {
        Object {
            oid: self.oid,
            size: self.size,
        }
    }
}

fn lost(oid: LfsOid) -> Error {
    let text = format!("nothing was said of the LFS object {oid}");
    Error::new(ErrorKind::LfsObjectMissing, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;

    #[test]
    fn what_could_not_be_read_goes_back_if_nothing_took_its_place() {
        let folder = tempfile::tempdir().expect("temp");
        let store = Store::new(folder.path().join("lfs"));
        let error = || Error::new(ErrorKind::Io, "too many open files");
        let (failed, done) = (|| Repair::Failed(error()), || Repair::Downloaded);
        let mut objects = Vec::new();
        for (number, damage, repair) in [
            (1, Damage::Unreadable(error()), failed()),
            (2, Damage::Unreadable(error()), done()),
            (3, Damage::Corrupt, failed()),
        ] {
            let oid = LfsOid::from_bytes([number; 32]);
            let path = store.object_path(oid);
            fs::create_parent(&path).expect("folders");
            std::fs::write(&path, "bytes").expect("written");
            let seen = fs::lstat(&path).expect("stat").expect("there");
            objects.push(DamagedObject {
                oid,
                size: 5,
                paths: Vec::new(),
                commit: None,
                damage,
                set_aside: store.set_aside(oid, &seen).expect("moved"),
                repair,
            });
            assert!(!path.exists());
        }
        put_back(&store, &mut objects);
        let back = |at: usize| {
            let aside = objects[at].set_aside.is_some();
            let there = store.object_path(objects[at].oid).exists();
            assert!(there != aside);
            there
        };
        assert_eq!([0, 1, 2].map(back), [true, false, false]);
    }
}
