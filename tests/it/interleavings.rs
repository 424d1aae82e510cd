//! A thousand random interleavings of saves, pushes, cancels, waits, closes and other people's commits.

use std::collections::BTreeMap;
use std::time::Duration;

use hf_repository::{
    CommitId, Delivery, ErrorKind, Integration, OnConflict, OnDrop, PushHandle, PushPolicy,
    Repository, Saved,
};

use crate::support::saving::LONG;
use crate::support::{World, weights, write};

/// xorshift64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

struct Run<'a> {
    w: &'a World,
    repo: Option<Repository>,
    other: Repository,
    policy: PushPolicy,
    on_conflict: OnConflict,
    handles: Vec<PushHandle>,
    /// What another client put on the remote's main.
    theirs: Vec<CommitId>,
    counts: BTreeMap<&'static str, usize>,
}

impl Run<'_> {
    fn open(&self) -> Repository {
        self.w
            .prepare("alice/m", "ours")
            .push_policy(self.policy)
            .on_conflict(self.on_conflict)
            .on_drop(OnDrop::Leave)
            .open_or_clone()
            .unwrap()
    }

    fn step(&mut self, number: u64, random: &mut Random) {
        let what = match random.below(100) {
            0..45 => "save",
            45..50 => "commit and push behind",
            50..53 => "push",
            53..63 => "cancel",
            63..75 => "wait",
            75..77 => "close",
            77..79 => "drop",
            79..82 => "pull",
            _ => "theirs",
        };
        *self.counts.entry(what).or_default() += 1;
        let repo = self.repo.take().unwrap_or_else(|| self.open());
        match what {
            "save" => {
                write(repo.workdir(), "state.txt", format!("{number}\n"));
                if random.below(3) == 0 {
                    write(repo.workdir(), "model.bin", weights(number, 3_000));
                }
                let report = repo.save(format!("step {number}")).unwrap();
                for failure in &report.failures {
                    assert!(plausible(&failure.error), "{:?}", failure.error);
                }
                if let Saved::Queued { handle, .. } = report.saved {
                    self.handles.push(handle);
                }
            }
            "commit and push behind" => {
                write(repo.workdir(), "by-hand.txt", format!("{number}\n"));
                repo.stage().unwrap();
                let _ = repo.commit(format!("by hand {number}")).unwrap();
                self.handles.push(repo.push_in_background().unwrap());
            }
            "push" => match repo.push() {
                Ok(_) => {}
                Err(error) => assert!(plausible(&error), "{error:?}"),
            },
            "cancel" => {
                if let Some(handle) = self.any(random) {
                    handle.cancel();
                }
            }
            "wait" => {
                if let Some(handle) = self.any(random) {
                    let end = handle.wait_timeout(Duration::from_millis(random.below(30)));
                    if let Some(Err(error)) = end {
                        assert!(plausible(&error), "{error:?}");
                    }
                }
            }
            "close" => {
                if let Err(error) = repo.close_within(LONG) {
                    assert!(plausible(&error), "{error:?}");
                }
                return;
            }
            "drop" => return,
            "pull" => match repo.pull() {
                Ok(_) => {}
                Err(error) => assert!(plausible(&error), "{error:?}"),
            },
            _ => {
                // Now and then the same file as ours: a conflict.
                self.other.pull().unwrap();
                let own = random.below(6) != 0;
                let name = if own {
                    format!("theirs-{}.txt", number % 7)
                } else {
                    "state.txt".into()
                };
                write(self.other.workdir(), &name, format!("theirs {number}\n"));
                self.other.stage().unwrap();
                let _ = self.other.commit(format!("theirs {number}")).unwrap();
                // A push of ours may come between pull and push.
                match self.other.push() {
                    Ok(report) => self.theirs.push(report.commit),
                    Err(error) => {
                        assert!(plausible(&error), "{error:?}");
                        let arguments = ["reset", "-q", "--hard", "origin/main"];
                        self.w.git(self.other.workdir(), &arguments);
                    }
                }
            }
        }
        self.repo = Some(repo);
    }

    fn any(&self, random: &mut Random) -> Option<&PushHandle> {
        let last = self.handles.len().min(6) as u64;
        let back = (last > 0).then(|| random.below(last) as usize + 1)?;
        self.handles.get(self.handles.len() - back)
    }

    /// Every commit reported as pushed is where its report says.
    fn check(mut self) -> BTreeMap<&'static str, usize> {
        let repo = self.repo.take().unwrap_or_else(|| self.open());
        if let Err(error) = repo.flush(LONG) {
            panic!("{error:?}: {:?}", std::error::Error::source(&error));
        }
        let on = |branch: &str, commit: CommitId| {
            let (commit, branch) = (commit.to_string(), format!("refs/heads/{branch}"));
            let arguments = ["merge-base", "--is-ancestor", &commit, &branch];
            self.w
                .try_git(&self.w.bare("alice/m"), &arguments)
                .status
                .success()
        };
        for theirs in &self.theirs {
            assert!(
                on("main", *theirs),
                "{theirs} of another client disappeared"
            );
        }
        for handle in &self.handles {
            let end = handle.wait_timeout(LONG).expect("an end");
            let promised = handle.commit().unwrap();
            let what = match end {
                Ok(Delivery::Pushed(report)) => {
                    let commit = match &report.integration {
                        Integration::Rebased { rewritten } => {
                            rewritten
                                .iter()
                                .find(|(old, _)| *old == promised)
                                .unwrap()
                                .1
                        }
                        _ => promised,
                    };
                    let branch = report.branch.as_str();
                    assert!(on(branch, commit), "{promised} is not on {branch}");
                    "pushed"
                }
                Ok(Delivery::Superseded { .. }) => "superseded",
                Ok(end) => panic!("{end:?}"),
                Err(error) => {
                    assert!(plausible(&error), "{error:?}");
                    "not pushed"
                }
            };
            *self.counts.entry(what).or_default() += 1;
        }
        repo.close().unwrap();
        let (bare, ours) = (self.w.bare("alice/m"), self.w.path("ours"));
        self.w.git(&bare, &["fsck", "--strict", "--no-dangling"]);
        self.w.assert_sound(&ours);
        self.counts
    }
}

