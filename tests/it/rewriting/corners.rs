//! Histories made anew while others are at work, against what rules say, and after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime};

use hf_repository::{
    CancelToken, ErrorKind, PushOptions, Retention, RewriteOptions, RewriteReport,
};

use crate::support::one_clone::OneClone;
use crate::support::saving::{LONG, branches, refuse};
use crate::support::{needs_git_lfs, path, until, weights, write};

impl OneClone {
    /// A binary file that no rule speaks of, committed as it is.
    #[track_caller]
    fn binary(&self, name: &str) -> String {
        write(self.folder(), name, weights(1, 3000));
        self.commit(1, name)
    }

    fn look(&self) -> (String, String, Vec<u8>) {
        (
            self.git(&["for-each-ref"]) + &self.git(&["symbolic-ref", "HEAD"]),
            self.git(&["ls-files", "-s"]),
            fs::read(self.folder().join(".gitattributes")).unwrap(),
        )
    }

    #[track_caller]
    fn rewrite(&self) -> RewriteReport {
        self.repo.rewrite_unpushed_to_lfs().unwrap()
    }
}

#[test]
fn somebody_who_moves_head_meanwhile_keeps_index_and_rules() {
    needs_git_lfs!();
    let c = OneClone::new();
    c.git(&["branch", "other"]);
    c.binary("a.dat");
    let dry = RewriteOptions::default().dry_run();
    let after = c.repo.rewrite_unpushed_to_lfs_with(&dry).unwrap().after;
    let after = after.to_string();
    let made = format!(".git/objects/{}/{}", &after[..2], &after[2..]);
    let lock = c.folder().join(".git/index.lock");
    let ours = fs::File::create(&lock).unwrap();
    let before = std::thread::scope(|scope| {
        let rewriting = scope.spawn(|| c.repo.rewrite_unpushed_to_lfs());
        until("the commits are made", || c.folder().join(&made).exists());
        c.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
        let before = c.look();
        drop(ours);
        fs::remove_file(&lock).unwrap();
        let error = rewriting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        before
    });
    assert_eq!(c.look(), before);
    c.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    assert_eq!(c.rewrite().after.to_string(), after);
    assert_eq!(c.git(&["status", "--porcelain"]), "");
    c.repo.push().unwrap();
}

#[test]
fn a_save_that_died_before_its_branch_moved_is_made_anew_as_well() {
    let c = OneClone::new();
    c.binary("a.dat");
    let folder = c.folder().to_string_lossy().into_owned();
    let mut child = c.w.child(
        "crash",
        &[&folder, "EveryCommit", "1", "1", "promised", "1"],
    );
    let output = child.env("HF_CHILD_SOURCE", "alice/m").output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(c.rewrite().rewritten.len(), 2);
    c.repo.flush(LONG).unwrap();
    assert_eq!(branches(&c.w), "main");
    assert_eq!(c.repo.pending_pushes().unwrap().len(), 0);
    let tip = c.git(&["rev-parse", "HEAD"]);
    assert_eq!(c.w.remote_tip("alice/m", "main").unwrap(), tip);
    assert_eq!(c.git(&["log", "-1", "--format=%s"]), "step 1");
    assert_eq!(c.git(&["for-each-ref", "refs/hf-repository/promised"]), "");
}

#[test]
fn no_rule_is_overruled_and_no_link_replaced() {
    needs_git_lfs!();
    let c = OneClone::new();
    let start = c.git(&["rev-parse", "HEAD"]);
    let refused = || {
        let before = c.look();
        let error = c.repo.rewrite_unpushed_to_lfs().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(c.look(), before);
    };
    let rules = c.folder().join(".gitattributes");
    for rule in ["-filter", "filter=git-crypt"] {
        fs::write(&rules, format!("*.dat {rule}\n")).unwrap();
        c.binary("a.dat");
        refused();
        c.git(&["reset", "-q", "--hard", &start]);
    }
    // A link in an old commit only.
    let text = fs::read(&rules).unwrap();
    fs::remove_file(&rules).unwrap();
    std::os::unix::fs::symlink("rules", &rules).unwrap();
    c.binary("a.dat");
    fs::remove_file(&rules).unwrap();
    fs::write(&rules, text).unwrap();
    c.commit(1, "a file again");
    refused();
    c.git(&["reset", "-q", "--hard", &start]);
    // git reads no file of that name.
    c.binary(".gitea-logo.png");
    assert_eq!(c.rewrite().files, [path(".gitea-logo.png")]);
    write(c.folder(), "sub/.gitbook.x", weights(2, 100));
    c.repo.stage().unwrap();
    let staged = c.git(&["show", ":sub/.gitbook.x"]);
    assert!(staged.starts_with("version https://git-lfs"), "{staged}");
}

/// The file in the work tree is not what becomes the object, and git has to see that at once.
#[test]
fn files_whose_line_ends_git_had_converted_have_changed() {
    needs_git_lfs!();
    let c = OneClone::new();
    write(c.folder(), ".gitattributes", "*.txt text eol=crlf\n");
    write(c.folder(), "a.txt", "a line\r\n".repeat(800));
    write(c.folder(), "b.log", "a line\n".repeat(800));
    // Long ago, so that git has no reason to look at them.
    for name in ["a.txt", "b.log"] {
        date(&c, name, 1_000_000_000);
    }
    c.commit(1, "large");
    let options = RewriteOptions::default().larger_than(4000);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options).unwrap();
    assert_eq!(report.files.len(), 2);
    let status = || c.git(&["status", "--porcelain"]);
    let seen = status();
    assert_eq!(seen, " M a.txt");
    date(&c, "a.txt", 1_100_000_000);
    assert_eq!(status(), seen);
}

