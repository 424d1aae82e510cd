//! Branches: created, listed, renamed and deleted, here and on any remote.

use std::fs;

use hf_repository::{
    Branch, BranchOptions, BranchOutcome, CheckedOut, CheckoutOptions, ErrorKind, RefChange,
    RemoteName, Repository, Unmerged, Upstream, Where,
};
use mini_hub::{Action, Fault, GitFault, Route};

use crate::support::{World, needs_git_lfs, weights, write};

fn origin() -> RemoteName {
    RemoteName::origin()
}

fn at(revision: &str) -> BranchOptions {
    BranchOptions::default().at(revision.parse().unwrap())
}

/// A commit with an LFS file and nothing pushed.
fn commit(repo: &Repository, seed: u64) -> String {
    write(repo.workdir(), "w.bin", weights(seed, 2000));
    repo.stage().unwrap();
    let made = repo.commit(format!("step {seed}")).unwrap();
    made.commit().unwrap().to_string()
}

fn changes(outcome: &BranchOutcome) -> (RefChange, RefChange) {
    (outcome.local, outcome.remote)
}

#[track_caller]
fn kind<T: std::fmt::Debug>(outcome: hf_repository::Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

/// The branches of a clone as git lists them.
fn listed(w: &World, repo: &Repository) -> String {
    let format = "--format=%(refname) %(objectname) %(upstream)";
    let kinds = ["for-each-ref", format, "refs/heads", "refs/remotes/origin"];
    let all = w.git(repo.workdir(), &kinds);
    let lines = all.lines().filter(|line| !line.contains("origin/HEAD "));
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The same from what the library says.
fn told(branches: &[Branch]) -> String {
    let line = |branch: &Branch| match &branch.remote {
        None => {
            let upstream = branch.upstream.as_ref().map(|upstream| {
                let name = upstream.name.branch().unwrap();
                format!(" refs/remotes/{}/{name}", upstream.remote)
            });
            let upstream = upstream.unwrap_or_default();
            format!("refs/heads/{} {}{upstream}\n", branch.name, branch.commit)
        }
        Some(remote) => format!("refs/remotes/{remote}/{} {}\n", branch.name, branch.commit),
    };
    branches.iter().map(line).collect()
}

#[test]
fn branches_are_those_of_git_in_both_directions() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let first = repo.head().unwrap().unwrap().to_string();
    write(repo.workdir(), "dev", "a file\n");
    let second = commit(&repo, 1);
    write(repo.workdir(), "dev", "edited\n");

    // Here: HEAD stays, and so does a file of that name.
    let made = repo.create_branch("dev").unwrap();
    assert_eq!(changes(&made), (RefChange::Created, RefChange::Untouched));
    assert_eq!(made.commit.unwrap().to_string(), second);
    assert_eq!(
        changes(&repo.create_branch("dev").unwrap()).0,
        RefChange::Existed
    );
    assert_eq!(
        kind(repo.create_branch_with("dev", at(&first))),
        ErrorKind::AlreadyExists
    );
    assert_eq!(repo.current_branch().unwrap().unwrap().as_str(), "main");
    // A file is no revision: it keeps its edit.
    write(repo.workdir(), "only-a-file", "x\n");
    repo.stage().unwrap();
    write(repo.workdir(), "only-a-file", "edited\n");
    for options in [CheckoutOptions::Existing, CheckoutOptions::Create] {
        let went = repo.checkout_with("only-a-file", options);
        assert_eq!(went.is_err(), options == CheckoutOptions::Existing);
        let text = fs::read_to_string(repo.workdir().join("only-a-file")).unwrap();
        assert_eq!(text, "edited\n");
    }
    repo.checkout("main").unwrap();
    repo.delete_branch("only-a-file").unwrap();
    assert_eq!(
        fs::read_to_string(repo.workdir().join("dev")).unwrap(),
        "edited\n"
    );

    // There as well, with its LFS object; the local one follows.
    let options = at("dev").on(origin());
    let made = repo
        .create_branch_with("team/next", options.clone())
        .unwrap();
    assert_eq!(changes(&made), (RefChange::Created, RefChange::Created));
    let again = repo.create_branch_with("team/next", options).unwrap();
    assert_eq!(changes(&again), (RefChange::Existed, RefChange::Existed));
    let theirs = w.git_clone("alice/m", "theirs");
    w.git(&theirs, &["checkout", "-q", "team/next"]);
    assert_eq!(fs::read(theirs.join("w.bin")).unwrap(), weights(1, 2000));
    w.git(&theirs, &["push", "-q", "origin", "HEAD:refs/heads/theirs"]);
    let names = |branches: Vec<Branch>| -> Vec<String> {
        branches.iter().map(|it| it.name.to_string()).collect()
    };
    let there = repo.branches_on(&origin()).unwrap();
    assert_eq!(names(there), ["main", "team/next", "theirs"]);
    repo.pull().unwrap();
    // At the remote's branch of its name it follows that.
    let made = repo.create_branch_with("theirs", at("theirs")).unwrap();
    assert_eq!(changes(&made), (RefChange::Created, RefChange::Untouched));
    let all = repo.branches().unwrap();
    assert_eq!(told(&all), listed(&w, &repo));
    assert_eq!(all[1].checked_out, CheckedOut::Here);
    assert_eq!(
        all[2].upstream,
        Some(Upstream::of_branch(origin(), &all[2].name))
    );

    // What the remote does not take is not left here.
    let reject = Action::Git(GitFault::Reject("no more branches".to_owned()));
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).act(reject));
    let before = listed(&w, &repo);
    let error = repo
        .create_branch_with("more", at("dev").on(origin()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.server_message().unwrap().contains("no more branches"));
    for (name, options, expected) in [
        ("", at("dev"), ErrorKind::InvalidName),
        ("-d", at("dev"), ErrorKind::InvalidName),
        ("a..b", at("dev"), ErrorKind::InvalidName),
        ("HEAD", at("dev"), ErrorKind::InvalidName),
        ("dev/x", at("dev"), ErrorKind::AlreadyExists),
        ("team", at("dev"), ErrorKind::AlreadyExists),
        ("more", at("no-such"), ErrorKind::RevisionNotFound),
        (
            "more",
            at("dev").on("gone".parse().unwrap()),
            ErrorKind::RemoteNotFound,
        ),
    ] {
        assert_eq!(
            kind(repo.create_branch_with(name, options)),
            expected,
            "{name}"
        );
    }
    assert_eq!(listed(&w, &repo), before);
    // What was known of a branch that is gone there is not in the way of a new one.
    w.git(
        repo.workdir(),
        &["update-ref", "refs/remotes/origin/nest", &first],
    );
    let nested = repo
        .create_branch_with("nest/egg", at("dev").on(origin()))
        .unwrap();
    assert_eq!(changes(&nested), (RefChange::Created, RefChange::Created));
    let tracked = w.git(
        repo.workdir(),
        &["rev-parse", "origin/nest/egg", "nest/egg@{u}"],
    );
    assert_eq!(tracked, format!("{second}\n{second}"));
    // A name that looks like an id is a name.
    let odd = &first[..12];
    repo.create_branch_with(odd, at("dev").on(origin()))
        .unwrap();
    assert_eq!(w.remote_tip("alice/m", odd).unwrap(), second);
}

