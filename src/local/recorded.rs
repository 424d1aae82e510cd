//! The credentials in a clone's own files, see [`config::recorded`](crate::config::recorded): which files
//! there are, and under which locks they are changed.

use std::fs::FileType;
use std::path::{Path, PathBuf};

use super::Local;
use crate::config::Use;
use crate::config::recorded::{RecordedCredential, Spot, in_config, in_words, without};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, GitLock, Readers};

/// What is read of a file; more than any that git and its users write.
const LIMIT: u64 = 64 << 20;

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
    let text = read(&path, &Kind::Config).unwrap_or_default();
    for spot in in_config(&text).into_iter().filter(Spot::can_go) {
        let found = spot.in_file(path.clone());
        tracing::warn!(
            file = %found.file.display(),
            line = found.line,
            key = found.key,
            origin = found.origin,
            "a password is written into the clone's config; see scrub_remote_credentials()"
        );
    }
}

impl Local {
    /// All that is recorded in the clone.
    pub(crate) fn recorded_credentials(&self) -> Result<Vec<RecordedCredential>> {
        let mut found = Vec::new();
        for (path, kind) in self.files_with_words() {
            let spots = kind.spots(&read(&path, &kind)?).into_iter();
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
        let (mut gone, mut failed) = (Vec::new(), None);
        for (path, kind) in self.files_with_words() {
            match self.scrub_file(&path, &kind) {
                Ok(spots) => gone.extend(spots),
                // The others need not keep theirs for that.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(gone), Err)
    }

    fn scrub_file(&self, path: &Path, kind: &Kind) -> Result<Vec<RecordedCredential>> {
        let is_clean = |text: &[u8]| !kind.spots(text).iter().any(Spot::can_go);
        // What a link leads to is not the clone's own.
        if !is_file(path) || is_clean(&read_own(path)?) {
            return Ok(Vec::new());
        }
        let lock = match kind {
            Kind::Config => Some(GitLock::hold(path)?),
            Kind::Log { of } => GitLock::hold_ref(of)?,
            Kind::Words => None,
        };
        // Somebody may have changed it before it was locked.
        let text = read_own(path)?;
        let spots = kind.spots(&text);
        if !spots.iter().any(Spot::can_go) {
            return Ok(Vec::new());
        }
        let clean = without(&text, &spots);
        match (kind, lock) {
            (Kind::Config, Some(lock)) => lock.replace(path, &clean, Readers::AsBefore)?,
            _ => fs::atomic_write_by_way_of(&self.private(), path, &clean)?,
        }
        let gone = spots.into_iter().filter(Spot::can_go);
        Ok(gone.map(|spot| spot.in_file(path.to_path_buf())).collect())
    }

    /// The files in which git and git-lfs write down where things came from. Who unpacked the clone from
    /// somewhere may have links in it to files of the user's: only the config is read through one, as git
    /// does all the time.
    fn files_with_words(&self) -> Vec<(PathBuf, Kind)> {
        let mut files = Vec::new();
        let common = &self.common_dir;
        let config = common.join("config");
        if config.is_file() {
            files.push((config, Kind::Config));
        }
        let worktrees = folder(&common.join("worktrees")).into_iter();
        let mut git_dirs = vec![common.clone()];
        git_dirs.extend(worktrees.filter(|path| is_folder(path)));
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
        if is_folder(&common.join("lfs")) {
            let logs = files_below(&common.join("lfs/logs")).into_iter();
            files.extend(logs.map(|log| (log, Kind::Words)));
        }
        files.retain(|(path, _)| is_file(path) || *path == common.join("config"));
        files
    }
}

/// All of a file that is to be told of.
fn read(path: &Path, kind: &Kind) -> Result<Vec<u8>> {
    match kind {
        Kind::Config => all_of(path, fs::read_start_of_link(path, LIMIT + 1)?),
        Kind::Log { .. } | Kind::Words => read_own(path),
    }
}

/// All of a file that is to be changed.
fn read_own(path: &Path) -> Result<Vec<u8>> {
    all_of(path, fs::read_start(path, LIMIT + 1)?)
}

fn all_of(path: &Path, text: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let text = text.unwrap_or_default();
    if text.len() as u64 <= LIMIT {
        return Ok(text);
    }
    let text = format!("cannot read {}: it is larger than 64 MiB", path.display());
    Err(Error::new(ErrorKind::Unsupported, text).with_hint("make it smaller, or delete it"))
}

fn kind_of(path: &Path) -> Option<FileType> {
    let meta = std::fs::symlink_metadata(path);
    meta.ok().map(|meta| meta.file_type())
}

/// Whether it is a plain file, and no link to one.
fn is_file(path: &Path) -> bool {
    kind_of(path).is_some_and(|kind| kind.is_file())
}

/// Whether it is a folder, and no link to one.
fn is_folder(path: &Path) -> bool {
    kind_of(path).is_some_and(|kind| kind.is_dir())
}

/// What lies in a folder; nothing does in a link.
fn folder(path: &Path) -> Vec<PathBuf> {
    if !is_folder(path) {
        return Vec::new();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// All plain files below a folder; links are not followed.
fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in folder(path) {
        match is_file(&path) {
            true => found.push(path),
            false => found.extend(files_below(&path)),
        }
    }
    found
}
