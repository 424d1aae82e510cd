//! A Hub, a user, a home, and real git beside the library.

pub(crate) mod cycle;
pub(crate) mod dice;
pub(crate) mod judge;
pub(crate) mod moving;
pub(crate) mod one_clone;
pub(crate) mod proxy;
pub(crate) mod saving;
pub(crate) mod servers;
pub(crate) mod sshd;
pub(crate) mod tls_front;

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hf_repository::{Endpoint, NetworkLimits, PrepareRepository, RepoPath, Repository};
use mini_hub::{MiniHub, RepoKind, RepoOptions, Role};
use tempfile::TempDir;

/// One test's world: nothing in it is shared with another test.
pub(crate) struct World {
    pub(crate) hub: MiniHub,
    pub(crate) token: String,
    home: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(MiniHub::temporary().unwrap())
    }

    pub(crate) fn with(hub: MiniHub) -> Self {
        hub.add_user("alice");
        let token = hub.add_token("alice", Role::Write);
        let home = tempfile::tempdir().unwrap();
        // Who commits, how LFS files are filtered, and the password for the hub.
        let config = format!(
            "[user]\n\tname = Git\n\temail = git@example.org\n\
             [init]\n\tdefaultBranch = main\n[core]\n\tquotePath = false\n\tfsync = none\n\
             [gc]\n\tauto = 0\n\
             [protocol \"file\"]\n\tallow = always\n\
             [filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\
             \tprocess = git-lfs filter-process\n\trequired = true\n\
             [credential]\n\thelper = \"!f() {{ echo username=user; echo password={token}; }}; f\"\n"
        );
        fs::write(home.path().join("gitconfig"), config).unwrap();
        Self { hub, token, home }
    }

    /// A folder of this test's own; it need not exist.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A model with the Hub's first commit.
    pub(crate) fn model(&self, id: &str) {
        let options = RepoOptions::model().initial_commit(true);
        self.hub.create_repo(id, &options).unwrap();
    }

    /// A model without any commit.
    pub(crate) fn empty_model(&self, id: &str) {
        self.hub.create_repo(id, &RepoOptions::model()).unwrap();
    }

    pub(crate) fn bare(&self, id: &str) -> PathBuf {
        self.hub.repo_path(RepoKind::Model, id)
    }

    pub(crate) fn url(&self, id: &str) -> String {
        format!("{}/{id}", self.hub.url())
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.hub.url().parse().unwrap()
    }

    /// The library, with the endpoint and the write token.
    pub(crate) fn prepare(&self, source: &str, folder: &str) -> PrepareRepository {
        self.prepare_as(source, folder, &self.token)
    }

    pub(crate) fn prepare_as(&self, source: &str, folder: &str, token: &str) -> PrepareRepository {
        Repository::prepare(source, self.path(folder))
            .endpoint(self.endpoint())
            .token(token.parse().unwrap())
            // What fails for good should not take half a minute to do so.
            .network_limits(NetworkLimits::default().retries(2))
    }

    pub(crate) fn clone(&self, id: &str, folder: &str) -> Repository {
        self.prepare(id, folder).clone_repo().unwrap()
    }

    /// A command in this world's environment.
    pub(crate) fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_GLOBAL", self.path("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C");
        if let Some(file) = self.hub.ca_file() {
            command.env("GIT_SSL_CAINFO", file);
        }
        command
    }

    pub(crate) fn try_git(&self, folder: &Path, arguments: &[&str]) -> Output {
        self.command("git", folder)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What git prints; it must succeed.
    #[track_caller]
    pub(crate) fn git(&self, folder: impl AsRef<Path>, arguments: &[&str]) -> String {
        let output = self.try_git(folder.as_ref(), arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {told}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// A clone by git itself.
    #[track_caller]
    pub(crate) fn git_clone(&self, id: &str, folder: &str) -> PathBuf {
        let target = self.path(folder);
        let name = target.to_string_lossy();
        self.git(self.home.path(), &["clone", "-q", &self.url(id), &name]);
        target
    }

    /// Commits everything with git and pushes it.
    #[track_caller]
    pub(crate) fn git_push_all(&self, folder: &Path, message: &str) {
        self.git(folder, &["add", "-A"]);
        self.git(folder, &["commit", "-q", "-m", message]);
        self.git(folder, &["push", "-q", "origin", "HEAD"]);
    }

    /// What a branch of the remote is at.
    pub(crate) fn remote_tip(&self, id: &str, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}");
        let output = self.try_git(&self.bare(id), &["rev-parse", "--verify", "-q", &name]);
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }
}

/// Whether git-lfs is here: says so loudly if not, and insists on it in CI.
pub(crate) fn git_lfs() -> bool {
    let found = Command::new("git-lfs")
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success());
    let ci = std::env::var_os("HF_REPOSITORY_CI").is_some();
    assert!(found || !ci, "git-lfs must be installed in CI");
    if !found {
        shout("git-lfs is not installed");
    }
    found
}

/// Says that the running test was skipped, past the capture of what tests print.
pub(crate) fn shout(why: &str) {
    use std::io::Write;
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    if !SAID.lock().unwrap().insert(format!("{test}: {why}")) {
        return;
    }
    let _ = writeln!(
        std::io::stderr(),
        "*** SKIPPED {test}, or part of it: {why} ***"
    );
}

/// Says something past the capture of what tests print.
pub(crate) fn say(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Leaves the test if git-lfs is missing.
macro_rules! needs_git_lfs {
    () => {
        if !crate::support::git_lfs() {
            return;
        }
    };
}
pub(crate) use needs_git_lfs;

/// Leaves the test unless the big ones were asked for.
macro_rules! heavy {
    () => {
        if std::env::var_os("HF_REPOSITORY_HEAVY").is_none() {
            crate::support::shout("set HF_REPOSITORY_HEAVY=1 to run the big tests");
            return;
        }
    };
}
pub(crate) use heavy;

/// Waits, a minute at most, until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

pub(crate) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// The depth of a clone, in commits.
pub(crate) fn newest(commits: u32) -> NonZeroU32 {
    NonZeroU32::new(commits).unwrap()
}

/// Bytes that look like weights: the same for the same seed, and not compressible.
pub(crate) fn weights(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    if length > 0 {
        bytes[0] = 0;
    }
    bytes
}
