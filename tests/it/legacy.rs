//! Clones of older tools, with passwords in the addresses that git recorded.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hf_repository::{ErrorKind, RecordedKind, Repository};

use crate::support::{World, weights, write};

/// A clone by git from an address with a password, as such clones look; and the address.
fn legacy(w: &World, secret: &str) -> (PathBuf, String) {
    w.model("alice/m");
    let folder = w.git_clone("alice/m", "old");
    let url = w
        .url("alice/m")
        .replace("://", &format!("://user:{secret}@"));
    w.git(&folder, &["remote", "set-url", "origin", &url]);
    // Old versions of git wrote what they were given into the logs, too.
    for log in ["HEAD", "refs/heads/main"] {
        let path = folder.join(".git/logs").join(log);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&w.url("alice/m"), &url)).unwrap();
    }
    let fetched = format!("{}\t\tbranch 'main' of {url}\n", "a".repeat(40));
    fs::write(folder.join(".git/FETCH_HEAD"), fetched).unwrap();
    (folder, url)
}

fn open(w: &World, folder: &Path) -> Repository {
    // The password is for a server that is not the Hub.
    Repository::prepare(w.url("alice/m"), folder)
        .endpoint("https://hub.invalid".parse().unwrap())
        .open()
        .unwrap()
}

/// What git reads, but for the passwords.
fn config(w: &World, folder: &Path, secret: &str) -> String {
    let told = w.git(folder, &["config", "--local", "--list"]);
    told.replace(&format!("user:{secret}@"), "")
}

fn change_and_push(repo: &Repository, seed: u64) {
    write(repo.workdir(), "w.bin", weights(seed, 3000));
    repo.stage().unwrap();
    let _ = repo.commit("change").unwrap();
    repo.push().unwrap();
}

#[test]
fn recorded_passwords_are_used_reported_and_taken_out() {
    let w = World::new();
    let secret = w.token.clone();
    let (folder, url) = legacy(&w, &secret);
    let git_dir = folder.join(".git");
    let path = git_dir.join("config");
    // Everything else there is, in the hand of somebody who has habits of his own.
    let more = format!(
        "; my own\n[remote  \"up\"]\n  url={url}x ; twice\n\tpushurl = \"{url}y\"\n\
         [lfs]\n\turl = {url}.git/info/lfs\n[lfs \"{url}.git/info/lfs\"]\n\taccess = basic\n\
         [remote \"up\"]\n\tlfsurl = {url}z\n\tproxy = http://p:pr0xypass@127.0.0.1:9\n\
         [http \"https://else.example\"]\n\textraheader = Authorization: Basic eDp5\n[x]\n\ty"
    );
    let text = fs::read_to_string(&path).unwrap() + &more;
    fs::write(&path, &text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = config(&w, &folder, &secret);
    let repo = open(&w, &folder);
    change_and_push(&repo, 1);

    let found = repo.recorded_credentials().unwrap();
    let in_config = found.iter().filter(|found| found.file == path);
    let keys: Vec<_> = in_config
        .map(|found| found.key.as_deref().unwrap())
        .collect();
    let plain = w.url("alice/m");
    let lfs = format!("lfs.{plain}.git/info/lfs");
    assert_eq!(
        keys,
        [
            "remote.origin.url",
            "remote.up.url",
            "remote.up.pushurl",
            "lfs.url",
            lfs.as_str(),
            "remote.up.lfsurl",
            "remote.up.proxy",
            "http.https://else.example.extraheader"
        ]
    );
    assert_eq!(found.len(), 8 + 3, "and HEAD, main, FETCH_HEAD: {found:?}");
    assert!(
        found[..6]
            .iter()
            .all(|found| found.origin.as_deref() == Some(w.hub.url().as_str()))
    );
    let told = format!("{found:?}");
    for secret in [&*secret, "pr0xypass", "eDp5"] {
        assert!(!told.contains(secret), "{told}");
    }

    let gone = repo.scrub_remote_credentials().unwrap();
    assert_eq!(gone.len(), 9);
    assert!(gone.iter().all(|gone| gone.kind == RecordedKind::Address));
    let left = repo.recorded_credentials().unwrap();
    let kinds: Vec<_> = left.iter().map(|left| left.kind).collect();
    assert_eq!(kinds, [RecordedKind::Proxy, RecordedKind::Header]);
    assert!(
        repo.scrub_remote_credentials().unwrap().is_empty(),
        "once is enough"
    );

    // Nothing else has changed, and git reads the same.
    let clean = text.replace(&format!("user:{secret}@"), "");
    assert_eq!(fs::read_to_string(&path).unwrap(), clean);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(w.git(&folder, &["config", "--local", "--list"]), before);
    assert!(!before.contains(&secret));
    for file in ["FETCH_HEAD", "logs/HEAD", "logs/refs/heads/main"] {
        let text = fs::read_to_string(git_dir.join(file)).unwrap();
        assert!(text.contains(&plain) && !text.contains(&secret), "{text}");
    }
    assert!(
        w.git(&folder, &["reflog"])
            .contains(&format!("clone: from {plain}"))
    );
    assert!(!git_dir.join("config.lock").exists() && !git_dir.join("HEAD.lock").exists());

    // This one still has the password; whoever comes next does not.
    change_and_push(&repo, 2);
    drop(repo);
    let again = open(&w, &folder);
    assert!(
        again
            .recorded_credentials()
            .unwrap()
            .iter()
            .all(|left| left.kind != RecordedKind::Address)
    );
    assert_eq!(
        again.check_write_access().unwrap_err().kind(),
        ErrorKind::Unauthorized
    );
    w.git(&folder, &["fsck", "--strict"]);
}

#[test]
fn a_password_for_the_lfs_server_alone_goes_on_being_used() {
    let w = World::new();
    let (folder, url) = legacy(&w, &w.token);
    w.git(
        &folder,
        &[
            "remote",
            "set-url",
            "origin",
            &w.bare("alice/m").to_string_lossy(),
        ],
    );
    w.git(
        &folder,
        &["config", "lfs.url", &format!("{url}.git/info/lfs")],
    );
    let repo = Repository::prepare(w.bare("alice/m").to_string_lossy(), &folder)
        .endpoint("https://hub.invalid".parse().unwrap())
        .open()
        .unwrap();
    repo.scrub_remote_credentials().unwrap();
    change_and_push(&repo, 1);
    assert!(
        w.hub
            .requests()
            .iter()
            .any(|request| request.path.contains("/lfs/"))
    );
}

#[test]
fn whoever_has_the_lock_is_waited_for_and_not_broken() {
    let w = World::new();
    let (folder, url) = legacy(&w, &w.token);
    let repo = open(&w, &folder);
    let lock = folder.join(".git/config.lock");
    fs::write(&lock, "").unwrap();
    let error = repo.scrub_remote_credentials().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.hint().unwrap().contains("config.lock"));
    assert!(lock.exists());
    assert!(
        fs::read_to_string(folder.join(".git/config"))
            .unwrap()
            .contains(&url)
    );
    fs::remove_file(lock).unwrap();
    // The other files did not wait for it.
    assert_eq!(repo.scrub_remote_credentials().unwrap().len(), 1);
}

