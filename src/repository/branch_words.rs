//! What is said of branches, by callers and to them.

use crate::git::Upstream;
use crate::id::CommitId;
use crate::name::{BranchName, RemoteName, Revision};
use crate::push::RefChange;

/// A branch, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Branch {
    /// Its name.
    pub name: BranchName,
    /// The remote it is on; `None` for a branch of this clone.
    pub remote: Option<RemoteName>,
    /// Its newest commit. One of a remote need not be here.
    pub commit: CommitId,
    /// What it follows: where [`pull`](crate::Repository::pull) takes from.
    pub upstream: Option<Upstream>,
    /// Whether files are those of the branch somewhere.
    pub checked_out: CheckedOut,
}

/// Whether a branch is checked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckedOut {
    /// Nowhere.
    #[default]
    Nowhere,
    /// In this work tree.
    Here,
    /// In another work tree of the clone, or it is being rebased.
    Elsewhere,
}

/// How to create a branch; without any option it is at HEAD, in this clone only, and follows nothing.
///
/// ```
/// use hf_repository::{BranchOptions, RemoteName};
/// let options = BranchOptions::default()
///     .at("v1.0".parse()?)
///     .on(RemoteName::origin());
/// # let _ = options;
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use]
pub struct BranchOptions {
    pub(super) at: Option<Revision>,
    pub(super) remote: Option<RemoteName>,
}

impl BranchOptions {
    /// Begins at another branch's commit, a tag's or any, in place of HEAD.
    pub fn at(mut self, revision: Revision) -> Self {
        self.at = Some(revision);
        self
    }

    /// Creates the branch on a remote as well, with what that lacks of its commit. If that is the remote
    /// the repository was opened with, the local branch follows it.
    pub fn on(mut self, remote: RemoteName) -> Self {
        self.remote = Some(remote);
        self
    }
}

/// What becomes of commits that only the branch to be deleted leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmerged {
    /// They keep the branch from being deleted.
    #[default]
    Keep,
    /// They are lost, once git has cleaned up.
    Lose,
}

/// What became of a branch, in this clone and on the remote that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchOutcome {
    /// Its name.
    pub name: BranchName,
    /// The commit it is at, or was; of a deleted one only if it was in this clone.
    pub commit: Option<CommitId>,
    /// What became of it in this clone.
    pub local: RefChange,
    /// What became of it on the remote.
    pub remote: RefChange,
    /// The server's `remote:` text, if it said something.
    pub server_message: Option<String>,
}
