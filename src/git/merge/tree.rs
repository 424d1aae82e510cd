//! Three trees become one, folder by folder; folders that one side left alone are not even read.

use std::collections::{BTreeMap, BTreeSet};

use git2::FileMode;

use super::lines;
use crate::error::{Error, ErrorKind, Result};
use crate::git::diff::path_of;
use crate::git::error::wrap;
use crate::git::{Git, Mode, ObjectId};
use crate::path::RepoPath;

/// How many folders deep a merge goes, for it calls itself for each; no file system goes as deep.
const MAX_DEPTH: usize = 256;
/// A larger `.gitattributes` is not merged by lines, in bytes: it is no list of rules.
const ATTRIBUTES_LIMIT: u64 = 1 << 20;

const FOLDER: FileMode = FileMode::Tree;

/// One thing as the common ancestor and as both sides have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Three<T> {
    pub(super) base: T,
    pub(super) ours: T,
    pub(super) theirs: T,
}

impl<T> Three<T> {
    fn map<U>(self, each: impl Fn(T) -> U) -> Three<U> {
        Three {
            base: each(self.base),
            ours: each(self.ours),
            theirs: each(self.theirs),
        }
    }
}

impl<T: PartialEq> Three<T> {
    /// What both sides agree on, or what the only side that changed it made of it.
    fn settled(self) -> Option<T> {
        if self.ours == self.theirs || self.theirs == self.base {
            Some(self.ours)
        } else if self.ours == self.base {
            Some(self.theirs)
        } else {
            None
        }
    }
}

/// What a name stands for: a file, a link, a submodule or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    id: ObjectId,
    mode: i32,
}

impl Item {
    fn is_folder(self) -> bool {
        self.mode == i32::from(FOLDER)
    }

    fn is_file(self) -> bool {
        let mode = u32::try_from(self.mode).ok().and_then(Mode::from_raw);
        mode.is_some_and(Mode::is_file)
    }
}

/// Merges; in the tree, one of the sides stands for each conflict.
pub(super) fn merge(
    git: &Git,
    trees: Three<Option<ObjectId>>,
) -> Result<(ObjectId, BTreeSet<RepoPath>)> {
    let mut merger = Merger {
        git,
        conflicts: BTreeSet::new(),
    };
    let tree = match trees.settled().flatten() {
        Some(tree) => Some(tree),
        None => merger.folder(None, trees)?,
    };
    let tree = tree.map_or_else(|| git.empty_tree(), Ok)?;
    Ok((tree, merger.conflicts))
}

struct Merger<'a> {
    git: &'a Git,
    conflicts: BTreeSet<RepoPath>,
}

