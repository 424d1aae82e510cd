//! What breaks on the wire: retried where that helps, else a typed error and nothing changed.

use std::fs;
use std::time::{Duration, Instant};

use hf_repository::{CancelToken, ErrorKind, PushedRef, Repository};
use mini_hub::{Action, Fault, LfsFault, RepoKind, Route};

use crate::support::judge::{assert_same_files, files};
use crate::support::{World, weights, write};

/// A hub with a model of some files, pushed from the clone "first".
fn with_files(w: &World) -> Repository {
    w.model("alice/m");
    let repo = w.clone("alice/m", "first");
    for number in 0..4_u64 {
        write(
            repo.workdir(),
            &format!("{number}.bin"),
            weights(number, 200_000),
        );
    }
    let text: String = (0..60_000_u64)
        .map(|n| format!("{:x}\n", n.wrapping_mul(n) ^ 0x5bd1_e995))
        .collect();
    write(repo.workdir(), "text.txt", text);
    repo.stage().unwrap();
    let _ = repo.commit("files").unwrap();
    repo.push().unwrap();
    repo
}

/// A change of one LFS file and one plain file, committed.
fn change(repo: &Repository, seed: u64) {
    write(repo.workdir(), "0.bin", weights(seed, 200_000));
    write(repo.workdir(), "note.txt", format!("{seed}\n"));
    repo.stage().unwrap();
    let _ = repo.commit("change").unwrap();
}

#[test]
fn what_passes_is_tried_again() {
    let w = World::new();
    let first = with_files(&w);
    let faults = w.hub.faults();
    for (number, (route, action)) in [
        (Route::LfsBatch, Action::status(503)),
        (
            Route::LfsBatch,
            Action::status_with(429, "Retry-After", "0"),
        ),
        (Route::LfsBatch, Action::Cut),
        (Route::LfsGet, Action::status(500)),
        (Route::LfsGet, Action::Cut),
        (Route::LfsGet, Action::CutResponse(100_000)),
        (Route::LfsGet, Action::CutResponse(0)),
        (Route::LfsGet, Action::FlipBit),
        (Route::LfsBatch, Action::Lfs(LfsFault::Expired)),
    ]
    .into_iter()
    .enumerate()
    {
        faults.add(Fault::on(route).act(action.clone()));
        let repo = w.clone("alice/m", &format!("clone-{number}"));
        assert_same_files(first.workdir(), repo.workdir());
    }
    for (number, (route, action)) in [
        (Route::LfsBatch, Action::status(502)),
        (Route::LfsPut, Action::status(503)),
        (Route::LfsPut, Action::Cut),
        (Route::LfsPut, Action::CutRequest(50_000)),
        (Route::LfsPut, Action::status_with(429, "Retry-After", "0")),
        (Route::LfsVerify, Action::status(500)),
        (Route::LfsVerify, Action::Cut),
        (Route::LfsBatch, Action::Lfs(LfsFault::Expired)),
        (Route::LfsBatch, Action::Lfs(LfsFault::NoVerify)),
    ]
    .into_iter()
    .enumerate()
    {
        change(&first, 100 + number as u64);
        faults.add(Fault::on(route).act(action.clone()));
        let report = first
            .push()
            .unwrap_or_else(|error| panic!("{route:?} {action:?}: {error:?}"));
        assert_eq!(report.outcome, PushedRef::Moved);
    }
    assert_same_files(first.workdir(), w.clone("alice/m", "last").workdir());
}

#[test]
fn a_server_that_goes_away_while_cloning_leaves_nothing() {
    let w = World::new();
    with_files(&w);
    let clone = |kind: &[ErrorKind]| {
        let error = w.prepare("alice/m", "ours").clone_repo().unwrap_err();
        assert!(kind.contains(&error.kind()), "{error:?}");
        assert!(!w.path("ours").exists(), "{error:?}");
    };
    let network = [ErrorKind::Network];
    for (route, action, kinds) in [
        (Route::InfoRefsUpload, Action::Cut, network.as_slice()),
        (Route::InfoRefsUpload, Action::CutResponse(30), &network),
        (Route::InfoRefsUpload, Action::Html, &[ErrorKind::Protocol]),
        (
            Route::InfoRefsUpload,
            Action::status(500),
            &[ErrorKind::Server],
        ),
        (Route::UploadPack, Action::Cut, &network),
        (Route::UploadPack, Action::CutResponse(40_000), &network),
        (Route::UploadPack, Action::status(503), &[ErrorKind::Server]),
        (Route::LfsBatch, Action::Html, &[ErrorKind::Protocol]),
        (
            Route::LfsBatch,
            Action::Lfs(LfsFault::Omit),
            &[ErrorKind::Protocol],
        ),
        (
            Route::LfsBatch,
            Action::Lfs(LfsFault::Extra),
            &[ErrorKind::Protocol],
        ),
        (
            Route::LfsBatch,
            Action::Lfs(LfsFault::OtherHash),
            &[ErrorKind::Protocol],
        ),
        (
            Route::LfsBatch,
            Action::Lfs(LfsFault::ObjectError(507)),
            &[ErrorKind::Forbidden],
        ),
        (
            Route::LfsGet,
            Action::FlipBit,
            &[ErrorKind::LfsObjectCorrupt],
        ),
        (
            Route::LfsGet,
            Action::status(404),
            &[ErrorKind::LfsObjectMissing],
        ),
    ] {
        w.hub.faults().clear();
        w.hub.faults().add(Fault::on(route).always().act(action));
        clone(kinds);
    }
    w.hub.faults().clear();
    w.assert_sound(w.clone("alice/m", "ours").workdir());
}

