//! Who commits.

use super::{commit, hub, offline};
use crate::child::succeed;
use crate::support::{World, write};

const AUTHOR: [&str; 3] = ["log", "-1", "--format=%an <%ae>"];

// Better: the address is the Hub's own for its users. The old one was the private address, which then was
// in every public commit. And what git's config says counts more: the user wrote it.
#[test]
fn the_owner_of_the_token_commits() {
    let w = hub();
    write(&w.path("home"), ".gitconfig", "");
    let folder = w.path("ours");
    let mut child = w.child("author", &["alice/m", &folder.to_string_lossy()]);
    succeed(&child.output().unwrap());
    let author = w.git(&folder, &AUTHOR);
    assert!(
        author.starts_with("alice <alice@users.noreply."),
        "{author}"
    );
}

#[test]
fn who_is_named_commits() {
    let w = World::new();
    let repo = offline(&w);
    write(repo.workdir(), "file", "1");
    commit(&repo, "by name");
    let expected = "ci <ci@dummy.com>";
    assert_eq!(w.git(repo.workdir(), &AUTHOR), expected);
    // Better: it is not written into the clone's config, where the next user of the folder would find it.
    let config = w.git(repo.workdir(), &["config", "--local", "--list"]);
    assert!(!config.contains("user."), "{config}");
}
