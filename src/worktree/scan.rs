//! What differs between the index and the work tree, LFS files judged by their content.

use std::collections::HashMap;
use std::path::Path;

use super::pointers::Pointers;
use super::selection::Selection;
use super::walk::{Walked, walk};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::{self, FileKind, Stat};
use crate::git::{Entry, FileState, Git, Listing, Mode, ObjectId};
use crate::lfs::Object;
use crate::lfs::clean::hash_file;
use crate::lfs::pointer::MAX_POINTER_BYTES;
use crate::path::RepoPath;

/// The outcome of a scan.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Paths that are not as the index says; untracked files are `Added`.
    pub(crate) changes: Vec<(RepoPath, FileState)>,
    /// Names that cannot be paths of ours: nested repositories (with a `/` behind), odd bytes.
    pub(crate) foreign: Vec<String>,
    /// LFS entries that are clean but had another stat in the index.
    pub(crate) refreshed: Vec<Entry>,
}

/// Compares every file of the work tree with the index.
///
/// Files are read only if their stat does not prove them unchanged; LFS files are hashed with
/// SHA-256 against their pointer, never by libgit2.
pub(crate) fn scan(git: &Git, index: &Listing, cancel: &CancelToken) -> Result<Scan> {
    scan_selected(git, index, &Selection::default(), cancel)
}

/// The same for the paths that are selected; no other file is read.
pub(crate) fn scan_selected(
    git: &Git,
    index: &Listing,
    selection: &Selection,
    cancel: &CancelToken,
) -> Result<Scan> {
    let Walked {
        mut open,
        gone,
        untracked,
    } = walk(git, index, selection, cancel)?;
    let mut scan = Scan::default();
    for row in gone {
        let path = index.entry(row)?.path;
        scan.changes.push((path, FileState::Deleted));
    }
    for name in untracked {
        let name = String::from_utf8(name);
        match name
            .as_deref()
            .ok()
            .and_then(|name| RepoPath::new(name).ok())
        {
            Some(path) if !selection.takes(&path) => {}
            Some(path) => scan.changes.push((path, FileState::Added)),
            None => {
                let bytes = name.map_or_else(|error| error.into_bytes(), String::into_bytes);
                let name = String::from_utf8_lossy(&bytes);
                if !selection.excludes(name.trim_end_matches('/')) {
                    scan.foreign.push(name.into_owned());
                }
            }
        }
    }
    if !open.is_empty() {
        open.sort_unstable_by_key(|(row, _)| *row);
        judge_open(git, index, open, &mut scan, cancel)?;
    }
    scan.changes.sort();
    scan.foreign.sort();
    Ok(scan)
}

/// Judges files by what they hold, LFS files by the object they stand for.
fn judge_open(
    git: &Git,
    index: &Listing,
    open: Vec<(usize, Stat)>,
    scan: &mut Scan,
    cancel: &CancelToken,
) -> Result<()> {
    let mut pointers = Pointers::new(git);
    let attributes = git.attributes_beside(index)?;
    let mut plain = Vec::new();
    for (row, stat) in open {
        cancel.check()?;
        let entry = index.entry(row)?;
        if entry.mode == Mode::Gitlink {
            scan.changes.push((entry.path, FileState::TypeChanged));
            continue;
        }
        let mode = git.mode_of(&stat, Some(entry.mode));
        let object = match (entry.mode.is_file(), mode.is_some_and(Mode::is_file)) {
            (true, true) => pointers.get(entry.id)?,
            _ => None,
        };
        match object {
            Some(object) if attributes.is_lfs(&entry.path)? => {
                fs::let_clock_move_on(stat.mtime);
                let is_same = mode == Some(entry.mode)
                    && holds(git, &entry.path, &stat, entry.id, object, cancel)?;
                if is_same {
                    scan.refreshed.push(entry.restat(&stat));
                } else {
                    scan.changes.push((entry.path, FileState::Modified));
                }
            }
            _ if index.is_surely_changed(row, &stat) => {
                scan.changes.push((entry.path, FileState::Modified));
            }
            _ => plain.push(entry),
        }
    }
    scan.changes.extend(judged_by_git(git, index, plain));
    Ok(())
}

/// libgit2 looks this often at a work tree in which something changes while it looks.
const LOOKS: u32 = 3;

/// What libgit2 finds in files whose stat tells nothing.
///
/// It gives up altogether if one of them shrinks or is deleted while it reads. When it does so again
/// and again, all are called modified: some were only touched then, which is on the safe side.
fn judged_by_git(git: &Git, index: &Listing, files: Vec<Entry>) -> Vec<(RepoPath, FileState)> {
    for _ in 0..LOOKS {
        match git.judge(&files, index) {
            Ok(found) => return found,
            Err(error) => tracing::debug!(%error, "files changed while they were read"),
        }
    }
    let modified = |file: Entry| (file.path, FileState::Modified);
    files.into_iter().map(modified).collect()
}

/// Remembers which folders of the work tree are folders, and not links or files.
pub(crate) struct Folders<'a> {
    workdir: &'a Path,
    known: HashMap<String, bool>,
}

impl<'a> Folders<'a> {
    pub(crate) fn new(git: &'a Git) -> Self {
        Self {
            workdir: git.workdir(),
            known: HashMap::new(),
        }
    }

    /// Whether all that is above the path are folders, so that the path is in the work tree.
    pub(crate) fn holds(&mut self, path: &RepoPath) -> Result<bool> {
        for (at, _) in path.as_str().match_indices('/') {
            let folder = &path.as_str()[..at];
            let real = match self.known.get(folder) {
                Some(real) => *real,
                None => {
                    let stat = fs::lstat(&self.workdir.join(folder))?;
                    let real = stat.is_some_and(|stat| stat.kind == FileKind::Folder);
                    self.known.insert(folder.to_owned(), real);
                    real
                }
            };
            if !real {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a work-tree file is what the LFS blob stands for: the object, or the pointer itself.
///
/// Judged as of `stat`: what was appended since is not looked at. A file that is gone is neither.
pub(super) fn holds(
    git: &Git,
    path: &RepoPath,
    stat: &Stat,
    blob: ObjectId,
    object: Object,
    cancel: &CancelToken,
) -> Result<bool> {
    let file = path.under(git.workdir());
    if stat.size == object.size && hash_file(&file, stat.size, cancel)? == Some(object.oid) {
        return Ok(true);
    }
    if stat.size > MAX_POINTER_BYTES as u64 {
        return Ok(false);
    }
    match fs::read_start(&file, stat.size)? {
        Some(bytes) => Ok(Git::hash_blob(&bytes)? == blob),
        None => Ok(false),
    }
}
