//! Background pushes to a branch that somebody else has moved.

use std::fs;
use std::path::Path;

use hf_repository::{
    CommitId, Delivery, ErrorKind, Integration, OnConflict, PushReport, Repository,
};
use mini_hub::{Action, Fault, Route};

use crate::support::judge::{assert_same_files, files};
use crate::support::saving::{LONG, checkpoint, puts, save, tip};
use crate::support::{World, weights, write};

/// A model with a checkpoint in it, a clone that trains, and another client's.
pub(crate) fn two_clients(w: &World, on_conflict: OnConflict) -> (Repository, Repository) {
    w.model("alice/m");
    let other = w.clone("alice/m", "other");
    write(other.workdir(), "model.bin", weights(0, 60_000));
    write(other.workdir(), "data.bin", weights(7, 40_000));
    other.stage().unwrap();
    let _ = other.commit("begin").unwrap();
    other.push().unwrap();
    let ours = w
        .prepare("alice/m", "ours")
        .on_conflict(on_conflict)
        .clone_repo()
        .unwrap();
    (ours, other)
}

/// Another client changes files of its own, and pushes.
pub(crate) fn elsewhere(other: &Repository, seed: u64) -> CommitId {
    other.pull().unwrap();
    write(
        other.workdir(),
        &format!("theirs-{seed}.txt"),
        format!("{seed}\n"),
    );
    write(other.workdir(), "data.bin", weights(1000 + seed, 40_000));
    other.stage().unwrap();
    let commit = other
        .commit(format!("theirs {seed}"))
        .unwrap()
        .commit()
        .unwrap();
    other.push().unwrap();
    commit
}

#[track_caller]
fn delivered(handle: &hf_repository::PushHandle) -> PushReport {
    match handle.wait().unwrap() {
        Delivery::Pushed(report) => report,
        end => panic!("{end:?}"),
    }
}

/// Whether the remote's branch has a commit.
fn has(w: &World, branch: &str, commit: CommitId) -> bool {
    let (commit, branch) = (commit.to_string(), format!("refs/heads/{branch}"));
    let arguments = ["merge-base", "--is-ancestor", &commit, &branch];
    w.try_git(&w.bare("alice/m"), &arguments).status.success()
}

#[track_caller]
fn assert_whole(folder: &Path, seeds: std::ops::RangeInclusive<u64>) {
    let found = files(folder);
    for seed in seeds {
        assert!(
            found.contains_key(&format!("theirs-{seed}.txt")),
            "{seed}: {:?}",
            found.keys()
        );
    }
}

#[test]
fn disjoint_changes_are_merged_and_the_clone_follows() {
    let w = World::new();
    let (ours, other) = two_clients(&w, OnConflict::Merge);
    let before = puts(&w);
    let mut promised = Vec::new();
    for seed in 1..=3 {
        let theirs = elsewhere(&other, seed);
        let (commit, handle) = checkpoint(&ours, seed);
        let report = delivered(&handle);
        assert!(
            matches!(report.integration, Integration::Merged { merge } if merge == report.commit)
        );
        assert_eq!((report.branch.as_str(), tip(&w)), ("main", report.commit));
        assert!(has(&w, "main", commit) && has(&w, "main", theirs));
        promised.push(commit);
    }
    // The first two merges came into the clone with the saves that followed them.
    assert_whole(ours.workdir(), 1..=2);
    assert!(!ours.workdir().join("theirs-3.txt").exists());
    // Each of our checkpoints and of theirs was sent once, and none of theirs by us.
    assert_eq!(puts(&w) - before, 6);
    assert_eq!(ours.pull().unwrap().after, Some(tip(&w)));
    assert_whole(ours.workdir(), 1..=3);
    w.assert_sound(ours.workdir());
    let fresh = w.clone("alice/m", "fresh");
    assert_same_files(fresh.workdir(), ours.workdir());
    assert!(promised.iter().all(|commit| has(&w, "main", *commit)));
    assert_eq!(
        w.git(ours.workdir(), &["for-each-ref", "refs/hf-repository"]),
        ""
    );
}

#[test]
fn a_rebase_maps_every_promise() {
    let w = World::new();
    let (ours, other) = two_clients(&w, OnConflict::Rebase);
    for round in 0..2 {
        let theirs = elsewhere(&other, round + 1);
        w.hub.faults().add(
            Fault::on(Route::InfoRefsReceive)
                .act(Action::Delay(std::time::Duration::from_millis(400))),
        );
        let saves: Vec<_> = (1..=3)
            .map(|seed| checkpoint(&ours, 10 * round + seed))
            .collect();
        for (commit, handle) in &saves {
            let report = delivered(handle);
            let Integration::Rebased { rewritten } = &report.integration else {
                panic!("{report:?}");
            };
            let mapped = rewritten.iter().find(|(old, _)| old == commit).unwrap().1;
            assert_eq!(report.commit, mapped);
            assert!(has(&w, "main", mapped) && !has(&w, "main", *commit));
        }
        assert!(has(&w, "main", theirs));
    }
    let log = w.git(w.bare("alice/m"), &["rev-list", "--merges", "main"]);
    assert_eq!(log, "", "a straight line");
    // The clone follows, by save as by pull.
    let (commit, handle) = save_note(&ours);
    assert_eq!(delivered(&handle).commit, commit, "nothing left to rebase");
    assert_whole(ours.workdir(), 1..=2);
    w.assert_sound(ours.workdir());
    assert_same_files(w.clone("alice/m", "fresh").workdir(), ours.workdir());
    let theirs = elsewhere(&other, 3);
    let (_, handle) = checkpoint(&ours, 99);
    delivered(&handle);
    assert_eq!(ours.pull().unwrap().after, Some(tip(&w)));
    assert!(has(&w, "main", theirs));
    assert_eq!(
        w.git(ours.workdir(), &["for-each-ref", "refs/hf-repository"]),
        ""
    );
    w.assert_sound(ours.workdir());
}