#[test]
fn links_lead_to_no_file_of_the_users() {
    let w = World::new();
    let (folder, url) = legacy(&w, &w.token);
    let git_dir = folder.join(".git");
    let home = w.path("mine");
    let mine = [
        "credentials",
        "logs/x",
        "tree/FETCH_HEAD",
        "tree/logs/HEAD",
        "config",
    ];
    let text = format!("[remote \"x\"]\n\turl = {url}\n");
    for name in mine {
        write(&home, name, &text);
    }
    let link = |name: &str, target: &str| {
        let path = git_dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(home.join(target), path).unwrap();
    };
    link("lfs/logs", "logs");
    link("logs", "logs");
    link("FETCH_HEAD", "credentials");
    link("config.worktree", "credentials");
    link("worktrees/tree", "tree");
    let repo = open(&w, &folder);
    assert_eq!(repo.scrub_remote_credentials().unwrap().len(), 1);
    link("lfs", "");
    link("worktrees", "");
    // The config of a link is git's config all the same: it is told of, and left.
    link("config", "config");
    let found = repo.recorded_credentials().unwrap();
    let found: Vec<_> = found.iter().map(|found| &found.file).collect();
    assert_eq!(found, [&git_dir.join("config")]);
    assert!(repo.scrub_remote_credentials().unwrap().is_empty());
    for name in mine {
        assert_eq!(fs::read_to_string(home.join(name)).unwrap(), text, "{name}");
    }
}

#[test]
fn what_is_too_large_is_not_read() {
    let w = World::new();
    let (folder, _) = legacy(&w, &w.token);
    let log = folder.join(".git/logs/refs/huge");
    fs::File::create(&log).unwrap().set_len(1 << 40).unwrap();
    let repo = open(&w, &folder);
    let error = repo.recorded_credentials().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(fs::metadata(log).unwrap().len(), 1 << 40);
}

#[test]
fn logs_of_refs_that_are_gone_are_cleaned_too() {
    let w = World::new();
    let (folder, url) = legacy(&w, &w.token);
    let git_dir = folder.join(".git");
    let text = format!("clone: from {url}\n");
    for name in ["main/x", "main/x/y", "gone/deep/x"] {
        let log = format!("logs/refs/remotes/up/{name}.log");
        write(&git_dir, &log, &text);
    }
    write(&git_dir, "refs/remotes/up/main", "a".repeat(40));
    let repo = open(&w, &folder);
    assert_eq!(repo.scrub_remote_credentials().unwrap().len(), 4 + 3);
    assert!(repo.recorded_credentials().unwrap().is_empty());
    assert!(!git_dir.join("refs/remotes/up/gone").exists());
}