#[test]
fn a_push_that_breaks_off_moves_nothing_and_can_be_repeated() {
    let w = World::new();
    let repo = with_files(&w);
    let tip = w.remote_tip("alice/m", "main");
    let noise: String = (0..200_000_u64)
        .map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    write(repo.workdir(), "noise.txt", noise);
    change(&repo, 7);
    for (route, action, kind) in [
        (Route::LfsPut, Action::status(507), ErrorKind::Forbidden),
        (Route::LfsPut, Action::status(400), ErrorKind::Protocol),
        (Route::InfoRefsReceive, Action::Cut, ErrorKind::Network),
        (
            Route::InfoRefsReceive,
            Action::status(500),
            ErrorKind::Server,
        ),
        (
            Route::ReceivePack,
            Action::CutRequest(1_000_000),
            ErrorKind::Network,
        ),
        (
            Route::ReceivePack,
            Action::status(403),
            ErrorKind::Forbidden,
        ),
    ] {
        let before = w.scene(repo.workdir(), "alice/m");
        w.hub.faults().clear();
        w.hub
            .faults()
            .add(Fault::on(route).always().act(action.clone()));
        let error = repo.push().unwrap_err();
        assert_eq!(error.kind(), kind, "{route:?} {action:?}: {error:?}");
        assert_eq!(w.remote_tip("alice/m", "main"), tip);
        let after = w.scene(repo.workdir(), "alice/m");
        if route != Route::ReceivePack {
            assert_eq!(after, before);
        }
        assert_eq!(repo.commits_ahead().unwrap(), 1);
    }
    w.hub.faults().clear();
    assert_eq!(repo.push().unwrap().outcome, PushedRef::Moved);
    w.assert_sound(repo.workdir());
    w.git(w.bare("alice/m"), &["fsck", "--strict"]);
}

#[test]
fn a_push_whose_answer_is_lost_has_happened() {
    let w = World::new();
    let repo = with_files(&w);
    change(&repo, 8);
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).act(Action::CutResponse(20)));
    let report = repo.push().unwrap();
    assert_eq!(
        w.remote_tip("alice/m", "main"),
        Some(report.commit.to_string())
    );
    assert_eq!(repo.commits_ahead().unwrap(), 0);
}

#[test]
fn a_commit_between_the_listing_and_the_push_is_no_rejection() {
    let w = World::new();
    let repo = with_files(&w);
    change(&repo, 9);
    let (bare, tip) = (w.bare("alice/m"), w.remote_tip("alice/m", "main").unwrap());
    let config = w.path("gitconfig");
    let act = move || {
        let run = |arguments: &[&str]| {
            let output = std::process::Command::new("git")
                .args(arguments)
                .current_dir(&bare)
                .env("GIT_CONFIG_GLOBAL", &config)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let commit = run(&[
            "commit-tree",
            "-m",
            "theirs",
            "-p",
            &tip,
            &format!("{tip}^{{tree}}"),
        ]);
        run(&["update-ref", "refs/heads/main", &commit]);
    };
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).act(Action::call(act)));
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonFastForward, "{error:?}");
    assert_eq!(repo.commits_ahead().unwrap(), 1);
}

