//! Corners where a library that is not git easily does other than git: each was once wrong here.

use std::fs;
use std::os::unix::fs::symlink;

use hf_repository::{ErrorKind, Repository, Skipped};

use crate::support::{World, needs_git_lfs, path, weights, write};

/// A pushed clone "first" and a clone "ours" of the same.
fn two_clones(w: &World, fill: impl FnOnce(&Repository)) -> (Repository, Repository) {
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    fill(&first);
    first.stage().unwrap();
    let _ = first.commit("one").unwrap();
    first.push().unwrap();
    let ours = w.clone("alice/m", "ours");
    (first, ours)
}

fn commit_and_push(repo: &Repository) {
    repo.stage().unwrap();
    let _ = repo.commit("more").unwrap();
    repo.push().unwrap();
}

#[test]
fn a_git_folder_that_lies_elsewhere() {
    needs_git_lfs!();
    let w = World::new();
    let (_, repo) = two_clones(&w, |repo| write(repo.workdir(), "README.md", "one\n"));
    fs::create_dir(w.path("big")).unwrap();
    fs::rename(w.path("ours/.git"), w.path("big/repo.git")).unwrap();
    symlink(w.path("big/repo.git"), w.path("ours/.git")).unwrap();
    // What lies beside the git folder is not the work tree.
    write(&w.path("big"), "README.md", "somebody else's\n");
    write(repo.workdir(), "README.md", "two\n");
    write(repo.workdir(), "w.bin", weights(1, 100));
    commit_and_push(&w.prepare("alice/m", "ours").open().unwrap());
    assert_eq!(w.git(repo.workdir(), &["show", "HEAD:README.md"]), "two");
    w.assert_sound(repo.workdir());

    w.git(
        w.path(""),
        &["init", "-q", "--separate-git-dir", "apart", "separate"],
    );
    let separate = w.path("separate");
    w.git(&separate, &["remote", "add", "origin", &w.url("alice/m")]);
    write(&separate, "a.txt", "a\n");
    let repo = Repository::open(&separate).unwrap();
    assert_eq!(repo.stage().unwrap().plain, [path("a.txt")]);
    let _ = repo.commit("a").unwrap();
    w.assert_clean(&separate);
}

#[test]
fn line_ends_stay_what_they_were() {
    needs_git_lfs!();
    let w = World::new();
    let (_, repo) = two_clones(&w, |repo| write(repo.workdir(), "f.txt", "a\r\nb\r\n"));
    w.git(repo.workdir(), &["config", "core.autocrlf", "input"]);
    write(repo.workdir(), "f.txt", "a\r\nb\r\nc\r\n");
    write(repo.workdir(), "new.txt", "x\r\n");
    repo.stage().unwrap();
    let ours = w.git(repo.workdir(), &["write-tree"]);
    w.git(repo.workdir(), &["rm", "-q", "--cached", "new.txt"]);
    w.git(repo.workdir(), &["reset", "-q", "f.txt"]);
    w.git(repo.workdir(), &["add", "-A"]);
    assert_eq!(w.git(repo.workdir(), &["write-tree"]), ours);
    let _ = Repository::open(repo.workdir())
        .unwrap()
        .commit("crlf")
        .unwrap();
    w.assert_sound(repo.workdir());
}

#[test]
fn an_edit_of_line_ends_is_an_edit() {
    let w = World::new();
    let (first, repo) = two_clones(&w, |repo| write(repo.workdir(), "r.txt", "a\nb\n"));
    write(first.workdir(), "r.txt", "a\nb\nc\n");
    commit_and_push(&first);
    write(repo.workdir(), "r.txt", "a\r\nb\r\n");
    let error = repo.pull().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DirtyWorktree, "{error:?}");
    assert_eq!(
        fs::read(repo.workdir().join("r.txt")).unwrap(),
        b"a\r\nb\r\n"
    );
}

