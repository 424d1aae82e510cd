//! Corners of background pushes, each found by an attack on them.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use hf_repository::{CommitId, Delivery, ErrorKind, OnDrop, Progress, PushState, Repository};
use mini_hub::Route;
use sha2::Digest;

use crate::support::saving::{
    LONG, branches, checkpoint, hold, hold_at, latest, refuse, save, tip, until_state,
};
use crate::support::{World, until, write};

/// Runs `work` on a thread of its own; whether it ended in time.
fn ends(time: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let (done, heard) = mpsc::channel();
    std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    heard.recv_timeout(time).is_ok()
}

fn orphaned(w: &World) -> CommitId {
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    refuse(w);
    let (commit, handle) = checkpoint(&repo, 1);
    handle.wait().unwrap_err();
    repo.close().unwrap_err();
    w.hub.faults().clear();
    commit
}

/// The only entry of a journal.
fn entry_in(journal: &Path) -> std::path::PathBuf {
    let mut files = fs::read_dir(journal)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files.find(|file| file.extension().is_none()).unwrap()
}

/// The user takes the commit back, and everything that git forgets is forgotten.
fn forget(w: &World, folder: &Path) {
    w.git(folder, &["reset", "-q", "--hard", "HEAD~1"]);
    w.git(folder, &["reflog", "expire", "--expire=now", "--all"]);
    w.git(folder, &["gc", "-q", "--prune=now"]);
}

#[test]
fn latest_leaves_a_commit_that_was_promised_by_hand() {
    let w = World::new();
    let repo = latest(&w);
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let (_, _) = checkpoint(&repo, 2);
    let by_hand = repo.push_in_background().unwrap();
    let (last, _) = checkpoint(&repo, 3);
    held.release();
    let report = repo.close().unwrap();
    assert!(matches!(by_hand.wait().unwrap(), Delivery::Pushed(_)));
    assert_eq!(
        tip(&w),
        last,
        "diverted: {:?}; {}",
        report.diverted,
        branches(&w)
    );
}

#[test]
fn latest_leaves_a_commit_that_git_has_pushed() {
    let w = World::new();
    let repo = latest(&w);
    let held = hold_at(&w, Route::InfoRefsReceive);
    write(repo.workdir(), "log.txt", "zero\n");
    let (_, first) = save(&repo, "text");
    until_state(&first, PushState::Preflight);
    held.arrived();
    write(repo.workdir(), "log.txt", "one\n");
    let (second, _) = save(&repo, "text");
    w.git(
        repo.workdir(),
        &["push", "-q", "--no-verify", "origin", "main"],
    );
    assert_eq!(tip(&w), second);
    write(repo.workdir(), "log.txt", "one\ntwo\n");
    let (last, _) = save(&repo, "text");
    held.release();
    let report = repo.close().unwrap();
    assert_eq!(
        tip(&w),
        last,
        "diverted: {:?}; {}",
        report.diverted,
        branches(&w)
    );
}

#[test]
fn latest_leaves_a_commit_that_push_is_about_to_send() {
    let w = World::new();
    let repo = Arc::new(latest(&w));
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let (second, _) = checkpoint(&repo, 2);
    let pusher = {
        let repo = Arc::clone(&repo);
        std::thread::spawn(move || repo.push().unwrap().commit)
    };
    // Nothing outside says that a push waits for its turn.
    std::thread::sleep(Duration::from_millis(500));
    let (last, _) = checkpoint(&repo, 3);
    held.release();
    assert_eq!(pusher.join().unwrap(), second);
    let report = repo.flush(LONG).unwrap();
    assert_eq!(
        tip(&w),
        last,
        "diverted: {:?}; {}",
        report.diverted,
        branches(&w)
    );
}

#[test]
fn close_tells_of_a_damaged_record() {
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .on_drop(OnDrop::Cancel)
        .clone_repo()
        .unwrap();
    refuse(&w);
    let _ = checkpoint(&repo, 1);
    repo.close_within(Duration::from_secs(1)).unwrap_err();
    w.hub.faults().clear();
    let folder = w.path("ours").join(".git/hf-repository/journal");
    let entry = entry_in(&folder);
    let text = fs::read(&entry).unwrap();
    fs::write(&entry, &text[..text.len() / 2]).unwrap();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let error = repo
        .close()
        .expect_err("a record of an unpushed commit was set aside");
    assert_eq!(error.kind(), ErrorKind::JournalDamaged);
}

#[test]
fn another_work_tree_leaves_the_promises_of_this_one() {
    let w = World::new();
    let commit = orphaned(&w);
    let ours = w.path("ours");
    let second = w.path("second");
    w.git(
        &ours,
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "side",
            &second.to_string_lossy(),
            "HEAD~1",
        ],
    );
    let there = Repository::prepare("alice/m", &second)
        .endpoint(w.endpoint())
        .token(w.token.parse().unwrap())
        .open()
        .unwrap();
    write(&second, "b.txt", "b\n");
    let _ = there.save("beside").unwrap();
    there.close().unwrap();
    forget(&w, &ours);
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    assert_eq!(repo.pending_pushes().unwrap().len(), 1);
    let error = repo.close().err();
    assert_eq!(tip(&w), commit, "the promised commit is lost: {error:?}");
}

