//! Where a clone's objects are kept, by `lfs.storage`.
//!
//! As git-lfs has it, since both must mean the same folder: a relative path begins at git's folder, and
//! `~` and variables are letters like any other.
//! See <https://github.com/git-lfs/git-lfs/blob/main/docs/man/git-lfs-config.adoc>.

use std::path::{Component, Path, PathBuf};

/// The store's folder. `common_dir` is git's folder that all work trees share.
pub(crate) fn root(common_dir: &Path, configured: Option<&str>) -> PathBuf {
    let configured = Path::new(configured.filter(|path| !path.is_empty()).unwrap_or("lfs"));
    if configured.is_absolute() {
        return configured.to_path_buf();
    }
    let mut root = common_dir.to_path_buf();
    for component in configured.components() {
        match component {
            // Taken from the name: the folder above need not exist, or may be a link.
            Component::ParentDir => drop(root.pop()),
            Component::Normal(name) => root.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_one_that_git_lfs_takes() {
        let root = |configured| root(Path::new("/clone/.git"), configured);
        for (configured, expected) in [
            ("", "/clone/.git/lfs"),
            ("/srv/lfs", "/srv/lfs"),
            ("objects of ours", "/clone/.git/objects of ours"),
            ("../../shared", "/shared"),
            ("no/../such", "/clone/.git/such"),
            ("./a//b/", "/clone/.git/a/b"),
            ("~/lfs", "/clone/.git/~/lfs"),
            ("$HOME/lfs", "/clone/.git/$HOME/lfs"),
        ] {
            assert_eq!(root(Some(configured)), Path::new(expected), "{configured}");
        }
        assert_eq!(root(None), Path::new("/clone/.git/lfs"));
    }
}
