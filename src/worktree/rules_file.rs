//! The root's `.gitattributes` while a stage adds rules to it.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind};
use crate::git::{Git, private_folder};
use crate::lfs::attributes;
use crate::lfs::pattern::Pattern;

/// Rules that were added; dropped before [`keep`](Self::keep), they are taken out again.
#[must_use]
pub(super) struct RulesFile {
    scratch: PathBuf,
    file: PathBuf,
    before: Option<Vec<u8>>,
    written: Vec<u8>,
    undo: bool,
}

impl RulesFile {
    pub(super) const NAME: &'static str = ".gitattributes";

    pub(super) fn add(git: &Git, rules: &[Pattern]) -> Result<Self> {
        let file = git.workdir().join(Self::NAME);
        let before = read(&file)?;
        let written = attributes::track(before.as_deref().unwrap_or_default(), rules).content;
        let scratch = private_folder(git.git_dir());
        fs::atomic_write_by_way_of(&scratch, &file, &written)?;
        Ok(Self {
            scratch,
            file,
            before,
            written,
            undo: true,
        })
    }

    pub(super) fn keep(mut self) {
        self.undo = false;
    }

    fn undo(&self) -> Result<()> {
        // Somebody else may have edited it meanwhile.
        if read(&self.file)?.as_ref() != Some(&self.written) {
            return Ok(());
        }
        match &self.before {
            Some(before) => fs::atomic_write_by_way_of(&self.scratch, &self.file, before),
            None => fs::remove_file_if_exists(&self.file),
        }
    }
}

/// The rules as they are.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if it is a link. A repository may come with one, to any file of this
/// machine: its bytes would be committed as rules.
pub(crate) fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    let Some(stat) = fs::lstat(file)? else {
        return Ok(None);
    };
    if stat.kind != FileKind::File {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "cannot write rules into {}: it is no plain file",
                file.display()
            ),
        )
        .with_hint("git reads rules from no link either: put a file in its place"));
    }
    if stat.size > MOST_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "cannot write rules into {}: git reads none from a file of {} bytes",
                file.display(),
                stat.size
            ),
        )
        .with_hint("make it smaller: a hundred megabytes are the most"));
    }
    fs::read_start(file, MOST_BYTES)
}

/// Bytes of a file in which git, and libgit2, still look for rules.
const MOST_BYTES: u64 = 100 << 20;

impl Drop for RulesFile {
    fn drop(&mut self) {
        if self.undo
            && let Err(error) = self.undo()
        {
            tracing::warn!(%error, "rules of a stage that failed stay in .gitattributes");
        }
    }
}
