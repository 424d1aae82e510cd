//! Bringing a commit to a remote: LFS objects first, then the ref, whatever ref it is.

use std::collections::HashMap;
use std::time::Duration;

use super::state::Signal;
use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, PushOutcome, RefPush, RefUpdate, Remote};
use crate::http::retry::{Tries, wait};
use crate::id::{CommitId, LfsOid};
use crate::lfs::{Job, Object};
use crate::local::Local;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::remote::Connection;
use crate::worktree::{self, lacking};

/// A clone, one of its remotes, and what goes from here to there.
pub(crate) struct Shipment<'a> {
    pub(crate) local: &'a Local,
    pub(crate) to: &'a Connection,
    pub(crate) git: &'a Git,
    pub(crate) progress: &'a Progress,
    pub(crate) cancel: &'a CancelToken,
    /// Told of every step that is done.
    pub(crate) done: &'a dyn Fn(Signal),
}

/// What a remote lacked of a commit and its history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lacked {
    pub(crate) commits: usize,
    /// LFS objects that were sent.
    pub(crate) lfs_objects: usize,
    /// Their bytes.
    pub(crate) lfs_bytes: u64,
}

impl Shipment<'_> {
    /// Examines what the remote lacks of a commit and sends its LFS objects, so that a ref can be
    /// put there.
    ///
    /// `has` are commits that the remote has, `ref_name` is where the commit is to be.
    ///
    /// # Errors
    /// [`ErrorKind::Preflight`], [`ErrorKind::LfsObjectMissing`], and those of credentials and network.
    pub(crate) fn load(
        &self,
        commit: CommitId,
        ref_name: &str,
        has: &[CommitId],
    ) -> Result<Lacked> {
        let mut has = has.to_vec();
        // Where a shallow clone's history ends is what its own remote had when it was cloned.
        if self.to.name() == self.local.remote_name() && self.to.is_one_place() {
            has.extend(self.git.shallow_roots()?);
        }
        let commits = self.git.commits_between(commit, &has)?;
        let contents = worktree::examine(self.git, &commits, self.to.rules(), self.cancel)?;
        (self.done)(Signal::Examined);
        let (lfs_objects, lfs_bytes) = self.upload(commit, ref_name, &contents.objects)?;
        self.cancel.check()?;
        (self.done)(Signal::Verified);
        Ok(Lacked {
            commits: commits.len(),
            lfs_objects,
            lfs_bytes,
        })
    }

    /// Makes the remote have the objects of all pointers that are about to be pushed.
    fn upload(
        &self,
        commit: CommitId,
        ref_name: &str,
        holders: &[(Object, RepoPath, CommitId)],
    ) -> Result<(usize, u64)> {
        if holders.is_empty() {
            return Ok((0, 0));
        }
        let local = self.local;
        let objects: Vec<Object> = holders.iter().map(|(object, ..)| *object).collect();
        let names: HashMap<LfsOid, RepoPath> = holders
            .iter()
            .map(|(object, path, _)| (object.oid, path.clone()))
            .collect();
        for object in &objects {
            // One that is nowhere may be on the remote already: the engine finds out.
            local.store.obtain(*object, self.cancel)?;
        }
        let report = local.engine.upload(&Job {
            remote: &self.to.lfs(self.git, Use::Push, None)?,
            remote_name: self.to.name().as_str(),
            ref_name: Some(ref_name),
            commit: Some(commit),
            objects: &objects,
            names: &names,
            progress: self.progress,
            cancel: self.cancel,
        })?;
        (self.done)(Signal::Uploaded);
        let moved = report.transferred();
        let by_oid: HashMap<LfsOid, &(Object, RepoPath, CommitId)> = holders
            .iter()
            .map(|holder| (holder.0.oid, holder))
            .collect();
        let failures = report.into_failures();
        let blamed = failures
            .first()
            .and_then(|(object, _)| by_oid.get(&object.oid));
        let blamed = blamed.map(|(_, _, commit)| *commit);
        let name_of = |object: &Object| by_oid.get(&object.oid).map(|(_, path, _)| path.clone());
        lacking(
            failures,
            name_of,
            blamed,
            "cannot push: LFS objects could not be uploaded",
        )?;
        Ok(moved)
    }

    /// Changes the ref; after a broken connection the server is asked whether it has done so, and if not
    /// it is told again. With a lease that moves nothing twice.
    ///
    /// # Errors
    /// [`ErrorKind::StaleLease`], [`ErrorKind::NonFastForward`], and those of credentials and network. A
    /// ref that the server refuses is none.
    pub(crate) fn push(&self, remote: &Remote, update: &RefUpdate) -> Result<RefPush> {
        let mut tries = Tries::new(self.to.client().retry(), self.cancel);
        let remote = &remote.until(&tries);
        loop {
            let pushed = self
                .git
                .push_ref(remote, update, self.progress, self.cancel);
            match pushed {
                // What cannot be understood is no answer either.
                Err(error) if error.is_retryable() || error.kind() == ErrorKind::Protocol => {
                    if self
                        .has_arrived(remote, update)
                        .map_err(|_| error.clone())?
                    {
                        let (outcome, server_text) = (PushOutcome::Accepted, String::new());
                        return Ok(RefPush {
                            outcome,
                            server_text,
                        });
                    }
                    tries.again(error)?;
                }
                result => return result,
            }
        }
    }

    /// Whether the server changed the ref although its answer got lost; it may take a moment.
    pub(crate) fn has_arrived(&self, remote: &Remote, update: &RefUpdate) -> Result<bool> {
        for pause in ARRIVAL_PAUSES {
            wait(pause, self.cancel)?;
            let now = self.git.push_advertisement(remote, self.cancel)?;
            if now.find(&update.name) == update.to {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The error for a ref that the server's hook, or git there, does not want; `what` completes "the server
/// refused".
pub(crate) fn rejected(what: &str, reason: &str, server_text: &str) -> Error {
    Error::new(ErrorKind::Rejected, format!("the server refused {what}"))
        .with_hint("nothing on the server has moved; see server_message()")
        .with_server_message(&format!("{server_text}\n{reason}"))
}

/// When to look whether a push arrived: the server's hook may still be at work.
const ARRIVAL_PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];
