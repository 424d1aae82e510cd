//! Moving objects with the `basic` transfer: one PUT or GET each, eight at a time.
//!
//! Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/api/basic-transfers.md>.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::Serialize;

use super::api::{self, Action, Actions, Answer, MEDIA_TYPE};
use super::meter::Meter;
use super::store::Store;
use super::{Job, Object, Outcome, Report};
use crate::error::{Error, ErrorKind, Result};
use crate::http::retry::retrying;
use crate::http::{Auth, Body, Client, Request, Response};
use crate::progress::{Direction, Event};
use crate::url::Url;

/// Transfers at a time: git-lfs's `lfs.concurrenttransfers`.
const WORKERS: usize = 8;
/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// One server and one store, for the time of a job.
struct Transfer<'a> {
    client: Client,
    lfs: &'a Url,
    store: &'a Store,
    job: &'a Job<'a>,
    direction: Direction,
}

/// Uploads what the server lacks. If it lacks something that is missing here too, nothing is sent.
pub(super) fn upload(client: &Client, lfs: &Url, store: &Store, job: &Job<'_>) -> Result<Report> {
    let transfer = Transfer::new(client, lfs, store, job, Direction::Upload)?;
    let (here, gone): (Vec<Object>, Vec<Object>) = job
        .objects
        .iter()
        .partition(|object| store.contains(**object));
    let mut report = Report::default();
    for objects in gone.chunks(api::BATCH) {
        for (object, answer) in transfer.ask(objects)? {
            let outcome = match answer {
                Answer::Nothing => Outcome::AlreadyThere,
                Answer::Transfer(_) => Outcome::Failed(lost(object)),
                Answer::Refused(error) => Outcome::Failed(error),
            };
            report.outcomes.push((object, outcome));
        }
    }
    if !report
        .outcomes
        .iter()
        .any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    {
        report.outcomes.extend(transfer.run(here)?);
    }
    Ok(report)
}

/// Downloads what the store lacks.
pub(super) fn download(client: &Client, lfs: &Url, store: &Store, job: &Job<'_>) -> Result<Report> {
    let transfer = Transfer::new(client, lfs, store, job, Direction::Download)?;
    let (here, wanted): (Vec<Object>, Vec<Object>) = job
        .objects
        .iter()
        .partition(|object| store.contains(**object));
    let mut outcomes: Vec<_> = here
        .into_iter()
        .map(|object| (object, Outcome::AlreadyThere))
        .collect();
    outcomes.extend(transfer.run(wanted)?);
    Ok(Report { outcomes })
}

fn lost(object: Object) -> Error {
    Error::new(
        ErrorKind::LfsObjectMissing,
        format!(
            "the LFS object {} is neither here nor on the server",
            object.oid
        ),
    )
    .with_hint("find a clone that has the file and push it from there, or restage the file")
}

/// What a 404 means where an object's bytes should be.
fn absent(error: Error, object: Object, what: &str, hint: &str) -> Error {
    if error.kind() != ErrorKind::RepoNotFound {
        return error;
    }
    let text = format!("the LFS object {}: {what}", object.oid);
    Error::new(ErrorKind::LfsObjectMissing, text)
        .with_hint(hint)
        .with_source(error)
}

impl<'a> Transfer<'a> {
    fn new(
        client: &Client,
        lfs: &'a Url,
        store: &'a Store,
        job: &'a Job<'a>,
        direction: Direction,
    ) -> Result<Self> {
        Ok(Self {
            client: client.with_cancel(job.cancel)?,
            lfs,
            store,
            job,
            direction,
        })
    }

    fn ask(&self, objects: &[Object]) -> Result<Vec<(Object, Answer)>> {
        api::batch(
            &self.client,
            self.lfs,
            self.direction,
            self.job.ref_name,
            objects,
        )
    }

    /// Moves the objects, the largest first: the last to finish should be small.
    fn run(&self, mut objects: Vec<Object>) -> Result<Vec<(Object, Outcome)>> {
        objects.sort_by_key(|object| std::cmp::Reverse(object.size));
        let direction = self.direction;
        let bytes = objects.iter().map(|object| object.size).sum();
        let count = objects.len();
        self.job.progress.report(|| Event::TransferStarted {
            direction,
            objects: count,
            bytes,
        });
        let mut outcomes = Vec::new();
        for objects in objects.chunks(api::BATCH) {
            self.job.cancel.check()?;
            let mut work = Vec::new();
            for (object, answer) in self.ask(objects)? {
                match answer {
                    Answer::Nothing => outcomes.push((object, Outcome::AlreadyThere)),
                    Answer::Refused(error) => outcomes.push((object, Outcome::Failed(error))),
                    Answer::Transfer(actions) => work.push((object, *actions)),
                }
            }
            outcomes.extend(self.move_batch(work));
            self.job.cancel.check()?;
        }
        Ok(outcomes)
    }

    fn move_batch(&self, work: Vec<(Object, Actions)>) -> Vec<(Object, Outcome)> {
        let workers = WORKERS.min(work.len());
        let (queue, tasks) = unbounded();
        let (results, collected) = unbounded();
        for task in work {
            // The receiver is alive: it is in this very function.
            let _ = queue.send(task);
        }
        drop(queue);
        thread::scope(|scope| {
            for _ in 0..workers {
                let (tasks, results) = (tasks.clone(), results.clone());
                scope.spawn(move || self.work(&tasks, &results));
            }
        });
        drop(results);
        collected.into_iter().collect()
    }

