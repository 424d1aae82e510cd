//! Refs that no clone has by itself: pull requests, and what the Hub converts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hf_repository::{
    CheckoutOptions, Delivery, ErrorKind, Integration, PullStrategy, PushedRef, RefName,
    RemoteName, Repository, Saved, TagOptions, Upstream,
};
use mini_hub::{Action, Fault, Route};

use crate::support::judge::assert_same_files;
use crate::support::{World, needs_git_lfs, weights, write};

/// A pull request by git, as the Hub's guide has it; the folder it is worked on in.
fn propose(w: &World, number: u32, seed: u64) -> std::path::PathBuf {
    let theirs = w.git_clone("alice/m", &format!("theirs-{number}"));
    w.git(&theirs, &["checkout", "-q", "-b", &format!("pr/{number}")]);
    repropose(w, &theirs, number, seed);
    theirs
}

fn repropose(w: &World, theirs: &Path, number: u32, seed: u64) {
    write(theirs, &format!("{number}.bin"), weights(seed, 3000));
    w.git(theirs, &["add", "-A"]);
    w.git(theirs, &["commit", "-q", "-m", &format!("proposal {seed}")]);
    let refspec = format!("pr/{number}:refs/pr/{number}");
    w.git(theirs, &["push", "-q", "origin", &refspec]);
}

