//! Branches: which there are, who is on them, and what only they lead to.

use std::collections::HashSet;
use std::path::Path;

use super::error::wrap;
use super::refs::object_id;
use super::{Git, PrivateRef};
use crate::error::Result;
use crate::fs;
use crate::id::CommitId;
use crate::name::{BranchName, RemoteName};

/// Refs that keep a commit where somebody finds it again: not those that come and go by themselves.
const LASTING: [&str; 5] = [
    "refs/heads/",
    "refs/tags/",
    "refs/remotes/",
    "refs/hf-repository/remotes/",
    "refs/hf-repository/gone/",
];
/// Where git notes, in the folder of a work tree, which branch an operation under way is for.
const UNDER_WAY: [&str; 2] = ["rebase-merge/head-name", "rebase-apply/head-name"];

/// A branch and the commit it is at.
pub(crate) type At = (BranchName, CommitId);

impl Git {
    /// The local branches, by name. Those whose names only some other git allows are left out.
    pub(crate) fn branches(&self) -> Result<Vec<At>> {
        let what = "list the branches";
        let mut branches = Vec::new();
        for found in self
            .repo
            .references_glob("refs/heads/*")
            .map_err(wrap(what))?
        {
            let found = found.map_err(wrap(what))?;
            let name = found
                .name()
                .ok()
                .and_then(|name| name.strip_prefix("refs/heads/"));
            let name: Option<BranchName> = name.and_then(|name| name.parse().ok());
            let id = found.resolve().ok().and_then(|found| found.target());
            if let (Some(name), Some(commit)) = (name, id.and_then(|id| self.known_commit(id))) {
                branches.push((name, commit));
            }
        }
        branches.sort();
        Ok(branches)
    }

    /// The names of all remotes.
    pub(crate) fn remotes(&self) -> Result<Vec<RemoteName>> {
        let names = self.repo.remotes().map_err(wrap("list the remotes"))?;
        let names = names.iter().filter_map(|name| name.ok().flatten());
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }

    /// Branches that other work trees are on, or are about to come back to.
    pub(crate) fn branches_elsewhere(&self) -> Result<Vec<BranchName>> {
        let same = |one: &Path, two: &Path| one.canonicalize().ok() == two.canonicalize().ok();
        let mut found = Vec::new();
        for folder in self.work_tree_folders()? {
            if !same(&folder, self.git_dir()) {
                found.extend(branch_in(&folder, "HEAD")?);
            }
            // Not even this one's HEAD says which branch is being rebased.
            for name in UNDER_WAY {
                found.extend(branch_in(&folder, name)?);
            }
        }
        Ok(found)
    }

    /// Commits that would be lost with a branch at `tip`: no other branch, tag or tracking ref leads to
    /// them, nor the HEAD of any work tree, nor is any part of what is `safe`. `going` are the full names
    /// of refs that are to go.
    pub(crate) fn only_by(
        &self,
        tip: CommitId,
        going: &[&str],
        safe: &[CommitId],
    ) -> Result<Vec<CommitId>> {
        let mut others: HashSet<CommitId> = safe.iter().copied().collect();
        for found in self.repo.references().map_err(wrap("read the refs"))? {
            let found = found.map_err(wrap("read the refs"))?;
            let Ok(name) = found.name() else { continue };
            if going.contains(&name) || !LASTING.iter().any(|kind| name.starts_with(kind)) {
                continue;
            }
            others.extend(found.target().and_then(|id| self.known_commit(id)));
        }
        for folder in self.work_tree_folders()? {
            // One that is on the branch itself keeps nothing.
            let name = branch_in(&folder, "HEAD")?.map(|branch| branch.local_ref());
            if name.is_none_or(|name| !going.contains(&name.as_str())) {
                others.extend(self.head_in(&folder)?);
            }
        }
        let others: Vec<CommitId> = others.into_iter().collect();
        self.commits_between(tip, &others)
    }

    /// Forgets a branch that is at `tip`, with what the config says of it; whether it was there.
    pub(crate) fn delete_branch(&self, branch: &BranchName, tip: CommitId) -> Result<bool> {
        if !self.delete_ref(&branch.local_ref(), object_id(tip)?)? {
            return Ok(false);
        }
        self.drop_private(&PrivateRef::Integrated(branch))?;
        self.move_branch_section(branch, None)?;
        Ok(true)
    }
}

/// The branch that one of git's files in a work tree's folder names.
fn branch_in(folder: &Path, name: &str) -> Result<Option<BranchName>> {
    let text = fs::read_if_exists(&folder.join(name))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    let name = text.strip_prefix("ref:").map_or(text, str::trim);
    Ok(name
        .strip_prefix("refs/heads/")
        .and_then(|name| name.parse().ok()))
}
