//! Clones to a depth, by us and by git.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hf_repository::{
    CheckoutOptions, Delivery, ErrorKind, Integration, OnConflict, PullStrategy, Repository,
};
use mini_hub::{Action, Fault, Route};

use crate::child::succeed;
use crate::engines::child;
use crate::support::saving::{LONG, save};
use crate::support::{World, newest, weights, write};

/// A model with five commits on main, a tag on the third, and a branch that leaves there.
fn with_history(w: &World) -> PathBuf {
    w.model("alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    for number in 2..=5 {
        write(&theirs, "log.txt", format!("{number}\n"));
        w.git_push_all(&theirs, &number.to_string());
        if number == 3 {
            w.git(&theirs, &["tag", "third"]);
            w.git(&theirs, &["branch", "side"]);
            w.git(&theirs, &["push", "-q", "origin", "third", "side"]);
        }
    }
    theirs
}

fn commits(w: &World, folder: &Path, tip: &str) -> usize {
    let count = w.git(folder, &["rev-list", "--count", tip]);
    count.parse().unwrap()
}

/// One more commit of somebody else's.
fn elsewhere(w: &World, theirs: &Path, name: &str) {
    write(theirs, name, name);
    w.git_push_all(theirs, name);
}

fn shallow(w: &World, folder: &str) -> Repository {
    let repo = w
        .prepare("alice/m", folder)
        .depth(newest(1))
        .clone_repo()
        .unwrap();
    assert!(repo.is_shallow().unwrap());
    assert_eq!(commits(w, repo.workdir(), "HEAD"), 1);
    repo
}

#[test]
fn a_shallow_clone_does_every_job() {
    let w = World::new();
    let theirs = with_history(&w);
    let repo = shallow(&w, "ours");
    let folder = repo.workdir().to_path_buf();
    w.assert_sound(&folder);
    assert_eq!(repo.commits_ahead().unwrap(), 0);
    // Branches and tags are all there, each to its depth.
    for (revision, text) in [("third", "3\n"), ("side", "3\n"), ("main", "5\n")] {
        repo.checkout(revision).unwrap();
        assert_eq!(fs::read_to_string(folder.join("log.txt")).unwrap(), text);
        assert_eq!(commits(&w, &folder, "HEAD"), 1);
    }
    // Saved, pushed in the background, and again by hand.
    write(&folder, "w.bin", weights(1, 20_000));
    let (_, handle) = save(&repo, "weights");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    write(&folder, "notes.txt", "mine");
    repo.stage().unwrap();
    let _ = repo.commit("notes").unwrap();
    assert_eq!(repo.commits_ahead().unwrap(), 1);
    assert_eq!(repo.push().unwrap().commits, 1);
    // A branch of its own, while the others are where this clone has never been.
    w.git(&theirs, &["pull", "-q"]);
    elsewhere(&w, &theirs, "one.txt");
    repo.checkout_with("new", CheckoutOptions::Create).unwrap();
    let report = repo.push().unwrap();
    assert_eq!((report.commits, report.lfs_objects), (2, 0), "{report:?}");
    repo.checkout("main").unwrap();
    assert!(!repo.pull().unwrap().is_up_to_date());
    // Both sides move: what they share is here, and nothing more is fetched.
    elsewhere(&w, &theirs, "two.txt");
    write(&folder, "three.txt", "3");
    repo.stage().unwrap();
    let _ = repo.commit("three").unwrap();
    assert!(
        repo.pull_with(PullStrategy::Merge)
            .unwrap()
            .merged
            .is_some()
    );
    repo.push().unwrap();
    repo.prune().unwrap();
    assert!(repo.is_shallow().unwrap());
    w.assert_sound(&folder);
    // git goes on with it.
    w.git(&folder, &["commit", "-q", "--allow-empty", "-m", "by git"]);
    w.git(&folder, &["push", "-q", "origin", "main"]);
    w.git(&folder, &["fetch", "-q", "--unshallow"]);
    assert!(!repo.is_shallow().unwrap());
    let all = commits(&w, &w.bare("alice/m"), "main");
    assert_eq!(commits(&w, &folder, "main"), all);
    repo.close().unwrap();
    w.assert_sound(&folder);
}

