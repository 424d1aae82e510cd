//! Rules in `.gitattributes`: written, read, and taken out again, by this library and by git-lfs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hf_repository::{
    AutoTrack, ErrorKind, Lockable, Pattern, Repository, StageOptions, TrackOptions,
};

use crate::support::{World, needs_git_lfs, path, weights, write};

const RULE: &str = "filter=lfs diff=lfs merge=lfs -text";

fn empty(w: &World) -> Repository {
    w.empty_model("alice/m");
    w.clone("alice/m", "ours")
}

fn literal(name: &str) -> Pattern {
    Pattern::Literal(path(name))
}

fn glob(text: &str) -> Pattern {
    Pattern::Glob(text.into())
}

fn rules(folder: &Path) -> String {
    // git-lfs deletes a file that holds no rule any more.
    fs::read_to_string(folder.join(".gitattributes")).unwrap_or_default()
}

/// Names that mean something to git, to git-lfs, to a shell, or to nobody.
const NAMES: &[&str] = &[
    "plain.x",
    "with space.x",
    "tab\there.x",
    "quote\".x",
    "\"quoted\".x",
    "back\\slash.x",
    "#hash.x",
    "!bang.x",
    "star*.x",
    "ques?.x",
    "[set].x",
    "]close.x",
    "gr\u{f6}\u{df}e.x",
    "gro\u{308}\u{df}e.x",
    "日本.x",
    "~tilde.x",
    "-dash.x",
    "--all",
    " lead.x",
    "trail.x ",
    "sub dir/[1] !#*.x",
    "sub/\"q\".x",
    "sub/!x",
    "new\nline.x",
    "ctrl\u{1}.x",
    "back\\",
    "\\",
    "$HOME",
    "a b\tc",
    "[attr]x",
    "c\r",
    "\u{feff}bom",
    "'single'",
    "*",
    "**",
    "a,b",
    "x=y",
];

#[test]
fn every_name_can_be_tracked_and_untracked() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    let neighbours = [
        "starry.x",
        "quest.x",
        "s.x",
        "with\tspace.y",
        "other/plain.x",
        "hash.x",
        "back/slash.x",
        "attr",
        "x",
        "sub/x",
        "all",
    ];
    for name in NAMES.iter().chain(&neighbours) {
        write(folder, name, "text\n");
    }
    let patterns = || NAMES.iter().map(|name| literal(name));
    assert_eq!(repo.track(patterns()).unwrap().changed.len(), NAMES.len());
    assert_eq!(repo.track(patterns()).unwrap().unchanged.len(), NAMES.len());
    let all: Vec<&str> = NAMES.iter().chain(&neighbours).copied().collect();
    let git = w.lfs_by_git(folder, &all);
    for (name, git) in all.iter().zip(git) {
        assert_eq!(git, NAMES.contains(name), "git about {name:?}");
        assert_eq!(
            repo.is_tracked_with_lfs(&path(name)).unwrap(),
            git,
            "{name:?}"
        );
    }
    let mut staged = repo.stage().unwrap().lfs;
    staged.sort();
    let mut wanted: Vec<_> = NAMES.iter().map(|name| path(name)).collect();
    wanted.sort();
    assert_eq!(staged, wanted);
    let _ = repo.commit("names").unwrap();
    // Not `git lfs fsck`: git-lfs 3.3 overlooks the `/` that anchors a rule, and takes
    // other/plain.x for a file of the rule /plain.x.
    w.assert_clean(folder);
    assert_eq!(repo.untrack(patterns()).unwrap().changed.len(), NAMES.len());
    assert_eq!(rules(folder), "");
    assert!(w.lfs_by_git(folder, &all).iter().all(|lfs| !lfs));
}

