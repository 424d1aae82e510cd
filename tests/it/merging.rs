//! Pulls where both sides have commits of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use hf_repository::{CommitId, Error, ErrorKind, Pattern, PullStrategy, Repository};
use mini_hub::Route;

use crate::support::judge::{assert_same_files, files};
use crate::support::{World, needs_git_lfs, weights, write};

const JOINING: [PullStrategy; 2] = [PullStrategy::Merge, PullStrategy::Rebase];

fn commit(repo: &Repository, message: &str) -> CommitId {
    repo.stage().unwrap();
    repo.commit(message).unwrap().commit().unwrap()
}

fn head(w: &World, folder: &Path) -> CommitId {
    w.git(folder, &["rev-parse", "HEAD"]).parse().unwrap()
}

fn offending(error: &Error) -> Vec<&str> {
    let paths = error.offences().iter().map(|offence| offence.path.as_str());
    paths.collect()
}

/// Two clones with the same files.
fn two_clones(w: &World) -> (Repository, Repository) {
    use std::os::unix::fs::PermissionsExt;
    w.model("alice/m");
    let other = w.clone("alice/m", "other");
    for (number, name) in [
        "w.bin",
        "ours.bin",
        "theirs.bin",
        "d/gone-here.bin",
        "d/gone-there.bin",
    ]
    .into_iter()
    .enumerate()
    {
        write(other.workdir(), name, weights(number as u64, 4000));
    }
    for name in [
        "plain.txt",
        "ours.txt",
        "theirs.txt",
        "gone-here.txt",
        "f/gone-there.txt",
        "run.sh",
    ] {
        write(other.workdir(), name, format!("{name}\n"));
    }
    let script = other.workdir().join("run.sh");
    fs::set_permissions(script, fs::Permissions::from_mode(0o644)).unwrap();
    commit(&other, "base");
    other.push().unwrap();
    let ours = w.clone("alice/m", "ours");
    (ours, other)
}

