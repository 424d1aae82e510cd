//! Readers and killers: nobody ever sees half a file, and nothing is lost on the way.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hf_repository::Repository;
use mini_hub::{Action, Fault, Route};

use crate::child::succeed;
use crate::support::judge::{assert_same_files, files};
use crate::support::{World, weights, write};

/// Runs `work` while others read a file as fast as they can; every read must be one of `versions`.
#[track_caller]
fn while_reading(file: &Path, versions: &[Vec<u8>], work: impl FnOnce()) {
    let (stop, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let seen = fs::read(file).unwrap();
                        let known = versions.contains(&seen);
                        assert!(
                            known,
                            "saw {} bytes: {:?}…",
                            seen.len(),
                            &seen[..seen.len().min(40)]
                        );
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        work();
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert!(reads.into_inner() > 10);
}

#[test]
fn a_reader_sees_old_or_new_content_and_nothing_else() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    let versions: Vec<Vec<u8>> = (0..6).map(|seed| weights(seed, 700_000)).collect();
    write(first.workdir(), "w.bin", &versions[0]);
    first.stage().unwrap();
    let _ = first.commit("0").unwrap();
    first.push().unwrap();
    let repo = w.clone("alice/m", "ours");
    let file = repo.workdir().join("w.bin");
    while_reading(&file, &versions, || {
        for version in &versions[1..] {
            write(first.workdir(), "w.bin", version);
            first.stage().unwrap();
            let _ = first.commit("next").unwrap();
            first.push().unwrap();
            repo.pull().unwrap();
        }
        let all = w.git(repo.workdir(), &["rev-list", "HEAD"]);
        // The oldest commit has no such file yet.
        for commit in all.lines().rev().skip(1).chain(["main"]) {
            repo.checkout(commit).unwrap();
        }
    });
    assert_eq!(fs::read(&file).unwrap(), versions[5]);
    w.assert_sound(repo.workdir());
}

/// Starts a job in a child and kills it once `ready` says so; false if it was quicker.
fn kill_when(w: &World, job: &str, arguments: &[&str], mut ready: impl FnMut() -> bool) -> bool {
    let mut child = w.child(job, arguments).spawn().unwrap();
    let killed = loop {
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        if ready() {
            child.kill().unwrap();
            break true;
        }
        std::thread::sleep(Duration::from_micros(300));
    };
    let status = child.wait().unwrap();
    assert!(status.success() || status.signal() == Some(9), "{status}");
    killed
}

#[test]
fn a_killed_clone_is_finished_by_the_next() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    for number in 0..6_u64 {
        write(
            first.workdir(),
            &format!("f/{number}.bin"),
            weights(number, 100_000),
        );
        write(
            first.workdir(),
            &format!("t/{number}.txt"),
            format!("{number}\n"),
        );
    }
    first.stage().unwrap();
    let _ = first.commit("files").unwrap();
    first.push().unwrap();
    let count = |route| {
        w.hub
            .requests()
            .iter()
            .filter(|request| request.route == route)
            .count()
    };
    let folder = w.path("ours");
    let name = folder.to_string_lossy().into_owned();
    let mut kills = 0;
    // At the first sign of each stage, and while files appear.
    let stages: [&dyn Fn() -> bool; 6] = [
        &|| folder.join(".git").exists(),
        &|| count(Route::UploadPack) > 0,
        &|| count(Route::LfsBatch) > 0,
        &|| count(Route::LfsGet) > 3,
        &|| folder.join("f").exists(),
        &|| folder.join("t").exists(),
    ];
    for ready in stages {
        w.hub.clear_requests();
        kills += usize::from(kill_when(&w, "open-or-clone", &["alice/m", &name], ready));
        // What is there is whole.
        if folder.exists() {
            for (name, (_, content)) in files(&folder) {
                assert!(files(first.workdir())[&name].1 == content, "{name}");
            }
        }
        if kills % 2 == 1 {
            continue;
        }
        succeed(
            &w.child("open-or-clone", &["alice/m", &name])
                .output()
                .unwrap(),
        );
        assert_same_files(first.workdir(), &folder);
        w.assert_sound(&folder);
        fs::remove_dir_all(&folder).unwrap();
    }
    assert!(kills >= 4, "only {kills} kills came in time");
}

