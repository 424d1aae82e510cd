//! What pruning deletes, and above all what it does not.

mod oracle;
pub(crate) mod random;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use hf_repository::{
    CheckoutOptions, CommitId, ErrorKind, KeepRecent, LfsEngine, PruneOptions, Repository,
    SharedStore, VerifyRemote,
};
use mini_hub::{RepoKind, Role};
use sha2::{Digest, Sha256};

use crate::support::{World, needs_git_lfs, saving, weights, write};

/// Bytes of each LFS file here.
const SIZE: usize = 3000;
const FILE: &str = "w.bin";

fn oid(seed: u64) -> String {
    let digest = Sha256::digest(weights(seed, SIZE));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of all objects in a store.
fn stored(git_dir: &Path) -> BTreeSet<String> {
    let (mut names, mut open) = (BTreeSet::new(), vec![git_dir.join("lfs/objects")]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                names.insert(entry.file_name().into_string().unwrap());
            }
        }
    }
    names
}

fn object(git_dir: &Path, oid: &str) -> std::path::PathBuf {
    let folder = git_dir.join("lfs/objects");
    folder.join(&oid[..2]).join(&oid[2..4]).join(oid)
}

/// Makes every object look as if it had been stored two hours ago.
fn make_old(git_dir: &Path) {
    let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    for oid in stored(git_dir) {
        let file = fs::File::options()
            .append(true)
            .open(object(git_dir, &oid))
            .unwrap();
        file.set_modified(old).unwrap();
    }
}

#[track_caller]
fn save(repo: &Repository, seed: u64) -> CommitId {
    write(repo.workdir(), FILE, weights(seed, SIZE));
    repo.stage().unwrap();
    repo.commit(format!("seed {seed}"))
        .unwrap()
        .commit()
        .unwrap()
}

/// A world with a clone in which `seed` 1 was replaced by 2, both pushed.
struct Clone {
    w: World,
    repo: Repository,
    first: CommitId,
}

impl Clone {
    fn new() -> Self {
        let w = World::new();
        w.model("alice/m");
        let repo = w.clone("alice/m", "ours");
        let first = save(&repo, 1);
        let _ = save(&repo, 2);
        repo.push().unwrap();
        Self { w, repo, first }
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.w.git(self.repo.workdir(), arguments)
    }

    fn git_dir(&self) -> std::path::PathBuf {
        self.repo.workdir().join(".git")
    }

    /// Prunes with all objects old and nothing kept for being recent, and says which seeds are left.
    #[track_caller]
    fn left(&self, seeds: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        make_old(&self.git_dir());
        let options = PruneOptions::default().keep_recent(KeepRecent::Nothing);
        let before = stored(&self.git_dir());
        let would = self.repo.prune_with(&options.clone().dry_run()).unwrap();
        assert_eq!(stored(&self.git_dir()), before, "a dry run deletes nothing");
        let report = self.repo.prune_with(&options).unwrap();
        let after = stored(&self.git_dir());
        assert_eq!(report, would);
        assert_eq!(before.len() - after.len(), report.objects);
        assert_eq!(report.bytes, (report.objects * SIZE) as u64);
        let listed: BTreeSet<String> = report.oids.iter().map(ToString::to_string).collect();
        assert_eq!(listed, before.difference(&after).cloned().collect());
        seeds.filter(|seed| after.contains(&oid(*seed))).collect()
    }
}

#[test]
fn fifty_checkpoints_leave_two_objects_at_most() {
    let c = Clone::new();
    for seed in 10..60 {
        let _ = save(&c.repo, seed);
        c.repo.push().unwrap();
        c.repo.prune().unwrap();
        let left = stored(&c.git_dir());
        assert!(left.len() <= 2 && left.contains(&oid(seed)), "{left:?}");
    }
    let server = c.w.bare("alice/m");
    assert_eq!(stored(&server).len(), 52);
    c.w.assert_sound(c.repo.workdir());
    // What was pruned comes back when it is needed.
    c.repo.checkout(c.first.to_string()).unwrap();
    let content = fs::read(c.repo.workdir().join(FILE)).unwrap();
    assert_eq!(content, weights(1, SIZE));
    c.w.assert_sound(c.repo.workdir());
    // HEAD is detached at a commit the remote has.
    assert_eq!(c.left(1..=2), [1]);
    c.w.assert_sound(c.repo.workdir());
}

