//! Both ways of asking, side by side: git is the judge of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::credential::protocol::parse_url;
use crate::secret::Token;

/// A clone with a config, and a helper that writes down what it is told.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("temp"));
        for name in [".git", ".git/objects", ".git/refs"] {
            fs::create_dir(place.path(name)).expect("created");
        }
        fs::write(place.path(".git/HEAD"), "ref: refs/heads/main\n").expect("written");
        place.script(
            "helper",
            "#!/bin/sh\n{ echo \"$@\"; cat; } >>\"${0%/*}/log\"\n",
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(name), executable).expect("chmod");
    }

    /// The helpers of a config in which `HERE` is this folder.
    fn helpers(&self, config: &str) -> Helpers {
        let here = self.0.path().to_string_lossy().into_owned();
        // What the machine's own user has configured is not asked.
        let text = format!(
            "[credential]\n\thelper =\n\tuseHttpPath = false\n{}",
            config.replace("HERE", &here)
        );
        fs::write(self.path(".git/config"), text).expect("written");
        let listed = Program::new("git", "list")
            .arguments(["config", "-z", "--list", "--file"])
            .arguments([self.path(".git/config")])
            .run(&CancelToken::new())
            .expect("listed");
        let config = Config::of_git(&listed);
        Helpers::new(Arc::new(config), Some(self.0.path().to_path_buf()))
    }

    /// What the helper was told since the last time, but for what only newer versions of git say.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        let lines = text.lines().filter(|line| !line.contains("[]="));
        lines
            .filter(|line| !line.is_empty())
            .fold(String::new(), |all, line| all + line + "\n")
    }
}

type Answer = Option<(String, String)>;

fn answer(record: Option<Record>) -> Answer {
    let record = record?;
    let password = record
        .password
        .as_ref()
        .map(Token::expose)
        .map(str::to_owned);
    Some((record.username?, password?))
}

fn git(helpers: &Helpers, asked: &Record) -> Option<Record> {
    helpers.git(Verb::Get, asked, &CancelToken::new()).ok()
}

fn own(helpers: &Helpers, asked: &Record) -> Option<Record> {
    let found = helpers.get_one_by_one(asked, &CancelToken::new());
    found.expect("not cancelled")
}

/// What both ways answer, which must be the same, and what the helper was told by both.
#[track_caller]
fn both(config: &str, url: &str) -> (Answer, String) {
    let place = Place::new();
    let (helpers, asked) = (place.helpers(config), parse_url(url).expect(url));
    let (by_git, told_by_git) = (answer(git(&helpers, &asked)), place.log());
    let (by_us, told_by_us) = (answer(own(&helpers, &asked)), place.log());
    assert_eq!(by_us, by_git, "{config} {url}");
    assert_eq!(told_by_us, told_by_git, "{config} {url}");
    (by_us, told_by_us)
}

fn pair(user: &str, password: &str) -> Answer {
    Some((user.to_owned(), password.to_owned()))
}

const URL: &str = "http://127.0.0.1:8080/a/b";

#[test]
fn the_list_is_asked_in_order_until_one_knows() {
    let config = "helper = HERE/helper first\n\
                  helper = \"!echo username=u; HERE/helper second\"\n\
                  helper = \"!f() { echo password=p; }; f\"\n\
                  helper = HERE/helper never\n";
    let (answer, told) = both(config, URL);
    assert_eq!(answer, pair("u", "p"));
    let record = "protocol=http\nhost=127.0.0.1:8080\n";
    // What one says the next is told.
    assert_eq!(told, format!("first get\n{record}second get\n{record}"));
    let (answer, _) = both(
        "helper = \"!echo password=p;:\"\nhelper = \"!echo username=u;:\"\n",
        URL,
    );
    assert_eq!(answer, pair("u", "p"));
}

#[test]
fn an_empty_value_forgets_those_before() {
    let config = "helper = HERE/helper before\nhelper =\nhelper = HERE/helper behind\n";
    assert!(both(config, URL).1.starts_with("behind get\n"));
    let config = "helper = HERE/helper general\n[credential \"http://127.0.0.1:8080\"]\nhelper =\n";
    assert_eq!(both(config, URL), (None, String::new()));
    assert!(
        both(config, "http://127.0.0.1:8081")
            .1
            .starts_with("general get\n")
    );
}

