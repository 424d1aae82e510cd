//! What the tests of transfers have in common.

use std::fs;
use std::path::{Path, PathBuf};

use hf_repository::{Content, Repository};
use mini_hub::{MiniHub, RequestRecord, Route};

use super::{World, weights, write};

pub(crate) const MIB: usize = 1 << 20;

/// A hub that wants files over 1 MiB in parts of 256 KiB.
pub(crate) fn in_parts() -> World {
    World::with(MiniHub::temporary_with(|config| config.multipart(1 << 20, 256 << 10)).unwrap())
}

/// Stages and commits one file.
pub(crate) fn commit(repo: &Repository, name: &str, content: Vec<u8>) {
    write(repo.workdir(), name, content);
    repo.stage().unwrap();
    let _ = repo.commit(name).unwrap();
}

/// A clone with a file that the hub will want in parts, committed and not pushed.
pub(crate) fn to_push(length: usize) -> (World, Repository) {
    let w = in_parts();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    commit(&repo, "big.bin", weights(1, length));
    (w, repo)
}

/// A file on the hub, pushed from the clone "first".
pub(crate) fn pushed(length: usize) -> (World, Repository) {
    let w = World::new();
    w.model("alice/m");
    let first = w.clone("alice/m", "first");
    commit(&first, "big.bin", weights(1, length));
    first.push().unwrap();
    (w, first)
}

/// A clone that has no content yet.
pub(crate) fn pointers_only(w: &World) -> Repository {
    let prepared = w.prepare("alice/m", "ours");
    let prepared = prepared.content(Content::PointersOnly);
    prepared.clone_repo().unwrap()
}

pub(crate) fn requests(w: &World, route: Route) -> Vec<RequestRecord> {
    let all = w.hub.requests().into_iter();
    all.filter(|request| request.route == route).collect()
}

pub(crate) fn sent(records: &[RequestRecord]) -> u64 {
    records.iter().map(|request| request.request_bytes).sum()
}

pub(crate) fn received(records: &[RequestRecord]) -> u64 {
    records.iter().map(|request| request.response_bytes).sum()
}

pub(crate) fn journals(w: &World) -> Vec<PathBuf> {
    let folder = w.path("ours/.git/hf-repository/uploads");
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

pub(crate) fn incomplete(w: &World, clone: &str) -> Vec<PathBuf> {
    let folder = w.path(clone).join(".git/lfs/incomplete");
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The object behind a file, by its pointer at HEAD.
pub(crate) fn oid(w: &World, folder: &Path, name: &str) -> String {
    let pointer = w.git(folder, &["cat-file", "blob", &format!("HEAD:{name}")]);
    pointer.split("sha256:").nth(1).unwrap()[..64].to_owned()
}
