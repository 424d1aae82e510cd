//! Where index, work tree and LFS store meet.
//!
//! libgit2 runs no filters: it would take the content of an LFS file for a change of its pointer,
//! and write pointers where content belongs. So everything that looks at or changes LFS files of
//! the work tree is here, and hands libgit2 only what it reads rightly.

mod adopt;
mod area;
mod autotrack;
mod content;
mod follow_rewrite;
mod fsck;
mod guard;
mod history;
mod interrupted;
mod keep;
mod lay_out;
mod materialise;
mod obstacles;
mod options;
mod place;
mod pointers;
mod preflight;
mod prune;
mod rewrite;
mod rewrite_rules;
mod rules_file;
mod scan;
mod selection;
mod stage;
mod stage_rules;
mod stale_rules;
mod survey;
mod suspects;
mod tree;
mod walk;
mod wanted;

pub(crate) use adopt::adopt;
pub(crate) use area::Area;
pub use autotrack::{AutoTrack, TrackReason};
pub(crate) use follow_rewrite::FollowRewrite;
pub use fsck::{BadPointer, Damage, DamagedObject, FsckChecks, FsckReport, PointerProblem, Repair};
pub(crate) use fsck::{Fsck, Repairing};
pub(crate) use guard::refuse_raw_lfs_files;
pub(crate) use history::History;
pub(crate) use interrupted::{complete, refuse_interrupted};
pub(crate) use materialise::{Fill, Switch, fill, lacking};
pub use options::{OnChanging, StageOptions};
pub(crate) use pointers::Pointers;
pub(crate) use preflight::{HUB_BLOB_LIMIT, Rules, examine};
pub(crate) use prune::{Prune, objects_brought, replaced_objects};
pub(crate) use rewrite::{Keep, Rewrite, Rewritten};
pub(crate) use rules_file::{file_of as rules_file_of, read as read_rules, read_if_plain};
pub(crate) use scan::{Folders, scan, scan_selected};
pub(crate) use selection::Selection;
pub(crate) use stage::Stage;
pub use stage::{AutoTrackPreview, Skipped, StageReport};
pub use survey::SharedStore;
pub(crate) use survey::Survey;
pub(crate) use suspects::{Suspects, suspects};
pub(crate) use tree::staged_tree;
pub use wanted::Content;
pub(crate) use wanted::Wanted;

use crate::cancel::CancelToken;
use crate::git::Git;
use crate::lfs::Engine;
use crate::lfs::store::Store;
use crate::progress::Progress;

/// What every flow works with.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) git: &'a Git,
    pub(crate) store: &'a Store,
    pub(crate) engine: &'a dyn Engine,
    pub(crate) progress: &'a Progress,
    pub(crate) cancel: &'a CancelToken,
}
