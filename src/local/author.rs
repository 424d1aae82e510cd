//! Who commits are by.

use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::Local;
use crate::error::Result;
use crate::fs;
use crate::git::{Git, Identity, private_folder};
use crate::secret::Secret;

/// Who commits when nobody says so: an address that reaches, and names, no person.
const DEFAULT_NAME: &str = "hf-repository";
const DEFAULT_EMAIL: &str = "hf-repository@users.noreply.huggingface.co";
/// What is remembered of the token's owner, in the private folder: name, address and the mark of the
/// token, a line each.
const FILE: &str = "author";

/// What is known of the author.
#[derive(Debug, Default)]
pub(crate) struct Author {
    /// What the caller said.
    identity: Option<Identity>,
    /// Whether the Hub was asked for the token's owner, with whatever success.
    asked: AtomicBool,
}

impl Author {
    pub(crate) fn new(identity: Option<Identity>) -> Self {
        Self {
            identity,
            asked: AtomicBool::new(false),
        }
    }

    /// Another token may be somebody else's.
    pub(crate) fn forget_owner(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }
}

impl Local {
    /// Who commits are by; no network.
    ///
    /// In this order: what the caller said, git's config, the owner of the token as far as the Hub was
    /// asked, a name of nobody's. Name and address may come from different ones.
    pub(crate) fn identity_for(&self, git: &Git) -> Result<Identity> {
        if let Some(identity) = &self.author.identity {
            return Ok(identity.clone());
        }
        let said = |key: &str| git.config(key).filter(|value| !value.trim().is_empty());
        let (name, email) = (said("user.name"), said("user.email"));
        let owner = match name.is_none() || email.is_none() {
            true => self.recall_owner(),
            false => None,
        };
        let (owner_name, owner_email) = match &owner {
            Some(owner) => (owner.name(), owner.email()),
            None => (DEFAULT_NAME, DEFAULT_EMAIL),
        };
        Identity::new(
            name.unwrap_or_else(|| owner_name.to_owned()),
            email.unwrap_or_else(|| owner_email.to_owned()),
        )
    }

    /// Asks the Hub whose token this is, if commits would name nobody otherwise.
    ///
    /// For work that uses the network anyway; it does not fail if this does.
    pub(crate) fn learn_owner(&self, git: &Git) {
        let said = |key: &str| {
            git.config(key)
                .is_some_and(|value| !value.trim().is_empty())
        };
        if self.author.identity.is_some() || (said("user.name") && said("user.email")) {
            return;
        }
        let Some(hub) = self.remote.hub() else { return };
        if self.author.asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let learned = hub.account().and_then(|account| match account {
            Some(account) => {
                let address = account.address(self.remote.endpoint());
                let owner = Identity::new(account.display_name(), address)?;
                if self.recall_owner().as_ref() == Some(&owner) {
                    return Ok(());
                }
                let mark = self.token_mark().unwrap_or_default();
                let text = format!("{}\n{}\n{mark}\n", owner.name(), owner.email());
                fs::atomic_write(&self.owner_file(), text.as_bytes())
            }
            None => Ok(()),
        });
        if let Err(error) = learned {
            tracing::debug!(%error, "the token's owner is not known");
        }
    }

    fn owner_file(&self) -> std::path::PathBuf {
        private_folder(&self.common_dir).join(FILE)
    }

    /// The owner of the token, if it is the one that was asked about.
    fn recall_owner(&self) -> Option<Identity> {
        let text = fs::read_if_exists(&self.owner_file()).ok().flatten()?;
        let text = String::from_utf8(text).ok()?;
        let mut lines = text.lines();
        let (name, email) = (lines.next()?, lines.next()?);
        let mark = lines.next().filter(|mark| !mark.is_empty());
        let other = |now: String| mark.is_some_and(|mark| mark != now);
        if self.token_mark().is_some_and(other) {
            return None;
        }
        Identity::new(name, email).ok()
    }

    /// Tells one token from another; four bytes are too few to find a token by. None where there is
    /// no telling: a provider may give another one each time, and is not called for a commit.
    fn token_mark(&self) -> Option<String> {
        let endpoint = self.remote.endpoint();
        let grants = self.remote.client().grants();
        let Secret::Token(token) = grants.find(&endpoint.url().origin())?.secret else {
            return None;
        };
        let mut digest = Sha256::new();
        digest.update(endpoint.to_string());
        digest.update([0]);
        digest.update(token.expose());
        let digest = digest.finalize();
        Some(
            digest
                .iter()
                .take(4)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}
