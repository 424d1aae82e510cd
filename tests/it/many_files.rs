//! Many small files at once: what is written for them, and that others can read it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hf_repository::{CancelToken, ErrorKind, Repository};

use crate::support::{World, write};

fn texts(folder: &Path, folders: usize, each: usize, what: &str) {
    for at in 0..folders {
        let within = folder.join(format!("{what}{at}"));
        fs::create_dir_all(&within).unwrap();
        for number in 0..each {
            write(
                &within,
                &format!("{number}.txt"),
                format!("{what} {at} {number}\n"),
            );
        }
    }
}

/// Objects in files of their own, objects in packs, and packs.
fn counted(w: &World, folder: &Path) -> [usize; 3] {
    let told = w.git(folder, &["count-objects", "-v"]);
    let number = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches(": ").parse().unwrap()
    };
    ["count", "in-pack", "packs"].map(number)
}

fn indexes(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder.join(".git/objects/pack")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "idx"))
        .collect()
}

#[test]
fn new_files_are_one_pack_of_just_them() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    texts(folder, 1, 2_000, "old");
    let _ = repo.stage().unwrap();
    let _ = repo.commit("old").unwrap();
    let [loose, packed, packs] = counted(&w, folder);

    texts(folder, 3, 100, "new");
    // Some of what is new is there already, under another name.
    for number in 0..50 {
        write(
            folder,
            &format!("again{number}.txt"),
            format!("old 0 {number}\n"),
        );
    }
    let report = repo.stage().unwrap();
    assert_eq!(report.plain.len(), 350);
    assert_eq!(counted(&w, folder), [loose, packed + 300, packs + 1]);
    // Four trees and a commit.
    let _ = repo.commit("new").unwrap();
    assert_eq!(counted(&w, folder), [loose + 5, packed + 300, packs + 1]);
    w.assert_sound(folder);
    let _ = repo.push().unwrap();
    let tip = w.remote_tip("alice/m", "main");
    assert_eq!(tip, Some(w.git(folder, &["rev-parse", "HEAD"])));
}

#[test]
fn the_trees_of_a_large_commit_are_a_pack() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    texts(folder, 70, 1, "f");
    std::os::unix::fs::symlink("f0/0.txt", folder.join("link")).unwrap();
    let _ = repo.stage().unwrap();
    let [loose, packed, packs] = counted(&w, folder);
    let _ = repo.commit("many folders").unwrap();
    // The commit has a file of its own.
    assert_eq!(counted(&w, folder), [loose + 1, packed + 71, packs + 1]);
    w.assert_sound(folder);
    // git makes the same tree of the same index.
    assert_eq!(
        w.git(folder, &["write-tree"]),
        w.git(folder, &["rev-parse", "HEAD^{tree}"])
    );
}

#[test]
fn a_cancelled_stage_leaves_nothing() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    texts(folder, 1, 200, "f");
    let before = (counted(&w, folder), w.git(folder, &["ls-files", "-s"]));
    let cancel = CancelToken::new();
    cancel.cancel();
    let cancelled = w
        .prepare("alice/m", "ours")
        .cancel_token(cancel)
        .open()
        .unwrap();
    assert_eq!(cancelled.stage().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(
        before,
        (counted(&w, folder), w.git(folder, &["ls-files", "-s"]))
    );
    let packs = fs::read_dir(folder.join(".git/objects/pack")).unwrap();
    let left = packs.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("tmp_")
    });
    assert_eq!(left.count(), 0);
    let _ = Repository::open(folder).unwrap().stage().unwrap();
    assert_eq!(w.git(folder, &["ls-files"]).lines().count(), 201);
}

#[test]
fn git_makes_the_same_index_of_a_pack() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    // Sizes at which the head of an object gets longer, and the largest that is packed.
    for size in [0, 1, 15, 16, 2047, 2048, 262_143, 262_144, 4 << 20] {
        write(folder, &format!("same{size}.txt"), "x".repeat(size));
        let mixed: String = (0..size / 7)
            .map(|at| format!("{:07}", at * at % 9_999_991))
            .collect();
        write(folder, &format!("mixed{size}.txt"), mixed);
    }
    write(folder, "large.txt", "y".repeat((4 << 20) + 1));
    texts(folder, 1, 40, "f");
    let known: BTreeSet<PathBuf> = indexes(folder);
    let _ = repo.stage().unwrap();
    let made: Vec<PathBuf> = indexes(folder).difference(&known).cloned().collect();
    let [index] = &made[..] else {
        panic!("{made:?}");
    };
    let pack = index.with_extension("pack");
    let again = w.path("again.idx");
    let again_text = again.to_str().unwrap();
    let words = ["index-pack", "--strict", "--no-rev-index", "-o", again_text];
    w.git(folder, &[&words[..], &[pack.to_str().unwrap()]].concat());
    assert_eq!(fs::read(&again).unwrap(), fs::read(index).unwrap());
    let _ = repo.commit("sizes").unwrap();
    w.assert_sound(folder);
}

#[test]
fn commits_made_anew_are_a_pack() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    // By git's own import: as many commits cost nothing then.
    let mut import = String::from("feature done\n");
    let parent = w.git(folder, &["rev-parse", "HEAD"]);
    for number in 1..=20 {
        let from = if number == 1 {
            parent.clone()
        } else {
            format!(":{}", number - 1)
        };
        let (message, content) = (format!("c{number}\n"), format!("\0{number}\n"));
        import.push_str(&format!(
            "commit refs/heads/main\nmark :{number}\ncommitter A <a@x> {number} +0000\n\
             data {}\n{message}from {from}\nM 100644 inline d{number}/f.bin\ndata {}\n{content}\n",
            message.len(),
            content.len(),
        ));
    }
    import.push_str("done\n");
    write(&w.path("."), "import", import);
    let import = fs::File::open(w.path("import")).unwrap();
    let imported = w
        .command("git", folder)
        .args(["fast-import", "--quiet"])
        .stdin(import)
        .status();
    assert!(imported.unwrap().success());
    w.git(folder, &["reset", "-q", "--hard"]);
    let [loose, packed, packs] = counted(&w, folder);
    let report = repo.rewrite_unpushed_to_lfs().unwrap();
    assert_eq!(report.rewritten.len(), 20);
    // Each commit, its tree, its folder's, and its pointer; the rules were there.
    let [loose_now, packed_now, packs_now] = counted(&w, folder);
    assert_eq!([packed_now - packed, packs_now - packs], [20 * 4, 1]);
    assert_eq!(loose_now, loose);
    // git wrote files and index in one moment, so their stats prove nothing, and contents have to.
    w.git(folder, &["fsck", "--strict", "--no-dangling"]);
    assert!(repo.status().unwrap().is_clean());
}
