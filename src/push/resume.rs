//! Promises that others made and did not keep: whoever comes next takes them over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::cell::Cell;
use super::crew::{Crew, OWNERS, Pushes};
use super::deferred::{Deferred, Look};
use super::forms::with_forms;
use super::journal::{Entry, Maker, Move, Promise, PushPromise};
use super::report::{Keeper, PendingPush, PushFailure};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::alive::{is_alive, sweep};
use crate::fs::lock::{locks_below, remove_stale};
use crate::git::{Git, PRIVATE_REFS, PrivateRef};
use crate::id::CommitId;

impl Pushes {
    /// Takes over the promises of the dead, and clears away what else they left; how many promises.
    ///
    /// Waits at most so long for the clone's lock.
    pub(crate) fn adopt(&self, crew: &Crew, wait: Duration) -> Result<usize> {
        let shared = &crew.shared;
        let local = &self.local;
        shared.journal.tidy();
        sweep(&local.private().join(OWNERS));
        let git = local.git()?;
        if self.orphans(crew)?.is_empty() && !self.has_leftovers(&git)? {
            return Ok(0);
        }
        let _lock = local.lock_within(wait, &["HEAD.lock"])?;
        self.clear_leftovers(&git)?;
        // Once more, now that nobody else can be at it.
        let orphans = self.orphans(crew)?;
        let void: HashSet<CommitId> = shared
            .journal
            .load()?
            .entries
            .iter()
            .filter_map(|entry| match &entry.promise {
                Promise::Push(push) => Some(push.supersedes.clone()),
                Promise::Stage(_) => None,
            })
            .flatten()
            .collect();
        let is_void = |push: &PushPromise| push.maker == Maker::Save && void.contains(&push.commit);
        let count = orphans.len();
        for entry in orphans {
            let me = shared.alive.id();
            match entry.promise {
                Promise::Push(push) if is_void(&push) => {
                    shared.release(&push, entry.id);
                }
                Promise::Push(push) if !git.has_commit(push.commit) => {
                    self.board.tell(PushFailure {
                        commit: None,
                        branch: Some(push.branch),
                        error: Error::new(
                            ErrorKind::JournalDamaged,
                            format!("the promised commit {} is not here", push.commit),
                        )
                        .with_hint("find a clone that has it, or save again"),
                    });
                    shared.journal.close(entry.id)?;
                }
                Promise::Push(push) => {
                    finish_move(&git, &push)?;
                    let push = PushPromise {
                        moves: Move::Done,
                        supersedes: Vec::new(),
                        ..push
                    };
                    let promise = Promise::Push(push.clone());
                    shared.journal.replace(entry.id, me, &promise)?;
                    crew.enqueue(push, entry.id, Vec::new());
                }
                Promise::Stage(intent) => {
                    let promise = Promise::Stage(intent.clone());
                    shared.journal.replace(entry.id, me, &promise)?;
                    let cell = Cell::new(None, &shared.stop);
                    self.board.add_staging(&cell);
                    self.stage_later(Deferred {
                        entry: entry.id,
                        intent,
                        cell: Arc::clone(&cell),
                        look: Look::WhatIsLeft,
                    })
                    .inspect_err(|_| self.board.end_staging(&cell))?;
                }
            }
        }
        Ok(count)
    }

    /// Whether some private ref or its lock belongs to no promise.
    fn has_leftovers(&self, git: &Git) -> Result<bool> {
        let locked = !locks_below(&git.common_dir().join(PRIVATE_REFS)).is_empty();
        Ok(locked || !self.unpromised(git)?.is_empty() || !git.pushing()?.is_empty())
    }

    /// Protected commits that no entry names. With the lock in hand nobody is about to name them.
    ///
    /// Refs are common to all work trees of a repository, journals and locks are not: where there are
    /// others, what nobody names may be about to be named there.
    fn unpromised(&self, git: &Git) -> Result<Vec<CommitId>> {
        let mut protected = git.promised()?;
        if !protected.is_empty() {
            if self.has_siblings(git)? {
                return Ok(Vec::new());
            }
            let sight = self.journal().look()?;
            if sight.is_blurred {
                return Ok(Vec::new());
            }
            protected.retain(|commit| !sight.names(*commit));
        }
        Ok(protected)
    }

