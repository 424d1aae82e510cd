//! Staging: what changed in the work tree goes into the index, LFS files as pointers.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::autotrack::{self, AutoTrack, Reason};
use super::guard::changes_attributes;
use super::pointers::Pointers;
use super::scan::{Folders, scan};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind};
use crate::git::{Change, Entry, FileState, Git, Index};
use crate::lfs::attributes;
use crate::lfs::clean::{self, Cleaned};
use crate::lfs::pattern::Pattern;
use crate::lfs::pointer::Pointer;
use crate::path::RepoPath;
use crate::progress::Event;

/// What to stage, and how.
///
/// ```
/// use hf_repository::{AutoTrack, StageOptions};
/// let options = StageOptions::default().path("weights").auto_track(AutoTrack::Off);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StageOptions {
    pub(crate) paths: Vec<String>,
    pub(crate) auto_track: AutoTrack,
}

impl StageOptions {
    /// Adds a file or folder; without any, everything is staged. A name is a name, not a pattern.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.paths.push(path.into());
        self
    }

    pub(crate) fn only_these(mut self, paths: impl IntoIterator<Item = RepoPath>) -> Self {
        self.paths
            .extend(paths.into_iter().map(|path| path.as_str().to_owned()));
        self
    }

    /// Decides which files become LFS files without a rule.
    #[must_use]
    pub fn auto_track(mut self, auto_track: AutoTrack) -> Self {
        self.auto_track = auto_track;
        self
    }
}

/// What was staged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReport {
    /// Files added or updated as they are.
    pub plain: Vec<RepoPath>,
    /// Files added or updated as LFS files.
    pub lfs: Vec<RepoPath>,
    /// Files that are gone.
    pub removed: Vec<RepoPath>,
    /// Rules that auto-tracking wrote into `.gitattributes`.
    pub tracked: Vec<Pattern>,
    /// Files left as they were, and why; they stay dirty.
    pub skipped: Vec<(String, Skipped)>,
}

/// Why a file was not staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// It kept changing while it was read.
    Changing,
    /// It is a git repository of its own.
    NestedRepository,
    /// Its name is not valid UTF-8 or not one git allows.
    UnusableName,
    /// Its attributes ask for a filter other than LFS, or for another encoding. Both change what
    /// is committed, and neither is done here: stage the file with git.
    ForeignFilter,
}

/// A file that changes while it is read is read anew this often.
const CHANGING_TRIES: u32 = 3;

pub(crate) struct Stage<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) options: &'a StageOptions,
}

