//! Rules that name files which are no more.

use std::collections::{BTreeMap, BTreeSet};

use super::rules_file::{file_of, read_if_plain};
use super::scan::Folders;
use super::selection::Selection;
use crate::error::Result;
use crate::git::{Git, Index};
use crate::gitattributes::{Case, Glob};
use crate::lfs::attributes::rules_of_files;
use crate::path::RepoPath;

/// Files whose rules are to be taken out, by the folder that has these rules and as seen from there.
pub(super) type StaleRules = BTreeMap<String, Vec<RepoPath>>;

/// Finds LFS rules that name a file of `removed`, in the root's `.gitattributes` and in those of the
/// folders it lay in.
///
/// A rule that some other file needs, be it in the index or one of the `present`, stays. Globs always do.
pub(super) fn stale_rules(
    git: &Git,
    index: &Index,
    selection: &Selection,
    present: &[&RepoPath],
    removed: &[RepoPath],
) -> Result<StaleRules> {
    if removed.is_empty() {
        return Ok(StaleRules::new());
    }
    // Per folder with rules, the names its files had, as seen from there.
    let mut gone: BTreeMap<&str, Vec<RepoPath>> = BTreeMap::new();
    for path in removed {
        let name = path.as_str();
        gone.entry("").or_default().push(path.clone());
        for (at, _) in name.match_indices('/') {
            let below = RepoPath::new(&name[at + 1..])?;
            gone.entry(&name[..at]).or_default().push(below);
        }
    }
    let mut folders = Folders::new(git);
    let mut stale = StaleRules::new();
    let others = everything(index, present)?;
    for (folder, names) in gone {
        let file = file_of(folder)?;
        if selection.excludes(file.as_str()) || !folders.holds(&file)? {
            continue;
        }
        let Some(content) = read_if_plain(&file.under(git.workdir()))? else {
            continue;
        };
        let found = rules_of_files(&content, &names, |glob| {
            // Of what was not looked at, nobody knows whether it needs the rule.
            !selection.takes_all_of(folder) || any_matches(glob, folder, &others)
        });
        if !found.is_empty() {
            stale.insert(folder.to_owned(), found);
        }
    }
    Ok(stale)
}

fn everything(index: &Index, present: &[&RepoPath]) -> Result<BTreeSet<RepoPath>> {
    let mut all: BTreeSet<RepoPath> = present.iter().copied().cloned().collect();
    for entry in index.entries() {
        all.insert(entry?.path);
    }
    Ok(all)
}

fn any_matches(glob: &Glob, folder: &str, paths: &BTreeSet<RepoPath>) -> bool {
    paths.iter().any(|path| {
        let below = match folder {
            "" => Some(path.as_str()),
            folder => {
                let rest = path.as_str().strip_prefix(folder);
                rest.and_then(|rest| rest.strip_prefix('/'))
            }
        };
        below.is_some_and(|name| glob.matches(name, Case::Folds))
    })
}
