use super::Repository;
use crate::error::Result;
use crate::path::RepoPath;
use crate::worktree::{AutoTrackPreview, Stage, StageOptions};

/// Looking at files.
impl Repository {
    /// Whether git's ignore rules keep a file out: `.gitignore` at every level, `.git/info/exclude` and
    /// the user's own. It need not exist; one that is in the index is never ignored, as for git.
    ///
    /// ```no_run
    /// use hf_repository::{RepoPath, Repository};
    /// let repo = Repository::open("out")?;
    /// assert!(repo.is_ignored(&RepoPath::new("checkpoint-500/model.bin")?)?);
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the rules or the index cannot be read.
    pub fn is_ignored(&self, path: &RepoPath) -> Result<bool> {
        let git = self.local.git()?;
        if git.index()?.get(path)?.is_some() {
            return Ok(false);
        }
        git.is_ignored(path)
    }

    /// Which files [`stage_with`](Self::stage_with) would give to LFS by itself, why, and by which rules.
    /// Nothing is changed.
    ///
    /// Looked at are the files that are not committed as they are, but for those that are ignored and
    /// those that are LFS files already. The rules may be handed to [`track`](Self::track); staging
    /// does so by itself.
    ///
    /// ```no_run
    /// use hf_repository::{Repository, StageOptions};
    /// let repo = Repository::open("out")?;
    /// let preview = repo.preview_auto_track(&StageOptions::default().path("checkpoints"))?;
    /// for (path, reason) in &preview.files {
    ///     println!("{path} will be an LFS file: {reason:?}");
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`stage_with`](Self::stage_with) for names that cannot be staged, and if a file cannot be
    /// read.
    pub fn preview_auto_track(&self, options: &StageOptions) -> Result<AutoTrackPreview> {
        let git = self.local.git()?;
        Stage {
            context: self.local.context(&git),
            options,
        }
        .preview()
    }
}
