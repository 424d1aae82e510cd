//! Rows of many small files: as git has them, and as LFS files.

use std::fs;
use std::path::Path;

use super::big::{clone, push, stage};
use super::data;
use super::lab::{Files, Lab, Pair, Side, Turn, copy, text};
use super::sides::Sample;
use super::table::Row;

pub(crate) fn rows(lab: &mut Lab) {
    texts(lab);
    looks(lab);
    small_lfs(lab);
    prune(lab);
}

/// Text files: staged, committed, pushed, cloned, checked out.
fn texts(lab: &mut Lab) {
    let many = lab.options.sizes.many;
    if !lab.wants(&[
        "stage_many",
        "commit_many",
        "stage_commit_many",
        "push_many",
        "clone_many",
    ]) && !lab.wants(&["status_many", "checkout_many"])
    {
        return;
    }
    let pair = Pair::new(lab, "many", Files::Many, |folder| {
        data::texts(folder, 1, many)
    });
    let rows = [
        Row::new("stage_many").limit(lab.limits.read(many)),
        // A pack and its index, the index, the commit and its branch.
        Row::new("commit_many").limit(lab.limits.synced(5)),
        Row::new("stage_commit_many")
            .aim(0.4)
            .limit(lab.limits.read(many)),
    ];
    lab.rows(&rows, |lab, turn| {
        let folder = pair.forget(lab, turn.side);
        let staged = stage(lab, &folder, turn);
        let committed = commit(lab, &folder, turn);
        vec![staged, committed, staged.and(committed)]
    });
    for side in [Side::Ours, Side::Theirs] {
        let folder = pair.folder(lab, side);
        assert_eq!(lab.git(&folder, &["status", "--porcelain"]), "");
        lab.git(&folder, &["fsck", "--strict"]);
    }
    if lab.wants(&["status_many"]) {
        let row = Row::new("status_many")
            .short()
            .aim(0.8)
            .limit(lab.limits.lstat(many));
        lab.rows(&[row], |lab, turn| {
            let folder = pair.folder(lab, turn.side);
            vec![status(lab, &folder, turn)]
        });
    }
    let clone_row = Row::new("clone_many").aim(0.9).creates(many);
    let push_row = Row::new("push_many").aim(0.7);
    let push_row = push_row.limit(lab.limits.put(many * data::TEXT_BYTES));
    push_and_clone(lab, &pair, push_row, clone_row);
    if lab.wants(&["checkout_many"]) {
        checkout(lab, &pair);
    }
    pair.remove(lab);
}

/// Pushes what is committed to a new repository each time, and clones the last of them.
fn push_and_clone(lab: &mut Lab, pair: &Pair, push_row: Row, clone_row: Row) {
    if !lab.wants(&[push_row.name, clone_row.name]) {
        return;
    }
    let mut remote = None;
    lab.rows(&[push_row], |lab, turn| {
        let folder = pair.folder(lab, turn.side);
        let name = format!("{}-{}-{}", push_row.name, turn.round, turn.side.name());
        remote = Some(lab.send_elsewhere(&folder, &name));
        vec![push(lab, &folder, turn)]
    });
    if let Some(remote) = remote.filter(|_| lab.wants(&[clone_row.name])) {
        lab.rows(&[clone_row], |lab, turn| {
            let folder = lab.path("cloned");
            let cloned = clone(lab, &remote, &folder, turn);
            if turn.round == 0 {
                assert_eq!(lab.git(&folder, &["status", "--porcelain"]), "");
            }
            lab.put_away(&folder);
            vec![cloned]
        });
    }
}

/// From one branch to another, in which each file is different.
fn checkout(lab: &mut Lab, pair: &Pair) {
    let many = lab.options.sizes.many;
    for side in [Side::Ours, Side::Theirs] {
        let folder = pair.folder(lab, side);
        lab.git(&folder, &["checkout", "-q", "-b", "other"]);
        data::texts(&folder, 2, many);
        lab.git(&folder, &["commit", "-q", "-a", "-m", "all different"]);
        lab.git(&folder, &["repack", "-q", "-a", "-d"]);
    }
    let row = Row::new("checkout_many").creates(many);
    lab.rows(&[row], |lab, turn| {
        let folder = pair.folder(lab, turn.side);
        let branch = if turn.round.is_multiple_of(2) {
            "main"
        } else {
            "other"
        };
        vec![match turn.side {
            Side::Ours => lab.ours(&["checkout", text(&folder), branch]),
            Side::Theirs => lab.theirs(&folder, &["checkout", "-q", branch], turn),
        }]
    });
}

