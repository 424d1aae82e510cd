//! Pushing one commit to one branch: LFS objects first, then the ref.

use std::collections::HashMap;
use std::time::Duration;

use super::report::{Integration, PushReport, PushedRef};
use super::state::Signal;
use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, How, Lease, PushOutcome, RefPush, RefUpdate, Remote, object_id};
use crate::http::retry::{Tries, wait};
use crate::id::{CommitId, LfsOid};
use crate::lfs::{Job, Object};
use crate::local::Local;
use crate::name::BranchName;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::worktree::{self, lacking};

/// A commit on its way to a branch of the remote.
pub(crate) struct Sending<'a> {
    pub(crate) local: &'a Local,
    pub(crate) git: &'a Git,
    pub(crate) branch: &'a BranchName,
    pub(crate) commit: CommitId,
    pub(crate) progress: &'a Progress,
    pub(crate) cancel: &'a CancelToken,
    /// Told of every step that is done.
    pub(crate) done: &'a dyn Fn(Signal),
}

/// A push that arrived, and what the server said it has.
pub(crate) struct Sent {
    pub(crate) report: PushReport,
    /// Where its branch was before.
    pub(crate) before: Option<CommitId>,
    /// Commits it has, of those that are here.
    pub(crate) confirmed: Vec<CommitId>,
}