#[test]
fn a_promise_made_twice_is_protected_until_both_are_void() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let (commit, second) = checkpoint(&repo, 2);
    let again = repo.push_in_background().unwrap();
    second.cancel();
    held.release();
    first.wait().unwrap();
    refuse(&w);
    again.wait().unwrap_err();
    let refs = w.git(
        repo.workdir(),
        &["for-each-ref", "refs/hf-repository/promised"],
    );
    assert_eq!(repo.pending_pushes().unwrap().len(), 1);
    assert!(
        refs.contains(&commit.to_string()),
        "promised, but not protected: {refs:?}"
    );
}

#[test]
fn a_record_that_cannot_be_read_keeps_its_commit() {
    let w = World::new();
    let commit = orphaned(&w);
    let ours = w.path("ours");
    let folder = ours.join(".git/hf-repository/journal");
    let entry = entry_in(&folder);
    // By a newer version: "left alone and told as Unsupported".
    let text = fs::read_to_string(&entry).unwrap();
    let json = text
        .lines()
        .next()
        .unwrap()
        .replace("\"version\":1", "\"version\":2");
    let digest = sha2::Sha256::digest(json.as_bytes());
    let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&entry, format!("{json}\n{sum}")).unwrap();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    // It tells of it, which is as documented; that it is `Err` each time is not.
    let _ = repo.resume_pushes();
    assert!(entry.exists());
    let refs = w.git(&ours, &["for-each-ref", "refs/hf-repository/promised"]);
    assert!(
        refs.contains(&commit.to_string()),
        "left alone, but for its protection: {refs:?}"
    );
}

#[test]
fn what_the_user_took_back_stays_back_without_a_reflog() {
    let w = World::new();
    orphaned(&w);
    let ours = w.path("ours");
    forget(&w, &ours);
    let before = w.git(&ours, &["rev-parse", "HEAD"]);
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    repo.close().unwrap();
    let after = w.git(&ours, &["rev-parse", "HEAD"]);
    let status = w.git(&ours, &["status", "--short"]);
    assert_eq!(
        after, before,
        "the branch was moved under the index: {status}"
    );
}

#[test]
fn no_lock_is_held_when_a_superseded_save_is_told() {
    let w = World::new();
    let repo = Arc::new(latest(&w));
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let (_, second) = checkpoint(&repo, 2);
    let (told, heard) = mpsc::channel();
    let again = Arc::clone(&repo);
    second.on_done(move |_| {
        let begun = Instant::now();
        let outcome = again.stage().map(drop).map_err(|error| error.to_string());
        told.send((begun.elapsed(), outcome)).unwrap();
    });
    let begun = Instant::now();
    let _ = checkpoint(&repo, 3);
    let took = begun.elapsed();
    held.release();
    let (waited, outcome) = heard.recv().unwrap();
    assert!(
        outcome.is_ok() && took < Duration::from_secs(10),
        "save {took:?}; {waited:?} {outcome:?}"
    );
}

#[test]
fn the_last_repository_may_be_dropped_in_a_callback() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let (commit, second) = checkpoint(&repo, 2);
    let (told, heard) = mpsc::channel();
    first.on_done(move |_| {
        let begun = Instant::now();
        drop(repo);
        told.send(begun.elapsed()).unwrap();
    });
    held.release();
    let took = heard.recv_timeout(Duration::from_secs(90)).unwrap();
    let end = second.wait();
    assert!(
        took < Duration::from_secs(20) && tip(&w) == commit,
        "waited {took:?} for itself, then {end:?}"
    );
}

#[test]
fn waiting_in_a_callback_does_not_hang_for_ever() {
    let w = World::new();
    w.model("alice/m");
    let repo = Arc::new(w.clone("alice/m", "ours"));
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let (_, second) = checkpoint(&repo, 2);
    let again = Arc::clone(&repo);
    first.on_done(move |_| {
        let _ = again.wait_for_pushes();
    });
    held.release();
    let end = second.wait_timeout(Duration::from_secs(20));
    std::mem::forget(repo);
    assert!(end.is_some(), "the worker waits for itself");
}

#[test]
fn a_progress_that_panics_does_not_make_close_hang() {
    let w = World::new();
    w.model("alice/m");
    let progress = Progress::new(|event| {
        if matches!(
            event,
            hf_repository::Event::Push {
                phase: PushState::Preflight,
                ..
            }
        ) {
            panic!("a user's mistake");
        }
    });
    let repo = w
        .prepare("alice/m", "ours")
        .progress(progress)
        .clone_repo()
        .unwrap();
    let _ = checkpoint(&repo, 1);
    assert!(
        ends(Duration::from_secs(20), move || drop(repo.close())),
        "the worker is dead, and close waits for it"
    );
}

