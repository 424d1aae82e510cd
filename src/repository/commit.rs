use super::{Repository, locks_of, refuse_unfinished};
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, Identity};
use crate::id::CommitId;
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
    /// `user.email` of git's config, else `hf-repository <hf-repository@users.noreply.huggingface.co>`.
    /// Hooks are not run.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty message, [`ErrorKind::Preflight`] if a file that
    /// belongs to LFS is staged as it is, [`ErrorKind::UnfinishedOperation`] in the middle of a
    /// merge, [`ErrorKind::Locked`] if somebody else holds the repository too long.
    pub fn commit(&self, message: impl AsRef<str>) -> Result<CommitOutcome> {
        let message = message.as_ref().trim();
        let _span = tracing::info_span!("commit").entered();
        if message.is_empty() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "the commit message is empty")
                    .with_hint("say in a line what changed"),
            );
        }
        let git = self.git()?;
        let head = git.head()?;
        let names = locks_of(head.branch("commit").ok());
        let _lock = self.lock(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        refuse_unfinished(&git, "commit")?;
        worktree::refuse_interrupted(&git, "commit")?;
        let head = git.head()?;
        let mut index = git.index()?;
        index.forget_announced()?;
        if index.has_conflicts() {
            return Err(
                Error::new(ErrorKind::UnfinishedOperation, "the index has conflicts")
                    .with_hint("resolve them with git first"),
            );
        }
        let before = head
            .commit()
            .map(|commit| git.tree_of(commit))
            .transpose()?;
        let unchanged = match before {
            Some(_) => git.staged_changes(before, &index)?.is_empty(),
            None => index.entries().next().is_none(),
        };
        if unchanged {
            return Ok(CommitOutcome::NothingToCommit);
        }
        let tree = index.write_tree()?;
        worktree::refuse_raw_lfs_files(&git, before, tree)?;
        let identity = self.identity_for(&git)?;
        let commit = git.commit_tree(&head, tree, &format!("{message}\n"), &identity)?;
        tracing::info!(%commit, "committed");
        Ok(CommitOutcome::Committed(commit))
    }

    fn identity_for(&self, git: &Git) -> Result<Identity> {
        if let Some(identity) = &self.identity {
            return Ok(identity.clone());
        }
        let (name, email) = (git.config("user.name"), git.config("user.email"));
        Identity::new(
            name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            email.unwrap_or_else(|| DEFAULT_EMAIL.to_owned()),
        )
    }
}

/// Who commits when nobody says so: an address that reaches, and names, no person.
const DEFAULT_NAME: &str = "hf-repository";
const DEFAULT_EMAIL: &str = "hf-repository@users.noreply.huggingface.co";
