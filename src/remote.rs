//! The remote of a clone: its address, its credentials, and who may be told them.

mod other;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cancel::CancelToken;
use crate::config::Use;
use crate::credential::{self, Asking, Found, Helpers, Netrc, Prompt};
use crate::error::{Error, ErrorKind, Result};
use crate::git::{self, Elsewhere, Git};
use crate::http::{self, Client, Given, Grant, LoginSource, Reach, Settings};
use crate::hub::{self, Hub};
use crate::id::{CommitId, Endpoint, RepoId, RepoType};
use crate::lfs::{self, Neighbour, endpoint, storage};
use crate::name::RemoteName;
use crate::place::{Place, PushPlace, http_url};
use crate::secret::{Secret, Token};
use crate::source::{Location, Source};
use crate::url::{Url, Userinfo};
use crate::worktree::Rules;

/// Whether a token is looked for in the environment and where the Hub's tools leave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ImplicitToken {
    #[default]
    Sought,
    Off,
}

/// Where logins come from, as far as the caller and the clone say.
pub(crate) struct Logins {
    /// What the caller passed for the Hub.
    pub(crate) secret: Option<Secret>,
    /// Whether the Hub's own places for a token are looked at, if nothing was passed.
    pub(crate) implicit: ImplicitToken,
    pub(crate) prompt: Option<Prompt>,
    /// The clone, for what its config says of credential helpers; it need not exist yet.
    pub(crate) workdir: Option<PathBuf>,
}

/// Everything needed to talk to the remote.
#[derive(Clone)]
pub(crate) struct Connection {
    name: RemoteName,
    endpoint: Endpoint,
    /// As it was named; see [`Place`].
    home: Location,
    recorded: String,
    fetch: Location,
    /// None if what is written there cannot be read.
    push: Option<Location>,
    reach: Reach,
    client: Client,
}

impl Connection {
    /// Prepares the way to a remote; no network.
    pub(crate) fn new(
        name: RemoteName,
        endpoint: Endpoint,
        place: Place,
        logins: Logins,
        settings: Settings,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let hub = endpoint.url().origin();
        let mut grants = Vec::new();
        let explicit = logins.secret.is_some();
        let found = match (logins.secret, logins.implicit) {
            (None, ImplicitToken::Off) => None,
            (secret, _) => credential::find_secret(secret)?,
        };
        if let Some(Found { secret, source }) = found {
            tracing::debug!(?source, "token found");
            grants.push(Grant {
                origin: hub.clone(),
                user: None,
                secret,
                given: source.given(),
            });
        }
        let Place {
            home,
            recorded,
            fetch,
            push,
        } = place;
        let remote = http_url(&endpoint, &fetch.location).map(|url| http::Remote {
            user: fetch.userinfo.as_ref().map(|info| info.user.clone()),
            proxy: settings
                .config
                .get(&format!("remote.{name}.proxy"))
                .map(str::to_owned),
            url,
        });
        let push = match push {
            PushPlace::Same => Some(fetch.clone()),
            PushPlace::Elsewhere(push) => Some(push),
            PushPlace::Nowhere => None,
        };
        // Of two for one server the one for fetches counts.
        for Source {
            location, userinfo, ..
        } in push.iter().chain([&fetch])
        {
            let url = http_url(&endpoint, location);
            let Some(grant) = url
                .zip(userinfo.clone())
                .and_then(|(url, info)| grant(&url, info))
            else {
                continue;
            };
            // Only what the caller passed itself counts more. What was found elsewhere is for when a
            // password of long ago is refused.
            let is_hub = grant.origin == hub;
            if !(explicit && is_hub) {
                let same =
                    |found: &Grant| found.origin == grant.origin && found.given == grant.given;
                grants.retain(|found| !same(found));
                grants.insert(0, grant);
            }
        }
        let pushed = push.as_ref().and_then(|push| {
            let user = push.userinfo.as_ref().map(|info| info.user.clone());
            let url = http_url(&endpoint, &push.location)?;
            Some(http::Wanted { url, user })
        });
        let settings = Settings {
            push: pushed,
            ..settings.with_remote(remote)
        };
        let fetched = settings.remote.iter().map(|remote| &remote.url);
        let pushed = settings.push.iter().map(|pushed| &pushed.url);
        let netrc = Netrc {
            hub: endpoint.url().clone(),
            own: fetched.chain(pushed).map(Url::origin).collect(),
            plain: settings.plain_http,
        };
        let reach = settings.reach;
        let helpers = Helpers::new(Arc::clone(&settings.config), logins.workdir);
        let helpers = Arc::new(helpers);
        let mut sources: Vec<Arc<dyn LoginSource>> =
            vec![Arc::clone(&helpers) as _, Arc::new(netrc)];
        if let Some(prompt) = logins.prompt {
            sources.push(Arc::new(Asking { prompt, helpers }));
        }
        let client = Client::asking(settings, grants, sources)?.with_cancel(cancel)?;
        Ok(Self {
            name,
            endpoint,
            home,
            recorded,
            fetch: fetch.location,
            push: push.map(|push| push.location),
            reach,
            client,
        })
    }

