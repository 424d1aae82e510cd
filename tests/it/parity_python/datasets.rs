//! Datasets, and how their type is said.

use hf_repository::{ErrorKind, PrepareRepository, RepoType};
use mini_hub::{RepoKind, RepoOptions};

use super::{SEED, identity, is_there, upload};
use crate::support::World;

fn hub() -> World {
    let w = World::new();
    w.hub
        .create_repo("alice/d", &RepoOptions::dataset())
        .unwrap();
    let bare = w.hub.repo_path(RepoKind::Dataset, "alice/d");
    upload(&w, &bare, SEED, b"some data\n");
    w
}

#[track_caller]
fn is_the_dataset(w: &World, prepared: PrepareRepository) {
    let repo = prepared.clone_repo().unwrap();
    assert!(is_there(&repo, SEED));
    let id = "alice/d".parse().unwrap();
    assert_eq!(repo.hub_id(), Some((RepoType::Dataset, id)));
    assert_eq!(repo.remote_url(), w.url("datasets/alice/d"));
}

#[test]
fn an_address_with_the_type_beside_it() {
    let w = hub();
    let prepared = w.prepare(&w.url("datasets/alice/d"), "ours");
    is_the_dataset(
        &w,
        prepared.repo_type(RepoType::Dataset).identity(identity()),
    );
    // Better: a type that contradicts the address is an error, before anything is asked.
    w.hub.clear_requests();
    let prepared = w.prepare(&w.url("datasets/alice/d"), "other");
    let error = prepared
        .repo_type(RepoType::Space)
        .clone_repo()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSource);
    assert!(w.hub.requests().is_empty());
}

#[test]
fn an_address_that_says_the_type() {
    let w = hub();
    is_the_dataset(
        &w,
        w.prepare(&w.url("datasets/alice/d"), "ours")
            .identity(identity()),
    );
}

#[test]
fn an_id_with_the_type_beside_it() {
    let w = hub();
    let prepared = w.prepare("alice/d", "ours").repo_type(RepoType::Dataset);
    is_the_dataset(&w, prepared.identity(identity()));
}

#[test]
fn nobody_has_to_be_named() {
    let w = hub();
    let prepared = w.prepare("alice/d", "ours").repo_type(RepoType::Dataset);
    is_the_dataset(&w, prepared);
}

#[test]
fn a_name_without_a_namespace_is_not_found() {
    let w = hub();
    let prepared = w.prepare("d", "ours").repo_type(RepoType::Dataset);
    let error = prepared.clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RepoNotFound);
    assert!(!w.path("ours").exists());
}
