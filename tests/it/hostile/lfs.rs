//! LFS servers, and pointers that come with a repository.

use std::fs;

use hf_repository::ErrorKind::{self, LfsObjectCorrupt, LfsObjectMissing, Protocol};
use hf_repository::{Content, Repository};
use mini_hub::{Action, Fault, Route};
use serde_json::{Value, json};

use super::peer::{Answer, Peer, answer};
use super::{Forge, RULES, assert_clean, each, pointer, refused, sha256};
use crate::support::judge::files;
use crate::support::{World, weights, write};

/// The content of the one LFS file.
const CONTENT: &[u8] = b"weights\0weights";

/// What an LFS server says of an object of that oid and size; the address is one to go to.
type Body = fn(&str, usize, &str) -> String;

/// A hub with one LFS file, and its commit.
fn hub() -> World {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let (rules, file) = (forge.blob(RULES), forge.lfs(CONTENT));
    let entries = [
        ("100644", &b".gitattributes"[..], &*rules),
        ("100644", b"w.bin", &*file),
    ];
    forge.publish(&forge.tree(&entries));
    w
}

/// Lets the LFS server answer all questions so.
fn say(w: &World, body: String) {
    let headers = vec![("Content-Type".into(), "application/vnd.git-lfs+json".into())];
    let code = 200;
    let action = Action::Status {
        code,
        headers,
        body,
    };
    w.hub.faults().clear();
    w.hub
        .faults()
        .add(Fault::on(Route::LfsBatch).always().act(action));
}

/// Downloads so described are refused: nothing is asked of anybody, nothing is on the disk.
#[track_caller]
fn no_downloads(rows: &[(&str, Body)]) {
    let w = hub();
    let ours = pointers_of(&w);
    let trap = Peer::saying(answer(200, "", CONTENT));
    let before = w.scene(ours.workdir(), "alice/m");
    each(rows, |body| {
        w.hub.clear_requests();
        say(&w, body(&sha256(CONTENT), CONTENT.len(), &trap.url()));
        refused(ours.fetch_content([""; 0]), &[Protocol]);
        assert_eq!(w.scene(ours.workdir(), "alice/m"), before);
        assert!(trap.heard().is_empty(), "{:?}", trap.heard());
        for request in w.hub.requests() {
            assert_ne!(request.route, Route::LfsGet, "{request:?}");
        }
    });
    // A clone leaves nothing, either.
    refused(w.prepare("alice/m", "fresh").clone_repo(), &[Protocol]);
    assert!(!w.path("fresh").exists());
}

/// A clone without content.
fn pointers_of(w: &World) -> Repository {
    let plain = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    plain.clone_repo().unwrap()
}

/// Uploads so described are refused: no byte of the file is sent, and the branch stays.
#[track_caller]
fn no_uploads(rows: &[(&str, Body)]) {
    let (w, ours) = to_push();
    let trap = Peer::saying(answer(200, "ETag: x\r\n", ""));
    let before = w.scene(ours.workdir(), "alice/m");
    each(rows, |body| {
        w.hub.clear_requests();
        say(&w, body(&sha256(CONTENT), CONTENT.len(), &trap.url()));
        refused(ours.push(), &[Protocol]);
        assert_eq!(w.scene(ours.workdir(), "alice/m"), before);
        assert!(trap.heard().is_empty(), "{:?}", trap.heard());
        for request in w.hub.requests() {
            let sent = matches!(request.route, Route::LfsPut | Route::ReceivePack);
            assert!(!sent, "{request:?}");
        }
    });
}

/// A clone with the LFS file, committed and not pushed.
fn to_push() -> (World, Repository) {
    let w = World::new();
    w.model("alice/m");
    let ours = w.clone("alice/m", "ours");
    write(ours.workdir(), "w.bin", CONTENT);
    ours.stage().unwrap();
    let _ = ours.commit("weights").unwrap();
    (w, ours)
}

/// An answer about one object.
fn one(object: Value) -> String {
    json!({ "transfer": "basic", "objects": [object] }).to_string()
}

/// An object to be got from, and sent to, an address.
fn at(oid: &str, size: usize, href: impl Into<Value>) -> Value {
    let href = href.into();
    let action = json!({ "href": href });
    json!({ "oid": oid, "size": size, "actions": { "download": action, "upload": action } })
}

#[test]
fn no_answer_that_is_wrong_starts_a_download() {
    no_downloads(ANSWERS);
}

#[test]
fn no_answer_that_is_wrong_starts_an_upload() {
    no_uploads(ANSWERS);
}

