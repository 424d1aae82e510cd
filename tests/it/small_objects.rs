//! Many small LFS objects: they are stored together, and each is as safe as one alone.

use std::fs;
use std::path::PathBuf;

use hf_repository::{CancelToken, ErrorKind};
use mini_hub::{Action, Fault, Route};

use crate::child::succeed;
use crate::support::judge::assert_same_files;
use crate::support::moving::{incomplete, requests};
use crate::support::{World, needs_git_lfs, weights, write};

/// A clone "ours" that lacks so many small objects, which the clone "theirs" has pushed.
fn behind(objects: u64) -> (World, PathBuf) {
    let w = World::new();
    w.model("alice/m");
    drop(w.clone("alice/m", "ours"));
    let theirs = w.clone("alice/m", "theirs");
    for number in 0..objects {
        let name = format!("{number}.bin");
        write(theirs.workdir(), &name, weights(number, 3_000));
    }
    theirs.stage().unwrap();
    let _ = theirs.commit("many").unwrap();
    theirs.push().unwrap();
    w.hub.clear_requests();
    let folder = theirs.workdir().to_path_buf();
    (w, folder)
}

#[test]
fn small_downloads_that_wait_for_others_are_kept_when_the_rest_is_cancelled() {
    let (w, theirs) = behind(3);
    let ours = w.path("ours");
    w.git(&ours, &["config", "lfs.concurrentTransfers", "1"]);
    let cancel = CancelToken::new();
    let puller = cancel.clone();
    let third = Fault::on(Route::LfsGet).nth(3);
    w.hub
        .faults()
        .add(third.act(Action::call(move || puller.cancel())));
    let repo = w.prepare("alice/m", "ours").cancel_token(cancel);
    let error = repo.open().unwrap().pull().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let left = incomplete(&w, "ours");
    assert_eq!(left.len(), 2, "{left:?}");
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let _ = repo.pull().unwrap();
    assert_eq!(requests(&w, Route::LfsGet).len(), 1);
    assert_eq!(incomplete(&w, "ours").len(), 0);
    assert_same_files(&theirs, repo.workdir());
}

#[test]
fn one_of_many_that_cannot_be_stored_fails_alone() {
    let (w, theirs) = behind(3);
    let ours = w.path("ours");
    // A file is where one object's folder has to be.
    let oid = w.git(&theirs, &["show", "HEAD:1.bin"]);
    let oid = oid.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let objects = ours.join(".git/lfs/objects");
    fs::create_dir_all(&objects).unwrap();
    fs::write(objects.join(&oid[..2]), "in the way").unwrap();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let error = repo.pull().unwrap_err();
    assert!(error.to_string().contains(&oid), "{error}");
    fs::remove_file(objects.join(&oid[..2])).unwrap();
    w.hub.clear_requests();
    let _ = repo.pull().unwrap();
    // It came the first time, and the others were stored.
    assert_eq!(requests(&w, Route::LfsGet).len(), 0);
    assert_same_files(&theirs, repo.workdir());
}

#[test]
fn more_small_downloads_than_a_process_may_have_files_open() {
    needs_git_lfs!();
    let (w, theirs) = behind(100);
    let ours = w.path("ours");
    let told = w.limited_by("-n 50", "pull-once", &[&ours.to_string_lossy()]);
    succeed(&told);
    assert_same_files(&theirs, &ours);
    w.assert_sound(&ours);
}