#[test]
fn content_that_cannot_be_had_changes_nothing() {
    let w = World::new();
    let first = with_files(&w);
    let repo = w.clone("alice/m", "ours");
    change(&first, 21);
    first.push().unwrap();
    let pointer = w.git(first.workdir(), &["cat-file", "blob", "HEAD:0.bin"]);
    let oid = pointer.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let object = w.hub.lfs_object_path(RepoKind::Model, "alice/m", &oid);
    let before = files(repo.workdir());
    let head = repo.head().unwrap();
    let pull = |kind: ErrorKind| {
        let error = repo.pull().unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(error.offences()[0].path.as_str(), "0.bin");
        assert!(error.to_string().contains("0.bin"), "{error}");
        assert!(files(repo.workdir()) == before);
        assert_eq!(repo.head().unwrap(), head);
        w.assert_clean(repo.workdir());
        let scratch = w.path("ours/.git/lfs/incomplete");
        assert_eq!(
            fs::read_dir(scratch).map_or(0, Iterator::count),
            0,
            "scratch files are left"
        );
    };
    // Gone; other bytes; too few; too many.
    fs::rename(&object, w.path("object")).unwrap();
    pull(ErrorKind::LfsObjectMissing);
    let mut bytes = fs::read(w.path("object")).unwrap();
    bytes[77] ^= 1;
    fs::write(&object, &bytes).unwrap();
    pull(ErrorKind::LfsObjectCorrupt);
    for size in [199_999, 200_001] {
        bytes.resize(size, 0);
        fs::write(&object, &bytes).unwrap();
        // The server itself notices that it has another size.
        pull(ErrorKind::Protocol);
    }
    fs::rename(w.path("object"), &object).unwrap();
    repo.pull().unwrap();
    assert_same_files(first.workdir(), repo.workdir());
}

#[test]
fn cancelling_ends_a_silent_transfer_at_once() {
    let w = World::new();
    with_files(&w);
    for (number, (route, action)) in [
        (Route::InfoRefsUpload, Action::Stall),
        (Route::UploadPack, Action::Stall),
        (Route::UploadPack, Action::StallResponse(20_000)),
        (Route::LfsBatch, Action::Stall),
        (Route::LfsGet, Action::Stall),
        (Route::LfsGet, Action::StallResponse(1000)),
    ]
    .into_iter()
    .enumerate()
    {
        w.hub.faults().clear();
        w.hub
            .faults()
            .add(Fault::on(route).always().act(action.clone()));
        w.hub.clear_requests();
        let cancel = CancelToken::new();
        let prepared = w
            .prepare("alice/m", &format!("ours-{number}"))
            .cancel_token(cancel.clone());
        let (error, took) = std::thread::scope(|scope| {
            let clone = scope.spawn(|| {
                let error = prepared.clone_repo().unwrap_err();
                (error, Instant::now())
            });
            while !w
                .hub
                .requests()
                .iter()
                .any(|request| request.route == route)
            {
                assert!(!clone.is_finished(), "{:?}", w.hub.requests());
                std::thread::sleep(Duration::from_millis(2));
            }
            let pulled = Instant::now();
            cancel.cancel();
            let (error, ended) = clone.join().unwrap();
            (error, ended - pulled)
        });
        assert_eq!(
            error.kind(),
            ErrorKind::Cancelled,
            "{route:?} {action:?}: {error:?}"
        );
        assert!(
            took < Duration::from_millis(1000),
            "{route:?} {action:?} took {took:?}"
        );
        assert!(!w.path(&format!("ours-{number}")).exists());
    }
}

#[test]
fn a_cancelled_upload_sends_no_ref() {
    let w = World::new();
    let repo = with_files(&w);
    drop(repo);
    let cancel = CancelToken::new();
    let (puller, hub) = (cancel.clone(), &w.hub);
    hub.faults()
        .add(Fault::on(Route::LfsPut).act(Action::call(move || puller.cancel())));
    let prepared = w.prepare("alice/m", "first").cancel_token(cancel);
    let repo = prepared.open().unwrap();
    change(&repo, 31);
    let tip = w.remote_tip("alice/m", "main");
    hub.clear_requests();
    assert_eq!(repo.push().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(
        hub.requests()
            .iter()
            .all(|request| request.route != Route::ReceivePack)
    );
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing() {
    // A file-size limit stands in for a full disk: it is what a test without root can have.
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "big.bin", weights(1, 30 << 20));
    let before = w.scene(repo.workdir(), "alice/m");
    let limited = |job: &str, arguments: &[&str]| w.limited(20480, job, arguments);
    let folder = w.path("ours").to_string_lossy().into_owned();
    let output = limited("stage", &[&folder]);
    let told = crate::child::succeed(&output);
    assert!(told.contains("kind DiskFull"), "{told}");
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
    let scratch = files(&w.path("ours/.git/lfs"));
    assert_eq!(scratch.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    // With room it goes through, and then a clone runs out of it.
    repo.stage().unwrap();
    let _ = repo.commit("big").unwrap();
    repo.push().unwrap();
    let target = w.path("small").to_string_lossy().into_owned();
    let output = limited("clone", &["alice/m", &target]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && told.contains("DiskFull"),
        "{told}"
    );
    assert!(!w.path("small").exists());
}

#[test]
fn a_token_that_was_revoked_is_told_from_a_missing_one() {
    let w = World::new();
    let repo = with_files(&w);
    change(&repo, 41);
    let before = w.scene(repo.workdir(), "alice/m");
    w.hub.revoke(&w.token);
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("revoked")));
    assert_eq!(w.scene(repo.workdir(), "alice/m"), before);
}
