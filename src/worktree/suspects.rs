//! Which files may have changed, by their stat alone: for whoever looks into them later.

use super::options::StageOptions;
use super::selection::Selection;
use super::walk::{Walked, walk};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::{self, FileKind, Stat};
use crate::git::Git;
use crate::path::RepoPath;

/// Files that may have changed; each part in the order of the paths.
pub(crate) struct Suspects {
    /// Untracked, or with another stat than the index has; and what they are now.
    pub(crate) files: Vec<(RepoPath, Stat)>,
    /// Tracked, but not there any more.
    pub(crate) gone: Vec<RepoPath>,
}

/// Finds the suspects among the files that the options take. No file is read.
///
/// # Errors
/// [`PathNotFound`](crate::ErrorKind::PathNotFound) and [`PathIgnored`](crate::ErrorKind::PathIgnored) for
/// names that mean nothing, and those of the file system.
pub(crate) fn suspects(
    git: &Git,
    options: &StageOptions,
    cancel: &CancelToken,
) -> Result<Suspects> {
    let selection = Selection::new(options)?;
    if !options.paths.is_empty() {
        selection.check(git, &git.index()?)?;
    }
    let index = git.listing()?;
    let Walked {
        open,
        gone,
        untracked,
    } = walk(git, &index, &selection, cancel)?;
    let mut files = Vec::new();
    for (row, stat) in open {
        files.push((index.entry(row)?.path, stat));
    }
    for name in untracked {
        // What has no name of ours is told of when everything is staged at once; so is a repository.
        let name = String::from_utf8(name).ok();
        let Some(path) = name.and_then(|name| RepoPath::new(name).ok()) else {
            continue;
        };
        if !selection.takes(&path) {
            continue;
        }
        let stat = fs::lstat(&path.under(git.workdir()))?;
        let is_ours = |stat: &Stat| matches!(stat.kind, FileKind::File | FileKind::Symlink);
        files.extend(stat.filter(is_ours).map(|stat| (path, stat)));
    }
    let gone = gone.into_iter().filter(|row| !index.is_repository(*row));
    let gone: Result<Vec<RepoPath>> = gone.map(|row| Ok(index.entry(row)?.path)).collect();
    let mut gone = gone?;
    files.sort_by(|one, other| one.0.cmp(&other.0));
    gone.sort();
    Ok(Suspects { files, gone })
}
