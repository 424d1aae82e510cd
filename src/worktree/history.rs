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
        let oids: BTreeSet<LfsOid> = objects.iter().map(|object| object.oid).collect();
        let oids: Vec<LfsOid> = oids.into_iter().collect();
        let mut holders: BTreeMap<LfsOid, BTreeSet<String>> = BTreeMap::new();
        if oids.is_empty() {
            return Ok(holders);
        }
        let mut by_tip: HashMap<CommitId, Vec<&String>> = HashMap::new();
        for (name, tip) in names {
            by_tip.entry(*tip).or_default().push(name);
        }
        let tips: Vec<CommitId> = by_tip.keys().copied().collect();
        let mut commits = Vec::new();
        // How many children have still to ask what a commit's history names.
        let mut asking: HashMap<CommitId, usize> = HashMap::new();
        for commit in self.git.commits_in_order(&tips, &[])? {
            self.cancel.check()?;
            let parents = self.git.parents_of(commit)?;
            for parent in &parents {
                *asking.entry(*parent).or_default() += 1;
            }
            commits.push((commit, parents));
        }
        let mut named: HashMap<CommitId, Places> = HashMap::new();
        for (commit, parents) in commits {
            self.cancel.check()?;
            let mut places = Places::default();
            for parent in parents {
                let left = asking.get_mut(&parent).map(|left| {
                    *left -= 1;
                    *left
                });
                let theirs = match left {
                    Some(0) => named.remove(&parent),
                    _ => named.get(&parent).cloned(),
                };
                places.join(theirs.unwrap_or_default());
            }
            let mut blobs = HashSet::new();
            self.git.blobs_brought_by(commit, &mut blobs)?;
            for object in self.objects_among(&blobs)? {
                if let Ok(at) = oids.binary_search(&object.oid) {
                    places.add(at);
                }
            }
            for name in by_tip.remove(&commit).into_iter().flatten() {
                for at in places.all() {
                    let names = holders.entry(oids[at]).or_default();
                    names.insert(name.clone());
                }
            }
            if asking.contains_key(&commit) {
                named.insert(commit, places);
            }
        }
        Ok(holders)
    }
}

/// Places of a list, a bit for each.
#[derive(Clone, Debug, Default)]
struct Places(Vec<u64>);

impl Places {
    fn add(&mut self, at: usize) {
        let word = at / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (at % 64);
    }

    fn join(&mut self, mut other: Self) {
        if self.0.len() < other.0.len() {
            std::mem::swap(self, &mut other);
        }
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    fn all(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.0.iter().enumerate();
        words.flat_map(|(at, word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| at * 64 + bit)
        })
    }
}
