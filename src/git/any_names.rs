//! Files of a tree or of the index with their names, whatever those are.
//!
//! Names that are no path of ours (bytes that are not UTF-8, say) are seen as well: who looks for
//! damage must not stop at them.

use git2::ObjectType;

use super::error::wrap;
use super::index::EMPTY_BLOB;
use super::{Git, ObjectId};
use crate::error::Result;
use crate::path::RepoPath;

/// A file, and what its name says if it is a path of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedBlob {
    pub(crate) path: Option<RepoPath>,
    pub(crate) id: ObjectId,
}

impl NamedBlob {
    fn new(name: &[u8], id: ObjectId) -> Self {
        let path = std::str::from_utf8(name).ok();
        Self {
            path: path.and_then(|path| RepoPath::new(path).ok()),
            id,
        }
    }
}

/// The part of a raw mode that says what kind of thing an entry is, and its value for files.
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;

impl Git {
    /// All files of a tree; links and submodules are none.
    ///
    /// # Errors
    /// As [`refuse_odd_tree`](Self::refuse_odd_tree).
    pub(crate) fn blobs_of_tree(&self, tree: ObjectId) -> Result<Vec<NamedBlob>> {
        self.refuse_odd_tree(tree)?;
        let mut found = Vec::new();
        let mut open = vec![(Vec::new(), tree)];
        while let Some((folder, tree)) = open.pop() {
            let tree = self.repo.find_tree(tree).map_err(wrap("read a tree"))?;
            for entry in &tree {
                let name = [&folder[..], entry.name_bytes()].concat();
                let mode = u32::try_from(entry.filemode_raw()).unwrap_or_default();
                if entry.kind() == Some(ObjectType::Tree) {
                    open.push(([&name[..], b"/"].concat(), entry.id()));
                } else if mode & KIND == FILE {
                    found.push(NamedBlob::new(&name, entry.id()));
                }
            }
        }
        Ok(found)
    }

    /// All files of this work tree's index, all sides of conflicts among them.
    pub(crate) fn blobs_of_own_index(&self) -> Result<Vec<NamedBlob>> {
        let index = git2::Index::open(&self.git_dir().join("index"));
        let index = index.map_err(wrap("read the index"))?;
        let files = index.iter().filter(|entry| entry.mode & KIND == FILE);
        // `git add -N` puts the empty blob there without writing it.
        let files = files.filter(|entry| entry.id.to_string() != EMPTY_BLOB);
        Ok(files
            .map(|entry| NamedBlob::new(&entry.path, entry.id))
            .collect())
    }
}
