//! Remotes behind ssh: git and git-lfs are the transport, everything else is ours.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hf_repository::{
    CancelToken, ErrorKind, PushedRef, RefChange, RemoteName, Repository, SaveOptions, Saved,
    TagOptions, Where,
};

use crate::child::succeed;
use crate::engines::child;
use crate::support::judge::assert_same_files;
use crate::support::sshd::{Sshd, needs_sshd};
use crate::support::{World, needs_git_lfs, until, weights, write};

/// What the hub's hook takes behind ssh, in bytes.
const BLOB_LIMIT: usize = 100_000;

/// The library in a child that reaches the server as the holder of `key`.
fn ssh_child(w: &World, sshd: &Sshd, key: &str, job: &str, arguments: &[&str]) -> Command {
    let mut command = child(w, job, arguments);
    command.env("GIT_SSH_COMMAND", sshd.ssh(key, "known_hosts"));
    command
}

/// git itself, on the same way.
fn git(w: &World, sshd: &Sshd, folder: &Path, arguments: &[&str]) -> String {
    let output = w
        .command("git", folder)
        .env("GIT_SSH_COMMAND", sshd.ssh("key", "known_hosts"))
        .args(arguments)
        .output()
        .unwrap();
    succeed(&output).trim().to_owned()
}

#[test]
fn everything_works_through_ssh() {
    needs_sshd!();
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let sshd = Sshd::start(&w, BLOB_LIMIT);
    let url = sshd.url(&w.bare("alice/m"));
    let (ours, theirs) = (w.path("ours"), w.path("theirs"));
    let name = ours.to_string_lossy();
    w.git(w.bare("alice/m"), &["update-ref", "refs/pr/5", "main"]);
    let told = succeed(
        &ssh_child(&w, &sshd, "key", "ssh-work", &[&url, &name])
            .output()
            .unwrap(),
    );
    let pushed = told.lines().find_map(|line| line.strip_prefix("at "));
    assert_eq!(w.remote_tip("alice/m", "main").as_deref(), pushed);
    let request = told.lines().find_map(|line| line.strip_prefix("request "));
    assert_eq!(
        request,
        Some(
            w.git(w.bare("alice/m"), &["rev-parse", "refs/pr/5"])
                .as_str()
        )
    );
    assert_eq!(
        w.git(
            w.bare("alice/m"),
            &["for-each-ref", "refs/tags", "refs/heads/pr"]
        ),
        ""
    );
    w.assert_sound(&ours);
    git(&w, &sshd, &w.path(""), &["clone", "-q", &url, "theirs"]);
    assert_same_files(&ours, &theirs);
    assert_eq!(fs::read(theirs.join("w.bin")).unwrap(), weights(3, 50_000));

    // Commits, a branch and tags of others come along.
    write(&theirs, "w.bin", weights(9, 60_000));
    git(&w, &sshd, &theirs, &["add", "-A"]);
    git(&w, &sshd, &theirs, &["commit", "-q", "-m", "theirs"]);
    git(&w, &sshd, &theirs, &["tag", "-a", "-m", "annotated", "v1"]);
    git(&w, &sshd, &theirs, &["tag", "early", "HEAD~1"]);
    git(
        &w,
        &sshd,
        &theirs,
        &[
            "push",
            "-q",
            "origin",
            "HEAD",
            "HEAD:refs/heads/side/way",
            "--tags",
        ],
    );
    succeed(
        &ssh_child(&w, &sshd, "key", "ssh-pull", &[&name])
            .output()
            .unwrap(),
    );
    assert_same_files(&ours, &theirs);
    for name in ["v1", "early", "HEAD", "refs/remotes/origin/main"] {
        let at = |folder| w.git(folder, &["rev-parse", name]);
        assert_eq!(at(&ours), at(&theirs), "{name}");
    }
    w.git(&ours, &["rev-parse", "refs/remotes/origin/side/way"]);
    w.assert_sound(&ours);

    // What the server refuses, and a branch that has moved, are errors with a kind.
    write(&theirs, "note.txt", "theirs\n");
    git(&w, &sshd, &theirs, &["add", "-A"]);
    git(&w, &sshd, &theirs, &["commit", "-q", "-m", "theirs again"]);
    succeed(
        &ssh_child(&w, &sshd, "key", "ssh-refused", &[&name])
            .output()
            .unwrap(),
    );
    git(&w, &sshd, &theirs, &["push", "-q", "origin", "HEAD"]);
    let before = w.remote_tip("alice/m", "main");
    succeed(
        &ssh_child(&w, &sshd, "key", "ssh-moved", &[&name])
            .output()
            .unwrap(),
    );
    assert_eq!(w.remote_tip("alice/m", "main"), before);
    let config = fs::read_to_string(ours.join(".git/config")).unwrap();
    assert!(
        !config.contains(&w.token) && config.contains(&url),
        "{config}"
    );
}