/// Whatever it was about to write.
#[test]
fn locks_that_a_killed_clone_left_are_in_nobodys_way() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    write(first.workdir(), "w.bin", weights(1, 3000));
    first.stage().unwrap();
    let _ = first.commit("weights").unwrap();
    first.push().unwrap();
    let folder = w.path("ours");
    let name = folder.to_string_lossy().into_owned();
    let arguments = ["alice/m", &*name];
    w.hub.clear_requests();
    w.hub
        .faults()
        .add(Fault::on(Route::LfsGet).act(Action::Stall));
    let ready = || w.hub.faults().happened() > 0;
    assert!(kill_when(&w, "open-or-clone", &arguments, &ready));
    let locks = [
        "HEAD.lock",
        "config.lock",
        "packed-refs.lock",
        "refs/heads/main.lock",
        "refs/remotes/origin/HEAD.lock",
        "refs/tags/v1.lock",
    ];
    for lock in locks {
        write(&folder.join(".git"), lock, "");
    }
    succeed(&w.child("open-or-clone", &arguments).output().unwrap());
    assert_same_files(first.workdir(), &folder);
    for lock in locks {
        assert!(!folder.join(".git").join(lock).exists(), "{lock}");
    }
    w.assert_sound(&folder);
}

#[test]
fn a_killed_pull_or_checkout_is_finished_by_the_next() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    let fill = |seed: u64| {
        for number in 0..40_u64 {
            write(
                first.workdir(),
                &format!("f{number}.bin"),
                weights(seed + number, 20_000),
            );
            write(
                first.workdir(),
                &format!("t{number}.txt"),
                format!("{seed} {number}\n"),
            );
        }
        first.stage().unwrap();
        let _ = first.commit(format!("{seed}")).unwrap();
        first.push().unwrap();
        files(first.workdir())
    };
    let mut versions = vec![fill(1000)];
    let repo = w.clone("alice/m", "ours");
    let name = repo.workdir().to_string_lossy().into_owned();
    let mut kills = 0;
    for round in 0..8_u64 {
        versions.push(fill(2000 + 100 * round));
        let watched = repo.workdir().join(format!("f{}.bin", (round * 5) % 40));
        let old = fs::read(&watched).unwrap();
        let ready = || fs::read(&watched).unwrap() != old;
        kills += usize::from(kill_when(&w, "pull", &[&name], ready));
        if round % 2 == 1 {
            // The remote does not wait for us: what was begun is not where we go now.
            fs::remove_file(first.workdir().join("t7.txt")).unwrap();
            write(
                first.workdir(),
                &format!("new{round}.bin"),
                weights(round, 20_000),
            );
            versions.push(fill(2050 + 100 * round));
        }
        for (name, (_, content)) in files(repo.workdir()) {
            let known = versions
                .iter()
                .any(|version| version.get(&name).is_some_and(|file| file.1 == content));
            assert!(known, "{name} is neither old nor new");
        }
        succeed(&w.child("pull", &[&name]).output().unwrap());
        assert_same_files(first.workdir(), repo.workdir());
        w.assert_clean(repo.workdir());
    }
    let side = w.git(repo.workdir(), &["rev-list", "HEAD"]);
    for commit in side.lines().skip(1).take(4) {
        let watched = repo.workdir().join("f20.bin");
        let old = fs::read(&watched).unwrap();
        let ready = || fs::read(&watched).unwrap() != old;
        kills += usize::from(kill_when(&w, "checkout", &[&name, commit], ready));
        succeed(&w.child("checkout", &[&name, commit]).output().unwrap());
        w.assert_clean(repo.workdir());
        assert_eq!(w.git(repo.workdir(), &["rev-parse", "HEAD"]), commit);
    }
    assert!(kills >= 4, "only {kills} kills came in time");
    w.assert_sound(repo.workdir());
}

