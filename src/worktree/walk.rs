//! A walk through the work tree beside the index: each folder listed once, each tracked file looked at once.
//!
//! On several threads, a depth of folders after the other. For 100,000 files that nobody touched this is
//! most of what `status` costs, and four fifths of it are spent in the kernel.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::selection::Selection;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::{FileKind, Folder, Names, Stat};
use crate::git::{Git, Ignored, Ignoring, Listing};
use crate::gitattributes::Case;
use crate::gitignore;
use crate::parallel;

/// What is not as the index says, or may not be; each part in no order.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Rows of files that are there, with a stat that does not prove them unchanged.
    pub(super) open: Vec<(usize, Stat)>,
    /// Rows of files that are gone, or have something else than a file in their place.
    pub(super) gone: Vec<usize>,
    /// Paths that the index lacks and no rule excludes; a repository of its own ends with `/`.
    pub(super) untracked: Vec<Vec<u8>>,
}

/// So many files of one folder are looked at by one thread; what is more is for others.
const MOST_AT_ONCE: usize = if cfg!(test) { 4 } else { 4096 };

/// Walks through all that is selected.
pub(super) fn walk(
    git: &Git,
    index: &Listing,
    selection: &Selection,
    cancel: &CancelToken,
) -> Result<Walked> {
    let ignored = git.ignored(index)?;
    let walk = Walk {
        workdir: git.workdir(),
        index,
        selection,
        ignored: &ignored,
    };
    let mut walked = Walked::default();
    let mut jobs = vec![Job::Folder(Part {
        name: Vec::new(),
        rows: index.rows(),
        ignoring: Ignoring::default(),
    })];
    while !jobs.is_empty() {
        let done = parallel::map(&jobs, cancel, |job| walk.run(job))?;
        jobs.clear();
        for mut seen in done {
            walked.open.append(&mut seen.walked.open);
            walked.gone.append(&mut seen.walked.gone);
            walked.untracked.append(&mut seen.walked.untracked);
            jobs.append(&mut seen.deeper);
        }
    }
    if ignored.case() == Case::Folds {
        walk.forget_other_spellings(&mut walked.untracked);
    }
    Ok(walked)
}

/// A folder on disk.
struct Part {
    /// Its path: empty, or with a `/` at its end.
    name: Vec<u8>,
    /// What the index has below it; nothing for one that is not tracked.
    rows: Range<usize>,
    /// The rules that count in it, but for those of its own file.
    ignoring: Ignoring,
}

enum Job {
    Folder(Part),
    /// Files of a folder that has very many of them.
    Files {
        folder: Vec<u8>,
        rows: Vec<usize>,
    },
}

#[derive(Default)]
struct Seen {
    walked: Walked,
    deeper: Vec<Job>,
}

struct Walk<'a> {
    workdir: &'a Path,
    index: &'a Listing,
    selection: &'a Selection,
    ignored: &'a Ignored,
}

