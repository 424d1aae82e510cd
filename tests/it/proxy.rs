//! Through an HTTP proxy: for whom, with which credentials, and what it gets to see.

use std::fs;
use std::path::Path;

use mini_hub::{MiniHub, Tls};

use crate::support::cycle::Try;
use crate::support::proxy::Proxy;
use crate::support::tls_front::TlsFront;
use crate::support::{World, needs_git_lfs, weights};

/// `user:s3cret @:/` as `Basic` sends it, and as it stands in an address.
const BASIC: &str = "dXNlcjpzM2NyZXQgQDov";
const IN_ADDRESS: &str = "user:s3cret%20%40%3a%2F";

/// A hub that only a proxy knows the way to, with a model in it.
fn far_away() -> World {
    let tls = Tls::new().name("hub.test").storage_name("storage.test");
    let w = World::with(MiniHub::temporary_with(|config| config.tls(tls)).unwrap());
    w.model("alice/m");
    w
}

/// The host and port of a URL.
fn host(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

fn ca(w: &World) -> String {
    w.hub.ca_file().unwrap().display().to_string()
}

#[test]
fn everything_goes_through_the_proxy_and_it_sees_nothing() {
    let w = far_away();
    let proxy = Proxy::home();
    let through = |folder: &str, seed| {
        let folder = w.path(folder);
        let child = Try::at(&w, &folder, &ca(&w), seed);
        child.variable("https_proxy", &proxy.address).passes();
    };
    through("ours", 1);
    through("again", 2);
    through("ours", 3);
    assert_eq!(fs::read(w.path("ours/w.bin")).unwrap(), weights(3, 3000));
    let mut both = [w.hub.url(), w.hub.storage_url()].map(|url| host(&url).to_owned());
    both.sort();
    assert_eq!(proxy.targets(), both);
    // It sees where it leads, and nothing else.
    for head in proxy.heads() {
        let names: Vec<_> = head
            .lines()
            .skip(1)
            .filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()))
            .collect();
        assert_eq!(names, ["host", "user-agent", "proxy-connection"], "{head}");
    }
    let heard = proxy.heard();
    for secret in [&w.token.to_lowercase(), "authorization", "alice"] {
        assert!(!heard.contains(secret), "{secret} was heard");
    }
}

#[test]
fn the_proxy_gets_its_password_and_the_hub_its_token() {
    let w = far_away();
    let proxy = Proxy::home_locked(BASIC);
    let address = format!("http://{IN_ADDRESS}@{}", proxy.address);
    let log = w.path("log");
    let options = format!("{} log={}", ca(&w), log.display());
    let child = |seed| Try::at(&w, &w.path("ours"), &options, seed);
    child(1).variable("all_proxy", &address).passes();
    let key = |key: &str| format!("[{key}]\n\tproxy = \"{address}\"\n");
    child(2).config(&key("http")).passes();
    // The remote's own is for the hub alone: the storage is not found without one.
    let own = key("remote \"origin\"");
    child(3)
        .config(&own)
        .fails(&["storage.test", "host name is not known"]);
    let storage = key(&format!("http \"{}\"", w.hub.storage_url()));
    child(4).config(&(own + &storage)).passes();
    let heads = proxy.heads();
    assert!(heads.len() >= 6, "{heads:?}");
    for head in heads {
        let expected = format!("\r\nProxy-Authorization: Basic {BASIC}\r\n");
        let others = head.replace(&expected, "\r\n").to_lowercase();
        assert!(others.len() < head.len(), "{head}");
        assert!(
            !others.contains("authorization") && !others.contains(&w.token),
            "{head}"
        );
    }
    let logged = fs::read_to_string(log).unwrap();
    assert!(logged.contains("hub.test"));
    for secret in ["s3cret", BASIC, IN_ADDRESS, &w.token] {
        assert!(!logged.contains(secret), "{secret} was logged");
    }
    // And the hub hears nothing of the proxy's password: all its requests are by token, or signed.
    assert!(
        w.hub
            .requests()
            .iter()
            .all(|request| request.status < 400 || request.status == 401)
    );
}

#[test]
fn a_wrong_password_is_told_once_and_in_plain_words() {
    let w = far_away();
    let proxy = Proxy::home_locked(BASIC);
    for address in [
        format!("http://user:wr0ng@{}", proxy.address),
        format!("wr0ng:@{}", proxy.address),
        format!("http://{}", proxy.address),
    ] {
        let before = proxy.heads().len();
        let child = Try::new(&w, &ca(&w)).variable("https_proxy", &address);
        let told = child.told();
        for word in [
            "failed: ",
            "kind: Proxy",
            "(407)",
            &proxy.address,
            "user:password@",
        ] {
            assert!(told.contains(word), "no {word:?} in {told}");
        }
        assert!(!told.contains("wr0ng"), "{told}");
        assert_eq!(proxy.heads().len(), before + 1, "tried once");
    }
    assert!(w.hub.requests().is_empty());
}

#[test]
fn hosts_in_no_proxy_are_reached_directly() {
    let w = far_away();
    let proxy = Proxy::home();
    let child = |no_proxy: &str| {
        let child = Try::new(&w, &ca(&w)).variable("https_proxy", &proxy.address);
        child.variable("no_proxy", no_proxy)
    };
    // Directly, there is no way to these names.
    child("hub.test").fails(&["failed: ", "hub.test", "host name is not known"]);
    child("*").fails(&["hub.test", "host name is not known"]);
    assert_eq!(proxy.targets(), [""; 0]);
    child("other.test, .storage.test").fails(&["storage.test", "host name is not known"]);
    assert_eq!(proxy.targets(), [host(&w.hub.url())]);
    child("other.test,10.0.0.0/8").passes();
}

