//! Commit scopes: one commit when the work is done, and nothing at all when it is not.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use hf_repository::{
    AutoTrack, CheckoutOptions, CommitScope, Delivery, EarlierChanges, Error, ErrorKind,
    PullStrategy, Repository, ScopeOptions, ScopeOutcome, ScopePush,
};

use crate::support::judge::files;
use crate::support::saving::{checkpoint, hold, latest, refuse, tip};
use crate::support::{World, until, weights, write};

/// A scope that takes along what is there already.
pub(crate) fn with_all(message: &str) -> ScopeOptions {
    ScopeOptions::new(message).earlier_changes(EarlierChanges::Include)
}

fn names(error: &Error) -> Vec<String> {
    error
        .offences()
        .iter()
        .map(|offence| offence.path.to_string())
        .collect()
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

/// Writes a binary and a text file where the scope says.
fn work(scope: &CommitScope<'_>, seed: u64) {
    write(scope.path(), "model.bin", weights(seed, 3000));
    write(scope.path(), "log/loss.txt", format!("{seed}\n"));
}

#[test]
fn what_is_finished_is_on_the_remote() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let here = std::env::current_dir().unwrap();
    let scope = repo.begin("epoch 1").unwrap();
    assert_eq!(std::env::current_dir().unwrap(), here);
    assert_eq!(scope.path(), repo.workdir());
    assert_eq!(scope.branch().as_str(), "main");
    assert!(scope.pulled().is_none() && scope.earlier_changes().next().is_none());
    work(&scope, 1);
    let report = scope.finish().unwrap();
    let ScopeOutcome::Pushed { commit, delivery } = &report.outcome else {
        panic!("{report:?}");
    };
    assert!(
        matches!(delivery, Delivery::Pushed(pushed) if pushed.commit == *commit),
        "{report:?}"
    );
    assert_eq!(report.staged.lfs.len(), 1);
    assert_eq!(tip(&w), *commit);
    let log = w.git(repo.workdir(), &["log", "-1", "--format=%s"]);
    assert_eq!(log, "epoch 1");
    w.assert_sound(repo.workdir());

    // Nothing to do is an outcome, and no error.
    let scope = repo.begin("epoch 2").unwrap();
    let outcome = scope.finish().unwrap().outcome;
    assert!(matches!(outcome, ScopeOutcome::Unchanged), "{outcome:?}");
    assert_eq!(tip(&w), *commit);

    // Only here, and then by the next scope that pushes, though it changes nothing itself.
    let scope = repo
        .begin(ScopeOptions::new(" epoch 3\n").push(ScopePush::Off))
        .unwrap();
    work(&scope, 3);
    let report = scope.finish().unwrap();
    let ScopeOutcome::Committed { commit: third } = report.outcome else {
        panic!("{report:?}");
    };
    assert_eq!(repo.head().unwrap(), Some(third));
    assert_eq!(tip(&w), *commit);
    assert!(repo.pending_pushes().unwrap().is_empty());
    let scope = repo.begin("nothing new").unwrap();
    assert_eq!(scope.finish().unwrap().outcome.commit(), Some(third));
    assert_eq!(tip(&w), third);

    // In the background.
    let background = ScopeOptions::new("epoch 4").push(ScopePush::Background);
    let scope = repo.begin(background.clone()).unwrap();
    work(&scope, 4);
    let ScopeOutcome::Queued { commit, handle } = scope.finish().unwrap().outcome else {
        panic!("not queued");
    };
    handle.wait().unwrap();
    assert_eq!(tip(&w), commit);
    w.assert_sound(repo.workdir());
}

#[test]
fn what_is_not_finished_never_was() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let before = w.scene(repo.workdir(), "alice/m");
    let work_of = |repo: &Repository| {
        let scope = repo.begin("half").unwrap();
        work(&scope, 1);
        fs::read(scope.path().join("no such file")).map(|_| scope.finish())
    };
    assert!(work_of(&repo).is_err());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let options = ScopeOptions::new("half").earlier_changes(EarlierChanges::Include);
        let scope = repo.begin(options).unwrap();
        write(scope.path(), "model.bin", weights(2, 3000));
        std::panic::resume_unwind(Box::new("the training failed"));
    }));
    assert!(panicked.is_err());
    let written = files(repo.workdir());
    assert_eq!(written["model.bin"].1, weights(2, 3000));
    assert!(repo.pending_pushes().unwrap().is_empty());
    // But for the files all is as it was; and nothing was staged.
    fs::remove_file(repo.workdir().join("model.bin")).unwrap();
    fs::remove_dir_all(repo.workdir().join("log")).unwrap();
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
}

