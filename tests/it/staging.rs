//! What `stage` does with every sort of file, judged by git and git-lfs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use hf_repository::{
    AutoTrack, CommitOutcome, ErrorKind, FileState, Pattern, Repository, Skipped, StageOptions,
};

use crate::support::{World, needs_git_lfs, path, weights, write};

/// What the index holds: mode and, for pointers, "lfs".
fn staged(w: &World, repo: &Repository) -> BTreeMap<String, String> {
    let listed = w.git(repo.workdir(), &["ls-files", "-s", "-z"]);
    let mut found = BTreeMap::new();
    for line in listed.split('\0').filter(|line| !line.is_empty()) {
        let (head, name) = line.split_once('\t').unwrap();
        let mut words = head.split(' ');
        let (mode, blob) = (words.next().unwrap(), words.next().unwrap());
        let text = w
            .try_git(repo.workdir(), &["cat-file", "blob", blob])
            .stdout;
        let lfs = text.starts_with(b"version https://git-lfs");
        found.insert(
            name.to_owned(),
            format!("{mode}{}", if lfs { " lfs" } else { "" }),
        );
    }
    found
}

fn bare_model(w: &World) -> Repository {
    w.empty_model("alice/m");
    w.clone("alice/m", "ours")
}

#[test]
fn large_and_binary_files_are_tracked_by_themselves() {
    let w = World::new();
    let repo = bare_model(&w);
    let folder = repo.workdir();
    write(folder, "a.txt", "text\n");
    write(folder, "weights.bin", weights(1, 2000));
    write(folder, "big.csv", "1,2,3\n".repeat(2 << 20));
    write(folder, "mixed.log", "text\n");
    write(folder, "sub/mixed.log", b"a\0b");
    write(folder, "no extension", b"\x00\x01");
    write(folder, ".hidden", b"\x00\x01");
    let report = repo.stage().unwrap();
    let rules = fs::read_to_string(folder.join(".gitattributes")).unwrap();
    let mut rules: Vec<&str> = rules
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    rules.sort_unstable();
    assert_eq!(
        rules,
        [
            "*.bin",
            "/.hidden",
            "/big.csv",
            "/no[[:space:]]extension",
            "sub/mixed.log"
        ]
    );
    assert_eq!(report.tracked.len(), 5);
    let found = staged(&w, &repo);
    for name in [
        "weights.bin",
        "big.csv",
        "sub/mixed.log",
        "no extension",
        ".hidden",
    ] {
        assert_eq!(found[name], "100644 lfs", "{name}");
    }
    for name in ["a.txt", "mixed.log", ".gitattributes"] {
        assert_eq!(found[name], "100644", "{name}");
    }
    // A second time there is nothing to do.
    let again = repo.stage().unwrap();
    assert_eq!(
        (again.plain, again.lfs, again.tracked),
        (vec![], vec![], vec![])
    );
    let _ = repo.commit("all").unwrap();
    w.assert_sound(folder);
}

#[test]
fn an_existing_text_file_never_becomes_a_pointer() {
    let w = World::new();
    let repo = bare_model(&w);
    let folder = repo.workdir();
    write(folder, "vocab.dat", "text\n");
    repo.stage().unwrap();
    let _ = repo.commit("text").unwrap();
    write(folder, "weights.dat", weights(1, 100));
    let report = repo.stage().unwrap();
    assert_eq!(report.tracked, [Pattern::Literal(path("weights.dat"))]);
    assert_eq!(report.lfs, [path("weights.dat")]);
    let _ = repo.commit("weights").unwrap();
    assert_eq!(staged(&w, &repo)["vocab.dat"], "100644");
    w.assert_sound(folder);
    // Without auto-tracking, the rules alone decide.
    write(folder, "raw.x", b"\0");
    let report = repo
        .stage_with(&StageOptions::default().auto_track(AutoTrack::Off))
        .unwrap();
    assert_eq!((report.plain, report.lfs), (vec![path("raw.x")], vec![]));
}

