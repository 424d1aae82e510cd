//! Making commits in memory, and writing them many at a time: one pack, not a file and an fsync for each
//! object.

use std::collections::HashSet;

use git2::{ObjectType, OdbLookupFlags};

use super::error::wrap;
use super::new_pack::{NewObjects, Packer};
use super::refs::object_id;
use super::{Git, ObjectId};
use crate::error::Result;
use crate::id::CommitId;

/// Bytes that are made in memory before they are written out and forgotten.
const MOST_IN_MEMORY: usize = 16 << 20;

/// Writes what a handle [in memory](Git::in_memory) makes.
#[must_use]
pub(crate) struct Keeper<'g> {
    memory: &'g Git,
    disk: &'g Git,
    objects: NewObjects<'g>,
    /// About how many objects there will be.
    about: usize,
    packer: Packer,
    seen: HashSet<ObjectId>,
    bytes: usize,
    most: usize,
}

impl Git {
    /// A keeper that takes about so many objects from `memory` into this repository.
    pub(crate) fn keeper<'g>(&'g self, memory: &'g Self, about: usize) -> Result<Keeper<'g>> {
        Ok(Keeper {
            memory,
            disk: self,
            objects: self.new_objects(about)?,
            about,
            packer: Packer::new(),
            seen: HashSet::new(),
            bytes: 0,
            most: MOST_IN_MEMORY,
        })
    }

    /// Begins anew with an empty memory; what was not written is gone.
    fn forget(&self) -> Result<()> {
        let fresh = self.reopen()?;
        let forget = || -> std::result::Result<(), git2::Error> {
            let odb = fresh.odb()?;
            odb.add_new_mempack_backend(i32::MAX)?;
            self.repo.set_odb(&odb)
        };
        forget().map_err(wrap("open the object store"))
    }
}

impl Keeper<'_> {
    /// Takes a commit and all that it brings; its parents were taken before, or are on the disk.
    ///
    /// What no commit leads to by now may be gone from memory after that.
    pub(crate) fn keep(&mut self, commit: CommitId) -> Result<()> {
        let start = (object_id(commit)?, ObjectType::Commit);
        let new = new_below(&self.memory.repo, self.disk, start, &mut self.seen)?;
        let odb = self.memory.repo.odb().map_err(wrap("read new objects"))?;
        for id in new {
            let object = odb.read(id).map_err(wrap("read a new object"))?;
            self.bytes += object.len();
            self.objects
                .add(&mut self.packer, object.kind(), object.data())?;
        }
        drop(odb);
        if self.bytes > self.most {
            let next = self.disk.new_objects(self.about)?;
            std::mem::replace(&mut self.objects, next).finish()?;
            self.memory.forget()?;
            self.bytes = 0;
        }
        Ok(())
    }

    /// Makes all that was taken lasting; no ref may lead there before.
    pub(crate) fn finish(self) -> Result<()> {
        self.objects.finish()
    }
}

/// What is below an object (and that itself) in `memory` and not on the disk, each behind all that it
/// leads to: whoever is killed on the way leaves nothing there that lacks a part.
fn new_below(
    memory: &git2::Repository,
    disk: &Git,
    start: (ObjectId, ObjectType),
    seen: &mut HashSet<ObjectId>,
) -> Result<Vec<ObjectId>> {
    let known = disk.repo.odb().map_err(wrap("open the object store"))?;
    let mut new = Vec::new();
    let mut open = vec![(start, false)];
    while let Some(((id, kind), left)) = open.pop() {
        if left {
            new.push(id);
            continue;
        }
        if !seen.insert(id) || known.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
            continue;
        }
        open.push(((id, kind), true));
        match kind {
            ObjectType::Commit => {
                let commit = memory.find_commit(id).map_err(wrap("read a commit"))?;
                open.push(((commit.tree_id(), ObjectType::Tree), false));
            }
            ObjectType::Tree => {
                let tree = memory.find_tree(id).map_err(wrap("read a tree"))?;
                let below = tree.iter().filter_map(|entry| {
                    let kind = entry.kind()?;
                    let wanted = matches!(kind, ObjectType::Tree | ObjectType::Blob);
                    wanted.then(|| ((entry.id(), kind), false))
                });
                open.extend(below);
            }
            _ => {}
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Identity;
    use crate::name::BranchName;

    #[test]
    fn what_is_kept_is_on_the_disk_and_the_memory_small() {
        let folder = tempfile::tempdir().expect("temp");
        let path = folder.path().join("r");
        let disk = super::super::create(&path, &BranchName::main()).expect("created");
        let memory = disk.in_memory().expect("opened");
        let identity = Identity::new("A", "a@x").expect("identity");
        let mut keeper = disk.keeper(&memory, 100).expect("begun");
        // Each commit is more than may be in memory.
        keeper.most = 1;
        let (mut parents, mut made) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let blob = memory.write_blob(format!("{number}\n").as_bytes());
            let blob = blob.expect("written");
            let mut builder = memory.repo.treebuilder(None).expect("builder");
            builder.insert("file", blob, 0o100_644).expect("inserted");
            let tree = builder.write().expect("written");
            let commit = memory.write_commit(tree, &parents, "m\n", &identity);
            let commit = commit.expect("made");
            keeper.keep(commit).expect("kept");
            parents = vec![commit];
            made.push((commit, blob));
        }
        let lost = memory.write_blob(b"lost\n").expect("written");
        keeper.most = usize::MAX;
        memory.forget().expect("forgotten");
        assert!(memory.blob(lost).is_err());
        keeper.finish().expect("finished");
        let fresh = Git::open(&path).expect("opened");
        for (commit, blob) in made {
            let _ = fresh.tree_of(commit).expect("read");
            fresh.blob(blob).expect("read");
        }
        assert!(fresh.blob(lost).is_err());
    }
}
