//! Which files become LFS files by themselves, and the rules that say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::Result;
use crate::fs;
use crate::git::{Entry, Git, Index};
use crate::lfs::detect::{self, Content};
use crate::lfs::pattern::{Pattern, is_read_by_git};
use crate::path::RepoPath;

use super::pointers::Pointers;

/// Whether [`stage`](crate::Repository::stage) gives large and binary files to LFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoTrack {
    /// Files of at least this many bytes, and binary files of any size. Rules that name a file go again when
    /// its deletion is staged.
    From {
        /// The size in bytes from which text files are LFS files as well.
        bytes: u64,
    },
    /// No file; only the rules of `.gitattributes` decide, and they stay as they are.
    Off,
}

impl Default for AutoTrack {
    /// 10 MiB, from which on the Hub refuses files outside LFS.
    fn default() -> Self {
        Self::From {
            bytes: detect::HUB_LIMIT,
        }
    }
}

/// Why a file is to be an LFS file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackReason {
    /// It is text, and as large as [`AutoTrack::From`] says.
    Large,
    /// Its first 8,000 bytes hold one that no text has; UTF-8 and Latin-1 are text, UTF-16 is not.
    Binary,
}

impl AutoTrack {
    /// The size from which text files are given to LFS; `None` if none is.
    pub(crate) fn threshold(self) -> Option<u64> {
        match self {
            Self::From { bytes } => Some(bytes),
            Self::Off => None,
        }
    }

    /// The choice with that threshold.
    pub(crate) fn from_threshold(bytes: Option<u64>) -> Self {
        bytes.map_or(Self::Off, |bytes| Self::From { bytes })
    }

    /// Whether a file that no rule speaks of should be an LFS file.
    pub(super) fn reason(
        self,
        workdir: &Path,
        path: &RepoPath,
        size: u64,
    ) -> Result<Option<TrackReason>> {
        self.judge(path, size, || detect::content(&path.under(workdir)))
    }

    /// The same of what the index has.
    pub(super) fn reason_of_staged(self, git: &Git, entry: &Entry) -> Result<Option<TrackReason>> {
        self.judge(&entry.path, git.blob_size(entry.id)?, || {
            let sample = git.blob_start(entry.id, detect::SAMPLE)?;
            Ok(Some(detect::classify(&sample)))
        })
    }

    fn judge(
        self,
        path: &RepoPath,
        size: u64,
        content: impl FnOnce() -> Result<Option<Content>>,
    ) -> Result<Option<TrackReason>> {
        let Self::From { bytes } = self else {
            return Ok(None);
        };
        // git's own files must stay readable for it, whatever their size.
        if is_read_by_git(path) {
            return Ok(None);
        }
        Ok(match content()? {
            Some(Content::Binary) => Some(TrackReason::Binary),
            Some(Content::Text) if size >= bytes => Some(TrackReason::Large),
            // It vanished: then no rule is needed.
            Some(Content::Text) | None => None,
        })
    }
}

/// The rules for `files`, which are to become LFS files: `*.ext` where that is safe, else the
/// file's own name.
///
/// `*.ext` is safe if all that has the extension is binary: nothing tracked is a raw file with
/// it, and neither is one of the `others` that are staged as they are. An existing text file never
/// becomes a pointer by a rule that was made for another.
pub(super) fn rules(
    git: &Git,
    index: &Index,
    files: &[(RepoPath, TrackReason)],
    others: &[RepoPath],
) -> Result<Vec<Pattern>> {
    let mut by_extension: BTreeMap<&str, Vec<&(RepoPath, TrackReason)>> = BTreeMap::new();
    let mut rules = BTreeSet::new();
    for file in files {
        match extension(&file.0) {
            Some(extension) if file.1 == TrackReason::Binary => {
                by_extension.entry(extension).or_default().push(file);
            }
            _ => {
                rules.insert(Pattern::Literal(file.0.clone()));
            }
        }
    }
    let raw = if by_extension.is_empty() {
        BTreeSet::new()
    } else {
        raw_extensions(git, index, files, others)?
    };
    for (extension, files) in by_extension {
        if raw.contains(extension) {
            rules.extend(files.iter().map(|(path, _)| Pattern::Literal(path.clone())));
        } else {
            rules.insert(Pattern::Glob(format!("*.{extension}")));
        }
    }
    Ok(rules.into_iter().collect())
}

/// Extensions that some raw file has, or a large text file that gets a rule of its own.
fn raw_extensions(
    git: &Git,
    index: &Index,
    files: &[(RepoPath, TrackReason)],
    others: &[RepoPath],
) -> Result<BTreeSet<String>> {
    let mut raw: BTreeSet<String> = others
        .iter()
        .chain(
            files
                .iter()
                .filter(|(_, reason)| *reason == TrackReason::Large)
                .map(|(path, _)| path),
        )
        .filter_map(|path| extension(path).map(str::to_owned))
        .collect();
    let becoming: BTreeSet<&RepoPath> = files.iter().map(|(path, _)| path).collect();
    let mut pointers = Pointers::new(git);
    for entry in index.entries() {
        let entry = entry?;
        let Some(extension) = extension(&entry.path) else {
            continue;
        };
        if !entry.mode.is_file() || becoming.contains(&entry.path) || raw.contains(extension) {
            continue;
        }
        // A file deleted from the work tree is no longer in danger.
        let gone = !entry.is_hidden() && fs::lstat(&entry.path.under(git.workdir()))?.is_none();
        if !gone && pointers.get(entry.id)?.is_none() {
            raw.insert(extension.to_owned());
        }
    }
    Ok(raw)
}

/// The extension, if a glob can be made of it without escaping anything.
pub(super) fn extension(path: &RepoPath) -> Option<&str> {
    let (stem, extension) = path.file_name().rsplit_once('.')?;
    let plain = extension
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // `*.gitignore` would take git's own file along.
    let gits = extension
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("git"));
    (!stem.is_empty() && !extension.is_empty() && plain && !gits).then_some(extension)
}
