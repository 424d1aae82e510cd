//! No sequence of operations makes pruning delete what is needed.

use std::collections::{BTreeMap, BTreeSet};

use hf_repository::CheckoutOptions;

use super::{Clone, make_old, stored};
use crate::support::{needs_git_lfs, weights, write};

/// What must be in the store, found with git.
struct Needed<'a> {
    c: &'a Clone,
    /// The object each blob names, if it is a pointer.
    blobs: BTreeMap<String, Option<String>>,
}

impl Needed<'_> {
    fn objects(&mut self) -> BTreeSet<String> {
        let c = self.c;
        let mut blobs = BTreeSet::new();
        let mut add = |listing: String| {
            for line in listing.lines() {
                let ids = line.split([' ', '\t']).filter(|word| word.len() == 40);
                blobs.extend(ids.map(str::to_owned));
            }
        };
        add(c.git(&["ls-files", "--stage"]));
        add(c.git(&["ls-tree", "-r", "HEAD"]));
        for stash in c.git(&["stash", "list", "--format=%H %P"]).lines() {
            // Left out: the commit it was made on.
            let parts = stash.split(' ').enumerate().filter(|(at, _)| *at != 1);
            for (_, part) in parts {
                add(c.git(&["ls-tree", "-r", part]));
            }
        }
        let tips = c.w.git(
            c.w.bare("alice/m"),
            &["for-each-ref", "--format=%(objectname)"],
        );
        let mut arguments = vec!["rev-list", "--objects", "--all", "HEAD", "--not"];
        let known = |tip: &&str| {
            let found = c.w.try_git(c.repo.workdir(), &["cat-file", "-e", tip]);
            found.status.success()
        };
        arguments.extend(tips.lines().filter(known));
        add(c.git(&arguments));
        blobs.into_iter().filter_map(|id| self.named(id)).collect()
    }

    fn named(&mut self, id: String) -> Option<String> {
        let c = self.c;
        let read = |id: &String| {
            let output = c.w.try_git(c.repo.workdir(), &["cat-file", "blob", id]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let oid = text
                .lines()
                .find_map(|line| line.strip_prefix("oid sha256:"))?;
            (output.status.success() && text.starts_with("version ")).then(|| oid.to_owned())
        };
        self.blobs.entry(id).or_insert_with_key(read).clone()
    }
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

#[test]
fn whatever_happens_no_needed_object_is_deleted() {
    needs_git_lfs!();
    let mut deleted = 0;
    for seed in 1..=4 {
        deleted += random_operations(seed, 60);
    }
    assert!(
        deleted > 20,
        "{deleted} objects deleted: too few to prove anything"
    );
}

/// Runs a random sequence; how many objects were pruned.
fn random_operations(seed: u64, steps: usize) -> usize {
    let c = Clone::new();
    let mut dice = Dice(seed);
    let mut needed = Needed {
        c: &c,
        blobs: BTreeMap::new(),
    };
    let (mut log, mut deleted) = (Vec::new(), 0);
    // What git cannot do in this state is not done, and no reason to stop.
    let try_git = |arguments: &[&str]| drop(c.w.try_git(c.repo.workdir(), arguments));
    for step in 0..steps {
        let branch = format!("b{}", dice.below(4));
        let operation = dice.below(14);
        match operation {
            0..=3 => {
                let name = ["a.bin", "b.bin", "sub/c.bin"][dice.below(3)];
                let content = weights(seed * 1000 + dice.below(40) as u64, 500);
                write(c.repo.workdir(), name, content);
                c.repo.stage().unwrap();
                // Now and then the next operation meets staged changes.
                if operation > 0 {
                    let _ = c.repo.commit(format!("{step}")).unwrap();
                }
            }
            4 => drop(c.repo.checkout_with(&branch, CheckoutOptions::Create)),
            5 => drop(c.repo.checkout(&branch)),
            6 => try_git(&["stash", "push", "-q", "--include-untracked"]),
            7 if dice.below(2) == 0 => try_git(&["stash", "drop", "-q"]),
            7 => try_git(&["stash", "apply", "-q"]),
            8 | 9 => drop(c.repo.push()),
            10 => try_git(&["branch", "-q", "-D", &branch]),
            11 => try_git(&["tag", &format!("t{step}")]),
            12 if dice.below(2) == 0 => try_git(&["reset", "-q", "--hard", "HEAD~1"]),
            12 => {
                let server = c.w.bare("alice/m");
                drop(c.w.try_git(&server, &["branch", "-q", "-D", &branch]));
            }
            _ => try_git(&["checkout", "-q", "--detach"]),
        }
        // Conflicts of a stash are for people.
        if !c.git(&["ls-files", "--unmerged"]).is_empty() {
            c.git(&["reset", "-q", "--hard"]);
        }
        log.push((operation, branch));
        if dice.below(3) == 0 {
            make_old(&c.git_dir());
            deleted += c.repo.prune().unwrap().objects;
            let lost: Vec<_> = needed
                .objects()
                .difference(&stored(&c.git_dir()))
                .cloned()
                .collect();
            assert!(lost.is_empty(), "seed {seed}: {lost:?} after {log:?}");
        }
    }
    c.git(&["lfs", "fsck"]);
    c.git(&["fsck", "--strict", "--no-dangling"]);
    deleted
}