/// Where a ref of the hub is.
fn there(w: &World, name: &str) -> Option<String> {
    let output = w.try_git(&w.bare("alice/m"), &["rev-parse", "--verify", "-q", name]);
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn upstream(name: &str) -> Option<Upstream> {
    Some(Upstream::new(RemoteName::origin(), name.parse().unwrap()))
}

fn branches_there(w: &World) -> String {
    w.git(
        w.bare("alice/m"),
        &["for-each-ref", "--format=%(refname)", "refs/heads"],
    )
}

/// Saves a new file and waits until it has arrived.
#[track_caller]
fn save(repo: &Repository, name: &str, seed: u64) -> Delivery {
    write(repo.workdir(), name, weights(seed, 3000));
    match repo.save(format!("save {seed}")).unwrap().saved {
        Saved::Queued { handle, .. } => handle.wait().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pull_request_is_worked_on_like_a_branch() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let theirs = propose(&w, 3, 1);
    let repo = w.clone("alice/m", "ours");
    let main = repo.head().unwrap().unwrap();
    // Nothing of it is here yet.
    let request: RefName = "refs/pr/3".parse().unwrap();
    assert!(repo.checkout("pr/3").is_err());
    let report = repo.checkout(request.as_str()).unwrap();
    assert!(report.created);
    assert_eq!(report.branch.unwrap().as_str(), "pr/3");
    assert_eq!(repo.upstream("pr/3").unwrap(), upstream("refs/pr/3"));
    assert_same_files(&theirs, repo.workdir());
    w.assert_sound(repo.workdir());
    assert!(repo.is_clean().unwrap());
    assert_eq!(repo.commits_ahead().unwrap(), 0);
    assert!(repo.has_upstream().unwrap());

    // What others push to it is pulled.
    repropose(&w, &theirs, 3, 2);
    let pulled = repo.pull().unwrap();
    assert_eq!(
        pulled.after.map(|it| it.to_string()),
        there(&w, "refs/pr/3")
    );
    assert_same_files(&theirs, repo.workdir());
    assert!(repo.pull().unwrap().is_up_to_date());

    // Pushed, at once and in the background: there, and no branch comes to be.
    write(repo.workdir(), "ours.bin", weights(3, 3000));
    repo.stage().unwrap();
    let commit = repo.commit("ours").unwrap().commit().unwrap();
    assert_eq!(repo.commits_ahead().unwrap(), 1);
    w.hub.clear_requests();
    let pushed = repo.push().unwrap();
    assert_eq!(
        (&pushed.target, pushed.outcome),
        (&request, PushedRef::Moved)
    );
    assert_eq!((pushed.branch.as_str(), pushed.lfs_objects), ("pr/3", 1));
    assert_eq!(there(&w, "refs/pr/3"), Some(commit.to_string()));
    let Delivery::Pushed(report) = save(&repo, "ours.bin", 4) else {
        panic!("not pushed");
    };
    assert_eq!(report.target, request);
    assert_eq!(there(&w, "refs/pr/3"), Some(report.commit.to_string()));
    assert_eq!(w.hub.batch_refs(), ["refs/pr/3", "refs/pr/3"]);
    assert_eq!(branches_there(&w), "refs/heads/main");
    assert!(repo.is_clean().unwrap());
    assert!(matches!(
        repo.save("nothing new").unwrap().saved,
        Saved::Unchanged
    ));
    repo.wait_for_pushes().unwrap();

    // git agrees on all of it, and goes on from there.
    w.git(&theirs, &["pull", "-q", "origin", "refs/pr/3"]);
    assert_same_files(&theirs, repo.workdir());
    w.git(repo.workdir(), &["pull", "-q"]);
    w.git(repo.workdir(), &["fetch", "-q", "--prune"]);
    w.assert_sound(repo.workdir());

    // Back and forth; the second time nobody need be asked.
    assert_eq!(repo.checkout("main").unwrap().commit, Some(main));
    w.hub.clear_requests();
    let again = repo.checkout("refs/pr/3").unwrap();
    assert_eq!((again.created, again.commit), (false, Some(report.commit)));
    let asked = w.hub.requests();
    assert!(
        asked.iter().all(|it| it.route != Route::InfoRefsUpload),
        "{asked:?}"
    );
    // A tag can be put there.
    repo.create_tag_with(
        "proposed",
        TagOptions::default().at("refs/pr/3".parse().unwrap()),
    )
    .unwrap();
    assert_eq!(
        w.git(repo.workdir(), &["rev-parse", "proposed"]),
        report.commit.to_string()
    );
}

#[test]
fn a_pull_request_that_has_moved_is_integrated_with() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    w.git(w.bare("alice/m"), &["update-ref", "refs/pr/7", "main"]);
    repo.checkout("refs/pr/7").unwrap();
    let other = w.clone("alice/m", "other");
    other.checkout("refs/pr/7").unwrap();
    save(&other, "theirs.bin", 1);

    // In the background.
    let Delivery::Pushed(report) = save(&repo, "ours.bin", 2) else {
        panic!("not pushed");
    };
    assert!(
        matches!(report.integration, Integration::Merged { .. }),
        "{report:?}"
    );
    assert_eq!(
        (report.target.as_str(), report.branch.as_str()),
        ("refs/pr/7", "pr/7")
    );
    assert_eq!(there(&w, "refs/pr/7"), Some(report.commit.to_string()));
    // The local branch follows with the next save.
    let Delivery::Pushed(report) = save(&repo, "ours.bin", 3) else {
        panic!("not pushed");
    };
    assert_eq!(report.integration, Integration::None);
    assert!(repo.workdir().join("theirs.bin").exists());

    // In the calling thread.
    write(other.workdir(), "theirs.bin", weights(4, 3000));
    other.stage().unwrap();
    let _ = other.commit("parted").unwrap();
    assert_eq!(other.push().unwrap_err().kind(), ErrorKind::NonFastForward);
    assert_eq!(other.pull().unwrap_err().kind(), ErrorKind::Diverged);
    let pulled = other.pull_with(PullStrategy::Merge).unwrap();
    let merge = pulled.merged.unwrap();
    let message = w.git(other.workdir(), &["log", "-1", "--format=%s"]);
    assert_eq!(message, "Merge refs/pr/7 of origin");
    assert_eq!(other.push().unwrap().commit, merge);
    assert_eq!(branches_there(&w), "refs/heads/main");

    // A promise is kept by the next run, and for the ref it was made for.
    w.hub.faults().add(
        Fault::on(Route::InfoRefsReceive)
            .always()
            .act(Action::status(503)),
    );
    repo.pull().unwrap();
    write(repo.workdir(), "late.bin", weights(5, 3000));
    let _ = repo.save("late").unwrap();
    let tip = repo.head().unwrap().unwrap();
    repo.close_within(Duration::ZERO).unwrap_err();
    w.hub.faults().clear();
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    repo.remove_upstream("pr/7").unwrap();
    repo.flush(Duration::from_secs(60)).unwrap();
    assert_eq!(there(&w, "refs/pr/7"), Some(tip.to_string()));
    assert_eq!(branches_there(&w), "refs/heads/main");
}

#[test]
fn what_is_fetched_by_its_full_name() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let theirs = propose(&w, 1, 1);
    w.git(
        &theirs,
        &["push", "-q", "origin", "HEAD:refs/convert/parquet"],
    );
    let converted = there(&w, "refs/convert/parquet").unwrap();
    let repo = w.clone("alice/m", "ours");
    let kind = |name: &str| repo.checkout(name).unwrap_err().kind();
    let before = fs::read_to_string(repo.workdir().join(".git/HEAD")).unwrap();

    // Fetched alone: nothing is checked out, no branch is made.
    let fetched = repo.fetch_ref("refs/pr/1").unwrap();
    assert_eq!(Some(fetched.to_string()), there(&w, "refs/pr/1"));
    for (name, expected) in [
        ("refs/pr/99", ErrorKind::RevisionNotFound),
        ("refs/tags/x", ErrorKind::InvalidInput),
        ("pr/1", ErrorKind::InvalidName),
        ("refs/pr/../x", ErrorKind::InvalidName),
    ] {
        assert_eq!(repo.fetch_ref(name).unwrap_err().kind(), expected, "{name}");
    }
    assert_eq!(kind("refs/pr/99"), ErrorKind::RevisionNotFound);
    let create = repo.checkout_with("refs/pr/99", CheckoutOptions::Create);
    assert_eq!(create.unwrap_err().kind(), ErrorKind::RevisionNotFound);
    assert_eq!(repo.branches().unwrap().len(), 2);
    assert_eq!(
        fs::read_to_string(repo.workdir().join(".git/HEAD")).unwrap(),
        before
    );

    // What the Hub made is looked at, with its content, and is on no branch.
    let report = repo.checkout("refs/convert/parquet").unwrap();
    assert_eq!(report.commit.unwrap().to_string(), converted);
    assert_eq!((report.branch, report.created), (None, false));
    assert_same_files(&theirs, repo.workdir());
    assert_eq!(
        repo.save("no branch").unwrap_err().kind(),
        ErrorKind::DetachedHead
    );
    assert!(repo.is_clean().unwrap());
    w.assert_sound(repo.workdir());
    repo.checkout("main").unwrap();

    // A branch of that name that is somebody's own is not taken for it; one in the way is named.
    repo.create_branch("pr/1").unwrap();
    assert_eq!(kind("refs/pr/1"), ErrorKind::AlreadyExists);
    repo.set_upstream("pr/1", &upstream("refs/pr/1").unwrap())
        .unwrap();
    assert!(!repo.checkout("refs/pr/1").unwrap().created);
    repo.pull().unwrap();
    assert_same_files(&theirs, repo.workdir());
    repo.checkout("main").unwrap();
    repo.delete_branch("pr/1").unwrap();
    repo.create_branch("pr").unwrap();
    assert_eq!(kind("refs/pr/1"), ErrorKind::AlreadyExists);

    // A clone may begin there.
    let fresh = w
        .prepare("alice/m", "fresh")
        .revision("refs/pr/1".parse().unwrap());
    let fresh = fresh.clone_repo().unwrap();
    assert_eq!(fresh.current_branch().unwrap().unwrap().as_str(), "pr/1");
    assert_same_files(&theirs, fresh.workdir());
    let at = w
        .prepare("alice/m", "fresh")
        .revision("refs/pr/1".parse().unwrap());
    assert_eq!(at.open().unwrap().head().unwrap(), Some(fetched));
    w.assert_sound(fresh.workdir());

    // A folder is a remote as well.
    let bare = w.bare("alice/m").to_string_lossy().into_owned();
    let local = Repository::prepare(&bare, w.path("local"))
        .clone_repo()
        .unwrap();
    local.checkout("refs/pr/1").unwrap();
    assert_same_files(&theirs, local.workdir());
    write(local.workdir(), "more.bin", weights(9, 3000));
    local.stage().unwrap();
    let commit = local.commit("more").unwrap().commit().unwrap();
    assert_eq!(local.push().unwrap().target.as_str(), "refs/pr/1");
    assert_eq!(there(&w, "refs/pr/1"), Some(commit.to_string()));
}

