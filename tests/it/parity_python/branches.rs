//! Branches, and HEAD without one.

use std::fs;

use hf_repository::{CheckoutOptions, ErrorKind, Repository};

use super::{commit, hub, identity, is_there, offline};
use crate::support::{World, write};

fn clone(w: &World) -> Repository {
    let prepared = w.prepare("alice/m", "ours").identity(identity());
    prepared.clone_repo().unwrap()
}

fn create(repo: &Repository, name: &str) {
    let report = repo.checkout_with(name, CheckoutOptions::Create).unwrap();
    assert!(report.created);
}

/// Files at a branch of the remote.
fn remote_files(w: &World, branch: &str) -> Vec<String> {
    let files = w.git(w.bare("alice/m"), &["ls-tree", "--name-only", branch]);
    files.lines().map(str::to_owned).collect()
}

#[test]
fn commits_stay_on_their_branch() {
    let w = hub();
    let repo = clone(&w);
    write(repo.workdir(), "on main", "1");
    commit(&repo, "on main");
    repo.push().unwrap();
    create(&repo, "new");
    write(repo.workdir(), "on new", "2");
    commit(&repo, "on new");
    repo.push().unwrap();
    repo.checkout("main").unwrap();
    assert!(is_there(&repo, "on main") && !is_there(&repo, "on new"));
    repo.checkout("new").unwrap();
    assert!(is_there(&repo, "on main") && is_there(&repo, "on new"));
    assert_eq!(remote_files(&w, "main"), ["on main", super::SEED]);
    assert_eq!(remote_files(&w, "new"), ["on main", "on new", super::SEED]);
}

#[test]
fn a_new_branch_is_pushed_beside_the_other() {
    let w = hub();
    let repo = clone(&w);
    create(&repo, "new");
    write(repo.workdir(), "random", "1");
    let _ = repo.save("on a branch").unwrap();
    let report = repo.wait_for_pushes().unwrap();
    assert_eq!(report.pushed.len(), 1);
    assert_eq!(remote_files(&w, "new"), ["random", super::SEED]);
    assert_eq!(remote_files(&w, "main"), [super::SEED]);
    // It is followed from now on.
    assert!(repo.has_upstream().unwrap());
    let second = w.clone("alice/m", "second");
    assert!(!is_there(&second, "random"));
    second.checkout("new").unwrap();
    assert!(is_there(&second, "random"));
}

#[test]
fn without_a_branch_nothing_is_pushed() {
    let w = hub();
    let repo = clone(&w);
    let head = repo.head().unwrap().unwrap();
    repo.checkout(head.to_string()).unwrap();
    write(repo.workdir(), "new", "1");
    w.hub.clear_requests();
    for error in [
        repo.save("nowhere").unwrap_err(),
        repo.push().unwrap_err(),
        repo.push_in_background().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::DetachedHead);
    }
    assert!(w.hub.requests().is_empty());
    assert_eq!(repo.head().unwrap(), Some(head));
    assert_eq!(fs::read(repo.workdir().join("new")).unwrap(), b"1");
}

#[test]
fn a_branch_must_exist() {
    let w = World::new();
    let repo = offline(&w);
    let error = repo.checkout("brand-new-branch").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RevisionNotFound);
    assert_eq!(repo.current_branch().unwrap().unwrap().as_str(), "main");
}

#[test]
fn a_branch_is_created_on_request() {
    let w = World::new();
    let repo = offline(&w);
    create(&repo, "new-branch");
    assert_eq!(
        repo.current_branch().unwrap().unwrap().as_str(),
        "new-branch"
    );
    let theirs = w.git(repo.workdir(), &["rev-parse", "--abbrev-ref", "HEAD"]);
    assert_eq!(theirs, "new-branch");
}

#[test]
fn a_new_branch_follows_nothing() {
    let w = World::new();
    let repo = offline(&w);
    create(&repo, "new-branch");
    assert!(!repo.has_upstream().unwrap());
}

#[test]
fn without_a_branch_nothing_is_followed() {
    let w = World::new();
    let repo = offline(&w);
    let head = repo.head().unwrap().unwrap();
    repo.checkout(head.to_string()).unwrap();
    assert_eq!(
        repo.has_upstream().unwrap_err().kind(),
        ErrorKind::DetachedHead
    );
    assert_eq!(repo.current_branch().unwrap(), None);
}
