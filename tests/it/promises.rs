//! Corners of promises: which stand, which are kept by another push, and what protects them.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use hf_repository::{ErrorKind, OnConflict, PullStrategy, PushState, Repository, SaveOptions};

use sha2::{Digest, Sha256};

use crate::moved_remote::{elsewhere, two_clients};
use crate::support::saving::{branches, checkpoint, hold, latest, refuse, save, tip, until_state};
use crate::support::{World, weights, write};

/// A pull replays a promised commit while an older merge is still to be followed: `forget` drops what
/// `note_replayed` wrote a moment before, and the promise goes to a branch of its own.
#[test]
fn a_pull_that_replays_beyond_an_integration_keeps_what_it_noted() {
    let w = World::new();
    let (repo, other) = two_clients(&w, OnConflict::Merge);
    elsewhere(&other, 1);
    write(repo.workdir(), "a.txt", "a\n");
    save(&repo, "a").1.wait().unwrap();
    // The branch has not followed yet, and goes on.
    write(repo.workdir(), "b.txt", "b\n");
    repo.stage().unwrap();
    let _ = repo.commit("b").unwrap().commit().unwrap();
    refuse(&w);
    repo.push_in_background().unwrap().wait().unwrap_err();
    w.hub.faults().clear();
    let pulled = repo.pull_with(PullStrategy::Rebase).unwrap();
    let end = repo.close();
    assert_eq!(
        branches(&w).trim(),
        "main",
        "pulled {pulled:?}; close: {end:?}"
    );
    assert_eq!(tip(&w), pulled.after.unwrap());
}

/// After an outage the newest commit is replayed with all before it; the branch follows; the older
/// promises, kept long since, make a branch of their own of the old history.
#[test]
fn promises_that_a_rebase_kept_make_no_side_branch() {
    let w = World::new();
    let (repo, other) = two_clients(&w, OnConflict::Rebase);
    elsewhere(&other, 1);
    refuse(&w);
    for name in ["a", "b"] {
        write(repo.workdir(), name, "x\n");
        save(&repo, name).1.wait().unwrap_err();
    }
    w.hub.faults().clear();
    for name in ["c", "d"] {
        write(repo.workdir(), name, "x\n");
        save(&repo, name).1.wait().unwrap();
    }
    let end = repo.close();
    assert_eq!(branches(&w).trim(), "main", "close: {end:?}");
    assert!(end.unwrap().diverted.is_empty());
}

/// What a pull made of the commit is pushed again and again, although the remote has moved once more.
#[test]
fn a_replayed_promise_is_integrated_when_the_remote_moves_again() {
    let w = World::new();
    let (repo, other) = two_clients(&w, OnConflict::Merge);
    refuse(&w);
    write(repo.workdir(), "a.txt", "a\n");
    save(&repo, "a").1.wait().unwrap_err();
    w.hub.faults().clear();
    elsewhere(&other, 1);
    repo.pull_with(PullStrategy::Rebase).unwrap();
    elsewhere(&other, 2);
    let _ = repo.close();
    // Nor does the next run manage it; its error is `NonFastForward`.
    let again = w.prepare("alice/m", "ours").open_or_clone().unwrap();
    again.close().unwrap();
    let files = w.git(w.bare("alice/m"), &["ls-tree", "--name-only", "main"]);
    assert!(files.contains("a.txt"), "{files}");
}

/// A record that was set aside stops all pruning of what superseded saves stored, for good.
#[test]
fn a_damaged_record_does_not_fill_the_disk() {
    let w = World::new();
    let repo = latest(&w);
    let journal = repo.workdir().join(".git/hf-repository/journal");
    fs::create_dir_all(&journal).unwrap();
    fs::write(journal.join("damaged-00000000000000000001"), "?").unwrap();
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    for seed in 2..9 {
        checkpoint(&repo, seed);
    }
    held.release();
    repo.wait_for_pushes().unwrap();
    let (refs, objects) = (promised(&repo, &w), objects(&w, &repo));
    assert!(objects <= 2 && refs <= 2, "{objects} objects, {refs} refs");
}

fn objects(w: &World, repo: &Repository) -> usize {
    let found = w
        .command("find", repo.workdir())
        .args([".git/lfs/objects", "-type", "f"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&found.stdout).lines().count()
}

/// `cancel` that comes while a flush takes failed pushes up again.
#[test]
fn a_cancel_that_meets_a_flush_is_heard() {
    for round in (14..38_u64).step_by(2) {
        let w = World::new();
        w.model("alice/m");
        let repo = Arc::new(w.clone("alice/m", "ours"));
        refuse(&w);
        let mut handles = Vec::new();
        for n in 0..12 {
            write(repo.workdir(), "a.txt", format!("{n}\n"));
            handles.push(save(&repo, "a").1);
        }
        for handle in &handles {
            handle.wait().unwrap_err();
        }
        // The next push waits before it says anything.
        let before = tip(&w);
        let flusher = {
            let repo = Arc::clone(&repo);
            std::thread::spawn(move || {
                let _ = repo.flush(Duration::from_secs(20));
            })
        };
        std::thread::sleep(Duration::from_micros(50 * round));
        for handle in &handles {
            handle.cancel();
        }
        w.hub.faults().clear();
        flusher.join().unwrap();
        assert_eq!(tip(&w), before, "round {round}: pushed after all");
    }
}

/// A deferred save into an empty repository, and one of nothing but a removal that is staged.
#[test]
fn a_deferred_save_of_an_unborn_branch() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "a.txt", "a\n");
    repo.stage().unwrap();
    let saved = repo.save(SaveOptions::new("one").deferred()).unwrap();
    write(repo.workdir(), "late.txt", "late\n");
    repo.close()
        .unwrap_or_else(|error| panic!("{error:?}, {saved:?}"));
    let files = w.git(w.bare("alice/m"), &["ls-tree", "--name-only", "main"]);
    assert_eq!(files.trim(), "a.txt");
}

