//! Files that are there already become those of a new clone: recognised by content, never touched.

use std::collections::HashMap;
use std::path::Path;

use super::Context;
use super::content::Content;
use super::place;
use super::pointers::Pointers;
use super::scan::holds;
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::fs::{self, FileKind, Stat, Take};
use crate::git::{Entry, Index, Mode, ObjectId, Snapshot, TreeFile};
use crate::lfs::Object;
use crate::path::RepoPath;
use crate::progress::Event;

/// Makes the index that of a tree, with the stat of each file that holds what the tree says.
///
/// Content of LFS files that is here goes into the store. Returns the tree of the paths that have
/// something in the work tree, be it what the tree says or not: what it lacks is still to be written.
///
/// # Errors
/// [`ErrorKind::DirtyWorktree`] if a file is where the tree has a folder, or the like: to record what is there
/// would be to delete what this clone never had.
pub(crate) fn adopt(context: Context<'_>, tree: ObjectId) -> Result<ObjectId> {
    let git = context.git;
    git.refuse_odd_tree(tree)?;
    let files = git.files_of(tree)?;
    // Before anything large is read.
    refuse_other_shapes(&context, &files)?;
    let look = Look {
        context,
        snapshot: git.snapshot(Some(tree))?,
        index: git.index()?,
    };
    let mut pointers = Pointers::new(git);
    let (mut entries, mut present) = (Vec::new(), Vec::new());
    for TreeFile { path, id, mode } in files {
        context.cancel.check()?;
        let stat = fs::lstat(&path.under(git.workdir()))?;
        let is_there = stat.is_some_and(|stat| {
            // A folder in a file's place is empty, and makes room.
            stat.kind != FileKind::Folder || mode == Mode::Gitlink
        });
        let proven = match stat.filter(|_| is_there) {
            Some(stat) => look.proven(&path, (id, mode), stat, &mut pointers)?,
            None => None,
        };
        let entry = match proven {
            Some(stat) => Entry::new(path, id, mode, &stat),
            None => Entry::without_stat(path, id, mode),
        };
        if is_there {
            present.push(entry.clone());
        }
        entries.push(entry);
    }
    let mut index = git.index_to_change()?;
    index.clear()?;
    for entry in &entries {
        index.put(entry)?;
    }
    index.write()?;
    git.write_tree(&git.listing_of(&present)?)
}

fn refuse_other_shapes(context: &Context<'_>, files: &[TreeFile]) -> Result<()> {
    let workdir = context.git.workdir();
    let mut offences = Vec::new();
    let mut repositories = HashMap::new();
    for TreeFile { path, mode, .. } in files {
        context.cancel.check()?;
        let kind = fs::lstat(&path.under(workdir))?.map(|stat| stat.kind);
        let reason = if let Some(parent) = place::blocked_parent(workdir, path)? {
            Some(format!("{parent} is no folder here"))
        } else if let Some(folder) = nested_repository(workdir, path, &mut repositories)? {
            Some(format!("{folder} is a repository of its own here"))
        } else if kind == Some(FileKind::Folder) && *mode != Mode::Gitlink {
            let filled = place::has_other_files(workdir, path, &|_| false)?;
            filled.then(|| "a folder with files is in its place".to_owned())
        } else {
            (kind == Some(FileKind::Other)).then(|| "what is in its place is no file".to_owned())
        };
        offences.extend(reason.map(|reason| Offence::new(path.clone(), None, reason)));
    }
    if offences.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DirtyWorktree,
        "cannot adopt the folder: files and folders are not where the remote has them",
    )
    .with_hint("move away what is in the way, and call again; nothing was changed")
    .with_offences(offences))
}

/// The outermost folder around a path that has a `.git`: git takes nothing in it for ours.
fn nested_repository<'f>(
    workdir: &Path,
    path: &'f RepoPath,
    known: &mut HashMap<&'f str, bool>,
) -> Result<Option<&'f str>> {
    for (at, _) in path.as_str().match_indices('/') {
        let folder = &path.as_str()[..at];
        let is_one = match known.get(folder) {
            Some(known) => *known,
            None => {
                let is_one = fs::lstat(&workdir.join(folder).join(".git"))?.is_some();
                known.insert(folder, is_one);
                is_one
            }
        };
        if is_one {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// Compares files with a tree.
struct Look<'a> {
    context: Context<'a>,
    snapshot: Snapshot,
    index: Index,
}

impl Look<'_> {
    /// The stat of a file that holds what the tree says, as long as it did.
    fn proven(
        &self,
        path: &RepoPath,
        (id, mode): (ObjectId, Mode),
        stat: Stat,
        pointers: &mut Pointers<'_>,
    ) -> Result<Option<Stat>> {
        let Context { git, cancel, .. } = self.context;
        if mode == Mode::Gitlink {
            return Ok((stat.kind == FileKind::Folder).then_some(stat));
        }
        if git.mode_of(&stat, Some(mode)) != Some(mode) {
            return Ok(None);
        }
        let object = match mode.is_file() {
            true => pointers.get(id)?.filter(|object| object.size > 0),
            false => None,
        };
        if let Some(object) = object
            && self.snapshot.is_lfs(path)?
        {
            return self.proven_object(path, id, object, stat);
        }
        fs::let_clock_move_on(stat.mtime);
        let same = Content::new(git, &self.index, path, stat, cancel).is((id, mode))?;
        let now = fs::lstat(&path.under(git.workdir()))?;
        Ok(now.filter(|now| same && *now == stat))
    }

    /// The same for an LFS file; its content goes into the store, if it is what the pointer says.
    fn proven_object(
        &self,
        path: &RepoPath,
        pointer: ObjectId,
        object: Object,
        stat: Stat,
    ) -> Result<Option<Stat>> {
        let Context {
            git,
            store,
            engine,
            progress,
            cancel,
        } = self.context;
        let compare = || -> Result<Option<Stat>> {
            fs::let_clock_move_on(stat.mtime);
            let same = holds(git, path, &stat, pointer, object, cancel)?;
            let now = fs::lstat(&path.under(git.workdir()))?;
            Ok(now.filter(|now| same && *now == stat))
        };
        // One of another size is not read, unless it is small enough to be the pointer.
        if stat.size != object.size || store.contains(object) {
            return compare();
        }
        progress.report(|| Event::Staging {
            path: path.to_string(),
            bytes: stat.size,
        });
        match engine.clean(&path.under(git.workdir()), Take::Whole, cancel) {
            Ok(cleaned) => Ok((cleaned.object == object).then_some(cleaned.stat)),
            Err(error) if error.kind() == ErrorKind::FileChanged => Ok(None),
            // The store can do without it: the remote has it.
            Err(error) if error.kind() == ErrorKind::DiskFull => compare(),
            Err(error) => Err(error),
        }
    }
}
