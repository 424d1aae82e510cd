//! What differs between the index and the work tree, LFS files judged by their content.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::pointers::Pointers;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::{self, FileKind, Stat};
use crate::git::{Entry, FileState, Git, Index, Mode, ObjectId};
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
    let mut pointers = Pointers::new(git);
    let mut scan = Scan::default();
    let mut settled = Vec::new();
    // `--skip-worktree` and `--assume-unchanged`: whatever is there, nobody wants to know.
    let mut hidden = HashSet::new();
    let mut folders = Folders::new(git);
    for entry in index.entries() {
        let entry = entry?;
        if entry.is_hidden() {
            hidden.insert(entry.path);
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
        if !mode.is_some_and(Mode::is_file) || !git.is_lfs_in_worktree(&entry.path)? {
            continue;
        }
        cancel.check()?;
        fs::let_clock_move_on(stat.mtime);
        let current = entry.restat(&stat);
        if mode == Some(entry.mode) && holds(git, &entry.path, &stat, entry.id, object, cancel)? {
            scan.refreshed.push(current.clone());
        } else {
            scan.changes.push((entry.path.clone(), FileState::Modified));
        }
        settled.push(current);
    }
    let judged: HashSet<&str> = settled.iter().map(|entry| entry.path.as_str()).collect();
    for found in git.worktree_changes(&settled)? {
        let name = std::str::from_utf8(&found.path).ok();
        if name.is_some_and(|name| judged.contains(name)) {
            continue;
        }
        match name.and_then(|name| RepoPath::new(name).ok()) {
            Some(path) if hidden.contains(&path) => {}
            Some(path) => scan.changes.push((path, found.state)),
            None => {
                let name = String::from_utf8_lossy(&found.path);
                scan.foreign.push(name.into_owned());
            }
        }
    }
    scan.changes.sort();
    Ok(scan)
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
pub(super) fn holds(
    git: &Git,
    path: &RepoPath,
    stat: &Stat,
    blob: ObjectId,
    object: Object,
    cancel: &CancelToken,
) -> Result<bool> {
    let file = path.under(git.workdir());
    if stat.size == object.size && hash_file(&file, cancel)? == object.oid {
        return Ok(true);
    }
    if stat.size > MAX_POINTER_BYTES as u64 {
        return Ok(false);
    }
    let bytes = std::fs::read(&file).map_err(|error| crate::Error::io("read", &file, error))?;
    Ok(Git::hash_blob(&bytes)? == blob)
}
