//! What is on the disk before what, by the system calls of a save.

use std::path::Path;
use std::process::Command;

use hf_repository::Repository;

use crate::steps::line;
use crate::support::{World, shout, weights, write};

/// Saves once, and says when `save` has returned.
pub(crate) fn child(folder: &str) {
    let repo = Repository::open(folder).unwrap();
    write(Path::new(folder), "model.bin", weights(1, 50_000));
    let _ = repo.save("one").unwrap();
    line("save has returned");
    repo.close().unwrap();
}

/// Stages and commits, once each.
pub(crate) fn commit(folder: &str) {
    let repo = Repository::open(folder).unwrap();
    repo.stage().unwrap();
    line("stage has returned");
    let _ = repo.commit("many").unwrap();
}

/// Pulls once.
pub(crate) fn pull(folder: &str) {
    let _ = Repository::open(folder).unwrap().pull().unwrap();
}

fn strace() -> bool {
    let found = Command::new("strace")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    let ci = std::env::var_os("HF_REPOSITORY_CI").is_some();
    assert!(found || !ci, "strace must be installed in CI");
    if !found {
        shout("strace is not installed");
    }
    found
}

/// What a child did to files and folders, call by call.
struct Calls {
    calls: Vec<String>,
    at: usize,
}

impl Calls {
    fn of(w: &World, job: &str, folder: &str) -> Self {
        let plain = w.child(job, &[folder]);
        let log = w.path("strace");
        let mut traced = Command::new("strace");
        traced
            .args(["-f", "-y", "-s", "200", "-o"])
            .arg(&log)
            .args([
                "-e",
                "trace=fsync,fdatasync,fadvise64,rename,renameat,renameat2,link,linkat,write",
            ])
            .arg(plain.get_program())
            .args(plain.get_args())
            .env_clear();
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                traced.env(name, value);
            }
        }
        crate::child::succeed(&traced.output().unwrap());
        let log = std::fs::read_to_string(&log).unwrap();
        // A call that another thread cuts in two is whole where it ends; its arguments are where it begins.
        let calls = log.lines().filter(|call| !call.contains(" resumed>"));
        Self {
            calls: calls.map(str::to_owned).collect(),
            at: 0,
        }
    }

    /// Asks for one call after the other.
    #[track_caller]
    fn next(&mut self, what: &str, kind: fn(&str) -> bool, file: &str) {
        let found = self.calls[self.at..]
            .iter()
            .position(|call| kind(call) && call.contains(file));
        self.at += 1 + found.unwrap_or_else(|| {
            panic!(
                "{what} does not come after call {}:\n{}",
                self.at,
                self.calls.join("\n")
            )
        });
    }
}

fn naming(call: &str) -> bool {
    (call.contains("rename") || call.contains("link")) && call.ends_with("= 0")
}

fn syncing(call: &str) -> bool {
    call.contains("sync(")
}

#[test]
fn what_was_fetched_is_lasting_before_a_ref_leads_to_it() {
    if !strace() {
        return;
    }
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let theirs = w.git_clone("alice/m", "theirs");
    write(&theirs, "a.txt", "a\n");
    w.git_push_all(&theirs, "a");
    let folder = w.path("ours").to_string_lossy().into_owned();
    drop(repo);
    let mut calls = Calls::of(&w, "pull-once", &folder);
    calls.next("the pack", syncing, "/objects/pack/pack-");
    calls.next("the packs' folder", syncing, "/objects/pack>");
    calls.next("the tracking ref", naming, "/refs/remotes/origin/main\"");
    calls.next("the branch", naming, "/refs/heads/main\"");
}

#[test]
fn small_objects_last_before_the_files_that_are_made_of_them() {
    if !strace() {
        return;
    }
    let w = World::new();
    w.model("alice/m");
    drop(w.clone("alice/m", "ours"));
    let theirs = w.clone("alice/m", "theirs");
    for number in 0..3 {
        write(
            theirs.workdir(),
            &format!("{number}.bin"),
            weights(number, 3_000),
        );
    }
    let _ = theirs.save("three").unwrap();
    theirs.close().unwrap();
    let folder = w.path("ours").to_string_lossy().into_owned();
    let mut calls = Calls::of(&w, "pull-once", &folder);
    let stored = |call: &&String| naming(call) && call.contains("/lfs/objects/");
    let names: Vec<String> = calls.calls.iter().filter(stored).cloned().collect();
    assert_eq!(names.len(), 3, "{names:#?}");
    for name in &names {
        calls.at = 0;
        let part = |from: &str| name.split(from).nth(1).unwrap().split('"').next().unwrap();
        let (scratch, object) = (part("/lfs/incomplete/"), part("/lfs/objects/"));
        calls.next("a content", syncing, scratch);
        calls.next("its name", naming, object);
        let folder = object.rsplit_once('/').unwrap().0;
        calls.next("its folder", syncing, &format!("/lfs/objects/{folder}>"));
        calls.next("the branch", naming, "/refs/heads/main\"");
    }
    calls.at = 0;
    calls.next("the folder of all", syncing, "/.git/lfs/objects>");
    calls.next("the branch", naming, "/refs/heads/main\"");
}

