//! Moving prepared files into the work tree, each by one rename.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::area::{Area, group_of, inherit};
use super::obstacles::Seen;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Moved, Stat};
use crate::parallel;
use crate::path::RepoPath;

/// A file that lies in the area, complete.
pub(super) struct Prepared<'p> {
    pub(super) path: &'p RepoPath,
    /// Its stat, when it was written.
    pub(super) written: Stat,
    /// What it may take the place of.
    pub(super) seen: Seen,
}

/// Files on their way from an area into the work tree.
pub(super) struct Placement<'a> {
    pub(super) workdir: &'a Path,
    pub(super) area: &'a Area,
}

/// How far a placement got.
pub(super) struct Placed {
    /// The stats of files that are in place, in their order: of the first, or of all. If `result` is an
    /// error, some others may be in place as well.
    pub(super) done: Vec<Stat>,
    pub(super) result: Result<()>,
}

/// What was found out about a folder that files go to.
#[derive(Clone, Copy)]
enum Way {
    /// It is there; with the group it passes on, if it does.
    There(Option<u32>),
    /// It was moved as a whole, and all that was prepared in it with it.
    Gone(Moved),
}

impl Placement<'_> {
    /// Moves the files, and what was in their places into the area. What is not as it was seen stays.
    pub(super) fn run(&self, files: &[Prepared<'_>]) -> Placed {
        let mut placed = Vec::with_capacity(files.len());
        let mut ways = HashMap::new();
        let mut move_all = || -> Result<()> {
            for file in files {
                let folder = file.path.parent().unwrap_or("");
                let way = match ways.get(folder) {
                    Some(way) => *way,
                    None => self.way_to(file.path, &mut ways)?,
                };
                let expected = match way {
                    Way::There(group) => self.place(file, group)?,
                    Way::Gone(Moved::Renamed) => Some(file.written),
                    Way::Gone(Moved::Copied) => None,
                };
                placed.push((file, expected));
            }
            Ok(())
        };
        let result = move_all();
        // Not to be cancelled any more: what is in place is to be recorded.
        let done = parallel::map(&placed, &CancelToken::new(), |(file, expected)| {
            let now = fs::lstat(&file.path.under(self.workdir)).ok().flatten();
            Ok(settled(now, *expected).unwrap_or(file.written))
        });
        Placed {
            done: done.unwrap_or_default(),
            result,
        }
    }

    /// Moves the outermost folder of `path` that the work tree lacks, with all that is in it.
    fn way_to<'p>(&self, path: &'p RepoPath, ways: &mut HashMap<&'p str, Way>) -> Result<Way> {
        let name = path.as_str();
        let mut way = Way::There(None);
        for (at, _) in name.match_indices('/') {
            let folder = &name[..at];
            way = match (way, ways.get(folder)) {
                (Way::Gone(moved), _) => Way::Gone(moved),
                (_, Some(known)) => *known,
                _ => match fs::lstat(&self.workdir.join(folder))? {
                    None => Way::Gone(self.area.move_out(folder, self.workdir)?),
                    Some(stat) if stat.kind == FileKind::Folder => {
                        Way::There(group_of(&self.workdir.join(folder)))
                    }
                    // Never through a link: it may lead out of the work tree.
                    Some(_) => {
                        return Err(Error::new(
                            ErrorKind::DirtyWorktree,
                            format!("{folder} is no folder, but {path} belongs into it"),
                        )
                        .with_hint("move it away and call again"));
                    }
                },
            };
            ways.insert(folder, way);
        }
        if path.parent().is_none() {
            way = Way::There(group_of(self.workdir));
            ways.insert("", way);
        }
        Ok(way)
    }

    /// Moves one file. Its stat if it is the same file still, with the content it was written with.
    fn place(&self, file: &Prepared<'_>, group: Option<u32>) -> Result<Option<Stat>> {
        let (prepared, target) = (
            file.path.under(self.area.path()),
            file.path.under(self.workdir),
        );
        if let Some(group) = group {
            inherit(&prepared, group);
        }
        let placed = match file.seen {
            Seen::Nothing => fs::rename_to_free(&prepared, &target),
            Seen::Known(seen) => {
                fs::exchange(&prepared, &target) && {
                    let old = fs::lstat(&prepared);
                    if !matches!(old, Ok(old) if settled(old, Some(seen)) == old) {
                        give_back(&prepared, &target)?;
                        return Err(old.err().unwrap_or_else(|| edited(file.path)));
                    }
                    true
                }
            }
            Seen::Unknown => false,
        };
        if placed {
            return Ok(Some(file.written));
        }
        // Something has changed, or the file system does not do the like.
        match fs::lstat(&target)? {
            None => {}
            Some(stat) if stat.kind == FileKind::Folder => prune_empty(&target)?,
            Some(stat) if file.seen == Seen::Known(stat) => {}
            Some(_) => return Err(edited(file.path)),
        }
        Ok(match fs::move_into_place(&prepared, &target)? {
            Moved::Renamed => Some(file.written),
            Moved::Copied => None,
        })
    }
}