#[test]
fn earlier_changes_are_nobodys_by_accident() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for name in ["kept.txt", "gone.txt", "both.txt"] {
        write(repo.workdir(), name, "first\n");
    }
    let include = ScopeOptions::new("first").earlier_changes(EarlierChanges::Include);
    let scope = repo.begin(include.clone()).unwrap();
    let earlier: Vec<_> = scope.earlier_changes().map(|path| path.as_str()).collect();
    assert_eq!(earlier, ["both.txt", "gone.txt", "kept.txt"]);
    assert_eq!(scope.finish().unwrap().staged.plain.len(), 3);

    write(repo.workdir(), "kept.txt", "edited before\n");
    write(repo.workdir(), "both.txt", "edited before\n");
    write(repo.workdir(), "scratch/new.bin", weights(1, 100));
    fs::remove_file(repo.workdir().join("gone.txt")).unwrap();
    let all = ["both.txt", "gone.txt", "kept.txt", "scratch/new.bin"];
    let before = w.scene(repo.workdir(), "alice/m");
    let error = refused(repo.begin("second"), ErrorKind::DirtyWorktree);
    assert_eq!(names(&error), all);
    // What lies elsewhere is not in the way, nor what is left out.
    drop(repo.begin(ScopeOptions::new("x").path("out")).unwrap());
    let mut without = ScopeOptions::new("x");
    for name in all {
        without = without.exclude(name);
    }
    drop(repo.begin(without).unwrap());
    // Refused means that no branch was made either.
    let elsewhere = ScopeOptions::new("x").branch("side".parse().unwrap());
    refused(repo.begin(elsewhere), ErrorKind::DirtyWorktree);
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);

    let leave = ScopeOptions::new("second").earlier_changes(EarlierChanges::LeaveOut);
    let scope = repo.begin(leave.clone()).unwrap();
    write(scope.path(), "both.txt", "written by the work\n");
    write(scope.path(), "new.txt", "written by the work\n");
    let report = scope.finish().unwrap();
    let plain: Vec<_> = report.staged.plain.iter().map(|p| p.as_str()).collect();
    assert_eq!(plain, ["both.txt", "new.txt"]);
    assert!(report.staged.removed.is_empty() && report.staged.lfs.is_empty());
    let status = w.git(repo.workdir(), &["status", "--porcelain"]);
    assert_eq!(status, " D gone.txt\n M kept.txt\n?? scratch/");

    // New LFS files would need rules in a file that is to be left out: that is told before the work.
    write(repo.workdir(), ".gitattributes", "*.txt text\n");
    let error = refused(repo.begin(leave.clone()), ErrorKind::DirtyWorktree);
    assert_eq!(names(&error), [".gitattributes"]);
    drop(
        repo.begin(leave.clone().auto_track(AutoTrack::Off))
            .unwrap(),
    );
    w.git(repo.workdir(), &["checkout", "-q", ".gitattributes"]);

    // What is staged would go along with any commit.
    w.git(repo.workdir(), &["add", "kept.txt"]);
    let error = refused(repo.begin(leave), ErrorKind::DirtyWorktree);
    assert_eq!(names(&error), ["kept.txt"]);
    let apart = ScopeOptions::new("x").path("out");
    refused(repo.begin(apart), ErrorKind::DirtyWorktree);
    let scope = repo.begin(include).unwrap();
    let earlier: Vec<_> = scope.earlier_changes().map(|path| path.as_str()).collect();
    assert_eq!(earlier, ["gone.txt", "kept.txt", "scratch/new.bin"]);
    let _ = scope.finish().unwrap();
    w.assert_sound(repo.workdir());
}

