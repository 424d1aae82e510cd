//! Storing files in which git may convert something, links, and what is too large to be read as a whole.

use std::io::{self, Read};
use std::path::Path;

use git2::{ObjectType, Repository};

use super::error::wrap;
use super::index::{Entry, Index};
use super::new_pack::{LARGEST, NewObjects, Packer};
use super::store_files::{Stored, Wanted, storable};
use super::{Git, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind};
use crate::path::RepoPath;

/// Bytes that are gathered in memory before all is forgotten.
const MOST_IN_MEMORY: u64 = 16 << 20;

/// Has libgit2 store one file after the other.
pub(super) struct Converter<'a> {
    git: &'a Git,
    tracked: &'a Index,
    objects: &'a NewObjects<'a>,
    packer: Packer,
    /// What small files become.
    memory: Option<Scratch>,
    /// Where large files are written to, piece by piece.
    disk: Option<Scratch>,
}

/// A handle with an index of its own; the repository's stays as it is.
struct Scratch {
    repo: Repository,
    index: git2::Index,
    /// Bytes that it may have in memory.
    held: u64,
}

impl Scratch {
    fn new(git: &Git) -> Result<Self> {
        let repo = git.reopen()?;
        let mut index = git2::Index::new().map_err(wrap("stage files"))?;
        repo.set_index(&mut index).map_err(wrap("stage files"))?;
        Ok(Self {
            repo,
            index,
            held: 0,
        })
    }

    fn in_memory(git: &Git) -> Result<Self> {
        let scratch = Self::new(git)?;
        let odb = scratch.repo.odb();
        odb.and_then(|odb| odb.add_new_mempack_backend(i32::MAX).map(drop))
            .map_err(wrap("stage files"))?;
        Ok(scratch)
    }

    /// Its objects are written as the repository's are: synced.
    fn on_disk(git: &Git) -> Result<Self> {
        let scratch = Self::new(git)?;
        let odb = git.repo.odb();
        odb.and_then(|odb| scratch.repo.set_odb(&odb))
            .map_err(wrap("stage files"))?;
        Ok(scratch)
    }
}

impl<'a> Converter<'a> {
    pub(super) fn new(git: &'a Git, tracked: &'a Index, objects: &'a NewObjects<'a>) -> Self {
        Self {
            git,
            tracked,
            objects,
            packer: Packer::new(),
            memory: None,
            disk: None,
        }
    }

    /// One try at one file.
    pub(super) fn store(&mut self, file: &Wanted<'_>) -> Result<Stored> {
        if file.before.size > LARGEST {
            let scratch = match &mut self.disk {
                Some(scratch) => scratch,
                None => self.disk.insert(Scratch::on_disk(self.git)?),
            };
            return store(self.git, scratch, self.tracked, file);
        }
        self.memory.take_if(|scratch| scratch.held > MOST_IN_MEMORY);
        let scratch = match &mut self.memory {
            Some(scratch) => scratch,
            None => self.memory.insert(Scratch::in_memory(self.git)?),
        };
        scratch.held += file.before.size;
        let stored = store(self.git, scratch, self.tracked, file)?;
        if let Stored::As(entry) = &stored {
            let what = format!("stage {}", file.path);
            let odb = scratch.repo.odb().map_err(wrap(&what))?;
            let blob = odb.read(entry.id).map_err(wrap(&what))?;
            self.objects
                .add(&mut self.packer, ObjectType::Blob, blob.data())?;
        }
        Ok(stored)
    }
}

fn store(git: &Git, scratch: &mut Scratch, tracked: &Index, file: &Wanted<'_>) -> Result<Stored> {
    let there = file.path.under(git.workdir());
    // Line ends are judged by what is tracked.
    seed(&mut scratch.index, file.path, tracked)?;
    let mut now = storable(&there)?;
    if now == Some(file.before) {
        let added = add_whole(git, &mut scratch.index, file.path);
        now = storable(&there)?;
        if now == Some(file.before) {
            let mut entry = added?;
            if entry.mode.is_file() {
                entry.mode = file.mode;
            }
            return Ok(Stored::As(entry));
        }
        // libgit2 read the file as it was at some moment, or failed: line ends are not judged by that.
        seed(&mut scratch.index, file.path, tracked)?;
    }
    if file.before.kind == FileKind::File && file.take.accepts(&file.before, now.as_ref()) {
        let id = store_start(&scratch.repo, file.path, &there, file.before.size)?;
        return Ok(file.judge(id, storable(&there)?.as_ref()));
    }
    Ok(file.judge(None, now.as_ref()))
}

/// Stores a file as libgit2 finds it.
fn add_whole(git: &Git, index: &mut git2::Index, path: &RepoPath) -> Result<Entry> {
    let what = format!("stage {path}");
    let name = Path::new(path.as_str());
    if let Err(error) = index.add_path(name) {
        // libgit2 calls a file locked that may not be read.
        fs::open_no_link(&path.under(git.workdir()))?;
        return Err(wrap(&what)(error));
    }
    let entry = index
        .get_path(name, 0)
        .map(|raw| Entry::from_raw(&raw))
        .transpose()?;
    entry.ok_or_else(|| Error::new(ErrorKind::Git, format!("cannot {what}")))
}

/// Gives a path the entry that is tracked, or none.
fn seed(index: &mut git2::Index, path: &RepoPath, tracked: &Index) -> Result<()> {
    let seeded = match tracked.get(path)? {
        Some(entry) => index.add(&entry.to_raw()),
        None => index.remove_path(Path::new(path.as_str())),
    };
    seeded.map_err(wrap(&format!("stage {path}")))
}

/// Stores the first `size` bytes of a file, converted as the file would be; `None` if there are
/// not as many any more.
fn store_start(
    scratch: &Repository,
    path: &RepoPath,
    file: &Path,
    size: u64,
) -> Result<Option<ObjectId>> {
    let what = format!("stage {path}");
    let Some(source) = fs::open_no_link(file)? else {
        return Ok(None);
    };
    let mut writer = scratch
        .blob_writer(Some(Path::new(path.as_str())))
        .map_err(wrap(&what))?;
    match io::copy(&mut source.take(size), &mut writer) {
        Ok(copied) if copied == size => writer.commit().map(Some).map_err(wrap(&what)),
        Ok(_) => Ok(None),
        Err(error) if fs::is_gone(&error) => Ok(None),
        Err(error) => Err(Error::io("stage", file, error)),
    }
}
