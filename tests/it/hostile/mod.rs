//! What hostile servers, repositories and folders send, and that it comes to nothing.
//!
//! The table is `docs/hostile-input.md`; each of its rows names a test of this module.

mod actions;
pub(crate) mod files;
mod http;
mod lfs;
mod paths;
mod peer;
mod pointers;
mod rules;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use git2::{ObjectType, Repository};
use hf_repository::{Error, ErrorKind};
use sha2::{Digest, Sha256};

use crate::support::judge::files;
use crate::support::{World, say};

/// Writes objects into a repository of the hub that git itself would refuse to make.
pub(super) struct Forge<'w> {
    w: &'w World,
    bare: PathBuf,
    raw: Repository,
}

impl<'w> Forge<'w> {
    pub(super) fn new(w: &'w World, id: &str) -> Self {
        let bare = w.bare(id);
        let raw = Repository::open_bare(&bare).unwrap();
        Self { w, bare, raw }
    }

    fn object(&self, kind: ObjectType, content: &[u8]) -> String {
        // libgit2 writes what it is given.
        let odb = self.raw.odb().unwrap();
        odb.write(kind, content).unwrap().to_string()
    }

    pub(super) fn blob(&self, content: impl AsRef<[u8]>) -> String {
        self.object(ObjectType::Blob, content.as_ref())
    }

    /// A tree of entries `(mode, name, id)`, in just this order.
    pub(super) fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend(id.as_bytes().chunks(2).map(|hex| {
                let hex = std::str::from_utf8(hex).unwrap();
                u8::from_str_radix(hex, 16).unwrap()
            }));
        }
        self.object(ObjectType::Tree, &bytes)
    }

    /// A tree that holds another one below the folders `path`, from the outside in.
    pub(super) fn below(&self, path: &[&[u8]], tree: &str) -> String {
        let wrap = |tree: String, name: &&[u8]| self.tree(&[("40000", name, &tree)]);
        path.iter().rev().fold(tree.to_owned(), wrap)
    }

    /// A pointer, and its object in the hub's store.
    pub(super) fn lfs(&self, content: &[u8]) -> String {
        let oid = sha256(content);
        let file = self
            .bare
            .join("lfs/objects")
            .join(&oid[..2])
            .join(&oid[2..4]);
        fs::create_dir_all(&file).unwrap();
        fs::write(file.join(&oid), content).unwrap();
        self.blob(pointer(&oid, &content.len().to_string()))
    }

    /// Commits a tree on top of `main`, and makes it `main`.
    pub(super) fn publish(&self, tree: &str) -> String {
        let parent = self.w.git(&self.bare, &["rev-parse", "main"]);
        let text = format!(
            "tree {tree}\nparent {parent}\nauthor E <e@x> 1700000000 +0000\n\
             committer E <e@x> 1700000000 +0000\n\nhostile\n"
        );
        let commit = self.object(ObjectType::Commit, text.as_bytes());
        self.w
            .git(&self.bare, &["update-ref", "refs/heads/main", &commit]);
        commit
    }
}

/// Judges every row of a table, and names those that are not as they should be.
///
/// The rows of a table share a hub: one for each would take the time of all other tests together.
#[track_caller]
pub(super) fn each<R>(rows: &[(&str, R)], judge: impl Fn(&R)) {
    let fails = |(name, row): &&(&str, R)| {
        let begun = Instant::now();
        let failed = catch_unwind(AssertUnwindSafe(|| judge(row))).is_err();
        println!("{name}: {:?}", begun.elapsed());
        failed
    };
    let bad: Vec<&str> = rows.iter().filter(fails).map(|(name, _)| *name).collect();
    assert!(bad.is_empty(), "of {} rows: {bad:?}", rows.len());
}

pub(super) fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn pointer(oid: &str, size: &str) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
}

/// The rule that gives all `*.bin` files to LFS.
pub(super) const RULES: &str = "*.bin filter=lfs diff=lfs merge=lfs -text\n";

