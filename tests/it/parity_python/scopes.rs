//! What `with repo.commit(…)` did.

use hf_repository::{ErrorKind, Repository, ScopeOptions, ScopeOutcome};

use super::{SEED, hub, identity, is_there};
use crate::support::saving::tip;
use crate::support::{World, write};

fn clone(w: &World) -> Repository {
    let prepared = w.prepare("alice/m", "ours").identity(identity());
    prepared.clone_repo().unwrap()
}

// Better: the files are written below a path. The old one took the whole process to another folder.
#[test]
fn files_of_a_scope_are_in_the_repository() {
    let w = hub();
    let repo = clone(&w);
    let scope = repo.begin("Commit").unwrap();
    write(scope.path(), "dummy.txt", "hello");
    write(scope.path(), "model.bin", "hello\0");
    let report = scope.finish().unwrap();
    assert!(matches!(report.outcome, ScopeOutcome::Pushed { .. }));
    assert_eq!(repo.head().unwrap(), Some(tip(&w)));
    let files = w.git(repo.workdir(), &["ls-tree", "--name-only", "HEAD"]);
    assert!(
        files.contains("dummy.txt") && files.contains("model.bin"),
        "{files}"
    );
    assert!(repo.is_clean().unwrap());
}

#[test]
fn a_second_clone_has_what_a_scope_made() {
    let w = hub();
    let repo = clone(&w);
    let scope = repo.begin("Commit").unwrap();
    write(scope.path(), "dummy.txt", "hello");
    let _ = scope.finish().unwrap();
    assert!(is_there(&w.clone("alice/m", "second"), "dummy.txt"));
}

/// Writes a file of the branch's name in a scope of that branch.
fn on_branch(repo: &Repository, branch: &str) {
    let options = ScopeOptions::new("Commit").branch(branch.parse().unwrap());
    let scope = repo.begin(options).unwrap();
    write(scope.path(), &format!("{branch}.txt"), branch);
    let _ = scope.finish().unwrap();
}

#[test]
fn a_scope_has_its_branch() {
    let w = hub();
    let repo = clone(&w);
    on_branch(&repo, "new-branch");
    repo.checkout("main").unwrap();
    on_branch(&repo, "main");
    let files = |branch| w.git(w.bare("alice/m"), &["ls-tree", "--name-only", branch]);
    assert_eq!(files("main"), format!("main.txt\n{SEED}"));
    assert_eq!(files("new-branch"), format!("new-branch.txt\n{SEED}"));
}

#[test]
fn the_last_branch_stays_checked_out() {
    let w = hub();
    let repo = clone(&w);
    on_branch(&repo, "new-branch");
    assert_eq!(
        repo.current_branch().unwrap().unwrap().as_str(),
        "new-branch"
    );
    assert!(is_there(&repo, "new-branch.txt"));
    // Without a branch there is no scope, and that is said before the work.
    let head = repo.head().unwrap().unwrap();
    repo.checkout(head.to_string()).unwrap();
    let error = repo.begin("Commit").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DetachedHead);
}
