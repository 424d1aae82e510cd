//! Keeping a login, and forgetting it: by the user's helpers, or in a file of git's `store` helper.

use std::path::PathBuf;

use super::ask::Helpers;
use super::helpers::Plan;
use super::protocol::Record;
use super::store::Store;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Login;
use crate::url::Url;

/// How many logins of one name are forgotten; helpers that are asked in turn may each have one.
const ROUNDS: usize = 8;

/// Where logins are kept.
pub(crate) enum Keeper {
    Helpers(Helpers),
    File(Store),
}

impl Keeper {
    /// A file in the format of git's `store` helper; without a path where that helper keeps it.
    pub(crate) fn file(path: Option<PathBuf>) -> Self {
        Self::File(path.map_or_else(Store::of_user, Store::at))
    }

    /// Keeps a login for a server, and sees that it is there.
    ///
    /// # Errors
    /// [`ErrorKind::NoCredentialHelper`] if nobody is there to keep it, [`ErrorKind::Unsupported`] if they
    /// keep logins for single repositories, [`ErrorKind::ProgramFailed`] if
    /// it is not there afterwards, and those of the file system.
    pub(crate) fn keep(&self, url: &Url, login: &Login, cancel: &CancelToken) -> Result<()> {
        let record = Record {
            password: Some(login.password().clone()),
            ..record(url, login.user())
        };
        match self {
            Self::File(store) => store.store(&record),
            Self::Helpers(helpers) => {
                let plan = some_helper(helpers, &record, cancel)?;
                if plan.use_http_path {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "cannot have a token for the whole server kept: credential.useHttpPath keeps one \
                         for each repository, and this one would never be found",
                    )
                    .with_hint(format!(
                        "set it off for this server: git config --global credential.{url}.useHttpPath false"
                    )));
                }
                helpers.approve(&record, cancel)?;
                let asked = self::record(url, login.user());
                let kept = helpers.get(&asked, cancel)?;
                match kept.is_some_and(|kept| kept.password == record.password) {
                    true => Ok(()),
                    false => Err(Error::new(
                        ErrorKind::ProgramFailed,
                        "git's credential helpers did not keep the token",
                    )
                    .with_hint(
                        "one that only reads keeps nothing, and one before it may have another token: \
                         see git config --show-origin --get-all credential.helper",
                    )),
                }
            }
        }
    }

    /// Forgets the logins of a name for a server; that there is none is fine.
    ///
    /// # Errors
    /// [`ErrorKind::NoCredentialHelper`] if nobody is there to ask, [`ErrorKind::ProgramFailed`] if one
    /// is still there afterwards, and those of the file system.
    pub(crate) fn forget(&self, url: &Url, user: &str, cancel: &CancelToken) -> Result<()> {
        let asked = record(url, user);
        match self {
            Self::File(store) => store.erase(&asked),
            Self::Helpers(helpers) => {
                some_helper(helpers, &asked, cancel)?;
                for _ in 0..ROUNDS {
                    let Some(found) = helpers.get(&asked, cancel)? else {
                        return Ok(());
                    };
                    // A helper that does not look at the name: what it has is somebody else's.
                    if found.username.as_deref() != Some(user) {
                        return Ok(());
                    }
                    let found = Record {
                        username: found.username,
                        password: found.password,
                        ..asked.clone()
                    };
                    helpers.reject(&found, cancel)?;
                }
                Err(Error::new(
                    ErrorKind::ProgramFailed,
                    "git's credential helpers did not forget the token",
                )
                .with_hint(
                    "one that only reads forgets nothing: take the token out of its own place",
                ))
            }
        }
    }
}

fn record(url: &Url, user: &str) -> Record {
    Record {
        protocol: Some(url.scheme().to_owned()),
        host: Some(url.authority()),
        username: Some(user.to_owned()),
        ..Record::default()
    }
}

fn some_helper(helpers: &Helpers, asked: &Record, cancel: &CancelToken) -> Result<Plan> {
    let plan = helpers.plan(asked, cancel)?;
    if !plan.helpers.is_empty() {
        return Ok(plan);
    }
    Err(Error::new(
        ErrorKind::NoCredentialHelper,
        "no credential helper is configured that could keep the token",
    )
    .with_hint(
        "choose one, as in: git config --global credential.helper cache (or osxkeychain, libsecret, \
         manager), or have it kept in a plain file by KeepIn::DefaultFile",
    ))
}
