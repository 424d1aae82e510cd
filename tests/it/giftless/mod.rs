//! The same against an LFS server by other people: giftless, behind `git http-backend`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hf_repository::Repository;

use crate::support::judge::assert_same_files;
use crate::support::{World, needs_git_lfs, shout, weights, write};

/// A running server; killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it with the Python named by `HF_REPOSITORY_GIFTLESS`, which has giftless installed.
fn start(folder: &Path) -> Option<(Server, String)> {
    let Some(python) = std::env::var_os("HF_REPOSITORY_GIFTLESS") else {
        let ci = std::env::var_os("HF_REPOSITORY_CI").is_some();
        assert!(
            !ci,
            "CI must name a Python with giftless in HF_REPOSITORY_GIFTLESS"
        );
        shout("HF_REPOSITORY_GIFTLESS names no Python with giftless");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/giftless/server.py");
    let mut command = Command::new(python);
    command.arg(script).arg(folder).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    assert!(url.starts_with("http://"), "the server did not start");
    Some((Server(child), url.trim().to_owned()))
}

#[test]
fn both_directions() {
    needs_git_lfs!();
    let w = World::new();
    let folder = w.path("server");
    std::fs::create_dir_all(folder.join("git/org")).unwrap();
    let bare = folder.join("git/org/model.git");
    w.git(
        folder.join("git"),
        &["init", "-q", "--bare", "-b", "main", "org/model.git"],
    );
    w.git(&bare, &["config", "http.receivepack", "true"]);
    let Some((_server, url)) = start(&folder) else {
        return;
    };
    let source = format!("{url}/org/model.git");

    let repo = Repository::prepare(&source, w.path("ours"))
        .clone_repo()
        .unwrap();
    crate::round_trip::fill(repo.workdir());
    repo.stage().unwrap();
    let _ = repo.commit("ours").unwrap();
    repo.check_write_access().unwrap();
    assert!(repo.push().unwrap().lfs_objects >= 7);
    w.assert_sound(repo.workdir());

    w.git(w.path(""), &["clone", "-q", &source, "theirs"]);
    let theirs = w.path("theirs");
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(&theirs);
    write(&theirs, "late.bin", weights(77, 123_456));
    w.git_push_all(&theirs, "theirs");
    repo.pull().unwrap();
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(repo.workdir());
    let again = Repository::prepare(&source, w.path("again"))
        .clone_repo()
        .unwrap();
    assert_same_files(again.workdir(), &theirs);
    w.assert_sound(again.workdir());
}
