//! Where logins come from that are looked for only when a server wants one.

use std::time::SystemTime;

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::secret::{Login, Token};
use crate::url::Url;

/// What a login is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The repository, as far as that is known; in any case at the server that wants the login.
    pub(crate) url: Url,
    /// Whom its address names.
    pub(crate) user: Option<String>,
}

/// A login that a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) login: Login,
    /// When it is of no use any more, as far as the source says.
    pub(crate) expires: Option<SystemTime>,
    /// What the source gets a new one with; whoever is told to keep the login keeps this too, or loses
    /// it.
    pub(crate) refresh: Option<Token>,
    /// Whether it is worth keeping.
    pub(crate) lasts: Lasts,
}

/// How long a login is meant to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    Kept,
    /// It is for now, and for nobody to keep.
    Now,
}

impl From<Login> for Offer {
    fn from(login: Login) -> Self {
        Self {
            login,
            expires: None,
            refresh: None,
            lasts: Lasts::Kept,
        }
    }
}

/// A place where logins come from. Calls may take their time, and come from any thread, but for one
/// server never from two at once.
pub(crate) trait LoginSource: Send + Sync {
    /// What to call it in messages, as in "git credential helpers".
    fn name(&self) -> &'static str;

    /// Whether it is worth asking about a server.
    fn serves(&self, url: &Url) -> bool {
        let _ = url;
        true
    }

    /// Whether it may be asked a second time about the same server, later.
    fn is_patient(&self) -> bool {
        true
    }

    /// The login for a server, if it has one.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::error::ErrorKind::Cancelled) only: what it cannot tell it has not.
    fn get(&self, wanted: &Wanted, cancel: &CancelToken) -> Result<Option<Offer>>;

    /// The server took the login.
    fn approve(&self, wanted: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        let _ = (wanted, offer, cancel);
        Ok(())
    }

    /// The server did not take the login.
    fn reject(&self, wanted: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        let _ = (wanted, offer, cancel);
        Ok(())
    }

    /// The server took the login once, and no longer does.
    fn retract(&self, wanted: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        self.reject(wanted, offer, cancel)
    }
}
