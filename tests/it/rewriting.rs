//! Commits that hold what the Hub refuses are made anew before they are pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use hf_repository::{
    CommitId, ErrorKind, Pattern, PullStrategy, RepoPath, Repository, Retention, RewriteOptions,
};
use mini_hub::MiniHub;
use sha2::{Digest, Sha256};

use crate::child::succeed;
use crate::steps;
use crate::support::judge::files;
use crate::support::{World, needs_git_lfs, newest, weights, write};

/// Bytes from which on the hub here, and the rewrites, call a text file large.
const LIMIT: u64 = 4000;

fn options() -> RewriteOptions {
    RewriteOptions::default().larger_than(LIMIT)
}

/// A clone, of a hub with a small limit.
struct Clone {
    w: World,
    repo: Repository,
}

impl Clone {
    fn new() -> Self {
        Self::of(|w| w.model("alice/m"))
    }

    fn of(make: impl Fn(&World)) -> Self {
        let hub = MiniHub::temporary_with(|config| config.blob_limit(LIMIT)).unwrap();
        let w = World::with(hub);
        make(&w);
        let repo = w.clone("alice/m", "ours");
        Self { w, repo }
    }

    fn folder(&self) -> PathBuf {
        self.repo.workdir().to_path_buf()
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        self.w.git(self.folder(), arguments)
    }

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
            .command("git", &self.folder())
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
        let mut command = self.w.command("git", &self.folder());
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
            .try_git(&self.folder(), &grep.collect::<Vec<_>>())
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
        write(&self.folder(), name, content);
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

fn path(name: &str) -> RepoPath {
    RepoPath::new(name).unwrap()
}

fn text(seed: usize) -> String {
    format!("line {seed}\n").repeat(800)
}

/// A history with everything that is refused, and a merge; what is refused is gone in the end, but
/// for two files.
fn troubled(c: &Clone) {
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

#[test]
fn what_the_hub_refuses_becomes_lfs_files() {
    needs_git_lfs!();
    let c = Clone::new();
    let (w, folder) = (&c.w, c.folder());
    troubled(&c);
    let error = c.repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Preflight);
    assert!(error.hint().unwrap().contains("rewrite_unpushed_to_lfs"));
    // Edits of all kinds.
    c.write("staged.txt", "staged\n");
    c.git(&["add", "staged.txt"]);
    c.write("run.dat", weights(20, 2000));
    c.git(&["add", "run.dat"]);
    c.write("side.dat", weights(30, 1000));
    c.write("new.dat", "a text file with that extension\n");
    c.write("announced.dat", "announced\n");
    c.git(&["add", "-N", "announced.dat"]);
    let (status, before) = (c.status(), files(&folder));
    let story = c.story(&folder, "origin/main..main");
    let scene = w.scene(&folder, "alice/m");

    let would = c
        .repo
        .rewrite_unpushed_to_lfs_with(&options().dry_run())
        .unwrap();
    assert_eq!(w.scene(&folder, "alice/m"), scene);
    assert!(
        !w.try_git(&folder, &["cat-file", "-e", &would.after.to_string()])
            .status
            .success()
    );

    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report, would);
    assert_eq!(report.after.to_string(), c.git(&["rev-parse", "main"]));
    assert_eq!(report.before.to_string(), c.git(&["rev-parse", "main@{1}"]));
    assert_eq!(report.rewritten.len(), 6, "{:?}", report.rewritten);
    let names = ["big.txt", "data/a.dat", "run.dat", "side.dat"];
    assert_eq!(report.files, names.map(path));
    assert_eq!(report.lfs_objects, 4);
    assert_eq!(report.lfs_bytes, 3000 + 2000 + 1000 + text(1).len() as u64);
    assert_eq!(report.other_refs, []);
    let rules = [
        Pattern::Glob("*.dat".into()),
        Pattern::Literal(path("big.txt")),
    ];
    assert_eq!(report.tracked, rules);

