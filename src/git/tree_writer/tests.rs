use std::fs;

use git2::{IndexEntry, IndexTime};

use super::*;
use crate::name::BranchName;

fn repository() -> (tempfile::TempDir, Git) {
    let temp = tempfile::tempdir().expect("temp");
    let git = super::super::create(temp.path(), &BranchName::main()).expect("created");
    (temp, git)
}

fn entry(path: &str, id: ObjectId, mode: u32) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.into(),
    }
}

/// An index with these files, in memory, and what is written of it.
fn index_of(git: &Git, paths: &[&str]) -> git2::Index {
    let mut index = git.repo.index().expect("open");
    index.clear().expect("cleared");
    for (number, path) in paths.iter().enumerate() {
        let id = git.repo.blob(path.as_bytes()).expect("written");
        let mode = [0o100_644, 0o100_755, 0o120_000][number % 3];
        index.add(&entry(path, id, mode)).expect("added");
    }
    index.write().expect("written");
    index
}

fn made(git: &Git) -> Result<ObjectId> {
    git.write_tree(&git.listing_to_commit()?)
}

fn loose(git: &Git, id: ObjectId) -> std::path::PathBuf {
    let name = id.to_string();
    git.common_dir()
        .join("objects")
        .join(&name[..2])
        .join(&name[2..])
}

#[test]
fn it_makes_what_libgit2_makes() {
    let (_temp, git) = repository();
    let deep = "d/".repeat(200) + "file";
    let sets: [&[&str]; 5] = [
        &[],
        &["a"],
        // In an index `a.b` comes before `a/b`, and `a0` behind it.
        &["a.b", "a/b", "a/c/d", "a/c0", "a0", "a0b/c", "b"],
        &["x/y/z", "x/y.z", "x/y0/z", "x.y/z"],
        &[&deep, "d/f", "é/ü"],
    ];
    for paths in sets {
        let mut index = index_of(&git, paths);
        let ours = made(&git).expect("made");
        git.repo.find_tree(ours).expect("written");
        assert_eq!(ours, index.write_tree().expect("made"));
    }
}

#[test]
fn folders_that_are_remembered_are_not_made_again() {
    let (_temp, git) = repository();
    let mut index = index_of(&git, &["a/b/c", "a/d", "e/f"]);
    let root = index.write_tree().expect("made");
    let tree = git.repo.find_tree(root).expect("read");
    let folder = |name: &str| tree.get_name(name).expect("there").id();
    let id = git.repo.blob(b"new").expect("written");
    index.add(&entry("e/f", id, 0o100_644)).expect("added");
    index.write().expect("written");
    let listing = git.listing_to_commit().expect("read");
    let remembered = listing.trees().and_then(|trees| trees.child(b"a"));
    let known = |rows| remembered.and_then(|tree| tree.id_for(rows));
    assert_eq!((known(2), known(3)), (Some(folder("a")), None));
    // Nobody asks for what is in it.
    let a = git.repo.find_tree(folder("a")).expect("read");
    let d = loose(&git, a.get_name("d").expect("there").id());
    fs::remove_file(d).expect("removed");
    let root = made(&git).expect("made");
    // A tree that is remembered and gone is made again, if all is there.
    fs::remove_file(loose(&git, folder("a"))).expect("removed");
    made(&git).expect_err("a file is missing");
    git.repo.blob(b"a/d").expect("written");
    assert_eq!(made(&git).expect("made"), root);
    assert!(loose(&git, folder("a")).exists());
}

#[test]
fn no_tree_is_made_of_what_is_not_whole() {
    let (_temp, git) = repository();
    let mut index = index_of(&git, &["a/b"]);
    let gone = ObjectId::hash_object(ObjectType::Blob, b"gone").expect("hashed");
    for id in [gone, ObjectId::ZERO_SHA1] {
        let mut bad = git2::Index::new().expect("new");
        bad.add(&entry("bad", id, 0o100_644)).expect("added");
        let listing = Listing::of_raw(&git, &bad, None).expect("listed");
        let error = git.write_tree(&listing).expect_err("refused");
        assert!(error.to_string().contains("cannot commit bad: "), "{error}");
    }
    // A submodule's commit is elsewhere.
    index.add(&entry("sub", gone, 0o160_000)).expect("added");
    index.write().expect("written");
    assert_eq!(made(&git).expect("made"), index.write_tree().expect("made"));

    let id = git.repo.blob(b"a/b").expect("written");
    for stage in [1, 2] {
        let flags = stage << 12;
        let side = IndexEntry {
            flags,
            ..entry("c", id, 0o100_644)
        };
        index.add(&side).expect("added");
    }
    index.write().expect("written");
    let error = made(&git).expect_err("refused");
    assert!(error.to_string().contains("cannot commit c: "), "{error}");
}

#[test]
fn an_index_that_is_not_as_it_was_written_is_not_committed() {
    let (_temp, git) = repository();
    index_of(&git, &["a", "b"]);
    let file = git.git_dir().join("index");
    let mut bytes = fs::read(&file).expect("read");
    // A time, that no check of the form finds.
    bytes[13] ^= 1;
    fs::write(&file, &bytes).expect("written");
    git.listing().expect("read");
    git.listing_to_commit().err().expect("refused");
    // With index.skipHash git writes no sum.
    let sum = bytes.len() - 20;
    bytes[sum..].fill(0);
    fs::write(&file, &bytes).expect("written");
    git.listing_to_commit().expect("read");
}
