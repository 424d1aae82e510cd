//! Changes that were there before the work began.

use std::collections::BTreeMap;
use std::path::Path;

use super::options::{EarlierChanges, ScopeOptions};
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::fs::{self, Stat};
use crate::git::{FileState, Git, Head};
use crate::gitattributes::FILE_NAME;
use crate::local::Local;
use crate::path::RepoPath;
use crate::worktree::{self, AutoTrack, Selection};

/// One of them.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) path: RepoPath,
    /// What the file was; `None` if it was gone.
    stat: Option<Stat>,
}

impl Earlier {
    /// Whether nothing was written there since.
    pub(super) fn is_as_it_was(&self, workdir: &Path) -> Result<bool> {
        Ok(fs::lstat(&self.path.under(workdir))? == self.stat)
    }
}

/// What is not committed now, staged or not, or the error that it is in the way.
pub(super) fn look(
    local: &Local,
    git: &Git,
    head: &Head,
    options: &ScopeOptions,
) -> Result<Vec<Earlier>> {
    let index = git.listing()?;
    let selection = Selection::new(&options.stage)?;
    let scan = worktree::scan_selected(git, &index, &selection, &local.cancel)?;
    let mut found = BTreeMap::new();
    for (path, state) in scan.changes {
        let how = match state {
            FileState::Added => "untracked",
            FileState::Deleted => "deleted",
            FileState::Modified | FileState::TypeChanged => "edited",
        };
        found.insert(path, how);
    }
    // All of them: a commit takes the whole index.
    let tree = head
        .commit()
        .map(|commit| git.tree_of(commit))
        .transpose()?;
    for change in git.staged_in(&index, tree)? {
        found.insert(change.path, STAGED);
    }
    let is_in_the_way = |how: &str| match options.earlier {
        EarlierChanges::Refuse => true,
        EarlierChanges::Include => false,
        EarlierChanges::LeaveOut => how == STAGED,
    };
    let offences: Vec<Offence> = found
        .iter()
        .filter(|(_, how)| is_in_the_way(how))
        .map(|(path, how)| Offence::new(path.clone(), None, *how))
        .collect();
    if !offences.is_empty() {
        return Err(Error::new(
            ErrorKind::DirtyWorktree,
            "changes are here already that are not part of the work",
        )
        .with_hint(
            "commit them first, or say what becomes of them: \
             ScopeOptions::earlier_changes(EarlierChanges::Include) or LeaveOut",
        )
        .with_offences(offences));
    }
    let must_edit_rules = !matches!(options.stage.auto_track, AutoTrack::Off);
    if options.earlier == EarlierChanges::LeaveOut
        && must_edit_rules
        && let Some((path, how)) = found.iter().find(|(path, _)| path.as_str() == FILE_NAME)
    {
        // Said now, and not when the work is done.
        return Err(Error::new(
            ErrorKind::DirtyWorktree,
            format!("{path} has changed and is to be left out, but new LFS files need rules in it"),
        )
        .with_hint("commit it first, or begin with AutoTrack::Off")
        .with_offences(vec![Offence::new(path.clone(), None, *how)]));
    }
    let seen = |path: RepoPath| {
        let stat = fs::lstat(&path.under(git.workdir()))?;
        Ok(Earlier { path, stat })
    };
    found.into_keys().map(seen).collect()
}

const STAGED: &str = "staged";
