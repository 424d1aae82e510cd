//! Folders that are clones already, and such that are none.

use std::fs;

use hf_repository::{CheckoutOptions, ErrorKind, Pattern, Repository};

use super::{SEED, commit, hub, identity, is_there, offline, upload};
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
    // Better: who means it has the folder adopted. The old error had a recipe to be typed by hand.
    let repo = w.prepare("alice/m", "ours").adopt().unwrap();
    assert!(is_there(&repo, SEED));
    assert_eq!(fs::read(w.path("ours/dummy.txt")).unwrap(), b"hello");
    assert_eq!(repo.status().unwrap().entries.len(), 2);
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

/// Opens the clone at a revision, which is made if it is missing.
fn open_at(w: &World, revision: &str) -> Repository {
    let prepared = w.prepare("alice/m", "ours").identity(identity());
    let revision = revision.parse().unwrap();
    let prepared = prepared.revision_with(revision, CheckoutOptions::Create);
    prepared.open().unwrap()
}

fn branch(repo: &Repository) -> String {
    repo.current_branch().unwrap().unwrap().to_string()
}

#[test]
fn a_revision_that_is_missing_becomes_a_branch() {
    let w = World::new();
    w.empty_model("alice/m");
    let head = offline(&w).head().unwrap();
    // Better: the remote is asked whether it has the branch, before another one of that name is made.
    let repo = open_at(&w, "new-branch");
    assert_eq!(branch(&repo), "new-branch");
    assert_eq!(repo.head().unwrap(), head);
    // Better: without being asked for, it is a mistake and no branch.
    let prepared = w
        .prepare("alice/m", "ours")
        .revision("other".parse().unwrap());
    assert_eq!(
        prepared.open().unwrap_err().kind(),
        ErrorKind::RevisionNotFound
    );
}

#[test]
fn a_branch_stays_checked_out_when_it_is_opened_again() {
    let w = World::new();
    w.empty_model("alice/m");
    drop(offline(&w));
    drop(open_at(&w, "new-branch"));
    w.hub.clear_requests();
    assert_eq!(branch(&open_at(&w, "new-branch")), "new-branch");
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    assert_eq!(branch(&repo), "new-branch");
    assert!(w.hub.requests().is_empty());
}

#[test]
fn commits_are_checked_out_by_their_id() {
    let w = World::new();
    let repo = offline(&w);
    let commits = ["This is a new text file.", "Some changes."].map(|text| {
        write(repo.workdir(), "some_file.txt", text);
        commit(&repo, text);
        (repo.head().unwrap().unwrap().to_string(), text)
    });
    drop(repo);
    for (commit, text) in &commits {
        for revision in [commit.as_str(), &commit[..8]] {
            let repo = open_at(&w, revision);
            let file = repo.workdir().join("some_file.txt");
            assert_eq!(fs::read_to_string(file).unwrap(), *text);
            assert_eq!(repo.current_branch().unwrap(), None);
        }
    }
    assert!(w.hub.requests().is_empty());
}
