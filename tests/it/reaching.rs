//! How servers are reached: proxies and headers as the config says.

use std::fs;

use hf_repository::ErrorKind;
use mini_hub::{AuthKind, RepoOptions};

use crate::child::succeed;
use crate::configuration::{commit_weights, model_with_files, pointers};
use crate::support::World;
use crate::support::proxy::Proxy;

#[test]
fn a_header_of_the_user_takes_the_place_of_the_token() {
    let w = World::new();
    let options = RepoOptions::model().initial_commit(true).private(true);
    w.hub.create_repo("alice/m", &options).unwrap();
    drop(w.clone("alice/m", "ours"));
    let stranger = "hf_nobody0000000000000000000000000";
    let open = || w.prepare_as("alice/m", "ours", stranger).open().unwrap();
    assert_eq!(open().pull().unwrap_err().kind(), ErrorKind::Unauthorized);
    let header = format!("Authorization: Bearer {}", w.token);
    w.git(w.path("ours"), &["config", "http.extraHeader", &header]);
    let repo = open();
    repo.pull().unwrap();
    commit_weights(&repo, 1);
    w.hub.clear_requests();
    repo.push().unwrap();
    let storage = w.hub.storage_url();
    let mut stored = 0;
    for request in w.hub.requests() {
        assert!(request.status < 300, "{request:?}");
        if storage.ends_with(&request.host) || request.path.starts_with("/_storage") {
            // Signed URLs; one of them lies on the hub itself.
            stored += 1;
            assert_eq!(request.auth, AuthKind::None, "{request:?}");
        } else {
            assert_eq!(request.auth, AuthKind::Bearer, "{request:?}");
        }
    }
    assert_eq!(stored, 2);
    // An empty one starts anew; one for another URL is for that.
    w.git(w.path("ours"), &["config", "--add", "http.extraHeader", ""]);
    assert_eq!(open().pull().unwrap_err().kind(), ErrorKind::Unauthorized);
    w.git(
        w.path("ours"),
        &["config", "--unset-all", "http.extraHeader"],
    );
    let (other, own) = (w.url("alice/other"), w.url("alice/m"));
    for (url, works) in [(other, false), (own, true)] {
        w.git(
            w.path("ours"),
            &["config", &format!("http.{url}.extraHeader"), &header],
        );
        assert_eq!(open().pull().is_ok(), works, "{url}");
    }
}

#[test]
fn a_proxy_is_used_as_configured() {
    let w = World::new();
    model_with_files(&w, "alice/m");
    let server = w.hub.url().replace("http://", "");
    // user:s3cret
    let locked = Proxy::locked(&server, "dXNlcjpzM2NyZXQ=");
    let open = Proxy::to(&server);
    let home = w.path("home");
    fs::create_dir_all(&home).unwrap();
    for (number, (config, through, heard)) in [
        (
            format!("[http]\n\tproxy = http://{}\n", open.address),
            Some(&open),
            "connect hub.invalid:80",
        ),
        (
            format!(
                "[http \"http://*.invalid\"]\n\tproxy = http://user:s3cret@{}\n",
                locked.address
            ),
            Some(&locked),
            "proxy-authorization",
        ),
        (
            format!(
                "[http]\n\tproxy = http://{}\n[remote \"origin\"]\n\tproxy = http://{}\n",
                "127.0.0.1:1", open.address
            ),
            Some(&open),
            "connect",
        ),
        (
            format!("[http]\n\tproxy = http://user:wrong@{}\n", locked.address),
            None,
            "",
        ),
        (
            format!(
                "[http]\n\tproxy = http://{}\n[http \"http://hub.invalid\"]\n\tproxy = \"\"\n",
                open.address
            ),
            None,
            "",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(home.join(".gitconfig"), &config).unwrap();
        let folder = w.path(&format!("ours-{number}"));
        let mut child = w.child("clone", &["alice/m", &folder.to_string_lossy()]);
        child.env(
            "HF_ENDPOINT",
            if number == 1 {
                "http://a.invalid"
            } else {
                "http://hub.invalid"
            },
        );
        let output = child.output().unwrap();
        match through {
            Some(proxy) => {
                succeed(&output);
                assert_eq!(pointers(&folder), [""; 0]);
                assert!(proxy.heard().contains(heard), "{config}");
            }
            None => assert!(!output.status.success(), "{config}"),
        }
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !told.contains("s3cret") && !told.contains("user:wrong"),
            "{told}"
        );
    }
    // Plain http through a proxy is read on the way: no token is sent.
    assert!(
        !open.heard().contains("\r\nauthorization:"),
        "{}",
        open.heard()
    );
}

#[test]
fn headers_for_all_go_to_no_open_wire() {
    let w = World::new();
    model_with_files(&w, "alice/m");
    let proxy = Proxy::to(&w.hub.url().replace("http://", ""));
    let home = w.path("home");
    fs::create_dir_all(&home).unwrap();
    let config = format!(
        "[http]\n\tproxy = http://{}\n\textraHeader = X-All: s3cret\n\tuserAgent = own-agent/7\n\
         [http \"http://hub.invalid/alice\"]\n\textraHeader = X-Named: yes\n\
         [http \"http://hub.invalid/bob\"]\n\textraHeader = X-Other: no\n",
        proxy.address
    );
    fs::write(home.join(".gitconfig"), config).unwrap();
    let folder = w.path("ours");
    let mut child = w.child("clone", &["alice/m", &folder.to_string_lossy()]);
    succeed(
        &child
            .env("HF_ENDPOINT", "http://hub.invalid")
            .output()
            .unwrap(),
    );
    let heard = proxy.heard();
    assert!(
        heard.contains("x-named: yes") && heard.contains("user-agent: own-agent/7"),
        "{heard}"
    );
    assert!(
        !heard.contains("x-all") && !heard.contains("x-other"),
        "{heard}"
    );
}
