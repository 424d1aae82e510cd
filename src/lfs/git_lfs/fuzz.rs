//! What git-lfs, or another program of that name, prints.

use super::progress::{Line, oid_of_store_path};
use super::version::Version;
use crate::probe::assert_fit_to_print;
use crate::progress::Direction;

pub(crate) fn git_lfs_output(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Version::parse(&text) {
        Ok(_) => assert!(text.starts_with("git-lfs/")),
        Err(error) => assert_fit_to_print(&error.to_string()),
    }
    for line in data.split(|byte| *byte == b'\n') {
        for direction in [Direction::Upload, Direction::Download] {
            if let Some(found) = Line::parse(line, direction) {
                assert!(line.ends_with(found.name.as_bytes()));
                if let Some(oid) = oid_of_store_path(found.name) {
                    assert!(found.name.contains(&oid.to_string()));
                }
            }
        }
    }
}
