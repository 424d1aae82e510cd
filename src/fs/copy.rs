use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};

/// Bytes copied between two looks at the cancel switch; 64 MiB take some 50 ms.
const CHUNK: u64 = 64 << 20;
/// Bytes that must stay free for everything else.
const RESERVE: u64 = 16 << 20;

/// Copies all of `source` to the empty `target`, sharing the blocks where the file system can.
///
/// Free space is checked first, unless nothing has to be copied. `path` is the target's, for
/// messages. Returns the bytes copied.
pub(crate) fn clone_or_copy(
    source: &File,
    target: &File,
    path: &Path,
    cancel: &CancelToken,
) -> Result<u64> {
    let size = source
        .metadata()
        .map_err(|error| Error::io("copy to", path, error))?
        .len();
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        return Ok(size);
    }
    require_space(target, size, path)?;
    let (mut from, mut to, mut copied) = (source, target, 0);
    loop {
        cancel.check()?;
        // On Linux this is copy_file_range(2): no trip through user space.
        let count = io::copy(&mut from.by_ref().take(CHUNK), &mut to)
            .map_err(|error| Error::io("copy to", path, error))?;
        copied += count;
        if count < CHUNK {
            return Ok(copied);
        }
    }
}

fn require_space(target: &File, size: u64, path: &Path) -> Result<()> {
    // A file system that does not say is tried.
    let Ok(stat) = rustix::fs::fstatvfs(target) else {
        return Ok(());
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if stat.f_blocks == 0 || free >= size.saturating_add(RESERVE) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DiskFull,
        format!(
            "no room for {}: {size} bytes are needed, {free} are free",
            path.display()
        ),
    )
    .with_hint("free some space and call again; nothing was changed"))
}
