//! `kill -9` of saves and pushes, at every step and at any moment: no promise is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use hf_repository::{CommitId, PushPolicy, Repository, SaveOptions, Saved};
use mini_hub::{Action, Fault, Route};

use crate::steps::{self, line};
use crate::support::{World, weights, write};

/// Every step a save and its push say they have completed, and the state they are in then.
const STEPS: [(&str, &str); 15] = [
    ("locked", "saving"),
    ("staged", "saving"),
    ("committed", "saving"),
    ("protected", "saving"),
    ("promised", "promised"),
    ("moved", "queued"),
    ("begun", "preflight"),
    ("examined", "uploading"),
    ("uploaded", "verifying"),
    ("verified", "pushing"),
    ("accepted", "pushed"),
    ("closed", "done"),
    ("released", "done"),
    ("pruned", "done"),
    ("followed", "saving"),
];

/// The states that killing must have hit.
const STATES: [&str; 8] = [
    "saving",
    "promised",
    "queued",
    "preflight",
    "uploading",
    "verifying",
    "pushing",
    "pushed",
];

/// How a child saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    EveryCommit,
    Latest,
    Deferred,
}

/// Saves checkpoints, one after the other, and says what it was promised. `from` is the first
/// checkpoint's number.
pub(crate) fn child(folder: &str, mode: &str, from: u64, count: u64, fatal: &str, nth: usize) {
    steps::say((!fatal.is_empty()).then_some((fatal, nth)));
    let policy = if mode == "Latest" {
        PushPolicy::Latest
    } else {
        PushPolicy::EveryCommit
    };
    let source = std::env::var("HF_CHILD_SOURCE").unwrap();
    let repo = Repository::prepare(source, folder)
        .push_policy(policy)
        .open()
        .unwrap();
    let mut deferred = None;
    for seed in from..from + count {
        write(Path::new(folder), "model.bin", weights(seed, 50_000));
        write(Path::new(folder), "state.txt", format!("{seed}\n"));
        let mut options = SaveOptions::new(format!("step {seed}"));
        if mode == "Deferred" {
            options = options.deferred();
        }
        let report = repo.save(options).unwrap();
        let handle = match report.saved {
            Saved::Queued { commit, handle } => {
                line(&format!("promised {commit} {seed}"));
                handle
            }
            Saved::Staging { handle } => {
                let commit = handle.wait_staged().unwrap().unwrap();
                line(&format!("promised {commit} {seed}"));
                handle
            }
            other => panic!("{other:?}"),
        };
        // Some are waited for, so that every step comes in good time.
        if seed % 2 == 0 {
            handle.wait().unwrap();
        }
        deferred = Some(handle);
    }
    drop(deferred);
    repo.close().unwrap();
    line("closed");
}

/// A clone that children save into.
struct Victim<'a> {
    w: &'a World,
    folder: PathBuf,
    mode: Mode,
    promised: Vec<(CommitId, u64)>,
    kills: BTreeMap<&'static str, usize>,
    next: u64,
}

impl<'a> Victim<'a> {
    fn new(w: &'a World, mode: Mode, name: &str) -> Self {
        w.prepare("alice/m", name).clone_repo().unwrap();
        Self {
            w,
            folder: w.path(name),
            mode,
            promised: Vec::new(),
            kills: BTreeMap::new(),
            next: 1,
        }
    }

    fn spawn(&mut self, fatal: &str, nth: usize) -> Child {
        let (folder, mode) = (self.folder.to_string_lossy(), format!("{:?}", self.mode));
        let (from, nth) = (self.next.to_string(), nth.to_string());
        self.next += COUNT;
        self.w
            .child(
                "crash",
                &[&folder, &mode, &from, &COUNT.to_string(), fatal, &nth],
            )
            .env("HF_CHILD_SOURCE", "alice/m")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Reads what the child says to its end; whether it was killed.
    fn listen(&mut self, child: &mut Child) -> bool {
        let mut last = "saving";
        for text in BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
        {
            let mut words = text.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("promised"), Some(commit), Some(seed)) => {
                    self.promised
                        .push((commit.parse().unwrap(), seed.parse().unwrap()));
                }
                (Some("step"), Some(step), None) => {
                    last = STEPS.iter().find(|(name, _)| *name == step).unwrap().1;
                }
                _ => {}
            }
        }
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(9), "{status}");
        let killed = status.signal() == Some(9);
        if killed {
            *self.kills.entry(last).or_default() += 1;
        }
        killed
    }

    /// Reopens, flushes, and finds everything promised on the server.
    #[track_caller]
    fn assert_kept(&self) {
        let w = self.w;
        let repo = w
            .prepare(
                "alice/m",
                &self.folder.file_name().unwrap().to_string_lossy(),
            )
            .open()
            .unwrap();
        // What was being written when the process ended is on the disk as well.
        let _ = repo.save("what was left").unwrap();
        repo.close().unwrap();
        let log = w.git(w.bare("alice/m"), &["rev-list", "main"]);
        let arrived: BTreeSet<&str> = log.lines().collect();
        for (commit, seed) in &self.promised {
            let there = arrived.contains(commit.to_string().as_str());
            match self.mode {
                // A newer one may have taken its place.
                Mode::Latest if !there => {
                    let state = w.git(w.bare("alice/m"), &["show", "main:state.txt"]);
                    assert!(
                        state.parse::<u64>().unwrap() > *seed,
                        "{commit} {seed}: {state}"
                    );
                }
                _ => assert!(there, "{commit} ({seed}) was promised and is lost"),
            }
        }
        w.assert_sound(&self.folder);
        let git_dir = self.folder.join(".git");
        let locks: Vec<PathBuf> = all_files(&git_dir)
            .into_iter()
            .filter(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "lock")
            })
            .collect();
        assert!(locks.is_empty(), "{locks:?}");
        assert!(
            w.git(&self.folder, &["for-each-ref", "refs/hf-repository"])
                .is_empty()
        );
        let mut left = all_files(&git_dir.join("hf-repository/journal"));
        // What was half written is no entry; it goes when it is old.
        left.retain(|file| !file.to_string_lossy().contains("/.hf-repository-"));
        assert!(left.is_empty(), "{left:?}");
        w.git(w.bare("alice/m"), &["fsck", "--strict", "--no-dangling"]);
    }
}