impl Sending<'_> {
    /// Examines, uploads, pushes; the remote's branch is at the commit when this returns.
    ///
    /// # Errors
    /// As [`Repository::push`](crate::Repository::push).
    pub(crate) fn run(&self) -> Result<Sent> {
        let Self {
            local,
            git,
            branch,
            commit,
            cancel,
            ..
        } = *self;
        let remote = local.remote.git(Use::Push, cancel)?;
        let advertised = git.push_advertisement(&remote, cancel)?;
        let tip = match advertised.find(&branch.local_ref()) {
            Some(id) => Some(git.known_commit(id).ok_or_else(|| moved(branch))?),
            None => None,
        };
        let mut confirmed: Vec<CommitId> = advertised
            .refs
            .iter()
            .filter_map(|found| git.known_commit(found.id))
            .collect();
        if let Some(tip) = tip {
            if git.is_ancestor(commit, tip)? {
                self.after_push(tip);
                return Ok(Sent {
                    report: self.report(tip, PushedRef::UpToDate),
                    before: Some(tip),
                    confirmed,
                });
            }
            if !git.is_ancestor(tip, commit)? {
                return Err(moved(branch));
            }
        }
        let commits = git.commits_between(commit, &confirmed)?;
        let contents = worktree::examine(git, &commits, local.remote.rules(), cancel)?;
        (self.done)(Signal::Examined);
        let (lfs_objects, lfs_bytes) = self.upload(git, &contents.objects)?;
        cancel.check()?;
        (self.done)(Signal::Verified);

        let pushed = self.push_ref(&remote, tip)?;
        match &pushed.outcome {
            PushOutcome::Accepted => {}
            PushOutcome::Refused(reason) if is_outdated(reason) => {
                // Perhaps it was moved by an earlier push of the same commit, whose sender died.
                if !self.has_arrived(&remote)? {
                    return Err(moved(branch));
                }
            }
            PushOutcome::Refused(reason) => {
                let text = format!("{}\n{reason}", pushed.server_text);
                return Err(Error::new(
                    ErrorKind::Rejected,
                    format!("the server refused the push of {branch}"),
                )
                .with_hint("the branch on the server has not moved; see server_message()")
                .with_server_message(&text));
            }
        }
        self.after_push(commit);
        let outcome = if tip.is_some() {
            PushedRef::Moved
        } else {
            PushedRef::Created
        };
        let text = crate::secret::fit_to_show(pushed.server_text.trim());
        tracing::info!(%commit, %branch, lfs_objects, lfs_bytes, "pushed");
        confirmed.push(commit);
        let report = PushReport {
            commits: commits.len(),
            lfs_objects,
            lfs_bytes,
            server_message: (!text.is_empty()).then_some(text),
            ..self.report(commit, outcome)
        };
        Ok(Sent {
            report,
            before: tip,
            confirmed,
        })
    }

    /// Pushes the ref; after a broken connection the server is asked whether it arrived, and if it did
    /// not it is pushed again. That moves nothing twice: it goes from `tip` to the commit only.
    fn push_ref(&self, remote: &Remote, tip: Option<CommitId>) -> Result<RefPush> {
        let Self {
            git,
            branch,
            commit,
            progress,
            cancel,
            ..
        } = *self;
        let update = RefUpdate {
            name: branch.local_ref(),
            to: Some(object_id(commit)?),
            lease: Lease::of(tip.map(object_id).transpose()?),
            how: How::FastForward,
        };
        let mut tries = Tries::new(self.local.remote.client().retry(), cancel);
        let remote = &remote.until(&tries);
        loop {
            match git.push_ref(remote, &update, progress, cancel) {
                // What cannot be understood is no answer either.
                Err(error) if error.is_retryable() || error.kind() == ErrorKind::Protocol => {
                    if self.has_arrived(remote).map_err(|_| error.clone())? {
                        let (outcome, server_text) = (PushOutcome::Accepted, String::new());
                        return Ok(RefPush {
                            outcome,
                            server_text,
                        });
                    }
                    tries.again(error)?;
                }
                Err(error) if is_elsewhere(&error) => {
                    return Err(moved(branch).with_source(error));
                }
                result => return result,
            }
        }
    }

    /// Whether the server moved the branch although its answer got lost; it may take a moment.
    fn has_arrived(&self, remote: &Remote) -> Result<bool> {
        for pause in ARRIVAL_PAUSES {
            wait(pause, self.cancel)?;
            let now = self.git.push_advertisement(remote, self.cancel)?;
            let tip = now.find(&self.branch.local_ref());
            if tip.and_then(|id| self.git.known_commit(id)) == Some(self.commit) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the remote have the objects of all pointers that are about to be pushed.
    fn upload(&self, git: &Git, holders: &[(Object, RepoPath, CommitId)]) -> Result<(usize, u64)> {
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
            remote: &local.remote.lfs(git, Use::Push, None)?,
            remote_name: local.remote_name().as_str(),
            ref_name: Some(&self.branch.local_ref()),
            commit: Some(self.commit),
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

    /// Remembers where the remote's branch is, and that ours follows it.
    ///
    /// The branch has moved, whatever happens here: a failure is no failure of the push, and the
    /// next fetch or push mends it.
    fn after_push(&self, tip: CommitId) {
        let Self {
            local, git, branch, ..
        } = *self;
        let tracking = branch.tracking_ref(local.remote_name());
        let remember = || -> Result<()> {
            let _lock = local.lock(&[&format!("{tracking}.lock"), "config.lock"])?;
            git.track_commit(&tracking, tip, "update by push")?;
            let followed = git.upstream_remote(branch).is_some();
            if !followed && git.ref_commit(&branch.local_ref())?.is_some() {
                git.set_upstream(branch, local.remote_name())?;
            }
            Ok(())
        };
        if let Err(error) = remember() {
            tracing::warn!(%error, %tracking, "pushed, but the tracking ref was not updated");
        }
    }

    fn report(&self, commit: CommitId, outcome: PushedRef) -> PushReport {
        PushReport {
            branch: self.branch.clone(),
            commit,
            outcome,
            commits: 0,
            lfs_objects: 0,
            lfs_bytes: 0,
            server_message: None,
            url: self.local.remote.commit_url(commit),
            integration: Integration::None,
        }
    }
}

fn moved(branch: &BranchName) -> Error {
    Error::new(
        ErrorKind::NonFastForward,
        format!("cannot push {branch}: the remote has commits this clone lacks"),
    )
    .with_hint("pull first, then push again")
}

/// Whether the ref is not where the update starts.
fn is_elsewhere(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NonFastForward | ErrorKind::StaleLease
    )
}

/// When to look whether a push arrived: the server's hook may still be at work.
const ARRIVAL_PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];

/// git's words for a ref that moved between its listing and our push.
fn is_outdated(reason: &str) -> bool {
    [
        "fetch first",
        "non-fast-forward",
        "cannot lock ref",
        "failed to update ref",
        "stale info",
    ]
    .iter()
    .any(|text| reason.contains(text))
}
