//! Large files, uploaded in parts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hf_repository::{ErrorKind, Event, NetworkLimits, Progress};
use mini_hub::{Action, Fault, Multipart, RequestRecord, Route};

use crate::support::judge::assert_same_files;
use crate::support::moving::{MIB, commit, in_parts, journals, requests, sent, to_push};
use crate::support::{World, weights, write};

#[test]
fn a_large_file_goes_in_parts() {
    let w = in_parts();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    // 13 parts: as text, 10 comes before 2.
    commit(&repo, "big.bin", weights(1, 3 * MIB + 1000));
    write(repo.workdir(), "small.bin", weights(2, 5000));
    repo.stage().unwrap();
    let _ = repo.commit("small").unwrap();
    w.hub.clear_requests();
    repo.push().unwrap();
    let parts = requests(&w, Route::LfsPart);
    let mut numbers: Vec<u32> = parts.iter().filter_map(|part| part.part).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=13).collect::<Vec<u32>>());
    assert_eq!(sent(&parts), (3 * MIB + 1000) as u64);
    assert_eq!(requests(&w, Route::LfsComplete).len(), 1);
    assert_eq!(requests(&w, Route::LfsVerify).len(), 2);
    assert_eq!(
        requests(&w, Route::LfsPut).len(),
        1,
        "the small one goes whole"
    );
    assert!(w.hub.max_concurrent_uploads() > 1);
    assert_eq!(journals(&w).len(), 0);
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
    w.assert_sound(repo.workdir());
}

#[test]
fn only_the_part_that_failed_is_sent_again() {
    let w = in_parts();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for (number, action) in [
        Action::status(500),
        Action::status_with(429, "Retry-After", "0"),
        Action::Cut,
        Action::CutRequest(100_000),
    ]
    .into_iter()
    .enumerate()
    {
        commit(&repo, "big.bin", weights(number as u64, 2 * MIB));
        w.hub.clear_requests();
        w.hub
            .faults()
            .add(Fault::on(Route::LfsPart).nth(3).act(action.clone()));
        repo.push().unwrap();
        let parts = requests(&w, Route::LfsPart);
        assert_eq!(parts.len(), 9, "{action:?}");
        let mut tries: BTreeMap<u32, usize> = BTreeMap::new();
        for part in &parts {
            *tries.entry(part.part.unwrap()).or_default() += 1;
        }
        assert_eq!(tries.values().filter(|tries| **tries == 2).count(), 1);
    }
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}

#[test]
fn an_upload_in_parts_goes_on_in_another_process() {
    let (w, repo) = to_push(4 * MIB);
    // Everything from the tenth part on is refused for good: that ends the push.
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPart).nth(10).always().act(Action::Cut));
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
    let journal = journals(&w).pop().expect("what is done is written down");
    let mode = fs::metadata(&journal).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "its URLs are permissions");
    drop(repo);
    // A process that was killed leaves half a line.
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{text}{{\"part\":1")).unwrap();
    let finished = text.lines().count() - 1;
    assert!((1..=9).contains(&finished), "{finished}");

    w.hub.faults().clear();
    w.hub.clear_requests();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    repo.push().unwrap();
    let parts = requests(&w, Route::LfsPart);
    assert_eq!(parts.len(), 16 - finished);
    assert_eq!(
        requests(&w, Route::LfsBatch).len(),
        0,
        "the old URLs are good"
    );
    assert_eq!(journals(&w).len(), 0);
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}

#[test]
fn an_upload_whose_urls_have_expired_begins_anew() {
    let (w, repo) = to_push(2 * MIB);
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPart).nth(4).always().act(Action::Cut));
    repo.push().unwrap_err();
    w.hub.faults().clear();
    // The server forgets them sooner than it said.
    w.hub.advance_clock(Duration::from_secs(7200));
    w.hub.clear_requests();
    repo.push().unwrap();
    assert_eq!(requests(&w, Route::LfsBatch).len(), 1);
    let stored: Vec<RequestRecord> = requests(&w, Route::LfsPart)
        .into_iter()
        .filter(|part| part.status == 200)
        .collect();
    assert_eq!(stored.len(), 8);
    assert_eq!(journals(&w).len(), 0);
    // And one that is damaged is no harm.
    commit(&repo, "big.bin", weights(2, 2 * MIB));
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPart).nth(4).always().act(Action::Cut));
    repo.push().unwrap_err();
    w.hub.faults().clear();
    fs::write(&journals(&w)[0], "nonsense\n").unwrap();
    repo.push().unwrap();
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}

#[test]
fn an_object_that_arrived_by_another_way_is_not_sent_again() {
    let (w, repo) = to_push(2 * MIB);
    // All parts are there, and so is the whole; only the server does not come to say so.
    w.hub
        .faults()
        .add(Fault::on(Route::LfsVerify).always().act(Action::Cut));
    repo.push().unwrap_err();
    w.hub.faults().clear();
    w.hub.clear_requests();
    repo.push().unwrap();
    assert_eq!(requests(&w, Route::LfsPart).len(), 0);
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}

#[test]
fn an_upload_cut_at_half_five_times_sends_little_more_than_its_size() {
    let w = in_parts();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let size = 8 * MIB;
    commit(&repo, "big.bin", weights(1, size));
    w.hub.clear_requests();
    for nth in [4, 9, 14, 19, 24] {
        w.hub.faults().add(
            Fault::on(Route::LfsPart)
                .nth(nth)
                .act(Action::CutRequest(128 << 10)),
        );
    }
    repo.push().unwrap();
    assert_eq!(requests(&w, Route::LfsPart).len(), 32 + 5);
    let bytes = sent(&requests(&w, Route::LfsPart));
    let ratio = bytes as f64 / size as f64;
    assert!(
        ratio <= 1.2,
        "{bytes} bytes sent: {ratio:.3} times the size"
    );
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}

#[test]
fn parts_are_one_object_to_whoever_watches() {
    let w = in_parts();
    w.model("alice/m");
    let (progress, events) = Progress::channel();
    let repo = w
        .prepare("alice/m", "ours")
        .progress(progress)
        .network_limits(NetworkLimits::default().retries(3))
        .clone_repo()
        .unwrap();
    let size = 6 * MIB as u64;
    commit(&repo, "big.bin", weights(1, 6 * MIB));
    w.hub.faults().add(
        Fault::on(Route::LfsPart)
            .nth(5)
            .times(3)
            .act(Action::CutRequest(200_000)),
    );
    repo.push().unwrap();
    drop(repo);
    let (mut last, mut finished) = (0, 0);
    for event in events {
        match event {
            Event::TransferProgress { bytes, total, .. } => {
                assert!(bytes >= last && bytes <= size && total == size);
                last = bytes;
            }
            Event::TransferFinished { bytes, .. } => {
                assert_eq!(bytes, size);
                finished += 1;
            }
            _ => {}
        }
    }
    assert_eq!(finished, 1);
}

#[test]
fn the_size_of_parts_is_the_servers_business() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for (number, part_size) in [1, 700_000, 1 << 20, 5 << 20].into_iter().enumerate() {
        let length = if part_size == 1 { 40 } else { 2 * MIB };
        w.hub.set_multipart(Some(Multipart {
            threshold: 10,
            part_size,
        }));
        commit(&repo, "big.bin", weights(number as u64, length));
        w.hub.clear_requests();
        repo.push().unwrap();
        let parts = requests(&w, Route::LfsPart).len() as u64;
        assert_eq!(parts, (length as u64).div_ceil(part_size));
    }
    assert_same_files(repo.workdir(), w.clone("alice/m", "fresh").workdir());
}