    assert_eq!(c.status(), status);
    let mut after = files(&folder);
    let mut expected = before;
    let rules = after
        .insert(".gitattributes".into(), ('f', Vec::new()))
        .unwrap();
    expected.insert(".gitattributes".into(), ('f', Vec::new()));
    assert!(after == expected, "other files changed");
    assert!(String::from_utf8(rules.1).unwrap().ends_with(
        "*.dat filter=lfs diff=lfs merge=lfs -text\n/big.txt filter=lfs diff=lfs merge=lfs -text\n"
    ));
    assert_eq!(c.story(&folder, "origin/main..main"), story);
    // Staged edits are LFS files as well.
    assert!(
        c.git(&["cat-file", "blob", ":run.dat"])
            .contains("size 2000")
    );
    assert!(c.git(&["ls-tree", "HEAD", "run.dat"]).starts_with("100755"));

    // Once more there is nothing to do.
    let again = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!((again.before, again.after), (report.after, report.after));
    assert!(again.rewritten.is_empty() && again.tracked.is_empty());

    let pushed = c.repo.push().unwrap();
    assert_eq!((pushed.commits, pushed.lfs_objects), (7, 4));
    c.git(&["reset", "-q", "--hard"]);
    fs::remove_file(folder.join("new.dat")).unwrap();
    w.assert_sound(&folder);
    let theirs = w.git_clone("alice/m", "theirs");
    crate::support::judge::assert_same_files(&theirs, &folder);
    w.assert_sound(&theirs);
}

#[test]
fn git_lfs_migrate_makes_the_same_trees() {
    needs_git_lfs!();
    let c = Clone::new();
    let folder = c.folder();
    troubled(&c);
    let copy = c.w.path("copy");
    c.git(&["clone", "-q", ".", &copy.to_string_lossy()]);
    let base = c.git(&["rev-parse", "origin/main"]);
    c.w.git(&copy, &["update-ref", "refs/remotes/base/main", &base]);
    c.w.git(&copy, &["remote", "remove", "origin"]);
    c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    let migrate = [
        "lfs",
        "migrate",
        "import",
        "--yes",
        "--include=*.dat,/big.txt",
        "--include-ref=refs/heads/main",
        "--exclude-ref=refs/remotes/base/main",
    ];
    c.w.git(&copy, &migrate);
    let range = format!("{base}..main");
    let (mut ours, mut theirs) = (c.trees(&folder, &range), c.trees(&copy, &range));
    // Before it is large, the file stays as it is here; git-lfs knows names alone.
    for trees in [&mut ours, &mut theirs] {
        for subject in ["a binary file", "on the side"] {
            let tree = trees.get_mut(subject).unwrap();
            let lines = tree.lines().filter(|line| !line.ends_with("big.txt"));
            *tree = lines.collect::<Vec<_>>().join("\n");
        }
    }
    assert_eq!(ours, theirs);
    assert_eq!(c.story(&folder, &range), c.story(&copy, &range));
}

#[test]
fn only_what_the_remote_lacks_is_made_anew() {
    needs_git_lfs!();
    let c = Clone::new();
    let folder = c.folder();
    // A clone of somebody else has pushed the branch; the tracking ref here knows nothing of it.
    c.write("pushed.txt", "pushed\n");
    let pushed = c.commit(1, "pushed");
    c.w.git(&folder, &["push", "-q", &c.w.url("alice/m"), "main"]);
    assert_ne!(c.git(&["rev-parse", "origin/main"]), pushed);
    c.write("a.dat", weights(1, 100));
    c.commit(2, "binary");
    c.git(&["tag", "v1"]);
    c.git(&["branch", "other"]);
    c.write("b.dat", weights(2, 100));
    c.commit(3, "more");
    let other = c.git(&["rev-parse", "other"]);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten.len(), 2);
    let id = other.parse().unwrap();
    assert_eq!(
        report.other_refs,
        [
            ("refs/heads/other".to_owned(), id),
            ("refs/tags/v1".to_owned(), id)
        ]
    );
    assert_eq!(c.git(&["rev-parse", "v1"]), other);
    assert_eq!(c.git(&["rev-parse", "main~2"]), pushed);
    // The tracking ref may also claim too much.
    let tip = c.git(&["rev-parse", "main"]);
    c.write("c.dat", weights(3, 100));
    c.git(&[
        "-c",
        "core.attributesFile=/dev/null",
        "rm",
        "-q",
        "--cached",
        ".gitattributes",
    ]);
    fs::remove_file(folder.join(".gitattributes")).unwrap();
    c.git(&["add", "c.dat"]);
    c.commit_staged(4, "raw again");
    c.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten.len(), 1);
    assert_eq!(c.git(&["rev-parse", "main~1"]), tip);
    c.repo.push().unwrap();
}