#[test]
fn no_parts_that_are_wrong_are_uploaded() {
    no_uploads(LAYOUTS);
}

/// Answers that are refused whichever way the bytes would go.
macro_rules! answers {
    ($($row:ident: |$oid:ident, $size:ident, $href:ident| $body:expr;)*) => {
        pub(super) const ANSWERS: &[(&str, Body)] =
            &[$((stringify!($row), |$oid, $size, $href| $body)),*];
    };
}

answers! {
    an_object_nobody_asked_for: |_o, size, href| one(at(&"ab".repeat(32), size, href));
    one_object_more: |oid, size, href| json!({ "objects": [
        at(oid, size, href), at(&"ab".repeat(32), size, href)] }).to_string();
    no_object: |_o, _s, _h| json!({ "objects": [] }).to_string();
    an_object_twice: |oid, size, href| json!({ "objects": [
        at(oid, size, href), at(oid, size, href)] }).to_string();
    a_larger_size: |oid, size, href| one(at(oid, size + 1, href));
    a_smaller_size: |oid, size, href| one(at(oid, size - 1, href));
    a_negative_size: |oid, _s, href| sized(oid, href, "-15");
    a_size_of_two_to_the_63: |oid, _s, href| sized(oid, href, "9223372036854775808");
    a_size_of_two_to_the_64: |oid, _s, href| sized(oid, href, "18446744073709551616");
    a_size_with_a_fraction: |oid, _s, href| sized(oid, href, "15.0");
    a_size_beyond_all_numbers: |oid, _s, href| sized(oid, href, "1e999");
    a_size_that_is_a_text: |oid, _s, href| sized(oid, href, "\"15\"");
    an_oid_in_capitals: |oid, size, href| one(at(&oid.to_uppercase(), size, href));
    an_oid_that_is_a_path: |oid, size, href| one(at(&format!("../../{}", &oid[6..]), size, href));
    an_oid_that_is_absolute: |_o, size, href| one(at("/etc/passwd", size, href));
    an_oid_with_another_behind_it: |oid, size, href| one(at(&format!("{oid}\0{oid}"), size, href));
    an_oid_that_is_none: |_o, size, href| one(json!({ "oid": null, "size": size,
        "actions": { "download": { "href": href }, "upload": { "href": href } } }));
    another_hash: |oid, size, href| json!({ "hash_algo": "md5",
        "objects": [at(oid, size, href)] }).to_string();
    a_transfer_nobody_knows: |oid, size, href| json!({ "transfer": "carrier-pigeon",
        "objects": [at(oid, size, href)] }).to_string();
    a_transfer_that_was_not_offered: |oid, size, href| json!({ "transfer": "xet",
        "objects": [at(oid, size, href)] }).to_string();
    a_transfer_called_by_escapes: |oid, size, href| json!({ "transfer": "\u{1b}]0;x\u{7}",
        "objects": [at(oid, size, href)] }).to_string();
    an_address_of_a_file: |oid, size, _h| one(at(oid, size, "file:///etc/passwd"));
    an_address_of_a_file_with_a_host: |oid, size, _h| one(at(oid, size, "file://localhost/etc/passwd"));
    an_address_of_ftp: |oid, size, _h| one(at(oid, size, "ftp://127.0.0.1/x"));
    an_address_of_ssh: |oid, size, _h| one(at(oid, size, "ssh://127.0.0.1/x"));
    an_address_that_is_a_script: |oid, size, _h| one(at(oid, size, "javascript:alert(1)"));
    an_address_that_is_data: |oid, size, _h| one(at(oid, size, "data:text/plain,x"));
    an_address_without_a_host: |oid, size, _h| one(at(oid, size, "http:///x"));
    an_address_that_is_relative: |oid, size, _h| one(at(oid, size, "/x"));
    an_address_with_a_line_end: |oid, size, href| one(at(oid, size, format!("{href}/x\r\nX: y")));
    an_address_with_a_blank: |oid, size, href| one(at(oid, size, format!("{href}/x y")));
    an_address_that_is_none: |oid, size, _h| one(at(oid, size, Value::Null));
    an_address_that_is_a_number: |oid, size, _h| one(at(oid, size, 7));
    a_verify_address_of_a_file: |oid, size, href| one(json!({ "oid": oid, "size": size,
        "actions": { "download": { "href": href }, "upload": { "href": href },
                     "verify": { "href": "file://localhost/etc/passwd" } } }));
    a_header_with_a_line_end: |oid, size, href| one(headed(oid, size, href, "X", json!("a\r\nY: b")));
    a_header_with_a_nul: |oid, size, href| one(headed(oid, size, href, "X", json!("a\0b")));
    a_header_name_with_a_line_end: |oid, size, href| one(headed(oid, size, href, "X: y\r\nZ", json!("a")));
    a_header_name_with_a_colon: |oid, size, href| one(headed(oid, size, href, "X:", json!("a")));
    a_header_without_a_name: |oid, size, href| one(headed(oid, size, href, "", json!("a")));
    a_header_that_is_a_list: |oid, size, href| one(headed(oid, size, href, "X", json!(["a"])));
    headers_that_are_a_list: |oid, size, href| one(json!({ "oid": oid, "size": size, "actions": {
        "download": { "href": href, "header": ["X"] }, "upload": { "href": href, "header": ["X"] } } }));
    an_expiry_that_is_a_text: |oid, size, href| one(json!({ "oid": oid, "size": size, "actions": {
        "download": { "href": href, "expires_in": "x" }, "upload": { "href": href, "expires_in": "x" } } }));
    actions_that_are_a_list: |oid, size, _h| one(json!({ "oid": oid, "size": size, "actions": [] }));
    authenticated_that_is_a_text: |oid, size, href| { let mut object = at(oid, size, href);
        object["authenticated"] = json!("yes"); one(object) };
    an_error_code_that_is_none: |oid, size, _h| one(json!({ "oid": oid, "size": size,
        "error": { "code": -404, "message": "x" } }));
    an_error_code_beyond_all: |oid, size, _h| one(json!({ "oid": oid, "size": size,
        "error": { "code": 65536, "message": "x" } }));
    json_that_is_null: |_o, _s, _h| "null".into();
    json_that_is_a_list: |_o, _s, _h| "[]".into();
    json_of_objects_that_are_null: |_o, _s, _h| json!({ "objects": [null] }).to_string();
    json_without_objects: |_o, _s, _h| json!({ "objects": null }).to_string();
    json_that_nests_without_end: |oid, size, href| {
        let deep = "[".repeat(200_000);
        let object = at(oid, size, href);
        format!("{{\"x\":{deep},\"objects\":[{object}]}}")
    };
    json_whose_headers_nest_without_end: |oid, size, href| {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        format!("{{\"objects\":[{{\"oid\":\"{oid}\",\"size\":{size},\"actions\":{{\"upload\":\
            {{\"href\":\"{href}\",\"header\":{{\"X\":{deep}}}}}}}}}]}}")
    };
    json_of_17_mebibytes: |oid, size, href| {
        let mut object = at(oid, size, href);
        object["x"] = json!("x".repeat(17 << 20));
        one(object)
    };
    json_that_is_not_utf_8: |_o, _s, _h| "{\"objects\":[{\"oid\":\"\\ud800\"}]}".into();
    json_that_is_a_web_page: |_o, _s, _h| "<html>log in</html>".into();
    nothing_at_all: |_o, _s, _h| String::new();
}