/// What may go wrong when things happen at random; a lock, above all, is never heard of.
fn plausible(error: &hf_repository::Error) -> bool {
    let text = format!("{error:?}");
    assert!(!text.contains("cannot lock ref"), "{text}");
    matches!(
        error.kind(),
        ErrorKind::Cancelled
            | ErrorKind::NonFastForward
            | ErrorKind::Diverged
            | ErrorKind::Unpushed
            | ErrorKind::DirtyWorktree
    )
}

#[test]
fn random_interleavings_lose_nothing() {
    interleave(30);
}

/// Four clones with a policy each do so many steps, and then are judged.
pub(crate) fn interleave(steps: u64) {
    let policies = [
        (PushPolicy::EveryCommit, OnConflict::Merge),
        (PushPolicy::Latest, OnConflict::Merge),
        (PushPolicy::EveryCommit, OnConflict::Rebase),
        (PushPolicy::Latest, OnConflict::SideBranch),
    ];
    let seed = std::env::var("HF_REPOSITORY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(0x5eed_0000);
    let mut all: BTreeMap<&'static str, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = policies
            .into_iter()
            .enumerate()
            .map(|(number, (policy, on_conflict))| {
                scope.spawn(move || {
                    let w = World::new();
                    w.model("alice/m");
                    let mut random = Random(seed + number as u64);
                    let mut run = Run {
                        other: w.clone("alice/m", "other"),
                        w: &w,
                        repo: None,
                        policy,
                        on_conflict,
                        handles: Vec::new(),
                        theirs: Vec::new(),
                        counts: BTreeMap::new(),
                    };
                    for step in 0..steps {
                        run.step(step, &mut random);
                    }
                    run.check()
                })
            })
            .collect();
        for run in runs {
            for (what, count) in run.join().unwrap() {
                *all.entry(what).or_default() += count;
            }
        }
    });
    println!("{all:?}");
    for what in ["pushed", "superseded", "save", "cancel", "close", "theirs"] {
        assert!(all.contains_key(what), "{what} never happened: {all:?}");
    }
}
