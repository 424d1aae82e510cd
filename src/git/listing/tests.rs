use super::file::{CHECKSUM, parse};
use super::*;
use crate::name::BranchName;

fn repository() -> (tempfile::TempDir, Git) {
    let temp = tempfile::tempdir().expect("temp");
    let git = super::super::create(temp.path(), &BranchName::main()).expect("created");
    (temp, git)
}

/// An index with names of many lengths, flags of both kinds, conflicts, and trees it remembers.
fn write_index(git: &Git, version: u32, longest: usize) -> Vec<u8> {
    let mut index = git.repo.index().expect("open");
    index.clear().expect("cleared");
    index.set_version(version).expect("known");
    let names = ["A", "a-b", "a.b/c", "a/b", "a/b2", "abcdefghi", "b/c/d/e/f"];
    let long = "l".repeat(longest);
    let blob = git.repo.blob(b"text").expect("written");
    for (number, name) in (0..).zip(names.into_iter().chain([&*long])) {
        let entry = IndexEntry {
            ctime: IndexTime::new(-1, number),
            mtime: IndexTime::new(i32::MAX, 999_999_999),
            dev: 0,
            ino: u32::MAX - number,
            mode: [0o100_644, 0o100_755, 0o120_000][number as usize % 3],
            uid: number,
            gid: number + 1,
            file_size: u32::MAX,
            id: blob,
            flags: if number == 3 { ASSUME_VALID } else { 0 },
            flags_extended: if number == 2 && version > 2 {
                Flags::SKIP_WORKTREE
            } else {
                0
            },
            path: name.into(),
        };
        index.add(&entry).expect("added");
    }
    index.write_tree().expect("written");
    for stage in 1..=3 {
        let entry = index.get(0).expect("there");
        let flags = stage << 12;
        index
            .add(&IndexEntry {
                flags,
                path: b"zz/conflict".into(),
                ..entry
            })
            .expect("added");
    }
    index.write().expect("written");
    std::fs::read(git.git_dir().join("index")).expect("read")
}

#[test]
fn the_file_says_what_libgit2_says() {
    let (_temp, git) = repository();
    for version in [2, 3, 4] {
        let bytes = write_index(&git, version, 4095);
        let file::Parsed {
            rows, text, trees, ..
        } = parse(&bytes).expect("valid");
        assert_eq!(text.is_some(), version == 4);
        let text = text.unwrap_or_else(|| bytes.clone());
        let index = git.index().expect("read");
        let wanted = Listing::of_raw(&git, index.raw(), index.written_at()).expect("read");
        let told = |rows: &[Row], text: &[u8]| -> Vec<String> {
            let tell = |row: &Row| {
                let path = &text[row.at as usize..][..row.length as usize];
                let path = String::from_utf8_lossy(path);
                let kept = row.flags & (ASSUME_VALID | 0x3000);
                let skips = row.flags_extended & Flags::SKIP_WORKTREE;
                format!(
                    "{path} {} {:o} {:?} {kept} {skips}",
                    row.id, row.mode, row.recorded
                )
            };
            rows.iter().map(tell).collect()
        };
        assert_eq!(
            told(&rows, &text),
            told(&wanted.rows, &wanted.text),
            "{version}"
        );
        assert_eq!(rows.len(), 11);
        let trees = trees.expect("some are known");
        let a = trees.child(b"a").expect("known").id_for(2).expect("valid");
        assert_eq!(git.files_of(a).expect("read").len(), 2);
        // The conflict came later.
        assert_eq!(trees.id_for(11), None);
        let listing = git.listing().expect("read");
        assert!(listing.find(b"a/b2").is_some() && listing.find(b"zz/conflict").is_none());
        assert_eq!(listing.below(3..11, b"a/"), 2);
        assert!(
            listing.is_watched(7) && !listing.is_watched(8),
            "in conflict"
        );
    }
}

#[test]
fn damage_is_seen_or_harmless() {
    let (_temp, git) = repository();
    for version in [2, 4] {
        let bytes = write_index(&git, version, 9);
        for end in 0..bytes.len() {
            // Only what is behind the entries may be gone.
            let rows = parse(&bytes[..end]).map_or(11, |parsed| parsed.rows.len());
            assert_eq!(rows, 11, "{end}");
        }
        for at in 0..bytes.len() {
            for bit in [0, 3, 6, 7] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                parse(&damaged);
            }
        }
    }
}

#[test]
fn what_may_change_the_meaning_is_left_to_libgit2() {
    let (_temp, git) = repository();
    let bytes = write_index(&git, 2, 9);
    let end = bytes.len() - CHECKSUM;
    let with = |name: &[u8]| [&bytes[..end], name, &[0; 4], &bytes[end..]].concat();
    assert!(parse(&with(b"FSMN")).is_some());
    for name in [b"link", b"sdir"] {
        assert!(parse(&with(name)).is_none());
    }
}