/// An object with a size spelt so.
fn sized(oid: &str, href: &str, size: &str) -> String {
    one(at(oid, 777_777, href)).replace("777777", size)
}

/// An object with a header.
fn headed(oid: &str, size: usize, href: &str, name: &str, value: Value) -> Value {
    let action = json!({ "href": href, "header": { name: value } });
    json!({ "oid": oid, "size": size, "actions": { "download": action, "upload": action } })
}

/// An upload in parts.
fn parts(oid: &str, size: usize, href: &str, header: Value) -> String {
    let object = json!({ "oid": oid, "size": size,
        "actions": { "upload": { "href": href, "header": header } } });
    json!({ "transfer": "multipart", "objects": [object] }).to_string()
}

/// Ways to divide 15 bytes that are none.
macro_rules! layouts {
    ($($row:ident: |$href:ident| $header:expr;)*) => {
        pub(super) const LAYOUTS: &[(&str, Body)] = &[$((stringify!($row), |oid, size, $href| {
            parts(oid, size, $href, $header)
        })),*];
    };
}

layouts! {
    parts_of_no_bytes: |href| json!({ "chunk_size": "0", "1": href });
    parts_of_less_than_no_bytes: |href| json!({ "chunk_size": "-5", "1": href });
    parts_of_a_fraction: |href| json!({ "chunk_size": "7.5", "1": href, "2": href });
    parts_of_two_to_the_64: |href| json!({ "chunk_size": "18446744073709551616", "1": href });
    parts_of_no_size_at_all: |href| json!({ "chunk_size": "many", "1": href });
    a_part_too_few: |href| json!({ "chunk_size": "10", "1": href });
    a_part_too_many: |href| json!({ "chunk_size": "10", "1": href, "2": href, "3": href });
    no_parts: |_h| json!({ "chunk_size": "10" });
    a_part_zero: |href| json!({ "chunk_size": "10", "0": href, "1": href });
    a_part_twice: |href| json!({ "chunk_size": "10", "1": href, "01": href });
    a_part_left_out: |href| json!({ "chunk_size": "10", "1": href, "3": href });
    a_part_in_a_file: |href| json!({ "chunk_size": "10", "1": href, "2": "file://localhost/etc/passwd" });
    a_part_that_is_a_script: |href| json!({ "chunk_size": "10", "1": href, "2": "javascript:x" });
    parts_beyond_number: |href| {
        let part = |number: u32| (number.to_string(), json!(href));
        let mut all: serde_json::Map<String, Value> = (1..=100_000).map(part).collect();
        all.insert("chunk_size".into(), json!("1"));
        Value::Object(all)
    };
}

