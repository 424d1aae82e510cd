//! The lock that keeps two changes of one clone apart, across threads and processes.
//!
//! An OS file lock says whether somebody is at work. The record in the file says who, and which of
//! git's lock files that process was about to take. If it is killed, the OS lock goes but git's
//! lock files stay; the next holder removes exactly those the record names, and only if their
//! owner certainly is dead. Locks made on another host, or by git itself, are never touched.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::sharing::{Sharer, Sharing};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};

/// Which of the locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Changing the clone: index, HEAD, branches, work tree.
    Change,
    /// Pushing; held while the network is waited for, so it keeps no change waiting.
    Push,
    /// Fetching: libgit2 takes a lock of its own for it, and does not wait for it.
    Fetch,
}

impl Purpose {
    /// The lock file's name in the library's private folder.
    fn file(self) -> &'static str {
        match self {
            Self::Change => "lock",
            Self::Push => "pusher",
            Self::Fetch => "fetcher",
        }
    }
}

/// What we write into git's lock files that we create ourselves.
pub(crate) const MARK: &[u8] = b"locked by hf-repository\n";
/// The one of git's lock files that is always created by us, and so bears the mark.
const MARKED: &str = "index.lock";
/// git's other locks live for moments; a younger one may belong to somebody at work.
const STALE_AGE: Duration = Duration::from_secs(2);
/// Version of the record's format.
const VERSION: u32 = 1;
/// First and longest pause between tries.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Held while a clone is being changed.
#[derive(Debug)]
#[must_use]
pub(crate) struct AdvisoryLock {
    file: File,
    /// Sees that others can use what is made meanwhile.
    sharer: Option<Sharer>,
}

/// Who holds the lock, and what it is going to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    host: String,
    /// Changes with every boot: a pid of an earlier boot says nothing.
    boot: String,
    pid: u32,
    /// When the process started, in clock ticks since boot: pids are used again.
    started: u64,
    /// git's lock files, relative to the git folder; `name/` stands for all below that folder.
    takes: Vec<String>,
}

/// Where git's lock files are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GitFolders<'a> {
    /// The work tree's own folder: `index.lock`, `HEAD.lock`.
    pub(crate) own: &'a Path,
    /// The one that all work trees share: everything else.
    pub(crate) common: &'a Path,
    /// Whether others use them as well.
    pub(crate) sharing: Option<Sharing>,
}

impl GitFolders<'_> {
    fn remove_stale(&self, names: &[String]) {
        let is_own = |name: &&String| ["index.lock", "HEAD.lock"].contains(&name.as_str());
        let (own, common): (Vec<&String>, Vec<&String>) = names.iter().partition(is_own);
        remove_stale(self.own, &own);
        remove_stale(self.common, &common);
    }
}

impl AdvisoryLock {
    /// Waits up to `wait` for the lock; then cleans up after a holder that was killed.
    pub(crate) fn acquire(
        private: &Path,
        folders: GitFolders<'_>,
        purpose: Purpose,
        takes: &[&str],
        wait: Duration,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let path = private.join(purpose.file());
        let mut file = loop {
            super::create_dir_all(private)?;
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| Error::io("open the lock", &path, error))?;
            obtain(&file, &path, wait, cancel)?;
            // The clone may have been given up and removed while we waited; then this is nothing.
            if is_at(&file, &path) {
                break file;
            }
        };
        if let Some(previous) = read(&mut file)
            && previous.is_dead()
        {
            folders.remove_stale(&previous.takes);
        }
        let mut lock = Self { file, sharer: None };
        lock.write(&Record::of_this_process(takes), &path)?;
        if let Some(sharing) = folders.sharing {
            lock.sharer = Sharer::begin(sharing, folders.common, &lock.file);
            // Made before the lock was taken.
            sharing.give(&lock.file);
            if let Ok(Some(private)) = super::open_no_link(private) {
                sharing.give(&private);
            }
        }
        Ok(lock)
    }

    fn write(&self, record: &Record, path: &Path) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let mut file = &self.file;
            file.seek(SeekFrom::Start(0))?;
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec(record)?)
        };
        write().map_err(|error| Error::io("write the lock", path, error))
    }
}

impl Drop for AdvisoryLock {
    fn drop(&mut self) {
        if let Some(sharer) = &self.sharer {
            sharer.finish();
        }
        // An empty record: nobody was killed.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Whether the open file is still the one at that path.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
    let here = file.metadata().map(identity);
    let there = fs::metadata(path).map(identity);
    here.is_ok_and(|here| there.is_ok_and(|there| here == there))
}

fn obtain(file: &File, path: &Path, wait: Duration, cancel: &CancelToken) -> Result<()> {
    let deadline = Instant::now() + wait;
    let mut pause = PAUSE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                cancel.check()?;
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(busy(path, wait)),
            Err(TryLockError::Error(error)) => {
                return Err(Error::io("lock", path, error).with_hint(
                    "the file system does not support file locks; keep the clone on a local disk",
                ));
            }
        }
    }
}

fn busy(path: &Path, wait: Duration) -> Error {
    let holder = File::open(path).ok().and_then(|mut file| read(&mut file));
    let holder = holder.map_or_else(
        || "another process".to_owned(),
        |record| format!("process {} on {}", record.pid, record.host),
    );
    Error::new(
        ErrorKind::Locked,
        format!(
            "{holder} has been changing this clone for more than {} s",
            wait.as_secs()
        ),
    )
    .with_hint("wait for it to end, or stop it; no file has to be removed")
}

/// The record of whoever held the lock last; none after a clean release.
fn read(file: &mut File) -> Option<Record> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    let record: Record = serde_json::from_str(&text).ok()?;
    (record.version == VERSION).then_some(record)
}

