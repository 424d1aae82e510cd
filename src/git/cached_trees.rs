//! The trees that an index remembers of what was committed, its extension `TREE`:
//! <https://git-scm.com/docs/index-format>.

use std::cmp::Ordering;

use super::ObjectId;

/// What the index remembers of the trees that its files made when they were last committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CachedTree {
    /// `None` if something below has changed since.
    id: Option<ObjectId>,
    /// How many entries of the index are below; means nothing without an id.
    files: u32,
    /// The folders in it that are remembered, in git's [order].
    below: Vec<(Vec<u8>, CachedTree)>,
}

/// Folders deeper than this are nothing to keep trees of.
const DEEPEST: usize = 4096;

impl CachedTree {
    /// The tree of so many files, and those of the folders in it; without an id one of which nothing but
    /// those is known.
    pub(super) fn new(
        id: Option<ObjectId>,
        files: usize,
        mut below: Vec<(Vec<u8>, Self)>,
    ) -> Option<Self> {
        below.sort_by(|(one, _), (other, _)| order(one, other));
        let files = u32::try_from(files).ok()?;
        Some(Self { id, files, below })
    }

    /// The tree of a folder of which the index has so many entries: one of another number of files is not of
    /// this folder as it is, whoever wrote that it was.
    pub(super) fn id_for(&self, rows: usize) -> Option<ObjectId> {
        self.id.filter(|_| usize::try_from(self.files) == Ok(rows))
    }

    pub(super) fn child(&self, name: &[u8]) -> Option<&Self> {
        let found = self.below.binary_search_by(|(of, _)| order(of, name));
        found.ok().map(|at| &self.below[at].1)
    }

    /// Reads the extension; `None` if it is not as expected.
    pub(super) fn parse(mut rest: &[u8]) -> Option<Self> {
        // Not by a function that calls itself: the file says how deep it would go.
        let mut open = vec![next(&mut rest)?];
        loop {
            while open.last()?.2 > 0 {
                open.last_mut()?.2 -= 1;
                let tree = next(&mut rest)?;
                if open.len() == DEEPEST {
                    return None;
                }
                open.push(tree);
            }
            let (name, mut tree, _) = open.pop()?;
            tree.below.sort_by(|(one, _), (other, _)| order(one, other));
            match open.last_mut() {
                Some((_, above, _)) => above.below.push((name, tree)),
                None => return Some(tree),
            }
        }
    }

    /// The extension's content.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut open: Vec<(&[u8], &Self)> = vec![(b"", self)];
        while let Some((name, tree)) = open.pop() {
            let count = tree.id.map_or(-1, |_| i64::from(tree.files));
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(format!("\0{count} {}\n", tree.below.len()).as_bytes());
            bytes.extend(tree.id.iter().flat_map(ObjectId::as_bytes));
            let below = tree.below.iter().rev();
            open.extend(below.map(|(name, tree)| (name.as_slice(), tree)));
        }
        bytes
    }
}

/// git's order of folders, in which it looks for them: short names first.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    (one.len(), one).cmp(&(other.len(), other))
}

/// The next tree, its name, and how many there are below it.
fn next(rest: &mut &[u8]) -> Option<(Vec<u8>, CachedTree, usize)> {
    let (name, after) = cut(rest, 0)?;
    let (files, after) = cut(after, b' ')?;
    let (below, after) = cut(after, b'\n')?;
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let files = number(files)?;
    let id = if files >= 0 {
        let (id, left) = after.split_at_checked(20)?;
        *rest = left;
        Some(ObjectId::from_bytes(id).ok()?)
    } else {
        *rest = after;
        None
    };
    let tree = CachedTree {
        id,
        files: u32::try_from(files.max(0)).ok()?,
        below: Vec::new(),
    };
    Some((name.to_vec(), tree, usize::try_from(number(below)?).ok()?))
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == at)?;
    Some((&text[..end], &text[end + 1..]))
}
