use super::*;

#[test]
fn the_object_is_a_copy_of_the_file() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let file = folder.path().join("f");
    std::fs::write(&file, b"hello\n").expect("written");
    let cleaned = clean(&store, &file, Take::Whole, &CancelToken::new()).expect("cleaned");
    let known = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    assert_eq!(cleaned.object.oid.to_string(), known);
    std::fs::write(&file, b"changed").expect("written");
    let stored = std::fs::read(store.object_path(cleaned.object.oid)).expect("stored");
    assert_eq!(stored, b"hello\n");
}

#[test]
fn an_empty_file_stores_nothing_and_pointers_pass() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let file = folder.path().join("f");
    std::fs::write(&file, b"").expect("written");
    let cleaned = clean(&store, &file, Take::Whole, &CancelToken::new()).expect("cleaned");
    assert_eq!(
        cleaned.object,
        Object {
            oid: LfsOid::EMPTY,
            size: 0
        }
    );
    assert!(!folder.path().join("lfs/objects").exists());
    assert_eq!(read_pointer_file(&file).expect("read"), None);
    std::fs::write(&file, Pointer::new(LfsOid::EMPTY, 5).encode()).expect("written");
    assert!(read_pointer_file(&file).expect("read").is_some());
}

#[test]
fn many_files_are_stored_in_their_order_but_those_that_change() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let count = TOGETHER + 50;
    let file = |number: usize| folder.path().join(format!("f{number}"));
    // Two have the same content, one is empty, one is large, one is not there.
    let content = |number: usize| match number {
        7 => Vec::new(),
        8 => vec![8; usize::try_from(SMALL).expect("small")],
        10 => b"9".to_vec(),
        number => number.to_string().into_bytes(),
    };
    for number in (0..count).filter(|number| *number != 20) {
        std::fs::write(file(number), content(number)).expect("written");
    }
    let files: Vec<PathBuf> = (0..count).map(file).collect();
    let begun = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let begin = |number| assert!(begun.lock().expect("whole").insert(number));
    let cancel = CancelToken::new();
    let all = clean_all(&store, &files, Take::Whole, &begin, &cancel).expect("cleaned");
    assert_eq!(
        (all.len(), begun.lock().expect("whole").len()),
        (count, count)
    );
    for (number, cleaned) in all.iter().enumerate() {
        let Some(cleaned) = cleaned else {
            assert_eq!(number, 20);
            continue;
        };
        let content = content(number);
        assert_eq!(cleaned.object.size, content.len() as u64);
        let hash = Sha256::digest(&content).into();
        assert_eq!(cleaned.object.oid, LfsOid::from_bytes(hash));
        if number != 7 {
            let stored = std::fs::read(store.object_path(cleaned.object.oid));
            assert_eq!(stored.expect("stored"), content);
        }
    }
    assert_eq!(store.stored().expect("listed").len(), count - 3);
    let scratch = std::fs::read_dir(folder.path().join("lfs/tmp")).expect("list");
    assert_eq!(scratch.count(), 0);
}

#[test]
fn one_of_many_that_cannot_be_read_is_an_error_and_nothing_stays_behind() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("a"), b"a").expect("written");
    std::fs::write(file("b"), b"b").expect("written");
    let cancel = CancelToken::new();
    let files = [file("a"), file("b")];
    let stop = |number| {
        if number == 1 {
            cancel.cancel();
        }
    };
    let error = clean_all(&store, &files, Take::Whole, &stop, &cancel).expect_err("stopped");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let scratch = std::fs::read_dir(folder.path().join("lfs/tmp")).expect("list");
    assert_eq!(scratch.count(), 0);
}

#[test]
fn a_cancelled_clean_leaves_nothing() {
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let file = folder.path().join("f");
    std::fs::write(&file, b"x").expect("written");
    let cancel = CancelToken::new();
    cancel.cancel();
    let error = clean(&store, &file, Take::Whole, &cancel).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(
        std::fs::read_dir(folder.path().join("lfs/tmp"))
            .expect("list")
            .count(),
        0
    );
}
#[test]
fn a_prefix_is_what_was_there_at_the_first_look() {
    use std::io::Write;
    let folder = tempfile::tempdir().expect("temp");
    let store = Store::new(folder.path().join("lfs"));
    let file = folder.path().join("f");
    std::fs::write(&file, vec![b'a'; 1 << 20]).expect("written");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let open = std::fs::File::options().append(true).open(&file);
            let mut open = open.expect("opened");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                open.write_all(&[b'b'; 100]).expect("written");
            }
        });
        let grown = |stat: Option<Stat>| stat.is_some_and(|stat| stat.size > 1 << 20);
        while !grown(fs::lstat(&file).expect("looked")) {}
        let cancel = CancelToken::new();
        let cleaned = clean(&store, &file, Take::Prefix, &cancel);
        // On a busy machine the writer may sleep for the time of a whole try.
        let whole = || clean(&store, &file, Take::Whole, &cancel).err();
        let error = (0..100).find_map(|_| whole());
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(error.expect("busy").kind(), ErrorKind::FileChanged);
        let cleaned = cleaned.expect("a prefix");
        assert_eq!(cleaned.object.size, cleaned.stat.size);
        let stored = std::fs::read(store.object_path(cleaned.object.oid)).expect("stored");
        assert!(std::fs::read(&file).expect("read").starts_with(&stored));
    });
}
