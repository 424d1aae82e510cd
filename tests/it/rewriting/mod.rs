//! Commits that hold what the Hub refuses are made anew before they are pushed.

mod beside;
mod corners;
pub(crate) mod random;
mod repair;

pub(crate) use beside::child;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use hf_repository::{CommitId, Retention, RewriteOptions};
use mini_hub::MiniHub;
use sha2::{Digest, Sha256};

use crate::support::one_clone::OneClone;
use crate::support::{World, weights, write};

/// Bytes from which on the hub here, and the rewrites, call a text file large.
const LIMIT: u64 = 4000;

fn options() -> RewriteOptions {
    RewriteOptions::default().larger_than(LIMIT)
}

/// A clone, of a hub with a small limit.
fn limited() -> OneClone {
    limited_of(|w| w.model("alice/m"))
}

fn limited_of(make: impl Fn(&World)) -> OneClone {
    let hub = MiniHub::temporary_with(|config| config.blob_limit(LIMIT)).unwrap();
    let w = World::with(hub);
    make(&w);
    OneClone::of(w)
}

impl OneClone {
    /// Commits everything with git, by somebody of that number.
    #[track_caller]
    fn commit(&self, number: u32, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.commit_staged(number, message)
    }

    #[track_caller]
    fn commit_staged(&self, number: u32, message: &str) -> String {
        let output = self
            .w
            .command("git", self.folder())
            .args(["commit", "-q", "--allow-empty", "-m", message])
            .env("GIT_AUTHOR_NAME", format!("Author {number}"))
            .env("GIT_AUTHOR_EMAIL", format!("a{number}@example.org"))
            .env(
                "GIT_AUTHOR_DATE",
                format!("{} +0530", 1_500_000_000 + number),
            )
            .env("GIT_COMMITTER_NAME", format!("Committer {number}"))
            .env(
                "GIT_COMMITTER_DATE",
                format!("{} -0800", 1_600_000_000 + number),
            )
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.git(&["rev-parse", "HEAD"])
    }

