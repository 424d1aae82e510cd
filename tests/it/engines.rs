//! The second LFS engine: the installed git-lfs does the work behind the same calls.

use std::process::Command;

use hf_repository::{
    CancelToken, ErrorKind, Event, Events, KeepRecent, LfsEngine, Progress, PruneOptions,
    Repository, VerifyRemote,
};

use mini_hub::{Action, Fault, Route};

use crate::child::succeed;
use crate::support::judge::assert_same_files;
use crate::support::{World, needs_git_lfs, weights, write};

/// Programs take their settings from the environment, so they run in a child that has one.
pub(crate) fn child(w: &World, job: &str, arguments: &[&str]) -> Command {
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

/// A git-lfs that runs `script` before it does its work; see [`path_with_wrapper`].
fn wrap_git_lfs(w: &World, script: &str) {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("git-lfs"));
    let real = found.find(|file| file.exists()).unwrap();
    let text = format!("#!/bin/sh\n{script}\nexec '{}' \"$@\"\n", real.display());
    let file = w.path("bin/git-lfs");
    write(&w.path("bin"), "git-lfs", text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(file, mode).unwrap();
}

fn path_with_wrapper(w: &World) -> String {
    format!(
        "{}:{}",
        w.path("bin").display(),
        std::env::var("PATH").unwrap()
    )
}

#[test]
fn the_callers_token_is_enough_and_is_never_shown() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let ours = w.path("ours");
    let seen = w.path("seen");
    wrap_git_lfs(
        &w,
        &format!(
            "env | grep -v ^HF_ >>'{0}'; echo \"$@\" >>'{0}'",
            seen.display()
        ),
    );
    let config = std::fs::read_to_string(w.path("gitconfig")).unwrap();
    let (config, _) = config.split_once("[credential]").unwrap();
    write(&w.path(""), "no-credentials", config);
    // The three megabytes take most of a second to come: long enough for a sample of the progress.
    let slow = Fault::on(Route::LfsGet).always();
    let slow = slow.act(Action::SlowResponse(4_000_000));
    w.hub.faults().add(slow);
    let output = child(&w, "git-lfs-token", &[&ours.to_string_lossy()])
        .env("GIT_CONFIG_GLOBAL", w.path("no-credentials"))
        .env("PATH", path_with_wrapper(&w))
        .output()
        .unwrap();
    let told = succeed(&output);
    let seen = std::fs::read_to_string(&seen).unwrap();
    assert!(seen.contains("push --object-id"), "{seen}");
    for text in [
        &told,
        &seen,
        &String::from_utf8_lossy(&output.stderr).into_owned(),
    ] {
        assert!(!text.contains(&w.token));
    }
    w.hub.faults().clear();
    assert_same_files(&ours, w.clone("alice/m", "fresh").workdir());
}

/// Pushes and fetches with nothing but the token; names with blanks in the events.
pub(crate) fn with_a_token(folder: &std::path::Path) {
    let (progress, events) = Progress::channel();
    let prepared = Repository::prepare("alice/m", folder).lfs_engine(LfsEngine::GitLfs);
    let repo = prepared.progress(progress).clone_repo().unwrap();
    let files = [
        ("dir/with blanks ü.bin", 3_000_000),
        ("b, *.bin", 2_000_000),
        ("c.bin", 100),
    ];
    for (seed, (name, size)) in files.into_iter().enumerate() {
        write(folder, name, weights(seed as u64, size));
    }
    repo.stage().unwrap();
    let _ = repo.commit("three").unwrap();
    let report = repo.push().unwrap();
    assert_eq!((report.lfs_objects, report.lfs_bytes), (3, 5_000_100));
    // The same content once more: the server has it.
    repo.checkout_with("again", hf_repository::CheckoutOptions::Create)
        .unwrap();
    write(folder, "d.bin", weights(2, 100));
    write(folder, "e.bin", weights(5, 100));
    repo.stage().unwrap();
    let _ = repo.commit("one is known").unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 1);
    repo.checkout("main").unwrap();
    repo.close().unwrap();

    let clone = folder.with_extension("clone");
    let prepared = Repository::prepare("alice/m", &clone).lfs_engine(LfsEngine::GitLfs);
    let prepared = prepared.content(hf_repository::Content::PointersOnly);
    let (progress, fetched) = Progress::channel();
    let repo = prepared.progress(progress).clone_repo().unwrap();
    let objects = || {
        let files = crate::support::judge::files(&clone.join(".git/lfs/objects"));
        files.values().filter(|(kind, _)| *kind == 'f').count()
    };
    assert_eq!(repo.fetch_content(["dir"]).unwrap().len(), 1);
    assert_eq!(objects(), 1, "one was asked for");
    assert_eq!(repo.fetch_all_content().unwrap().len(), 2);
    assert_same_files(folder, &clone);
    drop(repo);

    let (sent, _) = files_and_samples(events);
    assert_eq!(
        sent,
        ["b, *.bin", "c.bin", "dir/with blanks ü.bin", "e.bin"]
    );
    let (received, samples) = files_and_samples(fetched);
    assert_eq!(received, ["b, *.bin", "c.bin", "dir/with blanks ü.bin"]);
    assert!(samples > 0, "no progress was seen");
}