fn edited(path: &RepoPath) -> Error {
    Error::new(
        ErrorKind::DirtyWorktree,
        format!("{path} was edited in the meantime; it was left alone"),
    )
    .with_hint("restore the file or move it away, then call again to finish")
}

/// Gives a user's file its place back, which a new file has taken.
fn give_back(users: &Path, target: &Path) -> Result<()> {
    if fs::exchange(users, target) {
        return Ok(());
    }
    // The new one is gone already.
    fs::move_into_place(users, target).map(drop)
}

/// The stat to record of a file that was renamed, or had its group changed, since it had the stat
/// `expected`: the present one, unless somebody has changed its content; then what was expected, which
/// lets everybody see that it was. With nothing to be expected, the present one.
fn settled(now: Option<Stat>, expected: Option<Stat>) -> Option<Stat> {
    let (Some(now), Some(expected)) = (now, expected) else {
        return now.or(expected);
    };
    let renamed = Stat {
        ctime: now.ctime,
        gid: now.gid,
        ..expected
    };
    Some(if now == renamed { now } else { expected })
}

/// Removes files and the folders that become empty.
pub(super) fn remove(workdir: &Path, paths: &[&RepoPath]) -> Result<()> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let file = path.under(workdir);
        match fs::lstat(&file)? {
            // A submodule's folder goes only if nothing is in it.
            Some(stat) if stat.kind == FileKind::Folder => {
                let _ = std::fs::remove_dir(&file);
            }
            Some(_) if is_below_link(workdir, path)? => {}
            Some(_) => fs::remove_file_if_exists(&file)?,
            None => {}
        }
        let mut folder = path.parent();
        while let Some(name) = folder {
            folders.insert(name.to_owned());
            folder = name.rsplit_once('/').map(|(parent, _)| parent);
        }
    }
    // Innermost first; one that is not empty stays, and so do those around it.
    for folder in folders.iter().rev() {
        let _ = std::fs::remove_dir(workdir.join(folder));
    }
    Ok(())
}

/// The outermost file or link where `path` needs a folder.
pub(super) fn blocked_parent<'p>(workdir: &Path, path: &'p RepoPath) -> Result<Option<&'p str>> {
    for (at, _) in path.as_str().match_indices('/') {
        let parent = &path.as_str()[..at];
        match fs::lstat(&workdir.join(parent))? {
            None => return Ok(None),
            Some(stat) if stat.kind == FileKind::Folder => {}
            Some(_) => return Ok(Some(parent)),
        }
    }
    Ok(None)
}

