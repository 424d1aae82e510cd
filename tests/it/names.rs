//! Five hundred names as nasty as file systems allow: none is mistaken for a pattern, an option, a path
//! elsewhere or another name, by attributes, index, server or clone.

use std::collections::BTreeSet;
use std::fs;

use hf_repository::{Pattern, RepoPath};

use crate::support::dice::Dice;
use crate::support::judge::{assert_same_files, files};
use crate::support::{World, git_lfs, path, write};

const NAMES: usize = 500;

/// Names that mean something to somebody.
const WHOLE: &[&str] = &[
    ":(top)",
    ":(top)x",
    ":(glob)**",
    ":(exclude)a",
    ":(attr:filter)x",
    ":!x",
    ":^x",
    ":/",
    ":/x",
    ":",
    "-",
    "--",
    "-x",
    "--all",
    "--exec=x",
    "HEAD",
    "FETCH_HEAD",
    "@",
    "@{-1}",
    "@{u}",
    "a..b",
    "a:b",
    "^a",
    "a^{tree}",
    "a~1",
    "~",
    "~root",
    "...",
    "..a",
    ".a",
    ". ",
    ".hidden.",
    "a.",
    "*",
    "**",
    "?",
    "[",
    "]",
    "[]",
    "[a",
    "[!a]",
    "!",
    "!a",
    "#",
    "#a",
    "\\",
    "\\\\",
    "\\n",
    "a\\",
    "\\ ",
    "\"",
    "\"a\"",
    "\"a",
    "'",
    "''",
    "`x`",
    "$(x)",
    "$HOME",
    "${x}",
    "%s",
    "%00",
    "%2e%2e",
    "&",
    "|",
    ";",
    "<",
    ">",
    " ",
    "  ",
    "a ",
    " a",
    "\t",
    "\n",
    "\r",
    "a\r",
    "a\n",
    "\n\n",
    "\u{1}",
    "\u{7f}",
    "\u{1b}[31m",
    "{}",
    "{a,b}",
    "a,b",
    "=",
    "a=b",
    "[attr]a",
    "[attr]",
    "binary",
    "filter=lfs",
    "con",
    "NUL.txt",
    "aux",
    "COM1",
    "a.lock",
    "index.lock",
    "a.tmp",
    ".hf-repository-x",
    "lfs",
    "objects",
    "info",
    "a.gitattributes",
    "gitattributes",
    "git",
    "git~",
    "GIT",
    "\u{feff}",
    "\u{feff}a",
    "\u{200b}",
    "\u{202e}a",
    "\u{2028}",
    "\u{a0}",
    "\u{fffd}",
    "e\u{301}",
    "\u{e9}",
    "\u{1e9b}\u{323}",
    "\u{212b}",
    "\u{c5}",
    "A\u{30a}",
    "ß",
    "ẞ",
    "ı",
    "İ",
    "ﬁ",
    "日本語",
    "한글",
    "\u{1112}\u{1161}\u{11ab}",
    "😀",
    "👨‍👩‍👧",
    "🏳️‍🌈",
    "\u{10ffff}",
    "العربية",
    "עברית",
    "A",
    "a",
    "[[:space:]]",
    "[[:cntrl:]]",
    "\"\\303\\251\"",
    "\\303\\251",
    "text",
    "text auto",
    "* filter=lfs",
    "# filter=lfs",
];

const PIECES: &[&str] = &[
    "a", "b", "A", "x.bin", ".bin", ".txt", ".", "-", "_", " ", "  ", "\t", "\n", "\r", "\"", "'",
    "\\", "*", "**", "?", "[", "]", "!", "#", ":", "(", ")", ";", "&", "|", "<", ">", "$", "%",
    "^", "~", "@", "{", "}", "=", ",", "+", "`", "\u{1}", "\u{8}", "\u{b}", "\u{c}", "\u{1f}",
    "\u{7f}", "é", "e\u{301}", "ü", "ß", "日", "😀", "\u{200d}", "\u{202e}", "\u{a0}", "\u{feff}",
];

const FOLDERS: &[&str] = &[
    "",
    "",
    "",
    "",
    "sub/",
    "sub/deep/",
    "a dir/",
    ":(top)/",
    "-f/",
    "[x]/",
    "#d/",
    "!d/",
    "*/",
    "\"q/",
    "\t/",
    "\\/",
    ".d/",
    "é/",
    "e\u{301}/",
];

