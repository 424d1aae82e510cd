//! What a branch follows: `branch.<name>.remote` and `branch.<name>.merge`.

use std::collections::HashMap;

use super::Git;
use super::error::wrap;
use crate::error::Result;
use crate::name::{BranchName, RefName, RemoteName};

/// What a branch follows: a ref of a remote.
///
/// ```
/// use hf_repository::{RemoteName, Upstream};
/// let upstream = Upstream::new(RemoteName::origin(), "refs/pr/3".parse()?);
/// assert_eq!(upstream.to_string(), "refs/pr/3 of origin");
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Upstream {
    /// The remote.
    pub remote: RemoteName,
    /// The ref there.
    pub name: RefName,
}

impl Upstream {
    /// Any ref of a remote.
    pub fn new(remote: RemoteName, name: RefName) -> Self {
        Self { remote, name }
    }

    /// A branch of a remote.
    pub fn of_branch(remote: RemoteName, branch: &BranchName) -> Self {
        Self::new(remote, RefName::from(branch))
    }
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.name, self.remote)
    }
}

impl Git {
    /// The remote a branch follows, if it follows one.
    pub(crate) fn upstream_remote(&self, branch: &BranchName) -> Option<RemoteName> {
        // A remote named "." is the repository itself.
        let name = self.config(&format!("branch.{branch}.remote"))?;
        name.parse().ok()
    }

    /// What a branch follows.
    pub(crate) fn upstream(&self, branch: &BranchName) -> Option<Upstream> {
        let name = self.config(&format!("branch.{branch}.merge"))?;
        Some(Upstream {
            remote: self.upstream_remote(branch)?,
            name: name.parse().ok()?,
        })
    }

    /// What each branch follows that follows something.
    pub(crate) fn upstreams(&self) -> Result<HashMap<BranchName, Upstream>> {
        let config = self.whole_config()?;
        let mut said: HashMap<&str, (Option<&str>, Option<&str>)> = HashMap::new();
        for (key, value) in config.below("branch.") {
            match key.rsplit_once('.') {
                Some((branch, "remote")) => said.entry(branch).or_default().0 = Some(value),
                Some((branch, "merge")) => said.entry(branch).or_default().1 = Some(value),
                _ => {}
            }
        }
        let upstream = |(branch, (remote, name)): (&str, (Option<&str>, Option<&str>))| {
            let upstream = Upstream::new(remote?.parse().ok()?, name?.parse().ok()?);
            Some((branch.parse().ok()?, upstream))
        };
        Ok(said.into_iter().filter_map(upstream).collect())
    }

    /// Whether a branch follows one that is known here: what `@{u}` is to git.
    pub(crate) fn has_upstream(&self, branch: &BranchName) -> Result<bool> {
        match self.repo.branch_upstream_name(&branch.local_ref()) {
            Ok(name) => match name.as_str() {
                Ok(name) => Ok(self.ref_commit(name)?.is_some()),
                Err(_) => Ok(false),
            },
            // To git nothing keeps track of what is no branch.
            Err(error) if error.code() == git2::ErrorCode::NotFound => {
                match self.upstream(branch) {
                    Some(upstream) if upstream.name.is_other() => {
                        let tracking = upstream.name.tracking_ref(&upstream.remote);
                        Ok(self.ref_commit(&tracking)?.is_some())
                    }
                    _ => Ok(false),
                }
            }
            Err(error) => Err(wrap(&format!("look for what {branch} follows"))(error)),
        }
    }

    /// What a branch is pulled from: what it follows on that remote, else the branch of its name there.
    pub(crate) fn pull_source(&self, branch: &BranchName, remote: &RemoteName) -> RefName {
        let upstream = self.upstream(branch).filter(|it| it.remote == *remote);
        upstream.map_or_else(|| RefName::from(branch), |upstream| upstream.name)
    }

    /// Where a branch is pushed to: the branch of its name on the remote. Only what is no branch there, as
    /// a pull request, is pushed to if it is followed; another branch if `push.default` says so.
    pub(crate) fn push_target(&self, branch: &BranchName, remote: &RemoteName) -> RefName {
        let source = self.pull_source(branch, remote);
        let default = self.config("push.default").unwrap_or_default();
        let to_upstream = ["upstream", "tracking"].contains(&default.as_str());
        if source.is_other() || (to_upstream && source.branch().is_some()) {
            return source;
        }
        RefName::from(branch)
    }

    /// Makes a branch follow a ref of a remote.
    pub(crate) fn follow(&self, branch: &BranchName, upstream: &Upstream) -> Result<()> {
        let Upstream { remote, name } = upstream;
        self.set_config(&format!("branch.{branch}.remote"), remote.as_str())?;
        self.set_config(&format!("branch.{branch}.merge"), name.as_str())
    }

    /// Makes `branch` follow the branch of the same name on `remote`.
    pub(crate) fn set_upstream(&self, branch: &BranchName, remote: &RemoteName) -> Result<()> {
        self.follow(branch, &Upstream::of_branch(remote.clone(), branch))
    }

    /// Makes a branch follow nothing.
    pub(crate) fn unfollow(&self, branch: &BranchName) -> Result<()> {
        self.unset_config(&format!("branch.{branch}.merge"))?;
        self.unset_config(&format!("branch.{branch}.remote"))
    }
}
