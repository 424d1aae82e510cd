//! Objects as they lie in packs, compressed, to be sent as they are.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::Crc;

use super::ObjectId;
use crate::error::{Error, ErrorKind, Result};

/// A pack is looked into if it has at most so many objects for each that is wanted: its index is read as a
/// whole.
const MOST_OTHERS: usize = 8;
/// Packs that are open at a time, those with most of what is wanted: somebody who made a thousand commits
/// has as many.
const MOST_PACKS: usize = 16;
const HEAD: &[u8] = b"\xfftOc\0\0\0\x02";
/// The head, and how many objects have a first byte up to each.
const FAN_OUT: usize = 8 + 256 * 4;
/// Bytes of an id, and of the checksum behind a pack.
const ID: usize = 20;
/// Bytes copied at a time.
const BUFFER: usize = 64 << 10;

/// Where some objects are.
#[derive(Default)]
pub(super) struct PackedEntries {
    packs: Vec<(PathBuf, File)>,
    places: HashMap<ObjectId, Place>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Place {
    pack: usize,
    from: u64,
    to: u64,
    crc: u32,
}

/// What became of an object that was to be copied.
pub(super) enum Copied {
    Whole,
    /// No entry of these packs stands for itself.
    Elsewhere,
    /// Its entry in this pack is not what it was when it was written.
    Broken(PathBuf),
}

impl PackedEntries {
    /// Finds those of the `wanted` that lie in a pack of this folder. What cannot be read is passed over:
    /// whoever reads the object in the usual way hears what is wrong.
    pub(super) fn find(folder: &Path, wanted: &HashSet<ObjectId>) -> Self {
        let mut packs = Vec::new();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let index = entry.path();
            let is_index = index.extension().is_some_and(|name| name == "idx");
            if is_index && let Ok(Some(places)) = look_into(&index, wanted) {
                packs.push((index.with_extension("pack"), places));
            }
        }
        packs.sort_by_key(|(_, places)| Reverse(places.len()));
        let mut found = Self::default();
        for (path, places) in packs.into_iter().take(MOST_PACKS) {
            let Ok(file) = File::open(&path) else {
                continue;
            };
            let pack = found.packs.len();
            found.packs.push((path, file));
            let places = places.into_iter();
            found.places.extend(places.map(|entry| {
                let Entry { id, from, to, crc } = entry;
                (
                    id,
                    Place {
                        pack,
                        from,
                        to,
                        crc,
                    },
                )
            }));
        }
        found
    }

    /// Hands an object's entry of a pack to `write`, when its checksum was found right: nobody else looks
    /// at it before it is on the server.
    pub(super) fn copy(
        &mut self,
        id: ObjectId,
        mut write: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Copied> {
        let Some(place) = self.places.get(&id).copied() else {
            return Ok(Copied::Elsewhere);
        };
        let (path, pack) = &self.packs[place.pack];
        let buffer = &mut self.buffer;
        let mut crc = Crc::new();
        let mut kind = None;
        let looked = read(pack, place, buffer, |bytes| {
            crc.update(bytes);
            kind = kind.or(bytes.first().map(|first| first >> 4 & 7));
            Ok(())
        });
        let failed = |error: io::Error| {
            let text = format!(
                "cannot read the object {id}: {} cannot be read",
                path.display()
            );
            Error::new(ErrorKind::Git, text).with_source(error)
        };
        looked?.map_err(failed)?;
        if crc.sum() != place.crc {
            return Ok(Copied::Broken(path.clone()));
        }
        // A delta would need its base, which perhaps is not sent.
        if !matches!(kind, Some(1..=4)) {
            return Ok(Copied::Elsewhere);
        }
        if place.to - place.from <= BUFFER as u64 {
            write(buffer)?;
        } else {
            read(pack, place, buffer, write)?.map_err(failed)?;
        }
        Ok(Copied::Whole)
    }
}

/// Reads an entry piece by piece.
fn read(
    pack: &File,
    place: Place,
    buffer: &mut Vec<u8>,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<io::Result<()>> {
    let mut at = place.from;
    while at < place.to {
        let count = usize::try_from(place.to - at).map_or(BUFFER, |left| left.min(BUFFER));
        buffer.resize(count, 0);
        if let Err(error) = pack.read_exact_at(buffer, at) {
            return Ok(Err(error));
        }
        take(buffer)?;
        at += count as u64;
    }
    Ok(Ok(()))
}

/// An entry of a pack.
struct Entry {
    id: ObjectId,
    from: u64,
    to: u64,
    crc: u32,
}

/// The wanted objects in the pack of this index. `None` if it is none that this can read, or not worth it.
fn look_into(index: &Path, wanted: &HashSet<ObjectId>) -> io::Result<Option<Vec<Entry>>> {
    let mut file = File::open(index)?;
    let mut head = [0; FAN_OUT];
    file.read_exact(&mut head)?;
    let count = number(&head[FAN_OUT - 4..]);
    if !head.starts_with(HEAD) || count / MOST_OTHERS > wanted.len() {
        return Ok(None);
    }
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    // Ids, checksums, offsets, and offsets that do not fit there.
    let (ids, offsets) = (count * ID, count * (ID + 4));
    let Some(large) = rest.get(offsets + count * 4..) else {
        return Ok(None);
    };
    let bytes = std::fs::metadata(index.with_extension("pack"))?.len();
    let mut begins = Vec::with_capacity(count + 1);
    let mut found = Vec::new();
    let rows = rest[..ids].chunks_exact(ID);
    let rows = rows.zip(rest[ids..offsets].chunks_exact(4));
    for ((id, crc), offset) in rows.zip(rest[offsets..].chunks_exact(4)) {
        let offset = match number(offset) {
            small if small < 1 << 31 => small as u64,
            at => {
                let at = (at - (1 << 31)) * 8;
                let Some(bytes) = large.get(at..at + 8) else {
                    return Ok(None);
                };
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            }
        };
        begins.push(offset);
        if let Ok(id) = ObjectId::from_bytes(id)
            && wanted.contains(&id)
        {
            found.push(Entry {
                id,
                from: offset,
                to: 0,
                // The checksum of its bytes.
                crc: u32::try_from(number(crc)).unwrap_or_default(),
            });
        }
    }
    begins.push(bytes.saturating_sub(ID as u64));
    begins.sort_unstable();
    for Entry { from, to, .. } in &mut found {
        let next = begins.partition_point(|begin| *begin <= *from);
        *to = begins.get(next).copied().unwrap_or(*from);
    }
    found.retain(|entry| entry.from < entry.to);
    Ok((!found.is_empty()).then_some(found))
}

/// As git writes a number.
fn number(bytes: &[u8]) -> usize {
    let bytes = bytes.iter().take(4);
    bytes.fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}
