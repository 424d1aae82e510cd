use std::time::SystemTime;

use super::*;

fn object(content: &[u8]) -> Object {
    let oid = LfsOid::from_bytes(Sha256::digest(content).into());
    Object {
        oid,
        size: content.len() as u64,
    }
}

fn put(store: &Store, content: &[u8]) -> Object {
    let mut temp = store.scratch().expect("scratch");
    temp.write_all(content).expect("written");
    store.insert(object(content), temp).expect("stored");
    object(content)
}

#[test]
fn an_object_is_removed_with_the_folders_it_leaves_empty() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let (one, two) = (put(&store, b"one"), put(&store, b"other"));
    let mut reader = store.open(one).expect("open");
    assert_eq!(store.remove(one.oid).expect("removed"), Some(3));
    assert_eq!(store.remove(one.oid).expect("nothing"), None);
    assert!(!store.contains(one) && store.contains(two));
    let mut text = String::new();
    io::Read::read_to_string(&mut reader, &mut text).expect("still readable");
    assert_eq!(text, "one");
    assert_eq!(files(&folder.path().join("lfs/objects")), 1);
    let left: Vec<_> = store.stored().expect("listed");
    assert_eq!((left.len(), left[0].oid, left[0].bytes), (1, two.oid, 5));
}

#[test]
fn links_and_other_files_are_no_objects() {
    let folder = tempfile::tempdir().expect("temp");
    let (store, other) = (
        Store::new(folder.path().join("lfs")),
        Store::new(folder.path().join("other")),
    );
    let (one, two) = (put(&other, b"one"), put(&other, b"two"));
    let place = |object: Object| store.object_path(object.oid);
    // A link in place of an object, and one in place of a folder.
    fs::create_parent(&place(one)).expect("folder");
    let link = std::os::unix::fs::symlink;
    link(other.object_path(one.oid), place(one)).expect("link");
    let above = |path: PathBuf| path.parent().expect("parent").to_path_buf();
    fs::create_parent(&above(place(two))).expect("folder");
    link(above(other.object_path(two.oid)), above(place(two))).expect("link");
    std::fs::write(above(place(one)).join("notes"), "text").expect("written");
    assert!(store.stored().expect("listed").is_empty());
    for object in [one, two] {
        assert_eq!(store.remove(object.oid).expect("left alone"), None);
        let age = Duration::ZERO;
        assert_eq!(store.remove_if_older(object.oid, age).expect("left"), None);
        assert!(other.contains(object));
    }
    assert!(store.is_inside(folder.path()) && !store.is_inside(&folder.path().join("other")));
    std::os::unix::fs::symlink(folder.path().join("other"), folder.path().join("linked"))
        .expect("link");
    let linked = Store::new(folder.path().join("linked"));
    assert!(!linked.is_inside(&folder.path().join("lfs")));
}

/// Root may read all folders, so as root nothing is seen here.
#[test]
fn the_folder_around_a_store_need_not_be_readable() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("temp");
    let chmod = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), mode).expect("chmod");
    };
    let store = Store::new(folder.path().join("lfs"));
    chmod(0o300);
    let one = put(&store, b"one");
    chmod(0o700);
    assert!(store.contains(one));
}

#[test]
fn what_is_stored_again_is_young() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let one = put(&store, b"one");
    let age = Duration::from_secs(60);
    let remove = || store.remove_if_older(one.oid, age).expect("looked at");
    assert_eq!(remove(), None);
    let make_old = || {
        let file = File::options()
            .append(true)
            .open(store.object_path(one.oid));
        let old = SystemTime::now() - 2 * age;
        file.expect("open").set_modified(old).expect("aged");
    };
    make_old();
    put(&store, b"one");
    assert_eq!(remove(), None);
    make_old();
    assert_eq!(remove(), Some(3));
    assert!(!store.contains(one));
    for name in ["tmp", "objects"] {
        assert_eq!(files(&folder.path().join("lfs").join(name)), 0, "{name}");
    }
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn scratch_files_of_the_dead_are_removed() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let old = SystemTime::now() - 2 * fs::ORPHAN_AGE;
    let age = |file: &File| file.set_modified(old).expect("aged");
    let (living, young) = (
        store.scratch().expect("temp"),
        store.scratch().expect("temp"),
    );
    age(living.as_file());
    let (_, dead) = store.scratch().expect("temp").keep().expect("kept");
    age(&File::options().append(true).open(&dead).expect("open"));
    // git-lfs's own, to be resumed one day.
    let part = store.folder("incomplete").expect("folder").join("ab.part");
    age(&File::create(&part).expect("created"));
    store.remove_orphans();
    assert!(!dead.exists());
    assert!(living.path().exists() && young.path().exists() && part.exists());
}

#[test]
fn only_verified_content_enters() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let wanted = object(b"content");
    let mut writer = store.writer(wanted).expect("writer");
    writer.write_all(b"Content").expect("written");
    let error = writer.finish().expect_err("wrong bytes");
    assert_eq!(error.kind(), ErrorKind::LfsObjectCorrupt);
    assert!(!store.contains(wanted));
    assert_eq!(
        store.open(wanted).expect_err("absent").kind(),
        ErrorKind::LfsObjectMissing
    );

    let mut writer = store.writer(wanted).expect("writer");
    writer.write_all(b"content").expect("written");
    writer.finish().expect("right bytes");
    assert!(store.contains(wanted));
    assert!(!store.contains(Object { size: 8, ..wanted }));
    assert_eq!(files(&folder.path().join("lfs/incomplete")), 0);
}

#[test]
fn checkout_copies_and_sets_the_mode() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let wanted = object(b"#!/bin/sh");
    let mut temp = store.scratch().expect("scratch");
    temp.write_all(b"#!/bin/sh").expect("written");
    store.insert(wanted, temp).expect("stored");
    let target = folder.path().join("run");
    store.checkout(wanted, &target, true).expect("copied");
    assert_eq!(std::fs::read(&target).expect("read"), b"#!/bin/sh");
    assert_ne!(
        std::fs::metadata(&target)
            .expect("stat")
            .permissions()
            .mode()
            & 0o100,
        0
    );
    std::fs::write(&target, "changed").expect("written");
    assert!(store.contains(wanted), "the store has a copy of its own");
}
