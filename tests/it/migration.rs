//! The guide for users of Python's `Repository` has all they may look for, and nothing that never was.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const GUIDE: &str = include_str!("../../docs/migrating-from-python.md");

/// Every public name there was: of the class, its constructor, its handles, the module and what it raised.
const NAMES: &[&str] = &[
    // The constructor.
    "local_dir",
    "clone_from",
    "repo_type",
    "token",
    "git_user",
    "git_email",
    "revision",
    "skip_lfs_files",
    "client",
    // Attributes and properties.
    "command_queue",
    "huggingface_token",
    "current_branch",
    "commands_failed",
    "commands_in_progress",
    // Methods.
    "check_git_versions",
    "git_config_username_and_email",
    "git_credential_helper_store",
    "git_head_hash",
    "git_remote_url",
    "git_head_commit_url",
    "list_deleted_files",
    "lfs_track",
    "lfs_untrack",
    "lfs_enable_largefiles",
    "auto_track_binary_files",
    "auto_track_large_files",
    "lfs_prune",
    "git_pull",
    "git_add",
    "git_commit",
    "git_push",
    "git_checkout",
    "tag_exists",
    "delete_tag",
    "add_tag",
    "is_repo_clean",
    "push_to_hub",
    "commit",
    "repocard_metadata_load",
    "repocard_metadata_save",
    "wait_for_commands",
    // Their arguments.
    "filename",
    "recent",
    "rebase",
    "lfs",
    "auto_lfs_track",
    "upstream",
    "blocking",
    "auto_lfs_prune",
    "create_branch_ok",
    "remote",
    "message",
    "clean_ok",
    "branch",
    "track_large_files",
    "commit_message",
    // Handles.
    "CommandInProgress",
    "title",
    "is_done",
    "status",
    "failed",
    "stderr",
    "stdout",
    "is_done_method",
    "status_method",
    "process",
    "post_method",
    // The module.
    "is_git_repo",
    "is_local_clone",
    "is_tracked_with_lfs",
    "is_git_ignored",
    "is_binary_file",
    "files_to_be_staged",
    "is_tracked_upstream",
    "commits_to_push",
    "lfs_log_progress",
    "repo_type_and_id_from_hf_id",
    // What was raised.
    "EnvironmentError",
    "OSError",
    "ValueError",
    "HTTPError",
    "FutureWarning",
    // What else pushed in the background.
    "CommitScheduler",
    "every",
    "trigger",
    "last_future",
    "allow_patterns",
    "ignore_patterns",
    "path_in_repo",
    "private",
    "squash_history",
    "stop",
    "lock",
    "hub_strategy",
    "hub_always_push",
    "push_in_progress",
    "wait_until_done",
    "overwrite_output_dir",
    "upload_folder",
    "upload_file",
    "create_commit",
    "run_as_future",
];

/// Words of code: what is in backticks or behind `//` in an example.
fn words() -> BTreeSet<&'static str> {
    let mut code: Vec<&str> = Vec::new();
    let mut in_block = false;
    for line in GUIDE.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            code.extend(line.split_once("// ").map(|(_, python)| python));
        } else {
            code.extend(line.split('`').skip(1).step_by(2));
        }
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = code
        .into_iter()
        .flat_map(|code| code.split(move |c| !is_part(c)));
    words.collect()
}

#[test]
fn the_guide_has_every_old_name_and_no_other() {
    let words = words();
    let missing: Vec<&&str> = NAMES.iter().filter(|name| !words.contains(*name)).collect();
    assert!(missing.is_empty(), "the guide lacks {missing:?}");
    // Methods that an earlier guide promised and that never were, and any other that looks like one.
    let invented: Vec<&&str> = words
        .iter()
        .filter(|word| word.starts_with("git_") || word.starts_with("lfs_"))
        .filter(|word| !NAMES.contains(word) && !["lfs_engine", "lfs_fsck"].contains(word))
        .collect();
    assert!(invented.is_empty(), "there was no {invented:?}");
}

/// The headings of the guide are what people search for, so the names they used most come first.
#[test]
fn what_is_looked_for_most_comes_first() {
    let headings: Vec<&str> = GUIDE
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    let first = [
        "push_to_hub",
        "clone_from",
        "git_add",
        "git_commit",
        "git_push",
        "git_pull",
        "commit",
    ];
    for (heading, name) in headings.iter().zip(first) {
        assert_eq!(*heading, format!("## `{name}`"));
    }
}

/// Each example is a comment with Python and Rust below it, so that both are in one place.
#[test]
fn every_example_has_both_sides() {
    let mut examples = 0;
    let mut lines = GUIDE.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("// ") {
            let next = lines.peek().expect("the block ends later");
            let is_rust = !next.trim().is_empty() && !next.starts_with("```");
            assert!(is_rust, "no Rust below {line}");
            examples += 1;
        }
    }
    assert!(examples >= 30, "only {examples}");
}

/// The source of the library, all of it.
fn source(folder: &Path) -> String {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.is_dir() {
        true => source(&path),
        false => fs::read_to_string(path).unwrap(),
    });
    texts.collect()
}

/// The names in the last column of the guide's tables that are functions or fields by their looks.
fn promised() -> BTreeSet<&'static str> {
    let cells = GUIDE
        .lines()
        .filter_map(|line| line.strip_suffix(" |")?.rsplit(" | ").next());
    let code = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut names = BTreeSet::new();
    for code in code {
        if !code.is_empty() && code.chars().all(is_part) {
            names.insert(code);
        }
        for (end, _) in code.match_indices('(') {
            let before = &code[..end];
            names.insert(before.rsplit(|c| !is_part(c)).next().unwrap());
        }
    }
    names
}

#[test]
fn what_the_guide_names_is_there() {
    let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let names = promised();
    assert!(names.len() > 40, "{names:?}");
    let is_there = |name: &&&str| {
        ["(", "<"]
            .iter()
            .any(|next| source.contains(&format!("pub fn {name}{next}")))
            || source.contains(&format!("pub {name}: "))
    };
    let gone: Vec<&&str> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(gone.is_empty(), "the library has no {gone:?}");
}
