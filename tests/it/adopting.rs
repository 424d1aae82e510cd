//! A folder with files becomes a clone, and none of them is changed.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use hf_repository::{
    CheckoutOptions, Content, Error, ErrorKind, Event, FileState, Progress, Repository, Visibility,
};
use mini_hub::Route;

use crate::child::succeed;
use crate::support::judge::{assert_same_files, files};
use crate::support::moving::requests;
use crate::support::saving::{hold_at, tip};
use crate::support::{World, weights, write};

/// All there is to be known of files without reading them, and what they hold.
type Seen = BTreeMap<String, (u64, u32, i64, i64, Vec<u8>)>;

fn look(folder: &Path) -> Seen {
    let seen = |(name, (_, content)): (String, (char, Vec<u8>))| {
        let meta = fs::symlink_metadata(folder.join(&name)).unwrap();
        let file = (
            meta.ino(),
            meta.mode(),
            meta.mtime(),
            meta.mtime_nsec(),
            content,
        );
        (name, file)
    };
    files(folder).into_iter().map(seen).collect()
}

/// Those of the files that were there before are the same ones.
#[track_caller]
fn assert_untouched(folder: &Path, before: &Seen) {
    let after = look(folder);
    for (name, file) in before {
        assert!(after.get(name) == Some(file), "{name} was touched");
    }
}

/// A remote with a bit of everything, and the clone it was pushed from.
fn remote(w: &World) -> Repository {
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    let folder = first.workdir();
    write(folder, "model.bin", weights(1, 40_000));
    write(folder, "old/step-1.bin", weights(2, 40_000));
    write(folder, "old/step-2.bin", weights(3, 40_000));
    write(folder, "config.json", "{}\n");
    write(folder, "empty", "");
    write(folder, "run.sh", "#!/bin/sh\n");
    fs::set_permissions(folder.join("run.sh"), Permissions::from_mode(0o755)).unwrap();
    symlink("model.bin", folder.join("latest")).unwrap();
    let scope = first.begin(crate::scope::with_all("files")).unwrap();
    let _ = scope.finish().unwrap();
    first
}

/// Copies files without git's.
fn copy(from: &Path, to: &Path) {
    for (name, (kind, content)) in files(from) {
        if kind == 'l' {
            let target = String::from_utf8(content).unwrap();
            symlink(target, to.join(&name)).unwrap();
            continue;
        }
        write(to, &name, content);
        let mode = fs::metadata(from.join(&name)).unwrap().permissions();
        fs::set_permissions(to.join(&name), mode).unwrap();
    }
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: ErrorKind) -> Error {
    match result {
        Ok(_) => panic!("it was done"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.hint().is_some(), "{error:?}");
            error
        }
    }
}

