//! What was promised and is not on the Hub yet, kept across `kill -9`.
//!
//! One file per promise in `journal/`: a line of JSON, then the SHA-256 of that line. A promise is made
//! by a rename and kept by a removal, both of one file, so several processes may do so at once. What
//! does not match its checksum is set aside, never guessed at.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::step::step;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::id::CommitId;
use crate::name::{BranchName, RemoteName};
use crate::path::RepoPath;

/// The folder below the library's private one.
const FOLDER: &str = "journal";
/// Version of the format.
const VERSION: u32 = 1;
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

/// A commit on its way to a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushPromise {
    pub(crate) commit: CommitId,
    pub(crate) branch: BranchName,
    pub(crate) remote: RemoteName,
    pub(crate) maker: Maker,
    /// Where the local branch is to move to the commit from, if it has not yet.
    pub(crate) moves: Move,
    /// Commits whose place it takes: their promises are void.
    pub(crate) supersedes: Vec<CommitId>,
}

/// Who made a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        fs::remove_file_if_exists(&self.path(id))
    }

    /// Every entry that can be read; the others are left to [`load`](Self::load).
    pub(crate) fn load_quietly(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for id in self.names()? {
            let text = fs::read_if_exists(&self.path(id))?.unwrap_or_default();
            if let Ok((owner, promise)) = decode(&text) {
                entries.push(Entry { id, owner, promise });
            }
        }
        Ok(entries)
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
                Ok((owner, promise)) => loaded.entries.push(Entry { id, owner, promise }),
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

/// The record as it is written: texts and numbers, checked when they are read.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    owner: String,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Kind {
    Push {
        commit: String,
        branch: String,
        remote: String,
        maker: Maker,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        supersedes: Vec<String>,
    },
    Stage {
        branch: String,
        remote: String,
        message: String,
        files: Vec<FileRecord>,
        gone: Vec<String>,
        track_from: Option<u64>,
    },
}

/// Path, size, modification and change time in seconds and nanoseconds, inode.
type FileRecord = (String, u64, (i64, u32), (i64, u32), u64);

/// Why an entry says nothing.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    Newer(u32),
    Damaged,
}

/// What `from` says of a branch that is to be created.
const NOWHERE: &str = "-";

fn encode(owner: &str, promise: &Promise) -> Result<Vec<u8>> {
    let kind = match promise {
        Promise::Push(push) => Kind::Push {
            commit: push.commit.to_string(),
            branch: push.branch.to_string(),
            remote: push.remote.to_string(),
            maker: push.maker,
            from: match push.moves {
                Move::Done => None,
                Move::From(commit) => Some(commit.to_string()),
                Move::Create => Some(NOWHERE.to_owned()),
            },
            supersedes: push.supersedes.iter().map(CommitId::to_string).collect(),
        },
        Promise::Stage(intent) => Kind::Stage {
            branch: intent.branch.to_string(),
            remote: intent.remote.to_string(),
            message: intent.message.clone(),
            files: intent
                .files
                .iter()
                .map(|file| {
                    let path = file.path.as_str().to_owned();
                    (path, file.size, file.mtime, file.ctime, file.ino)
                })
                .collect(),
            gone: intent
                .gone
                .iter()
                .map(|path| path.as_str().to_owned())
                .collect(),
            track_from: intent.track_from,
        },
    };
    let record = Record {
        version: VERSION,
        owner: owner.to_owned(),
        kind,
    };
    let mut text = serde_json::to_vec(&record).map_err(|error| {
        Error::new(ErrorKind::Io, "cannot write the journal").with_source(error)
    })?;
    let sum = checksum(&text);
    text.extend_from_slice(format!("\n{sum}\n").as_bytes());
    Ok(text)
}

fn decode(text: &[u8]) -> std::result::Result<(String, Promise), Unreadable> {
    const DAMAGED: Unreadable = Unreadable::Damaged;
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let text = std::str::from_utf8(text).map_err(|_| DAMAGED)?;
    let (json, sum) = text.split_once('\n').ok_or(DAMAGED)?;
    if sum.trim_end() != checksum(json.as_bytes()) {
        return Err(DAMAGED);
    }
    let Versioned { version } = serde_json::from_str(json).map_err(|_| DAMAGED)?;
    if version > VERSION {
        return Err(Unreadable::Newer(version));
    }
    let record: Record = serde_json::from_str(json).map_err(|_| DAMAGED)?;
    let promise = read(record.kind).map_err(|_| DAMAGED)?;
    Ok((record.owner, promise))
}

fn read(kind: Kind) -> Result<Promise> {
    Ok(match kind {
        Kind::Push {
            commit,
            branch,
            remote,
            maker,
            from,
            supersedes,
        } => Promise::Push(PushPromise {
            commit: commit.parse()?,
            branch: branch.parse()?,
            remote: remote.parse()?,
            maker,
            moves: match from.as_deref() {
                None => Move::Done,
                Some(NOWHERE) => Move::Create,
                Some(from) => Move::From(from.parse()?),
            },
            supersedes: supersedes
                .iter()
                .map(|commit| commit.parse())
                .collect::<Result<_>>()?,
        }),
        Kind::Stage {
            branch,
            remote,
            message,
            files,
            gone,
            track_from,
        } => Promise::Stage(Intent {
            branch: branch.parse()?,
            remote: remote.parse()?,
            message,
            files: files
                .into_iter()
                .map(|(path, size, mtime, ctime, ino)| {
                    Ok(SeenFile {
                        path: RepoPath::new(path)?,
                        size,
                        mtime,
                        ctime,
                        ino,
                    })
                })
                .collect::<Result<_>>()?,
            gone: gone.into_iter().map(RepoPath::new).collect::<Result<_>>()?,
            track_from,
        }),
    })
}

