//! Promises, shallow clones, other threads, and kills.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use hf_repository::{ErrorKind, Pattern, PullStrategy, Repository, Retention};

use super::{limited, limited_of, options};
use crate::child::succeed;
use crate::steps;
use crate::support::{needs_git_lfs, newest, path, weights, write};

#[test]
fn promised_pushes_go_on_with_the_new_commits() {
    needs_git_lfs!();
    let c = limited();
    c.write("a.dat", weights(1, 100));
    let old = c.commit(1, "binary");
    let handle = c.repo.push_in_background().unwrap();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Preflight);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten, [(old.parse().unwrap(), report.after)]);
    c.write("more.txt", "more\n");
    let _ = c.repo.save("more").unwrap();
    c.repo.flush(crate::support::saving::LONG).unwrap();
    assert_eq!(c.repo.pending_pushes().unwrap().len(), 0);
    assert_eq!(
        c.w.remote_tip("alice/m", "main").unwrap(),
        c.git(&["rev-parse", "HEAD"])
    );
    c.w.assert_sound(c.folder());
}

/// Each time the commit gets another id; the promise has to know the last one.
#[test]
fn a_promise_follows_its_commit_through_a_repair_and_a_rebase() {
    let c = limited();
    c.write("a.dat", weights(1, 100));
    let _ = c.commit(1, "binary");
    let handle = c.repo.push_in_background().unwrap();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Preflight);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten.len(), 1);
    let other = c.w.clone("alice/m", "other");
    write(other.workdir(), "theirs.txt", "theirs\n");
    other.stage().unwrap();
    let _ = other.commit("theirs").unwrap();
    other.push().unwrap();
    let pulled = c.repo.pull_with(PullStrategy::Rebase).unwrap();
    assert_eq!(pulled.rewritten.len(), 1);
    c.repo.push().unwrap();
    // The commit that was promised came along, in its third form.
    c.repo.wait_for_pushes().unwrap();
    c.repo.flush(crate::support::saving::LONG).unwrap();
    assert_eq!(crate::support::saving::branches(&c.w), "main");
    assert_eq!(c.repo.pending_pushes().unwrap().len(), 0);
    assert_eq!(c.git(&["for-each-ref", "refs/hf-repository/promised"]), "");
}

#[test]
fn a_history_that_was_never_pushed_needs_no_rules_to_begin_with() {
    needs_git_lfs!();
    let c = limited_of(|w| w.empty_model("alice/m"));
    let folder = c.folder();
    c.write("a b.xyz", weights(1, 100));
    c.write("c[1].xyz", "text\n");
    c.write("d/t\tab \"q\" ü#!.abc", weights(2, 100));
    c.write("d/other.abc", "text\n");
    c.commit(1, "first");
    c.git(&["rm", "-q", "a b.xyz"]);
    c.commit(2, "gone");
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    let names = ["a b.xyz", "d/t\tab \"q\" ü#!.abc"];
    let literal = |name: &str| Pattern::Literal(path(name));
    assert_eq!(report.tracked, names.map(literal));
    assert_eq!(c.status(), "");
    assert_eq!(c.repo.push().unwrap().commits, 2);
    c.w.assert_sound(folder);
}

#[test]
fn a_shallow_clone_repairs_what_is_its_own() {
    needs_git_lfs!();
    let mut c = limited();
    c.write("one.txt", "one\n");
    c.commit(1, "one");
    c.repo.push().unwrap();
    c.repo =
        c.w.prepare("alice/m", "shallow")
            .depth(newest(1))
            .clone_repo()
            .unwrap();
    c.write("a.dat", weights(1, 100));
    c.commit(2, "binary");
    assert_eq!(c.repo.rewrite_unpushed_to_lfs().unwrap().rewritten.len(), 1);
    c.repo.push().unwrap();
    c.w.assert_sound(c.folder());
    // What is behind the end of the clone cannot be written anew, and nobody knows what it holds.
    let retention = Retention::LastCheckpoints(1);
    for error in [
        c.repo.plan_cleanup(retention).unwrap_err(),
        c.repo.squash_history("all").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    // Somebody took the branch from the remote: even the first commit here is not there.
    let server = c.w.bare("alice/m");
    c.w.git(&server, &["update-ref", "-d", "refs/heads/main"]);
    c.write("b.mix", weights(2, 100));
    c.commit(3, "binary again");
    let report = c.repo.rewrite_unpushed_to_lfs().unwrap();
    assert_eq!(report.rewritten.len(), 1);
    assert_eq!(c.status(), "");
}

#[test]
fn saves_and_pushes_go_on_meanwhile() {
    needs_git_lfs!();
    let c = limited();
    c.write("a.dat", weights(1, 100));
    c.commit(1, "binary");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..3 {
                c.write(&format!("{number}.txt"), "text\n");
                let _ = c.repo.save(format!("save {number}")).unwrap();
            }
        });
        for _ in 0..2 {
            c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
        }
    });
    c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    c.repo.flush(crate::support::saving::LONG).unwrap();
    c.repo.push().unwrap();
    assert_eq!(c.repo.pending_pushes().unwrap().len(), 0);
    let tip = c.git(&["rev-parse", "main"]);
    assert_eq!(c.w.remote_tip("alice/m", "main").unwrap(), tip);
    // Nothing was put aside, and every save is there once.
    assert_eq!(crate::support::saving::branches(&c.w), "main");
    let subjects = c.git(&["log", "--format=%s", "origin/main"]);
    assert_eq!(
        subjects
            .lines()
            .filter(|line| line.starts_with("save"))
            .count(),
        3
    );
    c.w.assert_sound(c.folder());
}

/// Rewrites, and is killed at a step.
pub(crate) fn child(folder: &Path, fatal: &str) {
    steps::say((!fatal.is_empty()).then_some((fatal, 1)));
    let repo = Repository::prepare("alice/m", folder).open().unwrap();
    repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
}

#[test]
fn killed_at_any_step_it_is_finished_by_the_next_call() {
    needs_git_lfs!();
    let c = limited();
    let folder = c.folder();
    for (seed, fatal) in (1..).step_by(2).zip(["remade", "indexed", "moved"]) {
        c.write(&format!("{fatal}.x{seed}"), weights(seed, 3000));
        let old = c.commit(1, "binary");
        c.write(&format!("{fatal}.x{seed}"), weights(seed + 1, 3000));
        c.write("b.txt", format!("{seed}\n"));
        c.commit(2, "again");
        let job = c.w.child("rewrite", &[&folder.to_string_lossy(), fatal]);
        let output = { job }.stdout(Stdio::piped()).output().unwrap();
        assert!(!output.status.success(), "{fatal}: {}", succeed(&output));
        // Old or new, git finds nothing wrong.
        assert_eq!(c.git(&["diff", "--name-only"]), "", "{fatal}");
        let moved = c.git(&["rev-parse", "main~1"]) != old;
        assert_eq!(moved, fatal == "moved");
        if fatal == "remade" {
            // So it looks when it is killed after the rules are written, and before the index.
            let rules = folder.join(".gitattributes");
            let mut rules = fs::File::options().append(true).open(rules).unwrap();
            let rule = format!("*.x{seed} filter=lfs diff=lfs merge=lfs -text\n");
            rules.write_all(rule.as_bytes()).unwrap();
        }
        let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
        assert_eq!(report.rewritten.len(), if moved { 0 } else { 2 });
        assert_eq!(c.status(), "");
        c.repo.push().unwrap();
    }
    c.w.assert_sound(folder);
    assert_eq!(fs::read(folder.join("moved.x5")).unwrap(), weights(6, 3000));
}
