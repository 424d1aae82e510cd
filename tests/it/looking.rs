//! What `status` finds, beside what git finds in the same work tree.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hf_repository::{FileState, Repository};

use crate::support::dice::Dice;
use crate::support::{World, path, write};

/// The two columns that git shows for a path, and that ours come to.
type Found = BTreeMap<String, String>;

fn by_git(w: &World, folder: &Path) -> Found {
    let all = ["status", "--porcelain", "-z", "-uall", "--no-renames"];
    let text = w.git(folder, &all);
    let lines = text.split('\0').filter(|line| !line.trim().is_empty());
    lines
        .map(|line| (line[3..].to_owned(), line[..2].to_owned()))
        .collect()
}

fn by_us(repo: &Repository) -> Found {
    let letter = |state: Option<FileState>| match state {
        None => ' ',
        Some(FileState::Added) => 'A',
        Some(FileState::Modified) => 'M',
        Some(FileState::Deleted) => 'D',
        Some(_) => 'T',
    };
    let mut found = Found::new();
    for entry in repo.status().unwrap().entries {
        let mut columns = String::from_iter([letter(entry.staged), letter(entry.worktree)]);
        // Removed from the index alone: git has two lines, of which the later one is in the map.
        if entry.worktree == Some(FileState::Added) {
            columns = "??".into();
        }
        found.insert(entry.path.to_string(), columns);
    }
    found
}

/// A clone with nothing in it, for git to fill.
fn clone(w: &World) -> Repository {
    w.empty_model("alice/m");
    w.clone("alice/m", "ours")
}

const PARTS: [&str; 9] = ["a", "b", "a.b", "a-b", "ab", "A", "tmp", "x.bin", "ü"];
const RULES: [&str; 18] = [
    "a", "/a", "a/", "*.bin", "!x.bin", "tmp/", "!tmp", "**/b", "a/**", "a/b", "!a/b", "/*",
    "!/ab", "a?b", "[!a]", "# x", "b  ", "a/*/b",
];

fn name(dice: &mut Dice) -> String {
    let parts: Vec<&str> = (0..=dice.below(3)).map(|_| dice.pick(&PARTS)).collect();
    parts.join("/")
}

/// Writes a file if nothing is in its way.
fn put(folder: &Path, name: &str, content: &str) {
    let file = folder.join(name);
    if file.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
        return;
    }
    if fs::create_dir_all(file.parent().unwrap()).is_ok() {
        let _ = fs::write(file, content);
    }
}

fn remove(file: &Path) {
    if fs::symlink_metadata(file).is_ok_and(|meta| meta.is_dir()) {
        fs::remove_dir_all(file).unwrap();
    } else {
        let _ = fs::remove_file(file);
    }
}

fn change(dice: &mut Dice, folder: &Path) {
    let name = name(dice);
    let file = folder.join(&name);
    match dice.below(9) {
        0 | 1 => put(folder, &name, "other"),
        2 => put(folder, &name, "a longer text"),
        3 => put(folder, &name, "plain"),
        4 => remove(&file),
        5 => {
            remove(&file);
            let _ = symlink(dice.pick(&PARTS), &file);
        }
        6 => {
            remove(&file);
            put(folder, &format!("{name}/b"), "other");
        }
        7 if file.is_file() => fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap(),
        _ => {
            let rules: Vec<&str> = (0..=dice.below(3)).map(|_| dice.pick(&RULES)).collect();
            let within = name.rsplit_once('/').map_or("", |(within, _)| within);
            let rules_file = format!("{within}/.gitignore");
            put(
                folder,
                rules_file.trim_start_matches('/'),
                &rules.join("\n"),
            );
        }
    }
}

#[test]
fn what_changed_is_what_git_says() {
    let w = World::new();
    let repo = clone(&w);
    let folder = repo.workdir();
    // More of them found nothing more.
    let rounds = 15;
    let mut told = 0;
    for round in 0..rounds {
        let mut dice = Dice(round + 1);
        for child in fs::read_dir(folder).unwrap() {
            let child = child.unwrap().path();
            if !child.ends_with(".git") {
                remove(&child);
            }
        }
        for _ in 0..12 {
            let name = name(&mut dice);
            put(folder, &name, "plain");
        }
        if round % 4 == 0 {
            let version = ["2", "4"][dice.below(2)];
            w.git(folder, &["update-index", "--index-version", version]);
        }
        w.git(folder, &["add", "-A", "-f"]);
        if round % 3 > 0 {
            w.git(folder, &["commit", "-q", "--allow-empty", "-m", "round"]);
        }
        for _ in 0..6 {
            change(&mut dice, folder);
        }
        if round % 5 == 0 {
            w.git(folder, &["add", "-A"]);
            change(&mut dice, folder);
        }
        let theirs = by_git(&w, folder);
        assert_eq!(by_us(&repo), theirs, "round {round}");
        told += theirs.len();
    }
    assert!(told > 80, "there was something to find: {told}");
}