fn is_below_link(workdir: &Path, path: &RepoPath) -> Result<bool> {
    for (at, _) in path.as_str().match_indices('/') {
        let stat = fs::lstat(&workdir.join(&path.as_str()[..at]))?;
        if stat.is_none_or(|stat| stat.kind != FileKind::Folder) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the folder at `path` holds a file that `ours` does not know.
pub(super) fn has_other_files(
    workdir: &Path,
    path: &RepoPath,
    ours: &dyn Fn(&str) -> bool,
) -> Result<bool> {
    let folder = path.under(workdir);
    let entries = std::fs::read_dir(&folder).map_err(|error| Error::io("list", &folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("list", &folder, error))?;
        let Some(name) = entry
            .file_name()
            .to_str()
            .map(|name| format!("{path}/{name}"))
        else {
            return Ok(true);
        };
        let kind = entry
            .file_type()
            .map_err(|error| Error::io("look at", &entry.path(), error))?;
        let other = if kind.is_dir() {
            match RepoPath::new(name) {
                Ok(inner) => has_other_files(workdir, &inner, ours)?,
                Err(_) => true,
            }
        } else {
            !ours(&name)
        };
        if other {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a folder that holds nothing but empty folders.
fn prune_empty(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("list", folder, error))?;
        let kind = entry
            .file_type()
            .map_err(|error| Error::io("look at", &entry.path(), error))?;
        if kind.is_dir() {
            prune_empty(&entry.path())?;
        }
    }
    std::fs::remove_dir(folder).map_err(|error| Error::io("remove", folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A work tree, an area, and a file `f` that lies in the area.
    fn scene() -> (tempfile::TempDir, Area, RepoPath, Stat) {
        let folder = tempfile::tempdir().expect("temp");
        let area = Area::create(&folder.path().join("private")).expect("area");
        let path = RepoPath::new("f").expect("a path");
        std::fs::write(path.under(area.path()), "new").expect("written");
        let written = stat(&path.under(area.path()));
        (folder, area, path, written)
    }

    fn stat(path: &Path) -> Stat {
        fs::lstat(path).expect("stat").expect("there")
    }

    #[test]
    fn a_file_takes_the_place_of_what_was_seen() {
        for there in [false, true] {
            let (folder, area, path, written) = scene();
            let target = path.under(folder.path());
            let mut seen = Seen::Nothing;
            if there {
                std::fs::write(&target, "old").expect("written");
                seen = Seen::Known(stat(&target));
            }
            let placement = Placement {
                workdir: folder.path(),
                area: &area,
            };
            let path = &path;
            let placed = placement.run(&[Prepared {
                path,
                written,
                seen,
            }]);
            placed.result.expect("placed");
            assert_eq!(placed.done, [stat(&target)]);
            assert_eq!(std::fs::read(&target).expect("read"), b"new");
        }
    }

    #[test]
    fn what_was_not_seen_stays() {
        let (folder, area, path, written) = scene();
        let target = path.under(folder.path());
        std::fs::write(&target, "old").expect("written");
        let before = stat(&target);
        std::fs::write(&target, "edited").expect("written");
        let placement = Placement {
            workdir: folder.path(),
            area: &area,
        };
        for seen in [Seen::Known(before), Seen::Nothing, Seen::Unknown] {
            let path = &path;
            let placed = placement.run(&[Prepared {
                path,
                written,
                seen,
            }]);
            let error = placed.result.expect_err("it was edited");
            assert_eq!(error.kind(), ErrorKind::DirtyWorktree);
            assert!(placed.done.is_empty());
            assert_eq!(std::fs::read(&target).expect("read"), b"edited");
            assert_eq!(
                std::fs::read(path.under(area.path())).expect("read"),
                b"new"
            );
        }
        // A folder is none of those either, and goes only if it is empty.
        std::fs::remove_file(&target).expect("removed");
        std::fs::create_dir(&target).expect("made");
        std::fs::write(target.join("inner"), "x").expect("written");
        let (path, seen) = (&path, Seen::Known(before));
        let placed = placement.run(&[Prepared {
            path,
            written,
            seen,
        }]);
        placed.result.expect_err("a folder is there");
        assert!(target.join("inner").exists());
    }

    #[test]
    fn an_edit_behind_our_back_is_not_recorded_as_ours() {
        let (folder, _area, path, written) = scene();
        let target = path.under(folder.path());
        std::fs::write(&target, "newer").expect("written");
        let now = Some(stat(&target));
        assert_eq!(settled(now, Some(written)), Some(written));
        assert_eq!(settled(None, Some(written)), Some(written));
        assert_eq!(settled(now, None), now);
        let moved = Stat {
            ctime: (written.ctime.0 + 1, 0),
            ..written
        };
        assert_eq!(settled(Some(moved), Some(written)), Some(moved));
    }
}
