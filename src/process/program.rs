//! What to run and how.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::child::Child;
use super::environment;
use super::group::{self, Group};
use super::pipes;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};

/// What a program is given to read.
#[derive(Clone)]
pub(crate) enum Input {
    Nothing,
    File(PathBuf),
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// What [`Child::write_line`] sends, until [`Child::finish`].
    Lines,
}

/// A program to be run.
///
/// ```ignore
/// let told = Program::new("git-lfs", "list the files").arguments(["ls-files"]).run(&cancel)?;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct Program {
    pub(super) name: OsString,
    /// Completes "cannot …" in errors.
    pub(super) action: String,
    arguments: Vec<OsString>,
    folder: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    input: Input,
    install_hint: String,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::File(path) => write!(f, "File({})", path.display()),
            // May be a password for a credential helper.
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Lines => f.write_str("Lines"),
        }
    }
}

/// A program that has ended.
pub(crate) struct Ran {
    pub(crate) output: Vec<u8>,
    /// The end of its error output, fit to show.
    pub(crate) words: String,
    /// What it says went wrong.
    pub(crate) failure: Option<Error>,
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it printed may be a password.
        write!(f, "Ran({} bytes, {:?})", self.output.len(), self.failure)
    }
}

/// What keeps programs from asking anybody: git and git-lfs on the terminal or by a window, and
/// ssh, which would otherwise open the terminal itself and be stopped there, as no process of the
/// terminal's foreground group.
const NO_QUESTIONS: [(&str, &str); 4] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", "false"),
    ("SSH_ASKPASS_REQUIRE", "force"),
];

/// How often a running child is looked at, for those who want to be called meanwhile.
pub(super) const TICK: Duration = Duration::from_millis(50);

impl Program {
    /// `name` is looked for in PATH unless it is a path; `action` completes "cannot …" in errors.
    pub(crate) fn new(name: impl AsRef<OsStr>, action: impl Into<String>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            action: action.into(),
            arguments: Vec::new(),
            folder: None,
            variables: Vec::new(),
            input: Input::Nothing,
            install_hint: "install it, and see that PATH leads to it".to_owned(),
        }
    }

    pub(crate) fn arguments<S: AsRef<OsStr>>(
        mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// The folder to run it in; without, that of this process.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_path_buf());
        self
    }

    /// A variable of its environment; never a secret, for everybody can read those.
    pub(crate) fn variable(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.variables.push(variable);
        self
    }

    pub(crate) fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// What to do where the program is not installed.
    pub(crate) fn install_hint(mut self, hint: impl Into<String>) -> Self {
        self.install_hint = hint.into();
        self
    }

    /// Runs it to its end and returns what it printed.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramMissing`] if it is not installed, [`ErrorKind::ProgramFailed`] with its
    /// own words if it says it failed.
    pub(crate) fn run(self, cancel: &CancelToken) -> Result<Vec<u8>> {
        let ran = self.run_to_end(cancel, &mut || {})?;
        match ran.failure {
            Some(error) => Err(error),
            None => Ok(ran.output),
        }
    }

    /// The same for programs that print something worth reading before they fail; `watch` is called
    /// some twenty times a second, and once at the end.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramMissing`] if it is not installed, [`ErrorKind::Cancelled`].
    pub(crate) fn run_to_end(self, cancel: &CancelToken, watch: &mut dyn FnMut()) -> Result<Ran> {
        let mut child = self.start(cancel)?;
        let mut output = Vec::new();
        while child.read_some(&mut output, TICK)? {
            watch();
        }
        let failure = match child.wait() {
            Err(error) if error.kind() == ErrorKind::ProgramFailed => Some(error),
            ended => {
                ended?;
                None
            }
        };
        watch();
        Ok(Ran {
            output,
            words: child.words(),
            failure,
        })
    }

    /// Runs a program that has little to say and not much time, and returns what it printed; whether it
    /// says it failed is in [`Ran::failure`].
    ///
    /// # Errors
    /// [`ErrorKind::ProgramMissing`] if it is not installed, [`ErrorKind::Timeout`] if it did not end
    /// within `limit` and was killed, [`ErrorKind::Protocol`] if it printed more than `most` bytes,
    /// [`ErrorKind::Cancelled`].
    pub(crate) fn run_within(
        self,
        limit: Duration,
        most: usize,
        cancel: &CancelToken,
    ) -> Result<Ran> {
        let deadline = Instant::now() + limit;
        let mut child = self.start(cancel)?;
        let mut output = Vec::new();
        while Instant::now() < deadline && child.read_some(&mut output, TICK)? {
            if output.len() > most {
                return Err(child.nonsense("printed more than anybody asked for"));
            }
        }
        let failure = match child.end(Some(deadline), limit) {
            Err(error) if error.kind() == ErrorKind::ProgramFailed => Some(error),
            ended => {
                ended?;
                None
            }
        };
        Ok(Ran {
            output,
            words: child.words(),
            failure,
        })
    }

    /// Starts it; it is killed when the [`Child`] is dropped or `cancel` is pulled.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramMissing`] if it is not installed.
    pub(crate) fn start(self, cancel: &CancelToken) -> Result<Child> {
        cancel.check()?;
        let not_started = |error| self.not_started(error);
        let (output, output_end) = io::pipe().map_err(not_started)?;
        let (errors, errors_end) = io::pipe().map_err(not_started)?;
        let mut command = duct::cmd(&self.name, &self.arguments)
            .stdout_file(output_end)
            .stderr_file(errors_end)
            .unchecked();
        if let Some(folder) = &self.folder {
            command = command.dir(folder);
        }
        // With duct, what is said first about a variable counts.
        for (name, value) in self.variables.iter().rev() {
            command = command.env(name, value);
        }
        for (name, value) in NO_QUESTIONS {
            command = command.env(name, value);
        }
        command = command.env("LC_ALL", "C");
        for name in environment::left_out() {
            command = command.env_remove(name);
        }
        let mut to_child = None;
        command = match &self.input {
            Input::Nothing => command.stdin_null(),
            Input::File(path) => command.stdin_path(path),
            Input::Bytes(_) | Input::Lines => {
                let (input, input_end) = io::pipe().map_err(not_started)?;
                to_child = Some(input_end);
                command.stdin_file(input)
            }
        };
        let handle = command
            .before_spawn(group::in_own)
            .start()
            .map_err(not_started)?;
        // It holds the child's ends of the pipes: without them the pipes end with the child.
        drop(command);
        let group = Group::new(handle);
        let lines = to_child.map(pipes::write);
        let input = match (&self.input, lines) {
            (Input::Bytes(bytes), Some(lines)) => {
                // Fails only if the child is gone already, and then nobody misses them.
                let _ = lines.send(bytes.clone());
                None
            }
            (_, lines) => lines,
        };
        Ok(Child::new(
            self,
            group,
            input,
            pipes::read(output),
            pipes::keep_end(errors),
            cancel,
        ))
    }

    fn not_started(&self, error: io::Error) -> Error {
        let Self { action, .. } = self;
        let name = self.name.to_string_lossy();
        // A missing folder looks the same to the system; only the program can be installed.
        let folder_there = self.folder.as_ref().is_none_or(|folder| folder.is_dir());
        if error.kind() == io::ErrorKind::NotFound && folder_there {
            return Error::new(
                ErrorKind::ProgramMissing,
                format!("cannot {action}: {name} is not installed"),
            )
            .with_hint(self.install_hint.clone())
            .with_source(error);
        }
        Error::new(
            ErrorKind::ProgramFailed,
            format!("cannot {action}: {name} does not start"),
        )
        .with_source(error)
    }
}
