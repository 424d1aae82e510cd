//! What the facade promises holds under both LFS engines: the same scenarios, the same assertions.

use std::fs;
use std::path::Path;

use hf_repository::{
    CancelToken, CheckoutOptions, CommitOutcome, Content, ErrorKind, Event, LfsEngine,
    PrepareRepository, Progress, Repository, Saved,
};
use mini_hub::{Action, Fault, RepoKind, Role, Route};

use crate::support::judge::assert_same_files;
use crate::support::saving::puts;
use crate::support::{World, path, until, weights, write};

/// Each scenario becomes a test of each engine.
macro_rules! under_both_engines {
    ($($scenario:ident),+ $(,)?) => {
        mod builtin {
            $(#[test]
            fn $scenario() {
                super::$scenario(hf_repository::LfsEngine::Builtin);
            })+
        }
        mod git_lfs {
            $(#[test]
            fn $scenario() {
                crate::support::needs_git_lfs!();
                super::$scenario(hf_repository::LfsEngine::GitLfs);
            })+
        }
    };
}

under_both_engines!(
    a_clone_has_everything,
    what_is_pushed_others_get,
    every_version_is_pushed,
    what_is_there_is_not_sent_again,
    a_pull_brings_what_is_new,
    a_checkout_brings_what_it_needs,
    single_files_get_their_content,
    an_object_that_the_server_lost_fails_the_clone,
    an_object_that_the_server_lost_fails_the_pull_and_changes_nothing,
    an_object_that_is_nowhere_fails_the_push,
    a_read_only_token_pushes_nothing,
    a_cancelled_push_moves_no_branch,
    a_cancelled_clone_leaves_nothing,
    the_progress_adds_up,
    saves_are_pushed_in_the_background,
    a_folder_is_a_remote_as_well,
    pruning_keeps_what_is_checked_out,
);

/// The hub's model, seen through an engine.
fn prepare(w: &World, folder: &str, engine: LfsEngine) -> PrepareRepository {
    w.prepare("alice/m", folder).lfs_engine(engine)
}

fn clone(w: &World, folder: &str, engine: LfsEngine) -> Repository {
    prepare(w, folder, engine).clone_repo().unwrap()
}

fn commit(repo: &Repository, files: &[(&str, Vec<u8>)]) {
    for (name, content) in files {
        write(repo.workdir(), name, content);
    }
    repo.stage().unwrap();
    let committed = repo.commit("more").unwrap();
    assert!(matches!(committed, CommitOutcome::Committed(_)));
}

/// A model with files of every sort, pushed by the library's own engine.
fn filled() -> World {
    let w = World::new();
    w.model("alice/m");
    let seed = w.clone("alice/m", "seed");
    crate::round_trip::fill(seed.workdir());
    seed.stage().unwrap();
    let _ = seed.commit("all sorts").unwrap();
    seed.push().unwrap();
    w
}

/// Takes an object away from the server.
fn lose(w: &World, folder: &Path, file: &str) {
    let pointer = w.git(folder, &["cat-file", "-p", &format!("HEAD:{file}")]);
    let oid = pointer.split("sha256:").nth(1).unwrap();
    let stored = w
        .hub
        .lfs_object_path(RepoKind::Model, "alice/m", &oid[..64]);
    fs::remove_file(stored).unwrap();
}

fn a_clone_has_everything(engine: LfsEngine) {
    let w = filled();
    let repo = clone(&w, "ours", engine);
    assert_same_files(repo.workdir(), &w.path("seed"));
    w.assert_sound(repo.workdir());
}

fn what_is_pushed_others_get(engine: LfsEngine) {
    let w = World::new();
    w.model("alice/m");
    let repo = clone(&w, "ours", engine);
    crate::round_trip::fill(repo.workdir());
    let staged = repo.stage().unwrap();
    assert!(staged.skipped.is_empty(), "{staged:?}");
    let _ = repo.commit("all sorts").unwrap();
    repo.check_write_access().unwrap();
    let pushed = repo.push().unwrap();
    // Empty files are LFS files without an object.
    let filled = |name: &&hf_repository::RepoPath| {
        let file = repo.workdir().join(name.as_str());
        file.metadata().unwrap().len() > 0
    };
    let wanted = staged.lfs.iter().filter(filled).count();
    assert_eq!((pushed.lfs_objects, puts(&w)), (wanted, wanted));
    assert_eq!(
        w.remote_tip("alice/m", "main"),
        Some(pushed.commit.to_string())
    );
    assert_same_files(&w.git_clone("alice/m", "theirs"), repo.workdir());
    w.assert_sound(repo.workdir());
}

