//! git's credential helpers: who is asked, what they are told, and what goes where.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use hf_repository::{Login, Repository};
use mini_hub::{AuthKind, Role};

use super::{Place, WAYS, Way, holding};
use crate::child::succeed;
use crate::support::{World, needs_git_lfs, weights, write};

#[test]
fn without_any_login_the_error_comes_at_once() {
    for way in WAYS {
        // Nor by whoever would ask on the user's behalf.
        let place = Place::new(way, "[core]\naskPass = HERE/askpass\n");
        let began = Instant::now();
        let result = place.run("clone", "alice/p", "ours");
        let mut took = began.elapsed();
        assert!(result.starts_with("Unauthorized: "), "{result}");
        assert!(
            result.contains("tried: git credential helpers (nothing)"),
            "{result}"
        );
        assert!(result.contains("HF_TOKEN"), "a hint: {result}");
        assert!(place.w.hub.requests().len() <= 2);
        // Other tests use the machine as well: the best of three counts.
        for _ in 0..2 {
            let began = Instant::now();
            place.run("clone", "alice/p", "ours");
            took = took.min(began.elapsed());
        }
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn a_helpers_login_does_all_the_work() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = HERE/helper\n");
        place.helper_that_knows();
        assert_eq!(place.run("save", "alice/p", "ours"), "ok");
        let host = place.w.hub.url().replace("http://", "");
        let (verbs, told) = place.log("helper");
        assert_eq!(verbs, ["get", "store"], "{told}");
        assert!(
            told.contains(&format!("protocol=http\nhost={host}\n")),
            "{told}"
        );
        assert!(!told.contains("path="), "{told}");
        // Its password is known to the server, and to nobody else: neither to storage nor to the disk.
        let storage = place.w.hub.storage_url();
        let requests = place.w.hub.requests();
        let stored: Vec<_> = requests
            .iter()
            .filter(|r| storage.ends_with(&r.host))
            .collect();
        assert!(!stored.is_empty() && stored.iter().all(|r| r.auth == AuthKind::None));
        let refused = requests.iter().filter(|r| r.status == 401).count();
        assert_eq!(refused, 1, "asked once: {requests:?}");
        assert_eq!(
            holding(&place.w.path("ours"), &place.w.token),
            [""; 0].map(PathBuf::from)
        );
        assert!(place.w.remote_tip("alice/p", "main").is_some());
    }
}

#[test]
fn a_wrong_entry_is_erased_once_and_told_of() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = HERE/helper\n");
        place.helper("helper", "username=alice\\npassword=hf_wrong\\n");
        let result = place.run("save", "alice/p", "ours");
        assert!(result.starts_with("Unauthorized: "), "{result}");
        assert!(
            result.contains("tried: git credential helpers (refused)"),
            "{result}"
        );
        assert!(!result.contains("hf_wrong"), "{result}");
        let (verbs, told) = place.log("helper");
        assert_eq!(verbs, ["get", "erase"], "{told}");
        assert!(told.ends_with("username=alice\npassword=hf_wrong\n") || told.contains("erase\n"));
        assert_eq!(place.w.hub.requests().len(), 2);
    }
}

#[test]
fn the_callers_token_counts_more_and_erases_nothing() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = HERE/helper\n");
        place.helper("helper", "username=alice\\npassword=hf_wrong\\n");
        let token = place.w.token.clone();
        let mut child = place.child("save", "alice/p", "ours", Some(&token));
        assert_eq!(place.result(&child.output().unwrap()), "ok");
        assert_eq!(place.log("helper").0, [""; 0]);
        // One that is refused is not replaced by another account's.
        place.helper("helper", &format!("username=alice\\npassword={token}\\n"));
        let mut child = place.child("clone", "alice/p", "refused", Some("hf_revoked"));
        let result = place.result(&child.output().unwrap());
        assert!(
            result.contains("tried: the token that was passed (refused)"),
            "{result}"
        );
        assert_eq!(place.log("helper").0, [""; 0]);
    }
}

