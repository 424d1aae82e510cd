//! Which paths a call is about.

use std::collections::BTreeSet;
use std::ops::Bound;

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
        self.takes_name(path.as_str())
    }

    fn takes_name(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(name))
            && (self.named.is_empty() || is_within(&self.named, name))
            && !self.excludes(name)
    }

    /// The same for the bytes of a path.
    pub(super) fn takes_bytes(&self, path: &[u8]) -> bool {
        self.takes_everything() || std::str::from_utf8(path).is_ok_and(|name| self.takes_name(name))
    }

    fn takes_everything(&self) -> bool {
        self.named.is_empty() && self.excluded.is_empty() && self.only.is_none()
    }

    /// Whether something below a folder, whose name ends with `/`, may be taken.
    pub(super) fn reaches(&self, folder: &[u8]) -> bool {
        if self.takes_everything() {
            return true;
        }
        // Nothing with another name is ever taken, but it is told of.
        let Ok(folder) = std::str::from_utf8(folder) else {
            return true;
        };
        let name = folder.trim_end_matches('/');
        let named = |set| is_within(set, name) || has_below(set, folder);
        !self.excludes(name)
            && (self.named.is_empty() || named(&self.named))
            && self
                .only
                .as_ref()
                .is_none_or(|only| has_below(only, folder))
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

/// Whether the set has something below a folder, whose name ends with `/`.
fn has_below(set: &BTreeSet<RepoPath>, folder: &str) -> bool {
    let mut behind = set.range::<str, _>((Bound::Excluded(folder), Bound::Unbounded));
    behind
        .next()
        .is_some_and(|path| path.as_str().starts_with(folder))
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
