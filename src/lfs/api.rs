//! The batch API: which objects the server has or wants, and where their bytes go.
//!
//! Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md>. The answer is taken
//! for hostile: what was not asked for is refused.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Object;
use crate::error::{Error, ErrorKind, Result};

use crate::http::{Auth, Body, Client, Request, Response};
use crate::id::LfsOid;
use crate::progress::Direction;
use crate::url::Url;

/// Objects per call, as in git-lfs; the Hub counts calls, and refuses longer ones.
pub(crate) const BATCH: usize = 100;
/// The media type of the API.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// The transfers spoken here, the preferred one first.
pub(crate) const BUILT_IN: [&str; 2] = ["multipart", "basic"];

/// What the server says of the objects of one call.
#[derive(Debug)]
pub(crate) struct Answers {
    /// The transfer it chose among those that were offered.
    pub(crate) transfer: String,
    /// In the order of the question.
    pub(crate) objects: Vec<(Object, Answer)>,
}

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
#[derive(Clone, Debug)]
pub(crate) struct Actions {
    /// For the bytes themselves.
    pub(crate) transfer: Action,
    /// For telling the server that an upload is complete.
    pub(crate) verify: Option<Action>,
    /// The server says that its URLs need no other credentials.
    pub(crate) authenticated: bool,
}

/// One request the server asks for.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) url: Url,
    pub(crate) headers: BTreeMap<String, String>,
    /// When the server will refuse it, as far as it says.
    pub(crate) expires: Option<SystemTime>,
}

impl Action {
    /// A header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let same = |(key, _): &(&String, &String)| key.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str())
    }
}

/// What to ask about.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) direction: Direction,
    /// The full name of the ref it is for; servers may decide permissions by it.
    pub(crate) ref_name: Option<&'a str>,
    /// Names of the transfers that are offered.
    pub(crate) transfers: &'a [&'a str],
    /// At most [`BATCH`].
    pub(crate) objects: &'a [Object],
}

