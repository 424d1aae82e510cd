//! Moving prepared files into the work tree, each by one rename.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use tempfile::TempDir;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind};
use crate::git::Mode;
use crate::path::RepoPath;

/// A folder of our own in which new files are laid out, removed when dropped.
pub(crate) struct Area(TempDir);

/// What areas are called, so that those of killed processes can be found.
const AREA_PREFIX: &str = "checkout-";
/// The bit of a folder whose group new files in it get.
const SET_GROUP_ID: u32 = 0o2000;

impl Area {
    pub(crate) fn create(private: &Path) -> Result<Self> {
        fs::create_dir_all(private)?;
        remove_orphans(private)?;
        let area = tempfile::Builder::new()
            .prefix(AREA_PREFIX)
            .tempdir_in(private)
            .map_err(|error| Error::io("create a folder in", private, error))?;
        // In a shared repository it inherits the group, and would pass that on into the work tree.
        std::fs::set_permissions(area.path(), Permissions::from_mode(0o700))
            .map_err(|error| Error::io("set the permissions of", area.path(), error))?;
        Ok(Self(area))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Moves what was prepared at `relative` into a work tree, with the group it would have had if it had
    /// been made there: in a set-group-ID folder that is the folder's, and the area is none.
    pub(crate) fn move_out(&self, relative: &str, workdir: &Path) -> Result<()> {
        let (prepared, target) = (self.path().join(relative), workdir.join(relative));
        let folder = target.parent().map(std::fs::metadata);
        if let Some(Ok(folder)) = folder
            && folder.mode() & SET_GROUP_ID != 0
        {
            inherit(&prepared, folder.gid());
        }
        fs::move_into_place(&prepared, &target)
    }

    /// Gives files the permissions that git would give them: libgit2 makes them 0644 and 0755 at most,
    /// where the umask may leave more to the group.
    pub(super) fn let_umask_decide<'p>(
        &self,
        files: impl Iterator<Item = (&'p RepoPath, Mode)>,
    ) -> Result<()> {
        let program = fs::mode_of_new_programs(self.path())?;
        if program & 0o022 == 0 {
            return Ok(());
        }
        for (path, mode) in files {
            let mode = match mode {
                Mode::Executable => program,
                _ => program & 0o666,
            };
            let path = path.under(self.path());
            std::fs::set_permissions(&path, Permissions::from_mode(mode))
                .map_err(|error| Error::io("set the permissions of", &path, error))?;
        }
        Ok(())
    }
}

/// Gives what was prepared a group, and folders the bit by which they pass it on.
///
/// Best effort: who does not belong to the group could not have made files in it either.
fn inherit(prepared: &Path, group: u32) {
    let Ok(meta) = std::fs::symlink_metadata(prepared) else {
        return;
    };
    if let Err(error) = lchown(prepared, None, Some(group)) {
        tracing::debug!(%error, path = %prepared.display(), "a file does not get its folder's group");
    }
    if meta.is_dir() {
        let mode = meta.mode() & 0o7777 | SET_GROUP_ID;
        let _ = std::fs::set_permissions(prepared, Permissions::from_mode(mode));
        for entry in std::fs::read_dir(prepared).into_iter().flatten().flatten() {
            inherit(&entry.path(), group);
        }
    }
}

/// Removes what a killed process left; the caller holds the repository's lock, so no area lives.
fn remove_orphans(private: &Path) -> Result<()> {
    let entries = std::fs::read_dir(private).map_err(|error| Error::io("list", private, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("list", private, error))?;
        if entry.file_name().to_string_lossy().starts_with(AREA_PREFIX) {
            std::fs::remove_dir_all(entry.path())
                .map_err(|error| Error::io("remove", &entry.path(), error))?;
        }
    }
    Ok(())
}

/// Files on their way from an area into the work tree.
pub(super) struct Placement<'a> {
    pub(super) workdir: &'a Path,
    pub(super) area: &'a Area,
}

/// How far a placement got.
pub(super) struct Placed {
    /// Files that are in place; if `result` is an error, some others may be as well.
    pub(super) done: Vec<RepoPath>,
    pub(super) result: Result<()>,
}

