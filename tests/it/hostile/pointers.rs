//! Pointers that come with a repository, and objects that are not what they say.

use std::fs;

use hf_repository::ErrorKind::{self, LfsObjectMissing};
use mini_hub::Route;

use super::lfs::{CONTENT, at, hub, one, pointers_of, say};
use super::peer::{Answer, Peer};
use super::{Forge, RULES, each, pointer, refused, sha256};
use crate::support::{World, weights, write};

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
    refused(ours.fetch_all_content(), &[LfsObjectMissing]);
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
    let w = hub();
    let ours = pointers_of(&w);
    let oid = sha256(CONTENT);
    let stored = w
        .path("ours/.git/lfs/objects")
        .join(&oid[..2])
        .join(&oid[2..4]);
    fs::create_dir_all(&stored).unwrap();
    fs::write(stored.join(&oid), "evil").unwrap();
    ours.fetch_all_content().unwrap();
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
