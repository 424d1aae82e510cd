//! Names that were read as something else.

use std::fs;

use hf_repository::{CheckoutOptions, ErrorKind, Pattern, RepoPath, Repository, StageOptions};

use crate::support::{World, path, weights, write};

fn clone(w: &World) -> Repository {
    w.empty_model("alice/m");
    w.clone("alice/m", "ours")
}

/// Whether git takes a file for an LFS file.
fn is_tracked(w: &World, repo: &Repository, name: &str) -> bool {
    let told = w.git(repo.workdir(), &["check-attr", "-z", "filter", "--", name]);
    told.ends_with("\0lfs\0")
}

const ODD: [&str; 7] = [
    "two words.x",
    "a*b.x",
    "a[1].x",
    "what?.x",
    "-r",
    "--help.x",
    "#no comment.x",
];

#[test]
fn a_rule_for_a_name_matches_that_name() {
    let w = World::new();
    let repo = clone(&w);
    for name in ODD {
        let report = repo.track([Pattern::Literal(path(name))]).unwrap();
        assert_eq!(report.changed.len(), 1, "{name}");
        assert!(is_tracked(&w, &repo, name), "{name}");
    }
    let rules = fs::read_to_string(repo.workdir().join(".gitattributes")).unwrap();
    assert_eq!(rules.lines().count(), ODD.len(), "{rules}");
    for other in ["two", "words.x", "aXb.x", "a1.x", "whatX.x", "r", "help.x"] {
        assert!(!is_tracked(&w, &repo, other), "{other}");
    }
}

#[test]
fn a_rule_of_the_root_reaches_no_deeper() {
    let w = World::new();
    let repo = clone(&w);
    write(repo.workdir(), "weights", weights(1, 300));
    repo.stage().unwrap();
    assert!(is_tracked(&w, &repo, "weights"));
    assert!(!is_tracked(&w, &repo, "sub/weights"));
    // So a text file of that name stays text.
    write(repo.workdir(), "sub/weights", "text");
    let report = repo.stage().unwrap();
    assert_eq!(report.plain, [path("sub/weights")]);
}

#[test]
fn a_folder_is_staged_with_its_rules() {
    let w = World::new();
    let repo = clone(&w);
    write(repo.workdir(), "sub/weights.x", weights(1, 300));
    write(repo.workdir(), "other.txt", "text");
    let report = repo
        .stage_with(&StageOptions::default().path("sub"))
        .unwrap();
    assert_eq!(report.plain, [path(".gitattributes")]);
    assert_eq!(report.lfs, [path("sub/weights.x")]);
    let _ = repo.commit("a folder").unwrap();
    let files = w.git(repo.workdir(), &["ls-tree", "-r", "--name-only", "HEAD"]);
    assert_eq!(files, ".gitattributes\nsub/weights.x");
}

#[test]
fn folders_and_files_with_odd_names_go_all_the_way() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.clone("alice/m", "a folder, with spaces [1]");
    let names = [
        "a b/c d.bin",
        "übung 模型.bin",
        "\"quoted\".txt",
        " leading.txt",
        "semi;$(x).txt",
    ];
    for (seed, name) in names.iter().enumerate() {
        write(repo.workdir(), name, weights(seed as u64, 300));
    }
    let _ = repo.save("all the names there are").unwrap();
    let report = repo.wait_for_pushes().unwrap();
    assert_eq!(report.pushed.len(), 1);
    let theirs = w.clone("alice/m", "their folder");
    for (seed, name) in names.iter().enumerate() {
        let content = fs::read(theirs.workdir().join(name)).unwrap();
        assert_eq!(content, weights(seed as u64, 300), "{name}");
        fs::rename(
            repo.workdir().join(name),
            repo.workdir().join(format!("{name}.new")),
        )
        .unwrap();
    }
    let status = repo.status().unwrap();
    let gone: Vec<&str> = status.deleted().map(RepoPath::as_str).collect();
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(gone, sorted);
    let report = repo.stage().unwrap();
    assert_eq!(
        (report.removed.len(), report.skipped.len()),
        (names.len(), 0)
    );
}

#[test]
fn a_file_is_not_checked_out_by_its_name() {
    let w = World::new();
    let repo = clone(&w);
    write(repo.workdir(), "notes", "as committed");
    repo.stage().unwrap();
    let _ = repo.commit("notes").unwrap();
    write(repo.workdir(), "notes", "an edit");
    let error = repo.checkout("notes").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RevisionNotFound);
    let created = repo
        .checkout_with("notes", CheckoutOptions::Create)
        .unwrap();
    assert!(created.created);
    assert_eq!(created.branch.unwrap().as_str(), "notes");
    assert_eq!(fs::read(repo.workdir().join("notes")).unwrap(), b"an edit");
}

#[test]
fn names_that_look_like_options_are_names() {
    let w = World::new();
    let repo = clone(&w);
    write(repo.workdir(), "--force", "text");
    write(repo.workdir(), "-m", weights(1, 300));
    let options = StageOptions::default().path("--force").path("-m");
    repo.stage_with(&options).unwrap();
    let _ = repo.commit("--amend").unwrap();
    assert_eq!(w.git(repo.workdir(), &["log", "--format=%s"]), "--amend");
    repo.push().unwrap();
    // What git itself does not allow is refused as a name, before anything is done.
    for name in ["-f", "--orphan", "--detach"] {
        let error = repo
            .checkout_with(name, CheckoutOptions::Create)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{name}");
    }
    let error = w
        .prepare("--upload-pack=touch x", "other")
        .clone_repo()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSource);
}