#[test]
fn rules_that_are_there_are_enough() {
    needs_git_lfs!();
    let c = Clone::new();
    let folder = c.folder();
    // The default rules speak of it, but whoever committed it had no filter.
    c.write("sub/model.bin", weights(1, 3000));
    c.write("plain.bin", "text under a rule\n");
    fs::write(
        folder.join(".git/info/attributes"),
        "* -filter
",
    )
    .unwrap();
    c.git(&["add", "-A"]);
    fs::remove_file(folder.join(".git/info/attributes")).unwrap();
    c.commit_staged(1, "without a filter");
    let rules = fs::read(folder.join(".gitattributes")).unwrap();
    // A message in another encoding, a signature and a header nobody knows.
    let raw =
        c.w.command("git", &folder)
            .args(["cat-file", "commit", "HEAD"])
            .output()
            .unwrap();
    let raw = String::from_utf8(raw.stdout).unwrap();
    let (head, _) = raw.split_once("\n\n").unwrap();
    let mut odd = format!("{head}\nencoding iso-8859-1\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\nx-odd 1\n\nna").into_bytes();
    odd.extend(b"\xefve, no line end");
    fs::write(c.w.path("odd"), odd).unwrap();
    let odd = c.git(&[
        "hash-object",
        "-t",
        "commit",
        "-w",
        &c.w.path("odd").to_string_lossy(),
    ]);
    c.git(&["update-ref", "refs/heads/main", &odd]);
    let status = c.status();
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.unsigned, [odd.parse().unwrap()]);
    assert_eq!(
        (report.files, report.tracked),
        (vec![path("sub/model.bin")], vec![])
    );
    assert_eq!(fs::read(folder.join(".gitattributes")).unwrap(), rules);
    let raw =
        c.w.command("git", &folder)
            .args(["cat-file", "commit", "HEAD"])
            .output()
            .unwrap();
    assert!(
        raw.stdout
            .ends_with(b"\nencoding iso-8859-1\nx-odd 1\n\nna\xefve, no line end")
    );
    // git with its filter took the raw file for a change; it no longer does.
    assert!(status.contains("sub/model.bin"), "{status}");
    assert!(!c.status().contains("sub/model.bin"), "{}", c.status());
}

