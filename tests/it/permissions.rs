//! Who may read and write what the library makes: as after git and git-lfs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use hf_repository::{LfsEngine, Repository};

use crate::child::succeed;
use crate::support::{World, needs_git_lfs, weights, write};

/// The modes of all that lies below a folder, by what it is: names that nobody can foresee are left out.
fn modes(folder: &Path) -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap().flatten() {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            if meta.is_dir() {
                open.push(path.clone());
            }
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let hex =
                |part: &str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let part = |part: &str| {
                let stem = part.split('.').next().unwrap().trim_start_matches("pack-");
                if hex(stem) {
                    "*".to_owned()
                } else {
                    part.to_owned()
                }
            };
            let name = name.split('/').map(part).collect::<Vec<_>>().join("/");
            let modes = found.entry(name).or_default();
            modes.push(meta.permissions().mode() & 0o7777);
            modes.sort_unstable();
            modes.dedup();
        }
    }
    found
}

/// Runs something with a umask, in a process of its own.
pub(crate) fn under(umask: &str, command: &Command) -> std::process::Output {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell.output().unwrap()
}

/// The part of the child: clones, saves, pushes and switches.
pub(crate) fn work(source: &str, folder: &Path, engine: &str) {
    let engine = match engine {
        "git-lfs" => LfsEngine::GitLfs,
        _ => LfsEngine::Builtin,
    };
    let prepared = Repository::prepare(source, folder).lfs_engine(engine);
    let repo = prepared.clone_repo().unwrap();
    write(folder, "deep/w.bin", weights(5, 3000));
    write(folder, "note.txt", "note\n");
    repo.stage().unwrap();
    let _ = repo.commit("by the library").unwrap();
    repo.push().unwrap();
    write(folder, "deep/w.bin", weights(6, 3000));
    let _ = repo.save("in the background").unwrap();
    repo.wait_for_pushes().unwrap();
    repo.pull().unwrap();
    let options = hf_repository::CheckoutOptions::Create;
    repo.checkout_with("side", options).unwrap();
    repo.close().unwrap();
}

/// What lies in a clone by git and git-lfs in the same setting, and in ours.
fn both(umask: &str, shared: Option<&str>, engine: &str) -> [BTreeMap<String, Vec<u32>>; 2] {
    let w = World::new();
    w.model("alice/m");
    let first = w.git_clone("alice/m", "first");
    write(&first, "old.bin", weights(1, 3000));
    write(
        &first,
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    write(&first, "sub/dir/run.sh", "#!/bin/sh\n");
    write(&first, "sub/note.txt", "text\n");
    w.git(&first, &["add", "-A"]);
    w.git(&first, &["update-index", "--chmod=+x", "sub/dir/run.sh"]);
    w.git(&first, &["commit", "-q", "-m", "first"]);
    w.git(&first, &["push", "-q"]);
    if let Some(shared) = shared {
        // libgit2 knows no GIT_CONFIG_GLOBAL.
        fs::create_dir_all(w.path("home")).unwrap();
        for file in ["gitconfig", "home/.gitconfig"] {
            let file = w.path(file).to_string_lossy().into_owned();
            let key = "core.sharedRepository";
            w.git(&first, &["config", "--file", &file, key, shared]);
        }
    }
    // For git-lfs the hook is not needed: it is told to push.
    let (url, path) = (w.url("alice/m"), std::env::var("PATH").unwrap());
    let script = format!(
        "git clone -q {url} theirs && cd theirs && mkdir deep && printf note >note.txt && \
         printf '\\0weights' >deep/w.bin && git add -A && git commit -q -m theirs && \
         git lfs push -q origin main; git push -q && git fetch -q && git checkout -q -b side"
    );
    let mut git = w.command("/bin/sh", &w.path(""));
    git.args(["-c", &script]).env("PATH", &path);
    succeed(&under(umask, &git));
    let ours = w.path("ours");
    let arguments = ["alice/m", &*ours.to_string_lossy(), engine];
    let mut child = w.child("permissions", &arguments);
    child
        .env("PATH", &path)
        .env("GIT_CONFIG_GLOBAL", w.path("gitconfig"))
        .env("GIT_CONFIG_NOSYSTEM", "1");
    succeed(&under(umask, &child));
    [modes(&w.path("theirs")), modes(&ours)]
}

#[track_caller]
fn compare(umask: &str, shared: Option<&str>, engine: &str) {
    let [theirs, ours] = both(umask, shared, engine);
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (name, modes) in &ours {
        // git-lfs installs those of its own accord, and does not share them.
        if name.starts_with(".git/hooks/") && !name.ends_with(".sample") {
            continue;
        }
        let own = name.contains(".git/hf-repository");
        // What is ours alone is like what is git's in the same setting.
        let is_file = |modes: &Vec<u32>| modes.iter().all(|mode| mode & 0o111 == 0);
        let like = match (own, is_file(modes)) {
            (true, true) => ".git/index",
            (true, false) => ".git/objects",
            (false, _) => name,
        };
        let Some(expected) = theirs.get(like) else {
            continue;
        };
        compared += 1;
        // Of what the group may use, git-lfs takes from others even what the umask leaves them; git does not.
        let lfs = shared == Some("group") && name.starts_with(".git/lfs");
        let seen = |modes: &[u32]| match lfs {
            true => modes.iter().map(|mode| mode & !0o7).collect(),
            false => modes.to_vec(),
        };
        if seen(modes) != seen(expected) {
            let octal = |modes: &[u32]| {
                modes
                    .iter()
                    .map(|mode| format!("{mode:o}"))
                    .collect::<Vec<_>>()
            };
            wrong.push(format!(
                "{name}: {:?} instead of {:?}",
                octal(modes),
                octal(expected)
            ));
        }
    }
    assert!(compared > 30, "only {compared} compared");
    for name in [
        ".git/lfs/objects/*/*/*",
        "old.bin",
        "sub",
        "sub/dir",
        "sub/note.txt",
        "sub/dir/run.sh",
        "deep",
        ".git/index",
        ".git/refs/heads/side",
    ] {
        assert!(
            ours.contains_key(name) && theirs.contains_key(name),
            "{name}"
        );
    }
    assert!(
        wrong.is_empty(),
        "umask {umask}, {shared:?}, {engine}: {wrong:#?}"
    );
}

#[test]
fn the_umask_decides() {
    needs_git_lfs!();
    compare("022", None, "builtin");
    compare("027", None, "builtin");
}

#[test]
fn the_umask_decides_for_git_lfs_as_well() {
    needs_git_lfs!();
    compare("077", None, "git-lfs");
}

#[test]
fn a_shared_repository_is_shared() {
    needs_git_lfs!();
    compare("022", Some("group"), "builtin");
    compare("077", Some("group"), "builtin");
}

#[test]
fn a_repository_may_be_shared_with_everybody_or_by_a_mode() {
    needs_git_lfs!();
    compare("077", Some("all"), "git-lfs");
    compare("002", Some("0640"), "builtin");
}