#[test]
fn after_the_hubs_own_places_the_helpers_are_asked() {
    let place = Place::new(Way::ByGit, "[credential]\nhelper = HERE/helper\n");
    place.helper("helper", "");
    let refused = |name: &str, value: &str, expected: &str| {
        let mut child = place.child("clone", "alice/p", "refused", None);
        let result = place.result(&child.env(name, value).output().unwrap());
        assert!(result.contains(expected), "{result}");
        assert!(!result.contains("hf_wrong"), "{result}");
        assert_eq!(place.log("helper").0, ["get"]);
    };
    let nothing = "(refused), git credential helpers (nothing)";
    refused(
        "HF_TOKEN",
        "hf_wrong",
        &format!("tried: HF_TOKEN {nothing}"),
    );
    write(&place.w.path("hub-home"), "token", "hf_wrong");
    let home = place.w.path("hub-home");
    refused(
        "HF_HOME",
        &home.to_string_lossy(),
        &format!("tried: the token file {nothing}"),
    );
    place.helper(
        "helper",
        &format!("username=alice\\npassword={}\\n", place.w.token),
    );
    let mut child = place.child("clone", "alice/p", "ours", None);
    assert_eq!(
        place.result(&child.env("HF_TOKEN", "hf_wrong").output().unwrap()),
        "ok"
    );
    // A password of long ago in an address does not hide the token of today.
    place.log("helper");
    let url = place.w.url("alice/p").replace("://", "://alice:hf_old@");
    let mut child = place.child("clone", &url, "by-url", None);
    let output = child.env("HF_TOKEN", &place.w.token).output().unwrap();
    assert_eq!(place.result(&output), "ok");
    assert_eq!(place.log("helper").0, [""; 0]);
    place.helper("helper", "");
    let mut child = place.child("clone", &url, "not", None);
    let result = place.result(&child.env("HF_TOKEN", "hf_wrong").output().unwrap());
    let tried = "tried: the password in the URL (refused), HF_TOKEN (refused), git cred";
    assert!(result.contains(tried), "{result}");
}

#[test]
fn the_store_and_cache_helpers_work_with_an_address_and_a_port() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = store\n");
        let host = place.w.hub.url().replace("http://", "").replace(':', "%3a");
        let line = format!("http://alice:{}@{host}\n", place.w.token);
        write(&place.w.path("home"), ".git-credentials", &line);
        assert_eq!(place.run("save", "alice/p", "ours"), "ok");
        let file = place.w.path("home/.git-credentials");
        assert_eq!(fs::read_to_string(&file).unwrap(), line);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // What is refused goes; the others stay.
        let other = "https://x:y@example.org\n";
        write(
            &place.w.path("home"),
            ".git-credentials",
            format!("{}{other}", line.replace("hf_", "hf_x")),
        );
        let result = place.run("clone", "alice/p", "refused");
        assert!(
            result.contains("git credential helpers (refused)"),
            "{result}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), other);
    }
    // The cache is a daemon of git's own: it ends when it is told to.
    let place = Place::new(Way::ByGit, "[credential]\nhelper = cache\n");
    let git = |arguments: &[&str], input: &str| {
        write(&place.w.path("home"), "input", input);
        let mut git = Command::new("git");
        git.args(arguments)
            .env("HOME", place.w.path("home"))
            .env_remove("XDG_CACHE_HOME")
            .current_dir(place.w.path("home"))
            .stdin(fs::File::open(place.w.path("home/input")).unwrap());
        succeed(&git.output().unwrap());
    };
    let login = format!(
        "url={}\nusername=alice\npassword={}\n",
        place.w.hub.url(),
        place.w.token
    );
    git(&["credential", "approve"], &login);
    assert_eq!(place.run("clone", "alice/p", "ours"), "ok");
    git(&["credential-cache", "exit"], "");
    let result = place.run("clone", "alice/p", "refused");
    assert!(
        result.contains("git credential helpers (nothing)"),
        "{result}"
    );
}

#[test]
fn what_renews_a_login_is_kept_and_what_is_for_now_is_not() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = HERE/helper\n");
        let login = format!("username=alice\\npassword={}\\n", place.w.token);
        place.helper("helper", &format!("{login}oauth_refresh_token=renews\\n"));
        assert_eq!(place.run("clone", "alice/p", "ours"), "ok");
        let (verbs, told) = place.log("helper");
        assert_eq!(verbs, ["get", "store"], "{told}");
        if way == Way::ByUs || git_knows_refresh_tokens() {
            assert!(told.contains("oauth_refresh_token=renews\n"), "{told}");
        }
    }
    let place = Place::new(Way::ByUs, "[credential]\nhelper = HERE/helper\n");
    let login = format!("username=alice\\npassword={}\\n", place.w.token);
    place.helper("helper", &format!("{login}ephemeral=1\\n"));
    assert_eq!(place.run("clone", "alice/p", "ours"), "ok");
    assert_eq!(place.log("helper").0, ["get"]);
}

