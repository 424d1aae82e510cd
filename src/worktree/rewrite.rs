//! Commits that hold what the Hub refuses, made anew with LFS files in its place.
//!
//! A file that is refused in one commit is an LFS file in that commit and in all that come after it, so
//! that one rule speaks for all of them. Everything is made in the object stores; refs, index and work
//! tree are the caller's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::Context;
use super::autotrack::{TrackReason, extension};
use super::pointers::Pointers;
use super::preflight::{BINARY_SAMPLE, new_blobs};
use super::rewrite_rules::{Extensions, Rules, refuse_unruled, with_rules};
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::git::{Git, ObjectId, Replacement};
use crate::id::CommitId;
use crate::lfs::Object;
use crate::lfs::incoming::Incoming;
use crate::lfs::pattern::{Pattern, is_read_by_git};
use crate::lfs::pointer::Pointer;
use crate::path::RepoPath;
use crate::progress::Event;

/// Which commits, and what is refused in them.
pub(crate) struct Rewrite<'a> {
    /// Its git makes new objects in memory.
    pub(crate) context: Context<'a>,
    /// Where commits are written to that are to stay.
    pub(crate) into: Option<&'a Git>,
    pub(crate) tip: CommitId,
    /// Commits the remote has, by its own word; with all before them they stay as they are.
    pub(crate) pushed: &'a [CommitId],
    /// Size in bytes above which a file is refused.
    pub(crate) larger_than: u64,
    /// Whether LFS objects go into the store.
    pub(crate) keep: Keep,
}

/// What becomes of the content that commits lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It goes into the store.
    Objects,
    /// It is only looked at.
    Nothing,
}

/// What was made.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    /// Each commit that changed and what it became, parents first.
    pub(crate) commits: Vec<(CommitId, CommitId)>,
    /// Those of the old commits whose signature is gone.
    pub(crate) unsigned: Vec<CommitId>,
    /// Files that became LFS files, and their objects.
    pub(crate) files: BTreeSet<RepoPath>,
    pub(crate) objects: BTreeSet<Object>,
    /// What the branch's last commit says more of LFS files now.
    pub(crate) rules: Vec<Pattern>,
    /// Files that are LFS files in the branch's last commit, if they are there.
    pub(crate) converted: Rc<BTreeSet<RepoPath>>,
}

impl Rewrite<'_> {
    /// Makes the commits; nothing leads to them yet.
    ///
    /// # Errors
    /// [`ErrorKind::Preflight`] for files of git's own that no rule may give to LFS;
    /// [`ErrorKind::InvalidInput`] if another rule keeps a file from LFS.
    pub(crate) fn run(&self) -> Result<Rewritten> {
        let git = self.context.git;
        let commits = git.commits_in_order(&[self.tip], self.pushed)?;
        let mut maker = Maker {
            rewrite: self,
            pointers: Pointers::new(git),
            reasons: HashMap::new(),
            made: HashMap::new(),
            rules: None,
            done: Rewritten::default(),
        };
        let refused = maker.refused(&commits)?;
        if refused.is_empty() {
            return Ok(maker.done);
        }
        let extensions = maker.plain_extensions(&commits, &refused)?;
        let about = commits.len() * OBJECTS_EACH;
        let keeper = self.into.map(|disk| disk.keeper(git, about));
        let mut keeper = keeper.transpose()?;
        let mut became: HashMap<CommitId, CommitId> = HashMap::new();
        let mut converted: HashMap<CommitId, Rc<BTreeSet<RepoPath>>> = HashMap::new();
        for commit in commits {
            self.context.cancel.check()?;
            let parents = git.parents_of(commit)?;
            let known = parents.iter().filter_map(|parent| converted.get(parent));
            let files = united(known, refused.get(&commit));
            if files.is_empty() {
                continue;
            }
            let (tree, rules) = maker.tree(commit, &files, &extensions)?;
            let new_parents: Vec<CommitId> = parents
                .iter()
                .map(|parent| *became.get(parent).unwrap_or(parent))
                .collect();
            if tree != git.tree_of(commit)? || new_parents != parents {
                let remade = git.remake_commit(commit, tree, &new_parents)?;
                if let Some(keeper) = &mut keeper {
                    keeper.keep(remade.id)?;
                }
                became.insert(commit, remade.id);
                maker.done.commits.push((commit, remade.id));
                if remade.lost_signature {
                    maker.done.unsigned.push(commit);
                }
            }
            if commit == self.tip {
                maker.done.rules = rules;
                maker.done.converted = Rc::clone(&files);
            }
            converted.insert(commit, files);
        }
        if let Some(keeper) = keeper {
            keeper.finish()?;
        }
        Ok(maker.done)
    }
}