#[test]
fn what_cannot_be_rewritten_is_refused_before_anything_changes() {
    needs_git_lfs!();
    let c = Clone::new();
    let folder = c.folder();
    let refused = |kind: ErrorKind| {
        let scene = || {
            (
                c.w.scene(&folder, "alice/m").files_only(),
                c.git(&["for-each-ref"]),
            )
        };
        let before = scene();
        let error = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(scene() == before, "{error}");
    };
    // Nothing to do is no error.
    assert!(
        c.repo
            .rewrite_unpushed_to_lfs()
            .unwrap()
            .rewritten
            .is_empty()
    );
    c.write("a.dat", weights(1, 100));
    c.commit(1, "binary");
    c.git(&["rm", "-q", "--cached", ".gitattributes"]);
    refused(ErrorKind::DirtyWorktree);
    c.git(&["reset", "-q"]);
    c.git(&["worktree", "add", "-q", "-f", "../two", "main"]);
    refused(ErrorKind::InvalidInput);
    c.git(&["worktree", "remove", "../two"]);
    fs::rename(folder.join(".gitattributes"), folder.join("rules")).unwrap();
    std::os::unix::fs::symlink("rules", folder.join(".gitattributes")).unwrap();
    refused(ErrorKind::InvalidInput);
    fs::rename(folder.join("rules"), folder.join(".gitattributes")).unwrap();
    c.write("sub/.gitattributes", "*.dat -filter\n");
    c.write("sub/b.dat", weights(2, 100));
    c.commit(2, "a rule that forbids it");
    refused(ErrorKind::InvalidInput);
    c.git(&["reset", "-q", "--hard", "HEAD~1"]);
    c.write("sub/.gitignore", weights(3, 100));
    c.commit(3, "no ignore file");
    refused(ErrorKind::Preflight);
    c.git(&["checkout", "-q", "--detach"]);
    refused(ErrorKind::DetachedHead);
}

#[test]
fn promised_pushes_go_on_with_the_new_commits() {
    needs_git_lfs!();
    let c = Clone::new();
    c.write("a.dat", weights(1, 100));
    let old = c.commit(1, "binary");
    let handle = c.repo.push_in_background().unwrap();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Preflight);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten, [(old.parse().unwrap(), report.after)]);
    c.write("more.txt", "more\n");
    let _ = c.repo.save("more").unwrap();
    c.repo.flush(crate::support::saving::LONG).unwrap();
    assert_eq!(c.repo.pending_pushes().unwrap().len(), 0);
    assert_eq!(
        c.w.remote_tip("alice/m", "main").unwrap(),
        c.git(&["rev-parse", "HEAD"])
    );
    c.w.assert_sound(&c.folder());
}

/// Each time the commit gets another id; the promise has to know the last one.
#[test]
fn a_promise_follows_its_commit_through_a_repair_and_a_rebase() {
    let c = Clone::new();
    c.write("a.dat", weights(1, 100));
    let _ = c.commit(1, "binary");
    let handle = c.repo.push_in_background().unwrap();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Preflight);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten.len(), 1);
    let other = c.w.clone("alice/m", "other");
    write(other.workdir(), "theirs.txt", "theirs\n");
    other.stage().unwrap();
    let _ = other.commit("theirs").unwrap();
    other.push().unwrap();
    let pulled = c.repo.pull_with(PullStrategy::Rebase).unwrap();
    assert_eq!(pulled.rewritten.len(), 1);
    c.repo.push().unwrap();
    // The commit that was promised came along, in its third form.
    c.repo.wait_for_pushes().unwrap();
    c.repo.flush(crate::support::saving::LONG).unwrap();
    assert_eq!(crate::support::saving::branches(&c.w), "main");
    assert_eq!(c.repo.pending_pushes().unwrap().len(), 0);
    assert_eq!(c.git(&["for-each-ref", "refs/hf-repository/promised"]), "");
}

#[test]
fn a_history_that_was_never_pushed_needs_no_rules_to_begin_with() {
    needs_git_lfs!();
    let c = Clone::of(|w| w.empty_model("alice/m"));
    let folder = c.folder();
    c.write("a b.xyz", weights(1, 100));
    c.write("c[1].xyz", "text\n");
    c.write("d/t\tab \"q\" ü#!.abc", weights(2, 100));
    c.write("d/other.abc", "text\n");
    c.commit(1, "first");
    c.git(&["rm", "-q", "a b.xyz"]);
    c.commit(2, "gone");
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    let names = ["a b.xyz", "d/t\tab \"q\" ü#!.abc"];
    let literal = |name: &str| Pattern::Literal(path(name));
    assert_eq!(report.tracked, names.map(literal));
    assert_eq!(c.status(), "");
    assert_eq!(c.repo.push().unwrap().commits, 2);
    c.w.assert_sound(&folder);
}