impl Record {
    fn of_this_process(takes: &[&str]) -> Self {
        let pid = std::process::id();
        Self {
            version: VERSION,
            host: host(),
            boot: boot(),
            pid,
            started: started(pid).unwrap_or_default(),
            takes: takes.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// Whether the process certainly is gone. The caller has the OS lock it had.
    fn is_dead(&self) -> bool {
        let boot = boot();
        if boot.is_empty() || self.boot.is_empty() {
            return false;
        }
        match (self.boot == boot, self.host == host()) {
            (true, true) => started(self.pid) != Some(self.started),
            // The same kernel under another name: a container that is gone, else it had the lock.
            (true, false) => true,
            (false, same_host) => same_host,
        }
    }
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// When a process started, in clock ticks since boot; `None` if there is no such process.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; what counts comes after the last one.
    let fields = stat.rsplit_once(')')?.1;
    let mut fields = fields.split_whitespace();
    // A zombie holds nothing any more.
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    // Field 22 of proc(5); the state is field 3.
    fields.nth(18)?.parse().ok()
}

/// Removes the lock files a killed process left, unless somebody has them open.
///
/// A name with a `/` at its end stands for all lock files below that folder.
pub(crate) fn remove_stale<S: AsRef<str>>(git_dir: &Path, names: &[S]) {
    for name in names.iter().map(AsRef::as_ref) {
        if name.split('/').any(|part| part == "..") {
            continue;
        }
        let path = git_dir.join(name);
        if name.ends_with('/') {
            for path in locks_below(&path) {
                remove_if_stale(&path, name);
            }
        } else if name.ends_with(".lock") {
            remove_if_stale(&path, name);
        }
    }
}

fn remove_if_stale(path: &Path, name: &str) {
    if is_stale(path, name) && !is_open(path) {
        tracing::warn!(path = %path.display(), "removing the lock of a killed process");
        let _ = fs::remove_file(path);
    }
}

/// All lock files below a folder.
pub(crate) fn locks_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(_) if path.extension().is_some_and(|end| end == "lock") => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// Whether a lock file is a dead process's: ours by its words, or too old to be anybody's.
fn is_stale(path: &Path, name: &str) -> bool {
    if name == MARKED {
        return fs::read(path).is_ok_and(|words| words == MARK);
    }
    let created = || fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let Some(before) = created() else {
        return false;
    };
    let age = before.elapsed().unwrap_or_default();
    if age < STALE_AGE {
        thread::sleep(STALE_AGE - age);
    }
    created() == Some(before)
}

/// Whether a process we may look at has the file open.
fn is_open(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let Ok(processes) = fs::read_dir("/proc") else {
        return true;
    };
    processes.flatten().any(|process| {
        fs::read_dir(process.path().join("fd")).is_ok_and(|files| {
            files
                .flatten()
                .any(|file| fs::read_link(file.path()).is_ok_and(|open| open == path))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acquire(folder: &Path, wait: Duration) -> Result<AdvisoryLock> {
        let private = folder.join("hf-repository");
        let folders = GitFolders {
            own: folder,
            common: folder,
            sharing: None,
        };
        AdvisoryLock::acquire(
            &private,
            folders,
            Purpose::Change,
            &["index.lock"],
            wait,
            &CancelToken::new(),
        )
    }

    #[test]
    fn the_second_waits_for_the_first() {
        let folder = tempfile::tempdir().expect("temp");
        let held = acquire(folder.path(), Duration::ZERO).expect("free");
        let error = acquire(folder.path(), Duration::from_millis(20)).expect_err("held");
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        let path = folder.path().to_path_buf();
        let waiter = thread::spawn(move || acquire(&path, Duration::from_secs(10)).is_ok());
        drop(held);
        assert!(waiter.join().expect("no panic"));
    }

    #[test]
    fn only_the_locks_of_a_dead_process_of_this_boot_are_removed() {
        let folder = tempfile::tempdir().expect("temp");
        let private = folder.path().join("hf-repository");
        fs::create_dir(&private).expect("created");
        let git_lock = folder.path().join("index.lock");
        let other_lock = folder.path().join("HEAD.lock");
        let me = Record::of_this_process(&["index.lock"]);
        let dead = Record {
            started: me.started + 1,
            ..me.clone()
        };
        let container = Record {
            host: "a container".into(),
            ..me.clone()
        };
        let elsewhere = Record {
            boot: "another".into(),
            ..container.clone()
        };
        let before = Record {
            boot: "another".into(),
            ..me.clone()
        };
        for (record, removed) in [
            (me, false),
            (elsewhere, false),
            (container, true),
            (before, true),
            (dead, true),
        ] {
            fs::write(&git_lock, MARK).expect("written");
            fs::write(&other_lock, "").expect("written");
            let text = serde_json::to_vec(&record).expect("json");
            fs::write(private.join(Purpose::Change.file()), text).expect("written");
            drop(acquire(folder.path(), Duration::ZERO).expect("free"));
            assert_eq!(!git_lock.exists(), removed, "{record:?}");
            assert!(other_lock.exists(), "not named, so not ours");
        }
    }

    #[test]
    fn a_lock_somebody_has_open_stays() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("index.lock");
        fs::write(&file, "git's own").expect("written");
        remove_stale(folder.path(), &["index.lock".to_owned()]);
        assert!(file.exists(), "the lock of an editor's git commit");
        fs::write(&file, MARK).expect("written");
        let open = File::open(&file).expect("created");
        remove_stale(folder.path(), &["index.lock".to_owned()]);
        assert!(file.exists());
        drop(open);
        remove_stale(
            folder.path(),
            &["index.lock".to_owned(), "../x.lock".to_owned()],
        );
        assert!(!file.exists());
    }
}
