//! What a push would send, examined before any byte is sent.

use std::collections::{HashMap, HashSet};

use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::git::{BlobReader, Change, Git, ObjectId};
use crate::id::CommitId;
use crate::lfs::Object;
use crate::lfs::pointer::{MAX_POINTER_BYTES, Pointer};
use crate::parallel;
use crate::path::RepoPath;

/// What the remote's pre-receive hook is known to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// The Hub's: no blob above 10 MiB and no binary blob outside LFS, in any commit.
    Hub,
    /// Those of a plain git server: none.
    None,
}

/// What a range of commits holds.
#[derive(Debug, Default)]
pub(crate) struct PushContents {
    /// Objects its pointers name, each with the first file and commit that does.
    pub(crate) objects: Vec<(Object, RepoPath, CommitId)>,
}

/// The Hub's limit for a blob outside LFS, in bytes.
pub(crate) const HUB_BLOB_LIMIT: u64 = 10 << 20;
/// Bytes in which git looks for a NUL to call a file binary.
pub(super) const BINARY_SAMPLE: usize = 8000;

/// Examines the blobs each of the `commits` brings in.
///
/// # Errors
/// [`ErrorKind::Preflight`] with every offending file, if `rules` refuse any.
pub(crate) fn examine(
    git: &Git,
    commits: &[CommitId],
    rules: Rules,
    cancel: &CancelToken,
) -> Result<PushContents> {
    let mut seen_blobs = HashSet::new();
    let mut files = Vec::new();
    // Oldest first, so that a file is blamed on the commit that brought it in.
    for commit in commits.iter().rev() {
        cancel.check()?;
        let (new, old) = new_and_old(git, *commit)?;
        for (path, blob) in new {
            // Under another name it is nothing new: the parent is examined, too, or it is there.
            if !old.contains(&blob) && seen_blobs.insert(blob) {
                files.push((path, blob, *commit));
            }
        }
    }
    let readers = git.blob_readers();
    let begin = || Ok(readers.reader());
    let looks = parallel::map_with(&files, cancel, begin, |reader, (_, blob, _)| {
        look(reader, *blob, rules)
    })?;
    let mut seen_objects = HashSet::new();
    let mut contents = PushContents::default();
    let mut offences = Vec::new();
    for ((path, _, commit), look) in files.into_iter().zip(looks) {
        match look {
            Look::Pointer(object) => {
                if object.size > 0 && seen_objects.insert(object.oid) {
                    contents.objects.push((object, path, commit));
                }
            }
            Look::Refused(reason) => offences.push(Offence::new(path, Some(commit), reason)),
            Look::Fine => {}
        }
    }
    if offences.is_empty() {
        return Ok(contents);
    }
    Err(
        Error::new(ErrorKind::Preflight, "the Hub would refuse the push")
            .with_hint(
                "files above 10 MiB and binary files must be LFS files, in every commit: \
             rewrite_unpushed_to_lfs() makes them so, in the commits that are not pushed yet",
            )
            .with_offences(offences),
    )
}

/// Files with the blobs they hold.
type Files = Vec<(RepoPath, ObjectId)>;

/// Files that none of the commit's parents has with that content.
pub(super) fn new_blobs(git: &Git, commit: CommitId) -> Result<Files> {
    new_and_old(git, commit).map(|(new, _)| new)
}

/// The same, and the blobs of the first parent that files no longer have, or not where they had them.
fn new_and_old(git: &Git, commit: CommitId) -> Result<(Files, HashSet<ObjectId>)> {
    let tree = git.tree_of(commit)?;
    let parents = git.parents_of(commit)?;
    let first = parents.first().map(|first| git.tree_of(*first));
    let changes = git.changes(first.transpose()?, Some(tree))?;
    let old = changes.iter().filter_map(|change| change.old);
    let old = old.map(|(blob, _)| blob).collect();
    let written = |changes: Vec<Change>| -> HashMap<RepoPath, ObjectId> {
        let file = |change: Change| match change.new {
            Some((blob, mode)) if mode.is_file() => Some((change.path, blob)),
            _ => None,
        };
        changes.into_iter().filter_map(file).collect()
    };
    let mut new = written(changes);
    for parent in parents.iter().skip(1) {
        let other = written(git.changes(Some(git.tree_of(*parent)?), Some(tree))?);
        new.retain(|path, _| other.contains_key(path));
    }
    let mut new: Vec<_> = new.into_iter().collect();
    new.sort();
    Ok((new, old))
}

/// What a blob is to a remote.
enum Look {
    Pointer(Object),
    Refused(String),
    Fine,
}

fn look(reader: &mut BlobReader, blob: ObjectId, rules: Rules) -> Result<Look> {
    let looked_into = match rules {
        Rules::None => MAX_POINTER_BYTES as u64,
        Rules::Hub => HUB_BLOB_LIMIT,
    };
    let (size, start) = reader.look(blob, BINARY_SAMPLE, looked_into)?;
    // As `Pointers` has it: no longer blob is looked into for one.
    if size <= MAX_POINTER_BYTES as u64
        && let Ok(Pointer { oid, size, .. }) = Pointer::parse(&start)
    {
        return Ok(Look::Pointer(Object { oid, size }));
    }
    Ok(match rules {
        Rules::None => Look::Fine,
        Rules::Hub if size > HUB_BLOB_LIMIT => {
            Look::Refused(format!("{size} bytes outside LFS, more than 10 MiB"))
        }
        Rules::Hub if start.contains(&0) => Look::Refused("a binary file outside LFS".to_owned()),
        Rules::Hub => Look::Fine,
    })
}