fn every_version_is_pushed(engine: LfsEngine) {
    let w = World::new();
    w.model("alice/m");
    let repo = clone(&w, "ours", engine);
    let versions = [1, 2, 3].map(|seed| weights(seed, 40_000));
    for version in &versions {
        commit(&repo, &[("w.bin", version.clone())]);
    }
    let pushed = repo.push().unwrap();
    assert_eq!((pushed.commits, pushed.lfs_objects), (3, 3));
    assert_eq!(pushed.lfs_bytes, 120_000);
    let theirs = w.git_clone("alice/m", "theirs");
    for version in versions.iter().rev() {
        assert!(fs::read(theirs.join("w.bin")).unwrap() == *version);
        w.git(&theirs, &["checkout", "-q", "HEAD~1"]);
    }
}

fn what_is_there_is_not_sent_again(engine: LfsEngine) {
    let w = filled();
    let repo = clone(&w, "ours", engine);
    let content = fs::read(repo.workdir().join("model.safetensors")).unwrap();
    let before = puts(&w);
    commit(
        &repo,
        &[("copy.safetensors", content), ("new.bin", weights(50, 900))],
    );
    let pushed = repo.push().unwrap();
    assert_eq!((pushed.lfs_objects, pushed.lfs_bytes), (1, 900));
    assert_eq!(puts(&w), before + 1);
    assert!(repo.push().unwrap().lfs_objects == 0);
}

fn a_pull_brings_what_is_new(engine: LfsEngine) {
    let w = filled();
    let repo = clone(&w, "ours", engine);
    let seed = w.prepare("alice/m", "seed").open().unwrap();
    commit(
        &seed,
        &[
            ("model.safetensors", weights(60, 90_000)),
            ("né w ✓.bin", weights(61, 70_000)),
        ],
    );
    seed.push().unwrap();
    repo.pull().unwrap();
    assert_same_files(repo.workdir(), seed.workdir());
    w.assert_sound(repo.workdir());
    assert!(repo.pull().unwrap().is_up_to_date());
}

fn a_checkout_brings_what_it_needs(engine: LfsEngine) {
    let w = filled();
    let seed = w.prepare("alice/m", "seed").open().unwrap();
    seed.checkout_with("side", CheckoutOptions::Create).unwrap();
    commit(&seed, &[("model.safetensors", weights(62, 90_000))]);
    seed.push().unwrap();
    let repo = clone(&w, "ours", engine);
    repo.checkout("side").unwrap();
    assert_same_files(repo.workdir(), seed.workdir());
    w.assert_sound(repo.workdir());
    repo.checkout("main").unwrap();
    seed.checkout("main").unwrap();
    assert_same_files(repo.workdir(), seed.workdir());
    w.assert_sound(repo.workdir());
}

fn single_files_get_their_content(engine: LfsEngine) {
    let w = filled();
    let prepared = prepare(&w, "ours", engine).content(Content::PointersOnly);
    let repo = prepared.clone_repo().unwrap();
    let is_pointer = |name: &str| {
        let content = fs::read(repo.workdir().join(name)).unwrap();
        content.starts_with(b"version https://git-lfs")
    };
    let name = "größe ✓.bin";
    assert!(is_pointer("model.safetensors") && is_pointer(name));
    let brought = repo.fetch_content([name]).unwrap();
    assert_eq!(brought, [path(name)]);
    assert!(!is_pointer(name) && is_pointer("model.safetensors"));
    let gets = w.hub.requests();
    let gets = gets.iter().filter(|r| r.route == Route::LfsGet).count();
    assert_eq!(gets, 1);
    // git-lfs has no pattern for some names, and fetches more; it must not fetch less.
    let odd = "glob [1]*?.bin";
    assert_eq!(repo.fetch_content([odd]).unwrap(), [path(odd)]);
    assert!(!is_pointer(odd) && is_pointer("model.safetensors"));
    w.assert_clean(repo.workdir());
}

