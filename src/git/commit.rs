//! Making commits.

use git2::Signature;

use super::error::wrap;
use super::refs::{commit_id, object_id};
use super::{Git, Head, ObjectId};
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::name::is_trimmed_by_git;

/// Who a commit is by.
///
/// ```
/// use hf_repository::Identity;
/// let identity = Identity::new("Ada", "ada@example.org")?;
/// assert_eq!(identity.name(), "Ada");
/// assert!(Identity::new("", "ada@example.org").is_err());
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// Takes a name and an e-mail address.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if one is empty, has nothing but marks that git takes away, or holds
    /// `<`, `>` or a line end.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Result<Self> {
        let identity = Self {
            name: name.into(),
            email: email.into(),
        };
        for (what, text) in [("name", &identity.name), ("e-mail", &identity.email)] {
            if text.trim().trim_matches(is_trimmed_by_git).is_empty()
                || text.contains(['<', '>', '\n', '\r', '\0'])
            {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{text:?} cannot be the {what} of a commit's author"),
                )
                .with_hint("use plain text without <, > and line ends"));
            }
        }
        Ok(identity)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The e-mail address.
    pub fn email(&self) -> &str {
        &self.email
    }

    pub(super) fn sign(&self) -> Result<Signature<'static>> {
        Signature::now(&self.name, &self.email).map_err(wrap("sign the commit"))
    }
}

impl Git {
    /// The tree of a commit.
    pub(crate) fn tree_of(&self, commit: CommitId) -> Result<ObjectId> {
        let commit = self
            .repo
            .find_commit(object_id(commit)?)
            .map_err(wrap("read a commit"))?;
        Ok(commit.tree_id())
    }

    /// The parents of a commit.
    pub(crate) fn parents_of(&self, commit: CommitId) -> Result<Vec<CommitId>> {
        let commit = self
            .repo
            .find_commit(object_id(commit)?)
            .map_err(wrap("read a commit"))?;
        Ok(commit.parent_ids().map(commit_id).collect())
    }

    /// Writes a commit, and moves nothing: no ref leads to it yet.
    pub(crate) fn write_commit(
        &self,
        tree: ObjectId,
        parents: &[CommitId],
        message: &str,
        identity: &Identity,
    ) -> Result<CommitId> {
        let signature = identity.sign()?;
        self.write_signed(tree, parents, message, (&signature, &signature))
    }

    /// Writes a commit by an author and a committer.
    pub(super) fn write_signed(
        &self,
        tree: ObjectId,
        parents: &[CommitId],
        message: &str,
        (author, committer): (&Signature<'_>, &Signature<'_>),
    ) -> Result<CommitId> {
        let tree = self.repo.find_tree(tree).map_err(wrap("read the tree"))?;
        let mut found = Vec::with_capacity(parents.len());
        for parent in parents {
            let commit = self.repo.find_commit(object_id(*parent)?);
            found.push(commit.map_err(wrap("read a parent"))?);
        }
        let parents: Vec<&git2::Commit<'_>> = found.iter().collect();
        let id = self
            .repo
            .commit(None, author, committer, message, &tree, &parents)
            .map_err(wrap("commit"))?;
        Ok(commit_id(id))
    }

    /// Commits `tree` on top of `head` and moves HEAD's branch there, if HEAD still is at `head`.
    pub(crate) fn commit_tree(
        &self,
        head: &Head,
        tree: ObjectId,
        message: &str,
        identity: &Identity,
    ) -> Result<CommitId> {
        let parents: Vec<CommitId> = head.commit().into_iter().collect();
        let id = self.write_commit(tree, &parents, message, identity)?;
        self.move_head(head, id, message)?;
        Ok(id)
    }

    /// Moves HEAD's branch to a new commit, if HEAD still is at `head`.
    pub(crate) fn move_head(&self, head: &Head, commit: CommitId, message: &str) -> Result<()> {
        let summary = message.lines().next().unwrap_or_default();
        match head {
            Head::Branch {
                branch,
                commit: before,
            } => {
                self.set_ref(
                    &branch.local_ref(),
                    commit,
                    Some(*before),
                    &format!("commit: {summary}"),
                )?;
            }
            Head::Unborn { branch } => {
                self.set_ref(
                    &branch.local_ref(),
                    commit,
                    None,
                    &format!("commit (initial): {summary}"),
                )?;
            }
            Head::Detached { .. } => self.detach_head(commit)?,
        }
        Ok(())
    }
}