#[test]
fn what_is_staged_stays() {
    let c = Clone::new();
    write(c.repo.workdir(), FILE, weights(3, SIZE));
    c.repo.stage().unwrap();
    // The commit that is checked out counts as well: this can be undone without a network.
    assert_eq!(c.left(1..=3), [2, 3]);
    // A pointer counts wherever it lies, LFS file or not; a file announced to git names nothing.
    let pointer = c.git(&["cat-file", "blob", ":w.bin"]) + "\n";
    fs::write(c.repo.workdir().join("pointer.txt"), pointer).unwrap();
    c.git(&["add", "pointer.txt"]);
    fs::write(c.repo.workdir().join("announced.txt"), "text").unwrap();
    c.git(&["add", "-N", "announced.txt"]);
    c.git(&["rm", "-q", "--cached", FILE]);
    assert_eq!(c.left(1..=3), [2, 3]);
}

#[test]
fn commits_that_only_this_clone_has_keep_their_objects() {
    let c = Clone::new();
    // On a branch, with an ancestor that the branch has replaced.
    c.repo
        .checkout_with("side", CheckoutOptions::Create)
        .unwrap();
    let (_, _) = (save(&c.repo, 3), save(&c.repo, 4));
    c.repo.checkout("main").unwrap();
    assert_eq!(c.left(1..=4), [2, 3, 4]);
    // Under a tag.
    c.git(&["tag", "-a", "-m", "kept", "kept", "side"]);
    c.git(&["branch", "-q", "-D", "side"]);
    assert_eq!(c.left(1..=4), [2, 3, 4]);
    // Under a ref that is nobody's business but the library's.
    let promised = "refs/hf-repository/promised/1";
    c.git(&["update-ref", promised, "kept~1"]);
    c.git(&["tag", "-d", "kept"]);
    assert_eq!(c.left(1..=4), [2, 3]);
    // Under no ref: HEAD alone.
    c.git(&["checkout", "-q", promised]);
    let _ = save(&c.repo, 5);
    c.git(&["update-ref", "-d", promised]);
    assert_eq!(c.left(1..=5), [3, 5]);
    // Under nothing at all.
    c.git(&["checkout", "-q", "main"]);
    assert_eq!(c.left(1..=5), [2]);
    c.w.assert_sound(c.repo.workdir());
}

#[test]
fn stashes_stay() {
    needs_git_lfs!();
    let c = Clone::new();
    // An older stash, with what was staged and changed again, and what was untracked.
    write(c.repo.workdir(), FILE, weights(3, SIZE));
    c.git(&["add", FILE]);
    write(c.repo.workdir(), FILE, weights(4, SIZE));
    write(c.repo.workdir(), "new.bin", weights(5, SIZE));
    c.git(&["stash", "push", "-q", "--include-untracked"]);
    // A newer one, on an older commit.
    c.repo.checkout(c.first.to_string()).unwrap();
    write(c.repo.workdir(), FILE, weights(6, SIZE));
    c.git(&["stash", "push", "-q"]);
    c.repo.checkout("main").unwrap();
    // With the index it was made with, which had the first version.
    assert_eq!(c.left(1..=6), [1, 2, 3, 4, 5, 6]);
    c.git(&["stash", "drop", "-q"]);
    assert_eq!(c.left(1..=6), [2, 3, 4, 5]);
    c.git(&["stash", "pop", "-q", "--index"]);
    assert_eq!(
        fs::read(c.repo.workdir().join(FILE)).unwrap(),
        weights(4, SIZE)
    );
    c.git(&["reset", "-q", "--hard"]);
    fs::remove_file(c.repo.workdir().join("new.bin")).unwrap();
    assert_eq!(c.left(1..=6), [2]);
    assert!(!c.git_dir().join("logs/refs/stash").exists());
}