/// Clones, pushes and pushes in the background; the part of the child.
pub(crate) fn work(url: &str, folder: &Path) {
    let repo = Repository::prepare(url, folder).clone_repo().unwrap();
    assert_eq!(repo.remote_url(), url);
    repo.check_write_access().unwrap();
    assert_eq!(repo.push().unwrap().outcome, PushedRef::UpToDate);
    write(folder, "w.bin", weights(1, 50_000));
    write(folder, "dir/same, but * odd.bin", weights(1, 50_000));
    write(folder, "plain.txt", "plain\n");
    repo.stage().unwrap();
    let _ = repo.commit("through ssh").unwrap();
    let report = repo.push().unwrap();
    assert_eq!(report.outcome, PushedRef::Moved);
    assert_eq!((report.lfs_objects, report.lfs_bytes), (1, 50_000));
    for seed in [2, 3] {
        write(folder, "w.bin", weights(seed, 50_000));
        let options = SaveOptions::new(format!("step {seed}"));
        let saved = repo.save(options).unwrap().saved;
        assert!(matches!(saved, Saved::Queued { .. }));
    }
    println!("at {}", repo.head().unwrap().unwrap());
    assert_eq!(repo.flush(Duration::from_secs(60)).unwrap().pushed.len(), 2);
    other_refs(&repo);
    repo.close().unwrap();
}

/// A tag that comes and goes, and a pull request that is worked on.
fn other_refs(repo: &Repository) {
    let origin = RemoteName::origin();
    let options = TagOptions::default().message("by ssh").on(origin.clone());
    let made = repo.create_tag_with("by-ssh", options).unwrap();
    assert_eq!(
        (made.local, made.remote),
        (RefChange::Created, RefChange::Created)
    );
    for expected in [RefChange::Deleted, RefChange::Missing] {
        let gone = repo
            .delete_tag_from("by-ssh", &Where::HereAndOn(origin.clone()))
            .unwrap();
        assert_eq!((gone.local, gone.remote), (expected, expected));
    }
    repo.checkout("refs/pr/5").unwrap();
    write(repo.workdir(), "request.bin", weights(5, 50_000));
    repo.stage().unwrap();
    let _ = repo.commit("a request").unwrap();
    let report = repo.push().unwrap();
    assert_eq!(report.target.as_str(), "refs/pr/5");
    repo.checkout("main").unwrap();
    println!("request {}", report.commit);
}

pub(crate) fn pull(folder: &Path) {
    let repo = Repository::open(folder).unwrap();
    let report = repo.pull().unwrap();
    assert_ne!(report.before, report.after);
    assert!(repo.pull().unwrap().is_up_to_date());
}

pub(crate) fn refused(folder: &Path) {
    let repo = Repository::open(folder).unwrap();
    write(folder, "big.txt", "x\n".repeat(BLOB_LIMIT));
    repo.stage().unwrap();
    let _ = repo.commit("too big for the hook").unwrap();
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let words = error.server_message().unwrap();
    assert!(words.contains("big.txt"), "{words}");
    assert!(words.contains("pre-receive hook declined"), "{words}");
}

pub(crate) fn moved(folder: &Path) {
    let repo = Repository::open(folder).unwrap();
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonFastForward, "{error:?}");
}

#[test]
fn what_comes_by_http_may_go_by_ssh() {
    needs_sshd!();
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let sshd = Sshd::start(&w, BLOB_LIMIT);
    let url = sshd.url(&w.bare("alice/m"));
    let ours = w.path("ours");
    let push = |key| {
        let arguments = ["alice/m", &*ours.to_string_lossy(), &url];
        let output = ssh_child(&w, &sshd, key, "ssh-push-only", &arguments).output();
        succeed(&output.unwrap())
    };
    assert!(push("stranger").contains("Err(Unauthorized)"));
    assert_eq!(w.hub.uploads(), 0);
    assert!(push("key").contains("Ok(Moved)"));
    w.assert_sound(&ours);
    assert_same_files(&ours, w.clone("alice/m", "fresh").workdir());
}

