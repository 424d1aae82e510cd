//! Every refusal is a typed error with a hint, and nothing has changed.

use std::fs;

use hf_repository::{
    CheckoutOptions, Error, ErrorKind, PrepareRepository, Repository, StageOptions, Visibility,
};
use mini_hub::{RepoOptions, Role, Route};

use crate::support::{World, needs_git_lfs, weights, write};

/// The error is of that kind, one line long, and says what to do next.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) -> Error {
    let error = result.expect_err("must be refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(
        error.hint().is_some_and(|hint| !hint.is_empty()),
        "no hint: {error:?}"
    );
    assert!(!error.to_string().contains('\n'), "{error}");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(
            !text.contains("hf_") || !text.contains("hf_secret"),
            "{text}"
        );
    }
    error
}

/// Nothing is left of a refused clone.
#[track_caller]
fn clone_refused(w: &World, source: &str, token: Option<&str>, kind: ErrorKind) -> Error {
    let folder = w.path("refused");
    let token = token.unwrap_or(&w.token);
    let error = refused(w.prepare_as(source, "refused", token).clone_repo(), kind);
    assert!(!folder.exists(), "a folder is left");
    error
}

#[test]
fn clone_into_a_folder_with_files() {
    let w = World::new();
    w.model("alice/m");
    write(&w.path("full"), "precious.txt", "mine");
    refused(
        w.prepare("alice/m", "full").clone_repo(),
        ErrorKind::FolderNotEmpty,
    );
    assert_eq!(fs::read(w.path("full/precious.txt")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(w.path("full")).unwrap().count(), 1);
    // Nothing was begun in that `.git`, nor does our folder alone make those files a clone's.
    for left in ["full/.git", "full/.git/hf-repository"] {
        fs::create_dir(w.path(left)).unwrap();
        for open in [
            PrepareRepository::clone_repo,
            PrepareRepository::open_or_clone,
        ] {
            refused(
                open(w.prepare("alice/m", "full")),
                ErrorKind::FolderNotEmpty,
            );
        }
    }
    // A file in place of the folder.
    fs::write(w.path("file"), "mine").unwrap();
    w.prepare("alice/m", "file")
        .clone_repo()
        .expect_err("a file is there");
    assert_eq!(fs::read(w.path("file")).unwrap(), b"mine");
    assert!(
        w.hub.requests().is_empty(),
        "the server was asked: {:?}",
        w.hub.requests()
    );
    // An empty one is welcome, and stays when cloning fails.
    fs::create_dir(w.path("empty")).unwrap();
    refused(
        w.prepare("alice/none", "empty").clone_repo(),
        ErrorKind::RepoNotFound,
    );
    assert_eq!(fs::read_dir(w.path("empty")).unwrap().count(), 0);
    w.clone("alice/m", "empty");
}

#[test]
fn clone_what_is_missing_or_hidden() {
    let w = World::new();
    w.model("alice/m");
    w.hub
        .create_repo("alice/hidden", &RepoOptions::model().private(true))
        .unwrap();
    let stranger = w.hub.add_token("bob", Role::Write);
    clone_refused(&w, "alice/none", None, ErrorKind::RepoNotFound);
    clone_refused(&w, "alice/hidden", Some(&stranger), ErrorKind::RepoNotFound);
    let error = clone_refused(
        &w,
        "alice/hidden",
        Some("hf_secret_wrong"),
        ErrorKind::Unauthorized,
    );
    assert!(error.request_id().is_some(), "{error:?}");
    clone_refused(
        &w,
        "alice/m",
        Some("hf_secret_wrong"),
        ErrorKind::Unauthorized,
    );
    // Without any token.
    let nobody = w
        .child(
            "clone",
            &["alice/hidden", &w.path("refused").to_string_lossy()],
        )
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(
        !nobody.status.success() && told.contains("Unauthorized"),
        "{told}"
    );
    assert!(!w.path("refused").exists());
    // The right one goes through.
    w.clone("alice/hidden", "mine");
}

#[test]
fn sources_and_names_that_mean_nothing() {
    let w = World::new();
    w.model("alice/m");
    for source in [
        "",
        " ",
        "a/b/c/d/e",
        "alice/-m",
        "alice/m..x",
        "alice/m.git.git/..",
        "hf://",
        "http://",
        "http:///x",
        "ftp://host/x",
        "https://user:hf_secret@",
        "alice/<m>",
        "alice//m",
    ] {
        let kind = match w.prepare(source, "refused").clone_repo() {
            Err(error) => error.kind(),
            Ok(_) => panic!("{source:?} was cloned"),
        };
        assert!(
            matches!(kind, ErrorKind::InvalidSource | ErrorKind::Unsupported),
            "{source:?}: {kind:?}"
        );
        assert!(!w.path("refused").exists(), "{source:?}");
    }
    assert!(w.hub.requests().is_empty());
    for name in [
        "",
        "-x",
        "a b",
        "a..b",
        "x.lock",
        "a//b",
        "@{u}",
        "x~1",
        "HEAD^{tree}",
    ] {
        let error = name.parse::<hf_repository::BranchName>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{name:?}");
    }
    let repo = w.clone("alice/m", "ours");
    refused(
        repo.checkout_with("a..b", CheckoutOptions::Create),
        ErrorKind::InvalidName,
    );
    refused(repo.checkout("no-such-branch"), ErrorKind::RevisionNotFound);
    let gone = w
        .prepare("alice/m", "refused")
        .revision("v9".parse().unwrap())
        .clone_repo();
    refused(gone, ErrorKind::RevisionNotFound);
    assert!(!w.path("refused").exists());
    // Nor do the folders stay that were made above it.
    refused(
        w.prepare("alice/m", "deep/er/x")
            .revision("v9".parse().unwrap())
            .clone_repo(),
        ErrorKind::RevisionNotFound,
    );
    assert!(!w.path("deep").exists());
    refused(
        w.prepare("alice/other", "ours").open(),
        ErrorKind::RemoteMismatch,
    );
}

#[test]
fn paths_outside_the_work_tree() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(&w.path(""), "outside.txt", "x");
    write(repo.workdir(), ".gitignore", "*.log\n");
    write(repo.workdir(), "a.log", "x");
    let before = w.scene(repo.workdir(), "alice/m");
    for (name, kind) in [
        ("../outside.txt", ErrorKind::InvalidPath),
        ("/etc/passwd", ErrorKind::InvalidPath),
        (".git/config", ErrorKind::InvalidPath),
        ("a/../../b", ErrorKind::InvalidPath),
        ("", ErrorKind::InvalidPath),
        ("none.txt", ErrorKind::PathNotFound),
        ("a.log", ErrorKind::PathIgnored),
    ] {
        refused(repo.stage_with(&StageOptions::default().path(name)), kind);
    }
    refused(repo.fetch_content(["../x"]), ErrorKind::InvalidPath);
    refused(repo.commit(" \n"), ErrorKind::InvalidInput);
    refused(
        repo.track([hf_repository::Pattern::Glob(".git*".into())]),
        ErrorKind::InvalidInput,
    );
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
}

