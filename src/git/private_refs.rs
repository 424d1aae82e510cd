//! Refs of this library's own, below `refs/hf-repository/`; clones and fetches do not ask for them, unless they mirror everything.
//!
//! | ref | means |
//! |---|---|
//! | `promised/<commit>` | the commit is to be pushed; keeps it from `git gc` |
//! | `pushing/<commit>` | the same for what a push itself made: a merge, or replayed commits |
//! | `integrated/<branch>`, a `/` as `%2F` | where the remote's branch was put; the local branch is to follow |
//! | `renaming/<branch>/<new name>`, a `/` as `%2F` | the branch is to have the new name; where it was when that began |
//! | `gone/<commit>` | the last name of commits that a remote's branch had which is gone, and in the way of another name |
//! | `rewritten/<commit>` | what a rebase made of the commit |
//! | `remotes/<remote>/<ref>` | where `refs/<ref>` of a remote was when last heard of, for what is no branch (`pr/3`) |

use git2::ErrorCode;

use super::Git;
use super::error::{patiently, wrap};
use super::refs::object_id;
use crate::error::Result;
use crate::id::CommitId;
use crate::name::{BranchName, RemoteName, other_tracking};

/// The folder of all private refs.
pub(crate) const PRIVATE_REFS: &str = "refs/hf-repository/";
const ROOT: &str = "refs/hf-repository";

/// What a private ref is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrivateRef<'a> {
    Promised(CommitId),
    Pushing(CommitId),
    Integrated(&'a BranchName),
    Renaming(&'a BranchName, &'a BranchName),
    Gone(CommitId),
    Rewritten(CommitId),
}

impl PrivateRef<'_> {
    /// The full name of the ref.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Promised(commit) => format!("{ROOT}/promised/{commit}"),
            Self::Pushing(commit) => format!("{ROOT}/pushing/{commit}"),
            Self::Integrated(branch) => format!("{ROOT}/integrated/{}", flat(branch)),
            Self::Renaming(from, to) => format!("{ROOT}/renaming/{}/{}", flat(from), flat(to)),
            Self::Gone(commit) => format!("{ROOT}/gone/{commit}"),
            Self::Rewritten(commit) => format!("{ROOT}/rewritten/{commit}"),
        }
    }
}

/// A branch's name without slashes: `a` and `a/b` never exist at once, but one may come after the other.
fn flat(branch: &BranchName) -> String {
    branch.as_str().replace('%', "%25").replace('/', "%2F")
}

