//! What the caller's thread, the worker and the stager share.

use std::sync::Arc;

use super::board::{Board, Job};
use super::cell::Cell;
use super::journal::{EntryId, Journal, Maker, Move, Promise, PushPromise};
use super::settings::Settings;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::fs::alive::Alive;
use crate::git::{Git, PrivateRef, private_folder};
use crate::id::CommitId;
use crate::local::Local;
use crate::name::BranchName;
use crate::step::step;

/// One clone and the promises that one repository object keeps in it.
pub(crate) struct Shared {
    pub(crate) local: Arc<Local>,
    pub(crate) settings: Settings,
    pub(crate) board: Arc<Board>,
    pub(crate) journal: Journal,
    /// Others see by it that the promises are being kept.
    pub(crate) alive: Alive,
    /// Ends what is under way; nothing more is begun.
    pub(crate) stop: CancelToken,
}

impl Shared {
    /// Promises to push a commit: protected from `git gc`, then written down.
    pub(super) fn promise(&self, git: &Git, promise: &PushPromise) -> Result<EntryId> {
        git.set_private(&PrivateRef::Promised(promise.commit), promise.commit)?;
        step("protected");
        self.journal
            .append(self.alive.id(), &Promise::Push(promise.clone()))
    }

    /// Turns a promise that is written down already into that of a commit.
    pub(super) fn rewrite_promise(
        &self,
        git: &Git,
        promise: &PushPromise,
        entry: EntryId,
    ) -> Result<()> {
        git.set_private(&PrivateRef::Promised(promise.commit), promise.commit)?;
        let push = Promise::Push(promise.clone());
        self.journal.replace(entry, self.alive.id(), &push)?;
        step("promised");
        Ok(())
    }

    /// A promise of a commit that is on its branch already.
    pub(super) fn plain_promise(
        &self,
        git: &Git,
        commit: CommitId,
        branch: &BranchName,
    ) -> PushPromise {
        let remote = self.local.remote_name();
        PushPromise {
            commit,
            branch: branch.clone(),
            remote: remote.clone(),
            target: git.push_target(branch, remote),
            maker: Maker::User,
            moves: Move::Done,
            supersedes: Vec::new(),
        }
    }

    /// The job of a promise; with a cell of its own unless it has one already.
    pub(super) fn job(
        self: &Arc<Self>,
        promise: PushPromise,
        entry: EntryId,
        cell: Option<Arc<Cell>>,
        replaced: Vec<CommitId>,
    ) -> Arc<Job> {
        let cell = cell.unwrap_or_else(|| Cell::new(Some(promise.commit), &self.stop));
        let (shared, journal) = (Arc::downgrade(self), self.journal.clone());
        let commit = promise.commit;
        cell.on_withdrawal(move || match shared.upgrade() {
            Some(shared) => shared.release_all(&[(commit, entry)]),
            // What else is left goes with the next run.
            None => drop(journal.close(entry)),
        });
        Arc::new(Job {
            promise,
            entry,
            cell,
            replaced,
        })
    }

    /// Voids a promise: it was kept, or nobody wants it any more.
    pub(super) fn release(&self, promise: &PushPromise, entry: EntryId) {
        self.release_all(&[(promise.commit, entry)]);
    }

    /// Voids promises.
    pub(super) fn release_all(&self, promises: &[(CommitId, EntryId)]) {
        let close = || -> Result<()> {
            for (_, entry) in promises {
                self.journal.close(*entry)?;
            }
            step("closed");
            let git = self.local.git()?;
            // Somebody else may have promised it as well, here or in another work tree.
            let mut sights = Vec::new();
            for folder in git.work_tree_folders()? {
                sights.push(Journal::new(&private_folder(&folder)).look()?);
            }
            for (commit, _) in promises {
                if !sights.iter().any(|sight| sight.names(*commit)) {
                    git.drop_private(&PrivateRef::Promised(*commit))?;
                }
            }
            step("released");
            Ok(())
        };
        if let Err(error) = close() {
            tracing::warn!(%error, "a kept promise stays in the journal; the next run closes it");
        }
    }
}
