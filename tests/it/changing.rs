//! Staging while others write, replace and delete files of the work tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hf_repository::{
    AutoTrack, ErrorKind, FileState, LfsEngine, OnChanging, Pattern, Repository, Skipped,
    StageOptions, StageReport,
};
use sha2::{Digest, Sha256};

use crate::support::{World, needs_git_lfs, path, weights, write};

/// How often each mode is tried while the writers are at it; half as often for each kind of log.
const RUNS: usize = 50;
/// The two logs of [`logs`].
const LOG: &str = "train.log";
const LFS_LOG: &str = "metrics.jsonl";
/// Between two writes: short against any look at a file, long enough to keep logs small.
const PAUSE: Duration = Duration::from_micros(20);

/// Runs `work` beside threads that do their jobs again and again, counting.
fn beside<T>(jobs: &[&(dyn Fn(usize) + Sync)], work: impl FnOnce() -> T) -> T {
    /// Stops the threads even if the work panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for job in jobs {
            let stop = &stop;
            scope.spawn(move || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    job(count);
                    count += 1;
                }
            });
        }
        let _stop = Stop(&stop);
        work()
    })
}

/// The line of that number in every log.
fn line(number: usize) -> String {
    format!("{number:010}\n")
}

/// Appends numbered lines to a file, for ever.
fn appender(file: &Path) -> impl Fn(usize) + Sync + use<> {
    let open = File::options().append(true).create(true).open(file);
    let open = open.unwrap();
    move |number| {
        (&open).write_all(line(number).as_bytes()).unwrap();
        std::thread::sleep(PAUSE);
    }
}

/// Whether the bytes are what an appender had written at some moment.
#[track_caller]
fn assert_prefix(bytes: &[u8], what: &str) {
    let lines = bytes.len() / line(0).len() + 1;
    let stream: String = (0..lines).map(line).collect();
    assert!(
        stream.as_bytes().starts_with(bytes),
        "{what} is torn: {:?}",
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(200)..])
    );
}

fn blob(w: &World, folder: &Path, name: &str) -> Vec<u8> {
    let output = w.try_git(folder, &["cat-file", "blob", &format!(":{name}")]);
    assert!(output.status.success(), "{name} is not staged");
    output.stdout
}

/// The content of a staged LFS file, which must hash to its name.
#[track_caller]
fn object(w: &World, folder: &Path, name: &str) -> Vec<u8> {
    let pointer = String::from_utf8(blob(w, folder, name)).unwrap();
    if pointer.is_empty() {
        // The empty file is its own pointer.
        return Vec::new();
    }
    let word = |start: &str| {
        let line = pointer.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no pointer: {pointer}"))
    };
    let oid = word("oid sha256:");
    let stored = folder
        .join(".git/lfs/objects")
        .join(&oid[..2])
        .join(&oid[2..4])
        .join(oid);
    let bytes = fs::read(stored).unwrap();
    assert_eq!(hex(&Sha256::digest(&bytes)), oid, "{name}");
    assert_eq!(bytes.len().to_string(), word("size "), "{name}");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A clone with a plain log, a log that belongs to LFS, and both committed.
fn logs(w: &World) -> Repository {
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "train.log", "");
    write(repo.workdir(), "metrics.jsonl", "");
    repo.track([Pattern::Glob("*.jsonl".into())]).unwrap();
    commit(&repo);
    repo
}

fn commit(repo: &Repository) {
    repo.stage().unwrap();
    let _ = repo.commit("all").unwrap();
}

fn on(changing: OnChanging) -> StageOptions {
    StageOptions::default().on_changing(changing)
}

fn changing(report: &StageReport) -> BTreeSet<&str> {
    let skipped = report.skipped.iter();
    let changing = skipped.filter(|(_, why)| *why == Skipped::Changing);
    changing.map(|(name, _)| name.as_str()).collect()
}

/// The entry of a path, as git lists it.
fn entry(w: &World, folder: &Path, name: &str) -> String {
    w.git(folder, &["ls-files", "-s", name])
}

