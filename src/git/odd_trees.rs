//! Trees that no git makes, found before anything walks through them.
//!
//! Whoever may push can write any tree object: one with a link and a folder of the same name, one that
//! nests until libgit2's recursion uses up the stack, one whose few objects stand for files beyond
//! number. Names are checked where paths are made of them: see [`RepoPath`](crate::RepoPath).

use std::collections::{HashMap, HashSet};

use git2::ObjectType;

use super::error::wrap;
use super::{Git, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::printable;

/// Folders in folders: git's own limit (`core.maxTreeDepth`).
const MOST_LEVELS: usize = 2048;
/// Files of one commit. The Hub advises against more than 100,000.
const MOST_FILES: u64 = 10_000_000;

/// What a tree that was looked at holds.
#[derive(Clone, Copy)]
struct Measured {
    levels: usize,
    files: u64,
}

/// A tree that is being looked at.
struct Open {
    id: ObjectId,
    folders: Vec<ObjectId>,
    next: usize,
    so_far: Measured,
}

impl Git {
    /// Refuses a tree from elsewhere that no git would make.
    ///
    /// Every tree object is read once, however often it appears.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`], with what is wrong.
    pub(crate) fn refuse_odd_tree(&self, tree: ObjectId) -> Result<()> {
        let mut known: HashMap<ObjectId, Measured> = HashMap::new();
        // No recursion: how deep trees nest is for those to say who push them.
        let mut open = vec![self.look_into(tree)?];
        while let Some(top) = open.last_mut() {
            let Some(folder) = top.folders.get(top.next).copied() else {
                known.insert(top.id, top.so_far);
                open.pop();
                continue;
            };
            let Some(inner) = known.get(&folder) else {
                if open.len() >= MOST_LEVELS {
                    return Err(odd(&format!(
                        "has more than {MOST_LEVELS} folders in folders"
                    )));
                }
                open.push(self.look_into(folder)?);
                continue;
            };
            top.next += 1;
            top.so_far = Measured {
                levels: top.so_far.levels.max(inner.levels + 1),
                files: top.so_far.files.saturating_add(inner.files),
            };
            let Measured { levels, files } = top.so_far;
            if open.len() + levels > MOST_LEVELS {
                return Err(odd(&format!(
                    "has more than {MOST_LEVELS} folders in folders"
                )));
            }
            if files > MOST_FILES {
                return Err(odd(&format!("has more than {MOST_FILES} files")));
            }
        }
        Ok(())
    }

    fn look_into(&self, id: ObjectId) -> Result<Open> {
        let tree = self.repo.find_tree(id).map_err(wrap("read a tree"))?;
        let mut names = HashSet::with_capacity(tree.len());
        let (mut folders, mut files) = (Vec::new(), 0);
        for entry in &tree {
            if !names.insert(entry.name_bytes().to_vec()) {
                let name = String::from_utf8_lossy(entry.name_bytes());
                return Err(odd(&format!("has the name {:?} twice", printable(&name))));
            }
            if entry.kind() == Some(ObjectType::Tree) {
                folders.push(entry.id());
            } else {
                files += 1;
            }
        }
        let so_far = Measured { levels: 0, files };
        Ok(Open {
            id,
            folders,
            next: 0,
            so_far,
        })
    }
}

fn odd(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidPath,
        format!("no git makes a commit like this: it {what}"),
    )
    .with_hint("somebody made it by hand, or it is damaged: ask whoever pushed it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::BranchName;

    fn git() -> (tempfile::TempDir, Git) {
        let folder = tempfile::tempdir().expect("temp");
        let git = super::super::create(&folder.path().join("r"), &BranchName::main());
        (folder, git.expect("created"))
    }

    #[test]
    fn folders_without_end() {
        let (_folder, git) = git();
        let odb = git.repo.odb().expect("odb");
        // As loose files they would take seconds.
        let _memory = odb.add_new_mempack_backend(i32::MAX).expect("added");
        let write = |bytes: &[u8]| odb.write(ObjectType::Tree, bytes).expect("written");
        let file = [&b"100644 f\0"[..], &[1; 20]].concat();
        // A tree without files shows in no comparison, but is walked through all the same.
        for leaf in [&b""[..], &file] {
            let mut tree = write(leaf);
            for level in 1..=MOST_LEVELS {
                tree = write(&[b"40000 d\0", tree.as_bytes()].concat());
                if level + 2 > MOST_LEVELS {
                    let refused = git.refuse_odd_tree(tree).is_err();
                    assert_eq!(refused, level >= MOST_LEVELS, "{level}");
                }
            }
        }
    }
}
