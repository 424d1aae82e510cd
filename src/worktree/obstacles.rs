//! Local work in the way of a change of the work tree.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;

use super::Context;
use super::content::Content;
use super::interrupted::Interrupted;
use super::place;
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::fs::{self, FileKind, Stat};
use crate::git::{Change, Index, Mode, ObjectId};
use crate::parallel;

/// What lay at a path when it was found harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was not judged, or is a folder.
    Unknown,
    Nothing,
    /// A file or link that is the old content, or the new.
    Known(Stat),
}

/// Finds local work in the paths that are about to change.
pub(super) struct Obstacles<'a> {
    context: Context<'a>,
    index: &'a Index,
    changes: &'a [Change],
    interrupted: &'a Interrupted,
    by_path: OnceCell<HashMap<&'a str, &'a Change>>,
}

impl<'a> Obstacles<'a> {
    pub(super) fn new(
        context: Context<'a>,
        index: &'a Index,
        changes: &'a [Change],
        interrupted: &'a Interrupted,
    ) -> Self {
        Self {
            context,
            index,
            changes,
            interrupted,
            by_path: OnceCell::new(),
        }
    }

    /// What every path was, in the order of the changes; `before` is what an earlier look saw: files that
    /// have not changed since need no second judgement.
    ///
    /// # Errors
    /// [`ErrorKind::DirtyWorktree`], with all that is in the way.
    pub(super) fn refuse(&self, before: Option<&[Seen]>) -> Result<Vec<Seen>> {
        let mut offences = Vec::new();
        let mut all = Vec::with_capacity(self.changes.len());
        let found = self.look()?;
        for (at, (change, found)) in self.changes.iter().zip(found).enumerate() {
            self.context.cancel.check()?;
            let before = before.and_then(|before| before.get(at));
            let seen = self.judge(change, found, before.copied())?;
            match seen {
                Ok(_) => {}
                Err(reason) => offences.push(Offence::new(change.path.clone(), None, reason)),
            }
            all.push(seen.unwrap_or(Seen::Unknown));
        }
        if offences.is_empty() {
            return Ok(all);
        }
        Err(Error::new(
            ErrorKind::DirtyWorktree,
            "local changes would be overwritten",
        )
        .with_hint("commit these files, move them away or restore them, then call again")
        .with_offences(offences))
    }

    /// What lies at every path now.
    fn look(&self) -> Result<Vec<Found<'a>>> {
        let workdir = self.context.git.workdir();
        let mut above = Above::new(workdir);
        let above = self.changes.iter().map(|change| {
            let above = change.path.parent().map(|folder| above.of(folder));
            Ok((change, above.unwrap_or(Ok(Folder::There))?))
        });
        let above: Vec<(&Change, Folder<'a>)> = above.collect::<Result<_>>()?;
        parallel::map(&above, self.context.cancel, |(change, above)| {
            Ok(match above {
                // Never through a link: what lies behind it is not ours to touch.
                Folder::Blocked(parent) => Found::Blocked(parent),
                Folder::Missing => Found::Nothing,
                Folder::There => match fs::lstat(&change.path.under(workdir))? {
                    Some(stat) => Found::Something(stat),
                    None => Found::Nothing,
                },
            })
        })
    }

    /// What the path is, or why it must not be touched.
    fn judge(
        &self,
        change: &Change,
        found: Found<'_>,
        before: Option<Seen>,
    ) -> Result<std::result::Result<Seen, &'static str>> {
        let Context { git, cancel, .. } = self.context;
        let path = &change.path;
        let interrupted = self.interrupted.sides(path);
        let sides = || {
            [change.old, change.new]
                .into_iter()
                .chain(interrupted.iter().copied())
        };
        let entry = self.index.get(path)?;
        let staged = entry.as_ref().map(|entry| (entry.id, entry.mode));
        if !sides().any(|side| side == staged) {
            return Ok(Err("it has staged changes"));
        }
        let stat = match found {
            Found::Blocked(parent) if !self.removes(parent) => {
                return Ok(Err("a file or link is where its folder belongs"));
            }
            Found::Blocked(_) | Found::Nothing => return Ok(Ok(Seen::Nothing)),
            Found::Something(stat) => stat,
        };
        if entry.is_none() && change.old.is_some() && stat.kind != FileKind::Folder {
            return Ok(Err("it is not tracked any more, but still there"));
        }
        if before == Some(Seen::Known(stat)) {
            return Ok(Ok(Seen::Known(stat)));
        }
        if stat.kind == FileKind::Folder {
            let is_link = |side: Option<(ObjectId, Mode)>| {
                side.is_some_and(|(_, mode)| mode == Mode::Gitlink)
            };
            if is_link(change.old) || is_link(change.new) {
                return Ok(Ok(Seen::Unknown));
            }
            let ours = |inner: &str| self.removes(inner);
            let untracked = place::has_other_files(git.workdir(), path, &ours)?;
            return Ok(match untracked {
                true => Err("a folder with other files is in its place"),
                false => Ok(Seen::Unknown),
            });
        }
        if entry.as_ref().is_some_and(|entry| {
            git.is_as_recorded(entry, &stat) && !entry.is_racy(self.index.written_at())
        }) {
            return Ok(Ok(Seen::Known(stat)));
        }
        // Its stat proves nothing: is it the old content, or already the new?
        let content = Content::new(git, self.index, path, stat, cancel);
        for side in sides().flatten() {
            if content.is(side)? {
                return Ok(Ok(Seen::Known(stat)));
            }
        }
        Ok(Err(if entry.is_some() {
            "it was edited"
        } else {
            "it is not tracked"
        }))
    }

    /// Whether a path goes with this very change.
    fn removes(&self, path: &str) -> bool {
        let by_path = self.by_path.get_or_init(|| {
            let changes = self.changes.iter();
            changes
                .map(|change| (change.path.as_str(), change))
                .collect()
        });
        by_path.get(path).is_some_and(|change| change.new.is_none())
    }
}

/// What lies at a path.
#[derive(Clone, Copy)]
enum Found<'p> {
    Nothing,
    Something(Stat),
    /// This file or link is where the path needs a folder.
    Blocked(&'p str),
}

/// What the folder of a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder<'p> {
    /// It and all above it are folders.
    There,
    Missing,
    /// This file or link is in its place, or in that of one above it.
    Blocked(&'p str),
}

/// Looks every folder up once; for a loop over paths, not to be kept.
pub(super) struct Above<'p> {
    workdir: &'p Path,
    known: HashMap<&'p str, Folder<'p>>,
}

impl<'p> Above<'p> {
    pub(super) fn new(workdir: &'p Path) -> Self {
        Self {
            workdir,
            known: HashMap::new(),
        }
    }

    pub(super) fn of(&mut self, folder: &'p str) -> Result<Folder<'p>> {
        if let Some(known) = self.known.get(folder) {
            return Ok(*known);
        }
        let outer = match folder.rsplit_once('/') {
            Some((outer, _)) => self.of(outer)?,
            None => Folder::There,
        };
        let found = match outer {
            Folder::There => match fs::lstat(&self.workdir.join(folder))? {
                None => Folder::Missing,
                Some(stat) if stat.kind == FileKind::Folder => Folder::There,
                Some(_) => Folder::Blocked(folder),
            },
            missing_or_blocked => missing_or_blocked,
        };
        self.known.insert(folder, found);
        Ok(found)
    }
}
