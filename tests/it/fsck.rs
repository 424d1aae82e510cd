//! What a check finds is what git-lfs finds; and what a repair brings back, and leaves alone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hf_repository::{
    CancelToken, CheckoutOptions, Content, Damage, DamagedObject, ErrorKind, Event, FsckChecks,
    FsckOptions, FsckReport, LfsEngine, PointerProblem, Progress, Repair, Repository,
};
use mini_hub::RepoKind;
use sha2::{Digest, Sha256};

use crate::support::{World, needs_git_lfs, weights, write};

const SIZE: usize = 3000;

fn oid(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of(seed: u64) -> String {
    oid(&weights(seed, SIZE))
}

fn pointer(oid: &str, size: usize) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
}

fn object(lfs: &Path, oid: &str) -> PathBuf {
    lfs.join("objects")
        .join(&oid[..2])
        .join(&oid[2..4])
        .join(oid)
}

/// The findings of a check, by what they are about.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    missing: BTreeSet<String>,
    corrupt: BTreeSet<String>,
    not_canonical: BTreeSet<String>,
    no_pointer: BTreeSet<String>,
}

impl Findings {
    fn ours(report: &FsckReport) -> Self {
        let mut found = Self::default();
        for object in &report.objects {
            let oid = object.oid.to_string();
            match object.damage {
                Damage::Missing => found.missing.insert(oid),
                Damage::Corrupt => found.corrupt.insert(oid),
                _ => panic!("{object:?}"),
            };
        }
        for pointer in &report.pointers {
            match pointer.problem {
                PointerProblem::NotAPointer => found.no_pointer.insert(pointer.path.to_string()),
                PointerProblem::NotCanonical { oid } => found.not_canonical.insert(oid.to_string()),
                _ => panic!("{pointer:?}"),
            };
        }
        found
    }

    /// From what `git lfs fsck --dry-run` prints.
    fn theirs(w: &World, folder: &Path, arguments: &[&str]) -> Self {
        let fsck = ["lfs", "fsck", "--dry-run"];
        let output = w.try_git(folder, &[&fsck, arguments].concat());
        let mut found = Self::default();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let (kind, text) = line.split_once(": ").unwrap_or((line, ""));
            let (what, text) = text.split_once(": ").unwrap_or((text, ""));
            let named = || text.split(['(', ')', ' ']).find(|word| word.len() == 64);
            let oid = || named().unwrap().to_owned();
            match (kind, what) {
                ("objects", "openError") => found.missing.insert(oid()),
                ("objects", "corruptObject") => found.corrupt.insert(oid()),
                ("pointer", "nonCanonicalPointer") => found.not_canonical.insert(oid()),
                ("pointer", "unexpectedGitObject") => {
                    let path = text.split('"').nth(1).unwrap();
                    found.no_pointer.insert(path.to_owned())
                }
                _ => continue,
            };
        }
        found
    }
}

/// A clone with these files, pushed.
fn pushed(w: &World, files: &[(&str, u64)]) -> Repository {
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    for (name, seed) in files {
        write(repo.workdir(), name, weights(*seed, SIZE));
    }
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
    repo.push().unwrap();
    repo
}

/// Stages what lies there, as it is.
fn add_raw(w: &World, folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    write(folder, name, content);
    let plain = ["-c", "filter.lfs.clean=", "-c", "filter.lfs.process="];
    let add = ["-c", "filter.lfs.required=false", "add", "-f", name];
    w.git(folder, &[&plain[..], &add[..]].concat());
}

fn spoil(path: &Path) {
    let mut content = fs::read(path).unwrap();
    content[7] ^= 1;
    fs::write(path, content).unwrap();
}

fn repair() -> FsckOptions {
    FsckOptions::default().repair()
}

/// What became of the object of a seed.
#[track_caller]
fn outcome(report: &FsckReport, seed: u64) -> &DamagedObject {
    let oid = of(seed);
    let mut objects = report.objects.iter();
    objects.find(|found| found.oid.to_string() == oid).unwrap()
}

