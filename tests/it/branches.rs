//! Checkout, status, pull and push across branches, tags and commits.

use std::fs;

use hf_repository::{CheckoutOptions, Content, ErrorKind, FileState, PushedRef};
use mini_hub::Route;

use crate::support::judge::assert_same_files;
use crate::support::{World, needs_git_lfs, path, weights, write};

#[test]
fn branches_tags_and_commits_are_checked_out() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    write(&theirs, "w.bin", weights(1, 5000));
    w.git_push_all(&theirs, "one");
    w.git(&theirs, &["tag", "light"]);
    w.git(&theirs, &["tag", "-a", "-m", "annotated", "v1"]);
    let one = w.git(&theirs, &["rev-parse", "HEAD"]);
    w.git(&theirs, &["checkout", "-q", "-b", "feature/x"]);
    write(&theirs, "w.bin", weights(2, 6000));
    write(&theirs, "only-here.bin", weights(3, 10));
    w.git_push_all(&theirs, "two");
    w.git(&theirs, &["push", "-q", "--tags"]);

    let repo = w.clone("alice/m", "ours");
    let report = repo.checkout("feature/x").unwrap();
    assert!(report.created);
    assert_same_files(&theirs, repo.workdir());
    w.assert_sound(repo.workdir());
    let tracking = w.git(repo.workdir(), &["rev-parse", "--abbrev-ref", "@{u}"]);
    assert_eq!(tracking, "origin/feature/x");
    for name in ["v1", "light", &one, &one[..10]] {
        repo.checkout("feature/x").unwrap();
        let report = repo.checkout(name).unwrap();
        assert_eq!(
            report.commit.map(|commit| commit.to_string()),
            Some(one.clone()),
            "{name}"
        );
        assert_eq!(report.branch, None);
        assert!(!repo.workdir().join("only-here.bin").exists());
        w.assert_sound(repo.workdir());
    }
    assert_eq!(repo.status().unwrap().branch, None);
    let report = repo.checkout_with("new", CheckoutOptions::Create).unwrap();
    assert!(report.created);
    write(repo.workdir(), "n.txt", "new\n");
    repo.stage().unwrap();
    let _ = repo.commit("new").unwrap();
    assert_eq!(repo.push().unwrap().outcome, PushedRef::Created);
    assert_eq!(
        w.git(repo.workdir(), &["rev-parse", "--abbrev-ref", "@{u}"]),
        "origin/new"
    );
    // An existing branch is not created again, only checked out.
    assert!(
        !repo
            .checkout_with("main", CheckoutOptions::Create)
            .unwrap()
            .created
    );

    for (revision, file) in [("v1", false), ("feature/x", true), (one.as_str(), false)] {
        let folder = format!("at-{file}-{}", revision.len());
        let made = w
            .prepare("alice/m", &folder)
            .revision(revision.parse().unwrap());
        let made = made.clone_repo().unwrap();
        assert_eq!(made.workdir().join("only-here.bin").exists(), file);
        w.assert_sound(made.workdir());
    }
}

#[test]
fn edits_outside_the_change_are_carried_along() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "same.bin", weights(1, 100));
    write(repo.workdir(), "same.txt", "same\n");
    write(repo.workdir(), "other.txt", "one\n");
    repo.stage().unwrap();
    let _ = repo.commit("one").unwrap();
    repo.checkout_with("side", CheckoutOptions::Create).unwrap();
    write(repo.workdir(), "other.txt", "two\n");
    repo.stage().unwrap();
    let _ = repo.commit("two").unwrap();
    write(repo.workdir(), "same.bin", weights(2, 100));
    write(repo.workdir(), "same.txt", "edited\n");
    write(repo.workdir(), "untracked.bin", weights(3, 100));
    repo.checkout("main").unwrap();
    assert_eq!(
        fs::read(repo.workdir().join("same.bin")).unwrap(),
        weights(2, 100)
    );
    assert_eq!(
        fs::read(repo.workdir().join("same.txt")).unwrap(),
        b"edited\n"
    );
    assert_eq!(
        fs::read(repo.workdir().join("other.txt")).unwrap(),
        b"one\n"
    );
    let dirty: Vec<(String, Option<FileState>)> = repo
        .status()
        .unwrap()
        .entries
        .iter()
        .map(|entry| (entry.path.to_string(), entry.worktree))
        .collect();
    assert_eq!(
        dirty,
        [
            ("same.bin".into(), Some(FileState::Modified)),
            ("same.txt".into(), Some(FileState::Modified)),
            ("untracked.bin".into(), Some(FileState::Added)),
        ]
    );
    // Staged, too: the index keeps it.
    repo.stage().unwrap();
    repo.checkout("side").unwrap();
    let staged: Vec<String> = repo
        .status()
        .unwrap()
        .entries
        .iter()
        .filter(|entry| entry.staged.is_some())
        .map(|entry| entry.path.to_string())
        .collect();
    assert_eq!(staged, ["same.bin", "same.txt", "untracked.bin"]);
}

