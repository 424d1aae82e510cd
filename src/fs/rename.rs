use std::fs::File;
use std::path::Path;

use rustix::fs::{Advice, CWD, RenameFlags, fadvise, renameat_with};

/// Renames a file, unless something is at `target`; whether it did.
///
/// A file system that cannot promise that does not.
pub(crate) fn rename_to_free(source: &Path, target: &Path) -> bool {
    renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE).is_ok()
}

/// Has two files change places in one step, the `new` one coming to `target`; whether they did.
///
/// What was at either path is still there, at the other one: unlike one that is replaced, it can be looked
/// at, and given back.
///
/// Where a file is replaced by a rename, ext4 writes the new one out before the rename is on the disk; else
/// a power cut would leave an empty file where a whole one was. It does not where two change places, so
/// that is done here.
pub(crate) fn exchange(new: &Path, target: &Path) -> bool {
    write_out(new);
    renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE).is_ok()
}

/// Has the kernel begin to write a file to the disk, without waiting for the end of it.
fn write_out(file: &Path) {
    // A link has no pages.
    if let Ok(Some(file)) = super::open_no_link(file) {
        begin_write_out(&file);
    }
}

/// The same for an open file.
pub(crate) fn begin_write_out(file: &File) {
    // That nobody needs its pages is the advice for which the kernel does so. Those that are being written
    // stay in memory all the same.
    let _ = fadvise(file, 0, None, Advice::DontNeed);
}