/// The files whose content was moved, and how many samples of their progress there were.
fn files_and_samples(events: Events) -> (Vec<String>, usize) {
    let (mut finished, mut samples) = (Vec::new(), 0);
    for event in events {
        match event {
            Event::TransferFinished { path, .. } => finished.push(path.unwrap().to_string()),
            Event::TransferProgress { bytes, total, .. } => {
                assert!(0 < bytes && bytes <= total);
                samples += 1;
            }
            _ => {}
        }
    }
    finished.sort();
    (finished, samples)
}

#[test]
fn an_object_that_is_nowhere_ends_a_push_before_it_begins() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let ours = w.path("ours");
    let output = child(&w, "git-lfs-lost", &[&ours.to_string_lossy()]).output();
    succeed(&output.unwrap());
    assert_eq!(w.remote_tip("alice/m", "lost"), None);
    assert!(w.remote_tip("alice/m", "known").is_some());
}

/// One object is missing here and there; another is missing here only.
pub(crate) fn lost(folder: &std::path::Path) {
    let prepared = Repository::prepare("alice/m", folder).lfs_engine(LfsEngine::GitLfs);
    let repo = prepared.clone_repo().unwrap();
    let drop_objects = || std::fs::remove_dir_all(folder.join(".git/lfs/objects")).unwrap();
    write(folder, "a.bin", weights(1, 1_000));
    repo.stage().unwrap();
    let _ = repo.commit("pushed").unwrap();
    repo.push().unwrap();
    repo.checkout_with("known", hf_repository::CheckoutOptions::Create)
        .unwrap();
    write(folder, "b.bin", weights(1, 1_000));
    repo.stage().unwrap();
    let _ = repo.commit("the same content").unwrap();
    drop_objects();
    assert_eq!(repo.push().unwrap().lfs_objects, 0);
    repo.checkout_with("lost", hf_repository::CheckoutOptions::Create)
        .unwrap();
    write(folder, "c.bin", weights(2, 1_000));
    repo.stage().unwrap();
    drop_objects();
    write(folder, "d.bin", weights(3, 1_000));
    repo.stage().unwrap();
    let _ = repo.commit("one is lost").unwrap();
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LfsObjectMissing, "{error:?}");
    assert_eq!(error.offences()[0].path.as_str(), "c.bin");
}

#[test]
fn cancelling_ends_git_lfs_and_what_it_started() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let (ours, pid) = (w.path("ours"), w.path("pid"));
    // One that starts another program and waits for it, when it is to push.
    wrap_git_lfs(
        &w,
        &format!(
            "[ \"$1\" = push ] && {{ sleep 600 & echo $! >'{0}.new'; mv '{0}.new' '{0}'; wait; }}",
            pid.display()
        ),
    );
    let arguments = [&*ours.to_string_lossy(), &pid.to_string_lossy()];
    let output = child(&w, "git-lfs-cancel", &arguments)
        .env("PATH", path_with_wrapper(&w))
        .output()
        .unwrap();
    succeed(&output);
    let process = std::fs::read_to_string(&pid).unwrap();
    let stat = std::path::Path::new("/proc")
        .join(process.trim())
        .join("stat");
    crate::support::until("what git-lfs started is gone", || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
}

pub(crate) fn cancel(folder: &std::path::Path, pid: &std::path::Path) {
    let cancel = CancelToken::new();
    let prepared = Repository::prepare("alice/m", folder).lfs_engine(LfsEngine::GitLfs);
    let repo = prepared.cancel_token(cancel.clone()).clone_repo().unwrap();
    write(folder, "a.bin", weights(1, 1_000));
    repo.stage().unwrap();
    let _ = repo.commit("for nobody").unwrap();
    let push = std::thread::spawn(move || repo.push().map(drop));
    crate::support::until("git-lfs is at work", || pid.exists() || push.is_finished());
    cancel.cancel();
    let error = push.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
}

