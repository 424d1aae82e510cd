use super::*;
use crate::error::ErrorKind;
use crate::git::{self, Entry, Mode};
use crate::name::BranchName;
use crate::path::RepoPath;

/// A work tree whose index has these files as they are.
fn tracked(names: &[&str]) -> (tempfile::TempDir, Git) {
    let temp = tempfile::tempdir().expect("temp");
    let git = git::create(temp.path(), &BranchName::main()).expect("created");
    let mut index = git.index_to_change().expect("locked");
    for name in names {
        let path = RepoPath::new(*name).expect("valid");
        let file = path.under(temp.path());
        std::fs::create_dir_all(file.parent().expect("below")).expect("made");
        std::fs::write(&file, name).expect("written");
        let stat = crate::fs::lstat(&file).expect("seen").expect("there");
        let id = Git::hash_blob(name.as_bytes()).expect("hashed");
        index
            .put(&Entry::new(path, id, Mode::File, &stat))
            .expect("put");
    }
    index.write().expect("written");
    drop(index);
    (temp, git)
}

/// What a walk finds, by name.
fn found(git: &Git, selection: &Selection) -> (Vec<String>, Vec<String>, Vec<String>) {
    let index = git.listing().expect("read");
    let walked = walk(git, &index, selection, &CancelToken::new()).expect("walked");
    let name = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let rows = |rows: Vec<usize>| rows.into_iter().map(|row| name(index.path(row)));
    let open = walked.open.iter().map(|(row, _)| *row).collect();
    let mut found = (
        rows(open).collect::<Vec<_>>(),
        rows(walked.gone).collect::<Vec<_>>(),
        walked
            .untracked
            .iter()
            .map(|path| name(path))
            .collect::<Vec<_>>(),
    );
    found.0.sort();
    found.1.sort();
    found.2.sort();
    found
}

#[test]
fn a_folder_of_many_files_is_looked_at_in_parts() {
    let names: Vec<String> = (0..23).map(|number| format!("d/{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (temp, git) = tracked(&names);
    let none = (Vec::new(), Vec::new(), Vec::new());
    assert_eq!(found(&git, &Selection::default()), none);
    for changed in ["d/00", "d/09", "d/22"] {
        std::fs::write(temp.path().join(changed), "longer than it was").expect("written");
    }
    for gone in ["d/01", "d/13"] {
        std::fs::remove_file(temp.path().join(gone)).expect("removed");
    }
    std::fs::create_dir(temp.path().join("d/13")).expect("made");
    std::fs::write(temp.path().join("d/13/x"), "").expect("written");
    std::fs::write(temp.path().join("d/23"), "").expect("written");
    let (open, gone, untracked) = found(&git, &Selection::default());
    assert_eq!(open, ["d/00", "d/09", "d/22"]);
    assert_eq!(gone, ["d/01", "d/13"]);
    assert_eq!(untracked, ["d/13/x", "d/23"]);
}

#[test]
fn only_what_is_selected_is_looked_at() {
    let (temp, git) = tracked(&["a/b/x", "a/c/x", "d/x", "e"]);
    for file in ["a/b/x", "a/c/x", "d/x", "e", "a/b/new", "d/new"] {
        std::fs::write(temp.path().join(file), "longer than it was").expect("written");
    }
    let selection = |options: crate::worktree::StageOptions| {
        let selection = Selection::new(&options).expect("valid");
        let (open, _, untracked) = found(&git, &selection);
        [open, untracked].concat()
    };
    let options = crate::worktree::StageOptions::default;
    assert_eq!(selection(options().path("a/b")), ["a/b/x", "a/b/new"]);
    assert_eq!(selection(options().path("d/x")), ["d/x", "d/new"]);
    let all_but = selection(options().exclude("a").exclude("e"));
    assert_eq!(all_but, ["d/x", "d/new"]);
}

#[test]
fn what_becomes_of_a_folder() {
    let (temp, git) = tracked(&["a/x", "b/x", "c/x", "d/x"]);
    let at = |name: &str| temp.path().join(name);
    for folder in ["a", "b", "c"] {
        std::fs::remove_dir_all(at(folder)).expect("removed");
    }
    std::fs::write(at("b"), "a file").expect("written");
    std::os::unix::fs::symlink("d", at("c")).expect("linked");
    std::fs::create_dir_all(at("d/.git")).expect("made");
    std::fs::create_dir_all(at("nested/.git")).expect("made");
    std::fs::write(at("nested/.git/HEAD"), "").expect("written");
    std::fs::create_dir_all(at("not/.git")).expect("made");
    std::fs::write(at("not/x"), "").expect("written");
    std::fs::create_dir_all(at("empty/deep")).expect("made");
    let (open, gone, untracked) = found(&git, &Selection::default());
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(gone, ["a/x", "b/x", "c/x"]);
    assert_eq!(untracked, ["b", "c", "nested/", "not/x"]);
}

#[test]
fn what_a_listing_misses_is_looked_for_by_its_name() {
    let (_temp, git) = tracked(&["a/x", "b"]);
    let index = git.listing().expect("read");
    let ignored = git.ignored(&index).expect("read");
    let walk = Walk {
        workdir: git.workdir(),
        index: &index,
        selection: &Selection::default(),
        ignored: &ignored,
    };
    let root = Part {
        name: Vec::new(),
        rows: index.rows(),
        ignoring: Ignoring::default(),
    };
    let folder = walk.open(b"").expect("readable").expect("there");
    let (none, mut seen) = (Ignoring::default(), Seen::default());
    // As if both had been renamed just then, or the folder might be entered and not listed.
    let tracked = walk.tracked(
        &root,
        &folder,
        (&Names::default(), &mut []),
        &none,
        &mut seen,
    );
    tracked.expect("looked at");
    assert!(seen.walked.gone.is_empty() && seen.walked.open.is_empty());
    assert_eq!(seen.deeper.len(), 1);
}

#[test]
fn it_can_be_cancelled() {
    let (_temp, git) = tracked(&["a/x"]);
    let index = git.listing().expect("read");
    let cancel = CancelToken::new();
    cancel.cancel();
    let walked = walk(&git, &index, &Selection::default(), &cancel);
    assert_eq!(walked.expect_err("cancelled").kind(), ErrorKind::Cancelled);
}