impl Merger<'_> {
    /// Merges a folder; `None` if nothing is left in it. `path` is `None` for the root.
    fn folder(
        &mut self,
        path: Option<&RepoPath>,
        trees: Three<Option<ObjectId>>,
    ) -> Result<Option<ObjectId>> {
        let depth = path.map_or(0, |path| path.as_str().split('/').count());
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot merge folders more than {MAX_DEPTH} deep"),
            )
            .with_hint("merge with git"));
        }
        let repo = &self.git.repo;
        let ours = trees.ours.map(|id| repo.find_tree(id)).transpose();
        let ours = ours.map_err(wrap("read a tree"))?;
        let mut builder = repo
            .treebuilder(ours.as_ref())
            .map_err(wrap("read a tree"))?;
        for (name, sides) in self.git.items(trees)? {
            let (merged, path) = match sides.settled() {
                Some(merged) if merged == sides.ours => continue,
                Some(merged) => (merged, inside(path, &name)?),
                None => {
                    let path = inside(path, &name)?;
                    (self.contested(&path, sides)?, path)
                }
            };
            let done = match (merged, sides.ours) {
                (merged, ours) if merged == ours => Ok(()),
                (Some(item), _) => builder.insert(&name[..], item.id, item.mode).map(drop),
                (None, _) => builder.remove(&name[..]),
            };
            done.map_err(wrap(&format!("merge {path}")))?;
        }
        if builder.is_empty() {
            return Ok(None);
        }
        builder.write().map(Some).map_err(wrap("write a tree"))
    }

    /// Merges a name that both sides changed. As a file and as a folder it is looked at apart.
    fn contested(&mut self, path: &RepoPath, sides: Three<Option<Item>>) -> Result<Option<Item>> {
        let files = sides.map(|item| item.filter(|item| !item.is_folder()));
        let file = match files.settled() {
            Some(file) => file,
            None => self.file(path, files)?,
        };
        let folders = sides.map(|item| item.filter(|item| item.is_folder()).map(|item| item.id));
        let folder = match folders.settled() {
            Some(folder) => folder,
            None => self.folder(Some(path), folders)?,
        };
        match (file, folder) {
            // One side's file stands where the other's folder still has files.
            (Some(_), Some(_)) => {
                self.conflicts.insert(path.clone());
                Ok(sides.ours.or(sides.theirs))
            }
            (file, None) => Ok(file),
            (None, Some(id)) => Ok(Some(Item {
                id,
                mode: FOLDER.into(),
            })),
        }
    }

    /// Merges a file that both sides changed, each in its own way.
    fn file(&mut self, path: &RepoPath, sides: Three<Option<Item>>) -> Result<Option<Item>> {
        if path.file_name() == ".gitattributes"
            && let Some(merged) = self.attributes(sides)?
        {
            return Ok(Some(merged));
        }
        self.conflicts.insert(path.clone());
        // Never nothing, so that a folder with a conflict in it still is in the way of a file.
        Ok(sides.ours.or(sides.theirs))
    }

    /// `.gitattributes` with the rules of both sides, if both have one.
    fn attributes(&self, sides: Three<Option<Item>>) -> Result<Option<Item>> {
        let sides = sides.map(|item| item.filter(|item| item.is_file()));
        let (Some(ours), Some(theirs)) = (sides.ours, sides.theirs) else {
            return Ok(None);
        };
        let Some(Some(mode)) = sides.map(|item| item.map(|item| item.mode)).settled() else {
            return Ok(None);
        };
        let read = |item: Item| self.git.small_blob(item.id, ATTRIBUTES_LIMIT);
        let base = sides.base.map_or(Ok(Some(Vec::new())), read)?;
        let (Some(base), Some(ours), Some(theirs)) = (base, read(ours)?, read(theirs)?) else {
            return Ok(None);
        };
        let id = self.git.write_blob(&lines::union(&base, &ours, &theirs))?;
        Ok(Some(Item { id, mode }))
    }
}

/// The path of a name in a folder; `None` is the root.
fn inside(folder: Option<&RepoPath>, name: &[u8]) -> Result<RepoPath> {
    let Some(folder) = folder else {
        return path_of(name);
    };
    path_of(&[folder.as_str().as_bytes(), b"/", name].concat())
}

impl Git {
    fn empty_tree(&self) -> Result<ObjectId> {
        self.repo
            .treebuilder(None)
            .and_then(|builder| builder.write())
            .map_err(wrap("write a tree"))
    }

    /// Every name that one of three folders has, with what it stands for in each.
    fn items(
        &self,
        trees: Three<Option<ObjectId>>,
    ) -> Result<BTreeMap<Vec<u8>, Three<Option<Item>>>> {
        let mut found = BTreeMap::new();
        let mut read =
            |tree: Option<ObjectId>, side: fn(&mut Three<Option<Item>>) -> &mut Option<Item>| {
                let Some(tree) = tree else { return Ok(()) };
                let tree = self.repo.find_tree(tree).map_err(wrap("read a tree"))?;
                for entry in &tree {
                    let none = Three {
                        base: None,
                        ours: None,
                        theirs: None,
                    };
                    let sides = found.entry(entry.name_bytes().to_vec()).or_insert(none);
                    *side(sides) = Some(Item {
                        id: entry.id(),
                        mode: entry.filemode(),
                    });
                }
                Ok::<(), Error>(())
            };
        read(trees.base, |sides| &mut sides.base)?;
        read(trees.ours, |sides| &mut sides.ours)?;
        read(trees.theirs, |sides| &mut sides.theirs)?;
        Ok(found)
    }
}
