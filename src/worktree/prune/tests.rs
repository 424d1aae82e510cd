//! Pruning as the worker does it, after each push.

use std::cell::Cell;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::fs;
use crate::fs::lock::{GitFolders, Purpose};
use crate::git::{Entry, Identity, Mode};
use crate::http::{Client, Settings};
use crate::lfs::Neighbour;
use crate::lfs::agent::AgentConfig;
use crate::lfs::builtin::Builtin;
use crate::lfs::git_lfs::GitLfs;
use crate::lfs::pointer::Pointer;
use crate::lfs::settings::TransferSettings;
use crate::lfs::store::Store;
use crate::path::RepoPath;
use crate::progress::Progress;

/// A clone whose remote is a folder with a store.
struct Clone {
    folder: tempfile::TempDir,
    git: Git,
    store: Store,
    there: Store,
}

impl Clone {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temp");
        let work = folder.path().join("work");
        let git = crate::git::create(&work, &"main".parse().expect("name")).expect("created");
        let store = Store::new(git.common_dir().join("lfs"));
        let there = Store::new(folder.path().join("remote/lfs"));
        Self {
            folder,
            git,
            store,
            there,
        }
    }

    /// Commits `name` with new content, which is put into the store.
    fn save(&self, name: &str, content: &str) -> (CommitId, Object) {
        let object = put(&self.store, content);
        let pointer = Pointer::new(object.oid, object.size).encode();
        let blob = self.git.write_blob(&pointer).expect("blob");
        let stat = fs::lstat(self.folder.path()).expect("stat").expect("there");
        let path = RepoPath::new(name).expect("path");
        let mut index = self.git.index_to_change().expect("index");
        let entry = Entry::new(path, blob, Mode::File, &stat);
        index.put(&entry).expect("staged");
        index.write().expect("written");
        let index = self.git.listing_to_commit().expect("index");
        let tree = self.git.write_tree(&index).expect("tree");
        let (head, who) = (self.git.head().expect("head"), Identity::new("a", "b"));
        let who = who.expect("identity");
        let commit = self.git.commit_tree(&head, tree, content, &who);
        (commit.expect("committed"), object)
    }

    fn prune<T>(&self, confirmed: &[CommitId], run: impl FnOnce(&Prune<'_>) -> T) -> T {
        let client = Client::new(Settings::from_env(), Vec::new()).expect("client");
        let ssh = GitLfs::for_ssh(self.git.workdir(), self.store.clone(), client.clone());
        let engine = Builtin::new(
            self.store.clone(),
            client,
            TransferSettings::default(),
            "nowhere".into(),
            AgentConfig::default(),
            ssh,
        );
        let (progress, cancel) = (Progress::none(), CancelToken::new());
        let private = crate::git::private_folder(self.git.git_dir());
        let wait = Duration::from_secs(5);
        run(&Prune {
            context: Context {
                git: &self.git,
                store: &self.store,
                engine: &engine,
                progress: &progress,
                cancel: &cancel,
            },
            remote: &Remote::Folder(Neighbour::plain(self.folder.path().join("remote"))),
            confirmed,
            lock: &|| {
                AdvisoryLock::acquire(
                    &private,
                    GitFolders {
                        own: self.git.git_dir(),
                        common: self.git.common_dir(),
                        sharing: None,
                    },
                    Purpose::Change,
                    &[],
                    wait,
                    &cancel,
                )
            },
        })
    }

    fn pushed(&self, old: Option<CommitId>, new: CommitId) -> Pruned {
        let replaced = replaced_objects(&self.git, old, new, &CancelToken::new());
        let replaced = replaced.expect("compared");
        self.prune(&[new], |prune| prune.candidates(replaced))
            .expect("pruned")
    }
}

fn put(store: &Store, content: &str) -> Object {
    let mut temp = store.scratch().expect("scratch");
    temp.write_all(content.as_bytes()).expect("written");
    let oid = crate::lfs::clean::hash_file(temp.path(), u64::MAX, &CancelToken::new());
    let object = Object {
        oid: oid.expect("hashed").expect("whole"),
        size: content.len() as u64,
    };
    store.insert(object, temp).expect("stored");
    object
}

