//! Where objects are kept: by `lfs.storage`, for several clones, and for the work trees of one.

use std::fs;
use std::path::{Path, PathBuf};

use hf_repository::{Content, ErrorKind, FsckOptions, PruneOptions, Repository, SharedStore};
use mini_hub::Route;

use crate::support::{World, needs_git_lfs, weights, write};

fn downloads(w: &World) -> usize {
    let log = w.hub.requests();
    log.iter().filter(|r| r.route == Route::LfsGet).count()
}

/// The files in an LFS folder's `objects`.
fn objects(folder: &Path) -> usize {
    let (mut found, mut open) = (0, vec![folder.join("objects")]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                found += 1;
            }
        }
    }
    found
}

/// Stages, commits and pushes a file.
#[track_caller]
fn save(repo: &Repository, name: &str, seed: u64) {
    write(repo.workdir(), name, weights(seed, 3000));
    repo.stage().unwrap();
    let _ = repo.commit(format!("seed {seed}")).unwrap();
    repo.push().unwrap();
}

/// A clone whose objects are kept in `storage`, with pointers in the work tree.
fn clone_with(w: &World, name: &str, storage: &str) -> Repository {
    let prepared = w.prepare("alice/m", name).content(Content::PointersOnly);
    drop(prepared.clone_repo().unwrap());
    w.git(w.path(name), &["config", "lfs.storage", storage]);
    w.prepare("alice/m", name).open().unwrap()
}

#[test]
fn clones_share_a_store_with_each_other_and_with_git_lfs() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let shared = w.path("shared lfs");
    let storage = shared.to_string_lossy().into_owned();
    let one = clone_with(&w, "one", &storage);
    save(&one, "a.bin", 1);
    assert_eq!(objects(&shared), 1);
    assert_eq!(objects(&one.workdir().join(".git/lfs")), 0);
    // What one has the other need not download: ours, and git's.
    w.hub.clear_requests();
    let two = clone_with(&w, "two", &storage);
    assert_eq!(two.fetch_all_content().unwrap().len(), 1);
    let (git, url) = (w.path("git"), w.url("alice/m"));
    let config = format!("lfs.storage={storage}");
    let target = git.to_string_lossy();
    w.git(w.path(""), &["clone", "-q", "-c", &config, &url, &target]);
    for folder in [two.workdir(), &git] {
        let content = fs::read(folder.join("a.bin")).unwrap();
        assert!(content == weights(1, 3000), "{}", folder.display());
        w.assert_sound(folder);
    }
    assert_eq!(downloads(&w), 0);
    // And the other way round.
    write(&git, "b.bin", weights(2, 3000));
    w.git_push_all(&git, "by git-lfs");
    w.hub.clear_requests();
    two.pull().unwrap();
    two.fetch_all_content().unwrap();
    let content = fs::read(two.workdir().join("b.bin")).unwrap();
    assert!(content == weights(2, 3000) && downloads(&w) == 0);
    assert!(two.lfs_fsck().unwrap().is_ok());

    // Nobody but a clone knows what it has not pushed.
    write(one.workdir(), "c.bin", weights(3, 3000));
    one.stage().unwrap();
    let _ = one.commit("not pushed").unwrap();
    assert_eq!(two.prune().unwrap_err().kind(), ErrorKind::Unsupported);
    write(two.workdir(), "b.bin", weights(4, 3000));
    let _ = two.save("in the background").unwrap();
    two.wait_for_pushes().unwrap();
    assert_eq!(objects(&shared), 4);
    // What is damaged is replaced for all, and the damaged file is kept.
    let broken = find(&shared, 3000);
    fs::write(&broken, "broken").unwrap();
    let repair = FsckOptions::default().repair();
    let (by_one, by_two) = (one.lfs_fsck_with(&repair), two.lfs_fsck_with(&repair));
    assert!(by_one.unwrap().is_repaired() && by_two.unwrap().is_repaired());
    // Once the others are gone, the last one may.
    one.push().unwrap_err();
    let alone = PruneOptions::default().shared_store(SharedStore::OnlyThisClone);
    let gone = two.prune_with(&alone).unwrap();
    assert_eq!((gone.objects, objects(&shared)), (1, 3), "{gone:?}");
}

