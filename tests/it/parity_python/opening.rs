//! Folders that are clones already, and such that are none.

use std::fs;

use hf_repository::{ErrorKind, Pattern, Repository};

use super::{SEED, commit, hub, identity, is_there, upload};
use crate::support::{World, path, write};

/// What the old tests did with every new object: a rule, large files, a pull.
fn is_usable(w: &World, repo: &Repository) {
    let pdf = Pattern::Glob("*.pdf".into());
    let report = repo.track([pdf.clone()]).unwrap();
    assert_eq!(report.changed, [pdf]);
    assert!(repo.is_tracked_with_lfs(&path("a.pdf")).unwrap());
    assert!(repo.pull().unwrap().is_up_to_date());
    // Large files need nothing to be enabled, and so nothing to be written into the config.
    let config = w.git(repo.workdir(), &["config", "--local", "--list"]);
    assert!(!config.contains("customtransfer"), "{config}");
}

#[test]
fn a_clone_by_git_is_opened() {
    let w = hub();
    let folder = w.git_clone("alice/m", "theirs");
    // No source is named: the clone says itself where it came from.
    let config = fs::read(folder.join(".git/config")).unwrap();
    let repo = Repository::open(&folder).unwrap();
    assert_eq!(repo.remote_url(), w.url("alice/m"));
    drop(repo);
    assert_eq!(fs::read(folder.join(".git/config")).unwrap(), config);
    let repo = w.prepare("alice/m", "theirs").open().unwrap();
    is_usable(&w, &repo);
    assert!(is_there(&repo, SEED));
}

#[test]
fn a_folder_that_is_no_clone_is_an_error() {
    let w = World::new();
    fs::create_dir(w.path("empty")).unwrap();
    for folder in ["empty", "missing"] {
        let error = Repository::open(w.path(folder)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotARepository);
        assert!(error.hint().is_some());
    }
    // Better: looking leaves no folder behind.
    assert!(!w.path("missing").exists());
}

#[test]
fn an_empty_folder_becomes_a_clone() {
    let w = hub();
    fs::create_dir(w.path("ours")).unwrap();
    let repo = w.prepare("alice/m", "ours").open_or_clone().unwrap();
    assert!(is_there(&repo, SEED));
    is_usable(&w, &repo);
}

#[test]
fn stray_files_stop_a_clone() {
    let w = hub();
    write(&w.path("ours"), "dummy.txt", "hello");
    write(&w.path("ours"), "model.bin", "hello");
    let error = w.prepare("alice/m", "ours").open_or_clone().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FolderNotEmpty);
    assert!(error.hint().is_some());
    assert_eq!(fs::read_dir(w.path("ours")).unwrap().count(), 2);
    assert_eq!(fs::read(w.path("ours/dummy.txt")).unwrap(), b"hello");
}

#[test]
fn a_clone_is_opened_again_with_a_token() {
    let w = hub();
    let open = || w.prepare("alice/m", "ours").open_or_clone().unwrap();
    drop(open());
    let again = open();
    again.check_write_access().unwrap();
    // Better: it is written nowhere.
    let config = fs::read_to_string(w.path("ours/.git/config")).unwrap();
    assert!(
        !config.contains(&w.token) && !config.contains("helper"),
        "{config}"
    );
}

#[test]
fn a_clone_of_another_repository_is_an_error() {
    let w = hub();
    w.model("alice/temp");
    drop(w.clone("alice/m", "ours"));
    let error = w.prepare("alice/temp", "ours").open_or_clone().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RemoteMismatch);
    // Better: both are named, and no password of either.
    let text = error.to_string();
    assert!(
        text.contains("alice/m") && text.contains("alice/temp"),
        "{text}"
    );
    assert!(is_there(&Repository::open(w.path("ours")).unwrap(), SEED));
}

#[test]
fn opening_again_pulls_nothing() {
    let w = hub();
    drop(w.clone("alice/m", "ours"));
    upload(&w, &w.bare("alice/m"), "random_file_3.txt", b"new\n");
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").open_or_clone().unwrap();
    assert!(!is_there(&repo, "random_file_3.txt"));
    // Better: it asks nothing either.
    assert!(w.hub.requests().is_empty());
    repo.pull().unwrap();
    assert!(is_there(&repo, "random_file_3.txt"));
}

#[test]
fn a_clone_that_has_diverged_is_opened() {
    let w = hub();
    let repo = w.clone("alice/m", "ours");
    drop(repo);
    let open = || {
        w.prepare("alice/m", "ours")
            .identity(identity())
            .open_or_clone()
            .unwrap()
    };
    let repo = open();
    write(repo.workdir(), "random_file_3.txt", "ours");
    commit(&repo, "unrelated");
    let head = repo.head().unwrap();
    drop(repo);
    upload(&w, &w.bare("alice/m"), "random_file_3.txt", b"theirs\n");
    let repo = open();
    assert_eq!(repo.head().unwrap(), head);
    assert_eq!(repo.pull().unwrap_err().kind(), ErrorKind::Diverged);
}

#[test]
fn a_new_clone_follows_its_remote() {
    let w = hub();
    let repo = w.clone("alice/m", "ours");
    assert!(repo.has_upstream().unwrap());
    w.git(repo.workdir(), &["rev-parse", "@{u}"]);
    assert_eq!(repo.commits_ahead().unwrap(), 0);
}
