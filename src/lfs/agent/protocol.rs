//! What is said between us and a transfer agent: one JSON object a line.
//!
//! Format: <https://github.com/git-lfs/git-lfs/blob/main/docs/custom-transfers.md>. What an agent
//! says is checked like the answer of a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::Object;
use super::super::api::Action;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Direction;

/// What we tell an agent.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Message<'a> {
    Init {
        operation: &'a str,
        remote: &'a str,
        concurrent: bool,
        concurrenttransfers: usize,
    },
    Upload {
        oid: String,
        size: u64,
        path: &'a Path,
        /// `None` for agents that need no server.
        action: Option<WireAction<'a>>,
    },
    Download {
        oid: String,
        size: u64,
        action: Option<WireAction<'a>>,
    },
    Terminate,
}

/// Holds secrets: goes down the pipe, and nowhere else.
#[derive(Serialize)]
pub(super) struct WireAction<'a> {
    href: String,
    header: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a Action> for WireAction<'a> {
    fn from(action: &'a Action) -> Self {
        Self {
            href: action.url.to_full(),
            header: &action.headers,
        }
    }
}

impl Message<'_> {
    /// The message as a line, without its end.
    pub(super) fn to_line(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| {
            let text = "a path that is not UTF-8 cannot be told to a transfer agent";
            Error::new(ErrorKind::Unsupported, text).with_source(error)
        })
    }
}

/// What a direction is called on the wire.
pub(super) fn operation(direction: Direction) -> &'static str {
    match direction {
        Direction::Upload => "upload",
        Direction::Download => "download",
    }
}

/// What an agent says of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// So many bytes of the object have moved.
    Progress(u64),
    /// The object was moved; downloads lie in a file, which is ours to take.
    Complete(Option<PathBuf>),
    /// The object was not moved, in the agent's own words.
    Failed(String),
}

#[derive(Deserialize)]
struct WireReply {
    event: Option<String>,
    oid: Option<String>,
    path: Option<PathBuf>,
    #[serde(rename = "bytesSoFar")]
    bytes_so_far: Option<i64>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl WireError {
    fn into_words(self) -> String {
        format!("{} (code {})", self.message.trim(), self.code)
    }
}

/// Reads the answer to `init`: `Some` words of an agent that does not want to start.
///
/// # Errors
/// What is wrong with the line.
pub(super) fn read_init(line: &str) -> Result<Option<String>, String> {
    let reply = parse(line)?;
    Ok(reply.error.map(WireError::into_words))
}

/// Reads what is said of `object`, which moves in `direction`.
///
/// # Errors
/// What is wrong with the line.
pub(super) fn read_reply(
    line: &str,
    object: Object,
    direction: Direction,
) -> Result<Reply, String> {
    let reply = parse(line)?;
    let about = |oid: Option<String>| match oid {
        Some(oid) if oid == object.oid.to_string() => Ok(()),
        Some(oid) => Err(format!("speaks of {oid:?}, which is not under way")),
        None => Err("does not say which object it speaks of".to_owned()),
    };
    match reply.event.as_deref() {
        Some("progress") => {
            about(reply.oid)?;
            let bytes = reply.bytes_so_far.and_then(|bytes| bytes.try_into().ok());
            let bytes: u64 = bytes.ok_or("reports a progress that is no number of bytes")?;
            // Agents that count whole parts go past the end of the last one, and git-lfs lets them.
            Ok(Reply::Progress(bytes.min(object.size)))
        }
        Some("complete") => {
            about(reply.oid)?;
            if let Some(error) = reply.error {
                return Ok(Reply::Failed(error.into_words()));
            }
            match (direction, reply.path) {
                (Direction::Upload, _) => Ok(Reply::Complete(None)),
                (Direction::Download, Some(path)) if !path.as_os_str().is_empty() => {
                    Ok(Reply::Complete(Some(path)))
                }
                (Direction::Download, _) => Err("does not say where it put the object".to_owned()),
            }
        }
        Some(other) => Err(format!("says {other:?}, which means nothing here")),
        // Some agents report a failure of their own without saying of what.
        None => match reply.error {
            Some(error) => Ok(Reply::Failed(error.into_words())),
            None => Err("does not say what happened".to_owned()),
        },
    }
}

fn parse(line: &str) -> Result<WireReply, String> {
    serde_json::from_str(line).map_err(|error| {
        // A cut could leave half of something that is to be hidden: lines are short, or not shown.
        let shown = if line.len() <= SHOWN {
            line
        } else {
            "a long line"
        };
        format!("says {shown:?}, which is not an answer ({error})")
    })
}

/// Bytes of a wrong line that is shown: enough for what programs print by mistake.
const SHOWN: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LfsOid;
    use crate::url::Url;

