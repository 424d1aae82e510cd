//! The main jobs against git with git-lfs, in the same run: `cargo bench --bench jobs`.
//!
//! Prints medians in seconds and the ratio of theirs to ours; above 1 we are quicker. Sizes in MiB
//! and repetitions can be given: `cargo bench --bench jobs -- 256 5`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench is a program"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use hf_repository::Repository;
use mini_hub::{MiniHub, RepoOptions, Role};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok());
    let (mib, rounds) = (
        arguments.next().unwrap_or(128),
        arguments.next().unwrap_or(3),
    );
    let bench = Bench::new();
    println!("{mib} MiB in one LFS file, median of {rounds}");
    bench.run("one file", rounds, |folder, round| {
        fs::write(folder.join("w.bin"), noise(round as u64, mib << 20)).unwrap();
    });
    println!("1000 files of 1 KiB, median of {rounds}");
    bench.run("many files", rounds, |folder, round| {
        for number in 0..1000 {
            let name = folder.join(format!("f{number}.txt"));
            fs::write(name, format!("{round} {number}\n").repeat(100)).unwrap();
        }
    });
}

struct Bench {
    hub: MiniHub,
    token: String,
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let hub = MiniHub::temporary().unwrap();
        hub.add_user("bench");
        let token = hub.add_token("bench", Role::Write);
        let home = tempfile::tempdir().unwrap();
        let config = format!(
            "[user]\n\tname = B\n\temail = b@x\n[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\
             \tsmudge = git-lfs smudge -- %f\n\tprocess = git-lfs filter-process\n\trequired = true\n\
             [credential]\n\thelper = \"!f() {{ echo username=u; echo password={token}; }}; f\"\n"
        );
        fs::write(home.path().join("gitconfig"), config).unwrap();
        Self { hub, token, home }
    }

    fn git(&self, folder: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(folder)
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_CONFIG_GLOBAL", self.home.path().join("gitconfig"));
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn clone(&self, id: &str, folder: &Path) -> Repository {
        let prepared = Repository::prepare(id, folder);
        let prepared = prepared.endpoint(self.hub.url().parse().unwrap());
        prepared
            .token(self.token.parse().unwrap())
            .clone_repo()
            .unwrap()
    }

    /// Stage and commit, push, clone, status: ours and theirs by turns, each on its own repository.
    fn run(&self, name: &str, rounds: usize, fill: impl Fn(&Path, usize)) {
        let jobs = ["stage+commit", "push", "clone", "status"];
        let mut times = [const { [const { Vec::new() }; 4] }; 2];
        for round in 0..rounds {
            for (side, times) in times.iter_mut().enumerate() {
                let id = format!("bench/{}-{round}-{side}", name.replace(' ', "-"));
                let options = RepoOptions::model().initial_commit(true);
                self.hub.create_repo(&id, &options).unwrap();
                let (first, second) = (self.folder(&id, "a"), self.folder(&id, "b"));
                let repo = self.clone(&id, &first);
                fill(&first, round);
                let url = format!("{}/{id}", self.hub.url());
                let mut clocked = |job: usize, work: &dyn Fn()| {
                    let began = Instant::now();
                    work();
                    times[job].push(began.elapsed().as_secs_f64());
                };
                if side == 0 {
                    clocked(0, &|| {
                        repo.stage().unwrap();
                        let _ = repo.commit("x").unwrap();
                    });
                    clocked(1, &|| drop(repo.push().unwrap()));
                    clocked(2, &|| drop(self.clone(&id, &second)));
                    clocked(3, &|| assert!(repo.is_clean().unwrap()));
                } else {
                    clocked(0, &|| {
                        self.git(&first, &["add", "-A"]);
                        self.git(&first, &["commit", "-q", "-m", "x"]);
                    });
                    clocked(1, &|| self.git(&first, &["push", "-q", &url, "HEAD:main"]));
                    clocked(2, &|| {
                        self.git(&first, &["clone", "-q", &url, &second.to_string_lossy()])
                    });
                    clocked(3, &|| self.git(&first, &["status", "--porcelain"]));
                }
                fs::remove_dir_all(&first).unwrap();
                fs::remove_dir_all(&second).unwrap();
            }
        }
        let [ours, theirs] = &mut times;
        for ((job, ours), theirs) in jobs.iter().zip(ours).zip(theirs) {
            let (ours, theirs) = (median(ours), median(theirs));
            println!(
                "  {job:13} ours {ours:8.3}  git {theirs:8.3}  ratio {:5.2}",
                theirs / ours
            );
        }
    }

    fn folder(&self, id: &str, name: &str) -> PathBuf {
        self.home
            .path()
            .join(format!("{}-{name}", id.replace('/', "-")))
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
