//! HEAD and branches.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, ReferenceType};

use super::error::{patiently, wrap};
use super::{Git, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::id::CommitId;
use crate::name::BranchName;

/// What HEAD says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// On a branch with at least one commit.
    Branch {
        branch: BranchName,
        commit: CommitId,
    },
    /// On a branch that has no commit yet.
    Unborn { branch: BranchName },
    /// On a commit, on no branch.
    Detached { commit: CommitId },
}

impl Head {
    /// The commit that is checked out, if there is one.
    pub(crate) fn commit(&self) -> Option<CommitId> {
        match self {
            Self::Branch { commit, .. } | Self::Detached { commit } => Some(*commit),
            Self::Unborn { .. } => None,
        }
    }

    /// The branch, or the error that `action` needs one.
    pub(crate) fn branch(&self, action: &str) -> Result<&BranchName> {
        match self {
            Self::Branch { branch, .. } | Self::Unborn { branch } => Ok(branch),
            Self::Detached { commit } => Err(Error::new(
                ErrorKind::DetachedHead,
                format!(
                    "cannot {action}: HEAD is at {}, not on a branch",
                    commit.short()
                ),
            )
            .with_hint(
                "check out a branch first, or create one there with CheckoutOptions::Create",
            )),
        }
    }
}

pub(super) fn commit_id(oid: ObjectId) -> CommitId {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(oid.as_bytes());
    CommitId::from_bytes(bytes)
}

pub(crate) fn object_id(id: CommitId) -> Result<ObjectId> {
    ObjectId::from_bytes(id.as_bytes()).map_err(wrap("read a commit id"))
}

