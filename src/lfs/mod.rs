//! Git LFS: pointers, the local store, and moving objects to and from a remote.
//!
//! The [`Engine`] is the seam: [`Builtin`](builtin::Builtin) does everything in process,
//! [`GitLfs`](git_lfs::GitLfs) drives the installed `git-lfs`. Nothing here knows about git's
//! objects, refs or index; callers say which objects, and get told what became of each.

pub(crate) mod agent;
pub(crate) mod alternates;
pub(crate) mod api;
pub(crate) mod attributes;
pub(crate) mod builtin;
pub(crate) mod clean;
mod copying;
pub(crate) mod detect;
pub(crate) mod endpoint;
pub(crate) mod examine;
pub(crate) mod filter;
mod folder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod git_lfs;
pub(crate) mod incoming;
mod lasting;
mod meaning;
mod meter;
mod partial;
pub(crate) mod pattern;
pub(crate) mod pointer;
pub(crate) mod pruning;
pub(crate) mod rule;
pub(crate) mod settings;
pub(crate) mod storage;
pub(crate) mod store;
mod transfer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::Take;
use crate::id::{CommitId, LfsOid};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::url::Url;
use clean::Cleaned;
use pruning::PruneWish;
use store::Stored;

/// What a pointer names and a transfer moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) oid: LfsOid,
    /// Bytes of content.
    pub(crate) size: u64,
}

/// What the system said, if that is why something failed.
fn io_error(error: &Error) -> Option<&std::io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Bytes of all objects. Pointers say what they like: their sum may be no number any more.
fn total_bytes(objects: &[Object]) -> u64 {
    let sizes = objects.iter().map(|object| object.size);
    sizes.fold(0, u64::saturating_add)
}

/// Where a remote keeps its objects.
#[derive(Clone, Debug)]
pub(crate) enum Remote {
    /// A server that speaks the batch API below this URL (`…/info/lfs`).
    Http(Url),
    /// A repository on this machine.
    Folder(Neighbour),
    /// A repository behind ssh, of which git-lfs finds out where the objects are; its address, or
    /// what names it, for messages.
    Ssh(String),
}

/// A repository on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Neighbour {
    /// Its git folder, for messages and for what the config says of its address.
    pub(crate) git_dir: PathBuf,
    /// The folder of its store; see [`storage`].
    pub(crate) store: PathBuf,
}

#[cfg(test)]
impl Neighbour {
    /// One whose config says nothing.
    pub(crate) fn plain(git_dir: impl Into<PathBuf>) -> Self {
        let git_dir = git_dir.into();
        Self {
            store: git_dir.join("lfs"),
            git_dir,
        }
    }
}

/// Objects to move, and under which conditions.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) remote: &'a Remote,
    /// The name of the git remote in the config, for engines that look things up there.
    pub(crate) remote_name: &'a str,
    /// The full name of the ref this is for; servers may decide permissions by it.
    pub(crate) ref_name: Option<&'a str>,
    /// A commit that holds all the pointers, for engines that think in commits.
    pub(crate) commit: Option<CommitId>,
    /// Distinct objects, none of them empty.
    pub(crate) objects: &'a [Object],
    /// A file for each object, for progress; objects may be without.
    pub(crate) names: &'a HashMap<LfsOid, RepoPath>,
    pub(crate) progress: &'a Progress,
    pub(crate) cancel: &'a CancelToken,
}

/// What became of one object.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Its bytes were moved, and verified.
    Transferred,
    /// It was there already; nothing was moved.
    AlreadyThere,
    /// It is not where it should be, and why.
    Failed(Error),
}

/// What became of each object of a [`Job`], in the job's order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) outcomes: Vec<(Object, Outcome)>,
}

impl Report {
    /// The objects that were not moved, with the reasons.
    pub(crate) fn into_failures(self) -> Vec<(Object, Error)> {
        let failed = |(object, outcome)| match outcome {
            Outcome::Failed(error) => Some((object, error)),
            Outcome::Transferred | Outcome::AlreadyThere => None,
        };
        self.outcomes.into_iter().filter_map(failed).collect()
    }

    /// How many objects were moved, and their bytes.
    pub(crate) fn transferred(&self) -> (usize, u64) {
        let moved = self
            .outcomes
            .iter()
            .filter(|(_, o)| matches!(o, Outcome::Transferred));
        moved.fold((0, 0), |(count, bytes), (object, _)| {
            (count + 1, u64::saturating_add(bytes, object.size))
        })
    }
}

/// What became of a file that may be written meanwhile; `None` if it was.
fn unless_changed<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::FileChanged => Ok(None),
        result => result.map(Some),
    }
}

/// One way of doing Git LFS.
///
/// `Err` means the attempt as a whole broke (no network, refused credentials, cancelled); what
/// happened to single objects is in the [`Report`].
pub(crate) trait Engine: Send + Sync {
    /// Puts the content of a work-tree file into the store.
    ///
    /// The object always has the bytes its name says, even if the file changes meanwhile. A change
    /// that `take` does not accept, or that the file is gone, is reported as
    /// [`ErrorKind::FileChanged`].
    fn clean(&self, file: &Path, take: Take, cancel: &CancelToken) -> Result<Cleaned>;

    /// Puts the content of several files into the store; `None` for each that changed.
    ///
    /// `begins` is told the number of each one whose turn comes, by any thread.
    fn clean_all(
        &self,
        files: &[PathBuf],
        take: Take,
        begins: &(dyn Fn(usize) + Sync),
        cancel: &CancelToken,
    ) -> Result<Vec<Option<Cleaned>>> {
        let clean = |(number, file): (usize, &PathBuf)| {
            cancel.check()?;
            begins(number);
            unless_changed(self.clean(file, take, cancel))
        };
        files.iter().enumerate().map(clean).collect()
    }

    /// Makes the remote have the objects.
    ///
    /// Objects that are missing here are asked for first: if the remote lacks one of them too,
    /// it is `Failed` and nothing is sent.
    fn upload(&self, job: &Job<'_>) -> Result<Report>;

    /// Makes the local store have the objects, each one hashed while it arrives.
    fn download(&self, job: &Job<'_>) -> Result<Report>;

    /// Those of the objects of which the remote says, now, that it has them.
    fn there(
        &self,
        remote: &Remote,
        objects: &[Object],
        cancel: &CancelToken,
    ) -> Result<Vec<Object>>;

    /// Deletes objects by a judgement of the engine's own; those that went, or would go.
    ///
    /// `None` from an engine that has none: it is for those who know git's refs to decide.
    fn prune(&self, wish: PruneWish, cancel: &CancelToken) -> Result<Option<Vec<Stored>>>;

    /// Asks whether uploads would be allowed, without sending anything.
    fn check_upload(&self, remote: &Remote) -> Result<()>;
}
