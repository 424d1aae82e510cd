//! A secret in memory.
//!
//! Every copy of a [`SecretText`] is the same bytes; they are wiped when the last copy goes. While there
//! is one, the process knows the secret, and [`fit_to_show`](super::fit_to_show) finds it in what servers
//! and programs say.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use zeroize::Zeroizing;

/// Secrets that somebody still has.
static KNOWN: RwLock<Vec<Weak<Zeroizing<String>>>> = RwLock::new(Vec::new());

/// A text that cannot be printed.
#[derive(Clone)]
pub(crate) struct SecretText(Arc<Zeroizing<String>>);

impl SecretText {
    pub(crate) fn new(text: String) -> Self {
        let text = Arc::new(Zeroizing::new(text));
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|secret| secret.strong_count() > 0);
        known.push(Arc::downgrade(&text));
        Self(text)
    }

    /// The text itself, for the one place it is meant for.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// All secrets that somebody has now.
pub(super) fn known() -> Vec<SecretText> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let known = known.iter().filter_map(Weak::upgrade);
    known.map(SecretText).collect()
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SecretText {}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::soon;

    #[test]
    fn a_secret_is_known_for_as_long_as_somebody_has_it() {
        let is_known = || known().iter().any(|secret| secret.expose() == "known-once");
        let secret = SecretText::new("known-once".to_owned());
        let copy = secret.clone();
        drop(secret);
        assert!(is_known() && !format!("{copy:?}").contains("once"));
        drop(copy);
        assert!(soon(|| !is_known()));
    }
}
