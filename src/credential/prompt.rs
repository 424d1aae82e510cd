//! Asking the caller, who may ask a person.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::ask::Helpers;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::http::{LoginSource, Offer, Wanted};
use crate::secret::Login;

/// What a login is wanted for.
///
/// Given to the function of
/// [`credential_prompt`](crate::PrepareRepository::credential_prompt).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CredentialRequest {
    url: String,
    username: Option<String>,
}

impl CredentialRequest {
    /// The address that wants a login: the repository's, as far as that is known; never with a secret
    /// in it.
    ///
    /// The login goes to the server that it names, and nowhere else.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The user that the address names.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }
}

/// A function of the caller's that may know a login.
#[derive(Clone)]
pub(crate) struct Prompt(Arc<Function>);

type Function = dyn Fn(&CredentialRequest) -> Option<Login> + Send + Sync;

impl Prompt {
    pub(crate) fn new(
        ask: impl Fn(&CredentialRequest) -> Option<Login> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prompt(…)")
    }
}

/// Asks the caller, and has what is good kept.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) prompt: Prompt,
    /// Who keeps a login that the server took, so that nobody is asked for it again.
    pub(crate) helpers: Arc<Helpers>,
}

impl LoginSource for Asking {
    fn name(&self) -> &'static str {
        "the prompt"
    }

    fn is_patient(&self) -> bool {
        false
    }

    fn get(&self, wanted: &Wanted, _cancel: &CancelToken) -> Result<Option<Offer>> {
        let request = CredentialRequest {
            url: wanted.url.to_string(),
            username: wanted.user.clone(),
        };
        // It is called in the middle of other work: its panic must not end that.
        let login =
            catch_unwind(AssertUnwindSafe(|| (self.prompt.0)(&request))).unwrap_or_else(|_| {
                tracing::warn!("the credential prompt panicked");
                None
            });
        // A person's answer counts, also if nobody waits for it any more.
        Ok(login.map(Offer::from))
    }

    fn approve(&self, wanted: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        LoginSource::approve(&*self.helpers, wanted, offer, cancel)
    }

    /// They were told to keep it. One that never was any good they were not.
    fn retract(&self, wanted: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        LoginSource::reject(&*self.helpers, wanted, offer, cancel)
    }
}
