//! Tags and branches whose end is not known: the server does not answer, a process was killed, or somebody
//! else was quicker. Nothing is lost, and the same call again goes through.

use hf_repository::{
    BranchOptions, CheckedOut, CheckoutOptions, ErrorKind, NetworkLimits, RefChange, RemoteName,
    Repository, TagOptions, Unmerged, Upstream, Where,
};
use mini_hub::{Action, Fault, GitFault, Route};

use crate::support::{World, until, write};

fn origin() -> RemoteName {
    RemoteName::origin()
}

fn impatient(w: &World, folder: &str) -> Repository {
    w.model("alice/m");
    let limits = NetworkLimits::default().retries(0);
    let prepared = w.prepare("alice/m", folder).network_limits(limits);
    prepared.clone_repo().unwrap()
}

/// The server does what the next push asks for, and is not heard of any more. It has been asked twice by then.
fn falls_silent(w: &World) {
    // With the first bytes of its report the refs have moved; cut before, it may not get that far.
    let cut = Fault::on(Route::ReceivePack).act(Action::CutResponse(8));
    w.hub.faults().add(cut);
    let gone = Fault::on(Route::InfoRefsReceive).nth(3).always();
    w.hub.faults().add(gone.act(Action::Cut));
}

#[test]
fn what_the_remote_may_have_taken_stays_here() {
    let w = World::new();
    let repo = impatient(&w, "ours");
    let tag = || TagOptions::default().message("m").on(origin());
    falls_silent(&w);
    let error = repo.create_tag_with("v1", tag()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.hint().unwrap().contains("call again"), "{error:?}");
    w.hub.faults().clear();
    let bare = w.bare("alice/m");
    let has = |name: &str| {
        let verified = w.try_git(&bare, &["rev-parse", "-q", "--verify", name]);
        verified.status.success()
    };
    until("the tag is there", || has("v1"));
    let id = w.git(&bare, &["rev-parse", "v1"]);
    let again = repo.create_tag_with("v1", tag()).unwrap();
    assert_eq!(
        (again.local, again.remote),
        (RefChange::Existed, RefChange::Existed)
    );
    assert_eq!(w.git(repo.workdir(), &["rev-parse", "v1"]), id);

    let branch = || BranchOptions::default().on(origin());
    falls_silent(&w);
    let error = repo.create_branch_with("dev", branch()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    w.hub.faults().clear();
    until("the branch is there", || has("dev"));
    let again = repo.create_branch_with("dev", branch()).unwrap();
    assert_eq!(
        (again.local, again.remote),
        (RefChange::Existed, RefChange::Existed)
    );
    assert!(repo.upstream("dev").unwrap().is_some());

    // Somebody else makes the same tag: it is that one. One that says something else is not.
    w.git(repo.workdir(), &["tag", "-d", "v1"]);
    let made = repo.create_tag_with("v1", tag()).unwrap();
    assert_eq!(
        (made.local, made.remote),
        (RefChange::Created, RefChange::Existed)
    );
    assert_eq!(w.git(repo.workdir(), &["rev-parse", "v1"]), id);
    w.git(repo.workdir(), &["tag", "-d", "v1"]);
    let theirs = w.git_clone("alice/m", "theirs");
    w.git(&theirs, &["tag", "-a", "-m", "m", "v2"]);
    w.git(&theirs, &["push", "-q", "origin", "v2"]);
    let other = tag().message("another");
    let error = repo.create_tag_with("v2", other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(!repo.has_tag("v2").unwrap());
    let made = repo.create_tag_with("v2", tag()).unwrap();
    assert_eq!(made.remote, RefChange::Existed);
    let ours = w.git(repo.workdir(), &["rev-parse", "v2"]);
    assert_eq!(ours, w.git(&theirs, &["rev-parse", "v2"]));
}

#[test]
fn a_branch_that_is_taken_back_leaves_nothing_to_the_next_one() {
    let w = World::new();
    let repo = impatient(&w, "ours");
    let folder = repo.workdir();
    w.git(folder, &["update-ref", "refs/remotes/origin/exp", "HEAD"]);
    let reject = Action::Git(GitFault::Reject("no".to_owned()));
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).act(reject));
    let at = |name: &str| BranchOptions::default().at(name.parse().unwrap());
    let error = repo
        .create_branch_with("exp", at("exp").on(origin()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let key = ["config", "branch.exp.merge"];
    assert!(!w.try_git(folder, &key).status.success());
    // Not from under somebody who has checked it out meanwhile.
    let there = folder.to_path_buf();
    let call = Action::call(move || {
        let mut git = std::process::Command::new("git");
        let git = git.args(["checkout", "-q", "used"]).current_dir(&there);
        assert!(git.status().unwrap().success());
    });
    let reject = Action::Git(GitFault::Reject("no".to_owned()));
    for fault in [
        Fault::on(Route::InfoRefsReceive).nth(2).act(call),
        Fault::on(Route::ReceivePack).act(reject),
    ] {
        w.hub.faults().add(fault);
    }
    let error = repo
        .create_branch_with("used", at("main").on(origin()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(repo.current_branch().unwrap().unwrap().as_str(), "used");
    assert!(repo.head().unwrap().is_some());
    repo.checkout("main").unwrap();
    // What a killed deletion leaves.
    let left = |name: &str| {
        let key = format!("branch.{name}.");
        w.git(folder, &["config", &format!("{key}remote"), "origin"]);
        w.git(folder, &["config", &format!("{key}merge"), "refs/pr/3"]);
    };
    for name in ["exp", "gone", "new"] {
        left(name);
    }
    repo.create_branch("exp").unwrap();
    assert_eq!(repo.upstream("exp").unwrap(), None);
    repo.checkout_with("gone", CheckoutOptions::Create).unwrap();
    assert_eq!(repo.upstream("gone").unwrap(), None);
    let upstream = Upstream::of_branch(origin(), &"main".parse().unwrap());
    repo.set_upstream("gone", &upstream).unwrap();
    let renamed = repo.rename_branch("gone", "new").unwrap();
    assert_eq!(renamed.upstream, Some(upstream.clone()));
    let merges = w.git(folder, &["config", "--get-all", "branch.new.merge"]);
    assert_eq!(merges, "refs/heads/main");
    let listed = repo.branches().unwrap();
    let new = listed.iter().find(|it| it.name.as_str() == "new").unwrap();
    assert_eq!(new.upstream, Some(upstream));
}

#[test]
fn the_last_name_of_commits_stays_though_the_remote_has_none_of_it() {
    let w = World::new();
    let repo = impatient(&w, "ours");
    let (folder, bare) = (repo.workdir(), w.bare("alice/m"));
    let theirs = w.git_clone("alice/m", "theirs");
    w.git(&theirs, &["checkout", "-q", "-b", "exp"]);
    write(&theirs, "n.txt", "n\n");
    w.git_push_all(&theirs, "exp");
    repo.pull().unwrap();
    let tip = w.git(folder, &["rev-parse", "origin/exp"]);
    w.git(&bare, &["branch", "-D", "exp"]);
    // Gone there, known here only.
    for place in [Where::On(origin()), Where::HereAndOn(origin())] {
        let error = repo
            .delete_branch_from("exp", &place, Unmerged::Keep)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnmergedCommits);
    }
    // Moved there by somebody.
    w.git(&bare, &["branch", "exp", "main"]);
    let both = Where::HereAndOn(origin());
    let error = repo
        .delete_branch_from("exp", &both, Unmerged::Keep)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnmergedCommits);
    assert_eq!(w.git(folder, &["rev-parse", "origin/exp"]), tip);
    // Its name is needed.
    w.git(&bare, &["branch", "-D", "exp"]);
    w.git(&bare, &["branch", "exp/a", "main"]);
    repo.pull().unwrap();
    let all = || {
        w.git(
            folder,
            &["for-each-ref", "--format=%(refname)", "--contains", &tip],
        )
    };
    assert_eq!(all(), format!("refs/hf-repository/gone/{tip}"));
    // Nothing is kept that another name leads to.
    w.git(folder, &["update-ref", "refs/remotes/origin/m", "main"]);
    w.git(&bare, &["branch", "m/a", "main"]);
    repo.pull().unwrap();
    assert!(
        w.try_git(folder, &["rev-parse", "-q", "--verify", "origin/m/a"])
            .status
            .success()
    );
    let gone = [
        "for-each-ref",
        "--format=%(refname)",
        "refs/hf-repository/gone",
    ];
    assert_eq!(w.git(folder, &gone).lines().count(), 1);
    w.git(folder, &["update-ref", "refs/remotes/origin/exp2", &tip]);
    let lost = repo
        .delete_branch_from("exp2", &both, Unmerged::Lose)
        .unwrap();
    assert_eq!(lost.remote, RefChange::Missing);
    assert_eq!(
        w.git(folder, &["branch", "-r", "--list", "origin/exp2"]),
        ""
    );
}

#[test]
fn a_rename_that_was_interrupted_is_finished() {
    let w = World::new();
    w.model("alice/m");
    let main = w.clone("alice/m", "ours");
    let first = main.head().unwrap().unwrap().to_string();
    // In a linked work tree, where logs lie elsewhere than HEAD's.
    let (folder, side) = (main.workdir(), w.path("side"));
    w.git(folder, &["worktree", "add", "-q", "-b", "old", "../side"]);
    let repo = w.prepare("alice/m", "side").open().unwrap();
    let log = w.git(&side, &["log", "-g", "--format=%H %gs", "old"]);
    let renamed = repo.rename_branch("old", "a/b").unwrap();
    assert_eq!(renamed.checked_out, CheckedOut::Here);
    let logged = w.git(&side, &["log", "-g", "--format=%H %gs", "a/b"]);
    assert!(
        logged.ends_with(&log) && logged.contains("renamed"),
        "{logged}"
    );
    assert_eq!(
        w.git(folder, &["for-each-ref", "refs/hf-repository/renaming"]),
        ""
    );
    // Back over the folder that its log was in.
    repo.rename_branch("a/b", "old").unwrap();
    repo.rename_branch("old", "a").unwrap();
    repo.rename_branch("a", "old").unwrap();

    // Killed before HEAD had followed, and committed to since.
    let mark = |from: &str, to: &str| {
        let name = format!("refs/hf-repository/renaming/{from}/{to}");
        w.git(folder, &["update-ref", &name, &first]);
    };
    w.git(folder, &["update-ref", "refs/heads/n/ew", &first]);
    w.git(folder, &["config", "branch.n/ew.remote", "origin"]);
    w.git(folder, &["config", "branch.n/ew.merge", "refs/heads/main"]);
    assert_eq!(
        repo.rename_branch("old", "n/ew").unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    mark("old", "n%2Few");
    write(&side, "a.txt", "1\n");
    w.git(&side, &["add", "a.txt"]);
    w.git(&side, &["commit", "-q", "-m", "since"]);
    let tip = repo.head().unwrap().unwrap();
    w.git(folder, &["config", "branch.old.merge", "refs/heads/old"]);
    let renamed = repo.rename_branch("old", "n/ew").unwrap();
    assert_eq!(
        (renamed.commit, renamed.checked_out),
        (tip, CheckedOut::Here)
    );
    assert_eq!(renamed.upstream.unwrap().name.as_str(), "refs/heads/main");
    assert_eq!(w.git(&side, &["branch", "--list", "old"]), "");
    assert_eq!(
        w.git(folder, &["for-each-ref", "refs/hf-repository/renaming"]),
        ""
    );
    let config = w.git(folder, &["config", "--list"]);
    assert!(!config.contains("branch.old."), "{config}");

    // Killed at the very end; and with a commit of each name's own.
    mark("gone", "n%2Few");
    assert_eq!(repo.rename_branch("gone", "n/ew").unwrap().commit, tip);
    assert_eq!(
        repo.rename_branch("gone", "n/ew").unwrap_err().kind(),
        ErrorKind::RevisionNotFound
    );
    w.git(folder, &["checkout", "-q", "-b", "old"]);
    write(folder, "b.txt", "1\n");
    w.git(folder, &["add", "b.txt"]);
    w.git(folder, &["commit", "-q", "-m", "other"]);
    mark("old", "n%2Few");
    assert_eq!(
        main.rename_branch("old", "n/ew").unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    w.git(folder, &["fsck", "--strict", "--no-dangling"]);
}
