use super::Repository;
use super::branch_words::{Branch, BranchOptions, BranchOutcome, CheckedOut};
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, ObjectId, Resolved, Upstream, object_id};
use crate::id::CommitId;
use crate::name::{BranchName, RemoteName, Revision};
use crate::push::{RefChange, RemoteRef};

/// Branches.
impl Repository {
    /// The branches of this clone, by name, then those of its remotes where they were when last heard of;
    /// no network.
    ///
    /// # Errors
    /// If refs cannot be read.
    pub fn branches(&self) -> Result<Vec<Branch>> {
        let git = self.local.git()?;
        let head = git.head()?;
        let elsewhere = git.branches_elsewhere()?;
        let mut upstreams = git.upstreams()?;
        let local = |(name, commit): (BranchName, CommitId)| Branch {
            remote: None,
            commit,
            upstream: upstreams.remove(&name),
            checked_out: if head.branch("").ok() == Some(&name) {
                CheckedOut::Here
            } else if elsewhere.contains(&name) {
                CheckedOut::Elsewhere
            } else {
                CheckedOut::Nowhere
            },
            name,
        };
        let mut branches: Vec<Branch> = git.branches()?.into_iter().map(local).collect();
        for remote in git.remotes()? {
            let mut tracked = git.tracked_branches(&remote)?;
            tracked.sort();
            let there = tracked.into_iter();
            branches.extend(there.map(|(name, commit)| Branch::there(name, &remote, commit)));
        }
        Ok(branches)
    }

    /// The branches a remote has now, by name.
    ///
    /// # Errors
    /// [`ErrorKind::RemoteNotFound`], and those of credentials and network.
    pub fn branches_on(&self, remote: &RemoteName) -> Result<Vec<Branch>> {
        let there = self.ask(&self.local.git()?, remote)?;
        let mut branches: Vec<Branch> = there
            .branches()
            .map(|(name, commit)| Branch::there(name, remote, commit))
            .collect();
        branches.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(branches)
    }

    /// Creates a branch at HEAD in this clone; no network. HEAD stays where it is.
    ///
    /// It is [`create_branch_with`](Self::create_branch_with) without options. To go there as well there
    /// is [`checkout_with`](Self::checkout_with).
    ///
    /// # Errors
    /// As there.
    pub fn create_branch(&self, name: impl AsRef<str>) -> Result<BranchOutcome> {
        self.create_branch_with(name, BranchOptions::default())
    }

