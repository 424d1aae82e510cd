//! What a push has to send: the objects that commits bring, seen from what the server has.

use std::collections::{HashSet, hash_map::RandomState};
use std::hash::BuildHasher;

use git2::{ObjectType, Repository};

use super::ObjectId;

/// What commits bring.
#[derive(Default)]
pub(super) struct Brought {
    /// The commits.
    lacked: HashSet<ObjectId>,
    /// What is in the trees of those parents that are not among them.
    known: HashSet<ObjectId>,
    /// Trees whose content is to be among it as soon as somebody asks for that.
    unread: Vec<ObjectId>,
    pub(super) objects: Vec<ObjectId>,
    seen: HashSet<ObjectId>,
    /// Hashes of their paths.
    paths: HashSet<u64>,
    hasher: RandomState,
    /// How many objects are another version of one that is there.
    pub(super) again: usize,
}

impl Brought {
    /// Nothing yet of what these commits bring.
    pub(super) fn by(lacked: &[ObjectId]) -> Self {
        Self {
            lacked: lacked.iter().copied().collect(),
            ..Self::default()
        }
    }

    /// Adds a commit, and whatever its parents have not in the same place.
    pub(super) fn add(&mut self, repo: &Repository, commit: ObjectId) -> Result<(), git2::Error> {
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
