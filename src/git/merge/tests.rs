use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use git2::{IndexEntry, IndexTime, Signature, Time};

use super::{Merge, MergedTree};
use crate::error::ErrorKind;
use crate::git::refs::{commit_id, object_id};
use crate::git::{Git, Identity, Mode, ObjectId, Rebase, create};
use crate::id::CommitId;

struct Scratch {
    git: Git,
    _folder: tempfile::TempDir,
}

/// A path with its content; `x:` before the path makes it executable, `l:` a link, `m:` a submodule.
type Files<'a> = &'a [(&'a str, &'a str)];

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = create(&folder.path().join("repo"), &"main".parse().unwrap()).unwrap();
        Self {
            git,
            _folder: folder,
        }
    }

    fn tree(&self, files: Files<'_>) -> ObjectId {
        let mut index = git2::Index::new().unwrap();
        let mut blobs = BTreeMap::new();
        for (path, content) in files {
            let (mode, path) = match path.split_once(':') {
                Some(("x", path)) => (0o100_755, path),
                Some(("l", path)) => (0o120_000, path),
                Some(("m", path)) => (0o160_000, path),
                _ => (0o100_644, *path),
            };
            let write = || self.git.write_blob(content.as_bytes()).unwrap();
            let id = *blobs.entry(*content).or_insert_with(write);
            let zero = IndexTime::new(0, 0);
            let entry = IndexEntry {
                ctime: zero,
                mtime: zero,
                dev: 0,
                ino: 0,
                mode,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            };
            index.add(&entry).unwrap();
        }
        index.write_tree_to(&self.git.repo).unwrap()
    }

    fn commit(&self, files: Files<'_>, parents: &[CommitId]) -> CommitId {
        let identity = Identity::new("Ada", "ada@example.org").unwrap();
        let message = format!("{} files\n", files.len());
        self.git
            .write_commit(self.tree(files), parents, &message, &identity)
            .unwrap()
    }

    fn files(&self, tree: ObjectId) -> Vec<(String, String)> {
        let files = self.git.files_of(tree).unwrap();
        let shown = files.into_iter().map(|file| {
            let mark = match file.mode {
                Mode::File => "",
                Mode::Executable => "x:",
                Mode::Symlink => "l:",
                Mode::Gitlink => "m:",
            };
            let content = self.git.blob(file.id).unwrap_or_default();
            let content = String::from_utf8(content).unwrap();
            (format!("{mark}{}", file.path), content)
        });
        shown.collect()
    }

    /// The merge gives these files, whichever side is ours.
    #[track_caller]
    fn clean(&self, base: Files<'_>, ours: Files<'_>, theirs: Files<'_>, expected: Files<'_>) {
        let [base, ours, theirs, expected] =
            [base, ours, theirs, expected].map(|files| self.tree(files));
        for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
            match self.git.merge_trees(Some(base), ours, theirs).unwrap() {
                MergedTree::Clean(tree) => {
                    assert_eq!(self.files(tree), self.files(expected));
                    assert_eq!(tree, expected, "the same files, but another tree");
                }
                MergedTree::Conflicts(paths) => panic!("{paths:?}"),
            }
        }
    }

    /// These paths are in conflict, whichever side is ours.
    #[track_caller]
    fn conflicts(&self, base: Files<'_>, ours: Files<'_>, theirs: Files<'_>, expected: &[&str]) {
        let [base, ours, theirs] = [base, ours, theirs].map(|files| self.tree(files));
        for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
            match self.git.merge_trees(Some(base), ours, theirs).unwrap() {
                MergedTree::Clean(tree) => panic!("{:?}", self.files(tree)),
                MergedTree::Conflicts(paths) => {
                    let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
                    assert_eq!(paths, expected);
                }
            }
        }
    }
}

