//! The other remotes of a clone.

use super::{Connection, grant};
use crate::error::{Error, ErrorKind, Result};
use crate::git::Git;
use crate::http;
use crate::name::RemoteName;
use crate::place::{Place, PushPlace, Reading, http_url};

impl Connection {
    /// The way to a remote of the clone by its name, with the logins of this one.
    ///
    /// # Errors
    /// [`ErrorKind::RemoteNotFound`] if none is configured under that name, and what is wrong with its
    /// address.
    pub(crate) fn to(&self, git: &Git, name: &RemoteName) -> Result<Self> {
        if *name == self.name {
            return Ok(self.clone());
        }
        let config = git.whole_config()?;
        let url = config.first(&format!("remote.{name}.url")).ok_or_else(|| {
            Error::new(
                ErrorKind::RemoteNotFound,
                format!("no remote is named {name}"),
            )
            .with_hint(format!("add it with: git remote add {name} <url>"))
        })?;
        let reading = Reading {
            endpoint: &self.endpoint,
            config: &config,
            base: git.workdir(),
            repo_type: None,
        };
        let mut place = reading.place(url)?;
        if let Some(push) = reading.push_place(name) {
            place.push = push;
        }
        let Place {
            home,
            recorded,
            fetch,
            push,
        } = place;
        let push = match push {
            PushPlace::Same => Some(fetch.clone()),
            PushPlace::Elsewhere(push) => Some(push),
            PushPlace::Nowhere => None,
        };
        // A password in the address is for its server, unless there is one for that already.
        let grants = self.client.grants();
        for source in push.iter().chain([&fetch]) {
            let url = http_url(&self.endpoint, &source.location);
            let grant = url
                .zip(source.userinfo.clone())
                .and_then(|(url, info)| grant(&url, info));
            if let Some(grant) = grant
                && grants.find(&grant.origin).is_none()
            {
                grants.put(grant);
            }
        }
        let remote = http_url(&self.endpoint, &fetch.location).map(|url| http::Remote {
            user: fetch.userinfo.as_ref().map(|info| info.user.clone()),
            proxy: config
                .get(&format!("remote.{name}.proxy"))
                .map(str::to_owned),
            url,
        });
        Ok(Self {
            name: name.clone(),
            endpoint: self.endpoint.clone(),
            home,
            recorded,
            fetch: fetch.location,
            push: push.map(|push| push.location),
            reach: self.reach,
            client: self.client.for_remote(remote)?,
        })
    }
}
