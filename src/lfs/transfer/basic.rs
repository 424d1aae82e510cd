//! One PUT or GET for an object.
//!
//! Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/api/basic-transfers.md>.

use std::io::Read;
use std::sync::Arc;

use super::Transfer;
use super::arrivals;
use super::wire::{self, Stop, absent, with_headers};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Body, Bucket, Client, Host, Request, Response};
use crate::lfs::Object;
use crate::lfs::api::Actions;
use crate::lfs::meter::Meter;
use crate::lfs::partial::{Folder, Follow, Partial};
use crate::parallel;

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// Bytes that make a try count as progress: a server that gives a few each time is not worth more
/// tries than one that gives none.
const PROGRESS_BYTES: u64 = 256 << 10;

impl Transfer<'_> {
    pub(super) fn put(
        &self,
        object: Object,
        actions: &Actions,
        meter: &Arc<Meter>,
    ) -> Result<(), Stop> {
        let action = &actions.transfer;
        let request = || {
            let (store, meter) = (self.store.clone(), Arc::clone(meter));
            let open = move || -> Result<Box<dyn Read + Send>> {
                Ok(Box::new(meter.read(store.open(object)?, 0)))
            };
            let request = Request::put(action.url.clone())
                .bucket(Bucket::Storage)
                .header("Content-Type", "application/octet-stream");
            Ok(with_headers(request, action).body(Body::Sized {
                length: object.size,
                open: Box::new(open),
            }))
        };
        let response = self.carry(&action.url, |client| {
            self.send(client, action, actions.authenticated, request)
        })?;
        wire::refused(response).map(drop)
    }

    /// Gets an object's bytes, from where an earlier download of it stopped. They are right; a large object
    /// is stored, a small one still has to be.
    pub(super) fn get(
        &self,
        object: Object,
        actions: &Actions,
        meter: &Arc<Meter>,
    ) -> Result<Option<Partial>, Stop> {
        let host = Host::at(&actions.transfer.url.origin());
        let mut partial = self.claim(object)?;
        let next = || host.place(self.settings.concurrent, self.job.cancel);
        // The time of all tries begins when it is this one's turn.
        let mut first = Some(next()?);
        let mut tries = self.client.tries();
        let client = self.client.until(&tries);
        let mut damaged = false;
        loop {
            let had = partial.have();
            let place = first.take().map_or_else(next, Ok)?;
            let error = match self.rest(&client, &mut partial, actions, meter) {
                Ok(()) => match partial.check(self.job.cancel) {
                    Ok(()) if object.size < arrivals::SMALL => return Ok(Some(partial)),
                    Ok(()) => match partial.finish() {
                        Ok(()) => return Ok(None),
                        Err(error) => error,
                    },
                    Err(error) => error,
                },
                Err(Stop::Failed(error)) => error,
                Err(refused) => return Err(refused),
            };
            drop(place);
            if error.kind() == ErrorKind::LfsObjectCorrupt && !damaged {
                // Something on the way may have damaged it: one fresh try.
                damaged = true;
                partial.restart()?;
                continue;
            }
            if partial.have().saturating_sub(had) >= PROGRESS_BYTES {
                tries.progressed();
            }
            tries.again(error)?;
        }
    }

    /// What is here of an object.
    fn claim(&self, object: Object) -> Result<Partial> {
        let folder = match self.incomplete.get() {
            Some(folder) => folder,
            None => {
                let folder = Folder::of(self.store)?;
                self.incomplete.get_or_init(|| folder)
            }
        };
        Partial::claim(self.store, folder, object, self.job.cancel)
    }

    /// Asks for what is missing, and adds it.
    fn rest(
        &self,
        client: &Client,
        partial: &mut Partial,
        actions: &Actions,
        meter: &Arc<Meter>,
    ) -> Result<(), Stop> {
        if partial.is_complete() {
            return Ok(());
        }
        let response = self.ask_for(client, partial, actions)?;
        let response = match begins_at(&response, partial)? {
            Start::Here => response,
            Start::Beginning => {
                partial.restart()?;
                response
            }
            // It does not do ranges as it should.
            Start::Nowhere => {
                partial.restart()?;
                self.ask_for(client, partial, actions)?
            }
        };
        let response = wire::refused(response).map_err(|stop| match stop {
            Stop::Failed(error) => {
                let hint = "push the file again from a clone that has it";
                let what = "the server does not have the content";
                Stop::Failed(absent(error, partial.object(), what, hint))
            }
            refused => refused,
        })?;
        Ok(self.receive(response, partial, meter)?)
    }

    fn ask_for(&self, client: &Client, partial: &Partial, actions: &Actions) -> Result<Response> {
        let action = &actions.transfer;
        self.send(client, action, actions.authenticated, || {
            let request = Request::get(action.url.clone())
                .bucket(Bucket::Storage)
                // Compressed content would hide its true length.
                .header("Accept-Encoding", "identity");
            let request = with_headers(request, action);
            let (from, last) = (partial.have(), partial.object().size - 1);
            Ok(if from == 0 {
                request
            } else {
                request.header("Range", format!("bytes={from}-{last}"))
            })
        })
    }

    fn receive(&self, response: Response, partial: &mut Partial, meter: &Arc<Meter>) -> Result<()> {
        let url = response.url().clone();
        let missing = partial.object().size - partial.have();
        // One byte more than announced is enough to know that it is wrong.
        let body = response.into_reader().take(missing.saturating_add(1));
        let mut body = meter.read(body, partial.have());
        let wanted = usize::try_from(missing.saturating_add(1)).unwrap_or(BUFFER);
        let mut buffer = vec![0; wanted.min(BUFFER)];
        // More downloads than CPUs keep these busy by themselves.
        let follow = if self.job.objects.len() < parallel::threads() {
            Follow::Yes
        } else {
            Follow::No
        };
        partial.grow(follow, self.job.cancel, |partial, reached| {
            loop {
                let count = match body.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(count) => count,
                    Err(_) if self.job.cancel.is_cancelled() => return Err(Error::cancelled()),
                    Err(error) => return Err(Response::read_error(error, &url)),
                };
                partial.add(&buffer[..count])?;
                if !reached(partial.have()) {
                    return Ok(());
                }
            }
        })?;
        let (have, size) = (partial.have(), partial.object().size);
        if have >= size {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Network,
            format!("GET {url}: {have} of {size} bytes came, then the end"),
        )
        .with_hint("try again"))
    }
}

