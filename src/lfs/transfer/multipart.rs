//! The Hub's way for large files: one PUT for each part, then a POST that puts them together.
//!
//! Chosen by the server, which then names in the headers of the upload action the size of a part
//! (`chunk_size`) and a URL for each part, by its number. The ETags that the storage answers with go
//! into the POST. See <https://huggingface.co/docs/hub/storage-limits> for when the Hub does so;
//! the format is that of `lfs_multipart_upload` in Hugging Face's own clients.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use serde::Serialize;

use super::Transfer;
use super::journal::Journal;
use super::wire::{self, Stop, json, post};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Body, Bucket, Request, Response};
use crate::lfs::Object;
use crate::lfs::api::{self, Action, Actions};
use crate::lfs::meter::Meter;
use crate::url::Url;

/// The header with the bytes of a part.
const PART_SIZE: &str = "chunk_size";
/// Putting the parts of a large file together takes the storage its time, and it is silent meanwhile:
/// so many stall limits, two minutes by default. If it takes longer it is asked again.
const COMPLETION_PATIENCE: u32 = 4;

/// An upload in parts, as the server laid it out.
pub(super) struct Plan {
    pub(super) upload: Upload,
    /// ETags of the parts that are there, by number from 1.
    pub(super) finished: Mutex<BTreeMap<u32, String>>,
    /// Where finished parts are written down.
    pub(super) journal: Option<Journal>,
}

/// What the server said.
#[derive(Clone)]
pub(super) struct Upload {
    /// Bytes of each part but the last.
    pub(super) part_size: u64,
    /// Where each part goes, in their order.
    pub(super) parts: Vec<Url>,
    /// Puts them together; the headers are not those of the parts.
    pub(super) complete: Action,
    pub(super) verify: Option<Action>,
    pub(super) authenticated: bool,
}

impl Upload {
    /// All places it goes to.
    pub(super) fn urls(&self) -> impl Iterator<Item = &Url> {
        let verify = self.verify.iter().map(|verify| &verify.url);
        self.parts.iter().chain([&self.complete.url]).chain(verify)
    }
}

impl Plan {
    /// Reads the plan out of the actions of an object, if there is one.
    ///
    /// # Errors
    /// If the parts are not those of a file of this size.
    pub(super) fn read(object: Object, actions: &Actions) -> Result<Option<Self>> {
        let action = &actions.transfer;
        let Some(part_size) = action.header(PART_SIZE) else {
            return Ok(None);
        };
        let refuse = |why: String| {
            let text = format!(
                "the server wants the LFS object {} in parts that make no sense: {why}",
                object.oid
            );
            Error::new(ErrorKind::Protocol, text)
                .with_hint("the LFS server is at fault; report this to whoever runs it")
        };
        let size: u64 = part_size.parse().unwrap_or_default();
        if size == 0 {
            return Err(refuse(format!("{part_size:?} is no size")));
        }
        let mut urls = BTreeMap::new();
        let mut headers = BTreeMap::new();
        for (name, value) in &action.headers {
            if name.eq_ignore_ascii_case(PART_SIZE) {
                continue;
            }
            // Sorted by number: as text, 10 comes before 2.
            let Ok(number) = name.parse::<u32>() else {
                headers.insert(name.clone(), value.clone());
                continue;
            };
            let url = Url::parse(value)
                .map_err(|_| refuse(format!("the URL of part {number} cannot be read")))?;
            if let Some(why) = api::complaint(&action.url, &url) {
                return Err(refuse(format!("the URL of part {number} {why}")));
            }
            if urls.insert(number, url).is_some() {
                return Err(refuse(format!("there are two parts {number}")));
            }
        }
        let count = object.size.div_ceil(size);
        let numbered = urls
            .keys()
            .zip(1..)
            .all(|(number, wanted)| *number == wanted);
        if urls.len() as u64 != count || !numbered {
            let found = urls.len();
            return Err(refuse(format!("{found} parts where {count} are needed")));
        }
        let upload = Upload {
            part_size: size,
            parts: urls.into_values().collect(),
            complete: Action {
                headers,
                ..action.clone()
            },
            verify: actions.verify.clone(),
            authenticated: actions.authenticated,
        };
        Ok(Some(Self {
            upload,
            finished: Mutex::default(),
            journal: None,
        }))
    }

    fn finish(&self, number: u32, etag: String) {
        if let Some(journal) = &self.journal {
            journal.finished(number, &etag);
        }
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.insert(number, etag);
    }

    fn finished(&self) -> BTreeMap<u32, String> {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.clone()
    }
}

