//! The only user of libgit2: objects, index, refs, status, and talking to git servers.
//!
//! A [`Git`] is one open handle; it belongs to one thread at a time. It knows nothing about LFS:
//! callers pass paths and blob ids, and keep libgit2 away from the files it would misread.

mod any_names;
mod attributes;
mod beside;
mod blob_reader;
mod blobs;
mod branch_refs;
mod branch_rename;
mod branches;
mod brought;
mod cached_trees;
mod commit;
mod config;
mod diff;
mod entry_maker;
mod error;
mod fetch;
mod fetch_ref;
mod formats;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod heard;
mod ignored;
mod index;
mod index_draft;
mod keeper;
mod lfs_config;
mod listing;
mod merge;
mod new_pack;
mod objects;
mod odd_trees;
mod open;
mod pack_scraps;
mod packed_blobs;
mod packed_entries;
mod packed_refs;
mod packets;
mod packs;
mod private_refs;
mod program;
mod program_push;
mod push;
mod push_folder;
mod rebase;
mod recent;
mod ref_changes;
mod refs;
mod remember_trees;
mod remote;
mod resolve;
mod rewrite;
mod roots;
mod sent_pack;
mod shallow;
mod snapshot;
mod staged;
mod status;
mod store_by_libgit2;
mod store_files;
mod tags;
mod transport;
mod tree_writer;
mod upstream;
mod write_many;

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};

pub(crate) use any_names::NamedBlob;
pub(crate) use attributes::{Attributes, Filter};
pub(crate) use blob_reader::BlobReader;
pub use commit::Identity;
pub(crate) use config::user_config;
pub(crate) use diff::{Change, TreeFile};
pub(crate) use fetch::{Fetched, Tags};
pub(crate) use ignored::{Ignored, Ignoring};
pub(crate) use index::{Entry, Index, IndexLock, Mode};
pub(crate) use listing::Listing;
pub(crate) use merge::{Merge, MergedTree};
pub(crate) use open::{Elsewhere, create, private_folder};
pub(crate) use private_refs::{PRIVATE_REFS, PrivateRef};
pub(crate) use push::{How, Lease, PushOutcome, RefPush, RefUpdate};
pub(crate) use rebase::Rebase;
pub(crate) use refs::{Head, object_id};
pub(crate) use remote::{Advertised, Advertisement, Remote};
pub(crate) use resolve::{Resolved, may_be_id};
pub(crate) use rewrite::Replacement;
pub(crate) use shallow::{Reach, refuse_depth};
pub(crate) use snapshot::Snapshot;
pub use status::FileState;
pub(crate) use store_files::Stored;
pub(crate) use tags::{TagRef, tidy_message};
pub use upstream::Upstream;

use self::packed_blobs::{PackedBlobs, Unpacker};
use crate::fs::Stat;

/// The id of a blob, tree or commit in the object store.
pub(crate) use git2::Oid as ObjectId;

/// One open handle on a repository with a work tree.
pub(crate) struct Git {
    repo: git2::Repository,
    workdir: PathBuf,
    /// `core.fileMode`: whether the file system keeps executable bits.
    trusts_modes: bool,
    /// Whether new objects are kept in memory; see [`Git::in_memory`].
    in_memory: bool,
    /// Packs of which blobs are read, as they are when the first one is.
    packed: OnceCell<(PackedBlobs, RefCell<Unpacker>)>,
}

impl Git {
    /// The root of the work tree.
    pub(crate) fn workdir(&self) -> &Path {
        &self.workdir
    }

    /// The mode to record for what lies in the work tree where `tracked` was recorded before.
    ///
    /// On a file system without executable bits (`core.fileMode=false`) a file keeps its mode.
    pub(crate) fn mode_of(&self, stat: &Stat, tracked: Option<Mode>) -> Option<Mode> {
        Mode::found(stat, tracked, self.trusts_modes)
    }

    /// Whether a file with this stat needs no look at its content: it is what the entry says.
    pub(crate) fn is_as_recorded(&self, entry: &Entry, stat: &Stat) -> bool {
        self.mode_of(stat, Some(entry.mode)) == Some(entry.mode) && entry.has_stat(stat)
    }

    /// The folder of this work tree's own git files (`.git`, or below `.git/worktrees`).
    pub(crate) fn git_dir(&self) -> &Path {
        self.repo.path()
    }

    /// The folder that all work trees share.
    pub(crate) fn common_dir(&self) -> &Path {
        self.repo.commondir()
    }
}