#[test]
fn a_branch_that_changes_under_the_work_is_noticed() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for push in [ScopePush::Wait, ScopePush::Off] {
        let scope = repo.begin(ScopeOptions::new("x").push(push)).unwrap();
        write(scope.path(), "new.txt", format!("{push:?}\n"));
        w.git(repo.workdir(), &["checkout", "-q", "-B", "other"]);
        let before = w.scene(repo.workdir(), "alice/m");
        let error = refused(scope.finish(), ErrorKind::BranchChanged);
        let text = error.to_string();
        assert!(text.contains("main") && text.contains("other"), "{text}");
        assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
        // The work is not lost: the same scope ends when it can.
        w.git(repo.workdir(), &["checkout", "-q", "main"]);
        let report = scope.finish().unwrap();
        assert_eq!(report.outcome.commit(), repo.head().unwrap());
        assert_eq!(report.staged.plain.len(), 1);
    }
    let scope = repo.begin("x").unwrap();
    w.git(repo.workdir(), &["checkout", "-q", "--detach"]);
    refused(scope.finish(), ErrorKind::BranchChanged);
    // Detached, none begins; unless it says where to.
    refused(repo.begin("x"), ErrorKind::DetachedHead);
    let onto = ScopeOptions::new("x").branch("new".parse().unwrap());
    let scope = repo.begin(onto).unwrap();
    write(scope.path(), "new.txt", "work\n");
    // The branch itself may move on.
    w.git(
        repo.workdir(),
        &["commit", "-q", "--allow-empty", "-m", "between"],
    );
    let commit = scope.finish().unwrap().outcome.commit().unwrap();
    assert_eq!(w.remote_tip("alice/m", "new").unwrap(), commit.to_string());
    let log = w.git(repo.workdir(), &["log", "-2", "--format=%s"]);
    assert_eq!(log, "x\nbetween");
}

#[test]
fn a_scope_begins_on_the_branch_and_commit_it_asks_for() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let theirs = w.clone("alice/m", "theirs");
    let on = |branch: &str| ScopeOptions::new("work").branch(branch.parse().unwrap());
    let count = |commit: &str| w.git(repo.workdir(), &["rev-list", "--count", commit]);

    // Made here, and nothing to pull yet.
    let scope = repo.begin(on("new").pull(PullStrategy::Merge)).unwrap();
    assert!(scope.pulled().is_none());
    work(&scope, 1);
    let commit = scope.finish().unwrap().outcome.commit().unwrap();
    assert_eq!(w.remote_tip("alice/m", "new").unwrap(), commit.to_string());
    assert_eq!(repo.current_branch().unwrap().unwrap().as_str(), "new");
    w.assert_sound(repo.workdir());

    // Theirs, which this clone has not heard of: it goes on where theirs is.
    theirs
        .checkout_with("side", CheckoutOptions::Create)
        .unwrap();
    let scope = theirs.begin("theirs").unwrap();
    work(&scope, 2);
    let _ = scope.finish().unwrap();
    let scope = repo.begin(on("side").pull(PullStrategy::FastForward));
    let scope = scope.unwrap();
    assert!(scope.pulled().unwrap().is_up_to_date());
    assert_eq!(
        fs::read(scope.path().join("model.bin")).unwrap(),
        weights(2, 3000)
    );
    work(&scope, 3);
    let _ = scope.finish().unwrap();
    assert_eq!(count("side"), "3");

    // Both sides have moved: what is only here is replayed on what is there.
    let here = ScopeOptions::new("theirs").push(ScopePush::Off);
    let scope = theirs.begin(here).unwrap();
    write(scope.path(), "theirs.txt", "x\n");
    let _ = scope.finish().unwrap();
    refused(
        theirs.begin(ScopeOptions::new("x").pull(PullStrategy::FastForward)),
        ErrorKind::Diverged,
    );
    let options = ScopeOptions::new("last").pull(PullStrategy::Rebase);
    let scope = theirs.begin(options).unwrap();
    assert_eq!(scope.pulled().unwrap().rewritten.len(), 1);
    work(&scope, 4);
    let commit = scope.finish().unwrap().outcome.commit().unwrap();
    let side = w.remote_tip("alice/m", "side").unwrap();
    assert_eq!(side, commit.to_string());
    assert_eq!(
        w.git(theirs.workdir(), &["rev-list", "--count", "side"]),
        "5"
    );
    w.assert_sound(theirs.workdir());

    // A tag of that name is no branch.
    w.git(repo.workdir(), &["tag", "v1", "main"]);
    let scope = repo.begin(on("v1").push(ScopePush::Off)).unwrap();
    assert_eq!(scope.branch().as_str(), "v1");
    drop(scope);
    let head = w.git(repo.workdir(), &["symbolic-ref", "HEAD"]);
    assert_eq!(head, "refs/heads/v1");
}

