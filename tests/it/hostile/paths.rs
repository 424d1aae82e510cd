//! Trees that no git would make: what is in them stays out of the work tree and of everything else.

use std::fs;
use std::os::unix::fs::symlink;

use hf_repository::ErrorKind::{self, DirtyWorktree, Git, InvalidPath, Io, Network, Unsupported};
use hf_repository::NetworkLimits;

use super::{Forge, RULES, each, everything, refused};
use crate::support::World;
use crate::support::judge::files;

/// How a tree is made.
type Make = fn(&Forge<'_>, &World) -> String;

/// A pull of what a row makes is refused, and changes nothing; a clone leaves nothing.
#[track_caller]
fn nothing_comes_of(rows: &[(&str, (&[ErrorKind], Make))]) {
    let w = World::new();
    w.model("alice/m");
    // Where the hub's git fails, another try fails too.
    let once = |folder| {
        let limits = NetworkLimits::default().retries(0);
        w.prepare("alice/m", folder)
            .network_limits(limits)
            .clone_repo()
    };
    let ours = once("ours").unwrap();
    fs::create_dir(w.path("outside")).unwrap();
    fs::write(w.path("outside/there"), "there").unwrap();
    let outside = everything(&w.path("outside"));
    let forge = Forge::new(&w, "alice/m");
    let own = own_files(&w);
    let base = w.git(w.bare("alice/m"), &["rev-parse", "main"]);
    each(rows, |(kinds, make)| {
        // On their own: some trees the hub's git cannot serve.
        w.git(w.bare("alice/m"), &["update-ref", "refs/heads/main", &base]);
        forge.publish(&make(&forge, &w));
        let before = w.scene(ours.workdir(), "alice/m").files_only();
        refused(ours.pull(), kinds);
        assert_eq!(w.scene(ours.workdir(), "alice/m").files_only(), before);
        assert_eq!(own_files(&w), own, "git's own files");
        assert_eq!(everything(&w.path("outside")), outside);
        assert!(!w.path("evil").exists());
    });
    // A clone goes the same way, from nothing.
    let (_, (kinds, make)) = &rows[0];
    w.git(w.bare("alice/m"), &["update-ref", "refs/heads/main", &base]);
    forge.publish(&make(&forge, &w));
    refused(once("fresh"), kinds);
    assert!(!w.path("fresh").exists());
}

/// What an attacker would like to change of git's own.
fn own_files(w: &World) -> impl std::fmt::Debug + PartialEq {
    let read = |name: &str| fs::read(w.path("ours/.git").join(name)).ok();
    (read("config"), read("hooks/post-checkout"), read("evil"))
}

/// A clone of what `make` makes has just these files, as git would make them.
#[track_caller]
fn harmless(names: &[&str], make: impl Fn(&Forge<'_>, &World) -> String) {
    let w = World::new();
    w.model("alice/m");
    let ours = w.clone("alice/m", "ours");
    let forge = Forge::new(&w, "alice/m");
    forge.publish(&make(&forge, &w));
    ours.pull().unwrap();
    let found: Vec<String> = files(ours.workdir()).into_keys().collect();
    assert_eq!(found, names);
    w.clone("alice/m", "fresh");
    assert!(files(&w.path("fresh")) == files(ours.workdir()));
    assert!(!w.path("evil").exists());
    w.assert_clean(ours.workdir());
}

#[test]
fn no_name_leads_out_of_the_work_tree_or_into_git() {
    nothing_comes_of(NAMES);
}

macro_rules! names {
    ($($row:ident: $path:expr;)*) => {
        pub(super) const NAMES: &[(&str, (&[ErrorKind], Make))] = &[$((stringify!($row), (
            &[InvalidPath],
            |forge, _| {
                let path: &[&[u8]] = &$path;
                let (name, folders) = path.split_last().unwrap();
                let file = forge.tree(&[("100644", name, &forge.blob("evil"))]);
                forge.below(folders, &file)
            },
        ))),*];
    };
}

names! {
    an_entry_dot_dot: [b"..", b"evil"];
    an_entry_dot_dot_that_is_a_file: [b".."];
    an_entry_dot: [b".", b"evil"];
    an_entry_dot_git: [b".git", b"config"];
    an_entry_dot_git_below: [b"a", b".git", b"hooks", b"post-checkout"];
    an_entry_dot_git_in_capitals: [b".GIT", b"config"];
    an_entry_dot_git_in_mixed_case: [b".gIt", b"config"];
    an_entry_dot_git_and_a_blank: [b".git ", b"config"];
    an_entry_dot_git_and_a_dot: [b".git.", b"config"];
    an_entry_dot_git_and_a_stream: [b".git::$INDEX_ALLOCATION", b"config"];
    an_entry_of_ntfs_short_name: [b"git~1", b"config"];
    an_entry_of_ntfs_short_name_in_capitals: [b"GIT~1", b"config"];
    an_entry_dot_git_with_a_code_point_hfs_ignores: [".g\u{200c}it".as_bytes(), b"config"];
    an_entry_dot_git_with_a_byte_order_mark: [".git\u{feff}".as_bytes(), b"config"];
    an_entry_that_goes_up: [b"a/../../evil"];
    an_entry_with_a_slash_into_git: [b"a/.git/config"];
    an_absolute_entry: [b"/tmp/evil"];
}

#[test]
fn no_tree_that_git_would_not_make_is_checked_out() {
    nothing_comes_of(TREES);
}

macro_rules! trees {
    ($($row:ident: $kinds:expr, |$forge:ident, $w:ident| $tree:expr;)*) => {
        pub(super) const TREES: &[(&str, (&[ErrorKind], Make))] =
            &[$((stringify!($row), (&$kinds, |$forge, $w| $tree))),*];
    };
}

// Where `Network` is allowed the hub's own git does not send it. A server that would send it sends it
// to the same checks.
trees! {
    an_entry_without_a_name: [InvalidPath, Network], |forge, _w| {
        forge.below(&[b""], &forge.tree(&[("100644", b"evil", &forge.blob("x"))]))
    };
    a_submodule_called_dot_git: [InvalidPath], |forge, _w| {
        forge.tree(&[("160000", b".git", &"11".repeat(20))])
    };
    a_submodule_that_goes_up: [InvalidPath], |forge, _w| {
        forge.tree(&[("160000", b"..", &"11".repeat(20))])
    };
    a_name_that_is_not_utf_8: [Unsupported], |forge, _w| {
        forge.tree(&[("100644", b"caf\xe9", &forge.blob("x"))])
    };
    a_name_with_escapes: [InvalidPath], |forge, _w| {
        let name = "\x1b[2J\u{202e}".as_bytes();
        forge.below(&[b".git"], &forge.tree(&[("100644", name, &forge.blob("x"))]))
    };
    the_same_name_twice: [InvalidPath], |forge, _w| {
        let (one, two) = (forge.blob("one"), forge.blob("two"));
        forge.tree(&[("100644", b"a", &one), ("100644", b"a", &two)])
    };
    a_link_and_a_folder_of_one_name: [InvalidPath], |forge, w| {
        let inner = forge.tree(&[("100644", b"there", &forge.blob("evil"))]);
        forge.tree(&[("120000", b"d", &outside(forge, w)), ("40000", b"d", &inner)])
    };
    a_folder_and_a_link_of_one_name: [InvalidPath], |forge, w| {
        let inner = forge.tree(&[("100644", b"there", &forge.blob("evil"))]);
        forge.tree(&[("40000", b"d", &inner), ("120000", b"d", &outside(forge, w))])
    };
    an_lfs_file_below_a_link_of_the_same_commit: [InvalidPath], |forge, w| {
        let inner = forge.tree(&[("100644", b"evil.bin", &forge.lfs(b"evil"))]);
        forge.tree(&[
            ("100644", b".gitattributes", &forge.blob(RULES)),
            ("120000", b"d", &outside(forge, w)),
            ("40000", b"d", &inner),
        ])
    };
    a_submodule_below_a_link_of_the_same_commit: [InvalidPath], |forge, w| {
        let inner = forge.tree(&[("160000", b"evil", &"11".repeat(20))]);
        forge.tree(&[("120000", b"d", &outside(forge, w)), ("40000", b"d", &inner)])
    };
    an_entry_that_says_file_and_is_a_folder: [Git, InvalidPath, Network], |forge, _w| {
        let inner = forge.tree(&[("100644", b"evil", &forge.blob("evil"))]);
        forge.tree(&[("100644", b"a", &inner)])
    };
    an_entry_that_says_folder_and_is_a_file: [Git, InvalidPath, Network], |forge, _w| {
        forge.tree(&[("40000", b"a", &forge.blob("evil"))])
    };
    a_link_without_a_target: [Git, Io, InvalidPath], |forge, _w| {
        forge.tree(&[("120000", b"l", &forge.blob(""))])
    };
    a_link_with_an_endless_target: [Git, Io], |forge, _w| {
        forge.tree(&[("120000", b"l", &forge.blob("x".repeat(1 << 20)))])
    };
    // Ten folders of ten folders of the same ten folders: a few objects.
    files_beyond_number: [InvalidPath], |forge, _w| {
        let (mut mode, mut inner) = ("100644", forge.blob("x"));
        for _ in 0..10 {
            let names: [&[u8]; 10] = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"];
            let tree = forge.tree(&names.map(|name| (mode, name, &*inner)));
            (mode, inner) = ("40000", tree);
        }
        inner
    };
}

/// The target of a link to a folder outside.
fn outside(forge: &Forge<'_>, w: &World) -> String {
    forge.blob(w.path("outside").to_string_lossy().as_bytes())
}

#[test]
fn names_that_are_odd_only_elsewhere() {
    let names = [
        "..\\evil",
        "C:\\evil",
        "COM1.txt",
        "CON",
        "a.",
        "aux",
        "b ",
        "evil\\..\\x",
        "~",
    ];
    harmless(&names, |forge, _| {
        let blob = forge.blob("x");
        let entries: Vec<(&str, &[u8], &str)> = names
            .iter()
            .map(|name| ("100644", name.as_bytes(), &*blob))
            .collect();
        forge.tree(&entries)
    });
}

#[test]
fn links_that_lead_out_are_only_links() {
    let targets = [
        "/etc/passwd",
        "../outside",
        "/proc/self/fd/0",
        ".git/config",
    ];
    harmless(&["0", "1", "2", "3"], |forge, _| {
        let blobs: Vec<String> = targets.iter().map(|target| forge.blob(target)).collect();
        let names = ["0", "1", "2", "3"];
        let entries: Vec<(&str, &[u8], &str)> = names
            .iter()
            .zip(&blobs)
            .map(|(name, blob)| ("120000", name.as_bytes(), &**blob))
            .collect();
        forge.tree(&entries)
    });
}

/// A link in one commit, files behind it in the next: they replace it, as the tree says.
#[test]
fn a_link_that_becomes_a_folder() {
    for lfs in [false, true] {
        let w = World::new();
        w.model("alice/m");
        fs::create_dir(w.path("outside")).unwrap();
        let forge = Forge::new(&w, "alice/m");
        let rules = forge.blob(RULES);
        let link = forge.blob(w.path("outside").to_string_lossy().as_bytes());
        let rule = ("100644", &b".gitattributes"[..], &*rules);
        forge.publish(&forge.tree(&[rule, ("120000", b"d", &link)]));
        let ours = w.clone("alice/m", "ours");
        assert!(w.path("ours/d").is_symlink());
        let content = if lfs {
            forge.lfs(b"evil")
        } else {
            forge.blob("evil")
        };
        let inner = forge.tree(&[("100644", b"evil.bin", &content)]);
        forge.publish(&forge.tree(&[rule, ("40000", b"d", &inner)]));
        ours.pull().unwrap();
        assert!(!w.path("ours/d").is_symlink());
        assert_eq!(fs::read(w.path("ours/d/evil.bin")).unwrap(), b"evil");
        assert_eq!(fs::read_dir(w.path("outside")).unwrap().count(), 0);
    }
}

/// The user, or who has the folder too, put a link where the repository has a folder.
#[test]
fn nothing_is_written_or_removed_behind_a_link_in_the_work_tree() {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let rules = forge.blob(RULES);
    let version = |text: &str, lfs: &[u8]| {
        let plain = forge.blob(text);
        let inner = forge.tree(&[
            ("100644", b"a.txt", &plain),
            ("100644", b"b.bin", &forge.lfs(lfs)),
        ]);
        forge.tree(&[
            ("100644", b".gitattributes", &rules),
            ("40000", b"d", &inner),
        ])
    };
    forge.publish(&version("one", b"1111"));
    let ours = w.clone("alice/m", "ours");
    let outside = w.path("outside");
    fs::rename(w.path("ours/d"), &outside).unwrap();
    symlink(&outside, w.path("ours/d")).unwrap();
    let before = everything(&outside);
    forge.publish(&version("two", b"2222"));
    refused(ours.pull(), &[DirtyWorktree]);
    assert_eq!(everything(&outside), before);
    // The folder goes in the next commit: its files are not to be removed elsewhere.
    forge.publish(&forge.tree(&[("100644", b".gitattributes", &rules)]));
    refused(ours.pull(), &[DirtyWorktree]);
    assert_eq!(everything(&outside), before);
    let _ = ours.fetch_all_content();
    assert_eq!(everything(&outside), before);
}
