//! Pushing one commit of a branch to its place on the remote: LFS objects first, then the ref.

use super::report::{Integration, PushReport, PushedRef};
use super::ship::{Shipment, rejected};
use super::state::Signal;
use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, How, Lease, ObjectId, PushOutcome, RefUpdate, Upstream, object_id};
use crate::id::CommitId;
use crate::local::Local;
use crate::name::{BranchName, RefName};
use crate::progress::Progress;

/// A commit of a branch on its way to the remote.
pub(crate) struct Sending<'a> {
    pub(crate) local: &'a Local,
    pub(crate) git: &'a Git,
    /// The local branch.
    pub(crate) branch: &'a BranchName,
    /// The ref of the remote.
    pub(crate) target: &'a RefName,
    pub(crate) commit: CommitId,
    /// Where the remote's branch is, if it may lose what it has; `None` for a step forward.
    pub(crate) overwrites: Option<CommitId>,
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
            target,
            commit,
            cancel,
            ..
        } = *self;
        let remote = local.remote.git(Use::Push, cancel)?;
        let advertised = git.push_advertisement(&remote, cancel)?;
        let found = advertised.find(target.as_str());
        let update = self.update(found)?;
        update.check_lease(found)?;
        let forward = update.how == How::FastForward;
        let tip = found.and_then(|id| git.known_commit(id));
        if forward && found.is_some() && tip.is_none() {
            return Err(moved(branch));
        }
        let mut confirmed: Vec<CommitId> = advertised
            .refs
            .iter()
            .filter_map(|found| git.known_commit(found.id))
            .collect();
        if let Some(tip) = tip {
            if commit == tip || forward && git.is_ancestor(commit, tip)? {
                self.after_push(tip);
                return Ok(Sent {
                    report: self.report(tip, PushedRef::UpToDate),
                    before: Some(tip),
                    confirmed,
                });
            }
            if forward && !git.is_ancestor(tip, commit)? {
                return Err(moved(branch));
            }
        }
        let loses_nothing = match tip {
            Some(tip) => forward || git.is_ancestor(tip, commit)?,
            None => false,
        };
        let shipment = Shipment {
            local,
            to: &local.remote,
            git,
            progress: self.progress,
            cancel,
            done: self.done,
        };
        let lacked = shipment.load(commit, target.as_str(), &confirmed)?;
        let pushed = match shipment.push(&remote, &update) {
            Err(error) if forward && is_elsewhere(&error) => {
                return Err(moved(branch).with_source(error));
            }
            pushed => pushed?,
        };
        match &pushed.outcome {
            PushOutcome::Accepted => {}
            PushOutcome::Refused(reason) if is_outdated(reason) => {
                // Perhaps it was moved by an earlier push of the same commit, whose sender died.
                if !shipment.has_arrived(&remote, &update)? {
                    return Err(if forward {
                        moved(branch)
                    } else {
                        stale(branch)
                    });
                }
            }
            PushOutcome::Refused(reason) => {
                let what = format!("the push of {branch} to {target}");
                return Err(rejected(&what, reason, &pushed.server_text));
            }
        }
        self.after_push(commit);
        let outcome = match found {
            None => PushedRef::Created,
            Some(_) if loses_nothing => PushedRef::Moved,
            Some(_) => PushedRef::Overwritten,
        };
        let text = crate::secret::fit_to_show(pushed.server_text.trim());
        tracing::info!(%commit, %target, ?lacked, "pushed");
        confirmed.push(commit);
        let report = PushReport {
            commits: lacked.commits,
            lfs_objects: lacked.lfs_objects,
            lfs_bytes: lacked.lfs_bytes,
            server_message: (!text.is_empty()).then_some(text),
            ..self.report(commit, outcome)
        };
        Ok(Sent {
            report,
            before: tip,
            confirmed,
        })
    }

    /// What is to become of the branch, which the remote has at `found`.
    fn update(&self, found: Option<ObjectId>) -> Result<RefUpdate> {
        let (lease, how) = match self.overwrites {
            Some(expected) => (Lease::At(object_id(expected)?), How::Force),
            None => (Lease::of(found), How::FastForward),
        };
        Ok(RefUpdate {
            name: self.target.to_string(),
            to: Some(object_id(self.commit)?),
            lease,
            how,
        })
    }

    /// Remembers where the remote's branch is, and that ours follows it.
    ///
    /// The branch has moved, whatever happens here: a failure is no failure of the push, and the
    /// next fetch or push mends it.
    fn after_push(&self, tip: CommitId) {
        let Self {
            local,
            git,
            branch,
            target,
            ..
        } = *self;
        let tracking = target.tracking_ref(local.remote_name());
        let remember = || -> Result<()> {
            let _lock = local.lock(&[&format!("{tracking}.lock"), "config.lock"])?;
            git.track_commit(&tracking, tip, "update by push")?;
            let followed = git.upstream_remote(branch).is_some();
            if !followed && git.ref_commit(&branch.local_ref())?.is_some() {
                let remote = local.remote_name().clone();
                git.follow(branch, &Upstream::new(remote, target.clone()))?;
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
            target: self.target.clone(),
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

/// The error for a branch that was moved while it was to be overwritten.
fn stale(branch: &BranchName) -> Error {
    Error::new(
        ErrorKind::StaleLease,
        format!("cannot overwrite {branch}: the remote's was moved in this moment"),
    )
    .with_hint("somebody else moved it: fetch, look at what they did, and decide anew")
}

/// Whether the ref is not where the update starts.
fn is_elsewhere(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NonFastForward | ErrorKind::StaleLease
    )
}

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
