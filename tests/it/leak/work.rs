//! What the children do, and tell of it.

use std::error::Error as _;
use std::fmt::Debug;
use std::path::Path;

use hf_repository::{LfsEngine, NetworkLimits, PrepareRepository, Progress, Repository, Result};

use super::logbook;
use crate::support::{weights, write};

/// Prints everything that can be learned from a result.
fn tell<T: Debug>(what: &str, result: Result<T>) -> Option<T> {
    let error = match result {
        Ok(value) => {
            println!("{what}: {value:?}");
            return Some(value);
        }
        Err(error) => error,
    };
    println!("{what} failed: {error}\n{error:?}\n{error:#?}");
    println!("{:?} {:?}", error.hint(), error.request_id());
    println!("words: {}", error.server_message().unwrap_or_default());
    let mut source = error.source();
    while let Some(cause) = source {
        println!("because {cause} {cause:?}");
        source = cause.source();
    }
    None
}

fn change(repo: &Repository, content: &[u8]) {
    write(repo.workdir(), "w.bin", content);
    tell("stage", repo.stage());
    tell("commit", repo.commit("change"));
}

/// The part of the child.
pub(crate) fn act(what: &str, source: &str, folder: &Path, engine: &str, log: &Path) {
    logbook::begin(log);
    let engine = match engine {
        "git-lfs" => LfsEngine::GitLfs,
        _ => LfsEngine::Builtin,
    };
    let prepare = |folder: &Path| {
        let prepared: PrepareRepository = Repository::prepare(source, folder)
            .lfs_engine(engine)
            .progress(Progress::new(|event| println!("{event:?}")))
            .network_limits(NetworkLimits::default().retries(0));
        println!("{prepared:?}");
        prepared
    };
    // What, how often, and the seed of the first content.
    let mut words = what.split(' ');
    let what = words.next().unwrap();
    let mut number = || words.next().map_or(1, |word| word.parse::<u64>().unwrap());
    let (times, first) = (number(), number());
    for seed in first..first + times {
        match what {
            "clone" => {
                let place = folder.with_file_name(format!("clone {seed}"));
                tell("clone", prepare(&place).clone_repo());
            }
            "cycle" => cycle(&prepare(folder).open_or_clone().unwrap(), seed),
            "push" => {
                let repo = prepare(folder).open().unwrap();
                change(&repo, &weights(seed, 20_000));
                tell("push", repo.push());
            }
            "access" => {
                let repo = prepare(folder).open().unwrap();
                tell("access", repo.check_write_access());
            }
            "pull" => {
                let repo = prepare(folder).open().unwrap();
                tell("pull", repo.pull());
            }
            "save" => {
                let repo = prepare(folder).open().unwrap();
                for step in 0..2 {
                    write(repo.workdir(), "w.bin", weights(seed + step, 20_000));
                    if let Some(report) = tell("save", repo.save(format!("step {step}"))) {
                        println!("{:?}", report.failures);
                    }
                    tell("flush", repo.wait_for_pushes());
                }
                println!("{:?}", repo.pending_pushes());
                tell("close", repo.close());
            }
            other => panic!("nothing is called {other}"),
        }
    }
}

fn cycle(repo: &Repository, seed: u64) {
    println!("{repo:?} {}", repo.remote_url());
    tell("access", repo.check_write_access()).unwrap();
    change(repo, &weights(seed, 20_000));
    tell("push", repo.push()).unwrap();
    let handle = repo.save("nothing new").unwrap();
    println!("{handle:?}");
    for step in 1..3 {
        write(repo.workdir(), "w.bin", weights(seed + step, 20_000));
        let _ = tell("save", repo.save(format!("step {step}"))).unwrap();
    }
    tell("flush", repo.wait_for_pushes()).unwrap();
    tell("pull", repo.pull()).unwrap();
    tell("status", repo.status()).unwrap();
    tell("prune", repo.prune()).unwrap();
}
