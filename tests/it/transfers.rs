//! Objects on the wire: from where they stopped, with URLs that do not live long, under limits.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hf_repository::{Bandwidth, Content, ErrorKind, Event, NetworkLimits, Progress};
use mini_hub::{Action, Fault, Quota, Route};

use crate::support::judge::assert_same_files;
use crate::support::moving::{
    MIB, commit, in_parts, incomplete, journals, oid, pointers_only, pushed, received, requests,
};
use crate::support::saving::LONG;
use crate::support::{World, needs_git_lfs, weights, write};

#[test]
fn a_download_cut_at_half_five_times_asks_for_the_rest_only() {
    let size = 4 * MIB;
    let (w, first) = pushed(size);
    let mut left = size as u64;
    for number in 1..=5 {
        left /= 2;
        w.hub.faults().add(
            Fault::on(Route::LfsGet)
                .nth(number)
                .act(Action::CutResponse(left)),
        );
    }
    w.hub.clear_requests();
    let limits = NetworkLimits::default();
    let prepared = w.prepare("alice/m", "ours").network_limits(limits);
    let repo = prepared.clone_repo().unwrap();
    let gets = requests(&w, Route::LfsGet);
    assert_eq!(gets.len(), 6);
    assert!(gets[1..].iter().all(|get| get.range.is_some()));
    let ratio = received(&gets) as f64 / size as f64;
    assert!(ratio <= 1.2, "{ratio:.3} times the size came");
    assert_same_files(first.workdir(), repo.workdir());
    assert_eq!(incomplete(&w, "ours").len(), 0);
}

