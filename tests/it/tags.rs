//! Tags: created, listed, looked for and deleted, here and on any remote.

use std::path::Path;
use std::time::{Duration, SystemTime};

use hf_repository::{
    ErrorKind, Identity, NetworkLimits, RefChange, RemoteName, Repository, TagKind, TagOptions,
    TagOutcome, Where,
};
use mini_hub::{Action, Fault, GitFault, Route};

use crate::support::{World, needs_git_lfs, weights, write};

fn origin() -> RemoteName {
    RemoteName::origin()
}

fn on_origin() -> TagOptions {
    TagOptions::default().on(origin())
}

/// A commit with an LFS file and nothing pushed.
fn commit(repo: &Repository, seed: u64) -> String {
    write(repo.workdir(), "w.bin", weights(seed, 2000));
    repo.stage().unwrap();
    let made = repo.commit(format!("step {seed}")).unwrap();
    made.commit().unwrap().to_string()
}

/// Names and targets of the tags in a folder, as git lists them.
fn listed(w: &World, folder: impl AsRef<Path>) -> String {
    let format = "--format=%(refname:lstrip=2) %(objecttype) %(*objectname)%(objectname)";
    w.git(folder, &["for-each-ref", format, "refs/tags"])
}

fn changes(outcome: &TagOutcome) -> (RefChange, RefChange) {
    (outcome.local, outcome.remote)
}

#[test]
fn tags_are_those_of_git_in_both_directions() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .identity(Identity::new("Ada L.", "ada@example.org").unwrap())
        .clone_repo()
        .unwrap();
    let first = repo.head().unwrap().unwrap().to_string();
    let second = commit(&repo, 1);

    // Here alone first; nothing is sent.
    w.hub.clear_requests();
    let made = repo.create_tag("v1").unwrap();
    assert_eq!(changes(&made), (RefChange::Created, RefChange::Untouched));
    assert_eq!(made.commit.unwrap().to_string(), second);
    assert!(w.hub.requests().is_empty());
    assert!(repo.has_tag("v1").unwrap());
    assert!(!repo.has_tag_on("v1", &origin()).unwrap());

    // It goes to the remote with its LFS object, and the branch does not.
    let made = repo.create_tag_with("v1", on_origin()).unwrap();
    assert_eq!(changes(&made), (RefChange::Existed, RefChange::Created));
    let messy = "\n\nOf the paper.  \n\n\n\nSecond\n\n";
    let annotated = on_origin().at("main".parse().unwrap()).message(messy);
    let made = repo
        .create_tag_with("release/1.0", annotated.clone())
        .unwrap();
    assert_eq!(changes(&made), (RefChange::Created, RefChange::Created));
    let again = repo.create_tag_with("release/1.0", annotated).unwrap();
    assert_eq!(changes(&again), (RefChange::Existed, RefChange::Existed));
    let early = on_origin().at(first[..9].parse().unwrap());
    let made = repo.create_tag_with("early", early).unwrap();
    assert_eq!(made.commit.unwrap().to_string(), first);
    assert_eq!(w.remote_tip("alice/m", "main").unwrap(), first);
    let expected = format!(
        "early commit {first}\nrelease/1.0 tag {second}{}\nv1 commit {second}",
        w.git(repo.workdir(), &["rev-parse", "release/1.0"])
    );
    assert_eq!(listed(&w, repo.workdir()), expected);
    assert_eq!(listed(&w, w.bare("alice/m")), expected);

    // As git would have written it.
    let theirs = w.git_clone("alice/m", "theirs");
    w.git(&theirs, &["tag", "-a", "-m", messy, "of-git", "v1"]);
    let body = |name: &str| {
        w.git(
            &theirs,
            &["for-each-ref", "--format=%(contents)|%(taggeremail)", name],
        )
    };
    let ours = body("refs/tags/release/1.0");
    assert_eq!(ours, "Of the paper.\n\nSecond\n|<ada@example.org>");
    assert_eq!(
        ours.split('|').next(),
        body("refs/tags/of-git").split('|').next()
    );
    w.git(&theirs, &["checkout", "-q", "v1"]);
    assert_eq!(
        std::fs::read(theirs.join("w.bin")).unwrap(),
        weights(1, 2000)
    );
    w.git(&theirs, &["push", "-q", "origin", "of-git"]);
    w.assert_sound(repo.workdir());

    // What git made is listed: on the remote at once, with what it says when it is here.
    let there = repo.tags_on(&origin()).unwrap();
    let names: Vec<&str> = there.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(names, ["early", "of-git", "release/1.0", "v1"]);
    assert_eq!(
        (there[1].kind, &there[1].message),
        (TagKind::Annotated, &None)
    );
    assert_eq!(there[1].commit.unwrap().to_string(), second);
    repo.pull().unwrap();
    let here = repo.tags().unwrap();
    assert_eq!(here.len(), 4);
    assert_eq!(
        here[1].message.as_deref(),
        Some("Of the paper.\n\nSecond\n")
    );
    assert_eq!(here[1].tagger.as_ref().unwrap().email(), "git@example.org");
    let age = SystemTime::now()
        .duration_since(here[2].tagged_at.unwrap())
        .unwrap();
    assert!(age < Duration::from_secs(600), "{age:?}");
    assert_eq!(
        (here[3].kind, &here[3].message),
        (TagKind::Lightweight, &None)
    );

    // Deleted here, there, and where it is not.
    let gone = repo.delete_tag("v1").unwrap();
    assert_eq!(changes(&gone), (RefChange::Deleted, RefChange::Untouched));
    assert_eq!(gone.commit.unwrap().to_string(), second);
    assert!(repo.has_tag_on("v1", &origin()).unwrap());
    let both = Where::HereAndOn(origin());
    let gone = repo.delete_tag_from("v1", &both).unwrap();
    assert_eq!(changes(&gone), (RefChange::Missing, RefChange::Deleted));
    let gone = repo.delete_tag_from("release/1.0", &both).unwrap();
    assert_eq!(changes(&gone), (RefChange::Deleted, RefChange::Deleted));
    let gone = repo.delete_tag_from("early", &Where::On(origin())).unwrap();
    assert_eq!(changes(&gone), (RefChange::Untouched, RefChange::Deleted));
    let gone = repo.delete_tag_from("never", &both).unwrap();
    assert_eq!(changes(&gone), (RefChange::Missing, RefChange::Missing));
    assert_eq!(w.git(w.bare("alice/m"), &["tag"]), "of-git");
    assert_eq!(w.git(repo.workdir(), &["tag"]), "early\nof-git");
    // Of a file, as what is here shows, they lead to no commit.
    for arguments in [
        &["tag", "file", "HEAD:.gitattributes"][..],
        &["tag", "-m", "x", "file-2", "HEAD:.gitattributes"],
        &["push", "-q", "origin", "file", "file-2"],
    ] {
        w.git(&theirs, arguments);
    }
    let there = repo.tags_on(&origin()).unwrap();
    let commits: Vec<bool> = there.iter().map(|tag| tag.commit.is_some()).collect();
    assert_eq!(commits, [false, false, true]);
}

