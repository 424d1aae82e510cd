//! What git prints, what a repository's own config says, and the names in it.

use std::path::Path;

use super::lfs_config::{is_safe, parse};
use super::program::{explain, read_listing};
use super::program_push::{read_push, server_text};
use super::push::PushOutcome;
use crate::error::{Error, ErrorKind};
use crate::id::RepoId;
use crate::name::{BranchName, RemoteName, Revision, TagName};
use crate::path::RepoPath;
use crate::probe::parts;

pub(crate) fn output(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let listing = read_listing(&text);
    for found in &listing.refs {
        assert!(found.name.starts_with("refs/") && !found.name.contains(['\t', '\n']));
        assert!(text.contains(&format!("{}\t{}", found.id, found.name)));
    }
    if let Some(branch) = listing.default_branch {
        assert!(text.contains(&format!("ref: {}\tHEAD", branch.local_ref())));
    }
    match read_push(&text, "refs/heads/main") {
        // Nothing is taken for pushed that no line says was.
        Some(PushOutcome::Accepted | PushOutcome::Refused(_)) => {
            assert!(text.contains(":refs/heads/main\t"));
        }
        None => {}
    }
    let said = server_text(&text);
    assert!(said.len() <= text.len());
    let failed = Error::new(ErrorKind::ProgramFailed, "git failed");
    assert!(
        !explain(failed, &text, "fetch from x")
            .to_string()
            .is_empty()
    );
}

/// What only the other file says.
const PLANTED: &str = "[lfs]\n\turl = https://stolen.example\n[lfs \"stolen\"]\n\taccess = basic\n";

pub(crate) fn lfs_config(data: &[u8]) {
    thread_local! {
        static FOLDER: tempfile::TempDir = {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("p"), PLANTED).expect("written");
            folder
        };
    }
    let read = |folder: &Path| parse(folder, data);
    let Ok(found) = FOLDER.with(|folder| read(folder.path())) else {
        return;
    };
    let own = String::from_utf8_lossy(data).contains("stolen");
    for (key, value) in found.below("") {
        assert!(is_safe(key), "{key} counts");
        assert!(
            own || !key.contains("stolen") && !value.contains("stolen"),
            "{key}={value}"
        );
    }
}

/// What we let pass, libgit2 lets pass: it decides what gets into a repository.
pub(crate) fn names(data: &[u8]) {
    let [name, path] = parts(data);
    let valid = |full: &str| git2::Reference::is_valid_name(full);
    if let Ok(branch) = name.parse::<BranchName>() {
        assert!(valid(&branch.local_ref()), "{name:?}");
        assert_eq!(git2::Branch::name_is_valid(&name), Ok(true), "{name:?}");
    }
    if let Ok(tag) = name.parse::<TagName>() {
        assert!(valid(&tag.full_ref()), "{name:?}");
    }
    if let Ok(remote) = name.parse::<RemoteName>() {
        assert!(git2::Remote::is_valid_name(remote.as_str()), "{name:?}");
    }
    if let Ok(revision) = name.parse::<Revision>() {
        assert!(!revision.as_str().starts_with('-'));
    }
    if let Ok(id) = name.parse::<RepoId>() {
        assert!(!id.as_str().contains("..") && id.as_str().is_ascii());
    }
    let Ok(path) = RepoPath::new(path) else {
        return;
    };
    let root = Path::new("/work tree");
    let full = path.under(root);
    assert!(full.starts_with(root) && full != root);
    let plain = |part| matches!(part, std::path::Component::Normal(_));
    assert!(Path::new(path.as_str()).components().all(plain));
    let shown = path.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    let Ok(mut index) = git2::Index::new() else {
        return;
    };
    let entry = git2::IndexEntry {
        ctime: git2::IndexTime::new(0, 0),
        mtime: git2::IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: super::ObjectId::ZERO_SHA1,
        flags: 0,
        flags_extended: 0,
        path: path.as_str().into(),
    };
    let taken = index.add(&entry);
    assert!(taken.is_ok(), "libgit2 refuses {path:?}: {taken:?}");
}
