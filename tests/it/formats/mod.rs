//! Repositories in other formats, made by real git: they work, with git as the judge, or they are refused before
//! a byte of them changes.

mod refused;
mod working;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{World, shout, write};

/// Every file and folder of git's own, with its mode and content.
pub(super) fn bytes(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let meta = fs::symlink_metadata(&next).unwrap();
        let mode = meta.permissions().mode();
        if meta.is_dir() {
            open.extend(
                fs::read_dir(&next)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            found.insert(next, (mode, Vec::new()));
        } else {
            let content = fs::read(&next).unwrap_or_default();
            found.insert(next, (mode, content));
        }
    }
    found
}

/// A repository on this machine with a few commits, and folders in it.
pub(super) fn source(w: &World) -> PathBuf {
    let folder = w.path("source");
    w.git(w.path(""), &["init", "-q", &folder.to_string_lossy()]);
    for number in 1..=3 {
        write(&folder, "a.txt", format!("{number}\n"));
        write(&folder, "sub/b.txt", format!("{number}\n"));
        write(&folder, "other/c.txt", "c\n");
        w.git(&folder, &["add", "-A"]);
        w.git(&folder, &["commit", "-q", "-m", &number.to_string()]);
    }
    w.git(&folder, &["config", "uploadpack.allowFilter", "true"]);
    folder
}

/// Made by `commands`, each a line for the shell with the clone for its folder; `None` if this git cannot.
pub(super) fn made(w: &World, name: &str, commands: &str) -> Option<PathBuf> {
    let folder = w.path(name);
    let clone = format!("git clone -q ../source ../{name}");
    fs::create_dir(&folder).unwrap();
    let lines = match commands.strip_prefix("instead: ") {
        Some(own) => own.to_owned(),
        None => format!("{clone}\n{commands}"),
    };
    for line in lines.lines() {
        let mut shell = w.command("sh", &folder);
        let output = shell.args(["-c", line]).output().unwrap();
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            shout(&format!("{name}: this git cannot `{line}`: {told}"));
            return None;
        }
    }
    Some(folder)
}
