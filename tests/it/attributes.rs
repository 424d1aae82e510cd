//! What attributes say of a path: this library and git are of one mind.

use std::fs;

use hf_repository::{RepoPath, Repository};

use crate::support::dice::Dice;
use crate::support::{World, path, write};

/// A repository of git's, without a commit and a remote.
fn empty(w: &World) -> Repository {
    let folder = w.path("ours");
    fs::create_dir_all(&folder).unwrap();
    w.git(&folder, &["init", "-q"]);
    w.git(&folder, &["remote", "add", "origin", &w.url("alice/m")]);
    Repository::open(folder).unwrap()
}

#[track_caller]
fn assert_agreement<S: AsRef<str>>(w: &World, repo: &Repository, names: &[S]) -> usize {
    let git = w.lfs_by_git(repo.workdir(), names);
    for (name, git) in names.iter().zip(&git) {
        let name = name.as_ref();
        let ours = repo.is_tracked_with_lfs(&path(name)).unwrap();
        assert_eq!(ours, *git, "{name:?}, by these rules:\n{}", rules(repo));
    }
    git.into_iter().filter(|lfs| *lfs).count()
}

/// All rules there are, for who looks into a failure.
fn rules(repo: &Repository) -> String {
    let mut told = String::new();
    for file in [
        ".git/users",
        ".gitattributes",
        "a/.gitattributes",
        "a/b/.gitattributes",
        ".git/info/attributes",
    ] {
        if let Ok(text) = fs::read(repo.workdir().join(file)) {
            told += &format!("{file}:\n{}\n", String::from_utf8_lossy(&text));
        }
    }
    told
}

#[test]
fn files_count_in_gits_order() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    w.git(folder, &["config", "core.attributesFile", ".git/users"]);
    let users = folder.join(".git/users");
    w.git(
        folder,
        &["config", "core.attributesFile", &users.to_string_lossy()],
    );
    write(
        folder,
        ".git/users",
        "*.user filter=lfs\n*.big filter=lfs\n[attr]large filter=lfs\n",
    );
    write(
        folder,
        ".gitattributes",
        "[attr]small -filter\n*.big small\n*.large large\n*.bin filter=lfs\n/root.x filter=lfs\n\
         \"a\\tb\\303\\274\" filter=lfs\n\"with \\\\\\\\[x]\" filter=lfs\n*.inn filter=lfs\n\
         *.b1 binary filter=lfs\n*.b2 filter=lfs binary\nCASE filter=lfs\n*.n filter=lfs a,b\n",
    );
    write(
        folder,
        "a/.gitattributes",
        "*.bin -filter\n*.x filter=lfs\n[attr]wide filter=lfs\n*.wide wide\n\\!bang filter=lfs\n!b filter=lfs\n",
    );
    write(
        folder,
        "a/b/.gitattributes",
        "*.bin !filter\n*.x !filter\nx.bin filter=lfs\n",
    );
    fs::create_dir_all(folder.join(".git/info")).unwrap();
    write(
        folder,
        ".git/info/attributes",
        "*.inn -filter\na/in filter=lfs\n",
    );
    let names = [
        "x.user",
        "x.big",
        "x.large",
        "x.bin",
        "a/x.bin",
        "a/b/x.bin",
        "a/b/y.bin",
        "root.x",
        "a/root.x",
        "a/y.x",
        "a/b/y.x",
        "a\tbü",
        "a/a\tbü",
        "with \\[x]",
        "with \\x",
        "x.inn",
        "a/in",
        "in",
        "x.b1",
        "x.b2",
        "case",
        "CASE",
        "x.n",
        "a/x.wide",
        "a/!bang",
        "a/!b",
        "c/d/e/f.bin",
        "aa/x.x",
    ];
    assert_eq!(assert_agreement(&w, &repo, &names), 16);
    w.git(folder, &["config", "core.ignoreCase", "true"]);
    assert_eq!(assert_agreement(&w, &repo, &names), 17);
    w.git(folder, &["config", "core.ignoreCase", "false"]);

    // What is gone from the work tree still counts as it is in the index.
    w.git(folder, &["add", "."]);
    fs::remove_file(folder.join("a/.gitattributes")).unwrap();
    fs::remove_file(folder.join(".gitattributes")).unwrap();
    assert_eq!(assert_agreement(&w, &repo, &names), 16);
    // A link holds no rules, neither here nor there.
    std::os::unix::fs::symlink(".git/users", folder.join(".gitattributes")).unwrap();
    assert_agreement(&w, &repo, &names);
    // Lines that are too long, a BOM, no line end, other line ends.
    fs::remove_file(folder.join(".gitattributes")).unwrap();
    let long = "x".repeat(2041 - "filter=lfs".len());
    let text = format!(
        "\u{feff}*.bom filter=lfs\r\n{long} filter=lfs\n{long}yyyyyyyyy filter=lfs\n*.cr filter=lfs\r\n*.end filter=lfs"
    );
    write(folder, ".gitattributes", text);
    let names = ["x.bom", &long, &format!("{long}yyyyyyyyy"), "x.cr", "x.end"];
    assert_eq!(assert_agreement(&w, &repo, &names), 4);
}

