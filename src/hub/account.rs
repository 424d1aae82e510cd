//! Whose token it is.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Deserialize;

use super::Hub;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Auth, Client, Request};
use crate::id::Endpoint;
use crate::name::is_trimmed_by_git;
use crate::secret::printable;

/// The account a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The login.
    pub(crate) name: String,
    /// As the owner writes it.
    pub(crate) full_name: Option<String>,
}

/// The answer of `/api/whoami-v2`; the e-mail address in it is nobody's business here.
#[derive(Deserialize)]
struct WhoAmI {
    name: String,
    fullname: Option<String>,
    auth: Option<AuthInfo>,
}

#[derive(Deserialize)]
struct AuthInfo {
    #[serde(rename = "accessToken")]
    access_token: Option<AccessToken>,
}

#[derive(Deserialize)]
struct AccessToken {
    role: Option<String>,
}

impl WhoAmI {
    /// It goes into commits, and comes from a server: a login that no account has is nobody's.
    fn account(&self) -> Result<Account> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if self.name.is_empty() || self.name.len() > LONGEST || !self.name.chars().all(plain) {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the Hub says that the token is an account's that cannot be",
            ));
        }
        Ok(Account {
            name: self.name.clone(),
            full_name: self.fullname.as_deref().and_then(readable),
        })
    }
}

/// Letters of a name; the Hub's own limit is lower.
const LONGEST: usize = 200;

/// A name as commits may hold it, if anything of it can stay.
fn readable(name: &str) -> Option<String> {
    let kept = printable(name).replace(['\n', '<', '>'], "");
    let kept: String = kept
        .trim_matches(is_trimmed_by_git)
        .chars()
        .take(LONGEST)
        .collect();
    (!kept.is_empty()).then_some(kept)
}

impl Account {
    /// What to call the owner in commits.
    pub(crate) fn display_name(&self) -> &str {
        self.full_name.as_deref().unwrap_or(&self.name)
    }

    /// The address that the Hub itself puts into the commits it makes for an account: it leads to the
    /// account, and tells nobody a private one. Fine-grained tokens are not told that either.
    pub(crate) fn address(&self, endpoint: &Endpoint) -> String {
        format!("{}@users.noreply.{}", self.name, endpoint.url().host())
    }
}

/// Accounts by endpoint and token, for the whole process: the Hub answers few such questions per
/// hour. Tokens are not kept, only what they hash to under a key of this process's own.
#[derive(Default)]
struct Known {
    key: RandomState,
    accounts: Mutex<HashMap<u64, Account>>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

impl Known {
    /// Which token, of which endpoint; none without one.
    fn slot(&self, hub: &Hub) -> Result<Option<u64>> {
        let login = hub.client.grants().login(hub.endpoint.url())?;
        Ok(login.map(|(_, token)| {
            let endpoint = hub.endpoint.to_string();
            self.key.hash_one((endpoint, token.expose()))
        }))
    }

    fn get(&self, slot: u64) -> Option<Account> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(&slot).cloned()
    }

    fn put(&self, slot: u64, account: Account) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(slot, account);
    }
}

impl Hub {
    fn whoami(&self, client: &Client) -> Result<WhoAmI> {
        let request = Request::get(self.api("whoami-v2")).auth(Auth::Bearer);
        client.send(request)?.error_for_status()?.json()
    }

    /// Whose token it is; `None` without one. Asked once per token and process, and not again if
    /// the Hub does not answer: nothing depends on it.
    pub(crate) fn account(&self) -> Result<Option<Account>> {
        let Some(slot) = KNOWN.slot(self)? else {
            return Ok(None);
        };
        if let Some(account) = KNOWN.get(slot) {
            return Ok(Some(account));
        }
        let account = self.whoami(&self.client)?.account()?;
        KNOWN.put(slot, account.clone());
        Ok(Some(account))
    }

    /// Refuses a token that can only read. Fine-grained tokens say nothing; the git server will.
    pub(crate) fn check_may_write(&self) -> Result<()> {
        let whoami = self.client.retrying(|client| self.whoami(client))?;
        if let (Some(slot), Ok(account)) = (KNOWN.slot(self)?, whoami.account()) {
            KNOWN.put(slot, account);
        }
        let role = whoami
            .auth
            .and_then(|auth| auth.access_token)
            .and_then(|token| token.role);
        if role.as_deref() != Some("read") {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            format!("the token of {} can only read", whoami.name),
        )
        .with_hint(format!(
            "make a token with write access at {}/settings/tokens",
            self.endpoint
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, fullname: Option<&str>) -> Option<Account> {
        let told = WhoAmI {
            name: name.into(),
            fullname: fullname.map(str::to_owned),
            auth: None,
        };
        told.account().ok()
    }

    #[test]
    fn an_account_is_told_by_its_login() {
        for (full, shown) in [
            (Some("Ada Lovelace"), "Ada Lovelace"),
            (Some("Ada <3"), "Ada 3"),
            (Some("Ada\u{1b}[31m\nauthor x"), "Ada[31mauthor x"),
            (Some("A. D. A."), "A. D. A"),
            (Some("  "), "ada"),
            (Some("."), "ada"),
            (Some("<>;'"), "ada"),
            (None, "ada"),
        ] {
            let account = account("ada", full).expect("an account");
            assert_eq!(account.display_name(), shown);
            let address = account.address(&Endpoint::default());
            assert_eq!(address, "ada@users.noreply.huggingface.co");
        }
        for name in ["", "a b", "a<b", "a\n", "a@b", &"a".repeat(201)] {
            assert_eq!(account(name, None), None, "{name:?}");
        }
    }
}
