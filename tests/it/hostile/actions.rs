//! Where the actions of an LFS server lead, and what comes from there.

use std::fs;

use hf_repository::ErrorKind::{self, LfsObjectCorrupt};
use serde_json::{Value, json};

use super::lfs::{CONTENT, hub, one, pointers_of, say, to_push};
use super::peer::{Answer, Peer, answer};
use super::{each, refused, sha256};
use crate::support::World;
use crate::support::judge::files;

/// A hub whose object is to be got from the peer; extra fields of the action are merged in.
fn from_peer(peer: &Peer, more: Value) -> World {
    let w = hub();
    tell_from_peer(&w, peer, more);
    w
}

fn tell_from_peer(w: &World, peer: &Peer, more: Value) {
    let mut action = json!({ "href": format!("{}/object", peer.url()) });
    action
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let (oid, size) = (sha256(CONTENT), CONTENT.len());
    say(
        w,
        one(json!({ "oid": oid, "size": size, "actions": { "download": action } })),
    );
}

/// The download comes to nothing; at most `most` bytes were taken from the peer.
#[track_caller]
fn nothing_kept(peer: &Peer, kinds: &[ErrorKind], most: u64) {
    let w = from_peer(peer, json!({}));
    // Into an existing clone: what is kept would be in its store.
    let ours = pointers_of(&w);
    let before = w.scene(ours.workdir(), "alice/m");
    refused(ours.fetch_all_content(), kinds);
    assert_eq!(w.scene(ours.workdir(), "alice/m"), before);
    for (name, (_, bytes)) in files(&w.path("ours/.git/lfs")) {
        assert!(bytes.len() < CONTENT.len(), "{name}: {} bytes", bytes.len());
    }
    assert!(peer.sent() <= most, "{} bytes were taken", peer.sent());
    assert!(!peer.heard().is_empty());
}

/// Bytes that may lie in the buffers of two connections.
const IN_BUFFERS: u64 = 32 << 20;

#[test]
fn a_download_without_end_is_cut_off() {
    let head = b"HTTP/1.1 200 X\r\n\r\n".to_vec();
    let peer = Peer::new(move |_| Answer::Endless(head.clone(), vec![b'x'; 64 << 10]));
    nothing_kept(&peer, &[LfsObjectCorrupt], IN_BUFFERS);
}

#[test]
fn a_download_with_one_byte_more() {
    let body = [CONTENT, b"x"].concat();
    let head = b"HTTP/1.1 200 X\r\n\r\n";
    let peer = Peer::saying([&head[..], &body].concat());
    nothing_kept(&peer, &[LfsObjectCorrupt], 1 << 20);
}

#[test]
fn a_download_that_says_it_is_longer() {
    let peer = Peer::saying(answer(200, "", [CONTENT, b"x"].concat()));
    nothing_kept(&peer, &[LfsObjectCorrupt], 1 << 20);
}

#[test]
fn a_download_of_other_bytes() {
    let peer = Peer::saying(answer(200, "", b"WEIGHTS\0WEIGHTS"));
    nothing_kept(&peer, &[LfsObjectCorrupt], 1 << 20);
}

#[test]
fn a_download_with_a_range_nobody_asked_for() {
    let range = "Content-Range: bytes 5-14/15\r\n";
    let peer = Peer::saying(answer(206, range, &CONTENT[5..]));
    let kinds = [LfsObjectCorrupt, ErrorKind::Network];
    nothing_kept(&peer, &kinds, 1 << 20);
}

#[test]
fn a_download_that_is_a_web_page() {
    let peer = Peer::saying(answer(
        200,
        "Content-Type: text/html\r\n",
        "<html></html>xx",
    ));
    nothing_kept(&peer, &[LfsObjectCorrupt], 1 << 20);
}

/// Bytes that are many more when they are unpacked: unpacked, they are counted like any others.
#[test]
fn a_download_that_is_a_bomb() {
    let bomb = super::http::bomb();
    let peer = Peer::saying(answer(200, "Content-Encoding: gzip\r\n", bomb));
    nothing_kept(&peer, &[LfsObjectCorrupt], 1 << 20);
}

/// The rest of a download is asked for; what comes is something else, under the same name.
#[test]
fn no_rest_of_a_download_is_taken_from_elsewhere() {
    let w = hub();
    let ours = pointers_of(&w);
    let folder = w.path("ours/.git/lfs/incomplete");
    fs::create_dir_all(&folder).unwrap();
    each(RESTS, |reply| {
        let reply = *reply;
        let peer = Peer::new(move |heard| {
            Answer::Bytes(if heard.header("range").is_empty() {
                answer(200, "", b"something else!")
            } else {
                reply()
            })
        });
        tell_from_peer(&w, &peer, json!({}));
        let part = folder.join(format!("{}.part", sha256(CONTENT)));
        fs::write(part, &CONTENT[..8]).unwrap();
        let before = w.scene(ours.workdir(), "alice/m");
        refused(ours.fetch_all_content(), &[LfsObjectCorrupt]);
        assert_eq!(w.scene(ours.workdir(), "alice/m"), before);
        assert_eq!(peer.heard()[0].header("range"), ["bytes=8-14"]);
    });
}

/// What comes when the rest is asked for.
type Rest = fn() -> Vec<u8>;