#[derive(Serialize)]
struct BatchRequest<'a> {
    operation: &'a str,
    transfers: &'a [&'a str],
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
pub(super) struct BatchResponse {
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
    header: Option<BTreeMap<String, Value>>,
    expires_in: Option<i64>,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
struct ObjectError {
    code: u16,
    #[serde(default)]
    message: String,
}

/// Asks about at most [`BATCH`] objects.
///
/// A server to which that is too much at once is asked about half of them at a time.
pub(crate) fn batch(client: &Client, lfs: &Url, question: Question<'_>) -> Result<Answers> {
    let url = lfs.join("objects/batch");
    // Asking changes nothing on the server.
    let response = client.retrying(|client| {
        let response = ask(client, &url, question)?;
        if response.status() == TOO_LARGE && question.objects.len() > 1 {
            return Ok(None);
        }
        response.error_for_status()?.json().map(Some)
    })?;
    let Some(response) = response else {
        let (first, second) = question.objects.split_at(question.objects.len() / 2);
        let half = |objects| {
            let question = Question {
                objects,
                ..question
            };
            batch(client, lfs, question)
        };
        let mut answers = half(first)?;
        let others = half(second)?;
        if answers.transfer != others.transfer {
            return Err(refuse(
                &url,
                "the server chose two transfers for one set of objects",
            ));
        }
        answers.objects.extend(others.objects);
        return Ok(answers);
    };
    check(&url, question, response)
}

/// Status of a request that is larger than the server takes.
const TOO_LARGE: u16 = 413;

/// Those of the objects that the server has: those it would let us download.
pub(crate) fn there(client: &Client, lfs: &Url, objects: &[Object]) -> Result<Vec<Object>> {
    let mut found = Vec::new();
    for objects in objects.chunks(BATCH) {
        client.cancel().check()?;
        let question = Question {
            direction: Direction::Download,
            ref_name: None,
            transfers: &BUILT_IN,
            objects,
        };
        let answers = batch(client, lfs, question)?;
        let has = |(object, answer)| matches!(answer, Answer::Transfer(_)).then_some(object);
        found.extend(answers.objects.into_iter().filter_map(has));
    }
    Ok(found)
}

/// Asks whether objects may be uploaded, by an upload of none.
pub(crate) fn check_upload(client: &Client, lfs: &Url) -> Result<()> {
    /// Servers that want at least one object say so only to those who may upload.
    const NOTHING_TO_DO: u16 = 422;
    let url = lfs.join("objects/batch");
    let question = Question {
        direction: Direction::Upload,
        ref_name: None,
        transfers: &BUILT_IN,
        objects: &[],
    };
    client.retrying(|client| {
        let response = ask(client, &url, question)?;
        if response.status() == NOTHING_TO_DO {
            return Ok(());
        }
        response.error_for_status().map(drop)
    })
}

fn ask(client: &Client, url: &Url, question: Question<'_>) -> Result<Response> {
    let wire = |object: &Object| WireObject {
        oid: object.oid.to_string(),
        size: object.size,
    };
    let request = BatchRequest {
        operation: operation(question.direction),
        transfers: question.transfers,
        r#ref: question.ref_name.map(|name| RefName { name }),
        objects: question.objects.iter().map(wire).collect(),
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

fn refuse(url: &Url, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Protocol, format!("POST {url}: {why}"))
        .with_hint("the LFS server is at fault; report this to whoever runs it")
}

/// Matches the answer to the question.
pub(super) fn check(url: &Url, question: Question<'_>, response: BatchResponse) -> Result<Answers> {
    let Question {
        direction, objects, ..
    } = question;
    let refuse = |why: String| refuse(url, why);
    if let Some(other) = response.hash_algo.filter(|hash| hash != "sha256") {
        return Err(refuse(format!(
            "the server hashes with {other:?}, not with sha256"
        )));
    }
    let transfer = response.transfer.unwrap_or_else(|| "basic".to_owned());
    if !question.transfers.contains(&transfer.as_str()) {
        return Err(refuse(format!(
            "the server chose the transfer {transfer:?}, which was not offered"
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
            answer(url, direction, object, found).map_err(refuse)?,
        );
    }
    let take = |object: &Object| {
        let missing = || {
            let text = format!("the server says nothing of the LFS object {}", object.oid);
            Answer::Refused(Error::new(ErrorKind::Protocol, text))
        };
        (*object, answers.remove(&object.oid).unwrap_or_else(missing))
    };
    Ok(Answers {
        transfer,
        objects: objects.iter().map(take).collect(),
    })
}

fn answer(
    lfs: &Url,
    direction: Direction,
    object: &Object,
    found: AnswerObject,
) -> std::result::Result<Answer, String> {
    if let Some(error) = found.error {
        return Ok(Answer::Refused(refusal(object, &error)));
    }
    let now = SystemTime::now();
    let mut actions = found.actions.unwrap_or_default();
    let mut take = |action: &str| {
        let read = |wire: WireAction| -> std::result::Result<Action, String> {
            let url = Url::parse(&wire.href).ok();
            let url = url.ok_or_else(|| format!("the {action} URL cannot be read"))?;
            if let Some(why) = complaint(lfs, &url) {
                return Err(format!("the {action} URL {why}"));
            }
            let text = |(name, value): (String, Value)| {
                // Numbers are not allowed there, but what they mean is plain.
                let value = match value {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    _ => return Err(format!("the header {name:?} of {action} is no text")),
                };
                if !is_header(&name, &value) {
                    return Err(format!("{name:?} of {action} cannot be sent as a header"));
                }
                Ok((name, value))
            };
            let headers = wire.header.unwrap_or_default().into_iter();
            Ok(Action {
                url,
                headers: headers.map(text).collect::<Result<_, _>>()?,
                expires: expiry(now, wire.expires_in, wire.expires_at.as_deref()),
            })
        };
        actions.remove(action).map(read).transpose()
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

/// Why the bytes of an object must not go where a server says; `from` is where it was heard.
pub(super) fn complaint(from: &Url, to: &Url) -> Option<&'static str> {
    if !to.is_http() {
        Some("is not an http(s) URL")
    } else if from.is_https() && !to.is_https() && !to.is_loopback() {
        Some("is http, and would show everybody on the way what https hides")
    } else {
        None
    }
}

/// Whether a header can be sent: no line end in it ends the line, and no name is something else's.
fn is_header(name: &str, value: &str) -> bool {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let in_value = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    !name.is_empty() && name.bytes().all(in_name) && value.bytes().all(in_value)
}

/// When an action ends; seconds count more than a date, as in git-lfs. 0 means that none was set.
fn expiry(now: SystemTime, seconds: Option<i64>, date: Option<&str>) -> Option<SystemTime> {
    /// Longer lives are as good as endless, and the sum must fit.
    const LONGEST: i64 = 10 * 365 * 24 * 3600;
    match seconds.unwrap_or_default() {
        0 => date?.parse().ok().map(|time: Timestamp| time.into()),
        past if past < 0 => Some(now),
        seconds => Some(now + Duration::from_secs(seconds.min(LONGEST).unsigned_abs())),
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
        let objects = [object('a'), object('b')];
        let json = json
            .replace("OID-A", &"a".repeat(64))
            .replace("OID-B", &"b".repeat(64));
        let response = serde_json::from_str(&json).expect("json");
        let url = Url::parse("http://h/x").expect("valid");
        let question = Question {
            direction,
            ref_name: None,
            transfers: &BUILT_IN,
            objects: &objects,
        };
        check(&url, question, response).map(|answers| answers.objects)
    }

    #[test]
    fn bytes_do_not_go_in_the_clear_where_the_api_is_secure() {
        let url = |text| Url::parse(text).expect("valid");
        let may = |from, to| complaint(&url(from), &url(to)).is_none();
        assert!(may("https://h/lfs", "https://storage/x"));
        assert!(!may("https://h/lfs", "http://storage/x"));
        assert!(!may("https://h/lfs", "http://h/x"));
        assert!(may("https://h/lfs", "http://127.0.0.1:8080/x"));
        assert!(may("http://h/lfs", "http://storage/x"));
        assert!(!may("http://h/lfs", "ftp://h/x"));
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
    fn expiry_in_both_spellings() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let in_secs = |seconds, date| {
            let end = expiry(now, seconds, date)?;
            Some(end.duration_since(now).unwrap_or_default().as_secs())
        };
        let date = Some("2001-09-09T01:47:00Z");
        assert_eq!(in_secs(Some(60), date), Some(60));
        assert_eq!(in_secs(Some(0), date), Some(20));
        assert_eq!(in_secs(None, date), Some(20));
        assert_eq!(in_secs(None, None), None);
        assert_eq!(in_secs(Some(0), None), None);
        assert_eq!(in_secs(Some(-5), None), Some(0));
        assert!(in_secs(Some(i64::MAX), None) > Some(1_000_000));
        assert_eq!(
            in_secs(None, Some("2001-09-09T03:47:00.25+02:00")),
            Some(20)
        );
        assert_eq!(in_secs(None, Some("1901-01-01T00:00:00Z")), Some(0));
        assert_eq!(in_secs(None, Some("soon")), None);
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