/// Every file below a folder, git's own included.
pub(super) fn everything(folder: &Path) -> BTreeMap<String, (char, Vec<u8>)> {
    let mut found = files(folder);
    if folder.join(".git").is_dir() {
        let own = files(&folder.join(".git")).into_iter();
        found.extend(own.map(|(name, file)| (format!(".git/{name}"), file)));
    }
    found
}

/// The error of a kind, on one line that a terminal may show.
#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kinds: &[ErrorKind]) -> Error {
    let error = result.expect_err("it must be refused");
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert_clean(&error);
    error
}

/// Neither the error nor what caused it steers a terminal; the error itself is one line.
#[track_caller]
pub(super) fn assert_clean(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains(steers), "{text:?}");
    let hint = error.hint().unwrap_or_default();
    assert!(!hint.contains(steers), "{hint:?}");
    let id = error.request_id().unwrap_or_default();
    assert!(!id.contains(steers), "{id:?}");
    let words = error.server_message().map(str::to_owned);
    let mut next = std::error::Error::source(error);
    let causes = std::iter::from_fn(|| {
        let cause = next?;
        next = cause.source();
        Some(cause.to_string())
    });
    for text in words.into_iter().chain(causes) {
        assert!(!text.contains(|c| c != '\n' && steers(c)), "{text:?}");
    }
}

fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The page of the documentation that this module is.
const PAGE: &str = include_str!("../../../docs/hostile-input.md");

/// Each row of the page has its test, and each test its row.
#[test]
fn the_table_is_complete() {
    let sources = [
        ("actions", include_str!("actions.rs")),
        ("files", include_str!("files.rs")),
        ("http", include_str!("http.rs")),
        ("lfs", include_str!("lfs.rs")),
        ("paths", include_str!("paths.rs")),
        ("pointers", include_str!("pointers.rs")),
        ("rules", include_str!("rules.rs")),
        ("text", include_str!("text.rs")),
    ];
    let mut there: BTreeSet<String> = BTreeSet::new();
    for (module, source) in sources {
        let tests = source.split("#[test]\nfn ").skip(1);
        let names = tests.map(|rest| rest.split('(').next().unwrap());
        there.extend(names.map(|name| format!("{module}::{name}")));
    }
    let mut rows = |module: &str, names: Vec<&str>| {
        there.extend(names.into_iter().map(|name| format!("{module}::{name}")));
    };
    rows("http", names(http::ANSWERS));
    rows("lfs", names(lfs::ANSWERS));
    rows("lfs", names(lfs::LAYOUTS));
    rows("pointers", names(pointers::POINTERS));
    rows("actions", names(actions::RESTS));
    rows("paths", names(paths::NAMES));
    rows("paths", names(paths::TREES));
    rows("rules", names(rules::RULES));
    rows("text", names(text::LISTINGS));
    rows("text", names(text::NAMES));
    rows("text", names(text::REPORTS));

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let quoted = PAGE.split('`').skip(1).step_by(2);
    let named: BTreeSet<&str> = quoted.filter(|text| text.contains("::")).collect();
    for name in &named {
        let (place, test) = name.rsplit_once("::").unwrap();
        let file = match place.strip_suffix(".rs") {
            Some(_) => root.join(place),
            None => root.join("tests/it").join(place).with_extension("rs"),
        };
        let elsewhere =
            || fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {test}(")));
        assert!(
            there.contains(*name) || elsewhere(),
            "no test is called {name}"
        );
    }
    let left_out: Vec<&String> = there
        .iter()
        .filter(|name| !named.contains(&***name))
        .collect();
    assert!(left_out.is_empty(), "not in the table: {left_out:?}");
    let count = PAGE.lines().filter(|line| line.ends_with("` |")).count();
    assert!(
        PAGE.contains(&format!(": {count} rows.")),
        "there are {count} rows"
    );
    say(&format!("hostile inputs: {count} rows"));
}

fn names<'a, R>(rows: &[(&'a str, R)]) -> Vec<&'a str> {
    rows.iter().map(|(name, _)| *name).collect()
}
