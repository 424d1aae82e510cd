//! Which revision is checked out when a clone is made or opened, and what counts as the same remote.

use std::fs;
use std::path::Path;

use hf_repository::{CheckoutOptions, Content, Error, ErrorKind, PrepareRepository, Repository};
use mini_hub::Route;

use crate::child::succeed;
use crate::support::moving::{commit, oid, requests};
use crate::support::{World, newest, weights, write};

/// A remote whose branches and tag have content of their own; the commit that the tag is at.
fn remote(w: &World) -> (Repository, String) {
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    commit(&first, "one.bin", weights(1, 20_000));
    w.git(first.workdir(), &["tag", "v1"]);
    let tagged = w.git(first.workdir(), &["rev-parse", "HEAD"]);
    first
        .checkout_with("side", CheckoutOptions::Create)
        .unwrap();
    commit(&first, "side.bin", weights(2, 20_000));
    first.push().unwrap();
    first.checkout("main").unwrap();
    fs::remove_file(first.workdir().join("one.bin")).unwrap();
    commit(&first, "main.bin", weights(3, 20_000));
    first.push().unwrap();
    w.git(first.workdir(), &["push", "-q", "origin", "v1"]);
    (first, tagged)
}

fn at(w: &World, folder: &str, revision: &str) -> PrepareRepository {
    w.prepare("alice/m", folder)
        .revision(revision.parse().unwrap())
}

fn created(w: &World, folder: &str, revision: &str) -> PrepareRepository {
    let prepared = w.prepare("alice/m", folder);
    prepared.revision_with(revision.parse().unwrap(), CheckoutOptions::Create)
}

#[track_caller]
fn refused(result: Result<Repository, Error>, kind: ErrorKind) -> Error {
    match result {
        Ok(_) => panic!("it was opened"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.hint().is_some(), "{error:?}");
            error
        }
    }
}

fn branch(repo: &Repository) -> String {
    let branch = repo.current_branch().unwrap();
    branch.map_or("detached".to_owned(), |branch| branch.to_string())
}

#[test]
fn a_clone_downloads_the_content_of_its_revision_and_no_other() {
    let w = World::new();
    let (first, tagged) = remote(&w);
    first.checkout("side").unwrap();
    let side = [
        oid(&w, first.workdir(), "one.bin"),
        oid(&w, first.workdir(), "side.bin"),
    ];
    for (revision, on, objects) in [
        ("v1", "detached", &side[..1]),
        (&tagged[..9], "detached", &side[..1]),
        ("side", "side", &side[..]),
    ] {
        w.hub.clear_requests();
        let folder = format!("deep/er/{}-{}", &revision[..2], revision.len());
        let repo = at(&w, &folder, revision).clone_repo().unwrap();
        assert_eq!(branch(&repo), on, "{revision}");
        let mut got: Vec<String> = requests(&w, Route::LfsGet)
            .into_iter()
            .filter_map(|request| request.object)
            .collect();
        let mut wanted = objects.to_vec();
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted, "{revision}");
        w.assert_sound(repo.workdir());
    }
    // What the address says counts as well.
    let url = format!("{}/tree/v1", w.url("alice/m"));
    let repo = w.prepare(&url, "by-url").open_or_clone().unwrap();
    assert_eq!(repo.head().unwrap().unwrap().to_string(), tagged);
}

