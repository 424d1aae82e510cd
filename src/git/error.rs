//! libgit2's errors in this crate's words, and patience with its locks.

use std::path::Path;
use std::thread;
use std::time::Duration;

use git2::{ErrorClass, ErrorCode};

use super::ObjectId;
use crate::error::{Error, ErrorKind, Result};

/// Turns a libgit2 error into ours; `action` completes "cannot …".
pub(super) fn wrap(action: &str) -> impl FnOnce(git2::Error) -> Error + '_ {
    move |source| {
        let kind = kind(&source);
        let error = Error::new(kind, format!("cannot {action}: {}", source.message()));
        let error = match kind {
            ErrorKind::Locked => error.with_hint(
                "another process works on this repository; if none does, remove the lock file named above",
            ),
            ErrorKind::DiskFull => {
                error.with_hint("free some space and call again; nothing was lost")
            }
            ErrorKind::Unsupported => error.with_hint("use the git program for this repository"),
            ErrorKind::Git if source.code() == ErrorCode::Owner => error.with_hint(
                "the folder belongs to another user; allow it with: git config --global --add safe.directory <folder>",
            ),
            _ => error,
        };
        error.with_source(source)
    }
}

/// The same for an object of the repository in `workdir`, which should be there and whole.
pub(super) fn unreadable(id: ObjectId, workdir: &Path, source: git2::Error) -> Error {
    let action = format!("read the object {id} of {}", workdir.display());
    wrap(&action)(source).with_hint(RESTORE)
}

/// What to do about broken objects.
pub(super) const RESTORE: &str = "run git fsck: it says what is broken; bring that back from a backup of \
    .git/objects, or clone anew and copy the files of the work tree over, which are as they were";

/// What libgit2 says of what it cannot do.
const UNSUPPORTED: [&str; 5] = [
    "unsupported extension",
    "unsupported repository",
    "unsupported mandatory extension",
    "server doesn't support shallow",
    "shallow fetch is not supported",
];

fn kind(error: &git2::Error) -> ErrorKind {
    let text = error.message();
    // libgit2 keeps errno only as strerror's text.
    let full = [
        "No space left on device",
        "File too large",
        "Disk quota exceeded",
    ];
    if full.iter().any(|reason| text.contains(reason)) {
        return ErrorKind::DiskFull;
    }
    match (error.code(), error.class()) {
        (ErrorCode::Locked, _) => ErrorKind::Locked,
        (ErrorCode::NotFastForward, _) => ErrorKind::NonFastForward,
        (ErrorCode::Conflict, ErrorClass::Checkout) => ErrorKind::DirtyWorktree,
        (ErrorCode::UnbornBranch, _) => ErrorKind::UnbornBranch,
        (ErrorCode::Unmerged, _) => ErrorKind::UnfinishedOperation,
        // An object of another kind than its ref should have.
        (ErrorCode::InvalidSpec, ErrorClass::Object) => ErrorKind::Git,
        (ErrorCode::InvalidSpec, _) => ErrorKind::InvalidName,
        _ if UNSUPPORTED.iter().any(|words| text.contains(words)) => ErrorKind::Unsupported,
        (_, ErrorClass::Os) => ErrorKind::Io,
        (_, ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssl) => ErrorKind::Network,
        _ => ErrorKind::Git,
    }
}

/// Tries to take a git lock this often; with the pauses below that is about a second.
const LOCK_TRIES: u32 = 10;
/// First pause between tries; it grows by half each time.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Runs `step` again while it fails with `Locked`: libgit2 itself never waits for a lock file.
pub(super) fn patiently<T>(
    action: &str,
    mut step: impl FnMut() -> Result<T, git2::Error>,
) -> Result<T> {
    let mut pause = LOCK_PAUSE;
    for _ in 1..LOCK_TRIES {
        match step() {
            Err(error) if error.code() == ErrorCode::Locked => {
                thread::sleep(pause);
                pause = pause * 3 / 2;
            }
            result => return result.map_err(wrap(action)),
        }
    }
    step().map_err(wrap(action))
}
