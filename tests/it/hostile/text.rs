//! What git servers say in words: names of refs, reasons, and whatever a terminal might obey.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hf_repository::ErrorKind::{
    self, Git, InvalidSource, Network, Protocol, Rejected, RepoNotFound, Unsupported,
};
use hf_repository::{NetworkLimits, PrepareRepository, Repository};

use super::peer::{Answer, Heard, Peer, answer};
use super::{each, refused};
use crate::support::{World, write};

fn pkt(line: impl AsRef<[u8]>) -> Vec<u8> {
    let line = line.as_ref();
    [format!("{:04x}", line.len() + 4).as_bytes(), line].concat()
}

/// A list of refs, all at one commit; the first line says what the server can do.
fn listing(service: &str, tip: &str, names: &[&[u8]], symref: &str) -> Vec<u8> {
    let can = match service {
        "git-upload-pack" => "multi_ack_detailed side-band-64k thin-pack ofs-delta",
        _ => "report-status side-band-64k delete-refs ofs-delta",
    };
    let mut bytes = pkt(format!("# service={service}\n"));
    bytes.extend(b"0000");
    for (number, name) in names.iter().enumerate() {
        let can = format!("\0{can} symref=HEAD:{symref}");
        let can = if number == 0 { can.as_str() } else { "" };
        bytes.extend(pkt(
            [tip.as_bytes(), b" ", name, can.as_bytes(), b"\n"].concat()
        ));
    }
    bytes.extend(b"0000");
    bytes
}

/// A listing, or what else comes in its place, as an answer.
fn listed(service: &str, body: &[u8]) -> Vec<u8> {
    let kind = format!("Content-Type: application/x-{service}-advertisement\r\n");
    answer(200, &kind, body)
}

/// What the server says of its refs.
type Listing = Arc<Mutex<Vec<u8>>>;

/// A git server that tells of what refs it likes, and sends what is really there.
fn server(bare: PathBuf) -> (Peer, Listing) {
    let listing = Listing::default();
    let shown = Arc::clone(&listing);
    let peer = Peer::new(move |heard| {
        let body = if heard.head.starts_with("GET ") {
            return Answer::Bytes(listed("git-upload-pack", &shown.lock().unwrap()));
        } else {
            upload_pack(&bare, heard)
        };
        Answer::Bytes(answer(
            200,
            "Content-Type: application/x-git-upload-pack-result\r\n",
            body,
        ))
    });
    (peer, listing)
}

fn upload_pack(bare: &Path, heard: &Heard) -> Vec<u8> {
    use std::io::Write;
    let mut git = std::process::Command::new("git")
        .args(["upload-pack", "--stateless-rpc"])
        .arg(bare)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = git.stdin.take().unwrap().write_all(&heard.body);
    git.wait_with_output().unwrap().stdout
}

/// A preparation that tries once.
fn once(w: &World, peer: &Peer, folder: &str) -> PrepareRepository {
    w.prepare(&format!("{}/alice/m", peer.url()), folder)
        .endpoint(peer.url().parse().unwrap())
        .network_limits(NetworkLimits::default().retries(0))
}

/// Names of refs that a server offers beside `main`: all but their own are left alone.
#[test]
fn no_name_of_a_ref_does_harm() {
    let w = World::new();
    w.model("alice/m");
    let tip = w.remote_tip("alice/m", "main").unwrap();
    let (peer, shown) = server(w.bare("alice/m"));
    let show = |odd: &[&[u8]]| {
        let names = [&[b"HEAD", &b"refs/heads/main"[..]], odd].concat();
        *shown.lock().unwrap() = listing("git-upload-pack", &tip, &names, "refs/heads/main");
    };
    let judge = |ours: &Repository| {
        let refs = w.git(ours.workdir(), &["for-each-ref", "--format=%(refname)"]);
        let refs: Vec<&str> = refs.lines().collect();
        let main = "refs/remotes/origin/main";
        assert_eq!(refs, ["refs/heads/main", "refs/remotes/origin/HEAD", main]);
        assert!(!w.path("evil").exists() && !ours.workdir().join("evil").exists());
        assert!(!ours.workdir().join(".git/evil").exists());
    };
    show(&[]);
    let ours = once(&w, &peer, "ours").clone_repo().unwrap();
    each(NAMES, |name| {
        show(&[name]);
        assert!(ours.pull().unwrap().is_up_to_date());
        judge(&ours);
    });
    // All of them at once, and for a clone.
    let all: Vec<&[u8]> = NAMES.iter().map(|(_, name)| *name).collect();
    show(&all);
    judge(&once(&w, &peer, "fresh").clone_repo().unwrap());
}

