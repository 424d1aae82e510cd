//! Which paths a call is about.

use std::collections::BTreeSet;

use super::options::StageOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::git::{Git, Index};
use crate::path::RepoPath;

/// The paths a user named, none meaning all, without those that are to be left out.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    named: BTreeSet<RepoPath>,
    excluded: BTreeSet<RepoPath>,
    /// Files of which no other is looked at.
    only: Option<BTreeSet<RepoPath>>,
}

impl Selection {
    pub(crate) fn new(options: &StageOptions) -> Result<Self> {
        let read = |paths: &[String]| -> Result<BTreeSet<RepoPath>> {
            paths.iter().map(|path| clean(path)).collect()
        };
        // "." is how people spell "everything".
        let named = if options.paths.iter().any(|path| path == ".") {
            BTreeSet::new()
        } else {
            read(&options.paths)?
        };
        Ok(Self {
            named,
            excluded: read(&options.excluded)?,
            only: options.only.clone(),
        })
    }

    pub(crate) fn takes(&self, path: &RepoPath) -> bool {
        let name = path.as_str();
        self.only.as_ref().is_none_or(|only| only.contains(path))
            && (self.named.is_empty() || is_within(&self.named, name))
            && !self.excludes(name)
    }

    /// Whether every file below a folder is looked at; "" is the root.
    pub(crate) fn takes_all_of(&self, folder: &str) -> bool {
        let named = self.named.is_empty() || is_within(&self.named, folder);
        named && self.only.is_none() && self.excluded.is_empty()
    }

    /// Whether a path is taken along when a rule reaches it, although nobody named it as changed.
    pub(crate) fn takes_unchanged(&self, path: &RepoPath) -> bool {
        let name = path.as_str();
        self.only.is_some()
            && (self.named.is_empty() || is_within(&self.named, name))
            && !self.excludes(name)
    }

    /// Whether a name, be it a path of ours or not, is to be left out.
    pub(crate) fn excludes(&self, name: &str) -> bool {
        is_within(&self.excluded, name)
    }

    /// Every name must mean something, and nothing that is ignored.
    pub(crate) fn check(&self, git: &Git, index: &Index) -> Result<()> {
        for named in &self.named {
            let mut tracked = false;
            for entry in index.entries() {
                if entry?.path.is_within(named.as_str()) {
                    tracked = true;
                    break;
                }
            }
            if tracked {
                continue;
            }
            if fs::lstat(&named.under(git.workdir()))?.is_none() {
                return Err(Error::new(
                    ErrorKind::PathNotFound,
                    format!("cannot stage {named}: there is no such file"),
                )
                .with_hint("name files relative to the root of the work tree"));
            }
            if git.is_ignored(named)? {
                return Err(Error::new(
                    ErrorKind::PathIgnored,
                    format!("cannot stage {named}: .gitignore excludes it"),
                )
                .with_hint("change the ignore rule, or leave the file out"));
            }
        }
        Ok(())
    }
}

/// Whether the set has the name, or a folder it lies in; there may be many of both.
fn is_within(set: &BTreeSet<RepoPath>, name: &str) -> bool {
    let folders = name.match_indices('/').map(|(at, _)| &name[..at]);
    !set.is_empty() && folders.chain([name]).any(|part| set.contains(part))
}

fn clean(path: &str) -> Result<RepoPath> {
    let path = path.strip_prefix("./").unwrap_or(path);
    RepoPath::new(path.strip_suffix('/').unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(named: &[&str], excluded: &[&str]) -> Result<Selection> {
        let mut options = StageOptions::default();
        for name in named {
            options = options.path(*name);
        }
        for name in excluded {
            options = options.exclude(*name);
        }
        Selection::new(&options)
    }

    #[test]
    fn what_is_left_out_wins_over_what_is_named() {
        let takes =
            |selection: &Selection, name: &str| selection.takes(&RepoPath::new(name).expect(name));
        let all = selection(&[], &["./a/b/", "c.txt"]).expect("valid");
        assert!(takes(&all, "a/x") && takes(&all, "a/bc") && takes(&all, "d/c.txt"));
        assert!(!takes(&all, "a/b") && !takes(&all, "a/b/x") && !takes(&all, "c.txt"));
        let some = selection(&["a"], &["a/b"]).expect("valid");
        assert!(takes(&some, "a/x") && !takes(&some, "a/b/x") && !takes(&some, "d"));
        assert!(takes(&selection(&["."], &[]).expect("valid"), "anything"));
        for bad in ["", ".", "/etc", "../x", "*/../.git"] {
            assert!(selection(&[], &[bad]).is_err(), "{bad:?}");
        }
    }
}
