//! Look-ups that change nothing, judged by what git says of the same clone.

use std::fs;
use std::path::Path;

use hf_repository::{
    CheckoutOptions, ErrorKind, Pattern, RepoType, Repository, StageOptions, TrackReason,
};
use mini_hub::RepoOptions;

use crate::support::{World, path, write};

#[test]
fn what_is_ignored_is_what_git_ignores() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    write(
        folder,
        ".gitignore",
        "*.log\nbuild/\n/only-here\n!kept.log\n",
    );
    write(folder, "sub/.gitignore", "secret*\n!secret-not\n");
    write(folder, ".git/info/exclude", "private.txt\n");
    write(folder, "build/x", "1");
    write(folder, "tracked.log", "1");
    w.git(folder, &["add", "-f", "tracked.log"]);
    for name in [
        "a.log",
        "kept.log",
        "sub/a.log",
        "build/x",
        "build",
        "only-here",
        "sub/only-here",
        "secret",
        "sub/secret 1",
        "sub/secret-not",
        "private.txt",
        "tracked.log",
        "not-there/at.log",
        "plain.txt",
        "-q",
    ] {
        let theirs = w.try_git(folder, &["check-ignore", "-q", "--", name]);
        assert_eq!(
            repo.is_ignored(&path(name)).unwrap(),
            theirs.status.success(),
            "{name}"
        );
    }
}

#[test]
fn a_preview_is_what_staging_does_and_changes_nothing() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    write(
        folder,
        ".gitattributes",
        "*.pt filter=lfs diff=lfs merge=lfs -text\n",
    );
    write(folder, ".gitignore", "*.tmp\n");
    write(folder, "sub/a [1].dat", "bin\0ary");
    write(folder, "sub/staged.raw", "bin\0ary");
    write(folder, "sub/plain.txt", "text");
    write(folder, "other.dat", "bin\0ary");
    write(folder, "model.pt", "bin\0ary");
    write(folder, "x.tmp", "bin\0ary");
    w.git(folder, &["add", "sub/staged.raw"]);
    let rules = fs::read(folder.join(".gitattributes")).unwrap();
    let index = fs::read(folder.join(".git/index")).unwrap();
    let all = ["other.dat", "sub/a [1].dat", "sub/staged.raw"];
    for (options, expected) in [
        (StageOptions::default().path("sub"), &all[1..]),
        (StageOptions::default(), &all[..]),
    ] {
        let preview = repo.preview_auto_track(&options).unwrap();
        assert_eq!(fs::read(folder.join(".gitattributes")).unwrap(), rules);
        assert_eq!(fs::read(folder.join(".git/index")).unwrap(), index);
        let expected: Vec<_> = expected
            .iter()
            .map(|name| (path(name), TrackReason::Binary))
            .collect();
        assert_eq!(preview.files, expected);
    }
    let options = StageOptions::default();
    let preview = repo.preview_auto_track(&options).unwrap();
    let report = repo.stage_with(&options).unwrap();
    assert_eq!(report.tracked, preview.rules);
    for (file, _) in &preview.files {
        assert!(report.lfs.contains(file), "{file}");
    }
    assert_eq!(repo.preview_auto_track(&options).unwrap().files, []);
    let error = repo
        .preview_auto_track(&StageOptions::default().path("x.tmp"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PathIgnored);
}

#[test]
fn rules_of_a_preview_can_be_written_without_staging() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    write(repo.workdir(), "weights", "bin\0ary");
    let preview = repo.preview_auto_track(&StageOptions::default()).unwrap();
    assert_eq!(preview.rules, [Pattern::Literal(path("weights"))]);
    repo.track(preview.rules).unwrap();
    assert!(repo.is_tracked_with_lfs(&path("weights")).unwrap());
    assert_eq!(w.git(repo.workdir(), &["ls-files", "-s"]), "");
}

/// What `@{u}` is to git.
fn git_knows_an_upstream(w: &World, folder: &Path) -> bool {
    let output = w.try_git(folder, &["rev-parse", "-q", "--verify", "@{u}"]);
    output.status.success()
}

#[test]
fn an_upstream_is_what_git_takes_for_one() {
    let w = World::new();
    w.model("alice/m");
    w.empty_model("alice/empty");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    let both = |repo: &Repository| {
        let ours = repo.has_upstream().unwrap();
        assert_eq!(ours, git_knows_an_upstream(&w, repo.workdir()));
        ours
    };
    assert!(both(&repo));
    repo.checkout_with("side", CheckoutOptions::Create).unwrap();
    assert!(!both(&repo));
    // It follows a branch of another name.
    w.git(folder, &["branch", "-q", "-u", "origin/main"]);
    assert!(both(&repo));
    // It follows one that was never seen.
    w.git(folder, &["config", "branch.side.merge", "refs/heads/gone"]);
    assert!(!both(&repo));
    // It follows a branch of this clone.
    w.git(folder, &["config", "branch.side.remote", "."]);
    w.git(folder, &["config", "branch.side.merge", "refs/heads/main"]);
    assert!(both(&repo));
    w.git(folder, &["checkout", "-q", "--detach"]);
    let error = repo.has_upstream().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DetachedHead);
    // Nothing was pushed yet, so there is nothing to follow.
    assert!(!both(&w.clone("alice/empty", "empty")));
}

