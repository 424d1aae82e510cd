//! Transfer agents: programs that move objects in ways of their own, named by git's config.
//!
//! The protocol is git-lfs's, so that every agent made for it works here: a child per worker, told
//! what to move a line at a time. Secrets reach an agent through its pipe alone.
//!
//! | file | concern |
//! |---|---|
//! | `config` | which agents there are, and when they are used |
//! | `hidden` | what an agent must not say again |
//! | `protocol` | the lines that are said |
//! | `run` | objects in, outcomes out |

mod config;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod hidden;
mod protocol;
mod run;

pub(crate) use config::{AgentConfig, AgentSpec};
pub(super) use run::{Crew, standalone_download, standalone_upload};

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Object;
use super::api::Action;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::process::{Child, Input, Program};
use crate::progress::Direction;
use config::Processes;
use hidden::Hidden;
use protocol::{Message, Reply, WireAction, operation};

/// An agent that has read no line for so long reads no more.
const UNREAD: Duration = Duration::from_secs(60);
/// How long an agent may say nothing. It has the size of the object for it, not of the network: one
/// that finds out first what the server lacks reads hundreds of gigabytes before it sends any.
const SILENCE: Duration = Duration::from_secs(60 * 60);
/// How long an agent may take to end once it is told to, as git-lfs has it.
const GOODBYE: Duration = Duration::from_secs(30);

/// An agent, and what its processes are told when they start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agents<'a> {
    spec: &'a AgentSpec,
    direction: Direction,
    /// The git remote's name in the config.
    remote_name: &'a str,
    /// Objects that may be under way at a time.
    concurrent: usize,
    /// Where the processes run.
    workdir: &'a Path,
    cancel: &'a CancelToken,
}

impl Agents<'_> {
    /// How many processes may work side by side.
    fn processes(&self) -> usize {
        match self.spec.processes {
            Processes::One => 1,
            Processes::Several => self.concurrent.max(1),
        }
    }

    /// Starts a process.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramFailed`] with the agent's words if it does not want to do this.
    fn worker(&self) -> Result<Worker> {
        // By a shell, as git-lfs does it: the arguments may use its quotes.
        let line = format!("{} {}", quoted(&self.spec.path), self.spec.args);
        let action = format!("move LFS objects by the transfer agent {}", self.spec.name);
        let child = Program::new("sh", action)
            .arguments(["-c", &line])
            .folder(self.workdir)
            .input(Input::Lines)
            .start(self.cancel)?;
        let mut worker = Worker {
            child: Some(child),
            name: self.spec.name.clone(),
            direction: self.direction,
            hidden: Hidden::default(),
        };
        worker.say(&Message::Init {
            operation: operation(self.direction),
            remote: self.remote_name,
            concurrent: self.spec.processes == Processes::Several,
            concurrenttransfers: self.concurrent,
        })?;
        match worker.hear(protocol::read_init)? {
            None => Ok(worker),
            Some(words) => Err(worker.refusal("does not start", &words)),
        }
    }
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What came of a transfer that an agent was asked for.
enum Told {
    /// It is done; downloads lie in the file.
    Complete(Option<PathBuf>),
    /// It is not, and the next one may be.
    Failed(Error),
}

/// A running process of an agent; dropped, it is killed.
struct Worker {
    /// `None` once it has ended.
    child: Option<Child>,
    name: String,
    direction: Direction,
    /// Of the object it has now.
    hidden: Hidden,
}

impl Worker {
    /// Has one object moved: from `file`, if it is an upload. `on_bytes` is told how far it came.
    ///
    /// # Errors
    /// The process is of no more use.
    fn transfer(
        &mut self,
        object: Object,
        file: &Path,
        action: Option<&Action>,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Told> {
        let (oid, size) = (object.oid.to_string(), object.size);
        self.hidden = action.map(Hidden::of).unwrap_or_default();
        let action = action.map(WireAction::from);
        self.say(&match self.direction {
            Direction::Upload => Message::Upload {
                oid,
                size,
                path: file,
                action,
            },
            Direction::Download => Message::Download { oid, size, action },
        })?;
        let direction = self.direction;
        loop {
            match self.hear(|line| protocol::read_reply(line, object, direction))? {
                Reply::Progress(bytes) => on_bytes(bytes),
                Reply::Complete(file) => return Ok(Told::Complete(file)),
                Reply::Failed(words) => {
                    let what = format!("did not {} {}", operation(direction), object.oid);
                    return Ok(Told::Failed(self.refusal(&what, &words)));
                }
            }
        }
    }

    /// Tells the process that there is no more to do.
    fn dismiss(&mut self) {
        if self.say(&Message::Terminate).is_err() {
            self.child = None;
        }
    }

    /// Waits for the end of a process that was [dismissed](Self::dismiss).
    ///
    /// How it ends changes nothing: every object is where it belongs.
    fn finish(mut self) {
        let ended = self.child.take().map(|child| child.finish(GOODBYE));
        if let Some(Err(error)) = ended {
            tracing::debug!(name = self.name, %error, "a transfer agent did not end well");
        }
    }

    fn say(&mut self, message: &Message<'_>) -> Result<()> {
        let line = message.to_line()?;
        let written = self
            .child
            .as_mut()
            .map(|child| child.write_line(&line, UNREAD));
        match written {
            Some(written) => written.map_err(|error| self.broken(error)),
            None => Err(self.gone()),
        }
    }

    /// The next line, as `read` understands it.
    fn hear<T>(&mut self, read: impl Fn(&str) -> Result<T, String>) -> Result<T> {
        let line = self.child.as_mut().map(|child| child.read_line(SILENCE));
        let line = line.transpose().map_err(|error| self.broken(error))?;
        match line.flatten() {
            Some(line) => read(&line).map_err(|what| self.nonsense(&what)),
            None => Err(self.gone()),
        }
    }

    /// Why a line could not be said or heard. The door's own text may hold what is to be hidden.
    fn broken(&mut self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Cancelled => error,
            ErrorKind::Timeout => self.error(error.kind(), "hangs", ""),
            ErrorKind::Protocol => {
                self.nonsense("says something that is no text, or a line without end")
            }
            _ => self.gone(),
        }
    }

    /// An agent that says no more.
    fn gone(&mut self) -> Error {
        let what = "ended in the middle of its work";
        match self.child.take().map(|child| child.finish(GOODBYE)) {
            Some(Err(failure)) if failure.kind() == ErrorKind::Cancelled => failure,
            Some(Err(failure)) => {
                let words = failure.server_message().unwrap_or_default();
                self.error(failure.kind(), what, words)
            }
            _ => self.nonsense(what),
        }
    }

    /// An agent's own no.
    fn refusal(&self, what: &str, words: &str) -> Error {
        self.error(ErrorKind::ProgramFailed, what, words)
    }

    /// An agent that breaks the protocol.
    fn nonsense(&self, what: &str) -> Error {
        self.error(ErrorKind::Protocol, what, "")
    }

    fn error(&self, kind: ErrorKind, what: &str, words: &str) -> Error {
        let name = &self.name;
        // What it said to us, and what it printed for people.
        let printed = self.child.as_ref().map(Child::words).unwrap_or_default();
        let words = self.hidden.hide(&format!("{words}\n{printed}"));
        let what = self.hidden.hide(what);
        Error::new(kind, format!("the transfer agent {name} {what}"))
            .with_hint(format!(
                "it is set up by lfs.customtransfer.{name} in git's config"
            ))
            .with_server_message(words.trim())
    }
}
