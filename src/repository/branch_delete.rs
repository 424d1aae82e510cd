use super::Repository;
use super::branch_words::{BranchOutcome, Unmerged};
use super::branches::refuse_used_elsewhere;
use super::refs::Where;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Advertisement, Git, object_id};
use crate::id::CommitId;
use crate::name::{BranchName, RefName, RemoteName};
use crate::push::{RefChange, RemoteRef};

/// Commits that an error names.
const NAMED: usize = 3;

/// Deleting branches.
impl Repository {
    /// Deletes a branch of this clone, if that loses no commit; no network.
    ///
    /// It is [`delete_branch_from`](Self::delete_branch_from) this clone with [`Unmerged::Keep`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_branch(&self, name: impl AsRef<str>) -> Result<BranchOutcome> {
        self.delete_branch_from(name, &Where::Here, Unmerged::Keep)
    }

    /// Deletes a branch where `place` says. What is not there is [`RefChange::Missing`].
    ///
    /// A branch whose commits no other branch or tag leads to, here or on a remote as far as is known,
    /// stays, unless `unmerged` says otherwise. Of a remote's branch that is known only if its commits are
    /// here; what it had when last heard of counts too, also if it is gone there. Background pushes that were promised go on. The remote comes first: if it refuses, nothing
    /// has changed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::RemoteNotFound`]; [`ErrorKind::UnmergedCommits`];
    /// [`ErrorKind::BranchInUse`] if it is checked out, here or in another work tree, or is being
    /// rebased; [`ErrorKind::Rejected`] if the server refuses (the Hub does for `main`);
    /// [`ErrorKind::StaleLease`] if somebody pushes to it meanwhile; and those of credentials and network.
    pub fn delete_branch_from(
        &self,
        name: impl AsRef<str>,
        place: &Where,
        unmerged: Unmerged,
    ) -> Result<BranchOutcome> {
        let name: BranchName = name.as_ref().parse()?;
        let _span = tracing::info_span!("delete_branch", %name).entered();
        self.settle();
        let git = self.local.git()?;
        let mut outcome = BranchOutcome {
            commit: None,
            local: RefChange::Untouched,
            remote: RefChange::Untouched,
            server_message: None,
            name,
        };
        let name = &outcome.name;
        if place.is_here() {
            // Once more under the lock; but nothing should have gone from the remote for nothing.
            self.refuse_checked_out(&git, name)?;
        }
        let full = name.local_ref();
        // What the remote has elsewhere is safe, whether or not this clone has heard of it.
        let mut safe = Vec::new();
        if let Some(remote) = place.remote() {
            let tracking = RefName::from(name).tracking_ref(remote);
            let there = RemoteRef {
                local: &self.local,
                git: &git,
                to: &self.local.remote.to(&git, remote)?,
                name: &full,
            };
            let going: &[&str] = match place.is_here() {
                true => &[&full, &tracking],
                false => &[&tracking],
            };
            let tracked = git.ref_commit(&tracking)?;
            let changed = there.delete(|there, tip| {
                safe = known_elsewhere(&git, there, &full);
                if unmerged == Unmerged::Lose {
                    return Ok(());
                }
                let known = |tip| git.known_commit(tip).ok_or_else(|| unknown(name, remote));
                let theirs = tip.map(known).transpose()?;
                // The remote's may have moved, or be gone, since it was last heard of.
                let ours = git.ref_commit(&full)?.filter(|_| place.is_here());
                let mut tips = theirs.into_iter().chain(tracked).chain(ours);
                tips.try_for_each(|tip| refuse_loss(&git, name, tip, going, &safe))
            })?;
            outcome.remote = changed.change;
            outcome.server_message = changed.server_message;
            let _lock = self.lock_refs(&[&tracking])?;
            if let Some(tracked) = tracked {
                git.delete_ref(&tracking, object_id(tracked)?)?;
            }
        }
        if place.is_here() {
            let _lock = self.lock_refs(&[&full])?;
            self.refuse_checked_out(&git, name)?;
            outcome.commit = git.ref_commit(&full)?;
            outcome.local = RefChange::Missing;
            if let Some(tip) = outcome.commit {
                if unmerged == Unmerged::Keep {
                    refuse_loss(&git, name, tip, &[&full], &safe)?;
                }
                if git.delete_branch(name, tip)? {
                    outcome.local = RefChange::Deleted;
                }
            }
        }
        Ok(outcome)
    }

    pub(super) fn refuse_checked_out(&self, git: &Git, branch: &BranchName) -> Result<()> {
        if git.head()?.branch("").ok() == Some(branch) {
            return Err(Error::new(
                ErrorKind::BranchInUse,
                format!("cannot delete {branch}: it is checked out"),
            )
            .with_hint("check out another branch first"));
        }
        refuse_used_elsewhere(git, branch, "delete")
    }
}

/// Commits that other refs of a remote lead to.
fn known_elsewhere(git: &Git, there: &Advertisement, going: &str) -> Vec<CommitId> {
    let others = there.refs.iter().filter(|found| found.name != going);
    others
        .filter_map(|found| git.known_commit(found.id))
        .collect()
}

fn unknown(branch: &BranchName, remote: &RemoteName) -> Error {
    Error::new(
        ErrorKind::UnmergedCommits,
        format!("cannot delete {branch} of {remote}: it has commits that are not here"),
    )
    .with_hint("pull, and see whether they may go; or delete with Unmerged::Lose")
}

/// Refuses to delete a branch at `tip` if neither other refs nor `safe` commits have all that it has;
/// `going` are the refs that go.
fn refuse_loss(
    git: &Git,
    branch: &BranchName,
    tip: CommitId,
    going: &[&str],
    safe: &[CommitId],
) -> Result<()> {
    let lost = git.only_by(tip, going, safe)?;
    if lost.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = lost
        .iter()
        .take(NAMED)
        .map(|commit| commit.short())
        .collect();
    Err(Error::new(
        ErrorKind::UnmergedCommits,
        format!(
            "cannot delete {branch}: nothing else leads to {} of its commits ({}{})",
            lost.len(),
            named.join(", "),
            if lost.len() > NAMED { ", …" } else { "" },
        ),
    )
    .with_hint("merge or push them, keep them under another name, or delete with Unmerged::Lose"))
}
