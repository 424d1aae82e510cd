//! Where a clone may come from, and with what content.

use std::fs;

use hf_repository::{Content, ErrorKind};
use mini_hub::{AuthKind, Route};

use super::{SEED, hub, is_there, upload, upload_lfs};
use crate::support::World;

#[test]
fn an_address_is_cloned() {
    let w = hub();
    let repo = w.prepare(&w.url("alice/m"), "ours").clone_repo().unwrap();
    assert!(is_there(&repo, SEED));
    w.assert_clean(repo.workdir());
}

#[test]
fn an_id_is_cloned() {
    let w = hub();
    let repo = w.clone("alice/m", "ours");
    assert!(is_there(&repo, SEED));
    assert_eq!(repo.remote_url(), w.url("alice/m"));
}

// Better: the kind says what is wrong, and no folder is left.
#[test]
fn a_name_without_a_namespace_is_not_found() {
    let w = hub();
    let error = w.prepare("m", "ours").clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RepoNotFound);
    assert!(!w.path("ours").exists());
}

// Better: the token of the endpoint stays there.
#[test]
fn an_address_on_another_host_is_cloned() {
    let w = World::new();
    let other = hub();
    let source = other.url("alice/m");
    let repo = w.prepare(&source, "ours").clone_repo().unwrap();
    assert!(is_there(&repo, SEED));
    let requests = other.hub.requests();
    assert!(!requests.is_empty());
    assert!(
        requests
            .iter()
            .all(|request| request.auth == AuthKind::None)
    );
}

#[test]
fn what_is_missing_is_not_found() {
    let w = World::new();
    for source in ["alice/none", &w.url("alice/none")] {
        let error = w.prepare(source, "ours").clone_repo().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RepoNotFound);
        assert!(error.hint().is_some());
        assert!(!w.path("ours").exists());
    }
}

fn canonical() -> World {
    let w = World::new();
    w.empty_model("bert-base-cased");
    upload(&w, &w.bare("bert-base-cased"), SEED, b"old\n");
    w
}

#[test]
fn a_model_without_a_namespace_by_its_id() {
    let w = canonical();
    let prepared = w.prepare("bert-base-cased", "ours");
    let prepared = prepared.content(Content::PointersOnly);
    assert!(is_there(&prepared.clone_repo().unwrap(), SEED));
}

#[test]
fn a_model_without_a_namespace_by_its_address() {
    let w = canonical();
    let prepared = w.prepare(&w.url("bert-base-cased"), "ours");
    let prepared = prepared.content(Content::PointersOnly);
    assert!(is_there(&prepared.clone_repo().unwrap(), SEED));
}

#[test]
fn lfs_files_may_stay_pointers() {
    let w = hub();
    upload_lfs(&w, "alice/m");
    let prepared = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    let repo = prepared.clone_repo().unwrap();
    let text = fs::read_to_string(repo.workdir().join("model.bin")).unwrap();
    assert!(text.starts_with("version "), "{text}");
    // Better: it is not only not written, it is not asked for.
    let asked = |route| {
        w.hub
            .requests()
            .iter()
            .any(|request| request.route == route)
    };
    assert!(!asked(Route::LfsBatch) && !asked(Route::LfsGet));
    assert!(repo.is_clean().unwrap());
}

#[test]
fn content_comes_when_it_is_asked_for() {
    let w = hub();
    let content = upload_lfs(&w, "alice/m");
    let prepared = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    let repo = prepared.clone_repo().unwrap();
    // Better: file by file, where `git_pull(lfs=True)` brought all there is.
    assert_eq!(repo.fetch_content(["model.bin"]).unwrap().len(), 1);
    assert_eq!(fs::read(repo.workdir().join("model.bin")).unwrap(), content);
    w.assert_sound(repo.workdir());
}