impl Stage<'_> {
    /// Stages, and writes the index.
    pub(crate) fn run(&self) -> Result<StageReport> {
        let Context { git, cancel, .. } = self.context;
        let mut index = git.index_to_change()?;
        if index.has_conflicts() {
            return Err(Error::new(
                ErrorKind::UnfinishedOperation,
                "cannot stage: the index has conflicts of an unfinished merge",
            )
            .with_hint("finish or abort the merge with git first"));
        }
        let selection = Selection::new(&self.options.paths)?;
        selection.check(git, &index)?;

        let scan = scan(git, &index, cancel)?;
        let mut report = StageReport::default();
        for entry in &scan.refreshed {
            index.put(entry)?;
        }
        for name in scan.foreign {
            let reason = if name.ends_with('/') {
                Skipped::NestedRepository
            } else {
                Skipped::UnusableName
            };
            report.skipped.push((name, reason));
        }
        let changed: BTreeMap<RepoPath, FileState> = scan
            .changes
            .into_iter()
            .filter(|(path, _)| selection.takes(path))
            .collect();
        // Files staged as they are by another tool may still have to become LFS files.
        let head = git
            .head()?
            .commit()
            .map(|commit| git.tree_of(commit))
            .transpose()?;
        let staged = git.staged_changes(head, &index)?;
        let is_file = |change: &&Change| change.new.is_some_and(|(_, mode)| mode.is_file());
        let only_staged = staged.iter().filter(is_file).map(|change| &change.path);
        let only_staged = only_staged.filter(|path| !changed.contains_key(*path));
        let only_staged = only_staged.filter(|path| selection.takes(path));

        self.remove(&mut index, &changed, &mut report)?;
        let present = changed
            .iter()
            .filter(|(_, state)| **state != FileState::Deleted)
            .map(|(path, _)| (path, Found::Changed))
            .chain(only_staged.map(|path| (path, Found::Staged)));
        let Sorted {
            mut plain,
            mut lfs,
            to_track,
            foreign,
        } = self.sort(&index, present)?;
        let skip = |path: RepoPath| (path.to_string(), Skipped::ForeignFilter);
        report.skipped.extend(foreign.into_iter().map(skip));
        let rules_changed = if to_track.is_empty() {
            staged.iter().any(changes_attributes)
                || changed
                    .keys()
                    .any(|path| path.file_name() == ".gitattributes")
        } else {
            report.tracked = self.track(&index, &to_track, &plain)?;
            lfs.extend(to_track.into_iter().map(|(path, _)| path));
            let attributes = RepoPath::new(".gitattributes")?;
            if !plain.contains(&attributes) {
                plain.push(attributes);
            }
            true
        };
        if rules_changed {
            // A rule may reach files that did not change; they have to follow it.
            for path in self.raw_files_under_rules(&index)? {
                if selection.takes(&path) && !lfs.contains(&path) {
                    lfs.push(path);
                }
            }
        }
        // What is written in the very moment it is hashed might change without showing it.
        let mut youngest = (i64::MIN, 0);
        for path in plain.iter().chain(&lfs) {
            if let Some(stat) = fs::lstat(&path.under(git.workdir()))? {
                youngest = youngest.max(stat.mtime);
            }
        }
        fs::let_clock_move_on(youngest);
        self.put_plain(&mut index, plain, &mut report)?;
        for path in lfs {
            cancel.check()?;
            self.put_lfs(&mut index, path, &mut report)?;
        }
        report.plain.sort();
        report.lfs.sort();
        index.write()?;
        Ok(report)
    }

    fn remove(
        &self,
        index: &mut Index,
        changed: &BTreeMap<RepoPath, FileState>,
        report: &mut StageReport,
    ) -> Result<()> {
        for (path, state) in changed {
            if *state == FileState::Deleted {
                index.remove(path)?;
                report.removed.push(path.clone());
            }
        }
        Ok(())
    }

    /// Decides for each file whether it is an LFS file, and by which right.
    fn sort<'p>(
        &self,
        index: &Index,
        paths: impl Iterator<Item = (&'p RepoPath, Found)>,
    ) -> Result<Sorted> {
        let git = self.context.git;
        let mut sorted = Sorted::default();
        let mut pointers = Pointers::new(git);
        for (path, found) in paths {
            let stat = fs::lstat(&path.under(git.workdir()))?;
            let Some(stat) = stat.filter(|stat| stat.kind != FileKind::Folder) else {
                continue;
            };
            if stat.kind == FileKind::File && git.is_lfs_in_worktree(path)? {
                let recorded = |entry: &Entry| git.is_as_recorded(entry, &stat);
                // What the scan found changed is changed, whatever its stat says.
                let staged = index.get(path)?.filter(recorded);
                let staged = staged.filter(|_| found == Found::Staged);
                let done = match staged {
                    Some(entry) => pointers.get(entry.id)?.is_some(),
                    None => false,
                };
                if !done {
                    sorted.lfs.push(path.clone());
                }
                continue;
            }
            if stat.kind == FileKind::File && git.has_foreign_filter(path)? {
                if found == Found::Changed {
                    sorted.foreign.push(path.clone());
                }
                continue;
            }
            if stat.kind == FileKind::File
                && let Some(reason) = self.options.auto_track.reason(git, path, stat.size)?
            {
                sorted.to_track.push((path.clone(), reason));
            } else if found == Found::Changed {
                sorted.plain.push(path.clone());
            }
        }
        Ok(sorted)
    }

    /// Writes the rules for new LFS files into the root's `.gitattributes`.
    fn track(
        &self,
        index: &Index,
        files: &[(RepoPath, Reason)],
        plain: &[RepoPath],
    ) -> Result<Vec<Pattern>> {
        let git = self.context.git;
        let rules = autotrack::rules(git, index, files, plain)?;
        let file = git.workdir().join(".gitattributes");
        let before = fs::read_if_exists(&file)?.unwrap_or_default();
        fs::atomic_write(&file, &attributes::track(&before, &rules).content)?;
        for (path, _) in files {
            if !git.is_lfs_in_worktree(path)? {
                fs::atomic_write(&file, &before)?;
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("cannot track {path} with LFS: another rule forbids it"),
                )
                .with_hint(
                    "a .gitattributes nearer to the file, or .git/info/attributes, says otherwise: \
                     change it, or stage with AutoTrack::Off",
                ));
            }
        }
        Ok(rules)
    }

    /// Tracked files that the rules now give to LFS, but that the index has as they are.
    fn raw_files_under_rules(&self, index: &Index) -> Result<Vec<RepoPath>> {
        let git = self.context.git;
        let mut pointers = Pointers::new(git);
        let mut found = Vec::new();
        let mut folders = Folders::new(git);
        for entry in index.entries() {
            let entry = entry?;
            if entry.mode.is_file()
                && folders.holds(&entry.path)?
                && pointers.get(entry.id)?.is_none()
                && git.is_lfs_in_worktree(&entry.path)?
                && fs::lstat(&entry.path.under(git.workdir()))?.is_some()
            {
                found.push(entry.path);
            }
        }
        Ok(found)
    }

    fn put_plain(
        &self,
        index: &mut Index,
        paths: Vec<RepoPath>,
        report: &mut StageReport,
    ) -> Result<()> {
        let git = self.context.git;
        let entries = git.store_files(&paths, index, self.context.cancel)?;
        for (path, mut entry) in paths.into_iter().zip(entries) {
            let tracked = index.get(&path)?.map(|entry| entry.mode);
            if let (Some(stat), true) =
                (fs::lstat(&path.under(git.workdir()))?, entry.mode.is_file())
            {
                entry.mode = git.mode_of(&stat, tracked).unwrap_or(entry.mode);
            }
            index.put(&entry)?;
            report.plain.push(path);
        }
        Ok(())
    }

    fn put_lfs(&self, index: &mut Index, path: RepoPath, report: &mut StageReport) -> Result<()> {
        let Context {
            git,
            engine,
            progress,
            cancel,
            ..
        } = self.context;
        let file = path.under(git.workdir());
        for _ in 0..CHANGING_TRIES {
            let Some(stat) = fs::lstat(&file)? else { break };
            let tracked = index.get(&path)?.map(|entry| entry.mode);
            let Some(mode) = git.mode_of(&stat, tracked) else {
                break;
            };
            progress.report(|| Event::Staging {
                path: path.to_string(),
                bytes: stat.size,
            });
            let entry = if let Some(text) = clean::read_pointer_file(&file)? {
                Entry::new(path.clone(), git.write_blob(&text)?, mode, &stat)
            } else {
                let Cleaned { object, stat } = match engine.clean(&file, cancel) {
                    Err(error) if error.kind() == ErrorKind::FileChanged => continue,
                    result => result?,
                };
                let pointer = Pointer::new(object.oid, object.size).encode();
                Entry::new(path.clone(), git.write_blob(&pointer)?, mode, &stat)
            };
            index.put(&entry)?;
            report.lfs.push(path);
            return Ok(());
        }
        report.skipped.push((path.to_string(), Skipped::Changing));
        Ok(())
    }
}

