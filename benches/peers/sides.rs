//! The programs that are run: ours in a child of this one, git, Python, and the Hub between them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use mini_hub::{HubConfig, MiniHub, RepoKind, RepoOptions, Role};

/// Makes this program the Hub.
pub(crate) const SERVE: &str = "--serve";
/// Makes it do a job of ours.
pub(crate) const JOB: &str = "--job";
/// The user that everything belongs to.
const USER: &str = "bench";

/// Serves until standard input ends; each line there is the name of a repository to create.
pub(crate) fn serve(folder: &Path) {
    let hub = MiniHub::start(HubConfig::new(folder).trusting()).unwrap();
    hub.add_user(USER);
    println!("{}", hub.url());
    println!("{}", hub.add_token(USER, Role::Write));
    for line in std::io::stdin().lines() {
        let id = format!("{USER}/{}", line.unwrap());
        let options = RepoOptions::model().initial_commit(true);
        hub.create_repo(&id, &options).unwrap();
        println!("{}", hub.repo_path(RepoKind::Model, &id).display());
    }
}

/// The mini Hub, in a process of its own: its memory and time are not the bench's.
pub(crate) struct Hub {
    pub(crate) url: String,
    pub(crate) token: String,
    process: Child,
    answers: BufReader<ChildStdout>,
}

/// A repository on the Hub.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) id: String,
    pub(crate) url: String,
    folder: PathBuf,
}

impl Remote {
    /// The bare repository on the disk.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn remove(self) {
        fs::remove_dir_all(self.folder).unwrap();
    }
}

impl Hub {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(SERVE)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut hub = Self {
            url: String::new(),
            token: String::new(),
            process,
            answers,
        };
        hub.url = hub.answer();
        hub.token = hub.answer();
        hub
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn create(&mut self, name: &str) -> Remote {
        writeln!(self.process.stdin.as_ref().unwrap(), "{name}").unwrap();
        let id = format!("{USER}/{name}");
        Remote {
            url: format!("{}/{id}", self.url),
            id,
            folder: self.answer().into(),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What a run took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    /// Most memory that one of its processes had at a time; 0 if nobody looked.
    pub(crate) peak_kib: u64,
}

impl Sample {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            peak_kib: self.peak_kib.max(other.peak_kib),
        }
    }
}

/// Whether somebody looks how much memory it takes, which costs it some time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    Watched,
    Alone,
}

/// Runs a program to its end. The disk is idle when it begins.
pub(crate) fn clocked(command: &mut Command, memory: Memory) -> (Sample, String) {
    rustix::fs::sync();
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut peak_kib = 0;
    if memory == Memory::Watched {
        while child.try_wait().unwrap().is_none() {
            peak_kib = peak_kib.max(peak_of_tree(child.id()));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let output = child.wait_with_output().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let sample = Sample { seconds, peak_kib };
    (sample, text)
}

/// The most that a process, or one of its children, has had, in KiB.
fn peak_of_tree(process: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let own = peak(&status.unwrap_or_default());
    children.map(peak_of_tree).fold(own, u64::max)
}

/// The peak that a `/proc/…/status` tells, in KiB.
pub(crate) fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}
