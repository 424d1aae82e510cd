//! The second engine: the installed `git-lfs` does the work, in the same store.

use std::path::{Path, PathBuf};

use super::clean::{self, Cleaned};
use super::pointer::Pointer;
use super::store::Store;
use super::{Engine, Job, Object, Outcome, Pruning, Remote, Report};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, Take};
use crate::process::{Input, Program};

/// Objects named in one call; keeps the argument list far below the system's limit.
const OBJECTS_PER_CALL: usize = 500;
/// The oldest git-lfs whose options are used here.
const OLDEST: u32 = 3;

/// Drives `git-lfs`; credentials are those its own configuration finds.
#[derive(Debug)]
pub(crate) struct GitLfs {
    workdir: PathBuf,
    store: Store,
}

impl GitLfs {
    /// Checks that a git-lfs of version 3 or later is installed.
    pub(crate) fn new(workdir: &Path, store: Store) -> Result<Self> {
        let engine = Self {
            workdir: workdir.to_path_buf(),
            store,
        };
        let version = engine.run(&["version"], Input::Nothing, &CancelToken::new())?;
        let version = String::from_utf8_lossy(&version).into_owned();
        if major(&version).is_some_and(|major| major >= OLDEST) {
            return Ok(engine);
        }
        Err(Error::new(
            ErrorKind::ProgramMissing,
            format!("git-lfs is too old: {}", version.trim()),
        )
        .with_hint("install git-lfs 3.0 or later, or use the built-in LFS engine"))
    }

    /// Has git-lfs store what is in `content`, as the content of `file`.
    fn feed(&self, file: &Path, content: &Path, cancel: &CancelToken) -> Result<Object> {
        let name = file.to_string_lossy();
        let text = self.run(
            &["clean", "--", &name],
            Input::File(content.to_path_buf()),
            cancel,
        )?;
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

    fn run(&self, arguments: &[&str], input: Input, cancel: &CancelToken) -> Result<Vec<u8>> {
        Program::new("git-lfs", "run git-lfs")
            .arguments(arguments)
            .folder(&self.workdir)
            .input(input)
            .install_hint("install it, or use the built-in LFS engine, which needs no program")
            .run(cancel)
    }
}

/// From `git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)`.
fn major(version: &str) -> Option<u32> {
    version
        .strip_prefix("git-lfs/")?
        .split('.')
        .next()?
        .parse()
        .ok()
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
        let (here, gone): (Vec<Object>, Vec<Object>) = job
            .objects
            .iter()
            .partition(|object| self.store.contains(**object));
        if !gone.is_empty() {
            let lost = |object: Object| {
                let error = Error::new(
                    ErrorKind::LfsObjectMissing,
                    format!("the LFS object {} is not in the local store", object.oid),
                );
                (object, Outcome::Failed(error))
            };
            return Ok(Report {
                outcomes: gone.into_iter().map(lost).collect(),
            });
        }
        for objects in here.chunks(OBJECTS_PER_CALL) {
            let oids: Vec<String> = objects
                .iter()
                .map(|object| object.oid.to_string())
                .collect();
            let mut arguments = vec!["push", "--object-id", job.remote_name];
            arguments.extend(oids.iter().map(String::as_str));
            self.run(&arguments, Input::Nothing, job.cancel)?;
        }
        let outcomes = here
            .into_iter()
            .map(|object| (object, Outcome::Transferred))
            .collect();
        Ok(Report { outcomes })
    }

    fn download(&self, job: &Job<'_>) -> Result<Report> {
        let before: Vec<bool> = job
            .objects
            .iter()
            .map(|o| self.store.contains(*o))
            .collect();
        let mut failure = None;
        if before.contains(&false) {
            let commit = job.commit.map(|commit| commit.to_string());
            let mut arguments = vec!["fetch", job.remote_name];
            arguments.extend(commit.as_deref());
            // Objects may have come before it failed: the store decides.
            match self.run(&arguments, Input::Nothing, job.cancel) {
                Err(error) if error.kind() == ErrorKind::ProgramFailed => failure = Some(error),
                result => drop(result?),
            }
        }
        let words = failure
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let outcome = |(object, here): (&Object, bool)| {
            let outcome = if here {
                Outcome::AlreadyThere
            } else if self.store.contains(*object) {
                Outcome::Transferred
            } else {
                let text = format!("git-lfs did not bring the object {}: {words}", object.oid);
                Outcome::Failed(Error::new(ErrorKind::LfsObjectMissing, text))
            };
            (*object, outcome)
        };
        Ok(Report {
            outcomes: job.objects.iter().zip(before).map(outcome).collect(),
        })
    }

    fn there(
        &self,
        _remote: &Remote,
        objects: &[Object],
        _cancel: &CancelToken,
    ) -> Result<Vec<Object>> {
        // git-lfs cannot be asked about single objects; as in its own prune, what the remote's
        // refs name counts as there.
        Ok(objects.to_vec())
    }

    fn prune(&self, how: Pruning, cancel: &CancelToken) -> Result<Option<(usize, u64)>> {
        if how == Pruning::DryRun {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "git-lfs does not say what exactly it would prune",
            )
            .with_hint("run: git lfs prune --dry-run --verbose, or use the built-in LFS engine"));
        }
        let before = self.store.usage()?;
        self.run(&["prune"], Input::Nothing, cancel)?;
        let after = self.store.usage()?;
        Ok(Some((
            before.0.saturating_sub(after.0),
            before.1.saturating_sub(after.1),
        )))
    }

    fn check_upload(&self, _remote: &Remote) -> Result<()> {
        // git-lfs has no way to ask without sending something.
        Ok(())
    }
}
