//! Staging: what changed in the work tree goes into the index, LFS files as pointers.

mod hidden;
mod lfs;
mod preview;

use std::collections::BTreeMap;

pub use preview::AutoTrackPreview;

use super::Context;
use super::autotrack::{self, AutoTrack, TrackReason};
use super::guard::changes_attributes;
use super::options::{OnChanging, StageOptions};
use super::pointers::Pointers;
use super::rules_file::RulesFile;
use super::scan::{Folders, scan_selected};
use super::selection::Selection;
use super::stale_rules::{StaleRules, stale_rules};
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::fs::{self, FileKind, Stat};
use crate::git::{Attributes, Change, Entry, FileState, Filter, Index, Listing, Stored};
use crate::gitattributes::FILE_NAME;
use crate::lfs::pattern::Pattern;
use crate::parallel;
use crate::path::RepoPath;

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
    /// Files whose own rules auto-tracking took out of `.gitattributes` files, as they are gone.
    pub untracked: Vec<RepoPath>,
    /// Files left as they were, and why; they stay dirty.
    pub skipped: Vec<(String, Skipped)>,
    /// Files with rules that staging wrote, and what they were before.
    pub(crate) edited: Vec<(RepoPath, Option<Stat>)>,
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
        let selection = Selection::new(self.options)?;
        selection.check(git, &index)?;

        // As it is on the disk: the lock says that it stays so.
        let before = git.listing()?;
        let scan = scan_selected(git, &before, &selection, cancel)?;
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
        let changed: BTreeMap<RepoPath, FileState> = scan.changes.into_iter().collect();
        // Files staged as they are by another tool may still have to become LFS files.
        let staged = self.staged(&before)?;
        self.remove(&mut index, &changed, &mut report)?;
        let present = present(&changed, &staged, &selection);
        let mut stale = match self.options.auto_track {
            AutoTrack::Off => StaleRules::new(),
            AutoTrack::From { .. } => {
                let there = changed
                    .iter()
                    .filter(|(_, state)| **state != FileState::Deleted);
                let there: Vec<&RepoPath> = there.map(|(path, _)| path).collect();
                stale_rules(git, &index, &selection, &there, &report.removed)?
            }
        };
        let Sorted {
            mut plain,
            mut lfs,
            to_track,
            foreign,
        } = self.sort(&index, &git.attributes_beside(&before)?, present)?;
        let skip = |path: RepoPath| (path.to_string(), Skipped::ForeignFilter);
        report.skipped.extend(foreign.into_iter().map(skip));
        if let Some((path, _)) = to_track.first()
            && selection.excludes(FILE_NAME)
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("cannot track {path} with LFS: .gitattributes is to be left out"),
            )
            .with_hint("leave the file out as well, or stage with AutoTrack::Off"));
        }
        // The files come before their rules. One that cannot be had now gets no rule: the index
        // may have it as it is, and that under a rule is nothing a commit accepts.
        self.let_clock_move_on(to_track.iter().map(|(path, _)| path))?;
        let paths = to_track.iter().map(|(path, _)| path.clone()).collect();
        let had = self.put_lfs(&mut index, paths, &mut report)?;
        let mut to_rule = to_track;
        to_rule.retain(|(path, _)| had.contains(path));
        if !to_rule.is_empty() {
            report.tracked = autotrack::rules(git, &index, &to_rule, &plain)?;
            stale.entry(String::new()).or_default();
        }
        let rules_files = self.edit_rules(&mut index, stale, &mut report)?;
        self.check_tracked(&to_rule)?;
        for file in rules_files.iter().map(RulesFile::path) {
            if !plain.contains(file) && !report.plain.contains(file) {
                plain.push(file.clone());
            }
        }
        let is_rules = |path: &RepoPath| path.file_name() == FILE_NAME;
        if !to_rule.is_empty()
            || staged.iter().any(changes_attributes)
            || changed.keys().any(is_rules)
        {
            // A rule may reach files that did not change; they have to follow it.
            for path in self.raw_files_under_rules(&index)? {
                let takes = selection.takes(&path)
                    || selection.takes_unchanged(&path) && self.is_unchanged(&index, &path)?;
                if takes && !lfs.contains(&path) {
                    lfs.push(path);
                }
            }
        }
        self.put_plain(&mut index, plain, &mut report)?;
        let mut rules = rules_files.iter().map(RulesFile::path);
        if let Some(file) = rules.find(|file| !report.plain.contains(file)) {
            return Err(changed_meanwhile(vec![file.clone()]));
        }
        self.let_clock_move_on(lfs.iter())?;
        self.put_lfs(&mut index, lfs, &mut report)?;
        report.plain.sort();
        report.lfs.sort();
        index.write()?;
        rules_files.into_iter().for_each(RulesFile::keep);
        Ok(report)
    }

    /// How the index differs from HEAD.
    fn staged(&self, index: &Listing) -> Result<Vec<Change>> {
        let git = self.context.git;
        let head = git.head()?.commit();
        let head = head.map(|commit| git.tree_of(commit)).transpose()?;
        git.staged_in(index, head)
    }

    /// What is written in the very moment it is read might change without showing it.
    ///
    /// One pause for all; whoever reads looks at each file again.
    fn let_clock_move_on<'p>(&self, paths: impl Iterator<Item = &'p RepoPath>) -> Result<()> {
        let mut youngest = (i64::MIN, 0);
        for path in paths {
            if let Some(stat) = fs::lstat(&path.under(self.context.git.workdir()))? {
                youngest = youngest.max(stat.mtime);
            }
        }
        fs::let_clock_move_on(youngest);
        Ok(())
    }

    fn remove(
        &self,
        index: &mut Index,
        changed: &BTreeMap<RepoPath, FileState>,
        report: &mut StageReport,
    ) -> Result<()> {
        let git = self.context.git;
        let mut folders = Folders::new(git);
        for (path, state) in changed {
            if *state != FileState::Deleted {
                continue;
            }
            // It may be back, or lie in a folder that may be entered but not listed.
            let stat = fs::lstat(&path.under(git.workdir()))?;
            let there =
                stat.is_some_and(|stat| matches!(stat.kind, FileKind::File | FileKind::Symlink));
            if !there || !folders.holds(path)? {
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
        attributes: &Attributes<'_>,
        paths: impl Iterator<Item = (&'p RepoPath, Found)>,
    ) -> Result<Sorted> {
        let Context { git, cancel, .. } = self.context;
        let (mut sorted, mut others) = (Sorted::default(), Vec::new());
        let mut pointers = Pointers::new(git);
        for (path, found) in paths {
            if let Some(entry) = index.get(path)?.filter(Entry::is_hidden) {
                self.sort_hidden(entry, attributes, &mut pointers, &mut sorted)?;
                continue;
            }
            let stat = fs::lstat(&path.under(git.workdir()))?;
            let Some(stat) = stat.filter(|stat| stat.kind != FileKind::Folder) else {
                continue;
            };
            let filter = match stat.kind {
                FileKind::File => attributes.filter(path)?,
                _ => Filter::None,
            };
            if filter == Filter::Lfs {
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
            if filter == Filter::Foreign {
                if found == Found::Changed {
                    sorted.foreign.push(path.clone());
                }
                continue;
            }
            // Nobody is overruled: what is to stay as it is does, and it is the push that says whether the
            // remote takes it.
            let free = stat.kind == FileKind::File && filter == Filter::None;
            others.push((path, found, free.then_some(stat.size)));
        }
        // Each of them is opened and read: the better part of the time of a stage of many.
        let (auto_track, workdir) = (self.options.auto_track, git.workdir());
        let reasons = parallel::map(&others, cancel, |(path, _, free)| match free {
            Some(size) => auto_track.reason(workdir, path, *size),
            None => Ok(None),
        })?;
        for ((path, found, _), reason) in others.into_iter().zip(reasons) {
            if let Some(reason) = reason {
                sorted.to_track.push((path.clone(), reason));
            } else if found == Found::Changed {
                sorted.plain.push(path.clone());
            }
        }
        Ok(sorted)
    }

    /// Whether a file is what the index has, by its stat, or because that is all that counts.
    fn is_unchanged(&self, index: &Index, path: &RepoPath) -> Result<bool> {
        let git = self.context.git;
        let stat = fs::lstat(&path.under(git.workdir()))?;
        let as_recorded = |entry: &Entry| stat.is_some_and(|stat| git.is_as_recorded(entry, &stat));
        let entry = index.get(path)?;
        Ok(entry.is_some_and(|entry| entry.is_hidden() || as_recorded(&entry)))
    }

    fn put_plain(
        &self,
        index: &mut Index,
        paths: Vec<RepoPath>,
        report: &mut StageReport,
    ) -> Result<()> {
        let Context { git, cancel, .. } = self.context;
        let tries = self.options.on_changing.tries();
        let stored = git.store_files(&paths, index, tries, cancel)?;
        let mut changing = Vec::new();
        for (path, stored) in paths.into_iter().zip(stored) {
            match stored {
                Stored::As(entry) => {
                    index.put(&entry)?;
                    report.plain.push(path);
                }
                Stored::Changing => changing.push(path),
                // Left for the next stage.
                Stored::Gone => {}
            }
        }
        self.leave_out(changing, report)
    }

    /// Files that changed while they were read.
    fn leave_out(&self, paths: Vec<RepoPath>, report: &mut StageReport) -> Result<()> {
        if self.options.on_changing == OnChanging::Fail && !paths.is_empty() {
            return Err(changed_meanwhile(paths));
        }
        let skip = |path: RepoPath| (path.to_string(), Skipped::Changing);
        report.skipped.extend(paths.into_iter().map(skip));
        Ok(())
    }
}

/// The files to be looked at: those that changed, and those that only the index has.
fn present<'p>(
    changed: &'p BTreeMap<RepoPath, FileState>,
    staged: &'p [Change],
    selection: &Selection,
) -> impl Iterator<Item = (&'p RepoPath, Found)> {
    let is_file = |change: &&Change| change.new.is_some_and(|(_, mode)| mode.is_file());
    let only_staged = staged.iter().filter(is_file).map(|change| &change.path);
    let only_staged = only_staged.filter(|path| !changed.contains_key(*path));
    let only_staged = only_staged.filter(move |path| selection.takes(path));
    let there = changed
        .iter()
        .filter(|(_, state)| **state != FileState::Deleted);
    there
        .map(|(path, _)| (path, Found::Changed))
        .chain(only_staged.map(|path| (path, Found::Staged)))
}

fn changed_meanwhile(paths: Vec<RepoPath>) -> Error {
    let offence = |path| Offence::new(path, None, "it changed while it was read");
    Error::new(
        ErrorKind::FileChanged,
        "cannot stage files that are being written",
    )
    .with_hint(
        "call again when nothing writes to them, leave them out, or choose another OnChanging",
    )
    .with_offences(paths.into_iter().map(offence).collect())
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
    to_track: Vec<(RepoPath, TrackReason)>,
    /// Files that something else than LFS would have to convert.
    foreign: Vec<RepoPath>,
}
