//! Tags, here and on the remote.

use hf_repository::{RefChange, RemoteName, Repository, TagKind, TagOptions, Where};

use super::{hub, identity, offline};
use crate::support::World;

fn clone(w: &World) -> Repository {
    let prepared = w.prepare("alice/m", "ours").identity(identity());
    prepared.clone_repo().unwrap()
}

fn origin() -> RemoteName {
    RemoteName::origin()
}

/// The tags of the server's repository.
fn there(w: &World) -> String {
    w.git(w.bare("alice/m"), &["tag", "-n"])
}

#[test]
fn a_tag_is_on_the_remote_as_well() {
    let w = hub();
    let repo = clone(&w);
    let tag = repo
        .create_tag_with("v4.6.0", TagOptions::default().on(origin()))
        .unwrap();
    // Better: it says what it did, and where.
    assert_eq!(
        (tag.local, tag.remote),
        (RefChange::Created, RefChange::Created)
    );
    assert!(repo.has_tag("v4.6.0").unwrap());
    assert!(repo.has_tag_on("v4.6.0", &origin()).unwrap());
    assert!(there(&w).starts_with("v4.6.0"));
    assert_eq!(tag.commit, repo.head().unwrap());
}

#[test]
fn a_message_comes_back_from_the_remote() {
    let w = hub();
    let repo = clone(&w);
    let options = TagOptions::default()
        .message("This is an annotated tag")
        .on(origin());
    repo.create_tag_with("v4.5.0", options).unwrap();
    repo.delete_tag("v4.5.0").unwrap();
    assert!(!repo.has_tag("v4.5.0").unwrap());
    w.git(repo.workdir(), &["pull", "-q", "--tags", "origin", "main"]);
    let tags = repo.tags().unwrap();
    assert_eq!(tags.len(), 1);
    assert_eq!(tags[0].kind, TagKind::Annotated);
    let message = tags[0].message.as_deref().map(str::trim);
    assert_eq!(message, Some("This is an annotated tag"));
}

#[test]
fn a_tag_that_is_deleted_here_stays_on_the_remote() {
    let w = hub();
    let repo = clone(&w);
    repo.create_tag_with("v1", TagOptions::default().on(origin()))
        .unwrap();
    let deleted = repo.delete_tag("v1").unwrap();
    assert_eq!(
        (deleted.local, deleted.remote),
        (RefChange::Deleted, RefChange::Untouched)
    );
    assert!(!repo.has_tag("v1").unwrap());
    assert!(repo.has_tag_on("v1", &origin()).unwrap());
}

#[test]
fn a_tag_is_deleted_here_and_on_the_remote() {
    let w = hub();
    let repo = clone(&w);
    repo.create_tag_with("v1", TagOptions::default().on(origin()))
        .unwrap();
    let deleted = repo
        .delete_tag_from("v1", &Where::HereAndOn(origin()))
        .unwrap();
    assert_eq!(
        (deleted.local, deleted.remote),
        (RefChange::Deleted, RefChange::Deleted)
    );
    assert!(!repo.has_tag("v1").unwrap());
    assert!(!repo.has_tag_on("v1", &origin()).unwrap());
    assert_eq!(there(&w), "");
}

#[test]
fn a_tag_needs_no_network() {
    let w = World::new();
    let repo = offline(&w);
    repo.create_tag("v4.6.0").unwrap();
    assert!(repo.has_tag("v4.6.0").unwrap());
    assert_eq!(w.git(repo.workdir(), &["tag"]), "v4.6.0");
    assert!(w.hub.requests().is_empty());
}

#[test]
fn a_message_needs_no_network() {
    let w = World::new();
    let repo = offline(&w);
    repo.create_tag_with("v1", TagOptions::default().message("This is it"))
        .unwrap();
    let told = w.git(
        repo.workdir(),
        &["tag", "-n", "--format=%(contents:subject) by %(taggername)"],
    );
    assert_eq!(told, "This is it by ci");
}

#[test]
fn deleting_a_tag_needs_no_network() {
    let w = World::new();
    let repo = offline(&w);
    repo.create_tag("v1").unwrap();
    repo.delete_tag("v1").unwrap();
    assert!(!repo.has_tag("v1").unwrap());
    assert_eq!(w.git(repo.workdir(), &["tag"]), "");
    assert!(w.hub.requests().is_empty());
}