/// What is staged of a log.
#[track_caller]
fn assert_log(w: &World, folder: &Path, name: &str) -> usize {
    let bytes = match name {
        LFS_LOG => object(w, folder, name),
        _ => blob(w, folder, name),
    };
    assert_prefix(&bytes, name);
    bytes.len()
}

#[test]
fn retry_leaves_a_busy_plain_log_and_takes_the_others() {
    retry(LOG);
}

#[test]
fn retry_leaves_a_busy_lfs_log_and_takes_the_others() {
    retry(LFS_LOG);
}

fn retry(log: &str) {
    let w = World::new();
    let repo = logs(&w);
    let folder = repo.workdir();
    let append = appender(&folder.join(log));
    let mut skipped = 0;
    beside(&[&append], || {
        for run in 0..RUNS / 2 {
            write(folder, "calm.txt", format!("{run}\n"));
            write(folder, "calm.safetensors", weights(run as u64, 2000));
            let before = entry(&w, folder, log);
            let report = repo.stage().unwrap();
            assert!(report.plain.contains(&path("calm.txt")), "{report:?}");
            assert!(report.lfs.contains(&path("calm.safetensors")), "{report:?}");
            if changing(&report).contains(log) {
                skipped += 1;
                assert_eq!(entry(&w, folder, log), before);
            } else {
                assert_log(&w, folder, log);
            }
            if run % 10 == 9 {
                assert!(repo.commit("step").unwrap().commit().is_some());
            }
        }
    });
    // The appender may be kept from running at times.
    assert!(skipped > RUNS / 8, "only {skipped} times busy");
    commit(&repo);
    let whole = fs::metadata(folder.join(log)).unwrap().len();
    assert_eq!(assert_log(&w, folder, log) as u64, whole);
    w.assert_sound(folder);
}

#[test]
fn fail_names_a_busy_plain_log_and_stages_nothing() {
    fail(LOG);
}

#[test]
fn fail_names_a_busy_lfs_log_and_stages_nothing() {
    fail(LFS_LOG);
}

fn fail(log: &str) {
    let w = World::new();
    let repo = logs(&w);
    let folder = repo.workdir();
    let append = appender(&folder.join(log));
    let mut failures = 0;
    beside(&[&append], || {
        let mut before = w.git(folder, &["ls-files", "-s"]);
        for run in 0..RUNS / 2 {
            write(folder, "calm.txt", format!("{run}\n"));
            // Would bring a rule with it.
            write(folder, &format!("new{run}.x{run}"), b"\0");
            let rules = fs::read(folder.join(".gitattributes")).unwrap();
            let result = repo.stage_with(&on(OnChanging::Fail));
            let after = w.git(folder, &["ls-files", "-s"]);
            match result {
                Ok(report) => assert_eq!(changing(&report), BTreeSet::new()),
                Err(error) => {
                    failures += 1;
                    assert_eq!(error.kind(), ErrorKind::FileChanged);
                    assert!(error.is_retryable() && error.hint().is_some());
                    let named: Vec<&str> =
                        error.offences().iter().map(|o| o.path.as_str()).collect();
                    assert_eq!(named, [log], "{error}");
                    assert_eq!(after, before);
                    assert_eq!(fs::read(folder.join(".gitattributes")).unwrap(), rules);
                }
            }
            before = after;
        }
    });
    assert!(failures > RUNS / 8, "only {failures} times busy");
    let report = repo.stage_with(&on(OnChanging::Fail)).unwrap();
    assert!(report.plain.contains(&path("calm.txt")));
    let _ = repo.commit("all").unwrap();
    assert_log(&w, folder, log);
    w.assert_sound(folder);
}

#[test]
fn snapshot_takes_what_was_there_at_the_first_look() {
    let w = World::new();
    let repo = logs(&w);
    snapshots(&w, &repo, RUNS);
}

#[test]
fn snapshot_with_git_lfs() {
    needs_git_lfs!();
    let w = World::new();
    drop(logs(&w));
    let repo = w.prepare("alice/m", "ours").lfs_engine(LfsEngine::GitLfs);
    snapshots(&w, &repo.open().unwrap(), 5);
}

