//! Trains a small language model and keeps its repository on a Hub in sync.
//!
//!     cargo run --release --example train_loop
//!
//! Without `--remote` a mini Hub is started on loopback, in a temporary folder. Progress goes to
//! stderr; the last line on stdout says how it went.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

mod checkpoint;
mod model;
mod options;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use hf_repository::{
    CommitId, CommitOutcome, Endpoint, PrepareRepository, Repository, Token, Visibility,
};
use mini_hub::{MiniHub, Role};

use model::Model;
use options::Options;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is learnt: this example's own source.
const CORPUS: &str = concat!(
    include_str!("main.rs"),
    include_str!("model.rs"),
    include_str!("checkpoint.rs"),
    include_str!("options.rs"),
);

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("failed: {}", whole_story(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        return Ok(options::HELP.to_owned());
    };
    let scratch = tempfile::tempdir()?;
    let remote = Remote::new(&options)?;
    let folder = options
        .dir
        .clone()
        .unwrap_or_else(|| scratch.path().join("clone"));

    let repo = remote
        .prepare(&folder)
        .create_if_missing(Visibility::Private)
        .open_or_clone()?;
    repo.check_write_access()?;
    eprintln!("cloned {} to {}", repo.remote_url(), folder.display());
    let saved = train(&repo, &options)?;

    let fresh = remote.prepare(&scratch.path().join("fresh")).clone_repo()?;
    let differing = differences(repo.workdir(), fresh.workdir())?;
    if !differing.is_empty() {
        return Err(format!("the fresh clone differs: {}", differing.join(", ")).into());
    }
    let mut found = 0;
    for (commit, content) in &saved {
        fresh.checkout(commit.to_string())?;
        found += usize::from(checkpoint::digest(fresh.workdir())? == *content);
    }
    if found < saved.len() {
        return Err(format!("{} checkpoints saved, only {found} on the Hub", saved.len()).into());
    }
    Ok(format!(
        "ok: {} checkpoints saved, {found} on the Hub, fresh clone identical",
        saved.len()
    ))
}

/// Trains, and pushes a checkpoint every so often; tells which commit holds which content.
fn train(repo: &Repository, options: &Options) -> Result<Vec<(CommitId, u64)>> {
    fs::write(
        repo.workdir().join("README.md"),
        "# A language model of its own trainer\n",
    )?;
    let mut model = Model::new(options.checkpoint_mib << 20);
    let mut saved = Vec::new();
    for step in 1..=options.steps {
        let loss = model.train_step(CORPUS.as_bytes());
        if step == 1 {
            eprintln!("step     1  loss {loss:.3}");
        }
        if step % options.every != 0 && step != options.steps {
            continue;
        }
        let began = Instant::now();
        let content = checkpoint::write(repo.workdir(), &model, step, loss)?;
        repo.stage()?;
        let CommitOutcome::Committed(commit) = repo.commit(format!("step {step}"))? else {
            return Err(format!("step {step} changed nothing").into());
        };
        let pushed = repo.push()?;
        eprintln!(
            "step {step:>5}  loss {loss:.3}  pushed {} ({} MiB) in {:.2} s",
            &commit.to_string()[..10],
            pushed.lfs_bytes >> 20,
            began.elapsed().as_secs_f64(),
        );
        saved.push((commit, content));
    }
    Ok(saved)
}

/// The server to push to: one that is given, or one of our own.
struct Remote {
    source: String,
    endpoint: Option<Endpoint>,
    token: Option<Token>,
    _hub: Option<MiniHub>,
}

impl Remote {
    fn new(options: &Options) -> Result<Self> {
        let token = options.token.as_deref().map(str::parse).transpose()?;
        if let Some(url) = &options.remote {
            // The token is for this server, wherever HF_ENDPOINT points.
            let origin: String = url.split_inclusive('/').take(3).collect();
            let is_url = url.contains("://");
            return Ok(Self {
                source: url.clone(),
                endpoint: is_url
                    .then(|| origin.trim_end_matches('/').parse())
                    .transpose()?,
                token,
                _hub: None,
            });
        }
        let hub = MiniHub::temporary()?;
        hub.add_user("trainer");
        let own = hub.add_token("trainer", Role::Write);
        eprintln!("a mini Hub listens on {}", hub.url());
        Ok(Self {
            source: "trainer/language-model".to_owned(),
            endpoint: Some(hub.url().parse()?),
            token: Some(own.parse()?),
            _hub: Some(hub),
        })
    }

    fn prepare(&self, folder: &Path) -> PrepareRepository {
        let mut prepared = Repository::prepare(&self.source, folder);
        if let Some(endpoint) = &self.endpoint {
            prepared = prepared.endpoint(endpoint.clone());
        }
        if let Some(token) = &self.token {
            prepared = prepared.token(token.clone());
        }
        prepared
    }
}

/// Files that are not the same in both folders.
fn differences(one: &Path, other: &Path) -> Result<Vec<String>> {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    list(one, one, &mut left)?;
    list(other, other, &mut right)?;
    let mut names: Vec<&PathBuf> = left.keys().chain(right.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&PathBuf| left.get(*name) != right.get(*name);
    Ok(names
        .into_iter()
        .filter(differs)
        .map(|name| name.display().to_string())
        .collect())
}

/// Every file below a folder and a digest of its content, git's own folder left out.
fn list(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, u64>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != ".git") {
                list(root, &path, found)?;
            }
        } else {
            found.insert(
                path.strip_prefix(root)?.to_path_buf(),
                checkpoint::file_digest(&path)?,
            );
        }
    }
    Ok(())
}

/// An error with its causes, what to do about it, and the server's words.
fn whole_story(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    if let Some(error) = error.downcast_ref::<hf_repository::Error>() {
        let notes = [error.hint(), error.server_message()];
        for note in notes.into_iter().flatten() {
            text += &format!("; {}", note.trim());
        }
        for offence in error.offences() {
            text += &format!("; {offence}");
        }
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
