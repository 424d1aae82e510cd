use serde_json::{Value, json};

use super::ModelCard;
use crate::error::ErrorKind;

fn card(text: &str) -> ModelCard {
    ModelCard::parse(text).expect(text)
}

/// Cards as they are on the Hub, in their odd forms.
const CARDS: [&str; 14] = [
    "---\nlicense: mit\n---\n# Title\n",
    "---\r\nlicense: mit\r\ntags:\r\n- a\r\n---\r\n# Title\r\n",
    "\u{feff}---\nlicense: mit\n---\ntext",
    "\n \n---\nlicense: mit\n---\n",
    "---\n# a comment\nlanguage:\n- en # behind\n- 'no'\n\n# between\nmodel-index:\n- name: \"x: y\"\n  results:\n  - task:\n      type: t\n    metrics:\n    - {type: acc, value: 0.9}\n---\n\nbody\n---\nmore\n---\n",
    "no front\n---\na: b\n---\n",
    "",
    "---\n---\nempty\n",
    "---\n\n# only a comment\n---\nempty\n",
    "---\nno end: x\n",
    "---\ntitle: Ünï 🤗\nemoji: 🤗\ncolorFrom: 'red'\n---\nä",
    "---\na: |\n  line\n   # no comment\n\n  end\nb: >-\n  folded\n  text\nc: \"two\n  lines\"\n---",
    "---\ntags: [\na,\n# in it\nb\n]\nlicense: other\n---\n",
    "---\nbase: &b {x: 1}\nuse: *b\nempty:\nnull_too: ~\n---\n",
];

#[test]
fn what_is_not_changed_stays_to_the_byte() {
    for text in CARDS {
        assert_eq!(card(text).to_string(), text);
    }
}

#[test]
fn front_and_body_are_told_apart() {
    for (text, keys, body) in [
        (CARDS[0], &["license"][..], "# Title\n"),
        (CARDS[1], &["license", "tags"], "# Title\r\n"),
        (CARDS[2], &["license"], "text"),
        (CARDS[3], &["license"], ""),
        (
            CARDS[4],
            &["language", "model-index"],
            "\nbody\n---\nmore\n---\n",
        ),
        (CARDS[5], &[], CARDS[5]),
        (CARDS[7], &[], "empty\n"),
        (CARDS[8], &[], "empty\n"),
        (CARDS[9], &[], CARDS[9]),
        (CARDS[11], &["a", "b", "c"], ""),
        (CARDS[12], &["tags", "license"], ""),
        (CARDS[13], &["base", "use", "empty", "null_too"], ""),
    ] {
        let card = card(text);
        assert_eq!(card.keys(), keys, "{text}");
        assert_eq!(card.body(), body, "{text}");
    }
}

#[test]
fn values_are_read() {
    let get = |card: usize, key: &str| self::card(CARDS[card]).get::<Value>(key).expect(key);
    assert_eq!(get(4, "language"), Some(json!(["en", "no"])));
    assert_eq!(get(4, "license"), None);
    let results = json!([{"name": "x: y", "results": [{"task": {"type": "t"},
        "metrics": [{"type": "acc", "value": 0.9}]}]}]);
    assert_eq!(get(4, "model-index"), Some(results));
    assert_eq!(get(11, "a"), Some(json!("line\n # no comment\n\nend\n")));
    assert_eq!(get(11, "c"), Some(json!("two lines")));
    assert_eq!(get(13, "use"), Some(json!({"x": 1})));
    assert_eq!(get(13, "empty"), Some(Value::Null));
    let card = card(CARDS[4]);
    assert_eq!(
        card.get::<Vec<String>>("language")
            .expect("a list")
            .map(|it| it.len()),
        Some(2)
    );
    let wrong = card.get::<u32>("language").expect_err("no number");
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
    assert!(
        !wrong.to_string().contains('\n') && wrong.hint().is_some(),
        "{wrong}"
    );
}

#[test]
fn a_change_touches_its_own_lines_only() {
    let set = |text: &str, key: &str, value: Value| {
        let mut card = card(text);
        card.set(key, value).expect(key);
        card.to_string()
    };
    assert_eq!(
        set(CARDS[1], "license", json!("apache-2.0")),
        "---\r\nlicense: apache-2.0\r\ntags:\r\n- a\r\n---\r\n# Title\r\n"
    );
    assert_eq!(
        set(CARDS[4], "language", json!(["de", "no"])),
        CARDS[4].replace("- en # behind\n- 'no'\n", "- de\n- \"no\"\n")
    );
    assert_eq!(
        set(CARDS[4], "license", json!("mit")),
        CARDS[4].replace("value: 0.9}\n", "value: 0.9}\nlicense: mit\n")
    );
    assert_eq!(
        set(CARDS[12], "tags", json!(["x"])),
        "---\ntags:\n- x\nlicense: other\n---\n"
    );
    assert_eq!(
        set(CARDS[11], "a", json!("short")),
        CARDS[11].replace("a: |\n  line\n   # no comment\n\n  end\n", "a: short\n")
    );
    for (text, made) in [
        ("# Title\n", "---\nx: 1\n---\n# Title\n"),
        ("", "---\nx: 1\n---\n"),
        ("\u{feff}a\r\n", "\u{feff}---\r\nx: 1\r\n---\r\na\r\n"),
        (CARDS[7], "---\nx: 1\n---\nempty\n"),
        (CARDS[8], "---\n\n# only a comment\nx: 1\n---\nempty\n"),
    ] {
        assert_eq!(set(text, "x", json!(1)), made);
    }
}

