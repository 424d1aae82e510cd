//! Deferred saves: what was seen when they were asked for is staged later, by a thread of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::cell::Cell;
use super::crew::{Crew, Pushes};
use super::guard::guarded;
use super::handle::PushHandle;
use super::journal::{EntryId, Intent, Promise, SeenFile};
use super::options::SaveOptions;
use super::report::{Delivery, PushFailure, SaveReport, Saved};
use super::save::{Written, prepare};
use super::state::Signal;
use crate::error::{Error, ErrorKind, Offence, Result};
use crate::fs::{self, FileKind, Stat};
use crate::git::{Git, Head, Index};
use crate::id::CommitId;
use crate::path::RepoPath;
use crate::step::step;
use crate::worktree::{
    AutoTrack, Context, Folders, OnChanging, Stage, StageOptions, StageReport, Suspects, suspects,
};

/// A save on its way to the stager.
pub(super) struct Deferred {
    pub(super) entry: EntryId,
    pub(super) intent: Intent,
    pub(super) cell: Arc<Cell>,
    pub(super) look: Look,
}

/// What becomes of files that were written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// They are an error, and nothing is committed.
    Strict,
    /// After a crash: they are told as lost, and the others are committed.
    WhatIsLeft,
}

impl Pushes {
    /// Notes what there is to save, and returns.
    pub(crate) fn save_later(&self, options: &SaveOptions) -> Result<SaveReport> {
        let message = options.message()?;
        let crew = self.crew()?;
        let git = self.local.git()?;
        let head = git.head()?;
        let branch = head.branch("save")?.clone();
        let Suspects { files, gone } = suspects(&git, &options.stage, &self.local.cancel)?;
        let files: Vec<SeenFile> = files
            .into_iter()
            .map(|(path, stat)| SeenFile::new(path, &stat))
            .collect();
        let report = |saved| SaveReport {
            saved,
            staged: StageReport::default(),
            failures: self.board.take_news(),
        };
        let nothing = files.is_empty() && gone.is_empty() && self.board.staging() == 0;
        if nothing && !has_staged(&git, &head)? {
            let _lock = self.local.lock(&[])?;
            let handle = crew.push_unpushed(&git, &head)?;
            let queued = handle.and_then(|handle| {
                let commit = handle.commit()?;
                Some(Saved::Queued { commit, handle })
            });
            return Ok(report(queued.unwrap_or(Saved::Unchanged)));
        }
        let intent = Intent {
            branch,
            remote: self.local.remote_name().clone(),
            message,
            files,
            gone,
            excluded: options.stage.excluded.clone(),
            track_from: options.stage.auto_track.threshold(),
        };
        let shared = &crew.shared;
        let promise = Promise::Stage(intent.clone());
        let entry = shared.journal.append(shared.alive.id(), &promise)?;
        let cell = Cell::new(None, &shared.stop);
        let journal = shared.journal.clone();
        cell.on_withdrawal(move || {
            if let Err(error) = journal.close(entry) {
                tracing::warn!(%error, "a withdrawn save stays in the journal");
            }
        });
        self.board.add_staging(&cell);
        let handle = PushHandle::new(&cell);
        self.stage_later(Deferred {
            entry,
            intent,
            cell: Arc::clone(&cell),
            look: Look::Strict,
        })
        .inspect_err(|_| self.board.end_staging(&cell))?;
        Ok(report(Saved::Staging { handle }))
    }
}

/// Whether the index holds what HEAD does not.
fn has_staged(git: &Git, head: &Head) -> Result<bool> {
    let tree = head
        .commit()
        .map(|commit| git.tree_of(commit))
        .transpose()?;
    Ok(!git.staged_in(&git.listing()?, tree)?.is_empty())
}

/// Whether a tracked file is not there any more: what lies behind a link is not in the work tree, and a
/// folder is no file.
fn is_gone(git: &Git, folders: &mut Folders<'_>, path: &RepoPath) -> Result<bool> {
    if !folders.holds(path)? {
        return Ok(true);
    }
    let stat = fs::lstat(&path.under(git.workdir()))?;
    Ok(stat.is_none_or(|stat| stat.kind == FileKind::Folder))
}

impl SeenFile {
    fn new(path: RepoPath, stat: &Stat) -> Self {
        Self {
            path,
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
            ino: stat.ino,
        }
    }

    /// Whether the file is what it was.
    fn is_same(&self, workdir: &Path) -> Result<bool> {
        let stat = fs::lstat(&self.path.under(workdir))?;
        Ok(stat.is_some_and(|stat| Self::new(self.path.clone(), &stat) == *self))
    }
}

/// Stages one deferred save after the other until nobody can send any more.
pub(super) fn run(crew: &Crew, saves: &Receiver<Deferred>) {
    for deferred in saves {
        let board = &crew.shared.board;
        if !deferred.cell.begin_staging() {
            board.end_staging(&deferred.cell);
            continue;
        }
        if let Err(error) = guarded(|| crew.stage(&deferred)) {
            tracing::warn!(%error, "a deferred save failed");
            let stopped = crew.shared.stop.is_cancelled();
            let signal = if error.kind() == ErrorKind::Cancelled {
                Signal::Cancelled
            } else {
                Signal::Failed
            };
            // What the end of the repository cut short is taken up by the next.
            if !stopped && let Err(error) = crew.shared.journal.close(deferred.entry) {
                tracing::warn!(%error, "a failed save stays in the journal");
            }
            if signal == Signal::Failed {
                board.tell(PushFailure {
                    commit: None,
                    branch: Some(deferred.intent.branch.clone()),
                    error: error.clone(),
                });
            }
            deferred.cell.finish(signal, Err(error));
        }
        board.end_staging(&deferred.cell);
    }
}

