//! Logging in for good: a token kept where git and this library find it again.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cancel::CancelToken;
use crate::credential::{Helpers, Keeper};
use crate::error::Result;
use crate::git;
use crate::http::ANY_USER;
use crate::id::Endpoint;
use crate::place;
use crate::secret::{Login, Token};

/// Where [`login`] keeps a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepIn {
    /// In the credential helpers that git's configuration names: a key chain, say. None is set up by
    /// this.
    #[default]
    Helpers,
    /// In the file of git's `store` helper, `~/.git-credentials`: as plain text that only the user may
    /// read. git, and this library, look into it where `credential.helper` is `store`.
    DefaultFile,
    /// In another file like it, for `credential.helper = store --file <path>`.
    File(PathBuf),
}

/// How [`login`] and [`logout`] work.
///
/// ```no_run
/// use hf_repository::{KeepIn, LoginOptions};
/// LoginOptions::new()
///     .endpoint("https://hub.example.org".parse()?)
///     .keep_in(KeepIn::DefaultFile)
///     .login("hf_…".parse()?)?;
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct LoginOptions {
    endpoint: Option<Endpoint>,
    keep_in: KeepIn,
}

impl LoginOptions {
    /// For the Hub of `HF_ENDPOINT`, else `https://huggingface.co`, by the user's helpers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The Hub that the token is for.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Where the token is kept.
    pub fn keep_in(mut self, keep_in: KeepIn) -> Self {
        self.keep_in = keep_in;
        self
    }

    /// See [`login`].
    ///
    /// # Errors
    /// As [`login`], and those of the file system for a file.
    pub fn login(&self, token: Token) -> Result<()> {
        let endpoint = place::endpoint(self.endpoint.as_ref())?;
        let login = Login::of(ANY_USER.to_owned(), token);
        self.keeper()?
            .keep(endpoint.url(), &login, &CancelToken::new())
    }

    /// See [`logout`].
    ///
    /// # Errors
    /// As [`logout`], and those of the file system for a file.
    pub fn logout(&self) -> Result<()> {
        let endpoint = place::endpoint(self.endpoint.as_ref())?;
        self.keeper()?
            .forget(endpoint.url(), ANY_USER, &CancelToken::new())
    }

    fn keeper(&self) -> Result<Keeper> {
        Ok(match &self.keep_in {
            KeepIn::Helpers => Keeper::Helpers(Helpers::new(Arc::new(git::user_config()?), None)),
            KeepIn::DefaultFile => Keeper::file(None),
            KeepIn::File(path) => Keeper::file(Some(path.clone())),
        })
    }
}

/// Keeps a token for the Hub in the user's git credential helpers, under the name `hf_user`, as the
/// Hub's other tools do.
///
/// From then on git, git-lfs and this library find it there; see `docs/credentials.md` for what counts
/// more. Nothing is sent: whether the token is any good is seen when it is used. A token that is kept
/// under the same name is replaced.
///
/// # Errors
/// [`ErrorKind::NoCredentialHelper`](crate::ErrorKind::NoCredentialHelper) if git's configuration names
/// none: then one has to be set up, or a file be chosen by [`KeepIn`].
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if `credential.useHttpPath` has them keep
/// one login for each repository.
/// [`ErrorKind::ProgramFailed`](crate::ErrorKind::ProgramFailed) if the helpers do not have the token
/// afterwards. Organization tokens are refused when a [`Token`] is made.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let token = std::fs::read_to_string("/run/secrets/hub-token")?;
/// hf_repository::login(token.parse()?)?;
/// # Ok(())
/// # }
/// ```
pub fn login(token: Token) -> Result<()> {
    LoginOptions::new().login(token)
}

/// Has the user's git credential helpers forget what [`login`] had them keep; that there is nothing is
/// fine.
///
/// Other names for the same server stay, and so do `HF_TOKEN` and the token file of the Hub's tools.
///
/// # Errors
/// [`ErrorKind::NoCredentialHelper`](crate::ErrorKind::NoCredentialHelper) if git's configuration names
/// none, [`ErrorKind::ProgramFailed`](crate::ErrorKind::ProgramFailed) if they still have it afterwards.
///
/// ```no_run
/// hf_repository::logout()?;
/// # Ok::<(), hf_repository::Error>(())
/// ```
pub fn logout() -> Result<()> {
    LoginOptions::new().logout()
}
