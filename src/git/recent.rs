//! What is recent, by the committer's clock, as git and git-lfs judge it.

use std::collections::HashSet;

use git2::ReferenceType;

use super::Git;
use super::error::wrap;
use super::refs::{commit_id, object_id};
use crate::error::Result;
use crate::id::CommitId;

impl Git {
    /// When a commit was made: seconds since 1970.
    pub(crate) fn time_of(&self, commit: CommitId) -> Result<i64> {
        let commit = self
            .repo
            .find_commit(object_id(commit)?)
            .map_err(wrap("read a commit"))?;
        Ok(commit.time().seconds())
    }

    /// The commits, made at `since` or later, that refs name themselves.
    ///
    /// An annotated tag has no committer, and so no age; refs right below `refs/` (the stash) are no
    /// ref of this kind. `remote_refs` says whether `refs/remotes/` counts.
    pub(crate) fn recent_tips(&self, since: i64, remote_refs: bool) -> Result<Vec<CommitId>> {
        let read = || -> Result<Vec<CommitId>, git2::Error> {
            let mut tips = Vec::new();
            for reference in self.repo.references()? {
                let reference = reference?;
                let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                let named = name.strip_prefix("refs/").unwrap_or_default();
                let counts = named.contains('/') && (remote_refs || !named.starts_with("remotes/"));
                if !counts || reference.kind() != Some(ReferenceType::Direct) {
                    continue;
                }
                let target = reference.target();
                let commit = target.and_then(|id| self.repo.find_commit(id).ok());
                let young = commit.filter(|commit| commit.time().seconds() >= since);
                tips.extend(young.map(|commit| commit_id(commit.id())));
            }
            Ok(tips)
        };
        read().map_err(wrap("read the refs"))
    }

    /// The commits that `tip` leads to by commits that were made at `since` or later.
    pub(crate) fn commits_since(&self, tip: CommitId, since: i64) -> Result<Vec<CommitId>> {
        let mut seen = HashSet::from([tip]);
        let (mut open, mut found) = (vec![tip], Vec::new());
        while let Some(commit) = open.pop() {
            // What is behind an old commit is old, whatever its clock said: so git has it.
            if self.time_of(commit)? < since {
                continue;
            }
            found.push(commit);
            for parent in self.parents_of(commit)? {
                if seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        Ok(found)
    }
}
