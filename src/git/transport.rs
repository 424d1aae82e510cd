//! git's smart protocol over our own HTTP door.
//!
//! libgit2 looks transports up by URL scheme. We register a scheme of our own, once per process,
//! and never hand libgit2 the real address: the [`Session`] of the calling thread has it, with the
//! client that knows the token. So `http` and `https` stay what they are for everybody else who
//! uses libgit2 in this process, and `remote.origin.url` stays a URL that git understands.
//!
//! The protocol is git's "smart HTTP": `GET info/refs?service=…`, then one `POST` per request.
//! See <https://git-scm.com/docs/http-protocol>.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};

use super::sent_pack::SentPack;
use super::{heard, packets, shallow};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Auth, Body, Bucket, Client, Request, Response};
use crate::url::Url;

/// What libgit2 is given in place of the remote's address.
pub(super) const URL: &str = "hf-repository://remote";
const SCHEME: &str = "hf-repository";

/// What serves fetches.
const FETCH: &str = "git-upload-pack";
/// What takes pushes.
const PUSH: &str = "git-receive-pack";

thread_local! {
    static CURRENT: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

/// One conversation with one server.
pub(super) struct Session {
    client: Client,
    /// Where the repository is; a redirect of the first request moves it.
    base: Mutex<Url>,
    /// What went wrong in our own words; libgit2 keeps only a text.
    error: Mutex<Option<Error>>,
    /// What a push sends in place of libgit2's pack.
    pack: Mutex<Option<SentPack>>,
}

impl Session {
    pub(super) fn new(base: Url, client: Client) -> Self {
        Self {
            client,
            base: Mutex::new(base),
            error: Mutex::new(None),
            pack: Mutex::new(None),
        }
    }

    /// The error that ended the conversation, if it was one of ours.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn take_pack(&self) -> Option<SentPack> {
        self.pack
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Decides who makes the pack of a push, now that the server has told what it has.
    fn share_work(&self, listing: &mut Vec<u8>) {
        let Some(mut pack) = self.take_pack() else {
            return;
        };
        match pack.plan(&packets::ids(listing)) {
            Ok(true) => {
                packets::add_had(listing, pack.tips());
                *self.pack.lock().unwrap_or_else(PoisonError::into_inner) = Some(pack);
            }
            Ok(false) => {}
            // libgit2 reads the same, and says what is wrong with it.
            Err(error) => tracing::debug!(%error, "the push is left to libgit2"),
        }
    }

    fn base(&self) -> Url {
        self.base
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps the error for [`take_error`](Self::take_error) and returns its text for libgit2.
    fn keep(&self, error: Error) -> String {
        // Cancelling closes connections: what looks broken was ended by the caller.
        let cancelled = self.client.cancel().is_cancelled();
        let error = if cancelled { Error::cancelled() } else { error };
        let text = error.to_string();
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        text
    }

    /// Asks which refs there are.
    fn advertisement(&self, service: &str) -> Result<Vec<u8>> {
        let base = self.base();
        let url = base.join(&format!("info/refs?service={service}"));
        let request = Request::get(url)
            .bucket(Bucket::Git)
            .auth(Auth::Basic)
            .header("Accept", "*/*");
        let response = self.client.send(request)?.error_for_status()?;
        // Later requests go where this one ended up (a renamed repository).
        if let Some(moved) = response.url().path().strip_suffix("/info/refs") {
            let moved = response.url().with_path(moved);
            *self.base.lock().unwrap_or_else(PoisonError::into_inner) = moved;
        }
        expect(&response, &format!("application/x-{service}-advertisement"))?;
        let listing = heard::whole(response)?;
        shallow::refuse_listing(&listing, &base)?;
        Ok(listing)
    }

    fn call(&self, service: &str, body: Body) -> Result<Response> {
        let request = Request::post(self.base().join(service))
            .bucket(Bucket::Git)
            .auth(Auth::Basic)
            .header("Accept", format!("application/x-{service}-result"))
            .header("Content-Type", format!("application/x-{service}-request"))
            .body(body);
        let response = self.client.send(request)?.error_for_status()?;
        expect(&response, &format!("application/x-{service}-result"))?;
        Ok(response)
    }
}

/// Refuses an answer that is something else than git's: a login page, say.
fn expect(response: &Response, media_type: &str) -> Result<()> {
    let got = response.header("content-type").unwrap_or_default();
    if got == media_type {
        return Ok(());
    }
    let base = response.url();
    Err(Error::new(
        ErrorKind::Protocol,
        format!("{base} does not speak git's smart protocol (it sent {got:?})"),
    )
    .with_hint("is the URL that of a git repository, and is no login page in between?"))
}

/// Makes `session` the one that this thread's libgit2 calls use, until the guard is dropped.
pub(super) fn enter(session: &Arc<Session>) -> Result<Entered> {
    static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
    REGISTERED
        .get_or_init(|| register().map_err(|error| error.message().to_owned()))
        .clone()
        .map_err(|text| {
            Error::new(
                ErrorKind::Git,
                format!("cannot set up the transport: {text}"),
            )
        })?;
    let previous = CURRENT.with(|current| current.replace(Some(Arc::clone(session))));
    Ok(Entered { previous })
}

/// Has the conversation of this thread send a pack of ours, if it turns out to be better.
pub(super) fn offer(pack: SentPack) {
    CURRENT.with(|current| {
        if let Some(session) = &*current.borrow() {
            *session.pack.lock().unwrap_or_else(PoisonError::into_inner) = Some(pack);
        }
    });
}

#[must_use]
pub(super) struct Entered {
    previous: Option<Arc<Session>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with(|current| current.replace(self.previous.take()));
    }
}

#[expect(
    unsafe_code,
    reason = "libgit2's registry of transports is not guarded"
)]
fn register() -> Result<(), git2::Error> {
    // SAFETY: registering must not race with other registrations or with the creation of remotes
    // that look the scheme up. `OnceLock` lets only one thread in, and nobody else can use the
    // scheme before it is registered; other schemes are found in lists we do not touch.
    unsafe {
        git2::transport::register(SCHEME, |remote| {
            // Always succeeds: errors from here lose their text on the way through libgit2.
            let session = CURRENT.with(|current| current.borrow().clone());
            Transport::smart(remote, true, Subtransport { session })
        })
    }
}

