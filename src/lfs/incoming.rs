//! An object whose bytes come from elsewhere than a file, and whose name is known when they are all here.

use std::io::{self, Write};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Object;
use super::store::Store;
use crate::error::Result;
use crate::id::LfsOid;

/// Hashes what is written to it, and keeps it in a scratch file if there is a store to keep it in.
pub(crate) struct Incoming<'a> {
    keep: Option<(&'a Store, NamedTempFile)>,
    hasher: Sha256,
    size: u64,
}

impl<'a> Incoming<'a> {
    /// For an object that goes into the store.
    pub(crate) fn to(store: &'a Store) -> Result<Self> {
        Ok(Self {
            keep: Some((store, store.scratch()?)),
            ..Self::nowhere()
        })
    }

    /// For an object of which nothing but the name is wanted.
    pub(crate) fn nowhere() -> Self {
        Self {
            keep: None,
            hasher: Sha256::new(),
            size: 0,
        }
    }

    /// The object; it is in the store, on the disk, if it was to go there.
    pub(crate) fn finish(self) -> Result<Object> {
        let oid = LfsOid::from_bytes(self.hasher.finalize().into());
        let object = Object {
            oid,
            size: self.size,
        };
        if let Some((store, temp)) = self.keep {
            store.insert(object, temp)?;
        }
        Ok(object)
    }
}

impl Write for Incoming<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.keep {
            Some((_, temp)) => temp.write(bytes)?,
            None => bytes.len(),
        };
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
