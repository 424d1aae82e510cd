//! The root's `.gitattributes` while a stage adds rules to it.

use std::path::PathBuf;

use crate::error::Result;
use crate::fs;
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
        let before = fs::read_if_exists(&file)?;
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
        if fs::read_if_exists(&self.file)?.as_ref() != Some(&self.written) {
            return Ok(());
        }
        match &self.before {
            Some(before) => fs::atomic_write_by_way_of(&self.scratch, &self.file, before),
            None => fs::remove_file_if_exists(&self.file),
        }
    }
}

impl Drop for RulesFile {
    fn drop(&mut self) {
        if self.undo
            && let Err(error) = self.undo()
        {
            tracing::warn!(%error, "rules of a stage that failed stay in .gitattributes");
        }
    }
}
