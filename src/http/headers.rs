//! Headers that may carry a permission: whatever is not known to be plain.

use http::HeaderValue;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::SecretText;

/// Whether a header of this name means the same to every server, and gives nothing away.
pub(super) fn is_plain(name: &str) -> bool {
    ["accept", "accept-encoding", "content-type", "range"]
        .iter()
        .any(|plain| name.eq_ignore_ascii_case(plain))
}

/// A header's value as it is sent; nobody prints one that may carry a permission.
pub(super) fn value(name: &str, value: &str) -> Result<HeaderValue> {
    let sent = HeaderValue::from_str(value).map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the value of the header {name} holds characters that no header has"),
        )
    });
    let mut sent = sent?;
    sent.set_sensitive(!is_plain(name));
    Ok(sent)
}

/// What the headers must not be known for, while the server may repeat it: of `Bearer …` and `Basic …`
/// the second word.
pub(super) fn secrets<'a>(headers: impl Iterator<Item = &'a (String, String)>) -> Vec<SecretText> {
    let secret = headers.filter(|(name, _)| !is_plain(name));
    let secret = secret.filter_map(|(_, value)| value.rsplit(' ').next());
    secret
        .map(|word| SecretText::new(word.to_owned()))
        .collect()
}
