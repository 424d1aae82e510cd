//! Histories made shorter: what a plan says, what becomes of it, and what the remote has to agree to.

use std::collections::BTreeSet;
use std::path::Path;

use hf_repository::{
    CommitId, ErrorKind, PushOptions, PushedRef, Repository, Retention, UnreferencedObject,
};
use sha2::{Digest, Sha256};

use crate::support::judge::{assert_same_files, files};
use crate::support::one_clone::OneClone;
use crate::support::{World, needs_git_lfs, weights, write};

/// Bytes of each checkpoint here.
const SIZE: usize = 300;

impl OneClone {
    /// Commits all files as LFS files or not, with the library.
    #[track_caller]
    fn commit_all(&self, message: &str) -> CommitId {
        self.repo.stage().unwrap();
        self.repo.commit(message).unwrap().commit().unwrap()
    }

    #[track_caller]
    fn checkpoint(&self, seed: u64) -> CommitId {
        write(self.folder(), "w.bin", weights(seed, SIZE));
        self.commit_all(&format!("step {seed}"))
    }

    #[track_caller]
    fn note(&self, text: &str) -> CommitId {
        write(self.folder(), "notes.txt", text);
        self.commit_all(text)
    }

    /// Objects that the commits of a ref name.
    fn named_by(&self, folder: &Path, name: &str) -> BTreeSet<String> {
        let commits = self.w.git(folder, &["rev-list", name]);
        let mut found = BTreeSet::new();
        for commit in commits.lines() {
            let tree = self.w.git(folder, &["grep", "-h", "^oid sha256:", commit]);
            found.extend(
                tree.lines()
                    .map(|line| line.rsplit(':').next().unwrap().to_owned()),
            );
        }
        found
    }

