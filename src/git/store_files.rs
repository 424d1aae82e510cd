//! Storing many work-tree files at once, in one pack instead of thousands of loose objects.
//!
//! A loose object costs a file, a rename and an fsync. A pack costs that once. The objects are
//! gathered in memory by a handle of our own, and written out before anybody refers to them.

use std::io::Write;
use std::path::Path;

use git2::ObjectType;

use super::error::wrap;
use super::index::{Entry, Index};
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, Result};
use crate::fs::{self, FileKind};
use crate::path::RepoPath;

/// From this many files on a pack is cheaper; fewer would leave packs all over.
const PACK_FROM: usize = 200;
/// Bytes gathered in memory before a pack is written.
const PACK_BYTES: u64 = 64 << 20;

impl Git {
    /// Stores files as they are (line ends converted as configured) and returns their entries.
    ///
    /// What `tracked` has decides as it does in git: a file with CRLF keeps it, and where the
    /// file system has no links or executable bits, links and executables stay what they were.
    pub(crate) fn store_files(
        &self,
        paths: &[RepoPath],
        tracked: &Index,
        cancel: &CancelToken,
    ) -> Result<Vec<Entry>> {
        let scratch = self.reopen()?;
        // The handle's own index takes the entries; the repository's stays as it is.
        let mut index = git2::Index::new().map_err(wrap("stage files"))?;
        scratch.set_index(&mut index).map_err(wrap("stage files"))?;
        for path in paths {
            if let Some(entry) = tracked.get(path)? {
                index
                    .add(&entry.to_raw())
                    .map_err(wrap(&format!("stage {path}")))?;
            }
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
        let mut entries = Vec::with_capacity(paths.len());
        let (mut gathered, mut bytes) = (Vec::new(), 0);
        for path in paths {
            cancel.check()?;
            let name = Path::new(path.as_str());
            index
                .add_path(name)
                .map_err(wrap(&format!("stage {path}")))?;
            let entry = index
                .get_path(name, 0)
                .map(|raw| Entry::from_raw(&raw))
                .transpose()?;
            let entry = entry.ok_or_else(|| {
                Error::new(
                    crate::ErrorKind::Git,
                    format!("cannot stage {path}: it vanished"),
                )
            })?;
            if let Some(pool) = &pool {
                gathered.push(entry.id);
                bytes += std::fs::metadata(path.under(&self.workdir)).map_or(0, |meta| meta.len());
                if bytes >= PACK_BYTES {
                    self.write_pack(&scratch, &gathered)?;
                    pool.reset().map_err(wrap("stage files"))?;
                    gathered.clear();
                    bytes = 0;
                }
            }
            entries.push(entry);
        }
        if pool.is_some() {
            self.write_pack(&scratch, &gathered)?;
        }
        Ok(entries)
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
        id.ok_or_else(|| Error::new(crate::ErrorKind::Git, format!("cannot {what}")))
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