/// Each has rules of its own. A thousand take a minute, and have been tried.
const ROUNDS: usize = 10;

const LETTERS: &[&str] = &[
    "a", "b", "A", ".", "-", " ", "\t", "\"", "\\", "*", "?", "[", "]", "!", "#", "ü", "a", "b",
];
const PARTS: &[&str] = &[
    "a",
    "b",
    "a",
    "b",
    ".",
    "-",
    "*",
    "**",
    "?",
    "/",
    "/",
    "**/",
    "/**",
    "[ab]",
    "[!a]",
    "[^a-z]",
    "[]a]",
    "[a-",
    "[[:space:]]",
    "[[:alpha:]]",
    "[\\]]",
    "\\*",
    "\\ ",
    "\\",
    "!",
    "#",
    "ü",
    "[[:upper:]b]",
    "A",
];
const SAID: &[&str] = &[
    "filter=lfs",
    "filter=lfs",
    "filter=lfs",
    "filter=lfs -text",
    "-filter",
    "!filter",
    "filter=x",
    "filter",
    "large",
    "-large",
    "!large",
    "large -filter",
    "-filter large",
    "binary",
    "filter=lfs b,d",
    "text",
];

fn rule(dice: &mut Dice) -> String {
    let mut word = dice.word(4, PARTS);
    if dice.below(4) == 0 {
        word = dice.word(3, LETTERS);
    }
    if dice.below(4) == 0 {
        let quoted = word.replace('\\', "\\\\").replace('"', "\\\"");
        word = format!(
            "\"{}\"",
            quoted.replace('\t', "\\t").replace('ü', "\\303\\274")
        );
    }
    format!("{word} {}\n", dice.pick(SAID))
}

/// Random rules for random names, many of which match.
#[test]
fn rules_of_any_kind_are_read_as_git_reads_them() {
    let w = World::new();
    let repo = empty(&w);
    let folder = repo.workdir();
    let mut dice = Dice(0x5eed);
    let mut found = 0;
    for _ in 0..ROUNDS {
        for file in [
            ".gitattributes",
            "a/.gitattributes",
            "a/b/.gitattributes",
            ".git/info/attributes",
        ] {
            let macros = ["[attr]large filter=lfs\n", "", "[attr]large -filter x\n"];
            let mut text = dice.pick(&macros).to_owned();
            for _ in 0..dice.below(12) {
                text += &rule(&mut dice);
            }
            write(folder, file, text);
        }
        let names: Vec<String> = (0..60)
            .map(|_| {
                let folder = dice.pick(&["", "", "a/", "a/b/", "b/", "b/a/b/"]);
                format!("{folder}{}", dice.word(3, LETTERS))
            })
            .filter(|name| RepoPath::new(name.clone()).is_ok())
            .collect();
        found += assert_agreement(&w, &repo, &names);
    }
    assert!(found > ROUNDS, "only {found} were LFS files");
}
