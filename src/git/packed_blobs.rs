//! Blobs that lie in packs as they are, read without libgit2.
//!
//! It maps packs into memory, which all count as resident by the time each blob was read: for the look before
//! a push of 2 GiB of small files that was 1.5 GiB, and as much for a clone. Here a blob is read into a buffer,
//! by all threads at once. Deltas, packs of another form and whatever is wrong are left to libgit2, and so
//! are small packs.
//!
//! The formats are git's: <https://git-scm.com/docs/gitformat-pack>.

use std::cmp::Reverse;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::{Decompress, FlushDecompress, Status};
use sha1::{Digest, Sha1};

use super::ObjectId;
use super::new_pack::{INDEX_HEAD, LARGEST, PACK_HEAD};

/// Packs that are kept open at a time, the largest: each is looked into for each blob.
const MOST_PACKS: usize = 8;
/// Bytes of the packs that are worth it.
const SMALL: u64 = if cfg!(test) { 1 } else { 1 << 20 };
/// Bytes of an id, and of the checksum behind a pack.
const ID: usize = 20;
/// Ids that are read at a time.
const IDS: usize = if cfg!(test) { 3 } else { 200 };
/// Bytes of a pack that are read at first, and then at a time.
const FIRST: usize = 4 << 10;
const BUFFER: usize = 64 << 10;

/// The large packs of a repository.
pub(super) struct PackedBlobs {
    packs: Vec<Pack>,
    /// The one in which something was found last.
    last: AtomicUsize,
}

struct Pack {
    index: File,
    pack: File,
    /// How many objects have a first byte below each, and how many there are.
    fan_out: Vec<u64>,
    /// Where the last entry ends.
    end: u64,
}

/// What a thread needs to read blobs.
pub(super) struct Unpacker {
    inflate: Decompress,
    packed: Vec<u8>,
    bytes: Vec<u8>,
}

/// A blob in a pack, of which the beginning was read.
struct Entry<'p> {
    pack: &'p Pack,
    /// Bytes of the blob.
    size: u64,
    /// Where in the buffer its data begins.
    data: usize,
    /// What of the pack comes behind the buffer.
    next: u64,
}

impl PackedBlobs {
    /// Opens those of a folder that can be read.
    pub(super) fn open(folder: &Path) -> Self {
        let mut sizes = Vec::new();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_pack = path.extension().is_some_and(|name| name == "pack");
            if is_pack
                && let Ok(meta) = entry.metadata()
                && meta.len() >= SMALL
            {
                sizes.push((meta.len(), path));
            }
        }
        sizes.sort_by_key(|(size, _)| Reverse(*size));
        let packs = sizes.into_iter();
        let packs = packs.filter_map(|(size, path)| Pack::open(&path, size).ok().flatten());
        Self {
            packs: packs.take(MOST_PACKS).collect(),
            last: AtomicUsize::new(0),
        }
    }

    /// A blob's bytes; `None` if it is not here, or too large, or not as it should be.
    pub(super) fn read<'u>(&self, id: ObjectId, unpacker: &'u mut Unpacker) -> Option<&'u [u8]> {
        let (size, bytes) = self.look(id, LARGEST, LARGEST, unpacker)?;
        (size <= LARGEST).then_some(bytes)
    }

    /// A blob's size, and its first bytes, at most so many; none of one that is longer than `limit`.
    ///
    /// What is read to its end is made sure to be what it was.
    pub(super) fn look<'u>(
        &self,
        id: ObjectId,
        most: u64,
        limit: u64,
        unpacker: &'u mut Unpacker,
    ) -> Option<(u64, &'u [u8])> {
        let entry = self.find(id, unpacker)?;
        let (size, wanted) = (entry.size, entry.size.min(most));
        if size > limit {
            return Some((size, &[]));
        }
        unpacker.inflate(&entry, wanted).ok()?;
        let bytes = &unpacker.bytes;
        let whole = || Sha1::new_with_prefix(format!("blob {size}\0")).chain_update(bytes);
        let is_right = wanted < size || whole().finalize()[..] == *id.as_bytes();
        is_right.then_some((size, bytes))
    }

    fn find(&self, id: ObjectId, unpacker: &mut Unpacker) -> Option<Entry<'_>> {
        let last = self.last.load(Ordering::Relaxed);
        let others = (0..self.packs.len()).filter(|at| *at != last);
        for at in [last].into_iter().chain(others) {
            let Some(pack) = self.packs.get(at) else {
                continue;
            };
            if let Ok(Some(offset)) = pack.find(id, &mut unpacker.packed) {
                self.last.store(at, Ordering::Relaxed);
                return pack.blob_at(offset, &mut unpacker.packed).ok().flatten();
            }
        }
        None
    }
}

