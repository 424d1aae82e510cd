//! Folders that somebody else has written to: odd files, links, configs, and whole repositories.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use hf_repository::ErrorKind::{
    DirtyWorktree, InvalidInput, JournalDamaged, Rejected, Unsupported,
};
use hf_repository::{Pattern, Repository, Visibility};

use serde_json::json;

use super::peer::{Peer, answer};
use super::{Forge, RULES, everything, refused};
use crate::child::succeed;
use crate::support::judge::files;
use crate::support::{World, shout, weights, write};

/// Runs something that must not hang.
#[track_caller]
fn soon<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(what()));
    result
        .recv_timeout(Duration::from_secs(20))
        .expect("it hangs")
}

fn mkfifo(path: &Path) {
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
}

/// A clone with a plain and an LFS file, both pushed.
fn two_files(w: &World) -> Repository {
    w.model("alice/m");
    let ours = w.clone("alice/m", "ours");
    write(ours.workdir(), "a.txt", "one\n");
    write(ours.workdir(), "w.bin", weights(1, 3000));
    ours.stage().unwrap();
    let _ = ours.commit("two files").unwrap();
    ours.push().unwrap();
    ours
}

#[test]
fn pipes_and_sockets_are_not_read() {
    let w = World::new();
    let ours = two_files(&w);
    mkfifo(&w.path("ours/pipe"));
    mkfifo(&w.path("ours/pipe.bin"));
    let _socket = UnixListener::bind(w.path("ours/socket")).unwrap();
    for name in ["a.txt", "w.bin"] {
        fs::remove_file(w.path("ours").join(name)).unwrap();
        mkfifo(&w.path("ours").join(name));
    }
    soon(move || {
        ours.status().unwrap();
        let staged = ours.stage().unwrap();
        assert_eq!((staged.plain, staged.lfs), (vec![], vec![]));
        let _ = ours.commit("what is left").unwrap();
    });
    let listed = w.git(w.path("ours"), &["ls-files"]);
    assert!(
        !listed.contains("pipe") && !listed.contains("socket"),
        "{listed}"
    );
    assert!(w.path("ours/pipe").exists());
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_in_the_way() {
    let w = World::new();
    let ours = two_files(&w);
    let other = w.clone("alice/m", "other");
    write(other.workdir(), "a.txt", "two\n");
    write(other.workdir(), "w.bin", weights(2, 3000));
    other.stage().unwrap();
    let _ = other.commit("two").unwrap();
    other.push().unwrap();
    for name in ["a.txt", "w.bin"] {
        fs::remove_file(w.path("ours").join(name)).unwrap();
        mkfifo(&w.path("ours").join(name));
    }
    let result = soon(move || ours.pull());
    refused(result, &[DirtyWorktree]);
    for name in ["a.txt", "w.bin"] {
        let kind = fs::symlink_metadata(w.path("ours").join(name)).unwrap();
        assert!(kind.file_type().is_fifo());
    }
}

#[test]
fn a_device_is_not_read() {
    let w = World::new();
    let ours = two_files(&w);
    let zero = rustix::fs::mknodat(
        rustix::fs::CWD,
        w.path("ours/zero"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::RWXU,
        rustix::fs::makedev(1, 5),
    );
    if zero.is_err() {
        return shout("only root makes devices");
    }
    let staged = soon(move || ours.stage().unwrap());
    assert_eq!((staged.plain, staged.lfs), (vec![], vec![]));
}

/// The repository comes with `.gitattributes` as a link to a file of the user's: what is in it must
/// not become a file of the repository, which goes to the Hub with the next push.
#[test]
fn rules_are_not_written_by_way_of_a_link() {
    let w = World::new();
    w.model("alice/m");
    let secret = w.path("id_rsa");
    fs::write(&secret, "my private key\n").unwrap();
    let forge = Forge::new(&w, "alice/m");
    let link = forge.blob(secret.to_string_lossy().as_bytes());
    forge.publish(&forge.tree(&[("120000", b".gitattributes", &link)]));
    let ours = w.clone("alice/m", "ours");
    assert!(w.path("ours/.gitattributes").is_symlink());
    write(ours.workdir(), "w.bin", weights(1, 3000));
    let before = w.scene(ours.workdir(), "alice/m").files_only();
    refused(ours.stage(), &[InvalidInput]);
    refused(ours.track([Pattern::Glob("*.bin".into())]), &[InvalidInput]);
    refused(
        ours.untrack([Pattern::Glob("*.bin".into())]),
        &[InvalidInput],
    );
    refused(ours.save("w"), &[InvalidInput]);
    assert_eq!(w.scene(ours.workdir(), "alice/m").files_only(), before);
    assert_eq!(fs::read(&secret).unwrap(), b"my private key\n");
}

#[test]
fn rules_are_not_written_into_a_pipe() {
    let w = World::new();
    let ours = two_files(&w);
    fs::remove_file(w.path("ours/.gitattributes")).unwrap();
    mkfifo(&w.path("ours/.gitattributes"));
    let result = soon(move || ours.track([Pattern::Glob("*.x".into())]));
    refused(result, &[InvalidInput]);
}

/// Files appear by renaming: what a file's other names hold stays as it is.
#[test]
fn nothing_is_written_through_a_hard_link() {
    let w = World::new();
    let ours = two_files(&w);
    let other = w.clone("alice/m", "other");
    for name in ["a.txt", "w.bin", ".gitattributes"] {
        fs::hard_link(w.path("ours").join(name), w.path(name)).unwrap();
    }
    let before: Vec<_> = ["a.txt", "w.bin", ".gitattributes"]
        .map(|name| fs::read(w.path(name)).unwrap())
        .into();
    write(other.workdir(), "a.txt", "two\n");
    write(other.workdir(), "w.bin", weights(2, 3000));
    write(other.workdir(), "x.dat", weights(3, 300));
    other.stage().unwrap();
    let _ = other.commit("two").unwrap();
    other.push().unwrap();
    ours.pull().unwrap();
    ours.track([Pattern::Glob("*.x".into())]).unwrap();
    let after: Vec<_> = ["a.txt", "w.bin", ".gitattributes"]
        .map(|name| fs::read(w.path(name)).unwrap())
        .into();
    assert!(before == after);
}

#[test]
fn a_work_tree_that_is_elsewhere() {
    let w = World::new();
    two_files(&w);
    fs::create_dir(w.path("victim")).unwrap();
    fs::write(w.path("victim/mine"), "mine").unwrap();
    let elsewhere = w.path("victim").to_string_lossy().into_owned();
    w.git(w.path("ours"), &["config", "core.worktree", &elsewhere]);
    refused(Repository::open(w.path("ours")), &[Unsupported]);
    refused(w.prepare("alice/m", "ours").open_or_clone(), &[Unsupported]);
    assert_eq!(files(&w.path("victim")).len(), 1);
}

#[test]
fn own_files_that_lie_behind_a_link() {
    let w = World::new();
    two_files(&w);
    let victim = w.path("victim/checkout-mine");
    fs::create_dir_all(&victim).unwrap();
    fs::write(victim.join("mine"), "mine").unwrap();
    fs::remove_dir_all(w.path("ours/.git/hf-repository")).unwrap();
    symlink(w.path("victim"), w.path("ours/.git/hf-repository")).unwrap();
    refused(Repository::open(w.path("ours")), &[Unsupported]);
    assert!(victim.join("mine").exists());
    assert_eq!(fs::read_dir(w.path("victim")).unwrap().count(), 1);
}

/// A repository that somebody unpacked, with everything in it that makes git run a program.
#[test]
fn programs_of_a_repository_that_was_unpacked_do_not_run() {
    let w = World::new();
    let ours = two_files(&w);
    drop(ours);
    let ran = w.path("ran");
    let program = w.path("program");
    let text = format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 0\n", ran.display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let folder = w.path("ours");
    let name = program.to_string_lossy();
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.editor",
        "core.pager",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "diff.external",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "filter.lfs.clean",
        "filter.lfs.smudge",
        "filter.lfs.process",
        "merge.evil.driver",
        "gpg.program",
        "lfs.extension.evil.clean",
        "lfs.extension.evil.smudge",
        "lfs.customtransfer.evil.path",
        "remote.origin.vcs",
        "remote.origin.uploadpack",
        "remote.origin.receivepack",
        "uploadpack.packObjectsHook",
        "trailer.evil.command",
    ] {
        w.git(&folder, &["config", key, &name]);
    }
    w.git(&folder, &["config", "commit.gpgSign", "true"]);
    for hook in [
        "pre-commit",
        "prepare-commit-msg",
        "commit-msg",
        "post-commit",
        "post-checkout",
        "post-merge",
        "pre-push",
        "reference-transaction",
        "post-index-change",
        "update",
    ] {
        symlink(&program, folder.join(".git/hooks").join(hook)).unwrap();
    }
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    write(
        &folder,
        ".gitattributes",
        format!("{RULES}*.e filter=evil merge=evil\n"),
    );
    write(&folder, "x.e", "text\n");
    write(&folder, "a.txt", "three\n");
    write(&folder, "w.bin", weights(3, 3000));
    repo.status().unwrap();
    let staged = repo.stage().unwrap();
    assert_eq!(staged.skipped.len(), 1, "{staged:?}");
    let _ = repo.commit("three").unwrap();
    repo.push().unwrap();
    repo.pull().unwrap();
    repo.checkout_with("side", hf_repository::CheckoutOptions::Create)
        .unwrap();
    repo.checkout("main").unwrap();
    let _ = repo.prune().unwrap();
    let told = fs::read_to_string(&ran).unwrap_or_default();
    assert_eq!(told, "");
}

/// What the child of the next test does.
pub(crate) fn open(folder: &str) {
    match Repository::open(folder) {
        Ok(repo) => println!("opened {}", repo.status().unwrap().is_clean()),
        Err(error) => println!("{:?}\n{error}\n{}", error.kind(), error.hint().unwrap()),
    }
}

#[test]
fn a_folder_of_another_user() {
    let w = World::new();
    two_files(&w);
    let odd = w.path("it's ours");
    fs::rename(w.path("ours"), &odd).unwrap();
    for name in ["", ".git"] {
        if chown(odd.join(name), Some(12345), Some(12345)).is_err() {
            return shout("only root gives files away");
        }
    }
    fs::create_dir(w.path("home")).unwrap();
    let folder = odd.to_string_lossy().into_owned();
    let child = |name: &str, value: &str| {
        let mut child = w.child("hostile-open", &[&folder]);
        succeed(&child.env(name, value).output().unwrap())
    };
    let before = everything(&odd);
    let told = child("X", "");
    let hint = told
        .lines()
        .find_map(|line| line.split_once("run: "))
        .unwrap()
        .1;
    assert!(
        told.contains("ForeignOwner\n") && hint.contains("safe.directory"),
        "{told}"
    );
    assert!(before == everything(&odd), "something was written");
    // Who became root by sudo keeps the rights of whoever that was, as with git.
    assert!(child("SUDO_UID", "12345").contains("opened"));
    assert!(child("SUDO_UID", "12346").contains("ForeignOwner"));
    // The hint is what helps.
    let mut shell = w.command("sh", &w.path("home"));
    let shell = shell.args(["-c", hint]).env_remove("GIT_CONFIG_GLOBAL");
    succeed(&shell.env("HOME", w.path("home")).output().unwrap());
    assert!(child("X", "").contains("opened"));
    fs::write(w.path("home/.gitconfig"), "[safe]\n\tdirectory = *\n").unwrap();
    assert!(child("X", "").contains("opened"));
    fs::write(
        w.path("home/.gitconfig"),
        "[safe]\n\tdirectory = *\n\tdirectory =\n",
    )
    .unwrap();
    assert!(child("X", "").contains("ForeignOwner"));
    // The repository's own word does not count.
    let config = odd.join(".git/config");
    let text = fs::read_to_string(&config).unwrap() + "[safe]\n\tdirectory = *\n";
    fs::write(config, text).unwrap();
    assert!(child("X", "").contains("ForeignOwner"));
}

/// A child's work: clones, and creates what is not there.
pub(crate) fn create(source: &str, folder: &str) {
    let prepared = Repository::prepare(source, folder);
    let error = prepared
        .create_if_missing(Visibility::Private)
        .open_or_clone()
        .unwrap_err();
    println!("{:?}", error.kind());
}

#[test]
fn a_clone_that_somebody_else_began_runs_no_helper() {
    let w = World::new();
    let folder = w.path("begun");
    let mark = w.path("mark");
    let private = folder.join(".git/hf-repository");
    fs::create_dir_all(&private).unwrap();
    fs::write(private.join("clone-unfinished"), "").unwrap();
    let config = format!(
        "[credential]\n\thelper = \"!touch '{}';\"\n",
        mark.display()
    );
    write(&folder, ".git/config", config);
    write(&folder, ".git/HEAD", "ref: refs/heads/main\n");
    for name in ["objects", "refs"] {
        fs::create_dir(folder.join(".git").join(name)).unwrap();
    }
    let name = folder.to_string_lossy().into_owned();
    let run = || {
        let mut child = w.child("hostile-create", &["alice/new", &name]);
        let path = std::env::var_os("PATH").unwrap();
        succeed(
            &child
                .env("PATH", path)
                .env("HF_TOKEN", "hf_wrong")
                .output()
                .unwrap(),
        )
    };
    // In a folder of one's own it would.
    assert!(run().contains("Unauthorized\n"));
    assert!(mark.exists());
    fs::remove_file(&mark).unwrap();
    for name in ["", ".git", ".git/config"] {
        if chown(folder.join(name), Some(12345), Some(12345)).is_err() {
            return shout("only root gives files away");
        }
    }
    run();
    assert!(!mark.exists());
}

/// A repository that was unpacked may bring promises of the library's own with it.
#[test]
fn promises_of_others_name_no_file_outside() {
    let w = World::new();
    let ours = two_files(&w);
    drop(ours);
    fs::write(w.path("secret"), "secret").unwrap();
    let folder = w.path("ours/.git/hf-repository/journal");
    fs::create_dir_all(&folder).unwrap();
    let names = [
        "../secret",
        "/etc/passwd",
        ".git/config",
        "a/../../secret",
        "a.txt\u{0}",
    ];
    for (number, name) in (1..).zip(names) {
        let record = json!({ "version": 1, "owner": "../../secret", "kind": "stage",
            "branch": "main", "remote": "origin", "message": "m", "gone": [], "track_from": null,
            "files": [[name, 6, [0, 0], [0, 0], 1]] });
        let record = record.to_string();
        let sum = super::sha256(record.as_bytes());
        fs::write(
            folder.join(format!("{number:020}")),
            format!("{record}\n{sum}\n"),
        )
        .unwrap();
    }
    let tip = w.remote_tip("alice/m", "main");
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    refused(repo.pending_pushes(), &[JournalDamaged]);
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let _ = repo.resume_pushes();
    let _ = repo.close();
    let aside = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().starts_with("damaged-")
    };
    assert_eq!(
        fs::read_dir(&folder)
            .unwrap()
            .filter_map(|e| aside(e).then_some(()))
            .count(),
        5
    );
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
    assert_eq!(fs::read(w.path("secret")).unwrap(), b"secret");
    assert!(
        !w.git(w.path("ours"), &["log", "-p", "--all"])
            .contains("+secret")
    );
}

