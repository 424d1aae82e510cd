//! What becomes of commits and files, with git, git-lfs and the hub as judges.

use std::fs;

use hf_repository::{ErrorKind, Pattern};

use super::{limited, options, text, troubled};
use crate::support::judge::files;
use crate::support::{needs_git_lfs, path, weights};

#[test]
fn what_the_hub_refuses_becomes_lfs_files() {
    needs_git_lfs!();
    let c = limited();
    let (w, folder) = (&c.w, c.folder());
    troubled(&c);
    let error = c.repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Preflight);
    assert!(error.hint().unwrap().contains("rewrite_unpushed_to_lfs"));
    // Edits of all kinds.
    c.write("staged.txt", "staged\n");
    c.git(&["add", "staged.txt"]);
    c.write("run.dat", weights(20, 2000));
    c.git(&["add", "run.dat"]);
    c.write("side.dat", weights(30, 1000));
    c.write("new.dat", "a text file with that extension\n");
    c.write("announced.dat", "announced\n");
    c.git(&["add", "-N", "announced.dat"]);
    let (status, before) = (c.status(), files(folder));
    let story = c.story(folder, "origin/main..main");
    let scene = w.scene(folder, "alice/m");

    let would = c
        .repo
        .rewrite_unpushed_to_lfs_with(&options().dry_run())
        .unwrap();
    assert_eq!(w.scene(folder, "alice/m"), scene);
    assert!(
        !w.try_git(folder, &["cat-file", "-e", &would.after.to_string()])
            .status
            .success()
    );

    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report, would);
    assert_eq!(report.after.to_string(), c.git(&["rev-parse", "main"]));
    assert_eq!(report.before.to_string(), c.git(&["rev-parse", "main@{1}"]));
    assert_eq!(report.rewritten.len(), 6, "{:?}", report.rewritten);
    let names = ["big.txt", "data/a.dat", "run.dat", "side.dat"];
    assert_eq!(report.files, names.map(path));
    assert_eq!(report.lfs_objects, 4);
    assert_eq!(report.lfs_bytes, 3000 + 2000 + 1000 + text(1).len() as u64);
    assert_eq!(report.other_refs, []);
    let rules = [
        Pattern::Glob("*.dat".into()),
        Pattern::Literal(path("big.txt")),
    ];
    assert_eq!(report.tracked, rules);

    assert_eq!(c.status(), status);
    let mut after = files(folder);
    let mut expected = before;
    let rules = after
        .insert(".gitattributes".into(), ('f', Vec::new()))
        .unwrap();
    expected.insert(".gitattributes".into(), ('f', Vec::new()));
    assert!(after == expected, "other files changed");
    assert!(String::from_utf8(rules.1).unwrap().ends_with(
        "*.dat filter=lfs diff=lfs merge=lfs -text\n/big.txt filter=lfs diff=lfs merge=lfs -text\n"
    ));
    assert_eq!(c.story(folder, "origin/main..main"), story);
    // Staged edits are LFS files as well.
    assert!(
        c.git(&["cat-file", "blob", ":run.dat"])
            .contains("size 2000")
    );
    assert!(c.git(&["ls-tree", "HEAD", "run.dat"]).starts_with("100755"));

    // Once more there is nothing to do.
    let again = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!((again.before, again.after), (report.after, report.after));
    assert!(again.rewritten.is_empty() && again.tracked.is_empty());

    let pushed = c.repo.push().unwrap();
    assert_eq!((pushed.commits, pushed.lfs_objects), (7, 4));
    c.git(&["reset", "-q", "--hard"]);
    fs::remove_file(folder.join("new.dat")).unwrap();
    w.assert_sound(folder);
    let theirs = w.git_clone("alice/m", "theirs");
    crate::support::judge::assert_same_files(&theirs, folder);
    w.assert_sound(&theirs);
}

#[test]
fn git_lfs_migrate_makes_the_same_trees() {
    needs_git_lfs!();
    let c = limited();
    let folder = c.folder();
    troubled(&c);
    let copy = c.w.path("copy");
    c.git(&["clone", "-q", ".", &copy.to_string_lossy()]);
    let base = c.git(&["rev-parse", "origin/main"]);
    c.w.git(&copy, &["update-ref", "refs/remotes/base/main", &base]);
    c.w.git(&copy, &["remote", "remove", "origin"]);
    c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    let migrate = [
        "lfs",
        "migrate",
        "import",
        "--yes",
        "--include=*.dat,/big.txt",
        "--include-ref=refs/heads/main",
        "--exclude-ref=refs/remotes/base/main",
    ];
    c.w.git(&copy, &migrate);
    let range = format!("{base}..main");
    let (mut ours, mut theirs) = (c.trees(folder, &range), c.trees(&copy, &range));
    // Before it is large, the file stays as it is here; git-lfs knows names alone.
    for trees in [&mut ours, &mut theirs] {
        for subject in ["a binary file", "on the side"] {
            let tree = trees.get_mut(subject).unwrap();
            let lines = tree.lines().filter(|line| !line.ends_with("big.txt"));
            *tree = lines.collect::<Vec<_>>().join("\n");
        }
    }
    assert_eq!(ours, theirs);
    assert_eq!(c.story(folder, &range), c.story(&copy, &range));
}

