//! Imports go down only: words, doors, engines, flows, facade; and what fuzzes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer, the lowest first; a module may use those of its own layer.
const LAYERS: [&[&str]; 6] = [
    &[
        "cancel",
        "card",
        "config",
        "error",
        "gitattributes",
        "gitignore",
        "id",
        "name",
        "parallel",
        "path",
        "probe",
        "progress",
        "secret",
        "source",
        "step",
        "url",
    ],
    &["env", "fs", "http", "process"],
    &["credential", "git", "hub", "lfs"],
    &["local", "login", "place", "push", "remote", "worktree"],
    &["repository"],
    // Bodies of fuzz targets; those that look into a module lie in it.
    &["fuzzing"],
];

/// Modules of one layer that must not know each other.
const STRANGERS: [(&str, &str); 2] = [("git", "lfs"), ("lfs", "git")];

/// Crates that few modules may name, mostly one alone. System calls are needed behind two doors: for
/// files, and for signals to the processes that were started.
const VENDORS: [(&str, &[&str]); 7] = [
    ("git2", &["git"]),
    ("ureq", &["http"]),
    ("rustls", &["http"]),
    ("webpki_root_certs", &["http"]),
    ("duct", &["process"]),
    ("rustix", &["fs", "parallel", "process"]),
    ("libgit2_sys", &["git"]),
];

/// Modules a file imports by `crate::`, with the line that does.
fn imports(text: &str) -> Vec<(String, String)> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    for line in code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for after in line.split("crate::").skip(1) {
            let name: String = after
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            // `crate::Error` and the like come from the words; `crate::{…}` is spelt out below.
            if name.starts_with(|c: char| c.is_ascii_lowercase()) {
                found.push((name, line.trim().to_owned()));
            }
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn violations(module: &str, text: &str) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let Some(own) = layer(module) else {
        return vec![format!("{module} belongs to no layer")];
    };
    let mut wrong = Vec::new();
    for (used, line) in imports(text) {
        match layer(&used) {
            None => wrong.push(format!("{module} uses {used}, which has no layer: {line}")),
            Some(other) if other > own => {
                wrong.push(format!("{module} must not use {used}: {line}"));
            }
            Some(_) if STRANGERS.contains(&(module, &used)) => {
                wrong.push(format!("{module} must not know {used}: {line}"));
            }
            Some(_) => {}
        }
    }
    for (vendor, owners) in VENDORS {
        let named = |line: &&str| {
            let code = line.split("//").next().unwrap();
            code.contains(&format!("{vendor}::")) || code.contains(&format!("use {vendor}"))
        };
        if !owners.contains(&module)
            && let Some(line) = text.lines().find(named)
        {
            wrong.push(format!(
                "{vendor} is the business of {owners:?}, not of {module}: {line}"
            ));
        }
    }
    if text.contains("use crate::{") || text.contains("use crate::*") {
        wrong.push(format!("{module}: name the modules one by one"));
    }
    wrong
}

#[test]
fn imports_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in sources(&root) {
        let below = file.strip_prefix(&root).unwrap();
        let first = below
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        *seen.entry(module.clone()).or_default() += 1;
        let text = fs::read_to_string(&file).unwrap();
        wrong.extend(
            violations(&module, &text)
                .into_iter()
                .map(|what| format!("{}: {what}", below.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let layered = LAYERS.iter().map(|layer| layer.len()).sum::<usize>();
    assert_eq!(
        seen.len(),
        layered,
        "a layer names a module that is gone: {seen:?}"
    );
}

#[test]
fn an_arrow_that_runs_up_is_found() {
    assert_eq!(violations("fs", "use crate::error::Error;\n"), [""; 0]);
    assert_eq!(violations("fs", "use crate::git::Git;\n").len(), 1);
    assert_eq!(
        violations("lfs", "fn f() { crate::git::open() }\n").len(),
        1
    );
    assert_eq!(violations("lfs", "use git2::Oid;\n").len(), 1);
    assert_eq!(
        violations("worktree", "let x = ureq::get(\"\");\n").len(),
        1
    );
    assert_eq!(violations("error", "use crate::{fs, git};\n").len(), 1);
}

#[test]
fn what_threads_share_may_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<hf_repository::Repository>();
    shared::<hf_repository::PrepareRepository>();
    shared::<hf_repository::Error>();
    shared::<hf_repository::CancelToken>();
    shared::<hf_repository::Progress>();
    assert_eq!(size_of::<hf_repository::Error>(), size_of::<usize>());
}
