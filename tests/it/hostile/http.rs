//! Answers of servers, and what lies between them and us.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use hf_repository::ErrorKind::{self, Forbidden, Network, Protocol, RateLimited, Server, Timeout};
use hf_repository::{Content, NetworkLimits, Repository};

use super::peer::{Answer, Peer, answer};
use super::{Forge, RULES, each, refused};
use crate::support::World;

/// Blanks, packed by gzip two hundred times smaller.
pub(super) fn bomb() -> Vec<u8> {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| pack(64 << 20)).clone()
}

fn pack(bytes: usize) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut gzip = Command::new("gzip")
        .args(["-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    std::thread::spawn(move || {
        let blanks = vec![b' '; 1 << 20];
        for _ in 0..bytes >> 20 {
            input.write_all(&blanks).unwrap();
        }
    });
    gzip.wait_with_output().unwrap().stdout
}

/// A clone without content whose LFS server is the peer.
fn with_lfs_at(peer: &Peer) -> (World, Repository) {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let (rules, file) = (forge.blob(RULES), forge.lfs(b"weights"));
    let entries = [
        ("100644", &b".gitattributes"[..], &*rules),
        ("100644", b"w.bin", &*file),
    ];
    forge.publish(&forge.tree(&entries));
    let clone = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    clone.clone_repo().unwrap();
    w.git(
        w.path("ours"),
        &["config", "lfs.url", &format!("{}/lfs", peer.url())],
    );
    let limits = NetworkLimits::default().retries(0);
    let ours = w
        .prepare("alice/m", "ours")
        .network_limits(limits)
        .open()
        .unwrap();
    (w, ours)
}

/// What an answer may lead to.
type Outcome = &'static [ErrorKind];
type Reply = fn() -> Answer;

/// Answers to the question about an object: each is an error within the time of two seconds, and no
/// more than some megabytes are taken.
#[test]
fn no_answer_of_a_server_is_more_than_an_error() {
    let nothing: Reply = || Answer::Bytes(Vec::new());
    let current = Arc::new(Mutex::new(nothing));
    let script = Arc::clone(&current);
    let peer = Peer::new(move |_| script.lock().unwrap()());
    let (w, ours) = with_lfs_at(&peer);
    let before = w.scene(ours.workdir(), "alice/m");
    each(ANSWERS, |(kinds, reply)| {
        *current.lock().unwrap() = *reply;
        let (begun, taken, heard) = (Instant::now(), peer.sent(), peer.heard().len());
        refused(ours.fetch_all_content(), kinds);
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
        let taken = peer.sent() - taken;
        // The cap of JSON, and what fits into buffers.
        assert!(taken < 48 << 20, "{taken} bytes were taken");
        assert!(peer.heard().len() > heard);
        assert_eq!(w.scene(ours.workdir(), "alice/m"), before);
    });
    // Nobody is locked out by what a stranger said.
    w.hub.clear_requests();
    assert!(ours.pull().unwrap().is_up_to_date());
}

macro_rules! answers {
    ($($row:ident: $kinds:expr, $answer:expr;)*) => {
        pub(super) const ANSWERS: &[(&str, (Outcome, Reply))] =
            &[$((stringify!($row), (&$kinds, || Answer::from($answer)))),*];
    };
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self::Bytes(text.into())
    }
}

/// A head, and then the same bytes for ever.
fn endless(head: &str, again: impl Into<Vec<u8>>) -> Answer {
    Answer::Endless(head.into(), again.into().repeat(1000))
}

