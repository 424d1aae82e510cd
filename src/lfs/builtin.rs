//! The engine that needs nothing installed.

use std::path::{Path, PathBuf};

use super::agent::{self, AgentConfig, Agents};
use super::clean::{self, Cleaned};
use super::git_lfs::GitLfs;
use super::pruning::PruneWish;
use super::settings::TransferSettings;
use super::store::{Store, Stored};
use super::transfer::Means;
use super::{Engine, Job, Object, Remote, Report, api, folder, transfer};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::Take;
use crate::http::Client;
use crate::progress::Direction;
use crate::url::Url;

/// Does all of Git LFS in process, but for what only git-lfs reaches.
pub(crate) struct Builtin {
    store: Store,
    client: Client,
    settings: TransferSettings,
    /// Where the journals of uploads in parts are kept.
    journals: PathBuf,
    agents: AgentConfig,
    /// For remotes behind ssh.
    ssh: GitLfs,
}

impl Builtin {
    pub(crate) fn new(
        store: Store,
        client: Client,
        settings: TransferSettings,
        journals: PathBuf,
        agents: AgentConfig,
        ssh: GitLfs,
    ) -> Self {
        Self {
            store,
            client,
            settings,
            journals,
            agents,
            ssh,
        }
    }

    fn means<'a>(&'a self, lfs: &'a Url) -> Means<'a> {
        Means {
            client: &self.client,
            lfs,
            store: &self.store,
            settings: &self.settings,
            journals: &self.journals,
            agents: &self.agents,
        }
    }

    /// The agent that moves a job's objects without a server, if git's config names one.
    fn standalone<'a>(
        &'a self,
        job: &'a Job<'a>,
        direction: Direction,
    ) -> Result<Option<Agents<'a>>> {
        let spec = self.agents.standalone(job.remote, direction)?;
        let concurrent = self.settings.concurrent;
        Ok(spec.map(|spec| self.agents.start(spec, job, direction, concurrent)))
    }
}

impl Engine for Builtin {
    fn clean(&self, file: &Path, take: Take, cancel: &CancelToken) -> Result<Cleaned> {
        clean::clean(&self.store, file, take, cancel)
    }

    fn clean_all(
        &self,
        files: &[PathBuf],
        take: Take,
        begins: &(dyn Fn(usize) + Sync),
        cancel: &CancelToken,
    ) -> Result<Vec<Option<Cleaned>>> {
        clean::clean_all(&self.store, files, take, begins, cancel)
    }

    fn upload(&self, job: &Job<'_>) -> Result<Report> {
        if let Some(agents) = self.standalone(job, Direction::Upload)? {
            return agent::standalone_upload(agents, &self.store, job);
        }
        match job.remote {
            Remote::Http(lfs) => transfer::upload(self.means(lfs), job),
            Remote::Folder(theirs) => folder::upload(&self.store, theirs, job),
            Remote::Ssh(_) => self.ssh.upload(job),
        }
    }

    fn download(&self, job: &Job<'_>) -> Result<Report> {
        if let Some(agents) = self.standalone(job, Direction::Download)? {
            return agent::standalone_download(agents, &self.store, job);
        }
        match job.remote {
            Remote::Http(lfs) => transfer::download(self.means(lfs), job),
            Remote::Folder(theirs) => folder::download(&self.store, theirs, job),
            Remote::Ssh(_) => self.ssh.download(job),
        }
    }

    fn there(
        &self,
        remote: &Remote,
        objects: &[Object],
        cancel: &CancelToken,
    ) -> Result<Vec<Object>> {
        match remote {
            // Agents cannot be asked: nothing is known to be there.
            _ if self.agents.is_standalone(remote) => Ok(Vec::new()),
            Remote::Http(lfs) => api::there(&self.client.with_cancel(cancel)?, lfs, objects),
            Remote::Folder(theirs) => Ok(folder::there(&self.store, theirs, objects)),
            Remote::Ssh(_) => self.ssh.there(remote, objects, cancel),
        }
    }

    fn prune(&self, _wish: PruneWish, _cancel: &CancelToken) -> Result<Option<Vec<Stored>>> {
        Ok(None)
    }

    fn check_upload(&self, remote: &Remote) -> Result<()> {
        match remote {
            _ if self.agents.is_standalone(remote) => {
                self.agents.standalone(remote, Direction::Upload).map(drop)
            }
            Remote::Http(lfs) => api::check_upload(&self.client, lfs),
            Remote::Folder(_) => Ok(()),
            Remote::Ssh(_) => self.ssh.check_upload(remote),
        }
    }
}
