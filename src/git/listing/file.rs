//! The format of an index file, versions 2 to 4: <https://git-scm.com/docs/index-format>.

use sha1::{Digest, Sha1};

use super::Row;
use crate::git::ObjectId;
use crate::git::cached_trees::CachedTree;
use crate::git::index::Recorded;

/// What a file holds.
pub(super) struct Parsed {
    pub(super) rows: Vec<Row>,
    /// All paths, where the file itself does not have them as a whole.
    pub(super) text: Option<Vec<u8>>,
    pub(super) trees: Option<CachedTree>,
    /// Where the entries end, and the extensions begin.
    ends: usize,
}

const HEADER: usize = 12;
pub(super) const CHECKSUM: usize = 20;
/// Bytes of an entry before its flags.
const FIXED: usize = 60;
const EXTENDED: u16 = 0x4000;
/// The extension that remembers trees.
const TREES: &[u8; 4] = b"TREE";
/// Extensions that tell where others, and the entries, are: wrong when one is put in.
const OFFSETS: [&[u8; 4]; 2] = [b"EOIE", b"IEOT"];

/// Reads the file; `None` if anything in it is not as expected.
pub(super) fn parse(bytes: &[u8]) -> Option<Parsed> {
    let header = bytes.get(..HEADER)?;
    let version = u32_at(header, 4)?;
    if !header.starts_with(b"DIRC") || !(2..=4).contains(&version) {
        return None;
    }
    let body = body(bytes)?;
    let count = usize::try_from(u32_at(header, 8)?).ok()?;
    // An entry has 62 bytes and more: a wrong count asks for no memory.
    let mut rows: Vec<Row> = Vec::with_capacity(count.min(body.len() / FIXED));
    // Version 4 leaves out what a path has in common with the one before.
    let mut text = (version == 4).then(Vec::new);
    let mut at = HEADER;
    for _ in 0..count {
        let (row, ends) = row(body, at, &rows, text.as_mut())?;
        if let Some(before) = rows.last() {
            let text = text.as_deref().unwrap_or(body);
            let path = |row: &Row| &text[row.at as usize..][..row.length as usize];
            if (path(before), before.stage()) >= (path(&row), row.stage()) {
                return None;
            }
        }
        rows.push(row);
        at = ends;
    }
    let mut trees = None;
    for extension in extensions(body.get(at..)?) {
        let (name, content) = extension?;
        if name == *TREES {
            // It is a help; without it more is read.
            trees = CachedTree::parse(content);
        } else if !name[0].is_ascii_uppercase() {
            // It may change what the entries mean.
            return None;
        }
    }
    Some(Parsed {
        rows,
        text,
        trees,
        ends: at,
    })
}

/// Whether the checksum behind an index is right. With `index.skipHash` it is none.
pub(super) fn is_as_written(bytes: &[u8]) -> bool {
    let parts = bytes.split_last_chunk::<CHECKSUM>();
    parts.is_some_and(|(body, sum)| *sum == [0; CHECKSUM] || Sha1::digest(body)[..] == sum[..])
}

/// All but the checksum.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..bytes.len().checked_sub(CHECKSUM)?)
}

/// The entry that begins at `at`, and where it ends. With `text` its path is put together there.
fn row(body: &[u8], at: usize, before: &[Row], text: Option<&mut Vec<u8>>) -> Option<(Row, usize)> {
    let fixed = body.get(at..at.checked_add(FIXED + 2)?)?;
    let word = |number: usize| u32_at(fixed, number * 4);
    #[expect(clippy::cast_possible_wrap, reason = "as it was written")]
    let time = |number: usize| Some((word(number)? as i32, word(number + 1)?));
    let flags = u16_at(fixed, FIXED)?;
    let mut path = at + FIXED + 2;
    let mut flags_extended = 0;
    if flags & EXTENDED != 0 {
        flags_extended = u16_at(body.get(path..)?, 0)?;
        path += 2;
    }
    let (path, length, ends) = match text {
        None => {
            let rest = body.get(path..)?;
            let known = usize::from(flags & 0xfff);
            // The length is told unless it is too large for its twelve bits.
            let length = if known < 0xfff && rest.get(known) == Some(&0) {
                known
            } else {
                rest.iter().position(|byte| *byte == 0)?
            };
            // Filled up with one to eight zeros.
            (path, length, at + (path + length - at + 8) / 8 * 8)
        }
        Some(text) => {
            let begins = text.len();
            let (cut, length) = varint(body.get(path..)?)?;
            let rest = body.get(path + length..)?;
            if let Some(before) = before.last() {
                let kept = (before.length as usize).checked_sub(cut)?;
                text.extend_from_within(before.at as usize..before.at as usize + kept);
            } else if cut != 0 {
                return None;
            }
            let own = rest.iter().position(|byte| *byte == 0)?;
            text.extend_from_slice(&rest[..own]);
            (begins, text.len() - begins, path + length + own + 1)
        }
    };
    let row = Row {
        at: u32::try_from(path).ok()?,
        length: u32::try_from(length).ok()?,
        id: ObjectId::from_bytes(fixed.get(40..FIXED)?).ok()?,
        mode: word(6)?,
        recorded: Recorded {
            ctime: time(0)?,
            mtime: time(2)?,
            ino: word(5)?,
            uid: word(7)?,
            gid: word(8)?,
            size: word(9)?,
        },
        flags,
        flags_extended,
    };
    Some((row, ends))
}

/// The same file with other trees in it; `None` if it is damaged, or not to be understood here.
pub(in crate::git) fn with_trees(bytes: &[u8], trees: &CachedTree) -> Option<Vec<u8>> {
    let ends = parse(bytes).filter(|_| is_as_written(bytes))?.ends;
    let body = body(bytes)?;
    let mut new = body[..ends].to_vec();
    let trees = trees.to_bytes();
    let kept = extensions(&body[ends..]).flatten();
    let kept = kept.filter(|(name, _)| name != TREES && !OFFSETS.contains(&name));
    for (name, content) in [(*TREES, &*trees)].into_iter().chain(kept) {
        new.extend_from_slice(&name);
        new.extend_from_slice(&u32::try_from(content.len()).ok()?.to_be_bytes());
        new.extend_from_slice(content);
    }
    let sum = Sha1::digest(&new);
    new.extend_from_slice(&sum);
    Some(new)
}

/// The names and contents of extensions; the last is `None` if they end in the middle of one.
fn extensions(mut rest: &[u8]) -> impl Iterator<Item = Option<([u8; 4], &[u8])>> {
    fn next<'a>(rest: &mut &'a [u8]) -> Option<([u8; 4], &'a [u8])> {
        let name = *rest.first_chunk()?;
        let size = usize::try_from(u32_at(rest, 4)?).ok()?;
        let (content, after) = rest.get(8..)?.split_at_checked(size)?;
        *rest = after;
        Some((name, content))
    }
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let extension = next(&mut rest);
        if extension.is_none() {
            rest = &[];
        }
        Some(extension)
    })
}

/// A number as version 4 and packs write it, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value: usize = 0;
    for (at, byte) in bytes.iter().enumerate() {
        value = value
            .checked_mul(128)?
            .checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
        value = value.checked_add(1)?;
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