#[test]
fn a_killed_stage_commit_or_push_loses_nothing() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let name = repo.workdir().to_string_lossy().into_owned();
    let tmp = w.path("ours/.git/lfs/tmp");
    let mut kills = 0;
    for round in 0..10_u64 {
        for number in 0..10 {
            write(
                repo.workdir(),
                &format!("{number}.bin"),
                weights(round * 10 + number, 300_000),
            );
        }
        let before = files(repo.workdir());
        w.hub.clear_requests();
        let head = repo.head().unwrap();
        let seen = |route| {
            w.hub
                .requests()
                .iter()
                .any(|request| request.route == route)
        };
        let ready = || match round % 5 {
            0 => fs::read_dir(&tmp).is_ok_and(|mut entries| entries.next().is_some()),
            1 => w.path("ours/.git/index.lock").exists(),
            2 => repo.head().is_ok_and(|now| now != head),
            3 => seen(Route::LfsPut),
            _ => seen(Route::ReceivePack),
        };
        if round == 4 {
            // Holds the push back, so that the kill comes in the middle of it.
            let delay = Action::Delay(Duration::from_millis(300));
            w.hub.faults().add(Fault::on(Route::ReceivePack).act(delay));
        }
        kills += usize::from(kill_when(&w, "stage-commit-push", &[&name], ready));
        let now = files(repo.workdir());
        assert!(
            before
                .iter()
                .all(|(name, file)| name == ".gitattributes" || now[name] == *file)
        );
        let tip = w.remote_tip("alice/m", "main").unwrap();
        w.git(w.bare("alice/m"), &["fsck", "--strict", "--no-dangling"]);
        succeed(&w.child("stage-commit-push", &[&name]).output().unwrap());
        assert_ne!(
            w.remote_tip("alice/m", "main").unwrap(),
            String::new(),
            "{tip}"
        );
        w.assert_sound(repo.workdir());
        let fresh = w.clone("alice/m", &format!("fresh-{round}"));
        assert_same_files(repo.workdir(), fresh.workdir());
    }
    assert!(kills >= 5, "only {kills} kills came in time");
}

#[test]
fn several_threads_and_processes_take_turns() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let repo = &repo;
            scope.spawn(move || {
                for number in 0..3 {
                    write(
                        repo.workdir(),
                        &format!("{thread}-{number}.bin"),
                        weights(thread, 10_000),
                    );
                    repo.stage().unwrap();
                    let _ = repo.commit("from a thread").unwrap();
                    repo.status().unwrap();
                }
            });
        }
    });
    repo.push().unwrap();
    w.assert_sound(repo.workdir());
    // Two processes clone into one folder: one makes it, the other waits and opens it.
    let name = w.path("shared").to_string_lossy().into_owned();
    let children: Vec<_> = (0..3)
        .map(|_| {
            w.child("open-or-clone", &["alice/m", &name])
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    w.assert_sound(&w.path("shared"));
    assert_same_files(repo.workdir(), &w.path("shared"));
    // A lock somebody else holds is waited for, and never broken.
    fs::write(repo.workdir().join(".git/index.lock"), "").unwrap();
    write(repo.workdir(), "late.txt", "late\n");
    let error = Repository::open(repo.workdir())
        .unwrap()
        .stage()
        .unwrap_err();
    assert_eq!(error.kind(), hf_repository::ErrorKind::Locked, "{error:?}");
    assert!(error.to_string().contains("index.lock") || error.hint().is_some());
    assert!(repo.workdir().join(".git/index.lock").exists());
}