pub(super) const NAMES: &[(&str, &[u8])] = &[
    ("a_ref_that_goes_up", b"refs/heads/../../../evil"),
    ("a_ref_that_goes_up_among_tags", b"refs/tags/../../evil"),
    ("a_ref_of_dots", b"refs/heads/.."),
    ("a_ref_that_is_hidden", b"refs/heads/.evil"),
    ("a_ref_that_is_an_option", b"refs/heads/--upload-pack=evil"),
    ("a_ref_that_is_a_lock", b"refs/heads/main.lock"),
    ("a_ref_below_a_lock", b"refs/heads/evil.lock/x"),
    ("a_ref_of_head", b"refs/heads/HEAD"),
    ("a_ref_of_a_reflog", b"refs/heads/evil@{1}"),
    ("a_ref_of_an_at", b"refs/heads/@"),
    ("a_ref_without_a_name", b"refs/heads/"),
    ("a_ref_with_an_empty_part", b"refs/heads//evil"),
    ("a_ref_with_a_blank", b"refs/heads/evil evil"),
    ("a_ref_with_a_glob", b"refs/heads/*"),
    ("a_ref_with_a_colon", b"refs/heads/evil:main"),
    ("a_ref_with_a_caret", b"refs/heads/evil^{}"),
    ("a_ref_with_a_backslash", b"refs/heads/..\\evil"),
    ("a_ref_with_an_escape", b"refs/heads/\x1b[2Jevil"),
    ("a_ref_with_a_bell", b"refs/heads/evil\x07"),
    ("a_ref_with_a_delete", b"refs/heads/evil\x7f"),
    (
        "a_ref_with_an_escape_of_one_character",
        "refs/heads/\u{9b}2Jevil".as_bytes(),
    ),
    (
        "a_ref_that_reads_backwards",
        "refs/heads/\u{202e}live".as_bytes(),
    ),
    ("a_ref_that_isolates", "refs/heads/\u{2066}live".as_bytes()),
    ("a_ref_that_is_not_utf_8", b"refs/heads/caf\xe9"),
    ("a_tag_that_is_not_utf_8", b"refs/tags/\xff\xfe"),
    ("a_ref_of_half_a_character", b"refs/heads/x\xe2\x82"),
    (
        "a_ref_of_ours",
        b"refs/hf-repository/promised/0123456789012345678901234567890123456789",
    ),
    ("a_ref_of_another_remote", b"refs/remotes/origin/evil"),
    ("a_ref_outside_refs", b"config"),
    ("a_ref_that_is_absolute", b"/etc/passwd"),
    ("a_second_head", b"HEAD"),
    ("a_stash", b"refs/stash"),
    (
        "a_replacement",
        b"refs/replace/0123456789012345678901234567890123456789",
    ),
];

/// HEAD leads to what is no branch, or to none that is there.
#[test]
fn a_head_that_leads_nowhere() {
    let w = World::new();
    w.model("alice/m");
    let tip = w.remote_tip("alice/m", "main").unwrap();
    let (peer, shown) = server(w.bare("alice/m"));
    for symref in [
        "refs/heads/none",
        "refs/heads/../../config",
        "refs/heads/\u{1b}[2J",
        "HEAD",
        "",
    ] {
        let names = [b"HEAD", &b"refs/heads/main"[..]];
        *shown.lock().unwrap() = listing("git-upload-pack", &tip, &names, symref);
        match once(&w, &peer, "ours").clone_repo() {
            Ok(ours) => {
                w.git(ours.workdir(), &["fsck", "--strict"]);
                fs::remove_dir_all(w.path("ours")).unwrap();
            }
            Err(error) => super::assert_clean(&error),
        }
        assert!(!w.path("ours").exists());
    }
}

/// Lists of refs that are none.
#[test]
fn no_list_of_refs_that_is_broken_is_more_than_an_error() {
    let w = World::new();
    w.model("alice/m");
    let (peer, shown) = server(w.bare("alice/m"));
    each(LISTINGS, |body| {
        let _ = fs::remove_dir_all(w.path("ours"));
        *shown.lock().unwrap() = body();
        let begun = Instant::now();
        refused(
            once(&w, &peer, "ours").clone_repo(),
            &[Protocol, Network, Git, RepoNotFound],
        );
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(!w.path("ours").exists());
    });
}

