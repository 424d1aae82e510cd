//! Which files are LFS files, by rules and by what they are.

use std::fs;

use hf_repository::{AutoTrack, Pattern, Repository, StageOptions, TrackReason};

use super::offline;
use crate::support::{World, path, write};

/// Smaller than this, and this large; the limit itself is that of the Hub in one test.
const LIMIT: usize = 1000;

fn options() -> StageOptions {
    StageOptions::default().auto_track(AutoTrack::From {
        bytes: LIMIT as u64,
    })
}

fn small() -> String {
    "1".repeat(LIMIT - 1)
}

fn large() -> String {
    "1".repeat(LIMIT)
}

/// Writes the rules and nothing else, as `auto_track_large_files` and `auto_track_binary_files` did.
fn auto_track(repo: &Repository, options: &StageOptions) -> Vec<String> {
    let preview = repo.preview_auto_track(options).unwrap();
    repo.track(preview.rules).unwrap();
    let names = preview.files.iter().map(|(path, _)| path.to_string());
    names.collect()
}

/// Whether a file is tracked, as the library and as git sees it.
#[track_caller]
fn is_tracked(w: &World, repo: &Repository, name: &str) -> bool {
    let ours = repo.is_tracked_with_lfs(&path(name)).unwrap();
    let theirs = w.git(repo.workdir(), &["check-attr", "-z", "filter", "--", name]);
    assert_eq!(ours, theirs.ends_with("\0lfs\0"), "{name}: {theirs:?}");
    ours
}

const BRACKETS: &str = "large_file[].txt";

#[test]
fn a_glob_with_brackets_is_no_name() {
    let w = World::new();
    let repo = offline(&w);
    write(repo.workdir(), BRACKETS, "text");
    repo.track([Pattern::Glob(BRACKETS.into())]).unwrap();
    assert!(!is_tracked(&w, &repo, BRACKETS));
}

#[test]
fn a_name_with_brackets_is_taken_literally() {
    let w = World::new();
    let repo = offline(&w);
    write(repo.workdir(), BRACKETS, "text");
    repo.track([Pattern::Literal(path(BRACKETS))]).unwrap();
    assert!(is_tracked(&w, &repo, BRACKETS));
    assert!(!is_tracked(&w, &repo, "large_file[.txt"));
}

#[test]
fn a_rule_for_a_file_is_for_that_file() {
    let w = World::new();
    let repo = offline(&w);
    for name in ["small_file.txt", "small_file_2.txt", "model.pt"] {
        write(repo.workdir(), name, "[100]");
    }
    repo.track([Pattern::Literal(path("small_file.txt"))])
        .unwrap();
    assert!(is_tracked(&w, &repo, "small_file.txt"));
    assert!(!is_tracked(&w, &repo, "small_file_2.txt"));
    assert!(is_tracked(&w, &repo, "model.pt"));
    // Better: nor for one of that name in another folder.
    assert!(!is_tracked(&w, &repo, "dir/small_file.txt"));
}

#[test]
fn large_files_of_one_folder() {
    let w = World::new();
    let repo = offline(&w);
    for folder in ["", "dir/"] {
        write(repo.workdir(), &format!("{folder}large_file.txt"), large());
        write(repo.workdir(), &format!("{folder}small_file.txt"), small());
    }
    assert_eq!(
        auto_track(&repo, &options().path("dir")),
        ["dir/large_file.txt"]
    );
    assert!(is_tracked(&w, &repo, "dir/large_file.txt"));
    for name in ["large_file.txt", "small_file.txt", "dir/small_file.txt"] {
        assert!(!is_tracked(&w, &repo, name), "{name}");
    }
}

#[test]
fn large_files_only() {
    let w = World::new();
    let repo = offline(&w);
    let limit = 10 << 20;
    write(repo.workdir(), "large_file.txt", vec![b'1'; limit]);
    write(repo.workdir(), "small_file.txt", vec![b'1'; limit - 1]);
    let preview = repo.preview_auto_track(&StageOptions::default()).unwrap();
    let expected = (path("large_file.txt"), TrackReason::Large);
    assert_eq!(preview.files, [expected]);
    assert_eq!(
        auto_track(&repo, &StageOptions::default()),
        ["large_file.txt"]
    );
    assert!(is_tracked(&w, &repo, "large_file.txt"));
    assert!(!is_tracked(&w, &repo, "small_file.txt"));
}

