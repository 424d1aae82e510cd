//! Asking git's credential helpers: by the git program where it is installed, else one by one.
//!
//! Both ways ask the same helpers the same questions. What is secret goes through pipes only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::helpers::Plan;
use super::protocol::{self, RECORD_BYTES, Record};
use super::store::Store;
use crate::cancel::CancelToken;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::process::{Input, Program, Ran};

/// How long a helper may take: some ask a server, or a key chain that is locked.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a config, as git lists it.
const CONFIG_BYTES: usize = 16 << 20;

/// The user's credential helpers, as configured for one clone.
#[derive(Clone, Debug)]
pub(crate) struct Helpers {
    /// git's config, for where git itself is not installed.
    config: Arc<Config>,
    /// The clone, whose config may name helpers; it need not exist.
    workdir: Option<PathBuf>,
}

/// What is asked of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Store,
    Erase,
}

impl Verb {
    fn for_helper(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Store => "store",
            Self::Erase => "erase",
        }
    }

    fn for_git(self) -> &'static str {
        match self {
            Self::Get => "fill",
            Self::Store => "approve",
            Self::Erase => "reject",
        }
    }
}

impl Helpers {
    pub(crate) fn new(config: Arc<Config>, workdir: Option<PathBuf>) -> Self {
        Self { config, workdir }
    }

