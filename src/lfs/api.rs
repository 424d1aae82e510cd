//! The batch API: which objects the server has or wants, and where their bytes go.
//!
//! Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md>. The answer is taken
//! for hostile: what was not asked for is refused.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::Object;
use crate::error::{Error, ErrorKind, Result};
use crate::http::retry::retrying;
use crate::http::{Auth, Body, Client, Request, Response};
use crate::id::LfsOid;
use crate::progress::Direction;
use crate::url::Url;

/// Objects per call, as in git-lfs; the Hub counts calls, and refuses longer ones.
pub(crate) const BATCH: usize = 100;
/// The media type of the API.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// What the server says of one object.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Upload: it is there. (Downloads always have actions.)
    Nothing,
    /// Where to send it to or get it from.
    Transfer(Box<Actions>),
    /// It cannot be had, or is not wanted.
    Refused(Error),
}

/// Where the bytes of an object go.
#[derive(Debug)]
pub(crate) struct Actions {
    /// For the bytes themselves.
    pub(crate) transfer: Action,
    /// For telling the server that an upload is complete.
    pub(crate) verify: Option<Action>,
    /// The server says that its URLs need no other credentials.
    pub(crate) authenticated: bool,
}

/// One request the server asks for.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) url: Url,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct BatchRequest<'a> {
    operation: &'a str,
    transfers: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    r#ref: Option<RefName<'a>>,
    objects: Vec<WireObject>,
    hash_algo: &'a str,
}

#[derive(Serialize)]
struct RefName<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct WireObject {
    oid: String,
    size: u64,
}

#[derive(Deserialize)]
struct BatchResponse {
    transfer: Option<String>,
    objects: Vec<AnswerObject>,
    hash_algo: Option<String>,
}

