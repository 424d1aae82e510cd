//! Opening a clone that is there.

use super::target::is_unfinished;
use super::{PrepareRepository, Repository};
use crate::error::{Error, ErrorKind, Result};
use crate::git::Git;
use crate::id::Endpoint;
use crate::name::RemoteName;
use crate::place::{Place, Reading};
use crate::remote::Connection;
use crate::source::Location;

/// Opening.
impl PrepareRepository {
    /// Opens an existing clone; no network, unless a [`revision`](Self::revision) has to be got.
    ///
    /// Nothing is pulled and no setting is changed. Of a revision that was asked for, what this clone lacks is
    /// fetched: the revision itself, and the content of its LFS files.
    ///
    /// # Errors
    /// [`ErrorKind::NotARepository`] if there is none, [`ErrorKind::RemoteMismatch`] with both names if it is
    /// a clone of something else than the source names; with a revision those of
    /// [`checkout`](Repository::checkout).
    pub fn open(self) -> Result<Repository> {
        let git = self.git()?;
        self.attach(&git)
    }

    /// The git repository in the folder, if it is a complete clone.
    pub(super) fn git(&self) -> Result<Git> {
        let git = Git::open(&self.folder)?;
        if is_unfinished(git.git_dir()) {
            return Err(Error::new(
                ErrorKind::NotARepository,
                format!("{} is a clone that was interrupted", self.folder.display()),
            )
            .with_hint("finish it with open_or_clone()"));
        }
        Ok(git)
    }

    /// Opens the clone if the folder is one, else makes it; finishes one that was interrupted.
    ///
    /// An existing clone is opened as by [`open`](Self::open): nothing is pulled.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`clone_repo`](Self::clone_repo).
    pub fn open_or_clone(self) -> Result<Repository> {
        let dot_git = self.folder.join(".git");
        if dot_git.exists() && !is_unfinished(&dot_git) {
            return self.open();
        }
        match self.clone().clone_repo() {
            // Another process began after we looked, and has finished since.
            Err(error)
                if error.kind() == ErrorKind::FolderNotEmpty
                    && dot_git.exists()
                    && !is_unfinished(&dot_git) =>
            {
                self.open()
            }
            cloned => cloned,
        }
    }

    /// The repository object for an open clone, its remote checked against the source.
    pub(super) fn attach(mut self, git: &Git) -> Result<Repository> {
        let (name, mut there) = self.recorded_place(git)?;
        let revision = self.revision.take().or(there.fetch.revision.take());
        let connection = Connection::new(
            name,
            self.resolve_endpoint()?,
            there,
            self.logins(git.workdir()),
            self.http_settings(git.whole_config()?),
            &self.cancel,
        )?;
        crate::local::recorded::warn(git.common_dir());
        let missing = self.missing;
        let repository = self.finish(git, connection)?;
        if let Some(revision) = revision {
            repository.go_to_revision(&revision, missing)?;
        }
        Ok(repository)
    }

    /// The remote an open clone has recorded, checked against the source, with the source's revision.
    pub(super) fn recorded_place(&self, git: &Git) -> Result<(RemoteName, Place)> {
        let endpoint = self.resolve_endpoint()?;
        let head = git.head()?;
        let name = head
            .branch("")
            .ok()
            .and_then(|branch| git.upstream_remote(branch))
            .filter(|name| git.remote_url(name).is_some())
            .unwrap_or_else(RemoteName::origin);
        let config = git.whole_config()?;
        let url = format!("remote.{name}.url");
        let recorded = config.first(&url).map(str::to_owned).ok_or_else(|| {
            Error::new(
                ErrorKind::RemoteMismatch,
                format!("{} has no remote named {name}", self.folder.display()),
            )
            .with_hint("add one with: git remote add origin <url>")
        })?;
        let reading = Reading {
            endpoint: &endpoint,
            config: &config,
            base: git.workdir(),
            repo_type: None,
        };
        let mut there = reading.place(&recorded)?;
        there.fetch.revision = None;
        if let Some(push) = reading.push_place(&name) {
            there.push = push;
        }
        if self.source.is_some() {
            let wanted = self.place(&endpoint, &config)?;
            let wanted_at = &wanted.fetch.location;
            self.refuse_other_source(&there.fetch.location, wanted_at, &endpoint)?;
            // What the caller wrote into the URL just now is newer than what is recorded.
            there.fetch.userinfo = wanted.fetch.userinfo.or(there.fetch.userinfo);
            there.fetch.revision = wanted.fetch.revision;
        }
        Ok((name, there))
    }

    /// Checks that the remote a clone has recorded is the one that is wanted.
    pub(super) fn refuse_other_source(
        &self,
        recorded: &Location,
        wanted: &Location,
        endpoint: &Endpoint,
    ) -> Result<()> {
        if wanted.is_same_place(recorded, endpoint) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::RemoteMismatch,
            format!(
                "{} is a clone of {}, not of {}",
                self.folder.display(),
                describe(recorded, endpoint),
                describe(wanted, endpoint),
            ),
        )
        .with_hint("use another folder, or open it by Repository::open(folder)"))
    }
}

/// What to call a place in messages.
fn describe(location: &Location, endpoint: &Endpoint) -> String {
    match location {
        Location::Hub { id, repo_type } if endpoint.is_default() => format!("the {repo_type} {id}"),
        Location::Hub { id, repo_type } => format!("the {repo_type} {id} of {endpoint}"),
        Location::Http(url) => url.to_string(),
        Location::Folder(path) => path.display().to_string(),
        Location::Ssh(url) => url.clone(),
    }
}
