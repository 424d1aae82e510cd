use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::local::refuse_unfinished;
use crate::worktree;

/// What [`Repository::commit`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum CommitOutcome {
    /// A commit was made.
    Committed(CommitId),
    /// Nothing was staged, so there is nothing new to commit.
    NothingToCommit,
}

impl CommitOutcome {
    /// The new commit, if one was made.
    pub fn commit(self) -> Option<CommitId> {
        match self {
            Self::Committed(commit) => Some(commit),
            Self::NothingToCommit => None,
        }
    }
}

/// Committing.
impl Repository {
    /// Commits what is staged; no network.
    ///
    /// The author is the identity given to [`prepare`](Self::prepare), else `user.name` and
    /// `user.email` of git's config, else the owner of the token, who is asked for when cloning,
    /// pulling and in [`check_write_access`](Self::check_write_access), else
    /// `hf-repository <hf-repository@users.noreply.huggingface.co>`. The owner's address is the Hub's
    /// `<login>@users.noreply.<host>`: never a private one.
    /// Hooks are not run.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty message, [`ErrorKind::Preflight`] if a file that
    /// belongs to LFS is staged as it is, [`ErrorKind::UnfinishedOperation`] in the middle of a
    /// merge, [`ErrorKind::Locked`] if somebody else holds the repository too long.
    pub fn commit(&self, message: impl AsRef<str>) -> Result<CommitOutcome> {
        let _span = tracing::info_span!("commit").entered();
        let message = message_of(message.as_ref())?;
        self.settle();
        let git = self.local.git()?;
        let head = git.head()?;
        let _lock = self.local.lock_branch(head.branch("commit").ok())?;
        refuse_unfinished(&git, "commit")?;
        let head = git.head()?;
        let Some(tree) = worktree::staged_tree(&git, &head)? else {
            return Ok(CommitOutcome::NothingToCommit);
        };
        let identity = self.local.identity_for(&git)?;
        let commit = git.commit_tree(&head, tree, &message, &identity)?;
        git.remember_trees(tree);
        tracing::info!(%commit, "committed");
        Ok(CommitOutcome::Committed(commit))
    }
}

/// A message as git keeps it: without space around it, and with a line end.
pub(super) fn message_of(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(
            Error::new(ErrorKind::InvalidInput, "the commit message is empty")
                .with_hint("say in a line what changed"),
        );
    }
    Ok(format!("{text}\n"))
}