#[test]
fn other_lines_and_the_files_mode_are_kept() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    let text = format!(
        "# mine\r\n\r\n*.txt text\r\n\tmodel.bin  {RULE} lockable own=1\r\n*.csv diff=csv -filter\r\n[attr]m -x\r\n*.md text"
    );
    write(folder, ".gitattributes", &text);
    let file = folder.join(".gitattributes");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    repo.track([glob("*.csv"), glob("*.new"), literal("model.bin")])
        .unwrap();
    let tracked = text.replace(
        "*.csv diff=csv -filter",
        "*.csv filter=lfs diff=csv merge=lfs -text",
    ) + &format!("\r\n*.new {RULE}\r\n");
    assert_eq!(rules(folder), tracked);
    repo.untrack([glob("*.csv"), glob("*.new"), literal("model.bin")])
        .unwrap();
    let left = text
        .replace(
            &format!("model.bin  {RULE} lockable own=1"),
            "model.bin own=1",
        )
        .replace("*.csv diff=csv -filter", "*.csv diff=csv");
    assert_eq!(rules(folder), left + "\r\n");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);

    // What git-lfs calls lockable.
    let lockable = TrackOptions::default().lockable(Lockable::Yes);
    repo.track_with([glob("*.psd")], &lockable).unwrap();
    let told = w.git(folder, &["check-attr", "filter", "lockable", "--", "x.psd"]);
    assert_eq!(told, "x.psd: filter: lfs\nx.psd: lockable: set");
    assert_eq!(repo.track([glob("*.psd")]).unwrap().unchanged.len(), 1);
    assert_eq!(
        repo.track_with([glob("*.psd")], &lockable)
            .unwrap()
            .unchanged
            .len(),
        1
    );
    repo.track_with(
        [glob("*.psd")],
        &TrackOptions::default().lockable(Lockable::No),
    )
    .unwrap();
    let told = w.git(folder, &["check-attr", "lockable", "--", "x.psd"]);
    assert_eq!(told, "x.psd: lockable: unspecified");
}

/// The installed git-lfs and those that are listed, each with the `PATH` that leads to it.
fn git_lfs_programs(w: &World) -> Vec<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap();
    let listed = std::env::var_os("HF_REPOSITORY_GIT_LFS_BINARIES").unwrap_or_default();
    let mut paths = vec![path.clone()];
    let listed = std::env::split_paths(&listed).filter(|program| program.is_absolute());
    for (at, program) in listed.enumerate() {
        let bin = w.path(&format!("bin{at}"));
        fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(program, bin.join("git-lfs")).unwrap();
        let folders = [bin].into_iter().chain(std::env::split_paths(&path));
        paths.push(std::env::join_paths(folders).unwrap());
    }
    paths
}

#[test]
fn git_lfs_and_we_take_out_what_the_other_wrote() {
    needs_git_lfs!();
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    for search in git_lfs_programs(&w) {
        let lfs = |arguments: &[&str]| {
            let output = w
                .command("git", folder)
                .env("PATH", &search)
                .env("GIT_LFS_TRACK_NO_INSTALL_HOOKS", "1")
                .arg("lfs")
                .args(arguments)
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {told}");
        };
        // We wrote, git-lfs takes out: it is told the line's first word as a user would type it.
        let ours = [
            (literal("plain.x"), "/plain.x"),
            (literal("with space.x"), "/with space.x"),
            (literal("#hash.x"), "/#hash.x"),
            (literal("!bang.x"), "/!bang.x"),
            (literal("größe.x"), "/größe.x"),
            (literal("sub/-dash \".x"), "sub/-dash \".x"),
            (literal("tab\t.x"), "/tab[[:cntrl:]].x"),
            (glob("*.a b"), "*.a b"),
            (glob("x#*.y"), "x#*.y"),
            (glob("data/**/[0-9]?.bin"), "data/**/[0-9]?.bin"),
        ];
        repo.track(ours.iter().map(|(pattern, _)| pattern.clone()))
            .unwrap();
        let words = ours.iter().map(|(_, word)| *word);
        lfs(&["untrack", "--"]
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>());
        assert_eq!(rules(folder), "");

        // git-lfs wrote, we take out, all that it wrote so that git reads it.
        let names: Vec<&str> = NAMES
            .iter()
            .copied()
            .filter(|name| !name.contains(|c: char| c.is_ascii_control() || c == '\\'))
            .filter(|name| !name.starts_with(['"', '!', '[', '\u{feff}']))
            .collect();
        for name in &names {
            write(folder, name, "text\n");
        }
        for names in names.chunks(10) {
            lfs(&["track", "--filename", "--"]
                .iter()
                .chain(names)
                .copied()
                .collect::<Vec<_>>());
        }
        let globs = ["*.e f", "*.[ch]", "sub/**/*.q", "?#.x"];
        lfs(&["track", "--"].into_iter().chain(globs).collect::<Vec<_>>());
        lfs(&["track", "--lockable", "*.psd"]);
        for (name, git) in names.iter().zip(w.lfs_by_git(folder, &names)) {
            assert!(git, "{name:?}: {}", rules(folder));
            assert!(repo.is_tracked_with_lfs(&path(name)).unwrap(), "{name:?}");
        }
        let before = rules(folder);
        let literals = names.iter().map(|name| literal(name));
        let globs = globs.into_iter().chain(["*.psd"]).map(glob);
        let all: Vec<Pattern> = literals.chain(globs).collect();
        assert_eq!(repo.track(all.clone()).unwrap().changed, [], "{before}");
        assert_eq!(rules(folder), before);
        assert_eq!(repo.untrack(all).unwrap().unchanged, [], "{before}");
        assert_eq!(rules(folder), "");
    }
}