/// Nanoseconds since 1970. Numbers that begin there are not given again when an entry is closed: who
/// closes late must not close another's.
fn now() -> u64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or_default())
}

fn checksum(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push() -> PushPromise {
        PushPromise {
            commit: "5e1c309dae7f45e0f39b1bf3ac3cd9db12e7d689"
                .parse()
                .expect("id"),
            branch: "experiments/ü".parse().expect("name"),
            remote: "origin".parse().expect("name"),
            maker: Maker::Save,
            moves: Move::Create,
            supersedes: vec![
                "ae7f45e0f39b1bf3ac3cd9db12e7d6895e1c309d"
                    .parse()
                    .expect("id"),
            ],
        }
    }

    fn intent() -> Intent {
        Intent {
            branch: "main".parse().expect("name"),
            remote: "origin".parse().expect("name"),
            message: "step 1\n\nwith \"quotes\"".to_owned(),
            files: vec![SeenFile {
                path: RepoPath::new("a b/ü.bin").expect("path"),
                size: 1 << 40,
                mtime: (-1, 999_999_999),
                ctime: (i64::MAX, 0),
                ino: u64::MAX,
            }],
            gone: vec![RepoPath::new("old.bin").expect("path")],
            track_from: Some(10 << 20),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("temp");
        let journal = Journal::new(folder.path());
        assert!(journal.load().expect("none").entries.is_empty());
        let moved = PushPromise {
            moves: Move::From(push().commit),
            supersedes: Vec::new(),
            maker: Maker::User,
            ..push()
        };
        let promises = [
            Promise::Push(push()),
            Promise::Stage(intent()),
            Promise::Push(moved),
        ];
        let ids: Vec<EntryId> = promises
            .iter()
            .map(|promise| journal.append("owner-a", promise).expect("written"))
            .collect();
        let loaded = journal.load().expect("read");
        assert!(loaded.damaged.is_empty());
        let read: Vec<&Promise> = loaded.entries.iter().map(|entry| &entry.promise).collect();
        assert_eq!(read, promises.iter().collect::<Vec<_>>());
        journal
            .replace(ids[0], "owner-b", &promises[0])
            .expect("replaced");
        journal.close(ids[1]).expect("closed");
        journal.close(ids[1]).expect("closed twice");
        let loaded = journal.load().expect("read").entries;
        let owners: Vec<(&str, EntryId)> = loaded
            .iter()
            .map(|entry| (entry.owner.as_str(), entry.id))
            .collect();
        assert_eq!(owners, [("owner-b", ids[0]), ("owner-a", ids[2])]);
    }

    #[test]
    fn damage_of_any_byte_is_noticed_and_set_aside() {
        let folder = tempfile::tempdir().expect("temp");
        let journal = Journal::new(folder.path());
        let good = Promise::Push(push());
        let whole = encode("owner-a", &good).expect("encoded");
        for at in 0..whole.len() - 1 {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            assert!(decode(&bent).is_err(), "byte {at}");
        }
        for length in 0..whole.len() - 1 {
            assert!(decode(&whole[..length]).is_err(), "{length} bytes");
        }
        let id = journal.append("owner-a", &good).expect("written");
        let kept = journal.append("owner-a", &good).expect("written");
        std::fs::write(journal.path(id), &whole[..whole.len() / 2]).expect("bent");
        let loaded = journal.load().expect("read");
        assert_eq!(loaded.entries.len(), 1);
        assert_eq!(loaded.entries[0].id, kept);
        assert_eq!(loaded.damaged[0].kind(), ErrorKind::JournalDamaged);
        assert!(!journal.path(id).exists());
        let aside = journal.folder.join(format!("damaged-{:020}", id.0));
        assert!(aside.exists());
        assert!(
            journal.load().expect("read").damaged.is_empty(),
            "told once"
        );
    }

    #[test]
    fn the_format_of_a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().expect("temp");
        let journal = Journal::new(folder.path());
        std::fs::create_dir_all(&journal.folder).expect("created");
        let json = r#"{"version":2,"owner":"x","kind":"dance"}"#;
        let text = format!("{json}\n{}\n", checksum(json.as_bytes()));
        let path = journal.path(EntryId(u64::MAX - 1));
        std::fs::write(&path, text).expect("written");
        let loaded = journal.load().expect("read");
        assert_eq!(loaded.damaged[0].kind(), ErrorKind::Unsupported);
        assert!(path.exists());
        let next = journal
            .append("owner-a", &Promise::Push(push()))
            .expect("written");
        assert_eq!(
            next,
            EntryId(u64::MAX),
            "numbers grow whatever the clock says"
        );
    }

    #[test]
    fn many_append_at_once() {
        let folder = tempfile::tempdir().expect("temp");
        let journal = Journal::new(folder.path());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        journal
                            .append("owner-a", &Promise::Push(push()))
                            .expect("written");
                    }
                });
            }
        });
        assert_eq!(journal.load().expect("read").entries.len(), 40);
    }
}
