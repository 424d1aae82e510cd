//! What libgit2 finds changed in the work tree.

use std::collections::HashMap;

use git2::{Status, StatusOptions};

use super::error::wrap;
use super::{Entry, Git, Listing};
use crate::error::Result;
use crate::gitattributes::FILE_NAME as ATTRIBUTES;
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

impl Git {
    /// How files whose stat proves nothing differ from their entries; those that do not are left out.
    ///
    /// By libgit2, which reads them and converts them as attributes and config have it.
    pub(crate) fn judge(
        &self,
        entries: &[Entry],
        index: &Listing,
    ) -> Result<Vec<(RepoPath, FileState)>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let look = || -> std::result::Result<Vec<(Vec<u8>, FileState)>, git2::Error> {
            let statuses_of = self.scratch(entries, index)?;
            let mut options = StatusOptions::new();
            options
                .show(git2::StatusShow::Workdir)
                .include_untracked(false)
                .exclude_submodules(true)
                // The paths are names, not patterns.
                .disable_pathspec_match(true)
                .no_refresh(true);
            for entry in entries {
                options.pathspec(entry.path.as_str());
            }
            let statuses = statuses_of.statuses(Some(&mut options))?;
            let found = statuses.iter();
            let found = found
                .filter_map(|entry| Some((entry.path_bytes().to_vec(), state(entry.status())?)));
            Ok(found.collect())
        };
        let found = look().map_err(wrap("look at the work tree"))?;
        let found: HashMap<Vec<u8>, FileState> = found.into_iter().collect();
        let state_of = |entry: &Entry| {
            let state = found.get(entry.path.as_str().as_bytes())?;
            Some((entry.path.clone(), *state))
        };
        Ok(entries.iter().filter_map(state_of).collect())
    }

    /// A handle whose index has these entries alone, without their stat, and the files with attributes.
    fn scratch(
        &self,
        entries: &[Entry],
        index: &Listing,
    ) -> std::result::Result<git2::Repository, git2::Error> {
        let none: [&str; 0] = [];
        let repo =
            git2::Repository::open_ext(&self.workdir, git2::RepositoryOpenFlags::NO_SEARCH, none)?;
        let mut own = git2::Index::new()?;
        for (path, id, mode) in index.named(ATTRIBUTES) {
            own.add(&Entry::without_stat(path, id, mode).to_raw())?;
        }
        for entry in entries {
            own.add(&entry.unseen().to_raw())?;
        }
        repo.set_index(&mut own)?;
        Ok(repo)
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
