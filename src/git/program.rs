//! Remotes that only the `git` program reaches: those behind ssh.
//!
//! Programs transport; everything else stays as it is: what is fetched and pushed is decided here,
//! refs are set by us, and the outcome of a push is read ref by ref.

use super::branches::Branches;
use super::fetch::Tags;
use super::refs::object_id;
use super::remote::{Advertised, Advertisement};
use super::shallow::Reach;
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::env;
use crate::error::{Error, ErrorKind, Result};
use crate::process::ssh;
use crate::process::{Input, Program, Ran};

/// For ssh as git runs it where the user has not said how: it asks nothing, and notices within a
/// minute that the other side is gone, as nobody else would.
const SSH: &str = "ssh -o BatchMode=yes -o ConnectTimeout=30 \
                   -o ServerAliveInterval=15 -o ServerAliveCountMax=3";

/// Nothing that a user's configuration has git do besides.
const NOTHING_ELSE: [&str; 8] = [
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "fetch.recurseSubmodules=false",
    "-c",
    "fetch.writeCommitGraph=false",
];

/// How often a fetch starts over when the remote's branches move under it.
const ROUNDS: usize = 3;

/// Which side of a remote is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Fetch,
    Push,
}

impl Git {
    pub(super) fn program(&self, action: &str) -> Program {
        let mut program = Program::new("git", action)
            .folder(self.git_dir())
            .variable("GIT_DIR", self.git_dir())
            .arguments(NOTHING_ELSE)
            .install_hint(
                "ssh remotes need the git program: install it, or use the https URL and a token",
            );
        let said = ["GIT_SSH_COMMAND", "GIT_SSH"]
            .iter()
            .any(|name| env::var(name).is_some());
        if !said && self.ssh_command().is_none() {
            program = program.variable("GIT_SSH_COMMAND", SSH);
        }
        program
    }

    /// `core.sshCommand`, as git itself reads it: from files we do not look into as well.
    fn ssh_command(&self) -> Option<Vec<u8>> {
        Program::new("git", "read core.sshCommand")
            .folder(self.git_dir())
            .variable("GIT_DIR", self.git_dir())
            .arguments(["config", "--get", "core.sshCommand"])
            .run(&CancelToken::new())
            .ok()
    }

    /// What the remote offers to those who read, or to those who push.
    pub(super) fn program_advertisement(
        &self,
        url: &str,
        side: Side,
        cancel: &CancelToken,
    ) -> Result<Advertisement> {
        let action = format!("read the refs of {url}");
        let mut program = self
            .program(&action)
            .arguments(["ls-remote", "--symref", "--quiet"]);
        if side == Side::Push {
            // It talks to any program that advertises refs; this one answers only those who may push.
            program = program.arguments(["--upload-pack=git-receive-pack"]);
        }
        let ran = run(program.arguments(["--", url]), &action, cancel)?;
        Ok(read_listing(&String::from_utf8_lossy(&ran.output)))
    }

    /// Brings the objects of all branches, and of the tags wanted; refs do not change.
    pub(super) fn program_fetch(
        &self,
        url: &str,
        these: &Branches,
        (tags, reach): (Tags, Reach),
        cancel: &CancelToken,
    ) -> Result<Advertisement> {
        // What is here already may lack its history.
        let all = reach != Reach::New;
        for _ in 0..ROUNDS {
            let advertised = self.program_advertisement(url, Side::Fetch, cancel)?;
            let wanted = |found: &&Advertised| {
                let name = found.name.strip_prefix("refs/heads/");
                name.is_some_and(|name| name.parse().map_or(true, |name| these.takes(&name)))
            };
            let branches = advertised.refs.iter().filter(wanted);
            let branches = branches.filter(|found| all || !self.has(found.id));
            let mut names: Vec<String> = branches.map(|found| found.name.clone()).collect();
            names.extend(self.tags_to_name(&advertised.refs, tags));
            if !names.is_empty() {
                self.program_download(url, &names, reach, cancel)?;
            }
            // Tags on the commits that came are known to be wanted only now.
            let names = self.tags_to_name(&advertised.refs, tags);
            if !names.is_empty() {
                self.program_download(url, &names, reach, cancel)?;
            }
            let complete = advertised
                .refs
                .iter()
                .filter(wanted)
                .all(|found| self.has(found.id));
            if complete {
                return Ok(advertised);
            }
        }
        Err(Error::new(
            ErrorKind::Network,
            format!("cannot fetch from {url}: its branches move faster than they can be fetched"),
        )
        .with_hint("call again"))
    }

    pub(super) fn program_download(
        &self,
        url: &str,
        names: &[String],
        reach: Reach,
        cancel: &CancelToken,
    ) -> Result<()> {
        let action = format!("fetch from {url}");
        let depth = reach.depth().map(|depth| format!("--depth={depth}"));
        let program = self
            .program(&action)
            .arguments([
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--stdin",
            ])
            .arguments(depth)
            .arguments(["--", url])
            .input(Input::Bytes((names.join("\n") + "\n").into_bytes()));
        run(program, &action, cancel).map(drop)
    }

    pub(super) fn has(&self, id: ObjectId) -> bool {
        self.repo.odb().is_ok_and(|odb| odb.exists(id))
    }

