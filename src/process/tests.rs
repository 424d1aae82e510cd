use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::cancel::CancelToken;
use crate::error::ErrorKind;

/// Long enough for any machine; nothing here waits for its end.
const LIMIT: Duration = Duration::from_secs(60);
/// For what never comes.
const SHORT: Duration = Duration::from_millis(50);

fn shell(script: &str) -> Program {
    Program::new("sh", "test").arguments(["-c", script])
}

fn start(script: &str, cancel: &CancelToken) -> Child {
    let program = shell(script).input(Input::Lines);
    program.start(cancel).expect("starts")
}

/// Whether the process of the id in `file` is gone, or will be soon.
fn ends(file: &Path) -> bool {
    let deadline = Instant::now() + LIMIT;
    let text = std::fs::read_to_string(file).expect("written");
    let process = Path::new("/proc").join(text.trim());
    loop {
        // Nobody may have asked yet how it ended: then it is still there, as a zombie.
        let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn output_and_failures_come_back() {
    let cancel = CancelToken::new();
    let file = tempfile::NamedTempFile::new().expect("creates");
    std::fs::write(file.path(), "x").expect("writes");
    for input in [
        Input::File(file.path().to_path_buf()),
        Input::Bytes(b"x".to_vec()),
    ] {
        let echoed = shell("cat").input(input).run(&cancel).expect("runs");
        assert_eq!(echoed, b"x");
    }
    let error = shell("echo no >&2; exit 3")
        .run(&cancel)
        .expect_err("fails");
    assert_eq!(error.kind(), ErrorKind::ProgramFailed);
    assert_eq!(error.server_message().map(str::trim), Some("no"));
    let missing = Program::new("no-such-program-here", "test").install_hint("get it");
    let error = missing.run(&cancel).expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::ProgramMissing);
    assert_eq!(error.hint(), Some("get it"));
    let nowhere = shell("true").folder(Path::new("/no/such/folder"));
    let error = nowhere.run(&cancel).expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::ProgramFailed);
}

#[test]
fn a_program_that_was_killed_has_failed() {
    let cancel = CancelToken::new();
    for signal in ["KILL", "USR1", "TERM"] {
        let script = format!("echo so far; kill -{signal} $$; sleep 60");
        let error = shell(&script).run(&cancel).expect_err("killed");
        assert_eq!(error.kind(), ErrorKind::ProgramFailed, "{signal}");
        let mut child = start(&script, &cancel);
        assert_eq!(child.read_line(LIMIT).expect("said"), Some("so far".into()));
        // It is over, and seen to be: not for ever under way.
        assert_eq!(child.read_line(LIMIT).expect("ended"), None, "{signal}");
    }
}

#[test]
fn the_last_word_on_a_variable_counts() {
    let told = shell("echo $A $GIT_ASKPASS. $LC_ALL")
        .variable("A", "one")
        .variable("A", "two")
        .variable("LC_ALL", "POSIX")
        .run(&CancelToken::new())
        .expect("runs");
    assert_eq!(told, b"two . POSIX\n");
}

#[test]
fn much_output_on_both_pipes_blocks_nobody() {
    let cancel = CancelToken::new();
    let told = shell("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; echo last >&2")
        .run(&cancel)
        .expect("runs");
    assert_eq!(told.len(), 3_000_000);
    let script = "i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done >&2; exit 1";
    let error = shell(script).run(&cancel).expect_err("fails");
    let words = error.server_message().expect("kept");
    assert!(words.len() <= 64 << 10 && words.trim_end().ends_with("line 39999"));
}

#[test]
fn a_child_answers_line_by_line() {
    let cancel = CancelToken::new();
    let mut child = start(
        "while read -r x; do echo \"got $x\"; done; echo bye",
        &cancel,
    );
    for word in ["one", "two words", "ü"] {
        child.write_line(word, LIMIT).expect("written");
        let answer = child.read_line(LIMIT).expect("answers");
        assert_eq!(answer, Some(format!("got {word}")));
    }
    let error = child.read_line(SHORT).expect_err("silent");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    child.finish(LIMIT).expect("ends");
}

