//! A pack in the making: many objects in one file, instead of a file and an fsync for each.
//!
//! Not by libgit2, which looks for deltas among files that nobody said are alike (a third of the time of
//! staging ten thousand), and keeps all of a pack in memory until it is written.
//!
//! The formats are git's: <https://git-scm.com/docs/gitformat-pack>.

use std::collections::HashSet;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use git2::{ObjectType, OdbLookupFlags};
use sha1::{Digest, Sha1};
use tempfile::NamedTempFile;

use super::error::wrap;
use super::pack_scraps::{Scrap, sweep};
use super::{Git, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::step::step;

/// From this many new objects on a pack is cheaper; fewer would leave packs all over.
pub(super) const PACK_FROM: usize = 50;
/// Bytes of an object that may be given to a pack as a whole. Larger ones are written in pieces, as
/// files of their own.
pub(super) const LARGEST: u64 = 4 << 20;
/// Bytes after which the next pack begins: all offsets then fit into the index's 31 bits.
const MOST_BYTES: u32 = 1 << 30;
/// Bytes written, or read again, at a time.
const BUFFER: usize = 256 << 10;

/// What fails where an object is not written.
const WRITE: &str = "write an object";

/// New objects, from several threads at once. They can be read once this is [finished](Self::finish).
#[must_use]
pub(super) struct NewObjects<'g> {
    odb: git2::Odb<'g>,
    packs: Option<Mutex<Packs>>,
}

/// What a thread needs to make new objects.
pub(super) struct Packer {
    deflate: Compress,
    packed: Vec<u8>,
}

struct Packs {
    folder: PathBuf,
    /// What was taken already, also into packs that are finished.
    taken: HashSet<ObjectId>,
    open: Option<NewPack>,
}

impl Git {
    /// Takes about so many new objects: into a pack if they are many, else each into a file.
    pub(super) fn new_objects(&self, about: usize) -> Result<NewObjects<'_>> {
        let odb = self.repo.odb().map_err(wrap("open the object store"))?;
        let packs = (about >= PACK_FROM && !self.in_memory).then(|| {
            Mutex::new(Packs {
                folder: self.common_dir().join("objects/pack"),
                taken: HashSet::new(),
                open: None,
            })
        });
        Ok(NewObjects { odb, packs })
    }
}

impl NewObjects<'_> {
    /// Takes an object, unless it is there already; its id.
    pub(super) fn add(
        &self,
        packer: &mut Packer,
        kind: ObjectType,
        bytes: &[u8],
    ) -> Result<ObjectId> {
        if self.packs.is_none() {
            return self.odb.write(kind, bytes).map_err(wrap(WRITE));
        }
        let id = ObjectId::hash_object(kind, bytes).map_err(wrap("hash an object"))?;
        self.add_as(id, packer, kind, bytes)?;
        Ok(id)
    }

    /// The same for an object whose id is known.
    pub(super) fn add_as(
        &self,
        id: ObjectId,
        packer: &mut Packer,
        kind: ObjectType,
        bytes: &[u8],
    ) -> Result<()> {
        let write = || {
            let written = self.odb.write(kind, bytes).map(drop);
            written.map_err(wrap(WRITE))
        };
        let Some(packs) = &self.packs else {
            return write();
        };
        // Without a look for packs that came meanwhile: it would be one for each new object.
        if self.odb.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
            // Nothing is written, but the object is young again: no `git gc` takes it away.
            return write();
        }
        let lock = || packs.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().taken.insert(id) {
            let crc = packer.pack(kind, bytes)?;
            lock().append(id, &packer.packed, crc)?;
        }
        Ok(())
    }

    /// Makes all that was taken lasting, and visible to everybody.
    pub(super) fn finish(self) -> Result<()> {
        let Some(packs) = self.packs else {
            return Ok(());
        };
        let packs = packs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = packs.open else {
            // All was there; whoever named its pack may have been stopped before that was lasting.
            return match packs.folder.exists() {
                true => fs::sync_dir(&packs.folder),
                false => Ok(()),
            };
        };
        open.finish(&packs.folder)?;
        self.odb.refresh().map_err(wrap("open the object store"))
    }
}

impl Packer {
    pub(super) fn new() -> Self {
        Self {
            // As git does for objects in files of their own.
            deflate: Compress::new(Compression::fast(), true),
            packed: Vec::new(),
        }
    }

    /// The entry that was made last.
    pub(super) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Makes an object's entry of a pack, and returns its checksum.
    pub(super) fn pack(&mut self, kind: ObjectType, bytes: &[u8]) -> Result<u32> {
        self.packed.clear();
        put_header(&mut self.packed, kind, bytes.len());
        self.deflate.reset();
        loop {
            let done = usize::try_from(self.deflate.total_in()).unwrap_or(bytes.len());
            // Mostly enough: what does not compress grows by a little.
            self.packed.reserve(bytes.len() - done + 64);
            let status =
                self.deflate
                    .compress_vec(&bytes[done..], &mut self.packed, FlushCompress::Finish);
            match status {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => {}
                Err(error) => {
                    let text = "cannot compress an object";
                    return Err(Error::new(ErrorKind::Git, text).with_source(error));
                }
            }
        }
        let mut crc = Crc::new();
        crc.update(&self.packed);
        Ok(crc.sum())
    }
}

