//! What git and git-lfs would do with a config, the library does.

use std::fs;
use std::path::Path;

use hf_repository::{Content, ErrorKind, Repository};
use mini_hub::{AuthKind, MiniHub, RepoKind, Route};

use crate::child::succeed;
use crate::support::judge::{assert_same_files, files};
use crate::support::{World, needs_git_lfs, weights, write};

/// A model with LFS files in several folders, on the hub.
pub(crate) fn model_with_files(w: &World, id: &str) {
    w.model(id);
    let seed = w.clone(id, "seed");
    for (number, name) in ["a.bin", "x/b.bin", "x/y/c.bin", "z y/d.bin", "e.ckpt"]
        .into_iter()
        .enumerate()
    {
        write(seed.workdir(), name, weights(number as u64 + 1, 4000));
    }
    write(seed.workdir(), "notes.txt", "plain\n");
    seed.stage().unwrap();
    let _ = seed.commit("files").unwrap();
    seed.push().unwrap();
}

/// The LFS servers that were asked, each once, in order.
fn servers(hub: &MiniHub) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for request in hub.requests() {
        if request.route == Route::LfsBatch && !found.contains(&request.path) {
            found.push(request.path);
        }
    }
    found
}

pub(crate) fn commit_weights(repo: &Repository, seed: u64) {
    write(repo.workdir(), "w.bin", weights(seed, 3000));
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
}