#[test]
fn what_the_remote_does_not_take_is_not_left_here() {
    let w = World::new();
    w.model("alice/m");
    let repo = w
        .prepare("alice/m", "ours")
        .network_limits(NetworkLimits::default().retries(0))
        .clone_repo()
        .unwrap();
    let kind = |outcome: hf_repository::Result<TagOutcome>| outcome.unwrap_err().kind();
    let nothing = |repo: &Repository| {
        assert_eq!(repo.tags().unwrap(), []);
        assert_eq!(w.git(w.bare("alice/m"), &["tag"]), "");
    };
    // The hook says no.
    let reject = Action::Git(GitFault::Reject("tags are frozen".to_owned()));
    let fault = Fault::on(Route::ReceivePack).always().act(reject);
    w.hub.faults().add(fault);
    for options in [on_origin(), on_origin().message("m")] {
        let error = repo.create_tag_with("v1", options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.server_message().unwrap().contains("tags are frozen"));
        nothing(&repo);
    }
    // One that was here before stays.
    let _ = repo.create_tag("mine").unwrap();
    assert_eq!(
        kind(repo.create_tag_with("mine", on_origin())),
        ErrorKind::Rejected
    );
    assert!(repo.has_tag("mine").unwrap());
    // A refused deletion deletes nothing.
    w.git(w.bare("alice/m"), &["tag", "mine", "main"]);
    let both = Where::HereAndOn(origin());
    assert_eq!(
        kind(repo.delete_tag_from("mine", &both)),
        ErrorKind::Rejected
    );
    assert!(repo.has_tag("mine").unwrap() && repo.has_tag_on("mine", &origin()).unwrap());
    w.hub.faults().clear();
    let gone = repo.delete_tag_from("mine", &both).unwrap();
    assert_eq!(changes(&gone), (RefChange::Deleted, RefChange::Deleted));

    // The network.
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).always().act(Action::Cut));
    assert_eq!(
        kind(repo.create_tag_with("v1", on_origin())),
        ErrorKind::Network
    );
    nothing(&repo);
    w.hub.faults().clear();
    // An answer that was lost is asked for, whether the push had got that far or not.
    w.hub
        .faults()
        .add(Fault::on(Route::ReceivePack).act(Action::CutResponse(0)));
    let made = repo
        .create_tag_with("v1", on_origin().message("m"))
        .unwrap();
    assert_eq!(changes(&made), (RefChange::Created, RefChange::Created));
    repo.delete_tag_from("v1", &both).unwrap();

    // What the Hub would refuse is found before anything is sent.
    write(repo.workdir(), "raw.dat", b"a\0b");
    w.git(repo.workdir(), &["add", "raw.dat"]);
    w.git(
        repo.workdir(),
        &["commit", "-q", "-m", "binary outside LFS"],
    );
    let error = repo.create_tag_with("v1", on_origin()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Preflight, "{error:?}");
    assert_eq!(error.offences()[0].path.as_str(), "raw.dat");
    nothing(&repo);
    w.git(repo.workdir(), &["reset", "-q", "--hard", "origin/main"]);

    // An object that is nowhere.
    commit(&repo, 1);
    std::fs::remove_dir_all(repo.workdir().join(".git/lfs/objects")).unwrap();
    assert_eq!(
        kind(repo.create_tag_with("v1", on_origin())),
        ErrorKind::LfsObjectMissing
    );
    nothing(&repo);

    // No such remote: known before anything is made.
    let nowhere = TagOptions::default().on("nowhere".parse().unwrap());
    assert_eq!(
        kind(repo.create_tag_with("v1", nowhere)),
        ErrorKind::RemoteNotFound
    );
    let empty = on_origin().message(" \n ");
    assert_eq!(
        kind(repo.create_tag_with("v1", empty)),
        ErrorKind::InvalidInput
    );
    let unknown = on_origin().at("no-such".parse().unwrap());
    assert_eq!(
        kind(repo.create_tag_with("v1", unknown)),
        ErrorKind::RevisionNotFound
    );
    for bad in ["", "-d", "a..b", "a b", "HEAD", "x.lock", "@{1}"] {
        assert_eq!(
            repo.has_tag(bad).unwrap_err().kind(),
            ErrorKind::InvalidName,
            "{bad}"
        );
        assert_eq!(kind(repo.create_tag(bad)), ErrorKind::InvalidName, "{bad}");
        assert_eq!(kind(repo.delete_tag(bad)), ErrorKind::InvalidName, "{bad}");
        let there = repo.has_tag_on(bad, &origin()).unwrap_err();
        assert_eq!(there.kind(), ErrorKind::InvalidName, "{bad}");
    }
    nothing(&repo);
}

