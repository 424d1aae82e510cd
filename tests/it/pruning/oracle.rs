//! The answers of `git lfs prune --dry-run` on the same clone; and where ours differ, that they do.

use std::collections::BTreeSet;

use hf_repository::{CheckoutOptions, KeepRecent, LfsEngine, PruneOptions, VerifyRemote};

use super::{Clone, FILE, SIZE, make_old, oid, save};
use crate::support::{needs_git_lfs, weights, write};

/// The seeds used here.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=12;

/// Seeds among object names.
fn seeds(oids: &BTreeSet<String>) -> Vec<u64> {
    SEEDS.filter(|seed| oids.contains(&oid(*seed))).collect()
}

fn trusting() -> PruneOptions {
    PruneOptions::default().verify_remote(VerifyRemote::TrackingRefs)
}

impl Clone {
    /// What git-lfs would delete.
    #[track_caller]
    fn theirs(&self, arguments: &[&str]) -> Vec<u64> {
        let mut prune = self.w.command("git", self.repo.workdir());
        prune.args(["lfs", "prune", "--dry-run", "--verbose"]);
        // Without a terminal it says the last line of its list only.
        let output = prune
            .args(arguments)
            .env("GIT_LFS_FORCE_PROGRESS", "1")
            .output();
        let told = String::from_utf8(output.unwrap().stdout).unwrap();
        let named = told.lines().filter_map(|line| {
            let word = line.trim().strip_prefix("* ")?.split(' ').next()?;
            Some(word.to_owned())
        });
        seeds(&named.collect())
    }

    /// What we would delete of objects that are old.
    #[track_caller]
    fn ours(&self, options: PruneOptions) -> Vec<u64> {
        make_old(&self.git_dir());
        let report = self.repo.prune_with(&options.dry_run()).unwrap();
        seeds(&report.oids.iter().map(ToString::to_string).collect())
    }

    /// Compares: without asking anybody, and with the remote's word for it.
    #[track_caller]
    fn agree(&self, expected: &[u64]) {
        assert_eq!(self.theirs(&[]), expected, "git-lfs");
        assert_eq!(self.ours(trusting()), expected, "tracking refs");
        assert_eq!(self.ours(PruneOptions::default()), expected, "asked");
    }

    /// Makes HEAD a commit of so many days ago.
    #[track_caller]
    fn date(&self, days: u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let time = format!("@{} +0000", now.unwrap().as_secs() - days * 24 * 3600);
        let mut git = self.w.command("git", self.repo.workdir());
        git.args(["commit", "-q", "--amend", "--no-edit"]);
        assert!(
            git.env("GIT_COMMITTER_DATE", time)
                .status()
                .unwrap()
                .success()
        );
    }

    #[track_caller]
    fn branch(&self, name: &str) {
        self.repo
            .checkout_with(name, CheckoutOptions::Create)
            .unwrap();
    }
}