fn snapshots(w: &World, repo: &Repository, runs: usize) {
    let folder = repo.workdir();
    let (plain, lfs) = (
        appender(&folder.join("train.log")),
        appender(&folder.join("metrics.jsonl")),
    );
    let mut sizes = (0, 0);
    let mut missed = 0;
    beside(&[&plain, &lfs], || {
        for run in 0..runs {
            if run == 1 {
                // So many that they go into a pack.
                for number in 0..250 {
                    write(folder, &format!("many/{number}.txt"), line(number));
                }
            }
            let report = repo.stage_with(&on(OnChanging::Snapshot)).unwrap();
            // A writer that is stopped between two halves of one write may look like another.
            missed += changing(&report).len();
            let before = sizes;
            sizes = (assert_log(w, folder, LOG), assert_log(w, folder, LFS_LOG));
            assert!(sizes.0 >= before.0 && sizes.1 >= before.1, "{sizes:?}");
            let _ = repo.commit("step").unwrap();
        }
        assert!(sizes.0 > 0 && sizes.1 > 0, "{sizes:?}");
        assert!(
            missed <= runs / 5,
            "{missed} of {runs} runs took no snapshot"
        );
        // What came since is a change like any other.
        let grown = |name: &str, size: usize| {
            while fs::metadata(folder.join(name)).unwrap().len() <= size as u64 {}
        };
        grown("train.log", sizes.0);
        grown("metrics.jsonl", sizes.1);
        let status = repo.status().unwrap();
        for name in ["train.log", "metrics.jsonl"] {
            let entry = status.entries.iter().find(|e| e.path == path(name));
            let state = entry.and_then(|entry| entry.worktree);
            assert_eq!(state, Some(FileState::Modified), "{name}");
        }
        let told = w.git(
            folder,
            &["-c", "filter.lfs.clean=cat", "diff-files", "--name-only"],
        );
        assert_eq!(told, "metrics.jsonl\ntrain.log");
    });
    commit(repo);
    w.assert_sound(folder);
}

#[test]
fn a_snapshot_of_a_text_file_has_its_line_ends_converted() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    write(folder, ".gitattributes", "*.log text\n");
    let open = File::create(folder.join("dos.log")).unwrap();
    let dos = |number: usize| {
        let text = line(number).replace('\n', "\r\n");
        (&open).write_all(text.as_bytes()).unwrap();
        std::thread::sleep(PAUSE);
    };
    beside(&[&dos], || {
        for _ in 0..RUNS / 5 {
            repo.stage_with(&on(OnChanging::Snapshot)).unwrap();
            let staged = blob(&w, folder, "dos.log");
            // The first look may fall between the halves of a line end.
            let staged = staged.strip_suffix(b"\r").unwrap_or(&staged);
            assert_prefix(staged, "dos.log");
        }
    });
    commit(&repo);
    w.assert_clean(folder);
}

