//! Rules of `.gitattributes` while files are staged: written, taken out, and followed.

use std::collections::BTreeSet;

use super::autotrack::TrackReason;
use super::pointers::Pointers;
use super::rules_file::{RulesFile, file_of, with_rules};
use super::scan::Folders;
use super::stage::{Stage, StageReport};
use super::stale_rules::StaleRules;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::git::{Entry, Index};
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;

impl Stage<'_> {
    /// Takes out the rules for files that are gone, and writes those for new LFS files into the root's
    /// `.gitattributes`, if that is to be edited.
    pub(super) fn edit_rules(
        &self,
        index: &mut Index,
        stale: StaleRules,
        report: &mut StageReport,
    ) -> Result<Vec<RulesFile>> {
        let git = self.context.git;
        report.tracked.iter().try_for_each(Pattern::check_new)?;
        let mut edited = Vec::new();
        let mut untracked = BTreeSet::new();
        for (folder, gone) in stale {
            let file = file_of(&folder)?;
            for name in &gone {
                untracked.insert(match &*folder {
                    "" => name.clone(),
                    folder => RepoPath::new(format!("{folder}/{}", name.as_str()))?,
                });
            }
            let gone: Vec<Pattern> = gone.into_iter().map(Pattern::Literal).collect();
            let new: &[Pattern] = if folder.is_empty() {
                &report.tracked
            } else {
                &[]
            };
            let rules = RulesFile::edit(git, file, &gone, new)?;
            report.edited.push((rules.path().clone(), rules.seen()));
            // Only the rules change in it, whatever else its copy in the work tree says.
            if let Some(entry) = index.get(rules.path())?.filter(Entry::is_hidden) {
                let content = with_rules(&git.blob(entry.id)?, &gone, new);
                index.exchange(&entry, git.write_blob(&content)?)?;
                report.plain.push(entry.path);
            }
            edited.push(rules);
        }
        report.untracked = untracked.into_iter().collect();
        Ok(edited)
    }

    /// The new rules must count.
    pub(super) fn check_tracked(&self, files: &[(RepoPath, TrackReason)]) -> Result<()> {
        let attributes = self.context.git.attributes()?;
        for (path, _) in files {
            if !attributes.is_lfs(path)? {
                return Err(forbidden(path));
            }
        }
        Ok(())
    }

    /// Tracked files that the rules now give to LFS, but that the index has as they are.
    pub(super) fn raw_files_under_rules(&self, index: &Index) -> Result<Vec<RepoPath>> {
        let git = self.context.git;
        let mut pointers = Pointers::new(git);
        let mut found = Vec::new();
        let mut folders = Folders::new(git);
        let attributes = git.attributes()?;
        for entry in index.entries() {
            let entry = entry?;
            if !entry.mode.is_file() || pointers.get(entry.id)?.is_some() {
                continue;
            }
            let mut there = || -> Result<bool> {
                let file = entry.path.under(git.workdir());
                Ok(folders.holds(&entry.path)? && fs::lstat(&file)?.is_some())
            };
            if attributes.is_lfs(&entry.path)? && (entry.is_hidden() || there()?) {
                found.push(entry.path);
            }
        }
        Ok(found)
    }
}

/// Auto-tracking overrules nobody.
pub(super) fn forbidden(path: &RepoPath) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("cannot track {path} with LFS: another rule forbids it"),
    )
    .with_hint(
        "a line in a .gitattributes or in .git/info/attributes says -filter or !filter: \
         change it, exclude the file, or stage with AutoTrack::Off",
    )
}