struct Subtransport {
    session: Option<Arc<Session>>,
}

impl SmartSubtransport for Subtransport {
    fn action(
        &self,
        _url: &str,
        action: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let Some(session) = self.session.clone() else {
            return Err(git2::Error::from_str(
                "no session: the scheme is private to hf-repository",
            ));
        };
        let listing = |service: &str| match session.advertisement(service) {
            Ok(mut listing) => {
                if service == PUSH {
                    session.share_work(&mut listing);
                }
                Ok(Stream::reading(Arc::clone(&session), listing))
            }
            Err(error) => Err(git2::Error::from_str(&session.keep(error))),
        };
        let stream = match action {
            Service::UploadPackLs => listing(FETCH)?,
            Service::ReceivePackLs => listing(PUSH)?,
            Service::UploadPack => Stream::calling(session, FETCH),
            Service::ReceivePack => Stream::calling(session, PUSH),
        };
        Ok(Box::new(stream))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// A request libgit2 writes, then the answer it reads.
struct Stream {
    session: Arc<Session>,
    state: State,
}

enum State {
    /// The body is small so far.
    Buffering {
        service: &'static str,
        body: Vec<u8>,
    },
    /// The body is on its way, in chunks, from a thread of its own.
    Streaming {
        service: &'static str,
        /// What is too little for a chunk so far.
        gathered: Vec<u8>,
        chunks: Sender<Vec<u8>>,
        answer: JoinHandle<Result<Response>>,
    },
    /// The answer arrives.
    Reading(Box<dyn Read + Send>),
    /// Something failed; every further call fails too.
    Broken,
}

/// Bodies up to this many bytes go with a Content-Length, larger ones in chunks: git's own rule
/// (`http.postBuffer`), which servers are used to.
const BUFFERED_BYTES: usize = 1 << 20;
/// Bytes of a chunk. libgit2 writes a pack object by object, and each object in two parts: ten thousand
/// small files went in twenty thousand chunks, each with a system call and a change of threads.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that may wait for the network: about 1 MiB.
const WAITING_CHUNKS: usize = 16;
/// The chunk that ends a body.
const END: &[u8] = &[];

impl Stream {
    fn reading(session: Arc<Session>, listing: Vec<u8>) -> Self {
        Self {
            session,
            state: State::Reading(Box::new(io::Cursor::new(listing))),
        }
    }

    fn calling(session: Arc<Session>, service: &'static str) -> Self {
        Self {
            session,
            state: State::Buffering {
                service,
                body: Vec::new(),
            },
        }
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.state = State::Broken;
        io::Error::other(self.session.keep(error))
    }

    /// Sends our pack in the place of libgit2's, if there is one.
    fn put_own_pack(&mut self) -> Result<()> {
        let State::Buffering { service, body } = &mut self.state else {
            return Ok(());
        };
        let Some(pack) = self.session.take_pack().filter(|_| *service == PUSH) else {
            return Ok(());
        };
        // Only what deletes has none.
        if let Some(commands) = packets::before_pack(body) {
            body.truncate(commands);
            pack.write(self)
                .map_err(|error| self.session.take_error().unwrap_or(error))?;
        }
        Ok(())
    }

    /// Ends the request and waits for the answer to begin.
    fn answer(&mut self) -> Result<Box<dyn Read + Send>> {
        self.put_own_pack()?;
        let (service, response) = match std::mem::replace(&mut self.state, State::Broken) {
            State::Reading(reader) => return Ok(reader),
            State::Buffering { service, body } => {
                (service, self.session.call(service, Body::Bytes(body))?)
            }
            State::Streaming {
                service,
                gathered,
                chunks,
                answer,
            } => {
                // A failed send means the answer is there already.
                if !gathered.is_empty() {
                    let _ = chunks.send(gathered);
                }
                let _ = chunks.send(END.to_vec());
                (service, join(answer)?)
            }
            State::Broken => return Err(broken()),
        };
        if service == PUSH {
            return Ok(Box::new(io::Cursor::new(heard::whole(response)?)));
        }
        Ok(Box::new(response.into_reader()))
    }
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Network,
        "the connection to the git server is broken",
    )
}

fn join(answer: JoinHandle<Result<Response>>) -> Result<Response> {
    answer
        .join()
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Git, "the sending thread failed")))
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // A second request over the same stream starts anew.
        match &mut self.state {
            State::Buffering { body, service } => {
                body.extend_from_slice(data);
                if body.len() > BUFFERED_BYTES {
                    let (service, first) = (*service, std::mem::take(body));
                    self.state = stream(&self.session, service, first);
                }
                Ok(data.len())
            }
            State::Streaming {
                gathered, chunks, ..
            } => {
                gathered.extend_from_slice(data);
                let is_enough = gathered.len() >= CHUNK_BYTES;
                if !is_enough || chunks.send(std::mem::take(gathered)).is_ok() {
                    return Ok(data.len());
                }
                // The sender is gone: the server answered early, or the connection broke.
                match self.answer() {
                    Ok(reader) => {
                        self.state = State::Reading(reader);
                        Err(io::Error::other(
                            "the server answered before the request was complete",
                        ))
                    }
                    Err(error) => Err(self.fail(error)),
                }
            }
            State::Reading(_) | State::Broken => Err(io::Error::other(broken().to_string())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reader = match self.answer() {
            Ok(reader) => reader,
            Err(error) => return Err(self.fail(error)),
        };
        match reader.read(buffer) {
            Ok(count) => {
                self.state = State::Reading(reader);
                Ok(count)
            }
            Err(error) => {
                let error = Response::read_error(error, &self.session.base());
                Err(self.fail(error))
            }
        }
    }
}

/// Starts the thread that sends the body in chunks.
fn stream(session: &Arc<Session>, service: &'static str, first: Vec<u8>) -> State {
    let (chunks, receiver) = bounded(WAITING_CHUNKS);
    let session = Arc::clone(session);
    let answer = thread::spawn(move || {
        let reader = Chunks {
            current: io::Cursor::new(first),
            receiver,
        };
        session.call(service, Body::Stream(Box::new(reader)))
    });
    State::Streaming {
        service,
        gathered: Vec::new(),
        chunks,
        answer,
    }
}

/// The body as the sending thread reads it.
struct Chunks {
    current: io::Cursor<Vec<u8>>,
    receiver: Receiver<Vec<u8>>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.receiver.recv() {
                Ok(chunk) if chunk == END => return Ok(0),
                Ok(chunk) => self.current = io::Cursor::new(chunk),
                // Dropped without an end: libgit2 gave up, so the server must not see a whole body.
                Err(_) => return Err(io::Error::other("the request was given up")),
            }
        }
    }
}
