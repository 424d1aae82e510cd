//! Which transfer agents git's config names, and when they are to be used.
//!
//! Keys and meanings are git-lfs's: `lfs.customtransfer.<name>.{path,args,concurrent,direction}`,
//! `lfs.standalonetransferagent` and `lfs.<url>.standalonetransferagent`. Only git's own config is
//! read, never a repository's `.lfsconfig`: who can push there must not choose what runs here.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::{Job, Remote};
use super::Agents;
use crate::config::{Config, Writer, switch};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Direction;

/// Names that mean a transfer done in process; an agent of that name is left alone, as by git-lfs.
///
/// Python's `huggingface_hub` registers itself as `multipart` in every clone it makes.
const BUILT_IN: [&str; 4] = ["basic", "multipart", "ssh", "lfs-standalone-file"];
/// What the keys of agents start with.
const AGENT_PREFIX: &str = "lfs.customtransfer.";
/// The key that names the agent for everything, and the end of those that do so for one URL.
const STANDALONE: &str = "standalonetransferagent";

/// How many processes of one agent may work side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processes {
    One,
    Several,
}

/// Which way an agent moves objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directions {
    Only(Direction),
    Both,
}

/// A program that moves objects, as the config describes it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AgentSpec {
    /// What the server calls the transfer.
    pub(crate) name: String,
    /// The program: a path, or a name to be found in `PATH`.
    pub(super) path: String,
    /// What follows it on a shell's command line.
    pub(super) args: String,
    pub(crate) processes: Processes,
    directions: Directions,
}

impl fmt::Debug for AgentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What an agent is started with may hold secrets.
        write!(f, "AgentSpec({}, {:?})", self.name, self.directions)
    }
}

impl AgentSpec {
    fn moves(&self, direction: Direction) -> bool {
        match self.directions {
            Directions::Both => true,
            Directions::Only(only) => only == direction,
        }
    }
}

/// The agents of a clone.
#[derive(Debug, Default)]
pub(crate) struct AgentConfig {
    agents: Vec<AgentSpec>,
    /// What git's config says, and nobody else.
    config: Config,
    /// Where agents run: the work tree's root, as under git-lfs.
    pub(super) workdir: PathBuf,
    /// Agents that did not want to bring objects when they were asked to.
    refused_downloads: Mutex<HashSet<String>>,
}

impl AgentConfig {
    /// Reads what the user's files say of agents.
    pub(crate) fn read(config: Config, workdir: &Path) -> Self {
        let config = config.retain(|entry| entry.writer == Writer::User);
        let mut agents: Vec<AgentSpec> = Vec::new();
        for (key, _) in config.below(AGENT_PREFIX) {
            let name = key.strip_suffix(".path").unwrap_or_default();
            let known = agents.iter().any(|agent| agent.name == name);
            if !name.is_empty() && !name.contains('.') && !known {
                agents.extend(agent(&config, name));
            }
        }
        Self {
            agents,
            config,
            workdir: workdir.to_path_buf(),
            ..Self::default()
        }
    }

    /// The agents a server may choose from.
    pub(crate) fn offered(&self, direction: Direction) -> impl Iterator<Item = &AgentSpec> {
        self.agents
            .iter()
            .filter(move |agent| agent.moves(direction))
            .filter(move |agent| {
                direction == Direction::Upload || !self.refused().contains(&agent.name)
            })
    }

    /// Does not offer an agent for downloads any more.
    pub(crate) fn refuse_downloads(&self, name: &str) {
        self.refused().insert(name.to_owned());
    }

    fn refused(&self) -> MutexGuard<'_, HashSet<String>> {
        let refused = self.refused_downloads.lock();
        refused.unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent that moves the objects of a remote without asking any server.
    ///
    /// # Errors
    /// If one is named that does not exist, or that moves nothing in this direction.
    pub(crate) fn standalone(
        &self,
        remote: &Remote,
        direction: Direction,
    ) -> Result<Option<&AgentSpec>> {
        let Some(name) = self.standalone_name(remote) else {
            return Ok(None);
        };
        let unusable = |why: &str, hint: String| {
            let text = format!("git's config names the standalone transfer agent {name:?}, {why}");
            Err(Error::new(ErrorKind::InvalidInput, text).with_hint(hint))
        };
        match self.agents.iter().find(|agent| agent.name == *name) {
            None => unusable(
                "which is not set up",
                format!("set {AGENT_PREFIX}{name}.path, or unset lfs.{STANDALONE}"),
            ),
            Some(agent) if !agent.moves(direction) => unusable(
                "which does not move objects this way",
                format!("look at {AGENT_PREFIX}{name}.direction"),
            ),
            Some(agent) => Ok(Some(agent)),
        }
    }