    /// Who made the commits of a branch, when and why, the newest first.
    fn authors(&self, name: &str, most: usize) -> String {
        let format = "--format=%an %ae %ad %cn %ce %cd %T %B";
        self.git(&["log", "--date=raw", format, &format!("-{most}"), name])
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(
        &self,
        kind: ErrorKind,
        act: impl Fn(&Repository) -> Result<T, hf_repository::Error>,
    ) {
        let refs =
            || self.git(&["for-each-ref"]) + &self.w.git(self.w.bare("alice/m"), &["for-each-ref"]);
        let before = refs();
        let error = act(&self.repo).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(refs(), before);
    }
}

fn oid(seed: u64) -> String {
    let digest = Sha256::digest(weights(seed, SIZE));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn oids(objects: &[UnreferencedObject]) -> BTreeSet<String> {
    objects
        .iter()
        .map(|object| object.oid.to_string())
        .collect()
}

#[test]
fn of_ten_checkpoints_two_stay() {
    needs_git_lfs!();
    let c = OneClone::new();
    let (w, folder) = (&c.w, c.folder());
    let mut commits: Vec<CommitId> = (0..9).map(|seed| c.checkpoint(seed)).collect();
    commits.push(c.note("between"));
    commits.push(c.checkpoint(9));
    commits.push(c.note("after"));
    c.git(&["tag", "best", &commits[3].to_string()]);
    c.repo.push().unwrap();
    // An edit and something staged, which stay.
    write(folder, "notes.txt", "edited");
    write(folder, "w.bin", weights(99, SIZE));
    c.git(&["add", "w.bin"]);
    let (status, before) = (c.git(&["status", "--porcelain"]), files(folder));
    let scene = w.scene(folder, "alice/m");

    let plan = c.repo.plan_cleanup(Retention::LastCheckpoints(2)).unwrap();
    assert_eq!(w.scene(folder, "alice/m"), scene);
    assert_eq!(plan.kept(), &commits[8..]);
    // The Hub's first commit goes as well.
    assert_eq!(plan.removed().len(), 9);
    assert_eq!(oids(plan.objects()), (0..8).map(oid).collect());
    for object in plan.objects() {
        let held = (0..4).any(|seed| oid(seed) == object.oid.to_string());
        let expected: &[&str] = if held { &["refs/tags/best"] } else { &[] };
        assert_eq!(object.held_by, expected);
    }
    assert_eq!(plan.lfs_bytes(), (4 * SIZE) as u64);
    assert_eq!(
        (plan.tip(), plan.remote_tip()),
        (commits[11], Some(commits[11]))
    );
    assert!(plan.unknown_refs().is_empty() && plan.plain_bytes() == 0);

    let story = c.authors("main", 4);
    let report = c.repo.clean_up(&plan).unwrap();
    assert_eq!(report.objects, plan.objects());
    let old: Vec<_> = report.rewritten.iter().map(|(old, _)| *old).collect();
    assert_eq!(old, plan.kept());
    assert_eq!(c.git(&["rev-list", "--count", "main"]), "4");
    assert_eq!(c.authors("main", 4), story);
    assert_eq!(c.named_by(folder, "main"), [oid(8), oid(9)].into());
    assert_eq!(c.git(&["status", "--porcelain"]), status);
    assert!(files(folder) == before);
    assert_eq!(c.git(&["rev-parse", "main"]), report.after.to_string());
    assert_eq!(c.git(&["rev-parse", "main@{1}"]), report.before.to_string());
    c.git(&["fsck", "--strict", "--no-dangling"]);
    // It is done, so it cannot be done again; and then nothing is left to do.
    c.refused(ErrorKind::StalePlan, |repo| repo.clean_up(&plan));
    let again = c.repo.plan_cleanup(Retention::LastCheckpoints(2));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NonFastForward);

    // The remote is asked whether it still is where it was.
    c.refused(ErrorKind::NonFastForward, Repository::push);
    let wrong = PushOptions::default().overwriting(commits[2]);
    c.refused(ErrorKind::StaleLease, |repo| repo.push_with(&wrong));
    let right = PushOptions::default().overwriting(report.remote_tip.unwrap());
    let pushed = c.repo.push_with(&right).unwrap();
    assert_eq!(
        (pushed.outcome, pushed.lfs_objects),
        (PushedRef::Overwritten, 0)
    );
    assert_eq!(
        c.repo.push_with(&right).unwrap().outcome,
        PushedRef::UpToDate
    );
    assert_eq!(
        w.remote_tip("alice/m", "main").unwrap(),
        report.after.to_string()
    );
    let nothing = c.repo.plan_cleanup(Retention::LastCheckpoints(2)).unwrap();
    assert!(nothing.is_empty() && nothing.objects().is_empty());
    assert_eq!(c.repo.clean_up(&nothing).unwrap().after, report.after);
    c.git(&["reset", "-q", "--hard"]);
    w.assert_sound(folder);
    let theirs = w.git_clone("alice/m", "theirs");
    assert_same_files(&theirs, folder);
    w.assert_sound(&theirs);
}

#[test]
fn a_history_becomes_one_commit() {
    needs_git_lfs!();
    let c = OneClone::new();
    let folder = c.folder();
    c.checkpoint(1);
    c.git(&["checkout", "-q", "-b", "side"]);
    write(folder, "side.bin", weights(2, SIZE));
    c.commit_all("aside");
    write(folder, "side.bin", weights(3, SIZE));
    c.commit_all("aside again");
    c.git(&["checkout", "-q", "main"]);
    c.checkpoint(4);
    c.git(&["merge", "-q", "-m", "both", "side"]);
    c.git(&["branch", "-q", "-D", "side"]);
    let tip = c.checkpoint(5);
    c.repo.push().unwrap();
    // A pull request and a tag that are only there.
    let server = c.w.bare("alice/m");
    c.w.git(&server, &["update-ref", "refs/pr/1", "main~1^2"]);
    let tree = c.w.git(&server, &["write-tree"]);
    let made = c.w.git(&server, &["commit-tree", "-m", "foreign", &tree]);
    c.w.git(&server, &["update-ref", "refs/pr/2", &made]);
    write(folder, "notes.txt", "edited");

    let report = c.repo.squash_history("  all of it \n").unwrap();
    assert_eq!((report.before, report.remote_tip), (tip, Some(tip)));
    assert_eq!(report.rewritten, [(tip, report.after)]);
    assert_eq!(report.unknown_refs, ["refs/pr/2"]);
    assert_eq!(oids(&report.objects), [1, 2, 4].map(oid).into());
    for object in &report.objects {
        let merged = object.oid.to_string() != oid(4);
        let expected: &[&str] = if merged { &["origin: refs/pr/1"] } else { &[] };
        assert_eq!(object.held_by, expected, "{}", object.oid);
    }
    assert_eq!(report.lfs_bytes(), SIZE as u64);
    let raw = c.git(&["cat-file", "commit", "main"]);
    assert!(
        raw.ends_with("\n\nall of it") && !raw.contains("parent"),
        "{raw}"
    );
    assert_eq!(
        c.git(&["rev-parse", "main^{tree}"]),
        c.git(&["rev-parse", &format!("{tip}^{{tree}}")])
    );
    assert_eq!(c.git(&["status", "--porcelain"]), "?? notes.txt");
    // The hook of the server sees nothing wrong with it.
    c.repo
        .push_with(&PushOptions::default().overwriting(tip))
        .unwrap();
    assert_eq!(c.named_by(&server, "main"), [3, 5].map(oid).into());
    // It can be taken back, and pushed back.
    c.git(&["reset", "-q", "--soft", "main@{1}"]);
    let back = PushOptions::default().overwriting(report.after);
    assert_eq!(c.repo.push_with(&back).unwrap().commit, tip);
    assert_eq!(c.git(&["status", "--porcelain"]), "?? notes.txt");
    // Allowed is not done: a step forward loses nothing.
    c.git(&["commit", "-q", "--allow-empty", "-m", "on it"]);
    let forward = PushOptions::default().overwriting(tip);
    let pushed = c.repo.push_with(&forward).unwrap();
    assert_eq!(pushed.outcome, PushedRef::Moved);
}

#[test]
fn merges_become_plain_commits_and_texts_count() {
    needs_git_lfs!();
    let c = OneClone::new();
    let folder = c.folder();
    c.note("one");
    c.git(&["checkout", "-q", "-b", "side"]);
    write(folder, "side.bin", weights(1, SIZE));
    let aside = c.commit_all("aside");
    c.git(&["checkout", "-q", "main"]);
    c.note("two, longer");
    c.git(&["merge", "-q", "-m", "both", "side"]);
    c.git(&[
        "commit",
        "-q",
        "--amend",
        "--no-edit",
        "--author",
        "Some Body <s@example.org>",
    ]);
    c.note("three");
    // All commits of the line are asked for: nothing is left out.
    let plan = c.repo.plan_cleanup(Retention::LastCommits(5)).unwrap();
    assert!(plan.is_empty());
    let plan = c.repo.plan_cleanup(Retention::LastCommits(2)).unwrap();
    assert_eq!((plan.kept().len(), plan.removed().len()), (2, 4));
    assert!(plan.removed().contains(&aside) && plan.objects().is_empty());
    assert_eq!(plan.plain_bytes(), "one".len() as u64);
    let story = c.authors("main", 2);
    let report = c.repo.clean_up(&plan).unwrap();
    assert_eq!(c.authors("main", 2), story);
    assert_eq!(c.git(&["rev-list", "--min-parents=2", "main"]), "");
    assert_eq!(report.rewritten.len(), 2);
    // The branch that was merged stays, and the remote gets what is left.
    assert_eq!(c.git(&["rev-parse", "side"]), aside.to_string());
    c.repo
        .push_with(&PushOptions::default().overwriting(report.remote_tip.unwrap()))
        .unwrap();
    c.w.assert_sound(folder);
}

#[test]
fn a_folder_is_overwritten_by_the_same_rule() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let bare = w.path("bare.git");
    let name = bare.to_string_lossy().into_owned();
    w.git(w.bare("alice/m"), &["clone", "-q", "--bare", ".", &name]);
    let repo = w.prepare(&name, "ours").clone_repo().unwrap();
    let c = OneClone { w, repo };
    for seed in 1..=3 {
        c.checkpoint(seed);
    }
    c.repo.push().unwrap();
    let report = c.repo.squash_history("all").unwrap();
    let wrong = PushOptions::default().overwriting(report.after);
    assert_eq!(
        c.repo.push_with(&wrong).unwrap_err().kind(),
        ErrorKind::StaleLease
    );
    let right = PushOptions::default().overwriting(report.before);
    assert_eq!(
        c.repo.push_with(&right).unwrap().outcome,
        PushedRef::Overwritten
    );
    assert_eq!(c.w.git(&bare, &["rev-list", "--count", "main"]), "1");
    c.w.assert_sound(c.folder());
}

