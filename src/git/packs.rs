//! Packs that arrive: libgit2 leaves them to the page cache, but syncs the refs that lead into them.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::ErrorKind::NotFound;
use std::path::PathBuf;

use super::Git;
use crate::error::{Error, Result};
use crate::fs;

/// The packs that were there before something brings more.
#[must_use]
pub(super) struct Packs {
    folder: PathBuf,
    known: HashSet<OsString>,
}

impl Git {
    pub(super) fn packs(&self) -> Result<Packs> {
        let mut packs = Packs {
            folder: self.common_dir().join("objects/pack"),
            known: HashSet::new(),
        };
        packs.known = packs.names()?;
        Ok(packs)
    }
}

impl Packs {
    /// Waits until what came since is on the disk; to be called before a ref leads to it.
    pub(super) fn sync(&self) -> Result<()> {
        let now = self.names()?;
        let mut came = now.difference(&self.known).peekable();
        if came.peek().is_none() {
            return Ok(());
        }
        for name in came {
            fs::sync_file(&self.folder.join(name))?;
        }
        fs::sync_dir(&self.folder)
    }

    /// Files named `pack-…`; what is being written has another name.
    fn names(&self) -> Result<HashSet<OsString>> {
        let failed = |error| Error::io("list", &self.folder, error);
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == NotFound => return Ok(HashSet::new()),
            entries => entries.map_err(failed)?,
        };
        let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name()));
        let names: Result<HashSet<OsString>> = names.collect();
        let is_pack = |name: &OsString| name.to_string_lossy().starts_with("pack-");
        names.map(|names| names.into_iter().filter(is_pack).collect())
    }
}