#[test]
fn only_what_differs_shows_and_only_what_lacks_is_brought() {
    let w = World::new();
    let first = remote(&w);
    let folder = w.path("ours");
    write(&folder, "model.bin", weights(1, 40_000));
    write(&folder, "old/step-2.bin", weights(4, 40_000));
    write(&folder, "config.json", "{\"edited\": 1}\n");
    write(&folder, "empty", "");
    write(&folder, "run.sh", "#!/bin/sh\n");
    write(&folder, "notes/today.txt", "only here\n");
    write(&folder, "nested/.git/config", "[core]\n");
    w.git(folder.join("nested"), &["init", "-q"]);
    write(&folder, "nested/file", "another repository's\n");
    let before = look(&folder);
    w.hub.clear_requests();
    let (progress, mut events) = Progress::channel();
    let repo = w.prepare("alice/m", "ours").progress(progress);
    let repo = repo.adopt().unwrap();
    assert_untouched(&folder, &before);
    // One object was lacking, and one was read to be recognised; that of another content was, too.
    let gets = requests(&w, Route::LfsGet);
    assert_eq!(gets.len(), 1, "{gets:?}");
    assert_eq!(
        fs::read(folder.join("old/step-1.bin")).unwrap(),
        weights(2, 40_000)
    );
    let read: Vec<String> = std::iter::from_fn(|| events.try_next())
        .filter_map(|event| match event {
            Event::Staging { path, .. } => Some(path),
            _ => None,
        })
        .collect();
    assert_eq!(read, ["model.bin", "old/step-2.bin"]);

    let status = repo.status().unwrap();
    let found: Vec<_> = status
        .entries
        .iter()
        .map(|entry| (entry.path.as_str(), entry.staged, entry.worktree.unwrap()))
        .collect();
    let modified = FileState::Modified;
    assert_eq!(
        found,
        [
            ("config.json", None, modified),
            ("notes/today.txt", None, FileState::Added),
            ("old/step-2.bin", None, modified),
            ("run.sh", None, modified),
        ]
    );
    if crate::support::git_lfs() {
        assert_eq!(
            w.git(&folder, &["status", "--porcelain"]),
            " M config.json\n M old/step-2.bin\n M run.sh\n?? nested/\n?? notes/"
        );
    }
    assert_eq!(w.git(&folder, &["rev-parse", "@{u}"]), tip(&w).to_string());
    assert_untouched(&folder, &before);

    // The next save records what was done here, and deletes nothing.
    w.hub.clear_requests();
    let report = repo.save("resumed").unwrap();
    assert!(report.staged.removed.is_empty(), "{report:?}");
    repo.close().unwrap();
    assert_eq!(requests(&w, Route::LfsPut).len(), 1);
    assert_untouched(&folder, &before);
    first.pull().unwrap();
    fs::remove_dir_all(folder.join("nested")).unwrap();
    assert_same_files(first.workdir(), &folder);
    w.assert_sound(&folder);
}

#[test]
fn a_copy_of_the_remote_needs_no_content() {
    let w = World::new();
    let first = remote(&w);
    let folder = w.path("ours");
    copy(first.workdir(), &folder);
    let before = look(&folder);
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").open_or_adopt().unwrap();
    assert!(requests(&w, Route::LfsBatch).is_empty());
    assert_eq!(look(&folder), before);
    w.assert_sound(&folder);
    // The objects are in the store: another branch may need them again.
    let objects = |folder: &Path| files(&folder.join(".git/lfs/objects"));
    assert_eq!(objects(&folder), objects(first.workdir()));
    assert!(!folder.join(".git/hf-repository/clone-unfinished").exists());
    // Now it is a clone like any other.
    refused(
        w.prepare("alice/m", "ours").adopt(),
        ErrorKind::AlreadyExists,
    );
    write(&folder, "config.json", "{\"a\": 1}\n");
    let again = w.prepare("alice/m", "ours").open_or_adopt().unwrap();
    assert_eq!(again.head().unwrap(), repo.head().unwrap());
    assert_eq!(again.status().unwrap().entries.len(), 1);
    w.model("alice/other");
    let error = refused(
        w.prepare("alice/other", "ours").open_or_adopt(),
        ErrorKind::RemoteMismatch,
    );
    let text = error.to_string();
    assert!(
        text.contains("alice/m") && text.contains("alice/other"),
        "{text}"
    );
}

#[test]
fn what_lacks_may_be_left_as_pointers() {
    let w = World::new();
    let first = remote(&w);
    let folder = w.path("ours");
    write(&folder, "model.bin", weights(1, 40_000));
    // A pointer of an earlier clone counts as what it stands for.
    let pointer = w.git(first.workdir(), &["show", "HEAD:old/step-1.bin"]) + "\n";
    write(&folder, "old/step-1.bin", &pointer);
    let before = look(&folder);
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    let repo = repo.adopt().unwrap();
    assert!(requests(&w, Route::LfsBatch).is_empty());
    assert_untouched(&folder, &before);
    w.assert_clean(&folder);
    assert_eq!(repo.fetch_content(["old"]).unwrap().len(), 2);
    assert_same_files(first.workdir(), &folder);
    w.assert_sound(&folder);
}

