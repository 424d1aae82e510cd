//! Errors of other crates, as they may be shown.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::fit_to_show;

type Cause = dyn Error + Send + Sync;

/// `cause` as it is, if neither it nor what caused it says anything that must not be shown; else its
/// words as far as they may be.
pub(crate) fn fit_cause(cause: Box<Cause>) -> Arc<Cause> {
    // Those are made fit when they are made.
    if cause.is::<crate::error::Error>() {
        return Arc::from(cause);
    }
    match words(&*cause) {
        Some(words) => Arc::new(words),
        None => Arc::from(cause),
    }
}

/// What is left of an error.
#[derive(Debug)]
struct Words {
    text: String,
    cause: Option<Box<Words>>,
}

/// None if all of it may be shown.
fn words(error: &(dyn Error + 'static)) -> Option<Words> {
    let cause = error.source().map(|cause| (cause, words(cause)));
    let (text, debug) = (error.to_string(), format!("{error:?}"));
    let fit = fit_to_show(&text);
    if fit == text && fit_to_show(&debug) == debug && !matches!(cause, Some((_, Some(_)))) {
        return None;
    }
    let cause = cause.map(|(cause, words)| {
        Box::new(words.unwrap_or_else(|| Words {
            text: cause.to_string(),
            cause: None,
        }))
    });
    Some(Words { text: fit, cause })
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Words {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretText;
    use std::io;

    #[test]
    fn a_secret_anywhere_in_the_chain_is_hidden() {
        let _secret = SecretText::new("sesame-open".to_owned());
        let inner = Words {
            text: "bad header sesame-open".to_owned(),
            cause: None,
        };
        let outer = fit_cause(Box::new(io::Error::other(inner)));
        let shown = format!("{outer} {outer:?} {:?}", outer.source());
        assert!(!shown.contains("sesame"), "{shown}");
        assert!(shown.contains("bad header [hidden]"), "{shown}");
        let plain = fit_cause(Box::new(io::Error::from(io::ErrorKind::NotFound)));
        assert!(plain.downcast_ref::<io::Error>().is_some());
    }
}
