//! Servers by other people, each in a process of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hf_repository::Repository;

use super::judge::assert_same_files;
use super::{World, shout, weights, write};

/// A running server; killed when dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that prints its address; `find` takes it out of a line.
#[track_caller]
pub(crate) fn start(command: &mut Command, find: fn(&str) -> Option<&str>) -> (Server, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let server = Server(child);
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| find(&line).map(str::to_owned));
    // What it goes on to print must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (server, address.expect("the server did not start"))
}

/// Serves the bare repositories below `folder/git` with `git http-backend`.
pub(crate) fn git_http(w: &World, folder: &Path) -> (Server, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/git_http.py");
    let mut command = w.command("python3", folder);
    start(command.arg(script).arg(folder), url)
}

/// For servers that print nothing but their URL.
pub(crate) fn url(line: &str) -> Option<&str> {
    Some(line.trim()).filter(|line| line.starts_with("http://"))
}

/// The program a variable names: says loudly if there is none, and insists on it in CI.
pub(crate) fn named_by(variable: &str, what: &str) -> Option<OsString> {
    let found = std::env::var_os(variable);
    if found.is_none() {
        let ci = std::env::var_os("HF_REPOSITORY_CI").is_some();
        assert!(!ci, "CI must name {what} in {variable}");
        shout(&format!("{variable} is not set, so there is no {what}"));
    }
    found
}

/// An empty bare repository at `folder/git/org/model.git`, writable for everybody.
pub(crate) fn bare(w: &World, folder: &Path) {
    let git = folder.join("git");
    std::fs::create_dir_all(git.join("org")).unwrap();
    w.git(
        &git,
        &["init", "-q", "--bare", "-b", "main", "org/model.git"],
    );
    w.git(
        git.join("org/model.git"),
        &["config", "http.receivepack", "true"],
    );
}

/// What the library pushes git-lfs clones, and the other way, byte for byte.
///
/// `first` is what a new clone needs before its first commit.
pub(crate) fn both_directions(w: &World, source: &str, first: impl Fn(&Path)) {
    let repo = Repository::prepare(source, w.path("ours"))
        .clone_repo()
        .unwrap();
    first(repo.workdir());
    crate::round_trip::fill(repo.workdir());
    repo.stage().unwrap();
    let _ = repo.commit("ours").unwrap();
    repo.check_write_access().unwrap();
    assert!(repo.push().unwrap().lfs_objects >= 7);
    w.assert_sound(repo.workdir());

    w.git(w.path(""), &["clone", "-q", source, "theirs"]);
    let theirs = w.path("theirs");
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(&theirs);

    // Another file, and another version of one of ours.
    w.git(&theirs, &["lfs", "track", "late.bin"]);
    write(&theirs, "late.bin", weights(77, 123_456));
    write(&theirs, "model.safetensors", weights(78, 234_567));
    w.git_push_all(&theirs, "theirs");
    let blob = w.git(&theirs, &["cat-file", "-p", "HEAD:late.bin"]);
    assert!(blob.starts_with("version https://git-lfs"), "{blob:.60}");
    repo.pull().unwrap();
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(repo.workdir());

    // The content is there: nothing has to be sent.
    write(repo.workdir(), "copy.bin", weights(77, 123_456));
    repo.stage().unwrap();
    let _ = repo.commit("a copy").unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 0);

    w.git(&theirs, &["pull", "-q"]);
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(&theirs);
    let again = Repository::prepare(source, w.path("again"))
        .clone_repo()
        .unwrap();
    assert_same_files(again.workdir(), &theirs);
    w.assert_sound(again.workdir());
    let first = w.git(&theirs, &["rev-parse", "HEAD~2"]);
    w.git(&theirs, &["checkout", "-q", &first]);
    again.checkout(&first).unwrap();
    assert_same_files(again.workdir(), &theirs);
}
