//! How the cost of a job grows with its size.

use std::fs;

use super::data;
use super::lab::{Lab, text};
use super::table::median;

/// Runs for each point.
const RUNS: usize = 3;

pub(crate) fn lines(lab: &mut Lab) {
    if !lab.wants(&["growth"]) {
        return;
    }
    files(lab);
    bytes(lab);
    queue(lab);
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn real(number: u64) -> f64 {
    number as f64
}

/// Staging new text files, and looking at them when they are committed.
fn files(lab: &mut Lab) {
    let most = lab.options.sizes.huge;
    let mut staged = Vec::new();
    let mut looked = Vec::new();
    for count in [most / 100, most / 30, most / 10, most / 3] {
        let (folder, _) = lab.new_clone(&format!("growth-files-{count}"));
        data::texts(&folder, 8, count);
        let stage = lab.ours(&["stage", text(&folder)]);
        staged.push((real(count), stage.seconds));
        lab.ours(&["commit", text(&folder)]);
        let look = || lab.ours(&["is-clean", text(&folder)]).seconds;
        looked.push((real(count), median((0..RUNS).map(|_| look()).collect())));
        lab.put_away(&folder);
    }
    lab.table.grow("stage_by_files", "files", staged);
    lab.table.grow("status_by_files", "files", looked);
}

/// Staging one LFS file.
fn bytes(lab: &mut Lab) {
    let most = lab.options.sizes.large;
    let mut points = Vec::new();
    for bytes in [most / 64, most / 16, most / 4, most] {
        let (folder, remote) = lab.new_clone(&format!("growth-bytes-{bytes}"));
        let mut times = Vec::new();
        for run in 0..RUNS {
            data::noise_file(&folder.join("model.safetensors"), run as u64, bytes);
            let sample = lab.ours(&["stage", text(&folder)]);
            times.push(sample.seconds);
        }
        points.push((real(bytes >> 20), median(times)));
        fs::remove_dir_all(folder).unwrap();
        remote.remove();
    }
    lab.table.grow("stage_by_bytes", "MiB", points);
}

/// Saves while more and more commits wait for a push that does not get on.
fn queue(lab: &mut Lab) {
    // One less than have room: the next would wait for the push.
    const COUNT: u32 = 15;
    let (folder, remote) = lab.new_clone("queue");
    let words = [
        "queue",
        text(&folder),
        &COUNT.to_string(),
        &(4 << 20).to_string(),
    ];
    let (_, calls) = lab.our_calls(&words);
    let points = (0..COUNT).map(f64::from).zip(calls).collect();
    lab.table.grow("save_by_queue", "commits waiting", points);
    fs::remove_dir_all(folder).unwrap();
    remote.remove();
}
