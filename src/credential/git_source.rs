//! The logins of git's credential helpers, for servers that want one.

use std::time::{Duration, UNIX_EPOCH};

use super::ask::Helpers;
use super::protocol::Record;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::http::{Lasts, LoginSource, Offer, Wanted};
use crate::secret::Login;

impl LoginSource for Helpers {
    fn name(&self) -> &'static str {
        "git credential helpers"
    }

    fn get(&self, wanted: &Wanted, cancel: &CancelToken) -> Result<Option<Offer>> {
        let found = Self::get(self, &question(wanted), cancel)?;
        Ok(found.and_then(|found| {
            let expires = found.password_expiry_utc;
            Some(Offer {
                login: Login::of(found.username?, found.password?),
                expires: expires
                    .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))),
                refresh: found.oauth_refresh_token,
                lasts: match found.ephemeral {
                    true => Lasts::Now,
                    false => Lasts::Kept,
                },
            })
        }))
    }

    fn approve(&self, wanted: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        Self::approve(self, &answer(wanted, offer), cancel)
    }

    fn reject(&self, wanted: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        Self::reject(self, &answer(wanted, offer), cancel)
    }
}

/// Asks for a login as git does: with the address as it was written, the port included.
pub(super) fn question(wanted: &Wanted) -> Record {
    let Wanted { url, user } = wanted;
    let path = url.path().trim_matches('/');
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    Record {
        protocol: Some(url.scheme().to_owned()),
        host: Some(url.authority()),
        path: (!path.is_empty()).then(|| path.into_owned()),
        username: user.clone(),
        ..Record::default()
    }
}

pub(super) fn answer(wanted: &Wanted, offer: &Offer) -> Record {
    let expires = offer
        .expires
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Record {
        username: Some(offer.login.user().to_owned()),
        password: Some(offer.login.password().clone()),
        password_expiry_utc: expires.map(|time| time.as_secs()),
        oauth_refresh_token: offer.refresh.clone(),
        ephemeral: offer.lasts == Lasts::Now,
        ..question(wanted)
    }
}