#[test]
fn what_git_lfs_fails_with_has_a_kind() {
    needs_git_lfs!();
    for (job, route, action) in [
        ("push Server", Route::LfsBatch, Action::status(500)),
        ("push Forbidden", Route::LfsBatch, Action::status(403)),
        ("push Network", Route::LfsBatch, Action::Cut),
        ("fetch Server", Route::LfsBatch, Action::status(503)),
        ("fetch RepoNotFound", Route::LfsBatch, Action::status(404)),
    ] {
        let w = World::new();
        w.model("alice/m");
        let first = w.clone("alice/m", "first");
        write(first.workdir(), "w.bin", weights(1, 1_000));
        first.stage().unwrap();
        let _ = first.commit("an object").unwrap();
        first.push().unwrap();
        w.hub.faults().add(Fault::on(route).act(action).always());
        let ours = w.path("ours");
        let output = child(&w, "git-lfs-fails", &[&ours.to_string_lossy(), job]).output();
        succeed(&output.unwrap());
    }
}

pub(crate) fn fails(folder: &std::path::Path, job: &str) {
    let (job, kind) = job.split_once(' ').unwrap();
    let prepared = Repository::prepare("alice/m", folder).lfs_engine(LfsEngine::GitLfs);
    let prepared = prepared.content(hf_repository::Content::PointersOnly);
    let repo = prepared.clone_repo().unwrap();
    for (key, value) in [
        ("lfs.transfer.maxretries", "1"),
        ("lfs.locksverify", "false"),
    ] {
        let set = Command::new("git")
            .args(["-C", &folder.to_string_lossy(), "config", key, value])
            .status();
        assert!(set.unwrap().success());
    }
    let error = if job == "push" {
        write(folder, "new.bin", weights(2, 1_000));
        repo.stage().unwrap();
        let _ = repo.commit("another").unwrap();
        repo.push().unwrap_err()
    } else {
        repo.fetch_content(["w.bin"]).unwrap_err()
    };
    assert_eq!(format!("{:?}", error.kind()), kind, "{error:?}");
}

/// All git-lfs programs that `HF_REPOSITORY_GIT_LFS_BINARIES` lists, as PATH lists folders.
#[test]
fn other_versions_of_git_lfs_do_the_same_jobs() {
    let listed = std::env::var_os("HF_REPOSITORY_GIT_LFS_BINARIES");
    let ci = std::env::var_os("HF_REPOSITORY_CI").is_some();
    assert!(
        listed.is_some() || !ci,
        "CI must name other git-lfs programs"
    );
    let Some(listed) = listed else {
        crate::support::shout("HF_REPOSITORY_GIT_LFS_BINARIES names no other git-lfs");
        return;
    };
    for program in std::env::split_paths(&listed) {
        let w = World::new();
        w.model("alice/m");
        w.model("alice/n");
        std::fs::create_dir_all(w.path("bin")).unwrap();
        std::os::unix::fs::symlink(&program, w.path("bin/git-lfs")).unwrap();
        let (ours, token) = (w.path("ours"), w.path("token"));
        for (job, arguments) in [
            ("git-lfs", &["alice/n", &*ours.to_string_lossy()][..]),
            ("git-lfs-token", &[&*token.to_string_lossy()]),
        ] {
            let output = child(&w, job, arguments)
                .env("PATH", path_with_wrapper(&w))
                .output()
                .unwrap();
            succeed(&output);
        }
        assert_same_files(&token, w.clone("alice/m", "fresh").workdir());
    }
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
    let would = repo.prune_with(&PruneOptions::default().dry_run()).unwrap();
    assert_eq!((would.objects, would.bytes), (1, 50_000));
    let within_five_days = KeepRecent::Days {
        refs: 0,
        commits: 5,
    };
    let options = PruneOptions::default().keep_recent(within_five_days);
    assert_eq!(repo.prune_with(&options).unwrap().objects, 0);
    let options = PruneOptions::default().keep_recent(KeepRecent::Nothing);
    let pruned = repo
        .prune_with(&options.verify_remote(VerifyRemote::TrackingRefs))
        .unwrap();
    assert_eq!((pruned.objects, pruned.bytes), (1, 50_000));
    assert_eq!(pruned, would);
    assert!(repo.status().unwrap().is_clean());
}

#[test]
fn git_lfs_asks_nobody_when_there_is_no_network() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    w.clone("alice/m", "ours");
    let ours = w.path("ours");
    let prune = || {
        w.hub.clear_requests();
        let mut child = child(&w, "git-lfs-prune", &[&ours.to_string_lossy()]);
        let told = succeed(&child.env("HF_HUB_OFFLINE", "1").output().unwrap());
        assert!(w.hub.requests().is_empty());
        told
    };
    assert!(prune().contains("RESULT ok"));
    w.git(&ours, &["config", "lfs.pruneverifyremotealways", "true"]);
    let told = prune();
    assert!(told.contains("RESULT Offline: "), "{told}");
}

pub(crate) fn prune(folder: &std::path::Path) {
    let prepared = Repository::prepare("alice/m", folder).lfs_engine(LfsEngine::GitLfs);
    match prepared.open().unwrap().prune() {
        Ok(_) => println!("RESULT ok"),
        Err(error) => println!("RESULT {:?}: {error}", error.kind()),
    }
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
