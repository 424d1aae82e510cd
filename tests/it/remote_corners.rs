//! Corners of pushes to a remote that changes, each found by an attack on them.

use std::fs;
use std::time::Instant;

use hf_repository::{CheckoutOptions, Delivery, ErrorKind, OnConflict, PushState};
use mini_hub::{Action, Fault, Route};

use crate::support::saving::{checkpoint, hold, hold_at, save, tip, until_state};
use crate::support::{World, weights, write};

#[test]
fn a_clone_of_pointers_follows_too() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    write(first.workdir(), "data.bin", weights(7, 40_000));
    save(&first, "data").1.wait().unwrap();
    let repo = w
        .prepare("alice/m", "ours")
        .content(hf_repository::Content::PointersOnly)
        .clone_repo()
        .unwrap();
    repo.fetch_content(["data.bin"]).unwrap();
    write(first.workdir(), "data.bin", weights(8, 40_000));
    save(&first, "data 2").1.wait().unwrap();
    for seed in 1..=3 {
        checkpoint(&repo, seed).1.wait().unwrap();
    }
    let log = w.git(w.bare("alice/m"), &["log", "--merges", "--oneline", "main"]);
    assert_eq!(log.lines().count(), 1, "every push merges again:\n{log}");
}

#[test]
fn a_branch_below_a_deleted_one_follows() {
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .on_conflict(OnConflict::Merge)
        .clone_repo()
        .unwrap();
    repo.checkout_with("exp", CheckoutOptions::Create).unwrap();
    checkpoint(&repo, 1).1.wait().unwrap();
    let other = w.git_clone("alice/m", "other");
    let theirs = |branch: &str, name: &str| {
        w.git(&other, &["fetch", "-q", "--prune"]);
        w.git(
            &other,
            &["checkout", "-q", "-B", branch, &format!("origin/{branch}")],
        );
        write(&other, name, "theirs\n");
        w.git_push_all(&other, name);
        w.git(&other, &["checkout", "-q", "--detach"]);
        w.git(&other, &["branch", "-q", "-D", branch]);
    };
    theirs("exp", "a.txt");
    checkpoint(&repo, 2).1.wait().unwrap();
    repo.checkout("main").unwrap();
    w.git(repo.workdir(), &["branch", "-q", "-D", "exp"]);
    w.git(
        repo.workdir(),
        &["push", "-q", "--no-verify", "origin", ":exp"],
    );
    repo.checkout_with("exp/two", CheckoutOptions::Create)
        .unwrap();
    checkpoint(&repo, 3).1.wait().unwrap();
    theirs("exp/two", "b.txt");
    checkpoint(&repo, 4).1.wait().unwrap();
    checkpoint(&repo, 5).1.wait().unwrap();
    assert!(repo.workdir().join("b.txt").exists());
}

#[test]
fn a_fetch_that_fails_for_a_while_is_tried_again() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let other = w.git_clone("alice/m", "other");
    write(&other, "theirs.txt", "theirs\n");
    w.git_push_all(&other, "theirs");
    w.hub.faults().add(
        Fault::on(Route::InfoRefsUpload)
            .times(1)
            .act(Action::status(503)),
    );
    let begun = Instant::now();
    let end = checkpoint(&repo, 1).1.wait();
    assert!(
        matches!(end, Ok(Delivery::Pushed(_))),
        "{:?}: {end:?}",
        begun.elapsed()
    );
}

#[test]
fn a_side_branch_that_is_there_already_is_no_end() {
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .on_conflict(OnConflict::SideBranch)
        .clone_repo()
        .unwrap();
    let other = w.git_clone("alice/m", "other");
    write(&other, "theirs.txt", "theirs\n");
    w.git_push_all(&other, "theirs");
    // Somebody tidied up: the side branch was rewritten on the Hub while its push was waiting.
    let held = hold_at(&w, Route::InfoRefsReceive);
    let (commit, handle) = checkpoint(&repo, 1);
    let side = format!("main-{}", &commit.to_string()[..10]);
    w.git(&other, &["update-ref", "refs/heads/x", "HEAD"]);
    w.git(
        w.bare("alice/m"),
        &[
            "update-ref",
            &format!("refs/heads/{side}"),
            "refs/heads/main",
        ],
    );
    held.release();
    let end = handle.wait();
    assert!(matches!(end, Ok(Delivery::Pushed(_))), "{end:?}");
}

