use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::cancel::CancelToken;
use crate::name::BranchName;
use crate::parallel;

fn repository(folder: &Path) -> Git {
    super::super::create(&folder.join("r"), &BranchName::main()).expect("created")
}

/// Sizes at which the header of an entry gets longer, and content that does and does not compress.
fn contents() -> Vec<Vec<u8>> {
    let mut noise = 1_u64;
    let mut next = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_le_bytes()[0]
    };
    let sizes = [
        0, 1, 15, 16, 17, 2047, 2048, 2049, 262_143, 262_144, 300_000,
    ];
    let mut all: Vec<Vec<u8>> = sizes.iter().map(|size| vec![b'x'; *size]).collect();
    all.extend(sizes.map(|size| (0..size).map(|_| next()).collect()));
    all.extend((0..100).map(|number| format!("{number}\n").into_bytes()));
    all
}

/// The files of the packs' folder with this extension.
fn files(git: &Git, extension: &str) -> Vec<PathBuf> {
    let folder = git.common_dir().join("objects/pack");
    let entries = std::fs::read_dir(folder).expect("listed");
    let paths = entries.map(|entry| entry.expect("entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

/// How many objects an index says its pack has: the last of the numbers at its beginning.
fn count_in(index: &Path) -> usize {
    let bytes = std::fs::read(index).expect("read");
    let last = bytes[8 + 255 * 4..][..4].try_into().expect("four bytes");
    u32::from_be_bytes(last).try_into().expect("a number")
}

#[test]
fn each_object_is_packed_once() {
    let folder = tempfile::tempdir().expect("temp");
    let ours = repository(folder.path());
    let contents = contents();
    let there = ours.repo.blob(b"there already\n").expect("written");
    let objects = ours.new_objects(contents.len()).expect("begun");
    // Each twice, from several threads; and one that is there already.
    let twice = [
        contents.clone(),
        contents.clone(),
        vec![b"there already\n".to_vec()],
    ]
    .concat();
    let begin = || Ok(Packer::new());
    let ids = parallel::map_with(&twice, &CancelToken::new(), begin, |packer, bytes| {
        objects.add(packer, ObjectType::Blob, bytes)
    });
    let ids = ids.expect("added");
    assert!(
        files(&ours, "idx").is_empty(),
        "nothing counts before all of it is there"
    );
    objects.finish().expect("finished");
    assert_eq!(ids.last(), Some(&there));
    for (bytes, id) in twice.iter().zip(&ids) {
        assert_eq!(&ours.blob(*id).expect("read"), bytes);
    }
    let (packs, indexes) = (files(&ours, "pack"), files(&ours, "idx"));
    let ([pack], [index]) = (&packs[..], &indexes[..]) else {
        panic!("{packs:?} {indexes:?}");
    };
    // Each object is in it once, and the one that was there before is not.
    let kept = contents.iter().collect::<HashSet<_>>().len();
    assert_eq!(count_in(index), kept);
    let mode = std::fs::metadata(pack).expect("stat").permissions().mode();
    assert_eq!(mode & 0o222, 0, "packs are not written to");
    assert_eq!(
        std::fs::read_dir(pack.parent().expect("folder"))
            .expect("listed")
            .count(),
        2
    );
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().expect("temp");
    let ours = repository(folder.path());
    let objects = ours.new_objects(PACK_FROM).expect("begun");
    let mut packer = Packer::new();
    let id = objects.add(&mut packer, ObjectType::Blob, b"lost\n");
    let packs = ours.common_dir().join("objects/pack");
    let count = || std::fs::read_dir(&packs).expect("listed").count();
    assert_eq!(count(), 1);
    drop(objects);
    assert_eq!(count(), 0);
    assert!(ours.blob(id.expect("added")).is_err());
    // Nor does what took nothing.
    let nothing = ours.new_objects(PACK_FROM).expect("begun");
    nothing.finish().expect("finished");
    assert_eq!(count(), 0);
}

#[test]
fn a_full_pack_is_followed_by_another() {
    let folder = tempfile::tempdir().expect("temp");
    let ours = repository(folder.path());
    let objects = ours.new_objects(PACK_FROM).expect("begun");
    let mut packer = Packer::new();
    let mut add = |bytes: &[u8]| objects.add(&mut packer, ObjectType::Blob, bytes);
    let first = add(b"1\n").expect("added");
    if let Some(packs) = &objects.packs
        && let Some(open) = &mut packs.lock().expect("locked").open
    {
        open.full = true;
    }
    let second = add(b"2\n").expect("added");
    // What the first one has is not written again.
    assert_eq!(add(b"1\n").expect("added"), first);
    objects.finish().expect("finished");
    assert_eq!(files(&ours, "idx").len(), 2);
    for (id, bytes) in [(first, b"1\n"), (second, b"2\n")] {
        assert_eq!(ours.blob(id).expect("read"), bytes);
    }
    let held: usize = files(&ours, "idx")
        .iter()
        .map(|index| count_in(index))
        .sum();
    assert_eq!(held, 2);
}
