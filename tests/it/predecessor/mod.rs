//! What went wrong with Python's `Repository`, and the tests that fail if it goes wrong here.
//!
//! | What it did | Shown by |
//! |---|---|
//! | the token is in the remote's address, the config and the commit's page | `predecessor::traces::an_address_with_a_token_shows_it_nowhere`, `secrets::the_token_is_on_no_disk_and_at_no_other_origin` |
//! | cloning changes the user's git config and installs hooks | `predecessor::traces::a_clone_leaves_the_user_and_the_config_alone` |
//! | a plaintext credential helper is added to every clone | `predecessor::traces::a_clone_leaves_the_user_and_the_config_alone` |
//! | opening compares addresses letter by letter, and writes the identity anew | `predecessor::traces::another_spelling_is_no_other_remote` |
//! | a quiet log hides failed clones, pulls, pushes and prunes | `predecessor::failures::a_quiet_log_hides_no_failure` |
//! | a push that failed under a quiet log returns an address | `predecessor::failures::a_quiet_log_hides_no_failure` |
//! | a name with a space becomes two rules, a glob a rule that matches nothing, a dash an option | `predecessor::names::a_rule_for_a_name_matches_that_name` |
//! | odd names are read wrongly out of the status, or stop everything | `lookups::files_that_are_gone_are_listed_under_their_whole_names`, `predecessor::names::folders_and_files_with_odd_names_go_all_the_way` |
//! | command lines are split at spaces | `predecessor::names::folders_and_files_with_odd_names_go_all_the_way` |
//! | files that are staged already are never looked at | `staging::what_git_staged_becomes_right_before_it_is_committed`, `lookups::a_preview_is_what_staging_does_and_changes_nothing` |
//! | two to four processes for each file | `round_trip::no_git_is_needed` |
//! | a rule for a file of the root reaches every folder | `predecessor::names::a_rule_of_the_root_reaches_no_deeper` |
//! | staging a folder leaves the rules unstaged | `predecessor::names::a_folder_is_staged_with_its_rules` |
//! | the first push to an empty repository fails | `round_trip::an_empty_repository_gets_its_first_commit` |
//! | what a server says fills a pipe that nobody reads, and the push hangs | `predecessor::failures::a_talkative_server_blocks_no_push`, `process::tests::much_output_on_both_pipes_blocks_nobody` |
//! | reading the words of a push waits for its end | `predecessor::failures::looking_at_a_push_never_waits` |
//! | nobody hears of a push that failed unless he asks | `background::what_fails_is_told_by_the_handle_the_next_save_and_close` |
//! | what has ended stays in the queue | `parity_python::pushing::one_push_waits_and_then_none` |
//! | pushes run side by side and overtake one another | `background::twenty_commits_arrive_in_order`, `interleavings::random_interleavings_lose_nothing` |
//! | a push that failed is followed by pruning | `background::nothing_is_pruned_before_the_server_has_it` |
//! | pruning happens only when somebody asks whether the push is done | `parity_python::space::a_push_that_prunes_keeps_the_size` |
//! | pruning while a push runs takes what it has yet to send | `pruning::what_a_push_has_yet_to_send_stays` |
//! | a background push shows no progress | `background::the_phases_of_a_push_are_told`, `predecessor::failures::looking_at_a_push_never_waits` |
//! | each call waits for a second or two | `predecessor::failures::no_call_waits_for_a_clock` |
//! | checking out a file's name throws its edits away | `predecessor::names::a_file_is_not_checked_out_by_its_name` |
//! | deleting a tag always says it did | `predecessor::tags::deleting_says_what_was_there` |
//! | whether a tag exists on a remote is asked of another one, and no name exists where there is no tag | `predecessor::tags::the_remote_that_is_named_is_asked` |
//! | leaving the commit block by an exception commits and pushes | `predecessor::scopes::what_fails_halfway_is_neither_committed_nor_pushed` |
//! | the whole process changes its folder, and may stay there | `predecessor::scopes::the_processes_folder_stays` |
//! | progress ends at a name with a space | `predecessor::failures::progress_knows_names_with_spaces`, `lfs::git_lfs::progress::tests::lines_of_git_lfs_become_events` |
//! | the old guide names methods that never were | `migration::the_guide_has_every_old_name_and_no_other` |
//! | names that begin with a dash are options | `predecessor::names::names_that_look_like_options_are_names` |
//! | the user's environment and git settings get into what is read | `predecessor::traces::the_users_environment_changes_nothing` |
//! | a killed process is never called failed, and one that was hung up runs for ever | `process::tests::a_program_that_was_killed_has_failed`, `parity_python::pushing::a_push_that_is_ended_is_over` |
//! | at exit failures are not told, there is no deadline, and no object is ever freed | `ends::a_server_that_always_fails_stops_no_training`, `ends::dropping_waits_stops_or_leaves` |
//! | a clean clone whose commits are not pushed yet is not pushed | `predecessor::failures::a_clean_clone_is_pushed_all_the_same` |
//! | the commit's address is returned before the commit has one | `parity_python::pushing::the_page_of_a_background_push_is_there_at_its_end` |
//! | pulling by rebase and content exclude one another | `predecessor::failures::a_rebasing_pull_brings_the_content` |
//! | whole files are read to see whether they are binary | `predecessor::failures::only_the_beginning_of_a_file_is_looked_at` |
//! | the default branch and all its content is cloned before the revision that was asked for | `revisions::a_clone_downloads_the_content_of_its_revision_and_no_other` |
//! | what is left out of LFS may still be refused by the server | `predecessor::failures::what_tracking_leaves_out_the_hub_takes` |

mod failures;
mod names;
mod scopes;
mod tags;
pub(crate) mod traces;

use crate::security::{exists, named};

fn rows() -> Vec<&'static str> {
    let head = include_str!("mod.rs").lines();
    let head = head.take_while(|line| line.starts_with("//!"));
    head.filter(|line| line.starts_with("//! | ") && !line.contains("| Shown by |"))
        .collect()
}

#[test]
fn every_fault_has_a_test() {
    let rows = rows();
    assert!(rows.len() >= 41, "only {} faults", rows.len());
    for row in rows {
        let names = named(row);
        assert!(!names.is_empty(), "nothing shows {row}");
        for name in names {
            assert!(exists(name), "no test is named {name}");
        }
    }
}
