//! The same against another LFS server by other people: rudolfs, on an address of its own, which the
//! repository's `.lfsconfig` names.

use std::collections::BTreeSet;

use crate::support::judge::files;
use crate::support::servers::{self, Server};
use crate::support::{World, needs_git_lfs, write};

/// Starts the program named by `HF_REPOSITORY_RUDOLFS`; its address.
fn start(w: &World) -> Option<(Server, String)> {
    let program = servers::named_by("HF_REPOSITORY_RUDOLFS", "rudolfs")?;
    let folder = w.path("server");
    servers::bare(w, &folder);
    let mut command = w.command(&program.to_string_lossy(), &folder);
    command.args(["--host", "127.0.0.1:0", "local", "--path", "objects"]);
    Some(servers::start(&mut command, |line| {
        let (_, address) = line.split_once("Listening on ")?;
        Some(address.trim())
    }))
}

#[test]
fn both_directions() {
    needs_git_lfs!();
    let w = World::new();
    let Some((_lfs, address)) = start(&w) else {
        return;
    };
    let (_git, url) = servers::git_http(&w, &w.path("server"));
    let config = format!("[lfs]\n\turl = http://{address}/api/org/model\n");
    servers::both_directions(&w, &format!("{url}/org/model.git"), |folder| {
        write(folder, ".lfsconfig", &config);
    });
    let objects = files(&w.path("server/objects"));
    let names: BTreeSet<_> = objects
        .keys()
        .filter_map(|name| name.rsplit('/').next())
        .collect();
    assert!(
        names.iter().filter(|name| name.len() == 64).count() >= 9,
        "{names:?}"
    );
}
