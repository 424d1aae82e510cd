//! Saves that return at once, and pushes that happen meanwhile.

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hf_repository::{
    CommitId, Delivery, ErrorKind, PushHandle, PushPolicy, PushState, Repository, Saved,
};
use mini_hub::{Action, Fault, Route};

use crate::support::saving::{LONG, checkpoint, hold, latest, puts, save, tip, until_state};
use crate::support::{World, until, weights, write};

#[test]
fn a_save_is_on_the_disk_at_once_and_on_the_hub_soon() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let (commit, handle) = checkpoint(&repo, 1);
    assert_eq!(repo.head().unwrap(), Some(commit));
    assert_eq!(handle.commit(), Some(commit));
    assert_eq!(handle.wait_staged().unwrap(), Some(commit));
    // The file may go: what is pushed comes from the store.
    fs::write(repo.workdir().join("model.bin"), "overwritten").unwrap();
    let Delivery::Pushed(report) = handle.wait().unwrap() else {
        panic!("{handle:?}");
    };
    assert_eq!((report.commit, report.lfs_objects), (commit, 1));
    assert_eq!(handle.state(), PushState::Pushed);
    assert_eq!(handle.progress().bytes, 60_000);
    assert!(matches!(handle.try_wait(), Some(Ok(Delivery::Pushed(_)))));
    assert_eq!(tip(&w), commit);
    let fresh = w.clone("alice/m", "fresh");
    assert_eq!(
        fs::read(fresh.workdir().join("model.bin")).unwrap(),
        weights(1, 60_000)
    );
    assert!(repo.pending_pushes().unwrap().is_empty());
    let report = repo.close().unwrap();
    assert_eq!(report.pushed, [commit]);
    w.git(w.path("ours"), &["checkout", "-q", "--", "model.bin"]);
    w.assert_sound(&w.path("ours"));
    let refs = w.git(w.path("ours"), &["for-each-ref", "refs/hf-repository"]);
    assert_eq!(refs, "");
}

#[test]
fn unchanged_means_on_the_hub() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    assert!(matches!(
        repo.save("nothing").unwrap().saved,
        Saved::Unchanged
    ));
    assert!(repo.is_clean().unwrap());
    // Committed, but not pushed: a save has something to do, and nothing is clean.
    write(repo.workdir(), "a.txt", "a\n");
    repo.stage().unwrap();
    let commit = repo.commit("by hand").unwrap().commit().unwrap();
    assert!(repo.status().unwrap().is_clean());
    assert!(!repo.is_clean().unwrap());
    let (queued, handle) = save(&repo, "nothing new");
    assert_eq!(queued, commit);
    handle.wait().unwrap();
    assert!(repo.is_clean().unwrap());
    assert!(matches!(
        repo.save("nothing").unwrap().saved,
        Saved::Unchanged
    ));
    assert_eq!(repo.save("").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn twenty_commits_arrive_in_order() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).act(Action::Delay(Duration::from_millis(500))));
    let saved: Vec<CommitId> = (1..=20).map(|seed| checkpoint(&repo, seed).0).collect();
    let report = repo.close().unwrap();
    assert_eq!(report.pushed, saved);
    let log = w.git(w.bare("alice/m"), &["rev-list", "--reverse", "main"]);
    let arrived: Vec<CommitId> = log
        .lines()
        .skip(1)
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(arrived, saved);
    assert_eq!(puts(&w), 20);
    w.assert_sound(&w.path("ours"));
}

#[test]
fn the_latest_takes_the_place_of_those_that_wait() {
    let w = World::new();
    let repo = latest(&w);
    let held = hold(&w);
    let (first, first_handle) = checkpoint(&repo, 1);
    // The first is under way before the others come.
    until_state(&first_handle, PushState::Uploading);
    let others: Vec<(CommitId, PushHandle)> =
        (2..=20).map(|seed| checkpoint(&repo, seed)).collect();
    held.release();
    let last = others.last().unwrap().0;
    let mut report = repo.close().unwrap();
    report.pushed.sort();
    let mut expected = vec![first, last];
    expected.sort();
    assert_eq!(report.pushed, expected);
    for ((commit, handle), by) in others.iter().zip(others[1..].iter().map(|(by, _)| by)) {
        let end = handle.wait().unwrap();
        assert_eq!(end, Delivery::Superseded { by: *by }, "{commit}");
        assert_eq!(handle.state(), PushState::Superseded);
    }
    assert_eq!(tip(&w), last);
    let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
    assert_eq!(log.lines().count(), 3, "the Hub's, the first and the last");
    assert_eq!(puts(&w), 2);
    w.assert_sound(&w.path("ours"));
}

