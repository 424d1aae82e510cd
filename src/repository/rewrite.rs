use std::collections::HashSet;

use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, Head};
use crate::id::CommitId;
use crate::lfs::pattern::Pattern;
use crate::local::refuse_unfinished;
use crate::name::BranchName;
use crate::path::RepoPath;
use crate::push;
use crate::step::step;
use crate::worktree::{self, FollowRewrite, HUB_BLOB_LIMIT, Keep, Rewrite, Rewritten};

/// What [`Repository::rewrite_unpushed_to_lfs_with`] makes LFS files of.
///
/// ```
/// use hf_repository::RewriteOptions;
/// let look = RewriteOptions::default().larger_than(1 << 20).dry_run();
/// # let _ = look;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RewriteOptions {
    larger_than: u64,
    keep: Keep,
}

impl Default for RewriteOptions {
    /// What the Hub refuses: binary files, and files of more than 10 MiB.
    fn default() -> Self {
        Self {
            larger_than: HUB_BLOB_LIMIT,
            keep: Keep::Objects,
        }
    }
}

impl RewriteOptions {
    /// The size in bytes above which a text file is to be an LFS file, if not 10 MiB.
    #[must_use]
    pub fn larger_than(mut self, bytes: u64) -> Self {
        self.larger_than = bytes;
        self
    }

    /// Only reports what would become of the commits, ids included.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.keep = Keep::Nothing;
        self
    }
}

/// What [`Repository::rewrite_unpushed_to_lfs`] did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RewriteReport {
    /// The branch.
    pub branch: BranchName,
    /// Where it was. Its log (`git reflog`) keeps that commit, so the rewrite can be undone.
    pub before: CommitId,
    /// Where it is now; the same if nothing had to change.
    pub after: CommitId,
    /// Every commit that changed and the one that took its place, parents first.
    pub rewritten: Vec<(CommitId, CommitId)>,
    /// Old commits whose signature does not fit the new ones, and is gone.
    pub unsigned: Vec<CommitId>,
    /// Files that became LFS files in some commit.
    pub files: Vec<RepoPath>,
    /// Rules that the branch's last commit has more than before.
    pub tracked: Vec<Pattern>,
    /// How many LFS objects were made.
    pub lfs_objects: usize,
    /// Their bytes.
    pub lfs_bytes: u64,
    /// Other branches, tags and the like that still lead to old commits, by their full names: they
    /// stay where they are, and the server would refuse them as before.
    pub other_refs: Vec<(String, CommitId)>,
}

