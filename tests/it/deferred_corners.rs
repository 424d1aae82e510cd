//! Corners of deferred saves, each found by an attack on them.

use std::fs;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hf_repository::{Delivery, ErrorKind, Pattern, PushHandle, PushState, Repository, SaveOptions};

use crate::support::saving::{checkpoint, defer, save, tip, write_again};
use crate::support::{World, weights, write};

#[test]
fn a_deferred_save_commits_what_is_staged() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "model.bin", weights(1, 60_000));
    repo.stage().unwrap();
    let saved = repo
        .save(SaveOptions::new("step 1").deferred())
        .unwrap()
        .saved;
    let said = format!("{saved:?}");
    repo.close().unwrap();
    let files = w.git(w.bare("alice/m"), &["ls-tree", "-r", "--name-only", "main"]);
    assert!(
        files.contains("model.bin"),
        "close was Ok, the save {said}; {files}"
    );
}

#[test]
fn a_deferred_save_of_nothing_new_promises_what_the_remote_lacks() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "a.txt", "a\n");
    repo.stage().unwrap();
    let commit = repo.commit("by hand").unwrap().commit().unwrap();
    // Written again, the same.
    write_again(&repo, "a.txt", "a\n");
    let end = defer(&repo, SaveOptions::new("step 1")).wait().unwrap();
    repo.close().unwrap();
    assert_eq!(tip(&w), commit, "close was Ok, the save {end:?}");
}

#[test]
fn on_done_of_a_deferred_save_may_save_again() {
    let w = World::new();
    w.model("alice/m");
    let repo = Arc::new(w.clone("alice/m", "ours"));
    write(repo.workdir(), "large.bin", weights(1, 30_000_000));
    write(repo.workdir(), "small.txt", "one\n");
    let handle = defer(&repo, SaveOptions::new("both"));
    let (done, heard) = mpsc::channel();
    let again = Arc::clone(&repo);
    handle.on_done(move |end| {
        assert_eq!(end.as_ref().unwrap_err().kind(), ErrorKind::FileChanged);
        let saved = again.save("then at once").map(drop);
        done.send(saved.is_ok()).unwrap();
    });
    write(repo.workdir(), "small.txt", "two\n");
    let told = heard.recv_timeout(Duration::from_secs(75));
    std::mem::forget(repo);
    assert_eq!(told, Ok(true), "the callback never came back");
}

#[test]
fn a_deferred_save_follows_a_new_rule() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "table.csv", "a,b\n");
    save(&repo, "raw").1.wait().unwrap();
    repo.track([Pattern::Glob("*.csv".into())]).unwrap();
    let end = defer(&repo, SaveOptions::new("track")).wait();
    assert!(matches!(end, Ok(Delivery::Pushed(_))), "{end:?}");
    let blob = w.git(w.bare("alice/m"), &["show", "main:table.csv"]);
    assert!(blob.starts_with("version https://git-lfs"), "{blob}");
}

#[test]
fn a_deferred_save_takes_out_rules_of_edited_files() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    write(folder, "sub/ckpt-1", weights(1, 100));
    write(folder, "ckpt-2", weights(2, 100));
    save(&repo, "checkpoints").1.wait().unwrap();
    let text = fs::read_to_string(folder.join(".gitattributes")).unwrap();
    assert!(
        text.contains("ckpt-1") && text.contains("/ckpt-2"),
        "{text}"
    );
    write(
        folder,
        "sub/.gitattributes",
        "/ckpt-1 filter=lfs -text\n# mine\n",
    );
    write(folder, ".gitattributes", text + "# mine\n");
    fs::remove_file(folder.join("sub/ckpt-1")).unwrap();
    fs::remove_file(folder.join("ckpt-2")).unwrap();
    let end = defer(&repo, SaveOptions::new("no checkpoints")).wait();
    assert!(matches!(end, Ok(Delivery::Pushed(_))), "{end:?}");
    for file in [".gitattributes", "sub/.gitattributes"] {
        let there = w.git(w.bare("alice/m"), &["show", &format!("main:{file}")]);
        assert!(
            there.contains("# mine") && !there.contains("ckpt-"),
            "{there}"
        );
    }
    assert_eq!(w.git(folder, &["status", "--short"]), "");
}

#[test]
fn a_deferred_save_refuses_a_path_that_is_not_there() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "checkpoints/model.bin", weights(1, 60_000));
    let now = repo
        .save(SaveOptions::new("x").path("chekpoints"))
        .unwrap_err();
    assert_eq!(now.kind(), ErrorKind::PathNotFound);
    let later = repo.save(SaveOptions::new("x").path("chekpoints").deferred());
    assert_eq!(
        later.expect_err("nothing is saved").kind(),
        ErrorKind::PathNotFound
    );
}