#[test]
fn a_pull_that_rebases_takes_the_waiting_promises_along() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    checkpoint(&repo, 0).1.wait().unwrap();
    let other = w.git_clone("alice/m", "other");
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    // Meanwhile somebody else is quicker, and the user pulls.
    write(&other, "theirs.txt", "theirs\n");
    w.git_push_all(&other, "theirs");
    repo.pull_with(hf_repository::PullStrategy::Rebase).unwrap();
    let (_, second) = checkpoint(&repo, 2);
    held.release();
    first.wait().unwrap();
    let end = second.wait().unwrap();
    let Delivery::Pushed(report) = end else {
        panic!("{end:?}")
    };
    assert_eq!(report.branch.as_str(), "main", "{report:?}");
}

#[test]
fn a_branch_that_became_a_folder_of_branches_stops_no_pull() {
    let w = World::new();
    w.model("alice/m");
    let other = w.git_clone("alice/m", "other");
    w.git(&other, &["push", "-q", "origin", "HEAD:refs/heads/exp"]);
    let repo = w.clone("alice/m", "ours");
    w.git(&other, &["push", "-q", "origin", ":exp"]);
    w.git(&other, &["push", "-q", "origin", "HEAD:refs/heads/exp/two"]);
    write(&other, "theirs.txt", "theirs\n");
    w.git_push_all(&other, "theirs");
    let saved = checkpoint(&repo, 1).1.wait();
    let pulled = repo.pull_with(hf_repository::PullStrategy::Merge);
    assert!(pulled.is_ok() && saved.is_ok(), "{saved:?}; {pulled:?}");
}

#[test]
fn unchanged_is_not_said_of_a_branch_that_is_known_to_be_gone() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    repo.checkout_with("exp", CheckoutOptions::Create).unwrap();
    let (commit, handle) = checkpoint(&repo, 1);
    handle.wait().unwrap();
    w.git(w.bare("alice/m"), &["update-ref", "-d", "refs/heads/exp"]);
    let told = repo.pull().unwrap_err();
    assert_eq!(told.kind(), ErrorKind::RevisionNotFound);
    let saved = repo.save("again").unwrap().saved;
    let closed = repo.close();
    assert_eq!(
        w.remote_tip("alice/m", "exp"),
        Some(commit.to_string()),
        "{saved:?}; {closed:?}"
    );
}

#[test]
fn amended_while_it_waits() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    until_state(&first, PushState::Uploading);
    let (_, _) = checkpoint(&repo, 2);
    w.git(
        repo.workdir(),
        &["commit", "-q", "--amend", "-m", "a better message"],
    );
    let (last, _) = checkpoint(&repo, 3);
    held.release();
    let report = repo.close().unwrap();
    assert_eq!(tip(&w), last, "diverted: {:?}", report.diverted);
}

#[test]
fn a_folder_is_a_remote_like_any_other() {
    let w = World::new();
    w.git(
        w.path(""),
        &["init", "-q", "--bare", "-b", "main", "remote.git"],
    );
    let source = w.path("remote.git").to_string_lossy().into_owned();
    let clone = |folder: &str| w.prepare(&source, folder).clone_repo().unwrap();
    // The first commit of all, on a branch that does not exist yet.
    let ours = clone("ours");
    checkpoint(&ours, 1).1.wait().unwrap();
    let other = clone("other");
    write(other.workdir(), "theirs.bin", weights(7, 30_000));
    save(&other, "theirs").1.wait().unwrap();
    let (commit, handle) = checkpoint(&ours, 2);
    let end = handle.wait().unwrap();
    assert!(matches!(end, Delivery::Pushed(_)), "{end:?}");
    let merges = w.git(
        w.path("remote.git"),
        &["rev-list", "--merges", "--count", "main"],
    );
    assert_eq!(merges, "1");
    // It follows, with the content that came.
    checkpoint(&ours, 3).1.wait().unwrap();
    assert_eq!(
        fs::read(ours.workdir().join("theirs.bin")).unwrap(),
        weights(7, 30_000)
    );
    ours.close().unwrap();
    let log = w.git(w.path("remote.git"), &["rev-list", "main"]);
    assert!(log.contains(&commit.to_string()));
    w.assert_sound(&w.path("ours"));
}
