//! The remote of a clone: its address, its credentials, and who may be told them.

use crate::cancel::CancelToken;
use crate::credential::{self, Found};
use crate::error::{Error, ErrorKind, Result};
use crate::git;
use crate::http::{Client, Grant, Settings};
use crate::hub::{self, Hub};
use crate::id::{CommitId, Endpoint};
use crate::lfs;
use crate::name::RemoteName;
use crate::secret::{Secret, Token};
use crate::source::{Location, Source};
use crate::url::Url;
use crate::worktree::Rules;

/// Everything needed to talk to the remote.
pub(crate) struct Connection {
    name: RemoteName,
    endpoint: Endpoint,
    location: Location,
    client: Client,
}

impl Connection {
    /// Prepares the way to a remote; no network.
    pub(crate) fn new(
        name: RemoteName,
        endpoint: Endpoint,
        source: Source,
        secret: Option<Secret>,
        settings: Settings,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let mut grants = Vec::new();
        let explicit = secret.is_some();
        if let Some(Found { secret, source }) = credential::find_secret(secret)? {
            tracing::debug!(?source, "token found");
            grants.push(Grant {
                origin: endpoint.url().origin(),
                user: None,
                secret,
            });
        }
        if let (Some(info), Some(url)) = (source.userinfo, http_url(&endpoint, &source.location))
            && let Some(token) = info.password
        {
            // Somebody wrote it into the URL for just this server.
            let grant = Grant {
                origin: url.origin(),
                user: Some(info.user),
                secret: Secret::Token(token),
            };
            // Only what the caller passed itself counts more.
            if !explicit || grants.iter().all(|found| found.origin != grant.origin) {
                grants.retain(|found| found.origin != grant.origin);
                grants.push(grant);
            }
        }
        let client = Client::new(settings, grants)?.with_cancel(cancel)?;
        Ok(Self {
            name,
            endpoint,
            location: source.location,
            client,
        })
    }

    /// Replaces the secret for the Hub; for a remote elsewhere that has one of its own, that one.
    pub(crate) fn set_token(&self, token: Token) {
        let grants = self.client.grants();
        let hub = self.endpoint.url().origin();
        let secret = Secret::Token(token);
        let elsewhere = http_url(&self.endpoint, &self.location)
            .and_then(|url| grants.find(&url.origin()))
            .filter(|grant| grant.origin != hub);
        grants.put(match elsewhere {
            // The user name is part of the remote's URL, and none of the token's business.
            Some(grant) => Grant { secret, ..grant },
            None => Grant {
                origin: hub,
                user: None,
                secret,
            },
        });
    }

    pub(crate) fn name(&self) -> &RemoteName {
        &self.name
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// What to write into `remote.origin.url`: plain, and never with credentials.
    pub(crate) fn config_url(&self) -> String {
        match &self.location {
            Location::Ssh(url) => url.clone(),
            Location::Folder(path) => path.to_string_lossy().into_owned(),
            Location::Hub { .. } | Location::Http(_) => http_url(&self.endpoint, &self.location)
                .map(|url| url.to_full())
                .unwrap_or_default(),
        }
    }

    /// The remote as the git engine wants it; all its requests end when `cancel` is pulled.
    pub(crate) fn git(&self, cancel: &CancelToken) -> Result<git::Remote> {
        match (&self.location, http_url(&self.endpoint, &self.location)) {
            (Location::Folder(path), _) => Ok(git::Remote::Folder(path.clone())),
            (_, Some(url)) => Ok(git::Remote::Http {
                url,
                client: self.client.for_work(cancel)?,
            }),
            (Location::Ssh(url), _) => Err(no_ssh(url)),
            (Location::Hub { .. } | Location::Http(_), None) => Err(no_ssh("the remote")),
        }
    }

    /// The remote as the LFS engines want it.
    pub(crate) fn lfs(&self) -> Result<lfs::Remote> {
        match (&self.location, http_url(&self.endpoint, &self.location)) {
            (Location::Folder(path), _) => Ok(lfs::Remote::Folder(git::git_dir_of(path))),
            (_, Some(url)) => Ok(lfs::Remote::Http(hub::lfs_url(&url))),
            (Location::Ssh(url), _) => Err(no_ssh(url)),
            (Location::Hub { .. } | Location::Http(_), None) => Err(no_ssh("the remote")),
        }
    }

    /// The Hub, if the remote is a repository there.
    pub(crate) fn hub(&self) -> Option<Hub> {
        match self.location {
            Location::Hub { .. } => Some(Hub::new(self.endpoint.clone(), self.client.clone())),
            _ => None,
        }
    }

    /// What the remote's hook is known to refuse.
    pub(crate) fn rules(&self) -> Rules {
        match self.location {
            Location::Hub { .. } => Rules::Hub,
            _ => Rules::None,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The page of a commit, where the remote has such pages.
    pub(crate) fn commit_url(&self, commit: CommitId) -> Option<String> {
        let url = http_url(&self.endpoint, &self.location)?;
        Some(hub::commit_url(&url, commit).to_full())
    }
}

/// The git URL of a place on a server.
fn http_url(endpoint: &Endpoint, location: &Location) -> Option<Url> {
    match location {
        Location::Hub { id, repo_type } => Some(hub::git_url(endpoint, id, *repo_type)),
        Location::Http(url) => Some(url.clone()),
        Location::Folder(_) | Location::Ssh(_) => None,
    }
}

fn no_ssh(url: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("cannot reach {url}: ssh is not supported yet"),
    )
    .with_hint("use the https URL of the repository, and a token")
}