#[test]
fn an_error_with_escapes_is_cleaned() {
    let words = "\u{1b}[31mred\u{7}\r\nInjected: line\u{202e}";
    let w = hub();
    let (oid, size) = (sha256(CONTENT), CONTENT.len());
    say(
        &w,
        one(json!({ "oid": oid, "size": size, "error": { "code": 404, "message": words } })),
    );
    let error = refused(
        w.prepare("alice/m", "fresh").clone_repo(),
        &[LfsObjectMissing],
    );
    assert_clean(&error);
}

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
    refused(ours.fetch_content([""; 0]), kinds);
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
        refused(ours.fetch_content([""; 0]), &[LfsObjectCorrupt]);
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

/// What says it is a pointer and is none is a file like any other; no server is asked for it.
#[test]
fn what_is_no_pointer_is_a_file() {
    let w = World::new();
    w.model("alice/m");
    let ours = w.clone("alice/m", "ours");
    each(POINTERS, |text| {
        let text = text();
        publish_pointer(&w, &text);
        ours.pull().unwrap();
        assert_eq!(fs::read_to_string(w.path("ours/w.bin")).unwrap(), text);
        assert!(ours.status().unwrap().is_clean());
        let asked = |request: &mini_hub::RequestRecord| request.route == Route::LfsBatch;
        assert!(!w.hub.requests().iter().any(asked));
    });
}

macro_rules! pointers {
    ($($row:ident: $text:expr;)*) => {
        pub(super) const POINTERS: &[(&str, fn() -> String)] = &[$((stringify!($row), || $text)),*];
    };
}

fn publish_pointer(w: &World, text: &str) {
    let forge = Forge::new(w, "alice/m");
    let (rules, file) = (forge.blob(RULES), forge.blob(text));
    let entries = [
        ("100644", &b".gitattributes"[..], &*rules),
        ("100644", b"w.bin", &*file),
    ];
    forge.publish(&forge.tree(&entries));
}

pointers! {
    a_pointer_of_two_to_the_63_bytes: pointer(&"ab".repeat(32), "9223372036854775808");
    a_pointer_of_two_to_the_64_bytes: pointer(&"ab".repeat(32), "18446744073709551616");
    a_pointer_of_less_than_no_bytes: pointer(&"ab".repeat(32), "-1");
    a_pointer_of_a_fraction: pointer(&"ab".repeat(32), "1.5");
    a_pointer_to_an_oid_in_capitals: pointer(&"AB".repeat(32), "5");
    a_pointer_to_a_path: pointer("../../../../../../etc/passwd", "5");
    a_pointer_with_two_oids: pointer(&format!("{0}\noid sha256:{0}", "ab".repeat(32)), "5");
    a_pointer_with_two_sizes: pointer(&"ab".repeat(32), "5\nsize 6");
    a_pointer_with_another_hash: pointer(&"ab".repeat(32), "5").replace("sha256", "md5");
    a_pointer_with_a_line_nobody_knows: pointer(&"ab".repeat(32), "5") + "evil yes\n";
    a_pointer_with_an_extension_nobody_knows: pointer(&"ab".repeat(32), "5")
        .replace("oid ", "ext-99-evil sha256:x\noid ");
    a_pointer_of_ten_megabytes: pointer(&"ab".repeat(32), "5") + &"\n".repeat(10_000_000);
}

#[test]
fn a_pointer_of_no_bytes_to_another_object() {
    let w = World::new();
    w.model("alice/m");
    publish_pointer(&w, &pointer(&"ab".repeat(32), "0"));
    let ours = w.clone("alice/m", "ours");
    assert!(ours.status().unwrap().is_clean());
    assert!(
        w.hub
            .requests()
            .iter()
            .all(|request| request.route != Route::LfsBatch)
    );
}

