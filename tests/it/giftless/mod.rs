//! The same against an LFS server by other people: giftless, behind `git http-backend`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::support::servers::{self, Server};
use crate::support::{World, needs_git_lfs};

/// Starts it with the Python named by `HF_REPOSITORY_GIFTLESS`, which has giftless installed.
fn start(w: &World) -> Option<(Server, String)> {
    let python = servers::named_by("HF_REPOSITORY_GIFTLESS", "a Python with giftless")?;
    let folder = w.path("server");
    servers::bare(w, &folder);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/giftless/server.py");
    let mut command = w.command(&python.to_string_lossy(), &folder);
    let (server, url) = servers::start(command.arg(script).arg(&folder), servers::url);
    Some((server, format!("{url}/org/model.git")))
}

#[test]
fn both_directions() {
    needs_git_lfs!();
    let w = World::new();
    if let Some((_server, source)) = start(&w) {
        servers::both_directions(&w, &source, |_| {});
    }
}

/// Its `multipart-basic` is not the Hub's `multipart`: on a disk it even takes objects without
/// wanting their bytes. The other test would lose all of them if the library offered it.
#[test]
fn its_own_transfer_in_parts_is_there_to_be_chosen() {
    let w = World::new();
    let Some((_server, source)) = start(&w) else {
        return;
    };
    let body = format!(
        r#"{{"operation":"upload","transfers":["multipart-basic","basic"],
            "objects":[{{"oid":"{}","size":1}}]}}"#,
        "a".repeat(64)
    );
    let host = source.strip_prefix("http://").unwrap();
    let (host, path) = host.split_once('/').unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    let length = body.len();
    let kind = "application/vnd.git-lfs+json";
    write!(
        connection,
        "POST /{path}/info/lfs/objects/batch HTTP/1.0\r\nHost: {host}\r\nAccept: {kind}\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains(r#""transfer": "multipart-basic""#),
        "{answer}"
    );
}