fn an_object_that_the_server_lost_fails_the_clone(engine: LfsEngine) {
    let w = filled();
    lose(&w, &w.path("seed"), "model.safetensors");
    let error = prepare(&w, "ours", engine).clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LfsObjectMissing, "{error:?}");
    let named = error.offences().iter().map(|offence| &offence.path);
    assert_eq!(
        named.collect::<Vec<_>>(),
        [&path("model.safetensors")],
        "{error:?}"
    );
    assert!(!w.path("ours").exists());
}

fn an_object_that_the_server_lost_fails_the_pull_and_changes_nothing(engine: LfsEngine) {
    let w = filled();
    let repo = clone(&w, "ours", engine);
    let seed = w.prepare("alice/m", "seed").open().unwrap();
    commit(
        &seed,
        &[
            ("a.bin", weights(63, 900)),
            ("model.safetensors", weights(64, 900)),
        ],
    );
    seed.push().unwrap();
    lose(&w, seed.workdir(), "model.safetensors");
    let before = crate::support::judge::files(repo.workdir());
    let head = w.git(repo.workdir(), &["rev-parse", "HEAD"]);
    let error = repo.pull().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LfsObjectMissing, "{error:?}");
    assert!(before == crate::support::judge::files(repo.workdir()));
    assert_eq!(w.git(repo.workdir(), &["rev-parse", "HEAD"]), head);
    w.assert_clean(repo.workdir());
}

fn an_object_that_is_nowhere_fails_the_push(engine: LfsEngine) {
    let w = filled();
    let repo = clone(&w, "ours", engine);
    let tip = w.remote_tip("alice/m", "main");
    commit(
        &repo,
        &[("a.bin", weights(65, 900)), ("b.bin", weights(66, 900))],
    );
    let pointer = w.git(repo.workdir(), &["cat-file", "-p", "HEAD:b.bin"]);
    let oid = &pointer.split("sha256:").nth(1).unwrap()[..64];
    let stored = format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]);
    let stored = repo.workdir().join(stored);
    let kept = fs::read(&stored).unwrap();
    fs::remove_file(&stored).unwrap();
    let sent = puts(&w);
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LfsObjectMissing, "{error:?}");
    let named = error.offences().iter().map(|offence| &offence.path);
    assert_eq!(named.collect::<Vec<_>>(), [&path("b.bin")], "{error:?}");
    assert_eq!((w.remote_tip("alice/m", "main"), puts(&w)), (tip, sent));
    fs::write(&stored, kept).unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 2);
}

fn a_read_only_token_pushes_nothing(engine: LfsEngine) {
    let w = filled();
    let token = w.hub.add_token("alice", Role::Read);
    let prepared = w.prepare_as("alice/m", "ours", &token).lfs_engine(engine);
    let repo = prepared.clone_repo().unwrap();
    let (tip, sent) = (w.remote_tip("alice/m", "main"), puts(&w));
    commit(&repo, &[("a.bin", weights(67, 900))]);
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
    let told = error.server_message().unwrap();
    assert!(told.contains("your token may not write here"), "{told}");
    assert!(!format!("{error:?}").contains(&token));
    assert_eq!((w.remote_tip("alice/m", "main"), puts(&w)), (tip, sent));
}

fn a_cancelled_push_moves_no_branch(engine: LfsEngine) {
    let w = filled();
    drop(clone(&w, "ours", engine));
    let tip = w.remote_tip("alice/m", "main");
    let cancel = CancelToken::new();
    let prepared = prepare(&w, "ours", engine).cancel_token(cancel.clone());
    let repo = prepared.open().unwrap();
    commit(&repo, &[("a.bin", weights(68, 90_000))]);
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).always().act(Action::Stall));
    std::thread::scope(|scope| {
        let push = scope.spawn(|| repo.push().unwrap_err());
        until("the upload hangs", || w.hub.faults().happened() > 0);
        cancel.cancel();
        assert_eq!(push.join().unwrap().kind(), ErrorKind::Cancelled);
    });
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
    w.hub.faults().clear();
    drop(repo);
    let repo = prepare(&w, "ours", engine).open().unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 1);
    w.assert_sound(repo.workdir());
}

fn a_cancelled_clone_leaves_nothing(engine: LfsEngine) {
    let w = filled();
    let cancel = CancelToken::new();
    let prepared = prepare(&w, "ours", engine).cancel_token(cancel.clone());
    w.hub
        .faults()
        .add(Fault::on(Route::LfsGet).always().act(Action::Stall));
    std::thread::scope(|scope| {
        let cloning = scope.spawn(|| prepared.clone_repo().unwrap_err());
        until("the download hangs", || w.hub.faults().happened() > 0);
        cancel.cancel();
        assert_eq!(cloning.join().unwrap().kind(), ErrorKind::Cancelled);
    });
    assert!(!w.path("ours").exists());
    w.hub.faults().clear();
    let repo = clone(&w, "ours", engine);
    assert_same_files(repo.workdir(), &w.path("seed"));
}