#[test]
fn folders_that_are_no_clone() {
    let w = World::new();
    refused(Repository::open(w.path("none")), ErrorKind::NotARepository);
    fs::create_dir(w.path("plain")).unwrap();
    refused(Repository::open(w.path("plain")), ErrorKind::NotARepository);
    // Not even below one: the root has to be named.
    w.model("alice/m");
    w.clone("alice/m", "ours");
    fs::create_dir(w.path("ours/sub")).unwrap();
    refused(
        Repository::open(w.path("ours/sub")),
        ErrorKind::NotARepository,
    );
    w.git(w.path(""), &["init", "-q", "alone"]);
    refused(Repository::open(w.path("alone")), ErrorKind::RemoteMismatch);
}

#[test]
fn pushes_without_a_branch_or_the_right_to() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "w.bin", weights(1, 5000));
    repo.stage().unwrap();
    let commit = repo.commit("weights").unwrap().commit().unwrap();
    let before = w.scene(repo.workdir(), "alice/m");

    let read = w.hub.add_token("alice", Role::Read);
    let reader = w.prepare_as("alice/m", "ours", &read).open().unwrap();
    refused(reader.push(), ErrorKind::Forbidden);
    refused(reader.check_write_access(), ErrorKind::Forbidden);
    let stranger = w.hub.add_token("bob", Role::Write);
    let bob = w.prepare_as("alice/m", "ours", &stranger).open().unwrap();
    refused(bob.push(), ErrorKind::Forbidden);
    refused(bob.check_write_access(), ErrorKind::Forbidden);
    let wrong = w
        .prepare_as("alice/m", "ours", "hf_secret_wrong")
        .open()
        .unwrap();
    refused(wrong.push(), ErrorKind::Unauthorized);
    refused(wrong.check_write_access(), ErrorKind::Unauthorized);
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);

    repo.checkout(commit.to_string()).unwrap();
    let before = w.scene(repo.workdir(), "alice/m");
    refused(repo.push(), ErrorKind::DetachedHead);
    refused(repo.pull(), ErrorKind::DetachedHead);
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
    repo.checkout("main").unwrap();
    repo.check_write_access().unwrap();
    repo.push().unwrap();

    w.empty_model("alice/e");
    let empty = w.clone("alice/e", "empty");
    refused(empty.push(), ErrorKind::UnbornBranch);
}

