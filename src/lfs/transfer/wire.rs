//! Requests as a server's actions want them.

use serde::Serialize;

use super::Transfer;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Auth, Body, Client, Host, Request, Response};
use crate::lfs::Object;
use crate::lfs::api::{Action, MEDIA_TYPE};
use crate::url::Url;

/// Why an object was not moved.
pub(super) enum Stop {
    /// What the server offered is not good, or no longer: it may be asked for again.
    Refused(Error),
    /// It expired before it was used.
    Late,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Headers that are about a connection, or say where a request ends: those are ours to choose.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Adds the headers of an action.
pub(super) fn with_headers(request: Request, action: &Action) -> Request {
    action
        .headers
        .iter()
        .fold(request, |request, (name, value)| {
            if OURS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                request
            } else {
                request.header(name.clone(), value.clone())
            }
        })
}

/// The response, unless it says that what was offered is not (or no longer) good.
pub(super) fn refused(response: Response) -> Result<Response, Stop> {
    match response.status() {
        401 | 403 => Err(Stop::Refused(response.into_error())),
        _ => Ok(response.error_for_status()?),
    }
}

/// Whether another try is of no use: it would be refused as well.
pub(super) fn is_refusal(response: &Response) -> bool {
    matches!(response.status(), 401 | 403)
}

impl Transfer<'_> {
    /// Sends a request to where an action says.
    ///
    /// Signed URLs get nothing but the action's own headers. Servers that keep objects themselves
    /// may ask for the credentials of their API: those get them, if it is the same origin.
    pub(super) fn send(
        &self,
        client: &Client,
        action: &Action,
        authenticated: bool,
        request: impl Fn() -> Result<Request>,
    ) -> Result<Response> {
        let response = client.send(request()?)?;
        let own = action.url.origin() == self.lfs.origin()
            && !authenticated
            && action.header("authorization").is_none();
        if response.status() == 401 && own && client.may_have_login_for(&action.url) {
            return client.send(request()?.auth(Auth::Basic));
        }
        Ok(response)
    }

    /// Moves an object's bytes by requests that may be repeated, each in a place among the transfers
    /// of its server. Refusals are responses.
    pub(super) fn carry(
        &self,
        url: &Url,
        send: impl Fn(&Client) -> Result<Response>,
    ) -> Result<Response> {
        let host = Host::at(&url.origin());
        let place = || host.place(self.settings.concurrent, self.job.cancel);
        // The time of all tries begins when it is this one's turn.
        let mut first = Some(place()?);
        self.client.retrying(|client| {
            let _place = first.take().map_or_else(place, Ok)?;
            let response = send(client)?;
            if is_refusal(&response) {
                Ok(response)
            } else {
                response.error_for_status()
            }
        })
    }

    /// Tells the server that an object is complete, where it wants to know.
    pub(super) fn verify(
        &self,
        object: Object,
        verify: Option<&Action>,
        authenticated: bool,
    ) -> Result<(), Stop> {
        #[derive(Serialize)]
        struct Verify {
            oid: String,
            size: u64,
        }
        let Some(verify) = verify else {
            return Ok(());
        };
        let body = json(&Verify {
            oid: object.oid.to_string(),
            size: object.size,
        })?;
        let mut tries = self.client.tries();
        let client = self.client.until(&tries);
        for number in 1.. {
            let sent = self.send(&client, verify, authenticated, || {
                Ok(post(verify, body.clone()))
            });
            let error = match sent {
                // Like every URL of an action, it may have expired during a long upload.
                Ok(response) if is_refusal(&response) => return refused(response).map(drop),
                Ok(response) => match response.error_for_status() {
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if error.kind() != ErrorKind::RepoNotFound {
                tries.again(error)?;
                continue;
            }
            // Some storages know of an object only a moment after they took it.
            let late = Error::new(ErrorKind::Server, "the server does not know the object yet");
            if number >= self.settings.max_verifies || tries.again(late).is_err() {
                self.job.cancel.check()?;
                let what = "the server lost what it just took";
                return Err(absent(error, object, what, "push again").into());
            }
        }
        Ok(())
    }
}

/// A POST of JSON to an action's place.
pub(super) fn post(action: &Action, body: Vec<u8>) -> Request {
    let request = Request::post(action.url.clone())
        .header("Accept", MEDIA_TYPE)
        .header("Content-Type", MEDIA_TYPE);
    with_headers(request, action).body(Body::Bytes(body))
}

pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "cannot describe the object").with_source(error)
    })
}

/// What a 404 means where an object's bytes should be.
pub(super) fn absent(error: Error, object: Object, what: &str, hint: &str) -> Error {
    if error.kind() != ErrorKind::RepoNotFound {
        return error;
    }
    let text = format!("the LFS object {}: {what}", object.oid);
    Error::new(ErrorKind::LfsObjectMissing, text)
        .with_hint(hint)
        .with_source(error)
}
