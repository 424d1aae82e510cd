//! What was promised and is not on the Hub yet, kept across `kill -9`.
//!
//! One file per promise in `journal/`, in the format of `format.rs`. A promise is made
//! by a rename and kept by a removal, both of one file, so several processes may do so at once. What
//! does not match its checksum is set aside, never guessed at.

pub(super) mod format;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::id::CommitId;
use crate::name::{BranchName, RefName, RemoteName};
use crate::path::RepoPath;
use crate::step::step;
use format::{Unreadable, decode, encode};

/// The folder below the library's private one.
const FOLDER: &str = "journal";
/// What is behind the name of the file that says that a branch was moved.
const MOVED: &str = "moved";
/// What damaged entries are renamed to.
const DAMAGED: &str = "damaged-";
/// A half-written entry this old has lost its writer; writing one takes milliseconds.
const ORPHAN_AGE: Duration = Duration::from_secs(60);
/// Several processes may want the same number; each try lists the folder anew.
const NUMBER_TRIES: u32 = 1000;

/// The journal of one clone.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
}

/// The number of an entry; later ones are higher, and none is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EntryId(u64);

/// One promise, and who is keeping it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    /// The mark of the repository object that made or took over the promise.
    pub(crate) owner: String,
    pub(crate) promise: Promise,
}

impl Entry {
    /// Whether it promises to push that commit.
    pub(crate) fn is_push_of(&self, commit: CommitId) -> bool {
        matches!(&self.promise, Promise::Push(push) if push.commit == commit)
    }
}

/// What was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// A commit is to be pushed.
    Push(PushPromise),
    /// Files are to be staged, committed and pushed.
    Stage(Intent),
}

impl Promise {
    /// The remote it is for.
    pub(crate) fn remote(&self) -> &RemoteName {
        match self {
            Self::Push(push) => &push.remote,
            Self::Stage(intent) => &intent.remote,
        }
    }
}

/// A commit on its way to a ref of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushPromise {
    pub(crate) commit: CommitId,
    /// The local branch.
    pub(crate) branch: BranchName,
    pub(crate) remote: RemoteName,
    /// The ref of the remote.
    pub(crate) target: RefName,
    pub(crate) maker: Maker,
    /// Where the local branch is to move to the commit from, if it has not yet.
    pub(crate) moves: Move,
    /// Commits whose place it takes: their promises are void.
    pub(crate) supersedes: Vec<CommitId>,
}

/// Who made a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Maker {
    /// `save`, which may replace it by a newer one.
    Save,
    /// Somebody who wants to find it again.
    User,
}

/// How the local branch gets to the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// It is there.
    Done,
    /// From this commit, by comparing and swapping.
    From(CommitId),
    /// It does not exist before.
    Create,
}

/// What a deferred save is going to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) branch: BranchName,
    pub(crate) remote: RemoteName,
    pub(crate) message: String,
    /// The files as they were when the save was asked for.
    pub(crate) files: Vec<SeenFile>,
    /// Tracked files that were not there any more.
    pub(crate) gone: Vec<RepoPath>,
    /// What is to be left out.
    pub(crate) excluded: Vec<String>,
    /// Bytes from which on text files are given to LFS; `None` tracks nothing by itself.
    pub(crate) track_from: Option<u64>,
}

/// A file as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenFile {
    pub(crate) path: RepoPath,
    pub(crate) size: u64,
    pub(crate) mtime: (i64, u32),
    pub(crate) ctime: (i64, u32),
    pub(crate) ino: u64,
}

/// All entries, in the order they were made, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) entries: Vec<Entry>,
    pub(crate) damaged: Vec<Error>,
}

/// What a look at the journal shows.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    pub(crate) entries: Vec<Entry>,
    /// Something cannot be read, or was set aside: it may name any commit.
    pub(crate) is_blurred: bool,
}

impl Sight {
    /// Whether an entry that can be read promises the commit.
    pub(crate) fn names(&self, commit: CommitId) -> bool {
        self.entries.iter().any(|entry| entry.is_push_of(commit))
    }
}

impl Journal {
    pub(crate) fn new(private: &Path) -> Self {
        Self {
            folder: private.join(FOLDER),
        }
    }

