//! Trains a small language model and keeps its repository on a Hub in sync.
//!
//!     cargo run --release --example train_loop
//!
//! Without `--remote` a mini Hub is started on loopback, in a temporary folder. Progress goes to
//! stderr; stdout says what saving cost, and in its last line how it went.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

mod checkpoint;
mod figures;
mod model;
mod options;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use hf_repository::{
    Delivery, Endpoint, PrepareRepository, PushHandle, Repository, SaveOptions, Saved, Token,
    Visibility,
};
use mini_hub::{MiniHub, Role};

use figures::Figures;
use model::Model;
use options::{Options, Timing};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is learnt: this example's own source.
const CORPUS: &str = concat!(
    include_str!("main.rs"),
    include_str!("figures.rs"),
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
        .push_policy(options.policy)
        .create_if_missing(Visibility::Private)
        .open_or_clone()?;
    repo.check_write_access()?;
    eprintln!("cloned {} to {}", repo.remote_url(), folder.display());
    let mut figures = Figures::default();
    let pushes = train(&repo, &options, &mut figures)?;
    let began = Instant::now();
    repo.close()?;
    eprintln!(
        "the last pushes took {:.2} s more",
        began.elapsed().as_secs_f64()
    );

    let (mut saved, mut superseded) = (Vec::new(), 0);
    for push in &pushes {
        let commit = push.handle.commit().ok_or("a save committed nothing")?;
        match push.handle.wait()? {
            Delivery::Superseded { .. } => superseded += 1,
            _ => saved.push((commit, push.content)),
        }
    }
    let fresh = remote.prepare(&scratch.path().join("fresh")).clone_repo()?;
    let differing = differences(&folder, fresh.workdir())?;
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
    for line in figures.lines(options.checkpoint_mib) {
        println!("{line}");
    }
    println!("superseded: {superseded} of {} pushes", pushes.len());
    Ok(format!(
        "ok: {} checkpoints saved, {found} on the Hub, fresh clone identical",
        saved.len()
    ))
}

/// A checkpoint on its way to the Hub.
struct Push {
    handle: PushHandle,
    content: u64,
}

impl Push {
    fn is_under_way(&self) -> bool {
        !self.handle.state().is_final()
    }
}

/// Trains, and saves a checkpoint every so often.
fn train(repo: &Repository, options: &Options, figures: &mut Figures) -> Result<Vec<Push>> {
    fs::write(
        repo.workdir().join("README.md"),
        "# A language model of its own trainer\n",
    )?;
    let mut model = Model::new(options.checkpoint_mib << 20);
    let mut pushes: Vec<Push> = Vec::new();
    for step in 1..=options.steps {
        let pushing = pushes.iter().any(Push::is_under_way);
        let began = Instant::now();
        let loss = model.train_step(CORPUS.as_bytes());
        let time = began.elapsed();
        figures.step(time, [pushing, pushes.iter().any(Push::is_under_way)]);
        if step == 1 {
            eprintln!("step     1  loss {loss:.3}");
        }
        if step % options.every != 0 && step != options.steps {
            continue;
        }
        if let Some(last) = pushes.last() {
            // A deferred save may still be reading the file that is written next.
            last.handle.wait_staged()?;
        }
        let content = checkpoint::write(repo.workdir(), &model, step, loss)?;
        let handle = save(repo, options, step, figures)?;
        let what = match handle.commit() {
            Some(commit) => format!("saved as {}", &commit.to_string()[..10]),
            None => "is being saved".to_owned(),
        };
        eprintln!("step {step:>5}  loss {loss:.3}  {what}");
        pushes.push(Push { handle, content });
    }
    Ok(pushes)
}

/// Saves what was written; a push that failed meanwhile ends the run.
fn save(
    repo: &Repository,
    options: &Options,
    step: usize,
    figures: &mut Figures,
) -> Result<PushHandle> {
    let mut how = SaveOptions::new(format!("step {step}"));
    if options.timing == Timing::Deferred {
        how = how.deferred();
    }
    let began = Instant::now();
    let report = repo.save(how)?;
    figures.save(began.elapsed());
    if let Some(failure) = report.failures.into_iter().next() {
        let commit = failure.commit.map(|commit| commit.to_string());
        eprintln!(
            "not pushed: {}",
            commit.as_deref().unwrap_or("a deferred save")
        );
        return Err(failure.error.into());
    }
    match report.saved {
        Saved::Queued { handle, .. } | Saved::Staging { handle } => Ok(handle),
        _ => Err(format!("step {step} changed nothing").into()),
    }
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
