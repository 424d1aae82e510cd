use super::format::checksum;
use super::*;

fn push() -> PushPromise {
    PushPromise {
        commit: "5e1c309dae7f45e0f39b1bf3ac3cd9db12e7d689"
            .parse()
            .expect("id"),
        branch: "experiments/ü".parse().expect("name"),
        remote: "origin".parse().expect("name"),
        target: "refs/heads/experiments/ü".parse().expect("name"),
        maker: Maker::Save,
        moves: Move::Create,
        supersedes: vec![
            "ae7f45e0f39b1bf3ac3cd9db12e7d6895e1c309d"
                .parse()
                .expect("id"),
        ],
    }
}

fn for_request() -> PushPromise {
    PushPromise {
        branch: "pr/3".parse().expect("name"),
        target: "refs/pr/3".parse().expect("name"),
        ..push()
    }
}

/// Who knows nothing of targets would push it to a branch.
#[test]
fn what_is_for_no_branch_is_of_a_later_version() {
    for (promise, version) in [(push(), 1), (for_request(), 2)] {
        let text = encode("owner", &Promise::Push(promise)).expect("encoded");
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(
            text.starts_with(&format!("{{\"version\":{version},")),
            "{text}"
        );
        assert_eq!(
            text.contains("\"target\":\"refs/pr/3\""),
            version == 2,
            "{text}"
        );
    }
}

fn intent() -> Intent {
    Intent {
        branch: "main".parse().expect("name"),
        remote: "origin".parse().expect("name"),
        message: "step 1\n\nwith \"quotes\"".to_owned(),
        files: vec![SeenFile {
            path: RepoPath::new("a b/ü.bin").expect("path"),
            size: 1 << 40,
            mtime: (-1, 999_999_999),
            ctime: (i64::MAX, 0),
            ino: u64::MAX,
        }],
        gone: vec![RepoPath::new("old.bin").expect("path")],
        excluded: vec!["tmp".to_owned()],
        track_from: Some(10 << 20),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().expect("temp");
    let journal = Journal::new(folder.path());
    assert!(journal.load().expect("none").entries.is_empty());
    let moved = PushPromise {
        moves: Move::From(push().commit),
        supersedes: Vec::new(),
        maker: Maker::User,
        ..push()
    };
    let promises = [
        Promise::Push(push()),
        Promise::Stage(intent()),
        Promise::Push(moved),
        Promise::Push(for_request()),
    ];
    let ids: Vec<EntryId> = promises
        .iter()
        .map(|promise| journal.append("owner-a", promise).expect("written"))
        .collect();
    let loaded = journal.load().expect("read");
    assert!(loaded.damaged.is_empty());
    let read: Vec<&Promise> = loaded.entries.iter().map(|entry| &entry.promise).collect();
    assert_eq!(read, promises.iter().collect::<Vec<_>>());
    journal
        .replace(ids[0], "owner-b", &promises[0])
        .expect("replaced");
    journal.close(ids[1]).expect("closed");
    journal.close(ids[1]).expect("closed twice");
    let loaded = journal.load().expect("read").entries;
    let owners: Vec<(&str, EntryId)> = loaded
        .iter()
        .map(|entry| (entry.owner.as_str(), entry.id))
        .collect();
    let kept = [
        ("owner-b", ids[0]),
        ("owner-a", ids[2]),
        ("owner-a", ids[3]),
    ];
    assert_eq!(owners, kept);
}

#[test]
fn damage_of_any_byte_is_noticed_and_set_aside() {
    let folder = tempfile::tempdir().expect("temp");
    let journal = Journal::new(folder.path());
    let good = Promise::Push(push());
    let whole = encode("owner-a", &good).expect("encoded");
    for at in 0..whole.len() - 1 {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        assert!(decode(&bent).is_err(), "byte {at}");
    }
    for length in 0..whole.len() - 1 {
        assert!(decode(&whole[..length]).is_err(), "{length} bytes");
    }
    let id = journal.append("owner-a", &good).expect("written");
    let kept = journal.append("owner-a", &good).expect("written");
    std::fs::write(journal.path(id), &whole[..whole.len() / 2]).expect("bent");
    let loaded = journal.load().expect("read");
    assert_eq!(loaded.entries.len(), 1);
    assert_eq!(loaded.entries[0].id, kept);
    assert_eq!(loaded.damaged[0].kind(), ErrorKind::JournalDamaged);
    assert!(!journal.path(id).exists());
    let aside = journal.folder.join(format!("damaged-{:020}", id.0));
    assert!(aside.exists());
    assert!(
        journal.load().expect("read").damaged.is_empty(),
        "told once"
    );
}

#[test]
fn the_format_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().expect("temp");
    let journal = Journal::new(folder.path());
    std::fs::create_dir_all(&journal.folder).expect("created");
    let json = r#"{"version":3,"owner":"x","kind":"dance"}"#;
    let text = format!("{json}\n{}\n", checksum(json.as_bytes()));
    let path = journal.path(EntryId(u64::MAX - 1));
    std::fs::write(&path, text).expect("written");
    let loaded = journal.load().expect("read");
    assert_eq!(loaded.damaged[0].kind(), ErrorKind::Unsupported);
    assert!(path.exists());
    let next = journal
        .append("owner-a", &Promise::Push(push()))
        .expect("written");
    assert_eq!(
        next,
        EntryId(u64::MAX),
        "numbers grow whatever the clock says"
    );
}

#[test]
fn many_append_at_once() {
    let folder = tempfile::tempdir().expect("temp");
    let journal = Journal::new(folder.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    journal
                        .append("owner-a", &Promise::Push(push()))
                        .expect("written");
                }
            });
        }
    });
    assert_eq!(journal.load().expect("read").entries.len(), 40);
}

#[test]
fn a_move_that_was_made_is_noted_beside_the_entry() {
    let folder = tempfile::tempdir().expect("temp");
    let journal = Journal::new(folder.path());
    let id = journal
        .append("owner-a", &Promise::Push(push()))
        .expect("written");
    journal.note_moved(id);
    let loaded = journal.load().expect("read").entries;
    assert!(matches!(&loaded[0].promise, Promise::Push(push) if push.moves == Move::Done));
    journal.close(id).expect("closed");
    let left = std::fs::read_dir(&journal.folder).expect("listed").count();
    assert_eq!((left, journal.is_empty().expect("read")), (0, true));
}

#[test]
fn what_cannot_be_read_may_name_any_commit() {
    let folder = tempfile::tempdir().expect("temp");
    let journal = Journal::new(folder.path());
    let id = journal
        .append("owner-a", &Promise::Push(push()))
        .expect("written");
    let sight = journal.look().expect("read");
    assert!(sight.names(push().commit) && !sight.is_blurred);
    std::fs::write(journal.path(id), "bent").expect("written");
    assert!(journal.look().expect("read").is_blurred);
    assert_eq!(journal.load().expect("read").damaged.len(), 1);
    assert!(journal.look().expect("read").is_blurred, "set aside");
}
