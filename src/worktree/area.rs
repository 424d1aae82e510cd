//! A folder of our own in which new files are laid out, before they move into the work tree.

use std::fs::{DirEntry, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use tempfile::TempDir;

use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::fs::{self, Moved};
use crate::git::Mode;
use crate::parallel;
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
    pub(crate) fn move_out(&self, relative: &str, workdir: &Path) -> Result<Moved> {
        let (prepared, target) = (self.path().join(relative), workdir.join(relative));
        if let Some(group) = target.parent().and_then(group_of) {
            inherit(&prepared, group);
        }
        fs::move_into_place(&prepared, &target)
    }

    /// Removes it with all that lies in it, on several threads: deleting 10,000 files takes one 0.15 s.
    ///
    /// Best effort, as dropping it is: the next area takes what is left along.
    pub(super) fn remove(self) {
        let entries = std::fs::read_dir(self.path()).into_iter().flatten();
        let entries: Vec<DirEntry> = entries.flatten().collect();
        // Whatever was cancelled, nothing of it should stay.
        let removed = parallel::map(&entries, &CancelToken::new(), |entry| {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _ = if is_folder {
                std::fs::remove_dir_all(entry.path())
            } else {
                std::fs::remove_file(entry.path())
            };
            Ok(())
        });
        drop(removed);
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

/// The group that a folder passes on to what is made in it.
pub(super) fn group_of(folder: &Path) -> Option<u32> {
    let folder = std::fs::metadata(folder).ok()?;
    (folder.mode() & SET_GROUP_ID != 0).then(|| folder.gid())
}

/// Gives what was prepared a group, and folders the bit by which they pass it on.
///
/// Best effort: who does not belong to the group could not have made files in it either.
pub(super) fn inherit(prepared: &Path, group: u32) {
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