#[test]
fn a_tag_is_never_moved_and_never_taken_for_a_branch() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let first = repo.head().unwrap().unwrap().to_string();
    let second = commit(&repo, 1);
    repo.push().unwrap();
    let bare = w.bare("alice/m");
    w.git(&bare, &["branch", "v1", &first]);
    w.git(repo.workdir(), &["branch", "v1", &first]);
    let kind = |outcome: hf_repository::Result<TagOutcome>| outcome.unwrap_err().kind();
    let at = |revision: &str| on_origin().at(revision.parse().unwrap());

    let _ = repo.create_tag_with("v1", at(&second)).unwrap();
    assert_eq!(listed(&w, &bare), format!("v1 commit {second}"));
    assert_eq!(w.remote_tip("alice/m", "v1").unwrap(), first);
    // Elsewhere, or of the other kind.
    for options in [at(&first), at(&second).message("m")] {
        assert_eq!(
            kind(repo.create_tag_with("v1", options)),
            ErrorKind::AlreadyExists
        );
    }
    // A revision is a branch first; by its full name it is what it says.
    let full =
        |name: &str| repo.create_tag_with("x", TagOptions::default().at(name.parse().unwrap()));
    for (name, commit) in [
        ("v1", &first),
        ("refs/tags/v1", &second),
        ("refs/heads/v1", &first),
    ] {
        assert_eq!(
            full(name).unwrap().commit.unwrap().to_string(),
            *commit,
            "{name}"
        );
        repo.delete_tag("x").unwrap();
    }
    // There only, and elsewhere.
    repo.delete_tag("v1").unwrap();
    let error = repo.create_tag_with("v1", at(&first)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains(&second), "{error}");
    assert!(!repo.has_tag("v1").unwrap());
    let gone = repo.delete_tag_from("v1", &Where::On(origin())).unwrap();
    assert_eq!(changes(&gone), (RefChange::Untouched, RefChange::Deleted));
    assert_eq!(w.remote_tip("alice/m", "v1").unwrap(), first);

    // Names that look like something else, or are folders of others.
    for name in [first.as_str(), "0123abcd", "refs/heads/main", "a/b", "ünï"] {
        let made = repo.create_tag_with(name, at(&second)).unwrap();
        assert_eq!(
            changes(&made),
            (RefChange::Created, RefChange::Created),
            "{name}"
        );
    }
    assert_eq!(
        w.git(&bare, &["rev-parse", &format!("refs/tags/{first}")]),
        second
    );
    for name in ["a", "a/b/c"] {
        assert_eq!(
            kind(repo.create_tag(name)),
            ErrorKind::AlreadyExists,
            "{name}"
        );
    }
    assert_eq!(w.remote_tip("alice/m", "main").unwrap(), second);

    // Somebody moves it between our look and our push: it is theirs.
    let moving = (bare.clone(), first.clone());
    let call = Action::call(move || {
        let (bare, first) = &moving;
        let git = std::process::Command::new("git")
            .args(["update-ref", "refs/tags/a/b", first])
            .current_dir(bare)
            .status();
        assert!(git.unwrap().success());
    });
    w.hub
        .faults()
        .add(Fault::on(Route::InfoRefsReceive).nth(2).act(call));
    let error = repo
        .delete_tag_from("a/b", &Where::HereAndOn(origin()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StaleLease, "{error:?}");
    assert!(error.to_string().contains(&first) && error.to_string().contains(&second));
    assert_eq!(w.git(&bare, &["rev-parse", "refs/tags/a/b"]), first);
    assert!(repo.has_tag("a/b").unwrap());
}