pub(super) const RESTS: &[(&str, Rest)] = &[
    ("a_range_from_the_beginning", || {
        answer(206, "Content-Range: bytes 0-6/15\r\n", &CONTENT[..7])
    }),
    ("a_range_of_something_longer", || {
        answer(206, "Content-Range: bytes 8-14/99\r\n", &CONTENT[8..])
    }),
    ("a_range_in_other_units", || {
        answer(206, "Content-Range: lines 8-14/15\r\n", &CONTENT[8..])
    }),
    ("a_range_without_a_name", || answer(206, "", &CONTENT[8..])),
    ("a_range_with_one_byte_more", || {
        answer(
            206,
            "Content-Range: bytes 8-15/15\r\n",
            [&CONTENT[8..], b"x"].concat(),
        )
    }),
    ("a_range_of_other_bytes", || {
        answer(206, "Content-Range: bytes 8-14/15\r\n", b"WEIGHTS")
    }),
    ("the_rest_as_if_it_were_all", || {
        answer(200, "", &CONTENT[8..])
    }),
    ("no_such_range", || answer(416, "", "")),
];

/// What an action may say of its request, and what it may not.
#[test]
fn headers_of_an_action_do_not_frame_the_request() {
    let peer = Peer::saying(answer(200, "", CONTENT));
    let w = from_peer(
        &peer,
        json!({ "header": {
        "Host": "evil.example", "Content-Length": "999", "Transfer-Encoding": "chunked",
        "Connection": "upgrade", "Upgrade": "h2c", "Expect": "100-continue", "TE": "trailers",
        "Trailer": "X", "Keep-Alive": "1", "Proxy-Authorization": "x", "X-Own": "own",
        "Authorization": "Own secret" } }),
    );
    w.clone("alice/m", "ours");
    assert_eq!(fs::read(w.path("ours/w.bin")).unwrap(), CONTENT);
    let heard = peer.heard();
    let [heard] = &*heard else {
        panic!("{heard:?}")
    };
    let host = peer.url().replace("http://", "");
    assert_eq!(heard.header("host"), [host]);
    for name in [
        "content-length",
        "transfer-encoding",
        "upgrade",
        "expect",
        "te",
        "trailer",
        "keep-alive",
        "proxy-authorization",
    ] {
        assert!(heard.header(name).is_empty(), "{name}: {heard:?}");
    }
    assert_eq!(heard.header("x-own"), ["own"]);
    // The server's own: it is for this one request.
    assert_eq!(heard.header("authorization"), ["own secret"]);
}

#[test]
fn users_in_an_address_are_not_sent() {
    let peer = Peer::saying(answer(200, "", CONTENT));
    let href = peer.url().replace("http://", "http://user:password@");
    let w = from_peer(&peer, json!({ "href": href }));
    w.clone("alice/m", "ours");
    assert!(peer.heard()[0].header("authorization").is_empty());
}

/// It says that the token is needed at another origin, in every way there is.
#[test]
fn another_origin_that_wants_the_token_does_not_get_it() {
    for authenticated in [true, false] {
        let wants = "WWW-Authenticate: Basic realm=\"hub\"\r\n";
        let peer = Peer::saying(answer(401, wants, ""));
        let w = hub();
        let (oid, size) = (sha256(CONTENT), CONTENT.len());
        let actions = json!({ "download": { "href": peer.url() } });
        say(
            &w,
            one(
                json!({ "oid": oid, "size": size, "authenticated": authenticated,
            "actions": actions }),
            ),
        );
        let fresh = w.prepare("alice/m", "fresh").clone_repo();
        refused(fresh, &[ErrorKind::Unauthorized]);
        assert!(!peer.heard().is_empty());
        for heard in peer.heard() {
            assert!(heard.header("authorization").is_empty(), "{heard:?}");
        }
    }
}

#[test]
fn a_verification_elsewhere_gets_no_token() {
    let peer = Peer::saying(answer(200, "", ""));
    let (w, ours) = to_push();
    let action = json!({ "href": peer.url() });
    let (oid, size) = (sha256(CONTENT), CONTENT.len());
    say(
        &w,
        one(json!({ "oid": oid, "size": size, "actions": { "upload": action, "verify": action } })),
    );
    // The hub's own hook finds out that it does not have the object.
    refused(ours.push(), &[ErrorKind::Rejected]);
    let heard = peer.heard();
    assert!(heard.len() >= 2);
    for heard in heard {
        assert!(
            heard.header("authorization").is_empty() && !heard.head.contains("hf_"),
            "{heard:?}"
        );
    }
}

/// Odd times are no reason to fail, or to wait.
#[test]
fn expiries_out_of_this_world() {
    let peer = Peer::saying(answer(200, "", CONTENT));
    let w = hub();
    for expiry in [
        json!({ "expires_in": -5 }),
        json!({ "expires_in": i64::MIN }),
        json!({ "expires_in": i64::MAX }),
        json!({ "expires_at": "9999-12-31T23:59:59Z" }),
        json!({ "expires_at": "-009999-01-02T00:00:00Z" }),
        json!({ "expires_at": "tomorrow" }),
    ] {
        tell_from_peer(&w, &peer, expiry);
        w.clone("alice/m", "ours");
        assert_eq!(fs::read(w.path("ours/w.bin")).unwrap(), CONTENT);
        fs::remove_dir_all(w.path("ours")).unwrap();
    }
}
