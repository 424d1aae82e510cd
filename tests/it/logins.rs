//! Logging in and out: who keeps the token, and that git finds it there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use hf_repository::{KeepIn, LoginOptions};

use crate::child::succeed;
use crate::support::{World, write};

/// What the children do, by the free functions or with the file that is named.
pub(crate) fn job(what: &str, token: &str, keep_in: &str) {
    let options = match keep_in {
        "helpers" => LoginOptions::new(),
        "default" => LoginOptions::new().keep_in(KeepIn::DefaultFile),
        file => LoginOptions::new().keep_in(KeepIn::File(file.into())),
    };
    let result = match (what, keep_in) {
        ("login", "helpers") => token.parse().and_then(hf_repository::login),
        ("login", _) => token.parse().and_then(|token| options.login(token)),
        (_, "helpers") => hf_repository::logout(),
        _ => options.logout(),
    };
    match result {
        Ok(()) => println!("RESULT ok"),
        Err(error) => println!("RESULT {:?}: {error} | {error:?}", error.kind()),
    }
}

/// A world with a config of the user's, and whether git is to be found in it.
struct User<'a> {
    w: &'a World,
    git: bool,
}

impl User<'_> {
    fn config(&self, text: &str) {
        write(&self.w.path("home"), ".gitconfig", text);
    }

    #[track_caller]
    fn job(&self, what: &str, token: &str, keep_in: &str) -> String {
        let mut child = self.w.child("login", &[what, token, keep_in]);
        child
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HF_HUB_OFFLINE", "1");
        if !self.git {
            fs::create_dir_all(self.w.path("no-programs")).unwrap();
            child.env("PATH", self.w.path("no-programs"));
        }
        let told = succeed(&child.output().unwrap());
        let line = told.lines().find_map(|line| line.strip_prefix("RESULT "));
        line.unwrap_or_else(|| panic!("no result: {told}"))
            .to_owned()
    }

    /// What git finds for the hub.
    fn filled(&self) -> Option<String> {
        let input = self.w.path("home/input");
        fs::write(&input, format!("url={}\n", self.w.hub.url())).unwrap();
        let output = Command::new("git")
            .args(["credential", "fill"])
            .env("HOME", self.w.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "")
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(self.w.path("home"))
            .stdin(fs::File::open(input).unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let password = text.lines().find_map(|line| line.strip_prefix("password="));
        password.map(str::to_owned)
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const TOKEN: &str = "hf_logged_in";

#[test]
fn the_users_helper_keeps_the_token() {
    for git in [true, false] {
        let w = World::new();
        let user = User { w: &w, git };
        user.config("[credential]\n\thelper = store\n");
        assert_eq!(
            user.job("logout", "-", "helpers"),
            "ok",
            "nothing there is fine"
        );
        assert_eq!(user.job("login", TOKEN, "helpers"), "ok");
        assert_eq!(user.filled().as_deref(), Some(TOKEN), "git: {git}");
        // A new one takes the place of the old one; other names stay.
        let file = w.path("home/.git-credentials");
        let other = format!("http://alice:pw@{}\n", w.hub.url().replace("http://", ""));
        fs::write(&file, fs::read_to_string(&file).unwrap() + &other).unwrap();
        assert_eq!(user.job("login", "hf_newer", "helpers"), "ok");
        let host = w.hub.url().replace("http://", "").replace(':', "%3a");
        let text = format!("http://hf_user:hf_newer@{host}\n{other}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_eq!(mode(&file), 0o600);
        assert_eq!(user.job("logout", "-", "helpers"), "ok");
        assert_eq!(fs::read_to_string(&file).unwrap(), other);
        assert!(w.hub.requests().is_empty(), "nothing is sent");
    }
}

#[test]
fn without_a_helper_nothing_is_kept_and_the_hint_says_how() {
    for git in [true, false] {
        let w = World::new();
        let user = User { w: &w, git };
        for config in [
            "",
            "[credential \"https://elsewhere.example\"]\n\thelper = store\n",
        ] {
            user.config(config);
            for what in ["login", "logout"] {
                let result = user.job(what, TOKEN, "helpers");
                assert!(result.starts_with("NoCredentialHelper: "), "{result}");
                assert!(result.contains("credential.helper"), "{result}");
                assert!(!result.contains(TOKEN), "{result}");
            }
        }
        assert!(!w.path("home/.git-credentials").exists());
        // One that keeps nothing is no success.
        user.config("[credential]\n\thelper = \"!:\"\n");
        let result = user.job("login", TOKEN, "helpers");
        if git {
            assert!(result.starts_with("ProgramFailed: "), "{result}");
        }
    }
}

#[test]
fn a_file_is_kept_only_where_it_is_named() {
    let w = World::new();
    let user = User { w: &w, git: false };
    user.config("");
    assert_eq!(user.job("login", TOKEN, "default"), "ok");
    let file = w.path("home/.git-credentials");
    assert_eq!(mode(&file), 0o600);
    // git reads what was written, where it is told to.
    user.config("[credential]\n\thelper = store\n");
    assert_eq!(user.filled().as_deref(), Some(TOKEN));
    assert_eq!(user.job("logout", "-", "default"), "ok");
    assert_eq!(user.filled(), None);
    let other = w.path("home/tokens").to_string_lossy().into_owned();
    assert_eq!(user.job("login", TOKEN, &other), "ok");
    assert_eq!(user.filled(), None);
    user.config(&format!("[credential]\n\thelper = store --file {other}\n"));
    assert_eq!(user.filled().as_deref(), Some(TOKEN));
    assert_eq!(mode(Path::new(&other)), 0o600);
}

#[test]
fn a_helper_that_does_not_forget_is_told_of() {
    let w = World::new();
    let user = User { w: &w, git: true };
    user.config("[credential]\n\thelper = \"!echo username=hf_user; echo password=hf_fixed; :\"\n");
    let result = user.job("logout", "-", "helpers");
    assert!(result.starts_with("ProgramFailed: "), "{result}");
    assert!(!result.contains("hf_fixed"), "{result}");
    assert_eq!(user.job("login", "hf_fixed", "helpers"), "ok");
    let result = user.job("login", TOKEN, "helpers");
    assert!(result.starts_with("ProgramFailed: "), "{result}");
    // Organization tokens are refused before anything is done.
    let result = user.job("login", "api_org_x", "helpers");
    assert!(result.starts_with("InvalidInput: "), "{result}");
}

#[test]
fn nobody_elses_login_is_forgotten() {
    let w = World::new();
    let user = User { w: &w, git: true };
    let log = w.path("home/log");
    let helper = format!(
        "!f() {{ echo $1 >>'{}'; echo username=alice; echo password=pw; }}; f",
        log.display()
    );
    user.config(&format!("[credential]\n\thelper = \"{helper}\"\n"));
    assert_eq!(user.job("logout", "-", "helpers"), "ok");
    assert_eq!(fs::read_to_string(log).unwrap(), "get\n");
}

#[test]
fn a_token_that_would_not_be_found_is_not_kept() {
    for git in [true, false] {
        let w = World::new();
        let user = User { w: &w, git };
        let with = |key: &str| {
            let url = w.hub.url();
            user.config(&format!(
                "[credential]\n\thelper = store\n[credential{key}]\n\tuseHttpPath = true\n"
            ));
            (user.job("login", TOKEN, "helpers"), url)
        };
        let (result, url) = with("");
        assert!(result.starts_with("Unsupported: "), "{result}");
        let hint = format!("git config --global credential.{url}.useHttpPath false");
        assert!(result.contains(&hint), "{result}");
        assert!(!w.path("home/.git-credentials").exists());
        assert_eq!(with(" \"https://elsewhere.example\"").0, "ok");
        assert_eq!(user.filled().as_deref(), Some(TOKEN));
    }
}
