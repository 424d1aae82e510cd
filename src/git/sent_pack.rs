//! The pack of a push, made as it is sent.
//!
//! libgit2 looks for deltas among all that is new before it sends anything, though it cannot make any
//! against what the server has: of ten thousand new files of 1 KiB that took half of the push. And what
//! lies in a pack it inflates and deflates anew.
//!
//! So it makes the pack only of pushes with several versions of the same files, where deltas pay. Else
//! it is told that the server has everything, by a line that servers have for such things, and the pack
//! without objects that it then writes is replaced by one of ours on its way.

use std::collections::{HashSet, hash_map::RandomState};
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{ObjectType, Repository};
use sha1::{Digest, Sha1};

use super::error::{RESTORE, unreadable, wrap};
use super::new_pack::{LARGEST, PACK_FROM, PACK_HEAD, Packer, put_header};
use super::packed_entries::{Copied, PackedEntries};
use super::push::RefUpdate;
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Direction, Event, Progress};

/// A pack is ours to make if at most one of so many objects is another version of one in it.
const VERSIONS: usize = 4;
/// Bytes after which it is told again how many were sent.
const TOLD_BYTES: u64 = 256 << 10;

/// What a push may send by itself.
pub(super) struct SentPack {
    repo: Repository,
    workdir: PathBuf,
    packs: PathBuf,
    tips: Vec<ObjectId>,
    objects: Vec<ObjectId>,
    progress: Progress,
    cancel: CancelToken,
    /// Bytes of it that were sent.
    pub(super) sent: Arc<AtomicU64>,
}

