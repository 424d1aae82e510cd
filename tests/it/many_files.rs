//! Many small files at once: what is written for them, and that others can read it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hf_repository::{CancelToken, ErrorKind, Repository};

use crate::steps;
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

/// The part of a child, which is killed at a step.
pub(crate) fn child(folder: &str, job: &str, fatal: &str) {
    steps::say(Some((fatal, 1)));
    let repo = Repository::open(folder).unwrap();
    match job {
        "stage" => drop(repo.stage().unwrap()),
        _ => drop(repo.commit("killed").unwrap()),
    }
}

/// What is in the folder of packs: finished ones, and others.
fn pack_files(folder: &Path) -> [Vec<PathBuf>; 2] {
    let entries = fs::read_dir(folder.join(".git/objects/pack")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("pack-")
    };
    let (finished, others) = paths.partition(named);
    [finished, others]
}

#[test]
fn killed_while_a_pack_is_made_nothing_is_half_there() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    let killed_at = |job: &str, step: &str| {
        let mut child = w.child("many-files", &[folder.to_str().unwrap(), job, step]);
        let output = child.output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{job} {step}: {output:?}");
    };
    // As many folders as make a commit write a pack of its trees.
    texts(folder, 60, 1, "f");
    let index = fs::read(folder.join(".git/index")).unwrap();
    let [before, _] = pack_files(folder);
    let (head, steps) = (
        w.git(folder, &["rev-parse", "HEAD"]),
        ["pack-begun", "pack-written"],
    );
    for (number, step) in (1..).zip(steps) {
        killed_at("stage", step);
        // Of the pack and its index none has its name, and nobody knows of them.
        let [finished, others] = pack_files(folder);
        assert_eq!(finished, before);
        assert!(others.len() >= number, "{others:?}");
        assert_eq!(fs::read(folder.join(".git/index")).unwrap(), index);
        w.git(folder, &["fsck", "--strict"]);
    }
    // A pack without an index is none.
    killed_at("stage", "pack-named");
    w.git(folder, &["fsck", "--strict"]);
    assert_eq!(fs::read(folder.join(".git/index")).unwrap(), index);
    let [finished, others] = pack_files(folder);
    assert_eq!((finished.len(), others.len()), (before.len() + 1, 4));

    // What a dead process left goes when it is old; what another is about to finish stays.
    let old = SystemTime::now() - Duration::from_secs(100);
    for file in &others {
        fs::File::open(file).unwrap().set_modified(old).unwrap();
    }
    let living = fs::File::open(&others[0]).unwrap();
    living.lock().unwrap();
    assert_eq!(repo.stage().unwrap().plain.len(), 60);
    assert_eq!(pack_files(folder)[1], others[..1]);
    drop(living);

    let [before, _] = pack_files(folder);
    for step in steps {
        killed_at("commit", step);
        assert_eq!(pack_files(folder)[0], before);
        assert_eq!(w.git(folder, &["rev-parse", "HEAD"]), head);
        w.git(folder, &["fsck", "--strict"]);
    }
    killed_at("commit", "idx-named");
    assert_eq!(w.git(folder, &["rev-parse", "HEAD"]), head);
    for file in &pack_files(folder)[1] {
        fs::File::open(file).unwrap().set_modified(old).unwrap();
    }
    // The trees are there by now; with one more folder they are made once more, and it is swept.
    texts(folder, 120, 1, "g");
    let _ = repo.stage().unwrap();
    let _ = repo.commit("alive").unwrap();
    assert_eq!(pack_files(folder)[1], Vec::<PathBuf>::new());
    w.assert_sound(folder);
    assert_eq!(
        w.git(folder, &["ls-tree", "-r", "HEAD"]).lines().count(),
        181
    );
}

#[test]
fn new_files_are_one_pack_of_just_them() {
    new_files_among(2_000);
}

/// Stages three hundred new files where so many are known.
pub(crate) fn new_files_among(known: usize) {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    texts(folder, 1, known, "old");
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
