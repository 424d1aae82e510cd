//! From one tree to another: everything is at hand before the first file changes.
//!
//! Order of work: find what differs → refuse if a local edit stands in the way → download every
//! object that is needed → lay all new files out in a folder of our own → move them into place,
//! each by one rename → index. A reader sees the old file or the new one, never a pointer where
//! content belongs and never half a file; killed anywhere, the next run finishes, because a path
//! that holds its new content already is no local edit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Context;
use super::content::Content;
use super::interrupted::{self, Interrupted};
use super::lay_out::{Planned, Source, lay_out};
use super::place::{self, Placement};
use super::pointers::Pointers;
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::fs::{self, FileKind, Stat};
use crate::git::{Change, Entry, Index, Mode, ObjectId, Snapshot, private_folder};
use crate::id::CommitId;
use crate::lfs::{Job, Object, Remote};
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
        let mut obstacles = Obstacles::new(self, &index, &changes, &interrupted);
        obstacles.refuse()?;
        let seen = obstacles.seen;

        let plan = self.plan(&changes, &snapshot, &index)?;
        self.download(&plan)?;
        cancel.check()?;

        let area = place::Area::create(&private_folder(git.git_dir()))?;
        lay_out(self.context, &snapshot, &plan, &area)?;

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
        let mut obstacles = Obstacles::new(self, &index, &changes, &interrupted);
        // Files that have not changed since the first look need no second one.
        obstacles.seen = seen;
        obstacles.refuse()?;
        let seen = obstacles.seen;
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
        let placement = Placement {
            workdir: git.workdir(),
            area: &area,
        };
        let placed = placement.run(plan.iter().map(|file| &file.path), |path| {
            let now = fs::lstat(&path.under(git.workdir()))?;
            // Where nothing is, nothing can be lost.
            Ok(now.is_none() || seen.get(path).is_some_and(|seen| *seen == now))
        });
        for path in removed {
            if index.get(path)?.is_some() {
                index.remove(path)?;
            }
        }
        let total = plan.len();
        for path in &placed.done {
            let Ok(at) = plan.binary_search_by(|file| file.path.cmp(path)) else {
                continue;
            };
            let file = &plan[at];
            if let Some(stat) = fs::lstat(&path.under(git.workdir()))? {
                let entry = Entry::new(path.clone(), file.blob, file.mode, &stat);
                let before = index.get(path)?;
                index.put(&entry.hidden_as(before.as_ref()))?;
            }
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
        index.write()?;
        let files = placed.done.len();
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
        for change in changes {
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

/// Finds local work in the paths that are about to change.
struct Obstacles<'a> {
    switch: &'a Switch<'a>,
    index: &'a Index,
    changes: &'a [Change],
    interrupted: &'a Interrupted,
    /// What every path was when it was found harmless.
    seen: BTreeMap<RepoPath, Option<Stat>>,
}

impl<'a> Obstacles<'a> {
    fn new(
        switch: &'a Switch<'a>,
        index: &'a Index,
        changes: &'a [Change],
        interrupted: &'a Interrupted,
    ) -> Self {
        Self {
            switch,
            index,
            changes,
            interrupted,
            seen: BTreeMap::new(),
        }
    }

    fn refuse(&mut self) -> Result<()> {
        let mut offences = Vec::new();
        let by_path: BTreeMap<&str, &Change> = self
            .changes
            .iter()
            .map(|change| (change.path.as_str(), change))
            .collect();
        for change in self.changes {
            self.switch.context.cancel.check()?;
            if let Some(reason) = self.reason(change, &by_path)? {
                offences.push(Offence::new(change.path.clone(), None, reason));
            }
        }
        if offences.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::DirtyWorktree,
            "local changes would be overwritten",
        )
        .with_hint("commit these files, move them away or restore them, then call again")
        .with_offences(offences))
    }

    /// Why the path must not be touched, if it must not.
    fn reason(
        &mut self,
        change: &Change,
        by_path: &BTreeMap<&str, &Change>,
    ) -> Result<Option<&'static str>> {
        let Context { git, cancel, .. } = self.switch.context;
        let path = &change.path;
        let mut sides = vec![change.old, change.new];
        sides.extend_from_slice(self.interrupted.sides(path));
        let is_side = |side| sides.contains(&side);
        let entry = self.index.get(path)?;
        let staged = match &entry {
            Some(entry) => !is_side(Some((entry.id, entry.mode))),
            None => !is_side(None),
        };
        if staged {
            return Ok(Some("it has staged changes"));
        }
        let unstaged_removal = entry.is_none() && change.old.is_some();
        // Never through a link: what lies behind it is not ours to touch.
        if let Some(reason) = self.blocked_parent(path, by_path)? {
            return Ok(Some(reason));
        }
        let stat = fs::lstat(&path.under(git.workdir()))?;
        let known = self.seen.get(path).is_some_and(|seen| *seen == stat);
        let Some(stat) = stat else {
            self.seen.insert(path.clone(), None);
            return Ok(None);
        };
        if unstaged_removal && stat.kind != FileKind::Folder {
            return Ok(Some("it is not tracked any more, but still there"));
        }
        if known {
            return Ok(None);
        }
        if stat.kind == FileKind::Folder {
            let is_link = |side: Option<(ObjectId, Mode)>| {
                side.is_some_and(|(_, mode)| mode == Mode::Gitlink)
            };
            if is_link(change.old) || is_link(change.new) {
                return Ok(None);
            }
            let ours = |inner: &str| by_path.get(inner).is_some_and(|c| c.new.is_none());
            let untracked = place::has_other_files(git.workdir(), path, &ours)?;
            return Ok(untracked.then_some("a folder with other files is in its place"));
        }
        if entry.as_ref().is_some_and(|entry| {
            git.is_as_recorded(entry, &stat) && !entry.is_racy(self.index.written_at())
        }) {
            self.seen.insert(path.clone(), Some(stat));
            return Ok(None);
        }
        // Its stat proves nothing: is it the old content, or already the new?
        let content = Content::new(git, self.index, path, stat, cancel);
        for side in sides.into_iter().flatten() {
            if content.is(side)? {
                self.seen.insert(path.clone(), Some(stat));
                return Ok(None);
            }
        }
        Ok(Some(if entry.is_some() {
            "it was edited"
        } else {
            "it is not tracked"
        }))
    }

    /// A file or link where the path needs a folder, unless this very change removes it.
    fn blocked_parent(
        &self,
        path: &RepoPath,
        by_path: &BTreeMap<&str, &Change>,
    ) -> Result<Option<&'static str>> {
        let workdir = self.switch.context.git.workdir();
        let Some(parent) = place::blocked_parent(workdir, path)? else {
            return Ok(None);
        };
        let removed = by_path
            .get(parent)
            .is_some_and(|change| change.new.is_none());
        Ok((!removed).then_some("a file or link is where its folder belongs"))
    }
}
