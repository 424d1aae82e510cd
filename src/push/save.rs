//! Saving: stage, commit, promise, queue.

use std::collections::HashSet;
use std::sync::Arc;

use super::ahead::is_ahead;
use super::board::{Job, State};
use super::cell::Cell;
use super::crew::{Crew, Pushes};
use super::follow::follow;
use super::handle::PushHandle;
use super::journal::{EntryId, Maker, Move, PushPromise};
use super::options::SaveOptions;
use super::report::{SaveReport, Saved};
use super::settings::PushPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, Head};
use crate::id::CommitId;
use crate::local::{Local, refuse_unfinished};
use crate::name::BranchName;
use crate::step::step;
use crate::worktree::{self, Stage};

impl Pushes {
    /// Saves at once: when this returns the commit is on the disk, and promised.
    pub(crate) fn save_now(&self, options: &SaveOptions) -> Result<SaveReport> {
        let message = options.message()?;
        let crew = self.crew()?;
        self.board.wait_staged();
        let local = &self.local;
        let git = local.git()?;
        let branch = git.head()?.branch("save")?.clone();
        let lock = local.lock_branch(Some(&branch))?;
        step("locked");
        if let Some(begun) = &options.branch {
            refuse_other_branch(&git.head()?, begun)?;
        }
        let head = prepare(local, &git)?;
        let staged = Stage {
            context: local.context(&git),
            options: &options.stage,
        }
        .run()?;
        step("staged");
        let committed = crew.commit(&git, &head, &message, None)?;
        let handle = match &committed {
            Some(committed) => Some(crew.send(&committed.job)),
            None => crew.push_unpushed(&git, &head)?,
        };
        drop(lock);
        if let Some(committed) = committed {
            committed.tell();
        }
        if let Some(handle) = &handle {
            self.wait_for_room(handle);
        }
        let saved = match handle {
            Some(handle) => match handle.commit() {
                Some(commit) => Saved::Queued { commit, handle },
                None => Saved::Staging { handle },
            },
            None => Saved::Unchanged,
        };
        Ok(SaveReport {
            saved,
            staged,
            failures: self.board.take_news(),
        })
    }

    /// Waits until the queue is short enough; the commit is safe meanwhile.
    pub(crate) fn wait_for_room(&self, handle: &PushHandle) {
        self.board.wait_for_room(handle.cell(), &self.local.cancel);
    }
}

/// The error that HEAD is not on the branch that the work was begun on.
pub(crate) fn refuse_other_branch(head: &Head, begun: &BranchName) -> Result<()> {
    let now = match head {
        Head::Branch { branch, .. } | Head::Unborn { branch } if branch == begun => return Ok(()),
        Head::Branch { branch, .. } | Head::Unborn { branch } => format!("{branch} is checked out"),
        Head::Detached { commit } => format!("HEAD is detached at {}", commit.short()),
    };
    Err(Error::new(
        ErrorKind::BranchChanged,
        format!("the work was begun on {begun}, but {now} by now"),
    )
    .with_hint(format!(
        "nothing was committed: check out {begun} again, or commit the files where they are"
    )))
}

/// What comes before staging: the branch follows the remote if it can. The caller holds the lock.
pub(super) fn prepare(local: &Local, git: &Git) -> Result<Head> {
    refuse_unfinished(git, "save")?;
    let head = follow(local, git, git.head()?)?;
    worktree::refuse_interrupted(git, "save")?;
    Ok(head)
}

/// A commit that is promised; those whose place it took are still to be told.
pub(super) struct Committed {
    /// On the board, but not sent yet.
    pub(super) job: Arc<Job>,
    superseded: Vec<Arc<Job>>,
}

impl Committed {
    /// Tells the handles of those it replaced.
    pub(super) fn tell(self) {
        let by = self.job.promise.commit;
        for job in self.superseded {
            job.cell.replaced(by, &self.job.cell);
        }
    }
}

/// Where a deferred save's promise is written already.
pub(super) struct Written<'a> {
    pub(super) entry: EntryId,
    pub(super) cell: &'a Arc<Cell>,
}

impl Crew {
    /// A push of HEAD, if the remote lacks it; the one under way, if there is one. The caller holds
    /// the lock.
    pub(super) fn push_unpushed(&self, git: &Git, head: &Head) -> Result<Option<PushHandle>> {
        let (Some(commit), Ok(branch)) = (head.commit(), head.branch("save")) else {
            return Ok(None);
        };
        if !is_ahead(&self.shared.local, git, branch, commit)? {
            return Ok(None);
        }
        if let Some(job) = self.shared.board.lock().job_of(commit, branch) {
            return Ok(Some(PushHandle::new(&job.cell)));
        }
        let failed = self.shared.board.take_failed_of(commit, branch);
        if let Some(again) = failed.and_then(|job| self.try_again(&job)) {
            return Ok(Some(again));
        }
        self.push_commit(git, commit, branch).map(Some)
    }