/// Files with the content of the first LFS pointer line are pointers.
pub(crate) fn pointers(folder: &Path) -> Vec<String> {
    let is_pointer = |content: &[u8]| content.starts_with(b"version https://git-lfs");
    files(folder)
        .into_iter()
        .filter(|(_, (_, content))| is_pointer(content))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn included_and_excluded_content_is_that_of_git_lfs() {
    needs_git_lfs!();
    let w = World::new();
    model_with_files(&w, "alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    let cases = [
        ("", "*.bin", 4),
        ("", "x", 2),
        ("", "/x/y/", 1),
        ("*.bin", "", 1),
        ("x/*, a.bin", "c.bin", 3),
        ("x/**", "", 3),
        ("[ae].*,**/d.bin", "", 2),
        ("", "z y, e.c?pt", 2),
        ("nothing", "", 5),
    ];
    for (number, (include, exclude, count)) in cases.into_iter().enumerate() {
        let branch = format!("case-{number}");
        w.git(&theirs, &["checkout", "-q", "-B", &branch, "origin/main"]);
        let mut text = "[lfs]\n".to_owned();
        for (key, value) in [("fetchinclude", include), ("fetchexclude", exclude)] {
            if !value.is_empty() {
                text += &format!("\t{key} = \"{value}\"\n");
            }
        }
        write(&theirs, ".lfsconfig", text);
        w.git_push_all(&theirs, &branch);
        let judge = w.path(&format!("judge-{number}"));
        let (name, url) = (judge.to_string_lossy(), w.url("alice/m"));
        w.git(w.path(""), &["clone", "-q", "-b", &branch, &url, &name]);
        let ours = w
            .prepare("alice/m", &format!("ours-{number}"))
            .revision(branch.parse().unwrap())
            .clone_repo()
            .unwrap();
        assert_same_files(ours.workdir(), &judge);
        assert_eq!(pointers(&judge).len(), count, "{include:?} {exclude:?}");
        assert!(ours.status().unwrap().is_clean());
        w.assert_clean(ours.workdir());
        // Asked for by name, it comes.
        let left = pointers(ours.workdir());
        assert_eq!(ours.fetch_content([&left[0]]).unwrap().len(), 1);
        assert_eq!(pointers(ours.workdir()).len(), count - 1);
    }
    // Whoever says what is wanted gets it, now and later.
    let full = w
        .prepare("alice/m", "full")
        .revision("case-0".parse().unwrap())
        .content(Content::Full)
        .clone_repo()
        .unwrap();
    assert_eq!(pointers(full.workdir()), [""; 0]);
    full.checkout("main").unwrap();
    full.checkout("case-8").unwrap();
    assert_eq!(pointers(full.workdir()), [""; 0]);
}

#[test]
fn what_is_excluded_stays_a_pointer_when_it_is_pulled() {
    needs_git_lfs!();
    let w = World::new();
    model_with_files(&w, "alice/m");
    let judge = w.path("judge");
    let (name, url) = (judge.to_string_lossy(), w.url("alice/m"));
    w.git(w.path(""), &["clone", "-q", &url, &name]);
    let ours = w.clone("alice/m", "ours");
    for folder in [&judge, &w.path("ours")] {
        w.git(folder, &["config", "lfs.fetchexclude", "later"]);
    }
    let seed = Repository::open(w.path("seed")).unwrap();
    drop(seed);
    let seed = w.prepare("alice/m", "seed").open().unwrap();
    write(seed.workdir(), "later/f.bin", weights(9, 4000));
    write(seed.workdir(), "now/g.bin", weights(10, 4000));
    seed.stage().unwrap();
    let _ = seed.commit("more").unwrap();
    seed.push().unwrap();
    w.git(&judge, &["pull", "-q"]);
    ours.pull().unwrap();
    assert_same_files(ours.workdir(), &judge);
    assert_eq!(pointers(&judge), ["later/f.bin"]);
}

#[test]
fn pushes_go_where_git_and_git_lfs_send_them() {
    needs_git_lfs!();
    let w = World::new();
    for (number, lines) in [
        &[("remote.origin.pushurl", "{hub}/alice/fork")][..],
        &[("url.{hub}/alice/fork.pushInsteadOf", "{hub}/alice/m")],
        &[("url.{hub}/alice/fork.insteadOf", "{hub}/alice/m")],
        &[
            ("remote.origin.pushurl", "short:fork"),
            ("url.{hub}/alice/.insteadOf", "short:"),
        ],
        &[
            ("remote.origin.pushurl", "{hub}/alice/fork"),
            ("remote.origin.lfsurl", "{hub}/alice/other.git/info/lfs"),
            ("remote.origin.lfspushurl", "{hub}/alice/fork.git/info/lfs"),
        ],
        &[
            ("remote.origin.pushurl", "{hub}/alice/fork"),
            ("remote.origin.lfspushurl", "{hub}/alice/other.git/info/lfs"),
            ("lfs.url", "{hub}/alice/fork.git/info/lfs/"),
        ],
        &[
            ("remote.origin.pushurl", "{hub}/alice/fork.git/"),
            ("lfs.url", "{hub}/alice/other.git/info/lfs"),
            ("lfs.pushurl", "short:fork.git/info/lfs"),
            ("url.{hub}/alice/.insteadOf", "short:"),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let seen = ["theirs", "ours"].map(|who| {
            // The same names for both, one after the other.
            let w = World::new();
            for id in ["alice/m", "alice/other"] {
                w.model(id);
            }
            w.git_clone("alice/m", "base");
            w.empty_model("alice/fork");
            let repo = w.clone("alice/m", "repo");
            let hub = w.hub.url();
            for (key, value) in lines {
                let (key, value) = (key.replace("{hub}", &hub), value.replace("{hub}", &hub));
                w.git(repo.workdir(), &["config", &key, &value]);
            }
            drop(repo);
            w.hub.clear_requests();
            let repo = w.prepare("alice/m", "repo");
            if who == "ours" {
                // What is named is what is recorded, wherever that leads.
                let repo = repo.open().unwrap();
                commit_weights(&repo, number as u64 + 1);
                repo.push().unwrap();
            } else {
                let folder = w.path("repo");
                write(&folder, "w.bin", weights(number as u64 + 1, 3000));
                w.git(&folder, &["add", "-A"]);
                w.git(&folder, &["commit", "-q", "-m", "weights"]);
                w.git(&folder, &["push", "-q", "origin", "HEAD"]);
            }
            assert!(
                w.remote_tip("alice/fork", "main").is_some(),
                "{who} {lines:?}"
            );
            let only_first = w.git(w.bare("alice/m"), &["rev-list", "--count", "main"]);
            assert_eq!(only_first, "1", "{who} {lines:?}");
            servers(&w.hub)
        });
        assert_eq!(seen[0], seen[1], "{lines:?}");
        assert_eq!(seen[1].len(), 1, "{lines:?}");
    }
    drop(w);
}

#[test]
fn objects_are_moved_as_configured() {
    let w = World::new();
    w.model("alice/m");
    drop(w.clone("alice/m", "ours"));
    for (key, value) in [
        ("lfs.transfer.batchSize", "2"),
        ("lfs.concurrentTransfers", "1"),
        ("lfs.transfer.maxRetries", "nonsense"),
    ] {
        w.git(w.path("ours"), &["config", key, value]);
    }
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    for seed in 1..=6 {
        write(
            repo.workdir(),
            &format!("{seed}.bin"),
            weights(seed, 200_000),
        );
    }
    repo.stage().unwrap();
    let _ = repo.commit("six").unwrap();
    w.hub.clear_requests();
    repo.push().unwrap();
    let log = w.hub.requests();
    let count = |route| log.iter().filter(|r| r.route == route).count();
    assert_eq!((count(Route::LfsBatch), count(Route::LfsPut)), (3, 6));
    assert_eq!(w.hub.max_concurrent_uploads(), 1);
}

#[test]
fn an_address_that_stops_pushes_stops_nothing_else() {
    let w = World::new();
    model_with_files(&w, "alice/m");
    drop(w.clone("alice/m", "ours"));
    for (address, kind) in [
        ("no_push", ErrorKind::RepoNotFound),
        ("no/push", ErrorKind::RepoNotFound),
        ("no_push:", ErrorKind::InvalidInput),
        ("no-push://", ErrorKind::InvalidInput),
    ] {
        w.git(
            w.path("ours"),
            &["config", "remote.origin.pushurl", address],
        );
        let repo = w.prepare("alice/m", "ours").open().unwrap();
        repo.pull().unwrap();
        commit_weights(&repo, address.len() as u64);
        w.hub.clear_requests();
        let error = repo.push().unwrap_err();
        assert_eq!(error.kind(), kind, "{address}: {error}");
        // Not to the Hub, under whatever name.
        assert!(w.hub.requests().is_empty(), "{address}");
    }
}

#[test]
fn the_repository_says_where_its_objects_are() {
    needs_git_lfs!();
    let w = World::new();
    model_with_files(&w, "alice/store");
    let theirs = w.git_clone("alice/store", "theirs");
    let lfs = format!("[lfs]\n\turl = {}.git/info/lfs\n", w.url("alice/store"));
    write(&theirs, ".lfsconfig", lfs);
    // A repository without objects of its own.
    let plain = w.path("plain.git");
    w.git(
        w.path(""),
        &["init", "-q", "--bare", &plain.to_string_lossy()],
    );
    w.git(&theirs, &["add", "-A"]);
    w.git(&theirs, &["commit", "-q", "-m", "elsewhere"]);
    w.git(
        &theirs,
        &[
            "-c",
            "core.hooksPath=/dev/null",
            "push",
            "-q",
            &plain.to_string_lossy(),
            "HEAD:main",
        ],
    );
    let judge = w.path("judge");
    w.git(
        w.path(""),
        &[
            "clone",
            "-q",
            &plain.to_string_lossy(),
            &judge.to_string_lossy(),
        ],
    );
    let ours = w
        .prepare(&plain.to_string_lossy(), "ours")
        .clone_repo()
        .unwrap();
    assert_same_files(ours.workdir(), &judge);
    assert_eq!(pointers(&judge), [""; 0]);
    // The clone's own config counts more, even what is wrong in it.
    for (value, named) in [
        ("../relative", "lfs.url in git's config"),
        ("nonsense", "lfs.url in git's config"),
    ] {
        w.git(ours.workdir(), &["config", "lfs.url", value]);
        fs::remove_dir_all(ours.workdir().join(".git/lfs")).unwrap();
        let again = w.prepare(&plain.to_string_lossy(), "ours").open().unwrap();
        fs::write(
            again.workdir().join("a.bin"),
            pointer_of(&w, again.workdir(), "a.bin"),
        )
        .unwrap();
        let error = again.fetch_content(["a.bin"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(named), "{error}");
        w.git(ours.workdir(), &["config", "--unset", "lfs.url"]);
        assert_eq!(again.fetch_content(["a.bin"]).unwrap().len(), 1);
    }
}

fn pointer_of(w: &World, folder: &Path, name: &str) -> Vec<u8> {
    let output = w.try_git(folder, &["cat-file", "blob", &format!("HEAD:{name}")]);
    output.stdout
}

#[test]
fn a_repository_cannot_ask_for_files_of_this_machine() {
    let w = World::new();
    model_with_files(&w, "alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    for (branch, key) in [("one", "url"), ("two", "pushurl")] {
        w.git(&theirs, &["checkout", "-q", "-B", branch, "origin/main"]);
        let text = format!("[lfs]\n\t{key} = file://{}\n", w.bare("alice/m").display());
        write(&theirs, ".lfsconfig", text);
        w.git(&theirs, &["add", "-A"]);
        w.git(&theirs, &["commit", "-q", "-m", branch]);
        w.git(
            &theirs,
            &[
                "-c",
                "core.hooksPath=/dev/null",
                "push",
                "-q",
                "origin",
                branch,
            ],
        );
    }
    let prepared = w
        .prepare("alice/m", "ours")
        .revision("one".parse().unwrap());
    let error = prepared.clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("lfs.url in .lfsconfig"),
        "{error}"
    );
    assert!(!w.path("ours").exists());
    // The other key is for pushes; clones are none.
    let prepared = w
        .prepare("alice/m", "ours")
        .revision("two".parse().unwrap());
    let repo = prepared.clone_repo().unwrap();
    commit_weights(&repo, 50);
    let error = repo.push().unwrap_err();
    assert!(
        error.to_string().contains("lfs.pushurl in .lfsconfig"),
        "{error}"
    );
    // Who trusts it says so.
    let lfs = format!("{}.git/info/lfs", w.url("alice/m"));
    w.git(repo.workdir(), &["config", "lfs.pushurl", &lfs]);
    repo.push().unwrap();
}

#[test]
fn the_token_stays_with_its_hub_when_objects_are_elsewhere() {
    let (w, other) = (World::new(), World::new());
    model_with_files(&w, "alice/m");
    model_with_files(&other, "alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    let lfs = format!("[lfs]\n\turl = {}.git/info/lfs\n", other.url("alice/m"));
    write(&theirs, ".lfsconfig", lfs);
    w.git(&theirs, &["add", "-A"]);
    w.git(&theirs, &["commit", "-q", "-m", "elsewhere"]);
    w.git(
        &theirs,
        &[
            "-c",
            "core.hooksPath=/dev/null",
            "push",
            "-q",
            "origin",
            "HEAD",
        ],
    );
    w.hub.clear_requests();
    other.hub.clear_requests();
    let ours = w.clone("alice/m", "ours");
    assert_eq!(pointers(ours.workdir()), [""; 0]);
    assert_eq!(servers(&w.hub), [""; 0]);
    assert_eq!(servers(&other.hub).len(), 1);
    for request in other.hub.requests() {
        assert_eq!(request.auth, AuthKind::None, "{request:?}");
    }
    // Credentials in git's config are for that server; those in the repository are for none.
    let with_token = |token: &str| {
        let address = other
            .url("alice/m")
            .replace("http://", &format!("http://any:{token}@"));
        format!("{address}.git/info/lfs")
    };
    write(
        ours.workdir(),
        ".lfsconfig",
        format!("[lfs]\n\turl = {}\n", with_token("hf_wrong")),
    );
    commit_weights(&ours, 60);
    let error = ours.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    w.git(
        ours.workdir(),
        &["config", "lfs.url", &with_token(&other.token)],
    );
    other.hub.clear_requests();
    // The hub itself wants the objects, too.
    let _ = ours.push();
    let puts = other.hub.requests();
    assert!(
        puts.iter()
            .any(|r| r.route == Route::LfsPut && r.status == 200),
        "{puts:?}"
    );
    assert!(
        !w.hub
            .requests()
            .iter()
            .any(|r| r.path.contains(&other.token))
    );
}

#[test]
fn an_abbreviation_of_the_user_is_an_address() {
    needs_git_lfs!();
    let w = World::new();
    model_with_files(&w, "alice/m");
    let home = w.path("home");
    fs::create_dir_all(&home).unwrap();
    let rule = format!("[url \"{}/\"]\n\tinsteadOf = hub:\n", w.hub.url());
    fs::write(home.join(".gitconfig"), &rule).unwrap();
    let (ours, judge) = (w.path("ours"), w.path("judge"));
    succeed(
        &w.child("clone", &["hub:alice/m", &ours.to_string_lossy()])
            .output()
            .unwrap(),
    );
    let global = fs::read_to_string(w.path("gitconfig")).unwrap();
    fs::write(w.path("gitconfig"), global + &rule).unwrap();
    w.git(
        w.path(""),
        &["clone", "-q", "hub:alice/m", &judge.to_string_lossy()],
    );
    assert_same_files(&ours, &judge);
    for folder in [&ours, &judge] {
        let recorded = w.git(folder, &["config", "remote.origin.url"]);
        assert_eq!(recorded, "hub:alice/m");
    }
    succeed(
        &w.child("pull", &[&judge.to_string_lossy()])
            .output()
            .unwrap(),
    );
}

#[test]
fn an_object_is_stored_where_the_config_says() {
    let w = World::new();
    w.model("alice/m");
    w.model("alice/other");
    let repo = w.clone("alice/m", "ours");
    let lfs = format!("{}.git/info/lfs", w.url("alice/other"));
    w.git(repo.workdir(), &["config", "lfs.url", &lfs]);
    commit_weights(&repo, 3);
    // The hub refuses a pointer whose object it has elsewhere.
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    let pointer = w.git(repo.workdir(), &["cat-file", "blob", "HEAD:w.bin"]);
    let oid = pointer.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let there = |id| w.hub.lfs_object_path(RepoKind::Model, id, &oid).exists();
    assert!(there("alice/other") && !there("alice/m"));
}
