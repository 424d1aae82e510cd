//! What a check finds.

use std::path::PathBuf;

use crate::error::Error;
use crate::id::{CommitId, LfsOid};
use crate::path::RepoPath;

/// What [`Repository::lfs_fsck`](crate::Repository::lfs_fsck) found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FsckReport {
    /// Objects that were read and compared with their names, damaged ones among them.
    pub checked: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are not here as they should be, by their ids.
    pub objects: Vec<DamagedObject>,
    /// Files that are not the pointers they should be, by their paths.
    pub pointers: Vec<BadPointer>,
}

impl FsckReport {
    /// Whether nothing was wrong.
    pub fn is_ok(&self) -> bool {
        self.objects.is_empty() && self.pointers.is_empty()
    }

    /// Whether nothing is wrong any more: whatever was, is repaired. Pointers never are.
    pub fn is_repaired(&self) -> bool {
        self.pointers.is_empty() && self.objects.iter().all(DamagedObject::is_repaired)
    }
}

/// An object that pointers name, and that is not here as it should be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DamagedObject {
    /// The object.
    pub oid: LfsOid,
    /// Bytes that it should have, by a pointer.
    pub size: u64,
    /// Files that it is the content of. A name that this library cannot handle is left out.
    pub paths: Vec<RepoPath>,
    /// A commit that names it; `None` if it is only staged.
    pub commit: Option<CommitId>,
    /// What is wrong.
    pub damage: Damage,
    /// Where the damaged file was moved to, if repairing moved it: into `bad` in the store's folder.
    pub set_aside: Option<PathBuf>,
    /// What became of the attempt to repair it.
    pub repair: Repair,
}

impl DamagedObject {
    /// Whether it is here, and whole, now.
    pub fn is_repaired(&self) -> bool {
        !matches!(self.repair, Repair::NotTried | Repair::Failed(_))
    }
}

/// What is wrong with an object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Damage {
    /// It is not in the store.
    Missing,
    /// Its bytes do not hash to its name.
    Corrupt,
    /// It cannot be read, and why.
    Unreadable(Error),
}

/// What became of the attempt to repair an object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Repair {
    /// It was not asked for.
    NotTried,
    /// It was copied from a file of the work tree.
    FromWorktree,
    /// It was taken from a repository that this one borrows from.
    FromAlternate,
    /// It was downloaded.
    Downloaded,
    /// It could not be had, and why.
    Failed(Error),
}

/// A file whose blob is not the pointer that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadPointer {
    /// The file.
    pub path: RepoPath,
    /// The commit it was found in; `None` if it is only staged.
    pub commit: Option<CommitId>,
    /// What is wrong.
    pub problem: PointerProblem,
}

/// What is wrong with a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PointerProblem {
    /// The attributes give the file to Git LFS, but git has its content, or something else that is no
    /// pointer. Staging it again makes it one.
    NotAPointer,
    /// It is a pointer, but not spelt as the format has it: other tools may not know it for one.
    NotCanonical {
        /// The object it names.
        oid: LfsOid,
    },
    /// The object is here and whole, but has another size than the pointer says; git-lfs does not look
    /// for that.
    WrongSize {
        /// The object it names.
        oid: LfsOid,
        /// Bytes the pointer says.
        size: u64,
        /// Bytes the object has.
        stored: u64,
    },
}