#[test]
fn findings_are_those_of_git_lfs_and_repaired() {
    needs_git_lfs!();
    let w = World::new();
    let files = [
        ("fine.bin", 1),
        ("spoilt.bin", 2),
        ("cut.bin", 3),
        ("gone.bin", 4),
        ("sub dir/größe.bin", 5),
        ("twice.bin", 4),
    ];
    let repo = pushed(&w, &files);
    let (folder, lfs) = (repo.workdir().to_owned(), repo.workdir().join(".git/lfs"));
    write(&folder, "empty.bin", "");
    write(
        &folder,
        "raw/.gitattributes",
        "*.txt filter=lfs\n*.bin -filter\n",
    );
    write(&folder, "raw/plain.bin", "plain");
    w.git(&folder, &["add", "-A"]);
    add_raw(&w, &folder, "raw/text.txt", "no pointer\n");
    add_raw(&w, &folder, "large.bin", weights(9, SIZE));
    let crlf = pointer(&of(1), SIZE).replace('\n', "\r\n");
    add_raw(&w, &folder, "crlf.bin", crlf);
    // What has no rule may name an object all the same; but need not be well spelt.
    let nowhere = oid(b"nowhere");
    add_raw(
        &w,
        &folder,
        "ruleless",
        pointer(&nowhere, 7).replace('\n', "\r\n"),
    );
    w.git(&folder, &["commit", "-q", "-m", "odd"]);
    let clean = |checks: &FsckOptions| {
        let report = repo.lfs_fsck_with(checks).unwrap();
        (Findings::ours(&report), Findings::theirs(&w, &folder, &[]))
    };
    let (ours, theirs) = clean(&FsckOptions::default());
    assert_eq!(ours, theirs);
    assert_eq!(ours.missing, BTreeSet::from([nowhere.clone()]));
    assert_eq!(ours.no_pointer.len(), 2);

    // Staged, and its object lost.
    write(&folder, "staged.bin", weights(6, SIZE));
    // A file as young as the index would be read by git: git-lfs would store its content again.
    let file = fs::File::options()
        .append(true)
        .open(folder.join("staged.bin"));
    let earlier = SystemTime::now() - Duration::from_secs(10);
    file.unwrap().set_modified(earlier).unwrap();
    repo.stage().unwrap();
    for seed in [4, 6] {
        fs::remove_file(object(&lfs, &of(seed))).unwrap();
    }
    spoil(&object(&lfs, &of(2)));
    fs::write(object(&lfs, &of(3)), &weights(3, SIZE)[..100]).unwrap();
    spoil(&object(&lfs, &of(5)));
    w.hub.clear_requests();
    let report = repo.lfs_fsck().unwrap();
    assert!(w.hub.requests().is_empty());
    assert!(!report.is_ok() && !report.is_repaired());
    let (ours, theirs) = clean(&FsckOptions::default());
    assert_eq!(ours, theirs);
    assert_eq!(ours.corrupt, BTreeSet::from([2, 3, 5].map(of)));
    assert_eq!(
        ours.missing,
        BTreeSet::from([of(4), of(6), nowhere.clone()])
    );
    assert_eq!(report.checked, 4, "the whole one, and three");
    assert_eq!(report.bytes, (3 * SIZE + 100) as u64);
    let paths: Vec<_> = outcome(&report, 4)
        .paths
        .iter()
        .map(|p| p.as_str())
        .collect();
    assert_eq!(paths, ["gone.bin", "twice.bin"]);
    assert!(outcome(&report, 6).commit.is_none());
    for (checks, argument) in [
        (FsckChecks::Objects, "--objects"),
        (FsckChecks::Pointers, "--pointers"),
    ] {
        let report = repo
            .lfs_fsck_with(&FsckOptions::default().checks(checks))
            .unwrap();
        let theirs = Findings::theirs(&w, &folder, &[argument]);
        assert_eq!(Findings::ours(&report), theirs, "{argument}");
    }

    // Files of the work tree help where they have the right bytes.
    fs::remove_file(folder.join("spoilt.bin")).unwrap();
    write(&folder, "cut.bin", weights(33, SIZE));
    let report = repo.lfs_fsck_with(&repair()).unwrap();
    for (seed, downloaded) in [(2, true), (3, true), (4, false), (5, false), (6, false)] {
        let repaired = outcome(&report, seed);
        let expected = match repaired.repair {
            Repair::Downloaded => downloaded,
            Repair::FromWorktree => !downloaded,
            _ => false,
        };
        assert!(expected && repaired.is_repaired(), "{repaired:?}");
        assert_eq!(
            fs::read(object(&lfs, &of(seed))).unwrap(),
            weights(seed, SIZE)
        );
        // What was there is still there.
        let aside = lfs.join("bad").join(of(seed));
        assert_eq!(repaired.set_aside.is_some(), [2, 3, 5].contains(&seed));
        assert_eq!(aside.exists(), repaired.set_aside.is_some());
    }
    let lost = report.objects.iter().find(|o| !o.is_repaired()).unwrap();
    assert_eq!(lost.oid.to_string(), nowhere);
    let Repair::Failed(error) = &lost.repair else {
        panic!("{lost:?}");
    };
    assert_eq!(error.kind(), ErrorKind::LfsObjectMissing);
    assert!(!folder.join("spoilt.bin").exists());
    assert_eq!(fs::read(folder.join("cut.bin")).unwrap(), weights(33, SIZE));
    let (ours, theirs) = clean(&FsckOptions::default().checks(FsckChecks::Objects));
    assert_eq!(ours.missing, theirs.missing);
    assert!(ours.corrupt.is_empty() && theirs.corrupt.is_empty());
}

