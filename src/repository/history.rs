use super::Repository;
use super::history_words::{CleanupPlan, HistoryReport, Retention, UnreferencedObject};
use crate::error::{Error, ErrorKind, Result};
use crate::git::Git;
use crate::id::CommitId;
use crate::local::There;
use crate::name::BranchName;
use crate::step::step;
use crate::worktree::History;

/// Making a history shorter.
impl Repository {
    /// Plans to leave old checkpoints out of the current branch's history, and says what that would
    /// come to. Nothing is changed.
    ///
    /// What would stay is a line: the newest commits as [`Retention`] says, each with its files, author,
    /// dates and message, the oldest of them without a parent. Merges among them become plain commits,
    /// for what was merged is older history. [`clean_up`](Self::clean_up) carries the plan out.
    ///
    /// The remote is asked what it has, and fetched from if that is unknown here.
    ///
    /// ```no_run
    /// use hf_repository::{PushOptions, Repository, Retention};
    /// let repo = Repository::open("out")?;
    /// let plan = repo.plan_cleanup(Retention::LastCheckpoints(2))?;
    /// for object in plan.objects() {
    ///     println!("{} of {} bytes, still in {:?}", object.oid, object.bytes, object.held_by);
    /// }
    /// let report = repo.clean_up(&plan)?;
    /// if let Some(there) = report.remote_tip {
    ///     repo.push_with(&PushOptions::default().overwriting(there))?;
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if nothing is to be kept; [`ErrorKind::DetachedHead`],
    /// [`ErrorKind::UnbornBranch`]; [`ErrorKind::NonFastForward`] if the remote's branch has commits this
    /// one lacks: pull first; [`ErrorKind::Unsupported`] in a shallow clone; and those of credentials
    /// and the network.
    pub fn plan_cleanup(&self, retention: Retention) -> Result<CleanupPlan> {
        let _span = tracing::info_span!("plan_cleanup", ?retention).entered();
        if retention.is_nothing() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "cannot clean up and keep nothing")
                    .with_hint("keep one at least; squash_history() keeps the newest files only"),
            );
        }
        self.settle();
        let git = self.local.git()?;
        git.refuse_shallow("clean up the history")?;
        let there = self.local.ask_remote(&git, &self.local.cancel)?;
        let (branch, tip) = super::rewrite::on_branch(&git, "clean up the history")?;
        let line = git.first_parents(tip)?;
        let mut history = History::new(&git, &self.local.cancel);
        let keep = match retention {
            Retention::LastCheckpoints(most) => history.newest_checkpoints(&line, most)?,
            Retention::LastCommits(most) => most.min(line.len()),
        };
        let mut kept = line[..keep].to_vec();
        kept.reverse();
        let mut plan = self.outlook(&git, &there, (branch, tip), kept)?;
        let useless = match retention {
            Retention::LastCheckpoints(_) => plan.objects.is_empty(),
            Retention::LastCommits(_) => true,
        };
        if keep == line.len() && useless {
            plan.keep_all();
        }
        Ok(plan)
    }

    /// Carries a plan out: the branch is at the shorter history when this returns.
    ///
    /// Index and work tree stay as they are: the last commit has the same files. Nothing is pushed; the
    /// remote's branch has to be overwritten for that, see [`push_with`](Self::push_with). The old
    /// history stays in the branch's log (`git reflog`), and so it can be undone.
    ///
    /// The oldest commit that stays brings in all its files anew: what the Hub refuses today although it is there
    /// (a raw binary file older than that rule) makes the push [`ErrorKind::Preflight`]. Then
    /// [`rewrite_unpushed_to_lfs`](Self::rewrite_unpushed_to_lfs) repairs the new commits.
    ///
    /// **Nothing becomes free on the Hub by this, nor by the push.** The Hub keeps LFS objects that no
    /// commit names. Delete those of [`HistoryReport::objects`] that nothing holds on the repository's
    /// settings page or by its HTTP API; see `docs/history.md`.
    ///
    /// # Errors
    /// [`ErrorKind::StalePlan`] if the branch is no longer where the plan was made;
    /// [`ErrorKind::Unpushed`] if background pushes of the branch are pending: they would bring the old
    /// history back, so [`flush`](Self::flush) first; [`ErrorKind::InvalidInput`] if the branch is checked
    /// out in another work tree as well; [`ErrorKind::UnfinishedOperation`]; [`ErrorKind::Cancelled`]. The
    /// branch has not moved then.
    pub fn clean_up(&self, plan: &CleanupPlan) -> Result<HistoryReport> {
        let _span = tracing::info_span!("clean_up").entered();
        self.settle();
        let git = self.local.git()?;
        self.refuse_stale(&git, plan)?;
        let mut report = HistoryReport::new(plan);
        if plan.is_empty() {
            return Ok(report);
        }
        // Many commits take minutes, and nothing leads to them yet: saves go on meanwhile.
        let memory = git.in_memory()?;
        let mut keeper = git.keeper(&memory, plan.kept().len())?;
        let mut parent: Option<CommitId> = None;
        for commit in plan.kept() {
            self.local.cancel.check()?;
            let tree = git.tree_of(*commit)?;
            let remade = memory.remake_commit(*commit, tree, parent.as_slice())?;
            keeper.keep(remade.id)?;
            report.rewritten.push((*commit, remade.id));
            if remade.lost_signature {
                report.unsigned.push(*commit);
            }
            parent = Some(remade.id);
        }
        keeper.finish()?;
        report.after = parent.unwrap_or(plan.tip());
        let _lock = self.local.lock_branch(Some(plan.branch()))?;
        self.refuse_stale(&git, plan)?;
        self.move_branch(&git, &report, "hf-repository: older commits left out")?;
        Ok(report)
    }

    /// Refuses to carry out a plan for another state than the one now.
    fn refuse_stale(&self, git: &Git, plan: &CleanupPlan) -> Result<()> {
        const ACTION: &str = "clean up the history";
        let (branch, tip) = self.branch_to_rewrite(git, ACTION)?;
        if (&branch, tip) != (plan.branch(), plan.tip()) {
            return Err(Error::new(
                ErrorKind::StalePlan,
                format!(
                    "cannot {ACTION}: the plan is for {} at {}, but HEAD is on {branch} at {}",
                    plan.branch(),
                    plan.tip().short(),
                    tip.short()
                ),
            )
            .with_hint("make another plan"));
        }
        self.refuse_pending(&branch, ACTION)
    }

    /// Makes the current branch's history a single commit with the same files.
    ///
    /// Its author is the one of [`commit`](Self::commit), its message the one given. For the rest it is
    /// as [`clean_up`](Self::clean_up): index and work tree stay, nothing is pushed, and the Hub
    /// frees nothing by itself.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty message; others as
    /// [`plan_cleanup`](Self::plan_cleanup) and [`clean_up`](Self::clean_up).
    pub fn squash_history(&self, message: impl AsRef<str>) -> Result<HistoryReport> {
        let _span = tracing::info_span!("squash_history").entered();
        const ACTION: &str = "squash the history";
        let message = super::commit::message_of(message.as_ref())?;
        self.settle();
        let git = self.local.git()?;
        git.refuse_shallow(ACTION)?;
        loop {
            let there = self.local.ask_remote(&git, &self.local.cancel)?;
            let (branch, tip) = self.branch_to_rewrite(&git, ACTION)?;
            self.refuse_pending(&branch, ACTION)?;
            let plan = self.outlook(&git, &there, (branch.clone(), tip), vec![tip])?;
            let _lock = self.local.lock_branch(Some(&branch))?;
            if self.branch_to_rewrite(&git, ACTION)? != (branch.clone(), tip) {
                // A long history takes long to look at; others went on meanwhile.
                continue;
            }
            self.refuse_pending(&branch, ACTION)?;
            let identity = self.local.identity_for(&git)?;
            let commit = git.write_commit(git.tree_of(tip)?, &[], &message, &identity)?;
            let mut report = HistoryReport::new(&plan);
            report.after = commit;
            report.rewritten.push((tip, commit));
            self.move_branch(&git, &report, "hf-repository: history squashed")?;
            return Ok(report);
        }
    }

    /// What leaving out all but `kept` comes to.
    fn outlook(
        &self,
        git: &Git,
        there: &There,
        (branch, tip): (BranchName, CommitId),
        kept: Vec<CommitId>,
    ) -> Result<CleanupPlan> {
        let remote_tip = match there.find(&branch.local_ref()) {
            None => None,
            Some(id) => match git.known_commit(id) {
                Some(theirs) if git.is_ancestor(theirs, tip)? => Some(theirs),
                _ => return Err(behind(&branch)),
            },
        };
        let names = self.other_names(git, there, &branch, tip)?;
        let mut history = History::new(git, &self.local.cancel);
        let loss = history.loss(tip, &kept)?;
        let mut held = history.holders(&names, &loss.objects)?;
        let objects = loss.objects.iter().map(|object| UnreferencedObject {
            oid: object.oid,
            bytes: object.size,
            held_by: held.remove(&object.oid).into_iter().flatten().collect(),
        });
        Ok(CleanupPlan {
            objects: objects.collect(),
            branch,
            tip,
            remote_tip,
            kept,
            removed: loss.commits,
            plain_bytes: loss.plain_bytes,
            unknown_refs: there.unknown(git),
        })
    }

    /// Refuses to rewrite what background pushes still promise.
    fn refuse_pending(&self, branch: &BranchName, action: &str) -> Result<()> {
        let pending = self.pushes.pending()?.into_iter();
        let pending = pending.filter(|push| push.branch == *branch);
        let mut commits = Vec::new();
        let mut any = false;
        for push in pending {
            any = true;
            commits.extend(push.commit);
        }
        if !any {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unpushed,
            format!("cannot {action}: background pushes of {branch} are pending"),
        )
        .with_hint("wait for them first: flush()")
        .with_delivery(Vec::new(), commits))
    }

    /// Moves the branch to the new history, if it is still at the old one.
    fn move_branch(&self, git: &Git, report: &HistoryReport, log: &str) -> Result<()> {
        let name = report.branch.local_ref();
        git.log_moves_of(&name)?;
        step("remade");
        git.set_ref(&name, report.after, Some(report.before), log)?;
        step("moved");
        tracing::info!(before = %report.before, after = %report.after, "history rewritten");
        Ok(())
    }
}

fn behind(branch: &BranchName) -> Error {
    Error::new(
        ErrorKind::NonFastForward,
        format!("cannot rewrite {branch}: the remote's has commits this one lacks"),
    )
    .with_hint(
        "pull first, so that they are not lost; or, if it was rewritten here and not pushed yet, do so \
         with PushOptions::overwriting",
    )
}
