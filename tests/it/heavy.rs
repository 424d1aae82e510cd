//! The big ones: `HF_REPOSITORY_HEAVY=1` runs them.

pub(crate) mod small_files;

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use hf_repository::Repository;
use mini_hub::{MiniHub, Quota, RepoKind, RequestRecord, Route};

use crate::child::succeed;
use crate::support::{World, heavy, needs_git_lfs, weights, write};

#[test]
fn ten_thousand_small_files() {
    heavy!();
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for number in 0..10_000 {
        let name = format!("folder-{:02}/file-{number}.txt", number % 100);
        let line = format!("line of file {number}\n");
        write(
            repo.workdir(),
            &name,
            &line.repeat(1024 / line.len() + 1)[..1024],
        );
    }
    let report = repo.stage().unwrap();
    assert_eq!(report.plain.len(), 10_000);
    let _ = repo.commit("ten thousand").unwrap();
    repo.push().unwrap();
    w.assert_sound(repo.workdir());
    let again = w.clone("alice/m", "again");
    w.assert_sound(again.workdir());
    crate::support::judge::assert_same_files(repo.workdir(), again.workdir());
    crate::support::judge::assert_same_files(repo.workdir(), &w.git_clone("alice/m", "theirs"));
}

#[test]
fn ten_thousand_lfs_files() {
    heavy!();
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for number in 0..10_000_u64 {
        write(
            repo.workdir(),
            &format!("folder-{:02}/{number}.bin", number % 100),
            weights(number, 1024),
        );
    }
    assert_eq!(repo.stage().unwrap().lfs.len(), 10_000);
    let _ = repo.commit("ten thousand").unwrap();
    // Pushed and cloned they need two hundred calls, of a hundred that are allowed at a time.
    w.hub.set_quota(Some(Quota {
        requests: 100,
        window: Duration::from_secs(30),
    }));
    w.hub.clear_requests();
    assert_eq!(repo.push().unwrap().lfs_objects, 10_000);
    let calls = calls(&w);
    assert!(calls <= 110, "{calls} batch calls");
    let again = w.clone("alice/m", "again");
    w.hub.set_quota(None);
    w.assert_sound(repo.workdir());
    w.assert_sound(again.workdir());
    crate::support::judge::assert_same_files(repo.workdir(), again.workdir());
}

#[test]
fn every_fault_at_every_place() {
    heavy!();
    crate::faults::matrix(crate::faults::Share::All);
}

#[test]
fn eight_processes_save_fifty_times_each() {
    heavy!();
    crate::together::processes_save(8, 50);
}

#[test]
fn a_shallow_clone_is_killed_at_forty_moments() {
    heavy!();
    crate::cheap::shallow::killed_at(40);
}

#[test]
fn a_thousand_interleavings_lose_nothing() {
    heavy!();
    crate::interleavings::interleave(250);
}

#[test]
fn no_random_history_makes_pruning_lose_anything() {
    heavy!();
    crate::pruning::random::rounds(100..=119, 80);
}

fn calls(w: &World) -> usize {
    let requests = w.hub.requests();
    let batch = |request: &&RequestRecord| request.route == Route::LfsBatch;
    requests.iter().filter(batch).count()
}

/// So large that the Hub wants it in parts, and larger than what is free of many a disk.
const LARGE: u64 = 12 << 30;
/// Bytes of a part; 48 of them.
const PART: u64 = 256 << 20;

#[test]
fn twelve_gib_in_parts_survive_a_kill() {
    heavy!();
    let hub = MiniHub::temporary_with(|config| config.multipart(5_000_000_000, PART)).unwrap();
    let w = World::with(hub);
    w.model("alice/m");
    let ours = w.path("ours");
    let repo = w.clone("alice/m", "ours");
    let mut file = File::create(ours.join("large.bin")).unwrap();
    file.set_len(LARGE).unwrap();
    for at in [0, 5 << 30, LARGE - 1] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[7]).unwrap();
    }
    drop(file);
    assert_eq!(repo.stage().unwrap().lfs.len(), 1);
    let _ = repo.commit("large").unwrap();
    drop(repo);
    let stored = || {
        let requests = w.hub.requests();
        let part =
            |request: &&RequestRecord| request.route == Route::LfsPart && request.status == 200;
        requests.iter().filter(part).count()
    };
    let push = || w.child("measured", &["push", &ours.to_string_lossy()]);
    let mut child = push().stdout(std::process::Stdio::null()).spawn().unwrap();
    crate::support::until("half of it is there", || stored() >= 20);
    child.kill().unwrap();
    child.wait().unwrap();
    crate::support::until("what was under way ends", || w.hub.uploads() == 0);
    let missing = 48 - stored();
    assert!(missing > 8, "killed too late to tell: {missing}");
    // A line for each part whose answer arrived, behind the first.
    let journals = fs::read_dir(ours.join(".git/hf-repository/uploads")).unwrap();
    let mut journals = journals.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let recorded = journals.next().unwrap().matches('\n').count() - 1;
    assert!(journals.next().is_none());
    let unheard = (48 - missing) - recorded;
    assert!(
        unheard <= 8,
        "{unheard} answers were unheard: more than parts under way"
    );
    w.hub.clear_requests();
    let told = succeed(&push().output().unwrap());
    let peak = peak(&told);
    let sent = w.hub.requests();
    let sent = sent.iter().filter(|r| r.route == Route::LfsPart).count();
    eprintln!(
        "12 GiB: {missing} parts missing after the kill, {unheard} answers unheard, {sent} sent, peak memory {:.1} MiB",
        peak as f64 / 1048576.0
    );
    assert!(
        sent <= missing + unheard,
        "{sent} sent, of {missing} missing and {unheard} whose answer was unheard"
    );
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
    let pointer = w.git(&ours, &["cat-file", "blob", "HEAD:large.bin"]);
    let oid = &pointer.split("sha256:").nth(1).unwrap()[..64];
    let object = w.hub.lfs_object_path(RepoKind::Model, "alice/m", oid);
    let same = Command::new("cmp")
        .arg(ours.join("large.bin"))
        .arg(object)
        .status();
    assert!(same.unwrap().success());
}