fn after_service(rest: impl AsRef<[u8]>) -> Vec<u8> {
    let service = pkt("# service=git-upload-pack\n");
    [&service[..], b"0000", rest.as_ref()].concat()
}

type Bytes = fn() -> Vec<u8>;

pub(super) const LISTINGS: &[(&str, Bytes)] = &[
    ("a_line_of_no_number", || b"zzzz".to_vec()),
    ("a_line_of_less_than_no_bytes", || after_service("-001")),
    ("a_line_of_one_byte", || after_service("0001")),
    ("a_line_of_three_bytes", || after_service("0003")),
    ("a_line_that_is_longer_than_the_rest", || {
        after_service("ffffx")
    }),
    ("a_line_without_an_id", || after_service(pkt("x"))),
    ("a_line_with_half_an_id", || {
        after_service(pkt("0123 refs/heads/main\0\n"))
    }),
    ("a_line_with_an_id_of_letters", || {
        after_service(pkt("z".repeat(40) + " refs/heads/main\0\n"))
    }),
    ("a_line_without_a_ref", || {
        after_service(pkt("1".repeat(40)))
    }),
    ("another_service", || pkt("# service=git-receive-pack\n")),
    ("an_error_with_escapes", || {
        after_service(pkt("ERR \x1b[2J\x1b]0;t\x07no\u{202e}\n"))
    }),
    ("an_error_that_is_not_utf_8", || {
        after_service(pkt(b"ERR caf\xe9 \xff\n"))
    }),
    ("an_error_without_words", || after_service(pkt("ERR "))),
    ("a_web_page", || b"<html>log in</html>".to_vec()),
];

/// Bytes that may lie in buffers beyond the cap.
const IN_BUFFERS: u64 = 16 << 20;

#[test]
fn a_list_of_refs_without_end() {
    let line = pkt(format!("{} refs/pr/0123456789\n", "1".repeat(40))).repeat(1000);
    let head =
        "HTTP/1.1 200 X\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
    let first = [head.as_bytes(), &after_service("")].concat();
    let peer = Peer::new(move |_| Answer::Endless(first.clone(), line.clone()));
    let w = World::new();
    refused(once(&w, &peer, "ours").clone_repo(), &[Protocol]);
    assert!(peer.sent() < (64 << 20) + IN_BUFFERS, "{}", peer.sent());
    assert!(!w.path("ours").exists());
}

/// Hundreds of thousands of refs, and tags that are asked for by name: bounded time, linear.
#[test]
fn refs_beyond_number() {
    let w = World::new();
    w.model("alice/m");
    let tip = w.remote_tip("alice/m", "main").unwrap();
    let (peer, shown) = server(w.bare("alice/m"));
    let many: Vec<String> = (0..100_000)
        .map(|number| format!("refs/pr/{number}"))
        .collect();
    let mut names: Vec<&[u8]> = vec![b"HEAD", b"refs/heads/main"];
    names.extend(many.iter().map(String::as_bytes));
    *shown.lock().unwrap() = listing("git-upload-pack", &tip, &names, "refs/heads/main");
    let begun = Instant::now();
    let ours = once(&w, &peer, "ours").clone_repo().unwrap();
    let cloned = begun.elapsed();
    // Tags that are not here, of a commit that is.
    let mut body = listing("git-upload-pack", &tip, &names[..2], "refs/heads/main");
    body.truncate(body.len() - 4);
    for number in 0..20_000 {
        body.extend(pkt(format!("{number:040x} refs/tags/t{number}\n")));
        body.extend(pkt(format!("{tip} refs/tags/t{number}^{{}}\n")));
    }
    body.extend(b"0000");
    *shown.lock().unwrap() = body;
    let begun = Instant::now();
    // The server does not have them.
    refused(ours.pull(), &[Network, Git, Protocol]);
    let pulled = begun.elapsed();
    assert!(
        cloned + pulled < Duration::from_secs(30),
        "{cloned:?}, {pulled:?}"
    );
}

