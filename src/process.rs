//! The door to other programs.
//!
//! A child gets no `GIT_*` variable of ours, speaks English, never prompts, and is killed when the
//! caller cancels.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::cancel::CancelToken;
use crate::env;
use crate::error::{Error, ErrorKind, Result};

/// How often a running child is looked at while it works.
const POLL: Duration = Duration::from_millis(50);

/// What a program is given to read.
pub(crate) enum Input<'a> {
    Nothing,
    File(&'a Path),
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// [`ErrorKind::ProgramMissing`] if it is not installed, [`ErrorKind::ProgramFailed`] with its own
/// words if it says it failed.
pub(crate) fn run(
    program: &str,
    arguments: &[OsString],
    folder: &Path,
    input: Input<'_>,
    cancel: &CancelToken,
) -> Result<Vec<u8>> {
    cancel.check()?;
    let mut command = duct::cmd(program, arguments)
        .dir(folder)
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0");
    for name in env::names_starting_with("GIT_") {
        // Configuration may be passed on; what names a repository must not.
        let passed_on = ["GIT_CONFIG", "GIT_SSL", "GIT_TERMINAL_PROMPT"];
        if !passed_on.iter().any(|prefix| name.starts_with(prefix)) {
            command = command.env_remove(name);
        }
    }
    command = match input {
        Input::Nothing => command.stdin_null(),
        Input::File(path) => command.stdin_path(path),
    };
    let handle = command
        .start()
        .map_err(|error| not_started(program, error))?;
    let output = loop {
        if cancel.is_cancelled() {
            let _ = handle.kill();
            let _ = handle.wait();
            return Err(Error::cancelled());
        }
        let waited = handle
            .wait_timeout(POLL)
            .map_err(|error| not_started(program, error))?;
        if let Some(output) = waited {
            break output;
        }
    };
    if output.status.success() {
        return Ok(output.stdout.clone());
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::new(
        ErrorKind::ProgramFailed,
        format!("{program} failed ({})", output.status),
    )
    .with_hint("the program's own words are in server_message()")
    .with_server_message(&words))
}

fn not_started(program: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::new(
            ErrorKind::ProgramMissing,
            format!("{program} is not installed"),
        )
        .with_hint("install it, or use the built-in LFS engine, which needs no program")
        .with_source(error);
    }
    Error::new(ErrorKind::ProgramFailed, format!("cannot run {program}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: Input<'_>, cancel: &CancelToken) -> Result<Vec<u8>> {
        let arguments = ["-c".into(), script.into()];
        run("sh", &arguments, Path::new("/"), input, cancel)
    }

    #[test]
    fn output_and_failures_come_back() {
        let cancel = CancelToken::new();
        let file = tempfile::NamedTempFile::new().expect("creates");
        std::fs::write(file.path(), "x").expect("writes");
        let echoed = shell("cat", Input::File(file.path()), &cancel).expect("runs");
        assert_eq!(echoed, b"x");
        let error = shell("echo no >&2; exit 3", Input::Nothing, &cancel).expect_err("fails");
        assert_eq!(error.kind(), ErrorKind::ProgramFailed);
        assert_eq!(error.server_message().map(str::trim), Some("no"));
        let error = run(
            "no-such-program-here",
            &[],
            Path::new("/"),
            Input::Nothing,
            &cancel,
        )
        .expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::ProgramMissing);
    }

    #[test]
    fn a_cancelled_child_is_killed() {
        let cancel = CancelToken::new();
        let other = cancel.clone();
        let child = std::thread::spawn(move || shell("exec sleep 600", Input::Nothing, &other));
        cancel.cancel();
        let error = child.join().expect("no panic").expect_err("killed");
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}