#[test]
fn files_and_folders_change_places() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "x", "file\n");
    write(repo.workdir(), "y/deep/a.bin", weights(1, 50));
    write(repo.workdir(), "y/b.txt", "b\n");
    std::os::unix::fs::symlink("x", repo.workdir().join("link")).unwrap();
    repo.stage().unwrap();
    let _ = repo.commit("one").unwrap();
    repo.checkout_with("side", CheckoutOptions::Create).unwrap();
    fs::remove_file(repo.workdir().join("x")).unwrap();
    fs::remove_dir_all(repo.workdir().join("y")).unwrap();
    fs::remove_file(repo.workdir().join("link")).unwrap();
    write(repo.workdir(), "x/inner.bin", weights(2, 60));
    write(repo.workdir(), "y", "file\n");
    write(repo.workdir(), "link/file.txt", "no link\n");
    repo.stage().unwrap();
    let _ = repo.commit("two").unwrap();
    for _ in 0..2 {
        repo.checkout("main").unwrap();
        w.assert_sound(repo.workdir());
        assert_eq!(fs::read(repo.workdir().join("x")).unwrap(), b"file\n");
        repo.checkout("side").unwrap();
        w.assert_sound(repo.workdir());
        assert_eq!(
            fs::read(repo.workdir().join("x/inner.bin")).unwrap(),
            weights(2, 60)
        );
    }
    // Files of ours in a folder that is to become a file.
    repo.checkout("main").unwrap();
    write(repo.workdir(), "y/mine.txt", "mine");
    let before = crate::support::judge::files(repo.workdir());
    let error = repo.checkout("side").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DirtyWorktree, "{error:?}");
    assert!(crate::support::judge::files(repo.workdir()) == before);
}

#[test]
fn a_clone_of_pointers_gets_content_on_demand() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    crate::round_trip::fill(first.workdir());
    first.stage().unwrap();
    let _ = first.commit("all").unwrap();
    first.push().unwrap();

    w.hub.clear_requests();
    let made = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    let repo = made.clone_repo().unwrap();
    assert!(
        w.hub
            .requests()
            .iter()
            .all(|request| request.route != Route::LfsGet)
    );
    let text = fs::read_to_string(repo.workdir().join("model.safetensors")).unwrap();
    assert!(
        text.starts_with("version https://git-lfs.github.com/spec/v1\noid sha256:"),
        "{text}"
    );
    w.assert_clean(repo.workdir());
    assert!(repo.stage().unwrap().lfs.is_empty());

    assert_eq!(repo.fetch_content(["deep", "tool.bin"]).unwrap().len(), 2);
    assert_eq!(
        fs::read(repo.workdir().join("tool.bin")).unwrap(),
        weights(7, 5000)
    );
    w.assert_clean(repo.workdir());
    // Later pulls leave the others pointers, and keep what has content up to date.
    write(first.workdir(), "tool.bin", weights(17, 5000));
    write(first.workdir(), "model.safetensors", weights(18, 9000));
    first.stage().unwrap();
    let _ = first.commit("more").unwrap();
    first.push().unwrap();
    repo.pull().unwrap();
    assert_eq!(
        fs::read(repo.workdir().join("tool.bin")).unwrap(),
        weights(17, 5000)
    );
    assert!(
        fs::metadata(repo.workdir().join("model.safetensors"))
            .unwrap()
            .len()
            < 200
    );
    w.assert_clean(repo.workdir());
    assert!(!repo.fetch_all_content().unwrap().is_empty());
    assert_same_files(first.workdir(), repo.workdir());
    w.assert_sound(repo.workdir());
}