fn save_note(repo: &Repository) -> (CommitId, hf_repository::PushHandle) {
    write(repo.workdir(), "note.txt", "done\n");
    save(repo, "a note")
}

#[test]
fn a_conflict_goes_to_a_side_branch_that_later_saves_extend() {
    for policy in [OnConflict::Merge, OnConflict::Rebase] {
        let w = World::new();
        let (ours, other) = two_clients(&w, policy);
        other.pull().unwrap();
        write(other.workdir(), "model.bin", weights(555, 60_000));
        other.stage().unwrap();
        let theirs = other.commit("the same file").unwrap().commit().unwrap();
        other.push().unwrap();
        let (first, handle) = checkpoint(&ours, 1);
        let report = delivered(&handle);
        let side = format!("main-{}", &first.to_string()[..10]);
        assert_eq!(report.branch.as_str(), side, "{policy:?}");
        let Integration::Diverted { from, conflicts } = report.integration else {
            panic!("{policy:?}");
        };
        assert_eq!(from.as_str(), "main");
        assert_eq!(
            conflicts.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
            ["model.bin"]
        );
        assert_eq!(tip(&w), theirs, "nothing of theirs is touched");
        let (second, handle) = checkpoint(&ours, 2);
        assert_eq!(delivered(&handle).branch.as_str(), side);
        assert!(has(&w, &side, second) && has(&w, &side, first));
        let report = ours.close().unwrap();
        assert_eq!(report.pushed, [first, second]);
        assert_eq!(report.diverted.len(), 2);
        let content = fs::read(w.path("ours/model.bin")).unwrap();
        assert_eq!(content, weights(2, 60_000), "the work tree stays");
        w.assert_sound(&w.path("ours"));
    }
}

#[test]
fn the_policies_that_do_not_merge() {
    let w = World::new();
    let (ours, other) = two_clients(&w, OnConflict::Fail);
    elsewhere(&other, 1);
    let (commit, handle) = checkpoint(&ours, 1);
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::NonFastForward);
    let error = ours.close().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unpushed);
    assert_eq!(error.unpushed(), [commit]);
    let again = w
        .prepare("alice/m", "ours")
        .on_conflict(OnConflict::SideBranch)
        .open()
        .unwrap();
    let report = again.flush(LONG).unwrap();
    assert_eq!(report.pushed, [commit]);
    let side = report.diverted[0].1.clone();
    assert!(has(&w, side.as_str(), commit));
    assert_whole(other.workdir(), 1..=1);
}

#[test]
fn the_clone_follows_only_where_nothing_is_in_the_way() {
    let w = World::new();
    let (ours, other) = two_clients(&w, OnConflict::Merge);
    elsewhere(&other, 1);
    delivered(&checkpoint(&ours, 1).1);
    // An edit where theirs belongs: the branch cannot follow, but saving goes on.
    write(ours.workdir(), "theirs-1.txt", "mine\n");
    write(ours.workdir(), "model.bin", weights(2, 60_000));
    let options = hf_repository::SaveOptions::new("only the model").path("model.bin");
    let report = ours.save(options).unwrap();
    let hf_repository::Saved::Queued { commit, handle } = report.saved else {
        panic!("{report:?}");
    };
    let pushed = delivered(&handle);
    assert!(matches!(pushed.integration, Integration::Merged { .. }));
    assert!(has(&w, "main", commit));
    assert_eq!(
        fs::read(ours.workdir().join("theirs-1.txt")).unwrap(),
        b"mine\n"
    );
    let theirs = w.git(w.bare("alice/m"), &["show", "main:theirs-1.txt"]);
    assert_eq!(theirs, "1");
    fs::remove_file(ours.workdir().join("theirs-1.txt")).unwrap();
    let (commit, handle) = checkpoint(&ours, 3);
    assert_eq!(delivered(&handle).commit, commit);
    w.assert_sound(ours.workdir());
}

#[test]
fn a_lost_answer_is_asked_for_before_anything_is_tried_again() {
    let w = World::new();
    let (ours, other) = two_clients(&w, OnConflict::Merge);
    // The server moves the branch, and the answer is lost: it breaks off behind the first words, which
    // git says when it is done.
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).act(Action::CutResponse(20)));
    let (commit, handle) = checkpoint(&ours, 1);
    assert_eq!(delivered(&handle).commit, commit);
    assert_eq!(tip(&w), commit);
    // The same, and somebody else is on top before it can be asked.
    let other_folder = w.path("other");
    let (hub_url, token) = (w.hub.url(), w.token.clone());
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).act(Action::CutResponse(20)));
    w.hub.faults().add(
        Fault::on(Route::InfoRefsReceive)
            .nth(3)
            .act(Action::call(move || {
                let other = Repository::prepare("alice/m", &other_folder)
                    .endpoint(hub_url.parse().unwrap())
                    .token(token.parse().unwrap())
                    .open()
                    .unwrap();
                elsewhere(&other, 5);
            })),
    );
    let (commit, handle) = checkpoint(&ours, 2);
    delivered(&handle);
    assert!(has(&w, "main", commit));
    assert_whole(&w.path("other"), 5..=5);
    let merges = w.git(w.bare("alice/m"), &["rev-list", "--merges", "main"]);
    assert_eq!(merges, "", "their commit is on top of ours");
    drop(other);
}
