//! The caller's token for a program that asks git for credentials.
//!
//! git runs an inline helper of ours for the server's origin. It makes a pipe in a folder that only
//! this user may enter, asks for an answer in it through another one, and gets the token: which so
//! is on no command line, in no environment and in no file.

use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::env;
use crate::error::{Error, Result};
use crate::fs::line_pipe::{LinePipe, answer};
use crate::http::Client;
use crate::process::Program;
use crate::secret::{Token, ends_lines};
use crate::url::Url;

/// How long a helper that asked may take to open its own pipe; it does that next.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers the helper for as long as it lives.
pub(super) struct Login {
    helper: [(String, String); 2],
    _asked: LinePipe,
}

impl Login {
    /// For a server there is a token for; `None` for others: git's own configuration counts there.
    pub(super) fn new(client: &Client, url: &Url, folder: &Path) -> Result<Option<Self>> {
        if client.grants().login(url)?.is_none() {
            return Ok(None);
        }
        let requests = folder.join("requests");
        let (grants, place, server) = (client.grants().clone(), folder.to_path_buf(), url.clone());
        let asked = LinePipe::new(&requests, move |line| {
            let Some(pipe) = name_of(line).map(|name| place.join(name)) else {
                return;
            };
            // Asked anew every time: it may have been renewed.
            let text = match grants.login(&server) {
                Ok(Some((user, token))) => told(&user, &token),
                Ok(None) => Zeroizing::default(),
                Err(error) => {
                    tracing::warn!(%error, "no token for the credential helper");
                    Zeroizing::default()
                }
            };
            if let Err(error) = answer(&pipe, text.as_bytes(), PATIENCE) {
                tracing::debug!(%error, "a credential helper did not wait for its answer");
            }
        });
        let asked = asked.map_err(|error| Error::io("make the pipe", &requests, error))?;
        Ok(Some(Self {
            helper: helper(url, folder, std::process::id()),
            _asked: asked,
        }))
    }

    /// What tells git of the helper.
    pub(super) fn configuration(&self) -> &[(String, String)] {
        &self.helper
    }
}

/// A program with lines of git's config of its own.
pub(super) fn configured(program: Program, lines: &[(String, String)]) -> Program {
    // There may be some in the environment already.
    let before = env::var("GIT_CONFIG_COUNT").and_then(|count| count.parse::<usize>().ok());
    let first = before.unwrap_or_default();
    let set = |program: Program, (number, (key, value)): (usize, &(String, String))| {
        program
            .variable(format!("GIT_CONFIG_KEY_{number}"), key)
            .variable(format!("GIT_CONFIG_VALUE_{number}"), value)
    };
    let count = (first + lines.len()).to_string();
    (first..)
        .zip(lines)
        .fold(program, set)
        .variable("GIT_CONFIG_COUNT", count)
}

/// What git reads of a helper; nothing where it would take a value for more than one.
fn told(user: &str, token: &Token) -> Zeroizing<String> {
    if ends_lines(user) || ends_lines(token.expose()) {
        tracing::warn!("git-lfs gets no login: there is the end of a line in it");
        return Zeroizing::default();
    }
    Zeroizing::new(format!("username={user}\npassword={}\n", token.expose()))
}

/// A file name that the helper below makes; nothing else is opened.
fn name_of(line: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(line).ok()?;
    let number = name.strip_prefix("answer.")?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(name)
}

/// The helper replaces those that are configured for the origin: the caller's token counts more.
///
/// If the process that answers is gone, both pipes have nobody at the other end. So the first one is
/// opened for reading too, which never waits, and the second one is opened by a look-out.
fn helper(url: &Url, folder: &Path, answering: u32) -> [(String, String); 2] {
    let key = format!("credential.{}.helper", origin(url));
    let folder = folder.to_string_lossy().replace('\'', r"'\''");
    let helper = format!(
        "!f() {{ test \"$1\" = get || exit 0; cd '{folder}' && umask 077 && \
         mkfifo answer.$$ && {{ while test -p answer.$$; do kill -0 {answering} || : <>answer.$$; \
         sleep 1; done >/dev/null 2>&1 & echo answer.$$ 1<>requests && cat answer.$$; }}; \
         rm -f answer.$$; }}; f"
    );
    [(key.clone(), String::new()), (key, helper)]
}

/// `scheme://host[:port]`
pub(super) fn origin(url: &Url) -> String {
    let full = url.to_full();
    let after = full.find("://").map_or(0, |at| at + 3);
    let end = full[after..].find('/').map_or(full.len(), |at| after + at);
    full[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelToken;

    #[test]
    fn only_the_helpers_own_pipes_are_answered() {
        assert_eq!(name_of(b"answer.12"), Some("answer.12"));
        for line in [
            "",
            "answer.",
            "answer.1/../x",
            "answer.-1",
            "/etc/passwd",
            "requests",
        ] {
            assert_eq!(name_of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_helper_is_for_the_origin_alone() {
        let url = Url::parse("https://hub.example:8443/a/b.git/info/lfs").expect("valid");
        assert_eq!(origin(&url), "https://hub.example:8443");
        let [(key, reset), (same, helper)] = helper(&url, Path::new("/tmp/it's"), 1);
        assert_eq!(key, "credential.https://hub.example:8443.helper");
        assert_eq!((same, reset.as_str()), (key, ""));
        assert!(helper.contains(r"cd '/tmp/it'\''s'"), "{helper}");
    }

    #[test]
    fn what_git_would_take_for_two_lines_is_not_told() {
        let told = |user: &str, password: &str| told(user, &Token::from_userinfo(password));
        assert_eq!(*told("u", "p w"), "username=u\npassword=p w\n");
        for (user, password) in [("u\nhost=evil", "p"), ("u", "p\nquit=1"), ("u", "p\0")] {
            assert!(told(user, password).is_empty(), "{user:?} {password:?}");
        }
    }

    #[test]
    fn the_helper_ends_when_nobody_answers() {
        let url = Url::parse("https://hub.example").expect("valid");
        let run = |line: &str| {
            let program = Program::new("sh", "run").arguments(["-c", line]);
            let ran = program.run_within(Duration::from_secs(20), 1 << 10, &CancelToken::new());
            ran.expect("in time").output
        };
        let folder = tempfile::tempdir().expect("created");
        let requests = folder.path().join("requests");
        let gone = String::from_utf8(run("echo $$")).expect("a number");
        let gone = gone.trim().parse().expect("a number");
        let [_, (_, helper)] = helper(&url, folder.path(), gone);
        let line = format!("{} get", helper.strip_prefix('!').expect("for the shell"));
        // Nobody is there to read the request.
        run(&format!("mkfifo '{}'", requests.display()));
        assert!(run(&line).is_empty());
        // It was heard, and no answer comes.
        std::fs::remove_file(&requests).expect("removed");
        let _heard = LinePipe::new(&requests, |_| {}).expect("made");
        assert!(run(&line).is_empty());
    }
}