#[test]
fn sources_of_every_form() {
    let w = World::new();
    for (id, options) in [
        ("alice/m", mini_hub::RepoOptions::model()),
        ("alice/d", mini_hub::RepoOptions::dataset()),
        ("alice/s", mini_hub::RepoOptions::space()),
    ] {
        w.hub
            .create_repo(id, &options.initial_commit(true))
            .unwrap();
    }
    let (url, host) = (w.hub.url(), w.hub.url().replace("http://", ""));
    let credentials = format!("http://user:{}@{host}/alice/m", w.token);
    for (number, (source, recorded)) in [
        ("alice/m".to_owned(), "alice/m"),
        ("datasets/alice/d".to_owned(), "datasets/alice/d"),
        ("spaces/alice/s".to_owned(), "spaces/alice/s"),
        ("hf://alice/m".to_owned(), "alice/m"),
        ("hf://datasets/alice/d@main".to_owned(), "datasets/alice/d"),
        (format!("{url}/alice/m"), "alice/m"),
        (format!("{url}/alice/m/"), "alice/m"),
        (format!("{url}/alice/m.git"), "alice/m"),
        (format!("{url}/alice/m/tree/main"), "alice/m"),
        (
            format!("{url}/datasets/alice/d/blob/main/README.md"),
            "datasets/alice/d",
        ),
        (format!("{host}/alice/m"), "alice/m"),
        (credentials, "alice/m"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = format!("clone-{number}");
        let repo = w
            .prepare(&source, &folder)
            .clone_repo()
            .unwrap_or_else(|e| panic!("{source}: {e:?}"));
        assert_eq!(
            w.git(repo.workdir(), &["config", "remote.origin.url"]),
            format!("{url}/{recorded}")
        );
        assert_eq!(repo.remote_url(), format!("{url}/{recorded}"), "{source}");
        assert!(repo.workdir().join(".gitattributes").exists());
        w.prepare(&source, &folder).open_or_clone().unwrap();
        let head = repo.head().unwrap().unwrap();
        let page = repo.head_commit_url().unwrap().unwrap();
        assert_eq!(page, format!("{url}/{recorded}/commit/{head}"));
    }
    let wrong = w.prepare(&format!("{url}/datasets/alice/d"), "wrong");
    let error = wrong
        .repo_type(hf_repository::RepoType::Model)
        .clone_repo()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSource);
    // A renamed repository is followed.
    w.hub
        .rename_repo(mini_hub::RepoKind::Model, "alice/m", "alice/renamed")
        .unwrap();
    let repo = w.clone("alice/m", "renamed");
    write(repo.workdir(), "w.bin", weights(1, 10));
    repo.stage().unwrap();
    let _ = repo.commit("after the move").unwrap();
    repo.push().unwrap();
}

#[test]
fn a_remote_that_is_a_folder() {
    needs_git_lfs!();
    let w = World::new();
    w.git(
        w.path(""),
        &["init", "-q", "--bare", "-b", "main", "remote.git"],
    );
    let source = w.path("remote.git");
    for (name, source) in [
        ("one", source.to_string_lossy().into_owned()),
        ("two", format!("file://{}", source.display())),
    ] {
        let repo = w.prepare(&source, name).clone_repo().unwrap();
        write(
            repo.workdir(),
            &format!("{name}.bin"),
            weights(u64::from(name.as_bytes()[0]), 4000),
        );
        write(repo.workdir(), "same.bin", weights(5, 4000));
        repo.stage().unwrap();
        let _ = repo.commit(name).unwrap();
        let pushed = repo.push().unwrap();
        assert!(pushed.lfs_objects >= 1, "{pushed:?}");
        w.assert_sound(repo.workdir());
    }
    let theirs = w.path("theirs");
    w.git(
        w.path(""),
        &["clone", "-q", &source.to_string_lossy(), "theirs"],
    );
    assert_same_files(&w.path("two"), &theirs);
    w.assert_sound(&theirs);
    write(&theirs, "three.bin", weights(33, 4000));
    w.git_push_all(&theirs, "three");
    let two = hf_repository::Repository::open(w.path("two")).unwrap();
    assert_eq!(two.head_commit_url().unwrap(), None);
    two.check_write_access().unwrap();
    two.pull().unwrap();
    assert_same_files(&theirs, two.workdir());
    w.assert_sound(two.workdir());
    // Rejected there as well.
    let hook = source.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let one = hf_repository::Repository::open(w.path("one")).unwrap();
    write(one.workdir(), "late.txt", "late\n");
    one.stage().unwrap();
    let _ = one.commit("late").unwrap();
    assert_eq!(one.push().unwrap_err().kind(), ErrorKind::NonFastForward);
    let none = w
        .prepare("/no/such/folder.git", "none")
        .clone_repo()
        .unwrap_err();
    assert!(
        matches!(
            none.kind(),
            ErrorKind::RepoNotFound | ErrorKind::InvalidSource
        ),
        "{none:?}"
    );
}

