//! The last look before a commit: no LFS path may hold raw bytes.

use crate::error::{Error, ErrorKind, Offence, Result};
use crate::git::{Change, Git, ObjectId};
use crate::path::RepoPath;

use super::pointers::Pointers;

/// Refuses to commit `tree` if it brings in a file that `.gitattributes` gives to LFS and that is
/// no pointer. The `changes` are those that lead from `head` to it.
///
/// Such a blob would be committed silently, and every clone would show it as modified. What `head`
/// has wrong already is not held against the new commit.
pub(crate) fn refuse_raw_lfs_files(
    git: &Git,
    changes: &[Change],
    head: Option<ObjectId>,
    tree: ObjectId,
) -> Result<()> {
    let after = git.snapshot(Some(tree))?;
    let mut pointers = Pointers::new(git);
    let mut offences = Vec::new();
    let mut examine = |path: &RepoPath, blob: ObjectId| -> Result<()> {
        // In this order: the rules cost less than the blob, and most files have none.
        if after.is_lfs(path)? && pointers.get(blob)?.is_none() {
            offences.push(Offence::new(
                path.clone(),
                None,
                "tracked with LFS, but staged as it is",
            ));
        }
        Ok(())
    };
    for change in changes {
        if let Some((blob, mode)) = change.new
            && mode.is_file()
        {
            examine(&change.path, blob)?;
        }
    }
    // New rules reach files that did not change themselves.
    if changes.iter().any(changes_attributes) {
        let before = git.snapshot(head)?;
        let changed: std::collections::HashSet<&str> =
            changes.iter().map(|change| change.path.as_str()).collect();
        for file in git.files_of(tree)? {
            let untouched = file.mode.is_file() && !changed.contains(file.path.as_str());
            if untouched && !before.is_lfs(&file.path)? {
                examine(&file.path, file.id)?;
            }
        }
    }
    if offences.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Preflight,
        "cannot commit files that belong to Git LFS as they are",
    )
    .with_hint("stage them again with stage(), which turns them into LFS files")
    .with_offences(offences))
}

pub(super) fn changes_attributes(change: &Change) -> bool {
    change.path.file_name() == ".gitattributes"
}