/// Repairing what was not pushed yet.
impl Repository {
    /// Turns what the Hub refuses into LFS files, in all commits of the current branch that are not on
    /// the remote yet.
    ///
    /// For [`ErrorKind::Preflight`]: a large or binary file in some commit makes the Hub refuse
    /// the push, also if a later commit removes it. Here the commits are made anew, with a pointer in
    /// its place and a rule in `.gitattributes`, from the first commit that needs it on. Authors,
    /// committers, dates, messages and merges stay; signatures cannot. The branch then is at the
    /// new commits and can be pushed. Files keep their bytes, but for the root's `.gitattributes`; what
    /// is staged stays staged, what is edited stays edited.
    ///
    /// The remote is asked what it has, and fetched from if that is unknown here: a commit that any of
    /// its branches or tags holds stays as it is. Other local branches and tags stay where they are, see
    /// [`RewriteReport::other_refs`]. Promised background pushes of old commits push the new ones.
    ///
    /// Killed at any moment it leaves the old branch or the new one, and is simply called again.
    ///
    /// ```no_run
    /// use hf_repository::{ErrorKind, Repository};
    /// let repo = Repository::open("out")?;
    /// if let Err(error) = repo.push() {
    ///     if error.kind() != ErrorKind::Preflight {
    ///         return Err(error);
    ///     }
    ///     for (old, new) in repo.rewrite_unpushed_to_lfs()?.rewritten {
    ///         println!("{old} is now {new}");
    ///     }
    ///     repo.push()?;
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::DetachedHead`], [`ErrorKind::UnbornBranch`], [`ErrorKind::UnfinishedOperation`];
    /// [`ErrorKind::InvalidInput`] if the branch is checked out in another work tree as well, or a rule
    /// keeps a file from LFS; [`ErrorKind::Preflight`] with files like `.gitignore` that can be no
    /// LFS files; [`ErrorKind::DirtyWorktree`] if the removal of `.gitattributes` is staged;
    /// [`ErrorKind::Unsupported`] if the clone is shallow and its oldest commit is among them;
    /// [`ErrorKind::Locked`] if somebody moved HEAD meanwhile; and those of credentials and the network. Branch, index and files have not changed then.
    pub fn rewrite_unpushed_to_lfs(&self) -> Result<RewriteReport> {
        self.rewrite_unpushed_to_lfs_with(&RewriteOptions::default())
    }

    /// The same with a size of one's own, or as a dry run.
    ///
    /// # Errors
    /// As [`rewrite_unpushed_to_lfs`](Self::rewrite_unpushed_to_lfs).
    pub fn rewrite_unpushed_to_lfs_with(&self, options: &RewriteOptions) -> Result<RewriteReport> {
        let _span = tracing::info_span!("rewrite_unpushed_to_lfs").entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let local = &*self.local;
        let git = local.git()?;
        let (_, seen) = on_branch(&git, "rewrite")?;
        // No push of this clone may put a commit on the remote behind our back.
        let _urgent = self.pushes.board.urgent(seen);
        let _pusher = local.lock_pushing(&local.cancel)?;
        if options.keep == Keep::Objects && self.pushes.has_promises()? {
            // A save whose maker died before the branch moved: its commit is to be made anew as well.
            self.take_over()?;
            self.settle();
        }
        let there = local.ask_remote(&git, &local.cancel)?;
        let head = git.head()?;
        let _lock = local.lock_branch(Some(head.branch("rewrite")?))?;
        let (branch, before) = self.branch_to_rewrite(&git, "rewrite")?;
        let memory = git.in_memory()?;
        let rewritten = Rewrite {
            context: local.context(&memory),
            into: (options.keep == Keep::Objects).then_some(&git),
            tip: before,
            pushed: &there.commits,
            larger_than: options.larger_than,
            keep: options.keep,
        }
        .run()?;
        let after = rewritten.commits.last().map_or(before, |(_, new)| *new);
        if options.keep == Keep::Objects && after != before {
            step("remade");
            self.follow_rewrite(&git, &branch, (before, after), &rewritten)?;
        }
        tracing::info!(commits = rewritten.commits.len(), %after, "rewritten");
        Ok(RewriteReport {
            other_refs: left_behind(&git, &branch, &rewritten, &there.commits)?,
            branch,
            before,
            after,
            rewritten: rewritten.commits,
            unsigned: rewritten.unsigned,
            files: rewritten.files.into_iter().collect(),
            tracked: rewritten.rules,
            lfs_objects: rewritten.objects.len(),
            lfs_bytes: rewritten.objects.iter().map(|object| object.size).sum(),
        })
    }

    /// Index, promises and branch follow the new commits.
    fn follow_rewrite(
        &self,
        git: &Git,
        branch: &BranchName,
        (before, after): (CommitId, CommitId),
        rewritten: &Rewritten,
    ) -> Result<()> {
        let head = Head::Branch {
            branch: branch.clone(),
            commit: before,
        };
        let following = FollowRewrite {
            context: self.local.context(git),
            head: &head,
            old: git.tree_of(before)?,
            new: git.tree_of(after)?,
            rewritten,
        }
        .prepare()?;
        refuse_unfinished(git, "rewrite")?;
        push::note_replayed(git, &rewritten.commits)?;
        git.log_moves_of(&branch.local_ref())?;
        // Before the branch: an index that is ahead of it holds staged changes, one that is behind
        // would take the next commit back to what was.
        let _index = following.write(git)?;
        step("indexed");
        let log = "hf-repository: large and binary files to LFS";
        git.set_ref(&branch.local_ref(), after, Some(before), log)?;
        step("moved");
        Ok(())
    }

    /// The current branch and its commit, if the history may be rewritten. The caller holds the lock.
    pub(super) fn branch_to_rewrite(
        &self,
        git: &Git,
        action: &str,
    ) -> Result<(BranchName, CommitId)> {
        refuse_unfinished(git, action)?;
        worktree::refuse_interrupted(git, action)?;
        let (branch, commit) = on_branch(git, action)?;
        match git.checked_out_elsewhere(&branch)? {
            None => Ok((branch, commit)),
            Some(elsewhere) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "cannot {action}: {branch} is checked out in {} as well",
                    elsewhere.display()
                ),
            )
            .with_hint("check out another branch there")),
        }
    }
}

pub(super) fn on_branch(git: &Git, action: &str) -> Result<(BranchName, CommitId)> {
    let head = git.head()?;
    let branch = head.branch(action)?.clone();
    match head {
        Head::Branch { commit, .. } => Ok((branch, commit)),
        _ => Err(Error::new(
            ErrorKind::UnbornBranch,
            format!("cannot {action}: {branch} has no commit yet"),
        )
        .with_hint("stage and commit something first")),
    }
}

/// Other refs that lead to commits that were rewritten.
fn left_behind(
    git: &Git,
    branch: &BranchName,
    rewritten: &Rewritten,
    pushed: &[CommitId],
) -> Result<Vec<(String, CommitId)>> {
    if rewritten.commits.is_empty() {
        return Ok(Vec::new());
    }
    let old: HashSet<CommitId> = rewritten.commits.iter().map(|(old, _)| *old).collect();
    let mut found = Vec::new();
    for (name, commit) in git.named_commits()? {
        if name == branch.local_ref() || name.starts_with("refs/remotes/") {
            continue;
        }
        let unpushed = git.commits_between(commit, pushed)?;
        if unpushed.iter().any(|commit| old.contains(commit)) {
            found.push((name, commit));
        }
    }
    Ok(found)
}
