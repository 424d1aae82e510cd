//! Gigabytes of small files that belong to git, not to LFS.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use hf_repository::Repository;

use super::{MEMORY, peak};
use crate::child::succeed;
use crate::support::{World, heavy, write};

const FILES: usize = 20_480;
/// Bytes of each; 2 GiB altogether.
const SIZE: usize = 100 << 10;

/// Text that compresses by a quarter, and nothing of one file is in another.
fn text(state: &mut u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(SIZE);
    while text.len() < SIZE {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        let six_bits = |at: u64| b'0' + (*state >> (at * 6) & 63) as u8;
        text.extend((0..8).map(six_bits));
    }
    text
}

#[test]
fn two_gib_of_small_files_take_little_memory() {
    heavy!();
    let w = World::new();
    w.model("alice/m");
    let (ours, again) = (w.path("ours"), w.path("again"));
    let job = |job: &str, folder: &Path| {
        let began = Instant::now();
        let arguments = [job, &folder.to_string_lossy()];
        let mut child = w.child("measured-many", &arguments);
        let peak = peak(&succeed(&child.output().unwrap()));
        eprintln!(
            "{job}: {:.1} s, peak memory {:.1} MiB",
            began.elapsed().as_secs_f64(),
            peak as f64 / 1048576.0
        );
        // Pages of mapped files count as well: whoever watches a process sees them.
        assert!(peak < MEMORY, "{job} took {} MiB", peak >> 20);
    };
    drop(w.clone("alice/m", "ours"));
    w.git(&ours, &["branch", "initial"]);
    let mut state = 1;
    for number in 0..FILES {
        let name = format!("d{:03}/{number}.txt", number / 200);
        write(&ours, &name, text(&mut state));
    }
    job("stage", &ours);
    job("commit", &ours);
    job("status", &ours);
    // Their stats prove nothing any more, so each is compared with its blob.
    let long_ago = SystemTime::now() - Duration::from_secs(100);
    for number in 0..FILES {
        let file = ours.join(format!("d{:03}/{number}.txt", number / 200));
        let file = fs::File::options().append(true).open(file).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    job("status", &ours);
    job("push", &ours);
    w.git(w.bare("alice/m"), &["fsck", "--strict"]);
    let tip = w.git(&ours, &["rev-parse", "HEAD"]);
    assert_eq!(w.remote_tip("alice/m", "main"), Some(tip));
    job("checkout-initial", &ours);
    assert!(!ours.join("d000").exists());
    job("checkout-main", &ours);
    w.assert_clean(&ours);
    let whole = fs::read(ours.join("d102/20479.txt")).unwrap();
    // Room for the other copy.
    fs::remove_dir_all(&ours).unwrap();
    job("clone", &again);
    w.assert_clean(&again);
    assert_eq!(fs::read(again.join("d102/20479.txt")).unwrap(), whole);
}

#[test]
fn three_hundred_new_ones_among_ten_thousand() {
    heavy!();
    crate::many_files::new_files_among(10_000);
}

/// The part of the child: one job.
pub(crate) fn job(job: &str, folder: &Path) {
    if job == "clone" {
        Repository::prepare("alice/m", folder).clone_repo().unwrap();
        return;
    }
    let repo = Repository::open(folder).unwrap();
    match job {
        "stage" => assert_eq!(repo.stage().unwrap().plain.len(), FILES),
        "commit" => drop(repo.commit("two GiB").unwrap().commit().unwrap()),
        "status" => assert!(repo.status().unwrap().is_clean()),
        "push" => assert_eq!(repo.push().unwrap().commits, 1),
        "checkout-initial" => drop(repo.checkout("initial").unwrap()),
        "checkout-main" => drop(repo.checkout("main").unwrap()),
        other => panic!("no job {other}"),
    }
}
