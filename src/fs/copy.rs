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
    clone_or_copy_start(source, target, u64::MAX, path, cancel)
}

/// Copies the first `limit` bytes, or all there are, as [`clone_or_copy`] does.
///
/// So the copy of a file ends even if somebody appends to it faster than it can be copied.
pub(crate) fn clone_or_copy_start(
    source: &File,
    target: &File,
    limit: u64,
    path: &Path,
    cancel: &CancelToken,
) -> Result<u64> {
    let failed = |error: io::Error| Error::io("copy to", path, error);
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        let size = target.metadata().map_err(failed)?.len();
        if size > limit {
            target.set_len(limit).map_err(failed)?;
        }
        return Ok(size.min(limit));
    }
    let size = source.metadata().map_err(failed)?.len();
    require_space(target, size.min(limit), path)?;
    let (mut from, mut to, mut copied) = (source, target, 0);
    loop {
        cancel.check()?;
        let chunk = CHUNK.min(limit - copied);
        // On Linux this is copy_file_range(2): no trip through user space.
        let count = io::copy(&mut from.by_ref().take(chunk), &mut to).map_err(failed)?;
        copied += count;
        if count < chunk || copied == limit {
            return Ok(copied);
        }
    }
}

/// Refuses to begin what cannot be finished: `size` more bytes on the file system of `target`.
pub(crate) fn require_space(target: &File, size: u64, path: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_is_copied() {
        use std::io::Write;
        let mut source = tempfile::NamedTempFile::new().expect("temp");
        source.write_all(b"hello").expect("written");
        for (limit, wanted) in [(0, ""), (2, "he"), (5, "hello"), (9, "hello")] {
            let target = tempfile::NamedTempFile::new().expect("temp");
            let from = File::open(source.path()).expect("opened");
            let cancel = CancelToken::new();
            let copied =
                clone_or_copy_start(&from, target.as_file(), limit, target.path(), &cancel);
            assert_eq!(copied.expect("copied"), wanted.len() as u64);
            let found = std::fs::read_to_string(target.path()).expect("read");
            assert_eq!(found, wanted);
        }
    }
}
