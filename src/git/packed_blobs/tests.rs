use std::fs::{self, OpenOptions};
use std::path::PathBuf;

use git2::ObjectType;

use super::super::new_pack::Packer;
use super::*;
use crate::git::Git;
use crate::name::BranchName;

/// A repository with these blobs in one pack.
fn packed(blobs: &[Vec<u8>]) -> (tempfile::TempDir, Git, Vec<ObjectId>) {
    let temp = tempfile::tempdir().expect("temp");
    let git = super::super::create(temp.path(), &BranchName::main()).expect("created");
    let objects = git.new_objects(100).expect("begun");
    let mut packer = Packer::new();
    let ids = blobs.iter();
    let ids = ids.map(|bytes| {
        objects
            .add(&mut packer, ObjectType::Blob, bytes)
            .expect("packed")
    });
    let ids = ids.collect();
    let tree = objects.add(&mut packer, ObjectType::Tree, b"");
    let _ = tree.expect("packed");
    objects.finish().expect("written");
    (temp, git, ids)
}

/// Bytes that compress to about a half.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state & 15) as u8
    };
    (0..length).map(|_| byte()).collect()
}

fn folder(git: &Git) -> PathBuf {
    git.common_dir().join("objects/pack")
}

fn file(git: &Git, extension: &str) -> PathBuf {
    let entries = fs::read_dir(folder(git)).expect("listed");
    let mut paths = entries.map(|entry| entry.expect("read").path());
    paths
        .find(|path| path.extension().is_some_and(|end| end == extension))
        .expect("there")
}

#[test]
fn every_blob_is_what_it_was() {
    let sizes = [
        0,
        1,
        15,
        16,
        2047,
        2048,
        4090,
        8000,
        70_000,
        300_000,
        4 << 20,
    ];
    let mut blobs: Vec<Vec<u8>> = (1..)
        .zip(sizes)
        .map(|(seed, size)| noise(seed, size))
        .collect();
    // So many that some share their first byte with more than are read at a time.
    blobs.extend((0..1500_u32).map(|number| number.to_be_bytes().to_vec()));
    blobs.push(vec![b'x'; 100_000]);
    let (_temp, git, ids) = packed(&blobs);
    let found = PackedBlobs::open(&folder(&git));
    let mut unpacker = Unpacker::new();
    for (id, blob) in ids.iter().zip(&blobs) {
        assert_eq!(found.read(*id, &mut unpacker), Some(&blob[..]));
        let size = blob.len() as u64;
        for most in [1, 8000, 8 << 20] {
            let start = &blob[..blob.len().min(most)];
            let look = found.look(*id, most as u64, u64::MAX, &mut unpacker);
            assert_eq!(look, Some((size, start)));
        }
        let look = found.look(*id, 8000, size.saturating_sub(1), &mut unpacker);
        assert_eq!(look.map(|(size, _)| size), Some(size));
        assert!(size == 0 || look.is_some_and(|(_, start)| start.is_empty()));
    }
    for number in 0..1500_u32 {
        let other = Git::hash_blob(&(number + 5000).to_be_bytes()).expect("hashed");
        assert_eq!(found.read(other, &mut unpacker), None);
    }
    // A tree is no blob.
    let tree = ObjectId::hash_object(ObjectType::Tree, b"").expect("hashed");
    assert_eq!(found.read(tree, &mut unpacker), None);
}

#[test]
fn what_is_too_large_or_beside_packs_is_left_to_libgit2() {
    let (_temp, git, ids) = packed(&[vec![b'x'; (4 << 20) + 1]]);
    let loose = git.write_blob(b"loose").expect("written");
    let mut reader = git.blob_readers().reader();
    assert!(reader.repo.is_none());
    let length = |bytes: &[u8]| bytes.len();
    assert_eq!(reader.read(loose, length).expect("read"), 5);
    assert!(reader.repo.is_some());
    assert_eq!(reader.read(ids[0], length).expect("read"), (4 << 20) + 1);
    let (size, start) = reader.look(loose, 2, 100).expect("read");
    assert_eq!((size, &start[..]), (5, &b"lo"[..]));
    // And so is what came after it was opened.
    let objects = git.new_objects(100).expect("begun");
    let added = objects.add(&mut Packer::new(), ObjectType::Blob, b"later");
    objects.finish().expect("written");
    assert_eq!(
        reader.read(added.expect("packed"), length).expect("read"),
        5
    );
}

#[test]
fn no_damage_is_taken_for_a_blob() {
    let blob = noise(7, 5000);
    let (_temp, git, ids) = packed(&[blob.clone(), b"other".to_vec()]);
    for extension in ["pack", "idx"] {
        let file = file(&git, extension);
        let whole = fs::read(&file).expect("read");
        let mut permissions = fs::metadata(&file).expect("looked").permissions();
        #[expect(
            clippy::permissions_set_readonly_false,
            reason = "a folder of this test's own"
        )]
        permissions.set_readonly(false);
        fs::set_permissions(&file, permissions).expect("set");
        let rewrite = |bytes: &[u8]| {
            let mut options = OpenOptions::new();
            let opened = options.write(true).truncate(true).open(&file);
            io::Write::write_all(&mut opened.expect("opened"), bytes).expect("written");
        };
        let read = || {
            let found = PackedBlobs::open(&folder(&git));
            let mut unpacker = Unpacker::new();
            found.read(ids[0], &mut unpacker).map(<[u8]>::to_vec)
        };
        for at in (0..whole.len()).step_by(7) {
            let mut broken = whole.clone();
            broken[at] ^= 0x41;
            rewrite(&broken);
            assert!(read().is_none_or(|bytes| bytes == blob), "{extension} {at}");
            rewrite(&whole[..at]);
            assert!(read().is_none_or(|bytes| bytes == blob), "{extension} {at}");
        }
        rewrite(&whole);
        assert_eq!(read().as_ref(), Some(&blob));
    }
}