fn promised(repo: &Repository, w: &World) -> usize {
    let refs = ["for-each-ref", "refs/hf-repository/promised"];
    w.git(repo.workdir(), &refs).lines().count()
}

/// A failed push that is called off leaves its private ref, and so its objects, for the rest of the run.
#[test]
fn a_failed_push_that_is_called_off_leaves_no_ref() {
    let w = World::new();
    let repo = latest(&w);
    refuse(&w);
    for seed in 1..6 {
        let (_, handle) = checkpoint(&repo, seed);
        handle.wait().unwrap_err();
        handle.cancel();
    }
    w.hub.faults().clear();
    for seed in 6..9 {
        checkpoint(&repo, seed).1.wait().unwrap();
    }
    repo.wait_for_pushes().unwrap();
    let objects = objects(&w, &repo);
    let refs = promised(&repo, &w);
    assert!(refs == 0, "{refs} refs, {objects} objects");
}

/// Each save of nothing new promises the same commit once more while the server fails.
#[test]
fn one_commit_is_promised_once() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    refuse(&w);
    checkpoint(&repo, 1).1.wait().unwrap_err();
    for _ in 0..5 {
        save(&repo, "nothing new").1.wait().unwrap_err();
    }
    assert_eq!(repo.pending_pushes().unwrap().len(), 1);
}

/// `release` looks at its own journal only; the private refs are common to all work trees.
#[test]
fn a_release_leaves_the_ref_that_another_work_tree_needs() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let held = hold(&w);
    let (kept, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    refuse(&w);
    let (commit, second) = checkpoint(&repo, 2);
    let linked = w.path("linked");
    let place = linked.to_str().unwrap();
    w.git(
        repo.workdir(),
        &["worktree", "add", "-q", "-b", "two", place, "main"],
    );
    let two = w.prepare("alice/m", "linked").open().unwrap();
    let other = two.push_in_background().unwrap();
    other.wait().unwrap_err();
    assert_eq!(two.pending_pushes().unwrap().len(), 1);
    second.cancel();
    held.release();
    let _ = first.wait();
    // The second is released when this returns.
    let ours = repo.workdir().to_owned();
    assert_eq!(repo.close().unwrap_err().unpushed(), [kept]);
    let name = format!("refs/hf-repository/promised/{commit}");
    let found = w.git(ours, &["for-each-ref", &name]);
    assert!(
        !found.is_empty(),
        "the promise of the other work tree is unprotected"
    );
}

/// An amended commit: the old one's promise goes aside. If the remote has the side branch's name, with
/// a tip that is not known here, it must not come to `main` after all.
#[test]
fn a_commit_that_was_amended_never_comes_to_its_branch() {
    let w = World::new();
    let (repo, other) = two_clients(&w, OnConflict::Merge);
    refuse(&w);
    write(repo.workdir(), "secret.txt", "x\n");
    let (commit, handle) = save(&repo, "a");
    handle.wait().unwrap_err();
    w.git(repo.workdir(), &["rm", "-q", "secret.txt"]);
    write(repo.workdir(), "b.txt", "b\n");
    w.git(repo.workdir(), &["add", "b.txt"]);
    w.git(repo.workdir(), &["commit", "-q", "--amend", "-m", "b"]);
    w.hub.faults().clear();
    // Somebody took the side branch and went on, and main has moved.
    elsewhere(&other, 1);
    let side = format!("main:refs/heads/main-{}", &commit.to_string()[..10]);
    w.git(
        other.workdir(),
        &["push", "-q", "--no-verify", "origin", &side],
    );
    let end = repo.close();
    let files = w.git(w.bare("alice/m"), &["ls-tree", "--name-only", "main"]);
    assert!(!files.contains("secret"), "{end:?}: {files}");
}

/// Somebody may change the clone for long (a pull that downloads): a push does not wait for that.
#[test]
fn a_push_sends_while_the_clone_is_being_changed() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "a.txt", "a\n");
    repo.stage().unwrap();
    let commit = repo.commit("a").unwrap().commit().unwrap();
    let lock = fs::File::options()
        .write(true)
        .open(repo.workdir().join(".git/hf-repository/lock"))
        .unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let push = scope.spawn(|| repo.push());
        crate::support::until("it arrives", || tip(&w) == commit);
        drop(lock);
        assert_eq!(push.join().unwrap().unwrap().commit, commit);
    });
}

