use super::Repository;
use crate::error::Result;
use crate::local::refuse_unfinished;
use crate::worktree::{self, Stage, StageOptions, StageReport};

/// Staging.
impl Repository {
    /// Stages everything that changed, large and binary files as LFS files.
    ///
    /// Ignored files are left out. See [`StageOptions`] for parts of the work tree and for which
    /// files become LFS files without a rule.
    ///
    /// # Errors
    /// As [`stage_with`](Self::stage_with).
    pub fn stage(&self) -> Result<StageReport> {
        self.stage_with(&StageOptions::default())
    }

    /// Stages as `options` say.
    ///
    /// Others may write to the work tree meanwhile. A file that changes while it is read is read
    /// anew, and skipped if it never rests, or what [`OnChanging`](crate::OnChanging) says. A file
    /// or folder that vanishes is left for the next call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`](crate::ErrorKind::InvalidPath),
    /// [`PathNotFound`](crate::ErrorKind::PathNotFound) and
    /// [`PathIgnored`](crate::ErrorKind::PathIgnored) for names that cannot be staged, before
    /// anything is changed; [`FileChanged`](crate::ErrorKind::FileChanged) under
    /// [`OnChanging::Fail`](crate::OnChanging::Fail), with the files in
    /// [`Error::offences`](crate::Error::offences);
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a file that auto-tracking would give to
    /// LFS where a rule forbids it or `.gitattributes` is excluded;
    /// [`DiskFull`](crate::ErrorKind::DiskFull) if the LFS store has no room;
    /// [`Io`](crate::ErrorKind::Io) for a file that may not be read, as in `git add`: exclude it. The
    /// index is then as it was.
    pub fn stage_with(&self, options: &StageOptions) -> Result<StageReport> {
        let _span = tracing::info_span!("stage").entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let git = self.local.git()?;
        let _lock = self.local.lock(&["index.lock"])?;
        refuse_unfinished(&git, "stage")?;
        worktree::refuse_interrupted(&git, "stage")?;
        let report = Stage {
            context: self.local.context(&git),
            options,
        }
        .run()?;
        tracing::info!(
            plain = report.plain.len(),
            lfs = report.lfs.len(),
            removed = report.removed.len(),
            skipped = report.skipped.len(),
            "staged"
        );
        Ok(report)
    }
}