fn date(c: &OneClone, name: &str, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = fs::File::open(c.folder().join(name)).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn what_the_server_had_before_its_rule_is_repaired_before_it_is_overwritten() {
    needs_git_lfs!();
    let c = OneClone::new();
    c.binary("a.dat");
    let folder = c.folder().to_string_lossy().into_owned();
    // No hook judges what is fetched.
    c.w.git(c.w.bare("alice/m"), &["fetch", "-q", &folder, "+main:main"]);
    write(c.folder(), "notes.txt", "more\n");
    c.repo.stage().unwrap();
    let _ = c.repo.commit("more").unwrap();
    c.repo.push().unwrap();
    let plan = c.repo.plan_cleanup(Retention::LastCommits(2)).unwrap();
    let report = c.repo.clean_up(&plan).unwrap();
    let options = PushOptions::default().overwriting(report.remote_tip.unwrap());
    let error = c.repo.push_with(&options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Preflight, "{error}");
    assert_eq!(c.rewrite().rewritten.len(), 2);
    c.repo.push_with(&options).unwrap();
    c.w.assert_sound(c.folder());
}

#[test]
fn a_clean_up_can_be_stopped() {
    let c = OneClone::new();
    write(c.folder(), "notes.txt", "more\n");
    c.commit(1, "more");
    c.repo.push().unwrap();
    let cancel = CancelToken::new();
    let prepared = c.w.prepare("alice/m", "ours").cancel_token(cancel.clone());
    let repo = prepared.open().unwrap();
    let plan = repo.plan_cleanup(Retention::LastCommits(1)).unwrap();
    let before = c.look();
    cancel.cancel();
    let error = repo.clean_up(&plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(c.look(), before);
    c.repo.clean_up(&plan).unwrap();
}

#[test]
fn pending_pushes_of_other_branches_hold_what_they_will_bring() {
    let c = OneClone::new();
    for seed in 1..=3 {
        write(c.folder(), "w.bin", weights(seed, 300));
        c.repo.stage().unwrap();
        let _ = c.repo.commit(format!("step {seed}")).unwrap();
    }
    c.repo.push().unwrap();
    c.git(&["update-ref", "refs/heads/exp", "main~1"]);
    c.git(&["symbolic-ref", "HEAD", "refs/heads/exp"]);
    c.git(&["commit", "-q", "--allow-empty", "--only", "-m", "on exp"]);
    refuse(&c.w);
    let handle = c.repo.push_in_background().unwrap();
    handle.wait().unwrap_err();
    c.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    c.git(&["branch", "-q", "-D", "exp"]);
    c.w.hub.faults().clear();
    let plan = c.repo.plan_cleanup(Retention::LastCheckpoints(1)).unwrap();
    let held: Vec<&[String]> = plan.objects().iter().map(|it| &*it.held_by).collect();
    assert_eq!(held, [["a pending push of exp"]; 2]);
    assert_eq!(plan.lfs_bytes(), 0);
    c.repo.clean_up(&plan).unwrap();
}

/// A name holds what its whole history names, on both sides of a fork and beyond a merge.
#[test]
fn names_hold_what_git_finds_before_them() {
    needs_git_lfs!();
    let c = OneClone::new();
    let step = |name: &str, seed: u64| {
        write(c.folder(), name, weights(seed, 300));
        c.commit(1, &format!("step {seed}"));
        c.git(&["tag", &format!("t{seed}")]);
    };
    step("w.bin", 1);
    step("w.bin", 2);
    c.git(&["checkout", "-q", "-b", "side", "t1"]);
    step("side.bin", 3);
    step("side.bin", 4);
    c.git(&["checkout", "-q", "main"]);
    step("w.bin", 5);
    c.git(&["merge", "-q", "-m", "both", "t3"]);
    step("w.bin", 6);
    c.git(&["rm", "-q", "side.bin"]);
    step("w.bin", 7);
    let plan = c.repo.plan_cleanup(Retention::LastCommits(1)).unwrap();
    let names = c.git(&["for-each-ref", "--format=%(refname)", "refs/tags"]) + "\nrefs/heads/side";
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for name in names.lines() {
        let commits = c.git(&["rev-list", name]);
        let grep = ["grep", "-h", "^oid sha256:"].into_iter();
        let grep: Vec<&str> = grep.chain(commits.lines()).collect();
        for oid in c.git(&grep).lines() {
            let oid = oid.trim_start_matches("oid sha256:").to_owned();
            found.entry(oid).or_default().insert(name.to_owned());
        }
    }
    assert_eq!(plan.objects().len(), 5);
    for object in plan.objects() {
        let held: BTreeSet<String> = object.held_by.iter().cloned().collect();
        assert_eq!(held, found[&object.oid.to_string()], "{}", object.oid);
    }
}
