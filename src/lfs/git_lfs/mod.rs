//! The second engine: the installed `git-lfs` does the work, in the same store.
//!
//! | file | concern |
//! |---|---|
//! | `version` | which git-lfs is here, and what it can do |
//! | `progress` | what it says of its transfers |
//! | `failure` | what it means by its words when it fails |
//! | `pattern` | single files, as it wants them named |
//! | `prune` | `git lfs prune` |
//! | `login` | the caller's token, for a program that asks git |
//! | `trust` | the certificates the caller trusts |

mod failure;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod login;
mod pattern;
mod progress;
mod prune;
mod trust;
mod version;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::clean::{self, Cleaned};
use super::pointer::Pointer;
use super::pruning::PruneWish;
use super::store::{Store, Stored};
use super::{Engine, Job, Object, Outcome, Remote, Report, api, folder};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, Take};
use crate::http::Client;
use crate::id::LfsOid;
use crate::process::{Input, Program};
use crate::progress::Direction;
use login::Login;
use pattern::{joined, pattern};
use progress::Listener;
use version::Version;

/// Objects named in one call of versions that read no list; far below the system's limit.
const OBJECTS_PER_CALL: usize = 500;
/// What it is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// All of Git LFS.
    Everything,
    /// Transfers to and from remotes that only git-lfs reaches.
    Ssh,
}

/// Drives `git-lfs`.
pub(crate) struct GitLfs {
    workdir: PathBuf,
    store: Store,
    client: Client,
    purpose: Purpose,
    version: OnceLock<Version>,
}

impl GitLfs {
    /// Checks that a git-lfs of version 3 or later is installed.
    pub(crate) fn new(workdir: &Path, store: Store, client: Client) -> Result<Self> {
        let engine = Self {
            purpose: Purpose::Everything,
            ..Self::for_ssh(workdir, store, client)
        };
        engine.version("do the work of Git LFS")?;
        Ok(engine)
    }

    /// For remotes that only git-lfs reaches; it is looked for when objects are to be moved.
    pub(crate) fn for_ssh(workdir: &Path, store: Store, client: Client) -> Self {
        Self {
            workdir: workdir.to_path_buf(),
            store,
            client,
            purpose: Purpose::Ssh,
            version: OnceLock::new(),
        }
    }

    fn version(&self, action: &str) -> Result<Version> {
        if let Some(version) = self.version.get() {
            return Ok(*version);
        }
        let told = self
            .program(action)
            .arguments(["version"])
            .run(&CancelToken::new())?;
        let version = Version::parse(&String::from_utf8_lossy(&told))?;
        Ok(*self.version.get_or_init(|| version))
    }

    fn program(&self, action: impl Into<String>) -> Program {
        let hint = match self.purpose {
            Purpose::Everything => {
                "install git-lfs, or use the built-in LFS engine, which needs no program"
            }
            Purpose::Ssh => {
                "LFS objects behind ssh are moved by git-lfs: install it (3.0 or later), or use \
                 the https URL and a token"
            }
        };
        Program::new("git-lfs", action)
            .folder(&self.workdir)
            .install_hint(hint)
    }

    /// Has git-lfs store what is in `content`, as the content of `file`.
    fn feed(&self, file: &Path, content: &Path, cancel: &CancelToken) -> Result<Object> {
        let text = self
            .program(format!("store {}", file.display()))
            .arguments([Path::new("clean"), Path::new("--"), file])
            .input(Input::File(content.to_path_buf()))
            .run(cancel)?;
        let pointer = Pointer::parse(&text).map_err(|error| {
            Error::new(
                ErrorKind::ProgramFailed,
                "git-lfs clean did not answer with a pointer",
            )
            .with_source(error)
        })?;
        Ok(Object {
            oid: pointer.oid,
            size: pointer.size,
        })
    }

    /// Runs git-lfs for the transfers of `job`, with the server we found and the caller's token for it
    /// where there is one.
    fn transfer(&self, job: &Job<'_>, program: Program, listener: &mut Listener) -> Result<()> {
        let url = match job.remote {
            Remote::Http(url) => Some(url),
            Remote::Folder(_) | Remote::Ssh(_) => None,
        };
        let (program, mut lines) = trust::trusting(program, &self.client, url, listener.folder())?;
        let login = match url {
            Some(url) => {
                // While the work tree is on its way git-lfs would read another `.lfsconfig` than we.
                lines.extend(["lfs.url", "lfs.pushurl"].map(|key| (key.to_owned(), url.to_full())));
                Login::new(&self.client, url, listener.folder())?
            }
            None => None,
        };
        lines.extend(login.iter().flat_map(Login::configuration).cloned());
        let program = program.variable("GIT_LFS_PROGRESS", listener.path());
        let program = login::configured(program, &lines);
        let ran = program.run_to_end(job.cancel, &mut || listener.hear())?;
        match ran.failure {
            Some(error) => Err(self.explain(error, &ran.words, job, listener.direction())),
            None => Ok(()),
        }
    }

