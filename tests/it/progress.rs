//! What is reported, and that nobody who listens can do harm.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hf_repository::{Direction, Event, Events, Progress, PushedRef, Repository};
use mini_hub::{Action, Fault, Route};

use crate::support::{World, weights, write};

/// A clone of the model, which is made first, that reports to `progress`.
fn reporting(w: &World, id: &str, folder: &str, progress: Progress) -> Repository {
    w.model(id);
    let prepared = w.prepare(id, folder).progress(progress);
    prepared.clone_repo().unwrap()
}

fn commit(repo: &Repository) {
    repo.stage().unwrap();
    let _ = repo.commit("files").unwrap();
}

/// The finished transfers of one direction: their paths and sizes.
fn finished(events: &[Event], wanted: Direction) -> BTreeMap<String, u64> {
    let of = |event: &Event| match event {
        Event::TransferFinished {
            direction,
            path: Some(path),
            bytes,
            ..
        } if *direction == wanted => Some((path.to_string(), *bytes)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Those that have come until now.
fn drain(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).collect()
}

#[test]
fn a_listener_that_misbehaves_stops_no_push() {
    let (hold, held) = mpsc::channel::<()>();
    let sleeps = Progress::new(|_| thread::sleep(Duration::from_millis(300)));
    let panics = Progress::new(|_| panic!("as the test wants"));
    let blocks = Progress::new(move |_| {
        let _ = held.recv();
    });
    for (name, progress) in [("sleeps", sleeps), ("panics", panics), ("blocks", blocks)] {
        let w = World::new();
        let repo = reporting(&w, "alice/m", "ours", progress);
        for number in 0..30_u64 {
            write(
                repo.workdir(),
                &format!("{number}.bin"),
                weights(number, 2000),
            );
        }
        let began = Instant::now();
        commit(&repo);
        assert_eq!(repo.push().unwrap().outcome, PushedRef::Moved, "{name}");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "30 files and 60 events, of which none is waited for: {name}"
        );
        drop(repo);
        w.assert_sound(w.clone("alice/m", "again").workdir());
    }
    drop(hold);
}

#[test]
fn two_repositories_at_once_do_not_mix() {
    let w = World::new();
    let sides = [("alice/a", "été n° 1"), ("alice/b", "模型 b")];
    let pushed = thread::scope(|scope| {
        let push = |(number, (id, name))| {
            let w = &w;
            move || {
                let (progress, mut events) = Progress::channel();
                let repo = reporting(w, id, &format!("ours {number}"), progress);
                let mut sizes = BTreeMap::new();
                for file in 0..12_usize {
                    let path = format!("{name}/poids {file} – 重み.bin");
                    let size = 20_000 + 1000 * file + 100 * number;
                    write(
                        repo.workdir(),
                        &path,
                        weights((100 * number + file) as u64, size),
                    );
                    sizes.insert(path, size as u64);
                }
                commit(&repo);
                let report = repo.push().unwrap();
                assert_eq!(report.lfs_bytes, sizes.values().sum::<u64>());
                (sizes, drain(&mut events))
            }
        };
        let threads: Vec<_> = sides
            .into_iter()
            .enumerate()
            .map(|side| scope.spawn(push(side)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    for (sizes, events) in pushed {
        assert_eq!(finished(&events, Direction::Upload), sizes);
        let staged = events.iter().filter_map(|event| match event {
            Event::Staging { path, bytes } => Some((path.clone(), *bytes)),
            _ => None,
        });
        assert_eq!(staged.collect::<BTreeMap<_, _>>(), sizes);
    }
}

/// Checks that the bytes of the one object only grow, and that some were seen.
fn assert_grows(events: &[Event], wanted: Direction) {
    let mut before = 0;
    let mut seen = 0;
    for event in events {
        if let Event::TransferProgress {
            direction,
            path,
            bytes,
            total,
            rate,
            ..
        } = event
            && *direction == wanted
        {
            assert_eq!(path.as_ref().unwrap().as_str(), "w.bin");
            assert!(before < *bytes && bytes <= total, "{before} {event:?}");
            assert!(*rate > 0);
            (before, seen) = (*bytes, seen + 1);
        }
    }
    assert!(seen > 0, "{events:?}");
    assert_eq!(finished(events, wanted).len(), 1);
}

#[test]
fn bytes_only_grow_whatever_breaks() {
    const SIZE: usize = 24 << 20;
    let w = World::new();
    let (progress, mut events) = Progress::channel();
    let repo = reporting(&w, "alice/m", "ours", progress);
    write(repo.workdir(), "w.bin", weights(1, SIZE));
    commit(&repo);
    let faults = w.hub.faults();
    // Further, less far, and then through: the pauses between make samples due.
    for (number, bytes) in [(1, 8 << 20), (2, 1 << 20)] {
        let cut = Action::CutRequest(bytes);
        faults.add(Fault::on(Route::LfsPut).nth(number).act(cut));
    }
    repo.push().unwrap();
    assert_grows(&drain(&mut events), Direction::Upload);

    faults.clear();
    for (number, bytes) in [(1, 8 << 20), (2, 1 << 20)] {
        let cut = Action::CutResponse(bytes);
        faults.add(Fault::on(Route::LfsGet).nth(number).act(cut));
    }
    let (progress, events) = Progress::channel();
    let prepared = w.prepare("alice/m", "again").progress(progress);
    drop(prepared.clone_repo().unwrap());
    // With the repository the events end.
    let events: Vec<Event> = events.collect();
    assert_grows(&events, Direction::Download);
    assert!(matches!(
        events.last(),
        Some(Event::CheckedOut { files: 2.., .. })
    ));
}

#[test]
fn a_handler_has_had_all_events_when_the_call_returns() {
    let w = World::new();
    let (tell, told) = mpsc::channel();
    let progress = Progress::new(move |event| tell.send(event.clone()).unwrap());
    let repo = reporting(&w, "alice/m", "ours", progress);
    write(repo.workdir(), "w.bin", weights(1, 5000));
    commit(&repo);
    repo.push().unwrap();
    let events: Vec<Event> = told.try_iter().collect();
    let expected = BTreeMap::from([("w.bin".to_owned(), 5000)]);
    assert_eq!(finished(&events, Direction::Upload), expected);
}

#[test]
fn remotes_on_this_machine_report_as_well() {
    let w = World::new();
    let bare = w.path("remote.git");
    let name = bare.to_string_lossy().into_owned();
    w.git(w.path(""), &["init", "-q", "--bare", &name]);
    let (progress, mut events) = Progress::channel();
    let prepared = w.prepare(&name, "ours").progress(progress);
    let repo = prepared.clone_repo().unwrap();
    write(repo.workdir(), "w.bin", weights(1, 5000));
    write(repo.workdir(), "v.bin", weights(2, 6000));
    commit(&repo);
    // One is there already, and is not reported as moved.
    let pointer = w.git(repo.workdir(), &["cat-file", "blob", ":w.bin"]);
    let oid = pointer.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let below = format!("lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]);
    write(&bare, &below, weights(1, 5000));
    repo.push().unwrap();
    let expected = BTreeMap::from([("v.bin".to_owned(), 6000)]);
    assert_eq!(finished(&drain(&mut events), Direction::Upload), expected);
}
