//! Training that can be told to end: SIGTERM and SIGINT save once more and leave in time.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hf_repository::{ErrorKind, PushHandle, Repository, Saved};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Set when the process has been asked to end.
#[derive(Clone)]
pub(crate) struct Notice(Arc<AtomicBool>);

impl Notice {
    /// Listens from now on; before the clone is opened, so that no signal is missed.
    ///
    /// The handler only sets a flag: nothing else is safe in one. A second signal ends the process at
    /// once, which loses no commit either: the journal has them.
    pub(crate) fn listen() -> io::Result<Self> {
        let given = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&given))?;
            flag::register(signal, Arc::clone(&given))?;
        }
        Ok(Self(given))
    }

    pub(crate) fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What to train.
pub(crate) struct Training {
    pub(crate) steps: usize,
    /// Steps between two checkpoints.
    pub(crate) every: usize,
    pub(crate) step_time: Duration,
    pub(crate) checkpoint_bytes: usize,
    /// How long the end may take, the last save included.
    pub(crate) grace: Duration,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything is on the Hub.
    Delivered,
    /// Commits are left in the journal, for the next run.
    Left,
}

impl Training {
    /// Trains on from the last checkpoint, and tells `out` what becomes of its pushes.
    ///
    /// The repository should be opened with `PushPolicy::Latest`. Under `EveryCommit` a `save` waits
    /// when sixteen pushes do, and the last one has no time for that.
    pub(crate) fn run(
        &self,
        repo: Repository,
        notice: &Notice,
        out: &mut impl Write,
    ) -> Result<End> {
        let left = repo.resume_pushes()?;
        writeln!(out, "{left} left by earlier runs")?;
        let mut step = last_step(repo.workdir())?;
        let mut last: Option<PushHandle> = None;
        writeln!(out, "training from step {step}")?;
        out.flush()?;
        while step < self.steps && !notice.is_given() {
            thread::sleep(self.step_time); // stands for the training
            step += 1;
            if step % self.every == 0 || step == self.steps {
                last = self.save(&repo, step, out)?.or(last);
            }
        }
        // Pushes end in their order: after the last one nothing is under way.
        while last.as_ref().is_some_and(|push| push.try_wait().is_none()) && !notice.is_given() {
            thread::sleep(Duration::from_millis(20));
        }
        let began = Instant::now();
        if notice.is_given() {
            writeln!(out, "asked to end at step {step}")?;
            if step < self.steps {
                self.save(&repo, step, out)?;
            }
        }
        match repo.close_within(self.grace.saturating_sub(began.elapsed())) {
            Ok(report) => {
                tell(out, "pushed", &report.pushed)?;
                Ok(End::Delivered)
            }
            Err(error) if error.kind() == ErrorKind::Unpushed => {
                tell(out, "pushed", error.pushed())?;
                tell(out, "left", error.unpushed())?;
                Ok(End::Left)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a checkpoint and saves it; its push, unless nothing is new.
    fn save(
        &self,
        repo: &Repository,
        step: usize,
        out: &mut impl Write,
    ) -> Result<Option<PushHandle>> {
        fs::write(repo.workdir().join(STATE), format!("{step}\n"))?;
        let weights = noise(step as u64, self.checkpoint_bytes);
        fs::write(repo.workdir().join("model.bin"), weights)?;
        let report = repo.save(format!("step {step}"))?;
        for failure in &report.failures {
            // No reason to stop training: the commit is safe, and a later push takes it along.
            writeln!(out, "not pushed yet: {}", failure.error)?;
        }
        match report.saved {
            Saved::Queued { commit, handle } => {
                writeln!(out, "saved step {step} as {commit}")?;
                out.flush()?;
                Ok(Some(handle))
            }
            _ => Ok(None),
        }
    }
}

/// Where the last step is kept, beside the weights and in the same commit.
const STATE: &str = "step.txt";

fn last_step(folder: &Path) -> Result<usize> {
    match fs::read_to_string(folder.join(STATE)) {
        Ok(text) => Ok(text.trim().parse()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn tell(out: &mut impl Write, what: &str, commits: &[hf_repository::CommitId]) -> io::Result<()> {
    for commit in commits {
        writeln!(out, "{what} {commit}")?;
    }
    writeln!(out, "{} {what}", commits.len())?;
    out.flush()
}

/// Bytes that look like weights, other ones for each seed.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}
