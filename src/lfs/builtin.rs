//! The engine that needs nothing installed.

use std::path::{Path, PathBuf};

use super::clean::{self, Cleaned};
use super::settings::TransferSettings;
use super::store::Store;
use super::transfer::Means;
use super::{Engine, Job, Object, Pruning, Remote, Report, api, folder, transfer};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::Take;
use crate::http::Client;
use crate::url::Url;

/// Does all of Git LFS in process.
pub(crate) struct Builtin {
    store: Store,
    client: Client,
    settings: TransferSettings,
    /// Where the journals of uploads in parts are kept.
    journals: PathBuf,
}

impl Builtin {
    pub(crate) fn new(
        store: Store,
        client: Client,
        settings: TransferSettings,
        journals: PathBuf,
    ) -> Self {
        Self {
            store,
            client,
            settings,
            journals,
        }
    }

    fn means<'a>(&'a self, lfs: &'a Url) -> Means<'a> {
        Means {
            client: &self.client,
            lfs,
            store: &self.store,
            settings: &self.settings,
            journals: &self.journals,
        }
    }
}

impl Engine for Builtin {
    fn clean(&self, file: &Path, take: Take, cancel: &CancelToken) -> Result<Cleaned> {
        clean::clean(&self.store, file, take, cancel)
    }

    fn upload(&self, job: &Job<'_>) -> Result<Report> {
        match job.remote {
            Remote::Http(lfs) => transfer::upload(self.means(lfs), job),
            Remote::Folder(git_dir) => folder::upload(&self.store, git_dir, job),
        }
    }

    fn download(&self, job: &Job<'_>) -> Result<Report> {
        match job.remote {
            Remote::Http(lfs) => transfer::download(self.means(lfs), job),
            Remote::Folder(git_dir) => folder::download(&self.store, git_dir, job),
        }
    }

    fn there(
        &self,
        remote: &Remote,
        objects: &[Object],
        cancel: &CancelToken,
    ) -> Result<Vec<Object>> {
        match remote {
            Remote::Http(lfs) => api::there(&self.client.with_cancel(cancel)?, lfs, objects),
            Remote::Folder(git_dir) => Ok(folder::there(&self.store, git_dir, objects)),
        }
    }

    fn prune(&self, _how: Pruning, _cancel: &CancelToken) -> Result<Option<(usize, u64)>> {
        Ok(None)
    }

    fn check_upload(&self, remote: &Remote) -> Result<()> {
        match remote {
            Remote::Http(lfs) => api::check_upload(&self.client, lfs),
            Remote::Folder(_) => Ok(()),
        }
    }
}