#[test]
fn keys_for_urls_hold_where_git_says() {
    for (key, holds) in [
        ("http://127.0.0.1:8080", true),
        ("http://127.0.0.1:8080/", true),
        ("http://127.0.0.1:8080/a", true),
        ("http://127.0.0.1:8080/a/b", true),
        ("http://127.0.0.1:8080/a/b/c", false),
        ("http://127.0.0.1:8080/ab", false),
        ("http://127.0.0.1", false),
        ("https://127.0.0.1:8080", false),
        ("http://*.0.0.1:8080", true),
        ("http://u@127.0.0.1:8080", false),
        ("127.0.0.1:8080", true),
        ("127.0.0.1", false),
        ("127.0.0.1:8080/a", false),
        ("127.0.0.1:8080/a/b", true),
        ("http://", true),
        ("https://", false),
    ] {
        let config = format!("[credential \"{key}\"]\nhelper = HERE/helper it\n");
        let (_, told) = both(&config, URL);
        assert_eq!(told.starts_with("it get\n"), holds, "{key}");
    }
    let host = "[credential \"https://example.org\"]\nhelper = HERE/helper it\n";
    for (url, holds) in [
        ("https://example.org/x", true),
        ("https://example.org:443/x", true),
        ("https://sub.example.org/x", false),
        ("https://example.org.evil/x", false),
    ] {
        assert_eq!(both(host, url).1.starts_with("it"), holds, "{url}");
    }
}

#[test]
fn names_and_paths_are_told_where_they_should_be() {
    let helper = "helper = HERE/helper it\n";
    for (more, url, line) in [
        ("", URL, None),
        ("useHttpPath = true\n", URL, Some("path=a/b\n")),
        (
            "useHttpPath = 1\n",
            "http://h/a%20b/c/",
            Some("path=a b/c\n"),
        ),
        ("username = joe\n", URL, Some("username=joe\n")),
        ("username = joe\n", "http://ann@h", Some("username=ann\n")),
        (
            "[credential \"http://h/a\"]\nuseHttpPath = true\n",
            "http://h/a/b",
            Some("path=a/b\n"),
        ),
        (
            "[credential \"http://h/c\"]\nuseHttpPath = true\n",
            "http://h/a/b",
            None,
        ),
    ] {
        let (_, told) = both(&format!("{helper}{more}"), url);
        match line {
            Some(line) => assert!(told.contains(line), "{more} {url}: {told}"),
            None => assert!(
                !told.contains("path=") && !told.contains("username="),
                "{told}"
            ),
        }
    }
}

#[test]
fn a_password_that_has_expired_is_none() {
    let stale = "helper = \"!echo username=u; echo password=p; echo password_expiry_utc=5;:\"\n";
    assert_eq!(both(stale, URL).0, None);
    let then = "helper = \"!echo password=q;:\"\n";
    assert_eq!(both(&format!("{stale}{then}"), URL).0, pair("u", "q"));
    let good = stale.replace("=5", "=99999999999");
    assert_eq!(both(&good, URL).0, pair("u", "p"));
}

#[test]
fn a_helper_that_fails_is_passed_over() {
    let good = "helper = \"!echo username=u; echo password=p;:\"\n";
    for bad in [
        "no-such-helper",
        "/no/such/helper",
        "!exit 3;",
        "!kill -9 $$;",
    ] {
        let config = format!("helper = \"{bad}\"\n{good}");
        assert_eq!(both(&config, URL).0, pair("u", "p"), "{bad}");
    }
    // Its answer counts however it ends, and what ends in carriage returns is read all the same.
    let config = "helper = \"!printf 'username=u\\\\r\\\\npassword=p\\\\r\\\\n'; exit 1;:\"\n";
    assert_eq!(both(config, URL).0, pair("u", "p"));
    assert_eq!(
        both(&format!("helper = \"!echo quit=1;:\"\n{good}"), URL).0,
        None
    );
}

