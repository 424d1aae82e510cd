//! From one tree to another: everything is at hand before the first file changes.
//!
//! Order of work: find what differs → refuse if a local edit stands in the way → download every
//! object that is needed → lay all new files out in a folder of our own → move them into place,
//! each by one rename → index. A reader sees the old file or the new one, never a pointer where
//! content belongs and never half a file; killed anywhere, the next run finishes, because a path
//! that holds its new content already is no local edit.

use std::collections::{BTreeSet, HashMap};

use super::Context;
use super::area::Area;
use super::interrupted::{self, Interrupted};
use super::lay_out::{Planned, Source, lay_out};
use super::obstacles::Obstacles;
use super::place::{self, Placement, Prepared};
use super::pointers::Pointers;
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::fs;
use crate::git::{Change, Entry, Index, Mode, ObjectId, Snapshot, private_folder};
use crate::id::CommitId;
use crate::lfs::{Job, Object, Remote};
use crate::parallel;
use crate::path::RepoPath;
use crate::progress::Event;

/// Where missing objects come from.
#[derive(Clone, Copy)]
pub(crate) struct Fill<'a> {
    /// Looked up when something is missing; none means that only what is here counts.
    pub(crate) remote: &'a dyn Fn() -> Result<Option<Remote>>,
    pub(crate) remote_name: &'a str,
    pub(crate) ref_name: Option<&'a str>,
    pub(crate) commit: Option<CommitId>,
}

/// A change of the work tree and index from one tree to another.
pub(crate) struct Switch<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) fill: Fill<'a>,
    pub(crate) from: Option<ObjectId>,
    pub(crate) to: ObjectId,
    /// Says for which LFS files the content is wanted; the others appear as pointers.
    pub(crate) wanted: &'a dyn Fn(&RepoPath) -> bool,
}

impl Switch<'_> {
    /// Makes work tree and index those of the new tree; HEAD and refs are the caller's.
    ///
    /// # Errors
    /// [`ErrorKind::DirtyWorktree`] if a local edit or an untracked file is in the way,
    /// [`ErrorKind::LfsObjectMissing`] and the like if content cannot be had; in both cases
    /// nothing has changed.
    pub(crate) fn run(&self) -> Result<()> {
        let Context { git, cancel, .. } = self.context;
        git.refuse_odd_tree(self.to)?;
        let head = git.head()?;
        let interrupted = Interrupted::read(git, self.from)?;
        let mut changes = git.changes(self.from, Some(self.to))?;
        let index = git.index()?;
        changes.extend(interrupted.left_over(git, &index, &changes, cancel)?);
        let snapshot = git.snapshot(Some(self.to))?;
        let obstacles = Obstacles::new(self.context, &index, &changes, &interrupted);
        let seen = obstacles.refuse(None)?;

        let plan = self.plan(&changes, &snapshot, &index)?;
        self.download(&plan)?;
        cancel.check()?;

        let area = Area::create(&private_folder(git.git_dir()))?;
        let written = lay_out(self.context, &snapshot, &plan, &area)?;

        // Long downloads leave time for edits and commits: with git's lock in hand, look once more
        // before anything changes.
        let mut index = git.index_to_change()?;
        if git.head()? != head {
            return Err(Error::new(
                ErrorKind::Locked,
                "somebody else moved HEAD in the meantime",
            )
            .with_hint("call again"));
        }
        let obstacles = Obstacles::new(self.context, &index, &changes, &interrupted);
        let seen = obstacles.refuse(Some(&seen))?;
        interrupted::begin(git, self.from, self.to)?;
        let removed: Vec<&RepoPath> = changes
            .iter()
            .filter(|change| change.new.is_none())
            .map(|change| &change.path)
            .collect();
        place::remove(git.workdir(), &removed)?;
        // What was a file or link and becomes something else must make room first.
        for change in &changes {
            if let (Some((_, old)), Some((_, Mode::Gitlink))) = (change.old, change.new)
                && old != Mode::Gitlink
            {
                place::remove(git.workdir(), &[&change.path])?;
            }
        }
        let prepared = plan.iter().zip(written).map(|(file, written)| Prepared {
            path: &file.path,
            written,
            seen: seen[file.change],
        });
        let prepared: Vec<Prepared<'_>> = prepared.collect();
        let placement = Placement {
            workdir: git.workdir(),
            area: &area,
        };
        let placed = placement.run(&prepared);
        // What the new files took the place of goes while the index is written.
        let write_index = || -> Result<()> {
            for path in removed {
                if index.get(path)?.is_some() {
                    index.remove(path)?;
                }
            }
            for (file, stat) in plan.iter().zip(&placed.done) {
                let entry = Entry::new(file.path.clone(), file.blob, file.mode, stat);
                let before = index.get(&file.path)?;
                index.put(&entry.hidden_as(before.as_ref()))?;
            }
            for change in &changes {
                if let Some((id, Mode::Gitlink)) = change.new {
                    let folder = change.path.under(git.workdir());
                    fs::create_dir_all(&folder)?;
                    if let Some(stat) = fs::lstat(&folder)? {
                        index.put(&Entry::new(change.path.clone(), id, Mode::Gitlink, &stat))?;
                    }
                }
            }
            index.write_remembering(git, self.to)
        };
        parallel::both(write_index, move || area.remove())?;
        let (files, total) = (placed.done.len(), plan.len());
        self.context
            .progress
            .report(|| Event::CheckedOut { files, total });
        placed.result
    }

    /// The files of the new tree that have to be written, in the order of their paths, and what each will
    /// hold.
    fn plan(&self, changes: &[Change], snapshot: &Snapshot, index: &Index) -> Result<Vec<Planned>> {
        let mut pointers = Pointers::new(self.context.git);
        let mut plan = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let Some((blob, mode)) = change.new else {
                continue;
            };
            let path = &change.path;
            let source = match mode {
                Mode::Gitlink => continue,
                Mode::Symlink => Source::Converted,
                Mode::File | Mode::Executable => {
                    let conversion = snapshot.checkout(path)?;
                    // Few blobs are looked into: those of LFS files.
                    let object = match conversion.is_lfs {
                        true => pointers.get(blob)?.filter(|object| object.size > 0),
                        false => None,
                    };
                    match object {
                        Some(object) if self.wants(path, index, &mut pointers)? => {
                            Source::Object(object)
                        }
                        _ if conversion.is_verbatim => Source::Blob,
                        _ => Source::Converted,
                    }
                }
            };
            plan.push(Planned {
                change: at,
                path: path.clone(),
                blob,
                mode,
                source,
            });
        }
        plan.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(plan)
    }

    /// Content is wanted where the caller says so, and kept up to date where it already is.
    fn wants(&self, path: &RepoPath, index: &Index, pointers: &mut Pointers<'_>) -> Result<bool> {
        if (self.wanted)(path) {
            return Ok(true);
        }
        let Some(entry) = index.get(path)? else {
            return Ok(false);
        };
        let Some(object) = pointers.get(entry.id)? else {
            return Ok(false);
        };
        let stat = fs::lstat(&path.under(self.context.git.workdir()))?;
        Ok(stat.is_some_and(|stat| stat.size == object.size))
    }

    fn download(&self, plan: &[Planned]) -> Result<()> {
        let wanted = plan
            .iter()
            .filter_map(|file| Some((file.object()?, &file.path)));
        fill(&self.context, &self.fill, wanted)
    }
}

