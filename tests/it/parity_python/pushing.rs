//! Pushes, in the calling thread and in the background.

use std::io::{Read, Write};
use std::net::TcpStream;

use hf_repository::{Delivery, ErrorKind, PushReport, PushState, Repository, Saved};
use mini_hub::Route;

use super::{commit, hub, identity, is_there};
use crate::support::saving::{hold_at, tip, until_state};
use crate::support::{World, write};

fn clone(w: &World) -> Repository {
    let prepared = w.prepare("alice/m", "ours").identity(identity());
    prepared.clone_repo().unwrap()
}

fn fill(repo: &Repository) {
    write(repo.workdir(), "dummy.txt", "hello");
    write(repo.workdir(), "model.bin", "hello\0");
}

/// The answer to HEAD of the commit's page.
#[track_caller]
fn page(w: &World, report: &PushReport) -> String {
    let url = report.url.as_deref().unwrap();
    assert!(
        url.ends_with(&format!("/commit/{}", report.commit)),
        "{url}"
    );
    let host = w.hub.url().strip_prefix("http://").unwrap().to_owned();
    let path = url.strip_prefix(&w.hub.url()).unwrap();
    let mut stream = TcpStream::connect(&host).unwrap();
    write!(
        stream,
        "HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn a_pushed_commit_has_a_page() {
    let w = hub();
    let repo = clone(&w);
    fill(&repo);
    commit(&repo, "two files");
    let report = repo.push().unwrap();
    assert!(page(&w, &report).contains(" 200"));
    assert_eq!(report.lfs_objects, 1);
    assert_eq!(tip(&w), report.commit);
}

#[test]
fn a_push_in_the_background_runs_and_ends() {
    let w = hub();
    let repo = clone(&w);
    fill(&repo);
    commit(&repo, "two files");
    let held = hold_at(&w, Route::ReceivePack);
    let handle = repo.push_in_background().unwrap();
    held.arrived();
    assert!(handle.try_wait().is_none());
    assert_eq!(handle.state(), PushState::Pushing);
    held.release();
    handle.wait().unwrap();
    assert_eq!(handle.state(), PushState::Pushed);
    // It says so again, to anybody who asks.
    assert!(matches!(handle.try_wait(), Some(Ok(Delivery::Pushed(_)))));
}

// Better: the address comes with the end of the push. The old one was handed out when it began.
#[test]
fn the_page_of_a_background_push_is_there_at_its_end() {
    let w = hub();
    let repo = clone(&w);
    fill(&repo);
    let Saved::Queued { handle, .. } = repo.save("two files").unwrap().saved else {
        panic!("something changed");
    };
    let Delivery::Pushed(report) = handle.wait().unwrap() else {
        panic!("it is the only one");
    };
    assert!(page(&w, &report).contains(" 200"));
}

#[test]
fn one_push_waits_and_then_none() {
    let w = hub();
    let repo = clone(&w);
    let held = hold_at(&w, Route::ReceivePack);
    write(repo.workdir(), "dummy.txt", "hello");
    let saved = repo.save("a file").unwrap().saved;
    let Saved::Queued { commit, handle } = saved else {
        panic!("{saved:?}");
    };
    held.arrived();
    let pending = repo.pending_pushes().unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].commit, Some(commit));
    held.release();
    let report = repo.wait_for_pushes().unwrap();
    assert_eq!(report.pushed, [commit]);
    assert_eq!(handle.state(), PushState::Pushed);
    assert!(repo.pending_pushes().unwrap().is_empty());
    assert!(is_there(&repo, "dummy.txt"));
}

// Better: there is no process to be killed. Who wants an end says so, it has a state of its own that is
// neither "running" nor "failed", and the commit is still here.
#[test]
fn a_push_that_is_ended_is_over() {
    let w = hub();
    let repo = clone(&w);
    let before = tip(&w);
    fill(&repo);
    commit(&repo, "two files");
    let held = hold_at(&w, Route::LfsPut);
    let handle = repo.push_in_background().unwrap();
    held.arrived();
    handle.cancel();
    assert_eq!(handle.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    until_state(&handle, PushState::Cancelled);
    assert!(handle.state().is_final());
    held.release();
    assert_eq!(tip(&w), before);
    assert_eq!(repo.commits_ahead().unwrap(), 1);
    repo.push().unwrap();
    assert_eq!(tip(&w), handle.commit().unwrap());
}
