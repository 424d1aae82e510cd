//! Whoever else may know a login: netrc, and the caller.

use std::fs;

use super::{Place, WAYS, Way};
use crate::support::write;

#[test]
fn netrc_is_for_hosts_that_are_not_the_hub() {
    let place = Place::new(Way::ByGit, "");
    let netrc = format!("machine 127.0.0.1 login alice password {}\n", place.w.token);
    write(&place.w.path("home"), ".netrc", &netrc);
    let result = place.run("clone", "alice/p", "hub");
    assert!(
        result.contains("helpers (nothing)") && !result.contains("netrc"),
        "{result}"
    );
    let elsewhere = |folder: &str, variables: &[(&str, &str)]| {
        let mut child = place.child("save", &place.w.url("alice/p"), folder, None);
        child
            .env("HF_ENDPOINT", "https://hub.invalid")
            .env("HF_TOKEN", "hf_of_the_hub");
        place.result(&child.envs(variables.iter().copied()).output().unwrap())
    };
    // Also as a link, to where somebody keeps such files.
    let home = place.w.path("home");
    fs::rename(home.join(".netrc"), home.join("dot-netrc")).unwrap();
    std::os::unix::fs::symlink("dot-netrc", home.join(".netrc")).unwrap();
    assert_eq!(elsewhere("ours", &[]), "ok");
    let other = place.w.path("other").to_string_lossy().into_owned();
    write(&place.w.path(""), "other", netrc.replace("hf_", "hf_x"));
    let result = elsewhere("other-file", &[("NETRC", &other)]);
    assert!(
        result.contains("git credential helpers (nothing), netrc (refused)"),
        "{result}"
    );
    assert!(!result.contains("hf_of_the_hub"), "{result}");
}

/// What came of a prompt's work, and how often it was asked.
#[track_caller]
fn prompted(place: &Place, what: &str, folder: &str, password: Option<&str>) -> (String, usize) {
    let url = place.w.url("alice/p");
    let mut child = place.child(what, &url, folder, password);
    let output = child
        .env("HF_ENDPOINT", "https://hub.invalid")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    if let Some(password) = password.filter(|password| *password != "panic") {
        assert!(!told.contains(password), "{told}");
    }
    (place.result(&output), told.matches("ASKED").count())
}

#[test]
fn a_prompt_is_asked_last_and_once() {
    for way in WAYS {
        let place = Place::new(way, "");
        let token = place.w.token.clone();
        let done = prompted(&place, "prompt-save", "ours", Some(&token));
        assert_eq!(done, ("ok".to_owned(), 1));
        for (password, fate) in [
            (Some("hf_wrong"), "refused"),
            (None, "nothing"),
            (Some("panic"), "nothing"),
        ] {
            let (result, asked) = prompted(&place, "prompt-clone", "not", password);
            assert!(result.starts_with("Unauthorized: "), "{result}");
            let tried = format!("git credential helpers (nothing), the prompt ({fate})");
            assert!(result.contains(&tried), "{result}");
            assert_eq!(asked, 1);
        }
        // A token that came with the call is not talked about.
        let mut child = place.child(
            "prompt-beside-a-token",
            "alice/p",
            "not",
            Some("hf_revoked"),
        );
        let result = place.result(&child.output().unwrap());
        assert!(
            result.contains("tried: the token that was passed (refused)"),
            "{result}"
        );
    }
}

#[test]
fn what_the_prompt_gave_is_kept_by_the_helpers_once_it_is_good() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = store\n");
        let logins = place.w.path("home/.git-credentials");
        let (result, asked) = prompted(&place, "prompt-clone", "ours", Some("hf_wrong"));
        assert!(result.contains("the prompt (refused)"), "{result}");
        assert_eq!((asked, logins.exists()), (1, false));
        let token = place.w.token.clone();
        let done = prompted(&place, "prompt-clone", "ours", Some(&token));
        assert_eq!(done, ("ok".to_owned(), 1));
        let host = place.w.hub.url().replace("http://", "").replace(':', "%3a");
        let line = format!("http://alice:{token}@{host}\n");
        assert_eq!(fs::read_to_string(&logins).unwrap(), line);
        // The next one need not ask.
        let done = prompted(&place, "prompt-save", "ours", Some("hf_wrong"));
        assert_eq!(done, ("ok".to_owned(), 0));
    }
}
