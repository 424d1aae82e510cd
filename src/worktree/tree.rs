//! From the index to a tree that may be committed.

use super::{refuse_interrupted, refuse_raw_lfs_files};
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, Head, ObjectId};

/// Writes the index as a tree; `None` if it is HEAD's. The caller holds the lock.
///
/// # Errors
/// [`ErrorKind::UnfinishedOperation`] with conflicts in the index or a switch that was interrupted,
/// [`ErrorKind::Preflight`] if a file that belongs to LFS is staged as it is.
pub(crate) fn staged_tree(git: &Git, head: &Head) -> Result<Option<ObjectId>> {
    refuse_interrupted(git, "commit")?;
    let mut index = git.index()?;
    index.forget_announced()?;
    if index.has_conflicts() {
        return Err(
            Error::new(ErrorKind::UnfinishedOperation, "the index has conflicts")
                .with_hint("resolve them with git first"),
        );
    }
    let before = head
        .commit()
        .map(|commit| git.tree_of(commit))
        .transpose()?;
    let unchanged = match before {
        Some(_) => git.staged_changes(before, &index)?.is_empty(),
        None => index.entries().next().is_none(),
    };
    if unchanged {
        return Ok(None);
    }
    let tree = git.write_tree(&mut index)?;
    refuse_raw_lfs_files(git, before, tree)?;
    Ok(Some(tree))
}