#[test]
fn what_must_not_be_made_shorter_is_refused() {
    needs_git_lfs!();
    let c = OneClone::new();
    let folder = c.folder();
    let plan = |repo: &Repository| repo.plan_cleanup(Retention::LastCheckpoints(1));
    let squash = |repo: &Repository| repo.squash_history("all");
    c.checkpoint(1);
    c.checkpoint(2);
    c.refused(ErrorKind::InvalidInput, |repo| {
        repo.plan_cleanup(Retention::LastCommits(0))
    });
    c.refused(ErrorKind::InvalidInput, |repo| repo.squash_history(" \n"));
    // A plan is for one commit of one branch.
    let made = plan(&c.repo).unwrap();
    c.git(&["checkout", "-q", "-b", "other"]);
    c.refused(ErrorKind::StalePlan, |repo| repo.clean_up(&made));
    c.git(&["checkout", "-q", "main"]);
    c.git(&["worktree", "add", "-q", "-f", "../two", "main"]);
    c.refused(ErrorKind::InvalidInput, |repo| repo.clean_up(&made));
    c.refused(ErrorKind::InvalidInput, squash);
    c.git(&["worktree", "remove", "--force", "../two"]);
    c.git(&["checkout", "-q", "--detach"]);
    c.refused(ErrorKind::DetachedHead, plan);
    c.refused(ErrorKind::DetachedHead, squash);
    c.git(&["checkout", "-q", "main"]);
    // Pushes that would bring the old history back.
    crate::support::saving::refuse(&c.w);
    let handle = c.repo.push_in_background().unwrap();
    handle.wait().unwrap_err();
    c.w.hub.faults().clear();
    c.refused(ErrorKind::Unpushed, |repo| repo.clean_up(&made));
    c.refused(ErrorKind::Unpushed, squash);
    c.repo.flush(crate::support::saving::LONG).unwrap();
    // What somebody else has pushed meanwhile.
    let theirs = c.w.git_clone("alice/m", "theirs");
    write(&theirs, "theirs.txt", "theirs");
    c.w.git_push_all(&theirs, "theirs");
    // The remote is asked, and fetched from, before it is refused.
    for error in [plan(&c.repo).unwrap_err(), squash(&c.repo).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NonFastForward, "{error}");
    }
    let cleaned = c.repo.clean_up(&made).unwrap();
    let lease = PushOptions::default().overwriting(cleaned.before);
    c.refused(ErrorKind::StaleLease, |repo| repo.push_with(&lease));
    c.w.assert_sound(folder);
}
