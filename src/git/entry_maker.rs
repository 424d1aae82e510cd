//! Entries of a pack, made of objects wherever they lie.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{Odb, Repository};

use super::ObjectId;
use super::error::unreadable;
use super::new_pack::{LARGEST, Packer, put_header};
use super::open::open_again;
use super::sent_pack::not_sent;
use crate::error::Result;

/// Makes entries; each thread has its own.
pub(super) struct EntryMaker<'a> {
    workdir: &'a Path,
    repo: Repository,
    packer: Packer,
}

impl<'a> EntryMaker<'a> {
    pub(super) fn open(workdir: &'a Path) -> Result<Self> {
        Ok(Self {
            workdir,
            repo: open_again(workdir)?,
            packer: Packer::new(),
        })
    }

    /// The entry of an object; `None` if it has more than `most` bytes.
    pub(super) fn make(&mut self, id: ObjectId, most: u64) -> Result<Option<&[u8]>> {
        let failed = |error| unreadable(id, self.workdir, error);
        let odb = self.repo.odb().map_err(failed)?;
        let (size, _) = odb.read_header(id).map_err(failed)?;
        if size as u64 > most {
            return Ok(None);
        }
        let object = odb.read(id).map_err(failed)?;
        self.packer.pack(object.kind(), object.data())?;
        Ok(Some(self.packer.packed()))
    }

    /// Writes the entry of an object, a large one piece by piece.
    pub(super) fn write(&mut self, id: ObjectId, out: &mut dyn Write) -> Result<()> {
        if let Some(entry) = self.make(id, LARGEST)? {
            return out.write_all(entry).map_err(not_sent);
        }
        let failed = |error| unreadable(id, self.workdir, error);
        let odb: Odb<'_> = self.repo.odb().map_err(failed)?;
        let Ok((mut bytes, size, kind)) = odb.reader(id) else {
            // A packed one comes whole or not at all.
            drop(odb);
            let entry = self.make(id, u64::MAX)?.unwrap_or_default();
            return out.write_all(entry).map_err(not_sent);
        };
        let mut head = Vec::new();
        put_header(&mut head, kind, size);
        out.write_all(&head).map_err(not_sent)?;
        let mut deflate = ZlibEncoder::new(out, Compression::fast());
        let copied = io::copy(&mut bytes, &mut deflate).map_err(not_sent)?;
        if copied != size as u64 {
            let text = "the object ends too soon";
            return Err(failed(git2::Error::from_str(text)));
        }
        deflate.finish().map(drop).map_err(not_sent)
    }
}
