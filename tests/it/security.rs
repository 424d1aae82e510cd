//! SECURITY.md names real tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The names in backticks that look like tests: `module::test`.
pub(crate) fn named(text: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
        word.contains("::") && word.chars().all(plain)
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// Where the tests of a module may be.
fn files(module: &str) -> Vec<PathBuf> {
    let path = module.replace("::", "/");
    let mut files = vec![
        format!("tests/it/{path}.rs"),
        format!("tests/it/{path}/mod.rs"),
    ];
    if let Some(own) = path.strip_suffix("/tests") {
        files.extend([
            format!("src/{own}.rs"),
            format!("src/{own}/mod.rs"),
            format!("src/{path}.rs"),
        ]);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    files.iter().map(|file| root.join(file)).collect()
}

pub(crate) fn exists(name: &str) -> bool {
    let (module, test) = name.rsplit_once("::").unwrap();
    let texts = files(module)
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    let has = |text: String| {
        let mut lines = text.lines().map(str::trim);
        let mut is_test = false;
        lines.any(|line| {
            let found = is_test && line.starts_with(&format!("fn {test}("));
            is_test = line == "#[test]" || is_test && line.starts_with('#');
            found
        })
    };
    texts.into_iter().any(has)
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let text = include_str!("../../SECURITY.md");
    let missing: Vec<&str> = named(text)
        .into_iter()
        .filter(|name| !exists(name))
        .collect();
    assert!(
        missing.is_empty(),
        "SECURITY.md names no tests: {missing:#?}"
    );
    let is_row = |line: &&str| line.starts_with("| ") && !line.contains("| Tests |");
    let rows: Vec<&str> = text.lines().filter(is_row).collect();
    assert!(rows.len() > 20, "where are the promises?");
    let bare: Vec<&&str> = rows.iter().filter(|row| named(row).is_empty()).collect();
    assert!(bare.is_empty(), "promises without a test: {bare:#?}");
}

#[test]
fn a_name_that_is_none_is_found() {
    assert!(exists("security::a_name_that_is_none_is_found"));
    assert!(exists("url::tests::origins_compare_scheme_host_and_port"));
    for none in [
        "security::named",
        "security::no_such_test",
        "nowhere::x",
        "url::tests::url",
    ] {
        assert!(!exists(none), "{none}");
    }
    assert_eq!(named("`a::b` a::c `x y::z` `D::e` `f`"), ["a::b"]);
}