#[test]
fn ignored_large_files_are_left_alone() {
    let w = World::new();
    let repo = offline(&w);
    write(repo.workdir(), ".gitignore", "large_file.txt\n");
    write(repo.workdir(), "directory/.gitignore", "large_file_3.txt\n");
    write(repo.workdir(), "large_file.txt", large());
    write(repo.workdir(), "large_file_2.txt", large());
    write(repo.workdir(), "directory/large_file_3.txt", large());
    write(repo.workdir(), "directory/large_file_4.txt", large());
    let tracked = ["directory/large_file_4.txt", "large_file_2.txt"];
    assert_eq!(auto_track(&repo, &options()), tracked);
    for name in tracked {
        assert!(is_tracked(&w, &repo, name), "{name}");
    }
    for name in ["large_file.txt", "directory/large_file_3.txt"] {
        assert!(!is_tracked(&w, &repo, name), "{name}");
        assert!(repo.is_ignored(&path(name)).unwrap(), "{name}");
    }
}

/// What the old tests took for a binary file.
const BINARY: [u8; 4] = [0; 4];

#[test]
fn binary_files_only() {
    let w = World::new();
    let repo = offline(&w);
    write(repo.workdir(), "non_binary_file.txt", "[100]");
    write(repo.workdir(), "binary_file.txt", BINARY);
    let preview = repo.preview_auto_track(&options()).unwrap();
    assert_eq!(
        preview.files,
        [(path("binary_file.txt"), TrackReason::Binary)]
    );
    auto_track(&repo, &options());
    assert!(is_tracked(&w, &repo, "binary_file.txt"));
    assert!(!is_tracked(&w, &repo, "non_binary_file.txt"));
}

#[test]
fn ignored_binary_files_are_left_alone() {
    let w = World::new();
    let repo = offline(&w);
    write(repo.workdir(), ".gitignore", "binary_file.txt\n");
    write(
        repo.workdir(),
        "directory/.gitignore",
        "binary_file_3.txt\n",
    );
    write(repo.workdir(), "binary_file.txt", BINARY);
    write(repo.workdir(), "binary_file_2.txt", BINARY);
    write(repo.workdir(), "directory/binary_file_3.txt", BINARY);
    write(repo.workdir(), "directory/binary_file_4.txt", BINARY);
    let tracked = ["binary_file_2.txt", "directory/binary_file_4.txt"];
    assert_eq!(auto_track(&repo, &options()), tracked);
    for name in tracked {
        assert!(is_tracked(&w, &repo, name), "{name}");
    }
    // A file that is ignored may be caught by a rule for its extension; it is not staged all the same.
    let report = repo.stage().unwrap();
    assert_eq!(report.lfs, tracked.map(path));
    let rules = fs::read_to_string(repo.workdir().join(".gitattributes")).unwrap();
    assert!(!rules.contains("binary_file.txt"), "{rules}");
}

/// Stages, deletes and stages again, as `git_add(auto_lfs_track=True)` did.
fn deleted(repo: &Repository) -> String {
    let file = repo.workdir().join("large_file.txt");
    fs::write(&file, large()).unwrap();
    let report = repo.stage_with(&options()).unwrap();
    assert_eq!(report.lfs, [path("large_file.txt")]);
    assert!(rules_of(repo).contains("large_file.txt"));
    fs::remove_file(&file).unwrap();
    repo.stage_with(&options()).unwrap();
    rules_of(repo)
}

fn rules_of(repo: &Repository) -> String {
    fs::read_to_string(repo.workdir().join(".gitattributes")).unwrap()
}

#[test]
fn the_rule_of_a_deleted_file_goes_with_it() {
    let w = World::new();
    let repo = offline(&w);
    let before = rules_of(&repo);
    assert_eq!(deleted(&repo), before);
}

#[test]
fn a_small_file_in_its_place_is_not_tracked() {
    let w = World::new();
    let repo = offline(&w);
    deleted(&repo);
    write(repo.workdir(), "large_file.txt", small());
    let report = repo.stage_with(&options()).unwrap();
    assert_eq!(report.plain, [path("large_file.txt")]);
    assert!(!is_tracked(&w, &repo, "large_file.txt"));
}