#[test]
fn fifty_pushed_checkpoints_leave_two_objects_at_most() {
    let c = Clone::new();
    let mut before = None;
    for step in 0..50 {
        let content = format!("checkpoint {step}");
        let (commit, object) = c.save("w.bin", &content);
        put(&c.there, &content);
        c.pushed(before, commit);
        before = Some(commit);
        let left = c.store.stored().expect("listed");
        assert!(left.len() <= 2 && c.store.contains(object), "{left:?}");
    }
    assert_eq!(c.there.stored().expect("listed").len(), 50);
}

#[test]
fn only_what_is_there_and_not_needed_goes() {
    let c = Clone::new();
    let (first, one) = c.save("w.bin", "one");
    let (second, two) = c.save("w.bin", "two");
    let (third, three) = c.save("sub/w.bin", "three");
    let (fourth, _) = c.save("w.bin", "four");
    let cancel = CancelToken::new();
    let replaced = |old, new| replaced_objects(&c.git, old, new, &cancel).expect("compared");
    let sorted = |mut objects: Vec<Object>| {
        objects.sort();
        objects
    };
    assert_eq!(replaced(None, first), []);
    assert_eq!(replaced(Some(first), second), [one]);
    assert_eq!(replaced(Some(second), third), []);
    // What came and went within the range is part of it.
    assert_eq!(replaced(Some(first), fourth), sorted(vec![one, two]));
    // The remote lacks it.
    assert_eq!(c.pushed(Some(first), second), Pruned::default());
    put(&c.there, "one");
    put(&c.there, "two");
    let pruned = c.pushed(Some(first), second);
    assert_eq!((pruned.objects, pruned.bytes), (1, 3));
    assert!(!c.store.contains(one) && c.store.contains(two));
    assert_eq!(c.pushed(Some(second), fourth).objects, 1);
    assert!(!c.store.contains(two) && c.store.contains(three));
}

#[test]
fn what_was_given_up_goes_without_the_remote() {
    let c = Clone::new();
    let (first, one) = c.save("w.bin", "one");
    let (_, two) = c.save("w.bin", "two");
    let (third, three) = c.save("w.bin", "three");
    let cancel = CancelToken::new();
    let brought = objects_brought(&c.git, Some(first), third, &cancel).expect("compared");
    assert_eq!(brought.len(), 2);
    let abandon = || c.prune(&[], |prune| prune.abandoned(brought.clone()));
    assert_eq!(abandon().expect("all needed"), Pruned::default());
    // One commit with the newest tree takes the place of both.
    let tree = c.git.tree_of(third).expect("tree");
    c.git
        .set_ref("refs/heads/main", first, Some(third), "test")
        .expect("moved");
    let (head, who) = (c.git.head().expect("head"), Identity::new("a", "b"));
    c.git
        .commit_tree(&head, tree, "both", &who.expect("identity"))
        .expect("committed");
    assert_eq!(abandon().expect("pruned").objects, 1);
    assert!(!c.store.contains(two));
    assert!(c.store.contains(one) && c.store.contains(three));
}

#[test]
fn what_was_staged_while_the_remote_was_asked_stays() {
    let c = Clone::new();
    let (first, one) = c.save("w.bin", "one");
    let (second, _) = c.save("w.bin", "two");
    put(&c.there, "one");
    let replaced = replaced_objects(&c.git, Some(first), second, &CancelToken::new());
    let replaced = replaced.expect("compared");
    let asked = Cell::new(0);
    let pruned = c.prune(&[second], |prune| {
        let lock = || {
            asked.set(asked.get() + 1);
            let _ = c.save("again.bin", "one");
            (prune.lock)()
        };
        let prune = Prune {
            lock: &lock,
            ..*prune
        };
        prune.candidates(replaced)
    });
    assert_eq!((asked.get(), pruned.expect("looked").objects), (1, 0));
    assert!(c.store.contains(one));
}

#[test]
fn a_store_outside_the_clone_is_left_alone() {
    let c = Clone::new();
    let (first, _) = c.save("w.bin", "one");
    let (second, _) = c.save("w.bin", "two");
    put(&c.there, "one");
    let inside = c.git.common_dir().join("lfs");
    let outside = c.folder.path().join("shared");
    std::fs::rename(&inside, &outside).expect("moved");
    std::os::unix::fs::symlink(&outside, &inside).expect("linked");
    assert_eq!(c.pushed(Some(first), second), Pruned::default());
    assert!(Path::new(&inside).exists());
}