    /// Whether the repository has other work trees.
    fn has_siblings(&self, git: &Git) -> Result<bool> {
        Ok(git.work_tree_folders()?.len() > 1)
    }

    /// The caller holds the lock.
    fn clear_leftovers(&self, git: &Git) -> Result<()> {
        remove_stale(git.common_dir(), &[PRIVATE_REFS]);
        for commit in self.unpromised(git)? {
            git.drop_private(&PrivateRef::Promised(commit))?;
        }
        let mut living = git.promised()?;
        living.extend(git.local_branches()?);
        for branch in git.integrated()? {
            // Its own name may be in the way of another branch's.
            if git.ref_commit(&branch.local_ref())?.is_none() {
                git.drop_private(&PrivateRef::Integrated(&branch))?;
            }
        }
        let (alive, rest): (Vec<_>, Vec<_>) = git.rewritten()?.into_iter().partition(|old| {
            let mut living = living.iter();
            living.any(|tip| git.is_ancestor(*old, *tip).unwrap_or(true))
        });
        // One note may lead to the next.
        let needed = with_forms(git, alive)?;
        for old in rest.into_iter().filter(|old| !needed.contains(old)) {
            git.drop_private(&PrivateRef::Rewritten(old))?;
        }
        // What a push made is needed as long as one is at work, here or in another process.
        if !self.has_siblings(git)?
            && let Some(_pusher) = self.local.try_lock_pushing()?
        {
            for commit in git.pushing()? {
                git.drop_private(&PrivateRef::Pushing(commit))?;
            }
        }
        Ok(())
    }

    /// Entries for this remote whose keeper is dead; what is damaged is told.
    fn orphans(&self, crew: &Crew) -> Result<Vec<Entry>> {
        let loaded = crew.shared.journal.load()?;
        for error in loaded.damaged {
            self.board.tell(PushFailure {
                commit: None,
                branch: None,
                error,
            });
        }
        let owners = self.local.private().join(OWNERS);
        let me = crew.shared.alive.id();
        let orphan = |entry: &Entry| entry.owner != me && !is_alive(&owners, &entry.owner);
        let here = |entry: &Entry| entry.promise.remote() == self.local.remote_name();
        Ok(loaded
            .entries
            .into_iter()
            .filter(|entry| here(entry) && orphan(entry))
            .collect())
    }

    /// Whether there is anything in the journal, readable or not.
    pub(crate) fn has_promises(&self) -> Result<bool> {
        self.journal().is_empty().map(|empty| !empty)
    }

    /// Everything promised that is not known to be on the remote.
    pub(crate) fn pending(&self) -> Result<Vec<PendingPush>> {
        let me = self.mark();
        let owners = self.local.private().join(OWNERS);
        let jobs = self.board.unfinished();
        let loaded = self.journal().load()?;
        if let Some(error) = loaded.damaged.into_iter().next() {
            return Err(error);
        }
        let pending = |entry: Entry| {
            let (commit, branch) = match &entry.promise {
                Promise::Push(push) => (Some(push.commit), push.branch.clone()),
                Promise::Stage(intent) => (None, intent.branch.clone()),
            };
            let job = jobs.iter().find(|job| job.entry == entry.id);
            PendingPush {
                commit,
                branch,
                state: job.map(|job| job.cell.state()),
                keeper: if me.as_deref() == Some(&entry.owner) {
                    Keeper::This
                } else if is_alive(&owners, &entry.owner) {
                    Keeper::Another
                } else {
                    Keeper::Nobody
                },
            }
        };
        Ok(loaded.entries.into_iter().map(pending).collect())
    }
}

/// Moves the local branch to a commit whose maker was killed between promise and move.
fn finish_move(git: &Git, push: &PushPromise) -> Result<()> {
    let name = push.branch.local_ref();
    let here = git.ref_commit(&name)?;
    let expected = match push.moves {
        Move::Done => return Ok(()),
        Move::From(from) => Some(from),
        Move::Create => None,
    };
    // Somebody who moved it back later knew what they did.
    let moved_on = git.was_moved_on_from(&name, push.commit)?;
    if here != expected || moved_on {
        return Ok(());
    }
    git.set_ref(
        &name,
        push.commit,
        expected,
        "commit: finished by hf-repository",
    )
}
