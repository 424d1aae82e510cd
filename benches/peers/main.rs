//! Ours against git with git-lfs, and against Python's `Repository`: `cargo bench --bench peers`.
//!
//! Prints a line per row: `name ours_s peer_s ratio min..max`, medians in seconds and the ratio of ours
//! to theirs, so less is better; what is not a row begins with `#`. docs/performance.md says how it is
//! measured. Options, after `--`:
//!
//! * `--quick`: smaller sizes, under three minutes
//! * `--rows a,b`: only rows whose names contain one of these
//! * `--rounds n`: how often each side does each job, 5 by itself
//! * `--plots folder`: where the plots are written
//! * `--no-fetch`: does not get peers from PyPI that are not here
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench is a program"
)]

mod beside;
mod big;
mod checkpoints;
mod data;
mod growth;
mod job;
mod lab;
#[path = "../limits/limits.rs"]
mod limits;
mod many;
mod plot;
mod sides;
mod table;
mod tools;

use lab::{Lab, Options};

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(sides::SERVE) => return sides::serve(arguments[1].as_ref()),
        Some(sides::JOB) => return job::run(&arguments.split_off(1)),
        _ => {}
    }
    let options = Options::parse(&arguments);
    let mut lab = Lab::new(options);
    big::rows(&mut lab);
    many::rows(&mut lab);
    checkpoints::rows(&mut lab);
    beside::lines(&mut lab);
    growth::lines(&mut lab);
    lab.table.summary();
    if let Some(folder) = &lab.options.plots {
        plot::write(&lab.table, folder);
    }
}