#[test]
fn an_existing_clone_goes_to_the_revision_and_is_never_pulled() {
    let w = World::new();
    let (first, tagged) = remote(&w);
    let repo = at(&w, "ours", "v1").clone_repo().unwrap();
    let folder = repo.workdir().to_path_buf();
    drop(repo);
    let config = || fs::read(folder.join(".git/config")).unwrap();
    let kept = config();

    // There already: nobody is asked, and nothing is done.
    w.hub.clear_requests();
    write(&folder, "one.bin", weights(8, 100));
    for revision in ["v1", tagged.as_str()] {
        at(&w, "ours", revision).open_or_clone().unwrap();
    }
    w.prepare("alice/m", "ours").open_or_clone().unwrap();
    assert!(w.hub.requests().is_empty());
    assert_eq!(fs::read(folder.join("one.bin")).unwrap(), weights(8, 100));
    assert_eq!(config(), kept);

    // An edit is in the way of another revision.
    let before = w.scene(&folder, "alice/m");
    let error = refused(at(&w, "ours", "main").open(), ErrorKind::DirtyWorktree);
    assert_eq!(error.offences()[0].path.as_str(), "one.bin");
    refused(at(&w, "ours", "none").open(), ErrorKind::RevisionNotFound);
    // Nor is the name of a file taken for a revision, and its edit lost.
    refused(
        at(&w, "ours", "one.bin").open(),
        ErrorKind::RevisionNotFound,
    );
    assert_eq!(w.scene(&folder, "alice/m"), before);
    write(&folder, "one.bin", weights(1, 20_000));
    let repo = at(&w, "ours", "main").open_or_clone().unwrap();
    assert_eq!(branch(&repo), "main");
    w.assert_sound(&folder);
    drop(repo);

    // It has moved on; a branch that is here stays where it is, a new one is asked for.
    commit(&first, "later.bin", weights(4, 20_000));
    first.push().unwrap();
    first
        .checkout_with("fresh", CheckoutOptions::Create)
        .unwrap();
    commit(&first, "fresh.bin", weights(5, 20_000));
    first.push().unwrap();
    let repo = at(&w, "ours", "main").open_or_clone().unwrap();
    assert!(!folder.join("later.bin").exists());
    drop(repo);
    for prepared in [created(&w, "ours", "fresh"), at(&w, "ours", "fresh")] {
        let repo = prepared.open().unwrap();
        assert_eq!(branch(&repo), "fresh");
        assert_eq!(repo.head().unwrap(), first.head().unwrap());
        let upstream = w.git(&folder, &["rev-parse", "--abbrev-ref", "@{u}"]);
        assert_eq!(upstream, "origin/fresh");
    }
    w.assert_sound(&folder);

    // A pull request, and what the Hub converts.
    for name in ["refs/pr/1", "refs/convert/x"] {
        let refspec = format!("side:{name}");
        w.git(first.workdir(), &["push", "-q", "origin", &refspec]);
    }
    for (name, on) in [("refs/pr/1", "pr/1"), ("refs/convert/x", "detached")] {
        let repo = created(&w, "ours", name).open_or_clone().unwrap();
        assert_eq!(branch(&repo), on);
        w.hub.clear_requests();
        let repo = at(&w, "ours", name).open_or_clone().unwrap();
        assert!(w.hub.requests().is_empty());
        assert_eq!(branch(&repo), on);
        assert!(folder.join("side.bin").exists());
    }
    refused(
        at(&w, "ours", "refs/pr/2").open(),
        ErrorKind::RevisionNotFound,
    );

    // Beyond what a shallow clone has.
    let shallow = w
        .prepare("alice/m", "shallow")
        .content(Content::PointersOnly);
    shallow.depth(newest(1)).clone_repo().unwrap();
    let repo = at(&w, "shallow", &tagged[..9]).open().unwrap();
    assert_eq!(repo.head().unwrap().unwrap().to_string(), tagged);
}

#[test]
fn a_branch_is_created_when_asked_for_and_kept_by_the_next_run() {
    let w = World::new();
    let (first, tagged) = remote(&w);
    w.hub.clear_requests();
    let repo = created(&w, "ours", "exp/1").open_or_clone().unwrap();
    assert_eq!(branch(&repo), "exp/1");
    assert_eq!(repo.head().unwrap(), first.head().unwrap());
    assert_eq!(requests(&w, Route::LfsGet).len(), 1);
    assert_eq!(w.remote_tip("alice/m", "exp/1"), None);
    w.assert_sound(repo.workdir());
    commit(&repo, "ours.bin", weights(6, 20_000));
    let head = repo.head().unwrap();
    drop(repo);
    let repo = created(&w, "ours", "exp/1").open_or_clone().unwrap();
    assert_eq!(
        (branch(&repo), repo.head().unwrap()),
        ("exp/1".to_owned(), head)
    );
    repo.push().unwrap();
    assert_eq!(
        w.remote_tip("alice/m", "exp/1"),
        head.map(|id| id.to_string())
    );
    // At HEAD, with what is edited there.
    write(repo.workdir(), "ours.bin", weights(7, 100));
    let repo = created(&w, "ours", "exp/2").open().unwrap();
    assert_eq!(
        (branch(&repo), repo.head().unwrap()),
        ("exp/2".to_owned(), head)
    );
    // What looks like an id or a full name is none for a branch.
    let id = tagged.replace(|c: char| c != '0', "a");
    for revision in [id.as_str(), "refs/pr/77", "refs/heads/x"] {
        refused(
            created(&w, "ours", revision).open(),
            ErrorKind::RevisionNotFound,
        );
        refused(
            created(&w, "none", revision).clone_repo(),
            ErrorKind::RevisionNotFound,
        );
    }
    assert_eq!(branch(&repo), "exp/2");
    assert!(!w.path("none").exists());
    // A tag that is there is not made a branch.
    let repo = created(&w, "tagged", "v1").clone_repo().unwrap();
    assert_eq!(branch(&repo), "detached");

    // Of nothing.
    w.empty_model("alice/e");
    let made = w.prepare("alice/e", "empty");
    let made = made.revision_with("exp".parse().unwrap(), CheckoutOptions::Create);
    let repo = made.clone().open_or_clone().unwrap();
    assert_eq!(branch(&repo), "exp");
    commit(&repo, "a.txt", b"a\n".to_vec());
    repo.push().unwrap();
    assert_eq!(branch(&made.open().unwrap()), "exp");
    assert!(w.remote_tip("alice/e", "exp").is_some());
    refused(
        w.prepare("alice/e", "x")
            .revision("main".parse().unwrap())
            .clone_repo(),
        ErrorKind::RevisionNotFound,
    );
}