    /// Creates a branch in this clone, and on a remote if `options` name one.
    ///
    /// One that is there already, at the same commit, is [`RefChange::Existed`]; at any other it is an
    /// error, here as on the remote. If the remote does not take the branch, for whatever reason, the one
    /// that was created here is removed again; it stays if the remote may have taken it and cannot be asked, or
    /// somebody has checked it out meanwhile.
    ///
    /// A branch that begins at the branch of its name on the clone's remote follows that one, as by
    /// `checkout`.
    ///
    /// ```no_run
    /// # let repo = hf_repository::Repository::open("out")?;
    /// use hf_repository::{BranchOptions, RemoteName};
    /// let options = BranchOptions::default().at("v1.0".parse()?).on(RemoteName::origin());
    /// repo.create_branch_with("fixes-for-v1", options)?;
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::AlreadyExists`],
    /// [`ErrorKind::RevisionNotFound`], [`ErrorKind::UnbornBranch`] before the first commit,
    /// [`ErrorKind::RemoteNotFound`]; [`ErrorKind::Rejected`] if the server's hook refuses; and those of
    /// [`push`](Self::push).
    pub fn create_branch_with(
        &self,
        name: impl AsRef<str>,
        options: BranchOptions,
    ) -> Result<BranchOutcome> {
        let name: BranchName = name.as_ref().parse()?;
        let _span = tracing::info_span!("create_branch", %name).entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let git = self.local.git()?;
        let remote = self.connection_to(&git, options.remote.as_ref())?;
        let (commit, local) = self.branch_here(&git, &name, options.at.as_ref())?;
        let mut outcome = BranchOutcome {
            commit: Some(commit),
            local,
            remote: RefChange::Untouched,
            server_message: None,
            name,
        };
        let Some(remote) = remote else {
            return Ok(outcome);
        };
        let (full, id) = (outcome.name.local_ref(), object_id(commit)?);
        let there = RemoteRef {
            local: &self.local,
            git: &git,
            to: &remote,
            name: &full,
        };
        match there.create(id, commit) {
            Ok(changed) => {
                outcome.remote = changed.change;
                outcome.server_message = changed.server_message;
            }
            Err(failed) => {
                if local == RefChange::Created && !failed.may_be_there {
                    self.take_back_branch(&git, &outcome.name, id);
                }
                return Err(failed.error);
            }
        }
        let upstream = Upstream::of_branch(remote.name().clone(), &outcome.name);
        // Both branches are there, whatever happens here.
        if let Err(error) = self.remember(&git, &outcome.name, &upstream, commit) {
            tracing::warn!(%error, %upstream, "created, but not followed");
        }
        Ok(outcome)
    }

    /// Notes where the remote has a branch now, and that the local one follows it: not if it is some other
    /// remote than this object's, where the next one would push then.
    fn remember(
        &self,
        git: &Git,
        branch: &BranchName,
        upstream: &Upstream,
        commit: CommitId,
    ) -> Result<()> {
        let tracking = upstream.name.tracking_ref(&upstream.remote);
        let _lock = self.lock_refs(&[&tracking])?;
        git.track_commit(&tracking, commit, "update by push")?;
        if upstream.remote == *self.local.remote_name() {
            git.follow(branch, upstream)?;
        }
        Ok(())
    }

    /// Undoes what was created for a remote that did not want it.
    fn take_back_branch(&self, git: &Git, branch: &BranchName, id: ObjectId) {
        let full = branch.local_ref();
        let undo = || -> Result<()> {
            let _lock = self.lock_refs(&[&full])?;
            self.refuse_checked_out(git, branch)?;
            match git.delete_ref(&full, id)? {
                true => git.unfollow(branch),
                false => Ok(()),
            }
        };
        if let Err(error) = undo() {
            tracing::warn!(%error, full, "what the remote did not take stays here");
        }
    }

    fn branch_here(
        &self,
        git: &Git,
        name: &BranchName,
        at: Option<&Revision>,
    ) -> Result<(CommitId, RefChange)> {
        let full = name.local_ref();
        let _lock = self.lock_refs(&[&full])?;
        let start = at
            .map(|revision| git.resolve(revision, self.local.remote_name()))
            .transpose()?;
        let commit = match &start {
            Some(start) => start.commit(),
            None => self.commit_at(git, None, "create a branch")?,
        };
        match git.ref_commit(&full)? {
            Some(here) if here == commit => return Ok((commit, RefChange::Existed)),
            Some(here) => {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("there is a branch {name} already, at {}", here.short()),
                )
                .with_hint("choose another name, or check it out"));
            }
            None => {}
        }
        // What the config says of one that is gone is not about this one.
        if git.upstream(name).is_some() {
            git.unfollow(name)?;
        }
        git.create_ref(&full, object_id(commit)?, "branch: Created")?;
        if let Some(Resolved::RemoteBranch { branch, remote, .. }) = &start
            && branch == name
        {
            git.set_upstream(name, remote)?;
        }
        tracing::info!(%commit, "branch created");
        Ok((commit, RefChange::Created))
    }

    /// Gives a branch of this clone another name; its log goes with it, what it follows stays, and HEAD
    /// stays on it. A process that is killed in between may leave both names; the same call finishes it.
    ///
    /// The remote's branch keeps its name. What background pushes have promised goes there as it was
    /// promised, to the old name; the next [`push`](Self::push) creates a branch of the new name. To make
    /// the remote follow: [`create_branch_with`](Self::create_branch_with) the new name on it, and
    /// [`delete_branch_from`](Self::delete_branch_from) the old one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::RevisionNotFound`] if there is no such branch,
    /// [`ErrorKind::AlreadyExists`] if there is one of the new name, or one in its way, as `a` is in that of
    /// `a/b`;
    /// [`ErrorKind::BranchInUse`] if another work tree is on it, or it is being rebased.
    pub fn rename_branch(&self, from: impl AsRef<str>, to: impl AsRef<str>) -> Result<Branch> {
        let (from, to): (BranchName, BranchName) = (from.as_ref().parse()?, to.as_ref().parse()?);
        let _span = tracing::info_span!("rename_branch", %from, %to).entered();
        self.settle();
        let git = self.local.git()?;
        let _lock = self.lock_refs(&[&from.local_ref(), &to.local_ref()])?;
        let begun = from != to && git.is_half_renamed(&from, &to)?;
        let tip = git.ref_commit(&from.local_ref())?;
        let tip = match tip {
            None if !begun => return Err(no_branch(&from)),
            Some(tip) if from == to => tip,
            _ => {
                refuse_used_elsewhere(&git, &from, "rename")?;
                refuse_nested(&from, &to)?;
                git.rename_branch(&from, &to)?
            }
        };
        Ok(Branch {
            remote: None,
            commit: tip,
            upstream: git.upstream(&to),
            checked_out: match git.head()?.branch("").ok() == Some(&to) {
                true => CheckedOut::Here,
                false => CheckedOut::Nowhere,
            },
            name: to,
        })
    }
}

impl Branch {
    /// One of a remote.
    fn there(name: BranchName, remote: &RemoteName, commit: CommitId) -> Self {
        Self {
            upstream: None,
            remote: Some(remote.clone()),
            checked_out: CheckedOut::Nowhere,
            commit,
            name,
        }
    }
}

pub(super) fn no_branch(branch: &BranchName) -> Error {
    Error::new(
        ErrorKind::RevisionNotFound,
        format!("this clone has no branch {branch}"),
    )
    .with_hint("branches() lists those it has")
}

/// Refuses two names of which one is a folder for the other: there would have to be a moment without any.
fn refuse_nested(from: &BranchName, to: &BranchName) -> Result<()> {
    let is_below = |one: &BranchName, other: &BranchName| {
        let rest = one.as_str().strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    match is_below(from, to) || is_below(to, from) {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("there cannot be {from} and {to}, not even for a moment"),
        )
        .with_hint("rename it to a third name first")),
    }
}

/// Refuses what another work tree would not get over, or an operation under way in any.
pub(super) fn refuse_used_elsewhere(git: &Git, branch: &BranchName, action: &str) -> Result<()> {
    match git.branches_elsewhere()?.contains(branch) {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::BranchInUse,
            format!("cannot {action} {branch}: another work tree is on it, or it is being rebased"),
        )
        .with_hint("check out another branch there, or finish what is under way")),
    }
}