#[test]
fn commits_of_the_user_are_never_replaced() {
    let w = World::new();
    let repo = latest(&w);
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).act(Action::Delay(Duration::from_millis(700))));
    let (first, handle) = checkpoint(&repo, 1);
    until("it is begun", || handle.state() != PushState::Queued);
    write(repo.workdir(), "notes.txt", "by hand\n");
    repo.stage().unwrap();
    let own = repo.commit("by hand").unwrap().commit().unwrap();
    let own_handle = repo.push_in_background().unwrap();
    let (second, second_handle) = checkpoint(&repo, 2);
    let (third, _) = checkpoint(&repo, 3);
    repo.flush(LONG).unwrap();
    assert!(matches!(own_handle.wait().unwrap(), Delivery::Pushed(_)));
    assert_eq!(
        second_handle.wait().unwrap(),
        Delivery::Superseded { by: third }
    );
    let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
    let arrived: Vec<CommitId> = log.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(arrived[..3], [third, own, first]);
    assert!(!arrived.contains(&second));
}

#[test]
fn what_fails_is_told_by_the_handle_the_next_save_and_close() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let hook = w.bare("alice/m").join("refuse");
    w.hub
        .faults()
        .add(Fault::on(Route::LfsBatch).act(Action::status(422)));
    let (first, handle) = checkpoint(&repo, 1);
    let error = handle.wait().unwrap_err();
    assert_eq!(handle.state(), PushState::Failed);
    assert_eq!(
        handle.wait().unwrap_err().to_string(),
        error.to_string(),
        "again"
    );
    write(repo.workdir(), "model.bin", weights(2, 60_000));
    let report = repo.save("step 2").unwrap();
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].commit, Some(first));
    // The second push took the first commit along.
    let pushed = repo.close().unwrap().pushed;
    assert!(pushed.contains(&first), "{pushed:?}");
    drop(hook);
}

#[test]
fn a_cancelled_push_ends_at_once_even_if_the_server_is_silent() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for (route, state) in [
        (Route::InfoRefsReceive, PushState::Preflight),
        (Route::LfsBatch, PushState::Uploading),
        (Route::LfsPut, PushState::Uploading),
        (Route::ReceivePack, PushState::Pushing),
    ] {
        w.hub.clear_requests();
        w.hub.faults().add(Fault::on(route).act(Action::Stall));
        let seed = w.hub.requests().len() as u64 + route as u64 + 10;
        let (commit, running) = checkpoint(&repo, seed);
        let (_, waiting) = checkpoint(&repo, seed + 100);
        let asked = || {
            w.hub
                .requests()
                .iter()
                .any(|request| request.route == route)
        };
        until("it hangs", || asked() && running.state() == state);
        waiting.cancel();
        assert_eq!(waiting.state(), PushState::Cancelled);
        let began = Instant::now();
        running.cancel();
        let told = began.elapsed();
        let error = running.wait_timeout(LONG).unwrap().unwrap_err();
        let ended = began.elapsed();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{route:?}");
        // A few milliseconds on a machine that has nothing else to do; unheeded, for ever.
        println!("{route:?}: told in {told:?}, ended in {ended:?}");
        assert!(told < Duration::from_secs(1), "{route:?}: {told:?}");
        assert!(ended < Duration::from_secs(2), "{route:?}: {ended:?}");
        w.hub.faults().clear();
        assert!(
            repo.pending_pushes().unwrap().is_empty(),
            "{commit}: withdrawn"
        );
    }
    // The commits are still there, and go with the next push.
    let (last, handle) = checkpoint(&repo, 999);
    handle.wait().unwrap();
    assert_eq!(tip(&w), last);
    let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
    assert_eq!(log.lines().count(), 10);
}

#[test]
fn a_final_push_passes_what_waits() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).act(Action::Delay(Duration::from_millis(300))));
    let handles: Vec<PushHandle> = (1..=5).map(|seed| checkpoint(&repo, seed).1).collect();
    let report = repo.push().unwrap();
    assert_eq!(report.commit, repo.head().unwrap().unwrap());
    assert_eq!(tip(&w), report.commit);
    for handle in handles {
        assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    }
    assert_eq!(puts(&w), 5);
}

#[test]
fn a_callback_that_panics_harms_nobody() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let (_, handle) = checkpoint(&repo, 1);
    let (sender, receiver) = mpsc::channel();
    handle.on_done(|_| panic!("a user's callback"));
    handle.on_done(move |end| sender.send(end.is_ok()).unwrap());
    assert!(receiver.recv_timeout(LONG).unwrap());
    let (_, handle) = checkpoint(&repo, 2);
    assert!(handle.wait().is_ok(), "the worker lives");
}

