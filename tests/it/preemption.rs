//! A training run that is told to end by a signal: the preemption example's own loop, in a child.

use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hf_repository::{CommitId, Keeper, PushPolicy, Repository};
use mini_hub::{Action, Fault, Route};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::World;
use crate::support::saving::tip;

#[path = "../../examples/preemption/training.rs"]
mod training;

use training::{End, Notice, Training};

/// What the process exits with when commits are left.
const TRY_AGAIN: i32 = 75;

/// The child: trains in `folder` up to so many steps, or until it is told to end.
pub(crate) fn train(folder: &str, steps: usize, grace: Duration) {
    let notice = Notice::listen().unwrap();
    let repo = Repository::prepare("alice/m", folder)
        .push_policy(PushPolicy::Latest)
        .open_or_clone()
        .unwrap();
    let training = Training {
        steps,
        every: 20,
        step_time: Duration::from_millis(5),
        checkpoint_bytes: 60_000,
        grace,
    };
    let end = training.run(repo, &notice, &mut std::io::stdout()).unwrap();
    std::process::exit(if end == End::Left { TRY_AGAIN } else { 0 });
}

/// A run under way, and what it has printed.
struct Run {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    told: Vec<String>,
}

impl Run {
    fn start(w: &World, steps: usize, grace: Duration) -> Self {
        let folder = w.path("ours");
        let mut command = w.child(
            "train",
            &[
                folder.to_str().unwrap(),
                &steps.to_string(),
                &grace.as_secs().to_string(),
            ],
        );
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            told: Vec::new(),
        }
    }

    /// Reads on until a line has these words in it.
    #[track_caller]
    fn until(&mut self, words: &str) {
        for line in self.lines.by_ref() {
            self.told.push(line.unwrap());
            if self.told.last().unwrap().contains(words) {
                return;
            }
        }
        panic!("it ended without {words:?}: {:#?}", self.told);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads the rest; how it ended.
    fn end(&mut self) -> ExitStatus {
        self.told
            .extend(self.lines.by_ref().map(|line| line.unwrap()));
        self.child.wait().unwrap()
    }

    /// The commits of the lines that begin with a word.
    fn commits(&self, word: &str) -> Vec<CommitId> {
        let rest = self.told.iter().filter_map(|line| line.strip_prefix(word));
        rest.filter_map(|id| id.trim().parse().ok()).collect()
    }

    fn last_saved(&self) -> CommitId {
        let saved = |line: &String| {
            let (_, id) = line.strip_prefix("saved step ")?.split_once(" as ")?;
            id.parse().ok()
        };
        self.told.iter().rev().find_map(saved).unwrap()
    }
}

/// The tests must not leave a process behind that trains for ever.
impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_run_that_is_told_to_end_leaves_in_time_and_the_next_delivers_the_rest() {
    let w = World::new();
    w.model("alice/m");
    let slow = Action::Delay(Duration::from_secs(60));
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).always().act(slow));
    let grace = Duration::from_secs(2);
    let mut run = Run::start(&w, usize::MAX, grace);
    run.until("saved step 60");
    let began = Instant::now();
    run.signal(Signal::TERM);
    let status = run.end();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(TRY_AGAIN), "{:#?}", run.told);
    assert!(took < grace + Duration::from_secs(4), "{took:?}");
    let last = run.last_saved();
    let mut left = run.commits("left ");
    assert!(left.contains(&last), "{:#?}", run.told);
    assert!(run.commits("pushed ").is_empty());

    let repo = w.prepare("alice/m", "ours").open().unwrap();
    assert_eq!(repo.head().unwrap(), Some(last));
    let pending = repo.pending_pushes().unwrap();
    assert!(pending.iter().all(|push| push.keeper == Keeper::Nobody));
    let mut promised: Vec<CommitId> = pending.iter().filter_map(|push| push.commit).collect();
    promised.sort();
    left.sort();
    assert_eq!(promised, left);
    drop(repo);

    w.hub.faults().clear();
    let mut run = Run::start(&w, 0, Duration::from_secs(60));
    assert_eq!(run.end().code(), Some(0), "{:#?}", run.told);
    let told = format!("{} left by earlier runs", left.len());
    assert!(run.told.iter().any(|line| line.ends_with(&told)));
    let mut pushed = run.commits("pushed ");
    pushed.sort();
    assert_eq!(pushed, left);
    assert_eq!(tip(&w), last);
    w.assert_sound(&w.path("ours"));
}

#[test]
fn with_time_enough_everything_arrives() {
    let w = World::new();
    w.model("alice/m");
    let mut run = Run::start(&w, usize::MAX, Duration::from_secs(60));
    run.until("saved step 40");
    run.signal(Signal::INT);
    assert_eq!(run.end().code(), Some(0), "{:#?}", run.told);
    assert!(run.commits("left ").is_empty());
    assert_eq!(tip(&w), run.last_saved());
    w.assert_sound(&w.path("ours"));
}