/// Since 2.41.
fn git_knows_refresh_tokens() -> bool {
    let told = Command::new("git").arg("version").output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    let mut numbers = told.split([' ', '.']).filter_map(|word| word.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(2), Some(41))
}

#[test]
fn helpers_are_for_their_addresses_and_may_know_the_path() {
    for way in WAYS {
        let place = Place::new(way, "");
        place.helper_that_knows();
        place.config("[credential \"http://127.0.0.1:1\"]\nhelper = HERE/helper\n");
        let result = place.run("clone", "alice/p", "ours");
        assert!(
            result.contains("git credential helpers (nothing)"),
            "{result}"
        );
        assert_eq!(place.log("helper").0, [""; 0]);
        place.config("[credential \"HUB\"]\nhelper = HERE/helper\nuseHttpPath = true\n");
        assert_eq!(place.run("save", "alice/p", "ours"), "ok");
        let (verbs, told) = place.log("helper");
        assert_eq!(verbs, ["get", "store"]);
        // LFS requests as well are for the repository, as for git-lfs.
        assert_eq!(told.matches("path=alice/p\n").count(), 2, "{told}");
    }
}

#[test]
fn what_the_clone_itself_configures_counts() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = HERE/general\n");
        place.helper("general", "");
        place.helper(
            "own",
            &format!("username=alice\\npassword={}\\n", place.w.token),
        );
        place.w.clone("alice/p", "ours");
        let ours = place.w.path("ours");
        let own = place.w.path("own").to_string_lossy().into_owned();
        place
            .w
            .git(&ours, &["config", "--add", "credential.helper", ""]);
        place
            .w
            .git(&ours, &["config", "--add", "credential.helper", &own]);
        assert_eq!(place.run("save", "alice/p", "ours"), "ok");
        assert_eq!(place.log("own").0, ["get", "store"]);
        assert_eq!(place.log("general").0, [""; 0]);
    }
}

#[test]
fn a_login_is_for_the_server_it_was_asked_for() {
    // The repository is on one server; its LFS objects, by its config, on another one.
    let place = Place::new(Way::ByGit, "[credential \"HUB\"]\nhelper = HERE/helper\n");
    place.helper(
        "helper",
        &format!("username=alice\\npassword={}\\n", place.w.token),
    );
    let other = World::new();
    other.model("alice/p");
    place.w.clone("alice/p", "ours");
    let lfs = format!("{}/alice/p.git/info/lfs", other.hub.url());
    place
        .w
        .git(place.w.path("ours"), &["config", "lfs.url", &lfs]);
    let result = place.run("save", "alice/p", "ours");
    assert!(
        result.contains("Unauthorized") || result.contains("Unpushed"),
        "{result}"
    );
    let requests = other.hub.requests();
    assert!(!requests.is_empty());
    assert!(
        requests.iter().all(|r| r.auth == AuthKind::None),
        "{requests:?}"
    );
}

/// A clone in which the helper is configured, so that this process may use it.
fn clone_with_helper(place: &Place) {
    let w = &place.w;
    w.clone("alice/p", "ours");
    let helper = w.path("helper").to_string_lossy().into_owned();
    for setting in [
        // What the machine's own user has configured does not count.
        ["credential.useHttpPath", "false"],
        ["credential.helper", ""],
        ["credential.helper", &helper],
    ] {
        let [key, value] = setting;
        w.git(w.path("ours"), &["config", "--add", key, value]);
    }
}

