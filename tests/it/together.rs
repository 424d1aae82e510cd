//! Several writers, processes and tokens at once.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use hf_repository::{CommitId, ErrorKind, Repository, SaveOptions, Saved, Skipped};
use mini_hub::{Action, Fault, Role, Route};

use crate::child::succeed;
use crate::support::saving::{LONG, checkpoint, tip};
use crate::support::{World, weights, write};

/// One of the ranks of a training run: saves what is its own, again and again.
pub(crate) fn rank(folder: &str, rank: usize, saves: usize) {
    let repo = Repository::prepare("alice/m", folder).open().unwrap();
    let own = format!("rank-{rank}");
    for step in 0..saves {
        write(
            Path::new(folder),
            &format!("{own}/state.txt"),
            format!("{rank} {step}\n"),
        );
        let options = SaveOptions::new(format!("rank {rank} step {step}")).path(&own);
        let report = repo.save(options).unwrap();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        let Saved::Queued { commit, .. } = report.saved else {
            panic!("{report:?}");
        };
        println!("promised {commit}");
    }
    repo.close().unwrap();
}

#[test]
fn eight_processes_save_into_one_clone() {
    processes_save(8, 12);
}

/// `ranks` processes save `saves` times each: every promise is kept, in one line of history.
pub(crate) fn processes_save(ranks: usize, saves: usize) {
    let w = World::new();
    w.model("alice/m");
    w.prepare("alice/m", "ours").clone_repo().unwrap();
    let folder = w.path("ours").to_string_lossy().into_owned();
    let children: Vec<_> = (0..ranks)
        .map(|rank| {
            w.child("rank", &[&folder, &rank.to_string(), &saves.to_string()])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut promised: BTreeSet<CommitId> = BTreeSet::new();
    for child in children {
        let told = succeed(&child.wait_with_output().unwrap());
        let commits = told
            .lines()
            .filter_map(|line| line.strip_prefix("promised "));
        promised.extend(commits.map(|commit| commit.parse::<CommitId>().unwrap()));
    }
    assert_eq!(promised.len(), ranks * saves);
    let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
    let arrived: BTreeSet<CommitId> = log.lines().map(|line| line.parse().unwrap()).collect();
    assert!(promised.is_subset(&arrived));
    assert_eq!(
        w.git(w.bare("alice/m"), &["rev-list", "--merges", "main"]),
        ""
    );
    for rank in 0..ranks {
        let state = w.git(
            w.bare("alice/m"),
            &["show", &format!("main:rank-{rank}/state.txt")],
        );
        assert_eq!(state, format!("{rank} {}", saves - 1));
    }
    w.assert_sound(&w.path("ours"));
    assert_eq!(
        w.git(w.path("ours"), &["for-each-ref", "refs/hf-repository"]),
        ""
    );
}

#[test]
fn a_log_writer_stops_no_save() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let log = repo.workdir().join("train.log");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::create(&log).unwrap();
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                writeln!(file, "line {number}").unwrap();
            }
        });
        let mut saved = 0;
        for seed in 0..30 {
            write(repo.workdir(), "state.txt", format!("{seed}\n"));
            let report = repo.save(format!("step {seed}")).unwrap();
            saved += usize::from(matches!(report.saved, Saved::Queued { .. }));
            for (path, why) in &report.staged.skipped {
                assert_eq!((path.as_str(), *why), ("train.log", Skipped::Changing));
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(saved, 30);
    });
    let (commit, handle) = checkpoint(&repo, 1);
    handle.wait().unwrap();
    assert_eq!(tip(&w), commit);
    assert!(repo.is_clean().unwrap(), "{:?}", repo.status().unwrap());
    w.assert_sound(repo.workdir());
}

#[test]
fn another_clients_file_is_there_after_every_save() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    checkpoint(&repo, 1).1.wait().unwrap();
    let other = w.git_clone("alice/m", "other");
    write(&other, "theirs.txt", "theirs\n");
    w.git_push_all(&other, "theirs");
    for seed in 2..=3 {
        checkpoint(&repo, seed).1.wait().unwrap();
        assert_eq!(
            w.git(w.bare("alice/m"), &["show", "main:theirs.txt"]),
            "theirs"
        );
    }
    w.assert_sound(repo.workdir());
}