impl Walk<'_> {
    fn run(&self, job: &Job) -> Result<Seen> {
        let mut seen = Seen::default();
        match job {
            Job::Folder(part) => self.folder(part, &mut seen)?,
            Job::Files { folder, rows } => match self.open(folder)? {
                Some(open) => self.look(&open, folder.len(), rows, &mut seen.walked)?,
                None => seen.walked.gone.extend(rows),
            },
        }
        Ok(seen)
    }

    fn open(&self, folder: &[u8]) -> Result<Option<Folder>> {
        // The work tree itself may well be reached by a link.
        let below = if folder.is_empty() { b"." } else { folder };
        Folder::open(&self.workdir.join(OsStr::from_bytes(below)))
    }

    fn folder(&self, part: &Part, seen: &mut Seen) -> Result<()> {
        let Some(folder) = self.open(&part.name)? else {
            self.gone(part.rows.clone(), &mut seen.walked);
            return Ok(());
        };
        // As for git: what is in it is nobody's, but tracked files are looked for by their names.
        let names = folder.names()?.unwrap_or_else(|| {
            tracing::warn!(folder = %String::from_utf8_lossy(&part.name), "it may not be listed");
            Names::default()
        });
        let is_tracked = part.name.is_empty() || !part.rows.is_empty();
        if !is_tracked && is_repository(&folder, &names)? {
            seen.walked.untracked.push(part.name.clone());
            return Ok(());
        }
        let mut known = vec![false; names.len()];
        let ignoring = self.rules(part, &names);
        self.tracked(part, &folder, (&names, &mut known), &ignoring, seen)?;
        for ((name, kind), known) in names.iter().zip(known) {
            if !known && name != b".git" {
                self.untracked(&part.name, name, kind, &ignoring, seen);
            }
        }
        Ok(())
    }

    /// The rules that count in the folder, its own included.
    fn rules(&self, part: &Part, names: &Names) -> Ignoring {
        let is_there = names.find(gitignore::FILE_NAME.as_bytes(), 0);
        let is_there = is_there.is_some_and(|at| names.kind(at) == FileKind::File);
        if is_there || self.ignored.keeps_rules_of(&part.name) {
            self.ignored.with_rules_of(&part.name, &part.ignoring)
        } else {
            part.ignoring.clone()
        }
    }

    /// What the index has below the folder; names of which it has something become known.
    fn tracked(
        &self,
        part: &Part,
        folder: &Folder,
        (names, known): (&Names, &mut [bool]),
        ignoring: &Ignoring,
        seen: &mut Seen,
    ) -> Result<()> {
        let depth = part.name.len();
        let mut rows = part.rows.clone();
        let mut files = Vec::new();
        let mut near = 0;
        while !rows.is_empty() {
            let row = rows.start;
            let path = self.index.path(row);
            let end = path[depth..].iter().position(|byte| *byte == b'/');
            let name = &path[depth..end.map_or(path.len(), |end| depth + end)];
            let at = names.find(name, near);
            near = at.map_or(near, |at| at + 1);
            let kind = match (at, end) {
                (Some(at), _) => Some(names.kind(at)),
                // Renamed while the folder was listed, or there in another spelling.
                (None, Some(_)) => folder.lstat(name)?.map(|stat| stat.kind),
                (None, None) => None,
            };
            let count = match end {
                Some(end) => {
                    let whole = &path[..=depth + end];
                    let count = self.index.below(rows.clone(), whole);
                    let below = row..row + count;
                    if kind != Some(FileKind::Folder) {
                        self.gone(below, &mut seen.walked);
                    } else {
                        if self.selection.reaches(whole) {
                            seen.deeper.push(Job::Folder(Part {
                                name: whole.to_vec(),
                                rows: below,
                                ignoring: self.ignored.enter(&path[..depth + end], ignoring),
                            }));
                        }
                        at.iter().for_each(|at| known[*at] = true);
                    }
                    count
                }
                None => {
                    let watched = self.watches(row);
                    let is_repository = self.index.is_repository(row);
                    // A folder is nothing to a file, and all that a repository has to be.
                    let is_folder = kind == Some(FileKind::Folder);
                    if watched && !(is_folder && is_repository) {
                        files.push(row);
                    }
                    if is_repository || !is_folder {
                        at.iter().for_each(|at| known[*at] = true);
                    }
                    1
                }
            };
            rows.start += count;
        }
        if files.len() <= MOST_AT_ONCE {
            return self.look(folder, depth, &files, &mut seen.walked);
        }
        seen.deeper
            .extend(files.chunks(MOST_AT_ONCE).map(|rows| Job::Files {
                folder: part.name.clone(),
                rows: rows.to_vec(),
            }));
        Ok(())
    }

    fn look(
        &self,
        folder: &Folder,
        depth: usize,
        rows: &[usize],
        walked: &mut Walked,
    ) -> Result<()> {
        for row in rows.iter().copied() {
            let is_repository = self.index.is_repository(row);
            match folder.lstat(&self.index.path(row)[depth..])? {
                Some(stat) if stat.kind == FileKind::Folder && is_repository => {}
                Some(stat) if matches!(stat.kind, FileKind::File | FileKind::Symlink) => {
                    if is_repository || !self.index.is_as_recorded(row, &stat) {
                        walked.open.push((row, stat));
                    }
                }
                _ => walked.gone.push(row),
            }
        }
        Ok(())
    }

    fn gone(&self, rows: Range<usize>, walked: &mut Walked) {
        walked.gone.extend(rows.filter(|row| self.watches(*row)));
    }

    /// Whether somebody wants to know of the row's file.
    fn watches(&self, row: usize) -> bool {
        self.index.is_watched(row) && self.selection.takes_bytes(self.index.path(row))
    }

    fn untracked(
        &self,
        folder: &[u8],
        name: &[u8],
        kind: FileKind,
        ignoring: &Ignoring,
        seen: &mut Seen,
    ) {
        let path = [folder, name].concat();
        match kind {
            FileKind::File | FileKind::Symlink => {
                if !self.ignored.takes(&path, ignoring) {
                    seen.walked.untracked.push(path);
                }
            }
            FileKind::Folder => {
                let ignoring = self.ignored.enter(&path, ignoring);
                let path = [&path[..], b"/"].concat();
                if !ignoring.all() && self.selection.reaches(&path) {
                    seen.deeper.push(Job::Folder(Part {
                        name: path,
                        rows: 0..0,
                        ignoring,
                    }));
                }
            }
            FileKind::Other => {}
        }
    }

    /// Leaves out what the index has in another spelling, where that is the same file.
    fn forget_other_spellings(&self, untracked: &mut Vec<Vec<u8>>) {
        if untracked.is_empty() {
            return;
        }
        let rows = self.index.rows();
        let tracked = rows.map(|row| self.index.path(row).to_ascii_lowercase());
        let tracked: HashSet<Vec<u8>> = tracked.collect();
        untracked.retain(|path| !tracked.contains(&path.to_ascii_lowercase()));
    }
}

/// Whether a folder is the work tree of a repository of its own. An empty `.git` makes none.
fn is_repository(folder: &Folder, names: &Names) -> Result<bool> {
    Ok(match names.find(b".git", 0).map(|at| names.kind(at)) {
        None => false,
        Some(FileKind::Folder) => folder.lstat(b".git/HEAD")?.is_some(),
        Some(_) => true,
    })
}

#[cfg(test)]
mod tests;
