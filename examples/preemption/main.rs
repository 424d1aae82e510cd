//! Training on a machine that may be taken away: SIGTERM (or Ctrl-C) saves once more, pushes what it
//! can in the time there is, and leaves the rest to the next run.
//!
//!     cargo run --release --example preemption -- --dir /tmp/run --slow 5 --grace 2
//!
//! Stop it with Ctrl-C and start it again: it delivers what was left and trains on. Without `--remote`
//! a mini Hub is started on loopback, which keeps its data beside the clone.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

mod training;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use hf_repository::{Endpoint, PushPolicy, Repository, Token, Visibility};
use mini_hub::{Action, Fault, HubConfig, MiniHub, Role, Route};

use training::{End, Notice, Training};

const HELP: &str = "\
Trains, pushes checkpoints in the background, and ends in time when it is told to.

usage: preemption [--dir D] [--grace S] [--steps N] [--every K] [--remote URL --token T | --slow S]

  --dir D       where to clone to; a temporary folder if left out, kept if something is left in it
  --grace S     seconds that the end may take after SIGTERM or SIGINT (10)
  --steps N     training steps (600)
  --every K     steps between two checkpoints (100)
  --remote URL  the repository to push to; without it a mini Hub is started on loopback
  --token T     the token for it; without it HF_TOKEN or the token file
  --slow S      seconds that every upload to the mini Hub takes (0)

It exits with 0 if everything is on the Hub, and with 75 if some of it is left for the next run.";

/// EX_TEMPFAIL of sysexits.h: nothing is wrong, start it again.
const TRY_AGAIN: u8 = 75;

fn main() -> ExitCode {
    match run() {
        Ok(End::Delivered) => ExitCode::SUCCESS,
        Ok(End::Left) => ExitCode::from(TRY_AGAIN),
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<End, Box<dyn Error>> {
    let notice = Notice::listen()?;
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(End::Delivered);
    };
    let scratch = tempfile::tempdir()?;
    let folder = match &options.dir {
        Some(folder) => folder.clone(),
        None => scratch.path().join("clone"),
    };
    let mut hub = None;
    let mut prepared = match &options.remote {
        Some(url) => {
            // The token is for this server, wherever HF_ENDPOINT points.
            let origin: String = url.split_inclusive('/').take(3).collect();
            Repository::prepare(url, &folder).endpoint(origin.trim_end_matches('/').parse()?)
        }
        None => {
            let own = hub.insert(own_hub(&folder, options.slow)?);
            let endpoint: Endpoint = own.url().parse()?;
            Repository::prepare("trainer/preempted", &folder).endpoint(endpoint)
        }
    };
    if let Some(token) = options.token()? {
        prepared = prepared.token(token);
    }
    let repo = prepared
        .create_if_missing(Visibility::Private)
        .push_policy(PushPolicy::Latest)
        .open_or_clone()?;
    let end = options
        .training
        .run(repo, &notice, &mut std::io::stdout())?;
    if end == End::Left && options.dir.is_none() {
        println!("go on with --dir {}", folder.display());
        let _ = scratch.keep();
    }
    Ok(end)
}

/// A mini Hub that keeps its data beside the clone, and its port, which is part of the clone's URL.
fn own_hub(clone: &Path, slow: Duration) -> Result<MiniHub, Box<dyn Error>> {
    let data = clone.with_added_extension("hub");
    fs::create_dir_all(&data)?;
    let note = data.join("port");
    let port = match fs::read_to_string(&note) {
        Ok(port) => port.trim().parse()?,
        Err(_) => 0,
    };
    let hub = MiniHub::start(HubConfig::new(&data).port(port))?;
    let url = hub.url();
    fs::write(&note, url.rsplit(':').next().unwrap_or_default())?;
    hub.add_user("trainer");
    hub.add_token_as("trainer", Role::Write, OWN_TOKEN);
    if !slow.is_zero() {
        let delay = Fault::on(Route::LfsPut).always().act(Action::Delay(slow));
        hub.faults().add(delay);
    }
    eprintln!("a mini Hub listens on {url}");
    Ok(hub)
}

/// For a Hub that only this machine reaches, and that lasts as long as this process.
const OWN_TOKEN: &str = "hf_preemption";

struct Options {
    dir: Option<PathBuf>,
    remote: Option<String>,
    token: Option<String>,
    slow: Duration,
    training: Training,
}

impl Options {
    /// The options given; `None` if help was asked for.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            dir: None,
            remote: None,
            token: None,
            slow: Duration::ZERO,
            training: Training {
                steps: 600,
                every: 100,
                step_time: Duration::from_millis(20),
                checkpoint_bytes: 16 << 20,
                grace: Duration::from_secs(10),
            },
        };
        while let Some(flag) = arguments.next() {
            if flag == "--help" || flag == "-h" {
                return Ok(None);
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{flag} needs a value"))?;
            let training = &mut options.training;
            match flag.as_str() {
                "--dir" => options.dir = Some(value.into()),
                "--remote" => options.remote = Some(value),
                "--token" => options.token = Some(value),
                "--slow" => options.slow = Duration::from_secs(number(&flag, &value)?),
                "--grace" => training.grace = Duration::from_secs(number(&flag, &value)?),
                "--steps" => training.steps = number(&flag, &value)?,
                "--every" => training.every = number::<usize>(&flag, &value)?.max(1),
                _ => return Err(format!("{flag} is not known; try --help")),
            }
        }
        Ok(Some(options))
    }

    fn token(&self) -> hf_repository::Result<Option<Token>> {
        let own = self.remote.is_none().then_some(OWN_TOKEN);
        let token = self.token.as_deref().or(own);
        token.map(str::parse).transpose()
    }
}

fn number<T: FromStr>(flag: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{flag} needs a number, not {text:?}"))
}
