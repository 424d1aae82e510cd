use std::collections::HashMap;
use std::time::Duration;

use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, PushOutcome, RefPush, Remote};
use crate::http::retry::wait;
use crate::id::{CommitId, LfsOid};
use crate::lfs::{Job, Object};
use crate::name::BranchName;
use crate::path::RepoPath;
use crate::worktree::{self, lacking};

/// What became of the branch on the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushedRef {
    /// It moved to our commit.
    Moved,
    /// It did not exist and was created.
    Created,
    /// It was there already.
    UpToDate,
}

/// What [`Repository::push`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushReport {
    /// The branch.
    pub branch: BranchName,
    /// The commit the remote's branch is at now.
    pub commit: CommitId,
    /// What became of the remote's branch.
    pub outcome: PushedRef,
    /// Commits the remote did not have.
    pub commits: usize,
    /// LFS objects that were uploaded.
    pub lfs_objects: usize,
    /// Their bytes.
    pub lfs_bytes: u64,
    /// The server's `remote:` text, if it said something.
    pub server_message: Option<String>,
    /// The page of the commit, where the remote has such pages.
    pub url: Option<String>,
}

/// Pushing.
impl Repository {
    /// Pushes the current branch: LFS objects first, then the branch.
    ///
    /// All commits the remote lacks are examined before anything is sent. A branch the server
    /// refuses is an error with the server's words, never a success.
    ///
    /// # Errors
    /// [`ErrorKind::DetachedHead`], [`ErrorKind::UnbornBranch`];
    /// [`ErrorKind::Preflight`] with the files and commits the Hub would refuse;
    /// [`ErrorKind::LfsObjectMissing`] if a pointer's object is neither here nor there;
    /// [`ErrorKind::NonFastForward`] if the remote has commits this clone lacks: pull first;
    /// [`ErrorKind::Rejected`] if the server's hook refused; and those of credentials and network.
    pub fn push(&self) -> Result<PushReport> {
        let _span = tracing::info_span!("push").entered();
        let git = self.git()?;
        let head = git.head()?;
        let branch = head.branch("push")?.clone();
        let Some(commit) = head.commit() else {
            return Err(Error::new(
                ErrorKind::UnbornBranch,
                format!("cannot push: {branch} has no commit yet"),
            )
            .with_hint("stage and commit something first"));
        };
        let remote = self.connection.git()?;
        let advertised = git.push_advertisement(&remote, &self.cancel)?;
        let tip = match advertised.find(&branch.local_ref()) {
            Some(id) => Some(git.known_commit(id).ok_or_else(|| moved(&branch))?),
            None => None,
        };
        if let Some(tip) = tip {
            if tip == commit {
                self.after_push(&git, &branch, commit);
                return Ok(self.report(branch, commit, PushedRef::UpToDate));
            }
            if !git.is_ancestor(tip, commit)? {
                return Err(moved(&branch));
            }
        }
        let there: Vec<CommitId> = advertised
            .refs
            .iter()
            .filter_map(|found| git.known_commit(found.id))
            .collect();
        let commits = git.commits_between(commit, &there)?;
        let contents = worktree::examine(&git, &commits, self.connection.rules(), &self.cancel)?;
        let (lfs_objects, lfs_bytes) = self.upload(&branch, commit, &contents.objects)?;
        self.cancel.check()?;

        let pushed = self.push_ref(&git, &remote, commit, &branch, tip)?;
        match &pushed.outcome {
            PushOutcome::Accepted => {}
            PushOutcome::Refused(reason) if is_outdated(reason) => {
                // Perhaps it was moved by an earlier push of the same commit, whose sender died.
                if !self.has_arrived(&git, &remote, commit, &branch)? {
                    return Err(moved(&branch));
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
        self.after_push(&git, &branch, commit);
        let outcome = if tip.is_some() {
            PushedRef::Moved
        } else {
            PushedRef::Created
        };
        let text = crate::secret::printable(pushed.server_text.trim());
        tracing::info!(%commit, %branch, lfs_objects, lfs_bytes, "pushed");
        Ok(PushReport {
            commits: commits.len(),
            lfs_objects,
            lfs_bytes,
            server_message: (!text.is_empty()).then_some(text),
            ..self.report(branch, commit, outcome)
        })
    }

    /// Pushes the ref; after a broken connection the server is asked whether it arrived.
    fn push_ref(
        &self,
        git: &Git,
        remote: &Remote,
        commit: CommitId,
        branch: &BranchName,
        tip: Option<CommitId>,
    ) -> Result<RefPush> {
        match git.push(remote, commit, branch, tip, &self.progress, &self.cancel) {
            Err(error) if error.is_retryable() => {
                if self.has_arrived(git, remote, commit, branch)? {
                    let (outcome, server_text) = (PushOutcome::Accepted, String::new());
                    return Ok(RefPush {
                        outcome,
                        server_text,
                    });
                }
                Err(error)
            }
            Err(error) if error.kind() == ErrorKind::NonFastForward => {
                Err(moved(branch).with_source(error))
            }
            result => result,
        }
    }

    /// Whether the server moved the branch although its answer got lost; it may take a moment.
    fn has_arrived(
        &self,
        git: &Git,
        remote: &Remote,
        commit: CommitId,
        branch: &BranchName,
    ) -> Result<bool> {
        for pause in ARRIVAL_PAUSES {
            wait(pause, &self.cancel)?;
            let Ok(now) = git.push_advertisement(remote, &self.cancel) else {
                continue;
            };
            let tip = now.find(&branch.local_ref());
            if tip.and_then(|id| git.known_commit(id)) == Some(commit) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the remote have the objects of all pointers that are about to be pushed.
    fn upload(
        &self,
        branch: &BranchName,
        commit: CommitId,
        holders: &[(Object, RepoPath, CommitId)],
    ) -> Result<(usize, u64)> {
        if holders.is_empty() {
            return Ok((0, 0));
        }
        let objects: Vec<Object> = holders.iter().map(|(object, ..)| *object).collect();
        let report = self.engine.upload(&Job {
            remote: &self.connection.lfs()?,
            remote_name: self.remote_name().as_str(),
            ref_name: Some(&branch.local_ref()),
            commit: Some(commit),
            objects: &objects,
            progress: &self.progress,
            cancel: &self.cancel,
        })?;
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
    fn after_push(&self, git: &Git, branch: &BranchName, commit: CommitId) {
        let tracking = branch.tracking_ref(self.remote_name());
        let remember = || -> Result<()> {
            let _lock = self.lock(&[&format!("{tracking}.lock"), "config.lock"])?;
            git.track_commit(&tracking, commit, "update by push")?;
            if git.upstream_remote(branch).is_none() {
                git.set_upstream(branch, self.remote_name())?;
            }
            Ok(())
        };
        if let Err(error) = remember() {
            tracing::warn!(%error, %tracking, "pushed, but the tracking ref was not updated");
        }
    }

    fn report(&self, branch: BranchName, commit: CommitId, outcome: PushedRef) -> PushReport {
        PushReport {
            branch,
            commit,
            outcome,
            commits: 0,
            lfs_objects: 0,
            lfs_bytes: 0,
            server_message: None,
            url: self.connection.commit_url(commit),
        }
    }

    /// The page of the commit that is checked out, where the remote has such pages.
    ///
    /// `None` before the first commit and for remotes that are folders. The commit need not be
    /// pushed yet.
    ///
    /// # Errors
    /// If HEAD cannot be read.
    pub fn head_commit_url(&self) -> Result<Option<String>> {
        Ok(self
            .head()?
            .and_then(|commit| self.connection.commit_url(commit)))
    }

    /// The address of the remote, without credentials.
    pub fn remote_url(&self) -> String {
        self.connection.config_url()
    }
}

fn moved(branch: &BranchName) -> Error {
    Error::new(
        ErrorKind::NonFastForward,
        format!("cannot push {branch}: the remote has commits this clone lacks"),
    )
    .with_hint("pull first, then push again")
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
