//! Work that is to become one commit.

use std::env;

use hf_repository::ErrorKind;

use crate::support::saving::tip;
use crate::support::{World, write};

#[test]
fn what_fails_halfway_is_neither_committed_nor_pushed() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let (head, remote) = (repo.head().unwrap(), tip(&w));
    let work = |fails: bool| -> Result<(), hf_repository::Error> {
        let scope = repo.begin("a checkpoint")?;
        write(scope.path(), "model.txt", "half of it");
        if fails {
            repo.checkout("no such branch")?;
        }
        scope.finish().map(drop)
    };
    let error = work(true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _scope = repo.begin(
            hf_repository::ScopeOptions::new("another")
                .earlier_changes(hf_repository::EarlierChanges::Include),
        );
        std::panic::resume_unwind(Box::new("as the test wants"));
    }));
    assert!(panicked.is_err());
    assert_eq!(repo.head().unwrap(), head);
    assert!(repo.pending_pushes().unwrap().is_empty());
    assert_eq!(tip(&w), remote);
    // What was written is still there.
    assert!(!repo.status().unwrap().is_clean());
}

#[test]
fn the_processes_folder_stays() {
    let w = World::new();
    w.model("alice/m");
    let before = env::current_dir().unwrap();
    let repo = w.clone("alice/m", "ours");
    let scope = repo.begin("a file").unwrap();
    assert_eq!(env::current_dir().unwrap(), before);
    write(scope.path(), "a.txt", "1");
    let _ = scope.finish().unwrap();
    assert_eq!(env::current_dir().unwrap(), before);
}