#[test]
fn a_file_taken_out_of_the_index_is_not_deleted() {
    let w = World::new();
    let (first, repo) = two_clones(&w, |repo| {
        write(repo.workdir(), "s.bin", weights(1, 100));
        write(repo.workdir(), "s.txt", "s\n");
    });
    for name in ["s.bin", "s.txt"] {
        fs::remove_file(first.workdir().join(name)).unwrap();
        w.git(repo.workdir(), &["rm", "-q", "--cached", name]);
    }
    commit_and_push(&first);
    let error = repo.pull().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DirtyWorktree, "{error:?}");
    assert_eq!(error.offences().len(), 2);
    assert!(repo.workdir().join("s.bin").exists() && repo.workdir().join("s.txt").exists());
}

#[test]
fn a_folder_that_became_a_link_is_staged_as_one() {
    needs_git_lfs!();
    let w = World::new();
    let (_, repo) = two_clones(&w, |repo| {
        write(repo.workdir(), "dir/model.bin", weights(1, 100));
        write(repo.workdir(), "dir/c.json", "{}\n");
    });
    fs::rename(w.path("ours/dir"), w.path("scratch")).unwrap();
    symlink(w.path("scratch"), w.path("ours/dir")).unwrap();
    write(&w.path("scratch"), "model.bin", weights(2, 100));
    repo.stage().unwrap();
    let ours = w.git(repo.workdir(), &["write-tree"]);
    w.git(repo.workdir(), &["reset", "-q"]);
    w.git(repo.workdir(), &["add", "-A"]);
    assert_eq!(w.git(repo.workdir(), &["write-tree"]), ours);
    let _ = repo.commit("a link").unwrap();
    assert!(repo.status().unwrap().is_clean());
}

#[test]
fn foreign_filters_and_encodings_are_left_to_git() {
    let w = World::new();
    let (_, repo) = two_clones(&w, |_| {});
    let rules = "secret* filter=git-crypt\n*.csv working-tree-encoding=UTF-16LE\n";
    write(repo.workdir(), ".gitattributes", rules);
    write(repo.workdir(), "secret.txt", "password\n");
    write(repo.workdir(), "secret.bin", b"\0password");
    write(repo.workdir(), "table.csv", b"1\0,\0\n\0");
    write(repo.workdir(), "plain.txt", "plain\n");
    let report = repo.stage().unwrap();
    let skipped: Vec<(&str, Skipped)> = report
        .skipped
        .iter()
        .map(|(name, why)| (name.as_str(), *why))
        .collect();
    let foreign = Skipped::ForeignFilter;
    assert_eq!(
        skipped,
        [
            ("secret.bin", foreign),
            ("secret.txt", foreign),
            ("table.csv", foreign)
        ]
    );
    let _ = repo.commit("no secrets").unwrap();
    let tree = w.git(repo.workdir(), &["ls-tree", "--name-only", "HEAD"]);
    assert_eq!(tree, ".gitattributes\nplain.txt");
    assert_eq!(
        fs::read_to_string(w.path("ours/.gitattributes")).unwrap(),
        rules
    );
}

#[test]
fn a_branch_of_another_work_tree_is_not_taken() {
    let w = World::new();
    let (_, repo) = two_clones(&w, |repo| write(repo.workdir(), "w.bin", weights(1, 100)));
    w.git(
        repo.workdir(),
        &["worktree", "add", "-q", "-b", "side", "../second"],
    );
    let second = Repository::open(w.path("second")).unwrap();
    for (repo, taken) in [(&second, "main"), (&repo, "side")] {
        let error = repo.checkout(taken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.to_string().contains("is checked out in"), "{error}");
    }
    // In a linked work tree all else works, and shares the objects.
    write(second.workdir(), "w.bin", weights(2, 100));
    second.stage().unwrap();
    let _ = second.commit("side").unwrap();
    assert!(second.status().unwrap().is_clean() && repo.status().unwrap().is_clean());
    w.assert_sound(repo.workdir());
}