#[test]
fn other_work_trees_stay() {
    needs_git_lfs!();
    let c = Clone::new();
    let other = c.w.path("other");
    let name = other.to_string_lossy();
    c.git(&["worktree", "add", "-q", "-b", "side", &name]);
    write(&other, FILE, weights(3, SIZE));
    c.w.git(&other, &["commit", "-q", "-a", "-m", "side"]);
    c.w.git(&other, &["push", "-q", "origin", "side"]);
    c.w.git(&other, &["checkout", "-q", "--detach"]);
    write(&other, FILE, weights(4, SIZE));
    c.w.git(&other, &["commit", "-q", "-a", "-m", "detached"]);
    write(&other, FILE, weights(5, SIZE));
    c.w.git(&other, &["add", FILE]);
    assert_eq!(c.left(1..=5), [2, 4, 5]);
    // And the other way round: what is staged in the main one stays when the linked one is pruned.
    write(c.repo.workdir(), FILE, weights(6, SIZE));
    c.repo.stage().unwrap();
    make_old(&c.git_dir());
    let linked = c.w.prepare("alice/m", "other").open().unwrap();
    linked.prune().unwrap();
    assert_eq!(c.left(1..=6), [2, 4, 5, 6]);
    // A work tree that was given up keeps nothing.
    c.git(&["worktree", "remove", "--force", &name]);
    assert_eq!(c.left(1..=6), [2, 6]);
}

#[test]
fn a_merge_under_way_stays() {
    needs_git_lfs!();
    let c = Clone::new();
    c.repo
        .checkout_with("side", CheckoutOptions::Create)
        .unwrap();
    let (_, _) = (save(&c.repo, 3), save(&c.repo, 4));
    c.repo.checkout("main").unwrap();
    let _ = save(&c.repo, 5);
    let merged = c.w.try_git(c.repo.workdir(), &["merge", "-q", "side"]);
    assert!(!merged.status.success(), "two versions of a binary file");
    c.git(&["branch", "-q", "-D", "side"]);
    // Both sides and what they come from, and the history of the side that only MERGE_HEAD names.
    assert_eq!(c.left(1..=5), [2, 3, 4, 5]);
    c.git(&["merge", "--abort"]);
    assert_eq!(c.left(1..=5), [5]);
}

#[test]
fn what_the_remote_lost_stays() {
    let c = Clone::new();
    c.repo
        .checkout_with("side", CheckoutOptions::Create)
        .unwrap();
    let (_, _) = (save(&c.repo, 3), save(&c.repo, 4));
    c.repo.push().unwrap();
    c.repo.checkout("main").unwrap();
    c.git(&["branch", "-q", "-D", "side"]);
    // The tracking ref is all that is left, and the remote does not have the commits any more.
    let server = c.w.bare("alice/m");
    c.w.git(&server, &["branch", "-q", "-D", "side"]);
    assert_eq!(c.left(1..=4), [2, 3, 4]);
    // The commits are back, but an object is gone.
    c.git(&[
        "push",
        "-q",
        "--no-verify",
        "origin",
        "origin/side:refs/heads/side",
    ]);
    let gone = c.w.hub.lfs_object_path(RepoKind::Model, "alice/m", &oid(3));
    fs::rename(&gone, c.w.path("gone")).unwrap();
    assert_eq!(c.left(1..=4), [2, 3]);
    let report = c.repo.prune().unwrap();
    assert_eq!(report.unconfirmed, [oid(3).parse().unwrap()]);
    fs::rename(c.w.path("gone"), &gone).unwrap();
    assert_eq!(c.left(1..=4), [2]);
}