#[test]
fn rules_for_deleted_files_go_with_them() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    let small = StageOptions::default().auto_track(AutoTrack::From { bytes: 1000 });
    let long = "text\n".repeat(300);
    write(folder, "ckpt", weights(1, 500));
    write(folder, "w.bin", weights(2, 500));
    for name in [
        "log.txt",
        "sub/log.txt",
        "sub/own",
        "a\tb",
        "bare",
        "deep/bare",
    ] {
        write(folder, name, &long);
    }
    // As `git lfs track` writes them: without an anchor, and from a folder.
    let by_hand = format!("bare {RULE}\n# keep\n/later {RULE}\n");
    write(folder, ".gitattributes", &by_hand);
    write(
        folder,
        "sub/.gitattributes",
        format!("own {RULE}\nother {RULE}\n"),
    );
    repo.stage_with(&small).unwrap();
    let _ = repo.commit("files").unwrap();
    let all = rules(folder);
    for line in [
        "/ckpt",
        "*.bin",
        "/log.txt",
        "sub/log.txt",
        "/a[[:cntrl:]]b",
    ] {
        assert!(all.contains(&format!("{line} {RULE}")), "{all}");
    }

    // Not by who is told to leave rules alone.
    for name in ["ckpt", "w.bin", "sub/log.txt", "sub/own", "bare"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let off = StageOptions::default()
        .path("ckpt")
        .auto_track(AutoTrack::Off);
    assert_eq!(repo.stage_with(&off).unwrap().untracked, []);
    w.git(folder, &["reset", "-q"]);
    let apart = small.clone().exclude(".gitattributes").path("ckpt");
    assert_eq!(repo.stage_with(&apart).unwrap().untracked, []);
    w.git(folder, &["reset", "-q"]);
    assert_eq!(rules(folder), all);

    // One part of the tree: its rules go, those whose other files were not looked at stay.
    let report = repo
        .stage_with(&small.clone().path("sub").path("bare"))
        .unwrap();
    assert_eq!(report.untracked, [path("sub/log.txt"), path("sub/own")]);
    let left = all.replace(&format!("sub/log.txt {RULE}\n"), "");
    assert_eq!(rules(folder), left);
    let nested = fs::read_to_string(folder.join("sub/.gitattributes")).unwrap();
    assert_eq!(nested, format!("other {RULE}\n"));
    // The whole: the glob stays, and the rule that deep/bare needs.
    let report = repo.stage_with(&small).unwrap();
    assert_eq!(report.untracked, [path("ckpt")]);
    let left = left.replace(&format!("/ckpt {RULE}\n"), "");
    assert_eq!(rules(folder), left);
    assert!(left.contains("*.bin") && left.contains("bare ") && left.contains("/later"));
    let _ = repo.commit("gone").unwrap();
    w.assert_clean(folder);

    // What is there again, and small, is no LFS file.
    write(folder, "ckpt", "short\n");
    let report = repo.stage_with(&small).unwrap();
    assert_eq!((report.plain, report.lfs), (vec![path("ckpt")], vec![]));
    // The last file that needed a rule takes it along; one that a class also stands for keeps it.
    fs::remove_file(folder.join("deep/bare")).unwrap();
    write(folder, "a\nb", "short\n");
    fs::remove_file(folder.join("a\tb")).unwrap();
    let report = repo.stage_with(&small).unwrap();
    assert_eq!(report.untracked, [], "{}", rules(folder));
    let _ = repo.commit("again").unwrap();
    w.assert_clean(folder);
}

#[test]
fn a_rule_without_an_anchor_goes_with_the_last_file_it_is_for() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    write(
        folder,
        ".gitattributes",
        format!("bare {RULE}\n*.bin {RULE}\n"),
    );
    write(folder, "bare", "text\n");
    write(folder, "x.bin", "text\n");
    repo.stage().unwrap();
    fs::remove_file(folder.join("bare")).unwrap();
    fs::remove_file(folder.join("x.bin")).unwrap();
    // A file nobody has staged yet needs it.
    write(folder, "new/bare", "text\n");
    assert_eq!(repo.stage().unwrap().untracked, []);
    fs::remove_file(folder.join("new/bare")).unwrap();
    write(folder, "bare", "text\n");
    repo.stage().unwrap();
    fs::remove_file(folder.join("bare")).unwrap();
    assert_eq!(repo.stage().unwrap().untracked, [path("bare")]);
    assert_eq!(rules(folder), format!("*.bin {RULE}\n"));
}

