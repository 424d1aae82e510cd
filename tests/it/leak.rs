//! A secret is nowhere but where it belongs, whatever happens and whoever repeats it.
//!
//! Children work with a secret that can be recognised, against a hub that repeats it in every form
//! it has words for. What they print and log, what their own children are given, and all they leave on
//! the disk is searched for it.

pub(crate) mod logbook;
mod recorder;
mod scene;
mod search;
pub(crate) mod work;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mini_hub::{Action, Fault, GitFault, Route};
use sha2::{Digest, Sha256};

use crate::child::succeed;
use crate::permissions::under;
use crate::support::{needs_git_lfs, until, weights, write};
use scene::{SECRET, Scene, WRONG, repeated, repeating};
use search::forms;

#[test]
fn whatever_a_server_repeats_is_not_shown() {
    let s = Scene::new();
    s.run("cycle", "builtin");
    let (json, text) = ("application/json", "text/plain; charset=utf-8");
    let refused = || {
        [
            repeating(401, SECRET, ""),
            repeating(403, SECRET, json),
            repeating(404, SECRET, text),
            repeating(422, SECRET, json),
        ]
    };
    let mut clones = refused().to_vec();
    // A type that is none of git's, and redirects to where nobody is.
    let words: String = repeated(SECRET)
        .chars()
        .filter(|c| matches!(c, ' '..='~'))
        .collect();
    clones.push(Action::status_with(200, "Content-Type", &words));
    let coded = "s3same%2FOpen%2BIt~42%3Fx";
    for place in [
        format!("http://user:{coded}@127.0.0.1:1/{coded}/x?token={coded}"),
        format!("ftp://{coded}@h/"),
        format!("http://{SECRET}:x"),
    ] {
        clones.push(Action::redirect(&place));
    }
    clones.push(Action::Cut);
    for (number, action) in clones.iter().enumerate() {
        s.fault(Route::InfoRefsUpload, number + 1, action.clone());
    }
    let said = s.run(&format!("clone {}", clones.len()), "builtin");
    assert_eq!(said.matches("clone failed").count(), clones.len());
    assert!(said.matches("[hidden]").count() > clones.len(), "{said}");

    // Each push meets one of them: one step after the other is reached.
    s.w.hub.faults().clear();
    let batch = |body: String| Action::Status {
        code: 200,
        headers: vec![("Content-Type".into(), "application/vnd.git-lfs+json".into())],
        body,
    };
    let nonsense = serde_json::json!({ "objects": words });
    let rejected = Action::from(GitFault::Reject(repeated(SECRET)));
    let mut pushes = 0;
    for (route, actions) in [
        (Route::InfoRefsReceive, refused().to_vec()),
        (
            Route::LfsBatch,
            [&refused()[..], &[batch(nonsense.to_string()), Action::Cut]].concat(),
        ),
        (Route::LfsVerify, refused().to_vec()),
        (
            Route::ReceivePack,
            vec![rejected.clone(), repeating(403, SECRET, text)],
        ),
    ] {
        for (number, action) in actions.into_iter().enumerate() {
            s.fault(route, number + 1, action);
            pushes += 1;
        }
    }
    let said = s.run(&format!("push {} 100", pushes + 1), "builtin");
    assert_eq!(s.w.hub.faults().happened(), clones.len() + pushes);
    assert!(said.contains("push failed"), "{said}");
    assert!(said.contains("PushReport"), "the last one arrives: {said}");
    for route in [Route::InfoRefsReceive, Route::LfsBatch] {
        for (number, action) in refused().into_iter().enumerate() {
            s.fault(route, number + 1, action);
        }
    }
    let said = s.run("access 8", "builtin");
    assert!(said.contains("access failed"), "{said}");
    assert_eq!(s.w.hub.faults().happened(), clones.len() + pushes + 8);
    // A server that has something to say of an object.
    let oid: String = Sha256::digest(weights(200, 20_000))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let error = serde_json::json!({ "code": 403, "message": repeated(SECRET) });
    let objects = serde_json::json!([{ "oid": oid, "size": 20_000, "error": error }]);
    let answer = serde_json::json!({ "objects": objects }).to_string();
    s.fault(Route::LfsBatch, 1, batch(answer));
    let said = s.run("push 1 200", "builtin");
    assert!(
        said.contains(&format!(
            "{oid} is not for these credentials (403): you said [hidden]"
        )),
        "{said}"
    );
    s.w.hub.faults().clear();
    for route in [Route::LfsPut, Route::ReceivePack] {
        let action = match route {
            Route::LfsPut => repeating(403, SECRET, text),
            _ => rejected.clone(),
        };
        s.w.hub.faults().add(Fault::on(route).always().act(action));
        let said = s.run("save 1 300", "builtin");
        assert!(said.contains("close failed"), "{said}");
        s.w.hub.faults().clear();
    }
    s.assert_nowhere();
}