#[test]
fn remotes_and_folders_with_nothing_in_them() {
    let w = World::new();
    w.empty_model("alice/empty");
    write(&w.path("ours"), "model.bin", weights(1, 5000));
    let before = look(&w.path("ours"));
    let repo = w.prepare("alice/empty", "ours").adopt().unwrap();
    assert_untouched(&w.path("ours"), &before);
    assert_eq!(repo.head().unwrap(), None);
    let commit = repo.begin(crate::scope::with_all("first")).unwrap();
    let commit = commit.finish().unwrap().outcome.commit().unwrap();
    let there = w.remote_tip("alice/empty", "main").unwrap();
    assert_eq!(there, commit.to_string());
    w.assert_sound(&w.path("ours"));

    // Where there is no remote, one is made; a folder that is missing or empty is cloned into.
    write(&w.path("new"), "a.txt", "a\n");
    let new = w.prepare("alice/new", "new");
    let repo = new.create_if_missing(Visibility::Private).adopt().unwrap();
    let _ = repo
        .begin(crate::scope::with_all("first"))
        .unwrap()
        .finish()
        .unwrap();
    for name in ["deep/er/none", "none"] {
        if name == "none" {
            fs::create_dir(w.path(name)).unwrap();
        }
        let repo = w.prepare("alice/new", name).open_or_adopt().unwrap();
        assert_eq!(fs::read(repo.workdir().join("a.txt")).unwrap(), b"a\n");
        w.assert_sound(repo.workdir());
    }
    assert_same_files(&w.path("new"), &w.path("none"));
}