#[test]
fn a_nearer_rule_wins_and_is_not_overruled() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    let root = "*.raw -filter\nsub/seen.bin -filter\nspecial.y !filter\n";
    write(folder, ".gitattributes", root);
    write(
        folder,
        "sub/.gitattributes",
        format!("*.npy {RULE}\n*.bin !filter\nseen.bin {RULE}\n"),
    );
    write(folder, "sub/.gitignore", "*.tmp\n");
    fs::create_dir_all(folder.join(".git/info")).unwrap();
    write(folder, ".git/info/attributes", "secret.dat -filter\n");
    write(folder, "sub/x.npy", "text\n");
    write(folder, "sub/seen.bin", "text\n");
    write(folder, "sub/big.tmp", weights(1, 100));
    // Nearer rules give files to LFS; no rule is needed at the root. What is ignored is left alone.
    let report = repo.stage().unwrap();
    assert_eq!(report.lfs, [path("sub/seen.bin"), path("sub/x.npy")]);
    assert_eq!((rules(folder).as_str(), &*report.tracked), (root, &[][..]));

    // Binary files that a rule keeps from LFS stay as they are: nobody is overruled, and no other file waits.
    let kept = ["a.raw", "secret.dat", "special.y", "sub/b.bin"];
    for (seed, name) in (2..).zip(kept) {
        write(folder, name, weights(seed, 100));
    }
    assert!(
        repo.preview_auto_track(&StageOptions::default())
            .unwrap()
            .files
            .is_empty()
    );
    write(folder, "sub/y.npy", "text\n");
    let report = repo.stage().unwrap();
    assert_eq!(report.plain, kept.map(path));
    assert_eq!(report.lfs, [path("sub/y.npy")]);
    assert_eq!((rules(folder).as_str(), &*report.tracked), (root, &[][..]));
    // Whether they may be there is the remote's to say.
    let _ = repo.commit("as they are").unwrap();
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Preflight);
    let offences: Vec<_> = error.offences().iter().map(|one| &one.path).collect();
    assert_eq!(offences, kept.map(path).iter().collect::<Vec<_>>());
    for name in kept {
        fs::remove_file(folder.join(name)).unwrap();
    }
    repo.stage().unwrap();

    // A glob must leave git its own files, where there are any.
    let error = repo.track([glob("sub/*")]).unwrap_err();
    assert!(error.to_string().contains("sub/.git"), "{error}");
    repo.track([glob("other/**")]).unwrap();
    repo.untrack([glob("other/**")]).unwrap();
    assert_eq!(rules(folder), root);

    // A rule that would not count is not written; one at the root can be overruled by another there.
    for name in ["sub/b.bin", "secret.dat"] {
        let error = repo.track([glob("*.zip"), literal(name)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(rules(folder), root);
    }
    repo.track([literal("a.raw")]).unwrap();
    assert!(w.lfs_by_git(folder, &["a.raw"])[0]);

    // Rules of folders are taken out where they are.
    let all = [
        literal("sub/seen.bin"),
        literal("a.raw"),
        glob("sub/*.npy"),
        glob("sub/**/*.npy"),
    ];
    let report = repo.untrack(all).unwrap();
    assert_eq!(
        report.unchanged,
        [glob("sub/*.npy")],
        "there it is for all folders below"
    );
    assert_eq!(rules(folder), root);
    let nested = fs::read_to_string(folder.join("sub/.gitattributes")).unwrap();
    assert_eq!(nested, "*.bin !filter\n");
}

#[test]
fn a_part_of_the_tree_takes_the_rules_along() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    write(folder, "sub/w.bin", weights(1, 100));
    write(folder, "raw.npy", weights(2, 100));
    write(folder, "sub/saved.gitignore", weights(3, 100));
    write(folder, "other.txt", "text\n");
    // Staged as it is by somebody without filters.
    w.git(folder, &["add", "raw.npy"]);
    let report = repo
        .stage_with(&StageOptions::default().path("sub"))
        .unwrap();
    assert_eq!(report.plain, [path(".gitattributes")]);
    assert_eq!(report.lfs, [path("sub/saved.gitignore"), path("sub/w.bin")]);
    // Not `*.gitignore`: git has to read its own.
    assert_eq!(
        report.tracked,
        [glob("*.bin"), literal("sub/saved.gitignore")]
    );
    let report = repo
        .stage_with(&StageOptions::default().path("raw.npy"))
        .unwrap();
    assert_eq!(report.lfs, [path("raw.npy")]);
    assert_eq!(
        w.git(
            folder,
            &["status", "--porcelain", "-uno", "--", ".gitattributes"]
        ),
        "A  .gitattributes"
    );
    let _ = repo.commit("rules and files").unwrap();
    fs::remove_file(folder.join("other.txt")).unwrap();
    w.assert_sound(folder);
}