    const OBJECT: Object = Object {
        oid: LfsOid::EMPTY,
        size: 7,
    };

    fn reply(text: &str, direction: Direction) -> Result<Reply, String> {
        let line = text.replace("OID", &OBJECT.oid.to_string());
        read_reply(&line, OBJECT, direction)
    }

    fn line(message: &Message<'_>) -> serde_json::Value {
        serde_json::from_str(&message.to_line().expect("a line")).expect("JSON")
    }

    #[test]
    fn messages_look_as_git_lfs_writes_them() {
        let init = Message::Init {
            operation: "upload",
            remote: "origin",
            concurrent: true,
            concurrenttransfers: 8,
        };
        assert_eq!(
            line(&init),
            serde_json::json!({ "event": "init", "operation": "upload", "remote": "origin",
                "concurrent": true, "concurrenttransfers": 8 })
        );
        let action = Action {
            url: Url::parse("https://s.example/a?sig=1").expect("valid"),
            headers: BTreeMap::from([("X-A".to_owned(), "b".to_owned())]),
            expires: None,
        };
        let upload = Message::Upload {
            oid: "aa".to_owned(),
            size: 7,
            path: Path::new("/a b/\u{fc}"),
            action: Some(WireAction::from(&action)),
        };
        assert_eq!(
            line(&upload),
            serde_json::json!({ "event": "upload", "oid": "aa", "size": 7, "path": "/a b/\u{fc}",
                "action": { "href": "https://s.example/a?sig=1", "header": { "X-A": "b" } } })
        );
        let download = Message::Download {
            oid: "aa".to_owned(),
            size: 7,
            action: None,
        };
        assert_eq!(
            line(&download),
            serde_json::json!({ "event": "download", "oid": "aa", "size": 7, "action": null })
        );
        assert_eq!(
            line(&Message::Terminate),
            serde_json::json!({ "event": "terminate" })
        );
    }

    #[test]
    fn answers_are_read() {
        use Direction::{Download, Upload};
        assert_eq!(read_init("{}"), Ok(None));
        assert_eq!(read_init(r#"{"error":null}"#), Ok(None));
        let refused = read_init(r#"{"error":{"code":32,"message":"uploads only"}}"#);
        assert_eq!(refused, Ok(Some("uploads only (code 32)".to_owned())));
        for (text, direction, wanted) in [
            (
                r#"{"event":"progress","oid":"OID","bytesSoFar":5,"bytesSinceLast":5}"#,
                Upload,
                Reply::Progress(5),
            ),
            (
                r#"{"event":"progress","oid":"OID","bytesSoFar":8,"more":[]}"#,
                Upload,
                Reply::Progress(7),
            ),
            (
                r#"{"event":"complete","oid":"OID"}"#,
                Upload,
                Reply::Complete(None),
            ),
            (
                r#"{"event":"complete","oid":"OID","path":"/t/x"}"#,
                Download,
                Reply::Complete(Some("/t/x".into())),
            ),
            (
                r#"{"event":"complete","oid":"OID","path":"","error":{"code":2,"message":"no"}}"#,
                Download,
                Reply::Failed("no (code 2)".to_owned()),
            ),
        ] {
            assert_eq!(reply(text, direction), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn answers_that_break_the_protocol_say_what_is_wrong() {
        for (text, told) in [
            ("", "not an answer"),
            ("hello", "\"hello\""),
            ("[]", "not an answer"),
            ("{}", "what happened"),
            (r#"{"event":"init"}"#, "\"init\""),
            (r#"{"event":"progress","bytesSoFar":1}"#, "which object"),
            (r#"{"event":"progress","oid":"OID"}"#, "number of bytes"),
            (
                r#"{"event":"progress","oid":"OID","bytesSoFar":-1}"#,
                "number of bytes",
            ),
            (
                r#"{"event":"complete","oid":"ab","path":"/x"}"#,
                "\"ab\", which is not under way",
            ),
            (r#"{"event":"complete","oid":"OID"}"#, "where it put"),
            (
                r#"{"event":"complete","oid":"OID","path":""}"#,
                "where it put",
            ),
        ] {
            let error = reply(text, Direction::Download).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!(read_init("ready").is_err());
    }
}