#[test]
fn what_cannot_be_adopted_stays_as_it_is() {
    let w = World::new();
    let first = remote(&w);
    let folder = w.path("ours");
    // What the user has where, what is told of it, and which path of the remote's is meant.
    let link = |to: &Path| symlink(to, folder.join("old")).unwrap();
    let shapes: [(&str, &dyn Fn()); 4] = [
        ("old/step-1.bin", &|| write(&folder, "old", "a file\n")),
        ("old/step-1.bin", &|| link(&first.workdir().join("old"))),
        ("config.json", &|| {
            write(&folder, "config.json/x", "in a folder\n")
        }),
        // Not as a repository of its own, either: git would not see what the remote has there.
        ("old/step-1.bin", &|| {
            fs::create_dir(folder.join("old")).unwrap();
            w.git(folder.join("old"), &["init", "-q"]);
        }),
    ];
    for (path, make) in shapes {
        write(&folder, "model.bin", weights(1, 40_000));
        make();
        let before = look(&folder);
        let error = refused(
            w.prepare("alice/m", "ours").adopt(),
            ErrorKind::DirtyWorktree,
        );
        assert_eq!(error.offences()[0].path.as_str(), path, "{error}");
        assert_eq!(look(&folder), before);
        assert!(!folder.join(".git").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
    assert_eq!(
        files(first.workdir())["old/step-1.bin"].1,
        weights(2, 40_000)
    );

    // A remote that is not there, and content that is not.
    write(&folder, "model.bin", weights(1, 40_000));
    let before = look(&folder);
    refused(
        w.prepare("alice/none", "ours").adopt(),
        ErrorKind::RepoNotFound,
    );
    let revision = "v9".parse().unwrap();
    let other = w.prepare("alice/m", "ours").revision(revision);
    refused(other.adopt(), ErrorKind::RevisionNotFound);
    let lost = w.bare("alice/m").join("lfs");
    fs::rename(&lost, w.path("lost")).unwrap();
    refused(
        w.prepare("alice/m", "ours").adopt(),
        ErrorKind::LfsObjectMissing,
    );
    fs::rename(w.path("lost"), &lost).unwrap();
    assert_eq!(look(&folder), before);
    assert!(!folder.join(".git").exists());

    // What is there by the name of .git is not ours.
    for kind in [ErrorKind::NotARepository, ErrorKind::AlreadyExists] {
        if kind == ErrorKind::NotARepository {
            write(&folder, ".git/precious", "x\n");
        } else {
            w.git(&folder, &["init", "-q"]);
        }
        refused(w.prepare("alice/m", "ours").adopt(), kind);
        assert_eq!(fs::read(folder.join(".git/precious")).unwrap(), b"x\n");
        let opened = w.prepare("alice/m", "ours").open_or_adopt();
        assert!(matches!(
            opened.unwrap_err().kind(),
            ErrorKind::NotARepository | ErrorKind::RemoteMismatch
        ));
        assert_eq!(look(&folder), before);
    }
    fs::remove_dir_all(folder.join(".git")).unwrap();
    symlink("nowhere", folder.join(".git")).unwrap();
    let error = w.prepare("alice/m", "ours").open_or_adopt().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotARepository, "{error:?}");
    assert!(folder.join(".git").is_symlink());
}

#[test]
fn a_killed_adoption_is_finished_by_the_next_call() {
    let w = World::new();
    let first = remote(&w);
    let folder = w.path("ours");
    write(&folder, "model.bin", weights(1, 40_000));
    write(&folder, "config.json", "{\"edited\": 1}\n");
    let before = look(&folder);
    let name = folder.to_string_lossy().into_owned();
    // Before there is any object, and with all but one. Even a call that would otherwise want the folder
    // empty goes on as it was begun, though the repository itself was only half made.
    for (route, job) in [
        (Route::UploadPack, "open-or-adopt"),
        (Route::LfsGet, "open-or-clone"),
    ] {
        let held = hold_at(&w, route);
        let mut child = w.child(job, &["alice/m", &name]).spawn().unwrap();
        held.arrived();
        child.kill().unwrap();
        child.wait().unwrap();
        drop(held);
        assert_untouched(&folder, &before);
        assert!(!folder.join("old").exists());
        if route == Route::UploadPack {
            fs::remove_file(folder.join(".git/HEAD")).unwrap();
        }
    }
    let error = refused(Repository::open(&folder), ErrorKind::NotARepository);
    assert!(error.hint().unwrap().contains("open_or_clone"));
    succeed(
        &w.child("open-or-clone", &["alice/m", &name])
            .output()
            .unwrap(),
    );
    assert_untouched(&folder, &before);
    let repo = Repository::open(&folder).unwrap();
    let status = repo.status().unwrap();
    assert_eq!(status.entries.len(), 1);
    w.git(&folder, &["checkout", "-q", "config.json"]);
    assert_same_files(first.workdir(), &folder);
    w.assert_sound(&folder);
}

#[test]
fn a_revision_may_be_adopted_and_made() {
    let w = World::new();
    let first = remote(&w);
    w.git(first.workdir(), &["tag", "v1"]);
    w.git(first.workdir(), &["push", "-q", "origin", "v1"]);
    write(first.workdir(), "model.bin", weights(9, 40_000));
    let _ = first
        .begin(crate::scope::with_all("later"))
        .unwrap()
        .finish()
        .unwrap();
    let folder = w.path("ours");
    write(&folder, "model.bin", weights(1, 40_000));
    let before = look(&folder);
    let at_tag = w.prepare("alice/m", "ours").revision("v1".parse().unwrap());
    let repo = at_tag.adopt().unwrap();
    assert_untouched(&folder, &before);
    w.assert_sound(&folder);
    assert_eq!(repo.current_branch().unwrap(), None);
    drop(repo);
    fs::remove_dir_all(folder.join(".git")).unwrap();

    let branch = "mine".parse().unwrap();
    let made = w.prepare("alice/m", "ours");
    let made = made.revision_with(branch, CheckoutOptions::Create);
    let repo = made.open_or_adopt().unwrap();
    assert_untouched(&folder, &before);
    assert_eq!(repo.current_branch().unwrap().unwrap().as_str(), "mine");
    let status = repo.status().unwrap();
    assert_eq!(status.entries.len(), 1, "{status:?}");
}

#[test]
fn without_room_for_a_copy_files_are_recognised_all_the_same() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    write(first.workdir(), "model.bin", weights(1, 3 << 20));
    let scope = first.begin(crate::scope::with_all("files")).unwrap();
    let _ = scope.finish().unwrap();
    let folder = w.path("ours");
    copy(first.workdir(), &folder);
    let before = look(&folder);
    let name = folder.to_string_lossy().into_owned();
    w.hub.clear_requests();
    succeed(&w.limited(2048, "open-or-adopt", &["alice/m", &name]));
    assert!(requests(&w, Route::LfsBatch).is_empty());
    assert_eq!(look(&folder), before);
    assert!(!folder.join(".git/lfs/objects").exists());
    w.assert_clean(&folder);
}