impl Pack {
    fn open(path: &Path, size: u64) -> io::Result<Option<Self>> {
        let (index, pack) = (File::open(path.with_extension("idx"))?, File::open(path)?);
        let (mut head, mut numbers) = ([0; INDEX_HEAD.len()], [0; 4 * 256]);
        index.read_exact_at(&mut head, 0)?;
        index.read_exact_at(&mut numbers, head.len() as u64)?;
        let (form, mut start) = (head, [0; PACK_HEAD.len()]);
        pack.read_exact_at(&mut start, 0)?;
        if form != INDEX_HEAD || start != PACK_HEAD {
            return Ok(None);
        }
        let counts = numbers.chunks_exact(4).map(number);
        Ok(Some(Self {
            index,
            pack,
            fan_out: [0].into_iter().chain(counts).collect(),
            end: size.saturating_sub(ID as u64),
        }))
    }

    /// Where an object's entry begins.
    fn find(&self, id: ObjectId, buffer: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let id = id.as_bytes();
        let first = usize::from(id[0]);
        let ids = (INDEX_HEAD.len() + 4 * 256) as u64;
        let (mut from, mut to) = (self.fan_out[first], self.fan_out[first + 1]);
        while from < to {
            let count = (to - from).min(IDS as u64);
            // All of them if they are few, else some in the middle.
            let begin = from + (to - from - count) / 2;
            buffer.resize(usize::try_from(count).unwrap_or(IDS) * ID, 0);
            self.index.read_exact_at(buffer, ids + begin * ID as u64)?;
            let below = buffer.chunks_exact(ID).take_while(|one| *one < id).count();
            let found = buffer.chunks_exact(ID).nth(below);
            let row = begin + below as u64;
            match found {
                Some(found) if found == id => return self.offset(row).map(Some),
                Some(_) if below > 0 || begin == from => return Ok(None),
                Some(_) => to = begin,
                None => from = row,
            }
        }
        Ok(None)
    }

    /// Where the entry of a row of the index begins.
    fn offset(&self, row: u64) -> io::Result<u64> {
        let count = self.fan_out[256];
        // Ids, checksums, offsets, and offsets that do not fit there.
        let offsets = (INDEX_HEAD.len() + 4 * 256) as u64 + count * (ID as u64 + 4);
        let mut bytes = [0; 4];
        self.index.read_exact_at(&mut bytes, offsets + row * 4)?;
        match number(&bytes) {
            small if small < 1 << 31 => Ok(small),
            large => {
                let mut bytes = [0; 8];
                let at = offsets + count * 4 + (large - (1 << 31)) * 8;
                self.index.read_exact_at(&mut bytes, at)?;
                Ok(u64::from_be_bytes(bytes))
            }
        }
    }

    /// Begins to read an entry; `None` if it is no blob, or a delta.
    fn blob_at(&self, offset: u64, buffer: &mut Vec<u8>) -> io::Result<Option<Entry<'_>>> {
        let mut next = offset;
        self.fill(&mut next, FIRST, buffer)?;
        let mut bytes = buffer.iter();
        let Some(first) = bytes.next().filter(|first| *first >> 4 & 7 == BLOB) else {
            return Ok(None);
        };
        let (mut size, mut shift, mut last) = (u64::from(first & 0xf), 4, *first);
        while last & 0x80 != 0 {
            let Some(byte) = bytes.next().filter(|_| shift < 60) else {
                return Ok(None);
            };
            size |= u64::from(byte & 0x7f) << shift;
            (shift, last) = (shift + 7, *byte);
        }
        Ok(Some(Entry {
            pack: self,
            size,
            data: buffer.len() - bytes.len(),
            next,
        }))
    }

    /// Reads what comes next into a buffer, at most so many bytes.
    fn fill(&self, next: &mut u64, most: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        let left = self.end.saturating_sub(*next);
        buffer.resize(usize::try_from(left).map_or(most, |left| left.min(most)), 0);
        self.pack.read_exact_at(buffer, *next)?;
        *next += buffer.len() as u64;
        Ok(())
    }
}

/// The kind of an entry.
const BLOB: u8 = 3;

impl Unpacker {
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new(true),
            packed: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Inflates the first bytes of a blob, as many as `wanted`, and to the end if that is all.
    fn inflate(&mut self, entry: &Entry<'_>, wanted: u64) -> io::Result<()> {
        let wanted_all = wanted == entry.size;
        let wanted = usize::try_from(wanted).map_err(|_| broken())?;
        self.inflate.reset(true);
        self.bytes.clear();
        // Room for more than there should be, so that it shows.
        self.bytes.reserve(wanted + 1);
        let (mut used, mut next) = (entry.data, entry.next);
        loop {
            if used == self.packed.len() {
                entry.pack.fill(&mut next, BUFFER, &mut self.packed)?;
                used = 0;
            }
            let before = self.inflate.total_in();
            let (input, output) = (&self.packed[used..], &mut self.bytes);
            let status = self
                .inflate
                .decompress_vec(input, output, FlushDecompress::None)?;
            let read = usize::try_from(self.inflate.total_in() - before).map_err(|_| broken())?;
            used += read;
            let whole = self.bytes.len() == wanted;
            match status {
                Status::StreamEnd if whole => return Ok(()),
                _ if !wanted_all && self.bytes.len() >= wanted => {
                    self.bytes.truncate(wanted);
                    return Ok(());
                }
                Status::StreamEnd => return Err(broken()),
                _ if self.bytes.len() > wanted || read == 0 => return Err(broken()),
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

/// As git writes a number.
fn number(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().take(4);
    bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
