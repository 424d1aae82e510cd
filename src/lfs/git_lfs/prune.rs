//! `git lfs prune`, and what it says.

use std::collections::HashSet;

use super::super::pruning::{KeepRecent, PruneWish, Pruning, VerifyRemote};
use super::super::store::Stored;
use super::{GitLfs, login, trust};
use crate::cancel::CancelToken;
use crate::config;
use crate::error::Result;
use crate::fs::Secluded;
use crate::http::{self, Reach};
use crate::id::LfsOid;

impl GitLfs {
    /// Has git-lfs prune, by its own judgement; what went, or would go.
    pub(super) fn prune_by_itself(
        &self,
        wish: PruneWish,
        cancel: &CancelToken,
    ) -> Result<Vec<Stored>> {
        let verifies = match wish.verify {
            Some(verify) => verify == VerifyRemote::AskServer,
            None => {
                let always = self.client.config().get("lfs.pruneverifyremotealways");
                always.and_then(config::switch) == Some(true)
            }
        };
        if verifies && self.client.reach() == Reach::Offline {
            return Err(http::offline(
                "prune LFS objects: the remote is to be asked for them (lfs.pruneverifyremotealways, \
                 or VerifyRemote::AskServer)",
            ));
        }
        let folder = Secluded::new()?;
        let program = self.program("prune LFS objects");
        let (program, mut lines) = trust::trusting(program, &self.client, None, folder.path())?;
        let mut arguments = vec!["prune"];
        arguments.extend(wish.verify.map(|verify| match verify {
            VerifyRemote::AskServer => "--verify-remote",
            VerifyRemote::TrackingRefs => "--no-verify-remote",
        }));
        match wish.recent {
            KeepRecent::Configured => {}
            KeepRecent::Nothing => arguments.push("--recent"),
            KeepRecent::Days { refs, commits } => {
                let days = [
                    ("lfs.fetchrecentrefsdays", refs),
                    ("lfs.fetchrecentcommitsdays", commits),
                    ("lfs.pruneoffsetdays", 0),
                ];
                lines.extend(days.map(|(key, days)| (key.to_owned(), days.to_string())));
            }
        }
        let program = login::configured(program, &lines);
        let before = self.store.stored()?.into_iter();
        match wish.how {
            Pruning::DryRun => {
                arguments.extend(["--dry-run", "--verbose"]);
                // Unless it takes this for a terminal, it says the last line of its list only.
                let program = program.variable("GIT_LFS_FORCE_PROGRESS", "1");
                let told = program.arguments(arguments).run(cancel)?;
                let named = pruned(&String::from_utf8_lossy(&told));
                let would_go = before.filter(|stored| named.contains(&stored.oid));
                Ok(would_go.collect())
            }
            Pruning::Delete => {
                program.arguments(arguments).run(cancel)?;
                let after = self.store.stored()?.into_iter();
                let after: HashSet<LfsOid> = after.map(|stored| stored.oid).collect();
                let gone = before.filter(|stored| !after.contains(&stored.oid));
                Ok(gone.collect())
            }
        }
    }
}

/// From the lines ` * <oid> (<size>)` of `git lfs prune --verbose`.
fn pruned(text: &str) -> HashSet<LfsOid> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("* "));
    let first = lines.filter_map(|line| line.split_whitespace().next());
    first.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_to_prune_are_read_from_its_list() {
        let oid = "ab".repeat(32);
        let text = format!(
            "prune: 5 local objects\rprune: 5 local objects, 3 retained, done.\n\
             prune: 2 files would be pruned (3 MB)   \r\n * {oid} (3.0 MB)   \r\n\
             \x20* {oid} (3.0 MB), done.\n * x (1 B)\n"
        );
        assert_eq!(pruned(&text), HashSet::from([oid.parse().expect("valid")]));
        assert!(pruned("prune: 0 local objects, 0 retained, done.\n").is_empty());
    }
}