#[test]
fn the_rest_of_history_comes_on_demand() {
    let w = World::new();
    let theirs = with_history(&w);
    let repo = w
        .prepare("alice/m", "ours")
        .depth(newest(2))
        .clone_repo()
        .unwrap();
    let folder = repo.workdir();
    assert_eq!(commits(&w, folder, "main"), 2);
    elsewhere(&w, &theirs, "one.txt");
    repo.pull().unwrap();
    assert_eq!(commits(&w, folder, "main"), 3, "the end stays where it is");
    // What fails changes nothing, and is not made up for unasked.
    let broken = Fault::on(Route::UploadPack)
        .always()
        .act(Action::status(403));
    w.hub.faults().add(broken);
    repo.fetch_history().unwrap_err();
    w.hub.faults().clear();
    elsewhere(&w, &theirs, "two.txt");
    repo.pull().unwrap();
    assert_eq!(commits(&w, folder, "main"), 4);
    repo.fetch_history().unwrap();
    assert!(!repo.is_shallow().unwrap());
    assert!(!folder.join(".git/shallow").exists());
    assert_eq!(commits(&w, folder, "main"), 7);
    w.assert_sound(folder);
    // There is nothing to do any more, and nobody is asked.
    w.hub.clear_requests();
    repo.fetch_history().unwrap();
    assert!(w.hub.requests().is_empty());
    // As deep as it gets is no shallow clone.
    let whole = w.prepare("alice/m", "whole").depth(newest(u32::MAX));
    let whole = whole.clone_repo().unwrap();
    assert!(!whole.is_shallow().unwrap());
    assert_eq!(commits(&w, whole.workdir(), "main"), 7);
    // A list of ends that cannot be read is damage, and no format.
    fs::write(whole.workdir().join(".git/shallow"), "nonsense\n").unwrap();
    let error = Repository::open(whole.workdir()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Git, "{error:?}");
    assert!(error.to_string().contains("shallow is damaged"), "{error}");
}

#[test]
fn a_merge_fetches_the_history_it_needs() {
    let w = World::new();
    let theirs = with_history(&w);
    let merging = shallow(&w, "merging");
    let rebasing = shallow(&w, "rebasing");
    let behind = shallow(&w, "behind");
    let prepared = w.prepare("alice/m", "saving").depth(newest(1));
    let saving = prepared
        .on_conflict(OnConflict::Merge)
        .clone_repo()
        .unwrap();
    // The branch starts anew from a commit that none of them has.
    w.git(&theirs, &["reset", "-q", "--hard", "HEAD~2"]);
    w.git(&theirs, &["push", "-q", "-f", "origin", "main"]);
    // For those without commits of their own they are still the newer ones.
    assert!(behind.pull().unwrap().is_up_to_date());
    assert!(behind.push().unwrap().commits > 0);
    w.git(&theirs, &["push", "-q", "-f", "origin", "main"]);
    elsewhere(&w, &theirs, "theirs.txt");
    for (repo, strategy) in [
        (&merging, PullStrategy::Merge),
        (&rebasing, PullStrategy::Rebase),
    ] {
        write(repo.workdir(), "ours.txt", "ours");
        repo.stage().unwrap();
        let _ = repo.commit("ours").unwrap();
        assert_eq!(repo.pull().unwrap_err().kind(), ErrorKind::Diverged);
        repo.pull_with(strategy).unwrap();
        let folder = repo.workdir();
        assert_eq!(fs::read_to_string(folder.join("log.txt")).unwrap(), "5\n");
        assert_eq!(fs::read(folder.join("theirs.txt")).unwrap(), b"theirs.txt");
        w.assert_sound(folder);
    }
    write(saving.workdir(), "saved.txt", "saved");
    let Delivery::Pushed(report) = save(&saving, "saved").1.wait().unwrap() else {
        panic!("not pushed");
    };
    let merged = matches!(report.integration, Integration::Merged { .. });
    assert!(merged, "{report:?}");
    saving.close_within(LONG).unwrap();
    w.git(&theirs, &["pull", "-q"]);
    assert_eq!(fs::read(theirs.join("saved.txt")).unwrap(), b"saved");
}

#[test]
fn a_depth_that_cannot_be_had_is_refused_before_anything_is_made() {
    let w = World::new();
    let theirs = with_history(&w);
    let bare = w.bare("alice/m").to_string_lossy().into_owned();
    let prepared = w.prepare(&bare, "refused").depth(newest(1));
    let error = prepared.clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.hint().is_some());
    assert!(!w.path("refused").exists());
    // A folder that is shallow itself is no source, and into a shallow clone nothing comes from a folder:
    // libgit2 would forget where history ends.
    let (url, name) = (format!("file://{bare}"), w.path("by-git"));
    let name = name.to_string_lossy();
    w.git(&theirs, &["clone", "-q", "--depth", "1", &url, &name]);
    let error = w.prepare(&name, "refused").clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(!w.path("refused").exists());
    let ours = Repository::open(w.path("by-git")).unwrap();
    elsewhere(&w, &theirs, "one.txt");
    let error = ours.pull().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--unshallow"))
    );
    assert!(ours.is_shallow().unwrap());
    // Pushing needs none of that.
    ours.checkout_with("mine", CheckoutOptions::Create).unwrap();
    write(ours.workdir(), "mine.txt", "mine");
    ours.stage().unwrap();
    let _ = ours.commit("mine").unwrap();
    ours.push().unwrap();
    w.git(ours.workdir(), &["fetch", "-q", "--unshallow"]);
    ours.checkout("main").unwrap();
    ours.pull().unwrap();
    w.git(ours.workdir(), &["update-index", "--refresh"]);
    w.assert_sound(ours.workdir());
}

