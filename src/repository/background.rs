use std::time::{Duration, Instant};

use super::Repository;
use crate::error::Result;
use crate::local::LOCK_WAIT;
use crate::push::{FlushReport, Keeper, PendingPush, PushHandle, SaveOptions, SaveReport, Timing};

/// Saving and pushing in the background.
impl Repository {
    /// Saves what changed: stages and commits it, and has it pushed in the background.
    ///
    /// When this returns the commit is on the disk and promised: a thread of this repository pushes
    /// it, and if the process ends before that, the next one that calls `save`, [`flush`](Self::flush) or
    /// [`resume_pushes`](Self::resume_pushes) does. The files may be overwritten at once. Under
    /// [`SaveOptions::deferred`] it returns before they are read, and the handle says when they were.
    ///
    /// The first save of a repository object takes over what dead ones promised; `flush` and
    /// `resume_pushes` do so each time.
    ///
    /// A push that fails does not fail the next save: it is told in [`SaveReport::failures`], on its
    /// handle, and by [`close`](Self::close). Files that change while they are read are skipped and
    /// listed, or as [`OnChanging`](crate::OnChanging) says.
    ///
    /// ```no_run
    /// # let repo = hf_repository::Repository::open("out")?;
    /// for step in 0..1000 {
    ///     // … train …
    ///     if step % 100 == 0 {
    ///         std::fs::write("out/model.safetensors", [0; 1024]).expect("writable");
    ///         let report = repo.save(format!("step {step}"))?;
    ///         for failure in &report.failures {
    ///             eprintln!("not pushed yet: {}", failure.error);
    ///         }
    ///     }
    /// }
    /// repo.close()?; // waits; an error names every commit that is not on the Hub
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`stage_with`](Self::stage_with) and [`commit`](Self::commit), and
    /// [`ErrorKind::DetachedHead`](crate::ErrorKind::DetachedHead). Nothing is promised then.
    pub fn save(&self, options: impl Into<SaveOptions>) -> Result<SaveReport> {
        let options = options.into();
        let _span = tracing::info_span!("save").entered();
        match options.timing {
            Timing::Now => self.pushes.save_now(&options),
            Timing::Deferred => self.pushes.save_later(&options),
        }
    }

    /// Promises to push the current branch's commit, and returns.
    ///
    /// # Errors
    /// [`ErrorKind::DetachedHead`](crate::ErrorKind::DetachedHead), [`ErrorKind::UnbornBranch`](crate::ErrorKind::UnbornBranch).
    pub fn push_in_background(&self) -> Result<PushHandle> {
        let _span = tracing::info_span!("push_in_background").entered();
        let crew = self.pushes.crew()?;
        self.settle();
        let git = self.local.git()?;
        let handle = {
            let _lock = self.local.lock(&[])?;
            let head = git.head()?;
            let branch = head.branch("push")?;
            let commit = head.commit().ok_or_else(|| super::push::unborn(branch))?;
            crew.push_commit(&git, commit, branch)?
        };
        self.pushes.wait_for_room(&handle);
        Ok(handle)
    }

    /// Everything promised that is not known to be on the remote, the oldest first; no network.
    ///
    /// # Errors
    /// [`ErrorKind::JournalDamaged`](crate::ErrorKind::JournalDamaged) if a record cannot be read; it is set aside, and the next call
    /// tells of the others.
    pub fn pending_pushes(&self) -> Result<Vec<PendingPush>> {
        self.pushes.pending()
    }

    /// Starts to push what earlier runs promised and did not push; how many promises this repository
    /// is keeping now.
    ///
    /// Those whose process lives are left to it. [`save`](Self::save) and [`flush`](Self::flush) do
    /// the same by themselves.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn resume_pushes(&self) -> Result<usize> {
        self.take_over()?;
        let ours = |push: &PendingPush| push.keeper == Keeper::This;
        Ok(self
            .pushes
            .pending()?
            .iter()
            .filter(|push| ours(push))
            .count())
    }

    /// Waits until the background pushes that are under way have ended.
    ///
    /// Unlike [`flush`](Self::flush), it begins none.
    ///
    /// # Errors
    /// [`ErrorKind::Unpushed`](crate::ErrorKind::Unpushed) if some failed.
    pub fn wait_for_pushes(&self) -> Result<FlushReport> {
        self.pushes.wait()
    }

    /// Pushes all that is promised, that of earlier runs included, and waits for it.
    ///
    /// What fails for a reason that passes is tried again until the time is up.
    ///
    /// # Errors
    /// [`ErrorKind::Unpushed`](crate::ErrorKind::Unpushed) with [`Error::unpushed`](crate::Error::unpushed) and [`Error::pushed`](crate::Error::pushed) if commits are left;
    /// they stay promised.
    pub fn flush(&self, within: Duration) -> Result<FlushReport> {
        let _span = tracing::info_span!("flush").entered();
        self.pushes.flush(Instant::now().checked_add(within))
    }

    /// Pushes all that is promised and ends.
    ///
    /// # Errors
    /// [`ErrorKind::Unpushed`](crate::ErrorKind::Unpushed), which names every commit that is not on the remote. It is safe here,
    /// and goes there in a later run.
    pub fn close(self) -> Result<FlushReport> {
        self.end(None)
    }

    /// Pushes what it can in that time and ends; returns in time, whatever the server does.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_within(self, time: Duration) -> Result<FlushReport> {
        self.end(Instant::now().checked_add(time))
    }

    fn end(&self, deadline: Option<Instant>) -> Result<FlushReport> {
        let _span = tracing::info_span!("close").entered();
        if !self.pushes.is_started() && !self.pushes.has_promises()? {
            return Ok(FlushReport::default());
        }
        let report = self.pushes.flush(deadline);
        self.pushes.stop();
        report
    }

    /// Takes over the promises of those who died.
    pub(super) fn take_over(&self) -> Result<()> {
        let crew = self.pushes.crew()?;
        self.pushes.adopt(&crew, LOCK_WAIT).map(drop)
    }

    /// Waits for deferred saves: what they noted must not change under them.
    pub(super) fn settle(&self) {
        self.pushes.board.wait_staged();
    }
}