/// A generator of numbers below a bound.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |bound| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    }
}

/// Whatever of the remote is there, changed or lacking: git finds what was changed, and that alone.
#[test]
fn git_finds_what_was_changed_in_any_folder() {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    let attributes = fs::read_to_string(first.workdir().join(".gitattributes")).unwrap();
    let rules = attributes + "*.crlf text eol=crlf\n/raw.bin -filter -text\n";
    write(first.workdir(), ".gitattributes", rules);
    for number in 0..14 {
        let (content, text) = (weights(number, 3000), format!("one\r\ntwo {number}\r\n"));
        match number % 4 {
            0 => write(
                first.workdir(),
                &format!("d{}/{number}.bin", number % 3),
                content,
            ),
            1 => write(
                first.workdir(),
                &format!("d{}/e/{number}.txt", number % 3),
                text,
            ),
            2 => write(first.workdir(), &format!("{number} ü.crlf"), text),
            _ => write(first.workdir(), &format!("e/{number}.bin"), content),
        }
    }
    let scope = first.begin(crate::scope::with_all("files")).unwrap();
    let _ = scope.finish().unwrap();
    let all = files(first.workdir());
    for seed in 1..=2 {
        let mut dice = dice(seed);
        let folder = w.path(&format!("ours {seed}"));
        let mut expected = Vec::new();
        copy(first.workdir(), &folder);
        for (name, (_, content)) in &all {
            let file = folder.join(name);
            let mut edited = content.clone();
            // The rules decide what the others are; they may be lacking, but are not changed here.
            match dice(if name == ".gitattributes" { 2 } else { 7 }) {
                0 => {}
                1 => fs::remove_file(&file).unwrap(),
                2 => {
                    edited[0] ^= 1;
                    fs::write(&file, edited).unwrap();
                    expected.push(format!(" M {name}"));
                }
                3 => {
                    edited.push(b'x');
                    fs::write(&file, edited).unwrap();
                    expected.push(format!(" M {name}"));
                }
                4 => {
                    fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
                    expected.push(format!(" M {name}"));
                }
                5 => {
                    write(&folder, &format!("{name}.new"), "new\n");
                    expected.push(format!("?? {name}.new"));
                }
                _ => {
                    // The same bytes in another file.
                    fs::remove_file(&file).unwrap();
                    fs::write(&file, content).unwrap();
                }
            }
        }
        let before = look(&folder);
        let repo = w
            .prepare("alice/m", &format!("ours {seed}"))
            .adopt()
            .unwrap();
        assert_untouched(&folder, &before);
        let ours = repo.status().unwrap().entries;
        assert_eq!(ours.len(), expected.len(), "{seed}: {ours:?} {expected:?}");
        if crate::support::git_lfs() {
            let status = w.git(&folder, &["status", "--porcelain", "-z", "-uall"]);
            let mut found: Vec<&str> = status.split_terminator('\0').collect();
            found.sort_unstable();
            expected.sort();
            assert_eq!(found, expected, "{seed}");
        }
        assert_untouched(&folder, &before);
    }
}

#[test]
fn of_two_at_a_time_one_adopts_and_the_other_opens() {
    let w = World::new();
    let first = remote(&w);
    let folder = w.path("ours");
    write(&folder, "model.bin", weights(1, 40_000));
    let before = look(&folder);
    w.hub.clear_requests();
    std::thread::scope(|threads| {
        let adopt = || w.prepare("alice/m", "ours").open_or_adopt().unwrap().head();
        let both = [threads.spawn(adopt), threads.spawn(adopt)];
        for one in both {
            assert_eq!(one.join().unwrap().unwrap(), first.head().unwrap());
        }
    });
    assert_eq!(requests(&w, Route::LfsGet).len(), 2);
    assert_untouched(&folder, &before);
    assert_same_files(first.workdir(), &folder);
    w.assert_sound(&folder);
}