#[test]
fn what_only_this_clone_has_is_kept_by_both() {
    needs_git_lfs!();
    let c = Clone::new();
    c.agree(&[1]);
    // On a branch, under a lightweight and under an annotated tag.
    c.branch("side");
    let (_, _) = (save(&c.repo, 3), save(&c.repo, 4));
    c.repo.checkout("main").unwrap();
    c.agree(&[1]);
    c.git(&["tag", "light", "side~1"]);
    c.git(&["tag", "-a", "-m", "kept", "heavy", "side"]);
    c.git(&["branch", "-q", "-D", "side"]);
    c.agree(&[1]);
    c.git(&["tag", "-d", "heavy"]);
    c.agree(&[1, 4]);
    // In a stash.
    write(c.repo.workdir(), FILE, weights(5, SIZE));
    c.git(&["stash", "push", "-q"]);
    c.agree(&[1, 4]);
    // In another work tree, and once that is gone.
    let other = c.w.path("other").to_string_lossy().into_owned();
    c.git(&[
        "worktree",
        "add",
        "-q",
        "--detach",
        &other,
        &c.first.to_string(),
    ]);
    c.agree(&[4]);
    c.git(&["worktree", "remove", "--force", &other]);
    c.agree(&[1, 4]);
    c.git(&["stash", "drop", "-q"]);
    c.agree(&[1, 4, 5]);
    // HEAD on no branch.
    c.repo.checkout(c.first.to_string()).unwrap();
    c.git(&["config", "lfs.fetchrecentrefsdays", "0"]);
    c.agree(&[2, 4, 5]);
    c.repo.checkout("main").unwrap();
    // A remote that is none has nothing.
    c.git(&["config", "lfs.pruneremotetocheck", "nosuch"]);
    c.agree(&[4, 5]);
    c.git(&["config", "lfs.pruneremotetocheck", "no such"]);
    assert!(c.repo.prune().is_err());
    // One that lacks the last commit.
    c.git(&["config", "lfs.pruneremotetocheck", "backup"]);
    c.git(&["update-ref", "refs/remotes/backup/main", "main~1"]);
    let _ = save(&c.repo, 6);
    c.repo.push().unwrap();
    c.agree(&[1, 4, 5]);
    c.git(&["config", "--unset", "lfs.pruneremotetocheck"]);
    c.agree(&[1, 2, 4, 5]);
    // Asked through us it lists the same.
    let by_git_lfs = c.w.prepare("alice/m", "ours").lfs_engine(LfsEngine::GitLfs);
    let report = by_git_lfs
        .open()
        .unwrap()
        .prune_with(&trusting().dry_run())
        .unwrap();
    let named: Vec<String> = [1, 2, 4, 5].map(oid).into();
    assert_eq!(
        report
            .oids
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>(),
        named.into_iter().collect()
    );
}

#[test]
fn what_is_recent_is_kept_by_both() {
    needs_git_lfs!();
    let c = Clone::new();
    // Only tracking refs are left of these: one of long ago, one of today, each with a version before.
    for (name, seed, days) in [("old", 3, 20), ("new", 5, 0)] {
        c.branch(name);
        let _ = save(&c.repo, seed);
        c.date(days + 4);
        let _ = save(&c.repo, seed + 1);
        c.date(days);
        c.git(&["push", "-q", "origin", name]);
        c.repo.checkout("main").unwrap();
        c.git(&["branch", "-q", "-D", name]);
    }
    let set = |key: &str, value: &str| drop(c.git(&["config", &format!("lfs.{key}"), value]));
    c.agree(&[1, 3, 4, 5]);
    let nothing = trusting().keep_recent(KeepRecent::Nothing);
    assert_eq!(c.theirs(&["--recent"]), [1, 3, 4, 5, 6]);
    assert_eq!(c.ours(nothing), [1, 3, 4, 5, 6]);
    set("fetchrecentremoterefs", "false");
    c.agree(&[1, 3, 4, 5, 6]);
    // A lightweight tag is a ref like any other; an annotated one has no age.
    c.git(&["tag", "light", "origin/new"]);
    c.git(&["tag", "-a", "-m", "heavy", "heavy", "origin/new~1"]);
    c.agree(&[1, 3, 4, 5]);
    c.git(&["tag", "-d", "light", "heavy"]);
    set("fetchrecentremoterefs", "true");
    set("fetchrecentrefsdays", "18");
    c.agree(&[1, 3, 5]);
    set("pruneoffsetdays", "0");
    c.agree(&[1, 3, 4, 5]);
    // From each of these commits so many days back: what was replaced since then.
    set("fetchrecentcommitsdays", "3");
    c.agree(&[3, 4]);
    set("fetchrecentrefsdays", "30");
    c.agree(&[]);
    let days = |refs, commits| trusting().keep_recent(KeepRecent::Days { refs, commits });
    assert_eq!(c.ours(days(30, 0)), [1, 3, 5]);
    assert_eq!(c.ours(days(0, 1)), [3, 4, 5, 6]);
}