/// Some object of that many bytes.
fn find(folder: &Path, bytes: u64) -> PathBuf {
    let mut open = vec![folder.join("objects")];
    loop {
        let next = open.pop().unwrap();
        for entry in fs::read_dir(next).unwrap().flatten() {
            match entry.metadata().unwrap() {
                meta if meta.is_dir() => open.push(entry.path()),
                meta if meta.len() == bytes => return entry.path(),
                _ => {}
            }
        }
    }
}

#[test]
fn a_relative_store_begins_at_gits_folder_for_all_work_trees() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = clone_with(&w, "ours", "no/../elsewhere");
    save(&repo, "a.bin", 1);
    let store = repo.workdir().join(".git/elsewhere");
    assert_eq!(objects(&store), 1);
    w.git(repo.workdir(), &["lfs", "fsck"]);
    // A linked work tree has the same store: what is in it, and what comes into it.
    let linked = w.path("linked");
    let name = linked.to_string_lossy().into_owned();
    w.hub.clear_requests();
    w.git(
        repo.workdir(),
        &["worktree", "add", "-q", "-b", "side", &name],
    );
    assert_eq!(fs::read(linked.join("a.bin")).unwrap(), weights(1, 3000));
    let other = w.prepare("alice/m", "linked").open().unwrap();
    save(&other, "b.bin", 2);
    assert_eq!((objects(&store), downloads(&w)), (2, 0));
    w.git(&linked, &["lfs", "fsck"]);
    // Inside git's folder it is nobody else's.
    save(&other, "b.bin", 3);
    assert_eq!(repo.prune().unwrap().objects, 1);
    assert_eq!(other.lfs_fsck().unwrap().checked, 2);
    // No value is none, and `~` is a letter: where git-lfs keeps them, we do.
    for (seed, value, folder) in [(4, "", "lfs"), (5, "~/lfs", "~/lfs")] {
        w.git(repo.workdir(), &["config", "lfs.storage", value]);
        let repo = w.prepare("alice/m", "ours").open().unwrap();
        write(repo.workdir(), "c.bin", weights(seed, 3000));
        repo.stage().unwrap();
        let env = w.git(repo.workdir(), &["lfs", "env"]);
        let media = env
            .lines()
            .find_map(|line| line.strip_prefix("LocalMediaDir="));
        let store = repo.workdir().join(".git").join(folder);
        assert_eq!(Path::new(media.unwrap()), store.join("objects"));
        assert_eq!(objects(&store), 1);
    }
}

#[test]
fn a_folder_as_remote_keeps_its_objects_where_its_config_says() {
    needs_git_lfs!();
    let w = World::new();
    let bare = w.path("bare.git");
    let name = bare.to_string_lossy().into_owned();
    w.git(w.path(""), &["init", "-q", "--bare", &name]);
    w.git(&bare, &["config", "lfs.storage", "../kept"]);
    let repo = w.prepare(&name, "ours").clone_repo().unwrap();
    save(&repo, "a.bin", 1);
    save(&repo, "a.bin", 2);
    assert_eq!(
        (objects(&w.path("kept")), objects(&bare.join("lfs"))),
        (2, 0)
    );
    assert_eq!(repo.prune().unwrap().objects, 1);
    // git-lfs finds them there, and puts its own there, where we find them.
    let git = w.path("git");
    let url = format!("file://{name}");
    // Not while git clones: a filter is told of the clone's config, and takes it for the remote's.
    let mut clone = w.command("git", &w.path(""));
    clone.args(["clone", "-q", &url]).arg(&git);
    let cloned = clone.env("GIT_LFS_SKIP_SMUDGE", "1").status();
    assert!(cloned.unwrap().success());
    w.git(&git, &["lfs", "pull"]);
    assert!(fs::read(git.join("a.bin")).unwrap() == weights(2, 3000));
    write(&git, "b.bin", weights(3, 3000));
    w.git_push_all(&git, "by git-lfs");
    repo.pull().unwrap();
    assert!(fs::read(repo.workdir().join("b.bin")).unwrap() == weights(3, 3000));
    assert_eq!(objects(&w.path("kept")), 3);
}
