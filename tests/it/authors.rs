//! Who commits are by, when nobody says so.

use std::path::Path;

use hf_repository::{Repository, Token};
use mini_hub::{Action, Fault, Role, Route};

use crate::child::succeed;
use crate::support::{World, write};

/// A child's work: clones, and commits.
pub(crate) fn commit(source: &str, folder: &Path) {
    let repo = Repository::prepare(source, folder).open_or_clone().unwrap();
    // Each time another one.
    let name = format!("note {}", std::fs::read_dir(folder).unwrap().count());
    commit_here(&repo, &name);
}

/// A child's work: commits as the owner of one token, then of another.
pub(crate) fn commit_as(folder: &Path, tokens: [String; 2]) {
    let repo = Repository::open(folder).unwrap();
    for (number, token) in tokens.iter().enumerate() {
        repo.set_token(token.parse::<Token>().unwrap());
        repo.pull().unwrap();
        commit_here(&repo, &number.to_string());
    }
}

fn commit_here(repo: &Repository, name: &str) {
    write(repo.workdir(), name, name);
    repo.stage().unwrap();
    assert!(repo.commit("a note").unwrap().commit().is_some());
}

impl World {
    /// Clones and commits in a child whose git config is `config`; returns who it was.
    fn author(&self, folder: &str, config: &str, token: Option<&str>) -> String {
        write(&self.path("home"), ".gitconfig", config);
        let folder = self.path(folder);
        let mut child = self.child("author", &["alice/m", &folder.to_string_lossy()]);
        child.env_remove("HF_TOKEN");
        if let Some(token) = token {
            child.env("HF_TOKEN", token);
        }
        succeed(&child.output().unwrap());
        self.author_of(&folder, "HEAD")
    }

    fn author_of(&self, folder: &Path, commit: &str) -> String {
        self.git(folder, &["log", "-1", "--format=%an <%ae>", commit])
    }

    fn asked(&self) -> usize {
        let requests = self.hub.requests();
        let about = |path: &str| path.ends_with("/whoami-v2");
        requests.iter().filter(|r| about(&r.path)).count()
    }
}

const OWNER: &str = "alice <alice@users.noreply.127.0.0.1>";
const NOBODY: &str = "hf-repository <hf-repository@users.noreply.huggingface.co>";

#[test]
fn the_owner_of_the_token_commits_where_git_names_nobody() {
    let w = World::new();
    w.model("alice/m");
    let token = w.token.clone();
    assert_eq!(w.author("a", "", Some(&token)), OWNER);
    assert_eq!(w.asked(), 1);
    // Known from now on, without a question.
    assert_eq!(w.author("a", "", Some(&token)), OWNER);
    assert_eq!(w.asked(), 1);
    // A fine-grained token tells no e-mail address.
    w.hub.tell_email(false);
    assert_eq!(w.author("b", "", Some(&token)), OWNER);
    assert_eq!(w.asked(), 2);
}

#[test]
fn what_git_says_counts_more() {
    let w = World::new();
    w.model("alice/m");
    let token = w.token.clone();
    let name = "[user]\n\tname = Ada\n";
    let both = "[user]\n\tname = Ada\n\temail = ada@example.org\n";
    let half = w.author("half", name, Some(&token));
    assert_eq!(half, "Ada <alice@users.noreply.127.0.0.1>");
    assert_eq!(w.asked(), 1);
    let all = w.author("all", both, Some(&token));
    assert_eq!(all, "Ada <ada@example.org>");
    assert_eq!(w.asked(), 1, "nobody needs to know");
}

#[test]
fn nobody_commits_where_the_hub_does_not_say_who() {
    let w = World::new();
    w.model("alice/m");
    assert_eq!(w.author("anonymous", "", None), NOBODY);
    assert_eq!(w.asked(), 0);
    for (name, action) in [
        ("limited", Action::status(429)),
        ("failing", Action::status(500)),
        ("cut", Action::Cut),
        ("page", Action::Html),
    ] {
        w.hub.clear_requests();
        let whoami = Fault::on(Route::Api).always();
        w.hub.faults().add(whoami.act(action));
        let token = w.token.clone();
        assert_eq!(w.author(name, "", Some(&token)), NOBODY);
        assert_eq!(w.asked(), 1, "{name}: asked once");
        w.hub.faults().clear();
    }
}

#[test]
fn another_token_is_somebody_else() {
    let w = World::new();
    w.hub.add_user("bob");
    let bob = w.hub.add_token("bob", Role::Read);
    w.model("alice/m");
    let token = w.token.clone();
    assert_eq!(w.author("ours", "", Some(&token)), OWNER);
    let folder = w.path("ours");
    let child = w.child(
        "author-of-tokens",
        &[&folder.to_string_lossy(), &bob, &token],
    );
    let mut child = child;
    succeed(&child.output().unwrap());
    assert_eq!(w.author_of(&folder, "HEAD"), OWNER);
    let bobs = w.author_of(&folder, "HEAD~1");
    assert_eq!(bobs, "bob <bob@users.noreply.127.0.0.1>");
}

#[test]
fn who_commits_is_never_who_had_another_token() {
    let w = World::new();
    w.hub.add_user("bob");
    let bob = w.hub.add_token("bob", Role::Write);
    w.model("alice/m");
    let token = w.token.clone();
    assert_eq!(w.author("ours", "", Some(&token)), OWNER);
    // Only opened, nobody asks; without a token, it is whoever it was.
    assert_eq!(w.author("ours", "", Some(&bob)), NOBODY);
    assert_eq!(w.author("ours", "", None), OWNER);
    assert_eq!(w.author("ours", "", Some(&token)), OWNER);
    assert_eq!(w.asked(), 1);
}