/// How many LFS objects lie in the local store.
fn stored(repo: &Repository) -> usize {
    let objects = repo.workdir().join(".git/lfs/objects");
    crate::support::judge::files(&objects).len()
}

#[test]
fn fifty_checkpoints_leave_two_at_most() {
    let w = World::new();
    w.model("alice/m");
    for (folder, policy) in [
        ("every", PushPolicy::EveryCommit),
        ("latest", PushPolicy::Latest),
    ] {
        let repo = w
            .prepare("alice/m", folder)
            .push_policy(policy)
            .clone_repo()
            .unwrap();
        for seed in 1..=50 {
            checkpoint(&repo, seed * 2 + policy as u64);
        }
        repo.flush(LONG).unwrap();
        assert!(stored(&repo) <= 2, "{policy:?}: {}", stored(&repo));
        repo.close().unwrap();
        w.assert_sound(&w.path(folder));
    }
    let fresh = w.clone("alice/m", "fresh");
    assert_eq!(
        fs::read(fresh.workdir().join("model.bin")).unwrap(),
        weights(101, 60_000)
    );
}

#[test]
fn nothing_is_pruned_before_the_server_has_it() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    w.hub.faults().add(
        Fault::on(Route::ReceivePack)
            .always()
            .act(Action::status(403)),
    );
    for seed in 1..=3 {
        let (_, handle) = checkpoint(&repo, seed);
        handle.wait().unwrap_err();
    }
    assert_eq!(stored(&repo), 3);
    w.hub.faults().clear();
    repo.flush(LONG).unwrap();
    assert!(stored(&repo) <= 2);
    let repo = w
        .prepare("alice/m", "off")
        .auto_prune(hf_repository::AutoPrune::Off)
        .clone_repo()
        .unwrap();
    for seed in 4..=6 {
        checkpoint(&repo, seed);
    }
    repo.flush(LONG).unwrap();
    assert!(stored(&repo) >= 3);
}

#[test]
fn a_push_in_the_calling_thread_comes_before_the_next_job() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let delay = Action::Delay(Duration::from_millis(150));
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).always().act(delay));
    let handles: Vec<PushHandle> = (1..=8).map(|seed| checkpoint(&repo, seed).1).collect();
    let report = repo.push().unwrap();
    assert_eq!(report.outcome, hf_repository::PushedRef::Moved);
    let waiting = handles
        .iter()
        .filter(|handle| !handle.state().is_final())
        .count();
    assert!(waiting >= 5, "only {waiting} of 8 were passed");
    for handle in handles {
        assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    }
    assert_eq!(puts(&w), 8);
}

#[test]
fn what_failed_is_delivered_by_any_later_push() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    w.hub
        .faults()
        .add(Fault::on(Route::LfsBatch).act(Action::status(422)));
    let (_, handle) = checkpoint(&repo, 1);
    handle.wait().unwrap_err();
    assert_eq!(repo.pending_pushes().unwrap().len(), 1);
    repo.push().unwrap();
    assert!(repo.pending_pushes().unwrap().is_empty());
    assert!(repo.is_clean().unwrap());
}

#[test]
fn the_phases_of_a_push_are_told() {
    use hf_repository::{Event, Progress};
    let w = World::new();
    w.model("alice/m");
    let (progress, events) = Progress::channel();
    let repo = w
        .prepare("alice/m", "ours")
        .progress(progress)
        .clone_repo()
        .unwrap();
    let (commit, handle) = checkpoint(&repo, 1);
    handle.wait().unwrap();
    repo.close().unwrap();
    let told = events.filter_map(|event| match event {
        Event::Push {
            commit: told,
            branch,
            phase,
        } => {
            assert_eq!((told, branch.as_str()), (commit, "main"));
            Some(phase)
        }
        _ => None,
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            PushState::Preflight,
            PushState::Uploading,
            PushState::Verifying,
            PushState::Pushing,
            PushState::Pushed
        ]
    );
}

#[test]
fn a_save_waits_when_sixteen_are_waiting() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let held = hold(&w);
    // One is under way and sixteen wait.
    let saved: Vec<CommitId> = (1..=17).map(|seed| checkpoint(&repo, seed).0).collect();
    std::thread::scope(|scope| {
        let next = scope.spawn(|| checkpoint(&repo, 18).0);
        // Its commit is safe while it waits.
        until("it is committed", || {
            repo.head().unwrap() != saved.last().copied()
        });
        until("it is promised", || {
            repo.pending_pushes().unwrap().len() == 18
        });
        assert!(!next.is_finished());
        held.release();
        next.join().unwrap();
    });
    assert_eq!(repo.close().unwrap().pushed.len(), 18);
}
