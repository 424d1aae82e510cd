//! The thread that pushes, one job after the other.
//!
//! It never touches HEAD, local branches, the index or the work tree: training goes on writing there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::board::{Job, Rest};
use super::forms::form_in;
use super::guard::guarded;
use super::integrate::{self, Plan};
use super::journal::Maker;
use super::report::{Delivery, Integration, PushReport, PushedRef};
use super::send::{Sending, Sent};
use super::settings::AutoPrune;
use super::shared::Shared;
use super::state::Signal;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::git::Git;
use crate::id::LfsOid;
use crate::progress::{Event, Progress, PushState};
use crate::step::step;
use crate::worktree::{Context, Prune, objects_brought, replaced_objects};

/// Pauses before a push is tried again after the server or the network failed. Each try has its own,
/// shorter retries inside; a longer outage is for the journal.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(15),
];
/// How often a push may find that the remote has moved again since it was integrated.
const ROUNDS: usize = 8;

/// Works until nobody can send jobs any more.
pub(super) fn run(shared: &Shared, jobs: &Receiver<Arc<Job>>) {
    let mut outage = false;
    for job in jobs {
        shared.board.wait_turn(&shared.stop);
        if !shared.board.begin(&job) {
            shared.release(&job.promise, job.entry);
            continue;
        }
        shared.report(&job, PushState::Preflight);
        let end = match shared.board.refused() {
            Some(error) => Err(error),
            None => guarded(|| shared.deliver(&job, outage)),
        };
        outage = end.as_ref().is_err_and(Error::is_retryable);
        if let Err(error) = &end {
            tracing::warn!(%error, commit = %job.promise.commit, "a background push failed");
            if job.cell.is_withdrawn() {
                shared.release(&job.promise, job.entry);
            }
        }
        shared.board.end(&job, end);
        shared.report(&job, job.cell.state());
    }
}

