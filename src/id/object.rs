use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// The name of a Git LFS object: the SHA-256 of its bytes, printed as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LfsOid([u8; 32]);

impl LfsOid {
    /// The object of an empty file, which is never stored or transferred.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for LfsOid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        super::from_hex(text).map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is not a Git LFS object id"),
            )
            .with_hint("an object id has 64 lower-case hex digits")
        })
    }
}

impl fmt::Display for LfsOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_hex(&self.0, f)
    }
}

impl fmt::Debug for LfsOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LfsOid({self})")
    }
}