impl Crew {
    /// Stages, commits and queues what was seen.
    fn stage(&self, deferred: &Deferred) -> Result<()> {
        let Deferred {
            intent,
            cell,
            look,
            entry,
        } = deferred;
        let shared = &self.shared;
        let local = &*shared.local;
        let cancel = cell.cancel_token();
        cancel.check()?;
        let git = local.git()?;
        let lock = local.lock_branch_until(Some(&intent.branch), cancel)?;
        step("locked");
        let head = git.head()?;
        if head.branch("save")? != &intent.branch {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{} was checked out when this was saved; it is not any more",
                    intent.branch
                ),
            )
            .with_hint("check it out and save again"));
        }
        let changed = changed_since(&git, intent)?;
        if *look == Look::Strict && !changed.is_empty() {
            return Err(overwritten(&changed));
        }
        let noted = head.commit();
        let head = prepare(local, &git)?;
        let mut intent = intent.clone();
        intent.files.retain(|file| !changed.contains(&file.path));
        intent.gone.retain(|path| !changed.contains(path));
        // Following the remote may have brought files up to date that were noted, but not edited.
        let followed = followed_paths(&git, noted, head.commit())?;
        let brought = |path: &RepoPath| followed.contains(path);
        let (new, torn): (Vec<_>, Vec<_>) =
            changed_since(&git, &intent)?.into_iter().partition(brought);
        if !torn.is_empty() {
            return Err(overwritten(&torn));
        }
        intent.files.retain(|file| !new.contains(&file.path));
        intent.gone.retain(|path| !new.contains(path));
        let seen = intent.files.iter().map(|file| &file.path);
        let only: BTreeSet<RepoPath> = seen.chain(&intent.gone).cloned().collect();
        let mut options = StageOptions::default()
            .auto_track(AutoTrack::from_threshold(intent.track_from))
            .on_changing(OnChanging::Fail)
            .only(only);
        options.excluded.clone_from(&intent.excluded);
        let staged = Stage {
            context: Context {
                cancel,
                ..local.context(&git)
            },
            options: &options,
        }
        .run()?;
        step("staged");
        // Written while others were read: the commit would hold two moments. What staging itself did to
        // rules is no such thing.
        let mut torn = changed_since(&git, &intent)?;
        if !staged.edited.is_empty() {
            let index = git.index()?;
            for path in intent.edited_by_staging(&git, &index, &staged)? {
                torn.retain(|torn| torn != path);
            }
        }
        if !torn.is_empty() {
            return Err(overwritten(&torn));
        }
        if !changed.is_empty() {
            shared.board.tell(PushFailure {
                commit: None,
                branch: Some(intent.branch.clone()),
                error: overwritten(&changed),
            });
        }
        let written = Written {
            entry: *entry,
            cell,
        };
        let committed = self.commit(&git, &head, &intent.message, Some(&written))?;
        let instead = committed.is_none() && self.push_instead(&git, &head, &written)?;
        drop(lock);
        match committed {
            Some(committed) => {
                self.send(&committed.job);
                committed.tell();
            }
            None if instead => {}
            None => {
                shared.journal.close(*entry)?;
                cell.finish(Signal::NothingStaged, Ok(Delivery::Unchanged));
            }
        }
        Ok(())
    }
}

impl Intent {
    /// Files with rules that staging found as they were noted, and that are as it staged them.
    fn edited_by_staging<'s>(
        &self,
        git: &Git,
        index: &Index,
        staged: &'s StageReport,
    ) -> Result<Vec<&'s RepoPath>> {
        let mut found = Vec::new();
        for (path, before) in &staged.edited {
            let as_noted = match before {
                Some(before) => self.files.contains(&SeenFile::new(path.clone(), before)),
                None => self.gone.contains(path),
            };
            let now = fs::lstat(&path.under(git.workdir()))?;
            let as_staged = index
                .get(path)?
                .zip(now)
                .is_some_and(|(entry, now)| git.is_as_recorded(&entry, &now));
            if as_noted && as_staged {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Files that differ between two commits.
fn followed_paths(
    git: &Git,
    from: Option<CommitId>,
    to: Option<CommitId>,
) -> Result<BTreeSet<RepoPath>> {
    if from == to {
        return Ok(BTreeSet::new());
    }
    let tree = |commit: Option<CommitId>| commit.map(|commit| git.tree_of(commit)).transpose();
    let changes = git.changes(tree(from)?, tree(to)?)?;
    Ok(changes.into_iter().map(|change| change.path).collect())
}

/// Files that are not as they were noted any more.
fn changed_since(git: &Git, intent: &Intent) -> Result<Vec<RepoPath>> {
    let mut changed = Vec::new();
    for file in &intent.files {
        if !file.is_same(git.workdir())? {
            changed.push(file.path.clone());
        }
    }
    let mut folders = Folders::new(git);
    for path in &intent.gone {
        if !is_gone(git, &mut folders, path)? {
            changed.push(path.clone());
        }
    }
    Ok(changed)
}

fn overwritten(paths: &[RepoPath]) -> Error {
    let offence =
        |path: &RepoPath| Offence::new(path.clone(), None, "written before it could be read");
    Error::new(
        ErrorKind::FileChanged,
        "files changed after a deferred save had noted them",
    )
    .with_hint("wait for wait_staged() before writing them again, or save without deferred()")
    .with_offences(paths.iter().map(offence).collect())
}
