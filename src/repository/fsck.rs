use super::Repository;
use crate::config::Use;
use crate::error::Result;
use crate::git::Git;
use crate::id::CommitId;
use crate::name::Revision;
use crate::worktree::{Fsck, FsckChecks, FsckReport, Repairing, Wanted};

/// How to check Git LFS objects and pointers.
///
/// ```
/// use hf_repository::{FsckChecks, FsckOptions};
/// let options = FsckOptions::default().checks(FsckChecks::Objects).repair();
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FsckOptions {
    revisions: Vec<Revision>,
    checks: FsckChecks,
    repair: Repairs,
}

/// Whether damage is only reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Repairs {
    #[default]
    No,
    Yes,
}

impl FsckOptions {
    /// Checks what this branch, tag or commit holds, instead of HEAD and the index; may be called for
    /// several.
    #[must_use]
    pub fn revision(mut self, revision: Revision) -> Self {
        self.revisions.push(revision);
        self
    }

    /// What to check; everything unless this is called.
    #[must_use]
    pub fn checks(mut self, checks: FsckChecks) -> Self {
        self.checks = checks;
        self
    }

    /// Repairs objects: damaged ones are moved to `bad` in the store's folder, and those and missing
    /// ones come from the work tree, from a repository this one borrows from, or from the server.
    #[must_use]
    pub fn repair(mut self) -> Self {
        self.repair = Repairs::Yes;
        self
    }
}

/// Checking.
impl Repository {
    /// Checks that the files of HEAD and of the index which belong to Git LFS are pointers, and that the
    /// objects they name are here and whole.
    ///
    /// Every object is read. Nothing is changed, and no network is needed. The findings are those of
    /// `git lfs fsck`, and some more: `docs/fsck.md` in the repository says which.
    ///
    /// # Errors
    /// If the repository cannot be read, and [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled). What is found is no error: see
    /// [`FsckReport`].
    pub fn lfs_fsck(&self) -> Result<FsckReport> {
        self.lfs_fsck_with(&FsckOptions::default())
    }

    /// Checks, and repairs, as `options` say.
    ///
    /// Repairing deletes nothing, and changes neither pointers nor the work tree; in a store that other
    /// clones use, too, it only replaces what is damaged. An object that cannot be had, since the server
    /// does not have it, say, is [`Repair::Failed`](crate::Repair::Failed) in the report.
    ///
    /// ```no_run
    /// use hf_repository::{FsckOptions, Repository};
    /// let repo = Repository::open("out")?;
    /// let report = repo.lfs_fsck_with(&FsckOptions::default().repair())?;
    /// for object in report.objects.iter().filter(|object| !object.is_repaired()) {
    ///     eprintln!("{} ({:?}): {:?}", object.oid, object.paths, object.repair);
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`lfs_fsck`](Self::lfs_fsck); [`ErrorKind::RevisionNotFound`](crate::ErrorKind::RevisionNotFound);
    /// [`Locked`](crate::ErrorKind::Locked) if somebody else changes the clone and does not end.
    pub fn lfs_fsck_with(&self, options: &FsckOptions) -> Result<FsckReport> {
        let _span = tracing::info_span!("lfs_fsck").entered();
        let _settled = self.local.progress.settled();
        let local = &self.local;
        let git = local.git()?;
        let commits = if options.revisions.is_empty() {
            git.head()?.commit().into_iter().collect()
        } else {
            self.commits(&git, &options.revisions)?
        };
        let fsck = Fsck {
            context: local.context(&git),
            commits: &commits,
            index: options.revisions.is_empty(),
            checks: options.checks,
            wanted: &Wanted::recall(&git, None)?,
        };
        let mut findings = fsck.run()?;
        if options.repair == Repairs::Yes {
            let repairing = Repairing {
                context: fsck.context,
                remote: &|| local.remote.lfs(&git, Use::Fetch, None),
                remote_name: local.remote_name().as_str(),
                lock: &|| local.lock(&[]),
            };
            repairing.run(&mut findings)?;
        }
        let report = findings.report;
        tracing::info!(
            checked = report.checked,
            objects = report.objects.len(),
            pointers = report.pointers.len(),
            "checked"
        );
        Ok(report)
    }

    fn commits(&self, git: &Git, revisions: &[Revision]) -> Result<Vec<CommitId>> {
        let commit = |revision| {
            let resolved = git.resolve(revision, self.local.remote_name())?;
            Ok(resolved.commit())
        };
        revisions.iter().map(commit).collect()
    }
}