    /// Makes a promise; it is on the disk when this returns.
    pub(crate) fn append(&self, owner: &str, promise: &Promise) -> Result<EntryId> {
        if !self.folder.exists() {
            fs::create_dir_all(&self.folder)?;
            self.folder.parent().map_or(Ok(()), fs::sync_dir)?;
        }
        let text = encode(owner, promise)?;
        for _ in 0..NUMBER_TRIES {
            let last = self.names()?.into_iter().max();
            let id = EntryId(last.map_or(0, |last| last.0 + 1).max(now()));
            if fs::atomic_create(&self.path(id), &text)? {
                step("promised");
                return Ok(id);
            }
        }
        Err(Error::new(
            ErrorKind::Locked,
            format!("too many write to {} at once", self.folder.display()),
        )
        .with_hint("call again"))
    }

    /// Gives an entry another owner or content.
    pub(crate) fn replace(&self, id: EntryId, owner: &str, promise: &Promise) -> Result<()> {
        fs::atomic_write(&self.path(id), &encode(owner, promise)?)
    }

    /// The promise was kept, or is void.
    ///
    /// If the removal is lost in a crash the next look finds the commit where it belongs.
    pub(crate) fn close(&self, id: EntryId) -> Result<()> {
        fs::remove_file_if_exists(&self.path(id).with_extension(MOVED))?;
        fs::remove_file_if_exists(&self.path(id))
    }

    /// What can be read, and whether that is all. Changes nothing.
    pub(crate) fn look(&self) -> Result<Sight> {
        let mut sight = Sight::default();
        for id in self.names()? {
            let Some(text) = fs::read_if_exists(&self.path(id))? else {
                continue;
            };
            match decode(&text) {
                Ok((owner, promise)) => sight.entries.push(Entry { id, owner, promise }),
                Err(_) => sight.is_blurred = true,
            }
        }
        let aside =
            |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(DAMAGED);
        sight.is_blurred |= std::fs::read_dir(&self.folder)
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(aside)));
        Ok(sight)
    }

    /// Whether nothing is promised.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(self.names()?.is_empty())
    }

    /// The branch is at the commit now.
    ///
    /// An empty file beside the entry says so. It need not be synced: if it is lost, the branch's own
    /// log tells.
    pub(crate) fn note_moved(&self, id: EntryId) {
        if let Err(error) = std::fs::File::create(self.path(id).with_extension(MOVED)) {
            tracing::debug!(%error, "the branch's log will tell that it was moved");
        }
    }

    /// Reads every entry; damaged ones are set aside.
    pub(crate) fn load(&self) -> Result<Loaded> {
        let mut names = self.names()?;
        names.sort();
        let mut loaded = Loaded::default();
        for id in names {
            let path = self.path(id);
            // Closed by another process since the folder was listed.
            let Some(text) = fs::read_if_exists(&path)? else {
                continue;
            };
            match decode(&text) {
                Ok((owner, mut promise)) => {
                    if let Promise::Push(push) = &mut promise
                        && path.with_extension(MOVED).exists()
                    {
                        push.moves = Move::Done;
                    }
                    loaded.entries.push(Entry { id, owner, promise });
                }
                Err(Unreadable::Newer(version)) => loaded.damaged.push(
                    Error::new(
                        ErrorKind::Unsupported,
                        format!("{} has the format {version}", path.display()),
                    )
                    .with_hint("it was written by a newer hf-repository: push with that one"),
                ),
                Err(Unreadable::Damaged) => {
                    let aside = self.folder.join(format!("{DAMAGED}{:020}", id.0));
                    let moved = std::fs::rename(&path, &aside);
                    tracing::error!(path = %path.display(), "a damaged journal entry is set aside");
                    let place = if moved.is_ok() { &aside } else { &path };
                    loaded.damaged.push(
                        Error::new(
                            ErrorKind::JournalDamaged,
                            format!(
                                "the record {} of an unpushed commit is damaged",
                                place.display()
                            ),
                        )
                        .with_hint(
                            "the commit itself is safe: push its branch with push(), \
                             then delete the record",
                        ),
                    );
                }
            }
        }
        Ok(loaded)
    }

    /// Removes what was half written when its writer was killed.
    pub(crate) fn tidy(&self) {
        fs::remove_temps(&self.folder, ORPHAN_AGE);
    }

    fn path(&self, id: EntryId) -> PathBuf {
        self.folder.join(format!("{:020}", id.0))
    }

    fn names(&self) -> Result<Vec<EntryId>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| Error::io("list", &self.folder, error))?,
        };
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        Ok(entries.flatten().filter_map(number).map(EntryId).collect())
    }
}

/// Nanoseconds since 1970. Numbers that begin there are not given again when an entry is closed: who
/// closes late must not close another's.
fn now() -> u64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