#[test]
fn a_push_sends_each_object_once_and_verifies_it() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for number in 0..250_u64 {
        write(
            repo.workdir(),
            &format!("{number}.bin"),
            weights(number % 200, 500),
        );
    }
    repo.stage().unwrap();
    let _ = repo.commit("many").unwrap();
    w.hub.clear_requests();
    let pushed = repo.push().unwrap();
    assert_eq!((pushed.lfs_objects, pushed.lfs_bytes), (200, 100_000));
    let requests = w.hub.requests();
    let of = |route| {
        requests
            .iter()
            .filter(|request| request.route == route)
            .count()
    };
    assert_eq!(
        (of(Route::LfsPut), of(Route::LfsVerify), of(Route::LfsBatch)),
        (200, 200, 2)
    );
    assert!(w.hub.max_concurrent_uploads() <= 8);
    // Known objects are not sent again.
    write(repo.workdir(), "copy.bin", weights(3, 500));
    write(repo.workdir(), "new.bin", weights(999, 500));
    repo.stage().unwrap();
    let _ = repo.commit("a copy").unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 1);
    assert_eq!(repo.status().unwrap().entries, []);
    assert!(repo.is_tracked_with_lfs(&path("copy.bin")).unwrap());
}

#[test]
fn a_file_system_without_executable_bits() {
    use std::os::unix::fs::PermissionsExt;
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    crate::round_trip::fill(first.workdir());
    first.stage().unwrap();
    let _ = first.commit("one").unwrap();
    first.push().unwrap();
    let repo = w.clone("alice/m", "ours");
    w.git(repo.workdir(), &["config", "core.fileMode", "false"]);
    let repo = hf_repository::Repository::open(repo.workdir()).unwrap();
    // As such a file system shows them.
    for name in ["run.sh", "tool.bin", "README.md", "model.safetensors"] {
        let all = fs::Permissions::from_mode(if name == "README.md" { 0o755 } else { 0o644 });
        fs::set_permissions(repo.workdir().join(name), all).unwrap();
    }
    assert!(
        repo.status().unwrap().is_clean(),
        "{:?}",
        repo.status().unwrap()
    );
    write(repo.workdir(), "run.sh", "#!/bin/sh\nexit\n");
    write(repo.workdir(), "tool.bin", weights(70, 4000));
    write(repo.workdir(), "new.sh", "#!/bin/sh\n");
    fs::set_permissions(
        repo.workdir().join("new.sh"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    repo.stage().unwrap();
    let _ = repo.commit("two").unwrap();
    let changed = w.git(repo.workdir(), &["diff", "--raw", "--abbrev=4", "HEAD^"]);
    let modes: Vec<&str> = changed.lines().map(|line| &line[1..14]).collect();
    assert_eq!(
        modes,
        ["000000 100644", "100755 100755", "100755 100755"],
        "{changed}"
    );
    w.assert_sound(repo.workdir());
    repo.checkout("HEAD~1").unwrap_err();
    repo.checkout(w.git(repo.workdir(), &["rev-parse", "HEAD^"]))
        .unwrap();
    assert!(repo.status().unwrap().is_clean());
}

#[test]
fn what_lies_behind_a_link_is_never_touched() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "data/a.bin", weights(1, 500));
    write(repo.workdir(), "data/a.txt", "a\n");
    repo.stage().unwrap();
    let with = repo.commit("with data").unwrap().commit().unwrap();
    repo.checkout_with("without", CheckoutOptions::Create)
        .unwrap();
    fs::remove_dir_all(repo.workdir().join("data")).unwrap();
    repo.stage().unwrap();
    let _ = repo.commit("without data").unwrap();
    repo.checkout(with.to_string()).unwrap();
    // The folder moves to a larger disk, a link takes its place.
    fs::rename(repo.workdir().join("data"), w.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(w.path("elsewhere"), repo.workdir().join("data")).unwrap();
    let error = repo.checkout("without").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DirtyWorktree, "{error:?}");
    assert_eq!(
        fs::read(w.path("elsewhere/a.bin")).unwrap(),
        weights(1, 500)
    );
    assert_eq!(fs::read(w.path("elsewhere/a.txt")).unwrap(), b"a\n");
}