/// About how many objects a commit is made anew of: itself, its tree, a pointer and the rules.
const OBJECTS_EACH: usize = 4;

/// The files of all parents, and those that come with the commit itself.
fn united<'a>(
    mut parents: impl Iterator<Item = &'a Rc<BTreeSet<RepoPath>>>,
    own: Option<&BTreeMap<RepoPath, TrackReason>>,
) -> Rc<BTreeSet<RepoPath>> {
    let mut files = parents.next().map(Rc::clone).unwrap_or_default();
    for more in parents.map(|parent| parent.iter()) {
        Rc::make_mut(&mut files).extend(more.cloned());
    }
    if let Some(own) = own {
        Rc::make_mut(&mut files).extend(own.keys().cloned());
    }
    files
}

/// What the Hub would refuse of what each commit brings in, by path.
type Refused = HashMap<CommitId, BTreeMap<RepoPath, TrackReason>>;

struct Maker<'a> {
    rewrite: &'a Rewrite<'a>,
    pointers: Pointers<'a>,
    reasons: HashMap<ObjectId, Option<TrackReason>>,
    /// The pointers that took the place of blobs.
    made: HashMap<ObjectId, ObjectId>,
    rules: Option<Rules>,
    done: Rewritten,
}

impl<'a> Maker<'a> {
    fn git(&self) -> &'a Git {
        self.rewrite.context.git
    }

    /// What each commit brings in that the Hub would refuse.
    fn refused(&mut self, commits: &[CommitId]) -> Result<Refused> {
        let mut refused = Refused::new();
        let mut hopeless = Vec::new();
        for commit in commits {
            self.rewrite.context.cancel.check()?;
            for (path, blob) in new_blobs(self.git(), *commit)? {
                let Some(reason) = self.reason(blob)? else {
                    continue;
                };
                if is_read_by_git(&path) {
                    hopeless.push(Offence::new(path, Some(*commit), "no LFS file can be"));
                } else {
                    refused.entry(*commit).or_default().insert(path, reason);
                }
            }
        }
        if hopeless.is_empty() {
            return Ok(refused);
        }
        let text = "cannot give files to LFS that git itself reads";
        Err(Error::new(ErrorKind::Preflight, text)
            .with_hint("take them out of the commits that brought them: git rebase -i")
            .with_offences(hopeless))
    }

    /// Why the Hub would refuse a blob.
    fn reason(&mut self, blob: ObjectId) -> Result<Option<TrackReason>> {
        if let Some(known) = self.reasons.get(&blob) {
            return Ok(*known);
        }
        let reason = match self.pointers.get(blob)? {
            Some(_) => None,
            None if self.git().blob_start(blob, BINARY_SAMPLE)?.contains(&0) => {
                Some(TrackReason::Binary)
            }
            None if self.git().blob_size(blob)? > self.rewrite.larger_than => {
                Some(TrackReason::Large)
            }
            None => None,
        };
        self.reasons.insert(blob, reason);
        Ok(reason)
    }

    /// Extensions of refused binary files that some other file outside LFS has as well, in one of the
    /// commits, before them, or in the index: no rule may be made of those.
    fn plain_extensions(&mut self, commits: &[CommitId], refused: &Refused) -> Result<Extensions> {
        let git = self.git();
        let binary = refused.values().flatten();
        let binary = binary.filter(|(_, reason)| **reason == TrackReason::Binary);
        let candidates: BTreeSet<String> = binary
            .filter_map(|(path, _)| extension(path).map(str::to_owned))
            .collect();
        let mut extensions = Extensions::new(candidates);
        if extensions.is_empty() {
            return Ok(extensions);
        }
        let all: HashSet<&CommitId> = commits.iter().collect();
        let mut before = BTreeSet::new();
        for commit in commits {
            for (path, blob) in new_blobs(git, *commit)? {
                let raw = self.pointers.get(blob)?.is_none();
                if raw && self.reason(blob)? != Some(TrackReason::Binary) {
                    extensions.forbid(&path);
                }
            }
            let parents = git.parents_of(*commit)?;
            before.extend(parents.into_iter().filter(|parent| !all.contains(parent)));
        }
        for commit in before {
            for file in git.files_of(git.tree_of(commit)?)? {
                if extensions.speaks_of(&file.path)
                    && file.mode.is_file()
                    && self.pointers.get(file.id)?.is_none()
                {
                    extensions.forbid(&file.path);
                }
            }
        }
        let index = git.index()?;
        for entry in index.entries() {
            let entry = entry?;
            if extensions.speaks_of(&entry.path)
                && entry.mode.is_file()
                && self.pointers.get(entry.id)?.is_none()
                && self.reason(entry.id)? != Some(TrackReason::Binary)
            {
                extensions.forbid(&entry.path);
            }
        }
        Ok(extensions)
    }

    /// A commit's tree with those files as LFS files, and the rules it needed for that.
    fn tree(
        &mut self,
        commit: CommitId,
        files: &Rc<BTreeSet<RepoPath>>,
        extensions: &Extensions,
    ) -> Result<(ObjectId, Vec<Pattern>)> {
        let git = self.git();
        let old = git.tree_of(commit)?;
        let mut replacements = Vec::new();
        for (path, (blob, mode)) in git.files_at(old, files.iter())? {
            if self.pointers.get(blob)?.is_none() {
                let blob = self.pointer(path, blob)?;
                self.done.files.insert(path.clone());
                let path = path.clone();
                replacements.push(Replacement { path, blob, mode });
            }
        }
        let known = self.rules.take();
        let (rules, fresh) = Rules::of(git, old, files, known, extensions)?;
        let lacking: Vec<Pattern> = rules.lacking.iter().cloned().collect();
        self.rules = Some(rules);
        replacements.extend(with_rules(git, old, &lacking)?);
        let new = if replacements.is_empty() {
            old
        } else {
            git.tree_with(old, &replacements)?
        };
        if !fresh.is_empty() {
            refuse_unruled(git, new, &fresh)?;
        }
        Ok((new, lacking))
    }

    /// The pointer for a blob, whose content goes into the store.
    fn pointer(&mut self, path: &RepoPath, blob: ObjectId) -> Result<ObjectId> {
        if let Some(made) = self.made.get(&blob) {
            return Ok(*made);
        }
        let Context {
            git,
            progress,
            cancel,
            ..
        } = self.rewrite.context;
        cancel.check()?;
        let bytes = git.blob_size(blob)?;
        progress.report(|| Event::Staging {
            path: path.to_string(),
            bytes,
        });
        let (object, pointer) = into_store(&self.rewrite.context, blob, self.rewrite.keep)?;
        self.done.objects.insert(object);
        self.made.insert(blob, pointer);
        Ok(pointer)
    }
}

/// Makes a blob's content an LFS object; its name, and the blob that points to it.
pub(super) fn into_store(
    context: &Context<'_>,
    blob: ObjectId,
    keep: Keep,
) -> Result<(Object, ObjectId)> {
    let mut incoming = match keep {
        Keep::Objects => Incoming::to(context.store)?,
        Keep::Nothing => Incoming::nowhere(),
    };
    context.git.copy_blob(blob, &mut incoming)?;
    let object = incoming.finish()?;
    let text = Pointer::new(object.oid, object.size).encode();
    Ok((object, context.git.write_blob(&text)?))
}
