//! What the remote has, by its own word; what tracking refs remember of it may be long gone.

use super::Local;
use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::Result;
use crate::git::{Git, Tags};
use crate::id::CommitId;

impl Local {
    /// Asks the remote for its refs, as it tells them to those who may push; the commits of those that
    /// are here. Where one is pushed to another place than is fetched from, both are asked.
    ///
    /// Fetches if it has branches this clone does not know: what is in them is there as well.
    pub(crate) fn ask_remote(&self, git: &Git, cancel: &CancelToken) -> Result<Vec<CommitId>> {
        let target = self.remote.git(Use::Push, cancel)?;
        let mut refs = git.push_advertisement(&target, cancel)?.refs;
        let source = self.remote.git(Use::Fetch, cancel)?;
        if source.display() != target.display() {
            refs.extend(git.fetch_advertisement(&source, cancel)?.refs);
        }
        let news = refs.iter().any(|found| {
            found.name.starts_with("refs/heads/") && git.known_commit(found.id).is_none()
        });
        if news {
            self.fetch(git, Tags::Following, cancel)?;
        }
        let commits = refs.iter().filter_map(|found| git.known_commit(found.id));
        Ok(commits.collect())
    }
}
