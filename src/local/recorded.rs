//! The credentials in a clone's own files, see [`config::recorded`](crate::config::recorded): which files
//! there are, and under which locks they are changed.

use std::path::{Path, PathBuf};

use super::Local;
use crate::config::Use;
use crate::config::recorded::{RecordedCredential, Spot, in_config, in_words, without};
use crate::error::{Error, Result};
use crate::fs::{self, GitLock};

/// How a file is read and changed.
enum Kind {
    Config,
    /// A log of what a ref was, which changes under the ref's lock.
    Log {
        of: PathBuf,
    },
    Words,
}

impl Kind {
    fn spots(&self, text: &[u8]) -> Vec<Spot> {
        match self {
            Self::Config => in_config(text),
            Self::Log { .. } | Self::Words => in_words(text),
        }
    }
}

/// Tells the log of what the clone's config holds.
pub(crate) fn warn(common_dir: &Path) {
    let path = common_dir.join("config");
    let text = fs::read_if_exists(&path).ok().flatten().unwrap_or_default();
    for spot in in_config(&text).into_iter().filter(Spot::can_go) {
        let found = spot.in_file(path.clone());
        tracing::warn!(
            file = %found.file.display(),
            line = found.line,
            key = found.key,
            origin = found.origin,
            "a password is written into the clone's config; scrub_remote_credentials() takes it out"
        );
    }
}

impl Local {
    /// All that is recorded in the clone.
    pub(crate) fn recorded_credentials(&self) -> Result<Vec<RecordedCredential>> {
        let mut found = Vec::new();
        for (path, kind) in self.files_with_words() {
            let text = fs::read_if_exists(&path)?.unwrap_or_default();
            let spots = kind.spots(&text).into_iter();
            found.extend(spots.map(|spot| spot.in_file(path.clone())));
        }
        Ok(found)
    }

    /// Takes out what can go, and returns that.
    pub(crate) fn scrub(&self) -> Result<Vec<RecordedCredential>> {
        // What stands in the address of an LFS server is read when it is needed: after this it would not
        // be found any more.
        let git = self.git()?;
        for usage in [Use::Fetch, Use::Push] {
            if let Err(error) = self.remote.lfs(&git, usage, None) {
                tracing::debug!(%error, "no LFS server, and so no password for it");
            }
        }
        let takes = ["config.lock", "config.worktree.lock", "HEAD.lock", "refs/"];
        let _lock = self.lock(&takes)?;
        let mut gone = Vec::new();
        for (path, kind) in self.files_with_words() {
            let text = fs::read_if_exists(&path)?.unwrap_or_default();
            if kind.spots(&text).iter().any(Spot::can_go) {
                gone.extend(self.scrub_file(&path, &kind)?);
            }
        }
        Ok(gone)
    }

    fn scrub_file(&self, path: &Path, kind: &Kind) -> Result<Vec<RecordedCredential>> {
        // Like git: what a link leads to is changed, and not the link.
        let target = path.canonicalize();
        let target = target.map_err(|error| Error::io("find", path, error))?;
        let lock = match kind {
            Kind::Config => Some(GitLock::hold(&target)?),
            Kind::Log { of } => Some(GitLock::hold(of)?),
            Kind::Words => None,
        };
        // Somebody may have changed it before it was locked.
        let text = fs::read_if_exists(&target)?.unwrap_or_default();
        let spots = kind.spots(&text);
        let clean = without(&text, &spots);
        match (kind, lock) {
            (Kind::Config, Some(lock)) => lock.replace(&target, &clean)?,
            _ => fs::atomic_write_by_way_of(&self.private(), &target, &clean)?,
        }
        let gone = spots.into_iter().filter(Spot::can_go);
        Ok(gone.map(|spot| spot.in_file(path.to_path_buf())).collect())
    }

    /// The files in which git and git-lfs write down where things came from.
    fn files_with_words(&self) -> Vec<(PathBuf, Kind)> {
        let mut files = Vec::new();
        let common = &self.common_dir;
        files.push((common.join("config"), Kind::Config));
        let worktrees = folder(&common.join("worktrees"));
        let mut git_dirs = vec![common.clone()];
        git_dirs.extend(worktrees.into_iter().filter(|path| path.is_dir()));
        for git_dir in git_dirs {
            files.push((git_dir.join("config.worktree"), Kind::Config));
            files.push((git_dir.join("FETCH_HEAD"), Kind::Words));
            let logs = git_dir.join("logs");
            for log in files_below(&logs) {
                let of = log.strip_prefix(&logs).map(|name| git_dir.join(name));
                let of = of.unwrap_or_else(|_| log.clone());
                files.push((log, Kind::Log { of }));
            }
        }
        for log in files_below(&common.join("lfs/logs")) {
            files.push((log, Kind::Words));
        }
        files.retain(|(path, _)| path.is_file());
        files
    }
}

fn folder(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// All plain files below a folder; links are not followed.
fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in folder(path) {
        match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => found.extend(files_below(&path)),
            Ok(meta) if meta.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}