#[test]
fn disjoint_changes_come_together() {
    use std::os::unix::fs::PermissionsExt;
    needs_git_lfs!();
    for strategy in JOINING {
        let w = World::new();
        let (ours, other) = two_clones(&w);
        let there = other.workdir();
        write(there, "theirs.bin", weights(20, 5000));
        write(there, "theirs.txt", "changed there\n");
        write(there, "new/there/x.bin", weights(21, 100));
        // An extension without a rule yet: `.gitattributes` grows on both sides.
        write(there, "new/there/x.there", weights(22, 100));
        fs::remove_file(there.join("d/gone-there.bin")).unwrap();
        fs::remove_dir_all(there.join("f")).unwrap();
        fs::set_permissions(there.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let theirs = commit(&other, "there");
        other.push().unwrap();

        let here = ours.workdir();
        write(here, "ours.bin", weights(30, 5000));
        write(here, "new/here/y.here", weights(31, 100));
        let first = commit(&ours, "here, one");
        write(here, "ours.txt", "changed here\n");
        fs::remove_file(here.join("d/gone-here.bin")).unwrap();
        fs::remove_file(here.join("gone-here.txt")).unwrap();
        std::os::unix::fs::symlink("ours.txt", here.join("link")).unwrap();
        let second = commit(&ours, "here, two");
        assert_eq!(ours.push().unwrap_err().kind(), ErrorKind::NonFastForward);
        assert_eq!(ours.pull().unwrap_err().kind(), ErrorKind::Diverged);
        let mut expected = files(here);
        let theirs_now = files(there);

        let report = ours.pull_with(strategy).unwrap();
        assert_eq!(report.before, Some(second));
        let tip = head(&w, here);
        assert_eq!(report.after, Some(tip));
        w.assert_sound(here);
        for gone in ["d/gone-there.bin", "f/gone-there.txt"] {
            expected.remove(gone);
        }
        for (name, file) in theirs_now {
            let changed_there = name.contains("there") || name.starts_with("theirs");
            if (changed_there && !name.contains("gone-here")) || name == "run.sh" {
                expected.insert(name, file);
            }
        }
        let attributes = fs::read_to_string(here.join(".gitattributes")).unwrap();
        let count = |word: &str| attributes.matches(word).count();
        assert_eq!((count(".here"), count(".there")), (1, 1), "{attributes}");
        expected.get_mut(".gitattributes").unwrap().1 = attributes.into_bytes();
        assert!(files(here) == expected, "{:?}", files(here).keys());

        if strategy == PullStrategy::Merge {
            assert_eq!(report.merged, Some(tip));
            assert_eq!(report.rewritten, []);
            let parents = w.git(here, &["log", "-1", "--format=%P|%B"]);
            let message = "Merge remote-tracking branch 'origin/main'";
            assert_eq!(parents.trim_end(), format!("{second} {theirs}|{message}"));
        } else {
            assert_eq!(report.merged, None);
            let parent: CommitId = w.git(here, &["rev-parse", "HEAD^"]).parse().unwrap();
            assert_eq!(report.rewritten, [(first, parent), (second, tip)]);
            let log = w.git(here, &["log", "-3", "--format=%s"]);
            assert_eq!(log, "here, two\nhere, one\nthere");
        }
        ours.push().unwrap();
        let fresh = w.git_clone("alice/m", "fresh");
        assert_same_files(here, &fresh);
        w.assert_sound(&fresh);
        let report = other.pull_with(strategy).unwrap();
        assert_eq!((report.merged, report.rewritten), (None, Vec::new()));
        assert_same_files(here, there);
        w.assert_sound(there);
        assert!(ours.pull_with(strategy).unwrap().is_up_to_date());
    }
}

#[test]
fn a_conflict_changes_nothing_and_downloads_nothing() {
    let w = World::new();
    let (ours, other) = two_clones(&w);
    write(other.workdir(), "w.bin", weights(40, 5000));
    write(other.workdir(), "theirs.bin", weights(41, 5000));
    fs::remove_file(other.workdir().join("plain.txt")).unwrap();
    commit(&other, "there");
    other.push().unwrap();
    write(ours.workdir(), "ours.txt", "harmless\n");
    commit(&ours, "one");
    write(ours.workdir(), "w.bin", weights(50, 5000));
    write(ours.workdir(), "plain.txt", "changed\n");
    let at_fault = commit(&ours, "two");
    write(ours.workdir(), "untracked.txt", "not committed\n");

    for strategy in JOINING {
        let before = w.scene(ours.workdir(), "alice/m").files_only();
        w.hub.clear_requests();
        let error = ours.pull_with(strategy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
        assert_eq!(offending(&error), ["plain.txt", "w.bin"]);
        assert!(error.hint().is_some());
        assert!(!error.is_retryable());
        let named = error.offences()[0].commit;
        assert_eq!(
            named,
            (strategy == PullStrategy::Rebase).then_some(at_fault)
        );
        assert_eq!(w.scene(ours.workdir(), "alice/m").files_only(), before);
        assert_eq!(head(&w, ours.workdir()), at_fault);
        assert!(w.hub.requests().iter().all(|r| r.route != Route::LfsBatch));
    }
    // Where both agree in the end, there is nothing left to merge.
    write(ours.workdir(), "w.bin", weights(40, 5000));
    fs::remove_file(ours.workdir().join("plain.txt")).unwrap();
    commit(&ours, "as there");
    ours.pull_with(PullStrategy::Merge).unwrap();
    w.assert_clean(ours.workdir());
    ours.push().unwrap();
}

#[test]
fn edits_survive_or_stop_the_pull() {
    for strategy in JOINING {
        let w = World::new();
        let (ours, other) = two_clones(&w);
        write(other.workdir(), "theirs.bin", weights(40, 5000));
        write(other.workdir(), "theirs.txt", "there\n");
        commit(&other, "there");
        other.push().unwrap();
        write(ours.workdir(), "ours.txt", "here\n");
        let mine = commit(&ours, "here");

        write(ours.workdir(), "theirs.txt", "edited\n");
        write(ours.workdir(), "w.bin", weights(60, 100));
        let before = w.scene(ours.workdir(), "alice/m").files_only();
        let error = ours.pull_with(strategy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DirtyWorktree, "{error:?}");
        assert_eq!(offending(&error), ["theirs.txt"]);
        assert_eq!(w.scene(ours.workdir(), "alice/m").files_only(), before);
        assert_eq!(head(&w, ours.workdir()), mine);

        write(ours.workdir(), "theirs.txt", "theirs.txt\n");
        write(ours.workdir(), "untracked.txt", "mine\n");
        ours.pull_with(strategy).unwrap();
        let found = files(ours.workdir());
        assert_eq!(found["w.bin"].1, weights(60, 100));
        assert_eq!(found["theirs.bin"].1, weights(40, 5000));
        assert_eq!(found["theirs.txt"].1, b"there\n");
        assert_eq!(found["untracked.txt"].1, b"mine\n");
        let status = ours.status().unwrap();
        let dirty: Vec<&str> = status.entries.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(dirty, ["untracked.txt", "w.bin"]);
    }
}

/// A rule that one side made reaches a plain file that the other side brought: it stays as it
/// is until it is written again, as after a merge by git, and is an LFS file from then on.
#[test]
fn a_new_rule_meets_a_new_file() {
    needs_git_lfs!();
    for strategy in JOINING {
        let w = World::new();
        let (ours, other) = two_clones(&w);
        write(other.workdir(), "table.csv", "1,2\n");
        commit(&other, "there");
        other.push().unwrap();
        ours.track([Pattern::Glob("*.csv".into())]).unwrap();
        commit(&ours, "here");
        ours.pull_with(strategy).unwrap();
        assert_eq!(files(ours.workdir())["table.csv"].1, b"1,2\n");
        write(ours.workdir(), "table.csv", "1,2\n3,4\n");
        commit(&ours, "the table belongs to LFS");
        w.assert_sound(ours.workdir());
        ours.push().unwrap();
        other.pull().unwrap();
        assert_same_files(ours.workdir(), other.workdir());
        w.assert_sound(other.workdir());
    }
}

/// A pull that was killed after its files, but before index and branch followed, is finished by
/// the next one, even if the remote has moved on.
#[test]
fn a_killed_pull_is_finished() {
    for strategy in JOINING {
        let w = World::new();
        let (ours, other) = two_clones(&w);
        let here = ours.workdir();
        write(other.workdir(), "theirs.bin", weights(40, 5000));
        write(other.workdir(), "w.bin", weights(41, 5000));
        commit(&other, "there");
        other.push().unwrap();
        write(here, "ours.txt", "here\n");
        let mine = commit(&ours, "here").to_string();
        let index = fs::read(here.join(".git/index")).unwrap();
        ours.pull_with(strategy).unwrap();
        let tree_of = |name: &str| w.git(here, &["rev-parse", &format!("{name}^{{tree}}")]);
        let record = format!("{}\n{}\n", tree_of(&mine), tree_of("HEAD"));
        write(here, ".git/hf-repository/switching", record);
        w.git(here, &["update-ref", "refs/heads/main", &mine]);
        write(here, ".git/index", index);

        write(other.workdir(), "w.bin", weights(42, 5000));
        commit(&other, "more there");
        other.push().unwrap();
        assert_eq!(ours.pull().unwrap_err().kind(), ErrorKind::Diverged);
        ours.pull_with(strategy).unwrap();
        w.assert_clean(here);
        assert_eq!(files(here)["w.bin"].1, weights(42, 5000));
        ours.push().unwrap();
        other.pull().unwrap();
        assert_same_files(here, other.workdir());
    }
}

#[test]
fn a_rebase_keeps_author_and_date_and_drops_what_is_there_already() {
    needs_git_lfs!();
    let w = World::new();
    let (ours, other) = two_clones(&w);
    let here = ours.workdir();
    write(other.workdir(), "theirs.txt", "there\n");
    write(other.workdir(), "both.txt", "the same\n");
    commit(&other, "there");
    other.push().unwrap();
    for (name, text) in [
        ("a.txt", "a\n"),
        ("both.txt", "the same\n"),
        ("b.txt", "b\n"),
    ] {
        write(here, name, text);
        w.git(here, &["add", name]);
        let (author, date) = (
            "--author=Ünal <u@example.org>",
            "--date=2001-02-03T04:05:06+0530",
        );
        w.git(
            here,
            &["commit", "-q", author, date, "-m", name, "-m", "body"],
        );
    }
    let report = ours.pull_with(PullStrategy::Rebase).unwrap();
    assert_eq!(report.rewritten.len(), 3);
    assert_eq!(report.rewritten[0].1, report.rewritten[1].1);
    let told = |commit: CommitId| {
        let commit = commit.to_string();
        let format = "--format=%an|%ae|%ad|%B";
        w.git(here, &["log", "-1", format, "--date=raw", &commit])
    };
    for (old, new) in [report.rewritten[0], report.rewritten[2]] {
        assert!(told(new).contains("Ünal|u@example.org|981153306 +0530"));
        assert_eq!(told(new), told(old));
    }
    let count = w.git(here, &["rev-list", "--count", "origin/main..HEAD"]);
    assert_eq!(count, "2");
    w.git(here, &["status"]);
    w.assert_sound(here);
    ours.push().unwrap();

    // Nothing of our own is left: the branch is the remote's.
    write(other.workdir(), "late.txt", "late\n");
    other.pull().unwrap();
    commit(&other, "late");
    other.push().unwrap();
    write(here, "late.txt", "late\n");
    let mine = commit(&ours, "late as well");
    let report = ours.pull_with(PullStrategy::Rebase).unwrap();
    assert_eq!(report.after, other.head().unwrap());
    assert_eq!(report.rewritten, [(mine, report.after.unwrap())]);
    w.assert_sound(here);
}

#[test]
fn merges_are_not_replayed() {
    let w = World::new();
    let (ours, other) = two_clones(&w);
    for round in 0..2 {
        write(other.workdir(), "theirs.txt", format!("{round}\n"));
        commit(&other, "there");
        other.push().unwrap();
        write(ours.workdir(), "ours.txt", format!("{round}\n"));
        commit(&ours, "here");
        if round == 0 {
            ours.pull_with(PullStrategy::Merge).unwrap();
        }
    }
    let before = w.scene(ours.workdir(), "alice/m").files_only();
    let error = ours.pull_with(PullStrategy::Rebase).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(w.scene(ours.workdir(), "alice/m").files_only(), before);
    ours.pull_with(PullStrategy::Merge).unwrap();
    w.assert_sound(ours.workdir());
    ours.push().unwrap();
}

#[test]
fn histories_that_crossed_and_histories_without_a_common_commit() {
    needs_git_lfs!();
    let w = World::new();
    let (ours, other) = two_clones(&w);
    let (here, there) = (ours.workdir(), other.workdir());
    write(there, "theirs.txt", "there\n");
    commit(&other, "there");
    w.git(there, &["push", "-q", "origin", "main:side"]);
    write(here, "ours.txt", "here\n");
    commit(&ours, "here");
    ours.push().unwrap();
    // Each side merges the other's commit by itself.
    w.git(here, &["fetch", "-q", "origin"]);
    w.git(here, &["merge", "-q", "-m", "crossed here", "origin/side"]);
    w.git(there, &["fetch", "-q", "origin"]);
    w.git(
        there,
        &["merge", "-q", "-m", "crossed there", "origin/main"],
    );
    write(there, "theirs.bin", weights(70, 3000));
    commit(&other, "more there");
    other.push().unwrap();
    write(here, "ours.bin", weights(71, 3000));
    commit(&ours, "more here");
    let bases = w.git(here, &["merge-base", "-a", "HEAD", "origin/main"]);
    assert_eq!(bases.lines().count(), 1);
    ours.pull_with(PullStrategy::Merge).unwrap();
    assert_eq!(
        w.git(here, &["merge-base", "-a", "HEAD^1", "HEAD^2"])
            .lines()
            .count(),
        2
    );
    // What git wrote in the index's own second it has to look at once more.
    w.git(here, &["status"]);
    w.assert_sound(here);
    assert_eq!(files(here)["theirs.bin"].1, weights(70, 3000));
    ours.push().unwrap();

    w.git(here, &["checkout", "-q", "--orphan", "fresh-start"]);
    w.git(here, &["commit", "-q", "-m", "no parent"]);
    w.git(here, &["branch", "-f", "main"]);
    w.git(here, &["checkout", "-q", "main"]);
    for strategy in JOINING {
        let before = w.scene(here, "alice/m").files_only();
        let error = ours.pull_with(strategy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged, "{error:?}");
        assert_eq!(w.scene(here, "alice/m").files_only(), before);
    }
}

/// Small numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Paths with one of a few values; a value is content and mode together.
type Tree = BTreeMap<&'static str, u64>;

/// Changes some paths; a new file takes the place of folders and files of that name.
fn change(tree: &Tree, times: u64, dice: &mut Dice) -> Tree {
    const PATHS: [&str; 10] = [
        "a", "a/b", "a/b/c", "a/d", "a-", "e", "e/f", "g/h/i", "g/h/k", "g/l",
    ];
    let mut tree = tree.clone();
    for _ in 0..times {
        let path = PATHS[usize::try_from(dice.roll(PATHS.len() as u64)).unwrap()];
        let value = dice.roll(6);
        if value >= 4 {
            tree.remove(path);
            continue;
        }
        let within = |one: &str, other: &str| one.starts_with(&format!("{other}/"));
        tree.retain(|other, _| !within(other, path) && !within(path, other));
        tree.insert(path, value);
    }
    tree
}

/// A commit for `git fast-import`.
fn import(name: &str, mark: usize, from: Option<usize>, tree: &Tree) -> String {
    let mut text = format!("commit {name}\nmark :{mark}\ncommitter G <g@x> 1 +0000\ndata 2\nm\n");
    if let Some(from) = from {
        text += &format!("from :{from}\n");
    }
    text += "deleteall\n";
    for (path, value) in tree {
        let mode = ["100644", "100644", "100755", "120000"][usize::try_from(*value).unwrap()];
        // No two paths have the same content: git sees a rename where they do, unasked.
        let content = format!("{path} {value}");
        text += &format!(
            "M {mode} inline {path}\ndata {}\n{content}\n",
            content.len()
        );
    }
    text
}

/// git merges the same commits to the same trees, and sees a conflict where the library does.
#[test]
fn git_merges_to_the_same_trees() {
    let w = World::new();
    w.git(
        w.path(""),
        &["init", "-q", "--bare", "-b", "main", "remote.git"],
    );
    let remote = w.path("remote.git");
    const ROUNDS: usize = 60;
    let mut stream = String::new();
    for round in 0..ROUNDS {
        let mut dice = Dice(round as u64);
        let base = change(&Tree::from([("z", 0)]), 6, &mut dice);
        let sides = [change(&base, 2, &mut dice), change(&base, 2, &mut dice)];
        let mark = 3 * round + 1;
        stream += &import(&format!("refs/base/{round}"), mark, None, &base);
        stream += &import(
            &format!("refs/ours/{round}"),
            mark + 1,
            Some(mark),
            &sides[0],
        );
        stream += &import(
            &format!("refs/heads/{round}"),
            mark + 2,
            Some(mark),
            &sides[1],
        );
    }
    stream += &import("refs/heads/main", 3 * ROUNDS + 1, None, &Tree::new());
    let mut importer = w
        .command("git", &remote)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    importer
        .stdin
        .take()
        .unwrap()
        .write_all(stream.as_bytes())
        .unwrap();
    assert!(importer.wait().unwrap().success());

    let repo = w
        .prepare(&remote.to_string_lossy(), "ours")
        .clone_repo()
        .unwrap();
    let here = repo.workdir();
    w.git(here, &["fetch", "-q", "origin", "+refs/ours/*:refs/ours/*"]);
    let (mut clean, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let branch = round.to_string();
        let (ours, theirs) = (format!("refs/ours/{round}"), format!("origin/{round}"));
        w.git(here, &["checkout", "-q", "-f", "-B", "judge", &ours]);
        // Renames are guesses, which the library does not make.
        let merge = [
            "-c",
            "merge.renames=false",
            "merge",
            "-q",
            "-m",
            "m",
            &theirs,
        ];
        let judged = w.try_git(here, &merge);
        let tree = w.git(here, &["rev-parse", "HEAD^{tree}"]);
        w.git(here, &["reset", "-q", "--hard"]);
        w.git(here, &["clean", "-q", "-f", "-d"]);
        for strategy in JOINING {
            w.git(here, &["checkout", "-q", "-f", "-B", &branch, &ours]);
            let told = String::from_utf8_lossy(&judged.stdout);
            let what = format!("round {round}, {strategy:?}: {tree} {told}");
            match (repo.pull_with(strategy), judged.status.code()) {
                (Ok(_), Some(0)) => {
                    assert_eq!(w.git(here, &["rev-parse", "HEAD^{tree}"]), tree, "{what}");
                    clean += 1;
                }
                (Err(error), Some(1)) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{what}, {error:?}");
                    assert_eq!(
                        head(&w, here).to_string(),
                        w.git(here, &["rev-parse", &ours])
                    );
                    refused += 1;
                }
                (done, code) => panic!("{what}: git says {code:?}, the library {done:?}"),
            }
            assert_eq!(w.git(here, &["status", "--porcelain"]), "", "{what}");
        }
    }
    assert!(
        clean > 20 && refused > 20,
        "{clean} clean, {refused} conflicts"
    );
}