#[test]
fn what_the_prompt_gave_is_taken_back_when_it_is_no_longer_good() {
    let place = Place::new(Way::ByGit, "");
    place.helper("helper", "");
    clone_with_helper(&place);
    let w = &place.w;
    let login = w.hub.add_token("alice", Role::Write);
    let prompted = login.clone();
    let repo = Repository::prepare(w.url("alice/p"), w.path("ours"))
        .endpoint("https://hub.invalid".parse().unwrap())
        .credential_prompt(move |_| Some(Login::new("alice", prompted.as_str())))
        .open()
        .unwrap();
    repo.pull().unwrap();
    assert_eq!(place.log("helper").0, ["get", "store"]);
    w.hub.revoke(&login);
    repo.pull().unwrap_err();
    let (verbs, told) = place.log("helper");
    assert_eq!(verbs, ["erase"], "{told}");
    assert!(told.contains(&format!("password={login}\n")), "{told}");
}

#[test]
fn a_helpers_new_login_takes_the_place_of_an_old_one() {
    let place = Place::new(Way::ByGit, "[credential]\nhelper = HERE/helper\n");
    let old = place.w.hub.add_token("alice", Role::Write);
    place.helper("helper", &format!("username=alice\\npassword={old}\\n"));
    let w = &place.w;
    clone_with_helper(&place);
    let repo = Repository::prepare(w.url("alice/p"), w.path("ours"))
        .endpoint("https://hub.invalid".parse().unwrap())
        .open()
        .unwrap();
    repo.pull().unwrap();
    assert_eq!(place.log("helper").0, ["get", "store"]);
    w.hub.revoke(&old);
    let new = w.hub.add_token("alice", Role::Write);
    place.helper("helper", &format!("username=alice\\npassword={new}\\n"));
    repo.pull().unwrap();
    assert_eq!(place.log("helper").0, ["erase", "get", "store"]);
}

#[test]
fn a_token_set_after_a_refusal_lets_the_work_through() {
    for way in WAYS {
        let place = Place::new(way, "[credential]\nhelper = HERE/helper\n");
        place.helper("helper", "username=alice\\npassword=hf_wrong\\n");
        place.w.model("alice/m");
        let token = place.w.token.clone();
        let mut child = place.child("set-token", "alice/m", "ours", Some(&token));
        assert_eq!(place.result(&child.output().unwrap()), "ok");
        assert_eq!(place.log("helper").0, ["get", "erase"]);
    }
}

#[test]
fn git_lfs_works_with_a_helpers_login() {
    needs_git_lfs!();
    let place = Place::new(Way::ByGit, "");
    place.helper(
        "helper",
        &format!("username=alice\\npassword={}\\n", place.w.token),
    );
    let filters = fs::read_to_string(place.w.path("gitconfig")).unwrap();
    let filters = filters.split("[credential]").next().unwrap();
    place.config(&format!("{filters}[credential]\nhelper = HERE/helper\n"));
    assert_eq!(place.run("save-by-git-lfs", "alice/p", "ours"), "ok");
    assert_eq!(place.run("clone-by-git-lfs", "alice/p", "again"), "ok");
    let cloned = fs::read(place.w.path("again/w.bin")).unwrap();
    assert_eq!(cloned, weights(1, 30_000));
    let (verbs, told) = place.log("helper");
    assert!(!verbs.contains(&"erase".to_owned()), "{told}");
    let storage = place.w.hub.storage_url();
    let requests = place.w.hub.requests();
    let stored: Vec<_> = requests
        .iter()
        .filter(|r| storage.ends_with(&r.host))
        .collect();
    assert!(
        stored.len() >= 2 && stored.iter().all(|r| r.auth == AuthKind::None),
        "{requests:?}"
    );
    assert_eq!(
        holding(&place.w.path("ours"), &place.w.token),
        [""; 0].map(PathBuf::from)
    );
}

#[test]
fn a_user_that_an_address_names_is_asked_for() {
    for way in WAYS {
        let place = Place::new(
            way,
            "[credential]\nhelper = HERE/helper\nusername = other\n",
        );
        place.helper("helper", &format!("password={}\\n", place.w.token));
        let named = place.w.url("alice/p").replace("http://", "http://alice@");
        assert_eq!(place.run("clone", &named, "ours"), "ok");
        let (verbs, told) = place.log("helper");
        assert_eq!(verbs, ["get", "store"]);
        assert_eq!(told.matches("username=alice\n").count(), 2, "{told}");
        assert_eq!(place.run("clone", "alice/p", "other"), "ok");
        assert!(place.log("helper").1.contains("username=other\n"));
    }
}
