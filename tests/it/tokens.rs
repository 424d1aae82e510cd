//! Tokens that are replaced or renewed while a repository is in use.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hf_repository::{Endpoint, Error, ErrorKind, PrepareRepository, Repository, Token};
use mini_hub::{Action, AuthKind, Fault, Role, Route};

use crate::child::succeed;
use crate::support::{World, weights, write};

/// Commits a new LFS file.
fn change(repo: &Repository, seed: u64) {
    write(
        repo.workdir(),
        &format!("{seed}.bin"),
        weights(seed, 20_000),
    );
    repo.stage().unwrap();
    let _ = repo.commit("change").unwrap();
}

/// A token that everybody who has the box may replace.
type Shared = Arc<Mutex<Token>>;

fn shared(token: &str) -> Shared {
    Arc::new(Mutex::new(token.parse().unwrap()))
}

/// A repository of the hub that asks for the token, and how often it did.
fn asking(w: &World, folder: &str, token: &Shared) -> (PrepareRepository, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, token) = (Arc::clone(&asked), Arc::clone(token));
    let prepared = Repository::prepare("alice/m", w.path(folder))
        .endpoint(w.endpoint())
        .token_provider(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Error>(token.lock().unwrap().clone())
        });
    (prepared, asked)
}

/// Lets the first upload of the next push be the moment at which the hub revokes `old`.
fn revoke_in_the_middle(w: &Arc<World>, old: &str, then: impl Fn() + Send + Sync + 'static) {
    let (hub, old) = (Arc::downgrade(w), old.to_owned());
    let act = move || {
        hub.upgrade().unwrap().hub.revoke(&old);
        then();
    };
    w.hub
        .faults()
        .add(Fault::on(Route::LfsPut).act(Action::call(act)));
}

#[test]
fn a_new_token_lets_the_next_push_through() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    change(&repo, 1);
    w.hub.revoke(&w.token);
    assert_eq!(repo.push().unwrap_err().kind(), ErrorKind::Unauthorized);
    let renewed = w.hub.add_token("alice", Role::Write);
    repo.set_token(renewed.parse().unwrap());
    repo.push().unwrap();
    repo.check_write_access().unwrap();
    assert!(!format!("{repo:?}").contains(&renewed));
    // One that is no good is as good as its word.
    repo.set_token("hf_wrong".parse().unwrap());
    assert_eq!(repo.pull().unwrap_err().kind(), ErrorKind::Unauthorized);
}

#[test]
fn a_token_may_come_after_opening() {
    let w = World::new();
    w.model("alice/m");
    let folder = w.path("ours").to_string_lossy().into_owned();
    let mut child = w.child("push-after-set-token", &["alice/m", &folder, &w.token]);
    succeed(&child.env_remove("HF_TOKEN").output().unwrap());
    w.assert_sound(w.clone("alice/m", "again").workdir());
}

#[test]
fn work_under_way_goes_on_with_the_new_token() {
    let w = Arc::new(World::new());
    w.model("alice/m");
    let repo = Arc::new(World::clone(&w, "alice/m", "ours"));
    change(&repo, 1);
    let renewed = w.hub.add_token("alice", Role::Write);
    let pushing = Arc::downgrade(&repo);
    revoke_in_the_middle(&w, &w.token, move || {
        let repo = pushing.upgrade().unwrap();
        repo.set_token(renewed.parse().unwrap());
    });
    repo.push().unwrap();
    // The same with a provider that has a new one.
    let old = w.hub.add_token("alice", Role::Write);
    let token = shared(&old);
    let (prepared, asked) = asking(&w, "other", &token);
    let repo = prepared.clone_repo().unwrap();
    change(&repo, 2);
    let renewed = w.hub.add_token("alice", Role::Write);
    let place = Arc::clone(&token);
    revoke_in_the_middle(&w, &old, move || {
        *place.lock().unwrap() = renewed.parse().unwrap();
    });
    w.hub.clear_requests();
    asked.store(0, Ordering::Relaxed);
    repo.push().unwrap();
    let requests = w.hub.requests();
    let with_token = requests.iter().filter(|r| r.auth != AuthKind::None);
    assert_eq!(asked.load(Ordering::Relaxed), with_token.count());
    assert!(requests.iter().any(|r| r.route == Route::ReceivePack));
    // The test's own hold on the hub ends before the hub does.
    w.hub.faults().clear();
}

