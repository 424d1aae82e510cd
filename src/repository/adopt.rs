use super::target::{Making, is_unfinished};
use super::{PrepareRepository, Repository};
use crate::error::{ErrorKind, Result};

/// Adopting.
impl PrepareRepository {
    /// Makes a folder with files a clone, without changing one of them.
    ///
    /// Files that are as the remote has them are recognised by their content, LFS files by hashing them once:
    /// they are not downloaded again, and their objects are put into the store (sharing blocks
    /// where the file system can). Files that differ stay and show as modified, those the remote does not have
    /// as untracked. Files of the remote that are not there are downloaded, as when cloning: else the next
    /// save would record them as deleted, and this folder never had them. With
    /// [`Content::PointersOnly`](crate::Content::PointersOnly) they appear as pointers.
    ///
    /// A folder that is missing or empty is cloned into. If this fails, the folder's files are as they were, and
    /// it is no clone; some of the remote's may have come already. If the process is killed, the next `adopt`,
    /// [`open_or_adopt`](Self::open_or_adopt) or [`open_or_clone`](Self::open_or_clone) goes on.
    ///
    /// ```no_run
    /// use hf_repository::Repository;
    /// // Checkpoints of a run that knew nothing of git.
    /// let repo = Repository::prepare("user/my-model", "out").open_or_adopt()?;
    /// for entry in repo.status()?.entries {
    ///     println!("not as on the Hub: {}", entry.path);
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if it is a repository already, another kind if it has a `.git` that cannot
    /// be opened; [`ErrorKind::DirtyWorktree`] if a file or link is where the remote has a folder, a folder
    /// with files where it has a file, or another repository where it has files: then there is no way to keep
    /// both. Else those of [`clone_repo`](Self::clone_repo).
    pub fn adopt(self) -> Result<Repository> {
        let _span = tracing::info_span!("adopt").entered();
        self.make(Making::Adopt)
    }

    /// Opens the clone if the folder is one, else makes it one and keeps the files that are there; finishes what
    /// was interrupted.
    ///
    /// An existing clone is opened as by [`open`](Self::open): nothing is pulled.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`adopt`](Self::adopt).
    pub fn open_or_adopt(self) -> Result<Repository> {
        let dot_git = self.folder.join(".git");
        if dot_git.exists() && !is_unfinished(&dot_git) {
            return self.open();
        }
        match self.clone().adopt() {
            // Another process began after we looked, and has finished since.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.open(),
            adopted => adopted,
        }
    }
}
