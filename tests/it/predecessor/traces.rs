//! What is left behind, and what gets in.

use std::fs;
use std::path::Path;

use hf_repository::{Identity, RepoPath, Repository};
use mini_hub::{Action, Fault, Route};

use crate::child::succeed;
use crate::support::{World, weights, write};

#[test]
fn an_address_with_a_token_shows_it_nowhere() {
    let w = World::new();
    w.model("alice/m");
    let address = w
        .url("alice/m")
        .replace("http://", "http://user:hf_secret_in_an_address@");
    let repo = w.prepare(&address, "ours").clone_repo().unwrap();
    let page = repo.head_commit_url().unwrap().unwrap();
    w.hub
        .faults()
        .add(Fault::on(Route::InfoRefsUpload).act(Action::status(403)));
    let error = repo.pull().unwrap_err();
    let config = fs::read_to_string(w.path("ours/.git/config")).unwrap();
    for text in [
        repo.remote_url(),
        page,
        config,
        error.to_string(),
        format!("{error:?} {repo:?}"),
    ] {
        assert!(
            !text.contains("hf_secret") && !text.contains(&w.token),
            "{text}"
        );
    }
}

/// Every file below a folder, with its bytes.
fn all(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_clone_leaves_the_user_and_the_config_alone() {
    let w = World::new();
    w.model("alice/m");
    write(&w.path("home"), ".gitconfig", "[user]\n\tname = me\n");
    let before = all(&w.path("home"));
    let folder = w.path("ours");
    let mut child = w.child("clone", &["alice/m", &folder.to_string_lossy()]);
    succeed(&child.output().unwrap());
    assert_eq!(all(&w.path("home")), before);
    let config = w.git(&folder, &["config", "--local", "--name-only", "--list"]);
    for key in config.lines() {
        let known =
            key.starts_with("core.") || key == "remote.origin.url" || key == "remote.origin.fetch";
        assert!(known || key.starts_with("branch.main."), "{key}");
    }
    let hooks = fs::read_dir(folder.join(".git/hooks"));
    for hook in hooks.into_iter().flatten() {
        let name = hook.unwrap().file_name();
        assert!(name.to_string_lossy().ends_with(".sample"), "{name:?}");
    }
}

#[test]
fn another_spelling_is_no_other_remote() {
    let w = World::new();
    w.model("alice/m");
    drop(w.clone("alice/m", "ours"));
    let config = fs::read(w.path("ours/.git/config")).unwrap();
    let url = w.url("alice/m");
    let with_user = url.replace("http://", "http://somebody@");
    for source in [
        "alice/m",
        &url,
        &format!("{url}.git"),
        &format!("{url}/"),
        &with_user,
    ] {
        let identity = Identity::new("me", "me myself@example.org").unwrap();
        let prepared = w.prepare(source, "ours").identity(identity);
        let repo = prepared.open().unwrap();
        assert_eq!(repo.remote_url(), url, "{source}");
    }
    assert_eq!(fs::read(w.path("ours/.git/config")).unwrap(), config);
}

/// The part of the child: a whole cycle with a name that git quotes.
pub(crate) fn cycle(source: &str, folder: &Path) {
    let name = "ünï \"q\" b.bin";
    let repo = Repository::prepare(source, folder).open_or_clone().unwrap();
    write(folder, name, weights(1, 3000));
    let report = repo.stage().unwrap();
    assert_eq!(report.lfs, [RepoPath::new(name).unwrap()]);
    let _ = repo.commit("a name").unwrap();
    repo.push().unwrap();
    assert!(repo.pull().unwrap().is_up_to_date());
    fs::remove_file(folder.join(name)).unwrap();
    let status = repo.status().unwrap();
    let gone: Vec<_> = status.deleted().map(RepoPath::as_str).collect();
    assert_eq!(gone, [name]);
}

#[test]
fn the_users_environment_changes_nothing() {
    let w = World::new();
    w.model("alice/m");
    let config = "[core]\n\tquotePath = true\n\tpager = false\n[alias]\n\tstatus = !false\n\tpush = !false\n\
         [color]\n\tui = always\n[status]\n\tshort = true\n\trelativePaths = true\n[push]\n\tdefault = nothing\n\
         [log]\n\tdecorate = full\n[pull]\n\trebase = true\n";
    write(&w.path("home"), ".gitconfig", config);
    let elsewhere = w.path("elsewhere");
    w.git(w.path(""), &["init", "-q", &elsewhere.to_string_lossy()]);
    let before = all(&elsewhere);
    let dot_git = elsewhere.join(".git");
    let folder = w.path("ours");
    let mut child = w.child("odd-environment", &["alice/m", &folder.to_string_lossy()]);
    child
        .env("GIT_DIR", &dot_git)
        .env("GIT_WORK_TREE", &elsewhere)
        .env("GIT_INDEX_FILE", dot_git.join("other-index"))
        .env("GIT_OBJECT_DIRECTORY", dot_git.join("objects"))
        .env("GIT_PAGER", "false")
        .env("LC_ALL", "de_DE.UTF-8")
        .env("LANGUAGE", "de")
        .env("GIT_LFS_SKIP_SMUDGE", "1");
    succeed(&child.output().unwrap());
    assert_eq!(all(&elsewhere), before);
    let tree = ["ls-tree", "-z", "--name-only", "main"];
    let names = w.git(w.bare("alice/m"), &tree);
    assert!(names.contains("ünï \"q\" b.bin\0"), "{names:?}");
}