#[test]
fn files_that_are_written_over_are_never_mixed_up() {
    let w = World::new();
    let repo = logs(&w);
    let folder = repo.workdir();
    write(folder, "state.safetensors", weights(0, 300_000));
    let state = |number: usize| format!("state{}.json", number % 20);
    for number in 0..20 {
        write(folder, &state(number), "0".repeat(50_000));
    }
    write(folder, "grid.txt", "0".repeat(50_000));
    commit(&repo);
    let grid = File::options().write(true).open(folder.join("grid.txt"));
    let grid = grid.unwrap();
    let open = File::options()
        .write(true)
        .open(folder.join("state.safetensors"));
    let open = open.unwrap();
    let versions = [weights(1, 300_000), weights(2, 300_000)];
    // In place and of one size, as by a framework that maps or reopens its checkpoint.
    let lfs = |count: usize| {
        open.write_all_at(&versions[count % 2], 0).unwrap();
        std::thread::sleep(PAUSE);
    };
    // Emptied and written anew: libgit2's own look at them fails again and again.
    let plain = |count: usize| {
        let digit = (count % 10).to_string();
        fs::write(folder.join(state(count)), digit.repeat(50_000)).unwrap();
        std::thread::sleep(PAUSE);
    };
    // In place: libgit2 notices nothing.
    let quiet = |count: usize| {
        let digit = (count % 10).to_string();
        grid.write_all_at(digit.repeat(50_000).as_bytes(), 0)
            .unwrap();
        std::thread::sleep(PAUSE);
    };
    let mut skipped = 0;
    beside(&[&lfs, &plain, &quiet], || {
        for run in 0..RUNS {
            let mode = match run {
                _ if run >= RUNS / 2 => OnChanging::Snapshot,
                _ if run % 2 == 0 => OnChanging::Retry,
                _ => OnChanging::Fail,
            };
            match repo.stage_with(&on(mode)) {
                Err(error) if mode == OnChanging::Fail => {
                    assert_eq!(error.kind(), ErrorKind::FileChanged);
                }
                result => {
                    let report = result.unwrap();
                    skipped += usize::from(changing(&report).contains("grid.txt"));
                }
            }
            object(&w, folder, "state.safetensors");
            // A snapshot cannot tell a file written anew from one that grew.
            if mode != OnChanging::Snapshot {
                let staged = blob(&w, folder, &state(run));
                assert!(staged.iter().all(|byte| *byte == staged[0]), "a torn blob");
            }
            repo.status().unwrap();
        }
    });
    assert!(skipped > RUNS / 8, "only {skipped} times noticed");
    commit(&repo);
    // As in git, a file written anew with what is staged keeps its old stat in the index.
    w.git(folder, &["update-index", "-q", "--refresh"]);
    w.assert_sound(folder);
}

#[test]
fn files_that_come_and_go_fail_nothing() {
    let w = World::new();
    let repo = logs(&w);
    let folder = repo.workdir();
    let come_and_go = |rank: usize| {
        move |count: usize| {
            let name = |ending: &str| folder.join(format!("rank{rank}/{}.{ending}", count % 3));
            for (ending, content) in [
                ("txt", line(count).into_bytes()),
                ("safetensors", weights(count as u64, 3000)),
                ("tmp", weights(count as u64, 50)),
            ] {
                fs::create_dir_all(folder.join(format!("rank{rank}"))).unwrap();
                fs::write(name(ending), content).unwrap();
            }
            if count % 10 == 9 {
                fs::remove_dir_all(folder.join(format!("rank{rank}"))).unwrap();
            } else {
                fs::remove_file(name("tmp")).unwrap();
                fs::rename(name("txt"), name("log")).unwrap();
            }
            // Long enough for some to be staged.
            std::thread::sleep(400 * PAUSE);
        }
    };
    let (one, two) = (come_and_go(1), come_and_go(2));
    let mut seen = BTreeMap::<&str, usize>::new();
    beside(&[&one, &two], || {
        for run in 0..RUNS / 2 {
            let mode = if run % 2 == 0 {
                OnChanging::Retry
            } else {
                OnChanging::Snapshot
            };
            let report = repo.stage_with(&on(mode)).unwrap();
            *seen.entry("plain").or_default() += report.plain.len();
            *seen.entry("lfs").or_default() += report.lfs.len();
            *seen.entry("removed").or_default() += report.removed.len();
            let _ = repo.commit("step").unwrap();
            repo.status().unwrap();
        }
    });
    assert!(seen.values().all(|count| *count > 0), "{seen:?}");
    commit(&repo);
    w.assert_sound(folder);
}

#[test]
fn a_busy_file_that_outgrows_git_does_not_stop_commits() {
    let w = World::new();
    let repo = logs(&w);
    let folder = repo.workdir();
    let small = |options: StageOptions| options.auto_track(AutoTrack::From { bytes: 1000 });
    write(folder, "train.log", line(0));
    commit(&repo);
    let append = appender(&folder.join("train.log"));
    let append = |number: usize| append(number + 1);
    beside(&[&append], || {
        while fs::metadata(folder.join("train.log")).unwrap().len() < 1000 {}
        for run in 0..5 {
            write(folder, "calm.txt", format!("{run}\n"));
            let report = repo.stage_with(&small(StageOptions::default())).unwrap();
            // No rule without the file: what the index has of it would break that rule.
            let skipped = changing(&report).contains("train.log");
            assert_eq!(report.tracked.is_empty(), skipped, "{report:?}");
            assert!(repo.commit("step").unwrap().commit().is_some());
            if !skipped {
                break;
            }
        }
        let report = repo.stage_with(&small(on(OnChanging::Snapshot))).unwrap();
        assert_eq!(changing(&report), BTreeSet::new());
        assert_prefix(&object(&w, folder, "train.log"), "train.log");
        let _ = repo.commit("snapshot").unwrap();
    });
    commit(&repo);
    w.assert_sound(folder);
}

