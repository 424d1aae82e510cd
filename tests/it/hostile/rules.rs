//! Rules of attributes and ignores that take the time or the memory of whoever reads them.

use std::fs;
use std::time::{Duration, Instant};

use hf_repository::ErrorKind::InvalidInput;
use hf_repository::{Pattern, Repository};

use super::{Forge, each, refused};
use crate::support::{World, heavy, weights, write};

/// What an LFS file of these tests holds.
const CONTENT: &[u8] = b"weights\0weights";
/// Far more than any of this takes, and far less than what grows without bound would.
const LONG: Duration = Duration::from_secs(30);

/// A hub with `.gitattributes` of that content, and an LFS file of that name.
fn hub(rules: &str, name: &str) -> World {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let (rules, file) = (forge.blob(rules), forge.lfs(CONTENT));
    let entries = [
        ("100644", &b".gitattributes"[..], &*rules),
        ("100644", name.as_bytes(), &*file),
    ];
    forge.publish(&forge.tree(&entries));
    w
}

/// All that reads rules: a clone, a status, a stage, a commit, a checkout.
fn everything_with_rules(w: &World) -> Repository {
    let ours = w.clone("alice/m", "ours");
    assert!(ours.status().unwrap().is_clean());
    write(ours.workdir(), "new/a.txt", "text\n");
    ours.stage().unwrap();
    let _ = ours.commit("text").unwrap();
    ours
}

/// Rules that are many, long or tricky, each with the name of an LFS file and whether they give it to LFS.
#[test]
fn no_rules_take_more_than_their_time() {
    each(RULES, |(rules, name, lfs)| {
        let (w, name) = (hub(&rules(), &name()), name());
        let begun = Instant::now();
        let ours = everything_with_rules(&w);
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
        let found = fs::read(ours.workdir().join(&name)).unwrap();
        assert_eq!(found == CONTENT, *lfs, "{name}");
        // What git makes of the same rules.
        let told = w.git(ours.workdir(), &["check-attr", "filter", "--", &name]);
        assert_eq!(told.ends_with(": lfs"), *lfs, "{told}");
    });
}

type Text = fn() -> String;

pub(super) const RULES: &[(&str, (Text, Text, bool))] = &[
    (
        "rules_by_the_hundred_thousand",
        (
            || {
                let others: String = (0..200_000)
                    .map(|n| format!("d{n}/x{n}.bin -filter\n"))
                    .collect();
                others + super::RULES
            },
            || "w.bin".into(),
            true,
        ),
    ),
    (
        "a_rule_of_a_megabyte",
        (
            || format!("{} filter=lfs\n{}", "x".repeat(1 << 20), super::RULES),
            || "w.bin".into(),
            true,
        ),
    ),
    (
        "a_rule_of_stars",
        (
            || format!("{}b filter=lfs\n", "a*".repeat(200)),
            || "a".repeat(200),
            false,
        ),
    ),
    (
        "a_rule_of_stars_and_questions",
        (
            || format!("{}b filter=lfs\n", "*?*a".repeat(100)),
            || "a".repeat(200),
            false,
        ),
    ),
    (
        "a_rule_of_classes",
        (
            || format!("{}b filter=lfs\n", "*[a-z]*[!b]".repeat(60)),
            || "a".repeat(200),
            false,
        ),
    ),
    (
        "a_macro_of_itself",
        (
            || "[attr]one one filter=lfs\n*.bin one\n".into(),
            || "w.bin".into(),
            true,
        ),
    ),
    (
        "macros_of_each_other",
        (
            || "[attr]one two\n[attr]two one filter=lfs\n*.bin two\n".into(),
            || "w.bin".into(),
            true,
        ),
    ),
    (
        "rules_that_are_no_text",
        (
            || format!("\u{1}\u{1b}[2J \u{202e}\u{fc}\n{}", super::RULES),
            || "w.bin".into(),
            true,
        ),
    ),
];

/// As for git, they do not count; so none is added.
#[test]
fn rules_of_a_hundred_megabytes_are_left_alone() {
    let w = hub(super::RULES, "w.bin");
    let ours = w.clone("alice/m", "ours");
    let file = fs::File::create(w.path("ours/.gitattributes")).unwrap();
    // With no bytes on the disk.
    file.set_len((100 << 20) + 1).unwrap();
    write(ours.workdir(), "v.dat", weights(1, 300));
    let begun = Instant::now();
    refused(ours.stage(), &[InvalidInput]);
    refused(ours.track([Pattern::Glob("*.x".into())]), &[InvalidInput]);
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    assert_eq!(file.metadata().unwrap().len(), (100 << 20) + 1);
    assert_eq!(
        w.git(ours.workdir(), &["ls-files"]),
        ".gitattributes\nw.bin"
    );
}

#[test]
fn rules_of_a_hundred_megabytes_that_come_with_a_clone() {
    heavy!();
    let line = format!("#{}\n", "x".repeat(1000));
    let rules = format!("{}{}", super::RULES, line.repeat((101 << 20) / line.len()));
    let w = hub(&rules, "w.bin");
    let ours = w.clone("alice/m", "ours");
    assert!(ours.status().unwrap().is_clean());
    // The file stays the pointer that it is.
    let text = fs::read_to_string(w.path("ours/w.bin")).unwrap();
    assert!(text.contains("oid sha256:"), "{text}");
}

#[test]
fn ignores_take_no_more_than_their_time() {
    let w = World::new();
    w.model("alice/m");
    let forge = Forge::new(&w, "alice/m");
    let many: String = (0..200_000).map(|n| format!("d{n}/x{n}.*\n")).collect();
    let text = format!(
        "{many}{}b\n{}b\n*.tmp\n",
        "a*".repeat(100),
        "*?*a".repeat(100)
    );
    let ignores = forge.blob(text);
    forge.publish(&forge.tree(&[("100644", b".gitignore", &ignores)]));
    let begun = Instant::now();
    let ours = w.clone("alice/m", "ours");
    write(ours.workdir(), &"a".repeat(200), "text\n");
    write(ours.workdir(), "x.tmp", "text\n");
    let staged = ours.stage().unwrap();
    assert_eq!(staged.plain.len(), 1);
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}