#[test]
fn deleted_renamed_retyped_and_executable_files() {
    needs_git_lfs!();
    let w = World::new();
    let repo = bare_model(&w);
    let folder = repo.workdir().to_path_buf();
    crate::round_trip::fill(&folder);
    repo.stage().unwrap();
    let _ = repo.commit("one").unwrap();
    fs::remove_file(folder.join("README.md")).unwrap();
    fs::rename(folder.join("with space.bin"), folder.join("ünd weiter.bin")).unwrap();
    fs::remove_file(folder.join("link.safetensors")).unwrap();
    write(&folder, "link.safetensors", weights(5, 50));
    fs::remove_file(folder.join("empty.txt")).unwrap();
    symlink("run.sh", folder.join("empty.txt")).unwrap();
    fs::set_permissions(folder.join("tool.bin"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(
        folder.join("model.safetensors"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    fs::remove_dir_all(folder.join("deep")).unwrap();
    write(&folder, "deep", "a file now\n");
    let before = repo.status().unwrap();
    let state = |name: &str| {
        before
            .entries
            .iter()
            .find(|entry| entry.path.as_str() == name)
            .and_then(|e| e.worktree)
    };
    assert_eq!(state("README.md"), Some(FileState::Deleted));
    assert_eq!(state("ünd weiter.bin"), Some(FileState::Added));
    assert_eq!(state("link.safetensors"), Some(FileState::TypeChanged));
    assert_eq!(state("tool.bin"), Some(FileState::Modified));
    repo.stage().unwrap();
    let _ = repo.commit("two").unwrap();
    w.assert_sound(&folder);
    // git, doing the same on its own, gets the same tree.
    let ours = w.git(&folder, &["rev-parse", "HEAD^{tree}"]);
    w.git(&folder, &["rm", "-rq", "--cached", "."]);
    w.git(&folder, &["add", "-A"]);
    assert_eq!(w.git(&folder, &["write-tree"]), ours);
    w.git(&folder, &["reset", "-q"]);
    repo.push().unwrap();
    let theirs = w.git_clone("alice/m", "theirs");
    crate::support::judge::assert_same_files(&folder, &theirs);
}

#[test]
fn what_git_staged_becomes_right_before_it_is_committed() {
    let w = World::new();
    let repo = bare_model(&w);
    let folder = repo.workdir();
    // Raw bytes in the index, staged by a git that has no LFS filter, then a rule for them.
    write(folder, "weights.bin", weights(1, 1000));
    w.git(folder, &["add", "weights.bin"]);
    write(
        folder,
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    let stage_rule = StageOptions::default()
        .path(".gitattributes")
        .auto_track(AutoTrack::Off);
    repo.stage_with(&stage_rule).unwrap();
    let error = repo.commit("raw").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Preflight);
    assert_eq!(error.offences()[0].path.as_str(), "weights.bin");
    assert_eq!(repo.head().unwrap(), None);
    let report = repo.stage().unwrap();
    assert_eq!(report.lfs, [path("weights.bin")]);
    assert!(repo.commit("right").unwrap().commit().is_some());
    w.assert_sound(folder);
}

#[test]
fn track_and_untrack_carry_files_over() {
    needs_git_lfs!();
    let w = World::new();
    let repo = bare_model(&w);
    let folder = repo.workdir();
    write(folder, "data.csv", "1,2\n");
    write(folder, "sub/data.csv", "3,4\n");
    repo.stage().unwrap();
    let _ = repo.commit("plain").unwrap();
    repo.track([Pattern::Glob("*.csv".into())]).unwrap();
    let again = repo.track([Pattern::Glob("*.csv".into())]).unwrap();
    assert_eq!((again.changed.len(), again.unchanged.len()), (0, 1));
    assert!(repo.is_tracked_with_lfs(&path("sub/data.csv")).unwrap());
    assert_eq!(repo.stage().unwrap().lfs.len(), 2);
    let _ = repo.commit("lfs").unwrap();
    assert_eq!(staged(&w, &repo)["sub/data.csv"], "100644 lfs");
    w.assert_sound(folder);
    repo.untrack([Pattern::Glob("*.csv".into())]).unwrap();
    let report = repo.stage().unwrap();
    assert!(!repo.is_tracked_with_lfs(&path("data.csv")).unwrap());
    let _ = repo.commit("plain again").unwrap();
    // As git does: files nobody touched stay as they are committed until they change.
    write(folder, "data.csv", "5,6\n");
    repo.stage().unwrap();
    let _ = repo.commit("changed").unwrap();
    assert_eq!(staged(&w, &repo)["data.csv"], "100644", "{report:?}");
}

#[test]
fn parts_of_the_tree_and_ignored_files() {
    let w = World::new();
    let repo = bare_model(&w);
    let folder = repo.workdir();
    for name in ["a/one.bin", "a/two.txt", "b/one.bin", "*.txt", "c.txt"] {
        write(
            folder,
            name,
            if name.ends_with("bin") { "x\0" } else { "x\n" },
        );
    }
    write(folder, ".gitignore", "*.log\ncache/\n");
    write(folder, "a/x.log", "x");
    write(folder, "cache/x.txt", "x");
    let report = repo
        .stage_with(&StageOptions::default().path("a").path("*.txt"))
        .unwrap();
    assert_eq!(report.lfs, [path("a/one.bin")]);
    // A name is a name: the star is not a glob.
    let plain: Vec<&str> = report.plain.iter().map(|path| path.as_str()).collect();
    assert_eq!(plain, ["*.txt", ".gitattributes", "a/two.txt"]);
    repo.stage().unwrap();
    let found = staged(&w, &repo);
    assert!(found.contains_key("b/one.bin") && !found.contains_key("a/x.log"));
    assert!(!found.contains_key("cache/x.txt"));
    let _ = repo.commit("all").unwrap();
    w.assert_sound(folder);
    // Tracked although ignored: changes still count. (git runs its filter when it adds.)
    needs_git_lfs!();
    w.git(folder, &["add", "-f", "a/x.log"]);
    let _ = repo.commit("forced").unwrap();
    write(folder, "a/x.log", "changed");
    assert_eq!(repo.stage().unwrap().plain, [path("a/x.log")]);
}

#[test]
fn nested_repositories_and_odd_names_are_reported() {
    use std::os::unix::ffi::OsStrExt;
    let w = World::new();
    let repo = bare_model(&w);
    let folder = repo.workdir();
    w.git(folder, &["init", "-q", "nested"]);
    write(folder, "nested/file.txt", "x");
    w.git(folder.join("nested"), &["add", "-A"]);
    w.git(folder.join("nested"), &["commit", "-q", "-m", "x"]);
    fs::write(
        folder.join(std::ffi::OsStr::from_bytes(b"bad\xff.txt")),
        "x",
    )
    .unwrap();
    write(folder, "good.txt", "x");
    let report = repo.stage().unwrap();
    assert_eq!(report.plain, [path("good.txt")]);
    let why: Vec<Skipped> = report.skipped.iter().map(|(_, why)| *why).collect();
    assert!(why.contains(&Skipped::NestedRepository), "{report:?}");
    assert!(why.contains(&Skipped::UnusableName), "{report:?}");
}

#[test]
fn a_pointer_file_in_the_tree_is_its_own_pointer() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let text = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "ab".repeat(32)
    );
    write(repo.workdir(), "w.bin", &text);
    repo.stage().unwrap();
    let blob = w.git(repo.workdir(), &["cat-file", "blob", ":w.bin"]);
    assert_eq!(blob + "\n", text);
    assert!(repo.commit("pointer").unwrap().commit().is_some());
    assert!(repo.status().unwrap().is_clean());
}

#[test]
fn a_file_that_never_rests_is_skipped_and_stays_dirty() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let file = repo.workdir().join("busy.bin");
    write(repo.workdir(), "busy.bin", weights(1, 48 << 20));
    write(repo.workdir(), "calm.bin", weights(2, 1000));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::{Seek, Write};
            let mut open = fs::File::options().write(true).open(&file).unwrap();
            while !stop.load(Ordering::Relaxed) {
                open.rewind().unwrap();
                open.write_all(&[0, 1, 2, 3]).unwrap();
                std::thread::yield_now();
            }
        });
        let report = repo.stage();
        stop.store(true, Ordering::Relaxed);
        report.unwrap()
    });
    assert_eq!(report.skipped, [("busy.bin".to_owned(), Skipped::Changing)]);
    assert_eq!(report.lfs, [path("calm.bin")]);
    let _ = repo.commit("calm").unwrap();
    let status = repo.status().unwrap();
    assert_eq!(status.entries.len(), 1);
    assert_eq!(repo.stage().unwrap().lfs, [path("busy.bin")]);
    let _ = repo.commit("busy").unwrap();
    w.assert_sound(repo.workdir());
}

