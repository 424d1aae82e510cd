//! What a push did.

use crate::id::CommitId;
use crate::name::BranchName;

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

/// What [`Repository::push`](crate::Repository::push) did.
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
