//! Tags, of which nothing was said that could be relied on.

use hf_repository::{ErrorKind, RefChange, RemoteName, TagOptions, Where};

use crate::support::World;

#[test]
fn deleting_says_what_was_there() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let place = Where::HereAndOn(RemoteName::origin());
    let outcome = repo.delete_tag_from("never", &place).unwrap();
    assert_eq!(
        (outcome.local, outcome.remote),
        (RefChange::Missing, RefChange::Missing)
    );
    repo.create_tag("here").unwrap();
    let outcome = repo.delete_tag_from("here", &place).unwrap();
    assert_eq!(
        (outcome.local, outcome.remote),
        (RefChange::Deleted, RefChange::Missing)
    );
}

#[test]
fn the_remote_that_is_named_is_asked() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let other = w.path("other.git");
    let name = other.to_string_lossy();
    w.git(w.path(""), &["init", "-q", "--bare", &name]);
    w.git(repo.workdir(), &["remote", "add", "other", &name]);
    let (origin, other): (RemoteName, RemoteName) =
        (RemoteName::origin(), "other".parse().unwrap());
    repo.create_tag_with("v1", TagOptions::default().on(other.clone()))
        .unwrap();
    assert!(repo.has_tag_on("v1", &other).unwrap());
    assert!(!repo.has_tag_on("v1", &origin).unwrap());
    // Where there are no tags, there is none without a name either.
    repo.delete_tag("v1").unwrap();
    assert_eq!(repo.has_tag("").unwrap_err().kind(), ErrorKind::InvalidName);
    assert!(repo.tags().unwrap().is_empty());
}