#[test]
fn what_one_side_changed_is_taken() {
    let s = Scratch::new();
    s.clean(
        &[("a", "1"), ("d/b", "1"), ("d/e/c", "1"), ("gone", "1")],
        &[("a", "2"), ("d/b", "1"), ("d/e/c", "1"), ("new/x", "1")],
        &[
            ("a", "1"),
            ("d/b", "2"),
            ("d/e/c", "1"),
            ("d/f", "3"),
            ("gone", "1"),
        ],
        &[
            ("a", "2"),
            ("d/b", "2"),
            ("d/e/c", "1"),
            ("d/f", "3"),
            ("new/x", "1"),
        ],
    );
    // Alike on both sides.
    s.clean(&[("a", "1")], &[("a", "2")], &[("a", "2")], &[("a", "2")]);
    s.clean(
        &[("a", "1")],
        &[("b", "2")],
        &[("b", "2"), ("c", "1")],
        &[("b", "2"), ("c", "1")],
    );
    // A folder emptied from two sides is gone, and so may be the root.
    s.clean(
        &[("d/a", "1"), ("d/b", "1")],
        &[("d/a", "1")],
        &[("d/b", "1")],
        &[],
    );
}

#[test]
fn what_both_changed_is_a_conflict() {
    let s = Scratch::new();
    s.conflicts(&[("a", "1")], &[("a", "2")], &[("a", "3")], &["a"]);
    s.conflicts(
        &[("d/a", "1"), ("z", "1")],
        &[("d/a", "2")],
        &[("y", "1"), ("z", "2")],
        &["d/a", "z"],
    );
    s.conflicts(&[], &[("d/a", "2")], &[("d/a", "3")], &["d/a"]);
    // A line at the top and one at the bottom are no reason to mix two files.
    s.conflicts(
        &[("a", "1\n2\n3\n4\n5\n6\n")],
        &[("a", "x\n2\n3\n4\n5\n6\n")],
        &[("a", "1\n2\n3\n4\n5\nx\n")],
        &["a"],
    );
}

#[test]
fn kind_and_mode_are_part_of_the_value() {
    let s = Scratch::new();
    let (plain, executable, link) = ([("a", "1")], [("x:a", "1")], [("l:a", "1")]);
    s.clean(
        &plain,
        &executable,
        &[("a", "1"), ("b", "1")],
        &[("x:a", "1"), ("b", "1")],
    );
    s.clean(&plain, &link, &plain, &link);
    s.clean(&plain, &[("m:a", "1")], &plain, &[("m:a", "1")]);
    s.clean(&plain, &executable, &executable, &executable);
    s.conflicts(&plain, &executable, &[("a", "2")], &["a"]);
    s.conflicts(&plain, &link, &executable, &["a"]);
    s.conflicts(&[], &plain, &[("m:a", "1")], &["a"]);
    s.conflicts(&[("m:a", "1")], &[("m:a", "2")], &[("m:a", "3")], &["a"]);
}

#[test]
fn a_file_and_a_folder_of_one_name() {
    let s = Scratch::new();
    let both = ("z", "1");
    // One side alone explains it.
    s.clean(
        &[("a", "1")],
        &[("a/b", "1")],
        &[("a", "1"), both],
        &[("a/b", "1"), both],
    );
    s.clean(
        &[("a/b", "1")],
        &[("a", "1")],
        &[("a/b", "1"), both],
        &[("a", "1"), both],
    );
    s.clean(&[("a", "1")], &[], &[("a/b", "1")], &[("a/b", "1")]);
    s.clean(&[("a/b", "1")], &[], &[("a", "1")], &[("a", "1")]);
    s.clean(
        &[("a/b", "1"), ("a/c", "1")],
        &[("a/b", "1")],
        &[("a", "1")],
        &[("a", "1")],
    );
    // Both want the name.
    s.conflicts(&[], &[("a", "1")], &[("a/b", "1")], &["a"]);
    s.conflicts(
        &[("a/b", "1")],
        &[("a", "1")],
        &[("a/b", "2")],
        &["a", "a/b"],
    );
    s.conflicts(
        &[("a/b", "1")],
        &[("a", "1")],
        &[("a/b", "1"), ("a/c", "1")],
        &["a"],
    );
    s.conflicts(&[("a", "1")], &[("a", "2")], &[("a/b", "1")], &["a"]);
    s.conflicts(&[("a/b", "1")], &[], &[("a/b", "2")], &["a/b"]);
    // Names that git sorts otherwise than files of the same name.
    s.clean(
        &[("a-b", "1"), ("a/x", "1"), ("a0", "1")],
        &[("a-b", "2"), ("a/x", "1"), ("a0", "1")],
        &[("a", "1"), ("a-b", "1"), ("a0", "2")],
        &[("a", "1"), ("a-b", "2"), ("a0", "2")],
    );
}

