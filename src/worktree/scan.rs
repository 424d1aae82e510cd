//! What differs between the index and the work tree, LFS files judged by their content.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::pointers::Pointers;
use super::selection::Selection;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::{self, FileKind, Stat};
use crate::git::{Entry, FileState, Found, Git, Index, Mode, ObjectId};
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
pub(crate) fn scan(git: &Git, index: &Index, cancel: &CancelToken) -> Result<Scan> {
    scan_selected(git, index, &Selection::default(), cancel)
}

/// The same for the paths that are selected; no other file is read.
pub(crate) fn scan_selected(
    git: &Git,
    index: &Index,
    selection: &Selection,
    cancel: &CancelToken,
) -> Result<Scan> {
    let mut pointers = Pointers::new(git);
    let mut scan = Scan::default();
    let mut settled = Vec::new();
    // `--skip-worktree` and `--assume-unchanged`: whatever is there, nobody wants to know.
    let mut hidden = HashSet::new();
    let mut folders = Folders::new(git);
    let attributes = git.attributes()?;
    for entry in index.entries() {
        let entry = entry?;
        if entry.is_hidden() {
            hidden.insert(entry.path);
            continue;
        }
        if !selection.takes(&entry.path) {
            settled.push(entry);
            continue;
        }
        if !entry.mode.is_file() {
            continue;
        }
        // What lies behind a link is not in the work tree; libgit2 finds it deleted.
        if !folders.holds(&entry.path)? {
            continue;
        }
        let file = entry.path.under(git.workdir());
        let Some(stat) = fs::lstat(&file)? else {
            continue;
        };
        if git.is_as_recorded(&entry, &stat) && !entry.is_racy(index.written_at()) {
            // libgit2 knows sizes modulo 2^32, and takes such a file for another.
            if stat.size > 0 && stat.size.is_multiple_of(1 << 32) {
                settled.push(entry);
            }
            continue;
        }
        let Some(object) = pointers.get(entry.id)? else {
            continue;
        };
        let mode = git.mode_of(&stat, Some(entry.mode));
        if !mode.is_some_and(Mode::is_file) || !attributes.is_lfs(&entry.path)? {
            continue;
        }
        cancel.check()?;
        fs::let_clock_move_on(stat.mtime);
        if mode == Some(entry.mode) && holds(git, &entry.path, &stat, entry.id, object, cancel)? {
            scan.refreshed.push(entry.restat(&stat));
        } else {
            scan.changes.push((entry.path.clone(), FileState::Modified));
        }
        settled.push(entry);
    }
    for found in found_by_git(git, index, &mut settled, &mut scan.changes)? {
        match std::str::from_utf8(&found.path)
            .ok()
            .and_then(|name| RepoPath::new(name).ok())
        {
            Some(path) if hidden.contains(&path) || !selection.takes(&path) => {}
            Some(path) => scan.changes.push((path, found.state)),
            None => {
                let name = String::from_utf8_lossy(&found.path);
                if !selection.excludes(name.trim_end_matches('/')) {
                    scan.foreign.push(name.into_owned());
                }
            }
        }
    }
    scan.changes.sort();
    Ok(scan)
}

/// libgit2 looks this often at a work tree in which something changes while it looks.
const LOOKS: u32 = 3;

/// What libgit2 finds in all files that are not settled yet.
///
/// It reads files whose stat tells nothing, and gives up altogether if one of them shrinks or is
/// deleted meanwhile. When it does so again and again, files are judged by their stat alone:
/// some that were only touched are then called modified, which is on the safe side.
fn found_by_git(
    git: &Git,
    index: &Index,
    settled: &mut Vec<Entry>,
    changes: &mut Vec<(RepoPath, FileState)>,
) -> Result<Vec<Found>> {
    let judged = |settled: &[Entry]| -> HashSet<Vec<u8>> {
        let name = |entry: &Entry| entry.path.as_str().as_bytes().to_vec();
        settled.iter().map(name).collect()
    };
    let mut known = judged(settled);
    let mut looked = git.worktree_changes(settled);
    for _ in 1..LOOKS {
        if looked.is_ok() {
            break;
        }
        looked = git.worktree_changes(settled);
    }
    if looked.is_err() {
        judge_by_stat(git, index, &known, settled, changes)?;
        known = judged(settled);
        looked = git.worktree_changes(settled);
    }
    let mut found = looked?;
    found.retain(|found| !known.contains(&found.path));
    Ok(found)
}

/// Settles every file that libgit2 might read.
fn judge_by_stat(
    git: &Git,
    index: &Index,
    known: &HashSet<Vec<u8>>,
    settled: &mut Vec<Entry>,
    changes: &mut Vec<(RepoPath, FileState)>,
) -> Result<()> {
    let mut folders = Folders::new(git);
    for entry in index.entries() {
        let entry = entry?;
        let open = entry.mode.is_file()
            && !entry.is_hidden()
            && !known.contains(entry.path.as_str().as_bytes());
        if !open || !folders.holds(&entry.path)? {
            continue;
        }
        // What is gone or no file any more is left to libgit2: it reads neither.
        let stat = fs::lstat(&entry.path.under(git.workdir()))?;
        let Some(stat) = stat.filter(|stat| stat.kind == FileKind::File) else {
            continue;
        };
        if !git.is_as_recorded(&entry, &stat) || entry.is_racy(index.written_at()) {
            changes.push((entry.path.clone(), FileState::Modified));
        }
        settled.push(entry);
    }
    Ok(())
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