/// The same for an upload that was begun: it goes where a server might have said, and has no token.
#[test]
fn an_upload_that_others_began() {
    for scheme in ["file://localhost/tmp/evil", "javascript:x", "http"] {
        let w = World::new();
        let ours = two_files(&w);
        write(ours.workdir(), "w.bin", weights(9, 3000));
        ours.stage().unwrap();
        let _ = ours.commit("again").unwrap();
        let peer = Peer::saying(answer(200, "ETag: x\r\n", ""));
        let to = if scheme == "http" {
            peer.url()
        } else {
            scheme.to_owned()
        };
        let oid = super::sha256(&weights(9, 3000));
        let folder = w.path("ours/.git/hf-repository/uploads");
        fs::create_dir_all(&folder).unwrap();
        let action = json!({ "url": to, "headers": {} });
        let header = json!({ "version": 1, "lfs": format!("{}.git/info/lfs", w.url("alice/m")),
            "oid": oid, "size": 3000, "part_size": 3000, "parts": [to], "complete": action,
            "verify": action, "authenticated": false, "expires": 99_999_999_999_u64 });
        fs::write(folder.join(&oid), format!("{header}\n")).unwrap();
        let pushed = ours.push();
        if scheme == "http" {
            // The hub does not have the object.
            refused(pushed, &[Rejected]);
            assert!(!peer.heard().is_empty());
            for heard in peer.heard() {
                assert!(heard.header("authorization").is_empty(), "{heard:?}");
                assert!(!heard.head.contains(&w.token), "{heard:?}");
            }
        } else {
            // As if nothing had been begun.
            pushed.unwrap();
        }
    }
}