#[test]
fn a_key_goes_with_its_lines_only() {
    let remove = |text: &str, key: &str| {
        let mut card = card(text);
        card.remove(key).map(|()| card.to_string())
    };
    let without = CARDS[4].replace("language:\n- en # behind\n- 'no'\n", "");
    assert_eq!(remove(CARDS[4], "language").expect("gone"), without);
    assert_eq!(remove(CARDS[4], "none").expect("nothing to do"), CARDS[4]);
    assert_eq!(
        remove(CARDS[0], "license").expect("gone"),
        "---\n---\n# Title\n"
    );
    let error = remove(CARDS[13], "base").expect_err("used by another");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn values_that_yaml_could_mistake_are_quoted() {
    for value in [
        json!("no"),
        json!("1.0"),
        json!("null"),
        json!("~"),
        json!(""),
        json!("2024-01-01"),
        json!("a: b"),
        json!("# x"),
        json!("- x"),
        json!("---"),
        json!("a\n---\nb\n"),
        json!("\u{feff}\u{85}\u{2028}"),
        json!("'\"\\"),
        json!("12:30:45"),
        json!("0o7"),
        json!("&a *a !b"),
        json!([]),
        json!({}),
        json!({"a": {"b": [1, [2.5], {"c": null}]}}),
        json!(u64::MAX),
        json!(-1),
        json!(true),
        json!(1e300),
        json!("x ".repeat(200)),
        json!(" lead"),
        json!("tail\n\n"),
        json!("\t"),
        json!("\r\n"),
    ] {
        for text in ["", "---\r\na: b\r\n---\r\n"] {
            let mut card = card(text);
            card.set("k", &value)
                .unwrap_or_else(|error| panic!("{value}: {error:?}"));
            let again = self::card(&card.to_string());
            assert_eq!(
                again.get::<Value>("k").expect("read"),
                Some(value.clone()),
                "{card}"
            );
        }
    }
    let mut card = card("");
    card.set("odd: key #", 1).expect("quoted");
    assert_eq!(card.keys(), ["odd: key #"]);
    assert_eq!(
        card.set("k", f64::NAN).expect_err("no JSON").kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn what_would_be_too_long_to_read_is_not_set() {
    let mut card = ModelCard::parse("---\na: 1\n---\n").expect("read");
    let error = card.set("b", "x".repeat(1 << 20)).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert_eq!(card.to_string(), "---\na: 1\n---\n");
}

#[test]
fn what_cannot_be_read_is_refused_and_soon() {
    let bomb = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
        let refers = format!("*a{}, ", level - 1).repeat(9);
        format!("{text}a{level}: &a{level} [{refers}]\n")
    });
    let deep = format!("a: {}{}", "[".repeat(5000), "]".repeat(5000));
    let nested: String = (0..500)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    let long = format!("a: {}", "x".repeat(1 << 20));
    for front in [
        "a: [",
        "a: b: c",
        "- a\n- b",
        "text",
        "a: 1\na: 2",
        "a: *none",
        "? [x]\n: y",
        "a: \"\\q\"",
        "\t- x",
        &bomb,
        &deep,
        &nested,
        &long,
    ] {
        let begun = std::time::Instant::now();
        let error = ModelCard::parse(&format!("---\n{front}\n---\n")).expect_err(front);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().len() < 200 && error.hint().is_some(),
            "{error}"
        );
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(5),
            "{error}"
        );
    }
    let long = "x".repeat(17 << 20);
    assert_eq!(
        ModelCard::parse(&long).expect_err("long").kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn keys_that_share_a_line_are_not_changed() {
    let mut card = card("---\n{license: mit, tags: [a]}\n---\n");
    assert_eq!(
        card.get::<String>("license").expect("read").as_deref(),
        Some("mit")
    );
    for error in [
        card.set("license", "x"),
        card.set("new", "x"),
        card.remove("tags"),
    ] {
        assert_eq!(error.expect_err("one line").kind(), ErrorKind::Unsupported);
    }
    assert_eq!(card.to_string(), "---\n{license: mit, tags: [a]}\n---\n");
}

#[test]
fn the_body_is_replaced_alone() {
    let mut card = card("---\na: 1\n---");
    card.set_body("# New\n").expect("fits");
    assert_eq!(card.to_string(), "---\na: 1\n---\n# New\n");
    let mut none = self::card("old");
    let error = none
        .set_body("---\na: 1\n---\n")
        .expect_err("it would be front");
    assert_eq!(
        (error.kind(), none.body()),
        (ErrorKind::InvalidInput, "old")
    );
}
