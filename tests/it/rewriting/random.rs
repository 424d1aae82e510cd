//! Random histories.

use super::{limited, options, text};
use crate::support::{needs_git_lfs, weights};

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
    let c = limited();
    let folder = c.folder();
    for seed in seeds {
        let base = c.git(&["rev-parse", "main"]);
        c.fed(
            &["fast-import", "--quiet", "--force"],
            &random_history(seed, &base),
        );
        c.git(&["reset", "-q", "--hard", "made0"]);
        let range = format!("{base}..main");
        let (story, status) = (c.story(folder, &range), c.status());
        let would = c
            .repo
            .rewrite_unpushed_to_lfs_with(&options().dry_run())
            .unwrap();
        let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
        assert_eq!(report, would);
        assert!(!report.rewritten.is_empty());
        assert_eq!(c.story(folder, &range), story);
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