#[test]
fn a_shallow_clone_repairs_what_is_its_own() {
    needs_git_lfs!();
    let mut c = Clone::new();
    c.write("one.txt", "one\n");
    c.commit(1, "one");
    c.repo.push().unwrap();
    c.repo =
        c.w.prepare("alice/m", "shallow")
            .depth(newest(1))
            .clone_repo()
            .unwrap();
    c.write("a.dat", weights(1, 100));
    c.commit(2, "binary");
    assert_eq!(c.repo.rewrite_unpushed_to_lfs().unwrap().rewritten.len(), 1);
    c.repo.push().unwrap();
    c.w.assert_sound(&c.folder());
    // What is behind the end of the clone cannot be written anew, and nobody knows what it holds.
    let retention = Retention::LastCheckpoints(1);
    for error in [
        c.repo.plan_cleanup(retention).unwrap_err(),
        c.repo.squash_history("all").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    // Somebody took the branch from the remote: even the first commit here is not there.
    let server = c.w.bare("alice/m");
    c.w.git(&server, &["update-ref", "-d", "refs/heads/main"]);
    c.write("b.mix", weights(2, 100));
    c.commit(3, "binary again");
    let report = c.repo.rewrite_unpushed_to_lfs().unwrap();
    assert_eq!(report.rewritten.len(), 1);
    assert_eq!(c.status(), "");
}

/// A stream for `git fast-import`: commits on top of `base`, with merges, files that come and go, and
/// whatever the Hub refuses.
fn random_history(seed: u64, base: &str) -> Vec<u8> {
    let mut state = seed;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut stream = Vec::new();
    const COMMITS: u64 = 30;
    for number in 1..=COMMITS {
        let branch = if number == COMMITS { 0 } else { next(3) };
        let message = format!("commit {number}");
        stream.extend(format!(
            "commit refs/heads/made{branch}\nmark :{number}\nauthor A{number} <a@b> {number} +0100\n\
             committer C <c@d> {} -0500\ndata {}\n{message}\n",
            number * 7,
            message.len()
        ).bytes());
        let mut parent = |from: &str, other: u64| {
            let other = if other == 0 {
                base.to_owned()
            } else {
                format!(":{other}")
            };
            stream.extend(format!("{from} {other}\n").bytes());
        };
        parent("from", next(number));
        if number > 2 && next(3) == 0 || number == COMMITS {
            parent("merge", number - 1);
        }
        for _ in 0..=next(3) {
            let name = [
                "a.dat", "b.dat", "d/c.dat", "d/e.txt", "f.txt", "g.mix", "h.mix",
            ][next(7) as usize];
            let content = match next(5) {
                0 => Vec::new(),
                1 => text(next(9) as usize).into_bytes(),
                2 | 3 if name.ends_with("t") => format!("{}\n", next(99)).into_bytes(),
                _ if name.ends_with(".txt") => b"text\n".to_vec(),
                _ => weights(next(1000), 100),
            };
            if content.is_empty() {
                stream.extend(format!("D {name}\n").bytes());
            } else {
                stream.extend(format!("M 100644 inline {name}\ndata {}\n", content.len()).bytes());
                stream.extend(content);
                stream.push(b'\n');
            }
        }
    }
    stream
}

#[test]
fn random_histories_are_repaired() {
    needs_git_lfs!();
    repair_random_histories(1..=1);
}

/// Makes a history for each seed, one on top of the other, and has each repaired and pushed.
pub(crate) fn repair_random_histories(seeds: std::ops::RangeInclusive<u64>) {
    let c = Clone::new();
    let folder = c.folder();
    for seed in seeds {
        let base = c.git(&["rev-parse", "main"]);
        c.fed(
            &["fast-import", "--quiet", "--force"],
            &random_history(seed, &base),
        );
        c.git(&["reset", "-q", "--hard", "made0"]);
        let range = format!("{base}..main");
        let (story, status) = (c.story(&folder, &range), c.status());
        let would = c
            .repo
            .rewrite_unpushed_to_lfs_with(&options().dry_run())
            .unwrap();
        let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
        assert_eq!(report, would);
        assert!(!report.rewritten.is_empty());
        assert_eq!(c.story(&folder, &range), story);
        // What lay raw under a rule no longer does.
        assert!(c.status().lines().all(|line| status.contains(line)));
        c.assert_same_content(&report.rewritten);
        // The hook looks at every commit.
        c.repo.push().unwrap();
        c.assert_old_checkpoints_go(usize::try_from(seed % 3).unwrap() + 1);
    }
    // Small texts that somebody committed raw under a rule stay so, and git calls them modified.
    assert!(c.repo.status().unwrap().is_clean());
    c.git(&["fsck", "--strict", "--no-dangling"]);
    c.git(&["lfs", "fsck", "--objects"]);
}

#[test]
fn saves_and_pushes_go_on_meanwhile() {
    needs_git_lfs!();
    let c = Clone::new();
    c.write("a.dat", weights(1, 100));
    c.commit(1, "binary");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..3 {
                c.write(&format!("{number}.txt"), "text\n");
                let _ = c.repo.save(format!("save {number}")).unwrap();
            }
        });
        for _ in 0..2 {
            c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
        }
    });
    c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    c.repo.flush(crate::support::saving::LONG).unwrap();
    c.repo.push().unwrap();
    assert_eq!(c.repo.pending_pushes().unwrap().len(), 0);
    let tip = c.git(&["rev-parse", "main"]);
    assert_eq!(c.w.remote_tip("alice/m", "main").unwrap(), tip);
    // Nothing was put aside, and every save is there once.
    assert_eq!(crate::support::saving::branches(&c.w), "main");
    let subjects = c.git(&["log", "--format=%s", "origin/main"]);
    assert_eq!(
        subjects
            .lines()
            .filter(|line| line.starts_with("save"))
            .count(),
        3
    );
    c.w.assert_sound(&c.folder());
}

