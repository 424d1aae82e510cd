//! The index remembers the trees that it was committed or checked out as, just as after git's own `commit`.

use std::fs;
use std::path::Path;

use hf_repository::{Repository, StageOptions};

use crate::support::{World, write};

/// The index's extension `TREE`: what it remembers of trees.
fn trees(folder: &Path) -> Option<Vec<u8>> {
    let index = fs::read(folder.join(".git/index")).unwrap();
    let at = index.windows(4).rposition(|name| name == b"TREE")?;
    let size = u32::from_be_bytes(*index[at + 4..].first_chunk().unwrap());
    Some(index[at + 8..][..size as usize].to_vec())
}

/// What git has an index remember that holds what HEAD does, and these files that are only announced.
///
/// Made anew: what it finds remembered git believes, and leaves as it is.
fn trees_by_git(w: &World, folder: &Path, announced: &[&str]) -> Option<Vec<u8>> {
    let copy = w.path("by-git");
    let _ = fs::remove_dir_all(&copy);
    let copied = w
        .command("cp", folder)
        .args(["-a", "."])
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    fs::remove_file(copy.join(".git/index")).unwrap();
    w.git(&copy, &["read-tree", "HEAD"]);
    for file in announced {
        w.git(&copy, &["add", "-N", file]);
    }
    trees(&copy)
}

/// Folders in folders: more of them than anybody leaves an index without trees for.
fn fill(folder: &Path, text: &str) {
    for number in 0..40 {
        write(folder, &format!("d{number}/file.txt"), text);
        write(folder, &format!("d{number}/below/it/file.txt"), text);
        write(folder, &format!("d{number}.x"), text);
    }
}

fn filled(w: &World) -> Repository {
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    fill(repo.workdir(), "one\n");
    let _ = repo.stage().unwrap();
    let _ = repo.commit("one").unwrap();
    repo
}

#[test]
fn trees_are_those_that_git_remembers() {
    let w = World::new();
    let repo = filled(&w);
    let ours = repo.workdir();
    let first = trees(ours).expect("remembered after a commit");
    assert_eq!(Some(&first), trees_by_git(&w, ours, &[]).as_ref());
    w.git(ours, &["fsck", "--strict"]);
    assert_eq!(w.git(ours, &["status", "--porcelain"]), "");
    assert!(repo.status().unwrap().is_clean());

    // One folder is not worth an index; it knows itself that this one has changed.
    write(ours, "d7/below/it/file.txt", "two\n");
    let _ = repo.stage().unwrap();
    let _ = repo.commit("two").unwrap();
    let some = trees(ours).expect("still there");
    assert_ne!(some, first);
    assert!(repo.status().unwrap().is_clean());
    assert_eq!(w.git(ours, &["status", "--porcelain"]), "");

    fill(ours, "three\n");
    let _ = repo.save("three").unwrap();
    repo.wait_for_pushes().unwrap();
    assert_eq!(trees(ours), trees_by_git(&w, ours, &[]));

    let clone = w.clone("alice/m", "clone");
    assert!(trees(clone.workdir()).is_some());
    let by_git = trees_by_git(&w, clone.workdir(), &[]);
    assert_eq!(trees(clone.workdir()), by_git);
}

#[test]
fn what_was_left_out_of_the_commit_is_in_no_tree() {
    let w = World::new();
    let repo = filled(&w);
    let ours = repo.workdir();
    fill(ours, "two\n");
    write(ours, "d1/announced.txt", "");
    let options = StageOptions::default().exclude("d1/announced.txt");
    let _ = repo.stage_with(&options).unwrap();
    w.git(ours, &["add", "-N", "d1/announced.txt"]);
    let _ = repo.commit("two").unwrap();
    let trees = trees(ours);
    assert!(trees.is_some());
    assert_eq!(trees, trees_by_git(&w, ours, &["d1/announced.txt"]));
    let status = repo.status().unwrap();
    let left: Vec<_> = status
        .entries
        .iter()
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(left, ["d1/announced.txt"]);
}

#[test]
fn an_index_that_somebody_holds_is_left_alone() {
    let w = World::new();
    let repo = filled(&w);
    let ours = repo.workdir();
    fill(ours, "two\n");
    let _ = repo.stage().unwrap();
    let staged = fs::read(ours.join(".git/index")).unwrap();
    fs::write(ours.join(".git/index.lock"), "mine").unwrap();
    let _ = repo.commit("two").unwrap();
    assert_eq!(fs::read(ours.join(".git/index")).unwrap(), staged);
    assert_eq!(fs::read(ours.join(".git/index.lock")).unwrap(), b"mine");
}