    /// Names of tags to ask for: all that are not here, or those on commits that are.
    fn tags_to_name(&self, refs: &[Advertised], tags: Tags) -> Vec<String> {
        let lacking = |found: &&Advertised| {
            found.name.starts_with("refs/tags/")
                && !found.name.ends_with("^{}")
                && !self.has(found.id)
        };
        match tags {
            Tags::All => {
                let tags = refs.iter().filter(lacking);
                tags.map(|found| found.name.clone()).collect()
            }
            Tags::Following => {
                let refspecs = self.wanted_tags(refs, tags);
                let name = |refspec: &String| {
                    let (name, _) = refspec.trim_start_matches('+').split_once(':')?;
                    Some(name.to_owned())
                };
                refspecs.iter().filter_map(name).collect()
            }
        }
    }
}

/// Runs it, and says what went wrong in terms of remotes.
fn run(program: Program, action: &str, cancel: &CancelToken) -> Result<Ran> {
    let mut ran = program.run_to_end(cancel, &mut || {})?;
    match ran.failure.take() {
        Some(error) => Err(explain(error, &ran.words, action)),
        None => Ok(ran),
    }
}

/// `<id>\t<name>` lines; before them `ref: <branch>\tHEAD`.
pub(super) fn read_listing(text: &str) -> Advertisement {
    let mut listing = Advertisement::default();
    for line in text.lines() {
        let Some((left, name)) = line.split_once('\t') else {
            continue;
        };
        if let Some(target) = left.strip_prefix("ref: ") {
            if name == "HEAD" {
                let branch = target.strip_prefix("refs/heads/");
                listing.default_branch = branch.and_then(|branch| branch.parse().ok());
            }
        } else if git2::Reference::is_valid_name(name.strip_suffix("^{}").unwrap_or(name))
            && name.starts_with("refs/")
            // libgit2 also takes the start of an id, and fills it up with zeros.
            && let Ok(id) = left.parse().and_then(object_id)
        {
            let name = name.to_owned();
            listing.refs.push(Advertised { name, id });
        }
    }
    listing
}

/// What git and the servers behind ssh say, and what it means; the first that fits counts.
const MEANINGS: [(&[&str], ErrorKind, &str); 3] = [
    (
        &[
            "does not appear to be a git repository",
            "epository not found",
            "does not exist",
            "no such repository",
        ],
        ErrorKind::RepoNotFound,
        "see that the path in the URL is right, and that your key may read the repository",
    ),
    (
        &[
            "not allowed",
            "access denied",
            "Access denied",
            "permission to",
        ],
        ErrorKind::Forbidden,
        "your key is known, but may not do this",
    ),
    (
        &[
            "hung up unexpectedly",
            "early EOF",
            "unexpected disconnect",
            "Could not read from remote repository",
        ],
        ErrorKind::Network,
        "see that the host can be reached by ssh; the program's own words are in server_message()",
    ),
];

/// The error in terms of remotes: what ssh says first, then git.
pub(super) fn explain(error: Error, words: &str, action: &str) -> Error {
    let by_git = || {
        let meant = MEANINGS
            .iter()
            .find(|(texts, ..)| texts.iter().any(|text| words.contains(text)));
        meant.map(|(_, kind, hint)| (*kind, *hint))
    };
    match ssh::meaning(words).or_else(by_git) {
        Some((kind, hint)) if error.kind() == ErrorKind::ProgramFailed => {
            Error::new(kind, format!("cannot {action}"))
                .with_hint(hint)
                .with_server_message(words)
                .with_source(error)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn listings_are_read() {
        let text = format!(
            "ref: refs/heads/trunk\tHEAD\n{ID}\tHEAD\n{ID}\trefs/heads/trunk\n\
             {ID}\trefs/tags/v1^{{}}\nnonsense\nxyz\trefs/heads/bad\n\
             {}\trefs/heads/cut\n{ID}\trefs/heads/a\tb\n{ID}\trefs/heads/\u{1b}[31m\n",
            &ID[..39]
        );
        let listing = read_listing(&text);
        let names: Vec<&str> = listing
            .refs
            .iter()
            .map(|found| found.name.as_str())
            .collect();
        assert_eq!(names, ["refs/heads/trunk", "refs/tags/v1^{}"]);
        let default = listing.default_branch.map(|branch| branch.to_string());
        assert_eq!(default.as_deref(), Some("trunk"));
        assert!(read_listing("").refs.is_empty());
    }

    #[test]
    fn words_get_a_meaning() {
        for (words, kind) in [
            (
                "Host key verification failed.\r\nfatal: Could not read from remote repository.",
                ErrorKind::Network,
            ),
            (
                "git@h: Permission denied (publickey).",
                ErrorKind::Unauthorized,
            ),
            (
                "fatal: '/x' does not appear to be a git repository",
                ErrorKind::RepoNotFound,
            ),
            ("ERROR: Repository not found.", ErrorKind::RepoNotFound),
            (
                "error: cannot run ssh: No such file or directory",
                ErrorKind::ProgramMissing,
            ),
            (
                "ssh: connect to host h port 22: Connection refused",
                ErrorKind::Network,
            ),
            ("fatal: bad object", ErrorKind::ProgramFailed),
        ] {
            let failed = Error::new(ErrorKind::ProgramFailed, "git failed");
            assert_eq!(explain(failed, words, "ssh://h/x").kind(), kind, "{words}");
        }
    }
}