/// Where the bytes of an answer belong.
enum Start {
    /// Behind those that are here.
    Here,
    /// The server sends all of them.
    Beginning,
    /// They do not fit, or none come.
    Nowhere,
}

/// Reads where the answer to a request for the rest begins.
///
/// # Errors
/// If the server itself says that its object has another size.
fn begins_at(response: &Response, partial: &Partial) -> Result<Start> {
    let object = partial.object();
    let other_size = |size: u64| {
        let text = format!(
            "the LFS object {} has {size} bytes on the server, not {}",
            object.oid, object.size
        );
        Error::new(ErrorKind::LfsObjectCorrupt, text).with_hint(
            "the copy on the server is damaged: push the file again from where it is whole",
        )
    };
    match response.status() {
        206 => {
            let range = response.header("content-range").and_then(content_range);
            match range {
                Some((_, Some(size))) if size != object.size => Err(other_size(size)),
                Some((start, _)) if start == partial.have() => Ok(Start::Here),
                _ => Ok(Start::Nowhere),
            }
        }
        416 => Ok(Start::Nowhere),
        200 => {
            let encoded = response.header("content-encoding").is_some();
            let length = response.header("content-length");
            match length.and_then(|length| length.parse().ok()) {
                Some(length) if length != object.size && !encoded => Err(other_size(length)),
                _ => Ok(Start::Beginning),
            }
        }
        _ => Ok(Start::Here),
    }
}

/// `bytes 5-9/10` or `bytes 5-9/*`: where it starts, and the whole size.
fn content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, size.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_not_trusted() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["", "bytes */10", "items 5-9/10", "bytes 5/10", "bytes -/-"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