#[test]
fn two_pushes_to_a_folder_do_not_overwrite_each_other() {
    let w = World::new();
    w.git(
        w.path(""),
        &["init", "-q", "--bare", "-b", "main", "remote.git"],
    );
    let source = w.path("remote.git").to_string_lossy().into_owned();
    let first = w.prepare(&source, "first").clone_repo().unwrap();
    write(first.workdir(), "base.txt", "base\n");
    commit_and_push(&first);
    let repos: Vec<Repository> = (0..4)
        .map(|number| {
            let repo = w
                .prepare(&source, &format!("r{number}"))
                .clone_repo()
                .unwrap();
            write(repo.workdir(), &format!("{number}.txt"), "x\n");
            repo.stage().unwrap();
            let _ = repo.commit("x").unwrap();
            repo
        })
        .collect();
    let results: Vec<_> = std::thread::scope(|scope| {
        let pushes: Vec<_> = repos
            .iter()
            .map(|repo| scope.spawn(|| repo.push()))
            .collect();
        pushes
            .into_iter()
            .map(|push| push.join().unwrap())
            .collect()
    });
    let pushed: Vec<String> = results
        .iter()
        .flatten()
        .map(|report| report.commit.to_string())
        .collect();
    assert_eq!(pushed.len(), 1, "{results:?}");
    assert_eq!(
        w.git(w.path("remote.git"), &["rev-parse", "main"]),
        pushed[0]
    );
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(error.kind(), ErrorKind::NonFastForward, "{error:?}");
    }
    let refs = w.git(
        w.path("remote.git"),
        &["for-each-ref", "--format=%(refname)"],
    );
    assert_eq!(refs, "refs/heads/main");
}