#[derive(Deserialize)]
struct AnswerObject {
    oid: String,
    size: Option<i64>,
    #[serde(default)]
    authenticated: bool,
    actions: Option<HashMap<String, WireAction>>,
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct WireAction {
    href: String,
    #[serde(default)]
    header: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ObjectError {
    code: u16,
    #[serde(default)]
    message: String,
}

/// Asks about at most [`BATCH`] objects; the answers are in their order.
pub(crate) fn batch(
    client: &Client,
    lfs: &Url,
    direction: Direction,
    ref_name: Option<&str>,
    objects: &[Object],
) -> Result<Vec<(Object, Answer)>> {
    let url = lfs.join("objects/batch");
    // Asking changes nothing on the server.
    let response: BatchResponse = retrying(client.cancel(), || {
        ask(client, &url, direction, ref_name, objects)?
            .error_for_status()?
            .json()
    })?;
    check(&url, direction, response, objects)
}

/// Those of the objects that the server has: those it would let us download.
pub(crate) fn there(client: &Client, lfs: &Url, objects: &[Object]) -> Result<Vec<Object>> {
    let mut found = Vec::new();
    for objects in objects.chunks(BATCH) {
        client.cancel().check()?;
        let answers = batch(client, lfs, Direction::Download, None, objects)?;
        let has = |(object, answer)| matches!(answer, Answer::Transfer(_)).then_some(object);
        found.extend(answers.into_iter().filter_map(has));
    }
    Ok(found)
}

/// Asks whether objects may be uploaded, by an upload of none.
pub(crate) fn check_upload(client: &Client, lfs: &Url) -> Result<()> {
    /// Servers that want at least one object say so only to those who may upload.
    const NOTHING_TO_DO: u16 = 422;
    let url = lfs.join("objects/batch");
    retrying(client.cancel(), || {
        let response = ask(client, &url, Direction::Upload, None, &[])?;
        if response.status() == NOTHING_TO_DO {
            return Ok(());
        }
        response.error_for_status().map(drop)
    })
}

fn ask(
    client: &Client,
    url: &Url,
    direction: Direction,
    ref_name: Option<&str>,
    objects: &[Object],
) -> Result<Response> {
    let wire = |object: &Object| WireObject {
        oid: object.oid.to_string(),
        size: object.size,
    };
    let request = BatchRequest {
        operation: operation(direction),
        transfers: ["basic"],
        r#ref: ref_name.map(|name| RefName { name }),
        objects: objects.iter().map(wire).collect(),
        hash_algo: "sha256",
    };
    let body = serde_json::to_vec(&request).map_err(|error| {
        Error::new(ErrorKind::Protocol, "cannot describe the objects").with_source(error)
    })?;
    let request = Request::post(url.clone())
        .auth(Auth::Basic)
        .header("Accept", MEDIA_TYPE)
        .header("Content-Type", MEDIA_TYPE)
        .body(Body::Bytes(body));
    client.send(request)
}

fn operation(direction: Direction) -> &'static str {
    match direction {
        Direction::Upload => "upload",
        Direction::Download => "download",
    }
}

/// Matches the answer to the question.
fn check(
    url: &Url,
    direction: Direction,
    response: BatchResponse,
    objects: &[Object],
) -> Result<Vec<(Object, Answer)>> {
    let refuse = |why: String| {
        Error::new(ErrorKind::Protocol, format!("POST {url}: {why}"))
            .with_hint("the LFS server is at fault; report this to whoever runs it")
    };
    if let Some(other) = response.hash_algo.filter(|hash| hash != "sha256") {
        return Err(refuse(format!(
            "the server hashes with {other:?}, not with sha256"
        )));
    }
    if let Some(other) = response.transfer.filter(|transfer| transfer != "basic") {
        return Err(refuse(format!(
            "the server chose the transfer {other:?}, which was not offered"
        )));
    }
    let asked: HashMap<LfsOid, Object> =
        objects.iter().map(|object| (object.oid, *object)).collect();
    let mut answers: HashMap<LfsOid, Answer> = HashMap::new();
    for found in response.objects {
        let oid: Option<LfsOid> = found.oid.parse().ok();
        let Some(object) = oid.and_then(|oid| asked.get(&oid)) else {
            return Err(refuse(format!(
                "the server speaks of {:?}, which was not asked for",
                found.oid
            )));
        };
        if answers.contains_key(&object.oid) {
            return Err(refuse(format!("the server speaks twice of {}", object.oid)));
        }
        let size_differs = found
            .size
            .is_some_and(|size| u64::try_from(size).ok() != Some(object.size));
        if size_differs && found.error.is_none() {
            return Err(refuse(format!(
                "the server has another size for {}",
                object.oid
            )));
        }
        answers.insert(
            object.oid,
            answer(direction, object, found).map_err(refuse)?,
        );
    }
    let take = |object: &Object| {
        let missing = || {
            let text = format!("the server says nothing of the LFS object {}", object.oid);
            Answer::Refused(Error::new(ErrorKind::Protocol, text))
        };
        (*object, answers.remove(&object.oid).unwrap_or_else(missing))
    };
    Ok(objects.iter().map(take).collect())
}

fn answer(
    direction: Direction,
    object: &Object,
    found: AnswerObject,
) -> std::result::Result<Answer, String> {
    if let Some(error) = found.error {
        return Ok(Answer::Refused(refusal(object, &error)));
    }
    let mut actions = found.actions.unwrap_or_default();
    let mut take = |name: &str| {
        let read = |wire: WireAction| -> std::result::Result<Action, String> {
            let url =
                Url::parse(&wire.href).map_err(|_| format!("the {name} URL cannot be read"))?;
            Ok(Action {
                url,
                headers: wire.header.unwrap_or_default(),
            })
        };
        actions.remove(name).map(read).transpose()
    };
    let verify = take("verify")?;
    match (take(operation(direction))?, direction) {
        (Some(transfer), _) => Ok(Answer::Transfer(Box::new(Actions {
            transfer,
            verify,
            authenticated: found.authenticated,
        }))),
        (None, Direction::Upload) => Ok(Answer::Nothing),
        (None, Direction::Download) => {
            let text = format!(
                "the server offers no download of the LFS object {}",
                object.oid
            );
            Ok(Answer::Refused(Error::new(
                ErrorKind::LfsObjectMissing,
                text,
            )))
        }
    }
}

fn refusal(object: &Object, error: &ObjectError) -> Error {
    let (kind, what) = match error.code {
        404 => (ErrorKind::LfsObjectMissing, "is not on the server"),
        410 => (
            ErrorKind::LfsObjectMissing,
            "was removed from the server by its owner",
        ),
        401 => (ErrorKind::Unauthorized, "needs other credentials"),
        403 => (ErrorKind::Forbidden, "is not for these credentials"),
        429 => (ErrorKind::RateLimited, "was asked for too often"),
        507 | 509 => (
            ErrorKind::Forbidden,
            "exceeds the storage or bandwidth of the repository",
        ),
        500..=599 => (ErrorKind::Server, "could not be looked up by the server"),
        _ => (ErrorKind::Protocol, "was refused by the server"),
    };
    Error::new(
        kind,
        format!("the LFS object {} {what} ({})", object.oid, error.code),
    )
    .with_hint("push the file again from a clone that has it")
    .with_server_message(&error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(first: char) -> Object {
        let oid = first.to_string().repeat(64).parse().expect("an oid");
        Object { oid, size: 5 }
    }

    fn ask(direction: Direction, json: &str) -> Result<Vec<(Object, Answer)>> {
        let json = json
            .replace("OID-A", &"a".repeat(64))
            .replace("OID-B", &"b".repeat(64));
        let response = serde_json::from_str(&json).expect("json");
        let url = Url::parse("http://h/x").expect("valid");
        check(&url, direction, response, &[object('a'), object('b')])
    }

    #[test]
    fn answers_are_matched_to_the_question() {
        let answers = ask(
            Direction::Upload,
            r#"{"objects":[{"oid":"OID-B","size":5},
                {"oid":"OID-A","size":5,"authenticated":true,"actions":{
                    "upload":{"href":"http://s/a?sig=1","header":{"X":"y"}},
                    "verify":{"href":"http://h/v"}}}]}"#,
        )
        .expect("fine");
        assert!(matches!(&answers[0].1, Answer::Transfer(actions)
            if actions.authenticated && actions.verify.is_some()
                && actions.transfer.headers["X"] == "y"));
        assert!(matches!(answers[1].1, Answer::Nothing));
    }

