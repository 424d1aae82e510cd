//! Storing many work-tree files at once, in one pack instead of thousands of loose objects.
//!
//! A loose object costs a file, a rename and an fsync. A pack costs that once. The objects are
//! gathered in memory by a handle of our own, and written out before anybody refers to them.

use std::io::{self, Read, Write};
use std::path::Path;

use git2::ObjectType;

use super::error::wrap;
use super::index::{Entry, Index, Mode};
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Stat, Take};
use crate::path::RepoPath;

/// From this many files on a pack is cheaper; fewer would leave packs all over.
const PACK_FROM: usize = 200;
/// Bytes gathered in memory before a pack is written.
const PACK_BYTES: u64 = 64 << 20;

/// What became of a file that was to be stored.
#[derive(Debug)]
pub(crate) enum Stored {
    /// It is in the object store, and this is its entry.
    As(Entry),
    /// It changed in every try.
    Changing,
    /// Nothing is there that could be stored.
    Gone,
}

impl Git {
    /// Stores files as they are (line ends converted as configured): what became of each, in the
    /// order given. `tries` says what is wanted of a file, try after try.
    ///
    /// What `tracked` has decides as it does in git: a file with CRLF keeps it, and where the
    /// file system has no links or executable bits, links and executables stay what they were.
    pub(crate) fn store_files(
        &self,
        paths: &[RepoPath],
        tracked: &Index,
        tries: &[Take],
        cancel: &CancelToken,
    ) -> Result<Vec<Stored>> {
        let scratch = self.reopen()?;
        // The handle's own index takes the entries; the repository's stays as it is.
        let mut index = git2::Index::new().map_err(wrap("stage files"))?;
        scratch.set_index(&mut index).map_err(wrap("stage files"))?;
        for path in paths {
            seed(&mut index, path, tracked)?;
        }
        let odb = scratch.odb().map_err(wrap("stage files"))?;
        let pool = if paths.len() >= PACK_FROM {
            Some(
                odb.add_new_mempack_backend(i32::MAX)
                    .map_err(wrap("stage files"))?,
            )
        } else {
            None
        };
        let mut all: Vec<Stored> = paths.iter().map(|_| Stored::Changing).collect();
        let (mut gathered, mut bytes) = (Vec::new(), 0);
        let mut open: Vec<usize> = (0..paths.len()).collect();
        for take in tries {
            let looks = self.look_at(open.iter().map(|at| &paths[*at]))?;
            for (at, before) in std::mem::take(&mut open).into_iter().zip(looks) {
                cancel.check()?;
                let Some(before) = before else {
                    all[at] = Stored::Gone;
                    continue;
                };
                all[at] =
                    self.store_file(&scratch, &mut index, &paths[at], before, tracked, *take)?;
                // What was stored in vain takes room until the next pack all the same.
                bytes += before.size;
                match &all[at] {
                    Stored::As(entry) => gathered.push(entry.id),
                    Stored::Changing => open.push(at),
                    Stored::Gone => {}
                }
                if let Some(pool) = pool.as_ref().filter(|_| bytes >= PACK_BYTES) {
                    self.write_pack(&scratch, &gathered)?;
                    pool.reset().map_err(wrap("stage files"))?;
                    gathered.clear();
                    bytes = 0;
                }
            }
        }
        if pool.is_some() {
            self.write_pack(&scratch, &gathered)?;
        }
        Ok(all)
    }