#[test]
fn hub_and_storage_may_take_different_ways() {
    // The storage is on this machine, to which no proxy leads.
    let tls = Tls::new().name("hub.test");
    let w = World::with(MiniHub::temporary_with(|config| config.tls(tls)).unwrap());
    w.model("alice/m");
    let proxy = Proxy::home();
    for _ in 0..2 {
        let child = Try::new(&w, &ca(&w));
        child.variable("https_proxy", &proxy.address).passes();
    }
    assert_eq!(proxy.targets(), [host(&w.hub.url())]);
    let storage = w.hub.storage_url();
    let requests = w.hub.requests();
    let stored = requests
        .iter()
        .filter(|request| storage.ends_with(&request.host));
    assert!(stored.count() >= 3, "two uploads, one download");
}

#[test]
fn a_proxy_that_does_not_help_is_named() {
    let w = far_away();
    let tell = |address: &str, words: &[&str]| {
        let address = format!("http://user:s3cret@{address}");
        let told = Try::new(&w, &ca(&w))
            .variable("https_proxy", address)
            .told();
        for word in words {
            assert!(told.contains(word), "no {word:?} in {told}");
        }
        assert!(!told.contains("s3cret") && !told.contains(BASIC), "{told}");
    };
    let nobody = {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        unused.local_addr().unwrap().to_string()
    };
    let down = format!("nobody listens at the proxy {nobody}");
    tell(&nobody, &["kind: Network", &down, "https_proxy"]);
    let unknown = "the proxy's host name is not known: proxy.invalid:3128";
    tell("proxy.invalid:3128", &["kind: Network", unknown]);
    let refusing = Proxy::refusing("403 Forbidden");
    tell(
        &refusing.address,
        &[
            "kind: Proxy",
            "refuses to lead there (403)",
            &refusing.address,
        ],
    );
    assert_eq!(refusing.heads().len(), 1, "not asked again");
    let failing = Proxy::refusing("503 Service Unavailable");
    tell(
        &failing.address,
        &[
            "kind: Network",
            "cannot reach the server (503)",
            &failing.address,
        ],
    );
    assert!(failing.heads().len() > 1, "asked again");
    // One that answers, but not as a proxy does.
    let odd = Proxy::refusing("nonsense");
    tell(&odd.address, &["failed: "]);
    tell(
        "127.0.0.1:x",
        &[
            "kind: InvalidInput",
            "proxy's address cannot be read",
            "%XX",
        ],
    );
    let socks = Try::new(&w, &ca(&w)).variable("all_proxy", "socks5://user:s3cret@127.0.0.1:1");
    socks.fails(&["kind: Unsupported", "SOCKS"]);
    assert!(w.hub.requests().is_empty());
}

#[test]
fn a_proxy_may_speak_tls_itself() {
    let w = far_away();
    let proxy = Proxy::home_locked(BASIC);
    let front = TlsFront::before(&proxy.address);
    let address = format!("HTTPS://{IN_ADDRESS}@{}", front.address);
    let own = w.path("proxy.pem");
    fs::write(&own, &front.pem).unwrap();
    let child = |options: &str| Try::new(&w, options).variable("all_proxy", &address);
    child(&format!("{} {}", ca(&w), own.display())).passes();
    assert_eq!(proxy.targets().len(), 2);
    // Neither is trusted for the other, and the password goes only to a proxy that is believed.
    let before = proxy.heads().len();
    child(&ca(&w)).fails(&[
        "kind: Certificate",
        "signed by no authority",
        "the proxy speaks TLS",
    ]);
    assert_eq!(proxy.heads().len(), before);
    child(&own.display().to_string()).fails(&["kind: Certificate", "signed by no authority"]);
}

#[test]
fn real_git_finds_the_same_way() {
    needs_git_lfs!();
    let w = far_away();
    let proxy = Proxy::home_locked(BASIC);
    let address = format!("http://{IN_ADDRESS}@{}", proxy.address);
    let ours = w.path("ours");
    Try::at(&w, &ours, &ca(&w), 1)
        .variable("https_proxy", &address)
        .passes();
    let theirs = w.path("theirs");
    let mut git = w.command("git", &w.path(""));
    git.env("https_proxy", &address);
    let output = git
        .args(["clone", "-q", &w.url("alice/m")])
        .arg(&theirs)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(fs::read(theirs.join("w.bin")).unwrap(), weights(1, 3000));
}

#[test]
fn the_git_lfs_engine_goes_through_the_proxy_too() {
    needs_git_lfs!();
    let w = far_away();
    let proxy = Proxy::home_locked(BASIC);
    let address = format!("http://{IN_ADDRESS}@{}", proxy.address);
    let options = format!("git-lfs {}", ca(&w));
    let child = |folder: &Path, seed| Try::at(&w, folder, &options, seed);
    child(&w.path("ours"), 1)
        .variable("https_proxy", &address)
        .passes();
    let config = format!("[http]\n\tproxy = \"{address}\"\n");
    child(&w.path("again"), 2).config(&config).passes();
    // The library asks the storage nothing under this engine.
    let storage = host(&w.hub.storage_url()).to_owned();
    let by_git_lfs = |head: &String| head.contains(&storage) && !head.contains("hf-repository");
    assert!(proxy.heads().iter().any(by_git_lfs), "{:?}", proxy.heads());
}