/// The kind and the size, low bits first.
pub(super) fn put_header(entry: &mut Vec<u8>, kind: ObjectType, size: usize) {
    let kind = match kind {
        ObjectType::Commit => 1,
        ObjectType::Tree => 2,
        ObjectType::Tag => 4,
        ObjectType::Any | ObjectType::Blob => 3,
    };
    let low = |bits: usize| u8::try_from(size & ((1 << bits) - 1)).unwrap_or_default();
    let (mut byte, mut rest) = (kind << 4 | low(4), size >> 4);
    while rest > 0 {
        entry.push(byte | 0x80);
        byte = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
    }
    entry.push(byte);
}

impl Packs {
    fn append(&mut self, id: ObjectId, packed: &[u8], crc: u32) -> Result<()> {
        if let Some(full) = self.open.take_if(|open| open.full) {
            full.finish(&self.folder)?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(NewPack::begin(&self.folder)?),
        };
        open.append(id, packed, crc)
    }
}

struct NewPack {
    file: BufWriter<NamedTempFile>,
    end: u32,
    full: bool,
    objects: Vec<Place>,
}

/// Where an object is in a pack.
struct Place {
    id: ObjectId,
    crc: u32,
    offset: u32,
}

/// What a pack begins with, up to the number of its objects.
pub(super) const PACK_HEAD: [u8; 8] = *b"PACK\0\0\0\x02";
pub(super) const INDEX_HEAD: [u8; 8] = *b"\xfftOc\0\0\0\x02";

impl NewPack {
    fn begin(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        sweep(folder);
        let mut file = BufWriter::with_capacity(BUFFER, Scrap::Pack.create(folder)?);
        // How many objects there are is known at the end.
        let head = [&PACK_HEAD[..], &[0; 4]].concat();
        let written = file.write_all(&head);
        written.map_err(|error| Error::io("write", file.get_ref().path(), error))?;
        step("pack-begun");
        Ok(Self {
            file,
            end: 12,
            full: false,
            objects: Vec::new(),
        })
    }

    fn append(&mut self, id: ObjectId, packed: &[u8], crc: u32) -> Result<()> {
        let written = self.file.write_all(packed);
        written.map_err(|error| Error::io("write", self.file.get_ref().path(), error))?;
        let offset = self.end;
        // No object is that large.
        self.end += u32::try_from(packed.len()).unwrap_or(MOST_BYTES);
        self.full = self.end > MOST_BYTES;
        self.objects.push(Place { id, crc, offset });
        Ok(())
    }

    /// Gives the pack its name, when it and its index are on the disk.
    fn finish(self, folder: &Path) -> Result<()> {
        let Self { file, objects, .. } = self;
        let failed = |error: io::Error| Error::io("write", folder, error);
        let mut pack = file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        let sum = seal(pack.as_file_mut(), objects.len()).map_err(failed)?;
        let mut index = Scrap::Index.create(folder)?;
        index.write_all(&index_of(objects, sum)).map_err(failed)?;
        for file in [&pack, &index] {
            file.as_file().sync_all().map_err(failed)?;
        }
        step("pack-written");
        let name: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        // A pack counts from the moment its index is there.
        for (file, extension) in [(pack, "pack"), (index, "idx")] {
            let target = folder.join(format!("pack-{name}.{extension}"));
            file.persist(&target)
                .map_err(|error| Error::io("name a pack", &target, error.error))?;
            step(&format!("{extension}-named"));
        }
        fs::sync_dir(folder)
    }
}

/// Writes the number of objects into a pack's head, and the checksum of it all at its end.
fn seal(pack: &mut std::fs::File, objects: usize) -> io::Result<[u8; 20]> {
    pack.seek(SeekFrom::Start(PACK_HEAD.len() as u64))?;
    pack.write_all(&count(objects))?;
    pack.seek(SeekFrom::Start(0))?;
    let (mut sum, mut buffer) = (Sha1::new(), vec![0; BUFFER]);
    loop {
        match pack.read(&mut buffer)? {
            0 => break,
            read => sum.update(&buffer[..read]),
        }
    }
    let sum: [u8; 20] = sum.finalize().into();
    pack.write_all(&sum)?;
    Ok(sum)
}

/// The index of a pack with this checksum, version 2.
fn index_of(mut objects: Vec<Place>, pack: [u8; 20]) -> Vec<u8> {
    objects.sort_unstable_by_key(|object| object.id);
    let mut index = INDEX_HEAD.to_vec();
    for first in 0..=u8::MAX {
        let upto = objects.partition_point(|object| object.id.as_bytes()[0] <= first);
        index.extend(count(upto));
    }
    index.extend(objects.iter().flat_map(|object| object.id.as_bytes()));
    index.extend(objects.iter().flat_map(|object| object.crc.to_be_bytes()));
    index.extend(
        objects
            .iter()
            .flat_map(|object| object.offset.to_be_bytes()),
    );
    index.extend(pack);
    let sum = Sha1::digest(&index);
    index.extend(sum);
    index
}

/// A number of objects: as each takes bytes of a pack, it fits.
fn count(objects: usize) -> [u8; 4] {
    u32::try_from(objects).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