#[test]
fn rules_outside_the_work_tree_count_and_tracked_files_do_not_care() {
    let w = World::new();
    let repo = clone(&w);
    let folder = repo.workdir();
    for name in ["kept/x.log", "x.log", "y.txt"] {
        write(folder, name, "text");
    }
    w.git(folder, &["add", "-A"]);
    w.git(folder, &["commit", "-q", "-m", "files"]);
    let users = w.path("users-rules");
    fs::write(&users, "*.log\n!*.txt\n").unwrap();
    w.git(
        folder,
        &["config", "core.excludesFile", &users.display().to_string()],
    );
    fs::write(folder.join(".git/info/exclude"), "kept\n*.txt\n").unwrap();
    write(folder, "sub/.gitignore", "!*.log\n/*.txt\n!/b.txt\n");
    for name in [
        "a.log",
        "kept/new",
        "kept/x.log",
        "sub/a.log",
        "sub/a.txt",
        "sub/b.txt",
        "sub/c",
    ] {
        write(folder, name, "other");
    }
    symlink("a.log", folder.join("sub/link.log")).unwrap();
    let found = by_us(&repo);
    assert_eq!(found, by_git(&w, folder));
    let untracked = [
        "sub/.gitignore",
        "sub/a.log",
        "sub/b.txt",
        "sub/c",
        "sub/link.log",
    ];
    let mut all = untracked.to_vec();
    all.insert(0, "kept/x.log");
    assert_eq!(found.keys().collect::<Vec<_>>(), all);
    // A rules file that is a link holds none.
    fs::rename(folder.join("sub/.gitignore"), w.path("linked")).unwrap();
    symlink(w.path("linked"), folder.join("sub/.gitignore")).unwrap();
    assert_eq!(by_us(&repo), by_git(&w, folder));
}

#[test]
fn where_spelling_does_not_count_a_file_has_one_name() {
    let w = World::new();
    let repo = clone(&w);
    let folder = repo.workdir();
    write(folder, "Dir/File", "text");
    w.git(folder, &["add", "-A"]);
    w.git(folder, &["config", "core.ignoreCase", "true"]);
    write(folder, ".gitignore", "*.LOG\n");
    write(folder, "Dir/x.log", "text");
    // As a file system that does not tell them apart might list it.
    write(folder, "Dir/file", "text");
    let found = by_us(&repo);
    let names: Vec<&String> = found.keys().collect();
    assert_eq!(names, [".gitignore", "Dir/File"], "{found:?}");
    assert_eq!(found["Dir/File"], "A ");
}

#[test]
fn what_is_no_plain_file_of_the_index() {
    let w = World::new();
    let repo = clone(&w);
    let folder = repo.workdir();
    let tip = |folder: &Path| w.git(folder, &["rev-parse", "HEAD"]).trim().to_owned();
    for name in ["skipped", "assumed", "file", "e/.gitignore", "e/x"] {
        write(folder, name, "*.log\n");
    }
    w.git(folder, &["add", "-A"]);
    w.git(folder, &["commit", "-q", "-m", "files"]);
    for sub in ["kept", "gone", "file-now"] {
        w.git(folder, &["init", "-q", sub]);
        w.git(
            folder.join(sub),
            &["commit", "-q", "--allow-empty", "-m", "sub"],
        );
        let info = format!("160000,{},{sub}", tip(&folder.join(sub)));
        w.git(folder, &["update-index", "--add", "--cacheinfo", &info]);
    }
    w.git(folder, &["commit", "-q", "-m", "repositories"]);
    assert_eq!(by_us(&repo), by_git(&w, folder));
    w.git(
        folder,
        &["update-index", "--skip-worktree", "skipped", "e/.gitignore"],
    );
    w.git(folder, &["update-index", "--assume-unchanged", "assumed"]);
    fs::remove_file(folder.join("skipped")).unwrap();
    fs::remove_file(folder.join("e/.gitignore")).unwrap();
    write(folder, "assumed", "other");
    for sub in ["gone", "file-now"] {
        remove(&folder.join(sub));
    }
    write(folder, "file-now", "text");
    // What the index has of a rules file that is skipped counts.
    write(folder, "e/x.log", "text");
    write(folder, "e/y", "text");
    // An empty folder of that name makes no repository.
    fs::create_dir_all(folder.join("plain/.git")).unwrap();
    write(folder, "plain/x", "text");
    let expected = [
        ("e/y", "??"),
        ("file-now", " T"),
        ("gone", " D"),
        ("plain/x", "??"),
    ];
    let expected = expected.map(|(name, columns)| (name.to_owned(), columns.to_owned()));
    let found = by_us(&repo);
    assert_eq!(found, Found::from(expected));
    assert_eq!(found, by_git(&w, folder));
    // Newer ways to write an index, and another that asks for few looks.
    w.git(folder, &["config", "feature.manyFiles", "true"]);
    w.git(
        folder,
        &["update-index", "--untracked-cache", "--force-write-index"],
    );
    assert_eq!(by_git(&w, folder), found);
    assert_eq!(by_us(&repo), found);
    // Here git gives up.
    remove(&folder.join("file-now"));
    symlink("kept", folder.join("file-now")).unwrap();
    assert_eq!(by_us(&repo), found);
}

#[test]
fn an_index_that_is_damaged_is_an_error() {
    let w = World::new();
    let repo = clone(&w);
    write(repo.workdir(), "file", "text");
    w.git(repo.workdir(), &["add", "-A"]);
    let index = repo.workdir().join(".git/index");
    let whole = fs::read(&index).unwrap();
    fs::write(&index, &whole[..whole.len() / 2]).unwrap();
    assert!(repo.status().is_err());
    fs::remove_file(&index).unwrap();
    let found = repo.status().unwrap();
    assert_eq!(found.entries[0].path, path("file"));
    fs::write(&index, &whole).unwrap();
    assert_eq!(by_us(&repo), by_git(&w, repo.workdir()));
}
