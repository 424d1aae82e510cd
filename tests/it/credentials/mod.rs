//! Logins from git's credential helpers, netrc and a prompt: who is asked, and what goes where.

mod helpers;
mod others;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hf_repository::{ErrorKind, LfsEngine, Login, NetworkLimits, PrepareRepository, Repository};
use mini_hub::RepoOptions;

use crate::child::succeed;
use crate::support::{World, weights, write};

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
        // Asked by the library, the caller says what came with the call.
        "prompt-clone" | "prompt-save" => {
            let wanted_url = source.to_owned();
            let prepared = Repository::prepare(source, folder).credential_prompt(move |wanted| {
                println!("ASKED");
                assert_eq!((wanted.url(), wanted.username()), (&*wanted_url, None));
                match token.as_deref()? {
                    "panic" => panic!("as the test wants"),
                    password => Some(Login::new("alice", password)),
                }
            });
            println!("{prepared:?}");
            prepared.open_or_clone().and_then(|repo| {
                if what == "prompt-save" {
                    write(repo.workdir(), "w.bin", weights(1, 30_000));
                    let _ = repo.save("weights")?;
                }
                repo.close().map(drop)
            })
        }
        // The caller's own token, and a prompt that must not be needed.
        "prompt-beside-a-token" => with(Repository::prepare(source, folder))
            .credential_prompt(|_| panic!("nobody is to be asked"))
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

    /// One called `helper` with a login that the hub takes.
    fn helper_that_knows(&self) {
        let login = format!("username=alice\\npassword={}\\n", self.w.token);
        self.helper("helper", &login);
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