/// Why a file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It is not as the index says.
    Changed,
    /// The index has it as it is, but HEAD does not: another tool may have staged it raw.
    Staged,
}

#[derive(Default)]
struct Sorted {
    plain: Vec<RepoPath>,
    lfs: Vec<RepoPath>,
    to_track: Vec<(RepoPath, Reason)>,
    /// Files that something else than LFS would have to convert.
    foreign: Vec<RepoPath>,
}

/// The paths a user named; none means all.
pub(crate) struct Selection {
    named: BTreeSet<RepoPath>,
}

impl Selection {
    pub(crate) fn new(paths: &[String]) -> Result<Self> {
        // "." is how people spell "everything".
        if paths.iter().any(|path| path == ".") {
            return Ok(Self {
                named: BTreeSet::new(),
            });
        }
        let clean = |path: &String| {
            let path = path.strip_prefix("./").unwrap_or(path);
            RepoPath::new(path.strip_suffix('/').unwrap_or(path))
        };
        Ok(Self {
            named: paths.iter().map(clean).collect::<Result<_>>()?,
        })
    }

    pub(crate) fn takes(&self, path: &RepoPath) -> bool {
        self.named.is_empty()
            || self
                .named
                .iter()
                .any(|named| path.is_within(named.as_str()))
    }

    /// Every name must mean something, and nothing that is ignored.
    fn check(&self, git: &Git, index: &Index) -> Result<()> {
        for named in &self.named {
            let mut tracked = false;
            for entry in index.entries() {
                if entry?.path.is_within(named.as_str()) {
                    tracked = true;
                    break;
                }
            }
            if tracked {
                continue;
            }
            if fs::lstat(&named.under(git.workdir()))?.is_none() {
                return Err(Error::new(
                    ErrorKind::PathNotFound,
                    format!("cannot stage {named}: there is no such file"),
                )
                .with_hint("name files relative to the root of the work tree"));
            }
            if git.is_ignored(named)? {
                return Err(Error::new(
                    ErrorKind::PathIgnored,
                    format!("cannot stage {named}: .gitignore excludes it"),
                )
                .with_hint("change the ignore rule, or leave the file out"));
            }
        }
        Ok(())
    }
}