#[test]
fn attributes_are_merged_by_lines() {
    let s = Scratch::new();
    let at = |root: &'static str| [(".gitattributes", root)];
    let merged = |base: Files<'_>, ours: Files<'_>, theirs: Files<'_>| {
        let [base, ours, theirs] = [base, ours, theirs].map(|files| s.tree(files));
        match s.git.merge_trees(Some(base), ours, theirs).unwrap() {
            MergedTree::Clean(tree) => s.files(tree).into_iter().collect(),
            MergedTree::Conflicts(paths) => panic!("{paths:?}"),
        }
    };
    let files: BTreeMap<String, String> = merged(&at("a\n"), &at("a\nb\n"), &at("c\n"));
    assert_eq!(files[".gitattributes"], "b\nc\n");
    let files = merged(
        &[],
        &[("d/.gitattributes", "b\n"), ("d/x", "1")],
        &[("d/.gitattributes", "c\n"), ("y", "1")],
    );
    assert_eq!(files["d/.gitattributes"], "b\nc\n");
    // A mode that one side changed comes with it.
    let files = merged(&at("a\n"), &[("x:.gitattributes", "a\nb\n")], &at("a\nc\n"));
    assert_eq!(files["x:.gitattributes"], "a\nb\nc\n");

    let attributes = [".gitattributes"];
    s.conflicts(&at("a\n"), &[], &at("b\n"), &attributes);
    s.conflicts(
        &at("a\n"),
        &[("l:.gitattributes", "a\n")],
        &at("b\n"),
        &attributes,
    );
    s.conflicts(&[], &[("x:.gitattributes", "a\n")], &at("b\n"), &attributes);
    s.conflicts(
        &[],
        &[("x.gitattributes", "a\n")],
        &[("x.gitattributes", "b\n")],
        &["x.gitattributes"],
    );
    let long = "a".repeat(1 << 20) + "\n";
    s.conflicts(
        &at("a\n"),
        &[(".gitattributes", &long)],
        &at("b\n"),
        &attributes,
    );
}

