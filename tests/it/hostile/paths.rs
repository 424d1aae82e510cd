//! Trees that no git would make: what is in them stays out of the work tree and of everything else.

use std::fs;
use std::os::unix::fs::symlink;

use hf_repository::ErrorKind::{self, DirtyWorktree, Git, InvalidPath, Io, Network, Unsupported};

use super::{Forge, RULES, everything, refused};
use crate::support::World;
use crate::support::judge::files;

/// A clone of what `make` makes is refused and leaves nothing; a pull of it changes nothing.
#[track_caller]
fn nothing_comes_of(kinds: &[ErrorKind], make: impl Fn(&Forge<'_>, &World) -> String) {
    let w = World::new();
    w.model("alice/m");
    let ours = w.clone("alice/m", "ours");
    fs::create_dir(w.path("outside")).unwrap();
    fs::write(w.path("outside/there"), "there").unwrap();
    let outside = everything(&w.path("outside"));
    let forge = Forge::new(&w, "alice/m");
    forge.publish(&make(&forge, &w));
    let before = w.scene(ours.workdir(), "alice/m").files_only();
    let own = own_files(&w);
    refused(w.prepare("alice/m", "fresh").clone_repo(), kinds);
    assert!(!w.path("fresh").exists());
    refused(ours.pull(), kinds);
    assert_eq!(w.scene(ours.workdir(), "alice/m").files_only(), before);
    assert_eq!(own_files(&w), own, "git's own files");
    assert_eq!(everything(&w.path("outside")), outside);
    assert!(!w.path("evil").exists());
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

macro_rules! names {
    ($($test:ident: $path:expr;)*) => {$(
        #[test]
        fn $test() {
            nothing_comes_of(&[InvalidPath], |forge, _| {
                let path: &[&[u8]] = &$path;
                let (name, folders) = path.split_last().unwrap();
                let file = forge.tree(&[("100644", name, &forge.blob("evil"))]);
                forge.below(folders, &file)
            });
        }
    )*};
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

/// The hub's own git does not send it; a server that would sends it to the same checks.
#[test]
fn an_entry_without_a_name() {
    nothing_comes_of(&[InvalidPath, Network], |forge, _| {
        forge.below(
            &[b""],
            &forge.tree(&[("100644", b"evil", &forge.blob("x"))]),
        )
    });
}

#[test]
fn a_submodule_called_dot_git() {
    let commit = "11".repeat(20);
    nothing_comes_of(&[InvalidPath], |forge, _| {
        forge.tree(&[("160000", b".git", &commit)])
    });
}

#[test]
fn a_submodule_that_goes_up() {
    let commit = "11".repeat(20);
    nothing_comes_of(&[InvalidPath], |forge, _| {
        forge.tree(&[("160000", b"..", &commit)])
    });
}

#[test]
fn a_name_that_is_not_utf_8() {
    nothing_comes_of(&[Unsupported], |forge, _| {
        forge.tree(&[("100644", b"caf\xe9", &forge.blob("x"))])
    });
}

#[test]
fn a_name_with_escapes_does_not_reach_the_error() {
    nothing_comes_of(&[InvalidPath], |forge, _| {
        let file = forge.tree(&[("100644", "\x1b[2J\u{202e}".as_bytes(), &forge.blob("x"))]);
        forge.below(&[b".git"], &file)
    });
}

#[test]
fn the_same_name_twice() {
    nothing_comes_of(&[InvalidPath], |forge, _| {
        let (one, two) = (forge.blob("one"), forge.blob("two"));
        forge.tree(&[("100644", b"a", &one), ("100644", b"a", &two)])
    });
}

#[test]
fn a_link_and_a_folder_of_one_name() {
    nothing_comes_of(&[InvalidPath], |forge, w| {
        let link = forge.blob(w.path("outside").to_string_lossy().as_bytes());
        let inner = forge.tree(&[("100644", b"there", &forge.blob("evil"))]);
        forge.tree(&[("120000", b"d", &link), ("40000", b"d", &inner)])
    });
}

#[test]
fn a_folder_and_then_a_link_of_its_name() {
    nothing_comes_of(&[InvalidPath], |forge, w| {
        let link = forge.blob(w.path("outside").to_string_lossy().as_bytes());
        let inner = forge.tree(&[("100644", b"there", &forge.blob("evil"))]);
        forge.tree(&[("40000", b"d", &inner), ("120000", b"d", &link)])
    });
}

#[test]
fn an_lfs_file_below_a_link_of_the_same_commit() {
    nothing_comes_of(&[InvalidPath], |forge, w| {
        let link = forge.blob(w.path("outside").to_string_lossy().as_bytes());
        let inner = forge.tree(&[("100644", b"evil.bin", &forge.lfs(b"evil"))]);
        let rules = forge.blob(RULES);
        forge.tree(&[
            ("100644", b".gitattributes", &rules),
            ("120000", b"d", &link),
            ("40000", b"d", &inner),
        ])
    });
}

#[test]
fn a_submodule_below_a_link_of_the_same_commit() {
    let commit = "11".repeat(20);
    nothing_comes_of(&[InvalidPath], |forge, w| {
        let link = forge.blob(w.path("outside").to_string_lossy().as_bytes());
        let inner = forge.tree(&[("160000", b"evil", &commit)]);
        forge.tree(&[("120000", b"d", &link), ("40000", b"d", &inner)])
    });
}

#[test]
fn an_entry_that_says_file_and_is_a_folder() {
    nothing_comes_of(&[Git, InvalidPath, Network], |forge, _| {
        let inner = forge.tree(&[("100644", b"evil", &forge.blob("evil"))]);
        forge.tree(&[("100644", b"a", &inner)])
    });
}

#[test]
fn an_entry_that_says_folder_and_is_a_file() {
    nothing_comes_of(&[Git, InvalidPath, Network], |forge, _| {
        forge.tree(&[("40000", b"a", &forge.blob("evil"))])
    });
}

#[test]
fn a_link_without_a_target() {
    nothing_comes_of(&[Git, Io, InvalidPath], |forge, _| {
        forge.tree(&[("120000", b"l", &forge.blob(""))])
    });
}

#[test]
fn a_link_with_an_endless_target() {
    nothing_comes_of(&[Git, Io], |forge, _| {
        forge.tree(&[("120000", b"l", &forge.blob("x".repeat(1 << 20)))])
    });
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
    let _ = ours.fetch_content([""; 0]);
    assert_eq!(everything(&outside), before);
}

/// Ten folders of ten folders of the same ten folders: a few objects, and files beyond number.
#[test]
fn files_beyond_number() {
    nothing_comes_of(&[InvalidPath], |forge, _| {
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let (mut mode, mut inner) = ("100644", forge.blob("x"));
        for _ in 0..10 {
            let entries: Vec<(&str, &[u8], &str)> = names
                .iter()
                .map(|name| (mode, name.as_bytes(), &*inner))
                .collect();
            let tree = forge.tree(&entries);
            (mode, inner) = ("40000", tree);
        }
        inner
    });
}