    /// The stat of each file, such that whatever is written from here on gives it another time.
    ///
    /// One wait for all: a hundred busy files take no longer than one.
    fn look_at<'p>(&self, paths: impl Iterator<Item = &'p RepoPath>) -> Result<Vec<Option<Stat>>> {
        let looks: Vec<Option<Stat>> = paths
            .map(|path| storable(&path.under(&self.workdir)))
            .collect::<Result<_>>()?;
        if let Some(youngest) = looks.iter().flatten().map(|stat| stat.mtime).max() {
            fs::let_clock_move_on(youngest);
        }
        Ok(looks)
    }

    /// One try at one file, which was looked at `before`.
    fn store_file(
        &self,
        scratch: &git2::Repository,
        index: &mut git2::Index,
        path: &RepoPath,
        before: Stat,
        tracked: &Index,
        take: Take,
    ) -> Result<Stored> {
        let file = path.under(&self.workdir);
        let mode = tracked.get(path)?.map(|entry| entry.mode);
        let mut now = storable(&file)?;
        if now == Some(before) {
            let added = self.add_whole(index, path);
            now = storable(&file)?;
            if now == Some(before) {
                let mut entry = added?;
                if entry.mode.is_file() {
                    entry.mode = self.mode_of(&before, mode).unwrap_or(entry.mode);
                }
                return Ok(Stored::As(entry));
            }
            // libgit2 read the file as it was at some moment, or failed: line ends are judged by
            // what is tracked, not by that.
            seed(index, path, tracked)?;
        }
        if before.kind == FileKind::File && take.accepts(&before, now.as_ref()) {
            let id = store_start(scratch, path, &file, before.size)?;
            now = storable(&file)?;
            if let Some(id) = id
                && take.accepts(&before, now.as_ref())
            {
                let mode = self.mode_of(&before, mode).unwrap_or(Mode::File);
                return Ok(Stored::As(Entry::new(path.clone(), id, mode, &before)));
            }
        }
        Ok(match now {
            Some(_) => Stored::Changing,
            None => Stored::Gone,
        })
    }

    /// Stores a file as libgit2 finds it.
    fn add_whole(&self, index: &mut git2::Index, path: &RepoPath) -> Result<Entry> {
        let what = format!("stage {path}");
        let name = Path::new(path.as_str());
        if let Err(error) = index.add_path(name) {
            // libgit2 calls a file locked that may not be read.
            fs::open_no_link(&path.under(&self.workdir))?;
            return Err(wrap(&what)(error));
        }
        let entry = index
            .get_path(name, 0)
            .map(|raw| Entry::from_raw(&raw))
            .transpose()?;
        entry.ok_or_else(|| Error::new(ErrorKind::Git, format!("cannot {what}")))
    }

    /// The id that the bytes of a work-tree file have as a blob; `None` if it is no file.
    pub(crate) fn raw_id(&self, path: &RepoPath) -> Result<Option<ObjectId>> {
        let file = path.under(&self.workdir);
        if fs::lstat(&file)?.is_none_or(|stat| stat.kind != FileKind::File) {
            return Ok(None);
        }
        let id = ObjectId::hash_file(ObjectType::Blob, &file);
        id.map(Some).map_err(wrap(&format!("hash {path}")))
    }

    /// The id a work-tree file would get if it were staged now; nothing is stored.
    pub(crate) fn staged_id(&self, path: &RepoPath, tracked: &Index) -> Result<ObjectId> {
        let what = format!("hash {path}");
        let name = Path::new(path.as_str());
        let seed = tracked.get(path)?;
        let scratch = self.reopen()?;
        let hash = || -> Result<Option<ObjectId>, git2::Error> {
            let odb = scratch.odb()?;
            let _memory = odb.add_new_mempack_backend(i32::MAX)?;
            let mut index = git2::Index::new()?;
            scratch.set_index(&mut index)?;
            if let Some(entry) = &seed {
                index.add(&entry.to_raw())?;
            }
            index.add_path(name)?;
            Ok(index.get_path(name, 0).map(|entry| entry.id))
        };
        let id = hash().map_err(wrap(&what))?;
        id.ok_or_else(|| Error::new(ErrorKind::Git, format!("cannot {what}")))
    }

    /// Writes objects that `scratch` has in memory into a pack of this repository.
    fn write_pack(&self, scratch: &git2::Repository, ids: &[ObjectId]) -> Result<()> {
        let known = self.repo.odb().map_err(wrap("open the object store"))?;
        let folder = self.common_dir().join("objects/pack");
        fs::create_dir_all(&folder)?;
        let write = || -> Result<Option<String>, git2::Error> {
            let mut builder = scratch.packbuilder()?;
            for id in ids {
                if !known.exists(*id) {
                    builder.insert_object(*id, None)?;
                }
            }
            if builder.object_count() == 0 {
                return Ok(None);
            }
            let odb = scratch.odb()?;
            let mut indexer = git2::Indexer::new(Some(&odb), &folder, 0o444, true)?;
            let mut failed = None;
            builder.foreach(|chunk| {
                failed = indexer.write_all(chunk).err();
                failed.is_none()
            })?;
            indexer.commit().map(Some)
        };
        let Some(name) = write().map_err(wrap("write a pack"))? else {
            return Ok(());
        };
        // libgit2 syncs neither; without them the index would point at nothing after a crash.
        for extension in ["pack", "idx"] {
            fs::sync_file(&folder.join(format!("pack-{name}.{extension}")))?;
        }
        fs::sync_dir(&folder)
    }
}

/// The stat of a file or link.
fn storable(file: &Path) -> Result<Option<Stat>> {
    let stat = fs::lstat(file)?;
    Ok(stat.filter(|stat| matches!(stat.kind, FileKind::File | FileKind::Symlink)))
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
    scratch: &git2::Repository,
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
