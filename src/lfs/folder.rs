//! Remotes on this machine: objects are copied between the two stores.
//!
//! This is what git-lfs's standalone file agent does; the remote's objects lie where its own
//! `lfs.storage` says.

use std::io;
use std::sync::Arc;

use super::meter::Meter;
use super::store::Store;
use super::{Job, Neighbour, Object, Outcome, Report, total_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Direction, Event};

/// Copies objects into the remote's store. If one is missing on both sides, none is copied.
pub(crate) fn upload(store: &Store, theirs: &Neighbour, job: &Job<'_>) -> Result<Report> {
    let remote = Store::new(theirs.store.clone());
    let lost: Vec<Object> = job
        .objects
        .iter()
        .filter(|object| !store.contains(**object) && !remote.contains(**object))
        .copied()
        .collect();
    if !lost.is_empty() {
        let outcome = |object| (object, Outcome::Failed(missing(object)));
        return Ok(Report {
            outcomes: lost.into_iter().map(outcome).collect(),
        });
    }
    copy_all(store, &remote, job, Direction::Upload)
}

/// Copies objects out of the remote's store.
pub(crate) fn download(store: &Store, theirs: &Neighbour, job: &Job<'_>) -> Result<Report> {
    let remote = Store::new(theirs.store.clone());
    copy_all(&remote, store, job, Direction::Download)
}

/// Those of the objects that the remote has in a file of its own.
pub(crate) fn there(store: &Store, theirs: &Neighbour, objects: &[Object]) -> Vec<Object> {
    let remote = Store::new(theirs.store.clone());
    let real = |store: &Store, object: &Object| store.object_path(object.oid).canonicalize().ok();
    let has = |object: &&Object| {
        // Two repositories may share one store; then there is one copy, not two.
        remote.contains(**object) && real(&remote, object) != real(store, object)
    };
    objects.iter().filter(has).copied().collect()
}

fn copy_all(from: &Store, to: &Store, job: &Job<'_>, direction: Direction) -> Result<Report> {
    let objects = job.objects.len();
    let bytes = total_bytes(job.objects);
    job.progress.report(|| Event::TransferStarted {
        direction,
        objects,
        bytes,
    });
    let mut report = Report::default();
    for object in job.objects {
        job.cancel.check()?;
        let outcome = if to.contains(*object) {
            Outcome::AlreadyThere
        } else if !from.contains(*object) {
            Outcome::Failed(missing(*object))
        } else {
            let meter = Meter::new(job, direction, *object);
            match copy(from, to, *object, &meter) {
                Ok(()) => {
                    meter.finished();
                    Outcome::Transferred
                }
                Err(_) if job.cancel.is_cancelled() => return Err(Error::cancelled()),
                Err(error) if error.kind() == ErrorKind::LfsObjectCorrupt => Outcome::Failed(error),
                Err(error) => return Err(error),
            }
        };
        report.outcomes.push((*object, outcome));
    }
    Ok(report)
}

/// Hashed on the way: a damaged object is not passed on.
fn copy(from: &Store, to: &Store, object: Object, meter: &Arc<Meter>) -> Result<()> {
    let mut source = meter.read(from.open(object)?, 0);
    let mut target = to.writer(object)?;
    io::copy(&mut source, &mut target)
        .map_err(|error| Error::io("copy", &to.object_path(object.oid), error))?;
    target.finish()
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
