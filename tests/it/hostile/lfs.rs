//! What an LFS server answers when it is asked for objects.

use hf_repository::ErrorKind::{LfsObjectMissing, Protocol};
use hf_repository::{Content, Repository};
use mini_hub::{Action, Fault, Route};
use serde_json::{Value, json};

use super::peer::{Peer, answer};
use super::{Forge, RULES, assert_clean, each, refused, sha256};
use crate::support::{World, write};

/// The content of the one LFS file.
pub(super) const CONTENT: &[u8] = b"weights\0weights";

/// What an LFS server says of an object of that oid and size; the address is one to go to.
type Body = fn(&str, usize, &str) -> String;

/// A hub with one LFS file, and its commit.
pub(super) fn hub() -> World {
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
pub(super) fn say(w: &World, body: String) {
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
        refused(ours.fetch_all_content(), &[Protocol]);
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
pub(super) fn pointers_of(w: &World) -> Repository {
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
pub(super) fn to_push() -> (World, Repository) {
    let w = World::new();
    w.model("alice/m");
    let ours = w.clone("alice/m", "ours");
    write(ours.workdir(), "w.bin", CONTENT);
    ours.stage().unwrap();
    let _ = ours.commit("weights").unwrap();
    (w, ours)
}

/// An answer about one object.
pub(super) fn one(object: Value) -> String {
    json!({ "transfer": "basic", "objects": [object] }).to_string()
}

/// An object to be got from, and sent to, an address.
pub(super) fn at(oid: &str, size: usize, href: impl Into<Value>) -> Value {
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
