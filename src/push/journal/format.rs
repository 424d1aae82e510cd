//! An entry as it is written: a line of JSON, then the SHA-256 of that line.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Intent, Maker, Move, Promise, PushPromise, SeenFile};
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::name::RefName;
use crate::path::RepoPath;

/// The newest version of the format that is read.
const VERSION: u32 = 2;
/// The version of what says no more than this one knows.
const PLAIN: u32 = 1;
/// The version of what goes to another ref than the branch of its name: who does not know of it must not
/// push it there.
const TARGETED: u32 = 2;

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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
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
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        excluded: Vec<String>,
        track_from: Option<u64>,
    },
}

/// Path, size, modification and change time in seconds and nanoseconds, inode.
type FileRecord = (String, u64, (i64, u32), (i64, u32), u64);

/// Why an entry says nothing.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::push) enum Unreadable {
    Newer(u32),
    Damaged,
}

/// What `from` says of a branch that is to be created.
const NOWHERE: &str = "-";

pub(in crate::push) fn encode(owner: &str, promise: &Promise) -> Result<Vec<u8>> {
    let kind = match promise {
        Promise::Push(push) => Kind::Push {
            commit: push.commit.to_string(),
            branch: push.branch.to_string(),
            remote: push.remote.to_string(),
            target: target(push),
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
            excluded: intent.excluded.clone(),
            track_from: intent.track_from,
        },
    };
    let record = Record {
        version: match &kind {
            Kind::Push {
                target: Some(_), ..
            } => TARGETED,
            _ => PLAIN,
        },
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

/// The ref of the remote, if it is not the branch of its name.
fn target(push: &PushPromise) -> Option<String> {
    (push.target != RefName::from(&push.branch)).then(|| push.target.to_string())
}

pub(in crate::push) fn decode(text: &[u8]) -> std::result::Result<(String, Promise), Unreadable> {
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
            target,
            maker,
            from,
            supersedes,
        } => Promise::Push(PushPromise {
            commit: commit.parse()?,
            target: match target {
                Some(target) => target.parse()?,
                None => RefName::from(&branch.parse()?),
            },
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
            excluded,
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
            excluded,
            track_from,
        }),
    })
}

pub(in crate::push) fn checksum(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