#[test]
fn all_helpers_are_told_how_it_went() {
    let config = "helper = HERE/helper one\nhelper = HERE/helper two\n\
                  [credential \"http://other\"]\nhelper = HERE/helper three\n";
    let place = Place::new();
    let helpers = place.helpers(config);
    let login = parse_url("http://u:p@127.0.0.1:8080/a/b").expect("valid");
    for (verb, word) in [(Verb::Store, "store"), (Verb::Erase, "erase")] {
        helpers
            .git(verb, &login, &CancelToken::new())
            .expect("told");
        let by_git = place.log();
        for helper in Plan::read(&helpers.config, &login).helpers {
            let told = Plan::read(&helpers.config, &login).question(&login);
            one(&helper, verb, &told, &CancelToken::new()).expect("told");
        }
        assert_eq!(place.log(), by_git);
        let record = "protocol=http\nhost=127.0.0.1:8080\nusername=u\npassword=p\n";
        assert_eq!(by_git, format!("one {word}\n{record}two {word}\n{record}"));
    }
    // A login that is only half of one is not kept.
    let half = parse_url("http://u@127.0.0.1:8080").expect("valid");
    helpers
        .approve(&half, &CancelToken::new())
        .expect("nothing");
    assert_eq!(place.log(), "");
}

#[test]
fn the_store_file_is_the_same_for_git_and_us() {
    let place = Place::new();
    let helpers = place.helpers("helper = store --file HERE/logins\n");
    let file = place.path("logins");
    let text = || fs::read_to_string(&file).expect("there");
    let cancel = CancelToken::new();
    let urls = [
        "http://u:p@127.0.0.1:8080/a/b",
        "https://hf_user:hf_%2Bx%3Ay%2Fz@huggingface.co",
        "https://%C3%A4:%C3%B6%20~._-!*@[::1]:1",
        "http://u:newer@127.0.0.1:8080",
    ];
    let write = |by_git: bool| {
        let _ = fs::remove_file(&file);
        for url in urls {
            let login = parse_url(url).expect(url);
            match by_git {
                true => helpers
                    .git(Verb::Store, &login, &cancel)
                    .map(drop)
                    .expect("stored"),
                false => {
                    let told = Plan::read(&helpers.config, &login).question(&login);

                    let helper = format!("store --file {}", file.display());
                    one(&helper, Verb::Store, &told, &cancel).expect("stored");
                }
            }
        }
        text()
    };
    let by_git = write(true);
    assert_eq!(write(false), by_git);
    assert_eq!(
        fs::metadata(&file).expect("stat").permissions().mode() & 0o777,
        0o600
    );
    // Each reads what the other wrote, and forgets what it is told to.
    for url in urls {
        let Record {
            username, password, ..
        } = parse_url(url).expect(url);
        let asked = Record {
            username: None,
            password: None,
            ..parse_url(url).expect(url)
        };
        let found = answer(own(&helpers, &asked));
        assert_eq!(found, answer(git(&helpers, &asked)), "{url}");
        if !url.contains("u:p@") {
            let expected = pair(&username.expect("u"), password.expect("p").expose());
            assert_eq!(found, expected);
        }
    }
    let wrong = parse_url("http://u:other@127.0.0.1:8080").expect("valid");
    let right = parse_url("http://u:newer@127.0.0.1:8080").expect("valid");
    for (login, gone) in [(&wrong, false), (&right, true)] {
        fs::write(&file, &by_git).expect("written");
        let told = Plan::read(&helpers.config, login).question(login);
        helpers.git(Verb::Erase, &told, &cancel).expect("erased");
        let after_git = text();
        assert_eq!(after_git != by_git, gone);
        fs::write(&file, &by_git).expect("written");
        let helper = format!("store --file {}", file.display());
        one(&helper, Verb::Erase, &told, &cancel).expect("erased");
        assert_eq!(text(), after_git);
    }
}

#[test]
fn an_address_that_would_end_a_line_reaches_no_helper() {
    let place = Place::new();
    let helpers = place.helpers("helper = HERE/helper it\nuseHttpPath = true\n");
    let asked = Record {
        path: Some("a\nhost=other".to_owned()),
        ..parse_url(URL).expect("valid")
    };
    let found = helpers.get(&asked, &CancelToken::new());
    assert_eq!(found.expect("no error"), None);
    assert_eq!(own(&helpers, &asked), None);
    assert_eq!(place.log(), "");
}

#[test]
fn nobody_is_asked_once_it_is_cancelled() {
    let place = Place::new();
    let helpers = place.helpers("helper = HERE/helper it\n");
    let cancel = CancelToken::new();
    cancel.cancel();
    let asked = parse_url(URL).expect("valid");
    let error = helpers.get(&asked, &cancel).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(place.log(), "");
}