    fn work(&self, tasks: &Receiver<(Object, Actions)>, results: &Sender<(Object, Outcome)>) {
        for (object, actions) in tasks {
            let meter = Meter::new(self.job, self.direction, object);
            let moved = self
                .job
                .cancel
                .check()
                .and_then(|()| self.move_object(object, actions, &meter));
            let outcome = match moved {
                Ok(()) => {
                    meter.finished();
                    Outcome::Transferred
                }
                Err(error) => Outcome::Failed(error),
            };
            let _ = results.send((object, outcome));
        }
    }

    /// Moves one object; a refusal by the storage may only mean that its URL has expired, so it is
    /// asked for anew once.
    fn move_object(&self, object: Object, actions: Actions, meter: &Arc<Meter>) -> Result<()> {
        match self.try_object(object, &actions, meter) {
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                match self.ask(&[object])?.pop() {
                    Some((_, Answer::Nothing)) => Ok(()),
                    Some((_, Answer::Transfer(actions))) => {
                        self.try_object(object, &actions, meter)
                    }
                    Some((_, Answer::Refused(error))) => Err(error),
                    None => Err(error),
                }
            }
            result => result,
        }
    }

    fn try_object(&self, object: Object, actions: &Actions, meter: &Arc<Meter>) -> Result<()> {
        let cancel = self.job.cancel;
        match self.direction {
            Direction::Upload => {
                retrying(cancel, || self.put(object, actions, meter))?;
                match &actions.verify {
                    Some(verify) => retrying(cancel, || self.verify(object, verify)),
                    None => Ok(()),
                }
            }
            Direction::Download => {
                match retrying(cancel, || self.get(object, actions, meter)) {
                    // Something on the way may have damaged it: one fresh try.
                    Err(error) if error.kind() == ErrorKind::LfsObjectCorrupt => {
                        self.get(object, actions, meter)
                    }
                    result => result,
                }
            }
        }
    }

    fn put(&self, object: Object, actions: &Actions, meter: &Arc<Meter>) -> Result<()> {
        self.send(&actions.transfer, actions.authenticated, || {
            let reader = meter.read(self.store.open(object)?);
            let request = with_headers(
                Request::put(actions.transfer.url.clone())
                    .header("Content-Type", "application/octet-stream"),
                &actions.transfer,
            );
            Ok(request.body(Body::Sized {
                length: object.size,
                reader: Box::new(reader),
            }))
        })?
        .error_for_status()
        .map(drop)
    }

    fn verify(&self, object: Object, verify: &Action) -> Result<()> {
        #[derive(Serialize)]
        struct Verify {
            oid: String,
            size: u64,
        }
        let body = serde_json::to_vec(&Verify {
            oid: object.oid.to_string(),
            size: object.size,
        })
        .map_err(|error| {
            Error::new(ErrorKind::Protocol, "cannot describe the object").with_source(error)
        })?;
        self.send(verify, false, || {
            let request = Request::post(verify.url.clone())
                .header("Accept", MEDIA_TYPE)
                .header("Content-Type", MEDIA_TYPE);
            Ok(with_headers(request, verify).body(Body::Bytes(body.clone())))
        })?
        .error_for_status()
        .map_err(|error| {
            absent(
                error,
                object,
                "the server lost what it just took",
                "push again",
            )
        })
        .map(drop)
    }

    fn get(&self, object: Object, actions: &Actions, meter: &Arc<Meter>) -> Result<()> {
        let response = self
            .send(&actions.transfer, actions.authenticated, || {
                // Compressed content would hide its true length.
                let request = Request::get(actions.transfer.url.clone())
                    .header("Accept-Encoding", "identity");
                Ok(with_headers(request, &actions.transfer))
            })?
            .error_for_status()
            .map_err(|error| {
                let hint = "push the file again from a clone that has it";
                absent(error, object, "the server does not have the content", hint)
            })?;
        let url = response.url().clone();
        let mut writer = self.store.writer(object)?;
        // One byte more than announced is enough to know that it is wrong.
        let body = response.into_reader().take(object.size.saturating_add(1));
        let mut body = meter.read(body);
        let mut buffer = vec![0; BUFFER];
        let mut received = 0;
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(_) if self.job.cancel.is_cancelled() => return Err(Error::cancelled()),
                Err(error) => return Err(Response::read_error(error, &url)),
            };
            received += count as u64;
            writer
                .write_all(&buffer[..count])
                .map_err(|error| Error::io("write", &self.store.object_path(object.oid), error))?;
        }
        if received < object.size {
            return Err(Error::new(
                ErrorKind::Network,
                format!(
                    "GET {url}: {received} of {} bytes came, then the end",
                    object.size
                ),
            )
            .with_hint("try again"));
        }
        writer.finish()
    }

    /// Sends a request to where an action says.
    ///
    /// Signed URLs get nothing but the action's own headers. Servers that keep objects themselves
    /// may ask for the credentials of their API: those get them, if it is the same origin.
    fn send(
        &self,
        action: &Action,
        authenticated: bool,
        request: impl Fn() -> Result<Request>,
    ) -> Result<Response> {
        let response = self.client.send(request()?)?;
        let own = action.url.origin() == self.lfs.origin()
            && !authenticated
            && !action
                .headers
                .keys()
                .any(|name| name.eq_ignore_ascii_case("authorization"));
        if response.status() == 401 && own && self.client.has_grant_for(&action.url) {
            return self.client.send(request()?.auth(Auth::Basic));
        }
        Ok(response)
    }
}

fn with_headers(request: Request, action: &Action) -> Request {
    action
        .headers
        .iter()
        .fold(request, |request, (name, value)| {
            // The length is ours to say, and chunks are ours to choose.
            let ours = ["content-length", "transfer-encoding", "host"];
            if ours.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                request
            } else {
                request.header(name.clone(), value.clone())
            }
        })
}