    /// Whether the objects of a remote are moved without asking any server.
    pub(crate) fn is_standalone(&self, remote: &Remote) -> bool {
        self.standalone_name(remote).is_some()
    }

    fn standalone_name(&self, remote: &Remote) -> Option<&str> {
        let name = match remote {
            Remote::Http(lfs) => self.config.value_for("lfs", STANDALONE, lfs, None),
            Remote::Folder(theirs) => self.at(&format!("file://{}", theirs.git_dir.display())),
            Remote::Ssh(address) => self.at(address),
        };
        // An empty name takes back what is said for more URLs.
        name.filter(|name| !name.is_empty())
    }

    /// The standalone agent for an address that is compared as text.
    fn at(&self, address: &str) -> Option<&str> {
        let suffix = format!(".{STANDALONE}");
        let named = self.config.below("lfs.").filter_map(|(key, name)| {
            let url = key.strip_suffix(&suffix)?.trim_end_matches('/');
            let rest = address.strip_prefix(url)?;
            let below = rest.is_empty() || rest.starts_with('/');
            below.then_some((url.len(), name))
        });
        let best = named.max_by_key(|(length, _)| *length);
        best.map(|(_, name)| name)
            .or_else(|| self.config.get(&format!("lfs.{STANDALONE}")))
    }

    /// One of the agents, ready to work on a job.
    pub(crate) fn start<'a>(
        &'a self,
        spec: &'a AgentSpec,
        job: &'a Job<'a>,
        direction: Direction,
        concurrent: usize,
    ) -> Agents<'a> {
        Agents {
            spec,
            direction,
            remote_name: job.remote_name,
            concurrent,
            workdir: &self.workdir,
            cancel: job.cancel,
        }
    }
}