/// A part of an object.
#[derive(Clone, Copy)]
struct Part<'a> {
    number: u32,
    url: &'a Url,
    start: u64,
    length: u64,
}

/// Bytes of an object that are moved, over all parts.
struct Moved {
    bytes: AtomicU64,
    meter: Arc<Meter>,
}

impl Transfer<'_> {
    /// Uploads what is missing of the parts, several at a time, and puts them together.
    pub(super) fn put_parts(
        &self,
        object: Object,
        plan: &Plan,
        meter: &Arc<Meter>,
    ) -> Result<(), Stop> {
        let done = plan.finished();
        let parts = (1..).zip(&plan.upload.parts).map(|(number, url)| {
            let start = u64::from(number - 1) * plan.upload.part_size;
            let length = plan.upload.part_size.min(object.size - start);
            Part {
                number,
                url,
                start,
                length,
            }
        });
        let (there, missing): (Vec<Part<'_>>, Vec<Part<'_>>) =
            parts.partition(|part| done.contains_key(&part.number));
        let before = there.iter().map(|part| part.length).sum();
        meter.begins(before);
        let moved = Arc::new(Moved {
            bytes: AtomicU64::new(before),
            meter: Arc::clone(meter),
        });
        let uploaded = self.put_missing(object, plan, missing, &moved);
        let whole = uploaded.and_then(|()| self.complete(object, plan));
        let Upload {
            verify,
            authenticated,
            ..
        } = &plan.upload;
        let verified = whole.and_then(|()| self.verify(object, verify.as_ref(), *authenticated));
        if let Some(journal) = &plan.journal
            && !matches!(&verified, Err(Stop::Failed(error)) if may_go_on(error))
        {
            // It is done, or of no use any more.
            journal.remove();
        }
        verified
    }

    fn put_missing(
        &self,
        object: Object,
        plan: &Plan,
        missing: Vec<Part<'_>>,
        moved: &Arc<Moved>,
    ) -> Result<(), Stop> {
        let workers = self.settings.concurrent.min(missing.len());
        let (queue, tasks) = unbounded();
        for part in missing {
            // The receiver is alive: it is in this very function.
            let _ = queue.send(part);
        }
        drop(queue);
        let work = |tasks: Receiver<Part<'_>>| -> Result<(), Stop> {
            while let Ok(part) = tasks.try_recv() {
                match self.put_part(object, part, moved) {
                    Ok(etag) => plan.finish(part.number, etag),
                    Err(stop) => {
                        // The others finish what they are at, and begin nothing more.
                        while tasks.try_recv().is_ok() {}
                        return Err(stop);
                    }
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let spawned: Vec<_> = (0..workers)
                .map(|_| {
                    let tasks = tasks.clone();
                    scope.spawn(move || work(tasks))
                })
                .collect();
            let stops: Vec<Stop> = spawned
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(panicked().into())))
                .filter_map(Result::err)
                .collect();
            // A refusal says more than what failed because of it.
            let refusal = |stop: &Stop| matches!(stop, Stop::Refused(_));
            let first = stops.iter().position(refusal).unwrap_or_default();
            stops.into_iter().nth(first).map_or(Ok(()), Err)
        })
    }

    /// Uploads a part; its ETag.
    fn put_part(&self, object: Object, part: Part<'_>, moved: &Arc<Moved>) -> Result<String, Stop> {
        let own = Arc::new(AtomicU64::new(0));
        let response = self.carry(part.url, |client| {
            let (store, moved, own) = (self.store.clone(), Arc::clone(moved), Arc::clone(&own));
            let open = move || -> Result<Box<dyn Read + Send>> {
                // What an earlier try sent has to be sent again.
                moved
                    .bytes
                    .fetch_sub(own.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                let mut file = store.open(object)?;
                file.seek(SeekFrom::Start(part.start))
                    .map_err(|error| Error::io("read", &store.object_path(object.oid), error))?;
                Ok(Box::new(PartReader {
                    inner: file.take(part.length),
                    own: Arc::clone(&own),
                    moved: Arc::clone(&moved),
                }))
            };
            let body = Body::Sized {
                length: part.length,
                open: Box::new(open),
            };
            let request = Request::put(part.url.clone()).bucket(Bucket::Storage);
            client.send(request.body(body))
        });
        let response = match response {
            // The storage has forgotten the whole upload.
            Err(error) if error.kind() == ErrorKind::RepoNotFound => {
                return Err(Stop::Refused(error));
            }
            response => wire::refused(response?)?,
        };
        let etag = response.header("etag").map(str::to_owned);
        etag.filter(|etag| !etag.is_empty()).ok_or_else(|| {
            let text = format!(
                "the storage took part {} of the LFS object {}, but gave it no ETag",
                part.number, object.oid
            );
            let hint = "the LFS server is at fault; report this to whoever runs it";
            Error::new(ErrorKind::Protocol, text).with_hint(hint).into()
        })
    }

    /// Has the parts put together.
    fn complete(&self, object: Object, plan: &Plan) -> Result<(), Stop> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Finished {
            part_number: u32,
            etag: String,
        }
        #[derive(Serialize)]
        struct Complete {
            oid: String,
            parts: Vec<Finished>,
        }
        let parts = plan.finished().into_iter();
        let body = json(&Complete {
            oid: object.oid.to_string(),
            parts: parts
                .map(|(part_number, etag)| Finished { part_number, etag })
                .collect(),
        })?;
        let action = &plan.upload.complete;
        // Asked twice, the server says the same, or no longer knows the upload.
        let response = self.client.retrying(|client| {
            let request = || Ok(post(action, body.clone()).patience(COMPLETION_PATIENCE));
            let response = self.send(client, action, plan.upload.authenticated, request)?;
            if is_unknown(&response) {
                Ok(response)
            } else {
                response.error_for_status()
            }
        })?;
        if is_unknown(&response) {
            return Err(Stop::Refused(response.into_error()));
        }
        Ok(())
    }
}

