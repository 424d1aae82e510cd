//! The whole cycle in a child process, with settings of the test's choice.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use hf_repository::{Error, LfsEngine, NetworkLimits, Repository};

use super::{World, weights, write};
use crate::child::succeed;
use crate::leak::logbook;

/// Another version of an LFS file, committed.
pub(crate) fn change(repo: &Repository, seed: u64) {
    write(repo.workdir(), "w.bin", weights(seed, 3000));
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
}

/// What a child does: everything, or with `look` only a clone; with CAs by option and an engine,
/// and everything logged with `log=`. It tells how it ended.
pub(crate) fn child(source: &str, folder: &Path, options: &str, seed: &str) {
    let work = || -> Result<(), Error> {
        let limits = NetworkLimits::default().retries(1);
        let mut prepared = Repository::prepare(source, folder).network_limits(limits);
        let mut only_look = false;
        for option in options.split_whitespace() {
            if let Some(file) = option.strip_prefix("log=") {
                logbook::begin(Path::new(file));
                continue;
            }
            prepared = match option {
                "git-lfs" => prepared.lfs_engine(LfsEngine::GitLfs),
                "look" => {
                    only_look = true;
                    prepared
                }
                "danger" => prepared.danger_accept_invalid_certificates(),
                file => prepared.ca_file(file),
            };
        }
        let repo = prepared.open_or_clone()?;
        if only_look {
            return Ok(());
        }
        repo.pull()?;
        change(&repo, seed.parse().unwrap());
        repo.push()?;
        Ok(())
    };
    match work() {
        Ok(()) => println!("all went well"),
        Err(error) => println!("failed: {error}\nhint: {:?}\n{error:?}", error.hint()),
    }
}

/// A child's environment, and what it tells.
pub(crate) struct Try<'a> {
    w: &'a World,
    command: Command,
}

impl<'a> Try<'a> {
    pub(crate) fn new(w: &'a World, options: &str) -> Self {
        static SEEDS: AtomicU64 = AtomicU64::new(100);
        let folder = tempfile::Builder::new()
            .tempdir_in(w.path(""))
            .unwrap()
            .keep();
        let seed = SEEDS.fetch_add(1, Ordering::Relaxed);
        Self::at(w, &folder.join("ours"), options, seed)
    }

    pub(crate) fn at(w: &'a World, folder: &Path, options: &str, seed: u64) -> Self {
        fs::create_dir_all(w.path("home")).unwrap();
        fs::write(w.path("home/.gitconfig"), "").unwrap();
        let arguments = [
            "alice/m",
            &folder.to_string_lossy(),
            options,
            &seed.to_string(),
        ];
        let mut command = w.child("cycle", &arguments);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        Self { w, command }
    }

    pub(crate) fn config(self, config: &str) -> Self {
        fs::write(self.w.path("home/.gitconfig"), config).unwrap();
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn told(mut self) -> String {
        succeed(&self.command.output().unwrap())
    }

    #[track_caller]
    pub(crate) fn passes(self) {
        let told = self.told();
        assert!(told.contains("all went well"), "{told}");
    }

    /// The words are those of the error and its hint.
    #[track_caller]
    pub(crate) fn fails(self, words: &[&str]) {
        let told = self.told();
        for word in words {
            assert!(told.contains(word), "no {word:?} in {told}");
        }
    }
}