#[test]
fn ours_keeps_more_where_git_lfs_would_lose_something() {
    needs_git_lfs!();
    let c = Clone::new();
    c.git(&["config", "lfs.fetchrecentrefsdays", "0"]);
    let differ = |theirs: &[u64], ours: &[u64]| {
        assert_eq!(c.theirs(&[]), theirs, "git-lfs");
        assert_eq!(c.ours(trusting()), ours, "tracking refs");
        assert_eq!(c.ours(PruneOptions::default()), ours, "asked");
    };
    // A stash keeps all that the commit has it was made on: it can be turned into a branch.
    write(c.repo.workdir(), "other.bin", weights(3, SIZE));
    c.repo.checkout(c.first.to_string()).unwrap();
    c.repo.stage().unwrap();
    c.git(&["stash", "push", "-q"]);
    c.repo.checkout("main").unwrap();
    differ(&[1], &[]);
    c.git(&["stash", "drop", "-q"]);
    differ(&[1, 3], &[1, 3]);
    // Commits that only HEAD leads to.
    c.git(&["checkout", "-q", "--detach"]);
    let (_, _) = (save(&c.repo, 4), save(&c.repo, 5));
    differ(&[1, 2, 3, 4], &[1, 2, 3]);
    // Refs that are neither branches nor tags.
    c.git(&["update-ref", "refs/archive/1", "HEAD"]);
    c.repo.checkout("main").unwrap();
    differ(&[1, 3, 4, 5], &[1, 3]);
    // What is checked out, though `lfs.fetchexclude` names it.
    c.git(&["config", "lfs.fetchexclude", "*.bin"]);
    differ(&[1, 2, 3, 4, 5], &[1, 3]);
    c.git(&["config", "--unset", "lfs.fetchexclude"]);
    // What a merge itself brought in.
    c.branch("side");
    c.git(&["commit", "-q", "--allow-empty", "-m", "side"]);
    c.git(&["checkout", "-q", "-B", "merged", "main"]);
    c.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]);
    write(c.repo.workdir(), FILE, weights(6, SIZE));
    c.git(&["commit", "-q", "-a", "-m", "merge"]);
    c.repo.checkout("main").unwrap();
    differ(&[1, 3, 4, 5, 6], &[1, 3]);
    // Newer versions of git-lfs keep what is staged, too.
    write(c.repo.workdir(), FILE, weights(7, SIZE));
    c.repo.stage().unwrap();
    assert_eq!(c.ours(trusting()), [1, 3]);
    c.git(&["reset", "-q", "--hard"]);
    // What no commit names is left alone for an hour.
    assert_eq!(c.ours(trusting()), [1, 3, 7]);
    write(c.repo.workdir(), FILE, weights(8, SIZE));
    c.repo.stage().unwrap();
    c.git(&["reset", "-q", "--hard"]);
    assert!(c.theirs(&[]).contains(&8));
    let young = c.repo.prune_with(&trusting().dry_run()).unwrap();
    assert!(!young.oids.contains(&oid(8).parse().unwrap()));
}

#[test]
fn tracking_refs_are_taken_at_their_word_where_that_is_wanted() {
    needs_git_lfs!();
    let c = Clone::new();
    // The remote lost its branch, and the object: nobody here has heard of it.
    let server = c.w.bare("alice/m");
    c.w.git(&server, &["update-ref", "-d", "refs/heads/main"]);
    assert_eq!(c.theirs(&[]), [1]);
    assert_eq!(c.ours(trusting()), [1]);
    assert!(c.ours(PruneOptions::default()).is_empty());
    // And nobody is asked.
    c.w.hub.clear_requests();
    let report = c.repo.prune_with(&trusting()).unwrap();
    assert_eq!((report.objects, report.unconfirmed.len()), (1, 0));
    assert!(c.w.hub.requests().is_empty());
}