#[test]
fn nothing_is_lost_that_cannot_be_had_again() {
    needs_git_lfs!();
    let w = World::new();
    let repo = pushed(&w, &[("a.bin", 1), ("b.bin", 2), ("c.bin", 3)]);
    let (folder, lfs) = (repo.workdir().to_owned(), repo.workdir().join(".git/lfs"));
    for (name, seed) in [("a.bin", 1), ("b.bin", 2), ("c.bin", 3)] {
        spoil(&object(&lfs, &of(seed)));
        fs::remove_file(folder.join(name)).unwrap();
    }
    let damaged = fs::read(object(&lfs, &of(1))).unwrap();
    // The server has lost one, and spoilt another.
    let there = |seed| w.hub.lfs_object_path(RepoKind::Model, "alice/m", &of(seed));
    fs::remove_file(there(1)).unwrap();
    spoil(&there(2));
    // Without a login nothing can be had at all.
    let stranger = w.prepare_as("alice/m", "ours", "hf_wrong").open().unwrap();
    let report = stranger.lfs_fsck_with(&repair()).unwrap();
    for seed in 1..=3 {
        let Repair::Failed(error) = &outcome(&report, seed).repair else {
            panic!("{report:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(lfs.join("bad").join(of(seed)).exists());
    }
    // Called again, it goes on with what is missing now; here by git-lfs.
    let prepared = w.prepare("alice/m", "ours").lfs_engine(LfsEngine::GitLfs);
    let report = prepared.open().unwrap().lfs_fsck_with(&repair()).unwrap();
    let repaired: Vec<bool> = (1..=3)
        .map(|seed| outcome(&report, seed).is_repaired())
        .collect();
    assert_eq!(repaired, [false, false, true], "{report:?}");
    let report = repo.lfs_fsck_with(&repair()).unwrap();
    let kind = |seed| match &outcome(&report, seed).repair {
        Repair::Failed(error) => error.kind(),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(1), ErrorKind::LfsObjectMissing);
    assert_eq!(kind(2), ErrorKind::LfsObjectCorrupt);
    // The only copies there are, damaged as they are.
    assert_eq!(fs::read(lfs.join("bad").join(of(1))).unwrap(), damaged);
    assert!(!object(&lfs, &of(1)).exists() && !object(&lfs, &of(2)).exists());
    // A second damaged copy does not take the first one's place.
    fs::create_dir_all(object(&lfs, &of(1)).parent().unwrap()).unwrap();
    fs::write(object(&lfs, &of(1)), "short").unwrap();
    let report = repo.lfs_fsck_with(&repair()).unwrap();
    let second = outcome(&report, 1).set_aside.clone().unwrap();
    assert_eq!(fs::read(second).unwrap(), b"short");
    assert_eq!(fs::read(lfs.join("bad").join(of(1))).unwrap(), damaged);
    // Whoever finds the file puts it back, and all is well.
    write(&folder, "a.bin", weights(1, SIZE));
    write(&folder, "b.bin", weights(2, SIZE));
    assert!(repo.lfs_fsck_with(&repair()).unwrap().is_repaired());
    assert!(repo.lfs_fsck().unwrap().is_ok());
    assert_eq!(Findings::theirs(&w, &folder, &[]), Findings::default());
}

#[test]
fn only_the_own_store_is_changed() {
    needs_git_lfs!();
    let w = World::new();
    drop(pushed(&w, &[("a.bin", 1), ("b.bin", 2)]));
    let base = w.git_clone("alice/m", "base");
    let ours = w.path("borrower");
    let (from, url) = (base.to_string_lossy(), w.url("alice/m"));
    let target = ours.to_string_lossy();
    w.git(
        w.path(""),
        &["clone", "-q", "--reference", &from, &url, &target],
    );
    let (here, there) = (ours.join(".git/lfs"), base.join(".git/lfs"));
    // One file for both: it is damaged in both.
    spoil(&object(&here, &of(1)));
    let damaged = fs::read(object(&there, &of(1))).unwrap();
    assert_ne!(damaged, weights(1, SIZE));
    fs::remove_file(object(&here, &of(2))).unwrap();
    for name in ["a.bin", "b.bin"] {
        fs::remove_file(ours.join(name)).unwrap();
    }
    let repo = w.prepare("alice/m", "borrower").open().unwrap();
    let report = repo.lfs_fsck_with(&repair()).unwrap();
    assert!(matches!(outcome(&report, 1).repair, Repair::Downloaded));
    assert!(matches!(outcome(&report, 2).repair, Repair::FromAlternate));
    assert_eq!(fs::read(object(&there, &of(1))).unwrap(), damaged);
    assert!(!there.join("bad").exists());
    assert_eq!(fs::read(object(&here, &of(1))).unwrap(), weights(1, SIZE));
    assert!(repo.lfs_fsck().unwrap().is_ok());
}

#[test]
fn what_nobody_wants_is_not_missed() {
    needs_git_lfs!();
    let w = World::new();
    let seed = pushed(&w, &[("a.bin", 1), ("b.bin", 2)]);
    drop(seed);
    let prepared = w.prepare("alice/m", "few").content(Content::PointersOnly);
    let few = prepared.clone_repo().unwrap();
    let (folder, lfs) = (few.workdir().to_owned(), few.workdir().join(".git/lfs"));
    let report = few.lfs_fsck().unwrap();
    assert!(report.is_ok() && report.checked == 0, "{report:?}");
    // git-lfs knows nothing of that choice, but of its own.
    assert_eq!(Findings::theirs(&w, &folder, &[]).missing.len(), 2);
    w.git(&folder, &["config", "lfs.fetchexclude", "b.*"]);
    w.git(&folder, &["config", "--unset", "hf-repository.content"]);
    let few = w.prepare("alice/m", "few").open().unwrap();
    let report = few.lfs_fsck().unwrap();
    assert_eq!(Findings::ours(&report).missing, BTreeSet::from([of(1)]));
    assert_eq!(Findings::theirs(&w, &folder, &[]), Findings::ours(&report));
    // What is here is read, wanted or not.
    few.fetch_content(["b.bin"]).unwrap();
    spoil(&object(&lfs, &of(2)));
    let report = few.lfs_fsck().unwrap();
    assert_eq!(Findings::ours(&report).corrupt, BTreeSet::from([of(2)]));
}

#[test]
fn other_revisions_the_index_and_its_own_findings() {
    needs_git_lfs!();
    let w = World::new();
    let repo = pushed(&w, &[("a.bin", 1)]);
    let (folder, lfs) = (repo.workdir().to_owned(), repo.workdir().join(".git/lfs"));
    repo.checkout_with("side", CheckoutOptions::Create).unwrap();
    write(&folder, "a.bin", weights(2, SIZE));
    repo.stage().unwrap();
    let side = repo.commit("side").unwrap().commit().unwrap();
    repo.push().unwrap();
    repo.checkout("main").unwrap();
    fs::remove_file(object(&lfs, &of(2))).unwrap();
    assert!(repo.lfs_fsck().unwrap().is_ok());
    let at = |revision: &str| FsckOptions::default().revision(revision.parse().unwrap());
    let report = repo.lfs_fsck_with(&at("side")).unwrap();
    assert_eq!(outcome(&report, 2).commit, Some(side));
    assert_eq!(
        Findings::theirs(&w, &folder, &["side"]),
        Findings::ours(&report)
    );
    let both = at("main").revision("side".parse().unwrap()).repair();
    let report = repo.lfs_fsck_with(&both).unwrap();
    assert!(matches!(outcome(&report, 2).repair, Repair::Downloaded));
    let error = repo.lfs_fsck_with(&at("nosuch")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RevisionNotFound);
    // Before it is committed, where git-lfs does not look; and a pointer that lies about its object.
    add_raw(&w, &folder, "staged.bin", "raw\0");
    add_raw(&w, &folder, "lie.bin", pointer(&of(1), SIZE + 1));
    let report = repo.lfs_fsck().unwrap();
    let problems: Vec<_> = report
        .pointers
        .iter()
        .map(|bad| (bad.path.as_str(), bad.commit, bad.problem))
        .collect();
    let lie = PointerProblem::WrongSize {
        oid: of(1).parse().unwrap(),
        size: SIZE as u64 + 1,
        stored: SIZE as u64,
    };
    assert_eq!(
        problems,
        [
            ("lie.bin", None, lie),
            ("staged.bin", None, PointerProblem::NotAPointer)
        ]
    );
    assert!(report.objects.is_empty());
    // It says how far it is, and can be stopped.
    let (progress, mut events) = Progress::channel();
    let cancel = CancelToken::new();
    let prepared = w.prepare("alice/m", "ours").progress(progress);
    let watched = prepared.cancel_token(cancel.clone()).open().unwrap();
    watched.lfs_fsck().unwrap();
    let Some(Event::Checked {
        objects,
        total,
        bytes,
    }) = events.try_next()
    else {
        panic!("no event");
    };
    assert_eq!((objects, total, bytes), (1, 1, SIZE as u64));
    cancel.cancel();
    assert_eq!(watched.lfs_fsck().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn what_is_repaired_is_shared_like_the_rest() {
    let w = World::new();
    drop(pushed(&w, &[("a.bin", 1)]));
    let folder = w.path("ours");
    w.git(&folder, &["config", "core.sharedRepository", "group"]);
    let repo = w.prepare("alice/m", "ours").open().unwrap();
    write(&folder, "b.bin", weights(2, SIZE));
    repo.stage().unwrap();
    let object = |seed| object(&folder.join(".git/lfs"), &of(seed));
    spoil(&object(1));
    fs::remove_file(folder.join("a.bin")).unwrap();
    let report = repo.lfs_fsck_with(&repair()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&object(1)), mode(&object(2)));
    assert_ne!(mode(&object(1)) & 0o040, 0);
    let aside = outcome(&report, 1).set_aside.clone().unwrap();
    assert_ne!(
        mode(aside.parent().unwrap()) & 0o020,
        0,
        "others may repair, too"
    );
}
