use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Renames a file, unless something is at `target`; whether it did.
///
/// A file system that cannot promise that does not.
pub(crate) fn rename_to_free(source: &Path, target: &Path) -> bool {
    renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE).is_ok()
}

/// Has two files change places in one step; whether they did.
///
/// What was at either path is still there, at the other one: unlike one that is replaced, it can be looked
/// at, and given back. On ext4 that takes a third of the time of replacing a file, which makes the
/// kernel write the new one out at once.
pub(crate) fn exchange(one: &Path, other: &Path) -> bool {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}
