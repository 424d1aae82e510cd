//! Index and rules follow commits whose files became LFS files; the files themselves stay as they are.

use std::path::PathBuf;

use super::Context;
use super::pointers::Pointers;
use super::rewrite::{Keep, Rewritten, into_store};
use super::rules_file::{self, RulesFile, no_plain_file};
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::git::{Entry, Git, Head, Index, IndexLock, Mode, ObjectId};
use crate::lfs::attributes;
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;

/// The way from an old tree to the one that was made of it.
pub(crate) struct FollowRewrite<'a> {
    pub(crate) context: Context<'a>,
    /// Where HEAD was when the commits were made.
    pub(crate) head: &'a Head,
    /// The tree of the branch's old last commit, and of its new one.
    pub(crate) old: ObjectId,
    pub(crate) new: ObjectId,
    pub(crate) rewritten: &'a Rewritten,
}

/// An index that is about to follow. Dropped, nothing has changed.
pub(crate) struct Following {
    index: Index,
    rules: Option<RulesChange>,
}

/// The root's `.gitattributes` in the work tree and in the index.
struct RulesChange {
    path: RepoPath,
    file: PathBuf,
    /// What the file lacks; nothing if the user has deleted it, or it says so already.
    lacking: Vec<Pattern>,
    entry: Entry,
    blob: ObjectId,
    content: Vec<u8>,
}

impl FollowRewrite<'_> {
    /// Takes git's lock on the index, and makes sure that it can follow.
    ///
    /// What is staged stays staged: an LFS file's content becomes an object, a rule is added to what is
    /// staged of `.gitattributes`.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if somebody has moved HEAD;
    /// [`ErrorKind::UnfinishedOperation`] with conflicts in the index,
    /// [`ErrorKind::DirtyWorktree`] if the removal of `.gitattributes` is staged.
    pub(crate) fn prepare(&self) -> Result<Following> {
        let git = self.context.git;
        let mut index = git.index_to_change()?;
        // Making the commits took its time.
        if git.head()? != *self.head {
            let text = "cannot rewrite: somebody else moved HEAD in the meantime";
            return Err(Error::new(ErrorKind::Locked, text).with_hint("call again"));
        }
        if index.has_conflicts() {
            let text = "cannot rewrite: the index has conflicts of an unfinished merge";
            return Err(Error::new(ErrorKind::UnfinishedOperation, text)
                .with_hint("finish or abort the merge with git first"));
        }
        let rules = self.rules(&index)?;
        let mut pointers = Pointers::new(git);
        let staged = git.staged_changes(Some(self.old), &index)?;
        let staged = staged.iter().map(|change| &change.path);
        let staged: Vec<&RepoPath> = staged.filter(|path| self.is_ruled(path)).collect();
        for path in self.rewritten.converted.iter().chain(staged) {
            let Some(entry) = index.get(path)?.filter(|entry| entry.mode.is_file()) else {
                continue;
            };
            if pointers.get(entry.id)?.is_none() {
                staged_into_store(&self.context, &mut index, &entry)?;
            }
        }
        Ok(Following { index, rules })
    }

    /// Whether one of the new rules is for all files with that extension.
    fn is_ruled(&self, path: &RepoPath) -> bool {
        let extension = super::autotrack::extension(path);
        let rule = extension.map(|extension| Pattern::Glob(format!("*.{extension}")));
        rule.is_some_and(|rule| self.rewritten.rules.contains(&rule))
    }

    fn rules(&self, index: &Index) -> Result<Option<RulesChange>> {
        let rules = &self.rewritten.rules;
        if rules.is_empty() {
            return Ok(None);
        }
        let git = self.context.git;
        let path = RepoPath::new(RulesFile::NAME)?;
        let file = path.under(git.workdir());
        let found = rules_file::read(&file)?;
        let tracked = index.get(&path)?;
        let was_there = git.file_at(self.old, &path)?.is_some();
        let (blob, content, text) = match &tracked {
            Some(entry) if !entry.mode.is_file() => {
                return Err(no_plain_file(path.as_str()));
            }
            Some(entry) => {
                let content = attributes::track(&git.blob(entry.id)?, rules).content;
                let text = found.as_deref().map(|text| attributes::track(text, rules));
                (git.write_blob(&content)?, content, text)
            }
            None if was_there => {
                let text = "cannot rewrite: the removal of .gitattributes is staged";
                return Err(Error::new(ErrorKind::DirtyWorktree, text)
                    .with_hint("commit it, or take it back: git reset .gitattributes"));
            }
            None => {
                let made = git.file_at(self.new, &path)?.map(|(blob, _)| blob);
                let text = attributes::track(found.as_deref().unwrap_or_default(), rules);
                let content = attributes::track(&[], rules).content;
                let blob = made.map_or_else(|| git.write_blob(&content), Ok)?;
                (blob, content, Some(text))
            }
        };
        let text = text.map(|edit| edit.content);
        let changes = text.is_some_and(|text| found.as_ref() != Some(&text));
        let entry = match tracked {
            Some(entry) => entry,
            // Its stat comes with the file.
            None => Entry::without_stat(path.clone(), blob, Mode::File),
        };
        Ok(Some(RulesChange {
            path,
            file,
            lacking: if changes { rules.clone() } else { Vec::new() },
            entry,
            blob,
            content,
        }))
    }
}

/// Makes an LFS file of what the index has of a file.
pub(super) fn staged_into_store(
    context: &Context<'_>,
    index: &mut Index,
    entry: &Entry,
) -> Result<()> {
    let (object, pointer) = into_store(context, entry.id, Keep::Objects)?;
    if entry.has_size(object.size) {
        return index.exchange(entry, pointer);
    }
    // git had converted it (line ends, say), and an LFS file is not: it has changed.
    index.exchange(&entry.unseen(), pointer)
}

impl Following {
    /// Writes rules and index, and keeps git's lock on the index. Killed in between, or before the branch
    /// follows, the clone is whole: the rules are an edit, the LFS files are staged, and the next call goes on
    /// from there.
    pub(crate) fn write(mut self, git: &Git) -> Result<IndexLock> {
        let mut edited = None;
        if let Some(rules) = self.rules.take() {
            if !rules.lacking.is_empty() {
                let path = rules.path.clone();
                edited = Some(RulesFile::edit(git, path, &[], &rules.lacking)?);
            }
            match rules.settled()? {
                Some(entry) => self.index.put(&entry)?,
                None => self.index.exchange(&rules.entry, rules.blob)?,
            }
        }
        let lock = self.index.write_under_lock()?;
        if let Some(edited) = edited {
            edited.keep();
        }
        Ok(lock)
    }
}

impl RulesChange {
    /// The entry with the file's stat, if the file is just what the index says.
    fn settled(&self) -> Result<Option<Entry>> {
        let Some(before) = fs::lstat(&self.file)? else {
            return Ok(None);
        };
        fs::let_clock_move_on(before.mtime);
        let found = rules_file::read(&self.file)?;
        let same = found.as_ref() == Some(&self.content) && fs::lstat(&self.file)? == Some(before);
        let entry = || Entry::new(self.path.clone(), self.blob, self.entry.mode, &before);
        Ok(same.then(|| entry().hidden_as(Some(&self.entry))))
    }
}
