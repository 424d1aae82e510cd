//! Saves that return before the files are read.

use std::fs;
use std::time::Duration;

use hf_repository::{CommitId, Delivery, ErrorKind, OnDrop, PushState, SaveOptions, Saved};
use mini_hub::{Action, Fault, Route};

use crate::support::saving::{LONG, defer, tip};
use crate::support::{World, weights, write};

#[test]
fn the_files_are_free_once_they_are_staged() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "model.bin", weights(1, 3_000_000));
    write(repo.workdir(), "old.txt", "old\n");
    let first = defer(&repo, "step 1");
    let commit = first.wait_staged().unwrap().unwrap();
    write(repo.workdir(), "model.bin", "overwritten at once");
    assert!(matches!(first.wait().unwrap(), Delivery::Pushed(_)));
    assert_eq!(first.commit(), Some(commit));
    assert_eq!(tip(&w), commit);
    // Changes, additions and removals alike; a second one behind the first; a call that waits.
    fs::remove_file(repo.workdir().join("old.txt")).unwrap();
    write(repo.workdir(), "model.bin", weights(2, 3_000_000));
    write(repo.workdir(), "sub/new.txt", "new\n");
    let second = defer(&repo, "step 2");
    let third = defer(&repo, "step 3");
    let status = repo.commit("nothing staged").unwrap();
    assert_eq!(status.commit(), None, "it waited for both");
    assert!(second.wait_staged().unwrap().is_some());
    assert_eq!(third.wait_staged().unwrap(), None);
    assert_eq!(third.wait().unwrap(), Delivery::Unchanged);
    assert_eq!(third.state(), PushState::Unchanged);
    repo.close().unwrap();
    w.assert_sound(&w.path("ours"));
    let fresh = w.clone("alice/m", "fresh");
    crate::support::judge::assert_same_files(fresh.workdir(), &w.path("ours"));
    assert!(!fresh.workdir().join("old.txt").exists());
}

#[test]
fn nothing_to_save_is_said_at_once() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), ".gitignore", "*.tmp\n");
    repo.stage().unwrap();
    let _ = repo.commit("ignore").unwrap();
    repo.push().unwrap();
    write(repo.workdir(), "x.tmp", "ignored\n");
    let report = repo.save(SaveOptions::new("nothing").deferred()).unwrap();
    assert!(matches!(report.saved, Saved::Unchanged), "{report:?}");
    assert!(repo.pending_pushes().unwrap().is_empty());
}

#[test]
fn a_file_that_changed_before_it_was_read_is_an_error() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    // The stager is kept busy by a large file, so that the small one changes in time.
    write(repo.workdir(), "large.bin", weights(1, 80_000_000));
    write(repo.workdir(), "small.txt", "one\n");
    let head = repo.head().unwrap();
    let handle = defer(&repo, "both");
    write(repo.workdir(), "small.txt", "two\n");
    let error = handle.wait_staged().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileChanged, "{error:?}");
    assert_eq!(error.offences()[0].path.as_str(), "small.txt");
    assert_eq!(handle.state(), PushState::Failed);
    assert_eq!(repo.head().unwrap(), head, "nothing was committed");
    assert!(repo.pending_pushes().unwrap().is_empty());
    // The next save tells of it, and has both as they are now.
    let report = repo.save("again").unwrap();
    assert_eq!(report.failures.len(), 1);
    repo.close().unwrap();
    let fresh = w.clone("alice/m", "fresh");
    assert_eq!(
        fs::read(fresh.workdir().join("small.txt")).unwrap(),
        b"two\n"
    );
}

#[test]
fn what_was_not_staged_in_time_is_staged_by_the_next_run_if_it_is_unchanged() {
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .on_drop(OnDrop::Cancel)
        .clone_repo()
        .unwrap();
    write(repo.workdir(), "kept.bin", weights(1, 100_000));
    write(repo.workdir(), "lost.bin", weights(2, 100_000));
    // Somebody else holds the clone while the repository ends.
    let lock = fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(repo.workdir().join(".git/hf-repository/lock"))
        .unwrap();
    lock.lock().unwrap();
    let handle = defer(&repo, "both");
    drop(repo);
    assert!(handle.wait().is_err());
    drop(lock);
    write(&w.path("ours"), "lost.bin", weights(3, 100_000));
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let pending = repo.pending_pushes().unwrap();
    assert_eq!((pending.len(), pending[0].commit), (1, None));
    let error = repo.flush(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileChanged);
    assert_eq!(error.offences()[0].path.as_str(), "lost.bin");
    let commit = tip(&w);
    assert_eq!(repo.head().unwrap(), Some(commit));
    let files = w.git(w.bare("alice/m"), &["ls-tree", "-r", "--name-only", "main"]);
    assert!(
        files.contains("kept.bin") && !files.contains("lost.bin"),
        "{files}"
    );
    assert!(repo.pending_pushes().unwrap().is_empty());
}

#[test]
fn a_deferred_save_does_not_wait_for_a_push() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).act(Action::Delay(Duration::from_secs(2))));
    write(repo.workdir(), "model.bin", weights(1, 60_000));
    let first = defer(&repo, "step 1");
    first.wait_staged().unwrap();
    let commits: Vec<CommitId> = (2..=4)
        .map(|seed| {
            write(repo.workdir(), "model.bin", weights(seed, 60_000));
            defer(&repo, format!("step {seed}"))
                .wait_staged()
                .unwrap()
                .unwrap()
        })
        .collect();
    assert!(first.try_wait().is_none(), "the first is still under way");
    let report = repo.close().unwrap();
    assert_eq!(report.pushed[1..], commits);
}

#[test]
fn a_deferred_save_can_be_cancelled() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let head = repo.head().unwrap();
    write(repo.workdir(), "large.bin", weights(1, 80_000_000));
    let handle = defer(&repo, "large");
    handle.cancel();
    match handle.wait() {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            assert!(repo.pending_pushes().unwrap().is_empty());
            repo.flush(LONG).unwrap();
            assert_eq!(Some(tip(&w)), head);
        }
        // It was quicker.
        Ok(end) => assert!(matches!(end, Delivery::Pushed(_))),
    }
}
