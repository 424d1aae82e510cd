//! Corners of checking and repairing LFS objects.

use std::fs;

use hf_repository::{CommitId, FsckOptions, FsckReport, PointerProblem, Repair, Repository};

use crate::support::{World, weights, write};

fn problems(report: &FsckReport) -> Vec<(&str, Option<CommitId>, PointerProblem)> {
    let pointers = report.pointers.iter();
    pointers
        .map(|bad| (bad.path.as_str(), bad.commit, bad.problem))
        .collect()
}

#[test]
fn the_same_file_is_judged_by_the_rules_of_each_tree() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    write(folder, "x.csv", "a,b\n");
    repo.stage().unwrap();
    let plain = repo.commit("plain").unwrap().commit().unwrap();
    write(folder, ".gitattributes", "*.csv filter=lfs -text\n");
    w.git(folder, &["add", ".gitattributes"]);
    let raw = |commit| vec![("x.csv", commit, PointerProblem::NotAPointer)];
    assert_eq!(problems(&repo.lfs_fsck().unwrap()), raw(None));
    w.git(folder, &["commit", "-q", "-m", "rule"]);
    let ruled: CommitId = w.git(folder, &["rev-parse", "HEAD"]).parse().unwrap();
    w.git(folder, &["commit", "-q", "--allow-empty", "-m", "again"]);
    let again: CommitId = w.git(folder, &["rev-parse", "HEAD"]).parse().unwrap();
    for (order, expected) in [
        (vec![plain], vec![]),
        (vec![plain, ruled, again], raw(Some(ruled))),
        (vec![again, plain, ruled], raw(Some(again))),
    ] {
        let options = order
            .iter()
            .fold(FsckOptions::default(), |options, commit| {
                options.revision(commit.to_string().parse().unwrap())
            });
        let report = repo.lfs_fsck_with(&options).unwrap();
        assert_eq!(problems(&report), expected, "{order:?}");
    }
}

/// Stages a pointer to the object of another file, with another size.
fn lie(w: &World, repo: &Repository, name: &str, of: &str, size: usize) {
    let folder = repo.workdir();
    let pointer = w.git(folder, &["show", &format!("HEAD:{of}")]);
    let (start, _) = pointer.split_once("size ").unwrap();
    write(folder, "pointer", format!("{start}size {size}\n"));
    let blob = w.git(folder, &["hash-object", "-w", "--no-filters", "pointer"]);
    fs::remove_file(folder.join("pointer")).unwrap();
    let info = format!("100644,{blob},{name}");
    w.git(folder, &["update-index", "--add", "--cacheinfo", &info]);
}

#[test]
fn a_pointer_with_a_wrong_size_is_in_no_way_of_a_repair() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    write(folder, "w.bin", weights(1, 3000));
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
    repo.push().unwrap();
    lie(&w, &repo, "less.bin", "w.bin", 2999);
    lie(&w, &repo, "more.bin", "w.bin", 3001);
    fs::remove_dir_all(folder.join(".git/lfs/objects")).unwrap();
    let repair = FsckOptions::default().repair();
    let from_here = repo.lfs_fsck_with(&repair).unwrap();
    fs::remove_dir_all(folder.join(".git/lfs/objects")).unwrap();
    fs::remove_file(folder.join("w.bin")).unwrap();
    let from_there = repo.lfs_fsck_with(&repair).unwrap();
    let [here, there] = [&from_here.objects[..], &from_there.objects[..]].map(|found| {
        assert_eq!((found.len(), found[0].size), (1, 3000), "{found:?}");
        &found[0].repair
    });
    assert!(matches!(here, Repair::FromWorktree), "{here:?}");
    assert!(matches!(there, Repair::Downloaded), "{there:?}");
    // And now the wrong ones can be told.
    let report = repo.lfs_fsck().unwrap();
    let names: Vec<_> = problems(&report).iter().map(|bad| bad.0).collect();
    assert_eq!(names, ["less.bin", "more.bin"]);
}