/// Rewrites, and is killed at a step.
pub(crate) fn child(folder: &Path, fatal: &str) {
    steps::say((!fatal.is_empty()).then_some((fatal, 1)));
    let repo = Repository::prepare("alice/m", folder).open().unwrap();
    repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
}

#[test]
fn killed_at_any_step_it_is_finished_by_the_next_call() {
    needs_git_lfs!();
    let c = Clone::new();
    let folder = c.folder();
    for (seed, fatal) in (1..).step_by(2).zip(["remade", "indexed", "moved"]) {
        c.write(&format!("{fatal}.x{seed}"), weights(seed, 3000));
        let old = c.commit(1, "binary");
        c.write(&format!("{fatal}.x{seed}"), weights(seed + 1, 3000));
        c.write("b.txt", format!("{seed}\n"));
        c.commit(2, "again");
        let job = c.w.child("rewrite", &[&folder.to_string_lossy(), fatal]);
        let output = { job }.stdout(Stdio::piped()).output().unwrap();
        assert!(!output.status.success(), "{fatal}: {}", succeed(&output));
        // Old or new, git finds nothing wrong.
        assert_eq!(c.git(&["diff", "--name-only"]), "", "{fatal}");
        let moved = c.git(&["rev-parse", "main~1"]) != old;
        assert_eq!(moved, fatal == "moved");
        if fatal == "remade" {
            // So it looks when it is killed after the rules are written, and before the index.
            let rules = folder.join(".gitattributes");
            let mut rules = fs::File::options().append(true).open(rules).unwrap();
            let rule = format!("*.x{seed} filter=lfs diff=lfs merge=lfs -text\n");
            rules.write_all(rule.as_bytes()).unwrap();
        }
        let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
        assert_eq!(report.rewritten.len(), if moved { 0 } else { 2 });
        assert_eq!(c.status(), "");
        c.repo.push().unwrap();
    }
    c.w.assert_sound(&folder);
    assert_eq!(fs::read(folder.join("moved.x5")).unwrap(), weights(6, 3000));
}