/// What a child of [`measured`] told.
fn peak(told: &str) -> u64 {
    let mut lines = told.lines();
    let peak = lines.find_map(|line| line.split_once("peak memory: "));
    peak.unwrap().1.parse().unwrap()
}

/// One byte more than four GiB: no 32-bit size holds it.
const HUGE: u64 = (4 << 30) + 1;
/// The most memory the library may ever have in use, in bytes.
const MEMORY: u64 = 64 << 20;

#[test]
fn a_file_of_four_gib_and_one_byte() {
    heavy!();
    let w = World::new();
    w.model("alice/m");
    let ours = w.path("ours");
    let job = |job: &str, folder: &Path| {
        let began = Instant::now();
        let arguments = [job, &folder.to_string_lossy()];
        let told = succeed(&w.child("measured", &arguments).output().unwrap());
        let peak = peak(&told);
        eprintln!(
            "{job}: {:.1} s, peak memory {:.1} MiB",
            began.elapsed().as_secs_f64(),
            peak as f64 / 1048576.0
        );
        assert!(peak < MEMORY, "{job} took {} MiB", peak >> 20);
    };
    job("clone", &ours);
    let mut file = File::create(ours.join("huge.bin")).unwrap();
    file.set_len(HUGE).unwrap();
    for at in [0, 3 << 30, HUGE - 1] {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[7]).unwrap();
    }
    drop(file);
    job("stage", &ours);
    job("commit", &ours);
    w.assert_clean(&ours);
    let touched = File::options()
        .append(true)
        .open(ours.join("huge.bin"))
        .unwrap();
    touched
        .set_modified(SystemTime::now() - Duration::from_secs(100))
        .unwrap();
    job("status", &ours);
    w.assert_clean(&ours);
    job("push", &ours);
    // Room for the copies to come.
    fs::remove_dir_all(ours.join(".git/lfs/objects")).unwrap();
    let again = w.path("again");
    job("clone", &again);
    w.assert_clean(&again);
    let same = Command::new("cmp")
        .arg(ours.join("huge.bin"))
        .arg(again.join("huge.bin"))
        .status();
    assert!(same.unwrap().success());
    if crate::support::git_lfs() {
        w.git(&again, &["lfs", "fsck"]);
        assert_eq!(w.git(&again, &["status", "--porcelain"]), "");
    }
}

#[test]
fn a_file_of_exactly_four_gib() {
    heavy!();
    // 32-bit sizes hold 0 for it, which git and libgit2 read differently.
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let file = File::create(repo.workdir().join("even.bin")).unwrap();
    file.set_len(4 << 30).unwrap();
    drop(file);
    repo.track([hf_repository::Pattern::Glob("*.bin".into())])
        .unwrap();
    assert_eq!(repo.stage().unwrap().lfs.len(), 1);
    let _ = repo.commit("even").unwrap();
    for _ in 0..2 {
        w.assert_clean(repo.workdir());
        assert_eq!(repo.stage().unwrap().lfs, []);
    }
}

/// The part of the child: one job, and then the most memory it had in use.
pub(crate) fn measured(job: &str, folder: &Path) {
    if job == "clone" {
        Repository::prepare("alice/m", folder).clone_repo().unwrap();
    } else {
        let repo = Repository::open(folder).unwrap();
        match job {
            "stage" => assert_eq!(repo.stage().unwrap().lfs.len(), 1),
            "commit" => drop(repo.commit("huge").unwrap().commit().unwrap()),
            "status" => assert!(repo.status().unwrap().is_clean()),
            "push" => assert!(repo.push().unwrap().lfs_bytes >= HUGE),
            other => panic!("no job {other}"),
        }
    }
    tell_peak();
}

/// Tells the most memory that this process had, for [`peak`].
pub(crate) fn tell_peak() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let peak: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("\npeak memory: {}", peak << 10);
}

#[test]
fn many_random_histories_are_repaired() {
    needs_git_lfs!();
    heavy!();
    crate::rewriting::random::repair_random_histories(2..=20);
}