#[test]
fn a_revoked_token_is_one_clear_error_and_a_new_one_lets_the_rest_through() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let (first, handle) = checkpoint(&repo, 1);
    handle.wait().unwrap();
    // Half way: after the objects are there, before the branch moves.
    let (hub, token) = (w.hub.data().to_path_buf(), w.token.clone());
    drop(hub);
    let delay = Action::Delay(std::time::Duration::from_millis(600));
    w.hub.faults().add(Fault::on(Route::LfsPut).act(delay));
    let saves: Vec<_> = (2..=6).map(|seed| checkpoint(&repo, seed)).collect();
    w.hub.revoke(&token);
    w.hub.clear_requests();
    for (commit, handle) in &saves {
        let error = handle.wait_timeout(LONG).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{commit}: {error:?}");
    }
    let refused = w
        .hub
        .requests()
        .iter()
        .filter(|request| request.status == 401)
        .count();
    assert!(refused <= 2, "{refused} requests were refused");
    assert_eq!(tip(&w), first);
    let news = w.hub.add_token("alice", Role::Write);
    repo.set_token(news.parse().unwrap());
    let mut expected: Vec<CommitId> = saves.iter().map(|(commit, _)| *commit).collect();
    expected.insert(0, first);
    assert_eq!(repo.flush(LONG).unwrap().pushed, expected);
    assert_eq!(tip(&w), *expected.last().unwrap());
}

#[test]
fn the_old_bytes_are_pushed_whatever_happens_to_the_file() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let delay = Action::Delay(std::time::Duration::from_millis(300));
    w.hub.faults().add(Fault::on(Route::LfsBatch).act(delay));
    let (first, handle) = checkpoint(&repo, 1);
    fs::remove_file(repo.workdir().join("model.bin")).unwrap();
    handle.wait().unwrap();
    write(repo.workdir(), "model.bin", weights(2, 60_000));
    let (second, handle) = checkpoint(&repo, 2);
    // In place, through a handle that was open all the time.
    fs::write(repo.workdir().join("model.bin"), vec![9; 60_000]).unwrap();
    handle.wait().unwrap();
    let fresh = w.clone("alice/m", "fresh");
    for (commit, seed) in [(first, 1), (second, 2)] {
        fresh.checkout(commit.to_string()).unwrap();
        assert_eq!(
            fs::read(fresh.workdir().join("model.bin")).unwrap(),
            weights(seed, 60_000)
        );
    }
}

#[test]
fn two_work_trees_keep_their_promises_apart() {
    let w = World::new();
    w.model("alice/m");
    let open = |folder: &str| {
        Repository::prepare("alice/m", w.path(folder))
            .endpoint(w.endpoint())
            .token(w.token.parse().unwrap())
            .on_drop(hf_repository::OnDrop::Cancel)
            .open_or_clone()
            .unwrap()
    };
    drop(open("main"));
    let side = w.path("side").to_string_lossy().into_owned();
    w.git(
        w.path("main"),
        &["worktree", "add", "-q", "-b", "side", &side],
    );
    let mut promised = Vec::new();
    for folder in ["main", "side"] {
        w.hub.faults().add(
            Fault::on(Route::InfoRefsReceive)
                .always()
                .act(Action::Stall),
        );
        let repo = open(folder);
        promised.push((folder, checkpoint(&repo, promised.len() as u64 + 1).0));
        drop(repo);
        w.hub.faults().clear();
        // The other's promise is not touched by opening, looking and flushing here.
        let pending = open(folder).pending_pushes().unwrap();
        assert_eq!(pending.len(), 1);
    }
    open("main").close().unwrap();
    let refs = w.git(
        w.path("main"),
        &["for-each-ref", "refs/hf-repository/promised"],
    );
    assert!(refs.contains(&promised[1].1.to_string()), "{refs}");
    open("side").close().unwrap();
    for (branch, commit) in promised {
        assert_eq!(w.remote_tip("alice/m", branch), Some(commit.to_string()));
    }
    assert_eq!(
        w.git(w.path("main"), &["for-each-ref", "refs/hf-repository"]),
        ""
    );
    // git wrote the side's files in its index's own second, so they are suspects until looked at.
    w.git(w.path("side"), &["update-index", "-q", "--refresh"]);
    w.assert_sound(&w.path("main"));
    w.assert_sound(&w.path("side"));
}