/// Sizes that are numbers, but whose sum is none.
#[test]
fn pointers_to_more_than_there_is() {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let names: Vec<String> = (10..20).map(|number| format!("{number}.bin")).collect();
    let blobs: Vec<String> = (10..20)
        .map(|number| {
            forge.blob(pointer(
                &number.to_string().repeat(32),
                "9223372036854775807",
            ))
        })
        .collect();
    let rules = forge.blob(RULES);
    let mut entries: Vec<(&str, &[u8], &str)> = vec![("100644", b".gitattributes", &rules)];
    entries.extend(
        names
            .iter()
            .zip(&blobs)
            .map(|(n, b)| ("100644", n.as_bytes(), &**b)),
    );
    forge.publish(&forge.tree(&entries));
    refused(
        w.prepare("alice/m", "fresh").clone_repo(),
        &[LfsObjectMissing],
    );
    assert!(!w.path("fresh").exists());
    // As pointers they do no harm, and can be pushed to nobody who lacks them.
    let ours = pointers_of(&w);
    assert!(ours.status().unwrap().is_clean());
    refused(ours.fetch_content([""; 0]), &[LfsObjectMissing]);
    let _ = ours.prune().unwrap();
    assert!(ours.status().unwrap().is_clean());
}

/// The server goes on sending until the disk is full, for an object that is allowed to be so large.
#[test]
fn an_object_larger_than_the_disk() {
    let oid = "12".repeat(32);
    let size = "9000000000000000000";
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let (rules, file) = (forge.blob(RULES), forge.blob(pointer(&oid, size)));
    let entries = [
        ("100644", &b".gitattributes"[..], &*rules),
        ("100644", b"w.bin", &*file),
    ];
    forge.publish(&forge.tree(&entries));
    let head = b"HTTP/1.1 200 X\r\n\r\n".to_vec();
    let peer = Peer::new(move |_| Answer::Endless(head.clone(), vec![b'x'; 64 << 10]));
    let object = at(&oid, 777_777, peer.url());
    say(&w, one(object).replace("777777", size));
    refused(
        w.prepare("alice/m", "fresh").clone_repo(),
        &[ErrorKind::DiskFull],
    );
    assert!(!w.path("fresh").exists() && peer.heard().is_empty());
}

#[test]
fn an_object_in_the_store_of_another_size() {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let (rules, file) = (forge.blob(RULES), forge.lfs(CONTENT));
    let entries = [
        ("100644", &b".gitattributes"[..], &*rules),
        ("100644", b"w.bin", &*file),
    ];
    forge.publish(&forge.tree(&entries));
    let ours = pointers_of(&w);
    let oid = sha256(CONTENT);
    let stored = w
        .path("ours/.git/lfs/objects")
        .join(&oid[..2])
        .join(&oid[2..4]);
    fs::create_dir_all(&stored).unwrap();
    fs::write(stored.join(&oid), "evil").unwrap();
    ours.fetch_content([""; 0]).unwrap();
    assert_eq!(fs::read(w.path("ours/w.bin")).unwrap(), CONTENT);
    assert_eq!(fs::read(stored.join(&oid)).unwrap(), CONTENT);
}

/// git's own files may be LFS files, as with git-lfs; what they then say is what was smudged.
#[test]
fn rules_that_are_pointers_themselves() {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let rules = forge.blob("sub/.gitattributes filter=lfs -text\n.lfsconfig filter=lfs -text\n");
    let inner = forge.lfs(b"* filter=evil -text\n[attr]evil filter=evil\n");
    let config = forge.lfs(b"[lfs]\n\turl = file:///etc\n\tstorage = /tmp/evil\n");
    let sub = forge.tree(&[
        ("100644", b".gitattributes", &inner),
        ("100644", b"a", &forge.blob("a")),
    ]);
    forge.publish(&forge.tree(&[
        ("100644", b".gitattributes", &rules),
        ("100644", b".lfsconfig", &config),
        ("40000", b"sub", &sub),
    ]));
    let ours = w.clone("alice/m", "ours");
    assert_eq!(fs::read(w.path("ours/sub/a")).unwrap(), b"a");
    assert!(ours.status().unwrap().is_clean());
    write(ours.workdir(), "w.bin", weights(1, 300));
    ours.stage().unwrap();
    assert!(!std::path::Path::new("/tmp/evil").exists());
    // The repository names a folder of this machine as its LFS server.
    let _ = ours.commit("w").unwrap();
    refused(ours.push(), &[ErrorKind::InvalidInput]);
}