#[test]
fn bad_options_are_refused_before_the_work() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let before = w.scene(repo.workdir(), "alice/m");
    refused(repo.begin(" \n"), ErrorKind::InvalidInput);
    let outside = ScopeOptions::new("x").path("../x");
    refused(repo.begin(outside), ErrorKind::InvalidPath);
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
    // What the Hub would refuse is told by the end, as it was asked for.
    let raw = ScopeOptions::new("raw").auto_track(AutoTrack::Off);
    let scope = repo.begin(raw).unwrap();
    write(scope.path(), "raw", weights(1, 100));
    let error = refused(scope.finish(), ErrorKind::Unpushed);
    let cause = std::error::Error::source(&error).unwrap();
    let cause = cause.downcast_ref::<Error>().unwrap();
    assert_eq!(cause.kind(), ErrorKind::Preflight);
}

#[test]
fn a_commit_that_cannot_be_pushed_is_named_and_kept() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    refuse(&w);
    let scope = repo.begin("epoch 1").unwrap();
    work(&scope, 1);
    let error = refused(scope.finish(), ErrorKind::Unpushed);
    let commit = repo.head().unwrap().unwrap();
    assert_eq!(error.unpushed(), [commit]);
    assert!(error.to_string().contains(&commit.to_string()), "{error}");
    w.hub.faults().clear();
    let outcome = scope.finish().unwrap().outcome;
    assert_eq!(outcome.commit(), Some(commit));
    assert_eq!(tip(&w), commit);
}

#[test]
fn scopes_in_several_threads_keep_their_own_files() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let in_folder = |name: &str| ScopeOptions::new(name).path(name);
    let run = |name: &str| {
        for round in 0..3 {
            let scope = repo.begin(in_folder(name)).unwrap();
            let file = Path::new(name).join(format!("{round}.txt"));
            write(scope.path(), file.to_str().unwrap(), name);
            let _ = scope.finish().unwrap();
        }
    };
    thread::scope(|threads| {
        for name in ["one", "two"] {
            threads.spawn(move || run(name));
        }
    });
    let log = w.git(
        repo.workdir(),
        &["log", "-6", "--name-only", "--format=> %s"],
    );
    for commit in log.split("> ").skip(1) {
        let mut lines = commit.lines().filter(|line| !line.is_empty());
        let name = lines.next().unwrap();
        assert!(lines.all(|file| file.starts_with(name)), "{log}");
    }
    assert_eq!(tip(&w), repo.head().unwrap().unwrap());
    w.assert_sound(repo.workdir());
}

/// If what took a scope's place is called off, the remote has neither.
#[test]
fn a_scope_did_not_arrive_if_what_took_its_place_was_called_off() {
    let w = World::new();
    let repo = latest(&w);
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    held.arrived();
    let head = repo.head().unwrap();
    let scope = repo.begin("replaced").unwrap();
    work(&scope, 2);
    thread::scope(|threads| {
        let finished = threads.spawn(|| scope.finish());
        until("the scope's commit", || repo.head().unwrap() != head);
        let (last, handle) = checkpoint(&repo, 3);
        handle.cancel();
        let error = refused(finished.join().unwrap(), ErrorKind::Unpushed);
        assert_eq!(error.unpushed(), [last]);
        held.release();
    });
    first.wait().unwrap();
    // It can be finished all the same.
    let outcome = scope.finish().unwrap().outcome;
    assert_eq!(outcome.commit(), Some(tip(&w)));
}

/// Where only the latest commit is pushed, another may take the place of a scope's: then that is waited for.
#[test]
fn a_scope_waits_for_what_takes_its_place() {
    let w = World::new();
    let repo = latest(&w);
    let held = hold(&w);
    let (_, first) = checkpoint(&repo, 1);
    held.arrived();
    let head = repo.head().unwrap();
    let scope = repo.begin("replaced").unwrap();
    work(&scope, 2);
    thread::scope(|threads| {
        let finished = threads.spawn(|| (scope.finish().unwrap().outcome, tip(&w)));
        until("the scope's commit", || repo.head().unwrap() != head);
        // Its push is queued once the lock is free.
        let (last, _) = checkpoint(&repo, 3);
        held.release();
        let (outcome, tip) = finished.join().unwrap();
        let ScopeOutcome::Pushed { delivery, .. } = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(*delivery, Delivery::Superseded { by: last });
        assert_eq!(tip, last);
    });
    first.wait().unwrap();
}