/// Names that can be together in one work tree.
fn names() -> Vec<String> {
    let mut dice = Dice(0xf11e);
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    let mut whole = WHOLE.iter();
    while names.len() < NAMES {
        let name = match whole.next() {
            Some(name) => (*name).to_owned(),
            None => match dice.below(25) {
                // 255 bytes are the longest that a name may have.
                0 => "n".repeat(200) + &dice.word(10, PIECES),
                1 => "é".repeat(120) + &dice.word(3, PIECES),
                _ => dice.word(6, PIECES),
            },
        };
        let name = format!("{}{name}", dice.pick(FOLDERS));
        let long = name.split('/').any(|part| part.len() > 255);
        if long || RepoPath::new(name.clone()).is_err() || name.contains(".git") {
            continue;
        }
        // Not a file where a folder is, nor the other way round.
        let folders = name.match_indices('/').map(|(at, _)| &name[..at]);
        let mut folders: Vec<String> = folders.map(str::to_owned).collect();
        let free = !taken.contains(&format!("{name}/")) && taken.insert(name.clone());
        if free && folders.iter().all(|folder| !taken.contains(folder)) {
            taken.extend(folders.drain(..).map(|folder| folder + "/"));
            names.push(name);
        }
    }
    names
}

#[test]
fn five_hundred_names_go_to_the_server_and_back() {
    let w = World::new();
    w.empty_model("alice/m");
    let ours = w.clone("alice/m", "ours");
    let folder = ours.workdir();
    let names = names();
    for (at, name) in names.iter().enumerate() {
        // A few objects are enough for many pointers; some files are binary.
        let content = match at % 5 {
            0 => format!("\0{}", at % 4).into_bytes(),
            1 | 2 => format!("lfs {}\n", at % 3).into_bytes(),
            _ => format!("plain {at}\n").into_bytes(),
        };
        write(folder, name, content);
    }
    // Rules as others write them: from a folder, in quotes, for many files.
    write(
        folder,
        "sub/.gitattributes",
        "*a filter=lfs\n\"[\\\"']*\" filter=lfs\n[[:space:]]* -text\n",
    );
    write(
        folder,
        ".gitattributes",
        "\"*\\tb\" filter=lfs\n*é* filter=lfs -text\n\"\\303\\274*\" filter=lfs\n\\!\\!* filter=lfs\n",
    );
    let literal = |at: &usize| matches!(at % 5, 1 | 2);
    let tracked = || (0..NAMES).filter(literal).map(|at| path(&names[at]));
    let report = ours.track(tracked().map(Pattern::Literal)).unwrap();
    assert!(report.changed.len() > NAMES / 3);

    // The binary ones get rules of their own. What we take for LFS files, git does, name by name.
    let staged = ours.stage().unwrap();
    assert_eq!(staged.skipped, []);
    let judged = names.iter().zip(w.lfs_by_git(folder, &names));
    let theirs = judged.filter(|(_, lfs)| *lfs).map(|(name, _)| path(name));
    let lfs: BTreeSet<RepoPath> = theirs.collect();
    assert_eq!(staged.lfs, lfs.iter().cloned().collect::<Vec<_>>());
    assert!(tracked().all(|path| lfs.contains(&path)));
    assert!(
        lfs.len() > NAMES / 2 && lfs.len() < NAMES * 3 / 4,
        "{}",
        lfs.len()
    );
    for name in names.iter().step_by(25).map(|name| path(name)) {
        let ours = ours.is_tracked_with_lfs(&name).unwrap();
        assert_eq!(ours, lfs.contains(&name), "{name}");
    }
    let index: BTreeSet<String> = w
        .git(folder, &["ls-files", "-z"])
        .split_terminator('\0')
        .filter(|name| !name.ends_with(".gitattributes"))
        .map(str::to_owned)
        .collect();
    assert_eq!(index, names.iter().cloned().collect());

    let _ = ours.commit("names").unwrap();
    w.assert_clean(folder);
    ours.push().unwrap();
    let fresh = w.clone("alice/m", "fresh");
    assert_same_files(folder, fresh.workdir());
    if git_lfs() {
        let theirs = w.git_clone("alice/m", "theirs");
        assert_same_files(folder, &theirs);
    }

    // All gone: so are the rules that name a file.
    for name in &names {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let gone = ours.stage().unwrap();
    assert_eq!(gone.removed.len(), NAMES);
    let left = fs::read_to_string(folder.join(".gitattributes")).unwrap();
    let mut rules = left.lines().filter(|line| line.contains("merge=lfs"));
    assert!(rules.all(|line| line.starts_with("*.")), "{left}");
    assert!(
        files(folder)
            .keys()
            .all(|name| name.ends_with(".gitattributes"))
    );
}
