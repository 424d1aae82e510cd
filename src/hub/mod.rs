//! The Hub's own routes, and the addresses it gives to repositories.

mod account;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};

use crate::http::{Auth, Body, Client, Request};
use crate::id::{CommitId, Endpoint, RepoId, RepoType};
use crate::url::Url;

/// Who may see a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Its owner, and members of its organization.
    Private,
}

/// The Hub at an endpoint.
pub(crate) struct Hub {
    endpoint: Endpoint,
    client: Client,
}

/// What creating a repository came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    New,
    /// Somebody else was quicker.
    Existed,
}

impl Hub {
    pub(crate) fn new(endpoint: Endpoint, client: Client) -> Self {
        Self { endpoint, client }
    }

    fn api(&self, route: &str) -> Url {
        self.endpoint.url().join(&format!("api/{route}"))
    }

    /// Whether this token can see the repository.
    pub(crate) fn repo_exists(&self, id: &RepoId, repo_type: RepoType) -> Result<bool> {
        let route = format!("{}/{id}", repo_type.api_segment());
        self.client.retrying(|client| {
            let request = Request::get(self.api(&route)).auth(Auth::Bearer);
            let response = client.send(request)?;
            match response.status() {
                404 => Ok(false),
                // Strangers are not told whether it exists; creating will say what is wrong.
                401 if !self.client.has_login_for(self.endpoint.url()) => Ok(false),
                _ => response.error_for_status().map(|_| true),
            }
        })
    }

    /// Creates a repository.
    pub(crate) fn create_repo(
        &self,
        id: &RepoId,
        repo_type: RepoType,
        visibility: Visibility,
    ) -> Result<Created> {
        #[derive(Serialize)]
        struct Create<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            organization: Option<&'a str>,
            r#type: String,
            private: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            sdk: Option<&'a str>,
        }
        let body = Create {
            name: id.name(),
            organization: id.namespace(),
            r#type: repo_type.to_string(),
            private: visibility == Visibility::Private,
            // A Space must say what runs it; static pages need nothing else.
            sdk: (repo_type == RepoType::Space).then_some("static"),
        };
        let body = serde_json::to_vec(&body).map_err(|error| {
            Error::new(ErrorKind::Protocol, "cannot describe the repository").with_source(error)
        })?;
        // Repeating it is harmless: the second try is told that the first one worked.
        self.client.retrying(|client| {
            let request = Request::post(self.api("repos/create"))
                .auth(Auth::Bearer)
                .header("Content-Type", "application/json")
                .body(Body::Bytes(body.clone()));
            let response = client.send(request)?;
            if response.status() == 409 {
                return Ok(Created::Existed);
            }
            response.error_for_status().map(|_| Created::New)
        })
    }
}

/// The git URL of a repository on the Hub.
pub(crate) fn git_url(endpoint: &Endpoint, id: &RepoId, repo_type: RepoType) -> Url {
    endpoint
        .url()
        .join(&format!("{}{id}", repo_type.url_prefix()))
}

/// Where the LFS server of a git URL is, by git-lfs's rule.
pub(crate) fn lfs_url(git: &Url) -> Url {
    let path = git.path().trim_end_matches('/');
    let suffix = if path.ends_with(".git") { "" } else { ".git" };
    git.with_path(&format!("{path}{suffix}/info/lfs"))
}

/// The page of a commit.
pub(crate) fn commit_url(git: &Url, commit: CommitId) -> Url {
    git.join(&format!("commit/{commit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let endpoint: Endpoint = "https://hub.example".parse().expect("valid");
        let id: RepoId = "ns/name".parse().expect("valid");
        let git = git_url(&endpoint, &id, RepoType::Dataset);
        assert_eq!(git.to_full(), "https://hub.example/datasets/ns/name");
        for (git, lfs) in [
            ("https://h/a/b", "https://h/a/b.git/info/lfs"),
            ("https://h/a/b/", "https://h/a/b.git/info/lfs"),
            ("https://h/a/b.git", "https://h/a/b.git/info/lfs"),
        ] {
            assert_eq!(lfs_url(&Url::parse(git).expect(git)).to_full(), lfs);
        }
    }
}
