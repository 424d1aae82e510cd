//! The token goes to the endpoint's origin as a header, and nowhere else.

use std::fs;
use std::path::Path;

use hf_repository::{Endpoint, ErrorKind, Repository};
use mini_hub::{Action, AuthKind, Fault, Route};

use crate::child::succeed;
use crate::support::proxy::Proxy;
use crate::support::{World, weights, write};

/// Every file below a folder that holds the bytes.
fn holding(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(holding(&path, needle));
        } else if let Ok(bytes) = fs::read(&path)
            && bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn the_token_is_on_no_disk_and_at_no_other_origin() {
    let w = World::new();
    w.model("alice/m");
    let source = format!(
        "http://user:{}@{}/alice/m",
        w.token,
        w.hub.url().replace("http://", "")
    );
    let repo = w.prepare(&source, "ours").clone_repo().unwrap();
    write(repo.workdir(), "w.bin", weights(1, 3000));
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
    repo.push().unwrap();
    w.clone("alice/m", "again");
    for folder in ["ours", "again"] {
        assert_eq!(holding(&w.path(folder), &w.token), [""; 0]);
    }
    assert!(!format!("{repo:?}").contains(&w.token));
    let storage = w.hub.storage_url();
    let mut seen = 0;
    for request in w.hub.requests() {
        assert!(!request.path.contains(&w.token));
        if storage.ends_with(&request.host) {
            seen += 1;
            assert_eq!(request.auth, AuthKind::None, "{request:?}");
        }
    }
    assert_eq!(seen, 2, "one upload, one download");
}

#[test]
fn a_redirect_to_another_origin_gets_no_token() {
    let w = World::new();
    w.model("alice/m");
    let other = World::new();
    other.model("alice/m");
    // The other hub serves the repository, to everybody.
    let target = format!(
        "{}/alice/m/info/refs?service=git-upload-pack",
        other.hub.url()
    );
    w.hub
        .faults()
        .add(Fault::on(Route::InfoRefsUpload).act(Action::redirect(&target)));
    w.clone("alice/m", "ours");
    let requests = other.hub.requests();
    assert!(!requests.is_empty());
    assert!(
        requests
            .iter()
            .all(|request| request.auth == AuthKind::None),
        "{requests:?}"
    );
    // Round and round: bounded.
    let circle = format!("{}/alice/m/info/refs?service=git-upload-pack", w.hub.url());
    w.hub.faults().add(
        Fault::on(Route::InfoRefsUpload)
            .always()
            .act(Action::redirect(&circle)),
    );
    let error = w.prepare("alice/m", "circle").clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(w.hub.requests().len() < 30);
}

#[test]
fn other_hosts_and_plain_http_get_no_hub_token() {
    let w = World::new();
    w.model("alice/m");
    // The endpoint is elsewhere; this hub is only a git server with a URL.
    let elsewhere: Endpoint = "https://hub.invalid".parse().unwrap();
    let repo = Repository::prepare(w.url("alice/m"), w.path("ours"))
        .endpoint(elsewhere)
        .token(w.token.parse().unwrap())
        .clone_repo()
        .unwrap();
    assert!(
        w.hub
            .requests()
            .iter()
            .all(|request| request.auth == AuthKind::None)
    );
    write(repo.workdir(), "a.txt", "a\n");
    repo.stage().unwrap();
    let _ = repo.commit("a").unwrap();
    assert_eq!(repo.push().unwrap_err().kind(), ErrorKind::Unauthorized);
    // Over plain http to a machine that is not this one, the token stays at home.
    let plain: Endpoint = "http://hub.invalid".parse().unwrap();
    let made = Repository::prepare("alice/m", w.path("plain")).endpoint(plain);
    let error = made
        .token(w.token.parse().unwrap())
        .clone_repo()
        .unwrap_err();
    assert!(!format!("{error:?}").contains(&w.token));
}

#[test]
fn tokens_are_found_where_the_hubs_tools_leave_them() {
    let w = World::new();
    let private = mini_hub::RepoOptions::model()
        .private(true)
        .initial_commit(true);
    w.hub.create_repo("alice/p", &private).unwrap();
    let home = w.path("hf-home");
    write(&home, "token", format!("{}\n", w.token));
    let clone = |name: &str, variables: &[(&str, &str)]| {
        let folder = w.path(name);
        let mut child = w.child("clone", &["alice/p", &folder.to_string_lossy()]);
        child.env_remove("HF_TOKEN").envs(variables.iter().copied());
        child.output().unwrap()
    };
    let home = home.to_string_lossy().into_owned();
    let file = format!("{home}/token");
    succeed(&clone("by-variable", &[("HF_TOKEN", &w.token)]));
    succeed(&clone(
        "by-old-variable",
        &[("HUGGING_FACE_HUB_TOKEN", &w.token)],
    ));
    succeed(&clone("by-home", &[("HF_HOME", &home)]));
    succeed(&clone("by-path", &[("HF_TOKEN_PATH", &file)]));
    for refused in [
        vec![],
        vec![
            ("HF_HOME", home.as_str()),
            ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        ],
        vec![("HF_HOME", home.as_str()), ("HF_TOKEN", "hf_wrong")],
    ] {
        let output = clone("refused", &refused);
        assert!(!output.status.success(), "{refused:?}");
        assert!(!w.path("refused").exists());
    }
}

/// A child's work: clones and pushes, with and without leave to send tokens over plain http.
pub(crate) fn over_plain_http(folder: &Path) {
    let prepare = || Repository::prepare("alice/p", folder);
    let error = prepare().clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.hint().unwrap().contains("http://"), "{error:?}");
    let repo = prepare()
        .danger_send_tokens_over_plain_http()
        .clone_repo()
        .unwrap();
    write(folder, "w.bin", weights(1, 3000));
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
    repo.push().unwrap();
}

#[test]
fn tokens_go_over_plain_http_only_if_the_caller_says_so() {
    let w = World::new();
    let private = mini_hub::RepoOptions::model()
        .private(true)
        .initial_commit(true);
    w.hub.create_repo("alice/p", &private).unwrap();
    // To the library the hub is another machine.
    let proxy = Proxy::to(&w.hub.url().replace("http://", ""));
    let folder = w.path("ours").to_string_lossy().into_owned();
    let mut child = w.child("plain-http", &[&folder]);
    child
        .env("HF_ENDPOINT", "http://hub.test")
        .env("http_proxy", format!("http://{}", proxy.address));
    succeed(&child.output().unwrap());
    let requests = w.hub.requests();
    let first = requests.iter().position(|r| r.auth != AuthKind::None);
    assert!(first.unwrap() > 0, "the first one went without");
}