#[test]
fn close_within_holds_while_the_clone_is_locked() {
    let w = World::new();
    orphaned(&w);
    let lock = fs::File::options()
        .write(true)
        .open(w.path("ours").join(".git/hf-repository/lock"))
        .unwrap();
    lock.lock().unwrap();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let begun = Instant::now();
    repo.close_within(Duration::from_secs(4)).unwrap_err();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(7500), "{took:?}");
}

#[test]
fn cancel_after_a_failure_takes_the_promise_back() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let before = tip(&w);
    refuse(&w);
    let (_, handle) = checkpoint(&repo, 1);
    handle.wait().unwrap_err();
    handle.cancel();
    w.hub.faults().clear();
    let pending = repo.pending_pushes().unwrap();
    let _ = repo.close();
    assert_eq!(tip(&w), before, "{pending:?}");
}

#[test]
fn stale_locks_of_branches_go_in_a_linked_work_tree_too() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "ours");
    let second = w.path("second");
    w.git(
        first.workdir(),
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "side",
            &second.to_string_lossy(),
        ],
    );
    let read = |file: &str| fs::read_to_string(file).unwrap().trim().to_owned();
    let record = |branch: &str| {
        format!(
            "{{\"version\":1,\"host\":\"{}\",\"boot\":\"{}\",\"pid\":1,\"started\":987654321,\
             \"takes\":[\"index.lock\",\"HEAD.lock\",\"refs/heads/{branch}.lock\"]}}",
            read("/proc/sys/kernel/hostname"),
            read("/proc/sys/kernel/random/boot_id"),
        )
    };
    let common = w.path("ours").join(".git");
    let there = Repository::prepare("alice/m", &second)
        .endpoint(w.endpoint())
        .token(w.token.parse().unwrap())
        .open()
        .unwrap();
    for (repo, private, branch) in [
        (&first, common.join("hf-repository"), "main"),
        (
            &there,
            common.join("worktrees/second/hf-repository"),
            "side",
        ),
    ] {
        write(&private, "lock", record(branch));
        write(&common, &format!("refs/heads/{branch}.lock"), "");
        write(repo.workdir(), "a.txt", "a\n");
        let saved = repo.save("after a crash").map(drop);
        assert!(saved.is_ok(), "{branch}: {saved:?}");
    }
}

#[test]
fn what_a_cancelled_repository_promised_is_anybodys() {
    let w = World::new();
    w.model("alice/m");
    let cancel = hf_repository::CancelToken::new();
    let repo = w
        .prepare("alice/m", "ours")
        .cancel_token(cancel.clone())
        .clone_repo()
        .unwrap();
    let held = hold(&w);
    let (commit, handle) = checkpoint(&repo, 1);
    until_state(&handle, PushState::Uploading);
    cancel.cancel();
    handle.wait().unwrap_err();
    held.release();
    let next = w.prepare("alice/m", "ours").open().unwrap();
    let report = next.flush(Duration::from_secs(10));
    assert_eq!(tip(&w), commit, "{report:?}; {:?}", next.pending_pushes());
}

#[test]
fn close_tells_of_a_promised_commit_that_is_gone() {
    let w = World::new();
    let commit = orphaned(&w);
    let ours = w.path("ours");
    // However it came about: see r07 to r09.
    w.git(
        &ours,
        &[
            "update-ref",
            "-d",
            &format!("refs/hf-repository/promised/{commit}"),
        ],
    );
    forget(&w, &ours);
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    assert_eq!(repo.pending_pushes().unwrap().len(), 1);
    let error = repo.close().expect_err("a promised commit is lost");
    assert_eq!(error.kind(), ErrorKind::JournalDamaged);
}

#[test]
fn a_callback_may_save_while_the_queue_is_full() {
    let w = World::new();
    w.model("alice/m");
    let repo = Arc::new(w.clone("alice/m", "ours"));
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let again = Arc::clone(&repo);
    first.on_done(move |_| {
        write(again.workdir(), "metrics.json", "{}\n");
        let _ = again.save("metrics").unwrap();
    });
    let training = Arc::clone(&repo);
    let ended = std::thread::spawn(move || {
        ends(Duration::from_secs(60), move || {
            for seed in 2..=20 {
                write(training.workdir(), "log.txt", format!("{seed}\n"));
                let _ = training.save(format!("step {seed}")).unwrap();
            }
        })
    });
    // The queue fills up.
    until("the queue is full", || {
        repo.pending_pushes().unwrap().len() >= 18
    });
    held.release();
    let ended = ended.join().unwrap();
    std::mem::forget(repo);
    assert!(
        ended,
        "the worker waits for itself, and the training for the worker"
    );
}
