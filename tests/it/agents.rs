//! Transfer agents: programs of the user that move objects, driven by the library and by git-lfs.

use std::fs;
use std::path::{Path, PathBuf};

use hf_repository::{CancelToken, Content, Error, ErrorKind, Event, Progress, Repository};

use mini_hub::{RequestRecord, Route};

use crate::child::succeed;
use crate::support::judge::assert_same_files;
use crate::support::{World, needs_git_lfs, until, weights, write};

/// The agent of the tests, as a user sets it up; everybody may use it at once.
struct Agent {
    /// Where it keeps objects and a log of what it was told. A name that a shell would take apart.
    folder: PathBuf,
}

impl Agent {
    fn new(w: &World) -> Self {
        let folder = w.path("an agent's folder");
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// The lines of git's config, without `lfs.`.
    fn config(&self, fault: &str) -> Vec<(&'static str, String)> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/agent/agent.py");
        let args = format!(
            r#""{}" "{}" {fault}"#,
            script.display(),
            self.folder.display()
        );
        vec![
            ("customtransfer.keeper.path", "python3".to_owned()),
            ("customtransfer.keeper.args", args),
        ]
    }

    /// Makes it an agent that a server may choose.
    fn offer(&self, w: &World, clone: &Path, fault: &str) {
        for (key, value) in self.config(fault) {
            w.git(clone, &["config", &format!("lfs.{key}"), &value]);
        }
    }

    /// Makes it the agent that a clone uses without asking a server.
    fn set_up(&self, w: &World, clone: &Path, fault: &str) {
        self.offer(w, clone, fault);
        w.git(clone, &["config", "lfs.standalonetransferagent", "keeper"]);
    }

    /// What it was told, by process.
    fn log(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines = text.lines().map(|line| line.split_once(' ').unwrap());
        lines
            .map(|(pid, told)| (pid.to_owned(), told.to_owned()))
            .collect()
    }

    fn forget(&self) {
        let _ = fs::remove_file(self.folder.join("log"));
    }

    /// How many messages of a kind it got.
    fn count(&self, event: &str) -> usize {
        let text = format!(r#""event":"{event}""#);
        self.log()
            .iter()
            .filter(|(_, told)| told.contains(&text))
            .count()
    }

    fn objects(&self) -> usize {
        let entries = fs::read_dir(self.folder.join("objects"));
        entries.map_or(0, Iterator::count)
    }
}

/// A bare repository, and a clone of it whose objects go through the agent.
fn cloned(w: &World, agent: &Agent) -> Repository {
    w.git(
        w.path(""),
        &["init", "-q", "--bare", "-b", "main", "remote.git"],
    );
    let remote = w.path("remote.git");
    let clone = Repository::prepare(remote.to_string_lossy(), w.path("ours"));
    drop(clone.clone_repo().unwrap());
    agent.set_up(w, &w.path("ours"), "");
    open(w)
}

/// git's config is read when a repository is opened.
fn open(w: &World) -> Repository {
    Repository::open(w.path("ours")).unwrap()
}

fn commit(repo: &Repository, files: &[(&str, Vec<u8>)]) {
    for (name, content) in files {
        write(repo.workdir(), name, content);
    }
    repo.stage().unwrap();
    let _ = repo.commit("more").unwrap();
}

/// All an error says.
fn story(error: &Error) -> String {
    format!("{error:?}")
}

#[test]
fn the_library_and_git_lfs_use_the_same_agent() {
    needs_git_lfs!();
    let w = World::new();
    let agent = Agent::new(&w);
    let repo = cloned(&w, &agent);
    crate::round_trip::fill(repo.workdir());
    repo.stage().unwrap();
    let _ = repo.commit("ours").unwrap();
    repo.check_write_access().unwrap();
    let pushed = repo.push().unwrap();
    assert_eq!(pushed.lfs_objects, agent.objects());
    assert!(pushed.lfs_objects >= 7, "{pushed:?}");
    assert!(!w.path("remote.git/lfs/objects").exists());
    w.assert_sound(repo.workdir());

    // git-lfs gets the objects from it, and brings others.
    let mut arguments = vec!["clone".to_owned(), "-q".to_owned()];
    let standalone = ("standalonetransferagent", "keeper".to_owned());
    for (key, value) in agent.config("").into_iter().chain([standalone]) {
        arguments.extend(["-c".to_owned(), format!("lfs.{key}={value}")]);
    }
    arguments.extend(["remote.git".to_owned(), "theirs".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    w.git(w.path(""), &arguments);
    let theirs = w.path("theirs");
    assert_same_files(repo.workdir(), &theirs);
    write(&theirs, "model.safetensors", weights(77, 123_456));
    w.git_push_all(&theirs, "theirs");
    assert_eq!(agent.objects(), pushed.lfs_objects + 1);
    repo.pull().unwrap();
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(repo.workdir());
    w.assert_sound(&theirs);

    // A whole clone of the library's, with the agent in the user's config.
    let mut child = w.child(
        "clone",
        &[
            &w.path("remote.git").to_string_lossy(),
            &w.path("again").to_string_lossy(),
        ],
    );
    let mut config = fs::read_to_string(w.path("gitconfig")).unwrap();
    config += "[lfs]\n\tstandalonetransferagent = keeper\n[lfs \"customtransfer.keeper\"]\n";
    for (key, value) in agent.config("") {
        let key = key.rsplit('.').next().unwrap();
        config += &format!("\t{key} = \"{}\"\n", value.replace('"', "\\\""));
    }
    fs::create_dir_all(w.path("home")).unwrap();
    fs::write(w.path("home/.gitconfig"), config).unwrap();
    let child = child.env("PATH", std::env::var_os("PATH").unwrap());
    succeed(&child.output().unwrap());
    assert_same_files(&w.path("again"), &theirs);
}

#[test]
fn an_agent_is_told_what_git_lfs_would_tell_it() {
    let w = World::new();
    let agent = Agent::new(&w);
    let repo = cloned(&w, &agent);
    commit(&repo, &[("w.bin", weights(1, 50_000))]);
    repo.push().unwrap();
    let told: Vec<String> = agent.log().into_iter().map(|(_, told)| told).collect();
    let ours = w.path("ours").canonicalize().unwrap();
    let oid = w.git(&ours, &["cat-file", "-p", "HEAD:w.bin"]);
    let oid = oid.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let stored = format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]);
    let [folder, init, upload, terminate] = &told[..] else {
        panic!("{told:#?}")
    };
    assert_eq!(*folder, format!("runs in {}", ours.display()));
    assert_eq!(
        init,
        r#"{"event":"init","operation":"upload","remote":"origin","concurrent":true,"concurrenttransfers":8}"#
    );
    let start = format!(r#"{{"event":"upload","oid":"{oid}","size":50000,"path":""#);
    assert!(upload.starts_with(&start), "{upload}");
    let end = format!(r#"{stored}","action":null}}"#);
    assert!(upload.ends_with(&end), "{upload}");
    assert_eq!(terminate, r#"{"event":"terminate"}"#);
}

#[test]
fn the_progress_of_an_agent_is_shown() {
    let w = World::new();
    let agent = Agent::new(&w);
    drop(cloned(&w, &agent));
    // One that says too much is cut short.
    agent.set_up(&w, &w.path("ours"), "overshoot");
    let (progress, events) = Progress::channel();
    let remote = w.path("remote.git");
    let prepared = Repository::prepare(remote.to_string_lossy(), w.path("ours"));
    let repo = prepared.progress(progress).open().unwrap();
    commit(
        &repo,
        &[("w.bin", weights(1, 3 << 20)), ("v.bin", weights(2, 10))],
    );
    repo.push().unwrap();
    drop(repo);
    let (mut finished, mut announced) = (0, 0);
    for event in events {
        match event {
            Event::TransferStarted { objects, bytes, .. } => {
                announced += bytes;
                assert_eq!(objects, 2);
            }
            Event::TransferProgress { bytes, total, .. } => assert!(bytes <= total),
            Event::TransferFinished { bytes, path, .. } => {
                finished += bytes;
                assert!(path.is_some());
            }
            _ => {}
        }
    }
    assert_eq!((announced, finished), ((3 << 20) + 10, (3 << 20) + 10));
}

#[test]
fn processes_work_side_by_side_unless_they_may_not() {
    let w = World::new();
    let agent = Agent::new(&w);
    drop(cloned(&w, &agent));
    let ours = w.path("ours");
    // Two processes wait for each other: one alone would not get on.
    agent.set_up(&w, &ours, "meet");
    w.git(&ours, &["config", "lfs.concurrenttransfers", "2"]);
    let many = |seed: u64| -> Vec<(String, Vec<u8>)> {
        (0..6)
            .map(|n| (format!("w{n}.bin"), weights(seed + n, 900)))
            .collect()
    };
    let commit_many = |repo: &Repository, seed| {
        let files = many(seed);
        let files: Vec<_> = files
            .iter()
            .map(|(name, data)| (&**name, data.clone()))
            .collect();
        commit(repo, &files);
    };
    let repo = open(&w);
    commit_many(&repo, 10);
    assert_eq!(repo.push().unwrap().lfs_objects, 6);
    assert_eq!((agent.count("init"), agent.count("terminate")), (2, 2));

    agent.forget();
    agent.set_up(&w, &ours, "");
    w.git(
        &ours,
        &["config", "lfs.customtransfer.keeper.concurrent", "false"],
    );
    let repo = open(&w);
    commit_many(&repo, 20);
    assert_eq!(repo.push().unwrap().lfs_objects, 6);
    let log = agent.log();
    assert!(log.iter().all(|(pid, _)| *pid == log[0].0), "{log:#?}");
    assert!(log[1].1.contains(r#""concurrent":false"#), "{log:#?}");
}

#[test]
fn an_agent_that_fails_fails_the_push_in_its_own_words() {
    let w = World::new();
    let agent = Agent::new(&w);
    let repo = cloned(&w, &agent);
    commit(
        &repo,
        &[("w.bin", weights(1, 5000)), ("v.bin", weights(2, 5000))],
    );
    for (fault, kind, told) in [
        ("error", ErrorKind::ProgramFailed, "the agent's no"),
        ("die", ErrorKind::ProgramFailed, "the agent's last words"),
        ("other-oid", ErrorKind::Protocol, "not under way"),
        ("other-event", ErrorKind::Protocol, r#"says \"news\""#),
        ("not-json", ErrorKind::Protocol, "hello, are you there?"),
        ("long-line", ErrorKind::Protocol, "a line without end"),
        (
            "refuse-upload",
            ErrorKind::ProgramFailed,
            "the agent does not do this (code 32)",
        ),
    ] {
        let _ = fs::remove_dir(agent.folder.join("first"));
        agent.set_up(&w, &w.path("ours"), fault);
        let error = open(&w).push().unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}: {error:?}");
        let story = story(&error);
        assert!(story.contains(told), "{fault}: {story}");
        assert!(story.contains("keeper"), "{fault}: {story}");
        assert!(error.hint().is_some(), "{fault}: {story}");
        let tip = w.try_git(
            &w.path("remote.git"),
            &["rev-parse", "-q", "--verify", "main"],
        );
        assert!(!tip.status.success(), "{fault}: the branch has moved");
    }
    agent.set_up(&w, &w.path("ours"), "linger");
    assert!(open(&w).push().unwrap().lfs_objects >= 1);
    w.assert_sound(&w.path("ours"));
}

#[test]
fn a_process_that_died_is_replaced() {
    let w = World::new();
    let agent = Agent::new(&w);
    drop(cloned(&w, &agent));
    let ours = w.path("ours");
    agent.set_up(&w, &ours, "die-once");
    w.git(
        &ours,
        &["config", "lfs.customtransfer.keeper.concurrent", "false"],
    );
    let repo = open(&w);
    let files = [
        ("a.bin", weights(1, 500)),
        ("b.bin", weights(2, 500)),
        ("c.bin", weights(3, 500)),
    ];
    commit(&repo, &files);
    let error = repo.push().unwrap_err();
    assert!(story(&error).contains("last words"), "{error:?}");
    // The others went through all the same.
    assert_eq!((agent.objects(), agent.count("init")), (2, 2));
    repo.push().unwrap();
    assert_eq!(agent.objects(), 3);
}

#[test]
fn what_an_agent_brings_is_not_trusted() {
    let w = World::new();
    let agent = Agent::new(&w);
    let repo = cloned(&w, &agent);
    commit(&repo, &[("w.bin", weights(1, 5000))]);
    repo.push().unwrap();
    let remote = w.path("remote.git");
    let prepared = Repository::prepare(remote.to_string_lossy(), w.path("other"));
    let other = prepared
        .content(Content::PointersOnly)
        .clone_repo()
        .unwrap();
    let pointer = fs::read(w.path("other/w.bin")).unwrap();
    drop(other);
    for (fault, kind, told) in [
        ("wrong-bytes", ErrorKind::LfsObjectCorrupt, "other content"),
        (
            "wrong-size",
            ErrorKind::LfsObjectCorrupt,
            "5005 bytes, not 5000",
        ),
        ("no-path", ErrorKind::Protocol, "where it put"),
        ("die", ErrorKind::ProgramFailed, "last words"),
    ] {
        agent.set_up(&w, &w.path("other"), fault);
        let other = Repository::open(w.path("other")).unwrap();
        let error = other.fetch_content(["w.bin"]).unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}: {error:?}");
        assert!(story(&error).contains(told), "{fault}: {error:?}");
        assert_eq!(fs::read(w.path("other/w.bin")).unwrap(), pointer, "{fault}");
        let stored = fs::read_dir(w.path("other/.git/lfs/objects"));
        assert_eq!(stored.map_or(0, Iterator::count), 0, "{fault}");
    }
    agent.set_up(&w, &w.path("other"), "");
    let other = Repository::open(w.path("other")).unwrap();
    other.fetch_content(["w.bin"]).unwrap();
    assert_same_files(repo.workdir(), other.workdir());
    w.assert_sound(other.workdir());
    // What it left over for us is gone.
    let left = fs::read_dir(&agent.folder).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!left.into_iter().any(|name| name.starts_with("download")));
}

#[test]
fn a_silent_agent_ends_with_the_cancel() {
    let w = World::new();
    let agent = Agent::new(&w);
    drop(cloned(&w, &agent));
    agent.set_up(&w, &w.path("ours"), "hang");
    let cancel = CancelToken::new();
    let remote = w.path("remote.git");
    let prepared = Repository::prepare(remote.to_string_lossy(), w.path("ours"));
    let repo = prepared.cancel_token(cancel.clone()).open().unwrap();
    commit(&repo, &[("w.bin", weights(1, 5000))]);
    let push = std::thread::spawn(move || repo.push().unwrap_err());
    until("the agent has its work", || agent.count("upload") == 1);
    cancel.cancel();
    assert_eq!(push.join().unwrap().kind(), ErrorKind::Cancelled);
    let pid = agent.log()[0].0.clone();
    // Dead, or dead and not yet waited for.
    until("the agent is gone", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
}

#[test]
fn an_agent_that_is_not_there_is_named() {
    let w = World::new();
    let agent = Agent::new(&w);
    let repo = cloned(&w, &agent);
    commit(&repo, &[("w.bin", weights(1, 5000))]);
    let ours = w.path("ours");
    let key = "lfs.customtransfer.keeper.path";
    w.git(&ours, &["config", key, "/no/such/agent"]);
    let error = open(&w).push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProgramFailed);
    assert!(story(&error).contains("keeper"), "{error:?}");
    assert!(story(&error).contains("/no/such/agent"), "{error:?}");
    w.git(&ours, &["config", "--unset", key]);
    let error = open(&w).push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.hint().unwrap().contains(key), "{error:?}");
}

#[test]
fn a_repository_cannot_bring_an_agent_along() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let ran = w.path("ran");
    let config = format!(
        "[lfs]\n\tstandalonetransferagent = evil\n[lfs \"customtransfer.evil\"]\n\
         \tpath = touch\n\targs = {}\n",
        ran.display()
    );
    write(repo.workdir(), ".lfsconfig", config);
    commit(&repo, &[("w.bin", weights(1, 5000))]);
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 1);
    let other = w.clone("alice/m", "other");
    assert_same_files(repo.workdir(), other.workdir());
    assert!(!ran.exists());
}

/// A model on the hub, which chooses the agent wherever it is offered, and a clone that offers it.
fn chosen(w: &World, agent: &Agent, fault: &str) -> Repository {
    w.model("alice/m");
    w.hub.set_transfer(Some("keeper"));
    drop(w.clone("alice/m", "ours"));
    agent.offer(w, &w.path("ours"), fault);
    w.prepare("alice/m", "ours").open().unwrap()
}

/// Requests to the storage's side: what the agent did, or what was done instead.
fn stored(w: &World, route: Route) -> usize {
    let log = w.hub.requests();
    let good = |r: &&RequestRecord| r.route == route && (200..300).contains(&r.status);
    log.iter().filter(good).count()
}

#[test]
fn a_server_may_choose_the_agent() {
    needs_git_lfs!();
    let w = World::new();
    let agent = Agent::new(&w);
    let repo = chosen(&w, &agent, "");
    crate::round_trip::fill(repo.workdir());
    repo.stage().unwrap();
    let _ = repo.commit("ours").unwrap();
    let pushed = repo.push().unwrap().lfs_objects;
    assert!(pushed >= 7);
    assert_eq!(agent.count("upload"), pushed);
    // It was given the server's URLs and headers, and the rest of the work was ours.
    let with_action = |(_, told): &&(String, String)| told.contains(r#""action":{"href":"http://"#);
    assert_eq!(agent.log().iter().filter(with_action).count(), pushed);
    assert_eq!(stored(&w, Route::LfsVerify), pushed);
    w.assert_sound(repo.workdir());

    // git-lfs has it brought and sent by the same agent.
    agent.forget();
    w.git(w.path(""), &["init", "-q", "theirs"]);
    let theirs = w.path("theirs");
    agent.offer(&w, &theirs, "");
    w.git(&theirs, &["remote", "add", "origin", &w.url("alice/m")]);
    w.git(&theirs, &["pull", "-q", "origin", "main"]);
    assert_same_files(repo.workdir(), &theirs);
    assert_eq!(agent.count("download"), pushed);
    write(&theirs, "model.safetensors", weights(77, 123_456));
    w.git_push_all(&theirs, "theirs");
    assert_eq!(agent.count("upload"), 1);

    agent.forget();
    repo.pull().unwrap();
    assert_eq!(agent.count("download"), 1);
    assert_same_files(repo.workdir(), &theirs);
    w.assert_sound(repo.workdir());
    // Who has no agent gets the same without.
    let plain = w.clone("alice/m", "plain");
    assert_same_files(plain.workdir(), &theirs);
    assert_eq!(agent.count("download"), 1);
}

#[test]
fn an_agent_that_only_uploads_leaves_downloads_to_the_server() {
    let w = World::new();
    let agent = Agent::new(&w);
    // As git-xet does: set up for both ways, it refuses one when asked.
    let repo = chosen(&w, &agent, "refuse-download");
    let other = w.clone("alice/m", "other");
    for seed in 1..=2 {
        commit(&other, &[("w.bin", weights(seed, 5000))]);
        other.push().unwrap();
        repo.pull().unwrap();
        assert_same_files(repo.workdir(), other.workdir());
        // It was asked once, and then no more.
        assert_eq!((agent.count("init"), agent.count("download")), (1, 0));
    }
    commit(&repo, &[("v.bin", weights(9, 5000))]);
    repo.push().unwrap();
    assert_eq!(agent.count("upload"), 1);

    // One that says so beforehand is not even asked.
    agent.forget();
    let ours = w.path("ours");
    let key = "lfs.customtransfer.keeper.direction";
    w.git(&ours, &["config", key, "upload"]);
    other.pull().unwrap();
    commit(&other, &[("w.bin", weights(3, 5000))]);
    other.push().unwrap();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    repo.pull().unwrap();
    assert_same_files(repo.workdir(), other.workdir());
    assert_eq!(agent.log(), []);
}

#[test]
fn an_agent_that_fails_shows_nothing_of_what_the_server_gave_it() {
    let w = World::new();
    let agent = Agent::new(&w);
    let repo = chosen(&w, &agent, "");
    commit(&repo, &[("w.bin", weights(1, 5000))]);
    for (fault, told) in [
        ("die", "last words"),
        ("error", "the agent's no"),
        ("not-json", "are you there?"),
    ] {
        let _ = fs::remove_dir(agent.folder.join("first"));
        agent.forget();
        agent.offer(&w, &w.path("ours"), fault);
        let repo = w.prepare("alice/m", "ours").open().unwrap();
        let story = story(&repo.push().unwrap_err());
        assert_eq!(agent.count("upload"), 1, "{fault}");
        assert!(story.contains(told), "{fault}: {story}");
        // It printed the signed URL and the header that goes with it.
        assert!(story.contains("[hidden]"), "{fault}: {story}");
        for secret in ["_storage", "forwarded"] {
            assert!(!story.contains(secret), "{fault}: {story}");
        }
    }
    // Without it, the push goes on as it always does.
    w.git(
        w.path("ours"),
        &["config", "lfs.basictransfersonly", "true"],
    );
    agent.forget();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 1);
    assert_eq!(agent.log(), []);
}
