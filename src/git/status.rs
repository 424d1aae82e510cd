//! What libgit2 finds changed in the work tree.

use git2::{Status, StatusOptions};

use super::error::wrap;
use super::index::ASSUME_VALID;
use super::{Entry, Git};
use crate::error::Result;
use crate::path::RepoPath;

/// How a file differs from what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FileState {
    /// It is new.
    Added,
    /// Its content or mode is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It became another kind of thing (a link, say).
    TypeChanged,
}

/// A path of the work tree that is not as the index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// As git has it; not always UTF-8. A folder that is another repository ends with `/`.
    pub(crate) path: Vec<u8>,
    pub(crate) state: FileState,
}

impl Git {
    /// Compares the work tree with the index, untracked files included one by one.
    ///
    /// Entries in `settled` were judged already (LFS files, which libgit2 would misread and
    /// hash whole): libgit2 does not look into those files.
    pub(crate) fn worktree_changes(&self, settled: &[Entry]) -> Result<Vec<Found>> {
        let mut index = self.repo.index().map_err(wrap("read the index"))?;
        index.read(true).map_err(wrap("read the index"))?;
        // In memory only: nothing here is ever written.
        for entry in settled {
            let mut raw = entry.to_raw();
            raw.flags |= ASSUME_VALID;
            index.add(&raw).map_err(wrap("read the index"))?;
        }
        let mut options = StatusOptions::new();
        options
            .show(git2::StatusShow::Workdir)
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .exclude_submodules(true)
            .no_refresh(true);
        let statuses = self
            .repo
            .statuses(Some(&mut options))
            .map_err(wrap("look at the work tree"))?;
        let found = statuses.iter().filter_map(|entry| {
            let state = state(entry.status())?;
            Some(Found {
                path: entry.path_bytes().to_vec(),
                state,
            })
        });
        let found = found.collect();
        index.read(true).map_err(wrap("read the index"))?;
        Ok(found)
    }

    /// Whether the ignore rules exclude a path that is not tracked.
    pub(crate) fn is_ignored(&self, path: &RepoPath) -> Result<bool> {
        self.repo
            .is_path_ignored(path.as_str())
            .map_err(wrap(&format!("read the ignore rules for {path}")))
    }

    /// The name of a merge, rebase or the like that somebody began and did not finish.
    pub(crate) fn unfinished_operation(&self) -> Option<&'static str> {
        use git2::RepositoryState as State;
        match self.repo.state() {
            State::Clean => None,
            State::Merge => Some("merge"),
            State::Revert | State::RevertSequence => Some("revert"),
            State::CherryPick | State::CherryPickSequence => Some("cherry-pick"),
            State::Bisect => Some("bisect"),
            State::Rebase | State::RebaseInteractive | State::RebaseMerge => Some("rebase"),
            State::ApplyMailbox | State::ApplyMailboxOrRebase => Some("am"),
        }
    }
}

fn state(status: Status) -> Option<FileState> {
    if status.is_wt_new() {
        Some(FileState::Added)
    } else if status.is_wt_deleted() {
        Some(FileState::Deleted)
    } else if status.is_wt_typechange() {
        Some(FileState::TypeChanged)
    } else if status.is_wt_modified() {
        Some(FileState::Modified)
    } else {
        None
    }
}