#[test]
fn a_download_goes_on_where_git_lfs_stopped() {
    needs_git_lfs!();
    let size = 3 * MIB;
    let (w, first) = pushed(size);
    let oid = oid(&w, first.workdir(), "big.bin");
    let repo = pointers_only(&w);
    // It would try for half a minute.
    let retries = ["config", "lfs.transfer.maxretries", "1"];
    w.git(repo.workdir(), &retries);
    // git-lfs itself, cut off in the middle, leaves its beginning there.
    let cut = Action::CutResponse(MIB as u64);
    w.hub.faults().add(Fault::on(Route::LfsGet).act(cut));
    let gone = Fault::on(Route::LfsGet).nth(2).always();
    w.hub.faults().add(gone.act(Action::status(404)));
    let output = w.try_git(repo.workdir(), &["lfs", "pull"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told} {:?}", w.hub.requests());
    w.hub.faults().clear();
    let left = incomplete(&w, "ours");
    assert!(!left.is_empty(), "git-lfs left nothing to go on with");
    let part = left
        .iter()
        .find(|path| path.to_string_lossy().ends_with(&format!("{oid}.part")))
        .expect("git-lfs keeps it under the agreed name");
    let there = fs::metadata(part).unwrap().len();
    assert!(there > 0);
    w.hub.clear_requests();
    repo.fetch_content(["big.bin"]).unwrap();
    let gets = requests(&w, Route::LfsGet);
    assert_eq!(received(&gets), size as u64 - there);
    assert_eq!(
        gets[0].range.as_deref(),
        Some(&*format!("bytes={there}-{}", size - 1))
    );
    assert_same_files(first.workdir(), repo.workdir());
    let object = w.path(&format!(
        "ours/.git/lfs/objects/{}/{}/{oid}",
        &oid[..2],
        &oid[2..4]
    ));
    let mode = fs::metadata(object).unwrap().permissions().mode();
    assert_eq!(mode & 0o444, 0o444, "as readable as any file here");
}

#[test]
fn git_lfs_goes_on_where_a_download_stopped() {
    needs_git_lfs!();
    let size = 3 * MIB;
    let (w, first) = pushed(size);
    let repo = w
        .prepare("alice/m", "ours")
        .content(Content::PointersOnly)
        .network_limits(NetworkLimits::default().retries(0))
        .clone_repo()
        .unwrap();
    w.hub
        .faults()
        .add(Fault::on(Route::LfsGet).act(Action::CutResponse(MIB as u64)));
    w.hub
        .faults()
        .add(Fault::on(Route::LfsGet).nth(2).always().act(Action::Cut));
    let error = repo.fetch_content(["big.bin"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
    w.hub.faults().clear();
    let left = incomplete(&w, "ours");
    assert_eq!(left.len(), 1);
    assert!(left[0].to_string_lossy().ends_with(".part"));
    let there = fs::metadata(&left[0]).unwrap().len();
    w.hub.clear_requests();
    w.git(repo.workdir(), &["lfs", "pull"]);
    assert_eq!(received(&requests(&w, Route::LfsGet)), size as u64 - there);
    assert_same_files(first.workdir(), repo.workdir());
}

#[test]
fn what_a_killed_process_had_done_is_not_done_again() {
    let w = in_parts();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    drop(repo);
    let ours = w.path("ours");
    let folder = ours.to_string_lossy().into_owned();
    // Up: ten parts get through, then the storage says nothing more.
    write(&ours, "big.bin", weights(1, 5 * MIB));
    let stall = Fault::on(Route::LfsPart).nth(11).always();
    w.hub.faults().add(stall.act(Action::StallRequest(0)));
    let mut child = w.child("stage-commit-push", &[&folder]).spawn().unwrap();
    let lines = || {
        let journal = journals(&w).pop();
        journal.map_or(0, |journal| {
            fs::read_to_string(journal).unwrap().lines().count()
        })
    };
    crate::support::until("ten parts are written down", || lines() == 11);
    child.kill().unwrap();
    child.wait().unwrap();
    w.hub.faults().clear();
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    repo.push().unwrap();
    let parts = requests(&w, Route::LfsPart);
    let numbers: BTreeSet<Option<u32>> = parts.iter().map(|part| part.part).collect();
    // The hub may still be at what the killed process had begun, and want it again.
    assert!(numbers.len() == 10 && parts.len() <= 11, "{parts:#?}");
    // Down: a mebibyte gets through.
    let first = w.clone("alice/m", "first");
    commit(&first, "big.bin", weights(2, 3 * MIB));
    first.push().unwrap();
    let cut = Action::StallResponse(MIB as u64);
    w.hub
        .faults()
        .add(Fault::on(Route::LfsGet).always().act(cut));
    let mut child = w.child("pull", &[&folder]).spawn().unwrap();
    let there = || {
        let left = incomplete(&w, "ours").pop();
        left.map_or(0, |left| fs::metadata(left).unwrap().len())
    };
    crate::support::until("a mebibyte is here", || there() == MIB as u64);
    child.kill().unwrap();
    child.wait().unwrap();
    w.hub.faults().clear();
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    repo.pull().unwrap();
    assert_eq!(received(&requests(&w, Route::LfsGet)), 2 * MIB as u64);
    assert_eq!(incomplete(&w, "ours").len(), 0);
    assert_same_files(first.workdir(), repo.workdir());
}

#[test]
fn a_damaged_beginning_costs_a_second_download_and_no_more() {
    let (w, first) = pushed(MIB);
    let oid = oid(&w, first.workdir(), "big.bin");
    let repo = pointers_only(&w);
    let folder = w.path("ours/.git/lfs/incomplete");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{oid}.part")), weights(9, 1000)).unwrap();
    w.hub.clear_requests();
    repo.fetch_content(["big.bin"]).unwrap();
    let ranges: Vec<bool> = requests(&w, Route::LfsGet)
        .iter()
        .map(|get| get.range.is_some())
        .collect();
    assert_eq!(ranges, [true, false]);
    assert_same_files(first.workdir(), repo.workdir());
}

#[test]
fn urls_that_live_two_seconds_are_asked_for_just_in_time() {
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .network_limits(NetworkLimits::default().concurrent_transfers(2))
        .clone_repo()
        .unwrap();
    let count = 24;
    for number in 0..count {
        write(
            repo.workdir(),
            &format!("{number}.bin"),
            weights(number, 20_000),
        );
    }
    repo.stage().unwrap();
    let _ = repo.commit("many").unwrap();
    w.hub.set_signature_lifetime(Duration::from_secs(2));
    w.hub.faults().add(
        Fault::on(Route::LfsPut)
            .always()
            .act(Action::Delay(Duration::from_millis(400))),
    );
    w.hub.clear_requests();
    repo.push().unwrap();
    let puts = requests(&w, Route::LfsPut);
    let stored = puts.iter().filter(|put| put.status == 200).count();
    assert_eq!(stored as u64, count, "each object arrives once");
    let refused = puts.len() - stored;
    assert!(refused <= 4, "{refused} came too late");
    w.hub.set_signature_lifetime(Duration::from_secs(3600));
    w.hub.faults().clear();
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}

#[test]
fn many_small_objects_need_few_calls_and_keep_to_the_quota() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let count = 1000;
    for number in 0..count {
        write(
            repo.workdir(),
            &format!("{}/{number}.bin", number % 10),
            weights(number, 300),
        );
    }
    repo.stage().unwrap();
    let _ = repo.commit("many").unwrap();
    w.hub.clear_requests();
    // Ten calls and one that the push itself may make, of five in a window.
    w.hub.set_quota(Some(Quota {
        requests: 5,
        window: Duration::from_secs(2),
    }));
    repo.push().unwrap();
    w.hub.set_quota(None);
    let calls = requests(&w, Route::LfsBatch);
    let answered = calls.iter().filter(|call| call.status == 200).count();
    assert_eq!(answered, 10);
    assert!(
        calls.len() - answered <= 2,
        "{} calls were sent in vain",
        calls.len() - answered
    );
    assert_eq!(requests(&w, Route::LfsPut).len() as u64, count);
}

#[test]
fn a_server_that_takes_smaller_batches_gets_smaller_ones() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for number in 0..9 {
        write(
            repo.workdir(),
            &format!("{number}.bin"),
            weights(number, 300),
        );
    }
    repo.stage().unwrap();
    let _ = repo.commit("nine").unwrap();
    w.hub.clear_requests();
    w.hub
        .faults()
        .add(Fault::on(Route::LfsBatch).act(Action::status(413)));
    repo.push().unwrap();
    assert_eq!(requests(&w, Route::LfsBatch).len(), 3);
    assert_eq!(requests(&w, Route::LfsPut).len(), 9);
    // One object alone cannot be made smaller.
    commit(&repo, "one.bin", weights(77, 300));
    w.hub
        .faults()
        .add(Fault::on(Route::LfsBatch).always().act(Action::status(413)));
    assert_eq!(repo.push().unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn a_stalled_transfer_is_given_up_and_tried_again() {
    let limits = NetworkLimits::default().stall_timeout(Duration::from_millis(300));
    for (number, (route, action)) in [
        (Route::LfsPut, Action::Stall),
        (Route::LfsGet, Action::Stall),
        (Route::LfsGet, Action::StallResponse(10_000)),
        (Route::LfsBatch, Action::Stall),
    ]
    .into_iter()
    .enumerate()
    {
        let w = World::new();
        w.model("alice/m");
        let prepare = |name: &str| w.prepare("alice/m", name).network_limits(limits.clone());
        let repo = prepare("ours").clone_repo().unwrap();
        commit(&repo, "w.bin", weights(number as u64, MIB));
        if route != Route::LfsGet {
            w.hub.faults().add(Fault::on(route).act(action.clone()));
        }
        let began = Instant::now();
        repo.push().unwrap();
        if route == Route::LfsGet {
            w.hub.faults().add(Fault::on(route).act(action.clone()));
        }
        let fresh = prepare("fresh").clone_repo().unwrap();
        assert!(began.elapsed() < LONG, "{route:?} {action:?}");
        assert_same_files(repo.workdir(), fresh.workdir());
        let seen = requests(&w, route).len();
        assert!(seen >= 2, "{route:?} {action:?}: tried again");
    }
}

#[test]
fn the_repositories_of_a_process_share_the_places_at_a_server() {
    let w = World::new();
    let limits = NetworkLimits::default().concurrent_transfers(2);
    let repos: Vec<_> = ["alice/a", "alice/b"]
        .map(|id| {
            w.model(id);
            let prepared = w.prepare(id, id).network_limits(limits.clone());
            let repo = prepared.clone_repo().unwrap();
            for number in 0..6 {
                let content = weights(number, 20_000);
                write(repo.workdir(), &format!("{number}.bin"), content);
            }
            repo.stage().unwrap();
            let _ = repo.commit("six").unwrap();
            repo
        })
        .into();
    let slow = Fault::on(Route::LfsPut).always();
    w.hub.faults().add(slow.act(Action::SlowRequest(50_000)));
    std::thread::scope(|scope| {
        for repo in &repos {
            scope.spawn(|| repo.push().unwrap());
        }
    });
    assert_eq!(requests(&w, Route::LfsPut).len(), 12);
    assert_eq!(w.hub.max_concurrent_uploads(), 2);
}

#[test]
fn the_next_batch_is_asked_for_while_small_objects_are_still_to_be_sent() {
    let w = World::new();
    w.model("alice/m");
    drop(w.clone("alice/m", "ours"));
    for (key, value) in [
        ("lfs.transfer.batchSize", "4"),
        ("lfs.concurrentTransfers", "2"),
    ] {
        w.git(w.path("ours"), &["config", key, value]);
    }
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    for seed in 1..=8 {
        write(repo.workdir(), &format!("{seed}.bin"), weights(seed, 2_000));
    }
    repo.stage().unwrap();
    let _ = repo.commit("eight").unwrap();
    // The third takes its time, until the second batch is asked for: that has to be before the fourth is
    // sent, which nobody holds up.
    let (asked, hears) = std::sync::mpsc::channel();
    let (asked, hears) = (Mutex::new(asked), Mutex::new(hears));
    let has_asked = Arc::new(AtomicBool::new(false));
    let (tells, in_time) = (Arc::clone(&has_asked), Arc::new(AtomicBool::new(false)));
    let judged = Arc::clone(&in_time);
    let second_batch = Action::call(move || {
        tells.store(true, Ordering::SeqCst);
        let _ = asked.lock().unwrap().send(());
    });
    let third = Action::call(move || {
        let _ = hears.lock().unwrap().recv_timeout(LONG);
    });
    let fourth =
        Action::call(move || judged.store(has_asked.load(Ordering::SeqCst), Ordering::SeqCst));
    let faults = w.hub.faults();
    faults.add(Fault::on(Route::LfsBatch).nth(2).act(second_batch));
    faults.add(Fault::on(Route::LfsPut).nth(3).act(third));
    faults.add(Fault::on(Route::LfsPut).nth(4).act(fourth));
    w.hub.clear_requests();
    repo.push().unwrap();
    assert!(
        in_time.load(Ordering::SeqCst),
        "asked for when all were sent"
    );
    let count = |route| requests(&w, route).len();
    assert_eq!((count(Route::LfsBatch), count(Route::LfsPut)), (2, 8));
}

#[test]
fn a_cap_is_kept_and_can_be_lifted() {
    let w = World::new();
    w.model("alice/m");
    let bandwidth = Bandwidth::limited(4_000_000);
    let repo = w
        .prepare("alice/m", "ours")
        .bandwidth(bandwidth.clone())
        .clone_repo()
        .unwrap();
    // 8 MB at 4 MB/s: not under two seconds, whatever the machine.
    for number in 0..4 {
        write(
            repo.workdir(),
            &format!("{number}.bin"),
            weights(number, 2_000_000),
        );
    }
    repo.stage().unwrap();
    let _ = repo.commit("four").unwrap();
    let began = Instant::now();
    repo.push().unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1900), "{took:?}");
    // Lifted while it runs, what would take an hour is over soon.
    bandwidth.set(Some(2_000));
    commit(&repo, "5.bin", weights(5, 8_000_000));
    std::thread::scope(|scope| {
        let push = scope.spawn(|| repo.push().unwrap());
        crate::support::until("the upload begins", || {
            requests(&w, Route::LfsPut).len() >= 5
        });
        assert_eq!(bandwidth.get(), Some(2_000));
        bandwidth.set(None);
        push.join().unwrap();
    });
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}

#[test]
fn an_object_whose_verification_was_refused_counts_as_moved() {
    let w = World::new();
    w.model("alice/m");
    let (progress, events) = Progress::channel();
    let prepared = w.prepare("alice/m", "ours").progress(progress);
    let repo = prepared.clone_repo().unwrap();
    commit(&repo, "w.bin", weights(1, 5000));
    let refused = Fault::on(Route::LfsVerify).act(Action::status(403));
    w.hub.faults().add(refused);
    assert_eq!(repo.push().unwrap().lfs_objects, 1);
    drop(repo);
    let finished = events.filter(|event| matches!(event, Event::TransferFinished { .. }));
    assert_eq!(finished.count(), 1);
}
