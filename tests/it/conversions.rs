//! What git converts on the way into the work tree: the bytes are those that git's own checkout writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hf_repository::{AutoTrack, StageOptions};

use crate::support::{World, write};

const RULES: &str = "*.text text\n*.auto text=auto\n*.bin -text\n*.lf text eol=lf\n*.crlf eol=crlf\n\
                     *.both -text eol=crlf\n*.old crlf\n*.odd eol=other\n*.id ident\n*.not !text\n\
                     *.link eol=crlf\n";
const NAMES: [&str; 12] = [
    "text", "auto", "bin", "lf", "crlf", "both", "old", "odd", "id", "not", "plain", "run",
];

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join("sub")).unwrap();
    let read = |path: &Path| match fs::read_link(path) {
        Ok(to) => to.to_string_lossy().into_owned().into_bytes(),
        Err(_) => fs::read(path).unwrap(),
    };
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, read(&entry.path()))
        })
        .collect()
}

#[test]
fn files_are_converted_as_git_does() {
    let w = World::new();
    w.model("alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    w.git(&theirs, &["checkout", "-q", "-b", "other"]);
    fs::create_dir(theirs.join("sub")).unwrap();
    // In the folder's own file: rules of the root would be git's for its first commit as well.
    write(&theirs, "sub/.gitattributes", RULES);
    // As they are in the repository, whatever git would make of them on the way in.
    let contents = [
        ("unix", &b"a\nb $Id$\n"[..]),
        ("dos", b"a\r\nb $Id$\r\n"),
        ("mixed", b"a\nb\r\n$Id: old $"),
        ("binary", b"a\n\0b\n"),
        ("empty", b""),
    ];
    for (kind, content) in contents {
        write(&theirs, "scratch", content);
        let id = w.git(&theirs, &["hash-object", "-w", "--no-filters", "scratch"]);
        for name in NAMES {
            let mode = if name == "run" { "100755" } else { "100644" };
            let info = format!("{mode},{id},sub/{kind}.{name}");
            w.git(&theirs, &["update-index", "--add", "--cacheinfo", &info]);
        }
    }
    std::os::unix::fs::symlink("a\nb", theirs.join("sub/s.link")).unwrap();
    w.git(&theirs, &["add", "sub/.gitattributes", "sub/s.link"]);
    w.git(&theirs, &["commit", "-q", "-m", "files"]);
    let repo = w.clone("alice/m", "ours");
    let ours = repo.workdir();
    // Not by the Hub: it refuses binary files.
    let from = theirs.to_string_lossy();
    w.git(ours, &["fetch", "-q", &from, "other:other"]);
    let configs: [&[(&str, &str)]; 5] = [
        &[("core.autocrlf", "false")],
        &[("core.autocrlf", "input"), ("core.eol", "crlf")],
        &[("core.autocrlf", "true")],
        &[("core.autocrlf", "false"), ("core.eol", "crlf")],
        &[("core.autocrlf", "false"), ("core.eol", "lf")],
    ];
    for config in configs {
        for folder in [&theirs, ours] {
            for (key, value) in config {
                w.git(folder, &["config", key, value]);
            }
        }
        w.git(&theirs, &["checkout", "-q", "-f", "main"]);
        w.git(&theirs, &["checkout", "-q", "-f", "other"]);
        let repo = hf_repository::Repository::open(ours).unwrap();
        repo.checkout("other").unwrap();
        assert_eq!(files(ours), files(&theirs), "{config:?}");
        w.git(ours, &["checkout", "-q", "-f", "main"]);
    }
}

/// Names of files with every content.
fn write_all(folder: &Path, names: &[&str], end: &str) {
    let contents = [
        ("unix", "a\nb $Id$\n"),
        ("dos", "a\r\nb $Id: old $\r\n"),
        ("mixed", "a\nb\r\n$Id: old $"),
        ("binary", "a\r\n\0b\n"),
        ("lone", "a\rb\n"),
        ("empty", ""),
    ];
    for (kind, content) in contents {
        for name in names {
            let file = format!("sub/{kind}.{name}");
            write(folder, &file, format!("{content}{end}"));
        }
    }
}

#[test]
fn files_are_stored_as_git_does() {
    let w = World::new();
    w.model("alice/m");
    let theirs = w.git_clone("alice/m", "theirs");
    let repo = w.clone("alice/m", "ours");
    let ours = repo.workdir();
    let folders = [theirs.as_path(), ours];
    for folder in folders {
        fs::create_dir(folder.join("sub")).unwrap();
        write(folder, "sub/.gitattributes", RULES);
    }
    let raw = StageOptions::default().auto_track(AutoTrack::Off);
    let mut end = 0;
    // So many that they go into a pack, and fewer.
    for names in [&NAMES[..], &NAMES[..5]] {
        for autocrlf in ["false", "input", "true"] {
            // What is new, and what the index has with CRLF.
            for from in ["false", autocrlf] {
                end += 1;
                for folder in folders {
                    if from == "false" {
                        w.git(folder, &["read-tree", "--empty"]);
                    }
                    w.git(folder, &["config", "core.autocrlf", from]);
                    write_all(folder, names, &end.to_string());
                }
                w.git(&theirs, &["add", "-A"]);
                let _ = repo.stage_with(&raw).unwrap();
                let [theirs, ours] = folders.map(|folder| w.git(folder, &["ls-files", "-s"]));
                assert_eq!(
                    ours,
                    theirs,
                    "{} files, {autocrlf} after {from}",
                    names.len()
                );
            }
        }
    }
}
