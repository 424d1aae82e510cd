//! What the tests of Python's `Repository` asserted, asserted here: the same, or something better.
//!
//! Where the behaviour is another one on purpose, the test's comment says why. Files of 5 and 20 MB
//! are replaced by the smallest ones on either side of the limit.
//!
//! | Python's test | What it asserts | Here |
//! |---|---|---|
//! | clone_from_repo_url | an address is cloned | `cloning::an_address_is_cloned` |
//! | clone_from_repo_id | an id is cloned | `cloning::an_id_is_cloned` |
//! | clone_from_repo_name_no_namespace_fails | a name alone is nobody's | `cloning::a_name_without_a_namespace_is_not_found` |
//! | clone_from_not_hf_url | an address on another host is cloned | `cloning::an_address_on_another_host_is_cloned` |
//! | clone_from_missing_repo | what is missing is an error | `cloning::what_is_missing_is_not_found` |
//! | clone_from_prod_canonical_repo_id | the oldest models, by id | `cloning::a_model_without_a_namespace_by_its_id` |
//! | clone_from_prod_canonical_repo_url | the oldest models, by address | `cloning::a_model_without_a_namespace_by_its_address` |
//! | clone_skip_lfs_files | pointers instead of content | `cloning::lfs_files_may_stay_pointers` |
//! | clone_skip_lfs_files | the content can be had later | `cloning::content_comes_when_it_is_asked_for` |
//! | init_from_existing_local_clone | git's clone is opened | `opening::a_clone_by_git_is_opened` |
//! | init_failure | no clone, and nothing to clone from | `opening::a_folder_that_is_no_clone_is_an_error` |
//! | init_clone_in_empty_folder | an empty folder becomes a clone | `opening::an_empty_folder_becomes_a_clone` |
//! | init_clone_in_nonempty_folder | stray files stop a clone | `opening::stray_files_stop_a_clone` |
//! | init_clone_in_nonempty_linked_git_repo_with_token | twice with a token | `opening::a_clone_is_opened_again_with_a_token` |
//! | init_clone_in_nonempty_non_linked_git_repo | another repository's clone | `opening::a_clone_of_another_repository_is_an_error` |
//! | init_clone_in_nonempty_linked_git_repo | opening pulls nothing | `opening::opening_again_pulls_nothing` |
//! | init_clone_in_nonempty_linked_git_repo_unrelated_histories | diverged clones open | `opening::a_clone_that_has_diverged_is_opened` |
//! | is_tracked_upstream | a clone follows its remote | `opening::a_new_clone_follows_its_remote` |
//! | dataset, explicit type | type beside an address | `datasets::an_address_with_the_type_beside_it` |
//! | dataset, implicit type | the address says the type | `datasets::an_address_that_says_the_type` |
//! | dataset, id and type | type beside an id | `datasets::an_id_with_the_type_beside_it` |
//! | dataset, no identity | no author is needed to clone | `datasets::nobody_has_to_be_named` |
//! | dataset, name without a namespace | nobody's, whatever the type | `datasets::a_name_without_a_namespace_is_not_found` |
//! | add_commit_push | the commit has a page | `pushing::a_pushed_commit_has_a_page` |
//! | add_commit_push_non_blocking | running is told from done | `pushing::a_push_in_the_background_runs_and_ends` |
//! | add_commit_push_non_blocking | its page is there at the end | `pushing::the_page_of_a_background_push_is_there_at_its_end` |
//! | context_manager_non_blocking | one push, then none in progress | `pushing::one_push_waits_and_then_none` |
//! | add_commit_push_non_blocking_process_killed | a killed push is over | `pushing::a_push_that_is_ended_is_over` |
//! | commit_context_manager | files of the block are in the repository | `scopes::files_of_a_scope_are_in_the_repository` |
//! | commit_context_manager | a second clone has them | `scopes::a_second_clone_has_what_a_scope_made` |
//! | repo_checkout_commit_context_manager | the block has a branch of its own | `scopes::a_scope_has_its_branch` |
//! | repo_checkout_commit_context_manager | the last branch stays checked out | `scopes::the_last_branch_stays_checked_out` |
//! | add_tag | a tag is here and on the remote | `tags::a_tag_is_on_the_remote_as_well` |
//! | add_annotated_tag | its message comes back from the remote | `tags::a_message_comes_back_from_the_remote` |
//! | delete_tag | deleted here, it stays on the remote | `tags::a_tag_that_is_deleted_here_stays_on_the_remote` |
//! | delete_tag | deleted on the remote as well | `tags::a_tag_is_deleted_here_and_on_the_remote` |
//! | add_tag, offline | a tag of this clone | `tags::a_tag_needs_no_network` |
//! | add_annotated_tag, offline | a message | `tags::a_message_needs_no_network` |
//! | delete_tag, offline | it is gone | `tags::deleting_a_tag_needs_no_network` |
//! | lfs_prune | old versions leave the store | `space::old_versions_leave_the_store` |
//! | lfs_prune_git_push | a push that prunes keeps the size | `space::a_push_that_prunes_keeps_the_size` |
//! | commits_on_correct_branch | each branch has its own commits | `branches::commits_stay_on_their_branch` |
//! | repo_checkout_push | a new branch is pushed as such | `branches::a_new_branch_is_pushed_beside_the_other` |
//! | push_errors_on_wrong_checkout | no branch, no push | `branches::without_a_branch_nothing_is_pushed` |
//! | checkout_non_existing_branch | it must exist | `branches::a_branch_must_exist` |
//! | checkout_new_branch | it is created on request | `branches::a_branch_is_created_on_request` |
//! | is_not_tracked_upstream | a new branch follows nothing | `branches::a_new_branch_follows_nothing` |
//! | no_branch_checked_out_raises | without a branch there is no answer | `branches::without_a_branch_nothing_is_followed` |
//! | git_lfs_filename | a glob is no name | `tracking::a_glob_with_brackets_is_no_name` |
//! | git_lfs_filename | a name is taken literally | `tracking::a_name_with_brackets_is_taken_literally` |
//! | is_tracked_with_lfs | only the file of the rule | `tracking::a_rule_for_a_file_is_for_that_file` |
//! | is_tracked_with_lfs_with_pattern | only in the folder asked for | `tracking::large_files_of_one_folder` |
//! | auto_track_large_files | large ones only | `tracking::large_files_only` |
//! | auto_track_large_files_ignored_with_gitignore | ignored ones not | `tracking::ignored_large_files_are_left_alone` |
//! | auto_track_binary_files | binary ones only | `tracking::binary_files_only` |
//! | auto_track_binary_files_ignored_with_gitignore | ignored ones not | `tracking::ignored_binary_files_are_left_alone` |
//! | auto_track_large_files_through_git_add | staging tracks large files | `staging::large_files_are_tracked` |
//! | auto_no_track_large_files_through_git_add | unless told not to | `staging::large_files_are_not_tracked_if_that_is_off` |
//! | auto_track_binary_files_through_git_add | staging tracks binary files | `staging::binary_files_are_tracked` |
//! | auto_no_track_binary_files_through_git_add | unless told not to | `staging::binary_files_are_not_tracked_if_that_is_off` |
//! | auto_track_updates_removed_gitattributes | a deleted file's rule goes | `tracking::the_rule_of_a_deleted_file_goes_with_it` |
//! | auto_track_updates_removed_gitattributes | a small file in its place is no LFS file | `tracking::a_small_file_in_its_place_is_not_tracked` |
//! | repo_init_checkout_default_revision | a missing revision becomes a branch | `opening::a_revision_that_is_missing_becomes_a_branch` |
//! | repo_init_checkout_default_revision | opening again stays there | `opening::a_branch_stays_checked_out_when_it_is_opened_again` |
//! | repo_init_checkout_revision | commits by their id | `opening::commits_are_checked_out_by_their_id` |
//! | repo_clean | a clean clone, and an untracked file | `staging::an_untracked_file_is_not_clean` |
//! | repo_user | the token's owner commits | `identity::the_owner_of_the_token_commits` |
//! | repo_passed_user | who is named commits | `identity::who_is_named_commits` |