#[test]
fn a_token_that_does_not_help_is_not_shown_either() {
    let s = Scene::new();
    s.run("cycle", "builtin");
    let wrong = |command: &mut Command| {
        command.env("HF_TOKEN", WRONG);
        command.env("SETTINGS_OF_SOMETHING", WRONG);
    };
    let kind = "application/json";
    s.fault(Route::InfoRefsReceive, 1, repeating(401, WRONG, kind));
    assert!(
        s.run_with("push 2 100", "builtin", wrong)
            .contains("push failed")
    );
    // Nobody speaks TLS there; and nobody at all.
    let https = s.w.hub.url().replace("http://", "https://");
    for endpoint in [https, "http://127.0.0.1:1".to_owned()] {
        let said = s.run_with("clone", "builtin", |command| {
            command.env("HF_ENDPOINT", endpoint);
        });
        assert!(said.contains("clone failed"), "{said}");
    }
    s.assert_nowhere();
}

#[test]
fn programs_are_told_the_token_and_nobody_else() {
    needs_git_lfs!();
    let s = Scene::new();
    s.run("cycle", "git-lfs");
    for kind in ["", "application/json"] {
        let fault = Fault::on(Route::LfsBatch).always();
        s.w.hub
            .faults()
            .add(fault.act(repeating(403, SECRET, kind)));
        let said = s.run("push 1 100", "git-lfs");
        assert!(said.contains("push failed"), "{said}");
        s.w.hub.faults().clear();
    }
    s.run_with("push 1 200", "git-lfs", |command| {
        command.env("HF_TOKEN", WRONG);
        command.env("SETTINGS_OF_SOMETHING", WRONG);
    });
    for name in ["git-lfs", "git", "cat", "mkfifo"] {
        assert!(s.recorder.count(name) > 0, "{name} was not recorded");
    }
    // The recorder would have seen it.
    let environ = fs::read_dir(&s.recorder.records).unwrap().flatten();
    let environ = environ.filter(|file| file.path().extension() == Some("environ".as_ref()));
    for file in environ {
        let environ = fs::read(file.path()).unwrap();
        assert!(environ.windows(5).any(|text| text == b"HOME="));
    }
    s.assert_nowhere();
}

/// What lay in the folders in which `cat` ran: the helper that waits for its answer.
fn folders_of_helpers(s: &Scene) -> Vec<String> {
    let records = fs::read_dir(&s.recorder.records).unwrap().flatten();
    let own = records.filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("cat.") && name.ends_with(".folder")
    });
    own.map(|file| fs::read_to_string(file.path()).unwrap())
        .collect()
}

#[test]
fn the_pipes_are_in_a_folder_of_their_own() {
    needs_git_lfs!();
    let s = Scene::new();
    let child = s.child("cycle", "git-lfs");
    // Not even where everything is open to everybody.
    succeed(&under("000", &child));
    let folders = folders_of_helpers(&s);
    assert!(!folders.is_empty());
    let mut gone = Vec::new();
    for listed in &folders {
        let mut lines = listed.lines();
        let folder = lines.next().unwrap();
        assert!(folder.starts_with("drwx------"), "{listed}");
        let pipes: Vec<&str> = lines.filter(|line| line.starts_with('p')).collect();
        assert!(pipes.len() >= 2, "{listed}");
        for pipe in pipes {
            assert!(pipe.starts_with("prw-------"), "{listed}");
        }
        gone.push(PathBuf::from(folder.split(' ').next_back().unwrap()));
    }
    for folder in gone {
        assert!(!folder.exists(), "{}", folder.display());
    }
    s.assert_nowhere();
}

#[test]
fn a_killed_process_leaves_no_secret_where_its_pipes_were() {
    needs_git_lfs!();
    let s = Scene::new();
    s.run("cycle", "git-lfs");
    let before = folders_of_helpers(&s).len();
    let stall = Fault::on(Route::LfsPut).always().act(Action::Stall);
    s.w.hub.faults().add(stall);
    let mut command = s.child("push 1 100", "git-lfs");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("git-lfs uploads", || {
        s.w.hub.uploads() > 0 || s.w.hub.faults().happened() > 0
    });
    child.kill().unwrap();
    child.wait().unwrap();
    s.w.hub.faults().clear();
    let folders = folders_of_helpers(&s);
    assert!(folders.len() > before);
    for listed in folders {
        let folder = listed
            .lines()
            .next()
            .unwrap()
            .split(' ')
            .next_back()
            .unwrap();
        let folder = Path::new(folder);
        if !folder.exists() {
            continue;
        }
        // A pipe holds nothing once nobody has it open, and to read it would be to wait.
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                assert!(search::found_in(&bytes, &forms(SECRET)).is_empty());
            }
        }
        // The next run would remove it, once it is a minute old.
        fs::remove_dir_all(folder).unwrap();
    }
    s.assert_nowhere();
}