    /// What git makes of its input.
    #[track_caller]
    fn fed(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = self.w.command("git", self.folder());
        let piped = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).unwrap());
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// New commits differ from old ones in rules and in pointers that have the oid of what was there.
    #[track_caller]
    fn assert_same_content(&self, rewritten: &[(CommitId, CommitId)]) {
        let pairs = rewritten.iter().map(|(old, new)| format!("{new} {old}\n"));
        let pairs: String = pairs.collect();
        let told = self.fed(
            &[
                "diff-tree",
                "--stdin",
                "-r",
                "--no-commit-id",
                "--no-renames",
            ],
            pairs.as_bytes(),
        );
        let mut blobs = BTreeSet::new();
        for line in String::from_utf8(told).unwrap().lines() {
            let (ids, name) = line.split_once('\t').unwrap();
            let ids: Vec<&str> = ids.split(' ').collect();
            assert!(ids[4] == "M" || name == ".gitattributes", "{line}");
            if name != ".gitattributes" {
                blobs.insert((ids[2].to_owned(), ids[3].to_owned()));
            }
        }
        for (old, new) in blobs {
            let content = self.fed(&["cat-file", "blob", &old], b"");
            let digest = Sha256::digest(content);
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(self.git(&["cat-file", "blob", &new]).contains(&digest));
        }
    }

    /// The different sets of oids that commits of the branch name.
    fn sets(&self) -> BTreeSet<BTreeSet<String>> {
        let commits = self.git(&["rev-list", "main"]);
        let grep = ["grep", "^oid sha256:"].into_iter().chain(commits.lines());
        let told = self
            .w
            .try_git(self.folder(), &grep.collect::<Vec<_>>())
            .stdout;
        let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in String::from_utf8(told).unwrap().lines() {
            let oid = line.rsplit(':').next().unwrap().to_owned();
            sets.entry(line[..40].to_owned()).or_default().insert(oid);
        }
        sets.into_values().collect()
    }

    /// A clean-up leaves at most so many sets of objects, and tells of all others; it is undone again.
    #[track_caller]
    fn assert_old_checkpoints_go(&self, most: usize) {
        let all: BTreeSet<String> = self.sets().into_iter().flatten().collect();
        let plan = self
            .repo
            .plan_cleanup(Retention::LastCheckpoints(most))
            .unwrap();
        let report = self.repo.clean_up(&plan).unwrap();
        let left = self.sets();
        assert!(left.len() <= most && !left.is_empty(), "{left:?}");
        let left: BTreeSet<String> = left.into_iter().flatten().collect();
        let gone = report.objects.iter().map(|object| object.oid.to_string());
        assert_eq!(
            gone.collect::<BTreeSet<_>>(),
            all.difference(&left).cloned().collect()
        );
        self.git(&["diff", "--quiet", &report.before.to_string(), "main"]);
        self.git(&["update-ref", "refs/heads/main", &report.before.to_string()]);
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(self.folder(), name, content);
    }

    fn status(&self) -> String {
        self.git(&["status", "--porcelain"])
    }

    /// Who made which commits of `range`, when and why, and which others they follow, by subject.
    fn story(&self, folder: &Path, range: &str) -> Vec<String> {
        let format = "--format=%H %P|%an %ae %ad|%cn %ce %cd|%e|%B%x00";
        let log = self.w.git(
            folder,
            &["log", "--topo-order", "--date=raw", format, range],
        );
        let mut subjects = BTreeMap::new();
        let mut story = Vec::new();
        for one in log.split('\0').map(str::trim).filter(|one| !one.is_empty()) {
            let (ids, rest) = one.split_once('|').unwrap();
            let mut ids = ids.split(' ').map(str::to_owned);
            let body = rest.rsplit('|').next().unwrap().trim().to_owned();
            subjects.insert(ids.next().unwrap(), body);
            story.push((ids.collect::<Vec<_>>(), rest.to_owned()));
        }
        let named = |(parents, rest): (Vec<String>, String)| {
            let parents = parents.iter().map(|id| subjects.get(id).unwrap_or(id));
            let parents: Vec<_> = parents.cloned().collect();
            format!("{parents:?} {rest}")
        };
        story.into_iter().map(named).collect()
    }

    /// The files of each commit of `range` but for its rules, by subject.
    fn trees(&self, folder: &Path, range: &str) -> BTreeMap<String, String> {
        let log = self.w.git(folder, &["log", "--format=%H %s", range]);
        let tree = |line: &str| {
            let (id, subject) = line.split_once(' ').unwrap();
            let all = self.w.git(folder, &["ls-tree", "-r", id]);
            let files = all
                .lines()
                .filter(|line| !line.ends_with("\t.gitattributes"));
            (subject.to_owned(), files.collect::<Vec<_>>().join("\n"))
        };
        log.lines().map(tree).collect()
    }
}

fn text(seed: usize) -> String {
    format!("line {seed}\n").repeat(800)
}

/// A history with everything that is refused, and a merge; what is refused is gone in the end, but
/// for two files.
fn troubled(c: &OneClone) {
    c.write("notes.txt", "one\n");
    c.commit(1, "harmless");
    c.write("data/a.dat", weights(1, 3000));
    c.write("big.txt", "small\n");
    c.commit(2, "a binary file");
    c.write("big.txt", text(1));
    c.write("run.dat", weights(2, 2000));
    c.git(&["add", "-A"]);
    c.git(&["update-index", "--chmod=+x", "run.dat"]);
    fs::set_permissions(
        c.folder().join("run.dat"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    c.commit(3, "a large one, and a program");
    c.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    c.write("side.dat", weights(3, 1000));
    c.write("side.txt", "side\n");
    c.commit(4, "on the side");
    c.git(&["checkout", "-q", "main"]);
    c.git(&["rm", "-q", "data/a.dat"]);
    c.commit(5, "without it");
    c.git(&["merge", "-q", "--no-ff", "-m", "both", "side"]);
    c.git(&["branch", "-q", "-D", "side"]);
    // What comes from the side stays binary; what main removed is gone.
    c.write("notes.txt", "two\n");
    c.commit(7, "last");
}