impl Shared {
    /// Brings a commit to the remote, whatever it takes within reason.
    fn deliver(&self, job: &Arc<Job>, outage: bool) -> Result<Delivery> {
        let cancel = job.cell.cancel_token();
        let _pusher = self.local.lock_pushing(cancel)?;
        cancel.check()?;
        step("begun");
        let git = self.local.git()?;
        let policy = self.settings.on_conflict;
        let mut plan = integrate::first_plan(&self.local, &git, &job.promise, policy)?;
        let mut pauses = PAUSES.iter().take(if outage { 0 } else { PAUSES.len() });
        let mut rounds = 0;
        let sent = loop {
            let error = match self.attempt(&git, job, &plan) {
                Ok(sent) => break sent,
                Err(error) if error.kind() == ErrorKind::NonFastForward && rounds < ROUNDS => {
                    rounds += 1;
                    self.again(job);
                    match integrate::plan(&self.local, &git, &job.promise, policy, error, cancel) {
                        Ok(next) => {
                            plan = next;
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.is_retryable()) else {
                return Err(error);
            };
            self.again(job);
            tracing::info!(%error, ?pause, "the push is tried again");
            let pause = error.retry_after().unwrap_or(*pause).min(LONGEST_WISH);
            match self.board.rest(pause, cancel) {
                Rest::Over => {}
                // Training must not wait for a server that fails: the journal can.
                Rest::Crowded => return Err(error),
                Rest::Cancelled => return Err(Error::cancelled()),
            }
        };
        step("accepted");
        self.arrived(&git, job, &plan, &sent);
        Ok(Delivery::Pushed(PushReport {
            integration: plan.integration,
            ..sent.report
        }))
    }

    fn attempt(&self, git: &Git, job: &Arc<Job>, plan: &Plan) -> Result<Sent> {
        let told = |signal: Signal| {
            if let Some(phase) = job.cell.signal(signal) {
                step(match signal {
                    Signal::Examined => "examined",
                    Signal::Uploaded => "uploaded",
                    _ => "verified",
                });
                self.report(job, phase);
            }
        };
        Sending {
            local: &self.local,
            git,
            branch: &plan.branch,
            target: &plan.target,
            commit: plan.commit,
            overwrites: None,
            progress: &self.progress_of(job),
            cancel: job.cell.cancel_token(),
            done: &told,
        }
        .run()
    }

    /// Tells whoever watches the repository how far a job is.
    fn report(&self, job: &Job, phase: PushState) {
        self.local.progress.report(|| Event::Push {
            commit: job.promise.commit,
            branch: job.promise.branch.clone(),
            phase,
        });
    }

    /// A job begins anew.
    fn again(&self, job: &Job) {
        if let Some(phase) = job.cell.signal(Signal::Again) {
            self.report(job, phase);
        }
    }

    /// The repository's progress, with the job's own figures kept beside.
    fn progress_of(&self, job: &Arc<Job>) -> Progress {
        let cell = Arc::clone(&job.cell);
        let done: Mutex<(HashMap<LfsOid, u64>, u64)> = Mutex::default();
        self.local.progress.watched(move |event| {
            let (oid, bytes) = match event {
                Event::TransferStarted { objects, bytes, .. } => {
                    cell.note(|figures| (figures.objects, figures.total) = (*objects, *bytes));
                    return;
                }
                Event::TransferProgress { oid, bytes, .. }
                | Event::TransferFinished { oid, bytes, .. } => (*oid, *bytes),
                _ => return,
            };
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            let (of_each, sum) = &mut *done;
            let known = of_each.entry(oid).or_default();
            let more = bytes.saturating_sub(*known);
            *known += more;
            *sum = sum.saturating_add(more);
            cell.note(|figures| figures.bytes = *sum);
        })
    }

    /// The server has it: closes the promise, and lets go of what is not needed any more.
    fn arrived(&self, git: &Git, job: &Arc<Job>, plan: &Plan, sent: &Sent) {
        if let Err(error) = integrate::remember(&self.local, git, &job.promise, plan) {
            tracing::warn!(%error, "the local branch will not follow by itself");
        }
        self.release(&job.promise, job.entry);
        self.release_with(git, &plan.integration, &sent.report);
        let wanted = self.settings.auto_prune == AutoPrune::AfterConfirmed;
        if wanted && job.promise.maker == Maker::Save {
            if let Err(error) = self.prune(git, job, sent) {
                tracing::warn!(%error, "the local LFS store was not pruned");
            }
            step("pruned");
        }
    }

    /// Earlier pushes to the same ref failed; their commits may have come along.
    pub(super) fn release_with(&self, git: &Git, integration: &Integration, report: &PushReport) {
        let same = |other: &Job| other.promise.target == report.target;
        let within = |commit| git.is_ancestor(commit, report.commit).unwrap_or(false);
        let replayed = |commit| match integration {
            Integration::Rebased { rewritten } => rewritten.iter().any(|(old, _)| *old == commit),
            _ => false,
        };
        // A pull or a repair made it anew since.
        let became = |commit| form_in(git, commit, report.commit).is_ok_and(|new| new.is_some());
        let (came, stay): (Vec<_>, Vec<_>) =
            self.board
                .take_failed()
                .into_iter()
                .partition(|(other, _)| {
                    let commit = other.promise.commit;
                    let carried = || within(commit) || became(commit);
                    same(other) && (replayed(commit) || carried())
                });
        self.board.put_failed(stay);
        let kept = |(other, _): &(Arc<Job>, Error)| (other.promise.commit, other.entry);
        let kept: Vec<_> = came.iter().map(kept).collect();
        if !kept.is_empty() {
            self.release_all(&kept);
        }
        for (other, _) in came {
            self.board.arrived_with(&other, &report.branch);
        }
    }

    /// Lets go of LFS objects that this push made superfluous, here where the server has them.
    fn prune(&self, git: &Git, job: &Job, sent: &Sent) -> Result<()> {
        let local = &self.local;
        let cancel = job.cell.cancel_token();
        let prune = Prune {
            context: Context {
                cancel,
                ..local.context(git)
            },
            remote: &local.remote.lfs(git, Use::Fetch, None)?,
            confirmed: &sent.confirmed,
            lock: &|| local.lock(&["index.lock"]),
        };
        for commit in &job.replaced {
            let parent = git.parents_of(*commit)?.first().copied();
            let brought = objects_brought(git, parent, *commit, cancel)?;
            if let Err(error) = prune.abandoned(brought) {
                tracing::info!(%error, %commit, "what a replaced commit brought stays for now");
            }
        }
        let (from, to) = match sent.report.outcome {
            // Somebody else pushed it, perhaps with others; each commit answers for itself.
            PushedRef::UpToDate => {
                let parents = git.parents_of(job.promise.commit)?;
                (parents.first().copied(), job.promise.commit)
            }
            _ => (sent.before, sent.report.commit),
        };
        let pruned = prune.candidates(replaced_objects(git, from, to, cancel)?)?;
        tracing::debug!(pruned.objects, pruned.bytes, "pruned");
        Ok(())
    }
}

/// A server that asks for more is not waited for; the journal keeps the promise.
const LONGEST_WISH: Duration = Duration::from_secs(60);
