//! A walk through the work tree beside the index: each folder listed once, each tracked file looked at once.
//!
//! On several threads, a depth of folders after the other. For 100,000 files that nobody touched this is
//! most of what `status` costs, and bounded by the kernel: 0.9 µs a look by the name in an open folder, against
//! 1.8 by the whole path.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::selection::Selection;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::{FileKind, Folder, Name, Stat};
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
            Vec::new()
        });
        let is_tracked = part.name.is_empty() || !part.rows.is_empty();
        if !is_tracked && is_repository(&folder, &names)? {
            seen.walked.untracked.push(part.name.clone());
            return Ok(());
        }
        let mut known = vec![false; names.len()];
        let ignoring = self.rules(part, &names);
        self.tracked(part, &folder, (&names, &mut known), &ignoring, seen)?;
        for (name, known) in names.iter().zip(known) {
            if !known && name.bytes != b".git" {
                self.untracked(&part.name, name, &ignoring, seen);
            }
        }
        Ok(())
    }

    /// The rules that count in the folder, its own included.
    fn rules(&self, part: &Part, names: &[Name]) -> Ignoring {
        let is_there = find(names, gitignore::FILE_NAME.as_bytes(), 0)
            .is_some_and(|at| names[at].kind == FileKind::File);
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
        (names, known): (&[Name], &mut [bool]),
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
            let at = find(names, name, near);
            near = at.map_or(near, |at| at + 1);
            let kind = match (at, end) {
                (Some(at), _) => Some(names[at].kind),
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

    fn untracked(&self, folder: &[u8], name: &Name, ignoring: &Ignoring, seen: &mut Seen) {
        let path = [folder, &name.bytes].concat();
        match name.kind {
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
fn is_repository(folder: &Folder, names: &[Name]) -> Result<bool> {
    Ok(match find(names, b".git", 0).map(|at| names[at].kind) {
        None => false,
        Some(FileKind::Folder) => folder.lstat(b".git/HEAD")?.is_some(),
        Some(_) => true,
    })
}

/// Where a name is; looked at first is where the one behind the last would be.
fn find(names: &[Name], name: &[u8], near: usize) -> Option<usize> {
    if names.get(near).is_some_and(|there| there.bytes == name) {
        return Some(near);
    }
    names
        .binary_search_by(|there| there.bytes.as_slice().cmp(name))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::git::{self, Entry, Mode};
    use crate::name::BranchName;
    use crate::path::RepoPath;

    /// A work tree whose index has these files as they are.
    fn tracked(names: &[&str]) -> (tempfile::TempDir, Git) {
        let temp = tempfile::tempdir().expect("temp");
        let git = git::create(temp.path(), &BranchName::main()).expect("created");
        let mut index = git.index_to_change().expect("locked");
        for name in names {
            let path = RepoPath::new(*name).expect("valid");
            let file = path.under(temp.path());
            std::fs::create_dir_all(file.parent().expect("below")).expect("made");
            std::fs::write(&file, name).expect("written");
            let stat = crate::fs::lstat(&file).expect("seen").expect("there");
            let id = Git::hash_blob(name.as_bytes()).expect("hashed");
            index
                .put(&Entry::new(path, id, Mode::File, &stat))
                .expect("put");
        }
        index.write().expect("written");
        drop(index);
        (temp, git)
    }

    /// What a walk finds, by name.
    fn found(git: &Git, selection: &Selection) -> (Vec<String>, Vec<String>, Vec<String>) {
        let index = git.listing().expect("read");
        let walked = walk(git, &index, selection, &CancelToken::new()).expect("walked");
        let name = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let rows = |rows: Vec<usize>| rows.into_iter().map(|row| name(index.path(row)));
        let open = walked.open.iter().map(|(row, _)| *row).collect();
        let mut found = (
            rows(open).collect::<Vec<_>>(),
            rows(walked.gone).collect::<Vec<_>>(),
            walked
                .untracked
                .iter()
                .map(|path| name(path))
                .collect::<Vec<_>>(),
        );
        found.0.sort();
        found.1.sort();
        found.2.sort();
        found
    }

    #[test]
    fn a_folder_of_many_files_is_looked_at_in_parts() {
        let names: Vec<String> = (0..23).map(|number| format!("d/{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (temp, git) = tracked(&names);
        let none = (Vec::new(), Vec::new(), Vec::new());
        assert_eq!(found(&git, &Selection::default()), none);
        for changed in ["d/00", "d/09", "d/22"] {
            std::fs::write(temp.path().join(changed), "longer than it was").expect("written");
        }
        for gone in ["d/01", "d/13"] {
            std::fs::remove_file(temp.path().join(gone)).expect("removed");
        }
        std::fs::create_dir(temp.path().join("d/13")).expect("made");
        std::fs::write(temp.path().join("d/13/x"), "").expect("written");
        std::fs::write(temp.path().join("d/23"), "").expect("written");
        let (open, gone, untracked) = found(&git, &Selection::default());
        assert_eq!(open, ["d/00", "d/09", "d/22"]);
        assert_eq!(gone, ["d/01", "d/13"]);
        assert_eq!(untracked, ["d/13/x", "d/23"]);
    }

    #[test]
    fn only_what_is_selected_is_looked_at() {
        let (temp, git) = tracked(&["a/b/x", "a/c/x", "d/x", "e"]);
        for file in ["a/b/x", "a/c/x", "d/x", "e", "a/b/new", "d/new"] {
            std::fs::write(temp.path().join(file), "longer than it was").expect("written");
        }
        let selection = |options: crate::worktree::StageOptions| {
            let selection = Selection::new(&options).expect("valid");
            let (open, _, untracked) = found(&git, &selection);
            [open, untracked].concat()
        };
        let options = crate::worktree::StageOptions::default;
        assert_eq!(selection(options().path("a/b")), ["a/b/x", "a/b/new"]);
        assert_eq!(selection(options().path("d/x")), ["d/x", "d/new"]);
        let all_but = selection(options().exclude("a").exclude("e"));
        assert_eq!(all_but, ["d/x", "d/new"]);
    }

    #[test]
    fn what_becomes_of_a_folder() {
        let (temp, git) = tracked(&["a/x", "b/x", "c/x", "d/x"]);
        let at = |name: &str| temp.path().join(name);
        for folder in ["a", "b", "c"] {
            std::fs::remove_dir_all(at(folder)).expect("removed");
        }
        std::fs::write(at("b"), "a file").expect("written");
        std::os::unix::fs::symlink("d", at("c")).expect("linked");
        std::fs::create_dir_all(at("d/.git")).expect("made");
        std::fs::create_dir_all(at("nested/.git")).expect("made");
        std::fs::write(at("nested/.git/HEAD"), "").expect("written");
        std::fs::create_dir_all(at("not/.git")).expect("made");
        std::fs::write(at("not/x"), "").expect("written");
        std::fs::create_dir_all(at("empty/deep")).expect("made");
        let (open, gone, untracked) = found(&git, &Selection::default());
        assert!(open.is_empty(), "{open:?}");
        assert_eq!(gone, ["a/x", "b/x", "c/x"]);
        assert_eq!(untracked, ["b", "c", "nested/", "not/x"]);
    }

    #[test]
    fn what_a_listing_misses_is_looked_for_by_its_name() {
        let (_temp, git) = tracked(&["a/x", "b"]);
        let index = git.listing().expect("read");
        let ignored = git.ignored(&index).expect("read");
        let walk = Walk {
            workdir: git.workdir(),
            index: &index,
            selection: &Selection::default(),
            ignored: &ignored,
        };
        let root = Part {
            name: Vec::new(),
            rows: index.rows(),
            ignoring: Ignoring::default(),
        };
        let folder = walk.open(b"").expect("readable").expect("there");
        let (none, mut seen) = (Ignoring::default(), Seen::default());
        // As if both had been renamed just then, or the folder might be entered and not listed.
        let tracked = walk.tracked(&root, &folder, (&[], &mut []), &none, &mut seen);
        tracked.expect("looked at");
        assert!(seen.walked.gone.is_empty() && seen.walked.open.is_empty());
        assert_eq!(seen.deeper.len(), 1);
    }

    #[test]
    fn it_can_be_cancelled() {
        let (_temp, git) = tracked(&["a/x"]);
        let index = git.listing().expect("read");
        let cancel = CancelToken::new();
        cancel.cancel();
        let walked = walk(&git, &index, &Selection::default(), &cancel);
        assert_eq!(walked.expect_err("cancelled").kind(), ErrorKind::Cancelled);
    }
}
