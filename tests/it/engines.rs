//! The second LFS engine: the installed git-lfs does the work behind the same calls.

use std::process::Command;

use hf_repository::{ErrorKind, LfsEngine, PruneOptions, Repository};

use crate::child::succeed;
use crate::support::judge::assert_same_files;
use crate::support::{World, needs_git_lfs, weights, write};

/// git-lfs takes its credentials from git's own configuration, so it runs in a child that has one.
fn child(w: &World, job: &str, arguments: &[&str]) -> Command {
    let mut command = w.child(job, arguments);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
        .env("GIT_CONFIG_GLOBAL", w.path("gitconfig"))
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

#[test]
fn git_lfs_does_the_same_jobs() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let ours = w.path("ours");
    succeed(
        &child(&w, "git-lfs", &["alice/m", &ours.to_string_lossy()])
            .output()
            .unwrap(),
    );
    w.assert_sound(&ours);
    // The other engine reads it.
    let builtin = w.clone("alice/m", "builtin");
    assert_eq!(builtin.prune().unwrap().objects, 0);
    assert_same_files(&ours, builtin.workdir());
    write(builtin.workdir(), "w.bin", weights(9, 50_000));
    builtin.stage().unwrap();
    let _ = builtin.commit("builtin").unwrap();
    builtin.push().unwrap();
    succeed(
        &child(&w, "git-lfs-pull", &[&ours.to_string_lossy()])
            .output()
            .unwrap(),
    );
    assert_same_files(&ours, builtin.workdir());
    w.assert_sound(&ours);
    // Both engines make the same pointers.
    let blob = |folder: &std::path::Path| w.git(folder, &["rev-parse", "HEAD:one file.bin"]);
    let theirs = blob(&ours);
    write(builtin.workdir(), "copy of one.bin", weights(1, 50_000));
    builtin.stage().unwrap();
    assert_eq!(
        w.git(builtin.workdir(), &["rev-parse", ":copy of one.bin"]),
        theirs
    );
}

#[test]
fn background_pushes_by_git_lfs() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let ours = w.path("ours");
    let told = succeed(
        &child(&w, "git-lfs-save", &["alice/m", &ours.to_string_lossy()])
            .output()
            .unwrap(),
    );
    let commits: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("saved "))
        .collect();
    assert_eq!(commits.len(), 3);
    assert_eq!(
        w.remote_tip("alice/m", "main").as_deref(),
        commits.last().copied()
    );
    w.assert_sound(&ours);
    assert_same_files(&ours, w.clone("alice/m", "fresh").workdir());
}

/// Saves at once and deferred, pushes in the background; the part of the child.
pub(crate) fn saves(source: &str, folder: &std::path::Path) {
    let prepared = Repository::prepare(source, folder).lfs_engine(LfsEngine::GitLfs);
    let repo = prepared.clone_repo().unwrap();
    for seed in 1..=3 {
        write(folder, "w.bin", weights(seed, 50_000));
        let mut options = hf_repository::SaveOptions::new(format!("step {seed}"));
        if seed == 2 {
            options = options.deferred();
        }
        let commit = match repo.save(options).unwrap().saved {
            hf_repository::Saved::Queued { commit, .. } => commit,
            hf_repository::Saved::Staging { handle } => handle.wait_staged().unwrap().unwrap(),
            other => panic!("{other:?}"),
        };
        println!("saved {commit}");
    }
    assert_eq!(repo.close().unwrap().pushed.len(), 3);
}

#[test]
fn without_git_lfs_the_engine_says_so() {
    let w = World::new();
    w.model("alice/m");
    w.clone("alice/m", "ours");
    let output = w
        .child("git-lfs-pull", &[&w.path("ours").to_string_lossy()])
        .env("PATH", w.path("nothing"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("ProgramMissing"), "{told}");
}

/// The part of the child.
pub(crate) fn jobs(source: &str, folder: &std::path::Path) {
    let prepared = Repository::prepare(source, folder).lfs_engine(LfsEngine::GitLfs);
    let repo = prepared.clone_repo().unwrap();
    write(folder, "one file.bin", weights(1, 50_000));
    write(folder, "-two.bin", weights(2, 50_000));
    write(folder, "plain.txt", "plain\n");
    assert_eq!(repo.stage().unwrap().lfs.len(), 2);
    let _ = repo.commit("by git-lfs").unwrap();
    repo.check_write_access().unwrap();
    repo.push().unwrap();
    assert!(repo.status().unwrap().is_clean());
    // Two versions of a file; once both are on the Hub, one is enough here.
    write(folder, "-two.bin", weights(22, 60_000));
    repo.stage().unwrap();
    let _ = repo.commit("another two").unwrap();
    assert_eq!(
        repo.prune().unwrap().objects,
        0,
        "a commit waits to be pushed"
    );
    repo.push().unwrap();
    let dry_run = repo.prune_with(&PruneOptions::default().dry_run());
    assert_eq!(dry_run.unwrap_err().kind(), ErrorKind::Unsupported);
    let pruned = repo.prune().unwrap();
    assert_eq!((pruned.objects, pruned.bytes), (1, 50_000));
    assert!(repo.status().unwrap().is_clean());
}

pub(crate) fn pull(folder: &std::path::Path) {
    let mut prepared = Repository::prepare("alice/m", folder);
    prepared = prepared.lfs_engine(LfsEngine::GitLfs);
    match prepared.open() {
        Ok(repo) => drop(repo.pull().unwrap()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ProgramMissing);
            panic!("{error:?}");
        }
    }
}