pub(crate) fn push_only(source: &str, folder: &Path, push_url: &str) {
    let open = || Repository::prepare(source, folder).open_or_clone().unwrap();
    if !folder.exists() {
        drop(open());
        let config = [
            "-C",
            &folder.to_string_lossy(),
            "config",
            "remote.origin.pushurl",
            push_url,
        ];
        assert!(Command::new("git").args(config).status().unwrap().success());
        write(folder, "w.bin", weights(1, 50_000));
        let repo = open();
        repo.stage().unwrap();
        let _ = repo.commit("by another way").unwrap();
    }
    let pushed = open().push();
    println!(
        "{:?}",
        pushed
            .map(|report| report.outcome)
            .map_err(|error| error.kind())
    );
}

#[test]
fn what_stands_in_the_way_of_ssh_has_a_name() {
    needs_sshd!();
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    write(first.workdir(), "w.bin", weights(1, 50_000));
    first.stage().unwrap();
    let _ = first.commit("an object").unwrap();
    first.push().unwrap();
    let sshd = Sshd::start(&w, BLOB_LIMIT);
    let url = sshd.url(&w.bare("alice/m"));
    fs::write(w.path("sshd/no_hosts"), "").unwrap();
    // Folders with some of the programs.
    let bin = |programs: &[&str]| {
        let folder = w.path(&format!("bin-{}", programs.join("-")));
        fs::create_dir_all(&folder).unwrap();
        for program in programs {
            let path = std::env::var_os("PATH").unwrap();
            let found = std::env::split_paths(&path).map(|folder| folder.join(program));
            let found = found.into_iter().find(|file| file.exists()).unwrap();
            std::os::unix::fs::symlink(found, folder.join(program)).unwrap();
        }
        folder
    };
    let missing = sshd.url(Path::new("/no/such/repository.git"));
    let all = std::env::var_os("PATH").unwrap();
    let usual = sshd.ssh("key", "known_hosts");
    for (url, ssh, path, kind, words) in [
        (
            &url,
            sshd.ssh("stranger", "known_hosts"),
            all.clone(),
            "Unauthorized",
            "Permission denied",
        ),
        (
            &url,
            sshd.ssh("key", "no_hosts"),
            all.clone(),
            "Network",
            "Host key verification failed",
        ),
        (
            &missing,
            usual.clone(),
            all.clone(),
            "RepoNotFound",
            "/no/such/repository.git",
        ),
        (
            &url,
            usual.clone(),
            bin(&[]).into(),
            "ProgramMissing",
            "git is not installed",
        ),
        (
            &url,
            usual.clone(),
            bin(&["git"]).into(),
            "ProgramMissing",
            "ssh",
        ),
        (
            &url,
            usual.clone(),
            bin(&["git", "ssh"]).into(),
            "ProgramMissing",
            "git-lfs is not installed",
        ),
    ] {
        let folder = w.path("ours");
        let output = child(&w, "ssh-clone-fails", &[url, &folder.to_string_lossy()])
            .env("GIT_SSH_COMMAND", ssh)
            .env("PATH", path)
            .output()
            .unwrap();
        let told = succeed(&output);
        assert!(told.contains(&format!("kind {kind}\n")), "{words}: {told}");
        assert!(told.contains(words), "{words}: {told}");
        assert!(!folder.exists());
    }
}

pub(crate) fn clone_fails(url: &str, folder: &Path) {
    let error = Repository::prepare(url, folder).clone_repo().unwrap_err();
    println!(
        "kind {:?}\n{error} {:?}",
        error.kind(),
        error.server_message()
    );
    assert!(error.hint().is_some());
}

#[test]
fn cancelling_ends_what_git_started() {
    let w = World::new();
    let (folder, pid) = (w.path("ours"), w.path("pid"));
    let arguments = [&*folder.to_string_lossy(), &pid.to_string_lossy()];
    // An ssh that connects and then says nothing.
    let script = format!(
        "sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600' --",
        pid.display()
    );
    let output = child(&w, "ssh-cancel", &arguments)
        .env("GIT_SSH_COMMAND", script)
        .output()
        .unwrap();
    succeed(&output);
    let process = fs::read_to_string(&pid).unwrap();
    let stat = Path::new("/proc").join(process.trim()).join("stat");
    until("the silent ssh is gone", || {
        let stat = fs::read_to_string(&stat).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    assert!(!folder.exists());
}

pub(crate) fn cancel(folder: &Path, pid: &Path) {
    let cancel = CancelToken::new();
    let prepared = Repository::prepare("ssh://git@127.0.0.1:1/x", folder);
    let prepared = prepared.cancel_token(cancel.clone());
    let clone = std::thread::spawn(move || prepared.clone_repo().map(drop));
    until("ssh is started", || pid.exists());
    cancel.cancel();
    let error = clone.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