/// Answers to a push: the ref is not taken for moved, and nothing in the words does harm.
#[test]
fn no_answer_to_a_push_is_more_than_an_error() {
    let w = World::new();
    w.model("alice/m");
    let ours = w.clone("alice/m", "ours");
    write(ours.workdir(), "a.txt", "text\n");
    ours.stage().unwrap();
    let _ = ours.commit("text").unwrap();
    let tip = w.remote_tip("alice/m", "main").unwrap();
    let nothing: Bytes = Vec::new;
    let current = Arc::new(Mutex::new(nothing));
    let said = Arc::clone(&current);
    let peer = Peer::new(move |heard| {
        let service = "git-receive-pack";
        if heard.head.starts_with("GET ") {
            let refs = listing(service, &tip, &[b"refs/heads/main"], "refs/heads/main");
            return Answer::Bytes(listed(service, &refs));
        }
        let kind = format!("Content-Type: application/x-{service}-result\r\n");
        let body = said.lock().unwrap()();
        if body.is_empty() {
            let head = format!("HTTP/1.1 200 X\r\n{kind}\r\n");
            return Answer::Endless(head.into(), band(2, "remote text ".repeat(1000)).repeat(10));
        }
        Answer::Bytes(answer(200, &kind, body))
    });
    let url = format!("{}/alice/m", peer.url());
    w.git(w.path("ours"), &["config", "remote.origin.url", &url]);
    let ours = once(&w, &peer, "ours").open().unwrap();
    let before = w.scene(ours.workdir(), "alice/m");
    each(REPORTS, |(kinds, report)| {
        *current.lock().unwrap() = *report;
        let (begun, taken) = (Instant::now(), peer.sent());
        refused(ours.push(), kinds);
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(peer.sent() - taken < (64 << 20) + IN_BUFFERS);
        assert_eq!(w.scene(ours.workdir(), "alice/m"), before);
        assert_eq!(ours.commits_ahead().unwrap(), 1);
    });
}

/// A piece of side-band.
fn band(number: u8, text: impl AsRef<[u8]>) -> Vec<u8> {
    pkt([&[number], text.as_ref()].concat())
}

/// A report, on the band of data.
fn report(lines: &[&[u8]]) -> Vec<u8> {
    let mut inner: Vec<u8> = lines.iter().flat_map(pkt).collect();
    inner.extend(b"0000");
    [band(1, inner), b"0000".to_vec()].concat()
}