#[test]
fn a_depth_goes_with_every_revision() {
    let w = World::new();
    let theirs = with_history(&w);
    let tip = w.git(&theirs, &["rev-parse", "main"]);
    let old = w.git(&theirs, &["rev-parse", "main~3"]);
    w.git(w.bare("alice/m"), &["update-ref", "refs/pr/1", "main~1"]);
    for (number, (revision, log, count)) in [
        ("side", "3\n", 1),
        ("third", "3\n", 1),
        (tip.as_str(), "5\n", 1),
        // Beyond the depth: the whole history it is.
        (old.as_str(), "2\n", 2),
        // What no fetch brings by itself comes with its history, down to what is here: the end of side.
        ("refs/pr/1", "4\n", 2),
    ]
    .into_iter()
    .enumerate()
    {
        let prepared = w
            .prepare("alice/m", &format!("ours-{number}"))
            .depth(newest(1));
        let repo = prepared
            .revision(revision.parse().unwrap())
            .clone_repo()
            .unwrap();
        let folder = repo.workdir();
        assert_eq!(fs::read_to_string(folder.join("log.txt")).unwrap(), log);
        assert_eq!(commits(&w, folder, "HEAD"), count, "{revision}");
        w.assert_sound(folder);
    }
    // A model without any commit, and its first one.
    w.empty_model("alice/empty");
    let prepared = w.prepare("alice/empty", "empty").depth(newest(1));
    let repo = prepared.clone_repo().unwrap();
    write(repo.workdir(), "a.txt", "a");
    let (_, handle) = save(&repo, "first");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    assert!(!repo.is_shallow().unwrap());
    // What may be an id is looked for in all the history, but no word that is too short for one.
    let [id, word] = ["beef1234", "add"].map(|revision| {
        w.hub.clear_requests();
        let prepared = w.prepare("alice/m", "none").depth(newest(1));
        let none = prepared.revision(revision.parse().unwrap()).clone_repo();
        assert_eq!(none.unwrap_err().kind(), ErrorKind::RevisionNotFound);
        assert!(!w.path("none").exists());
        let requests = w.hub.requests();
        let packs = requests
            .iter()
            .filter(|request| request.route == Route::UploadPack);
        packs.count()
    });
    assert!(word > 0 && word < id, "{word} {id}");
}

#[test]
fn a_shallow_clone_of_one_branch_by_git_stays_one() {
    let w = World::new();
    let theirs = with_history(&w);
    let (url, name) = (w.url("alice/m"), w.path("ours"));
    w.git(
        &theirs,
        &["clone", "-q", "--depth=1", &url, &name.to_string_lossy()],
    );
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    elsewhere(&w, &theirs, "one.txt");
    write(&name, "ours.txt", "ours");
    let (_, handle) = save(&repo, "ours");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    repo.pull().unwrap();
    // The end, the other's commit, ours, and what joins them.
    assert_eq!(commits(&w, &name, "main"), 4);
    let refs = [
        "for-each-ref",
        "--format=%(refname)",
        "refs/remotes",
        "refs/tags",
    ];
    let refs = w.git(&name, &refs);
    assert_eq!(refs, "refs/remotes/origin/HEAD\nrefs/remotes/origin/main");
    // A branch made here is followed, too.
    repo.checkout_with("new", CheckoutOptions::Create).unwrap();
    repo.push().unwrap();
    repo.pull().unwrap();
    assert_eq!(
        w.git(&name, &["rev-parse", "origin/new"]),
        w.git(&name, &["rev-parse", "main"])
    );
    repo.fetch_history().unwrap();
    assert_eq!(commits(&w, &name, "main"), 8);
    w.git(&name, &["update-index", "--refresh"]);
    w.assert_sound(&name);
}