#[test]
fn a_branch_may_follow_one_of_another_name() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    w.git(folder, &["checkout", "-q", "-b", "feature", "origin/main"]);
    assert_eq!(
        repo.upstream("feature").unwrap(),
        upstream("refs/heads/main")
    );
    let theirs = w.git_clone("alice/m", "theirs");
    write(&theirs, "t.txt", "theirs\n");
    w.git_push_all(&theirs, "theirs");
    // Pulled from what it follows, as git does, and pushed to its own name.
    let before = w.remote_tip("alice/m", "main").unwrap();
    assert_eq!(repo.pull().unwrap().after.unwrap().to_string(), before);
    save(&repo, "o.bin", 1);
    let tip = repo.head().unwrap().unwrap().to_string();
    assert_eq!(w.remote_tip("alice/m", "feature"), Some(tip.clone()));
    assert_eq!(w.remote_tip("alice/m", "main"), Some(before));
    assert_eq!(
        repo.upstream("feature").unwrap(),
        upstream("refs/heads/main")
    );
    // Who has told git otherwise has told us.
    w.git(folder, &["config", "push.default", "upstream"]);
    assert_eq!(repo.push().unwrap().target.as_str(), "refs/heads/main");
    assert_eq!(w.remote_tip("alice/m", "main"), Some(tip));

    for (branch, remote, expected) in [
        ("none", "origin", ErrorKind::RevisionNotFound),
        ("feature", "gone", ErrorKind::RemoteNotFound),
        ("-x", "origin", ErrorKind::InvalidName),
    ] {
        let upstream = Upstream::new(remote.parse().unwrap(), "refs/heads/x".parse().unwrap());
        assert_eq!(
            repo.set_upstream(branch, &upstream).unwrap_err().kind(),
            expected
        );
    }
    repo.set_upstream("feature", &upstream("refs/heads/gone").unwrap())
        .unwrap();
    let gone = repo.pull().unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::RevisionNotFound);
    assert!(gone.to_string().contains("gone"), "{gone}");
    repo.remove_upstream("feature").unwrap();
    assert_eq!(repo.upstream("feature").unwrap(), None);
    let status = w.git(folder, &["status", "-sb"]);
    assert_eq!(status, "## feature");
}
