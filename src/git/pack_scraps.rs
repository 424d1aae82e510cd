//! Files of a pack that is not finished, in the folder of those that are.
//!
//! Their names are such that git sweeps them, as it does with its own; weeks later, that is. A gigabyte that a
//! killed process left goes when the next pack is made, unless it was killed in the moment between the two names:
//! a pack without an index is left to `git gc`, as git's own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::fs;

/// What they are of.
#[derive(Clone, Copy)]
pub(super) enum Scrap {
    Pack,
    Index,
}

/// One that is swept before it is locked is made again; that happens once, if ever.
const TRIES: u32 = 10;

impl Scrap {
    fn prefix(self) -> &'static str {
        match self {
            Self::Pack => "tmp_pack_hf-repository-",
            Self::Index => "tmp_idx_hf-repository-",
        }
    }

    /// A new file, locked as long as it is open.
    pub(super) fn create(self, folder: &Path) -> Result<NamedTempFile> {
        let mut tries = 0;
        loop {
            let made = tempfile::Builder::new()
                .prefix(self.prefix())
                .permissions(Permissions::from_mode(0o444))
                .tempfile_in(folder)
                .map_err(|error| Error::io("create a file in", folder, error))?;
            // Without locks none is ever found dead, and git sweeps it.
            let _ = made.as_file().try_lock();
            tries += 1;
            if tries == TRIES || fs::is_still_at(made.as_file(), made.path()) {
                return Ok(made);
            }
        }
    }
}

/// Removes what killed processes left. Best effort: it only takes room.
pub(super) fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if ![Scrap::Pack, Scrap::Index]
            .iter()
            .any(|scrap| name.starts_with(scrap.prefix()))
        {
            continue;
        }
        if fs::is_orphan(&entry.path()) {
            tracing::debug!(path = %entry.path().display(), "removing an unfinished pack");
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
