//! Logins from git's credential helpers, netrc and a prompt: who is asked, and what goes where.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hf_repository::{
    Endpoint, ErrorKind, LfsEngine, Login, NetworkLimits, PrepareRepository, Repository,
};
use mini_hub::{AuthKind, RepoOptions, Role};

use crate::child::succeed;
use crate::support::{World, needs_git_lfs, weights, write};

/// What the children do; each says what came of it on one line.
pub(crate) fn job(what: &str, source: &str, folder: &Path, token: Option<String>) {
    let with = |prepared: PrepareRepository| {
        let prepared = prepared.network_limits(NetworkLimits::default().retries(2));
        match &token {
            Some(token) => prepared.token(token.parse().unwrap()),
            None => prepared,
        }
    };
    let result = match what {
        "clone" => with(Repository::prepare(source, folder))
            .clone_repo()
            .map(drop),
        // Everything, the push in the background.
        "save" => with(Repository::prepare(source, folder))
            .open_or_clone()
            .and_then(|repo| {
                write(repo.workdir(), "w.bin", weights(1, 30_000));
                let _ = repo.save("weights")?;
                repo.close().map(drop)
            }),
        "save-by-git-lfs" => with(Repository::prepare(source, folder))
            .lfs_engine(LfsEngine::GitLfs)
            .open_or_clone()
            .and_then(|repo| {
                write(repo.workdir(), "w.bin", weights(1, 30_000));
                let _ = repo.save("weights")?;
                repo.close().map(drop)
            }),
        "clone-by-git-lfs" => with(Repository::prepare(source, folder))
            .lfs_engine(LfsEngine::GitLfs)
            .clone_repo()
            .map(drop),
        // Without a login first, then with the token that comes third.
        "set-token" => Repository::prepare(source, folder)
            .open_or_clone()
            .and_then(|repo| {
                write(repo.workdir(), "w.bin", weights(1, 30_000));
                repo.stage()?;
                let _ = repo.commit("weights")?;
                assert_eq!(repo.push().unwrap_err().kind(), ErrorKind::Unauthorized);
                repo.set_token(token.clone().unwrap().parse()?);
                repo.push().map(drop)
            }),
        other => panic!("no job {other}"),
    };
    match result {
        Ok(()) => println!("RESULT ok"),
        Err(error) => println!("RESULT {:?}: {error} | {error:?}", error.kind()),
    }
}

/// Which way the helpers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ByGit,
    /// git is not to be found.
    ByUs,
}

const WAYS: [Way; 2] = [Way::ByGit, Way::ByUs];

/// A world in which nobody has a token, and the user has a config of their own.
struct Place {
    w: World,
    way: Way,
}

impl Place {
    /// With a private repository of Alice's; in the config `HERE` is the world's folder.
    fn new(way: Way, config: &str) -> Self {
        let w = World::new();
        let private = RepoOptions::model().private(true).initial_commit(true);
        w.hub.create_repo("alice/p", &private).unwrap();
        let place = Self { w, way };
        place.config(config);
        // Mirrors a PATH without git: the few programs that scripts need.
        fs::create_dir(place.w.path("bin")).unwrap();
        for name in ["sh", "cat", "echo", "rm", "mkfifo", "dirname"] {
            let program = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
            if let Some(program) = program.iter().find(|program| program.exists()) {
                std::os::unix::fs::symlink(program, place.w.path("bin").join(name)).unwrap();
            }
        }
        place
    }

    fn config(&self, text: &str) {
        let here = self
            .w
            .path("")
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        let text = text
            .replace("HERE", &here)
            .replace("HUB", &self.w.hub.url());
        write(&self.w.path("home"), ".gitconfig", text);
    }

    /// A helper that writes down what it is told, and says what it is to say when asked.
    fn helper(&self, name: &str, says: &str) {
        let script = format!(
            "#!/bin/sh\n{{ echo \"$1\"; cat; }} >>'{}'\ntest \"$1\" != get || printf '{says}'\n",
            self.w.path(&format!("{name}.log")).display()
        );
        self.program(&self.w.path(name), &script);
    }