#[test]
fn names_that_must_not_be_checked_out_are_refused() {
    let s = Scratch::new();
    let blob = s.git.write_blob(b"1").unwrap();
    // libgit2 would not write such trees.
    let raw = |entries: &[(&str, &[u8], ObjectId)]| {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        let odb = s.git.repo.odb().unwrap();
        odb.write(git2::ObjectType::Tree, &bytes).unwrap()
    };
    let (base, ours) = (s.tree(&[]), s.tree(&[("a", "1")]));
    for (name, kind) in [
        (&b".git"[..], ErrorKind::InvalidPath),
        (b"..", ErrorKind::InvalidPath),
        (b"\xff", ErrorKind::Unsupported),
    ] {
        let bad = raw(&[("100644", name, blob)]);
        for theirs in [bad, raw(&[("40000", b"d", bad)])] {
            let error = s.git.merge_trees(Some(base), ours, theirs).unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
        }
        let mixed = raw(&[
            ("100644", b"a", s.git.write_blob(b"2").unwrap()),
            ("100644", name, blob),
        ]);
        s.git.merge_trees(Some(base), ours, mixed).unwrap_err();
    }
    // What both have is not the merge's business.
    let known = raw(&[("100644", b"\xff", blob)]);
    let more = raw(&[("100644", b"b", blob), ("100644", b"\xff", blob)]);
    let other = raw(&[("100644", b"c", blob), ("100644", b"\xff", blob)]);
    assert!(matches!(
        s.git.merge_trees(Some(known), more, other).unwrap(),
        MergedTree::Clean(_)
    ));

    let mut tree = s.tree(&[("a", "1")]);
    let mut other = s.tree(&[("b", "1")]);
    for _ in 0..300 {
        tree = raw(&[("40000", b"d", tree)]);
        other = raw(&[("40000", b"d", other)]);
    }
    let error = s.git.merge_trees(None, tree, other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
}

#[test]
fn ten_thousand_files_take_no_time() {
    let s = Scratch::new();
    let names: Vec<String> = (0..10_000).map(|n| format!("{}/{n}", n % 7)).collect();
    let base: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let (mut ours, mut theirs) = (base.clone(), base.clone());
    for number in 0..10_000 {
        let side = if number % 2 == 0 {
            &mut ours
        } else {
            &mut theirs
        };
        side[number].1 = "2";
    }
    let trees = [&base, &ours, &theirs].map(|files| s.tree(files));
    let began = Instant::now();
    let merged = s
        .git
        .merge_trees(Some(trees[0]), trees[1], trees[2])
        .unwrap();
    let took = began.elapsed();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "2")).collect();
    assert_eq!(merged, MergedTree::Clean(s.tree(&all)));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn commits_are_merged_from_where_they_parted() {
    let s = Scratch::new();
    let root = s.commit(&[("a", "1")], &[]);
    let ours = s.commit(&[("a", "2")], &[root]);
    let theirs = s.commit(&[("a", "1"), ("b", "1")], &[root]);
    let expected = s.tree(&[("a", "2"), ("b", "1")]);
    assert_eq!(s.git.merge_bases(ours, theirs).unwrap(), [root]);
    assert_eq!(
        s.git.merge_commits(ours, theirs).unwrap(),
        Merge::Clean(expected)
    );
    assert_eq!(
        s.git.merge_commits(root, theirs).unwrap(),
        Merge::Clean(s.git.tree_of(theirs).unwrap())
    );
    let other = s.commit(&[("a", "3"), ("c", "1")], &[root]);
    let Merge::Conflicts(paths) = s.git.merge_commits(ours, other).unwrap() else {
        panic!("both changed a");
    };
    assert_eq!(
        paths.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
        ["a"]
    );
    let stranger = s.commit(&[("z", "1")], &[]);
    assert_eq!(s.git.merge_bases(ours, stranger).unwrap(), []);
    assert_eq!(
        s.git.merge_commits(ours, stranger).unwrap(),
        Merge::Unrelated
    );
}

#[test]
fn crossed_lines_merge_where_every_base_says_the_same() {
    let s = Scratch::new();
    let root = s.commit(&[("r", "1")], &[]);
    let one = s.commit(&[("a", "1"), ("r", "1")], &[root]);
    let two = s.commit(&[("b", "1"), ("r", "1")], &[root]);
    let both: Files<'_> = &[("a", "1"), ("b", "1"), ("r", "1")];
    let (left, right) = (s.commit(both, &[one, two]), s.commit(both, &[two, one]));
    let ours = s.commit(&[("a", "1"), ("b", "1"), ("c", "1"), ("r", "1")], &[left]);
    let theirs = s.commit(&[("a", "1"), ("b", "1"), ("r", "2")], &[right]);
    assert_eq!(s.git.merge_bases(ours, theirs).unwrap().len(), 2);
    assert_eq!(
        s.git.merge_commits(ours, theirs).unwrap(),
        Merge::Clean(s.tree(&[("a", "1"), ("b", "1"), ("c", "1"), ("r", "2")]))
    );
    // From `two`, which had no `a`, both sides brought one.
    let theirs = s.commit(&[("a", "2"), ("b", "1"), ("r", "1")], &[right]);
    let Merge::Conflicts(paths) = s.git.merge_commits(ours, theirs).unwrap() else {
        panic!("the bases differ");
    };
    assert_eq!(
        paths.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
        ["a"]
    );
}

