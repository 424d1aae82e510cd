//! Refs of this library's own, below `refs/hf-repository/`; no clone and no fetch takes them along.
//!
//! | ref | means |
//! |---|---|
//! | `promised/<commit>` | the commit is to be pushed; keeps it from `git gc` |
//! | `integrated/<branch>` | where the remote's branch was put; the local branch is to follow |
//! | `rewritten/<commit>` | what a rebase made of the commit |

use git2::ErrorCode;

use super::Git;
use super::error::{patiently, wrap};
use super::refs::object_id;
use crate::error::Result;
use crate::id::CommitId;
use crate::name::{BranchName, RemoteName};

const ROOT: &str = "refs/hf-repository";

/// What a private ref is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrivateRef<'a> {
    Promised(CommitId),
    Integrated(&'a BranchName),
    Rewritten(CommitId),
}

impl PrivateRef<'_> {
    fn name(&self) -> String {
        match self {
            Self::Promised(commit) => format!("{ROOT}/promised/{commit}"),
            Self::Integrated(branch) => format!("{ROOT}/integrated/{branch}"),
            Self::Rewritten(commit) => format!("{ROOT}/rewritten/{commit}"),
        }
    }
}

impl Git {
    /// Creates or moves one.
    pub(crate) fn set_private(&self, private: &PrivateRef<'_>, commit: CommitId) -> Result<()> {
        self.force_ref(&private.name(), object_id(commit)?, "hf-repository")
    }

    /// Where one points, if it exists and its commit is here.
    pub(crate) fn private(&self, private: &PrivateRef<'_>) -> Result<Option<CommitId>> {
        self.ref_commit(&private.name())
    }

    /// Deletes one; none is fine.
    pub(crate) fn drop_private(&self, private: &PrivateRef<'_>) -> Result<()> {
        let name = private.name();
        patiently(&format!("delete {name}"), || {
            match self
                .repo
                .find_reference(&name)
                .and_then(|mut found| found.delete())
            {
                Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
                result => result,
            }
        })
    }

    /// Whether a ref's log says that it was at a commit at some time.
    pub(crate) fn was_ever_at(&self, full_name: &str, commit: CommitId) -> Result<bool> {
        let commit = object_id(commit)?;
        match self.repo.reflog(full_name) {
            Ok(log) => Ok(log.iter().any(|entry| entry.id_new() == commit)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(wrap(&format!("read the log of {full_name}"))(error)),
        }
    }

    /// The branches of a remote where they were when last heard of.
    pub(crate) fn tracked_branches(
        &self,
        remote: &RemoteName,
    ) -> Result<Vec<(BranchName, CommitId)>> {
        let prefix = format!("refs/remotes/{remote}/");
        let list = || -> Result<Vec<(BranchName, CommitId)>, git2::Error> {
            let found = self.repo.references_glob(&format!("{prefix}*"))?;
            let branch = |found: git2::Reference<'_>| {
                let name = found.name().ok()?.strip_prefix(&prefix)?.parse().ok()?;
                Some((name, self.known_commit(found.target()?)?))
            };
            Ok(found.flatten().filter_map(branch).collect())
        };
        list().map_err(wrap("list the tracking refs"))
    }
}
