//! Pushes and pulls that failed, hung or waited.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use hf_repository::{
    Direction, ErrorKind, Event, Progress, PullStrategy, Repository, Saved, StageOptions,
    TrackReason,
};
use mini_hub::{Action, Fault, Route};

use crate::support::saving::{hold, tip};
use crate::support::{World, path, weights, write};

fn commit(repo: &Repository, name: &str, content: impl AsRef<[u8]>) {
    write(repo.workdir(), name, content);
    repo.stage().unwrap();
    assert!(repo.commit(name).unwrap().commit().is_some());
}

fn clone(w: &World) -> Repository {
    w.model("alice/m");
    w.clone("alice/m", "ours")
}

#[test]
fn a_quiet_log_hides_no_failure() {
    let w = World::new();
    let repo = clone(&w);
    commit(&repo, "model.bin", weights(1, 300));
    for route in [Route::InfoRefsUpload, Route::InfoRefsReceive] {
        w.hub
            .faults()
            .add(Fault::on(route).always().act(Action::status(403)));
    }
    let quiet = tracing::subscriber::NoSubscriber::default();
    let errors = tracing::subscriber::with_default(quiet, || {
        [
            w.prepare("alice/m", "other").clone_repo().map(drop),
            repo.pull().map(drop),
            repo.push().map(drop),
            repo.prune().map(drop),
        ]
    });
    for error in errors {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Forbidden);
    }
    assert_eq!(repo.commits_ahead().unwrap(), 1);
}

#[test]
fn a_talkative_server_blocks_no_push() {
    let w = World::new();
    let repo = clone(&w);
    let bare = w.bare("alice/m");
    let hooks = bare.join("talkative");
    let script = "#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' 'x' | fold -w 99 >&2\n";
    write(&hooks, "post-receive", script);
    let hook = hooks.join("post-receive");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    w.git(
        &bare,
        &["config", "core.hooksPath", &hooks.to_string_lossy()],
    );
    commit(&repo, "a.txt", "1");
    let handle = repo.push_in_background().unwrap();
    let delivered = handle.wait_timeout(Duration::from_secs(60));
    delivered.expect("it does not hang").unwrap();
    assert_eq!(tip(&w), handle.commit().unwrap());
}

#[test]
fn looking_at_a_push_never_waits() {
    let w = World::new();
    let repo = clone(&w);
    commit(&repo, "model.bin", weights(1, 300));
    let held = hold(&w);
    let handle = repo.push_in_background().unwrap();
    held.arrived();
    let began = Instant::now();
    assert!(!handle.state().is_final());
    assert!(handle.try_wait().is_none());
    assert!(handle.wait_timeout(Duration::ZERO).is_none());
    assert_eq!(handle.progress().objects, 1);
    assert_eq!(repo.pending_pushes().unwrap().len(), 1);
    assert!(began.elapsed() < Duration::from_secs(10));
    held.release();
    handle.wait().unwrap();
}

#[test]
fn no_call_waits_for_a_clock() {
    let w = World::new();
    let repo = clone(&w);
    let quick = |what: &str, call: &dyn Fn()| {
        // The old one slept for a second at least in each of them, on any machine. One quick call in
        // five shows that nothing sleeps, however busy this one is.
        let in_time = (0..5).any(|_| {
            let began = Instant::now();
            call();
            began.elapsed() < Duration::from_millis(900)
        });
        assert!(in_time, "{what} takes too long");
    };
    quick("pull", &|| drop(repo.pull().unwrap()));
    quick("push", &|| drop(repo.push().unwrap()));
    quick("prune", &|| {
        let _ = repo.prune().unwrap();
    });
    let names = std::cell::Cell::new(0);
    quick("clone", &|| {
        names.set(names.get() + 1);
        w.clone("alice/m", &format!("clone {}", names.get()));
    });
}

#[test]
fn progress_knows_names_with_spaces() {
    let w = World::new();
    w.model("alice/m");
    let (progress, mut events) = Progress::channel();
    let prepared = w.prepare("alice/m", "ours").progress(progress);
    let repo = prepared.clone_repo().unwrap();
    let names = ["one two three.bin", "four ? five.bin"];
    for (seed, name) in names.iter().enumerate() {
        write(repo.workdir(), name, weights(seed as u64, 300));
    }
    repo.stage().unwrap();
    let _ = repo.commit("two files").unwrap();
    repo.push().unwrap();
    let mut sent = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::TransferFinished {
            direction: Direction::Upload,
            path: Some(path),
            bytes: 300,
            ..
        } = event
        {
            sent.push(path.to_string());
        }
    }
    sent.sort();
    assert_eq!(sent, [names[1], names[0]]);
}

#[test]
fn a_clean_clone_is_pushed_all_the_same() {
    let w = World::new();
    let repo = clone(&w);
    commit(&repo, "a.txt", "1");
    assert!(repo.status().unwrap().is_clean());
    assert!(!repo.is_clean().unwrap());
    let saved = repo.save("nothing new").unwrap().saved;
    let Saved::Queued { commit, handle } = saved else {
        panic!("{saved:?}");
    };
    handle.wait().unwrap();
    assert_eq!(tip(&w), commit);
    assert!(matches!(
        repo.save("again").unwrap().saved,
        Saved::Unchanged
    ));
    assert!(repo.is_clean().unwrap());
}

#[test]
fn a_rebasing_pull_brings_the_content() {
    let w = World::new();
    let repo = clone(&w);
    let other = w.clone("alice/m", "other");
    commit(&other, "theirs.bin", weights(1, 300));
    other.push().unwrap();
    commit(&repo, "ours.txt", "1");
    let report = repo.pull_with(PullStrategy::Rebase).unwrap();
    assert_eq!(report.rewritten.len(), 1);
    let content = fs::read(repo.workdir().join("theirs.bin")).unwrap();
    assert_eq!(content, weights(1, 300));
    w.assert_clean(repo.workdir());
}

#[test]
fn only_the_beginning_of_a_file_is_looked_at() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    // 64 GiB, of which the disk has one page.
    write(repo.workdir(), "huge.txt", [b'a'; 8000]);
    let huge = fs::File::options()
        .write(true)
        .open(repo.workdir().join("huge.txt"));
    huge.unwrap().set_len(64 << 30).unwrap();
    write(
        repo.workdir(),
        "late.txt",
        [vec![b'a'; 8000], vec![0]].concat(),
    );
    write(
        repo.workdir(),
        "early.txt",
        [vec![b'a'; 7999], vec![0]].concat(),
    );
    let began = Instant::now();
    let preview = repo.preview_auto_track(&StageOptions::default()).unwrap();
    let expected = [
        (path("early.txt"), TrackReason::Binary),
        (path("huge.txt"), TrackReason::Large),
    ];
    assert_eq!(preview.files, expected);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_tracking_leaves_out_the_hub_takes() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let limit = 10 << 20;
    write(repo.workdir(), "just below.txt", vec![b'1'; limit - 1]);
    write(
        repo.workdir(),
        "late.txt",
        [vec![b'a'; 2 << 20], vec![0]].concat(),
    );
    write(repo.workdir(), "latin.txt", b"\xe9t\xe9");
    write(repo.workdir(), "empty", "");
    write(repo.workdir(), "small.x", [0]);
    let report = repo.stage().unwrap();
    assert_eq!(report.lfs, [path("small.x")]);
    let _ = repo.commit("on either side").unwrap();
    // Nothing is refused: neither by what is checked before anything is sent, nor by the hook.
    repo.push().unwrap();
}
