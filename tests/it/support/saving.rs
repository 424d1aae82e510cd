//! Saving, and watching what becomes of it.

use std::fs;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use hf_repository::{CommitId, PushHandle, PushPolicy, PushState, Repository, SaveOptions, Saved};
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

/// A clone of a new repository, in which the latest checkpoint takes the place of those that wait.
pub(crate) fn latest(w: &World) -> Repository {
    w.model("alice/m");
    w.prepare("alice/m", "ours")
        .push_policy(PushPolicy::Latest)
        .clone_repo()
        .unwrap()
}

/// No push is let in any more.
pub(crate) fn refuse(w: &World) {
    w.hub.faults().add(
        Fault::on(Route::InfoRefsReceive)
            .always()
            .act(Action::status(403)),
    );
}

/// The branches of the remote, for messages and comparisons.
pub(crate) fn branches(w: &World) -> String {
    w.git(
        w.bare("alice/m"),
        &["for-each-ref", "--format=%(refname:short)", "refs/heads"],
    )
}

/// A request that waits until told otherwise.
pub(crate) struct Held {
    arrived: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

impl Held {
    /// Waits until the request has arrived, and is held.
    #[track_caller]
    pub(crate) fn arrived(&self) {
        self.arrived.recv_timeout(LONG).unwrap();
    }

    #[track_caller]
    pub(crate) fn release(&self) {
        self.release.send(()).unwrap();
    }
}

/// Holds the next request of a kind. It goes on at the latest when this value is dropped.
pub(crate) fn hold_at(w: &World, route: Route) -> Held {
    let (tell, arrived) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    w.hub
        .faults()
        .add(Fault::on(route).act(Action::call(move || {
            let _ = tell.send(());
            let _ = released.lock().unwrap().recv_timeout(LONG);
        })));
    Held { arrived, release }
}

/// Holds the next upload of an LFS object.
pub(crate) fn hold(w: &World) -> Held {
    hold_at(w, Route::LfsPut)
}

/// Writes a file again until its time is another: the same bytes, but changed for all that status knows.
pub(crate) fn write_again(repo: &Repository, name: &str, bytes: &str) {
    let path = repo.workdir().join(name);
    let time = || fs::metadata(&path).unwrap().modified().unwrap();
    let before = time();
    super::until("the clock ticks", || {
        write(repo.workdir(), name, bytes);
        time() != before
    });
}

pub(crate) fn until_state(handle: &PushHandle, state: PushState) {
    super::until("the state", || handle.state() == state);
}
