//! Getting damaged objects from where they are whole.
//!
//! Nothing is deleted: what is damaged is moved to `bad` in the store, and stays there. Each object
//! then comes from the work tree, from a repository that this one borrows from, or from the server,
//! and is hashed on its way. Killed anywhere, the next check finds the object missing, and goes on.

use std::collections::{BTreeMap, HashMap};

use super::{DamagedObject, Findings, Repair};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::lock::AdvisoryLock;
use crate::id::{CommitId, LfsOid};
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
        let mut folders = Folders::new(self.context.git);
        let mut left: BTreeMap<Option<CommitId>, Vec<&mut DamagedObject>> = BTreeMap::new();
        for damaged in &mut findings.report.objects {
            if !matches!(damaged.repair, Repair::NotTried) {
                continue;
            }
            self.context.cancel.check()?;
            match self.take_here(damaged, &mut folders) {
                Ok(Some(repair)) => damaged.repair = repair,
                Ok(None) => left.entry(damaged.commit).or_default().push(damaged),
                Err(_) if self.context.cancel.is_cancelled() => return Err(Error::cancelled()),
                Err(error) => damaged.repair = Repair::Failed(error),
            }
        }
        for (commit, damaged) in left {
            self.download(commit, damaged)?;
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
        folders: &mut Folders<'_>,
    ) -> Result<Option<Repair>> {
        let Context {
            git, store, cancel, ..
        } = self.context;
        for path in &damaged.paths {
            // Never through a link: what lies behind it is not in the work tree.
            if folders.holds(path)?
                && store.adopt(damaged.object(), &path.under(git.workdir()), cancel)?
            {
                return Ok(Some(Repair::FromWorktree));
            }
        }
        let borrowed = store.obtain(damaged.object(), cancel)?;
        Ok(borrowed.then_some(Repair::FromAlternate))
    }

    /// Downloads objects that a commit names, or the index.
    fn download(
        &self,
        commit: Option<CommitId>,
        mut damaged: Vec<&mut DamagedObject>,
    ) -> Result<()> {
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
                for damaged in damaged {
                    damaged.repair = match outcomes.remove(&damaged.object()) {
                        Some(Outcome::Transferred | Outcome::AlreadyThere) => Repair::Downloaded,
                        Some(Outcome::Failed(error)) => Repair::Failed(error),
                        None => Repair::Failed(lost(damaged.oid)),
                    };
                }
            }
            Err(_) if cancel.is_cancelled() => return Err(Error::cancelled()),
            Err(error) => {
                for damaged in &mut damaged {
                    damaged.repair = Repair::Failed(error.clone());
                }
            }
        }
        Ok(())
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