type Report = (&'static [ErrorKind], Bytes);

pub(super) const REPORTS: &[(&str, Report)] = &[
    // None: remote text for ever.
    ("words_without_end", (&[Protocol], Vec::new)),
    (
        "a_reason_with_escapes",
        (&[Rejected], || {
            report(&[
                b"unpack ok\n",
                b"ng refs/heads/main \x1b[2J\x07evil\xc2\x9b\n",
            ])
        }),
    ),
    (
        "a_reason_that_is_not_utf_8",
        (&[Rejected], || {
            report(&[b"unpack ok\n", b"ng refs/heads/main caf\xe9 \xff\n"])
        }),
    ),
    (
        "a_ref_that_is_not_utf_8",
        (&[Network, Protocol], || {
            report(&[b"unpack ok\n", b"ok refs/heads/\xff\n"])
        }),
    ),
    (
        "words_with_escapes",
        (&[Rejected], || {
            let words = band(2, "\x1b]0;title\x07\x1b[31mred\u{202e}\r\nremote: forged\n");
            [words, report(&[b"unpack ok\n", b"ng refs/heads/main no\n"])].concat()
        }),
    ),
    (
        "words_that_are_not_utf_8",
        (&[Rejected], || {
            let words = band(2, b"caf\xe9\xff\n");
            [words, report(&[b"unpack ok\n", b"ng refs/heads/main no\n"])].concat()
        }),
    ),
    (
        "a_pack_that_was_not_taken",
        (&[Git, Network, Protocol, Rejected], || {
            report(&[
                b"unpack \x1b[2Jout of space\n",
                b"ng refs/heads/main unpacker error\n",
            ])
        }),
    ),
    (
        "another_ref_moved",
        (&[Network, Protocol], || {
            report(&[b"unpack ok\n", b"ok refs/heads/other\n"])
        }),
    ),
    (
        "an_error_band_with_escapes",
        (&[Git, Network, Protocol], || {
            [band(3, "fatal: \x1b[2J\x07\u{202e}\n"), b"0000".to_vec()].concat()
        }),
    ),
    (
        "a_report_cut_short",
        (&[Git, Network, Protocol], || band(1, "0030unpack o")),
    ),
];

/// The same from a repository of this machine.
#[test]
fn a_ref_that_is_not_utf_8_in_a_folder() {
    let w = World::new();
    w.model("alice/m");
    let bare = w.bare("alice/m");
    let tip = w.remote_tip("alice/m", "main").unwrap();
    let name = bare
        .join("refs/heads")
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::write(name, format!("{tip}\n")).unwrap();
    let clone = Repository::prepare(bare.to_string_lossy(), w.path("ours")).clone_repo();
    refused(clone, &[Unsupported]);
    assert!(!w.path("ours").exists());
    // A server leaves it alone.
    w.clone("alice/m", "ours");
}

/// Branches and tags that are no commits.
#[test]
fn a_branch_that_is_no_commit() {
    let w = World::new();
    w.model("alice/m");
    let bare = w.bare("alice/m");
    let blob = w.git(&bare, &["hash-object", "-w", "/dev/null"]);
    for (name, id) in [
        ("refs/tags/blob", blob.clone()),
        (
            "refs/tags/tree",
            w.git(&bare, &["rev-parse", "main^{tree}"]),
        ),
    ] {
        w.git(&bare, &["update-ref", name, &id]);
    }
    w.clone("alice/m", "ours");
    // git itself would not let a branch be one.
    fs::write(bare.join("refs/heads/odd"), format!("{blob}\n")).unwrap();
    let ours = Repository::open(w.path("ours")).unwrap();
    ours.pull().unwrap();
    refused(ours.checkout("odd"), &[Git, ErrorKind::RevisionNotFound]);
    fs::write(bare.join("refs/heads/main"), format!("{blob}\n")).unwrap();
    refused(
        w.prepare("alice/m", "fresh").clone_repo(),
        &[Git, Network, ErrorKind::RevisionNotFound],
    );
    assert!(!w.path("fresh").exists());
}

/// Addresses that are not what they look like: refused before anybody is asked.
#[test]
fn no_address_that_deceives_is_asked() {
    let w = World::new();
    let host = w.hub.url().replace("http://", "");
    for source in [
        format!("http://{host}\\@evil.example/a/b"),
        format!("http://{host}/a/../b"),
        format!("http://{host}/a/b/c/d"),
        format!("http://{host}/a/b%2f..%2fc"),
        "http://127.0.0.1:655360/a/b".into(),
        "https://huggingf\u{430}ce.co/a/b".into(),
        "https://huggingface.co\u{2044}a/b".into(),
        "https://huggingface.co\0.evil.example/a/b".into(),
        "https://evil.example\r\nHost: x/a/b".into(),
        "hf://a/../../b".into(),
        "hf://../b".into(),
        "hf://a/b@-x".into(),
        "a/..".into(),
        "a/b/..".into(),
        "a/\u{1b}[2J".into(),
        "-oProxyCommand=evil/b".into(),
        "--upload-pack=evil".into(),
        "ext::sh -c evil".into(),
        "ftp://127.0.0.1/a/b".into(),
        "javascript:alert(1)".into(),
    ] {
        let result = w.prepare(&source, "fresh").clone_repo();
        let kinds = [InvalidSource, ErrorKind::InvalidName];
        let error = refused(result, &kinds);
        assert!(error.hint().is_some(), "{source:?}");
        assert!(!w.path("fresh").exists());
    }
    assert!(w.hub.requests().is_empty());
}

/// The Hub's name in front of an `@` is a user's name, and the host is another.
#[test]
fn a_host_that_poses_as_the_hub_gets_no_token() {
    let w = World::new();
    let peer = Peer::saying(answer(401, "WWW-Authenticate: Basic realm=\"hub\"\r\n", ""));
    let host = peer.url().replace("http://", "");
    for user in ["huggingface.co", "127.0.0.1", "huggingface.co:443"] {
        let clone = w
            .prepare(&format!("http://{user}@{host}/a/b"), "fresh")
            .clone_repo();
        refused(clone, &[ErrorKind::Unauthorized]);
    }
    for heard in peer.heard() {
        assert!(!heard.head.contains(&w.token), "{heard:?}");
        let sent = heard.header("authorization").concat();
        assert!(!sent.contains("bearer"), "{sent}");
    }
}
