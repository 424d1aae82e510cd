//! The engine that needs nothing installed.

use std::path::Path;

use super::clean::{self, Cleaned};
use super::store::Store;
use super::{Engine, Job, Remote, Report, api, folder, transfer};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Client;

/// Does all of Git LFS in process.
pub(crate) struct Builtin {
    store: Store,
    client: Client,
}

impl Builtin {
    pub(crate) fn new(store: Store, client: Client) -> Self {
        Self { store, client }
    }
}

impl Engine for Builtin {
    fn clean(&self, file: &Path, cancel: &CancelToken) -> Result<Cleaned> {
        clean::clean(&self.store, file, cancel)
    }

    fn upload(&self, job: &Job<'_>) -> Result<Report> {
        match job.remote {
            Remote::Http(lfs) => transfer::upload(&self.client, lfs, &self.store, job),
            Remote::Folder(git_dir) => folder::upload(&self.store, git_dir, job),
        }
    }

    fn download(&self, job: &Job<'_>) -> Result<Report> {
        match job.remote {
            Remote::Http(lfs) => transfer::download(&self.client, lfs, &self.store, job),
            Remote::Folder(git_dir) => folder::download(&self.store, git_dir, job),
        }
    }

    fn prune(&self, _cancel: &CancelToken) -> Result<(usize, u64)> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the built-in LFS engine never deletes an object",
        )
        .with_hint("use LfsEngine::GitLfs, or run: git lfs prune"))
    }

    fn check_upload(&self, remote: &Remote) -> Result<()> {
        match remote {
            Remote::Http(lfs) => api::check_upload(&self.client, lfs),
            Remote::Folder(_) => Ok(()),
        }
    }
}