/// Makes the store have the content of files, from the remote if need be.
///
/// # Errors
/// The first object's failure, with every file that lacks its content.
pub(crate) fn fill<'p>(
    context: &Context<'_>,
    fill: &Fill<'_>,
    wanted: impl Iterator<Item = (Object, &'p RepoPath)>,
) -> Result<()> {
    let mut objects = BTreeSet::new();
    let mut names = HashMap::new();
    for (object, path) in wanted {
        objects.insert(object);
        names.entry(object.oid).or_insert_with(|| path.clone());
    }
    let mut missing = Vec::new();
    for object in objects {
        if !context.store.obtain(object, context.cancel)? {
            missing.push(object);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let Some(remote) = (fill.remote)()? else {
        return Err(Error::new(
            ErrorKind::LfsObjectMissing,
            format!(
                "{} LFS objects are not here, and there is no remote",
                missing.len()
            ),
        )
        .with_hint("add a remote that has them"));
    };
    let report = context.engine.download(&Job {
        remote: &remote,
        remote_name: fill.remote_name,
        ref_name: fill.ref_name,
        commit: fill.commit,
        objects: &missing,
        names: &names,
        progress: context.progress,
        cancel: context.cancel,
    })?;
    lacking(
        report.into_failures(),
        |object| names.get(&object.oid).cloned(),
        fill.commit,
        "cannot get the content of LFS files",
    )
}

/// One error for all objects that could not be moved, of the kind of the first.
pub(crate) fn lacking(
    failures: Vec<(Object, Error)>,
    name_of: impl Fn(&Object) -> Option<RepoPath>,
    commit: Option<CommitId>,
    what: &str,
) -> Result<()> {
    let offences = failures
        .iter()
        .filter_map(|(object, error)| {
            Some(Offence::new(name_of(object)?, commit, error.to_string()))
        })
        .collect();
    let Some((_, first)) = failures.into_iter().next() else {
        return Ok(());
    };
    let mut error = Error::new(first.kind(), what).with_offences(offences);
    if let Some(hint) = first.hint() {
        error = error.with_hint(hint.to_owned());
    }
    Err(error
        .with_retry_after(first.retry_after())
        .with_source(first))
}