    #[test]
    fn what_is_missing_fails_alone() {
        let answers = ask(
            Direction::Download,
            r#"{"objects":[{"oid":"OID-A","size":5,"error":{"code":404,"message":"gone"}}]}"#,
        )
        .expect("fine");
        let kinds: Vec<_> = answers
            .iter()
            .map(|(_, answer)| match answer {
                Answer::Refused(error) => Some(error.kind()),
                _ => None,
            })
            .collect();
        assert_eq!(
            kinds,
            [Some(ErrorKind::LfsObjectMissing), Some(ErrorKind::Protocol)]
        );
    }

    #[test]
    fn hostile_answers_are_refused_whole() {
        for json in [
            r#"{"objects":[],"hash_algo":"sha512"}"#,
            r#"{"objects":[],"transfer":"xet"}"#,
            r#"{"objects":[{"oid":"cccc"}]}"#,
            r#"{"objects":[{"oid":"../../etc/passwd"}]}"#,
            r#"{"objects":[{"oid":"OID-A"},{"oid":"OID-A"}]}"#,
            r#"{"objects":[{"oid":"OID-A","size":6}]}"#,
            r#"{"objects":[{"oid":"OID-A","size":-1}]}"#,
            r#"{"objects":[{"oid":"OID-A","actions":{"download":{"href":"nowhere"}}}]}"#,
        ] {
            let error = ask(Direction::Download, json).expect_err(json);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{json}");
        }
    }
}