#[test]
fn nothing_is_deleted_when_the_remote_cannot_be_asked() {
    let c = Clone::new();
    make_old(&c.git_dir());
    let before = stored(&c.git_dir());
    let other = c.w.prepare_as("alice/m", "ours", "hf_wrong");
    let error = other.open().unwrap().prune().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(stored(&c.git_dir()), before);
    // Whoever may read may prune.
    let reader = c.w.hub.add_token("alice", Role::Read);
    let reader = c.w.prepare_as("alice/m", "ours", &reader);
    assert_eq!(reader.open().unwrap().prune().unwrap().objects, 1);
}

#[test]
fn what_a_push_has_yet_to_send_stays() {
    let c = Clone::new();
    let wish = |verify| {
        let options = PruneOptions::default().verify_remote(verify);
        options.keep_recent(KeepRecent::Nothing)
    };
    let pruned = |repo: &Repository| {
        make_old(&c.git_dir());
        let asked = repo.prune_with(&wish(VerifyRemote::AskServer)).unwrap();
        let trusted = repo.prune_with(&wish(VerifyRemote::TrackingRefs)).unwrap();
        asked.oids.len() + trusted.oids.len()
    };
    assert_eq!(pruned(&c.repo), 1);
    // Two commits wait; the first one's object is on its way, and the branch has gone on without it.
    let held = saving::hold(&c.w);
    for seed in 3..=4 {
        write(c.repo.workdir(), FILE, weights(seed, SIZE));
        let _ = saving::save(&c.repo, "waits");
    }
    held.arrived();
    c.git(&["reset", "-q", "--hard", "HEAD~2"]);
    assert_eq!(pruned(&c.repo), 0);
    assert_eq!(pruned(&c.w.prepare("alice/m", "ours").open().unwrap()), 0);
    held.release();
    c.repo.wait_for_pushes().unwrap();
    let server = stored(&c.w.bare("alice/m"));
    assert!(server.contains(&oid(3)) && server.contains(&oid(4)));
    // A push that failed is tried again one day.
    saving::refuse(&c.w);
    write(c.repo.workdir(), FILE, weights(5, SIZE));
    let (_, handle) = saving::save(&c.repo, "refused");
    handle.wait().unwrap_err();
    c.git(&["reset", "-q", "--hard", "origin/main"]);
    let _ = pruned(&c.repo);
    assert!(stored(&c.git_dir()).contains(&oid(5)));
}

#[test]
fn an_object_that_nothing_names_goes_when_it_is_old() {
    let c = Clone::new();
    write(c.repo.workdir(), FILE, weights(3, SIZE));
    c.repo.stage().unwrap();
    write(c.repo.workdir(), FILE, weights(4, SIZE));
    c.repo.stage().unwrap();
    c.repo.prune().unwrap();
    let young = stored(&c.git_dir());
    assert!(young.contains(&oid(3)) && !young.contains(&oid(1)));
    assert_eq!(c.left(1..=4), [2, 4]);
}

#[test]
fn a_store_that_others_may_use_is_left_alone() {
    needs_git_lfs!();
    let c = Clone::new();
    let elsewhere = c.w.path("elsewhere");
    fs::rename(c.git_dir().join("lfs"), &elsewhere).unwrap();
    let open = || c.w.prepare("alice/m", "ours");
    let refused = || {
        for engine in [LfsEngine::Builtin, LfsEngine::GitLfs] {
            let repo = open().lfs_engine(engine).open().unwrap();
            let error = repo.prune().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.hint().unwrap().contains("OnlyThisClone"));
        }
    };
    std::os::unix::fs::symlink(&elsewhere, c.git_dir().join("lfs")).unwrap();
    refused();
    fs::remove_file(c.git_dir().join("lfs")).unwrap();
    c.git(&["config", "lfs.storage", &elsewhere.to_string_lossy()]);
    refused();
    // Who uses it is for the caller to say.
    let alone = PruneOptions::default().shared_store(SharedStore::OnlyThisClone);
    let report = open().open().unwrap().prune_with(&alone).unwrap();
    assert_eq!(report.oids, [oid(1).parse().unwrap()]);
    assert!(elsewhere.join("objects").exists());
}