#[test]
fn a_shallow_clone_that_was_killed_is_finished() {
    let w = World::new();
    with_history(&w);
    for depth in [None, Some(1)] {
        let name = format!("ours-{depth:?}");
        let folder = shallow(&w, &name).workdir().to_path_buf();
        // As if it had ended when the pack was there, and nothing else.
        let git = folder.join(".git");
        for file in ["shallow", "index", "packed-refs"] {
            let _ = fs::remove_file(git.join(file));
        }
        for refs in ["refs/remotes", "refs/heads", "refs/tags", "logs"] {
            let _ = fs::remove_dir_all(git.join(refs));
        }
        fs::create_dir(git.join("refs/heads")).unwrap();
        for file in ["log.txt", "README.md", ".gitattributes"] {
            let _ = fs::remove_file(folder.join(file));
        }
        for mark in ["clone-unfinished", "depth-unfinished"] {
            fs::write(git.join("hf-repository").join(mark), "").unwrap();
        }
        let mut prepared = w.prepare("alice/m", &name);
        if let Some(depth) = depth {
            prepared = prepared.depth(newest(depth));
        }
        let repo = prepared.open_or_clone().unwrap();
        assert_eq!(repo.is_shallow().unwrap(), depth.is_some());
        w.assert_sound(&folder);
        assert!(!git.join("hf-repository/depth-unfinished").exists());
    }
}

#[test]
fn a_long_history_is_cut_and_continued() {
    let w = World::new();
    w.empty_model("alice/m");
    // More commits than libgit2 names when it tells a server what is here, in several requests.
    let mut script = String::new();
    for number in 1..=400 {
        script += &format!(
            "commit refs/heads/main\ncommitter a <a@b> {number} +0000\ndata 1\nx\n\
             M 100644 inline n.txt\ndata <<E\n{number}\nE\n\n"
        );
    }
    let file = w.path("script");
    fs::write(&file, script).unwrap();
    let bare = w.bare("alice/m");
    let mut import = w.command("git", &bare);
    import.args(["fast-import", "--quiet"]);
    import.stdin(fs::File::open(&file).unwrap());
    assert!(import.status().unwrap().success());
    for (depth, name) in [(21, "short"), (300, "long")] {
        let prepared = w.prepare("alice/m", name).depth(newest(depth));
        let repo = prepared.clone_repo().unwrap();
        let folder = repo.workdir();
        assert_eq!(commits(&w, folder, "main"), depth as usize);
        write(folder, name, name);
        repo.stage().unwrap();
        let _ = repo.commit(name).unwrap();
        repo.checkout_with(name, CheckoutOptions::Create).unwrap();
        repo.push().unwrap();
        repo.fetch_history().unwrap();
        assert_eq!(commits(&w, folder, "HEAD"), 401);
        w.assert_sound(folder);
    }
}

#[test]
fn a_depth_goes_through_ssh() {
    let w = World::new();
    let theirs = with_history(&w);
    // What ssh comes to where both ends are one machine.
    let ssh = w.path("ssh");
    fs::write(
        &ssh,
        "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n",
    )
    .unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let bare = w.path("plain.git");
    let name = bare.to_string_lossy();
    w.git(&theirs, &["clone", "-q", "--bare", ".", &name]);
    let url = format!("ssh://here{name}");
    let folder = w.path("ours");
    let mut child = child(&w, "shallow-jobs", &[&url, &folder.to_string_lossy()]);
    succeed(&child.env("GIT_SSH_COMMAND", &ssh).output().unwrap());
    assert_eq!(commits(&w, &folder, "HEAD"), 6);
    w.assert_sound(&folder);
}

#[test]
fn a_server_that_is_shallow_itself_is_no_source() {
    let w = World::new();
    let theirs = with_history(&w);
    let end = w.git(&theirs, &["rev-parse", "main~1"]);
    fs::write(w.bare("alice/m").join("shallow"), format!("{end}\n")).unwrap();
    for depth in [None, Some(1)] {
        let prepared = w.prepare("alice/m", "ours");
        let error = match depth {
            None => prepared.clone_repo().unwrap_err(),
            Some(depth) => prepared.depth(newest(depth)).clone_repo().unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert!(!w.path("ours").exists());
    }
}

/// A clone to a depth, and the fetch of the rest, are killed at as many moments; the next call copes.
pub(crate) fn killed_at(moments: u64) {
    let w = World::new();
    with_history(&w);
    for moment in 0..moments {
        let folder = w.path(&format!("ours-{moment}"));
        let arguments = ["alice/m", &folder.to_string_lossy()];
        let mut process = w.child("shallow-clone", &arguments).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20 + 4 * moment));
        process.kill().unwrap();
        process.wait().unwrap();
        let prepared = w.prepare("alice/m", &format!("ours-{moment}"));
        let prepared = match moment % 2 {
            0 => prepared.depth(newest(1)),
            _ => prepared,
        };
        let repo = prepared.open_or_clone().unwrap();
        w.assert_sound(&folder);
        repo.pull().unwrap();
        repo.fetch_history().unwrap();
        assert_eq!(commits(&w, &folder, "main"), 5, "{moment}");
        w.assert_sound(&folder);
    }
}