#[test]
fn commits_are_replayed_with_author_date_and_message() {
    let s = Scratch::new();
    let root = s.commit(&[("a", "1")], &[]);
    let author = Signature::new("Grace", "grace@example.org", &Time::new(1_000_000, 90)).unwrap();
    let committer = Signature::new("X", "x@example.org", &Time::new(1_000_001, 0)).unwrap();
    let message = "summary\n\nbody, not ended";
    let own = |files: Files<'_>, parent: CommitId| {
        s.git
            .write_signed(s.tree(files), &[parent], message, (&author, &committer))
            .unwrap()
    };
    let one = own(&[("a", "1"), ("b", "1")], root);
    let two = own(&[("a", "1"), ("b", "1"), ("c", "1")], one);
    let three = own(&[("b", "2"), ("c", "1")], two);
    // The remote has `c` as well, so nothing is left of `two`.
    let onto = s.commit(&[("a", "1"), ("c", "1"), ("d", "1")], &[root]);

    let line = s.git.line_since(three, &[root]).unwrap();
    assert_eq!(line, [one, two, three]);
    let identity = Identity::new("Ada", "ada@example.org").unwrap();
    let Rebase::Done(map) = s.git.rebase_commits(&line, onto, &identity).unwrap() else {
        panic!("nothing is in conflict");
    };
    let [
        (from_one, new_one),
        (from_two, new_two),
        (from_three, new_three),
    ] = map[..]
    else {
        panic!("{map:?}");
    };
    assert_eq!([from_one, from_two, from_three], [one, two, three]);
    assert_eq!(new_two, new_one);
    assert_eq!(s.git.parents_of(new_three).unwrap(), [new_one]);
    assert_eq!(s.git.parents_of(new_one).unwrap(), [onto]);
    assert_eq!(
        s.git.tree_of(new_three).unwrap(),
        s.tree(&[("b", "2"), ("c", "1"), ("d", "1")])
    );
    let raw = s
        .git
        .repo
        .find_commit(object_id(new_three).unwrap())
        .unwrap();
    assert_eq!(raw.author().to_string(), author.to_string());
    assert_eq!(raw.author().when(), author.when());
    assert_eq!(raw.message_raw().unwrap(), message);
    assert_eq!(raw.committer().name().unwrap(), "Ada");

    // Nothing of the line is left.
    let all = s.git.tree_of(three).unwrap();
    let squashed = s
        .git
        .write_commit(all, &[root], "squashed", &identity)
        .unwrap();
    let same = s.git.rebase_commits(&[three], squashed, &identity).unwrap();
    assert_eq!(same, Rebase::Done(vec![(three, squashed)]));
}

#[test]
fn what_cannot_be_replayed_is_told() {
    let s = Scratch::new();
    let identity = Identity::new("Ada", "ada@example.org").unwrap();
    let root = s.commit(&[("a", "1")], &[]);
    let onto = s.commit(&[("a", "2")], &[root]);
    let one = s.commit(&[("a", "1"), ("b", "1")], &[root]);
    let two = s.commit(&[("a", "3"), ("b", "1")], &[one]);
    let Rebase::Conflicts { commit, paths } =
        s.git.rebase_commits(&[one, two], onto, &identity).unwrap()
    else {
        panic!("both changed a");
    };
    assert_eq!((commit, paths[0].as_str(), paths.len()), (two, "a", 1));

    let merge = s.commit(&[("a", "2"), ("b", "1")], &[one, onto]);
    let top = s.commit(&[("b", "1")], &[merge]);
    let line = s.git.line_since(top, &[root]).unwrap();
    assert_eq!(line, [merge, top]);
    let told = s.git.rebase_commits(&line, onto, &identity).unwrap();
    assert_eq!(told, Rebase::HasMerge(merge));

    // A commit without parents brings all its files.
    let stranger = s.commit(&[("z", "1")], &[]);
    let Rebase::Done(map) = s.git.rebase_commits(&[stranger], onto, &identity).unwrap() else {
        panic!("nothing is in conflict");
    };
    let tree = s.git.tree_of(map[0].1).unwrap();
    assert_eq!(tree, s.tree(&[("a", "2"), ("z", "1")]));

    // What libgit2 would write with broken letters.
    let text = format!(
        "tree {}\nparent {root}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\nencoding latin1\n\n",
        s.tree(&[("a", "1"), ("b", "1")])
    );
    let bytes = [text.as_bytes(), b"caf\xe9\n"].concat();
    let odb = s.git.repo.odb().unwrap();
    let latin = commit_id(odb.write(git2::ObjectType::Commit, &bytes).unwrap());
    let error = s.git.rebase_commits(&[latin], onto, &identity).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
}