/// git-lfs looks at branches and tags, and a promise that was amended away has neither.
#[test]
fn git_lfs_prunes_nothing_that_a_promise_alone_names() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = w.prepare("alice/m", "ours").lfs_engine(LfsEngine::GitLfs);
    let repo = repo.clone_repo().unwrap();
    saving::refuse(&w);
    write(repo.workdir(), FILE, weights(1, SIZE));
    saving::save(&repo, "promised").1.wait().unwrap_err();
    write(repo.workdir(), FILE, weights(2, SIZE));
    w.git(
        repo.workdir(),
        &["commit", "-q", "-a", "--amend", "-m", "again"],
    );
    make_old(&repo.workdir().join(".git"));
    let options = PruneOptions::default().keep_recent(KeepRecent::Nothing);
    assert_eq!(repo.prune_with(&options).unwrap().oids, []);
    w.hub.faults().clear();
    repo.flush(saving::LONG).unwrap();
    // The promised commit arrived, with what it needs.
    let side = saving::branches(&w);
    let side = side.lines().find(|name| name.starts_with("main-")).unwrap();
    let theirs = w
        .prepare("alice/m", "theirs")
        .revision(side.parse().unwrap());
    let theirs = theirs.clone_repo().unwrap();
    assert!(fs::read(theirs.workdir().join(FILE)).unwrap() == weights(1, SIZE));
}

#[test]
fn a_folder_as_remote_must_have_a_copy_of_its_own() {
    let w = World::new();
    let bare = w.path("bare.git");
    w.git(
        w.path(""),
        &["init", "-q", "--bare", &bare.to_string_lossy()],
    );
    let repo = w.prepare(&bare.to_string_lossy(), "ours");
    let repo = repo.clone_repo().unwrap();
    let (_, _) = (save(&repo, 1), save(&repo, 2));
    repo.push().unwrap();
    // One copy for both.
    let git_dir = repo.workdir().join(".git");
    fs::rename(bare.join("lfs"), w.path("lfs")).unwrap();
    std::os::unix::fs::symlink(git_dir.join("lfs"), bare.join("lfs")).unwrap();
    assert_eq!(repo.prune().unwrap().objects, 0);
    fs::remove_file(bare.join("lfs")).unwrap();
    fs::rename(w.path("lfs"), bare.join("lfs")).unwrap();
    assert_eq!(repo.prune().unwrap().objects, 1);
    assert_eq!(stored(&git_dir), BTreeSet::from([oid(2)]));
}

#[test]
fn a_shallow_clone_is_pruned_by_what_it_has() {
    needs_git_lfs!();
    let c = Clone::new();
    let _ = save(&c.repo, 3);
    c.repo.push().unwrap();
    let shallow = c.w.path("shallow");
    let (url, target) = (c.w.url("alice/m"), shallow.to_string_lossy());
    c.w.git(
        c.w.path(""),
        &["clone", "-q", "--depth", "2", &url, &target],
    );
    c.w.git(&shallow, &["lfs", "fetch", "origin", "HEAD~1"]);
    let git_dir = shallow.join(".git");
    assert_eq!(stored(&git_dir), BTreeSet::from([2, 3].map(oid)));
    make_old(&git_dir);
    let repo = c.w.prepare("alice/m", "shallow").open().unwrap();
    let days = KeepRecent::Days {
        refs: 5,
        commits: 5,
    };
    let recent = PruneOptions::default().keep_recent(days);
    assert_eq!(repo.prune_with(&recent).unwrap().objects, 0);
    let _ = save(&repo, 4);
    let report = repo.prune().unwrap();
    assert_eq!(report.oids, [oid(2).parse().unwrap()]);
    assert_eq!(stored(&git_dir), BTreeSet::from([3, 4].map(oid)));
    assert!(repo.lfs_fsck().unwrap().is_ok());
}