mod branches;
mod cloning;
mod datasets;
mod identity;
mod opening;
mod pushing;
mod scopes;
mod space;
mod staging;
mod tags;
mod tracking;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use hf_repository::{Identity, Repository};

use crate::security::{exists, named};
use crate::support::{World, write};

/// What the old tests had in their repository from the start.
const SEED: &str = "random_file.txt";

/// A hub with a model that holds one file.
fn hub() -> World {
    let w = World::new();
    w.empty_model("alice/m");
    upload(&w, &w.bare("alice/m"), SEED, b"some initial data\n");
    w
}

/// Commits a file to `main` on the server, as somebody else's upload does.
fn upload(w: &World, bare: &Path, name: &str, content: &[u8]) {
    let branch = "refs/heads/main";
    let known = w.try_git(bare, &["rev-parse", "-q", "--verify", branch]);
    let mut script = format!("commit {branch}\ncommitter Hub <hub@example.org> 1700000000 +0000\n");
    script += "data 6\nupload\n";
    if known.status.success() {
        script += &format!("from {branch}^0\n");
    }
    script += &format!("M 100644 inline {name}\ndata {}\n", content.len());
    let mut import = w
        .command("git", bare)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = import.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    stdin.write_all(content).unwrap();
    drop(stdin);
    assert!(import.wait().unwrap().success());
}

