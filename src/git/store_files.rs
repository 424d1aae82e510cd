//! Storing work-tree files as they are: most by all CPUs, the others by libgit2.

use std::path::Path;

use git2::ObjectType;

use super::error::wrap;
use super::index::{Entry, Index, Mode};
use super::new_pack::{LARGEST, NewObjects, Packer};
use super::store_by_libgit2::Converter;
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{self, FileKind, Stat, Take};
use crate::parallel;
use crate::path::RepoPath;

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

/// One try at a file.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'p> {
    at: usize,
    pub(super) path: &'p RepoPath,
    /// What it was when it was looked at.
    pub(super) before: Stat,
    pub(super) take: Take,
    /// The mode that the index has.
    pub(super) tracked: Option<Mode>,
    /// The mode that the file gets.
    pub(super) mode: Mode,
    /// Whether it is known that git converts nothing in it.
    verbatim: bool,
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
        let objects = self.new_objects(paths.len())?;
        let mut all: Vec<Stored> = paths.iter().map(|_| Stored::Changing).collect();
        let mut open: Vec<usize> = (0..paths.len()).collect();
        for take in tries {
            let looks = self.look_at(open.iter().map(|at| &paths[*at]).collect(), cancel)?;
            let mut files = Vec::with_capacity(open.len());
            for (at, before) in std::mem::take(&mut open).into_iter().zip(looks) {
                let Some(before) = before else {
                    all[at] = Stored::Gone;
                    continue;
                };
                let path = &paths[at];
                let mode = tracked.get(path)?.map(|entry| entry.mode);
                files.push(Wanted {
                    at,
                    path,
                    before,
                    take: *take,
                    tracked: mode,
                    mode: self.mode_of(&before, mode).unwrap_or(Mode::File),
                    verbatim: false,
                });
            }
            for (at, stored) in self.try_all(files, tracked, &objects, cancel)? {
                if matches!(stored, Stored::Changing) {
                    open.push(at);
                }
                all[at] = stored;
            }
        }
        objects.finish()?;
        Ok(all)
    }

    /// One try at each file.
    fn try_all(
        &self,
        files: Vec<Wanted<'_>>,
        tracked: &Index,
        objects: &NewObjects<'_>,
        cancel: &CancelToken,
    ) -> Result<Vec<(usize, Stored)>> {
        let mut all = Vec::with_capacity(files.len());
        // Line ends that git checks are libgit2's business altogether.
        let mut rest = if self.checks_line_ends()? {
            files
        } else {
            let unsure = store_verbatim(&self.workdir, files, objects, cancel, &mut all)?;
            let attributes = self.attributes()?;
            let (mut verbatim, mut rest) = (Vec::new(), Vec::new());
            for file in unsure {
                let known = file.is_small() && attributes.is_stored_verbatim(file.path)?;
                let which = if known { &mut verbatim } else { &mut rest };
                which.push(Wanted {
                    verbatim: known,
                    ..file
                });
            }
            rest.extend(store_verbatim(
                &self.workdir,
                verbatim,
                objects,
                cancel,
                &mut all,
            )?);
            rest
        };
        rest.sort_unstable_by_key(|file| file.at);
        let mut converter = Converter::new(self, tracked, objects);
        for file in rest {
            cancel.check()?;
            all.push((file.at, converter.store(&file)?));
        }
        Ok(all)
    }

    /// Whether git refuses files whose line ends it could not bring back (`core.safecrlf`).
    fn checks_line_ends(&self) -> Result<bool> {
        let config = self.repo.config().map_err(wrap("read git's config"))?;
        Ok(config.get_bool("core.safecrlf").unwrap_or(false))
    }

    /// The stat of each file, such that whatever is written from here on gives it another time.
    ///
    /// One wait for all: a hundred busy files take no longer than one.
    fn look_at(&self, paths: Vec<&RepoPath>, cancel: &CancelToken) -> Result<Vec<Option<Stat>>> {
        let workdir = &self.workdir;
        let look = |path: &&RepoPath| storable(&path.under(workdir));
        let looks = parallel::map(&paths, cancel, look)?;
        if let Some(youngest) = looks.iter().flatten().map(|stat| stat.mtime).max() {
            fs::let_clock_move_on(youngest);
        }
        Ok(looks)
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
}

impl Wanted<'_> {
    /// Whether it is a file that may be read as a whole, and was one before.
    pub(super) fn is_small(&self) -> bool {
        self.before.kind == FileKind::File
            && self.before.size <= LARGEST
            // Where the file system has no links, a file stands for one.
            && self.tracked.is_none_or(Mode::is_file)
    }

    /// What became of a file of which this much was read.
    pub(super) fn judge(&self, id: Option<ObjectId>, now: Option<&Stat>) -> Stored {
        match (id, now) {
            (_, None) => Stored::Gone,
            (Some(id), _) if self.take.accepts(&self.before, now) => {
                Stored::As(Entry::new(self.path.clone(), id, self.mode, &self.before))
            }
            _ => Stored::Changing,
        }
    }
}

/// Stores, on all CPUs, files in which git converts nothing; returns those that need a closer look.
fn store_verbatim<'p>(
    workdir: &Path,
    files: Vec<Wanted<'p>>,
    objects: &NewObjects<'_>,
    cancel: &CancelToken,
    done: &mut Vec<(usize, Stored)>,
) -> Result<Vec<Wanted<'p>>> {
    let begin = || Ok((Packer::new(), Vec::new()));
    let stored = parallel::map_with(&files, cancel, begin, |(packer, buffer), file| {
        if !file.is_small() {
            return Ok(None);
        }
        let there = file.path.under(workdir);
        let read = fs::read_start_into(&there, file.before.size, buffer)?;
        if !file.verbatim && may_be_converted(buffer) {
            return Ok(None);
        }
        let now = storable(&there)?;
        // What is not wanted need not be stored.
        let whole = read && buffer.len() as u64 == file.before.size;
        let id = if whole && file.take.accepts(&file.before, now.as_ref()) {
            Some(objects.add(packer, ObjectType::Blob, buffer)?)
        } else {
            None
        };
        Ok(Some(file.judge(id, now.as_ref())))
    })?;
    let mut rest = Vec::new();
    for (file, stored) in files.into_iter().zip(stored) {
        match stored {
            Some(stored) => done.push((file.at, stored)),
            None => rest.push(file),
        }
    }
    Ok(rest)
}

/// Whether there are attributes or settings by which git would store anything but these bytes: it
/// makes LF of CRLF, and takes away what it once wrote into `$Id$`.
///
/// Looking at the bytes spares most files a look at their attributes.
fn may_be_converted(bytes: &[u8]) -> bool {
    bytes.contains(&b'\r') || bytes.windows(3).any(|three| three == b"$Id")
}

/// The stat of a file or link.
pub(super) fn storable(file: &Path) -> Result<Option<Stat>> {
    let stat = fs::lstat(file)?;
    Ok(stat.filter(|stat| matches!(stat.kind, FileKind::File | FileKind::Symlink)))
}
