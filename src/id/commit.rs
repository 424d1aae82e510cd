use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// The id of a commit: 20 bytes, printed as 40 hex digits.
///
/// ```
/// use hf_repository::CommitId;
/// let id: CommitId = "5e1c309dae7f45e0f39b1bf3ac3cd9db12e7d689".parse()?;
/// assert_eq!(id.short(), "5e1c309da");
/// assert!("5e1c".parse::<CommitId>().is_err());
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId([u8; 20]);

impl CommitId {
    pub(crate) fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The first nine digits, for people.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(9);
        text
    }
}

impl FromStr for CommitId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        super::from_hex(text).map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidName,
                format!("{text:?} is not a commit id"),
            )
            .with_hint("a commit id has 40 lower-case hex digits")
        })
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_hex(&self.0, f)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitId({self})")
    }
}
