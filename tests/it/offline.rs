//! `HF_HUB_OFFLINE`: what needs the network says so, and everything else goes on.

use std::path::Path;

use hf_repository::{Content, ErrorKind, PendingPush, Repository};

use crate::child::succeed;
use crate::support::saving::save;
use crate::support::{World, weights, write};

/// A child's work: all there is to do without a network, and all there is not.
pub(crate) fn jobs(folder: &Path, unknown: &Path, neighbour: &Path) {
    let offline = |what: &str, error: hf_repository::Error| {
        assert_eq!(error.kind(), ErrorKind::Offline, "{what}: {error:?}");
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
        assert!(error.hint().unwrap().contains("HF_HUB_OFFLINE"));
    };
    let cloned = Repository::prepare("alice/m", unknown).clone_repo();
    offline("clone", cloned.unwrap_err());
    assert!(!unknown.exists());
    let ssh = Repository::prepare("ssh://git@127.0.0.1:9/alice/m", unknown).clone_repo();
    offline("clone over ssh", ssh.unwrap_err());

    let repo = Repository::open(folder).unwrap();
    write(folder, "more.bin", weights(2, 5000));
    repo.stage().unwrap();
    let _ = repo.commit("offline").unwrap();
    repo.checkout("side").unwrap();
    repo.checkout("main").unwrap();
    assert!(repo.status().unwrap().is_clean());
    offline("push", repo.push().unwrap_err());
    offline("pull", repo.pull().unwrap_err());
    offline("access", repo.check_write_access().unwrap_err());

    // A save is kept, and told of as not pushed.
    write(folder, "saved.bin", weights(3, 5000));
    let (_, handle) = save(&repo, "saved");
    offline("background", handle.wait().unwrap_err());
    write(folder, "saved.bin", weights(4, 5000));
    let _ = save(&repo, "saved again");
    let error = repo.close().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unpushed, "{error:?}");

    // A remote that is a folder needs no network.
    let local = Repository::prepare(neighbour.to_string_lossy(), unknown)
        .clone_repo()
        .unwrap();
    assert!(local.pull().unwrap().is_up_to_date());
}

/// A child's work: LFS content that is not here.
pub(crate) fn content(folder: &Path) {
    let repo = Repository::open(folder).unwrap();
    let error = repo.fetch_all_content().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline, "{error:?}");
}

/// A child's work: what was left is pushed.
pub(crate) fn resume(folder: &Path) {
    let repo = Repository::open(folder).unwrap();
    let pending: Vec<PendingPush> = repo.pending_pushes().unwrap();
    assert!(!pending.is_empty());
    repo.flush(std::time::Duration::from_secs(60)).unwrap();
    repo.close().unwrap();
}

#[test]
fn local_work_goes_on_without_a_network() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "w.bin", weights(1, 5000));
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
    repo.push().unwrap();
    repo.checkout_with("side", hf_repository::CheckoutOptions::Create)
        .unwrap();
    repo.checkout("main").unwrap();
    let folder = repo.workdir().to_string_lossy().into_owned();
    drop(repo);
    w.prepare("alice/m", "pointers")
        .content(Content::PointersOnly)
        .clone_repo()
        .unwrap();
    w.hub.clear_requests();
    let neighbour = w.bare("alice/m").to_string_lossy().into_owned();
    let unknown = w.path("unknown").to_string_lossy().into_owned();
    let run = |job: &str, arguments: &[&str], offline: &str| {
        let mut child = w.child(job, arguments);
        succeed(&child.env("HF_HUB_OFFLINE", offline).output().unwrap())
    };
    run("offline", &[&folder, &unknown, &neighbour], "1");
    let pointers = w.path("pointers").to_string_lossy().into_owned();
    run("offline-content", &[&pointers], "true");
    assert_eq!(w.hub.requests().len(), 0, "{:?}", w.hub.requests());
    // Back again.
    run("offline-resume", &[&folder], "0");
    let tip = w.git(&folder, &["rev-parse", "HEAD"]);
    assert_eq!(w.remote_tip("alice/m", "main"), Some(tip));
}