/// Pulled twice, the commit got two other ids: the second pull must not leave the promise with the first.
#[test]
fn a_promise_follows_its_commit_through_two_rebases() {
    let w = World::new();
    let (repo, other) = two_clients(&w, OnConflict::Merge);
    refuse(&w);
    write(repo.workdir(), "a.txt", "a\n");
    save(&repo, "a").1.wait().unwrap_err();
    w.hub.faults().clear();
    for seed in 1..=2 {
        elsewhere(&other, seed);
        let pulled = repo.pull_with(PullStrategy::Rebase).unwrap();
        assert_eq!(pulled.rewritten.len(), 1);
    }
    let head = repo.head().unwrap().unwrap();
    repo.close().unwrap();
    assert_eq!((branches(&w).as_str(), tip(&w)), ("main", head));
}

/// A pull that fails after it has made the commits anew leaves the branch, and the promise, where they were.
#[test]
fn a_promise_stays_with_its_branch_when_a_second_rebase_fails() {
    let w = World::new();
    let (repo, other) = two_clients(&w, OnConflict::Merge);
    refuse(&w);
    write(repo.workdir(), "a.txt", "a\n");
    save(&repo, "a").1.wait().unwrap_err();
    w.hub.faults().clear();
    elsewhere(&other, 1);
    let _ = repo.pull_with(PullStrategy::Rebase).unwrap();
    let head = repo.head().unwrap().unwrap();
    elsewhere(&other, 2);
    write(repo.workdir(), "data.bin", "an edit\n");
    let error = repo.pull_with(PullStrategy::Rebase).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DirtyWorktree);
    assert_eq!(repo.head().unwrap(), Some(head));
    repo.close().unwrap();
    assert_eq!(branches(&w), "main");
    let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
    assert!(log.contains(&head.to_string()));
}

/// A commit that got a name is no longer one of many, though a newer checkpoint comes before its push.
#[test]
fn latest_takes_no_commit_off_the_branch_that_a_tag_or_another_branch_names() {
    let w = World::new();
    let repo = latest(&w);
    let held = hold(&w);
    checkpoint(&repo, 1);
    held.arrived();
    let (named, first) = checkpoint(&repo, 2);
    w.git(repo.workdir(), &["tag", "v1", &named.to_string()]);
    let (replaced, second) = checkpoint(&repo, 3);
    let (last, third) = checkpoint(&repo, 4);
    drop(held);
    for handle in [&first, &second, &third] {
        handle.wait().unwrap();
    }
    let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
    assert!(log.contains(&named.to_string()) && log.contains(&last.to_string()));
    assert!(!log.contains(&replaced.to_string()));
}

/// Saves in other work trees have locks of their own, and may be about to name what nobody else has.
#[test]
fn what_a_replaced_commit_brought_stays_where_there_are_other_work_trees() {
    let w = World::new();
    let repo = latest(&w);
    w.git(
        repo.workdir(),
        &["worktree", "add", "-q", "../second", "-b", "second"],
    );
    let held = hold(&w);
    checkpoint(&repo, 1);
    held.arrived();
    checkpoint(&repo, 2);
    let (_, last) = checkpoint(&repo, 3);
    drop(held);
    last.wait().unwrap();
    repo.wait_for_pushes().unwrap();
    let replaced = Sha256::digest(weights(2, 60_000));
    let oid: String = replaced.iter().map(|byte| format!("{byte:02x}")).collect();
    let objects = repo.workdir().join(".git/lfs/objects");
    assert!(objects.join(&oid[..2]).join(&oid[2..4]).join(&oid).exists());
}

/// A commit that the remote has under another name is still to be brought to the branch.
#[test]
fn a_branch_that_was_forwarded_to_what_another_has_is_pushed() {
    let w = World::new();
    let (repo, other) = two_clients(&w, OnConflict::Merge);
    let _ = other
        .checkout_with("exp", hf_repository::CheckoutOptions::Create)
        .unwrap();
    write(other.workdir(), "exp.txt", "exp\n");
    other.stage().unwrap();
    let exp = other.commit("exp").unwrap().commit().unwrap();
    other.push().unwrap();
    w.git(repo.workdir(), &["fetch", "-q"]);
    assert!(repo.is_clean().unwrap());
    w.git(repo.workdir(), &["merge", "-q", "--ff-only", "origin/exp"]);
    assert!(!repo.is_clean().unwrap());
    let (commit, handle) = save(&repo, "nothing new");
    handle.wait().unwrap();
    assert_eq!((commit, tip(&w)), (exp, exp));
    assert!(repo.is_clean().unwrap());
    // A branch that was merely begun is nothing to push.
    let _ = repo
        .checkout_with("idea", hf_repository::CheckoutOptions::Create)
        .unwrap();
    assert!(matches!(
        repo.save("nothing").unwrap().saved,
        hf_repository::Saved::Unchanged
    ));
    assert!(!branches(&w).contains("idea"));
}
