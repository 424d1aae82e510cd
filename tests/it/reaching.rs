//! How servers are reached: proxies, headers and certificates as the config says.

use std::fs;

use hf_repository::ErrorKind;
use mini_hub::{AuthKind, RepoOptions};

use crate::child::succeed;
use crate::configuration::{commit_weights, model_with_files, pointers};
use crate::support::tunnel::Tunnel;
use crate::support::{World, until};

/// A server on https that knows nothing of git, with a certificate of its own authority.
struct Tls {
    url: String,
    authority: std::path::PathBuf,
    program: std::process::Child,
}

impl Tls {
    fn start(w: &World) -> Option<Self> {
        let folder = w.path("tls");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let openssl = |line: &str| {
            let mut command = w.command("openssl", &folder);
            let output = command.args(line.split(' ')).output().ok()?;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "openssl {line}: {told}");
            Some(())
        };
        let key = "-newkey rsa:2048 -nodes";
        openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"
        ))?;
        openssl(&format!(
            "req {key} -keyout own.key -out own.csr -subj /CN=server"
        ))?;
        openssl(
            "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out own.pem -days 2 -extfile names",
        )?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap().to_string();
        drop(port);
        let line = format!("s_server -accept {address} -cert own.pem -key own.key -www -quiet");
        let mut command = w.command("openssl", &folder);
        let program = command
            .args(line.split(' '))
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        until("the server listens", || {
            std::net::TcpStream::connect(&address).is_ok()
        });
        Some(Self {
            url: format!("https://{address}"),
            authority: folder.join("ca.pem"),
            program,
        })
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

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
    let locked = Tunnel::to(&server, Some("dXNlcjpzM2NyZXQ="));
    let open = Tunnel::to(&server, None);
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
            Some(tunnel) => {
                succeed(&output);
                assert_eq!(pointers(&folder), [""; 0]);
                assert!(tunnel.heard().contains(heard), "{config}");
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
    let tunnel = Tunnel::to(&w.hub.url().replace("http://", ""), None);
    let home = w.path("home");
    fs::create_dir_all(&home).unwrap();
    let config = format!(
        "[http]\n\tproxy = http://{}\n\textraHeader = X-All: s3cret\n\tuserAgent = own-agent/7\n\
         [http \"http://hub.invalid/alice\"]\n\textraHeader = X-Named: yes\n\
         [http \"http://hub.invalid/bob\"]\n\textraHeader = X-Other: no\n",
        tunnel.address
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
    let heard = tunnel.heard();
    assert!(
        heard.contains("x-named: yes") && heard.contains("user-agent: own-agent/7"),
        "{heard}"
    );
    assert!(
        !heard.contains("x-all") && !heard.contains("x-other"),
        "{heard}"
    );
}

#[test]
fn certificates_are_those_the_config_names() {
    let w = World::new();
    let home = w.path("home");
    fs::create_dir_all(&home).unwrap();
    let file = w.path("no-such.pem");
    let config = format!(
        "[http \"https://127.0.0.1\"]\n\tsslCAInfo = {}\n",
        file.display()
    );
    fs::write(home.join(".gitconfig"), config).unwrap();
    let clone = |endpoint: &str| {
        let mut child = w.child("clone", &["alice/m", &w.path("ours").to_string_lossy()]);
        let output = child.env("HF_ENDPOINT", endpoint).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let named = |told: &str| told.contains("no-such.pem");
    let (own, other) = (clone("https://127.0.0.1"), clone("https://127.0.0.1:1"));
    assert!(named(&own), "{own}");
    assert!(!named(&other), "{other}");
    fs::write(&file, "no certificate").unwrap();
    let told = clone("https://127.0.0.1");
    assert!(told.contains("holds no certificate"), "{told}");
}

#[test]
fn servers_are_trusted_as_the_config_says() {
    let w = World::new();
    let Some(server) = Tls::start(&w) else {
        crate::support::shout("openssl is not installed");
        return;
    };
    let home = w.path("home");
    fs::create_dir_all(&home).unwrap();
    let clone = |config: &str, variable: Option<&str>| {
        fs::write(home.join(".gitconfig"), config).unwrap();
        let mut child = w.child("clone", &["alice/m", &w.path("ours").to_string_lossy()]);
        child.env("HF_ENDPOINT", &server.url);
        if let Some(name) = variable {
            child.env(name, &server.authority);
        }
        let output = child.output().unwrap();
        // It is no Hub: there is nothing to clone in any case.
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).to_lowercase()
    };
    let refused = |told: &str| told.contains("certificate");
    let (url, file) = (&server.url, server.authority.display());
    let own = format!("[http \"{url}\"]\n\tsslCAInfo = {file}\n");
    let other = format!("[http \"https://other\"]\n\tsslCAInfo = {file}\n\tsslVerify = false\n");
    for (config, variable, trusted) in [
        ("", None, false),
        (&*own, None, true),
        (&*other, None, false),
        (&*format!("[http]\n\tsslCAInfo = {file}\n"), None, true),
        (
            &*format!("[http \"{url}\"]\n\tsslVerify = no\n"),
            None,
            true,
        ),
        (
            &*format!("[http \"{url}\"]\n\tsslVerify = nonsense\n"),
            None,
            false,
        ),
        ("", Some("GIT_SSL_CAINFO"), true),
        ("", Some("SSL_CERT_FILE"), true),
        (
            "[http]\n\tsslCAInfo = /no/such\n",
            Some("GIT_SSL_CAINFO"),
            true,
        ),
        ("", Some("GIT_SSL_NO_VERIFY"), false),
    ] {
        let told = clone(config, variable);
        assert_eq!(refused(&told), !trusted, "{config} {variable:?}: {told}");
    }
}
