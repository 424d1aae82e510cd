//! The library in a process of its own, with an environment of its own, that may be killed.

use std::path::Path;
use std::process::{Command, Output};

use hf_repository::{Repository, Token};

use crate::support::{World, newest};

/// Names what the child is to do; its arguments follow in `HF_CHILD_1` and so on.
const JOB: &str = "HF_CHILD_JOB";

impl World {
    /// A process of this binary that does a job of [`run`] and nothing else.
    pub(crate) fn child(&self, job: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child::run", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", self.path("home"))
            .env("HF_ENDPOINT", self.hub.url())
            .env("HF_TOKEN", &self.token)
            .env("RUST_BACKTRACE", "1")
            .env(JOB, job);
        if let Some(folder) = std::env::var_os("TMPDIR") {
            command.env("TMPDIR", folder);
        }
        for (number, argument) in arguments.iter().enumerate() {
            command.env(format!("HF_CHILD_{}", number + 1), argument);
        }
        command
    }

    /// What a child comes to that may write no file above so many blocks of 512 or 1024 bytes: a full disk,
    /// as far as a test without root can have one.
    pub(crate) fn limited(&self, blocks: u32, job: &str, arguments: &[&str]) -> Output {
        self.limited_by(&format!("-f {blocks}"), job, arguments)
    }

    /// What a child comes to under a limit, as `ulimit` has it.
    pub(crate) fn limited_by(&self, limit: &str, job: &str, arguments: &[&str]) -> Output {
        let child = self.child(job, arguments);
        let mut shell = Command::new("sh");
        // The signal that would kill the process is ignored.
        let script = format!("trap '' XFSZ; ulimit {limit}; exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(child.get_program());
        shell.args(child.get_args()).env_clear();
        shell.env("PATH", "/usr/bin:/bin");
        for (key, value) in child.get_envs() {
            if let Some(value) = value {
                shell.env(key, value);
            }
        }
        shell.output().unwrap()
    }
}

#[track_caller]
pub(crate) fn succeed(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{error}");
    told
}

fn argument(number: usize) -> String {
    std::env::var(format!("HF_CHILD_{number}")).unwrap()
}

