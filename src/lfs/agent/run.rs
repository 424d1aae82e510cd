//! The processes of one agent at the work of one job.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::api::Action;
use super::super::copying::copy_hashed;
use super::super::meter::Meter;
use super::super::store::Store;
use super::super::{Job, Object, Outcome, Report, total_bytes};
use super::{Agents, Told, Worker};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind};
use crate::progress::Event;

/// The processes of an agent, each with a seat of its own.
pub(in crate::lfs) struct Crew<'a> {
    agents: Agents<'a>,
    store: &'a Store,
    seats: Vec<Mutex<Option<Worker>>>,
}

impl<'a> Crew<'a> {
    /// Starts the first process; the others follow when there is work for them.
    ///
    /// # Errors
    /// If the agent cannot be started, or does not want to do this.
    pub(in crate::lfs) fn start(agents: Agents<'a>, store: &'a Store) -> Result<Self> {
        let first = agents.worker()?;
        let more = (1..agents.processes()).map(|_| Mutex::new(None));
        let seats = std::iter::once(Mutex::new(Some(first))).chain(more);
        Ok(Self {
            seats: seats.collect(),
            agents,
            store,
        })
    }

    /// How many objects may be under way at a time.
    pub(in crate::lfs) fn size(&self) -> usize {
        self.seats.len()
    }

    /// What the server calls it.
    pub(in crate::lfs) fn name(&self) -> &str {
        &self.agents.spec.name
    }

    /// Takes a seat (counted round and round), once it is free.
    pub(in crate::lfs) fn sit(&self, seat: usize) -> Seat<'_> {
        Seat {
            worker: lock(&self.seats[seat % self.seats.len()]),
            agents: &self.agents,
            store: self.store,
        }
    }

    /// Lets all processes end.
    pub(in crate::lfs) fn finish(&self) {
        let workers = self.seats.iter().filter_map(|seat| lock(seat).take());
        let mut workers: Vec<Worker> = workers.collect();
        // All are told before the first is waited for.
        workers.iter_mut().for_each(Worker::dismiss);
        workers.into_iter().for_each(Worker::finish);
    }
}

/// A process to be used by one thread, there or about to be started.
pub(in crate::lfs) struct Seat<'a> {
    worker: MutexGuard<'a, Option<Worker>>,
    agents: &'a Agents<'a>,
    store: &'a Store,
}

impl Seat<'_> {
    /// Has an object moved. Uploads are still to be verified; downloads are in the store.
    pub(in crate::lfs) fn move_object(
        mut self,
        object: Object,
        action: Option<&Action>,
        meter: &Arc<Meter>,
    ) -> Result<()> {
        self.agents.cancel.check()?;
        // One that broke is replaced: its next object may be one that it can move.
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.agents.worker()?,
        };
        let file = self.store.object_path(object.oid);
        let told = worker.transfer(object, &file, action, &mut |bytes| meter.reached(bytes))?;
        *self.worker = Some(worker);
        match told {
            Told::Failed(error) => Err(error),
            Told::Complete(Some(file)) => self.take(object, &file),
            Told::Complete(None) => Ok(()),
        }
    }

    /// Takes a file that an agent left over into the store, if it is what it should be.
    fn take(&self, object: Object, file: &Path) -> Result<()> {
        let file = &self.agents.workdir.join(file);
        let wrong = |what: &str| {
            let (name, oid) = (&self.agents.spec.name, object.oid);
            let file = file.display();
            let text = format!("the transfer agent {name} brought {oid} as {file}, which {what}");
            Error::new(ErrorKind::LfsObjectCorrupt, text)
                .with_hint("the file was left there; what the agent has may be damaged")
        };
        let found = fs::lstat(file)?.filter(|stat| stat.kind == FileKind::File);
        let found = found.ok_or_else(|| wrong("is no file"))?;
        if found.size != object.size {
            let text = format!("has {} bytes, not {}", found.size, object.size);
            return Err(wrong(&text));
        }
        let source = fs::open_no_link(file)?.ok_or_else(|| wrong("is gone"))?;
        // The copy is hashed: the agent may still have the file open.
        let (cancel, temp) = (self.agents.cancel, self.store.scratch()?);
        if copy_hashed(&source, &temp, object.size, cancel)? != object {
            return Err(wrong("has other content"));
        }
        self.store.insert(object, temp)?;
        let real = |path: &Path| path.canonicalize().ok();
        if real(file) != real(&self.store.object_path(object.oid)) {
            // It is in the store: what is left of it only takes room.
            let _ = fs::remove_file_if_exists(file);
        }
        Ok(())
    }
}

fn lock(seat: &Mutex<Option<Worker>>) -> MutexGuard<'_, Option<Worker>> {
    seat.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Uploads without asking a server. If something is missing here, nothing is sent.
pub(in crate::lfs) fn standalone_upload(
    agents: Agents<'_>,
    store: &Store,
    job: &Job<'_>,
) -> Result<Report> {
    let missing = |object: &Object| {
        let text = format!("the LFS object {} is not in the local store", object.oid);
        let hint = "find a clone that has the file, and push it from there";
        let error = Error::new(ErrorKind::LfsObjectMissing, text).with_hint(hint);
        (*object, Outcome::Failed(error))
    };
    let absent = |object: &&Object| !store.contains(**object);
    let gone: Vec<_> = job.objects.iter().filter(absent).map(missing).collect();
    if !gone.is_empty() {
        return Ok(Report { outcomes: gone });
    }
    let outcomes = standalone(agents, store, job, job.objects)?;
    Ok(Report { outcomes })
}

/// Downloads what the store lacks without asking a server.
pub(in crate::lfs) fn standalone_download(
    agents: Agents<'_>,
    store: &Store,
    job: &Job<'_>,
) -> Result<Report> {
    let (here, wanted): (Vec<Object>, Vec<Object>) = job
        .objects
        .iter()
        .partition(|object| store.contains(**object));
    let here = here.into_iter();
    let mut outcomes: Vec<_> = here.map(|object| (object, Outcome::AlreadyThere)).collect();
    outcomes.extend(standalone(agents, store, job, &wanted)?);
    Ok(Report { outcomes })
}

fn standalone(
    agents: Agents<'_>,
    store: &Store,
    job: &Job<'_>,
    objects: &[Object],
) -> Result<Vec<(Object, Outcome)>> {
    let direction = agents.direction;
    job.progress.report(|| Event::TransferStarted {
        direction,
        objects: objects.len(),
        bytes: total_bytes(objects),
    });
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let crew = Crew::start(agents, store)?;
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |seat| {
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            let meter = Meter::new(job, direction, *object);
            let outcome = match crew.sit(seat).move_object(*object, None, &meter) {
                Ok(()) => {
                    meter.finished();
                    Outcome::Transferred
                }
                Err(error) => Outcome::Failed(error),
            };
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            outcomes.push((*object, outcome));
        }
    };
    thread::scope(|scope| {
        for seat in 0..crew.size().min(objects.len()) {
            let work = &work;
            scope.spawn(move || work(seat));
        }
    });
    job.cancel.check()?;
    crew.finish();
    Ok(outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}