#[test]
fn what_is_left_out_stays_as_it_is() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    for name in [
        "a.txt",
        "run/one.txt",
        "run/two.txt",
        "runner.txt",
        "run/old.safetensors",
    ] {
        write(folder, name, "one\n");
    }
    commit(&repo);
    let before = w.git(folder, &["ls-files", "-s", "run"]);
    for name in ["a.txt", "run/one.txt", "runner.txt", "run/old.safetensors"] {
        write(folder, name, "two\n");
    }
    fs::remove_file(folder.join("run/two.txt")).unwrap();
    write(folder, "run/new.xyz", b"\0");
    write(folder, "model.pkl", b"\0");
    w.git(folder, &["init", "-q", "run/nested"]);
    write(folder, "run/nested/file", "x");
    let rules = fs::read_to_string(folder.join(".gitattributes")).unwrap();
    let options = StageOptions::default()
        .exclude("./run/")
        .exclude("model.pkl")
        .exclude("no/such.file");
    let report = repo.stage_with(&options).unwrap();
    assert_eq!(report.plain, [path("a.txt"), path("runner.txt")]);
    assert_eq!((report.lfs, report.removed), (vec![], vec![]));
    assert_eq!((report.tracked, report.skipped), (vec![], vec![]));
    assert_eq!(w.git(folder, &["ls-files", "-s", "run"]), before);
    assert_eq!(
        fs::read_to_string(folder.join(".gitattributes")).unwrap(),
        rules
    );
    let _ = repo.commit("part").unwrap();
    let status = repo.status().unwrap();
    let dirty: Vec<&str> = status.entries.iter().map(|e| e.path.as_str()).collect();
    for name in [
        "run/one.txt",
        "run/two.txt",
        "run/old.safetensors",
        "run/new.xyz",
        "model.pkl",
    ] {
        assert!(dirty.contains(&name), "{name}: {dirty:?}");
    }
    // Named, but for a part.
    let options = StageOptions::default().path("run").exclude("run/two.txt");
    let report = repo.stage_with(&options).unwrap();
    assert_eq!(report.removed, []);
    assert!(report.plain.contains(&path("run/one.txt")), "{report:?}");
    // A rule is needed, but may not be written.
    write(folder, "other.qqq", b"\0");
    let options = StageOptions::default().exclude(".gitattributes");
    let error = repo.stage_with(&options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = repo
        .stage_with(&StageOptions::default().exclude("../x"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    fs::remove_dir_all(folder.join("run/nested")).unwrap();
    commit(&repo);
    w.assert_sound(folder);
}

#[test]
fn a_file_that_may_not_be_read_fails_unless_it_is_left_out() {
    use std::os::unix::fs::PermissionsExt;
    let w = World::new();
    let repo = logs(&w);
    let folder = repo.workdir();
    let forbid = |name: &str| {
        let none = fs::Permissions::from_mode(0o000);
        fs::set_permissions(folder.join(name), none).unwrap();
    };
    forbid(LOG);
    if File::open(folder.join(LOG)).is_ok() {
        crate::support::shout("this user may read every file");
        return;
    }
    for name in [LOG, LFS_LOG, "new.txt"] {
        write(folder, "calm.txt", name);
        fs::remove_file(folder.join(name)).unwrap_or_default();
        write(folder, name, "other\n");
        forbid(name);
        let before = w.git(folder, &["ls-files", "-s"]);
        let error = repo.stage().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(w.git(folder, &["ls-files", "-s"]), before);
        let options = StageOptions::default().exclude(name);
        assert_eq!(repo.stage_with(&options).unwrap().plain, [path("calm.txt")]);
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        commit(&repo);
    }
    w.assert_sound(folder);
}