#[test]
fn a_tag_goes_to_any_remote() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    w.model("alice/copy");
    let repo = w.clone("alice/m", "ours");
    commit(&repo, 1);
    w.git(
        w.path(""),
        &["init", "-q", "--bare", "-b", "main", "disk.git"],
    );
    let disk = w.path("disk.git");
    // Remotes of a clone that is open already; one has its password in its address.
    let address = w
        .url("alice/copy")
        .replace("://", &format!("://user:{}@", w.token));
    for (name, url) in [
        ("disk", disk.to_string_lossy().as_ref()),
        ("copy", &address),
    ] {
        w.git(repo.workdir(), &["remote", "add", name, url]);
        let remote: RemoteName = name.parse().unwrap();
        let options = TagOptions::default().message("m").on(remote.clone());
        let made = repo.create_tag_with("v1", options).unwrap();
        assert_eq!(made.remote, RefChange::Created, "{name}");
        assert!(repo.has_tag_on("v1", &remote).unwrap());
        assert_eq!(repo.tags_on(&remote).unwrap().len(), 1);
    }
    assert!(!repo.has_tag_on("v1", &origin()).unwrap());
    // The object came along to each.
    for (number, from) in [disk.to_string_lossy().as_ref(), &w.url("alice/copy")]
        .iter()
        .enumerate()
    {
        let folder = format!("clone-{number}");
        w.git(w.path(""), &["clone", "-q", "-b", "v1", from, &folder]);
        let content = std::fs::read(w.path(&folder).join("w.bin")).unwrap();
        assert_eq!(content, weights(1, 2000));
    }
    let gone = repo
        .delete_tag_from("v1", &Where::HereAndOn("disk".parse().unwrap()))
        .unwrap();
    assert_eq!(changes(&gone), (RefChange::Deleted, RefChange::Deleted));
    assert_eq!(w.git(&disk, &["tag"]), "");
    assert_eq!(w.git(w.bare("alice/copy"), &["tag"]), "v1");
    let error = repo.has_tag_on("v1", &"gone".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RemoteNotFound);
    assert!(error.hint().unwrap().contains("git remote add gone"));
}
