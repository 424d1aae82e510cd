//! Both directions: what we push they clone, what they push we clone, and all call it sound.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hf_repository::{CommitOutcome, PushedRef};

use crate::child::succeed;
use crate::support::judge::assert_same_files;
use crate::support::{World, needs_git_lfs, path, weights, write};

/// One file of every sort.
pub(crate) fn fill(folder: &Path) {
    write(folder, "README.md", "# A model\n");
    write(folder, "model.safetensors", weights(1, 300_000));
    write(folder, "deep/er/optimizer.pt", weights(2, 70_000));
    write(folder, "empty.bin", "");
    write(folder, "empty.txt", "");
    write(folder, "with space.bin", weights(3, 1000));
    write(folder, "with space.txt", "text\n");
    write(folder, "größe ✓.bin", weights(4, 2000));
    write(folder, "größe ✓.txt", "ü\n");
    write(folder, "glob [1]*?.bin", weights(5, 3000));
    write(folder, "#hash!.dat", weights(6, 100));
    write(folder, "run.sh", "#!/bin/sh\n");
    write(folder, "tool.bin", weights(7, 5000));
    for name in ["run.sh", "tool.bin"] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink("model.safetensors", folder.join("link.safetensors")).unwrap();
    symlink("../no/where", folder.join("dangling.bin")).unwrap();
}

#[test]
fn we_push_and_they_clone() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    fill(repo.workdir());
    let report = repo.stage().unwrap();
    assert!(report.skipped.is_empty(), "{report:?}");
    assert!(report.lfs.contains(&path("model.safetensors")));
    assert!(report.lfs.contains(&path("#hash!.dat")), "{report:?}");
    let CommitOutcome::Committed(commit) = repo.commit("all sorts").unwrap() else {
        panic!()
    };
    w.assert_sound(repo.workdir());
    let pushed = repo.push().unwrap();
    assert_eq!(
        (pushed.commit, pushed.outcome, pushed.commits),
        (commit, PushedRef::Moved, 1)
    );
    assert_eq!(w.remote_tip("alice/m", "main"), Some(commit.to_string()));
    assert_eq!(repo.commits_ahead().unwrap(), 0);
    assert_eq!(
        w.git(repo.workdir(), &["status", "-sb"]),
        "## main...origin/main"
    );

    let theirs = w.git_clone("alice/m", "theirs");
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(&theirs);
    // Nothing is left to do.
    assert_eq!(
        repo.commit("again").unwrap(),
        CommitOutcome::NothingToCommit
    );
    assert_eq!(repo.push().unwrap().outcome, PushedRef::UpToDate);
}

#[test]
fn they_push_and_we_clone_and_pull() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    fill(&theirs);
    w.git(&theirs, &["lfs", "track", "*.dat"]);
    w.git_push_all(&theirs, "all sorts");
    let repo = w.clone("alice/m", "ours");
    assert_same_files(&theirs, repo.workdir());
    w.assert_sound(repo.workdir());

    write(&theirs, "model.safetensors", weights(11, 300_000));
    write(&theirs, "deep/new.bin", weights(12, 10_000));
    fs::remove_file(theirs.join("deep/er/optimizer.pt")).unwrap();
    fs::rename(theirs.join("with space.bin"), theirs.join("without.bin")).unwrap();
    w.git_push_all(&theirs, "changes");
    let pulled = repo.pull().unwrap();
    assert!(!pulled.is_up_to_date());
    assert_same_files(&theirs, repo.workdir());
    assert!(!repo.workdir().join("deep/er").exists());
    w.assert_sound(repo.workdir());
    assert!(repo.pull().unwrap().is_up_to_date());
}

#[test]
fn the_same_work_gives_the_same_tree() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let theirs = w.git_clone("alice/m", "theirs");
    fill(repo.workdir());
    repo.stage().unwrap();
    let _ = repo.commit("ours").unwrap();
    fill(&theirs);
    fs::copy(
        repo.workdir().join(".gitattributes"),
        theirs.join(".gitattributes"),
    )
    .unwrap();
    w.git(&theirs, &["add", "-A"]);
    assert_eq!(
        w.git(&theirs, &["write-tree"]),
        w.git(repo.workdir(), &["rev-parse", "HEAD^{tree}"])
    );
}

#[test]
fn an_empty_repository_gets_its_first_commit() {
    needs_git_lfs!();
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    assert_eq!(repo.head().unwrap(), None);
    assert_eq!(repo.current_branch().unwrap().unwrap().as_str(), "main");
    assert!(repo.status().unwrap().is_clean());
    assert!(repo.pull().unwrap().is_up_to_date());
    write(repo.workdir(), "w.bin", weights(1, 100));
    repo.stage().unwrap();
    let _ = repo.commit("first").unwrap();
    assert_eq!(repo.push().unwrap().outcome, PushedRef::Created);
    w.assert_sound(repo.workdir());
    assert_same_files(repo.workdir(), &w.git_clone("alice/m", "theirs"));
    assert_eq!(
        w.git(w.bare("alice/m"), &["symbolic-ref", "HEAD"]),
        "refs/heads/main"
    );
}

#[test]
fn no_git_is_needed() {
    let w = World::new();
    w.model("alice/m");
    let folder = w.path("ours");
    let output = w
        .child("all-jobs", &["alice/m", &folder.to_string_lossy()])
        .env("PATH", w.path("no-programs-here"))
        .output()
        .unwrap();
    succeed(&output);
    w.assert_clean(&folder);
    assert!(w.remote_tip("alice/m", "side").is_some());
}