impl Placement<'_> {
    /// Moves the files; `is_unchanged` is asked right before an existing file is replaced.
    pub(super) fn run<'p>(
        &self,
        paths: impl Iterator<Item = &'p RepoPath>,
        is_unchanged: impl Fn(&RepoPath) -> Result<bool>,
    ) -> Placed {
        let mut done = Vec::new();
        let mut moved_folders: BTreeSet<String> = BTreeSet::new();
        let move_all = || -> Result<()> {
            for path in paths {
                let moved = moved_folders.iter().any(|folder| path.is_within(folder));
                if !moved {
                    if let Some(folder) = self.absent_folder(path)? {
                        // Nothing is there yet: the whole folder moves at once.
                        self.move_one(&folder)?;
                        moved_folders.insert(folder);
                    } else {
                        self.replace(path, &is_unchanged)?;
                    }
                }
                done.push(path.clone());
            }
            Ok(())
        };
        let result = move_all();
        Placed { done, result }
    }

    /// The outermost folder of `path` that the work tree lacks.
    fn absent_folder(&self, path: &RepoPath) -> Result<Option<String>> {
        for (at, _) in path.as_str().match_indices('/') {
            let folder = &path.as_str()[..at];
            match fs::lstat(&self.workdir.join(folder))? {
                None => return Ok(Some(folder.to_owned())),
                Some(stat) if stat.kind == FileKind::Folder => {}
                // Never through a link: it may lead out of the work tree.
                Some(_) => {
                    return Err(Error::new(
                        ErrorKind::DirtyWorktree,
                        format!("{folder} is no folder, but {path} belongs into it"),
                    )
                    .with_hint("move it away and call again"));
                }
            }
        }
        Ok(None)
    }

    fn replace(
        &self,
        path: &RepoPath,
        is_unchanged: &impl Fn(&RepoPath) -> Result<bool>,
    ) -> Result<()> {
        let target = path.under(self.workdir);
        match fs::lstat(&target)? {
            Some(stat) if stat.kind == FileKind::Folder => prune_empty(&target)?,
            _ if !is_unchanged(path)? => {
                return Err(Error::new(
                    ErrorKind::DirtyWorktree,
                    format!("{path} was edited in the meantime; it was left alone"),
                )
                .with_hint("restore the file or move it away, then call again to finish"));
            }
            _ => {}
        }
        self.move_one(path.as_str())
    }

    fn move_one(&self, relative: &str) -> Result<()> {
        self.area.move_out(relative, self.workdir)
    }
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

    /// Gives a folder another group, and says which: root any, else one of the process's own. None if
    /// there is no other.
    fn give_other_group(folder: &Path) -> Option<u32> {
        let own = std::fs::metadata(folder).expect("stat").gid();
        let status = std::fs::read_to_string("/proc/self/status").expect("read");
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:"));
        let groups = groups.unwrap_or_default().split_whitespace();
        groups
            .filter_map(|group| group.parse().ok())
            .chain([4711])
            .find(|&group| group != own && lchown(folder, None, Some(group)).is_ok())
    }

    #[test]
    fn new_files_get_the_group_of_a_folder_that_passes_it_on() {
        let folder = tempfile::tempdir().expect("temp");
        let workdir = folder.path().join("work");
        fs::create_dir_all(&workdir).expect("folder");
        let Some(group) = give_other_group(&workdir) else {
            return;
        };
        let area = Area::create(&folder.path().join("private")).expect("area");
        let own = std::fs::metadata(area.path()).expect("stat").gid();
        let move_out = |name: &str, mode| {
            let file = area.path().join(name).join("sub/file");
            fs::create_parent(&file).expect("folders");
            std::fs::write(&file, "x").expect("written");
            std::os::unix::fs::symlink("/nowhere", file.with_file_name("link")).expect("linked");
            std::fs::set_permissions(&workdir, Permissions::from_mode(mode)).expect("chmod");
            area.move_out(name, &workdir).expect("moved");
        };
        let meta = |name: &str| std::fs::symlink_metadata(workdir.join(name)).expect("stat");
        move_out("plain", 0o755);
        assert_eq!(meta("plain/sub/file").gid(), own);
        move_out("a", 0o2775);
        for name in ["a", "a/sub", "a/sub/file", "a/sub/link"] {
            assert_eq!(meta(name).gid(), group, "{name}");
        }
        assert_ne!(meta("a/sub").mode() & SET_GROUP_ID, 0);
        assert_eq!(meta("a/sub/file").mode() & SET_GROUP_ID, 0);
    }
}
