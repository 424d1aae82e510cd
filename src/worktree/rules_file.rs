//! A `.gitattributes` while a stage changes its rules.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Stat};
use crate::git::{Git, private_folder};
use crate::gitattributes::{FILE_NAME, MOST_BYTES};
use crate::lfs::attributes;
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;

/// The file with rules for a folder; the root's is "".
pub(crate) fn file_of(folder: &str) -> Result<RepoPath> {
    match folder {
        "" => RepoPath::new(FILE_NAME),
        folder => RepoPath::new(format!("{folder}/{FILE_NAME}")),
    }
}

/// Rules that were changed; dropped before [`keep`](Self::keep), the file is as it was again.
#[must_use]
pub(super) struct RulesFile {
    path: RepoPath,
    scratch: PathBuf,
    file: PathBuf,
    before: Option<Vec<u8>>,
    seen: Option<Stat>,
    written: Vec<u8>,
    undo: bool,
}

impl RulesFile {
    pub(super) const NAME: &'static str = FILE_NAME;

    /// Takes out the rules for `gone`, and adds those for `new`.
    pub(super) fn edit(
        git: &Git,
        path: RepoPath,
        gone: &[Pattern],
        new: &[Pattern],
    ) -> Result<Self> {
        let file = path.under(git.workdir());
        let before = read(&file)?;
        let seen = fs::lstat(&file)?;
        let written = with_rules(before.as_deref().unwrap_or_default(), gone, new);
        let scratch = private_folder(git.git_dir());
        fs::atomic_write_by_way_of(&scratch, &file, &written)?;
        Ok(Self {
            path,
            scratch,
            file,
            before,
            seen,
            written,
            undo: true,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &RepoPath {
        &self.path
    }

    /// What it was when it was read.
    pub(super) fn seen(&self) -> Option<Stat> {
        self.seen
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

/// What becomes of a file if the rules for `gone` go, and those for `new` come.
pub(super) fn with_rules(before: &[u8], gone: &[Pattern], new: &[Pattern]) -> Vec<u8> {
    let kept = attributes::untrack(before, gone).content;
    attributes::track(&kept, new).content
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
        return Err(no_plain_file(&file.display().to_string()));
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

/// The error for rules that are to go into a link or the like.
pub(super) fn no_plain_file(file: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("cannot write rules into {file}: it is no plain file"),
    )
    .with_hint("git reads rules from no link either: put a file in its place")
}

/// The rules as they are; none, if they are such as [`read`] refuses.
pub(crate) fn read_if_plain(file: &Path) -> Result<Option<Vec<u8>>> {
    match read(file) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(None),
        result => result,
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