/// Not a test: what the child processes of the tests do. A test binary can only be entered by a test,
/// and without its variables this one has nothing to do: so it is left out of a plain run, and
/// every test that starts it fails if it does.
#[test]
#[ignore = "the entry of child processes, which other tests start and judge"]
fn run() {
    let Ok(job) = std::env::var(JOB) else { return };
    match job.as_str() {
        "shallow-clone" => {
            let prepared = Repository::prepare(argument(1), argument(2)).depth(newest(1));
            prepared.clone_repo().unwrap().fetch_history().unwrap();
        }
        "shallow-jobs" => {
            let (source, folder) = (argument(1), argument(2));
            let prepared = Repository::prepare(source, &folder).depth(newest(1));
            let repo = prepared.clone_repo().unwrap();
            assert!(repo.is_shallow().unwrap());
            std::fs::write(Path::new(&folder).join("ours.txt"), "ours").unwrap();
            repo.stage().unwrap();
            let _ = repo.commit("ours").unwrap();
            assert_eq!(repo.push().unwrap().commits, 1);
            assert!(repo.pull().unwrap().is_up_to_date());
            assert!(repo.is_shallow().unwrap());
            repo.fetch_history().unwrap();
            assert!(!repo.is_shallow().unwrap());
        }
        // Everything there is to do with a repository, one after the other.
        "all-jobs" => {
            let (source, folder) = (argument(1), argument(2));
            let folder = Path::new(&folder);
            let repo = Repository::prepare(source, folder).clone_repo().unwrap();
            std::fs::write(folder.join("model.bin"), b"weights\0").unwrap();
            std::fs::write(folder.join("notes.txt"), "plain\n").unwrap();
            repo.stage().unwrap();
            let commit = repo
                .commit("from a bare machine")
                .unwrap()
                .commit()
                .unwrap();
            assert_eq!(repo.push().unwrap().commit, commit);
            repo.checkout_with("side", hf_repository::CheckoutOptions::Create)
                .unwrap();
            std::fs::write(folder.join("model.bin"), b"other weights\0").unwrap();
            repo.stage().unwrap();
            let _ = repo.commit("on the side").unwrap();
            repo.push().unwrap();
            repo.checkout("main").unwrap();
            assert_eq!(
                std::fs::read(folder.join("model.bin")).unwrap(),
                b"weights\0"
            );
            assert!(repo.pull().unwrap().is_up_to_date());
            assert!(repo.status().unwrap().is_clean());
        }
        "clone" => {
            Repository::prepare(argument(1), argument(2))
                .clone_repo()
                .unwrap();
        }
        "clone-without-token" => {
            let prepared = Repository::prepare(argument(1), argument(2)).without_token();
            prepared.clone_repo().unwrap();
        }
        "open-or-clone" => {
            Repository::prepare(argument(1), argument(2))
                .open_or_clone()
                .unwrap();
        }
        "open-or-adopt" => {
            Repository::prepare(argument(1), argument(2))
                .open_or_adopt()
                .unwrap();
        }
        "elsewhere" => crate::revisions::elsewhere(&argument(1), Path::new(&argument(2))),
        "stage-commit-push" => {
            let repo = Repository::open(argument(1)).unwrap();
            repo.stage().unwrap();
            let _ = repo.commit("from a child").unwrap();
            repo.push().unwrap();
        }
        "pull" => {
            Repository::open(argument(1)).unwrap().pull().unwrap();
        }
        "fetch-content" => {
            let repo = Repository::open(argument(1)).unwrap();
            assert!(!repo.fetch_all_content().unwrap().is_empty());
        }
        "checkout" => {
            Repository::open(argument(1))
                .unwrap()
                .checkout(argument(2))
                .unwrap();
        }
        "stage" => match Repository::open(argument(1)).unwrap().stage() {
            Ok(report) => println!("staged {}", report.lfs.len()),
            Err(error) => println!("kind {:?}: {error}", error.kind()),
        },
        "push-with" => {
            let token: Token = argument(2).parse().unwrap();
            let source = argument(3);
            let repo = Repository::prepare(source, argument(1))
                .token(token)
                .open()
                .unwrap();
            repo.push().unwrap();
        }
        "push-after-set-token" => {
            let repo = Repository::prepare(argument(1), argument(2))
                .clone_repo()
                .unwrap();
            std::fs::write(repo.workdir().join("w.bin"), b"weights\0").unwrap();
            repo.stage().unwrap();
            let _ = repo.commit("from a child").unwrap();
            let error = repo.push().unwrap_err();
            assert_eq!(error.kind(), hf_repository::ErrorKind::Unauthorized);
            repo.set_token(argument(3).parse().unwrap());
            repo.push().unwrap();
        }
        "crash" => {
            let number = |at| argument(at).parse().unwrap();
            let (folder, mode, fatal) = (argument(1), argument(2), argument(5));
            let nth = argument(6).parse().unwrap();
            crate::crash::child(&folder, &mode, number(3), number(4), &fatal, nth);
        }
        "rewrite" => crate::rewriting::child(Path::new(&argument(1)), &argument(2)),
        "commit-once" => crate::durability::commit(&argument(1)),
        "pull-once" => crate::durability::pull(&argument(1)),
        "save-once" => crate::durability::child(&argument(1)),
        "cancel-at-staged" => crate::deferred_corners::cancel_at_staged(&argument(1)),
        "hostile-create" => crate::hostile::files::create(&argument(1), &argument(2)),
        "hostile-open" => crate::hostile::files::open(&argument(1)),
        "rank" => {
            let number = |at| argument(at).parse().unwrap();
            crate::together::rank(&argument(1), number(2), number(3));
        }
        "git-lfs" => crate::engines::jobs(&argument(1), Path::new(&argument(2))),
        "git-lfs-save" => crate::engines::saves(&argument(1), Path::new(&argument(2))),
        "git-lfs-prune" => crate::engines::prune(Path::new(&argument(1))),
        "git-lfs-pull" => crate::engines::pull(Path::new(&argument(1))),
        "git-lfs-token" => crate::engines::with_a_token(Path::new(&argument(1))),
        "git-lfs-fails" => crate::engines::fails(Path::new(&argument(1)), &argument(2)),
        "git-lfs-lost" => crate::engines::lost(Path::new(&argument(1))),
        "git-lfs-cancel" => {
            crate::engines::cancel(Path::new(&argument(1)), Path::new(&argument(2)))
        }
        "author" => crate::authors::commit(&argument(1), Path::new(&argument(2))),
        "author-of-tokens" => {
            crate::authors::commit_as(Path::new(&argument(1)), [argument(2), argument(3)]);
        }
        "plain-http" => crate::secrets::over_plain_http(Path::new(&argument(1))),
        "offline" => {
            let [a, b, c] = [1, 2, 3].map(argument);
            crate::offline::jobs(Path::new(&a), Path::new(&b), Path::new(&c));
        }
        "offline-content" => crate::offline::content(Path::new(&argument(1))),
        "offline-resume" => crate::offline::resume(Path::new(&argument(1))),
        "leak" => crate::leak::work::act(
            &argument(1),
            &argument(2),
            Path::new(&argument(3)),
            &argument(4),
            Path::new(&argument(5)),
        ),
        "odd-environment" => {
            crate::predecessor::traces::cycle(&argument(1), Path::new(&argument(2)));
        }
        "permissions" => {
            crate::permissions::work(&argument(1), Path::new(&argument(2)), &argument(3));
        }
        "ssh-work" => crate::ssh::work(&argument(1), Path::new(&argument(2))),
        "ssh-pull" => crate::ssh::pull(Path::new(&argument(1))),
        "ssh-push-only" => {
            crate::ssh::push_only(&argument(1), Path::new(&argument(2)), &argument(3));
        }
        "ssh-refused" => crate::ssh::refused(Path::new(&argument(1))),
        "ssh-moved" => crate::ssh::moved(Path::new(&argument(1))),
        "ssh-clone-fails" => crate::ssh::clone_fails(&argument(1), Path::new(&argument(2))),
        "ssh-cancel" => crate::ssh::cancel(Path::new(&argument(1)), Path::new(&argument(2))),
        "cycle" => {
            crate::support::cycle::child(
                &argument(1),
                Path::new(&argument(2)),
                &argument(3),
                &argument(4),
            );
        }
        "credentials" => {
            let (what, source, folder) = (argument(1), argument(2), argument(3));
            let token = std::env::var("HF_CHILD_4").ok();
            crate::credentials::job(&what, &source, Path::new(&folder), token);
        }
        "login" => crate::logins::job(&argument(1), &argument(2), &argument(3)),
        "measured" => crate::heavy::measured(&argument(1), Path::new(&argument(2))),
        "many-files" => crate::many_files::child(&argument(1), &argument(2), &argument(3)),
        "measured-many" => {
            crate::heavy::small_files::job(&argument(1), Path::new(&argument(2)));
            crate::heavy::tell_peak();
        }
        "train" => crate::preemption::train(
            &argument(1),
            argument(2).parse().unwrap(),
            std::time::Duration::from_secs(argument(3).parse().unwrap()),
        ),
        other => panic!("no job {other}"),
    }
}
