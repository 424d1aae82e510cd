//! What this machine needs for hashing, copying, syncing, sending and getting: `cargo bench --bench limits`.
//!
//! `-- 256` takes files of 256 MiB; a GiB by itself. The bench of the peers measures the same in each of
//! its runs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    dead_code,
    reason = "a bench is a program, and its parts are those of another one"
)]

#[path = "../peers/data.rs"]
mod data;
mod limits;
#[path = "../peers/sides.rs"]
mod sides;
#[path = "../peers/table.rs"]
mod table;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == sides::SERVE) {
        return sides::serve(arguments[1].as_ref());
    }
    let mib = arguments.iter().find_map(|text| text.parse().ok());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut hub = sides::Hub::start(&folder.path().join("hub"));
    limits::Limits::measure(&mut hub, folder.path(), mib.unwrap_or(1024) << 20).print();
}