#[test]
fn one_remote_has_many_spellings_and_another_is_refused() {
    let w = World::new();
    w.model("alice/m");
    let prepared = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    let folder = prepared.clone_repo().unwrap().workdir().to_path_buf();
    let config = folder.join(".git/config");
    let host = w.hub.url().replace("http://", "");
    let recorded = [
        w.url("alice/m"),
        format!("http://user:hf_old@{host}/alice/m"),
        format!("{}.git/", w.url("Alice/M")),
        format!("ssh://git@{host}/alice/m"),
    ];
    w.hub.clear_requests();
    for url in &recorded {
        w.git(&folder, &["config", "remote.origin.url", url]);
        let before = fs::read(&config).unwrap();
        for source in [
            "alice/m",
            "Alice/M",
            &recorded[1],
            &recorded[2],
            "hf://alice/m",
        ] {
            w.prepare(source, "ours").open_or_clone().unwrap();
        }
        let error = refused(
            w.prepare("alice/n", "ours").open(),
            ErrorKind::RemoteMismatch,
        );
        let text = error.to_string();
        assert!(text.contains("alice/n") && text.contains(&host), "{text}");
        assert!(!format!("{error:?}").contains("hf_old"), "{text}");
        let dataset = w.prepare("datasets/alice/m", "ours");
        refused(dataset.open_or_clone(), ErrorKind::RemoteMismatch);
        assert_eq!(fs::read(&config).unwrap(), before);
    }
    assert!(w.hub.requests().is_empty());
}

/// A child's work: makes a clone by a relative name, leaves the folder and goes on.
pub(crate) fn elsewhere(source: &str, start: &Path) {
    std::env::set_current_dir(start).unwrap();
    let repo = Repository::prepare(source, "runs/./one/")
        .open_or_clone()
        .unwrap();
    std::env::set_current_dir("/").unwrap();
    assert_eq!(repo.workdir(), start.join("runs/one"));
    write(repo.workdir(), "model.bin", weights(1, 5000));
    let report = repo.save("from elsewhere").unwrap();
    assert_eq!(report.staged.lfs.len(), 1);
    repo.close().unwrap();
}

#[test]
fn a_program_may_leave_the_folder_it_started_in() {
    let w = World::new();
    w.model("alice/m");
    let start = w.path("start");
    fs::create_dir(&start).unwrap();
    let mut child = w.child("elsewhere", &["alice/m", &start.to_string_lossy()]);
    succeed(&child.output().unwrap());
    w.assert_sound(&start.join("runs/one"));
}

#[test]
fn a_clone_that_was_killed_at_its_very_end_is_finished_where_it_was() {
    let w = World::new();
    let (first, tagged) = remote(&w);
    for (number, (folder, words)) in [("ours", ""), ("adopted", "adopt\n")].iter().enumerate() {
        let repo = w.clone("alice/m", folder);
        let (path, head) = (repo.workdir().to_path_buf(), repo.head().unwrap());
        drop(repo);
        // All is done but for the last file to be removed, and what the branch follows to be noted.
        let killed = || {
            write(&path, ".git/hf-repository/clone-unfinished", words);
            w.git(&path, &["branch", "-q", "--unset-upstream"]);
        };
        killed();
        commit(&first, "main.bin", weights(10 + number as u64, 500));
        first.push().unwrap();
        let repo = w.prepare("alice/m", folder).open_or_clone().unwrap();
        assert_eq!(repo.head().unwrap(), head);
        assert_eq!(repo.status().unwrap().entries, []);
        assert_eq!(repo.pull().unwrap().after, first.head().unwrap());
        w.assert_sound(&path);
        killed();
        at(&w, folder, "main").open_or_clone().unwrap();
        let upstream = w.git(&path, &["rev-parse", "--abbrev-ref", "@{u}"]);
        assert_eq!(upstream, "origin/main");
        killed();
        if words.is_empty() {
            let repo = at(&w, folder, "v1").open_or_clone().unwrap();
            assert_eq!(repo.head().unwrap().unwrap().to_string(), tagged);
            w.assert_sound(&path);
        }
    }
}