    fn push(&self, job: &Job<'_>, objects: &[Object], listener: &mut Listener) -> Result<()> {
        let action = format!("upload LFS objects to {}", place(job.remote));
        let reads_lists = self.version(&action)?.reads_object_lists();
        let oids: Vec<String> = objects
            .iter()
            .map(|object| object.oid.to_string())
            .collect();
        let program = || {
            self.program(action.clone())
                .arguments(["push", "--object-id", job.remote_name])
        };
        if reads_lists {
            let list = (oids.join("\n") + "\n").into_bytes();
            let program = program().arguments(["--stdin"]).input(Input::Bytes(list));
            return self.transfer(job, program, listener);
        }
        for oids in oids.chunks(OBJECTS_PER_CALL) {
            self.transfer(job, program().arguments(oids), listener)?;
        }
        Ok(())
    }

    /// Has git-lfs fetch objects: those whose paths it can be told, else all of the commit.
    fn fetch(&self, job: &Job<'_>, objects: &[Object], listener: &mut Listener) -> Result<()> {
        let action = format!("download LFS objects from {}", place(job.remote));
        self.version(&action)?;
        let patterns: Option<Vec<String>> = objects
            .iter()
            .map(|object| pattern(job.names.get(&object.oid)?.as_str()))
            .collect();
        let calls = match patterns {
            Some(patterns) => joined(&patterns),
            // Nothing included is everything.
            None => vec![String::new()],
        };
        let commit = job.commit.map(|commit| commit.to_string());
        for include in calls {
            let program = self
                .program(action.clone())
                .arguments([
                    "fetch",
                    "--include",
                    &include,
                    "--exclude",
                    "",
                    job.remote_name,
                ])
                .arguments(commit.as_deref());
            self.transfer(job, program, listener)?;
        }
        Ok(())
    }

    /// Objects that are not here, and those of them that the remote has.
    ///
    /// Where nobody can be asked, git-lfs fetches them: then they are here, and there.
    fn missing_here(&self, job: &Job<'_>) -> Result<(Vec<Object>, Vec<Object>)> {
        let objects = job.objects.iter().copied();
        let missing: Vec<Object> = objects
            .filter(|object| !self.store.contains(*object))
            .collect();
        if missing.is_empty() {
            return Ok((missing, Vec::new()));
        }
        let there = match job.remote {
            Remote::Http(_) | Remote::Folder(_) => self.there(job.remote, &missing, job.cancel)?,
            Remote::Ssh(_) => {
                let report = self.download(&Job {
                    objects: &missing,
                    ..*job
                })?;
                let came = |(object, outcome): (Object, Outcome)| match outcome {
                    Outcome::Transferred | Outcome::AlreadyThere => Some(object),
                    Outcome::Failed(_) => None,
                };
                report.outcomes.into_iter().filter_map(came).collect()
            }
        };
        Ok((missing, there))
    }
}

/// What to call a remote in messages.
fn place(remote: &Remote) -> String {
    match remote {
        Remote::Http(url) => url.to_string(),
        Remote::Folder(theirs) => theirs.git_dir.display().to_string(),
        Remote::Ssh(address) => address.clone(),
    }
}

fn missing(object: Object) -> Error {
    Error::new(
        ErrorKind::LfsObjectMissing,
        format!(
            "the LFS object {} is neither here nor on the remote",
            object.oid
        ),
    )
    .with_hint("find a clone that has the file, and push it from there")
}

