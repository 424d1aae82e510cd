//! Saving, and watching what becomes of it.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use hf_repository::{CommitId, PushHandle, PushState, Repository, SaveOptions, Saved};
use mini_hub::{Action, Fault, Route};

use super::{World, weights, write};

/// Longer than anything takes that works at all.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Saves a checkpoint; its commit and its push.
#[track_caller]
pub(crate) fn checkpoint(repo: &Repository, seed: u64) -> (CommitId, PushHandle) {
    write(repo.workdir(), "model.bin", weights(seed, 60_000));
    save(repo, &format!("step {seed}"))
}

#[track_caller]
pub(crate) fn save(repo: &Repository, message: &str) -> (CommitId, PushHandle) {
    match repo.save(message).unwrap().saved {
        Saved::Queued { commit, handle } => (commit, handle),
        other => panic!("{other:?}"),
    }
}

/// What the remote's branch is at.
pub(crate) fn tip(w: &World) -> CommitId {
    w.remote_tip("alice/m", "main").unwrap().parse().unwrap()
}

/// How many LFS objects were sent.
pub(crate) fn puts(w: &World) -> usize {
    let log = w.hub.requests();
    log.iter()
        .filter(|r| r.route == Route::LfsPut && r.status == 200)
        .count()
}

#[track_caller]
pub(crate) fn defer(repo: &Repository, options: impl Into<SaveOptions>) -> PushHandle {
    match repo.save(options.into().deferred()).unwrap().saved {
        Saved::Staging { handle } => handle,
        other => panic!("{other:?}"),
    }
}

/// The next upload of an LFS object waits until told otherwise.
pub(crate) fn hold(w: &World) -> mpsc::Sender<()> {
    let (held, release) = mpsc::channel();
    let release = Mutex::new(release);
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).act(Action::call(move || {
            let _ = release.lock().unwrap().recv_timeout(LONG);
        })));
    held
}

pub(crate) fn until_state(handle: &PushHandle, state: PushState) {
    super::until("the state", || handle.state() == state);
}