#[test]
fn a_provider_counts_like_a_token() {
    let w = World::new();
    w.model("alice/m");
    // What is written into the source counts less; of the two the later call holds.
    let host = w.hub.url().replace("http://", "");
    let source = format!("http://user:hf_wrong@{host}/alice/m");
    let token = w.token.clone();
    let good = move || token.parse::<Token>();
    let bad = || Err::<Token, _>("not asked");
    let prepare =
        |folder: &str| Repository::prepare(source.clone(), w.path(folder)).endpoint(w.endpoint());
    let repo = prepare("a")
        .token_provider(bad)
        .token_provider(good.clone())
        .clone_repo()
        .unwrap();
    repo.check_write_access().unwrap();
    let repo = prepare("b")
        .token("hf_wrong".parse().unwrap())
        .token_provider(good)
        .clone_repo()
        .unwrap();
    repo.check_write_access().unwrap();
    let repo = prepare("c")
        .token_provider(bad)
        .token(w.token.parse().unwrap())
        .clone_repo()
        .unwrap();
    repo.check_write_access().unwrap();
    // And a token set later takes the provider's place.
    let repo = prepare("a").token_provider(bad).open().unwrap();
    assert!(repo.pull().is_err());
    repo.set_token(w.token.parse().unwrap());
    repo.pull().unwrap();
}

#[test]
fn a_provider_that_fails_says_why() {
    let w = World::new();
    w.model("alice/m");
    let fails = || Err::<Token, _>(io::Error::other("the vault is sealed"));
    let prepared = Repository::prepare("alice/m", w.path("ours"))
        .endpoint(w.endpoint())
        .token_provider(fails);
    let error = prepared.clone().clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.downcast_ref::<io::Error>().is_some(), "{error:?}");
    assert!(!w.path("ours").exists());
    assert!(w.hub.requests().is_empty(), "nothing is sent without it");
    // In the middle of a push, on a thread of its own.
    let repo = w.clone("alice/m", "ours");
    change(&repo, 1);
    drop(repo);
    let (asked, token) = (AtomicUsize::new(0), w.token.clone());
    let repo = w
        .prepare("alice/m", "ours")
        .token_provider(move || {
            assert!(asked.fetch_add(1, Ordering::Relaxed) < 2, "no more tokens");
            token.parse::<Token>()
        })
        .open()
        .unwrap();
    let tip = w.remote_tip("alice/m", "main");
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(!format!("{error:?}").contains(&w.token));
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
    assert_eq!(repo.commits_ahead().unwrap(), 1);
}

#[test]
fn a_new_token_goes_where_the_old_one_went() {
    let w = World::new();
    w.model("alice/m");
    let elsewhere: Endpoint = "https://hub.invalid".parse().unwrap();
    let prepare = |source: &str, folder: &str| {
        Repository::prepare(source, w.path(folder))
            .endpoint(elsewhere.clone())
            .token("hf_of_the_hub".parse().unwrap())
    };
    // A server that is not the endpoint gets no token of the endpoint's.
    let repo = prepare(&w.url("alice/m"), "ours").clone_repo().unwrap();
    change(&repo, 1);
    repo.set_token(w.token.parse().unwrap());
    assert_eq!(repo.push().unwrap_err().kind(), ErrorKind::Unauthorized);
    assert!(w.hub.requests().iter().all(|r| r.auth == AuthKind::None));
    // Unless the URL said that it has a password of its own: that is the one to replace.
    let host = w.hub.url().replace("http://", "");
    let source = format!("http://user:hf_wrong@{host}/alice/m");
    let repo = prepare(&source, "ours").open().unwrap();
    assert_eq!(repo.push().unwrap_err().kind(), ErrorKind::Unauthorized);
    repo.set_token(w.token.parse().unwrap());
    repo.push().unwrap();
}

#[test]
fn nothing_that_is_printed_shows_a_provided_token() {
    let w = World::new();
    w.model("alice/m");
    let token = shared(&w.token);
    let (prepared, _) = asking(&w, "ours", &token);
    let shown = format!("{prepared:?}");
    let repo = prepared.clone().clone_repo().unwrap();
    assert!(!format!("{shown}{repo:?}{prepared:?}").contains(&w.token));
    assert!(shown.contains("Provider(…)"), "{shown}");
}

#[test]
fn no_token_is_looked_for_if_that_is_off() {
    let w = World::new();
    w.model("alice/m");
    for (job, auth) in [
        ("clone", AuthKind::Basic),
        ("clone-without-token", AuthKind::None),
    ] {
        let folder = w.path(job);
        w.hub.clear_requests();
        // The child's HF_TOKEN is a good one.
        let mut child = w.child(job, &["alice/m", &folder.to_string_lossy()]);
        succeed(&child.output().unwrap());
        let requests = w.hub.requests();
        let git = requests.iter().find(|r| r.route == Route::InfoRefsUpload);
        assert_eq!(git.unwrap().auth, auth, "{requests:?}");
        let any = requests.iter().any(|r| r.auth != AuthKind::None);
        assert_eq!(any, auth != AuthKind::None, "{requests:?}");
    }
    // Of several calls the last one holds.
    w.hub.clear_requests();
    let prepared = w.prepare("alice/m", "neither").without_token();
    prepared
        .clone()
        .token(w.token.parse().unwrap())
        .clone_repo()
        .unwrap();
    assert!(w.hub.requests().iter().any(|r| r.auth != AuthKind::None));
}
