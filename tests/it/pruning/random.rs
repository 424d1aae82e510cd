//! No sequence of operations makes pruning delete what is needed. What is needed is found with git.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use hf_repository::{CheckoutOptions, KeepRecent, PruneOptions, Repository, VerifyRemote};
use mini_hub::{Action, Fault, Route};

use super::{Clone, make_old, stored};
use crate::support::saving::LONG;
use crate::support::{needs_git_lfs, weights, write};

#[test]
fn whatever_happens_no_needed_object_is_deleted() {
    needs_git_lfs!();
    rounds(1..=2, 30);
}

/// Runs random sequences of that many steps, one for each seed.
pub(crate) fn rounds(seeds: std::ops::RangeInclusive<u64>, steps: usize) {
    let least = steps * seeds.clone().count() / 10;
    let deleted: usize = seeds.map(|seed| Run::new(seed).steps(steps)).sum();
    assert!(
        deleted > least,
        "{deleted} objects deleted: too few to prove anything"
    );
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

/// Whose word counts for what the remote has.
#[derive(Clone, Copy, Debug)]
enum Word {
    Remote,
    TrackingRefs,
}

struct Run {
    c: Clone,
    seed: u64,
    dice: Dice,
    log: Vec<(usize, String)>,
    /// The object each blob names, if it is a pointer.
    blobs: BTreeMap<String, Option<String>>,
    linked: PathBuf,
}

impl Run {
    fn new(seed: u64) -> Self {
        let c = Clone::new();
        Self {
            linked: c.w.path("linked"),
            c,
            seed,
            dice: Dice(seed),
            log: Vec::new(),
            blobs: BTreeMap::new(),
        }
    }

    /// How many objects were pruned.
    fn steps(mut self, steps: usize) -> usize {
        let mut deleted = 0;
        for step in 0..steps {
            self.step(step);
            // Conflicts of a stash are for people.
            if !self.c.git(&["ls-files", "--unmerged"]).is_empty() {
                self.c.git(&["reset", "-q", "--hard"]);
            }
            if self.dice.below(3) == 0 {
                deleted += self.prune();
            }
        }
        self.c.w.hub.faults().clear();
        let _ = self.c.repo.flush(LONG);
        self.c.git(&["lfs", "fsck"]);
        self.c.git(&["fsck", "--strict", "--no-dangling"]);
        deleted
    }

    /// What git cannot do in this state is not done, and no reason to stop.
    fn try_git(&self, arguments: &[&str]) {
        let _ = self.c.w.try_git(self.c.repo.workdir(), arguments);
    }

    fn step(&mut self, step: usize) {
        let branch = format!("b{}", self.dice.below(4));
        let operation = self.dice.below(20);
        self.log.push((operation, branch.clone()));
        match operation {
            0..=3 => {
                self.stage_something(None);
                // Now and then the next operation meets staged changes.
                if operation > 0 {
                    let _ = self.c.repo.commit(format!("{step}")).unwrap();
                }
            }
            4 => drop(self.c.repo.checkout_with(&branch, CheckoutOptions::Create)),
            5 => drop(self.c.repo.checkout(&branch)),
            6 => self.try_git(&["stash", "push", "-q", "--include-untracked"]),
            7 if self.dice.below(2) == 0 => self.try_git(&["stash", "drop", "-q"]),
            7 => self.try_git(&["stash", "apply", "-q"]),
            8 | 9 => drop(self.c.repo.push()),
            10 => self.try_git(&["branch", "-q", "-D", &branch]),
            11 => self.try_git(&["tag", &format!("t{step}")]),
            12 => self.try_git(&["reset", "-q", "--hard", "HEAD~1"]),
            13 => {
                let server = self.c.w.bare("alice/m");
                drop(self.c.w.try_git(&server, &["branch", "-q", "-D", &branch]));
            }
            14 => self.try_git(&["checkout", "-q", "--detach"]),
            15 => {
                self.stage_something(None);
                self.try_git(&["commit", "-q", "--amend", "--no-edit", "--allow-empty"]);
            }
            16 if self.linked.exists() && self.dice.below(3) == 0 => {
                let name = self.linked.to_string_lossy().into_owned();
                self.try_git(&["worktree", "remove", "--force", &name]);
            }
            16 | 17 => {
                if !self.linked.exists() {
                    let name = self.linked.to_string_lossy().into_owned();
                    let what = format!("t{}", self.dice.below(step + 1));
                    self.try_git(&["worktree", "add", "-q", "--detach", &name, &what]);
                }
                if self.linked.exists() {
                    let other = self.c.w.prepare("alice/m", "linked").open().unwrap();
                    self.stage_something(Some(&other));
                    if self.dice.below(2) == 0 {
                        let _ = other.commit(format!("linked {step}")).unwrap();
                    }
                }
            }
            // Saves that are delivered, and saves that have to wait.
            18 => {
                self.write_something(None);
                let _ = self.c.repo.save(format!("{step}"));
                let _ = self.c.repo.wait_for_pushes();
            }
            _ => {
                let faults = self.c.w.hub.faults();
                faults.clear();
                if self.dice.below(2) == 0 {
                    let refused = Fault::on(Route::ReceivePack).always();
                    faults.add(refused.act(Action::status(403)));
                }
            }
        }
    }

    fn write_something(&mut self, other: Option<&Repository>) {
        let name = ["a.bin", "b.bin", "sub/c.bin"][self.dice.below(3)];
        let content = weights(self.seed * 1000 + self.dice.below(40) as u64, 500);
        let repo = other.unwrap_or(&self.c.repo);
        write(repo.workdir(), name, content);
    }

    fn stage_something(&mut self, other: Option<&Repository>) {
        self.write_something(other);
        other.unwrap_or(&self.c.repo).stage().unwrap();
    }

    /// Prunes, and looks at what is left and at what went.
    fn prune(&mut self) -> usize {
        let (options, word) = match self.dice.below(3) {
            0 => (PruneOptions::default(), Word::Remote),
            1 => (
                PruneOptions::default().keep_recent(KeepRecent::Nothing),
                Word::Remote,
            ),
            _ => (
                PruneOptions::default()
                    .keep_recent(KeepRecent::Nothing)
                    .verify_remote(VerifyRemote::TrackingRefs),
                Word::TrackingRefs,
            ),
        };
        make_old(&self.c.git_dir());
        let before = stored(&self.c.git_dir());
        let report = self.c.repo.prune_with(&options).unwrap();
        let after = stored(&self.c.git_dir());
        let said = format!("seed {}: {word:?}, after {:?}", self.seed, self.log);
        let mut gone: BTreeSet<String> = before.difference(&after).cloned().collect();
        assert_eq!(gone.len(), report.objects, "{said}");
        let needed = self.needed(word);
        let lost: Vec<_> = needed.intersection(&gone).collect();
        assert!(lost.is_empty(), "needed: {lost:?}; {said}");
        // What went, and history names, can be had again; so can what went before, and is needed
        // again because the remote has given up a branch since.
        let history = self.history();
        gone.retain(|oid| history.contains(oid));
        gone.extend(needed.difference(&after).cloned());
        let server = stored(&self.c.w.bare("alice/m"));
        assert!(gone.is_subset(&server), "not on the server: {said}");
        report.objects
    }

    /// The work trees, by git's list.
    fn work_trees(&self) -> Vec<PathBuf> {
        let list = self.c.git(&["worktree", "list", "--porcelain"]);
        let folders = list
            .lines()
            .filter_map(|line| line.strip_prefix("worktree "));
        folders
            .map(PathBuf::from)
            .filter(|folder| folder.exists())
            .collect()
    }

    /// The HEADs of all work trees.
    fn heads(&self) -> Vec<String> {
        let folders = self.work_trees();
        let head = |folder: &PathBuf| self.c.w.git(folder, &["rev-parse", "HEAD"]);
        folders.iter().map(head).collect()
    }

    /// What must be in the store.
    fn needed(&mut self, word: Word) -> BTreeSet<String> {
        let mut blobs = BTreeSet::new();
        let mut add = |listing: String| blobs.extend(ids(&listing));
        for folder in self.work_trees() {
            add(self.c.w.git(&folder, &["ls-files", "--stage"]));
            add(self.c.w.git(&folder, &["ls-tree", "-r", "HEAD"]));
        }
        for stash in self.c.git(&["stash", "list", "--format=%H %P"]).lines() {
            // Left out: the commit it was made on.
            let parts = stash.split(' ').enumerate().filter(|(at, _)| *at != 1);
            for (_, part) in parts {
                add(self.c.git(&["ls-tree", "-r", part]));
            }
        }
        let mut arguments: Vec<String> =
            ["rev-list", "--objects", "--all"].map(String::from).into();
        arguments.extend(self.heads());
        arguments.push("--not".to_owned());
        match word {
            Word::TrackingRefs => arguments.push("--remotes=origin".to_owned()),
            Word::Remote => {
                let server = self.c.w.bare("alice/m");
                let tips = self
                    .c
                    .w
                    .git(server, &["for-each-ref", "--format=%(objectname)"]);
                let known = |tip: &&str| {
                    let found = self
                        .c
                        .w
                        .try_git(self.c.repo.workdir(), &["cat-file", "-e", tip]);
                    found.status.success()
                };
                arguments.extend(tips.lines().filter(known).map(String::from));
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        add(self.c.git(&arguments));
        self.named(&blobs)
    }

    /// All that any commit names which a ref or a HEAD leads to.
    fn history(&mut self) -> BTreeSet<String> {
        let heads = self.heads();
        let mut arguments = vec!["rev-list", "--objects", "--all"];
        arguments.extend(heads.iter().map(String::as_str));
        let listing = self.c.git(&arguments);
        self.named(&ids(&listing).collect())
    }

    /// The objects that pointers among the blobs name.
    fn named(&mut self, blobs: &BTreeSet<String>) -> BTreeSet<String> {
        let unknown: Vec<&str> = blobs
            .iter()
            .filter(|id| !self.blobs.contains_key(*id))
            .map(String::as_str)
            .collect();
        let list = self.c.w.path("ids");
        fs::write(&list, unknown.join("\n")).unwrap();
        let mut git = self.c.w.command("git", self.c.repo.workdir());
        git.args(["cat-file", "--batch"]);
        let told = git
            .stdin(fs::File::open(&list).unwrap())
            .output()
            .unwrap()
            .stdout;
        let mut rest = &told[..];
        for id in unknown {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let header = String::from_utf8_lossy(&rest[..end]).into_owned();
            let size: usize = header.rsplit(' ').next().unwrap().parse().unwrap();
            let text = String::from_utf8_lossy(&rest[end + 1..][..size]).into_owned();
            rest = &rest[end + 1 + size + 1..];
            let oid = text
                .lines()
                .find_map(|line| line.strip_prefix("oid sha256:"))
                .filter(|_| text.starts_with("version "));
            self.blobs.insert(id.to_owned(), oid.map(str::to_owned));
        }
        let named = blobs.iter().filter_map(|id| self.blobs[id].clone());
        named.collect()
    }
}

/// The ids in a listing of git's.
fn ids(listing: &str) -> impl Iterator<Item = String> + '_ {
    let words = listing.split([' ', '\t', '\n']);
    words.filter(|word| word.len() == 40).map(str::to_owned)
}