    /// The login for what is asked; `None` if no helper has one with a name and a password that is
    /// still good.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]. What else goes wrong is logged, and as good as no login.
    pub(crate) fn get(&self, asked: &Record, cancel: &CancelToken) -> Result<Option<Record>> {
        let found = match self.git(Verb::Get, asked, cancel) {
            Err(error) if error.kind() == ErrorKind::ProgramMissing => {
                self.get_one_by_one(asked, cancel)?
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            // So says git that no helper knows.
            Err(error) if error.kind() == ErrorKind::ProgramFailed => None,
            Err(error) => {
                // Not its words: what a helper says may be a password.
                tracing::warn!(kind = ?error.kind(), "git's credential helpers are left out");
                None
            }
            Ok(record) => Some(record),
        };
        Ok(found.filter(is_complete))
    }

    /// Tells the helpers that a login is good: some keep it.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]. What else goes wrong is logged.
    pub(crate) fn approve(&self, login: &Record, cancel: &CancelToken) -> Result<()> {
        match is_complete(login) && !login.ephemeral && !login.has_expired(now()) {
            true => self.tell(Verb::Store, login, cancel),
            false => Ok(()),
        }
    }

    /// Tells the helpers that a login is not good: those that keep it forget it.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]. What else goes wrong is logged.
    pub(crate) fn reject(&self, login: &Record, cancel: &CancelToken) -> Result<()> {
        self.tell(Verb::Erase, login, cancel)
    }

    /// What is configured for what is asked, by git's own account where it is installed.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], and what keeps git from telling.
    pub(super) fn plan(&self, asked: &Record, cancel: &CancelToken) -> Result<Plan> {
        let listed = self
            .program("read git's config")
            .arguments(["config", "-z", "--list"])
            .run_within(PATIENCE, CONFIG_BYTES, cancel);
        let config = match listed {
            // It reads files that are its own business, as `GIT_CONFIG_GLOBAL` names them.
            Ok(Ran {
                failure: Some(error),
                ..
            }) => return Err(error),
            Ok(ran) => Arc::new(Config::of_git(&ran.output)),
            Err(error) if error.kind() == ErrorKind::ProgramMissing => Arc::clone(&self.config),
            Err(error) => return Err(error),
        };
        Ok(Plan::read(&config, asked))
    }

    fn tell(&self, verb: Verb, login: &Record, cancel: &CancelToken) -> Result<()> {
        match self.git(verb, login, cancel) {
            Err(error) if error.kind() == ErrorKind::ProgramMissing => {
                let plan = Plan::read(&self.config, login);
                let told = plan.question(login);
                for helper in &plan.helpers {
                    one(helper, verb, &told, cancel)?;
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), verb = verb.for_git(), "git's credential helpers were not told");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn git(&self, verb: Verb, record: &Record, cancel: &CancelToken) -> Result<Record> {
        let program = self
            .program("ask git's credential helpers")
            .arguments(["-c", "credential.interactive=false", "credential"])
            .arguments([verb.for_git()]);
        run(program, record, cancel)
    }

    fn program(&self, action: &str) -> Program {
        let program = Program::new("git", action);
        match self.workdir.as_deref().filter(|folder| folder.is_dir()) {
            // Not by GIT_DIR: git then looks nowhere else, but does not look at the owner either, and a
            // folder that somebody else prepared would have its helpers run.
            Some(workdir) => program.folder(workdir).variable(
                "GIT_CEILING_DIRECTORIES",
                workdir.parent().unwrap_or(workdir),
            ),
            // git must not find a repository by chance around our folder.
            None => program.variable("GIT_DIR", "/dev/null"),
        }
    }

    fn get_one_by_one(&self, asked: &Record, cancel: &CancelToken) -> Result<Option<Record>> {
        let plan = Plan::read(&self.config, asked);
        let mut known = plan.question(asked);
        for helper in &plan.helpers {
            let Some(told) = one(helper, Verb::Get, &known, cancel)? else {
                continue;
            };
            let quit = told.quit;
            // Each adds to what those before it said.
            known = Record {
                username: told.username.or(known.username),
                password: told.password.or(known.password),
                password_expiry_utc: told.password_expiry_utc,
                oauth_refresh_token: told.oauth_refresh_token.or(known.oauth_refresh_token),
                ephemeral: told.ephemeral || known.ephemeral,
                ..known
            };
            if known.has_expired(now()) {
                known.password = None;
                known.password_expiry_utc = None;
            }
            if is_complete(&known) {
                return Ok(Some(known));
            }
            if quit {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

/// Asks or tells one helper; what goes wrong in it is logged, and as good as no answer.
fn one(helper: &str, verb: Verb, record: &Record, cancel: &CancelToken) -> Result<Option<Record>> {
    let told = match Store::named(helper) {
        Some(store) => match verb {
            Verb::Get => store.get(record),
            Verb::Store => store.store(record).map(|()| None),
            Verb::Erase => store.erase(record).map(|()| None),
        },
        None => {
            let line = format!("{} {}", command(helper), verb.for_helper());
            let program = Program::new("sh", "ask a credential helper").arguments(["-c", &line]);
            run(program, record, cancel).map(Some)
        }
    };
    match told {
        Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
        Err(error) => {
            tracing::debug!(kind = ?error.kind(), "a credential helper is left out");
            Ok(None)
        }
        told => told,
    }
}

/// What git has the shell run.
fn command(helper: &str) -> String {
    match helper.strip_prefix('!') {
        Some(command) => command.to_owned(),
        None if helper.starts_with('/') => helper.to_owned(),
        None => format!("git-credential-{helper}"),
    }
}

/// Runs a program that reads a record, and reads the one it prints.
fn run(program: Program, record: &Record, cancel: &CancelToken) -> Result<Record> {
    let broken = |error: protocol::RecordError| {
        let text = format!("cannot speak with a credential helper: {error}");
        Error::new(ErrorKind::Protocol, text)
    };
    let ran = program
        // Git Credential Manager would open a window.
        .variable("GCM_INTERACTIVE", "never")
        .input(Input::Bytes(record.to_bytes().map_err(broken)?))
        .run_within(PATIENCE, RECORD_BYTES, cancel)?;
    let output = Zeroizing::new(ran.output);
    match ran.failure {
        // Only its answer counts, as for git.
        Some(error) if output.is_empty() => Err(error),
        _ => protocol::parse(&output).map_err(broken),
    }
}

fn is_complete(record: &Record) -> bool {
    record.username.is_some() && record.password.is_some()
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