fn unflat(name: &str) -> Option<BranchName> {
    name.replace("%2F", "/").replace("%25", "%").parse().ok()
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
        self.drop_ref(&private.name())
    }

    /// Deletes a ref; none is fine.
    pub(crate) fn drop_ref(&self, name: &str) -> Result<()> {
        self.drop_ref_if_there(name).map(drop)
    }

    /// Deletes a ref; whether there was one.
    pub(crate) fn drop_ref_if_there(&self, name: &str) -> Result<bool> {
        patiently(&format!("delete {name}"), || {
            match self
                .repo
                .find_reference(name)
                .and_then(|mut found| found.delete())
            {
                Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
                result => result.map(|()| true),
            }
        })
    }

    /// The commits that are protected because they are to be pushed.
    pub(crate) fn promised(&self) -> Result<Vec<CommitId>> {
        self.protected("promised")
    }

    /// The commits that are protected because a push made them and is at work.
    pub(crate) fn pushing(&self) -> Result<Vec<CommitId>> {
        self.protected("pushing")
    }

    /// Whether some of these commits are led to by no branch, no tag and no tracking ref.
    pub(crate) fn has_unnamed_promises(&self) -> Result<bool> {
        let mut ours = self.promised()?;
        ours.extend(self.pushing()?);
        if ours.is_empty() {
            return Ok(false);
        }
        let named = self.named_commits()?.into_iter();
        let named: Vec<CommitId> = named
            .filter(|(name, _)| {
                let kinds = ["refs/heads/", "refs/tags/", "refs/remotes/"];
                kinds.iter().any(|kind| name.starts_with(kind))
            })
            .map(|(_, commit)| commit)
            .collect();
        Ok(!self.commits_beyond(&ours, &named)?.is_empty())
    }

    /// Branches that are to follow what a push made of them.
    pub(crate) fn integrated(&self) -> Result<Vec<BranchName>> {
        let prefix = format!("{ROOT}/integrated/");
        let list = || -> Result<Vec<BranchName>, git2::Error> {
            let found = self.repo.references_glob(&format!("{prefix}*"))?;
            let branch =
                |found: git2::Reference<'_>| unflat(found.name().ok()?.strip_prefix(&prefix)?);
            Ok(found.flatten().filter_map(branch).collect())
        };
        list().map_err(wrap("list the private refs"))
    }

    /// The commits that a push replayed and the local branch may still hold.
    pub(crate) fn rewritten(&self) -> Result<Vec<CommitId>> {
        self.protected("rewritten")
    }

    /// All of them by full names, but those that only say what became of a commit.
    pub(crate) fn private_commits(&self) -> Result<Vec<(String, CommitId)>> {
        let read = || -> Result<Vec<(String, CommitId)>, git2::Error> {
            let mut found = Vec::new();
            for reference in self.repo.references_glob(&format!("{PRIVATE_REFS}*"))? {
                let reference = reference?;
                let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                let commit = reference.target().and_then(|id| self.known_commit(id));
                if !name.starts_with(&format!("{ROOT}/rewritten/")) {
                    found.extend(commit.map(|commit| (name, commit)));
                }
            }
            Ok(found)
        };
        read().map_err(wrap("list the private refs"))
    }

    fn protected(&self, kind: &str) -> Result<Vec<CommitId>> {
        let prefix = format!("{ROOT}/{kind}/");
        let list = || -> Result<Vec<CommitId>, git2::Error> {
            let names = self.repo.references_glob(&format!("{prefix}*"))?;
            let commit =
                |found: git2::Reference<'_>| found.name().ok()?.strip_prefix(&prefix)?.parse().ok();
            Ok(names.flatten().filter_map(commit).collect())
        };
        list().map_err(wrap("list the private refs"))
    }

    /// Whether a ref was moved on from a commit, by its log.
    ///
    /// A move is logged before it is made: if it is the last one logged, it may not have happened.
    pub(crate) fn was_moved_on_from(&self, full_name: &str, commit: CommitId) -> Result<bool> {
        let commit = object_id(commit)?;
        match self.repo.reflog(full_name) {
            Ok(log) => Ok(log.iter().skip(1).any(|entry| entry.id_new() == commit)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(wrap(&format!("read the log of {full_name}"))(error)),
        }
    }

    /// Where the local branches are.
    pub(crate) fn local_branches(&self) -> Result<Vec<CommitId>> {
        let list = || -> Result<Vec<CommitId>, git2::Error> {
            let found = self.repo.references_glob("refs/heads/*")?;
            let commit = |found: git2::Reference<'_>| self.known_commit(found.target()?);
            Ok(found.flatten().filter_map(commit).collect())
        };
        list().map_err(wrap("list the branches"))
    }

    /// Commits that a remote had when last heard of, be it on a branch or elsewhere.
    pub(crate) fn tracked(&self, remote: &RemoteName) -> Result<Vec<CommitId>> {
        let branches = self.tracked_branches(remote)?.into_iter();
        let mut commits: Vec<CommitId> = branches.map(|(_, tip)| tip).collect();
        let list = || -> Result<Vec<CommitId>, git2::Error> {
            let others = format!("{}*", other_tracking(remote));
            let found = self.repo.references_glob(&others)?;
            let commit = |found: git2::Reference<'_>| self.known_commit(found.target()?);
            Ok(found.flatten().filter_map(commit).collect())
        };
        commits.extend(list().map_err(wrap("list the tracking refs"))?);
        Ok(commits)
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