#[test]
fn what_a_folder_is_a_clone_of() {
    let w = World::new();
    w.model("alice/m");
    w.model("alice/other");
    let folder = w.path("ours");
    let is_cloned = |source: &str| w.prepare(source, "ours").is_cloned().unwrap();
    assert!(!Repository::is_repository(&folder));
    assert!(!is_cloned("alice/m"));
    assert!(!folder.exists(), "looking makes no folder");
    let repo = w.clone("alice/m", "ours");
    write(&folder, "sub/x", "1");
    assert!(Repository::is_repository(&folder));
    assert!(!Repository::is_repository(folder.join("sub")));
    let url = w.url("alice/m");
    for same in [
        "alice/m",
        "models/alice/m",
        "hf://alice/m",
        &url,
        &format!("{url}/"),
        &format!("{url}.git"),
    ] {
        assert!(is_cloned(same), "{same}");
    }
    for other in [
        "alice/other",
        "datasets/alice/m",
        "https://other.example/alice/m",
    ] {
        assert!(!is_cloned(other), "{other}");
    }
    let error = w.prepare("alice/../m", "ours").is_cloned().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSource);
    assert_eq!(
        repo.hub_id(),
        Some((RepoType::Model, "alice/m".parse().unwrap()))
    );
    // A repository without a remote is one, but a clone of nothing.
    w.git(w.path(""), &["init", "-q", "bare-of-remotes"]);
    assert!(Repository::is_repository(w.path("bare-of-remotes")));
    let prepared = w.prepare("alice/m", "bare-of-remotes");
    assert!(!prepared.is_cloned().unwrap());
    // A clone that was interrupted is none yet.
    write(&folder, ".git/hf-repository/clone-unfinished", "");
    assert!(!Repository::is_repository(&folder));
    assert!(!is_cloned("alice/m"));
}

#[test]
fn addresses_say_what_the_hub_has() {
    let w = World::new();
    let options = RepoOptions::dataset().initial_commit(true);
    w.hub.create_repo("alice/d", &options).unwrap();
    let repo = w.prepare("datasets/alice/d", "ours").clone_repo().unwrap();
    let url = format!("{}/datasets/alice/d", w.hub.url());
    assert_eq!(repo.remote_url(), url);
    let head = repo.head().unwrap().unwrap();
    assert_eq!(
        repo.head_commit_url().unwrap(),
        Some(format!("{url}/commit/{head}"))
    );
    assert_eq!(
        repo.hub_id(),
        Some((RepoType::Dataset, "alice/d".parse().unwrap()))
    );
    // Seen from another Hub it is a server like any other, and where that has pages nobody knows.
    let elsewhere = Repository::prepare(&url, repo.workdir())
        .endpoint("https://hub.example".parse().unwrap())
        .open()
        .unwrap();
    assert_eq!(elsewhere.remote_url(), url);
    assert_eq!(elsewhere.head_commit_url().unwrap(), None);
    assert_eq!(elsewhere.hub_id(), None);
}

#[test]
fn files_that_are_gone_are_listed_under_their_whole_names() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    let names = [
        "a b.txt",
        "\"q\".txt",
        "ünï.txt",
        "sub/D",
        "old name",
        "staged away",
        "back",
    ];
    for name in names {
        write(folder, name, name);
    }
    repo.stage().unwrap();
    let _ = repo.commit("all").unwrap();
    w.git(folder, &["rm", "-q", "staged away", "back"]);
    write(folder, "back", "again");
    fs::rename(folder.join("old name"), folder.join("new name")).unwrap();
    for name in &names[..4] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    write(folder, "D D", "a name that looks like a status");
    let status = repo.status().unwrap();
    let gone: Vec<&str> = status.deleted().map(|path| path.as_str()).collect();
    let expected = [
        "\"q\".txt",
        "a b.txt",
        "old name",
        "staged away",
        "sub/D",
        "ünï.txt",
    ];
    assert_eq!(gone, expected);
    let unstaged: Vec<&str> = status.unstaged().map(|path| path.as_str()).collect();
    let git = w.git(folder, &["ls-files", "-z", "--exclude-standard", "-mo"]);
    let mut theirs: Vec<&str> = git.split('\0').filter(|name| !name.is_empty()).collect();
    theirs.sort_unstable();
    theirs.dedup();
    assert_eq!(unstaged, theirs);
}
