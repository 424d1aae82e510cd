//! Rows of large LFS files: one of them, and eight as large together.

use std::fs;
use std::path::Path;

use super::data;
use super::lab::{Files, Lab, Pair, Side, Turn, text};
use super::sides::Sample;
use super::table::Row;

/// A number of files, and the names of its rows.
struct Set {
    name: &'static str,
    files: u64,
    stage: (&'static str, f64),
    push: (&'static str, f64),
    clone: (&'static str, f64),
}

const ONE: Set = Set {
    name: "one",
    files: 1,
    stage: ("stage_one", 0.25),
    push: ("push_one", 0.8),
    clone: ("clone_one", 0.4),
};
const EIGHT: Set = Set {
    name: "eight",
    files: 8,
    stage: ("stage_eight", 0.20),
    push: ("push_eight", 0.8),
    clone: ("clone_eight", 0.4),
};

pub(crate) fn rows(lab: &mut Lab) {
    if lab.tools.git_lfs.is_none() {
        return;
    }
    for set in [&ONE, &EIGHT] {
        set_rows(lab, set);
    }
    pull(lab);
}

fn set_rows(lab: &mut Lab, set: &Set) {
    let touched = (set.files == 1).then_some("status_touched");
    let names = [set.stage.0, set.push.0, set.clone.0];
    if !lab.wants(&names) && !touched.is_some_and(|name| lab.wants(&[name])) {
        return;
    }
    let bytes = lab.options.sizes.large;
    let files = set.files;
    let pair = Pair::new(lab, set.name, Files::Few, |folder| {
        for number in 0..files {
            data::noise_file(&folder.join(file_name(number)), number, bytes / files);
        }
    });
    let limit = lab.limits.store(bytes);
    let row = Row::new(set.stage.0).aim(set.stage.1).limit(limit);
    lab.rows(&[row], |lab, turn| {
        let folder = pair.forget(lab, turn.side);
        let staged = stage(lab, &folder, turn);
        lab.git(&folder, &["commit", "-q", "-m", "bench"]);
        vec![staged]
    });
    for side in [Side::Ours, Side::Theirs] {
        let folder = pair.folder(lab, side);
        assert_eq!(lab.git(&folder, &["status", "--porcelain"]), "");
        lab.git(&folder, &["lfs", "fsck"]);
    }
    if let Some(name) = touched
        && lab.wants(&[name])
    {
        let row = Row::new(name).limit(lab.limits.sha256(bytes));
        lab.rows(&[row], |lab, turn| {
            let folder = pair.folder(lab, turn.side);
            touch(&folder.join(file_name(0)));
            vec![match turn.side {
                Side::Ours => lab.ours(&["is-clean", text(&folder)]),
                Side::Theirs => lab.theirs(&folder, &["status", "--porcelain"], turn),
            }]
        });
    }
    let names = [set.push.0, set.clone.0];
    let mut remote = None;
    if lab.wants(&names) {
        let row = Row::new(set.push.0)
            .aim(set.push.1)
            .limit(lab.limits.put(bytes));
        lab.rows(&[row], |lab, turn| {
            let folder = pair.folder(lab, turn.side);
            let name = format!("{}-push-{}-{}", set.name, turn.round, turn.side.name());
            let pushed_to = lab.send_elsewhere(&folder, &name);
            let pushed = push(lab, &folder, turn);
            if let Some(before) = remote.replace(pushed_to) {
                before.remove();
            }
            vec![pushed]
        });
    }
    if let Some(remote) = remote {
        if lab.wants(&[set.clone.0]) {
            let limit = lab.limits.receive(bytes);
            let row = Row::new(set.clone.0).aim(set.clone.1).limit(limit);
            let sample = pair.folder(lab, Side::Theirs).join(file_name(files - 1));
            lab.rows(&[row], |lab, turn| {
                let folder = lab.path("cloned");
                let cloned = clone(lab, &remote, &folder, turn);
                if turn.round == 0 {
                    assert!(same(&sample, &folder.join(file_name(files - 1))));
                }
                fs::remove_dir_all(folder).unwrap();
                vec![cloned]
            });
        }
        remote.remove();
    }
    pair.remove(lab);
}

/// A pull of one file that changed as a whole.
fn pull(lab: &mut Lab) {
    if !lab.wants(&["pull_one"]) {
        return;
    }
    let bytes = lab.options.sizes.large;
    let (writer, remote) = lab.new_clone("pull-writer");
    let clones = [Side::Ours, Side::Theirs].map(|side| lab.path(&format!("pull-{}", side.name())));
    for folder in &clones {
        lab.git(
            &lab.path("home"),
            &["clone", "-q", &remote.url, text(folder)],
        );
    }
    let row = Row::new("pull_one")
        .aim(0.4)
        .limit(lab.limits.receive(bytes));
    lab.rows(&[row], |lab, turn| {
        // What came before takes room, and is not needed any more.
        for folder in clones.iter().chain([&writer]) {
            let _ = fs::remove_dir_all(folder.join(".git/lfs/objects"));
        }
        if turn.side == Side::Ours {
            // Both pull the same.
            data::noise_file(&writer.join(file_name(0)), 100 + turn.round as u64, bytes);
            let quiet = Turn {
                side: Side::Ours,
                ..turn
            };
            stage(lab, &writer, quiet);
            lab.git(&writer, &["commit", "-q", "-m", "changed"]);
            push(lab, &writer, quiet);
        }
        let folder = &clones[turn.side as usize];
        let pulled = match turn.side {
            Side::Ours => lab.ours(&["pull", text(folder)]),
            Side::Theirs => lab.theirs(folder, &["pull", "-q"], turn),
        };
        if turn.round == 0 {
            assert!(same(&writer.join(file_name(0)), &folder.join(file_name(0))));
        }
        vec![pulled]
    });
    for folder in clones.iter().chain([&writer]) {
        fs::remove_dir_all(folder).unwrap();
    }
    remote.remove();
}

fn file_name(number: u64) -> String {
    format!("model-{number}.safetensors")
}

pub(crate) fn stage(lab: &Lab, folder: &Path, turn: Turn) -> Sample {
    match turn.side {
        Side::Ours => lab.ours(&["stage", text(folder)]),
        Side::Theirs => lab.theirs(folder, &["add", "-A"], turn),
    }
}

pub(crate) fn push(lab: &Lab, folder: &Path, turn: Turn) -> Sample {
    match turn.side {
        Side::Ours => lab.ours(&["push", text(folder)]),
        Side::Theirs => lab.theirs(folder, &["push", "-q", "origin", "main"], turn),
    }
}

pub(crate) fn clone(lab: &Lab, remote: &super::sides::Remote, folder: &Path, turn: Turn) -> Sample {
    match turn.side {
        Side::Ours => lab.ours(&["clone", &remote.id, text(folder)]),
        Side::Theirs => {
            let words = ["clone", "-q", &remote.url, text(folder)];
            lab.theirs(&lab.path("home"), &words, turn)
        }
    }
}

fn touch(file: &Path) {
    let file = fs::File::options().append(true).open(file).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
}

fn same(one: &Path, other: &Path) -> bool {
    let compared = std::process::Command::new("cmp")
        .arg(one)
        .arg(other)
        .status();
    compared.unwrap().success()
}
