//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use hf_repository::PushPolicy;

pub(crate) const HELP: &str = "\
Trains a small language model, pushes its checkpoints in the background, and checks a fresh clone.

usage: train_loop [--remote URL] [--token T] [--dir D] [--steps N] [--every K] [--checkpoint-mib M]
                  [--policy every|latest] [--deferred]

  --remote URL        the repository to push to; without it a mini Hub is started on loopback
  --token T           the token for it; without it HF_TOKEN or the token file
  --dir D             where to clone to; a temporary folder if left out
  --steps N           training steps (300)
  --every K           steps between two checkpoints (100)
  --checkpoint-mib M  size of a checkpoint in MiB (32)
  --policy P          every: each checkpoint reaches the Hub (the default);
                      latest: one whose push has not begun gives way to the next
  --deferred          save returns before the checkpoint is read; before the next one is written
                      the program waits until it was

It prints how long saving took, and how long a training step with and without a push under way.";

pub(crate) struct Options {
    pub(crate) remote: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) steps: usize,
    pub(crate) every: usize,
    pub(crate) checkpoint_mib: usize,
    pub(crate) policy: PushPolicy,
    pub(crate) timing: Timing,
}

/// When a save reads the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// Before it returns.
    Now,
    /// After it has returned.
    Deferred,
}

impl Options {
    /// The options given; `None` if help was asked for.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Self>, String> {
        let mut options = Self {
            remote: None,
            token: None,
            dir: None,
            steps: 300,
            every: 100,
            checkpoint_mib: 32,
            policy: PushPolicy::EveryCommit,
            timing: Timing::Now,
        };
        while let Some(flag) = arguments.next() {
            if flag == "--help" || flag == "-h" {
                return Ok(None);
            }
            if flag == "--deferred" {
                options.timing = Timing::Deferred;
                continue;
            }
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{flag} needs a value"))
            };
            match flag.as_str() {
                "--remote" => options.remote = Some(value()?),
                "--token" => options.token = Some(value()?),
                "--dir" => options.dir = Some(value()?.into()),
                "--steps" => options.steps = number(&flag, &value()?)?,
                "--every" => options.every = number(&flag, &value()?)?,
                "--checkpoint-mib" => options.checkpoint_mib = number(&flag, &value()?)?,
                "--policy" => options.policy = policy(&value()?)?,
                _ => return Err(format!("{flag} is not known; try --help")),
            }
        }
        Ok(Some(options))
    }
}

fn policy(text: &str) -> Result<PushPolicy, String> {
    match text {
        "every" => Ok(PushPolicy::EveryCommit),
        "latest" => Ok(PushPolicy::Latest),
        _ => Err(format!("--policy is every or latest, not {text:?}")),
    }
}

fn number<T: FromStr + Default + PartialEq>(flag: &str, text: &str) -> Result<T, String> {
    let parsed = text.parse().ok().filter(|number| *number != T::default());
    parsed.ok_or_else(|| format!("{flag} needs a number above 0, not {text:?}"))
}