impl Engine for GitLfs {
    fn clean(&self, file: &Path, take: Take, cancel: &CancelToken) -> Result<Cleaned> {
        match take {
            Take::Whole => {
                let stat = clean::settled(file, take)?;
                let object = self.feed(file, file, cancel)?;
                if object.size == stat.size && take.accepts(&stat, fs::lstat(file)?.as_ref()) {
                    Ok(Cleaned { object, stat })
                } else {
                    Err(clean::changed(file))
                }
            }
            Take::Prefix => {
                // git-lfs reads to the end, wherever that is by then: it gets a copy.
                let (copy, stat) = clean::copy(&self.store, file, take, cancel)?;
                let object = self.feed(file, copy.path(), cancel)?;
                Ok(Cleaned { object, stat })
            }
        }
    }

    fn upload(&self, job: &Job<'_>) -> Result<Report> {
        let (missing_here, there) = self.missing_here(job)?;
        let lost = missing_here.iter().filter(|object| !there.contains(object));
        let lost: Vec<(Object, Outcome)> = lost
            .map(|object| (*object, Outcome::Failed(missing(*object))))
            .collect();
        if !lost.is_empty() {
            return Ok(Report { outcomes: lost });
        }
        let before = match job.remote {
            // git-lfs copies these without a word.
            Remote::Folder(theirs) => folder::there(&self.store, theirs, job.objects),
            Remote::Http(_) | Remote::Ssh(_) => there,
        };
        let objects = job.objects.iter().copied();
        let to_send: Vec<Object> = objects.filter(|object| !before.contains(object)).collect();
        let mut listener = Listener::new(job, Direction::Upload, &to_send)?;
        if !to_send.is_empty() {
            self.push(job, &to_send, &mut listener)?;
        }
        let silent = matches!(job.remote, Remote::Folder(_));
        let outcome = |object: &Object| {
            // It said that all went well; what it said nothing else of was there.
            let sent = !before.contains(object) && (silent || listener.moved(*object));
            if sent {
                listener.finished(*object);
                (*object, Outcome::Transferred)
            } else {
                (*object, Outcome::AlreadyThere)
            }
        };
        let outcomes = job.objects.iter().map(outcome).collect();
        Ok(Report { outcomes })
    }

    fn download(&self, job: &Job<'_>) -> Result<Report> {
        let objects = job.objects.iter().copied();
        let wanted: Vec<Object> = objects
            .filter(|object| !self.store.contains(*object))
            .collect();
        let before: HashMap<LfsOid, bool> = job
            .objects
            .iter()
            .map(|object| (object.oid, !wanted.contains(object)))
            .collect();
        let mut listener = Listener::new(job, Direction::Download, &wanted)?;
        let mut failure = None;
        if !wanted.is_empty() {
            // Objects may have come before it failed: the store decides.
            match self.fetch(job, &wanted, &mut listener) {
                Err(error) if error.kind() == ErrorKind::ProgramFailed => failure = Some(error),
                result => result?,
            }
        }
        let outcome = |object: &Object| {
            let outcome = if before[&object.oid] {
                Outcome::AlreadyThere
            } else if self.store.contains(*object) {
                listener.finished(*object);
                Outcome::Transferred
            } else {
                let text = format!("git-lfs did not bring the LFS object {}", object.oid);
                let error = Error::new(ErrorKind::LfsObjectMissing, text);
                Outcome::Failed(match &failure {
                    Some(failure) => error
                        .with_server_message(failure.server_message().unwrap_or_default())
                        .with_source(failure.clone()),
                    None => error,
                })
            };
            (*object, outcome)
        };
        Ok(Report {
            outcomes: job.objects.iter().map(outcome).collect(),
        })
    }

    fn there(
        &self,
        remote: &Remote,
        objects: &[Object],
        cancel: &CancelToken,
    ) -> Result<Vec<Object>> {
        match remote {
            // git-lfs cannot be asked about single objects, but its server can.
            Remote::Http(lfs) => api::there(&self.client.with_cancel(cancel)?, lfs, objects),
            Remote::Folder(theirs) => Ok(folder::there(&self.store, theirs, objects)),
            // Nobody to ask: so none is known to be there, and all are kept here.
            Remote::Ssh(_) => Ok(Vec::new()),
        }
    }

    fn prune(&self, wish: PruneWish, cancel: &CancelToken) -> Result<Option<Vec<Stored>>> {
        self.prune_by_itself(wish, cancel).map(Some)
    }

    fn check_upload(&self, remote: &Remote) -> Result<()> {
        match remote {
            Remote::Http(lfs) => api::check_upload(&self.client, lfs),
            // The git side was asked; git-lfs has no way to ask without sending something.
            Remote::Folder(_) | Remote::Ssh(_) => Ok(()),
        }
    }
}
