//! Rows of saves: the call that training waits for.

use std::fs;
use std::process::Command;

use super::data;
use super::lab::{Files, Lab, Pair, Side, Turn, text};
use super::sides::{Memory, Sample, clocked};
use super::table::{Row, median};

/// Python's call that returns while the push goes on; prints its seconds.
const PYTHON: &str = "
import sys, time
from huggingface_hub import Repository
repo = Repository(local_dir=sys.argv[1])
began = time.perf_counter()
repo.push_to_hub(commit_message='bench', blocking=False)
print(time.perf_counter() - began)
repo.wait_for_commands()
";
/// The file that is saved.
const FILE: &str = "checkpoint.bin";

pub(crate) fn rows(lab: &mut Lab) {
    against_python(lab);
    history(lab);
}

/// One large file, against the background push of Python's class.
fn against_python(lab: &mut Lab) {
    if lab.tools.python.is_none() || lab.tools.git_lfs.is_none() {
        return;
    }
    let bytes = lab.options.sizes.large;
    let limit = lab.limits.store(bytes);
    for (row, job) in [
        (Row::new("save").aim(0.15).limit(limit), "save"),
        // An entry of the journal, and its folder.
        (
            Row::new("save_deferred").limit(lab.limits.synced(1)),
            "deferred",
        ),
    ] {
        if !lab.wants(&[row.name]) {
            continue;
        }
        let pair = Pair::new(lab, row.name, Files::Few, |folder| {
            data::noise_file(&folder.join(FILE), 1, bytes);
        });
        lab.rows(&[row], |lab, turn| {
            let folder = pair.forget(lab, turn.side);
            let name = format!("{job}-{}-{}", turn.round, turn.side.name());
            let remote = lab.send_elsewhere(&folder, &name);
            let saved = match turn.side {
                Side::Ours => lab.our_call(&[job, text(&folder)]),
                Side::Theirs => python(lab, text(&folder), turn),
            };
            remote.remove();
            vec![saved]
        });
        pair.remove(lab);
    }
}

fn python(lab: &Lab, folder: &str, turn: Turn) -> Sample {
    let mut command = Command::new(lab.tools.python.as_ref().unwrap());
    command
        .arg("-W")
        .arg("ignore")
        .arg("-c")
        .arg(PYTHON)
        .arg(folder);
    command.stderr(std::process::Stdio::null());
    lab.surround(&mut command);
    let memory = if turn.round == 0 {
        Memory::Watched
    } else {
        Memory::Alone
    };
    let (sample, text) = clocked(&mut command, memory);
    Sample {
        seconds: text.lines().last().unwrap().parse().unwrap(),
        ..sample
    }
}

/// Many saves of a file of which a tenth changes: the last against the first. There is no peer.
fn history(lab: &mut Lab) {
    if !lab.wants(&["save_100th"]) {
        return;
    }
    let (count, bytes) = lab.options.sizes.saves;
    let (folder, remote) = lab.new_clone("history");
    let (count, bytes) = (count.to_string(), bytes.to_string());
    let (peak_kib, calls) = lab.our_calls(&["checkpoints", text(&folder), &count, &bytes]);
    // A single call is at the mercy of the disk: the first and the last fifth, but for the very first
    // call, which starts the worker.
    let calls = &calls[1..];
    let fifth = calls.len() / 5;
    let (first, last) = (&calls[..fifth], &calls[calls.len() - fifth..]);
    let as_samples = |calls: &[f64]| {
        let one = |seconds: &f64| Sample {
            seconds: *seconds,
            peak_kib,
        };
        // The row's own warm-up is left out of its figures.
        std::iter::once(&calls[0]).chain(calls).map(one).collect()
    };
    let row = Row::new("save_100th").aim(1.1);
    println!("# save_100th: the medians of the last and the first fifth of {count} saves");
    lab.table.add(&row, as_samples(last), as_samples(first));
    let number = |at: usize| f64::from(u32::try_from(at).unwrap());
    let tenth = calls.len().div_ceil(10);
    let points = calls.chunks(tenth).enumerate();
    let points = points.map(|(at, calls)| (number((at + 1) * tenth), median(calls.to_vec())));
    lab.table.grow("save_by_history", "saves", points.collect());
    fs::remove_dir_all(folder).unwrap();
    remote.remove();
}