#[test]
fn a_new_content_is_on_its_way_to_the_disk_before_it_takes_the_old_ones_place() {
    if !strace() {
        return;
    }
    let w = World::new();
    w.model("alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    write(&theirs, "a.txt", "old\n");
    w.git_push_all(&theirs, "old");
    drop(w.clone("alice/m", "ours"));
    write(&theirs, "a.txt", "new\n");
    w.git_push_all(&theirs, "new");
    let folder = w.path("ours").to_string_lossy().into_owned();
    let mut calls = Calls::of(&w, "pull-once", &folder);
    // Where the file system cannot exchange, the kernel does it by itself when the file is replaced.
    let exchanging = |call: &str| call.contains("RENAME_EXCHANGE") && naming(call);
    if calls.calls.iter().any(|call| exchanging(call)) {
        calls.next(
            "the write-out",
            |call| call.contains("fadvise64("),
            "/a.txt>",
        );
        calls.next("the exchange", exchanging, "/a.txt\"");
    }
}

#[test]
fn a_promise_is_lasting_before_save_returns() {
    if !strace() {
        return;
    }
    let w = World::new();
    w.model("alice/m");
    w.clone("alice/m", "ours").close().unwrap();
    let folder = w.path("ours").to_string_lossy().into_owned();
    let mut calls = Calls::of(&w, "save-once", &folder);
    calls.next("the object's content", syncing, "/lfs/tmp/");
    calls.next("the object's name", naming, "/lfs/objects/");
    calls.next("the object's folder", syncing, "/lfs/objects/");
    calls.next("the folder of all objects", syncing, "/.git/lfs>");
    calls.next("the store's folder", syncing, "/.git>");
    calls.next("the pointer", syncing, "/.git/objects/tmp_object");
    calls.next("the index", syncing, "/hf-repository/index-draft>");
    calls.next("the index in place", naming, "/.git/index\"");
    calls.next("the index's folder", syncing, "/.git>");
    calls.next("the tree", syncing, "/.git/objects/tmp_object");
    calls.next("the tree's name", naming, "/.git/objects/");
    calls.next("the commit", syncing, "/.git/objects/tmp_object");
    calls.next("the commit's name", naming, "/.git/objects/");
    calls.next("the private ref", syncing, "/refs/hf-repository/promised/");
    calls.next(
        "the private ref's name",
        naming,
        "/refs/hf-repository/promised/",
    );
    calls.next("the journal entry", syncing, "/hf-repository/journal/");
    calls.next(
        "the journal entry's name",
        naming,
        "/hf-repository/journal/",
    );
    calls.next("the journal's folder", syncing, "/hf-repository/journal>");
    calls.next("the branch", syncing, "/refs/heads/main.lock");
    calls.next("the branch in place", naming, "/refs/heads/main\"");
    calls.next("the branch's folder", syncing, "/refs/heads>");
    calls.next(
        "the return of save",
        |call| call.contains("write(1"),
        "save has returned",
    );
}

/// Whoever stored it may have been stopped before its name was lasting.
#[test]
fn an_object_that_is_there_is_lasting_before_the_index_names_it() {
    if !strace() {
        return;
    }
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "model.bin", weights(1, 50_000));
    let _ = repo.stage().unwrap();
    w.git(repo.workdir(), &["reset", "-q"]);
    let folder = w.path("ours").to_string_lossy().into_owned();
    drop(repo);
    let mut calls = Calls::of(&w, "save-once", &folder);
    calls.next("the object's folder", syncing, "/lfs/objects/");
    calls.next("the folder of all objects", syncing, "/lfs/objects>");
    calls.next("the store's folder", syncing, "/.git/lfs>");
    calls.next("the index", syncing, "/hf-repository/index-draft>");
}

#[test]
fn a_pack_is_lasting_before_anything_leads_into_it() {
    if !strace() {
        return;
    }
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    // As many files as make a pack, and their folders another.
    for number in 0..60 {
        write(
            repo.workdir(),
            &format!("d{number}/f.txt"),
            format!("{number}\n"),
        );
    }
    let folder = w.path("ours").to_string_lossy().into_owned();
    drop(repo);
    let mut calls = Calls::of(&w, "commit-once", &folder);
    let pack = |calls: &mut Calls, of: &str| {
        calls.next(&format!("the pack of {of}"), syncing, "/pack/tmp_pack_");
        calls.next(
            &format!("the index of that of {of}"),
            syncing,
            "/pack/tmp_idx_",
        );
        calls.next(&format!("the name of that of {of}"), naming, ".pack\"");
        calls.next(&format!("the name of its index of {of}"), naming, ".idx\"");
        calls.next(
            &format!("the folder of that of {of}"),
            syncing,
            "/objects/pack>",
        );
    };
    pack(&mut calls, "files");
    calls.next("the index", syncing, "/hf-repository/index-draft>");
    calls.next("the index in place", naming, "/.git/index\"");
    calls.next("the index's folder", syncing, "/.git>");
    let returned = |call: &str| call.contains("write(1");
    calls.next("the return of stage", returned, "stage has returned");
    pack(&mut calls, "trees");
    calls.next("the commit", syncing, "/.git/objects/tmp_object");
    calls.next("the commit's name", naming, "/.git/objects/");
    calls.next("the branch", syncing, "/refs/heads/main.lock");
    calls.next("the branch in place", naming, "/refs/heads/main\"");
}
