//! What the remote has, by its own word; what tracking refs remember of it may be long gone.

use std::collections::HashSet;

use super::Local;
use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::Result;
use crate::git::{Advertised, Git, ObjectId, Tags};
use crate::id::CommitId;

/// What a remote answered.
pub(crate) struct There {
    /// Its refs, annotated tags also as what they point to (`^{}`).
    pub(crate) refs: Vec<Advertised>,
    /// The commits of those that are here as well.
    pub(crate) commits: Vec<CommitId>,
}

impl There {
    /// Where a ref is.
    pub(crate) fn find(&self, full_name: &str) -> Option<ObjectId> {
        let found = self.refs.iter().find(|found| found.name == full_name);
        found.map(|found| found.id)
    }

    /// Names of the refs whose commits are not here.
    pub(crate) fn unknown(&self, git: &Git) -> Vec<String> {
        let name = |found: &Advertised| found.name.trim_end_matches("^{}").to_owned();
        let is_known = |found: &&Advertised| git.known_commit(found.id).is_some();
        let known: HashSet<String> = self.refs.iter().filter(is_known).map(name).collect();
        let mut unknown: Vec<String> = self.refs.iter().map(name).collect();
        unknown.retain(|name| !known.contains(name));
        unknown.dedup();
        unknown
    }
}

impl Local {
    /// Asks the remote for its refs, as it tells them to those who may push. Where one is pushed to
    /// another place than is fetched from, both are asked.
    ///
    /// Fetches if it has branches this clone does not know: what is in them is there as well.
    pub(crate) fn ask_remote(&self, git: &Git, cancel: &CancelToken) -> Result<There> {
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
        Ok(There {
            commits: commits.collect(),
            refs,
        })
    }
}
