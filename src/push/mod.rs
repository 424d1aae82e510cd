//! Pushing, at once or in the background.
//!
//! | file | concern |
//! |---|---|
//! | `ship` | what a remote lacks of a commit, and the ref: preflight, LFS objects, push |
//! | `refs` | tags and branches that are made on a remote, or deleted there |
//! | `send` | one commit of a branch to its place on the remote |
//! | `state` | the steps of that as a table |
//! | `cell`, `handle` | what a push and those who wait for it share |
//! | `journal` | what was promised, kept across crashes |
//! | `board` | which pushes are under way |
//! | `shared`, `crew` | who keeps the promises, and the threads they do it with |
//! | `options`, `settings`, `report` | what callers say, and are told |
//! | `save`, `deferred` | from the work tree to a promised commit, at once or later |
//! | `worker`, `guard` | keeping a promise, come what may |
//! | `integrate`, `side`, `follow` | when the remote has moved: its side, a branch aside, and the local branch's |
//! | `forms` | what became of commits that were made anew |
//! | `ahead` | whether there is anything to push |
//! | `resume`, `ends` | after a crash, and at the end |

mod ahead;
mod board;
mod cell;
mod crew;
mod deferred;
mod ends;
mod follow;
mod forms;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod guard;
mod handle;
mod integrate;
mod journal;
mod options;
mod refs;
mod report;
mod resume;
mod save;
mod send;
mod settings;
mod shared;
mod ship;
mod side;
mod state;
mod worker;

pub(crate) use ahead::is_ahead;
pub(crate) use crew::Pushes;
pub(crate) use follow::{forget, note_replayed, target};
pub use handle::PushHandle;
pub use options::SaveOptions;
pub(crate) use options::Timing;
pub use refs::RefChange;
pub(crate) use refs::RemoteRef;
pub use report::{
    Delivery, FlushReport, Integration, Keeper, PendingPush, PushFailure, PushProgress, PushReport,
    PushedRef, SaveReport, Saved,
};
pub(crate) use save::refuse_other_branch;
pub(crate) use send::Sending;
pub(crate) use settings::Settings;
pub use settings::{AutoPrune, OnConflict, OnDrop, PushPolicy};
