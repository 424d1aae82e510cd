//! Which branches a fetch is about.

use std::collections::HashSet;

use super::Git;
use super::error::wrap;
use super::remote::Advertised;
use crate::error::Result;
use crate::name::{BranchName, RemoteName};

/// The branches of a remote that are fetched.
#[derive(Debug)]
pub(super) enum Branches {
    All,
    Some {
        /// What stands before and behind the `*` of a refspec, or a whole name.
        patterns: Vec<(String, Option<String>)>,
        /// Branches that are here, or that are followed.
        known: HashSet<BranchName>,
    },
}

impl Branches {
    pub(super) fn takes(&self, branch: &BranchName) -> bool {
        match self {
            Self::All => true,
            Self::Some { patterns, known } => {
                let name = branch.as_str();
                let fits = |(before, behind): &(String, Option<String>)| match behind {
                    None => name == before,
                    Some(behind) => name
                        .strip_prefix(before.as_str())
                        .is_some_and(|rest| rest.ends_with(behind.as_str())),
                };
                known.contains(branch) || patterns.iter().any(fits)
            }
        }
    }

    /// Those of them that a remote has.
    pub(super) fn of<'a>(&'a self, refs: &'a [Advertised]) -> impl Iterator<Item = BranchName> {
        let branch = |found: &Advertised| found.name.strip_prefix("refs/heads/")?.parse().ok();
        let branches = refs.iter().filter_map(branch);
        branches.filter(|branch| self.takes(branch))
    }
}

impl Git {
    /// All of them; only in a shallow clone of some branches, as `git clone --depth` makes it, those that
    /// `remote.<name>.fetch` names, and those that are here. Others would bring their whole history along.
    pub(super) fn branches_to_fetch(&self, remote: &RemoteName) -> Result<Branches> {
        if !self.is_shallow() {
            return Ok(Branches::All);
        }
        let config = self.whole_config()?;
        let mut patterns = Vec::new();
        for refspec in config.every(&format!("remote.{remote}.fetch")) {
            let refspec = refspec.strip_prefix('+').unwrap_or(refspec);
            let source = refspec.split(':').next().unwrap_or_default();
            match source
                .strip_prefix("refs/heads/")
                .map(|name| (name, name.split_once('*')))
            {
                Some(("*", _)) => return Ok(Branches::All),
                Some((_, Some((before, behind)))) => {
                    patterns.push((before.to_owned(), Some(behind.to_owned())));
                }
                Some((name, None)) => patterns.push((name.to_owned(), None)),
                None => {}
            }
        }
        if patterns.is_empty() {
            return Ok(Branches::All);
        }
        let mut known: HashSet<BranchName> = self
            .tracked_branches(remote)?
            .into_iter()
            .map(|(branch, _)| branch)
            .collect();
        let mut look = || -> Result<(), git2::Error> {
            for found in self.repo.references_glob("refs/heads/*")? {
                let found = found?;
                let name = found
                    .name()
                    .ok()
                    .and_then(|name| name.strip_prefix("refs/heads/"));
                known.extend(name.and_then(|name| name.parse().ok()));
            }
            Ok(())
        };
        look().map_err(wrap("list the branches"))?;
        Ok(Branches::Some { patterns, known })
    }
}
