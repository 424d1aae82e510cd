//! A world with a secret in it, and where that is looked for.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use mini_hub::{Action, Fault, Role, Route};

use super::recorder::Recorder;
use super::search::{self, forms, search};
use crate::child::succeed;
use crate::support::World;

/// With letters that are coded differently by everybody.
pub(super) const SECRET: &str = "s3same/Open+It~42?x";
/// A token the hub does not know.
pub(super) const WRONG: &str = "wr0ng/0pen+It~17?y";

/// A world whose secret is [`SECRET`], and what is written down about its children.
pub(super) struct Scene {
    pub(super) w: World,
    pub(super) recorder: Recorder,
    /// What children print and log.
    pub(super) evidence: PathBuf,
}

impl Scene {
    pub(super) fn new() -> Self {
        let mut w = World::new();
        w.hub.add_token_as("alice", Role::Write, SECRET);
        w.token = SECRET.to_owned();
        // No helper: what git is told of the secret, it is told by the library.
        let config =
            "[init]\n\tdefaultBranch = main\n[user]\n\tname = A\n\temail = a@example.org\n";
        fs::write(w.path("gitconfig"), config).unwrap();
        w.model("alice/m");
        let evidence = w.path("evidence");
        let recorder = Recorder::new(&w.path("recorder"));
        for folder in [&evidence, &w.path("tmp"), &w.path("clones")] {
            fs::create_dir_all(folder).unwrap();
        }
        Self {
            w,
            recorder,
            evidence,
        }
    }

    /// The clone that children work in.
    pub(super) fn folder(&self) -> PathBuf {
        self.w.path("clones/ours")
    }

    pub(super) fn child(&self, what: &str, engine: &str) -> Command {
        let log = self.evidence.join("log");
        let (log, folder) = (log.to_string_lossy(), self.folder());
        let arguments = [what, "alice/m", &folder.to_string_lossy(), engine, &log];
        let mut command = self.w.child("leak", &arguments);
        command
            .env("PATH", self.recorder.path())
            .env("TMPDIR", self.w.path("tmp"))
            .env(
                "SETTINGS_OF_SOMETHING",
                format!("{{\"key\": \"{SECRET}\"}}"),
            )
            .env("GIT_CONFIG_GLOBAL", self.w.path("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// Lets a child do `what`, and keeps what it says.
    pub(super) fn run(&self, what: &str, engine: &str) -> String {
        self.run_with(what, engine, |_| {})
    }

    #[track_caller]
    pub(super) fn run_with(
        &self,
        what: &str,
        engine: &str,
        change: impl FnOnce(&mut Command),
    ) -> String {
        let mut command = self.child(what, engine);
        change(&mut command);
        let output = command.output().unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let number = fs::read_dir(&self.evidence).unwrap().count();
        fs::write(self.evidence.join(format!("said-{number}")), said).unwrap();
        succeed(&output)
    }

    /// The hub does this on the nth request of the kind.
    pub(super) fn fault(&self, route: Route, nth: usize, action: Action) {
        let fault = Fault::on(route).nth(nth).act(action);
        self.w.hub.faults().add(fault);
    }

    /// Fails if the secrets are anywhere.
    #[track_caller]
    pub(super) fn assert_nowhere(&self) {
        let mut bytes = 0;
        for folder in ["clones", "evidence", "recorder", "tmp", "home"] {
            let folder = self.w.path(folder);
            if folder.exists() {
                let found = search(&folder, &[SECRET, WRONG]);
                assert!(found.hits.is_empty(), "{:#?}", found.hits);
                bytes += found.bytes;
            }
        }
        assert!(bytes > 100_000, "only {bytes} bytes to search");
        // Commits, trees and blobs are compressed where they lie.
        for clone in fs::read_dir(self.w.path("clones")).unwrap().flatten() {
            let all = ["cat-file", "--batch", "--batch-all-objects"];
            let output = self.w.try_git(&clone.path(), &all);
            for secret in [SECRET, WRONG] {
                let found = search::found_in(&output.stdout, &forms(secret));
                assert!(found.is_empty(), "{found:?} in an object");
            }
        }
        let left = fs::read_dir(self.w.path("tmp")).unwrap().count();
        assert_eq!(left, 0, "files were left in TMPDIR");
    }
}

/// A secret in all its forms, with what steers terminals in between.
pub(super) fn repeated(secret: &str) -> String {
    let forms = forms(secret).into_iter();
    let forms: Vec<String> = forms
        .filter(|(name, _)| !name.starts_with("base64 behind"))
        .map(|(_, form)| String::from_utf8(form).unwrap())
        .collect();
    let (start, end) = secret.split_at(secret.len() / 2);
    format!(
        "you said {} and {start}\u{1b}{end} and {start}\u{200b}{end}",
        forms.join(" and ")
    )
}

/// An answer that repeats the secret: in its headers, and in a body of that type.
pub(super) fn repeating(code: u16, secret: &str, kind: &str) -> Action {
    let words = repeated(secret);
    let header: String = words.chars().filter(|c| matches!(c, ' '..='~')).collect();
    let body = match kind {
        "application/json" => serde_json::json!({ "error": words }).to_string(),
        _ => words,
    };
    let mut headers = vec![
        ("Content-Type".to_owned(), kind.to_owned()),
        ("X-Request-Id".to_owned(), header.clone()),
    ];
    if kind.is_empty() {
        headers = vec![("X-Error-Message".to_owned(), header)];
    }
    Action::Status {
        code,
        headers,
        body,
    }
}
