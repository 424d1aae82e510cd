use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::name::BranchName;
use crate::push::{PushReport, Sending};

/// How to push.
///
/// ```
/// use hf_repository::{CommitId, PushOptions};
/// let seen: CommitId = "0123456789012345678901234567890123456789".parse()?;
/// let options = PushOptions::default().overwriting(seen);
/// # let _ = options;
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushOptions {
    overwrites: Option<CommitId>,
}

impl PushOptions {
    /// Lets the remote's branch lose what it has, if it is at the commit `expected` then and nowhere else
    /// (a push with force and a lease).
    ///
    /// For a history that was rewritten. Whoever has the old one has to make their clone anew.
    #[must_use]
    pub fn overwriting(mut self, expected: CommitId) -> Self {
        self.overwrites = Some(expected);
        self
    }
}

/// Pushing.
impl Repository {
    /// Pushes the current branch: LFS objects first, then the branch.
    ///
    /// It goes to the branch of its name on the remote, whatever it follows; only if it follows what is no
    /// branch, as a pull request's `refs/pr/3`, it goes there.
    ///
    /// It waits for a background push that is under way, and takes along what is waiting behind it.
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
        self.push_with(&PushOptions::default())
    }

    /// Pushes the current branch as `options` say.
    ///
    /// # Errors
    /// As [`push`](Self::push); [`ErrorKind::StaleLease`] instead of
    /// [`ErrorKind::NonFastForward`] if the branch is to be overwritten and is not where it was expected.
    pub fn push_with(&self, options: &PushOptions) -> Result<PushReport> {
        let _span = tracing::info_span!("push").entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let local = &*self.local;
        let git = local.git()?;
        // Announced, no save replaces it; one may have done so just before.
        let (branch, commit, _urgent) = loop {
            let head = git.head()?;
            let branch = head.branch("push")?.clone();
            let commit = head.commit().ok_or_else(|| unborn(&branch))?;
            let urgent = self.pushes.board.urgent(commit);
            if git.head()? == head {
                break (branch, commit, urgent);
            }
        };
        let _pusher = local.lock_pushing(&local.cancel)?;
        let sent = Sending {
            local,
            git: &git,
            branch: &branch,
            target: &git.push_target(&branch, local.remote_name()),
            commit,
            overwrites: options.overwrites,
            progress: &local.progress,
            cancel: &local.cancel,
            done: &|_| {},
        }
        .run()?;
        self.pushes.arrived(&git, &sent.report);
        Ok(sent.report)
    }
}

pub(super) fn unborn(branch: &BranchName) -> Error {
    Error::new(
        ErrorKind::UnbornBranch,
        format!("cannot push: {branch} has no commit yet"),
    )
    .with_hint("stage and commit something first")
}
