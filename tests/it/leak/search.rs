//! Finds a secret in files, in every form in which it may have got there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Users a secret may be coded together with.
const USERS: [&str; 4] = ["user", "hf_user", "alice", "x-access-token"];

/// The forms of a secret, each with its name.
pub(crate) fn forms(secret: &str) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![("raw".to_owned(), secret.as_bytes().to_vec())];
    let mut add = |name: String, text: String| forms.push((name, text.into_bytes()));
    let percent = |byte: u8, all: bool, upper: bool| match (byte, all, upper) {
        (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~', false, _) => {
            char::from(byte).to_string()
        }
        (_, _, true) => format!("%{byte:02X}"),
        (_, _, false) => format!("%{byte:02x}"),
    };
    for (all, upper) in [(false, false), (false, true), (true, false), (true, true)] {
        let coded = secret
            .bytes()
            .map(|byte| percent(byte, all, upper))
            .collect();
        add(format!("percent-encoded ({all}, {upper})"), coded);
    }
    add(
        "hex".into(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
    );
    add(
        "HEX".into(),
        secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
    );
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let coded = engine.encode([&vec![b'x'; before], secret.as_bytes()].concat());
            // Digits that have bits of the secret alone.
            let certain = &coded[[0, 2, 3][before]..(before + secret.len()) * 8 / 6];
            add(format!("base64 behind {before}"), certain.to_owned());
        }
        for user in USERS {
            let coded = engine.encode(format!("{user}:{secret}"));
            add(format!("base64 of {user}:…"), coded);
        }
    }
    forms
}

/// The names of the forms that the bytes hold.
pub(crate) fn found_in(bytes: &[u8], forms: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut begin = [false; 256];
    for (_, needle) in forms {
        begin[usize::from(needle[0])] = true;
    }
    let mut found = BTreeSet::new();
    // Megabytes are looked at, mostly in vain.
    for (at, _) in bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| begin[usize::from(**byte)])
    {
        let rest = &bytes[at..];
        let names = forms.iter().filter(|(_, needle)| rest.starts_with(needle));
        found.extend(names.map(|(name, _)| name.clone()));
    }
    found.into_iter().collect()
}

/// What was found, and in how many files and bytes was looked.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) hits: Vec<String>,
    pub(crate) files: usize,
    pub(crate) bytes: usize,
}

/// Searches names and contents of all files below a folder.
pub(crate) fn search(folder: &Path, secrets: &[&str]) -> Found {
    let forms: Vec<_> = secrets.iter().map(|secret| forms(secret)).collect();
    let mut found = Found::default();
    below(folder, &forms, &mut found);
    found
}

fn below(folder: &Path, forms: &[Vec<(String, Vec<u8>)>], found: &mut Found) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let mut look = |what: &str, bytes: &[u8]| {
            found.bytes += bytes.len();
            for forms in forms {
                for form in found_in(bytes, forms) {
                    found
                        .hits
                        .push(format!("{form} in {what} {}", path.display()));
                }
            }
        };
        look("the name of", entry.file_name().as_encoded_bytes());
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            look("the target of", target.as_os_str().as_encoded_bytes());
        } else if kind.is_file() {
            look("", &fs::read(&path).unwrap());
            found.files += 1;
        } else if kind.is_dir() {
            below(&path, forms, found);
        }
    }
}

#[test]
fn a_leak_of_every_form_is_found() {
    let secret = "s3same/Open+It~42?x";
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("deep/er");
    fs::create_dir_all(&place).unwrap();
    let planted = forms(secret);
    assert!(planted.len() >= 7 + 6 + 8, "{}", planted.len());
    for (number, (name, form)) in planted.iter().enumerate() {
        let text = [b"before \xff", form.as_slice(), b"= behind\n"].concat();
        fs::write(place.join(number.to_string()), &text).unwrap();
        let found = found_in(&text, &planted);
        assert!(found.contains(name), "{name}: {found:?}");
    }
    // As the header looks that is sent.
    for user in USERS {
        for text in [
            format!("{user}:{secret}"),
            secret.to_owned(),
            format!("a{secret}bc"),
        ] {
            let header = base64::engine::general_purpose::STANDARD.encode(text);
            assert!(
                !found_in(header.as_bytes(), &planted).is_empty(),
                "{header}"
            );
        }
    }
    let found = search(folder.path(), &["other", secret]);
    assert_eq!(found.files, planted.len());
    assert!(found.hits.len() >= planted.len(), "{found:?}");
    for number in 0..planted.len() {
        let name = format!("er/{number}");
        assert!(found.hits.iter().any(|hit| hit.ends_with(&name)), "{name}");
    }
    assert!(search(folder.path(), &["another secret"]).hits.is_empty());
    fs::write(place.join(format!("named {}", &secret[..6])), "").unwrap();
    let found = search(folder.path(), &[&secret[..6]]);
    assert!(
        found.hits.iter().any(|hit| hit.contains("the name of")),
        "{found:?}"
    );
}
