//! What a branch becomes whose remote has moved on as well.

use super::checkout::diverged;
use super::pull::PullStrategy;
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::git::{Git, Identity, Merge, Rebase};
use crate::id::CommitId;
use crate::name::{BranchName, RefName, RemoteName};
use crate::path::RepoPath;

/// A branch, where it is, and where the remote has it.
pub(super) struct Parted<'a> {
    pub(super) branch: &'a BranchName,
    pub(super) remote: &'a RemoteName,
    /// Where it is pulled from.
    pub(super) source: &'a RefName,
    pub(super) ours: CommitId,
    pub(super) theirs: CommitId,
}

/// Where both lines of history lead.
pub(super) struct Joined {
    pub(super) tip: CommitId,
    pub(super) merged: Option<CommitId>,
    pub(super) rewritten: Vec<(CommitId, CommitId)>,
    /// How the branch came to move, for its log.
    pub(super) log: &'static str,
}

impl Parted<'_> {
    /// Joins both lines in the object store; no ref moves.
    pub(super) fn join(
        &self,
        git: &Git,
        strategy: PullStrategy,
        identity: &Identity,
    ) -> Result<Joined> {
        match strategy {
            PullStrategy::FastForward => {
                let (ahead, behind) = git.ahead_behind(self.ours, self.theirs)?;
                Err(diverged(self.branch, ahead, behind))
            }
            PullStrategy::Merge => self.merge(git, identity),
            PullStrategy::Rebase => self.rebase(git, identity),
        }
    }

    fn merge(&self, git: &Git, identity: &Identity) -> Result<Joined> {
        let tree = match git.merge_commits(self.ours, self.theirs)? {
            Merge::Clean(tree) => tree,
            Merge::Conflicts(paths) => return Err(self.conflict(None, paths)),
            Merge::Unrelated => return Err(self.unrelated()),
        };
        let message = match self.source.branch() {
            Some(branch) => format!("Merge remote-tracking branch '{}/{branch}'\n", self.remote),
            None => format!("Merge {} of {}\n", self.source, self.remote),
        };
        let commit = git.write_commit(tree, &[self.ours, self.theirs], &message, identity)?;
        Ok(Joined {
            tip: commit,
            merged: Some(commit),
            rewritten: Vec::new(),
            log: "pull: merge",
        })
    }

    fn rebase(&self, git: &Git, identity: &Identity) -> Result<Joined> {
        let bases = git.merge_bases(self.ours, self.theirs)?;
        if bases.is_empty() {
            return Err(self.unrelated());
        }
        let line = git.line_since(self.ours, &bases)?;
        let rewritten = match git.rebase_commits(&line, self.theirs, identity)? {
            Rebase::Done(rewritten) => rewritten,
            Rebase::Conflicts { commit, paths } => return Err(self.conflict(Some(commit), paths)),
            Rebase::HasMerge(commit) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "cannot rebase {}: {} is a merge",
                        self.branch,
                        commit.short()
                    ),
                )
                .with_hint("pull with PullStrategy::Merge"));
            }
        };
        Ok(Joined {
            tip: rewritten.last().map_or(self.theirs, |(_, new)| *new),
            merged: None,
            rewritten,
            log: "pull: rebase",
        })
    }

    fn conflict(&self, commit: Option<CommitId>, paths: Vec<RepoPath>) -> Error {
        let offence = |path| Offence::new(path, commit, "changed here and on the remote");
        let branch = self.branch;
        let theirs = self.source.tracking_ref(self.remote);
        let theirs = theirs.trim_start_matches("refs/remotes/");
        Error::new(
            ErrorKind::Conflict,
            format!("{branch} and its remote changed the same files"),
        )
        .with_hint(format!(
            "resolve it with git: git merge {theirs}; or push to another branch"
        ))
        .with_offences(paths.into_iter().map(offence).collect())
    }

    fn unrelated(&self) -> Error {
        Error::new(
            ErrorKind::Diverged,
            format!("{} and its remote have no commit in common", self.branch),
        )
        .with_hint("is this the right remote? If so, push to another branch")
    }
}