#[test]
fn a_branch_is_deleted_where_that_loses_nothing() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let (folder, bare) = (repo.workdir(), w.bare("alice/m"));
    commit(&repo, 1);
    repo.push().unwrap();
    assert_eq!(kind(repo.delete_branch("main")), ErrorKind::BranchInUse);
    let missing = repo.delete_branch("never").unwrap();
    assert_eq!(
        changes(&missing),
        (RefChange::Missing, RefChange::Untouched)
    );

    // Two commits of its own: not without saying so.
    repo.checkout_with("alone", CheckoutOptions::Create)
        .unwrap();
    commit(&repo, 2);
    let tip = commit(&repo, 3);
    repo.checkout("main").unwrap();
    let error = repo.delete_branch("alone").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnmergedCommits);
    assert!(error.to_string().contains("2 of its commits"), "{error}");
    assert!(error.to_string().contains(&tip[..7]), "{error}");
    // What is promised may be called off yet.
    assert!(!w.git(folder, &["branch", "--list", "alone"]).is_empty());
    w.git(folder, &["config", "branch.alone.description", "text"]);
    w.git(folder, &["tag", "kept", "alone"]);
    let gone = repo.delete_branch("alone").unwrap();
    assert_eq!(gone.commit.unwrap().to_string(), tip);
    assert!(
        !w.try_git(folder, &["config", "branch.alone.description"])
            .status
            .success()
    );
    w.git(folder, &["branch", "alone", "kept"]);
    w.git(folder, &["tag", "-d", "kept"]);
    let gone = repo
        .delete_branch_from("alone", &Where::Here, Unmerged::Lose)
        .unwrap();
    assert_eq!(changes(&gone), (RefChange::Deleted, RefChange::Untouched));

    // Another work tree is on it, or a rebase of it is under way.
    w.git(
        folder,
        &["worktree", "add", "-q", "-b", "there", "../there"],
    );
    assert_eq!(kind(repo.delete_branch("there")), ErrorKind::BranchInUse);
    assert_eq!(
        kind(repo.rename_branch("there", "x")),
        ErrorKind::BranchInUse
    );
    let checked = |repo: &Repository, name: &str| {
        let all = repo.branches().unwrap();
        all.iter()
            .find(|it| it.name.as_str() == name)
            .unwrap()
            .checked_out
    };
    assert_eq!(checked(&repo, "there"), CheckedOut::Elsewhere);
    w.git(w.path("there"), &["checkout", "-q", "--detach"]);
    w.git(folder, &["branch", "rebased", "main"]);
    fs::create_dir(folder.join(".git/rebase-merge")).unwrap();
    fs::write(
        folder.join(".git/rebase-merge/head-name"),
        "refs/heads/rebased\n",
    )
    .unwrap();
    assert_eq!(kind(repo.delete_branch("rebased")), ErrorKind::BranchInUse);
    fs::remove_dir_all(folder.join(".git/rebase-merge")).unwrap();
    repo.delete_branch("rebased").unwrap();
    repo.delete_branch("there").unwrap();

    // On the remote.
    let there = Where::On(origin());
    let both = Where::HereAndOn(origin());
    repo.create_branch_with("pushed", BranchOptions::default().on(origin()))
        .unwrap();
    let gone = repo
        .delete_branch_from("pushed", &both, Unmerged::Keep)
        .unwrap();
    assert_eq!(changes(&gone), (RefChange::Deleted, RefChange::Deleted));
    assert_eq!(w.remote_tip("alice/m", "pushed"), None);
    assert_eq!(
        w.git(folder, &["branch", "-r", "--list", "origin/pushed"]),
        ""
    );
    let config = fs::read_to_string(folder.join(".git/config")).unwrap();
    assert!(!config.contains("pushed"), "{config}");
    let gone = repo
        .delete_branch_from("pushed", &both, Unmerged::Keep)
        .unwrap();
    assert_eq!(changes(&gone), (RefChange::Missing, RefChange::Missing));
    // The Hub keeps its main branch.
    let refused = repo
        .delete_branch_from("main", &there, Unmerged::Keep)
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused:?}");
    assert!(
        refused
            .server_message()
            .unwrap()
            .contains("cannot be deleted")
    );
    // Commits of others are not here to be judged; then they are, and are nowhere else.
    let theirs = w.git_clone("alice/m", "theirs");
    w.git(&theirs, &["checkout", "-q", "-b", "theirs"]);
    write(&theirs, "n.txt", "n\n");
    w.git_push_all(&theirs, "theirs");
    let keep = || repo.delete_branch_from("theirs", &there, Unmerged::Keep);
    let hint = keep().unwrap_err();
    assert_eq!(hint.kind(), ErrorKind::UnmergedCommits);
    assert!(hint.to_string().contains("not here"), "{hint}");
    repo.pull().unwrap();
    assert!(keep().unwrap_err().to_string().contains("1 of its commits"));
    // Another branch of the remote has them: nothing is lost.
    w.git(&bare, &["branch", "copy", "theirs"]);
    let gone = keep().unwrap();
    assert_eq!(changes(&gone), (RefChange::Untouched, RefChange::Deleted));
    let gone = repo
        .delete_branch_from("copy", &there, Unmerged::Lose)
        .unwrap();
    assert_eq!(gone.remote, RefChange::Deleted);
    assert_eq!(w.git(&bare, &["branch"]), "* main");

    // A folder is a remote as well, with its own rules.
    let disk = w.path("disk.git");
    w.git(
        w.path(""),
        &["clone", "-q", "--bare", &bare.to_string_lossy(), "disk.git"],
    );
    w.git(folder, &["remote", "add", "disk", &disk.to_string_lossy()]);
    let on_disk = Where::On("disk".parse().unwrap());
    let options = BranchOptions::default().on("disk".parse().unwrap());
    repo.create_branch_with("d", options).unwrap();
    assert_eq!(repo.upstream("d").unwrap(), None);
    assert_eq!(
        w.git(folder, &["rev-parse", "disk/d"]),
        w.git(folder, &["rev-parse", "d"])
    );
    let gone = repo
        .delete_branch_from("d", &on_disk, Unmerged::Keep)
        .unwrap();
    assert_eq!(gone.remote, RefChange::Deleted);
    let refused = repo.delete_branch_from("main", &on_disk, Unmerged::Keep);
    assert_eq!(kind(refused), ErrorKind::Rejected);
    assert_eq!(w.git(&disk, &["branch"]), "* main");
}

