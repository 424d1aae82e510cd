//! What a branch's history is made of: which commits are checkpoints, and what nothing in it would need
//! any more if some of them were left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::pointers::Pointers;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::git::{Git, ObjectId};
use crate::id::{CommitId, LfsOid};
use crate::lfs::Object;

/// One look at a history; what blobs are is remembered.
pub(crate) struct History<'a> {
    git: &'a Git,
    cancel: &'a CancelToken,
    pointers: Pointers<'a>,
}

/// What a history would not name any more.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    /// Commits, the newest first.
    pub(crate) commits: Vec<CommitId>,
    pub(crate) objects: BTreeSet<Object>,
    /// Bytes of other files, as git has them before it compresses.
    pub(crate) plain_bytes: u64,
}

impl<'a> History<'a> {
    pub(crate) fn new(git: &'a Git, cancel: &'a CancelToken) -> Self {
        Self {
            git,
            cancel,
            pointers: Pointers::new(git),
        }
    }

    /// How many of a line's commits, the newest first, hold its newest `most` different sets of LFS
    /// objects. A commit without any is no checkpoint, and does not count.
    pub(crate) fn newest_checkpoints(&mut self, line: &[CommitId], most: usize) -> Result<usize> {
        let mut seen: HashSet<BTreeSet<Object>> = HashSet::new();
        let mut newer = None;
        for (at, commit) in line.iter().enumerate() {
            self.cancel.check()?;
            let tree = self.git.tree_of(*commit)?;
            let same = match newer {
                Some(newer) => !self.differ_in_objects(newer, tree)?,
                None => false,
            };
            newer = Some(tree);
            if same {
                continue;
            }
            let mut blobs = HashSet::new();
            self.git.blobs_beyond(tree, &[], &mut blobs)?;
            let set = self.objects_among(&blobs)?;
            if !set.is_empty() && !seen.contains(&set) {
                if seen.len() == most {
                    return Ok(at);
                }
                seen.insert(set);
            }
        }
        Ok(line.len())
    }

    /// Whether an LFS file is not the same in both trees.
    fn differ_in_objects(&mut self, one: ObjectId, other: ObjectId) -> Result<bool> {
        let mut blobs = HashSet::new();
        self.git.blobs_beyond(one, &[other], &mut blobs)?;
        self.git.blobs_beyond(other, &[one], &mut blobs)?;
        Ok(!self.objects_among(&blobs)?.is_empty())
    }

    fn objects_among(&mut self, blobs: &HashSet<ObjectId>) -> Result<BTreeSet<Object>> {
        let mut objects = BTreeSet::new();
        for blob in blobs {
            objects.extend(self.pointers.get(*blob)?.filter(|object| object.size > 0));
        }
        Ok(objects)
    }

    /// What the history of `tip` names, and the trees of the commits `kept` do not.
    pub(crate) fn loss(&mut self, tip: CommitId, kept: &[CommitId]) -> Result<Loss> {
        let (mut all, mut stay) = (HashSet::new(), HashSet::new());
        let mut commits = self.git.commits_between(tip, &[])?;
        for commit in &commits {
            self.cancel.check()?;
            self.git.blobs_brought_by(*commit, &mut all)?;
        }
        let mut last: Option<ObjectId> = None;
        for commit in kept {
            let tree = self.git.tree_of(*commit)?;
            self.git.blobs_beyond(tree, last.as_slice(), &mut stay)?;
            last = Some(tree);
        }
        let needed = self.objects_among(&stay)?;
        all.retain(|blob| !stay.contains(blob));
        let mut loss = Loss::default();
        for blob in &all {
            match self.pointers.get(*blob)? {
                Some(_) => {}
                None => loss.plain_bytes += self.git.blob_size(*blob)?,
            }
        }
        // Two pointers may be spelt differently and name the same object.
        let oids: HashSet<LfsOid> = needed.iter().map(|object| object.oid).collect();
        loss.objects = self.objects_among(&all)?;
        loss.objects.retain(|object| !oids.contains(&object.oid));
        let kept: HashSet<&CommitId> = kept.iter().collect();
        commits.retain(|commit| !kept.contains(commit));
        loss.commits = commits;
        Ok(loss)
    }

    /// Which of the names lead to a commit that names one of the objects, itself or before it.
    pub(crate) fn holders(
        &mut self,
        names: &[(String, CommitId)],
        objects: &BTreeSet<Object>,
    ) -> Result<BTreeMap<LfsOid, BTreeSet<String>>> {
        let wanted: HashSet<LfsOid> = objects.iter().map(|object| object.oid).collect();
        let tips: Vec<CommitId> = names.iter().map(|(_, tip)| *tip).collect();
        let mut brought: HashMap<CommitId, Vec<LfsOid>> = HashMap::new();
        for commit in self.git.commits_beyond(&tips, &[])? {
            self.cancel.check()?;
            let mut blobs = HashSet::new();
            self.git.blobs_brought_by(commit, &mut blobs)?;
            let oids = self.objects_among(&blobs)?.into_iter();
            let oids = oids.map(|object| object.oid);
            let oids: Vec<_> = oids.filter(|oid| wanted.contains(oid)).collect();
            if !oids.is_empty() {
                brought.insert(commit, oids);
            }
        }
        let mut holders: BTreeMap<LfsOid, BTreeSet<String>> = BTreeMap::new();
        // Many names may lead to one commit.
        let mut reached: HashMap<CommitId, BTreeSet<LfsOid>> = HashMap::new();
        for (name, tip) in names {
            if !reached.contains_key(tip) {
                let commits = self.git.commits_between(*tip, &[])?;
                let oids = commits.iter().filter_map(|commit| brought.get(commit));
                reached.insert(*tip, oids.flatten().copied().collect());
            }
            for oid in reached.get(tip).into_iter().flatten() {
                holders.entry(*oid).or_default().insert(name.clone());
            }
        }
        Ok(holders)
    }
}
