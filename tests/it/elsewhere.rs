//! A second port on this machine that asks for a login wherever it gets to be asked something: it never
//! gets the one that is for the first.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use hf_repository::{NetworkLimits, PrepareRepository, Repository};
use mini_hub::{Action, AuthKind, Fault, RepoOptions, Role, Route};

use crate::support::{World, weights, write};

/// Listens, writes down what it hears, and wants a login from everybody.
struct Ear {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                told.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&head).into_owned());
                let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                              Content-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, heard }
    }

    /// Somebody came, and said nothing that would let anybody in.
    #[track_caller]
    fn learned_nothing(&self, secret: &str) {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        assert!(!heard.is_empty(), "nobody came");
        for head in heard {
            assert!(!head.to_lowercase().contains("authorization:"), "{head}");
            assert!(!head.contains(secret), "{head}");
        }
    }
}

/// Whose the login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Token,
    /// A credential helper that knows the hub alone; the hub is no endpoint then.
    Helper,
}

/// A private repository, a clone with something to push in it, and the secret that is for the hub.
fn clone(w: &World, by: By) -> (PrepareRepository, String) {
    let private = RepoOptions::model().private(true).initial_commit(true);
    w.hub.create_repo("alice/p", &private).unwrap();
    let secret = w.hub.add_token("alice", Role::Write);
    let repo = w
        .prepare_as("alice/p", "ours", &w.token)
        .clone_repo()
        .unwrap();
    write(repo.workdir(), "w.bin", weights(1, 20_000));
    repo.stage().unwrap();
    let _ = repo.commit("weights").unwrap();
    if by == By::Token {
        return (w.prepare_as("alice/p", "ours", &secret), secret);
    }
    let helper = w.path("helper");
    let script =
        format!("#!/bin/sh\ntest \"$1\" = get && printf 'username=a\\npassword={secret}\\n'\n");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let ours = w.path("ours");
    w.git(&ours, &["config", "credential.helper", ""]);
    let key = format!("credential.{}.helper", w.hub.url());
    w.git(&ours, &["config", &key, &helper.to_string_lossy()]);
    let prepared = Repository::prepare(w.url("alice/p"), &ours)
        .endpoint("https://hub.invalid".parse().unwrap())
        .network_limits(NetworkLimits::default().retries(0));
    (prepared, secret)
}

/// What the hub does at one place, and how the work that meets it ends.
#[track_caller]
fn leads_away(route: Route, act: impl Fn(&Ear) -> Action, work: impl Fn(&Repository) -> bool) {
    for by in [By::Token, By::Helper] {
        let (w, ear) = (World::new(), Ear::new());
        let (prepared, secret) = clone(&w, by);
        let repo = prepared.open().unwrap();
        // The login is known and good before it is led away.
        repo.check_write_access().unwrap();
        w.hub.faults().add(Fault::on(route).always().act(act(&ear)));
        assert!(!work(&repo), "{by:?}: it failed");
        ear.learned_nothing(&secret);
        assert!(
            w.hub
                .requests()
                .iter()
                .any(|request| request.auth != AuthKind::None)
        );
    }
}

#[test]
fn redirects_take_no_login_along() {
    let to = |ear: &Ear| Action::redirect(&format!("{}/alice/p/info/refs?service=x", ear.url));
    leads_away(Route::InfoRefsUpload, to, |repo| repo.pull().is_ok());
    leads_away(Route::InfoRefsReceive, to, |repo| repo.push().is_ok());
    let batch = |ear: &Ear| {
        let to = format!("{}/objects/batch", ear.url);
        Action::status_with(307, "Location", &to)
    };
    leads_away(Route::LfsBatch, batch, |repo| repo.push().is_ok());
    // From storage, too: its URLs are signed, and nobody else's business.
    let put = |ear: &Ear| Action::status_with(307, "Location", &format!("{}/put", ear.url));
    leads_away(Route::LfsPut, put, |repo| repo.push().is_ok());
}

#[test]
fn what_an_lfs_server_links_to_gets_no_login() {
    let w = World::new();
    let oid = {
        let (prepared, _) = clone(&w, By::Token);
        let text = w.git(w.path("ours"), &["show", "HEAD:w.bin"]);
        drop(prepared);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("oid sha256:"));
        line.unwrap().to_owned()
    };
    let answer = move |ear: &Ear| {
        let href = format!("{}/alice/p.git/info/lfs/objects/{oid}", ear.url);
        let body = format!(
            "{{\"transfer\":\"basic\",\"objects\":[{{\"oid\":\"{oid}\",\"size\":20000,\
             \"actions\":{{\"upload\":{{\"href\":\"{href}\"}}}}}}]}}"
        );
        Action::Status {
            code: 200,
            headers: vec![("Content-Type".into(), "application/vnd.git-lfs+json".into())],
            body,
        }
    };
    leads_away(Route::LfsBatch, answer, |repo| repo.push().is_ok());
}

#[test]
fn a_repository_that_moved_to_another_server_gets_no_login_there() {
    for by in [By::Token, By::Helper] {
        let (w, other) = (World::new(), World::new());
        let (prepared, _) = clone(&w, by);
        other.model("alice/p");
        for (route, service) in [
            (Route::InfoRefsUpload, "git-upload-pack"),
            (Route::InfoRefsReceive, "git-receive-pack"),
        ] {
            let to = format!("{}/alice/p/info/refs?service={service}", other.hub.url());
            w.hub
                .faults()
                .add(Fault::on(route).always().act(Action::redirect(&to)));
        }
        let repo = prepared.open().unwrap();
        // Reading is for everybody there; writing is not, and the login is not for there.
        repo.pull().unwrap();
        let error = repo.push().unwrap_err();
        assert!(!format!("{error:?}").contains(&w.token));
        let requests = other.hub.requests();
        assert!(!requests.is_empty());
        assert!(
            requests.iter().all(|r| r.auth == AuthKind::None),
            "{requests:?}"
        );
    }
}
