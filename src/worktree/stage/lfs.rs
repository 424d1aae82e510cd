//! LFS files: their content goes into the store, several at a time, and pointers to it into the index.

use std::collections::HashSet;

use super::{Stage, StageReport};
use crate::error::Result;
use crate::fs::{self, FileKind, Stat, Take};
use crate::git::{Entry, Index, Mode};
use crate::lfs::clean::{Cleaned, read_pointer_file};
use crate::lfs::pointer::Pointer;
use crate::path::RepoPath;
use crate::progress::{Event, Progress};
use crate::worktree::Context;

/// A file, and what it was when it was looked at.
type There = (RepoPath, Stat);
/// The text to commit for a file, and the stat of the file that it is for.
type Text = (Vec<u8>, Stat);

impl Stage<'_> {
    /// Stages files as LFS files; those that could be had.
    pub(super) fn put_lfs(
        &self,
        index: &mut Index,
        paths: Vec<RepoPath>,
        report: &mut StageReport,
    ) -> Result<HashSet<RepoPath>> {
        let git = self.context.git;
        let (mut had, mut others) = (HashSet::new(), Vec::new());
        for path in paths {
            match index.get(&path)?.filter(Entry::is_hidden) {
                Some(entry) => {
                    self.put_hidden(index, &entry, report)?;
                    had.insert(path);
                }
                None => others.push(path),
            }
        }
        let mut waiting = others.clone();
        for take in self.options.on_changing.tries() {
            let there = self.files(std::mem::take(&mut waiting))?;
            let texts = self.texts(&there, *take)?;
            let (mut cleaned, mut pointers) = (Vec::new(), Vec::new());
            for ((path, _), text) in there.into_iter().zip(texts) {
                match text {
                    Some((text, stat)) => {
                        pointers.push(text);
                        cleaned.push((path, stat));
                    }
                    None => waiting.push(path),
                }
            }
            let blobs = git.write_blobs(&pointers, self.context.cancel)?;
            for ((path, stat), blob) in cleaned.into_iter().zip(blobs) {
                let tracked = index.get(&path)?.map(|entry| entry.mode);
                let mode = git.mode_of(&stat, tracked).unwrap_or(Mode::File);
                let entry = Entry::new(path.clone(), blob, mode, &stat);
                index.put(&entry)?;
                report.lfs.push(path.clone());
                had.insert(path);
            }
        }
        // What is gone by now is left for the next stage.
        others.retain(|path| !had.contains(path));
        let changing = self.files(others)?.into_iter().map(|(path, _)| path);
        self.leave_out(changing.collect(), report)?;
        Ok(had)
    }

    /// Those of the paths that are files now.
    fn files(&self, paths: Vec<RepoPath>) -> Result<Vec<There>> {
        let workdir = self.context.git.workdir();
        let look = |path: RepoPath| -> Result<Option<There>> {
            let stat = fs::lstat(&path.under(workdir))?;
            let file = stat.filter(|stat| stat.kind == FileKind::File);
            Ok(file.map(|stat| (path, stat)))
        };
        let looks = paths.into_iter().map(look);
        looks.filter_map(Result::transpose).collect()
    }

    /// One try at each file: what is to be committed for it; `None` for one that changed meanwhile.
    fn texts(&self, files: &[There], take: Take) -> Result<Vec<Option<Text>>> {
        let Context {
            git,
            engine,
            progress,
            cancel,
            ..
        } = self.context;
        let mut texts: Vec<Option<Text>> = files.iter().map(|_| None).collect();
        let (mut to_clean, mut places) = (Vec::new(), Vec::new());
        for (at, (path, before)) in files.iter().enumerate() {
            cancel.check()?;
            let file = path.under(git.workdir());
            match read_pointer_file(&file)? {
                Some(text) if fs::lstat(&file)?.as_ref() == Some(before) => {
                    begins(progress, &files[at]);
                    texts[at] = Some((text, *before));
                }
                Some(_) => {}
                None => {
                    to_clean.push(file);
                    places.push(at);
                }
            }
        }
        let begin = |number: usize| begins(progress, &files[places[number]]);
        let cleaned = engine.clean_all(&to_clean, take, &begin, cancel)?;
        for (at, cleaned) in places.iter().zip(cleaned) {
            texts[*at] = cleaned.map(|Cleaned { object, stat }| {
                let pointer = Pointer::new(object.oid, object.size);
                (pointer.encode(), stat)
            });
        }
        Ok(texts)
    }
}

fn begins(progress: &Progress, (path, stat): &There) {
    progress.report(|| Event::Staging {
        path: path.to_string(),
        bytes: stat.size,
    });
}