#[test]
fn a_deferred_save_leaves_excluded_rules_alone() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let rules = fs::read_to_string(repo.workdir().join(".gitattributes")).unwrap_or_default();
    write(
        repo.workdir(),
        ".gitattributes",
        format!("{rules}# not to be committed\n"),
    );
    write(repo.workdir(), "model.weird", weights(1, 60_000));
    let options = || SaveOptions::new("x").exclude(".gitattributes");
    assert_eq!(
        repo.save(options()).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let end = defer(&repo, options()).wait();
    let there = w.git(w.bare("alice/m"), &["show", "main:.gitattributes"]);
    assert!(!there.contains("not to be committed"), "{end:?}");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_deferred_save_is_not_failed_by_the_branch_that_follows() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "notes.txt", "one\n");
    save(&repo, "notes").1.wait().unwrap();
    let other = w.git_clone("alice/m", "other");
    write(&other, "notes.txt", "theirs\n");
    w.git_push_all(&other, "theirs");
    checkpoint(&repo, 1).1.wait().unwrap();
    // The training writes the same notes with every checkpoint.
    write_again(&repo, "notes.txt", "one\n");
    write(repo.workdir(), "model.bin", weights(2, 60_000));
    let end = defer(&repo, SaveOptions::new("step 2")).wait();
    assert!(matches!(end, Ok(Delivery::Pushed(_))), "{end:?}");
}

#[test]
fn rules_written_after_a_deferred_save_are_noticed() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let rules = fs::read_to_string(repo.workdir().join(".gitattributes")).unwrap_or_default();
    write(repo.workdir(), ".gitattributes", format!("{rules}# one\n"));
    write(repo.workdir(), "large.bin", weights(1, 80_000_000));
    let handle = defer(&repo, SaveOptions::new("both"));
    write(repo.workdir(), ".gitattributes", format!("{rules}# two\n"));
    let end = handle.wait_staged();
    let there = w.git(repo.workdir(), &["show", "HEAD:.gitattributes"]);
    assert!(
        end.is_err() || there.contains("# one"),
        "{end:?} committed {there}"
    );
}

#[test]
fn a_deferred_save_sees_a_folder_that_became_a_link() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "sub/a.txt", "a\n");
    write(repo.workdir(), "sub/b.txt", "b\n");
    save(&repo, "folder").1.wait().unwrap();
    fs::rename(repo.workdir().join("sub"), w.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", repo.workdir().join("sub")).unwrap();
    let end = defer(&repo, SaveOptions::new("link")).wait();
    let files = w.git(w.bare("alice/m"), &["ls-tree", "-r", "--name-only", "main"]);
    assert!(!files.contains("sub/"), "{end:?}: {files}");
    assert_eq!(w.git(repo.workdir(), &["status", "--short"]), "");
}

#[test]
fn a_deferred_save_sees_a_file_that_became_a_folder() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "last", "step 1\n");
    save(&repo, "file").1.wait().unwrap();
    fs::remove_file(repo.workdir().join("last")).unwrap();
    fs::create_dir(repo.workdir().join("last")).unwrap();
    write(repo.workdir(), "b.txt", "b\n");
    defer(&repo, SaveOptions::new("folder")).wait().unwrap();
    let files = w.git(w.bare("alice/m"), &["ls-tree", "-r", "--name-only", "main"]);
    assert!(!files.contains("last"), "{files}");
}

#[test]
fn a_deferred_save_that_waits_for_another_is_cancelled_at_once() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let _ = repo.resume_pushes().unwrap();
    // The first one waits for somebody else in the clone.
    let lock = fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(repo.workdir().join(".git/hf-repository/lock"))
        .unwrap();
    lock.lock().unwrap();
    write(repo.workdir(), "first.txt", "one\n");
    let first = defer(&repo, SaveOptions::new("first"));
    write(repo.workdir(), "second.txt", "two\n");
    let second = defer(&repo, SaveOptions::new("second").path("second.txt"));
    // Nothing outside says that the stager waits for the lock.
    std::thread::sleep(Duration::from_millis(200));
    second.cancel();
    let end = second.wait_timeout(Duration::from_secs(3));
    assert_eq!(first.state(), PushState::Staging);
    drop(lock);
    assert!(end.is_some(), "what is waiting ends there");
}

/// Saves deferred, and calls it off the moment its files are staged; in a process of its own, since
/// it listens to the steps.
pub(crate) fn cancel_at_staged(folder: &str) {
    let (sender, receiver) = mpsc::channel::<PushHandle>();
    crate::steps::call_at("staged", move || receiver.recv().unwrap().cancel());
    let repo = Repository::open(folder).unwrap();
    write(std::path::Path::new(folder), "a.txt", "a\n");
    let handle = defer(&repo, SaveOptions::new("step 1"));
    sender.send(handle.clone()).unwrap();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(repo.pending_pushes().unwrap().is_empty());
    repo.close().unwrap();
}

#[test]
fn a_deferred_save_called_off_while_it_is_committed_takes_back_its_promise() {
    let w = World::new();
    w.model("alice/m");
    w.clone("alice/m", "ours").close().unwrap();
    let before = tip(&w);
    let folder = w.path("ours").to_string_lossy().into_owned();
    crate::child::succeed(&w.child("cancel-at-staged", &[&folder]).output().unwrap());
    assert_eq!(tip(&w), before);
}