/// Adds an LFS file to the model on the server; its content.
fn upload_lfs(w: &World, id: &str) -> Vec<u8> {
    let content = crate::support::weights(7, 3000);
    let rules = b"*.bin filter=lfs diff=lfs merge=lfs -text\n";
    upload(w, &w.bare(id), ".gitattributes", rules);
    let first = w.clone(id, "somebody's");
    write(first.workdir(), "model.bin", &content);
    first.stage().unwrap();
    let _ = first.commit("weights").unwrap();
    first.push().unwrap();
    w.hub.clear_requests();
    content
}

fn identity() -> Identity {
    Identity::new("ci", "ci@dummy.com").unwrap()
}

/// A repository made by `git init`, with one rule; nothing here talks to the hub.
fn offline(w: &World) -> Repository {
    let folder = w.path("ours");
    w.git(
        w.path(""),
        &["init", "-q", "-b", "main", &folder.to_string_lossy()],
    );
    w.git(&folder, &["remote", "add", "origin", &w.url("alice/m")]);
    write(
        &folder,
        ".gitattributes",
        "*.pt filter=lfs diff=lfs merge=lfs -text\n",
    );
    let prepared = w.prepare("alice/m", "ours").identity(identity());
    let repo = prepared.open().unwrap();
    commit(&repo, "the rules");
    repo
}

/// Stages and commits whatever changed.
fn commit(repo: &Repository, message: &str) {
    repo.stage().unwrap();
    assert!(repo.commit(message).unwrap().commit().is_some());
}

fn is_there(repo: &Repository, name: &str) -> bool {
    repo.workdir().join(name).exists()
}

/// The rows of the table above.
fn rows() -> Vec<&'static str> {
    let head = include_str!("mod.rs").lines();
    let head = head.take_while(|line| line.starts_with("//!"));
    head.filter(|line| line.starts_with("//! | ") && !line.contains("| Here |"))
        .collect()
}

#[test]
fn the_list_is_complete() {
    let rows = rows();
    assert!(rows.len() >= 68, "only {} behaviours", rows.len());
    let mut listed = BTreeSet::new();
    for row in rows {
        let names = named(row);
        assert!(!names.is_empty(), "nothing shows {row}");
        for name in names {
            let full = format!("parity_python::{name}");
            assert!(exists(&full), "no test is named {full}");
            listed.insert(name.to_owned());
        }
    }
    // And nothing is here that the list does not have.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/parity_python");
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let module = file.file_stem().unwrap().to_str().unwrap();
        if module == "mod" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let functions = text.split("#[test]\n").skip(1);
        for function in functions {
            let name = function.split(['(', ' ']).nth(1).unwrap();
            let full = format!("{module}::{name}");
            assert!(listed.contains(&full), "{full} is not in the list");
        }
    }
}
