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
    let mut index = git.listing_to_commit()?;
    if index.has_conflicts() {
        return Err(
            Error::new(ErrorKind::UnfinishedOperation, "the index has conflicts")
                .with_hint("resolve them with git first"),
        );
    }
    index.forget_announced();
    let before = head
        .commit()
        .map(|commit| git.tree_of(commit))
        .transpose()?;
    let changes = git.staged_in(&index, before)?;
    let unchanged = match before {
        Some(_) => changes.is_empty(),
        None => index.is_empty(),
    };
    if unchanged {
        return Ok(None);
    }
    let tree = git.write_tree(&index)?;
    refuse_raw_lfs_files(git, &changes, before, tree)?;
    Ok(Some(tree))
}