    /// Replaces the secret for the Hub; for a remote elsewhere that has one of its own, that one.
    pub(crate) fn set_token(&self, token: Token) {
        let grants = self.client.grants();
        let hub = self.endpoint.url().origin();
        let secret = Secret::Token(token);
        let elsewhere = http_url(&self.endpoint, &self.fetch)
            .and_then(|url| grants.find(&url.origin()))
            .filter(|grant| grant.origin != hub);
        let given = Given::ByCaller("the token that was set");
        grants.put(match elsewhere {
            // The user name is part of the remote's URL, and none of the token's business.
            Some(grant) => Grant {
                secret,
                given,
                ..grant
            },
            None => Grant {
                origin: hub,
                user: None,
                secret,
                given,
            },
        });
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn name(&self) -> &RemoteName {
        &self.name
    }

    /// Where it is fetched from.
    pub(crate) fn location(&self) -> &Location {
        &self.fetch
    }

    /// What to write into `remote.origin.url`: plain, and never with credentials.
    pub(crate) fn config_url(&self) -> String {
        self.recorded.clone()
    }

    fn side(&self, usage: Use) -> Result<&Location> {
        match usage {
            Use::Fetch => Ok(&self.fetch),
            Use::Push => self.push.as_ref().ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("cannot push: the address in remote.{}.pushurl, or what pushInsteadOf makes of it, cannot be read", self.name),
                )
                .with_hint(format!("if pushes are meant to go out: git config remote.{}.pushurl <url>", self.name))
            }),
        }
    }

    /// The remote as the git engine wants it; all its requests end when `cancel` is pulled.
    pub(crate) fn git(&self, usage: Use, cancel: &CancelToken) -> Result<git::Remote> {
        let location = self.side(usage)?;
        if !matches!(location, Location::Folder(_)) {
            self.be_online(usage)?;
        }
        match (location, http_url(&self.endpoint, location)) {
            (Location::Folder(path), _) => Ok(git::Remote::Folder(path.clone())),
            (_, Some(url)) => Ok(git::Remote::Http {
                url,
                client: self.client.for_work(cancel)?,
            }),
            (Location::Ssh(url), _) => Ok(git::Remote::Ssh(url.clone())),
            (Location::Hub { .. } | Location::Http(_), None) => Err(no_url()),
        }
    }

    /// Refuses what needs the network if the user wants none. Programs would not ask.
    fn be_online(&self, usage: Use) -> Result<()> {
        if self.reach == Reach::Online {
            return Ok(());
        }
        let what = match usage {
            Use::Fetch => "fetch from",
            Use::Push => "push to",
        };
        Err(http::offline(&format!("{what} {}", self.name)))
    }

    /// The remote as the LFS engines want it, as the clone's config says now; while the work tree is
    /// on its way to the commit `incoming`, with the `.lfsconfig` of that.
    pub(crate) fn lfs(
        &self,
        git: &Git,
        usage: Use,
        incoming: Option<CommitId>,
    ) -> Result<lfs::Remote> {
        let found = self.lfs_place(git, usage, incoming)?;
        if !matches!(found, lfs::Remote::Folder(_)) {
            self.be_online(usage)?;
        }
        Ok(found)
    }

    fn lfs_place(&self, git: &Git, usage: Use, incoming: Option<CommitId>) -> Result<lfs::Remote> {
        let config = git.lfs_config(incoming)?;
        match endpoint::configured(&config, self.name.as_str(), usage)? {
            Some(endpoint::Endpoint::Http(url, userinfo)) => {
                let grants = self.client.grants();
                if let Some(grant) = userinfo.and_then(|info| grant(&url, info))
                    && grants.find(&grant.origin).is_none()
                {
                    grants.put(grant);
                }
                return Ok(lfs::Remote::Http(url));
            }
            Some(endpoint::Endpoint::Folder(path)) => {
                return Ok(neighbour(&path));
            }
            Some(endpoint::Endpoint::Ssh(url)) => return Ok(lfs::Remote::Ssh(url)),
            None => {}
        }
        let location = self.side(usage)?;
        match (location, http_url(&self.endpoint, location)) {
            (Location::Folder(path), _) => Ok(neighbour(path)),
            (_, Some(url)) => Ok(lfs::Remote::Http(hub::lfs_url(&url))),
            (Location::Ssh(url), _) => Ok(lfs::Remote::Ssh(url.clone())),
            (Location::Hub { .. } | Location::Http(_), None) => Err(no_url()),
        }
    }

    /// The Hub, if the remote is a repository there.
    pub(crate) fn hub(&self) -> Option<Hub> {
        match self.fetch {
            Location::Hub { .. } => Some(Hub::new(self.endpoint.clone(), self.client.clone())),
            _ => None,
        }
    }

    /// What the remote's hook is known to refuse.
    pub(crate) fn rules(&self) -> Rules {
        match self.push {
            Some(Location::Hub { .. }) => Rules::Hub,
            _ => Rules::None,
        }
    }

    /// Whether pushes go to where fetches come from.
    pub(crate) fn is_one_place(&self) -> bool {
        self.push
            .as_ref()
            .is_some_and(|push| push.is_same_place(&self.fetch, &self.endpoint))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The page of a commit; where other servers than the Hub have theirs is not known.
    pub(crate) fn commit_url(&self, commit: CommitId) -> Option<String> {
        let (id, repo_type) = self.hub_repo()?;
        let url = hub::git_url(&self.endpoint, id, repo_type);
        Some(hub::commit_url(&url, commit).to_full())
    }

    /// The Hub's repository, if this is one.
    pub(crate) fn hub_repo(&self) -> Option<(&RepoId, RepoType)> {
        match &self.home {
            Location::Hub { id, repo_type } => Some((id, *repo_type)),
            Location::Http(_) | Location::Folder(_) | Location::Ssh(_) => None,
        }
    }
}

/// The objects of a repository on this machine.
fn neighbour(folder: &Path) -> lfs::Remote {
    let Elsewhere {
        git_dir,
        common_dir,
        lfs_storage,
    } = Elsewhere::at(folder);
    let store = storage::root(&common_dir, lfs_storage.as_deref());
    lfs::Remote::Folder(Neighbour { git_dir, store })
}

/// What somebody wrote into a URL, for just that server.
fn grant(url: &Url, info: Userinfo) -> Option<Grant> {
    Some(Grant {
        origin: url.origin(),
        user: Some(info.user),
        secret: Secret::Token(info.password?),
        given: Given::InPlace("the password in the URL"),
    })
}

fn no_url() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the remote has no URL to speak http with",
    )
}