#[test]
fn only_what_the_remote_lacks_is_made_anew() {
    needs_git_lfs!();
    let c = limited();
    let folder = c.folder();
    // A clone of somebody else has pushed the branch; the tracking ref here knows nothing of it.
    c.write("pushed.txt", "pushed\n");
    let pushed = c.commit(1, "pushed");
    c.w.git(folder, &["push", "-q", &c.w.url("alice/m"), "main"]);
    assert_ne!(c.git(&["rev-parse", "origin/main"]), pushed);
    c.write("a.dat", weights(1, 100));
    c.commit(2, "binary");
    c.git(&["tag", "v1"]);
    c.git(&["branch", "other"]);
    c.write("b.dat", weights(2, 100));
    c.commit(3, "more");
    let other = c.git(&["rev-parse", "other"]);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten.len(), 2);
    let id = other.parse().unwrap();
    assert_eq!(
        report.other_refs,
        [
            ("refs/heads/other".to_owned(), id),
            ("refs/tags/v1".to_owned(), id)
        ]
    );
    assert_eq!(c.git(&["rev-parse", "v1"]), other);
    assert_eq!(c.git(&["rev-parse", "main~2"]), pushed);
    // The tracking ref may also claim too much.
    let tip = c.git(&["rev-parse", "main"]);
    c.write("c.dat", weights(3, 100));
    c.git(&[
        "-c",
        "core.attributesFile=/dev/null",
        "rm",
        "-q",
        "--cached",
        ".gitattributes",
    ]);
    fs::remove_file(folder.join(".gitattributes")).unwrap();
    c.git(&["add", "c.dat"]);
    c.commit_staged(4, "raw again");
    c.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.rewritten.len(), 1);
    assert_eq!(c.git(&["rev-parse", "main~1"]), tip);
    c.repo.push().unwrap();
}

#[test]
fn rules_that_are_there_are_enough() {
    needs_git_lfs!();
    let c = limited();
    let folder = c.folder();
    // The default rules speak of it, but whoever committed it had no filter.
    c.write("sub/model.bin", weights(1, 3000));
    c.write("plain.bin", "text under a rule\n");
    fs::write(
        folder.join(".git/info/attributes"),
        "* -filter
",
    )
    .unwrap();
    c.git(&["add", "-A"]);
    fs::remove_file(folder.join(".git/info/attributes")).unwrap();
    c.commit_staged(1, "without a filter");
    let rules = fs::read(folder.join(".gitattributes")).unwrap();
    // A message in another encoding, a signature and a header nobody knows.
    let raw =
        c.w.command("git", folder)
            .args(["cat-file", "commit", "HEAD"])
            .output()
            .unwrap();
    let raw = String::from_utf8(raw.stdout).unwrap();
    let (head, _) = raw.split_once("\n\n").unwrap();
    let mut odd = format!("{head}\nencoding iso-8859-1\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\nx-odd 1\n\nna").into_bytes();
    odd.extend(b"\xefve, no line end");
    fs::write(c.w.path("odd"), odd).unwrap();
    let odd = c.git(&[
        "hash-object",
        "-t",
        "commit",
        "-w",
        &c.w.path("odd").to_string_lossy(),
    ]);
    c.git(&["update-ref", "refs/heads/main", &odd]);
    let status = c.status();
    let report = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap();
    assert_eq!(report.unsigned, [odd.parse().unwrap()]);
    assert_eq!(
        (report.files, report.tracked),
        (vec![path("sub/model.bin")], vec![])
    );
    assert_eq!(fs::read(folder.join(".gitattributes")).unwrap(), rules);
    let raw =
        c.w.command("git", folder)
            .args(["cat-file", "commit", "HEAD"])
            .output()
            .unwrap();
    assert!(
        raw.stdout
            .ends_with(b"\nencoding iso-8859-1\nx-odd 1\n\nna\xefve, no line end")
    );
    // git with its filter took the raw file for a change; it no longer does.
    assert!(status.contains("sub/model.bin"), "{status}");
    assert!(!c.status().contains("sub/model.bin"), "{}", c.status());
}

#[test]
fn what_cannot_be_rewritten_is_refused_before_anything_changes() {
    needs_git_lfs!();
    let c = limited();
    let folder = c.folder();
    let refused = |kind: ErrorKind| {
        let scene = || {
            (
                c.w.scene(folder, "alice/m").files_only(),
                c.git(&["for-each-ref"]),
            )
        };
        let before = scene();
        let error = c.repo.rewrite_unpushed_to_lfs_with(&options()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(scene() == before, "{error}");
    };
    // Nothing to do is no error.
    assert!(
        c.repo
            .rewrite_unpushed_to_lfs()
            .unwrap()
            .rewritten
            .is_empty()
    );
    c.write("a.dat", weights(1, 100));
    c.commit(1, "binary");
    c.git(&["rm", "-q", "--cached", ".gitattributes"]);
    refused(ErrorKind::DirtyWorktree);
    c.git(&["reset", "-q"]);
    c.git(&["worktree", "add", "-q", "-f", "../two", "main"]);
    refused(ErrorKind::InvalidInput);
    c.git(&["worktree", "remove", "../two"]);
    fs::rename(folder.join(".gitattributes"), folder.join("rules")).unwrap();
    std::os::unix::fs::symlink("rules", folder.join(".gitattributes")).unwrap();
    refused(ErrorKind::InvalidInput);
    fs::rename(folder.join("rules"), folder.join(".gitattributes")).unwrap();
    c.write("sub/.gitattributes", "*.dat -filter\n");
    c.write("sub/b.dat", weights(2, 100));
    c.commit(2, "a rule that forbids it");
    refused(ErrorKind::InvalidInput);
    c.git(&["reset", "-q", "--hard", "HEAD~1"]);
    c.write("sub/.gitignore", weights(3, 100));
    c.commit(3, "no ignore file");
    refused(ErrorKind::Preflight);
    c.git(&["checkout", "-q", "--detach"]);
    refused(ErrorKind::DetachedHead);
}
