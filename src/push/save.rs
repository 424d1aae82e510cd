//! Saving: stage, commit, promise, queue.

use std::sync::Arc;

use super::board::{Job, State};
use super::cell::Cell;
use super::crew::{Crew, Pushes};
use super::follow::follow;
use super::handle::PushHandle;
use super::journal::{EntryId, Maker, Move, Promise, PushPromise};
use super::options::SaveOptions;
use super::report::{Delivery, SaveReport, Saved};
use super::settings::PushPolicy;
use super::step::step;
use crate::error::Result;
use crate::git::{Git, Head, PrivateRef};
use crate::id::CommitId;
use crate::local::{Local, refuse_unfinished};
use crate::name::BranchName;
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
            None => self.push_unpushed(&crew, &git, &head)?,
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

    /// A push of HEAD, if the remote lacks it; the one under way, if there is one. The caller holds
    /// the lock.
    pub(super) fn push_unpushed(
        &self,
        crew: &Crew,
        git: &Git,
        head: &Head,
    ) -> Result<Option<PushHandle>> {
        let (Some(commit), Ok(branch)) = (head.commit(), head.branch("save")) else {
            return Ok(None);
        };
        if !self.is_unpushed(git, commit)? {
            return Ok(None);
        }
        if let Some(job) = self.board.lock().job_of(commit, branch) {
            return Ok(Some(PushHandle::new(&job.cell)));
        }
        self.push_commit(crew, git, commit, branch).map(Some)
    }

    /// Whether the remote, as it was last heard of, lacks a commit.
    pub(crate) fn is_unpushed(&self, git: &Git, commit: CommitId) -> Result<bool> {
        let tracked = git.tracked_branches(self.local.remote_name())?;
        let there: Vec<CommitId> = tracked.into_iter().map(|(_, tip)| tip).collect();
        Ok(!git.commits_between(commit, &there)?.is_empty())
    }

    /// Promises and queues a commit that somebody else made. The caller holds the lock.
    pub(crate) fn push_commit(
        &self,
        crew: &Crew,
        git: &Git,
        commit: CommitId,
        branch: &BranchName,
    ) -> Result<PushHandle> {
        let promise = crew.shared.plain_promise(commit, branch.clone());
        let entry = crew.shared.promise(git, &promise)?;
        Ok(crew.enqueue(promise, entry, Vec::new()))
    }

    /// Waits until the queue is short enough; the commit is safe meanwhile.
    pub(crate) fn wait_for_room(&self, handle: &PushHandle) {
        self.board.wait_for_room(handle.cell(), &self.local.cancel);
    }
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
    /// Tells the handles of those it replaced; that calls callbacks, so no lock may be held.
    pub(super) fn tell(self) {
        let by = self.job.promise.commit;
        for job in self.superseded {
            job.cell.tell(Ok(Delivery::Superseded { by }));
        }
    }
}

/// Where a deferred save's promise is written already.
pub(super) struct Written<'a> {
    pub(super) entry: EntryId,
    pub(super) cell: &'a Arc<Cell>,
}

impl Crew {
    /// Commits what is staged and promises it; `None` if nothing differs from HEAD. The caller holds
    /// the lock.
    ///
    /// The order is what a crash relies on: commit object, private ref, journal, branch.
    pub(super) fn commit(
        &self,
        git: &Git,
        head: &Head,
        message: &str,
        written: Option<Written<'_>>,
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
            branch,
            remote: shared.local.remote_name().clone(),
            maker: Maker::Save,
            moves: head.commit().map_or(Move::Create, Move::From),
            supersedes: replaced.iter().map(|job| job.promise.commit).collect(),
        };
        let (entry, cell) = match written {
            None => (shared.promise(git, &promise)?, None),
            Some(written) => {
                git.set_private(&PrivateRef::Promised(commit), commit)?;
                let push = Promise::Push(promise.clone());
                shared
                    .journal
                    .replace(written.entry, shared.alive.id(), &push)?;
                step("promised");
                (written.entry, Some(Arc::clone(written.cell)))
            }
        };
        if let Err(error) = git.move_head(head, commit, message) {
            // Nobody was told of the promise.
            shared.release(&promise, entry);
            return Err(error);
        }
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
    let mut tip = head.commit();
    while let Some(commit) = tip {
        let Some(job) = board.waiting(commit, branch) else {
            break;
        };
        let parents = git.parents_of(commit)?;
        if parents.len() > 1 {
            break;
        }
        found.push(Arc::clone(job));
        tip = parents.first().copied();
    }
    Ok(found)
}
