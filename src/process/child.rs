//! A program that runs, and talking to it line by line.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};

use super::group::Group;
use super::pipes::Words;
use super::program::{Program, TICK};
use crate::cancel::{CancelToken, OnCancel};
use crate::error::{Error, ErrorKind, Result};

/// A line longer than this is no line of any protocol spoken here; it bounds what a child can make
/// us hold.
const LINE_BYTES: usize = 1 << 20;
/// How long the words of a program that has ended may take to arrive.
const WORDS_PATIENCE: Duration = Duration::from_secs(1);

/// A running program. Dropped, or when the [`CancelToken`] it was started with is pulled, it is
/// killed with everything it started.
pub(crate) struct Child {
    program: Program,
    group: Arc<Group>,
    input: Option<Sender<Vec<u8>>>,
    output: Receiver<Vec<u8>>,
    /// Output behind the last line that was read.
    pending: Vec<u8>,
    words: Words,
    /// When it was first seen to have ended.
    ended: Option<Instant>,
    cancel: CancelToken,
    _on_cancel: OnCancel,
}

impl Child {
    pub(super) fn new(
        program: Program,
        group: Group,
        input: Option<Sender<Vec<u8>>>,
        output: Receiver<Vec<u8>>,
        words: Words,
        cancel: &CancelToken,
    ) -> Self {
        let group = Arc::new(group);
        let killed = Arc::clone(&group);
        Self {
            program,
            group,
            input,
            output,
            pending: Vec::new(),
            words,
            ended: None,
            cancel: cancel.clone(),
            _on_cancel: cancel.on_cancel(move || killed.kill()),
        }
    }

    /// Sends `line` and a line end to a program started with [`Input::Lines`](super::Input::Lines).
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if it does not read for `limit`, [`ErrorKind::ProgramFailed`] with
    /// its words if it reads no more, [`ErrorKind::Cancelled`].
    pub(crate) fn write_line(&mut self, line: &str, limit: Duration) -> Result<()> {
        self.cancel.check()?;
        let bytes = format!("{line}\n").into_bytes();
        let sent = match &self.input {
            Some(input) => input.send_timeout(bytes, limit),
            None => Err(SendTimeoutError::Disconnected(bytes)),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(_) if self.cancel.is_cancelled() => Err(Error::cancelled()),
            Err(SendTimeoutError::Timeout(_)) => Err(self.silent("read", limit)),
            Err(SendTimeoutError::Disconnected(_)) => Err(self.failed("it reads no more")),
        }
    }

    /// The next line it prints, without the line end; `None` after the last.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if there is none within `limit`, [`ErrorKind::Protocol`] for a line
    /// without end or that is no UTF-8, [`ErrorKind::Cancelled`].
    pub(crate) fn read_line(&mut self, limit: Duration) -> Result<Option<String>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(end + 1);
                let line = std::mem::replace(&mut self.pending, rest);
                return self.line(&line[..end]).map(Some);
            }
            if self.pending.len() > LINE_BYTES {
                return Err(self.nonsense("printed a line without end"));
            }
            match self.output.recv_deadline(deadline) {
                Ok(chunk) => self.pending.extend_from_slice(&chunk),
                Err(RecvTimeoutError::Timeout) => return Err(self.silent("answer", limit)),
                Err(RecvTimeoutError::Disconnected) => {
                    self.cancel.check()?;
                    if self.pending.is_empty() {
                        return Ok(None);
                    }
                    let line = std::mem::take(&mut self.pending);
                    return self.line(&line).map(Some);
                }
            }
        }
    }

    fn line(&self, bytes: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| self.nonsense("printed something that is no text"))?;
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }

    /// Adds what it printed since to `told`, waiting for `limit` at most; false after the last.
    pub(super) fn read_some(&mut self, told: &mut Vec<u8>, limit: Duration) -> Result<bool> {
        match self.output.recv_timeout(limit) {
            Ok(chunk) => {
                told.extend_from_slice(&chunk);
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.cancel.check()?;
                Ok(!self.left_its_output_open())
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
        }
    }

    /// Whether it ended a while ago, and only what it left running may still print something.
    fn left_its_output_open(&mut self) -> bool {
        if self.ended.is_none() && self.group.has_ended() {
            self.ended = Some(Instant::now());
        }
        self.ended
            .is_some_and(|ended| ended.elapsed() >= WORDS_PATIENCE)
    }

    /// What it said on its error output so far (the end of it), fit to show.
    pub(crate) fn words(&self) -> String {
        self.words.so_far()
    }

    /// Ends its input and waits for its end; what it still prints is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if it has not ended after `limit` and was killed,
    /// [`ErrorKind::ProgramFailed`] with its words if it says it failed, [`ErrorKind::Cancelled`].
    pub(crate) fn finish(mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        self.input = None;
        let mut ignored = Vec::new();
        while Instant::now() < deadline && self.read_some(&mut ignored, TICK)? {
            ignored.clear();
        }
        self.end(Some(deadline), limit)
    }

    /// Waits for the end of a program that has printed all it will.
    pub(super) fn wait(&self) -> Result<()> {
        self.end(None, Duration::ZERO)
    }

    pub(super) fn end(&self, deadline: Option<Instant>, limit: Duration) -> Result<()> {
        let status = self.group.wait(deadline).map_err(|error| {
            let text = format!("cannot {}: its end was missed", self.program.action);
            Error::new(ErrorKind::ProgramFailed, text).with_source(error)
        })?;
        self.cancel.check()?;
        match status {
            None => {
                self.group.kill();
                Err(self.silent("end", limit))
            }
            Some(status) if status.success() => {
                // What it said last is still on its way.
                self.words.all(WORDS_PATIENCE);
                Ok(())
            }
            Some(status) => Err(self.failed(&status.to_string())),
        }
    }

    fn name(&self) -> String {
        self.program.name.to_string_lossy().into_owned()
    }

    fn failed(&self, how: &str) -> Error {
        let text = format!(
            "cannot {}: {} failed ({how})",
            self.program.action,
            self.name()
        );
        let words = self.words.all(WORDS_PATIENCE);
        Error::new(ErrorKind::ProgramFailed, text)
            .with_hint("the program's own words are in server_message()")
            .with_server_message(&words)
    }

    fn silent(&self, missing: &str, limit: Duration) -> Error {
        let text = format!(
            "cannot {}: {} did not {missing} for {} s",
            self.program.action,
            self.name(),
            limit.as_secs_f32()
        );
        Error::new(ErrorKind::Timeout, text)
            .with_hint("the program hangs; its own words are in server_message()")
            .with_server_message(&self.words())
    }

    pub(super) fn nonsense(&self, what: &str) -> Error {
        let text = format!("cannot {}: {} {what}", self.program.action, self.name());
        Error::new(ErrorKind::Protocol, text).with_server_message(&self.words())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.group.kill();
        // Killed or ended: this takes a moment, and leaves no zombie.
        let _ = self.group.wait(Some(Instant::now() + WORDS_PATIENCE));
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.name())
    }
}