/// Checkpoints a child saves.
const COUNT: u64 = 4;

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(next) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

/// No object is sent again once it has arrived.
#[track_caller]
fn assert_sent_once(w: &World) {
    let mut seen = BTreeSet::new();
    for request in w.hub.requests() {
        if request.route == Route::LfsPut && request.status == 200 {
            let object = request.object.unwrap();
            assert!(seen.insert(object.clone()), "{object} was sent twice");
        }
    }
    assert!(!seen.is_empty());
}

#[test]
fn killed_at_every_step_no_promise_is_lost() {
    for mode in [Mode::EveryCommit, Mode::Latest, Mode::Deferred] {
        let w = World::new();
        w.model("alice/m");
        let mut victim = Victim::new(&w, mode, "ours");
        for (step, _) in STEPS {
            // Nobody else pushes here, so nothing is followed.
            if step == "followed" {
                continue;
            }
            // A deferred save protects and promises in one step of its own.
            if mode == Mode::Deferred && step == "protected" {
                continue;
            }
            let moments: &[usize] = match mode {
                Mode::EveryCommit => &[1, 3],
                Mode::Latest | Mode::Deferred => &[2],
            };
            for &nth in moments {
                let mut child = victim.spawn(step, nth);
                assert!(
                    victim.listen(&mut child),
                    "{mode:?}: {step} is never reached"
                );
                victim.assert_kept();
            }
        }
        for state in STATES {
            assert!(
                victim.kills.contains_key(state),
                "{mode:?}: {:?}",
                victim.kills
            );
        }
        assert_sent_once(&w);
        println!("{mode:?}: {:?}", victim.kills);
    }
}

#[test]
fn killed_while_following_the_next_save_goes_on() {
    let w = World::new();
    w.model("alice/m");
    let mut victim = Victim::new(&w, Mode::EveryCommit, "ours");
    let other = w.clone("alice/m", "other");
    write(other.workdir(), "theirs.txt", "theirs\n");
    write(other.workdir(), "theirs.bin", weights(77, 30_000));
    other.stage().unwrap();
    let _ = other.commit("theirs").unwrap();
    other.push().unwrap();
    let mut child = victim.spawn("followed", 1);
    assert!(victim.listen(&mut child));
    victim.assert_kept();
    let theirs = w.git(w.bare("alice/m"), &["show", "main:theirs.txt"]);
    assert_eq!(theirs, "theirs");
}

#[test]
fn killed_at_any_moment_no_promise_is_lost() {
    let wanted = std::env::var("HF_REPOSITORY_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok());
    let wanted: usize = wanted.unwrap_or(20);
    let w = World::new();
    w.model("alice/m");
    // Time for the killer in every state.
    for route in [
        Route::InfoRefsReceive,
        Route::LfsBatch,
        Route::LfsPut,
        Route::ReceivePack,
    ] {
        let delay = Action::Delay(Duration::from_millis(15));
        w.hub.faults().add(Fault::on(route).always().act(delay));
    }
    let mut victim = Victim::new(&w, Mode::EveryCommit, "ours");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut total = 0;
    for round in 0.. {
        if total == wanted {
            break;
        }
        assert!(
            round < 4 * wanted + 20,
            "the children are too quick to be killed"
        );
        victim.mode = if round % 2 == 0 {
            Mode::EveryCommit
        } else {
            Mode::Deferred
        };
        let mut child = victim.spawn("", 0);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let deadline = Instant::now() + Duration::from_millis(40 + random % 900);
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        total += usize::from(victim.listen(&mut child));
        // Not each time: promises of several deaths are kept together, too.
        if random.is_multiple_of(3) {
            victim.assert_kept();
        }
    }
    victim.assert_kept();
    assert_sent_once(&w);
    println!("kills per state: {:?}", victim.kills);
    println!("kills {total} promised {} lost 0", victim.promised.len());
}