    /// Promises and queues a commit that somebody else made. The caller holds the lock.
    pub(crate) fn push_commit(
        &self,
        git: &Git,
        commit: CommitId,
        branch: &BranchName,
    ) -> Result<PushHandle> {
        let promise = self.shared.plain_promise(git, commit, branch);
        let entry = self.shared.promise(git, &promise)?;
        Ok(self.enqueue(promise, entry, Vec::new()))
    }

    /// Makes a deferred save that found nothing to commit a push of HEAD, if the remote lacks that;
    /// whether it does. The caller holds the lock.
    pub(super) fn push_instead(
        &self,
        git: &Git,
        head: &Head,
        written: &Written<'_>,
    ) -> Result<bool> {
        let (Some(commit), Ok(branch)) = (head.commit(), head.branch("save")) else {
            return Ok(false);
        };
        let under_way = self.shared.board.lock().job_of(commit, branch).is_some();
        if under_way || !is_ahead(&self.shared.local, git, branch, commit)? {
            return Ok(false);
        }
        let promise = self.shared.plain_promise(git, commit, branch);
        self.shared.rewrite_promise(git, &promise, written.entry)?;
        written.cell.staged(commit);
        let cell = Some(Arc::clone(written.cell));
        let job = self.shared.job(promise, written.entry, cell, Vec::new());
        self.shared.board.lock().add(&job);
        self.send(&job);
        Ok(true)
    }

    /// Commits what is staged and promises it; `None` if nothing differs from HEAD. The caller holds
    /// the lock.
    ///
    /// The order is what a crash relies on: commit object, private ref, journal, branch.
    pub(super) fn commit(
        &self,
        git: &Git,
        head: &Head,
        message: &str,
        written: Option<&Written<'_>>,
    ) -> Result<Option<Committed>> {
        let Some(tree) = worktree::staged_tree(git, head)? else {
            return Ok(None);
        };
        let shared = &self.shared;
        let identity = shared.local.identity_for(git)?;
        let branch = head.branch("save")?.clone();
        // As long as it is held no push of a commit that is to be replaced begins.
        let mut board = shared.board.lock();
        let replaced = match shared.settings.policy {
            PushPolicy::EveryCommit => Vec::new(),
            PushPolicy::Latest => replaceable(&board, git, head, &branch)?,
        };
        let parents: Vec<CommitId> = match replaced.last() {
            Some(oldest) => git.parents_of(oldest.promise.commit)?,
            None => head.commit().into_iter().collect(),
        };
        let commit = git.write_commit(tree, &parents, message, &identity)?;
        step("committed");
        let promise = PushPromise {
            commit,
            target: git.push_target(&branch, shared.local.remote_name()),
            branch,
            remote: shared.local.remote_name().clone(),
            maker: Maker::Save,
            moves: head.commit().map_or(Move::Create, Move::From),
            supersedes: replaced.iter().map(|job| job.promise.commit).collect(),
        };
        let (entry, cell) = match written {
            None => (shared.promise(git, &promise)?, None),
            Some(written) => {
                shared.rewrite_promise(git, &promise, written.entry)?;
                (written.entry, Some(Arc::clone(written.cell)))
            }
        };
        if let Err(error) = git.move_head(head, commit, message) {
            // Nobody was told of the promise.
            shared.release(&promise, entry);
            return Err(error);
        }
        shared.journal.note_moved(entry);
        step("moved");
        let superseded = board.replace(&replaced);
        let gone = |job: &Arc<Job>| {
            let mut gone = job.replaced.clone();
            gone.push(job.promise.commit);
            gone
        };
        let gone = replaced.iter().flat_map(gone).collect();
        if let Some(cell) = &cell {
            cell.staged(commit);
        }
        let job = shared.job(promise, entry, cell, gone);
        board.add(&job);
        drop(board);
        for job in &replaced {
            shared.release(&job.promise, job.entry);
        }
        git.remember_trees(tree);
        tracing::info!(%commit, replaced = replaced.len(), "saved");
        Ok(Some(Committed { job, superseded }))
    }
}

/// Jobs whose commits are the branch's last ones, one upon the other, made by `save` and not begun;
/// the newest first.
fn replaceable(
    board: &State,
    git: &Git,
    head: &Head,
    branch: &BranchName,
) -> Result<Vec<Arc<Job>>> {
    let mut found = Vec::new();
    let mut only_here: Option<HashSet<CommitId>> = None;
    let mut tip = head.commit();
    while let Some(commit) = tip {
        let Some(job) = board.waiting(commit, branch) else {
            break;
        };
        let parents = git.parents_of(commit)?;
        // What somebody else has pushed is not taken back, and what has a name by now (a tag, another
        // branch) is no longer one of many. All refs are looked at for that, so once for all commits:
        // as long as it lasts no push can begin.
        let only_here = match &only_here {
            Some(only_here) => only_here,
            None => {
                let found = git.only_by(commit, &[&branch.local_ref()], &[])?;
                only_here.insert(found.into_iter().collect())
            }
        };
        if parents.len() > 1 || !only_here.contains(&commit) {
            break;
        }
        found.push(Arc::clone(job));
        tip = parents.first().copied();
    }
    Ok(found)
}
