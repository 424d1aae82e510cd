//! What old versions take on the disk.

use hf_repository::{AutoPrune, Repository, Saved};

use super::{commit, hub, identity};
use crate::support::judge::files;
use crate::support::{World, weights, write};

/// The bytes below `.git/lfs`.
fn stored(repo: &Repository) -> usize {
    let found = files(&repo.workdir().join(".git/lfs"));
    found.values().map(|(_, content)| content.len()).sum()
}

const SIZE: usize = 3000;

fn version(repo: &Repository, seed: u64) {
    write(repo.workdir(), "model.bin", weights(seed, SIZE));
}

fn clone(w: &World, auto_prune: AutoPrune) -> Repository {
    let prepared = w.prepare("alice/m", "ours").identity(identity());
    prepared.auto_prune(auto_prune).clone_repo().unwrap()
}

#[test]
fn old_versions_leave_the_store() {
    let w = hub();
    let repo = clone(&w, AutoPrune::Off);
    for seed in 1..=2 {
        version(&repo, seed);
        commit(&repo, "a version");
        repo.push().unwrap();
    }
    assert_eq!(stored(&repo), 2 * SIZE);
    let report = repo.prune().unwrap();
    // Better: it says what it did.
    assert_eq!((report.objects, report.bytes), (1, SIZE as u64));
    assert_eq!(stored(&repo), SIZE);
    w.assert_sound(repo.workdir());
}

#[test]
fn a_push_that_prunes_keeps_the_size() {
    let w = hub();
    let repo = clone(&w, AutoPrune::AfterConfirmed);
    for seed in 1..=2 {
        version(&repo, seed);
        let Saved::Queued { handle, .. } = repo.save("a version").unwrap().saved else {
            panic!("it changed");
        };
        // Better: nobody has to ask whether it is done for the old version to go.
        handle.wait().unwrap();
        crate::support::until("one version is left", || stored(&repo) == SIZE);
    }
}