#[test]
fn a_child_that_ends_or_babbles_is_noticed() {
    let cancel = CancelToken::new();
    let mut child = start("echo half; printf rest; echo why >&2; exit 4", &cancel);
    for line in [Some("half"), Some("rest"), None] {
        assert_eq!(child.read_line(LIMIT).expect("reads").as_deref(), line);
    }
    let error = child.finish(LIMIT).expect_err("failed");
    assert_eq!(error.kind(), ErrorKind::ProgramFailed);
    assert_eq!(error.server_message().map(str::trim), Some("why"));

    let mut child = start("exec head -c 9000000 /dev/zero", &cancel);
    let error = child.read_line(LIMIT).expect_err("no line");
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn a_child_that_does_not_read_or_end_is_given_up() {
    let cancel = CancelToken::new();
    let mut child = start("exec sleep 600", &cancel);
    // More than a pipe holds, and one line more that waits behind it.
    let long = "x".repeat(1 << 20);
    let mut sent = (0..3).map(|_| child.write_line(&long, SHORT));
    let error = sent.find_map(Result::err).expect("stuck");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = child.finish(SHORT).expect_err("hangs");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn all_that_a_child_started_ends_with_it() {
    let folder = tempfile::tempdir().expect("creates");
    let file = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > '{}'; echo up; wait", file.display());

    let cancel = CancelToken::new();
    let mut child = start(&script, &cancel);
    assert_eq!(child.read_line(LIMIT).expect("up").as_deref(), Some("up"));
    let waiting = thread::spawn(move || child.read_line(LIMIT));
    cancel.cancel();
    let error = waiting.join().expect("no panic").expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(ends(&file));

    let cancel = CancelToken::new();
    let mut child = start(&script, &cancel);
    assert_eq!(child.read_line(LIMIT).expect("up").as_deref(), Some("up"));
    drop(child);
    assert!(ends(&file));
}

#[test]
fn what_a_program_leaves_running_is_not_waited_for() {
    let cancel = CancelToken::new();
    let left = |told: &str| {
        let kill = Program::new("kill", "test").arguments([told.trim()]);
        kill.run(&CancelToken::new()).expect("it was still there");
    };
    let told = shell("sleep 600 & echo $!").run(&cancel).expect("ends");
    left(&String::from_utf8_lossy(&told));
    let mut child = start("sleep 600 & echo $!", &cancel);
    let told = child.read_line(LIMIT).expect("reads").expect("told");
    child.finish(Duration::from_secs(600)).expect("ends");
    left(&told);
}

#[test]
fn a_cancelled_run_ends_at_once() {
    let cancel = CancelToken::new();
    let other = cancel.clone();
    let child = thread::spawn(move || shell("sleep 600; true").run(&other));
    cancel.cancel();
    let error = child.join().expect("no panic").expect_err("killed");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn the_caller_is_called_while_a_program_runs() {
    let mut calls = 0;
    let cancel = CancelToken::new();
    let ran = shell("sleep 0.3; echo done; echo why >&2; exit 1")
        .run_to_end(&cancel, &mut || calls += 1)
        .expect("runs");
    assert!(calls > 1 && ran.failure.is_some());
    assert_eq!(
        (ran.output.as_slice(), ran.words.as_str()),
        (&b"done\n"[..], "why\n")
    );
}

#[test]
fn what_has_little_to_say_has_little_time() {
    let cancel = CancelToken::new();
    let within = |script: &str, limit| shell(script).run_within(limit, 10, &cancel);
    let ran = within("echo told; exit 3", LIMIT).expect("ended");
    assert_eq!(ran.output, b"told\n");
    assert_eq!(
        ran.failure.map(|error| error.kind()),
        Some(ErrorKind::ProgramFailed)
    );
    let began = Instant::now();
    let error = within("sleep 600", SHORT).expect_err("late");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = within("while :; do echo more and more; done", LIMIT).expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(began.elapsed() < LIMIT);
}
