//! What ours does, in a process of its own; prints the seconds of the call and the peak memory.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hf_repository::{Bandwidth, OnDrop, Repository, SaveOptions};
use sha2::{Digest, Sha256};

use super::table::median;
use super::{data, sides};

/// Does the job of this name in a folder.
pub(crate) fn run(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let open = |folder: &str| Repository::open(folder).unwrap();
    let calls = match words[..] {
        ["stage", folder] => clocked(|| drop(open(folder).stage().unwrap())),
        ["commit", folder] => {
            clocked(|| assert!(open(folder).commit("bench").unwrap().commit().is_some()))
        }
        ["is-clean", folder] => clocked(|| assert!(open(folder).status().unwrap().is_clean())),
        ["open", folder] => clocked(|| assert!(open(folder).head().unwrap().is_some())),
        ["push", folder] => clocked(|| drop(open(folder).push().unwrap())),
        ["pull", folder] => clocked(|| drop(open(folder).pull().unwrap())),
        ["prune", folder] => clocked(|| drop(open(folder).prune().unwrap())),
        ["checkout", folder, revision] => {
            clocked(|| drop(open(folder).checkout(revision).unwrap()))
        }
        ["clone", id, folder] => {
            clocked(|| drop(Repository::prepare(id, folder).clone_repo().unwrap()))
        }
        ["save", folder] => save(folder, SaveOptions::new("bench")),
        ["deferred", folder] => save(folder, SaveOptions::new("bench").deferred()),
        ["checkpoints", folder, count, bytes] => {
            checkpoints(folder, count.parse().unwrap(), bytes.parse().unwrap())
        }
        ["queue", folder, count, bytes] => {
            queue(folder, count.parse().unwrap(), bytes.parse().unwrap())
        }
        ["beside", folder, most] => beside(folder, most.parse().unwrap()),
        _ => panic!("no such job: {words:?}"),
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", sides::peak(&status));
    for seconds in calls {
        println!("{seconds}");
    }
}

fn clocked(call: impl FnOnce()) -> Vec<f64> {
    let began = Instant::now();
    call();
    vec![began.elapsed().as_secs_f64()]
}

/// The call alone; the push goes on behind it, and is waited for.
fn save(folder: &str, options: SaveOptions) -> Vec<f64> {
    let repo = Repository::open(folder).unwrap();
    let calls = clocked(|| drop(repo.save(options).unwrap()));
    repo.close().unwrap();
    calls
}

/// One save after another, each pushed before the next; between them a tenth of the file changes.
fn checkpoints(folder: &str, count: u64, bytes: u64) -> Vec<f64> {
    let repo = Repository::open(folder).unwrap();
    let file = Path::new(folder).join("checkpoint.bin");
    data::noise_file(&file, 1, bytes);
    let mut calls = Vec::new();
    for number in 0..count {
        data::change_tenth(&file, number, bytes);
        rustix::fs::sync();
        calls.extend(clocked(|| drop(repo.save("checkpoint").unwrap())));
        repo.wait_for_pushes().unwrap();
    }
    repo.close().unwrap();
    calls
}

/// Saves while nothing can be pushed, so that more and more commits wait.
fn queue(folder: &str, count: u64, bytes: u64) -> Vec<f64> {
    let repo = Repository::prepare("bench/queue", folder)
        .bandwidth(Bandwidth::limited(1))
        .on_drop(OnDrop::Leave)
        .open()
        .unwrap();
    let file = Path::new(folder).join("checkpoint.bin");
    let mut calls = Vec::new();
    for number in 0..count {
        data::noise_file(&file, number, bytes);
        rustix::fs::sync();
        calls.extend(clocked(|| drop(repo.save("checkpoint").unwrap())));
    }
    let _ = repo.close_within(Duration::ZERO);
    calls
}

/// The seconds of a push in the background, and of a step of training before and during it.
fn beside(folder: &str, most: u64) -> Vec<f64> {
    let bandwidth = match most {
        0 => Bandwidth::unlimited(),
        most => Bandwidth::limited(most),
    };
    let repo = Repository::prepare("bench/beside", folder)
        .bandwidth(bandwidth)
        .open()
        .unwrap();
    let weights = vec![7; 8 << 20];
    let step = || {
        clocked(|| {
            std::hint::black_box(Sha256::digest(&weights));
        })
    };
    let alone: Vec<f64> = (0..500).flat_map(|_| step()).collect();
    let mut during = Vec::new();
    let pushed = clocked(|| {
        let push = repo.push_in_background().unwrap();
        while push.try_wait().is_none() {
            during.extend(step());
        }
        push.wait().unwrap();
    });
    repo.close().unwrap();
    vec![pushed[0], median(alone), median(during)]
}