#[test]
fn a_renamed_branch_keeps_what_is_its() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    repo.checkout_with("old", CheckoutOptions::Create).unwrap();
    write(folder, "a.txt", "1\n");
    let _ = repo.save("one").unwrap();
    repo.wait_for_pushes().unwrap();
    w.git(
        folder,
        &["config", "branch.old.description", "what it is for"],
    );
    let log = w.git(folder, &["log", "-g", "--format=%H %gs", "old"]);

    // A push that is promised and cannot be made now goes where it was promised.
    w.hub.faults().add(
        Fault::on(Route::InfoRefsReceive)
            .always()
            .act(Action::status(403)),
    );
    write(folder, "a.txt", "2\n");
    let _ = repo.save("two").unwrap();
    repo.wait_for_pushes().unwrap_err();
    let tip = repo.head().unwrap().unwrap();
    write(folder, "a.txt", "edited\n");
    let renamed = repo.rename_branch("old", "new").unwrap();
    assert_eq!(renamed.commit, tip);
    assert_eq!(renamed.checked_out, CheckedOut::Here);
    assert_eq!(
        renamed.upstream,
        Some(Upstream::of_branch(origin(), &"old".parse().unwrap()))
    );
    assert_eq!(repo.current_branch().unwrap(), Some(renamed.name.clone()));
    assert_eq!(w.git(folder, &["branch", "--list", "old"]), "");
    assert_eq!(
        w.git(folder, &["config", "branch.new.description"]),
        "what it is for"
    );
    let logged = w.git(folder, &["log", "-g", "--format=%H %gs", "new"]);
    assert!(logged.ends_with(&log), "{logged}");
    assert!(logged.starts_with(&format!(
        "{tip} Branch: renamed refs/heads/old to refs/heads/new"
    )));
    assert_eq!(w.git(folder, &["status", "--porcelain"]), " M a.txt");
    w.git(folder, &["fsck", "--strict", "--no-dangling"]);
    w.hub.faults().clear();
    let flushed = repo.flush(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(flushed.pushed, [tip]);
    assert_eq!(w.remote_tip("alice/m", "old"), Some(tip.to_string()));
    assert_eq!(w.remote_tip("alice/m", "new"), None);
    // A new save goes to the new name.
    let _ = repo.save("three").unwrap();
    repo.wait_for_pushes().unwrap();
    let tip = repo.head().unwrap().unwrap().to_string();
    assert_eq!(w.remote_tip("alice/m", "new"), Some(tip));

    // What is not renamed.
    repo.create_branch("a/b").unwrap();
    for (from, to, expected) in [
        ("gone", "x", ErrorKind::RevisionNotFound),
        ("new", "main", ErrorKind::AlreadyExists),
        ("new", "a", ErrorKind::AlreadyExists),
        ("new", "new/er", ErrorKind::AlreadyExists),
        ("new", "-x", ErrorKind::InvalidName),
        ("", "x", ErrorKind::InvalidName),
    ] {
        assert_eq!(kind(repo.rename_branch(from, to)), expected, "{from} {to}");
    }
    assert_eq!(
        repo.rename_branch("new", "new").unwrap().name.as_str(),
        "new"
    );
    for (from, to) in [("a/b", "a/b/c"), ("a/b", "a")] {
        let error = repo.rename_branch(from, to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.hint().unwrap().contains("third name"), "{error:?}");
    }
    let renamed = repo.rename_branch("a/b", "c").unwrap();
    // Nothing is left in the way, of logs neither.
    repo.create_branch("a").unwrap();
    repo.delete_branch("a").unwrap();
    repo.rename_branch("c", "a/b").unwrap();
    repo.rename_branch("a/b", "c").unwrap();
    assert_eq!(
        (renamed.checked_out, renamed.upstream),
        (CheckedOut::Nowhere, None)
    );
    assert_eq!(repo.current_branch().unwrap().unwrap().as_str(), "new");
}