#[test]
fn credentials_by_rank() {
    let w = World::new();
    let private = mini_hub::RepoOptions::model()
        .private(true)
        .initial_commit(true);
    w.hub.create_repo("alice/p", &private).unwrap();
    let host = w.hub.url().replace("http://", "");
    let with = |token: &str| format!("http://user:{token}@{host}/alice/p");
    // A URL in the config, with a token that is no good any more.
    w.prepare("alice/p", "ours").clone_repo().unwrap();
    w.git(
        w.path("ours"),
        &["config", "remote.origin.url", &with("hf_stale")],
    );
    w.prepare("alice/p", "ours").open().unwrap().pull().unwrap();
    let reopened = Repository::prepare(with(&w.token), w.path("ours")).endpoint(w.endpoint());
    reopened.open_or_clone().unwrap().pull().unwrap();
    let stale = w
        .prepare_as("alice/p", "ours", "hf_wrong")
        .open()
        .unwrap()
        .pull();
    assert_eq!(stale.unwrap_err().kind(), ErrorKind::Unauthorized);
    // A forgotten scheme, and ssh: no password in any text.
    for source in [
        format!("user:{}@{host}/alice/p", w.token),
        format!("ssh://u:{}@h/p", w.token),
    ] {
        let error = w.prepare(&source, "none").clone_repo().unwrap_err();
        assert!(
            !format!("{error:?} {error}").contains(&w.token),
            "{error:?}"
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_relative_folder_is_recorded_as_an_absolute_one() {
    let w = World::new();
    w.git(
        w.path(""),
        &["init", "-q", "--bare", "-b", "main", "remote.git"],
    );
    let mut child = w.child("clone", &["./remote.git", "ours"]);
    crate::child::succeed(&child.current_dir(w.path("")).output().unwrap());
    let recorded = w.git(w.path("ours"), &["config", "remote.origin.url"]);
    assert_eq!(
        fs::canonicalize(&recorded).unwrap(),
        fs::canonicalize(w.path("remote.git")).unwrap()
    );
    assert!(recorded.starts_with('/'), "{recorded}");
    // One that git recorded relatively means the same to both.
    w.git(
        w.path("ours"),
        &["config", "remote.origin.url", "../remote.git"],
    );
    let repo = Repository::open(w.path("ours")).unwrap();
    write(repo.workdir(), "a.txt", "a\n");
    commit_and_push(&repo);
    w.git(w.path("ours"), &["fetch", "-q"]);
}

#[test]
fn nobody_stages_while_we_do() {
    use std::sync::{Arc, Mutex};
    let w = World::new();
    w.model("alice/m");
    w.clone("alice/m", "ours");
    let folder = w.path("ours");
    write(&folder, "note.txt", "note\n");
    // Long enough to read that git comes before it is done.
    write(&folder, "w.bin", vec![0; 128 << 20]);
    let told = Arc::new(Mutex::new(String::new()));
    let (heard, place) = (Arc::clone(&told), folder.clone());
    let progress = hf_repository::Progress::new(move |event| {
        if matches!(event, hf_repository::Event::Staging { .. }) {
            let mut git = std::process::Command::new("git");
            let output = git
                .args(["add", "note.txt"])
                .current_dir(&place)
                .output()
                .unwrap();
            heard
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&output.stderr));
        }
    });
    let repo = w
        .prepare("alice/m", "ours")
        .progress(progress)
        .open()
        .unwrap();
    repo.stage_with(&hf_repository::StageOptions::default().path("w.bin"))
        .unwrap();
    let told = told.lock().unwrap().clone();
    assert!(
        told.contains("index.lock"),
        "git must have been kept out: {told:?}"
    );
    assert_eq!(w.git(&folder, &["ls-files", "w.bin"]), "w.bin");
    assert!(!folder.join(".git/index.lock").exists());
}

#[test]
fn a_commit_during_a_pull_is_kept() {
    use mini_hub::{Action, Fault, Route};
    let w = World::new();
    let (first, repo) = two_clones(&w, |repo| write(repo.workdir(), "w.bin", weights(1, 1000)));
    write(first.workdir(), "w.bin", weights(2, 1000));
    commit_and_push(&first);
    let (folder, config) = (repo.workdir().to_path_buf(), w.path("gitconfig"));
    let commit = move || {
        fs::write(folder.join("mine.txt"), "mine\n").unwrap();
        for arguments in [&["add", "mine.txt"][..], &["commit", "-q", "-m", "mine"]] {
            let mut git = std::process::Command::new("git");
            git.args(arguments)
                .current_dir(&folder)
                .env("GIT_CONFIG_GLOBAL", &config);
            assert!(git.status().unwrap().success());
        }
    };
    w.hub
        .faults()
        .add(Fault::on(Route::LfsGet).act(Action::call(commit)));
    let error = repo.pull().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(
        fs::read(repo.workdir().join("w.bin")).unwrap(),
        weights(1, 1000)
    );
    assert!(repo.status().unwrap().is_clean());
    assert_eq!(w.git(repo.workdir(), &["log", "-1", "--format=%s"]), "mine");
    assert_eq!(repo.pull().unwrap_err().kind(), ErrorKind::Diverged);
}

#[test]
fn a_lock_of_gits_own_is_respected_before_anything_changes() {
    let w = World::new();
    let (first, repo) = two_clones(&w, |repo| write(repo.workdir(), "w.bin", weights(1, 1000)));
    write(first.workdir(), "w.bin", weights(2, 1000));
    commit_and_push(&first);
    // As a `git commit` that waits for its editor leaves it: nobody has it open.
    fs::write(w.path("ours/.git/index.lock"), "").unwrap();
    let before = w.scene(repo.workdir(), "alice/m").files_only();
    let error = repo.pull().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error:?}");
    assert_eq!(w.scene(repo.workdir(), "alice/m").files_only(), before);
    assert!(w.path("ours/.git/index.lock").exists());
    fs::remove_file(w.path("ours/.git/index.lock")).unwrap();
    repo.pull().unwrap();
    w.assert_clean(repo.workdir());
}

