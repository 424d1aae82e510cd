//! Objects of other repositories on this machine are taken from there, not downloaded.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mini_hub::Route;

use crate::child::succeed;
use crate::support::{World, needs_git_lfs, weights, write};

fn downloads(w: &World) -> usize {
    let log = w.hub.requests();
    log.iter().filter(|r| r.route == Route::LfsGet).count()
}

/// The objects in an LFS folder.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.join("objects")];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// A hub with two LFS files, and a clone by git that has their content.
fn world() -> (World, PathBuf) {
    let w = World::new();
    w.model("alice/m");
    let seed = w.clone("alice/m", "seed");
    write(seed.workdir(), "a.bin", weights(1, 50_000));
    write(seed.workdir(), "b.bin", weights(2, 60_000));
    seed.stage().unwrap();
    let _ = seed.commit("weights").unwrap();
    seed.push().unwrap();
    let base = w.git_clone("alice/m", "base");
    assert_eq!(objects(&base.join(".git/lfs")).len(), 2);
    (w, base)
}

/// Keeps git-lfs out: even with smudging off it would link objects.
const PLAIN: [&str; 6] = [
    "-c",
    "filter.lfs.smudge=",
    "-c",
    "filter.lfs.process=",
    "-c",
    "filter.lfs.required=false",
];

/// `git clone --reference`, with pointers in the work tree and no objects.
fn reference_clone(w: &World, base: &Path, name: &str) -> PathBuf {
    let target = w.path(name);
    let (base, url) = (base.to_string_lossy(), w.url("alice/m"));
    let target_name = target.to_string_lossy();
    let clone = ["clone", "-q", "--reference", &base, &url, &target_name];
    w.git(w.path(""), &[&PLAIN[..], &clone[..]].concat());
    assert!(objects(&target.join(".git/lfs")).is_empty());
    target
}

#[test]
fn a_clone_by_reference_downloads_nothing() {
    needs_git_lfs!();
    let (w, base) = world();
    let ours = reference_clone(&w, &base, "ours");
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    w.hub.clear_requests();
    assert_eq!(repo.fetch_all_content().unwrap().len(), 2);
    assert_eq!(downloads(&w), 0);
    assert_eq!(fs::read(ours.join("a.bin")).unwrap(), weights(1, 50_000));
    let (here, there) = (
        objects(&ours.join(".git/lfs")),
        objects(&base.join(".git/lfs")),
    );
    assert_eq!(here.len(), 2);
    for (one, other) in here.iter().zip(&there) {
        let ino = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(ino(one), ino(other), "a second copy");
    }
    assert_eq!(w.git(&ours, &["status", "--porcelain"]), "");
    // What comes later is taken from there as well, once it is there.
    let seed = w.prepare("alice/m", "seed").open().unwrap();
    write(seed.workdir(), "a.bin", weights(3, 70_000));
    seed.stage().unwrap();
    let _ = seed.commit("more").unwrap();
    seed.push().unwrap();
    w.git(&base, &["pull", "-q"]);
    w.hub.clear_requests();
    repo.pull().unwrap();
    assert_eq!(downloads(&w), 0);
    assert_eq!(fs::read(ours.join("a.bin")).unwrap(), weights(3, 70_000));
    // Changing a file changes nothing there.
    write(&ours, "a.bin", "changed");
    repo.stage().unwrap();
    w.git(&base, &["lfs", "fsck"]);
}

#[test]
fn a_damaged_object_elsewhere_is_downloaded() {
    needs_git_lfs!();
    let (w, base) = world();
    for path in objects(&base.join(".git/lfs")) {
        // As long as before.
        let length = fs::metadata(&path).unwrap().len() as usize;
        fs::write(&path, vec![7; length]).unwrap();
    }
    let ours = reference_clone(&w, &base, "ours");
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    w.hub.clear_requests();
    assert_eq!(repo.fetch_all_content().unwrap().len(), 2);
    assert_eq!(downloads(&w), 2);
    assert_eq!(fs::read(ours.join("b.bin")).unwrap(), weights(2, 60_000));
}

#[test]
fn an_object_that_is_only_elsewhere_can_be_pushed() {
    needs_git_lfs!();
    let (w, base) = world();
    let ours = reference_clone(&w, &base, "ours");
    write(&base, "c.bin", weights(5, 40_000));
    w.git(&base, &["add", "-A"]);
    w.git(&base, &["commit", "-q", "-m", "unpushed"]);
    let pull = ["pull", "-q", &base.to_string_lossy(), "main"];
    w.git(&ours, &[&PLAIN[..], &pull[..]].concat());
    assert!(objects(&ours.join(".git/lfs")).is_empty());
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let report = repo.push().unwrap();
    assert_eq!(report.lfs_objects, 1);
    let fresh = w.git_clone("alice/m", "fresh");
    assert_eq!(fs::read(fresh.join("c.bin")).unwrap(), weights(5, 40_000));
}

#[test]
fn folders_that_the_environment_names_are_looked_at() {
    let (w, base) = world();
    // No objects of git's own come from there: a clone with pointers, and the variable.
    let ours = w.path("ours");
    let repo = w
        .prepare("alice/m", "ours")
        .content(hf_repository::Content::PointersOnly)
        .clone_repo()
        .unwrap();
    drop(repo);
    w.hub.clear_requests();
    let mut child = w.child("fetch-content", &[&ours.to_string_lossy()]);
    child.env(
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        base.join(".git/objects"),
    );
    succeed(&child.output().unwrap());
    assert_eq!(downloads(&w), 0);
    assert_eq!(fs::read(ours.join("a.bin")).unwrap(), weights(1, 50_000));
}