#[test]
fn a_read_token_without_lfs_files_hears_the_hook() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "a.txt", "a\n");
    repo.stage().unwrap();
    let _ = repo.commit("text").unwrap();
    let read = w.hub.add_token("alice", Role::Read);
    let reader = w.prepare_as("alice/m", "ours", &read).open().unwrap();
    let before = w.scene(repo.workdir(), "alice/m");
    let error = refused(reader.push(), ErrorKind::Rejected);
    let words = error.server_message().unwrap();
    assert!(
        words.contains("DENIED update refs/heads/main: forbidden"),
        "{words}"
    );
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
}

#[test]
fn a_remote_that_moved() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let other = w.clone("alice/m", "other");
    write(other.workdir(), "theirs.txt", "theirs\n");
    other.stage().unwrap();
    let _ = other.commit("theirs").unwrap();
    other.push().unwrap();
    write(repo.workdir(), "ours.bin", weights(1, 3000));
    repo.stage().unwrap();
    let _ = repo.commit("ours").unwrap();
    let before = w.scene(repo.workdir(), "alice/m");
    refused(repo.push(), ErrorKind::NonFastForward);
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
    refused(repo.pull(), ErrorKind::Diverged);
    let after = w.scene(repo.workdir(), "alice/m");
    // Only the tracking ref has learnt of it.
    assert!(!repo.workdir().join("theirs.txt").exists());
    assert_ne!(after, before);
    w.assert_clean(repo.workdir());
}

#[test]
fn what_the_hub_refuses_is_found_before_anything_is_sent() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let folder = w.git_clone("alice/m", "ours");
    fs::remove_file(folder.join(".gitattributes")).unwrap();
    write(&folder, "large.txt", "line\n".repeat(3 << 20));
    write(&folder, "raw.dat", b"a\0b");
    w.git(&folder, &["add", "-A"]);
    w.git(&folder, &["commit", "-q", "-m", "raw"]);
    // Taken out again, but the history has them.
    w.git(&folder, &["rm", "-q", "large.txt", "raw.dat"]);
    w.git(&folder, &["commit", "-q", "-m", "gone"]);
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 7\n",
        "12".repeat(32)
    );
    write(
        &folder,
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    write(&folder, "lost.bin", pointer);
    w.git(&folder, &["add", "-A"]);
    w.git(
        &folder,
        &["commit", "-q", "-m", "a pointer without an object"],
    );
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let before = w.scene(&folder, "alice/m");
    w.hub.clear_requests();
    let error = refused(repo.push(), ErrorKind::Preflight);
    let named: Vec<&str> = error
        .offences()
        .iter()
        .map(|found| found.path.as_str())
        .collect();
    assert!(
        named.contains(&"large.txt") && named.contains(&"raw.dat"),
        "{error:?}"
    );
    assert!(error.offences().iter().all(|found| found.commit.is_some()));
    for request in w.hub.requests() {
        assert!(
            !matches!(request.route, Route::ReceivePack | Route::LfsPut),
            "{request:?}"
        );
    }
    assert_eq!(w.scene(&folder, "alice/m"), before);

    // The lost object alone.
    w.git(&folder, &["reset", "-q", "--soft", "origin/main"]);
    w.git(&folder, &["commit", "-q", "-m", "only the pointer"]);
    let before = w.scene(&folder, "alice/m");
    let error = refused(repo.push(), ErrorKind::LfsObjectMissing);
    assert_eq!(error.offences()[0].path.as_str(), "lost.bin", "{error:?}");
    assert_eq!(w.scene(&folder, "alice/m"), before);
}