/// Whether an upload is not known (any more), or its parts are not: a new one is needed, unless the
/// object is there by now.
fn is_unknown(response: &Response) -> bool {
    matches!(response.status(), 400 | 401 | 403 | 404 | 409 | 410 | 422)
}

/// Whether an upload that failed so may go on later where it stopped.
fn may_go_on(error: &Error) -> bool {
    error.is_retryable() || matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Unauthorized)
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "a thread that sends a part failed")
        .with_hint("this is a bug of the library: please report it")
}

/// Reads a part, and counts.
struct PartReader {
    inner: io::Take<std::fs::File>,
    own: Arc<AtomicU64>,
    moved: Arc<Moved>,
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.moved.meter.check()?;
        let count = self.inner.read(buffer)?;
        self.own.fetch_add(count as u64, Ordering::Relaxed);
        let before = self.moved.bytes.fetch_add(count as u64, Ordering::Relaxed);
        self.moved.meter.reached(before + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(size: u64, headers: &[(&str, &str)]) -> Result<Option<Plan>> {
        let oid = "a".repeat(64).parse().expect("an oid");
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let actions = Actions {
            transfer: Action {
                url: Url::parse("http://h/complete").expect("valid"),
                headers: headers.collect(),
                expires: None,
            },
            verify: None,
            authenticated: true,
        };
        Plan::read(Object { oid, size }, &actions)
    }

    #[test]
    fn parts_are_in_the_order_of_their_numbers() {
        let names: Vec<String> = (1..=11).map(|number| number.to_string()).collect();
        let urls: Vec<String> = names
            .iter()
            .map(|name| format!("http://s/{name}"))
            .collect();
        let mut headers: Vec<(&str, &str)> = names
            .iter()
            .zip(&urls)
            .map(|(name, url)| (name.as_str(), url.as_str()))
            .collect();
        headers.extend([("chunk_size", "10"), ("X-Other", "kept")]);
        let plan = read(105, &headers).expect("fine").expect("a plan");
        let found: Vec<String> = plan.upload.parts.iter().map(Url::to_full).collect();
        assert_eq!(found, urls);
        assert_eq!(plan.upload.complete.headers.len(), 1);
    }

    #[test]
    fn padded_numbers_are_numbers() {
        let headers = [
            ("chunk_size", "4"),
            ("00001", "http://s/1"),
            ("00002", "http://s/2"),
        ];
        let plan = read(8, &headers).expect("fine").expect("a plan");
        assert_eq!(plan.upload.parts.len(), 2);
    }

    #[test]
    fn without_a_part_size_it_is_one_request() {
        assert!(read(10, &[("X", "y")]).expect("fine").is_none());
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let (one, two) = (("1", "http://s/1"), ("2", "http://s/2"));
        for headers in [
            vec![("chunk_size", "0"), one],
            vec![("chunk_size", "many"), one],
            vec![("chunk_size", "5"), one],
            vec![("chunk_size", "10"), one, two],
            vec![("chunk_size", "5"), one, ("3", "http://s/3")],
            vec![("chunk_size", "5"), one, two, ("02", "http://s/2")],
            vec![("chunk_size", "5"), one, ("2", "nowhere")],
            vec![("chunk_size", "10")],
        ] {
            let error = read(10, &headers).map(drop).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Protocol, "{headers:?}");
        }
    }
}