/// Many more files that nobody changed: both sides look at the same ones.
fn looks(lab: &mut Lab) {
    if !lab.wants(&["status_huge", "open_huge"]) {
        return;
    }
    let huge = lab.options.sizes.huge;
    let (folder, _) = lab.new_clone("huge");
    data::texts(&folder, 3, huge);
    let turn = Turn {
        side: Side::Ours,
        round: 1,
    };
    stage(lab, &folder, turn);
    commit(lab, &folder, turn);
    assert_eq!(lab.git(&folder, &["status", "--porcelain"]), "");
    if lab.wants(&["status_huge"]) {
        let row = Row::new("status_huge")
            .aim(1.0)
            .limit(lab.limits.lstat(huge));
        lab.rows(&[row], |lab, turn| vec![status(lab, &folder, turn)]);
    }
    if lab.wants(&["open_huge"]) {
        // Three configs, HEAD and a branch.
        let row = Row::new("open_huge").short().limit(lab.limits.read(5));
        lab.rows(&[row], |lab, turn| {
            vec![match turn.side {
                Side::Ours => lab.ours(&["open", text(&folder)]),
                Side::Theirs => lab.theirs(&folder, &["rev-parse", "HEAD"], turn),
            }]
        });
    }
    lab.put_away(&folder);
}

/// Small LFS files: pushed, and cloned.
fn small_lfs(lab: &mut Lab) {
    if lab.tools.git_lfs.is_none() || !lab.wants(&["push_small_lfs", "clone_small_lfs"]) {
        return;
    }
    let files = lab.options.sizes.small_lfs;
    let pair = Pair::new(lab, "small-lfs", Files::Many, |folder| {
        data::binaries(folder, 4, files)
    });
    lab.rows(
        &[Row::new("stage_small_lfs").creates(files)],
        |lab, turn| {
            let folder = pair.forget(lab, turn.side);
            let staged = stage(lab, &folder, turn);
            lab.git(&folder, &["commit", "-q", "-m", "bench"]);
            vec![staged]
        },
    );
    let push_row = Row::new("push_small_lfs").aim(0.5).creates(files);
    // Once into the store and once into the work tree.
    let clone_row = Row::new("clone_small_lfs").creates(2 * files);
    push_and_clone(lab, &pair, push_row, clone_row);
    pair.remove(lab);
}

/// Objects that were pushed and replaced.
fn prune(lab: &mut Lab) {
    if lab.tools.git_lfs.is_none() || !lab.wants(&["prune"]) {
        return;
    }
    let files = lab.options.sizes.pruned;
    let pair = Pair::new(lab, "prune", Files::Many, |_| {});
    for side in [Side::Ours, Side::Theirs] {
        let folder = pair.folder(lab, side);
        for version in [5, 6] {
            data::binaries(&folder, version, files);
            lab.git(&folder, &["add", "-A"]);
            lab.git(&folder, &["commit", "-q", "-m", "version"]);
        }
        lab.git(&folder, &["push", "-q", "origin", "main"]);
        copy(&folder.join(".git/lfs"), &folder.with_extension("lfs"));
    }
    lab.rows(&[Row::new("prune")], |lab, turn| {
        let folder = pair.folder(lab, turn.side);
        let store = folder.join(".git/lfs");
        lab.put_away(&store);
        copy(&folder.with_extension("lfs"), &store);
        let pruned = match turn.side {
            Side::Ours => lab.ours(&["prune", text(&folder)]),
            Side::Theirs => lab.theirs(&folder, &["lfs", "prune", "--verify-remote"], turn),
        };
        assert_eq!(files_below(&store.join("objects")), files);
        vec![pruned]
    });
    pair.remove(lab);
}

fn files_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let count = |entry: fs::DirEntry| {
        if entry.file_type().unwrap().is_dir() {
            files_below(&entry.path())
        } else {
            1
        }
    };
    entries.map(count).sum()
}

fn commit(lab: &Lab, folder: &Path, turn: Turn) -> Sample {
    match turn.side {
        Side::Ours => lab.ours(&["commit", text(folder)]),
        Side::Theirs => lab.theirs(folder, &["commit", "-q", "-m", "bench"], turn),
    }
}

fn status(lab: &Lab, folder: &Path, turn: Turn) -> Sample {
    match turn.side {
        Side::Ours => lab.ours(&["is-clean", text(folder)]),
        Side::Theirs => lab.theirs(folder, &["status", "--porcelain"], turn),
    }
}
