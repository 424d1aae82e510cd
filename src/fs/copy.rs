use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};

/// Bytes copied between two looks at the cancel switch, and two words to who follows; 8 MiB take some 6 ms.
const CHUNK: u64 = 8 << 20;
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
    clone_or_copy_start(source, target, u64::MAX, path, cancel, |_| true)
}

/// Copies the first `limit` bytes, or all there are, as [`clone_or_copy`] does.
///
/// So the copy of a file ends even if somebody appends to it faster than it can be copied. `reached` is
/// told how many bytes are there, whenever some more are; if it does not want more, that was all.
pub(crate) fn clone_or_copy_start(
    source: &File,
    target: &File,
    limit: u64,
    path: &Path,
    cancel: &CancelToken,
    mut reached: impl FnMut(u64) -> bool,
) -> Result<u64> {
    let failed = |error: io::Error| Error::io("copy to", path, error);
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        let size = target.metadata().map_err(failed)?.len();
        if size > limit {
            target.set_len(limit).map_err(failed)?;
        }
        let copied = size.min(limit);
        reached(copied);
        return Ok(copied);
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
        let wanted = reached(copied);
        if count < chunk || copied == limit || !wanted {
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
    fn nothing_is_copied_for_nobody() {
        let source = tempfile::tempfile().expect("temp");
        source.set_len(3 * CHUNK).expect("grown");
        let target = tempfile::NamedTempFile::new().expect("temp");
        let (to, path, cancel) = (target.as_file(), target.path(), CancelToken::new());
        let copied = clone_or_copy_start(&source, to, u64::MAX, path, &cancel, |_| false);
        // All of it at once where blocks are shared.
        assert!([CHUNK, 3 * CHUNK].contains(&copied.expect("copied")));
    }

    #[test]
    fn no_more_than_the_limit_is_copied() {
        use std::io::Write;
        let mut source = tempfile::NamedTempFile::new().expect("temp");
        source.write_all(b"hello").expect("written");
        for (limit, wanted) in [(0, ""), (2, "he"), (5, "hello"), (9, "hello")] {
            let target = tempfile::NamedTempFile::new().expect("temp");
            let from = File::open(source.path()).expect("opened");
            let cancel = CancelToken::new();
            let mut told = 0;
            let copied = clone_or_copy_start(
                &from,
                target.as_file(),
                limit,
                target.path(),
                &cancel,
                |bytes| {
                    told = bytes;
                    true
                },
            );
            let copied = copied.expect("copied");
            assert_eq!((copied, told), (wanted.len() as u64, copied));
            let found = std::fs::read_to_string(target.path()).expect("read");
            assert_eq!(found, wanted);
        }
    }
}
