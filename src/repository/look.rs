use std::time::Duration;

use super::Repository;
use crate::error::Result;
use crate::git::{FileState, Head};
use crate::id::CommitId;
use crate::name::BranchName;
use crate::path::RepoPath;
use crate::push;
use crate::worktree;

/// What is not as committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The branch that is checked out; `None` if HEAD is detached.
    pub branch: Option<BranchName>,
    /// The commit that is checked out; `None` if the branch has none yet.
    pub commit: Option<CommitId>,
    /// Every path that differs, in order.
    pub entries: Vec<StatusEntry>,
}

impl Status {
    /// Whether work tree, index and HEAD agree and nothing is untracked.
    pub fn is_clean(&self) -> bool {
        self.entries.is_empty()
    }

    /// Files that are gone, whether or not their removal is staged.
    pub fn deleted(&self) -> impl Iterator<Item = &RepoPath> {
        let gone = |entry: &&StatusEntry| match entry.worktree {
            None => entry.staged == Some(FileState::Deleted),
            worktree => worktree == Some(FileState::Deleted),
        };
        self.entries.iter().filter(gone).map(|entry| &entry.path)
    }

    /// Files that [`stage`](Repository::stage) would take up: those of the work tree that are not as
    /// the index says, new and deleted ones included.
    pub fn unstaged(&self) -> impl Iterator<Item = &RepoPath> {
        let changed = |entry: &&StatusEntry| entry.worktree.is_some();
        self.entries.iter().filter(changed).map(|entry| &entry.path)
    }
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusEntry {
    /// The path.
    pub path: RepoPath,
    /// How the index differs from HEAD: what the next commit would change.
    pub staged: Option<FileState>,
    /// How the work tree differs from the index; an untracked file is [`FileState::Added`].
    pub worktree: Option<FileState>,
}

/// Looking.
impl Repository {
    /// Compares HEAD, index and work tree; LFS files are judged by their content.
    ///
    /// A file that was touched but not changed is clean, and is not read again next time.
    ///
    /// # Errors
    /// If the repository cannot be read.
    pub fn status(&self) -> Result<Status> {
        let _span = tracing::info_span!("status").entered();
        let git = self.local.git()?;
        let head = git.head()?;
        let index = git.listing()?;
        let scan = worktree::scan(&git, &index, &self.local.cancel)?;
        let tree = head
            .commit()
            .map(|commit| git.tree_of(commit))
            .transpose()?;
        let mut entries = std::collections::BTreeMap::new();
        let blank = |path: &RepoPath| StatusEntry {
            path: path.clone(),
            staged: None,
            worktree: None,
        };
        for change in git.staged_in(&index, tree)? {
            let state = match (change.old, change.new) {
                (None, _) => FileState::Added,
                (_, None) => FileState::Deleted,
                (Some((_, old)), Some((_, new))) if old.is_file() != new.is_file() => {
                    FileState::TypeChanged
                }
                _ => FileState::Modified,
            };
            entries
                .entry(change.path.clone())
                .or_insert_with(|| blank(&change.path))
                .staged = Some(state);
        }
        for (path, state) in &scan.changes {
            entries
                .entry(path.clone())
                .or_insert_with(|| blank(path))
                .worktree = Some(*state);
        }
        drop(index);
        if !scan.refreshed.is_empty() {
            self.keep_refreshed(&scan.refreshed);
        }
        Ok(Status {
            branch: head.branch("").ok().cloned(),
            commit: head.commit(),
            entries: entries.into_values().collect(),
        })
    }

    /// Remembers the new stat of files that turned out clean; best effort, as in git.
    fn keep_refreshed(&self, refreshed: &[crate::git::Entry]) {
        let keep = || -> Result<()> {
            let git = self.local.git()?;
            // Whoever changes the clone now knows better than this look at it.
            let _lock = self.local.lock_within(Duration::ZERO, &["index.lock"])?;
            let mut index = git.index_to_change()?;
            for entry in refreshed {
                let same = index
                    .get(&entry.path)?
                    .is_some_and(|now| now.id == entry.id);
                if same {
                    index.put(entry)?;
                }
            }
            index.write()
        };
        if let Err(error) = keep() {
            tracing::debug!(%error, "the index was not refreshed");
        }
    }

    /// Whether everything is committed, and every commit of the branch is on the remote.
    ///
    /// The remote is not asked: what counts is where its branches were when last heard of, and what
    /// is still promised. [`Status::is_clean`] looks at the files alone.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn is_clean(&self) -> Result<bool> {
        let status = self.status()?;
        let git = self.local.git()?;
        let unpushed = match (status.commit, &status.branch) {
            (Some(commit), Some(branch)) => push::is_ahead(&self.local, &git, branch, commit)?,
            (Some(commit), None) => self.local.is_unpushed(&git, commit)?,
            (None, _) => false,
        };
        Ok(status.is_clean() && !unpushed && self.pushes.pending()?.is_empty())
    }

    /// The commit that is checked out; `None` before the first one.
    ///
    /// # Errors
    /// If HEAD cannot be read.
    pub fn head(&self) -> Result<Option<CommitId>> {
        Ok(self.local.git()?.head()?.commit())
    }

    /// The branch that is checked out; `None` if HEAD is detached.
    ///
    /// # Errors
    /// If HEAD cannot be read.
    pub fn current_branch(&self) -> Result<Option<BranchName>> {
        Ok(match self.local.git()?.head()? {
            Head::Branch { branch, .. } | Head::Unborn { branch } => Some(branch),
            Head::Detached { .. } => None,
        })
    }

    /// How many commits of the current branch the remote's branch lacked when it was last seen.
    ///
    /// # Errors
    /// [`ErrorKind::DetachedHead`](crate::ErrorKind::DetachedHead) without a branch.
    pub fn commits_ahead(&self) -> Result<usize> {
        let git = self.local.git()?;
        let head = git.head()?;
        let branch = head.branch("count commits")?;
        let Some(commit) = head.commit() else {
            return Ok(0);
        };
        let remote = self.local.remote_name();
        let tracking = git.push_target(branch, remote).tracking_ref(remote);
        match git.ref_commit(&tracking)? {
            Some(theirs) => Ok(git.ahead_behind(commit, theirs)?.0),
            None => Ok(git.commits_between(commit, &[])?.len()),
        }
    }
}