impl Git {
    /// Where HEAD is.
    pub(crate) fn head(&self) -> Result<Head> {
        let head = self
            .repo
            .find_reference("HEAD")
            .map_err(wrap("read HEAD"))?;
        if head.kind() == Some(ReferenceType::Direct) {
            let commit = head.peel(ObjectType::Commit).map_err(wrap("read HEAD"))?;
            return Ok(Head::Detached {
                commit: commit_id(commit.id()),
            });
        }
        let target = head
            .symbolic_target()
            .ok()
            .flatten()
            .unwrap_or_default()
            .to_owned();
        let branch: BranchName = target
            .strip_prefix("refs/heads/")
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Unsupported,
                    format!("HEAD points to {target:?}, no branch"),
                )
                .with_hint("check out a branch with git")
            })?
            .parse()?;
        match self.ref_commit(&target)? {
            Some(commit) => Ok(Head::Branch { branch, commit }),
            None => Ok(Head::Unborn { branch }),
        }
    }

    /// The commit a full ref name leads to, if the ref exists.
    pub(crate) fn ref_commit(&self, full_name: &str) -> Result<Option<CommitId>> {
        let peeled = self
            .repo
            .find_reference(full_name)
            .and_then(|reference| reference.peel(ObjectType::Commit));
        match peeled {
            Ok(commit) => Ok(Some(commit_id(commit.id()))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(wrap(&format!("read {full_name}"))(error)),
        }
    }

    /// Whether the commit's object is here.
    pub(crate) fn has_commit(&self, commit: CommitId) -> bool {
        object_id(commit).is_ok_and(|id| self.repo.find_commit(id).is_ok())
    }

    /// The commit an id from outside names, if it is one and is here.
    pub(crate) fn known_commit(&self, id: ObjectId) -> Option<CommitId> {
        let object = self.repo.find_object(id, None).ok()?;
        object
            .peel(ObjectType::Commit)
            .ok()
            .map(|commit| commit_id(commit.id()))
    }

    /// Moves or creates a ref, only if it still is where `expected` says.
    pub(crate) fn set_ref(
        &self,
        full_name: &str,
        commit: CommitId,
        expected: Option<CommitId>,
        log: &str,
    ) -> Result<()> {
        let target = object_id(commit)?;
        let expected = expected.map_or(Ok(ObjectId::ZERO_SHA1), object_id)?;
        patiently(&format!("move {full_name}"), || {
            // A zero expectation means "must not exist" to libgit2 only without force.
            if expected.is_zero() {
                self.repo.reference(full_name, target, false, log).map(drop)
            } else {
                self.repo
                    .reference_matching(full_name, target, true, expected, log)
                    .map(drop)
            }
        })
    }

    /// Moves or creates a ref, wherever it was.
    pub(crate) fn force_ref(&self, full_name: &str, target: ObjectId, log: &str) -> Result<()> {
        patiently(&format!("move {full_name}"), || {
            self.repo.reference(full_name, target, true, log).map(drop)
        })
    }

    /// Points `symbolic` (HEAD, `refs/remotes/origin/HEAD`) at another ref.
    pub(crate) fn set_symbolic(&self, symbolic: &str, target: &str, log: &str) -> Result<()> {
        patiently(&format!("point {symbolic} at {target}"), || {
            self.repo
                .reference_symbolic(symbolic, target, true, log)
                .map(drop)
        })
    }

    /// Another work tree of this repository that is on the branch, as git's folder for it.
    pub(crate) fn checked_out_elsewhere(&self, branch: &BranchName) -> Result<Option<PathBuf>> {
        let wanted = format!("ref: {}", branch.local_ref());
        for folder in self.work_tree_folders()? {
            let same = |one: &Path, two: &Path| one.canonicalize().ok() == two.canonicalize().ok();
            if same(&folder, self.git_dir()) {
                continue;
            }
            let head = fs::read_if_exists(&folder.join("HEAD"))?.unwrap_or_default();
            if head.trim_ascii() == wanted.as_bytes() {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }

    /// Detaches HEAD at a commit.
    pub(crate) fn detach_head(&self, commit: CommitId) -> Result<()> {
        let target = object_id(commit)?;
        patiently("move HEAD", || self.repo.set_head_detached(target))
    }

    /// Whether `ancestor` is `descendant` or one of its ancestors.
    pub(crate) fn is_ancestor(&self, ancestor: CommitId, descendant: CommitId) -> Result<bool> {
        if ancestor == descendant {
            return Ok(true);
        }
        self.repo
            .graph_descendant_of(object_id(descendant)?, object_id(ancestor)?)
            .map_err(wrap("compare two commits"))
    }

    /// How many commits `ours` and `theirs` have that the other lacks.
    pub(crate) fn ahead_behind(&self, ours: CommitId, theirs: CommitId) -> Result<(usize, usize)> {
        self.repo
            .graph_ahead_behind(object_id(ours)?, object_id(theirs)?)
            .map_err(wrap("compare two commits"))
    }

    /// Commits reachable from `tip` but from none of `excluded`, newest first.
    pub(crate) fn commits_between(
        &self,
        tip: CommitId,
        excluded: &[CommitId],
    ) -> Result<Vec<CommitId>> {
        self.commits_beyond(&[tip], excluded)
    }

    /// Commits reachable from any of the `tips` but from none of `excluded`, newest first.
    pub(crate) fn commits_beyond(
        &self,
        tips: &[CommitId],
        excluded: &[CommitId],
    ) -> Result<Vec<CommitId>> {
        let walk = || -> Result<Vec<CommitId>, git2::Error> {
            let mut walk = self.repo.revwalk()?;
            for tip in tips {
                walk.push(ObjectId::from_bytes(tip.as_bytes())?)?;
            }
            for commit in excluded {
                let id = ObjectId::from_bytes(commit.as_bytes())?;
                // A remote may have commits this clone never saw.
                if self.repo.find_commit(id).is_ok() {
                    walk.hide(id)?;
                }
            }
            walk.map(|id| id.map(commit_id)).collect()
        };
        walk().map_err(wrap("walk the history"))
    }
}
