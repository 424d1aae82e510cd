//! Model cards in a work tree, with PyYAML as the judge of what is written.

use std::fs;
use std::os::unix::fs::symlink;

use hf_repository::{ErrorKind, ModelCard};

use crate::support::{World, servers, write};

#[test]
fn a_card_is_changed_and_saved_and_the_rest_stays() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let text = "---\r\n# ours\r\nlicense: mit\r\n---\r\n# M\r\n";
    write(repo.workdir(), "README.md", text);
    let mut card = repo.model_card().unwrap().unwrap();
    assert_eq!(card.to_string(), text);
    card.set("license", "apache-2.0").unwrap();
    card.set("tags", ["no", "1.0"]).unwrap();
    repo.set_model_card(&card).unwrap();
    let report = repo.save("a card").unwrap();
    assert!(report.failures.is_empty());
    repo.wait_for_pushes().unwrap();
    let theirs = w.git_clone("alice/m", "theirs");
    assert_eq!(
        fs::read_to_string(theirs.join("README.md")).unwrap(),
        "---\r\n# ours\r\nlicense: apache-2.0\r\ntags:\r\n- \"no\"\r\n- \"1.0\"\r\n---\r\n# M\r\n"
    );
    w.assert_sound(repo.workdir());
}

#[test]
fn no_card_a_link_a_pointer_and_no_text() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let file = repo.workdir().join("README.md");
    let _ = fs::remove_file(&file);
    assert!(repo.model_card().unwrap().is_none());
    let card = ModelCard::parse("# new\n").unwrap();
    let kind = || repo.model_card().unwrap_err().kind();

    let outside = w.path("outside");
    fs::write(&outside, "theirs").unwrap();
    symlink(&outside, &file).unwrap();
    assert_eq!(kind(), ErrorKind::InvalidInput);
    let error = repo.set_model_card(&card).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.hint().is_some(), "{error}");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "theirs");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(kind(), ErrorKind::InvalidInput);
    fs::remove_dir(&file).unwrap();

    let oid = "a".repeat(64);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 5\n");
    write(repo.workdir(), "README.md", pointer);
    assert_eq!(kind(), ErrorKind::LfsObjectMissing);
    write(repo.workdir(), "README.md", b"\xff");
    assert_eq!(kind(), ErrorKind::InvalidInput);
    repo.set_model_card(&card).unwrap();
    assert_eq!(repo.model_card().unwrap(), Some(card));
}

/// Says as JSON what PyYAML reads in front of a card.
const READER: &str = "import json,sys,yaml
text = open(sys.argv[1], encoding='utf-8', newline='').read()
print(json.dumps(yaml.safe_load(text.split('---', 2)[1])))";

#[test]
fn what_is_written_is_what_pyyaml_reads() {
    let Some(python) = servers::named_by("HF_REPOSITORY_GIFTLESS", "a Python with PyYAML") else {
        return;
    };
    let w = World::new();
    let value = serde_json::json!({
        "words": ["no", "yes", "on", "null", "~", "", "2024-01-01", "12:30:45", "1_000", "0o7", "0x1f", "1e3",
            ".5", "1.", "=", "<<", "a: b", "# x", "- x", "'", "\"", "\\", "&a", "*a", "!t", "%d", "@x", "`x`",
            "ü 🤗", "two\nlines\n", " blank ", "\ttab", "x\u{85}y\u{2028}z\u{feff}", "{a}", "[b]", "a,b", "? k"],
        "numbers": [0, -1, 1.5, 1e300, 1_234_567_890_123_456_789_u64],
        "nested": {"a": [{"b": {"c": []}}, {}], "no": true, "x": null},
    });
    for text in ["", "---\r\nold: 1 # c\r\n---\r\nbody"] {
        let mut card = ModelCard::parse(text).unwrap();
        card.set("all", &value).unwrap();
        let file = w.path("card.md");
        fs::write(&file, card.to_string()).unwrap();
        let mut command = w.command(python.to_str().unwrap(), w.path("").as_path());
        let output = command.args(["-c", READER]).arg(&file).output().unwrap();
        assert!(
            output.status.success(),
            "{}\n{card}",
            String::from_utf8_lossy(&output.stderr)
        );
        let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(read["all"], value, "{card}");
    }
}
