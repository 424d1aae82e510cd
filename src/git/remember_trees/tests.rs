use super::*;
use crate::git::{Identity, create};
use crate::name::BranchName;
use crate::path::RepoPath;

/// A repository with a file in a folder, committed; the tree, and the index as it was written for it.
fn committed() -> (tempfile::TempDir, Git, ObjectId) {
    let temp = tempfile::tempdir().expect("temp");
    let git = create(temp.path(), &BranchName::main()).expect("created");
    let blob = git.write_blob(b"text").expect("written");
    let mut index = git.index_to_change().expect("locked");
    for name in ["a/b/c", "d"] {
        let path = RepoPath::new(name).expect("valid");
        let entry = crate::git::Entry::without_stat(path, blob, crate::git::Mode::File);
        index.put(&entry).expect("put");
    }
    index.write().expect("written");
    let tree = git
        .write_tree(&git.listing().expect("read"))
        .expect("written");
    let identity = Identity::new("A", "a@x").expect("identity");
    let head = git.head().expect("read");
    git.commit_tree(&head, tree, "m\n", &identity)
        .expect("made");
    (temp, git, tree)
}

fn index_of(git: &Git) -> Vec<u8> {
    std::fs::read(git.git_dir().join("index")).expect("read")
}

#[test]
fn the_index_says_the_same_at_the_same_time() {
    let (_temp, git, tree) = committed();
    let path = git.git_dir().join("index");
    let (before, bytes) = (fs::lstat(&path).expect("seen"), index_of(&git));
    git.remember_trees(tree);
    let (after, new) = (fs::lstat(&path).expect("seen"), index_of(&git));
    assert_eq!(before.map(|stat| stat.mtime), after.map(|stat| stat.mtime));
    let entries = bytes.len() - 20;
    assert_eq!(new[..entries], bytes[..entries]);
    let listing = git.listing().expect("read");
    assert_eq!(
        listing.trees().and_then(|trees| trees.id_for(2)),
        Some(tree)
    );
    // libgit2 reads it, checksum and all.
    git.index().expect("read");
    assert_eq!(git.write_tree(&listing).expect("known"), tree);
    // Once is enough.
    git.remember_trees(tree);
    assert_eq!(fs::lstat(&path).expect("seen"), after);
}

#[test]
fn other_extensions_stay_but_for_those_that_would_lie() {
    let (_temp, git, tree) = committed();
    let bytes = index_of(&git);
    let end = bytes.len() - 20;
    let mut more = bytes[..end].to_vec();
    for name in [b"REUC", b"EOIE", b"UNTR", b"IEOT"] {
        more.extend_from_slice(name);
        more.extend_from_slice(&[0, 0, 0, 3, 1, 2, 3]);
    }
    // Without a checksum, as git writes it with `index.skipHash`.
    more.extend_from_slice(&[0; 20]);
    let new = git
        .index_with_trees(&more, tree)
        .expect("read")
        .expect("new");
    let has = |name: &[u8]| new.windows(name.len()).any(|found| found == name);
    assert!(has(b"TREE") && has(b"REUC\0\0\0\x03\x01\x02\x03UNTR\0\0\0\x03"));
    assert!(!has(b"EOIE") && !has(b"IEOT"));
}

#[test]
fn a_damaged_index_is_not_made_whole() {
    let (_temp, git, tree) = committed();
    let path = git.git_dir().join("index");
    let mut bytes = index_of(&git);
    // The size of a file, which nobody would miss.
    bytes[12 + 39] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    git.remember_trees(tree);
    assert_eq!(index_of(&git), bytes);
    std::fs::write(&path, b"DIRC nothing").expect("written");
    git.remember_trees(tree);
    assert_eq!(index_of(&git), b"DIRC nothing");
}

#[test]
fn what_the_tree_has_not_is_not_remembered() {
    let (_temp, git, tree) = committed();
    let blob = git.write_blob(b"other").expect("written");
    for name in ["a/b/new", "a/b/c"] {
        let mut index = git.index_to_change().expect("locked");
        let path = RepoPath::new(name).expect("valid");
        let entry = crate::git::Entry::without_stat(path, blob, crate::git::Mode::File);
        index.put(&entry).expect("put");
        index.write().expect("written");
        git.remember_trees(tree);
        let listing = git.listing().expect("read");
        let root = listing.trees().expect("there");
        assert_eq!((root.id_for(2), root.id_for(3)), (None, None));
        let folder = root.child(b"a").expect("there");
        assert_eq!((folder.id_for(1), folder.id_for(2)), (None, None));
    }
}

/// git believes whatever it finds there, and commits it.
#[test]
fn a_tree_of_another_number_of_files_is_not_believed() {
    let (_temp, git, tree) = committed();
    git.remember_trees(tree);
    let listing = git.listing().expect("read");
    let lie = listing.trees().expect("remembered");
    let blob = git.write_blob(b"other").expect("written");
    let mut index = git.index_to_change().expect("locked");
    let path = RepoPath::new("a/b/new").expect("valid");
    let entry = crate::git::Entry::without_stat(path, blob, crate::git::Mode::File);
    index.put(&entry).expect("put");
    index.write().expect("written");
    let lying = with_trees(&index_of(&git), lie).expect("understood");
    std::fs::write(git.git_dir().join("index"), lying).expect("written");

    let listing = git.listing().expect("read");
    assert_eq!(listing.trees(), Some(lie));
    let staged = git.staged_in(&listing, Some(tree)).expect("compared");
    let staged: Vec<&str> = staged.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(staged, ["a/b/new"]);
    let new = git.write_tree(&listing).expect("written");
    assert_eq!(git.files_of(new).expect("read").len(), 3);
}
