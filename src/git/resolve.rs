//! What a revision means.

use git2::ErrorCode;

use super::error::wrap;
use super::refs::commit_id;
use super::{Git, Upstream};
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::name::{BranchName, RefName, RemoteName, Revision, TagName};

/// The fewest digits that git takes for the beginning of an id.
const MIN_PREFIX: usize = 4;

/// What a revision turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    LocalBranch {
        branch: BranchName,
        commit: CommitId,
    },
    RemoteBranch {
        branch: BranchName,
        remote: RemoteName,
        commit: CommitId,
    },
    /// A ref of the remote that is no branch there, and the local branch that is to be made for it.
    Followed {
        branch: BranchName,
        upstream: Upstream,
        commit: CommitId,
    },
    Tag {
        tag: TagName,
        commit: CommitId,
    },
    Commit {
        commit: CommitId,
    },
}

impl Resolved {
    /// The commit.
    pub(crate) fn commit(&self) -> CommitId {
        match self {
            Self::LocalBranch { commit, .. }
            | Self::RemoteBranch { commit, .. }
            | Self::Followed { commit, .. }
            | Self::Tag { commit, .. }
            | Self::Commit { commit } => *commit,
        }
    }
}

impl Git {
    /// What a full name leads to, if there is one. What is neither branch nor tag is one of `remote`.
    fn resolve_full(&self, name: &str, remote: &RemoteName) -> Result<Option<Resolved>> {
        let commit = || self.ref_commit(name);
        if let Some(Ok(branch)) = name.strip_prefix("refs/heads/").map(str::parse) {
            return Ok(commit()?.map(|commit| Resolved::LocalBranch { branch, commit }));
        }
        if let Some(Ok(tag)) = name.strip_prefix("refs/tags/").map(str::parse) {
            return Ok(commit()?.map(|commit| Resolved::Tag { tag, commit }));
        }
        match name.parse::<RefName>() {
            Ok(name) if name.is_other() => {
                let commit = self.ref_commit(&name.tracking_ref(remote))?;
                Ok(commit.map(|commit| Resolved::Commit { commit }))
            }
            _ => Ok(None),
        }
    }

    /// Finds a revision: a full name, then local branch, tag, branch of `remote`, and commit id.
    pub(crate) fn resolve(&self, revision: &Revision, remote: &RemoteName) -> Result<Resolved> {
        let name = revision.as_str();
        if let Some(resolved) = self.resolve_full(name, remote)? {
            return Ok(resolved);
        }
        if let Ok(branch) = name.parse::<BranchName>()
            && let Some(commit) = self.ref_commit(&branch.local_ref())?
        {
            return Ok(Resolved::LocalBranch { branch, commit });
        }
        if let Ok(tag) = name.parse::<TagName>()
            && let Some(commit) = self.ref_commit(&tag.full_ref())?
        {
            return Ok(Resolved::Tag { tag, commit });
        }
        if let Ok(branch) = name.parse::<BranchName>()
            && let Some(commit) = self.ref_commit(&branch.tracking_ref(remote))?
        {
            return Ok(Resolved::RemoteBranch {
                branch,
                remote: remote.clone(),
                commit,
            });
        }
        if let Ok(commit) = name.parse::<CommitId>()
            && self.has_commit(commit)
        {
            return Ok(Resolved::Commit { commit });
        }
        if let Some(commit) = self.commit_by_prefix(name)? {
            return Ok(Resolved::Commit { commit });
        }
        Err(Error::new(
            ErrorKind::RevisionNotFound,
            format!("no branch, tag or commit is named {name:?}"),
        )
        .with_hint(match self.is_shallow() {
            false => "pull first if it is new on the remote",
            true => "the clone is shallow: fetch_history() brings older commits",
        }))
    }

    /// The commit whose id begins with these hex digits.
    fn commit_by_prefix(&self, digits: &str) -> Result<Option<CommitId>> {
        if !may_be_id(digits) {
            return Ok(None);
        }
        match self.repo.find_commit_by_prefix(digits) {
            Ok(commit) => Ok(Some(commit_id(commit.id()))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) if error.code() == ErrorCode::Ambiguous => Err(Error::new(
                ErrorKind::RevisionNotFound,
                format!("several objects have an id that begins with {digits}"),
            )
            .with_hint("give more digits")),
            Err(error) => Err(wrap(&format!("look for {digits}"))(error)),
        }
    }
}

/// Whether a revision may be the id of a commit, or its first digits.
pub(crate) fn may_be_id(text: &str) -> bool {
    (MIN_PREFIX..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