answers! {
    a_body_without_end: [Protocol], endless("HTTP/1.1 200 X\r\n\r\n", " ");
    chunks_without_end: [Protocol],
        endless("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\n    \r\n");
    a_bomb: [Protocol], answer(200, "Content-Encoding: gzip\r\n", bomb());
    a_bomb_without_end: [Protocol, Network],
        Answer::Endless(
            [&b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\n\r\n"[..], &bomb()].concat(),
            bomb(),
        );
    a_packing_that_is_none: [Protocol, Network], answer(200, "Content-Encoding: gzip\r\n", "{}");
    a_packing_nobody_asked_for: [Protocol], answer(200, "Content-Encoding: br\r\n", "\x01\x02");
    a_web_page: [Protocol], answer(200, "Content-Type: text/html\r\n", "<html>log in</html>");
    nothing: [Network, Protocol], "";
    no_content: [Protocol], "HTTP/1.1 204 X\r\n\r\n";
    not_modified: [Protocol], "HTTP/1.1 304 X\r\n\r\n";
    an_error_text_without_end: [Server], endless("HTTP/1.1 500 X\r\n\r\n", "x");
    an_error_text_with_escapes: [Forbidden],
        answer(403, "", "{\"message\":\"\u{1b}]0;title\u{7}\u{1b}[2Jtwo\\nlines\u{202e}\u{9b}31m\"}");
    an_error_header_with_escapes: [Protocol],
        answer(403, "X-Error-Message: a\x1b[2Jb\r\nX-Request-Id: \x1b]0;t\x07\r\n", "");
    an_error_text_of_half_a_character: [Forbidden], {
        let mut bytes = answer(403, "", "{\"message\":\"caf__\"}");
        let end = bytes.len() - 4;
        bytes[end..end + 2].copy_from_slice(b"\xe9\xff");
        bytes
    };
    another_protocol: [Network, Protocol], "SSH-2.0-OpenSSH_9.6\r\n";
    no_status: [Network, Protocol], "HTTP/1.1\r\n\r\n";
    a_status_of_four_digits: [Network, Protocol], "HTTP/1.1 2000 X\r\n\r\n";
    a_status_of_letters: [Network, Protocol], "HTTP/1.1 abc X\r\n\r\n";
    a_status_nobody_knows: [Protocol], answer(999, "", "");
    interim_answers_without_end: [Network, Protocol],
        endless("", "HTTP/1.1 103 Early Hints\r\n\r\n");
    continue_without_end: [Network, Protocol], endless("", "HTTP/1.1 100 Continue\r\n\r\n");
    a_change_of_protocol: [Network, Protocol],
        "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n";
    a_header_without_end: [Network, Protocol], endless("HTTP/1.1 200 X\r\nX: ", "x");
    headers_without_end: [Network, Protocol], endless("HTTP/1.1 200 X\r\n", "X: y\r\n");
    a_header_of_no_name: [Network, Protocol], "HTTP/1.1 200 X\r\n: y\r\n\r\n";
    a_header_of_odd_bytes: [Network, Protocol], "HTTP/1.1 200 X\r\nX\0y: z\r\n\r\n";
    a_length_that_is_longer: [Network], "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{}";
    a_length_that_is_shorter: [Protocol],
        "HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\n{\"objects\":[]}";
    a_length_below_zero: [Network, Protocol], "HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n{}";
    a_length_of_two_to_the_64: [Network, Protocol],
        "HTTP/1.1 200 X\r\nContent-Length: 18446744073709551616\r\n\r\n{}";
    a_length_just_below: [Network, Protocol],
        "HTTP/1.1 200 X\r\nContent-Length: 18446744073709551615\r\n\r\n{}";
    two_lengths: [Network, Protocol],
        "HTTP/1.1 200 X\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x";
    a_chunk_of_two_to_the_64: [Network, Protocol],
        "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}";
    a_chunk_just_below: [Network, Protocol],
        "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}";
    a_chunk_of_no_number: [Network, Protocol],
        "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}";
    a_chunk_size_without_end: [Network, Protocol],
        endless("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", "0");
    a_wait_of_two_to_the_64_seconds: [RateLimited],
        answer(429, "Retry-After: 18446744073709551615\r\n", "");
    a_wait_until_the_year_9999: [RateLimited],
        answer(429, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", "");
    a_quota_for_two_to_the_64_seconds: [RateLimited],
        answer(429, "RateLimit: \"api\";r=0;t=18446744073709551615\r\n", "");
    a_redirect_without_a_place: [Protocol], answer(307, "", "");
    a_redirect_of_a_post: [Protocol], answer(302, "Location: /elsewhere\r\n", "");
    a_redirect_to_itself: [Protocol], answer(307, "Location: /lfs/objects/batch\r\n", "");
    a_redirect_to_a_file: [Protocol], answer(307, "Location: file:///etc/passwd\r\n", "");
    a_redirect_to_a_file_of_a_host: [Protocol],
        answer(307, "Location: file://localhost/etc/passwd\r\n", "");
    a_redirect_to_ftp: [Protocol], answer(307, "Location: ftp://127.0.0.1/x\r\n", "");
    a_redirect_to_a_script: [Protocol], answer(307, "Location: javascript:alert(1)\r\n", "");
    a_redirect_to_nothing: [Protocol], answer(307, "Location: \r\n", "");
    a_redirect_to_no_host: [Protocol], answer(307, "Location: http://\r\n", "");
    a_redirect_by_backslashes: [Protocol], answer(307, "Location: \\\\evil.example\\x\r\n", "");
    a_redirect_by_a_slash_and_a_backslash: [Protocol], answer(307, "Location: /\\evil.example\r\n", "");
    a_redirect_to_odd_bytes: [Protocol], {
        let mut bytes = answer(307, "Location: /__\r\n", "");
        let at = bytes.windows(2).position(|two| two == b"__").unwrap();
        bytes[at..at + 2].copy_from_slice(b"\xe9\xff");
        bytes
    };
    a_redirect_to_a_port_of_six_digits: [Protocol], answer(307, "Location: http://h:655360/\r\n", "");
}

/// These cost the peer as much as us; they end when the caller says so.
#[test]
fn trailers_without_end_end_with_the_time() {
    let head = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let peer = Peer::new(|_| endless(head, "X: y\r\n"));
    let (w, _ours) = with_lfs_at(&peer);
    let limits = NetworkLimits::default().retries(0);
    let limits = limits.total_timeout(Duration::from_millis(300));
    let ours = w
        .prepare("alice/m", "ours")
        .network_limits(limits)
        .open()
        .unwrap();
    refused(ours.fetch_all_content(), &[Timeout]);
}

/// Where a redirect leads without the token, and where it stays at home.
#[test]
fn a_redirect_elsewhere_takes_no_token_along() {
    let elsewhere = Peer::saying(answer(404, "", ""));
    let host = elsewhere.url().replace("http://", "");
    for location in [
        format!("http://{host}/x"),
        format!("//{host}/x"),
        format!("HTTP://{host}/x"),
        format!("http://user:password@{host}/x"),
        format!("http://{host}/x#fragment"),
    ] {
        let before = elsewhere.heard().len();
        // It gets the token.
        let reply = answer(307, &format!("Location: {location}\r\n"), "");
        let hub = Peer::saying(reply);
        let w = World::new();
        no_clone_from(&w, &hub);
        assert!(
            hub.heard()
                .iter()
                .any(|heard| !heard.header("authorization").is_empty())
        );
        let heard = elsewhere.heard().split_off(before);
        assert!(!heard.is_empty(), "{location}");
        for heard in heard {
            assert!(
                heard.header("authorization").is_empty(),
                "{location}: {heard:?}"
            );
            assert!(!heard.head.contains(&w.token) && heard.body.is_empty());
        }
    }
}

/// The peer is the Hub itself, and has no such repository.
#[track_caller]
fn no_clone_from(w: &World, hub: &Peer) {
    let endpoint = hub.url().parse().unwrap();
    let prepared = w.prepare("alice/m", "fresh").endpoint(endpoint);
    refused(prepared.clone_repo(), &[ErrorKind::RepoNotFound]);
}

/// `://` in a query makes no other address of it.
#[test]
fn a_redirect_with_an_address_in_its_query_stays_where_it_is() {
    let hub = Peer::new(|heard| {
        Answer::Bytes(if heard.head.contains("next=") {
            answer(404, "", "")
        } else {
            answer(307, "Location: /login?next=http://evil.example/\r\n", "")
        })
    });
    no_clone_from(&World::new(), &hub);
    assert!(
        hub.heard()
            .iter()
            .any(|heard| heard.head.contains("/login?next=http://evil"))
    );
}
