//! Staging, with and without rules of its own.

use hf_repository::{AutoTrack, Repository, StageOptions};

use super::{commit, offline};
use crate::support::{World, path, write};

const LIMIT: usize = 1000;

fn large() -> AutoTrack {
    AutoTrack::From {
        bytes: LIMIT as u64,
    }
}

fn with(repo: &Repository, auto_track: AutoTrack) {
    let options = StageOptions::default().auto_track(auto_track);
    repo.stage_with(&options).unwrap();
}

/// Whether the index has a pointer for a file, and whether the rules ask for one.
#[track_caller]
fn is_lfs(w: &World, repo: &Repository, name: &str) -> bool {
    let staged = w.git(repo.workdir(), &["cat-file", "-p", &format!(":{name}")]);
    let pointer = staged.starts_with("version https://git-lfs");
    assert_eq!(pointer, repo.is_tracked_with_lfs(&path(name)).unwrap());
    pointer
}

fn text_files(repo: &Repository) {
    write(repo.workdir(), "large_file.txt", "1".repeat(LIMIT));
    write(repo.workdir(), "small_file.txt", "1".repeat(LIMIT - 1));
}

fn other_files(repo: &Repository) {
    write(repo.workdir(), "binary_file.txt", [0; 4]);
    write(repo.workdir(), "non_binary_file.txt", "[100]");
}

#[test]
fn large_files_are_tracked() {
    let w = World::new();
    let repo = offline(&w);
    text_files(&repo);
    with(&repo, large());
    assert!(is_lfs(&w, &repo, "large_file.txt"));
    assert!(!is_lfs(&w, &repo, "small_file.txt"));
}

#[test]
fn large_files_are_not_tracked_if_that_is_off() {
    let w = World::new();
    let repo = offline(&w);
    text_files(&repo);
    with(&repo, AutoTrack::Off);
    assert!(!is_lfs(&w, &repo, "large_file.txt"));
    assert!(!is_lfs(&w, &repo, "small_file.txt"));
}

#[test]
fn binary_files_are_tracked() {
    let w = World::new();
    let repo = offline(&w);
    other_files(&repo);
    // It is the default here; `git_add` had to be asked for it.
    repo.stage().unwrap();
    assert!(is_lfs(&w, &repo, "binary_file.txt"));
    assert!(!is_lfs(&w, &repo, "non_binary_file.txt"));
}

#[test]
fn binary_files_are_not_tracked_if_that_is_off() {
    let w = World::new();
    let repo = offline(&w);
    other_files(&repo);
    with(&repo, AutoTrack::Off);
    assert!(!is_lfs(&w, &repo, "binary_file.txt"));
    assert!(!is_lfs(&w, &repo, "non_binary_file.txt"));
}

#[test]
fn an_untracked_file_is_not_clean() {
    let w = World::new();
    let repo = offline(&w);
    assert!(repo.status().unwrap().is_clean());
    write(repo.workdir(), "file.txt", "hello");
    assert!(!repo.status().unwrap().is_clean());
    commit(&repo, "a file");
    assert!(repo.status().unwrap().is_clean());
    w.assert_clean(repo.workdir());
    // Better: `is_clean` also says that the remote does not have it.
    assert!(!repo.is_clean().unwrap());
}