impl SentPack {
    /// The pack of these updates, if all are of commits.
    pub(super) fn of(
        git: &Git,
        updates: &[RefUpdate],
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<Option<Self>> {
        let tips: Vec<ObjectId> = updates.iter().filter_map(|update| update.to).collect();
        let is_commit = |id: &ObjectId| git.repo.find_commit(*id).is_ok();
        if git.in_memory || tips.is_empty() || !tips.iter().all(is_commit) {
            return Ok(None);
        }
        Ok(Some(Self {
            repo: git.reopen()?,
            workdir: git.workdir.clone(),
            packs: git.common_dir().join("objects/pack"),
            tips,
            objects: Vec::new(),
            progress: progress.clone(),
            cancel: cancel.clone(),
            sent: Arc::default(),
        }))
    }

    /// The commits that are sent with all that is new in them.
    pub(super) fn tips(&self) -> &[ObjectId] {
        &self.tips
    }

    /// Looks at what a server lacks that has these; whether this is for us to send.
    pub(super) fn plan(&mut self, has: &[ObjectId]) -> Result<bool> {
        let lacked = self.lacked(has).map_err(wrap("walk the history"))?;
        let mut brought = Brought {
            lacked: lacked.iter().copied().collect(),
            ..Brought::default()
        };
        for commit in lacked {
            self.cancel.check()?;
            let added = brought.add(&self.repo, commit);
            added.map_err(wrap("read what is to be pushed"))?;
        }
        let is_ours = brought.again * VERSIONS <= brought.objects.len();
        self.objects = brought.objects;
        Ok(is_ours && !self.objects.is_empty())
    }

    fn lacked(&self, has: &[ObjectId]) -> Result<Vec<ObjectId>, git2::Error> {
        let mut walk = self.repo.revwalk()?;
        for tip in &self.tips {
            walk.push(*tip)?;
        }
        for id in has {
            let object = self.repo.find_object(*id, None);
            if let Ok(commit) = object.and_then(|object| object.peel_to_commit()) {
                walk.hide(commit.id())?;
            }
        }
        walk.collect()
    }

    /// Writes the pack.
    pub(super) fn write(mut self, out: &mut dyn Write) -> Result<()> {
        let all = std::mem::take(&mut self.objects);
        let mut packed = PackedEntries::default();
        if all.len() >= PACK_FROM {
            packed = PackedEntries::find(&self.packs, &all.iter().copied().collect());
        }
        let mut out = Summed {
            out,
            sum: Sha1::new(),
            bytes: 0,
        };
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [&PACK_HEAD[..], &count].concat();
        out.write_all(&head).map_err(not_sent)?;
        let (mut packer, mut told) = (Packer::new(), 0);
        for id in all {
            self.cancel.check()?;
            match packed.copy(id, |bytes| out.write_all(bytes).map_err(not_sent))? {
                Copied::Whole => {}
                Copied::Elsewhere => self.pack(id, &mut packer, &mut out)?,
                Copied::Broken(pack) => self
                    .pack(id, &mut packer, &mut out)
                    .map_err(|error| broken(id, &pack, error))?,
            }
            if out.bytes - told >= TOLD_BYTES {
                told = out.bytes;
                self.tell(told);
            }
        }
        let Summed { out, sum, bytes } = out;
        out.write_all(&sum.finalize()).map_err(not_sent)?;
        self.tell(bytes + 20);
        Ok(())
    }

    fn tell(&self, bytes: u64) {
        self.sent.store(bytes, Ordering::Relaxed);
        let direction = Direction::Upload;
        self.progress.report(|| Event::Pack { direction, bytes });
    }

    /// Writes the entry of an object that lies elsewhere, or as a delta.
    fn pack(&self, id: ObjectId, packer: &mut Packer, out: &mut dyn Write) -> Result<()> {
        let failed = |error| unreadable(id, &self.workdir, error);
        let odb = self.repo.odb().map_err(wrap("open the object store"))?;
        let (size, kind) = odb.read_header(id).map_err(failed)?;
        if size as u64 > LARGEST
            && let Ok((mut bytes, size, kind)) = odb.reader(id)
        {
            let mut head = Vec::new();
            put_header(&mut head, kind, size);
            out.write_all(&head).map_err(not_sent)?;
            let mut deflate = ZlibEncoder::new(out, Compression::fast());
            let copied = io::copy(&mut bytes, &mut deflate).map_err(not_sent)?;
            if copied != size as u64 {
                let text = "the object ends too soon";
                return Err(failed(git2::Error::from_str(text)));
            }
            return deflate.finish().map(drop).map_err(not_sent);
        }
        let object = odb.read(id).map_err(failed)?;
        packer.pack(kind, object.data())?;
        out.write_all(packer.packed()).map_err(not_sent)
    }
}

/// The error for an object whose pack is damaged, and that libgit2 could not read from it, either.
fn broken(id: ObjectId, pack: &Path, error: Error) -> Error {
    if error.kind() != ErrorKind::Git {
        return error;
    }
    let text = format!(
        "cannot push: the object {id} is broken in {}",
        pack.display()
    );
    Error::new(ErrorKind::Git, text)
        .with_hint(RESTORE)
        .with_source(error)
}

fn not_sent(error: io::Error) -> Error {
    Error::new(ErrorKind::Network, "the objects of a push were not sent").with_source(error)
}

/// What commits bring.
#[derive(Default)]
struct Brought {
    /// The commits.
    lacked: HashSet<ObjectId>,
    /// What is in the trees of those parents that are not among them.
    known: HashSet<ObjectId>,
    /// Trees whose content is to be among it as soon as somebody asks for that.
    unread: Vec<ObjectId>,
    objects: Vec<ObjectId>,
    seen: HashSet<ObjectId>,
    /// Hashes of their paths.
    paths: HashSet<u64>,
    hasher: RandomState,
    /// How many objects are another version of one that is there.
    again: usize,
}

impl Brought {
    /// Adds a commit, and whatever its parents have not in the same place.
    fn add(&mut self, repo: &Repository, commit: ObjectId) -> Result<(), git2::Error> {
        let commit = repo.find_commit(commit)?;
        self.objects.push(commit.id());
        for parent in commit.parents() {
            if !self.lacked.contains(&parent.id()) {
                self.unread.push(parent.tree_id());
            }
        }
        let parents: Vec<ObjectId> = commit.parents().map(|parent| parent.tree_id()).collect();
        let mut open = vec![(Vec::new(), commit.tree_id(), parents)];
        while let Some((path, tree, others)) = open.pop() {
            if others.contains(&tree) || !self.take(tree, &path) {
                continue;
            }
            let find = |id: &ObjectId| repo.find_tree(*id);
            let (tree, others) = (
                find(&tree)?,
                others.iter().map(find).collect::<Result<Vec<_>, _>>()?,
            );
            for entry in &tree {
                let same: Vec<_> = others
                    .iter()
                    .filter_map(|other| other.get_name_bytes(entry.name_bytes()))
                    .collect();
                if same.iter().any(|other| other.id() == entry.id()) {
                    continue;
                }
                // What has a new name may be there under another one.
                if same.is_empty() && self.is_known(repo, entry.id()) {
                    continue;
                }
                let path = [&path[..], b"/", entry.name_bytes()].concat();
                match entry.kind() {
                    Some(ObjectType::Tree) => {
                        let trees = same.iter().filter(|it| it.kind() == Some(ObjectType::Tree));
                        open.push((path, entry.id(), trees.map(git2::TreeEntry::id).collect()));
                    }
                    Some(ObjectType::Blob) => {
                        self.take(entry.id(), &path);
                    }
                    // A submodule's commit is in another repository.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether the server has an object in the commits these follow upon, wherever it is there.
    fn is_known(&mut self, repo: &Repository, id: ObjectId) -> bool {
        while let Some(tree) = self.unread.pop() {
            if !self.known.insert(tree) {
                continue;
            }
            // One that is not here says nothing; what it holds is sent again.
            let Ok(tree) = repo.find_tree(tree) else {
                continue;
            };
            for entry in &tree {
                match entry.kind() {
                    Some(ObjectType::Tree) => self.unread.push(entry.id()),
                    _ => drop(self.known.insert(entry.id())),
                }
            }
        }
        self.known.contains(&id)
    }

    /// Takes an object that is at a path, if it is new.
    fn take(&mut self, id: ObjectId, path: &[u8]) -> bool {
        let is_new = self.seen.insert(id);
        if is_new {
            self.objects.push(id);
            self.again += usize::from(!self.paths.insert(self.hasher.hash_one(path)));
        }
        is_new
    }
}

/// Writes, and sums up what it wrote.
struct Summed<'a> {
    out: &'a mut dyn Write,
    sum: Sha1,
    bytes: u64,
}

impl Write for Summed<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.out.write(data)?;
        self.sum.update(&data[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
