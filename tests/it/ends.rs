//! How background pushes end, and what is left then.

use std::fs;
use std::time::{Duration, Instant};

use hf_repository::{CommitId, Delivery, ErrorKind, OnDrop, Repository};
use mini_hub::{Action, Fault, Route};

use crate::support::World;
use crate::support::saving::{LONG, checkpoint, puts, tip};

#[test]
fn a_server_that_always_fails_stops_no_training() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    w.hub.faults().add(
        Fault::on(Route::InfoRefsReceive)
            .always()
            .act(Action::status(500)),
    );
    // More than may wait: a save never waits for a server that fails. Fourteen of them would, each for as
    // long as a push is tried, which is 20 s.
    let began = Instant::now();
    let saved: Vec<CommitId> = (1..=30).map(|seed| checkpoint(&repo, seed).0).collect();
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let error = repo.close_within(Duration::from_secs(3)).unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(error.kind(), ErrorKind::Unpushed);
    let mut left = error.unpushed().to_vec();
    left.sort();
    let mut expected = saved.clone();
    expected.sort();
    assert_eq!(left, expected);
    for commit in &saved {
        assert!(error.to_string().contains(&commit.to_string()), "{error}");
    }
    w.hub.faults().clear();
    // A later run delivers them.
    let again = Repository::prepare("alice/m", w.path("ours"))
        .endpoint(w.endpoint())
        .token(w.token.parse().unwrap())
        .open()
        .unwrap();
    let pending: Vec<CommitId> = again
        .pending_pushes()
        .unwrap()
        .iter()
        .filter_map(|push| push.commit)
        .collect();
    assert_eq!(pending, saved);
    assert!(!again.is_clean().unwrap());
    assert_eq!(again.flush(LONG).unwrap().pushed, saved);
    assert_eq!(tip(&w), saved[29]);
    assert_eq!(puts(&w), 30);
    assert!(again.is_clean().unwrap());
}

#[test]
fn dropping_waits_stops_or_leaves() {
    let w = World::new();
    w.model("alice/m");
    let open = |on_drop| {
        w.prepare("alice/m", "ours")
            .on_drop(on_drop)
            .open_or_clone()
            .unwrap()
    };
    let slow = || {
        let delay = Action::Delay(Duration::from_millis(600));
        w.hub.faults().add(Fault::on(Route::LfsPut).act(delay));
    };
    slow();
    let repo = open(OnDrop::Wait(LONG));
    let (first, _) = checkpoint(&repo, 1);
    drop(repo);
    assert_eq!(tip(&w), first);

    slow();
    let repo = open(OnDrop::Wait(Duration::from_millis(50)));
    let (second, handle) = checkpoint(&repo, 2);
    let began = Instant::now();
    drop(repo);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(tip(&w), first);
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    w.hub.faults().clear();

    slow();
    let repo = open(OnDrop::Leave);
    let (third, handle) = checkpoint(&repo, 3);
    drop(repo);
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    assert_eq!(tip(&w), third);

    slow();
    let repo = open(OnDrop::Cancel);
    let (fourth, _) = checkpoint(&repo, 4);
    drop(repo);
    assert_eq!(tip(&w), third);
    w.hub.faults().clear();
    let repo = open(OnDrop::default());
    let pending = repo.pending_pushes().unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].commit, Some(fourth));
    assert_eq!(repo.resume_pushes().unwrap(), 1);
    repo.wait_for_pushes().unwrap();
    assert_eq!(tip(&w), fourth);
    let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
    assert!(log.contains(&second.to_string()));
}

#[test]
fn opening_uses_no_network_and_dropping_an_idle_repository_no_time() {
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .on_drop(OnDrop::Cancel)
        .clone_repo()
        .unwrap();
    w.hub
        .faults()
        .add(Fault::on(Route::InfoRefsReceive).act(Action::Stall));
    checkpoint(&repo, 1);
    drop(repo);
    w.hub.faults().clear();
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    assert_eq!(repo.pending_pushes().unwrap().len(), 1);
    assert!(w.hub.requests().is_empty());
    let began = Instant::now();
    drop(repo);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(w.hub.requests().is_empty());
}

#[test]
fn closing_in_time_waits_for_nobody_elses_lock() {
    let w = World::new();
    w.model("alice/m");
    let open = || {
        w.prepare("alice/m", "ours")
            .on_drop(OnDrop::Cancel)
            .open_or_clone()
            .unwrap()
    };
    let repo = open();
    w.hub
        .faults()
        .add(Fault::on(Route::InfoRefsReceive).act(Action::Stall));
    checkpoint(&repo, 1);
    drop(repo);
    w.hub.faults().clear();
    let repo = open();
    let lock = fs::File::options()
        .write(true)
        .open(repo.workdir().join(".git/hf-repository/lock"))
        .unwrap();
    lock.lock().unwrap();
    let began = Instant::now();
    let error = repo.close_within(Duration::from_millis(500)).unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(error.kind(), ErrorKind::Locked, "{error:?}");
    drop(lock);
    open().close().unwrap();
    assert!(open().is_clean().unwrap());
}
