//! What keeps old history alive besides the branch that loses it.

use std::collections::{HashMap, HashSet};

use super::Repository;
use crate::error::Result;
use crate::git::{Git, PrivateRef};
use crate::id::CommitId;
use crate::local::There;
use crate::name::{self, BranchName};

impl Repository {
    /// What may hold old commits besides the branch, here and on the remote.
    pub(super) fn other_names(
        &self,
        git: &Git,
        there: &There,
        branch: &BranchName,
        tip: CommitId,
    ) -> Result<Vec<(String, CommitId)>> {
        let remote = self.local.remote_name();
        let tracking = branch.tracking_ref(remote);
        let own = |name: &str| name == branch.local_ref() || name == tracking;
        let mut names = git.named_commits()?;
        names.retain(|(name, _)| !own(name));
        let mut known: HashSet<(String, CommitId)> = names.iter().cloned().collect();
        for found in &there.refs {
            self.local.cancel.check()?;
            let name = found.name.trim_end_matches("^{}");
            let Some(commit) = git.known_commit(found.id).filter(|_| !own(name)) else {
                continue;
            };
            let tracked = name.replacen("refs/heads/", &format!("refs/remotes/{remote}/"), 1);
            let new = known.insert((format!("{remote}: {name}"), commit));
            if new && !known.contains(&(tracked, commit)) {
                names.push((format!("{remote}: {name}"), commit));
            }
        }
        names.extend(self.kept_names(git, branch, &known)?);
        let stashes = git.stashes()?.into_iter();
        names.extend(stashes.map(|commit| ("refs/stash".to_owned(), commit)));
        let known: HashSet<CommitId> = names.iter().map(|(_, commit)| *commit).collect();
        for folder in git.work_tree_folders()? {
            let head = git.head_in(&folder)?.filter(|head| *head != tip);
            if let Some(head) = head.filter(|head| !known.contains(head)) {
                names.push((format!("HEAD of {}", folder.display()), head));
            }
        }
        Ok(names)
    }

    /// What this library keeps for pushes to come, and of refs that no clone has by itself.
    fn kept_names(
        &self,
        git: &Git,
        branch: &BranchName,
        known: &HashSet<(String, CommitId)>,
    ) -> Result<Vec<(String, CommitId)>> {
        let remote = self.local.remote_name();
        let pending = self.pushes.pending()?.into_iter();
        let pending: HashMap<CommitId, BranchName> = pending
            .filter_map(|push| Some((push.commit?, push.branch)))
            .collect();
        let tracked = name::other_tracking(remote);
        let mut names = Vec::new();
        for (name, commit) in git.private_commits()? {
            if name == PrivateRef::Promised(commit).name() {
                // Those of the branch itself have to be kept before its history is rewritten.
                match pending.get(&commit) {
                    Some(of) if of == branch => {}
                    Some(of) => names.push((format!("a pending push of {of}"), commit)),
                    None => names.push((name, commit)),
                }
                continue;
            }
            let there = name.strip_prefix(&tracked);
            let there = there.map(|rest| (format!("{remote}: refs/{rest}"), commit));
            let named = there.is_some_and(|there| known.contains(&there));
            if !named && name != PrivateRef::Integrated(branch).name() {
                names.push((name, commit));
            }
        }
        Ok(names)
    }
}