/// What was announced and what was finished, in objects and bytes.
fn totals(events: impl IntoIterator<Item = Event>) -> ((usize, u64), (usize, u64)) {
    let (mut announced, mut finished) = ((0, 0), (0, 0));
    for event in events {
        match event {
            Event::TransferStarted { objects, bytes, .. } => {
                announced = (announced.0 + objects, announced.1 + bytes);
            }
            Event::TransferProgress { bytes, total, .. } => assert!(bytes <= total),
            Event::TransferFinished { bytes, path, .. } => {
                assert!(path.is_some());
                finished = (finished.0 + 1, finished.1 + bytes);
            }
            _ => {}
        }
    }
    (announced, finished)
}

fn the_progress_adds_up(engine: LfsEngine) {
    let w = World::new();
    w.model("alice/m");
    let (progress, events) = Progress::channel();
    let repo = prepare(&w, "ours", engine)
        .progress(progress)
        .clone_repo()
        .unwrap();
    let sizes = [3 << 20, 70_000, 10];
    let files = ["large.bin", "with space.bin", "größe ✓.bin"];
    let content = |(seed, name)| (name, weights(seed as u64, sizes[seed]));
    let files: Vec<_> = files.into_iter().enumerate().map(content).collect();
    commit(&repo, &files);
    repo.push().unwrap();
    drop(repo);
    let wanted = (3, sizes.iter().sum::<usize>() as u64);
    assert_eq!(totals(events), (wanted, wanted));

    let (progress, events) = Progress::channel();
    let prepared = prepare(&w, "again", engine).progress(progress);
    drop(prepared.clone_repo().unwrap());
    assert_eq!(totals(events), (wanted, wanted));
}

fn saves_are_pushed_in_the_background(engine: LfsEngine) {
    let w = World::new();
    w.model("alice/m");
    let repo = clone(&w, "ours", engine);
    let mut commits = Vec::new();
    for seed in 1..=3 {
        write(repo.workdir(), "w.bin", weights(seed, 40_000));
        match repo.save(format!("step {seed}")).unwrap().saved {
            Saved::Queued { commit, .. } => commits.push(commit),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(repo.close().unwrap().pushed, commits);
    let tip = commits.last().map(ToString::to_string);
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
    assert_same_files(&w.git_clone("alice/m", "theirs"), &w.path("ours"));
    w.assert_sound(&w.path("ours"));
}

fn a_folder_is_a_remote_as_well(engine: LfsEngine) {
    let w = World::new();
    let bare = ["init", "-q", "--bare", "-b", "main", "remote.git"];
    w.git(w.path(""), &bare);
    let source = w.path("remote.git");
    let source = source.to_string_lossy();
    let prepared = |folder: &str| {
        let prepared = Repository::prepare(&*source, w.path(folder));
        prepared.lfs_engine(engine)
    };
    let repo = prepared("ours").clone_repo().unwrap();
    crate::round_trip::fill(repo.workdir());
    repo.stage().unwrap();
    let _ = repo.commit("all sorts").unwrap();
    assert!(repo.push().unwrap().lfs_objects >= 7);
    let again = prepared("again").clone_repo().unwrap();
    assert_same_files(again.workdir(), repo.workdir());
    w.assert_sound(again.workdir());
    w.git(w.path(""), &["clone", "-q", &source, "theirs"]);
    assert_same_files(&w.path("theirs"), repo.workdir());
}

fn pruning_keeps_what_is_checked_out(engine: LfsEngine) {
    let w = filled();
    let repo = clone(&w, "ours", engine);
    commit(&repo, &[("model.safetensors", weights(69, 900))]);
    repo.push().unwrap();
    repo.prune().unwrap();
    w.assert_sound(repo.workdir());
    commit(&repo, &[("model.safetensors", weights(70, 900))]);
    repo.prune().unwrap();
    assert_eq!(repo.push().unwrap().lfs_objects, 1);
    assert_same_files(&w.git_clone("alice/m", "theirs"), repo.workdir());
}
