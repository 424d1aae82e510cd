//! The few settings of the repository that this library reads or writes.

use super::Git;
use super::error::patiently;
use crate::error::Result;
use crate::name::{BranchName, RemoteName};

impl Git {
    /// The value of `key`, from the repository, the user or the system.
    pub(crate) fn config(&self, key: &str) -> Option<String> {
        let config = self
            .repo
            .config()
            .and_then(|mut config| config.snapshot())
            .ok()?;
        config.get_str(key).ok().map(str::to_owned)
    }

    /// Sets `key` in the repository's own config.
    pub(crate) fn set_config(&self, key: &str, value: &str) -> Result<()> {
        patiently(&format!("set {key}"), || {
            let config = self.repo.config()?;
            config
                .open_level(git2::ConfigLevel::Local)?
                .set_str(key, value)
        })
    }

    /// The URL of a remote as the config holds it; may contain credentials someone else wrote.
    pub(crate) fn remote_url(&self, remote: &RemoteName) -> Option<String> {
        self.config(&format!("remote.{remote}.url"))
    }

    /// Records a remote with the refspec every clone has.
    ///
    /// Not by libgit2's own way, which writes to the config of the highest level: ours.
    pub(crate) fn add_remote(&self, remote: &RemoteName, url: &str) -> Result<()> {
        self.set_config(&format!("remote.{remote}.url"), url)?;
        let refspec = format!("+refs/heads/*:refs/remotes/{remote}/*");
        self.set_config(&format!("remote.{remote}.fetch"), &refspec)
    }

    /// Makes `branch` follow the branch of the same name on `remote`.
    pub(crate) fn set_upstream(&self, branch: &BranchName, remote: &RemoteName) -> Result<()> {
        self.set_config(&format!("branch.{branch}.remote"), remote.as_str())?;
        self.set_config(&format!("branch.{branch}.merge"), &branch.local_ref())
    }

    /// The remote a branch follows, if it follows one.
    pub(crate) fn upstream_remote(&self, branch: &BranchName) -> Option<RemoteName> {
        // A remote named "." is the repository itself.
        let name = self.config(&format!("branch.{branch}.remote"))?;
        name.parse().ok()
    }
}