#[test]
fn a_hook_that_refuses_is_quoted() {
    let w =
        World::with(mini_hub::MiniHub::temporary_with(|config| config.blob_limit(100)).unwrap());
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "a.txt", "twelve bytes\n".repeat(10));
    repo.stage().unwrap();
    let _ = repo.commit("too large for this hub").unwrap();
    let before = w.scene(repo.workdir(), "alice/m");
    let error = refused(repo.push(), ErrorKind::Rejected);
    let words = error.server_message().unwrap();
    assert!(
        words.contains("Offending files:") && words.contains("a.txt"),
        "{words}"
    );
    assert!(words.contains("pre-receive hook declined"), "{words}");
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
    assert_eq!(repo.commits_ahead().unwrap(), 1);
}

#[test]
fn edits_in_the_way_of_checkout_and_pull() {
    let w = World::new();
    w.model("alice/m");
    let other = w.clone("alice/m", "other");
    write(other.workdir(), "a.txt", "one\n");
    write(other.workdir(), "w.bin", weights(1, 3000));
    other.stage().unwrap();
    let _ = other.commit("one").unwrap();
    other.push().unwrap();
    let repo = w.clone("alice/m", "ours");
    other
        .checkout_with("side", CheckoutOptions::Create)
        .unwrap();
    for branch in ["side", "main"] {
        other.checkout(branch).unwrap();
        write(other.workdir(), "a.txt", "two\n");
        write(other.workdir(), "w.bin", weights(2, 3000));
        write(other.workdir(), "new.bin", weights(3, 3000));
        other.stage().unwrap();
        let _ = other.commit("two").unwrap();
        other.push().unwrap();
    }
    for (name, content) in [
        ("a.txt", b"my edit\n".as_slice()),
        ("w.bin", &weights(9, 3000)),
        ("new.bin", b"untracked, mine"),
    ] {
        write(repo.workdir(), name, content);
        let files = crate::support::judge::files(repo.workdir());
        let (head, store) = (repo.head().unwrap(), w.path("ours/.git/lfs/objects"));
        let objects = crate::support::judge::files(&store);
        for error in [
            refused(repo.pull(), ErrorKind::DirtyWorktree),
            // The pull fetched, so the branch is known.
            refused(
                repo.checkout("origin/side")
                    .or_else(|_| repo.checkout("side")),
                ErrorKind::DirtyWorktree,
            ),
        ] {
            assert_eq!(error.offences()[0].path.as_str(), name, "{error:?}");
        }
        assert!(
            crate::support::judge::files(repo.workdir()) == files,
            "{name}: files changed"
        );
        assert_eq!(repo.head().unwrap(), head);
        assert!(
            crate::support::judge::files(&store) == objects,
            "{name}: objects came"
        );
        // Out of the way again.
        if name == "new.bin" {
            fs::remove_file(repo.workdir().join(name)).unwrap();
        } else {
            let there = w.path("ours").join(name);
            let old = if name == "a.txt" {
                b"one\n".to_vec()
            } else {
                weights(1, 3000)
            };
            fs::write(there, old).unwrap();
        }
    }
    repo.pull().unwrap();
    repo.checkout("side").unwrap();
    w.assert_clean(repo.workdir());
}

#[test]
fn a_name_that_is_taken() {
    let w = World::new();
    let mine = w
        .prepare("bob/theirs", "refused")
        .create_if_missing(Visibility::Public);
    refused(mine.clone_repo(), ErrorKind::Forbidden);
    assert!(!w.path("refused").exists());
    w.prepare("alice/new", "ours")
        .create_if_missing(Visibility::Private)
        .clone_repo()
        .unwrap();
    assert!(w.bare("alice/new").join("private").exists());
    // There already: opened as it is.
    w.prepare("alice/new", "again")
        .create_if_missing(Visibility::Public)
        .clone_repo()
        .unwrap();
    assert!(w.bare("alice/new").join("private").exists());
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_size_alone() {
    let w = World::new();
    w.model("alice/m");
    let folder = w.git_clone("alice/m", "ours");
    write(&folder, "large.txt", "line\n".repeat(3 << 20));
    w.git(&folder, &["add", "-A"]);
    w.git(&folder, &["commit", "-q", "-m", "raw"]);
    // Whoever reads more than the start of the blob finds it damaged.
    let blob = w.git(&folder, &["rev-parse", "HEAD:large.txt"]);
    let (first, rest) = blob.trim().split_at(2);
    let object = folder.join(".git/objects").join(first).join(rest);
    let bytes = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    let error = refused(repo.push(), ErrorKind::Preflight);
    assert_eq!(error.offences()[0].path.as_str(), "large.txt");
}