/// The agent of that name, if it is one to be used.
fn agent(config: &Config, name: &str) -> Option<AgentSpec> {
    if BUILT_IN.contains(&name) {
        tracing::debug!(name, "done in process: the agent of that name is not used");
        return None;
    }
    let value = |key: &str| config.get(&format!("{AGENT_PREFIX}{name}.{key}"));
    let path = value("path").filter(|path| !path.is_empty())?;
    let direction = value("direction").unwrap_or_default().to_ascii_lowercase();
    let directions = match direction.as_str() {
        "" | "both" => Directions::Both,
        "upload" => Directions::Only(Direction::Upload),
        "download" => Directions::Only(Direction::Download),
        _ => {
            tracing::warn!(name, direction, "an agent that moves objects neither way");
            return None;
        }
    };
    let processes = match value("concurrent").filter(|value| !value.is_empty()) {
        Some(value) if switch(value) == Some(false) => Processes::One,
        _ => Processes::Several,
    };
    Some(AgentSpec {
        name: name.to_owned(),
        path: path.to_owned(),
        args: value("args").unwrap_or_default().to_owned(),
        processes,
        directions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lfs::Neighbour;
    use crate::url::Url;

    fn config(text: &str) -> AgentConfig {
        let mut config = Config::default();
        for line in text.trim().lines() {
            let (key, value) = line.trim().split_once('=').expect("key=value");
            config.push(key, value, Writer::User);
        }
        let evil = "lfs.customtransfer.evil.path";
        config.push(evil, "evil", Writer::Repository);
        config.push("lfs.standalonetransferagent", "evil", Writer::Repository);
        AgentConfig::read(config, Path::new("/work"))
    }

    fn names(config: &AgentConfig, direction: Direction) -> Vec<&str> {
        config
            .offered(direction)
            .map(|agent| &*agent.name)
            .collect()
    }

    #[test]
    fn agents_are_offered_for_the_ways_they_go() {
        let config = config(
            "lfs.customtransfer.xet.path=git-xet
             lfs.customtransfer.xet.args=transfer
             lfs.customtransfer.xet.concurrent=true
             lfs.customtransfer.up.path=/opt/my agent
             lfs.customtransfer.up.direction=Upload
             lfs.customtransfer.up.concurrent=false
             lfs.customtransfer.down.direction=download
             lfs.customtransfer.down.path=d
             lfs.customtransfer.odd.path=o
             lfs.customtransfer.odd.direction=sideways
             lfs.customtransfer.nothing.args=x
             lfs.customtransfer.multipart.path=huggingface-cli
             lfs.customtransfer.a.b.path=dotted",
        );
        assert_eq!(names(&config, Direction::Upload), ["xet", "up"]);
        assert_eq!(names(&config, Direction::Download), ["xet", "down"]);
        let [xet, up, _] = &config.agents[..] else {
            panic!("{config:?}")
        };
        assert_eq!((&*xet.path, &*xet.args), ("git-xet", "transfer"));
        assert_eq!(xet.processes, Processes::Several);
        assert_eq!((&*up.path, &*up.args), ("/opt/my agent", ""));
        assert_eq!(up.processes, Processes::One);
    }

    #[test]
    fn the_last_of_several_values_counts() {
        let config = config(
            "lfs.customtransfer.x.path=old
             lfs.customtransfer.x.args=old
             lfs.customtransfer.x.path=new
             lfs.customtransfer.x.args=new",
        );
        let [agent] = &config.agents[..] else {
            panic!("{config:?}")
        };
        assert_eq!((&*agent.path, &*agent.args), ("new", "new"));
    }

    #[test]
    fn the_longest_url_names_the_standalone_agent() {
        let config = config(
            "lfs.customtransfer.all.path=a
             lfs.customtransfer.host.path=h
             lfs.customtransfer.repo.path=r
             lfs.customtransfer.disk.path=d
             lfs.standalonetransferagent=all
             lfs.https://hub.example.standalonetransferagent=host
             lfs.https://hub.example/alice/m.git/info/lfs.standalonetransferagent=repo
             lfs.https://hub.example/none/.standalonetransferagent=
             lfs.file:///srv/git.standalonetransferagent=disk",
        );
        let http = |text: &str| Remote::Http(Url::parse(text).expect("valid"));
        for (remote, wanted) in [
            (
                http("https://hub.example/alice/m.git/info/lfs"),
                Some("repo"),
            ),
            (
                http("https://hub.example/alice/m2.git/info/lfs"),
                Some("host"),
            ),
            (http("https://hub.example/none/m.git/info/lfs"), None),
            (
                http("https://hub.example/nonesuch.git/info/lfs"),
                Some("host"),
            ),
            (
                http("https://hub.example:8443/alice/m.git/info/lfs"),
                Some("all"),
            ),
            (http("http://hub.example/alice/m.git/info/lfs"), Some("all")),
            (
                Remote::Folder(Neighbour::plain("/srv/git/m.git")),
                Some("disk"),
            ),
            (
                Remote::Folder(Neighbour::plain("/srv/gitter/m.git")),
                Some("all"),
            ),
            (Remote::Ssh("git@hub.example:m".to_owned()), Some("all")),
        ] {
            let found = config.standalone(&remote, Direction::Upload);
            let name = found.expect("usable").map(|agent| &*agent.name);
            assert_eq!(name, wanted, "{remote:?}");
        }
    }

    #[test]
    fn a_standalone_agent_that_cannot_work_is_an_error() {
        let remote = Remote::Folder(Neighbour::plain("/srv/m.git"));
        let missing = config("lfs.standalonetransferagent=gone");
        let one_way = config(
            "lfs.customtransfer.up.path=u
             lfs.customtransfer.up.direction=upload
             lfs.standalonetransferagent=up",
        );
        for (config, told) in [(missing, "\"gone\""), (one_way, "this way")] {
            let error = config
                .standalone(&remote, Direction::Download)
                .expect_err("unusable");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(told), "{error}");
            assert!(error.hint().is_some());
        }
    }
}