#[test]
fn what_ssh_says_is_not_shown() {
    let s = Scene::new();
    s.run("cycle", "builtin");
    let ssh = s.w.path("ssh");
    let words = repeated(SECRET).replace('\'', "");
    // Longer than what is kept, so that one of them is cut in two.
    let script = format!(
        "#!/bin/sh\nfor i in $(seq 300); do echo '{words}' >&2; done\necho 'the end' >&2\nexit 255\n"
    );
    fs::write(&ssh, script).unwrap();
    fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)).unwrap();
    s.w.git(
        s.folder(),
        &[
            "config",
            "remote.origin.pushurl",
            "ssh://git@127.0.0.1/alice/m",
        ],
    );
    let said = s.run_with("push 1 100", "builtin", |command| {
        command.env("GIT_SSH_COMMAND", &ssh);
    });
    assert!(
        said.contains("push failed") && said.contains("the end"),
        "{said}"
    );
    assert!(said.contains("you said [hidden]"), "{said}");
    assert!(s.recorder.count("git") > 0);
    fs::remove_file(ssh).unwrap();
    s.assert_nowhere();
}

#[test]
fn a_password_that_a_helper_gave_is_not_shown_either() {
    let s = Scene::new();
    // Nobody searches where the helper keeps it.
    let vault = s.w.path("vault");
    write(&vault, "secret", SECRET);
    let helper = s.w.path("helper");
    // It says more than it should: what helpers say is not for logs.
    let script = format!(
        "#!/bin/sh\necho \"$1\" >>'{vault}/calls'\nread -r all </dev/stdin\n\
         test \"$1\" = get || exit 0\necho username=alice\nprintf password=\n\
         cat '{vault}/secret'\necho\ncat '{vault}/secret' >&2\n",
        vault = vault.display()
    );
    fs::write(&helper, script).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&helper, permissions).unwrap();
    let config = fs::read_to_string(s.w.path("gitconfig")).unwrap();
    let config = format!("{config}[credential]\n\thelper = {}\n", helper.display());
    fs::write(s.w.path("gitconfig"), &config).unwrap();
    write(&s.w.path("home"), ".gitconfig", &config);
    let calls = || {
        let calls = fs::read_to_string(vault.join("calls")).unwrap_or_default();
        let _ = fs::remove_file(vault.join("calls"));
        calls
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let no_token = |command: &mut Command| {
        command
            .env_remove("HF_TOKEN")
            .env_remove("SETTINGS_OF_SOMETHING");
    };
    s.run_with("cycle", "builtin", no_token);
    assert_eq!(calls(), ["get", "store"]);
    // Where there is no git, the library runs the helper itself.
    let programs = s.w.path("no-git");
    fs::create_dir(&programs).unwrap();
    for name in ["sh", "cat"] {
        let recorded = s.recorder.path();
        let recorded = Path::new(recorded.split(':').next().unwrap()).join(name);
        std::os::unix::fs::symlink(recorded, programs.join(name)).unwrap();
    }
    let by_us = |command: &mut Command| {
        no_token(command);
        command.env("PATH", &programs);
    };
    let said = s.run_with("push 1 100", "builtin", by_us);
    assert!(said.contains("PushReport"), "{said}");
    assert_eq!(calls(), ["get", "store"]);
    if crate::support::git_lfs() {
        let said = s.run_with("push 1 200", "git-lfs", no_token);
        assert!(said.contains("PushReport"), "{said}");
        let calls = calls();
        assert!(calls.contains(&"get".to_owned()) && !calls.contains(&"erase".to_owned()));
    }
    // One that is refused, by a server that repeats it.
    write(&vault, "secret", WRONG);
    for change in [&no_token as &dyn Fn(&mut Command), &by_us] {
        let refusal = repeating(401, WRONG, "application/json");
        let fault = Fault::on(Route::InfoRefsReceive).always();
        s.w.hub.faults().add(fault.act(refusal));
        let said = s.run_with("push 1 300", "builtin", change);
        assert!(said.contains("git credential helpers (refused)"), "{said}");
        assert_eq!(calls(), ["get", "erase"]);
        s.w.hub.faults().clear();
    }
    s.assert_nowhere();
}