#[test]
fn touching_is_not_changing() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for (name, content) in [
        ("w.bin", weights(1, 100_000)),
        ("a.txt", b"text\n".to_vec()),
    ] {
        write(repo.workdir(), name, content);
    }
    repo.stage().unwrap();
    let _ = repo.commit("one").unwrap();
    for name in ["w.bin", "a.txt"] {
        let file = fs::File::options()
            .append(true)
            .open(repo.workdir().join(name))
            .unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(99))
            .unwrap();
    }
    assert!(repo.status().unwrap().is_clean());
    // The new stat was kept for the LFS file, so that git, too, need not read it again.
    w.git(repo.workdir(), &["update-index", "--refresh", "a.txt"]);
    w.assert_clean(repo.workdir());
    assert_eq!(repo.stage().unwrap().lfs, []);
    assert_eq!(
        repo.commit("nothing").unwrap(),
        CommitOutcome::NothingToCommit
    );
    // The same size and time, but other content.
    let file = repo.workdir().join("w.bin");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    write(repo.workdir(), "w.bin", weights(2, 100_000));
    fs::File::options()
        .append(true)
        .open(&file)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert!(!repo.status().unwrap().is_clean());
    assert_eq!(repo.stage().unwrap().lfs, [path("w.bin")]);
}

#[test]
fn a_process_that_may_open_few_files_more_stages_many() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), ".gitattributes", "*.bin filter=lfs -text\n");
    for number in 0..70 {
        write(
            repo.workdir(),
            &format!("{number}.bin"),
            weights(number, 100),
        );
    }
    let folder = repo.workdir().to_string_lossy().into_owned();
    let told = crate::child::succeed(&w.limited_by("-n 40", "stage", &[&folder]));
    assert!(told.contains("staged 70"), "{told}");
    let _ = repo.commit("all").unwrap();
    w.assert_sound(repo.workdir());
}