#[test]
fn what_git_was_told_to_overlook_is_overlooked() {
    needs_git_lfs!();
    let w = World::new();
    let (_, repo) = two_clones(&w, |repo| {
        for name in [
            "skip.txt",
            "assume.txt",
            "skip.bin",
            "assume.bin",
            "other.bin",
        ] {
            write(
                repo.workdir(),
                name,
                if name.ends_with("bin") { "x\0" } else { "x\n" },
            );
        }
    });
    let folder = repo.workdir();
    for name in ["skip", "assume"] {
        let flag = if name == "skip" {
            "--skip-worktree"
        } else {
            "--assume-unchanged"
        };
        for extension in ["txt", "bin"] {
            let file = format!("{name}.{extension}");
            w.git(folder, &["update-index", flag, &file]);
            write(folder, &file, b"edited\0");
        }
    }
    fs::remove_file(folder.join("skip.txt")).unwrap();
    write(folder, "announced.txt", "not yet\n");
    w.git(folder, &["add", "-N", "announced.txt"]);
    write(folder, "other.bin", b"y\0");
    let names = |repo: &Repository| -> Vec<String> {
        repo.status()
            .unwrap()
            .entries
            .iter()
            .map(|entry| entry.path.to_string())
            .collect()
    };
    assert_eq!(names(&repo), ["announced.txt", "other.bin"]);
    let only = hf_repository::StageOptions::default().path("other.bin");
    repo.stage_with(&only).unwrap();
    let _ = repo.commit("other").unwrap();
    let changed = w.git(folder, &["diff", "--name-status", "HEAD^", "HEAD"]);
    assert_eq!(changed, "M\tother.bin");
    // The flags are still there, and git agrees on all of it.
    let flags = w.git(folder, &["ls-files", "-v"]);
    assert!(
        flags.contains("S skip.bin") && flags.contains("h assume.bin"),
        "{flags}"
    );
    assert_eq!(
        w.git(folder, &["status", "--porcelain"]),
        " A announced.txt"
    );
    repo.stage().unwrap();
    let _ = repo.commit("announced").unwrap();
    assert_eq!(w.git(folder, &["status", "--porcelain"]), "");
}

#[test]
fn an_edit_in_the_same_moment_is_seen() {
    needs_git_lfs!();
    let w = World::new();
    let (_, repo) = two_clones(&w, |repo| write(repo.workdir(), "w.bin", weights(1, 1000)));
    for seed in 2..8 {
        write(repo.workdir(), "w.bin", weights(seed, 1000));
        repo.stage().unwrap();
        let _ = repo.commit("next").unwrap();
        // Of the same size, in the same second, in the same file: git compares full seconds, so
        // the index must not be dated later than it is.
        write(repo.workdir(), "w.bin", weights(seed + 100, 1000));
        assert!(!repo.status().unwrap().is_clean());
        assert_eq!(
            w.git(repo.workdir(), &["status", "--porcelain"]),
            " M w.bin"
        );
    }
}

#[test]
fn what_a_killed_pull_left_is_not_committed() {
    let w = World::new();
    let (first, repo) = two_clones(&w, |repo| {
        for number in 0..30 {
            write(
                repo.workdir(),
                &format!("{number:02}.bin"),
                weights(number, 2000),
            );
        }
    });
    for number in 0..30 {
        write(
            first.workdir(),
            &format!("{number:02}.bin"),
            weights(100 + number, 2000),
        );
    }
    commit_and_push(&first);
    let watched = repo.workdir().join("00.bin");
    repo.pull().unwrap();
    // Back to the moment before HEAD followed the files, as a killed pull leaves it.
    let tree_of = |name: &str| w.git(repo.workdir(), &["rev-parse", &format!("{name}^{{tree}}")]);
    let note = |from: &str, to: &str| {
        write(
            repo.workdir(),
            ".git/hf-repository/switching",
            format!("{from}\n{to}\n"),
        );
    };
    note(&tree_of("HEAD^"), &tree_of("HEAD"));
    w.git(repo.workdir(), &["update-ref", "refs/heads/main", "HEAD^"]);
    w.git(repo.workdir(), &["read-tree", "HEAD"]);
    for refused in [repo.stage().map(drop), repo.commit("half").map(drop)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::UnfinishedOperation);
    }
    repo.pull().unwrap();
    assert!(repo.status().unwrap().is_clean());
    assert_eq!(repo.commits_ahead().unwrap(), 0);
    // A record of long ago excuses nothing.
    note(&"0".repeat(40), &tree_of("HEAD^"));
    write(repo.workdir(), "00.bin", weights(0, 2000));
    write(first.workdir(), "00.bin", weights(500, 2000));
    commit_and_push(&first);
    assert_eq!(repo.pull().unwrap_err().kind(), ErrorKind::DirtyWorktree);
    assert_eq!(fs::read(&watched).unwrap(), weights(0, 2000));
}