    fn program(&self, path: &Path, script: &str) {
        fs::write(path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The verbs a helper was called with since the last time, and all it was told.
    fn log(&self, name: &str) -> (Vec<String>, String) {
        let file = self.w.path(&format!("{name}.log"));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        let verbs = text
            .lines()
            .filter(|line| ["get", "store", "erase"].contains(line));
        (verbs.map(str::to_owned).collect(), text.clone())
    }

    fn child(&self, what: &str, source: &str, folder: &str, token: Option<&str>) -> Command {
        let folder = self.w.path(folder).to_string_lossy().into_owned();
        let mut arguments = vec![what, source, &folder];
        arguments.extend(token);
        let mut child = self.w.child("credentials", &arguments);
        let mark = self.w.path("asked");
        self.program(
            &self.w.path("askpass"),
            &format!("#!/bin/sh\n: >'{}'\necho secret\n", mark.display()),
        );
        child
            .env_remove("HF_TOKEN")
            .env("GIT_ASKPASS", self.w.path("askpass"))
            .env("SSH_ASKPASS", self.w.path("askpass"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        match self.way {
            Way::ByGit => child.env("PATH", std::env::var_os("PATH").unwrap()),
            Way::ByUs => child.env("PATH", self.w.path("bin")),
        };
        child
    }

    #[track_caller]
    fn result(&self, output: &Output) -> String {
        let told = succeed(output);
        assert!(!self.w.path("asked").exists(), "somebody was asked");
        let line = told.lines().find_map(|line| line.strip_prefix("RESULT "));
        line.unwrap_or_else(|| panic!("no result: {told}"))
            .to_owned()
    }

    #[track_caller]
    fn run(&self, what: &str, source: &str, folder: &str) -> String {
        self.result(&self.child(what, source, folder, None).output().unwrap())
    }
}

/// The files below a folder that hold a text.
fn holding(folder: &Path, needle: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(holding(&path, needle));
        } else if fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(needle.len()).any(|w| w == needle.as_bytes()))
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn without_any_login_the_error_comes_at_once() {
    for way in WAYS {
        let place = Place::new(way, "");
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
        place.helper(
            "helper",
            &format!("username=alice\\npassword={}\\n", place.w.token),
        );
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
fn helpers_are_for_their_addresses_and_may_know_the_path() {
    for way in WAYS {
        let place = Place::new(way, "");
        place.helper(
            "helper",
            &format!("username=alice\\npassword={}\\n", place.w.token),
        );
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

/// In this process: nothing is asked but the prompt, as far as the machine's own user has no helper.
#[test]
fn a_prompt_is_asked_last_and_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let w = World::new();
    let private = RepoOptions::model().private(true).initial_commit(true);
    w.hub.create_repo("alice/p", &private).unwrap();
    let elsewhere: Endpoint = "https://hub.invalid".parse().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let prompting = |folder: &str, token: Option<String>| {
        let (count, url) = (Arc::clone(&asked), w.url("alice/p"));
        Repository::prepare(w.url("alice/p"), w.path(folder))
            .endpoint(elsewhere.clone())
            .credential_prompt(move |wanted| {
                count.fetch_add(1, Ordering::Relaxed);
                assert_eq!((wanted.url(), wanted.username()), (&*url, None));
                Some(Login::new("alice", token.clone()?))
            })
    };
    let repo = prompting("ours", Some(w.token.clone()))
        .clone_repo()
        .unwrap();
    write(repo.workdir(), "w.bin", weights(1, 3000));
    let _ = repo.save("weights").unwrap();
    repo.close().unwrap();
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    for (token, fate) in [(Some("hf_wrong".to_owned()), "refused"), (None, "nothing")] {
        let error = prompting("not", token).clone_repo().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(
            error.to_string().contains(&format!("the prompt ({fate})")),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("hf_wrong"));
        assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    }
    assert!(!format!("{:?}", prompting("x", Some(w.token.clone()))).contains(&w.token));
    // A token that came with the call is not talked about.
    let error = w
        .prepare_as("alice/p", "refused", "hf_revoked")
        .credential_prompt(|_| panic!("nobody is to be asked"))
        .clone_repo()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    // Its panic ends nothing else.
    let error = Repository::prepare(w.url("alice/p"), w.path("panics"))
        .endpoint(elsewhere)
        .credential_prompt(|_| panic!("as the test wants"))
        .clone_repo()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
}

#[test]
fn what_the_prompt_gave_is_kept_by_the_helpers_once_it_is_good() {
    let place = Place::new(Way::ByGit, "");
    let w = &place.w;
    let ours = w.clone("alice/p", "ours").workdir().to_path_buf();
    let logins = w.path("logins");
    let store = format!("store --file {}", logins.display());
    for value in ["", &store] {
        w.git(&ours, &["config", "--add", "credential.helper", value]);
    }
    let pull = |password: &str| {
        let password = password.to_owned();
        let prepared = Repository::prepare(w.url("alice/p"), &ours)
            .endpoint("https://hub.invalid".parse().unwrap())
            .credential_prompt(move |_| Some(Login::new("alice", &*password)));
        prepared.open().unwrap().pull()
    };
    let error = pull("hf_wrong").unwrap_err();
    let tried = "git credential helpers (nothing), the prompt (refused)";
    assert!(error.to_string().contains(tried), "{error}");
    assert!(!logins.exists());
    pull(&w.token).unwrap();
    let host = w.hub.url().replace("http://", "").replace(':', "%3a");
    let line = format!("http://alice:{}@{host}\n", w.token);
    assert_eq!(fs::read_to_string(&logins).unwrap(), line);
    // The next one need not ask.
    pull("hf_wrong").unwrap();
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

#[test]
fn a_helpers_new_login_takes_the_place_of_an_old_one() {
    let place = Place::new(Way::ByGit, "[credential]\nhelper = HERE/helper\n");
    let old = place.w.hub.add_token("alice", Role::Write);
    place.helper("helper", &format!("username=alice\\npassword={old}\\n"));
    let w = &place.w;
    // The helper is configured in the clone, so that this process may use it.
    w.clone("alice/p", "ours");
    let helper = w.path("helper").to_string_lossy().into_owned();
    w.git(
        w.path("ours"),
        &["config", "--add", "credential.helper", ""],
    );
    w.git(
        w.path("ours"),
        &["config", "--add", "credential.helper", &helper],
    );
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
