//! What `.gitattributes` have to say more for files that become LFS files in old commits.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::autotrack::extension;
use super::rules_file::{RulesFile, no_plain_file};
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Filter, Git, Mode, ObjectId, Replacement};
use crate::lfs::attributes;
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;

/// What a tree's own rules lack for some files; commits that follow one another mostly agree.
#[derive(Default)]
pub(super) struct Rules {
    files: Rc<BTreeSet<RepoPath>>,
    /// The `.gitattributes` that speak of those files.
    said_by: BTreeMap<RepoPath, Option<ObjectId>>,
    pub(super) lacking: BTreeSet<Pattern>,
}

impl Rules {
    /// Those of a tree, and the files that were looked at for it: what is `known` of another tree holds
    /// for this one if the same `.gitattributes` speak of the same files.
    pub(super) fn of(
        git: &Git,
        tree: ObjectId,
        files: &Rc<BTreeSet<RepoPath>>,
        known: Option<Self>,
        extensions: &Extensions,
    ) -> Result<(Self, Vec<RepoPath>)> {
        let mut rules = known.unwrap_or_default();
        let same = Rc::ptr_eq(&rules.files, files) || rules.files.is_subset(files);
        if !same || said_in(git, tree, rules.said_by.keys())? != rules.said_by {
            rules = Self::default();
        }
        let fresh: Vec<RepoPath> = files.difference(&rules.files).cloned().collect();
        rules.files = Rc::clone(files);
        if fresh.is_empty() {
            return Ok((rules, fresh));
        }
        let snapshot = git.snapshot(Some(tree))?;
        let mut above = BTreeSet::new();
        for path in &fresh {
            let name = path.as_str();
            let folders = name.match_indices('/').map(|(at, _)| &name[..=at]);
            for folder in folders.chain([""]) {
                above.insert(RepoPath::new(format!("{folder}{}", RulesFile::NAME))?);
            }
            match snapshot.filter(path)? {
                Filter::Lfs => {}
                // No rule overrules what somebody said.
                Filter::Off | Filter::Foreign => return Err(unruled(path)),
                Filter::None => {
                    rules.lacking.insert(extensions.rule(path));
                }
            }
        }
        rules.said_by.extend(said_in(git, tree, above.iter())?);
        Ok((rules, fresh))
    }
}

/// The files of these names that a tree has.
fn said_in<'p>(
    git: &Git,
    tree: ObjectId,
    names: impl Iterator<Item = &'p RepoPath> + Clone,
) -> Result<BTreeMap<RepoPath, Option<ObjectId>>> {
    let mut said: BTreeMap<_, _> = names.clone().map(|name| (name.clone(), None)).collect();
    for (name, (blob, _)) in git.files_at(tree, names)? {
        said.insert(name.clone(), Some(blob));
    }
    Ok(said)
}

/// The root's `.gitattributes` of a tree with more rules, if there are any.
pub(super) fn with_rules(
    git: &Git,
    tree: ObjectId,
    rules: &[Pattern],
) -> Result<Option<Replacement>> {
    if rules.is_empty() {
        return Ok(None);
    }
    let path = RepoPath::new(RulesFile::NAME)?;
    let before = git.file_at(tree, &path)?;
    if before.is_none() && git.has_at(tree, &path)? {
        return Err(no_plain_file(path.as_str()));
    }
    let text = before.map_or(Ok(Vec::new()), |(blob, _)| git.blob(blob))?;
    let blob = git.write_blob(&attributes::track(&text, rules).content)?;
    let mode = before.map_or(Mode::File, |(_, mode)| mode);
    Ok(Some(Replacement { path, blob, mode }))
}

/// Refuses to go on where some other rule keeps a file from LFS.
pub(super) fn refuse_unruled(git: &Git, tree: ObjectId, files: &[RepoPath]) -> Result<()> {
    let snapshot = git.snapshot(Some(tree))?;
    for path in files {
        if !snapshot.is_lfs(path)? {
            return Err(unruled(path));
        }
    }
    Ok(())
}

fn unruled(path: &RepoPath) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("cannot give {path} to LFS: another rule forbids it"),
    )
    .with_hint(
        "a .gitattributes of its commits, or .git/info/attributes, says otherwise: \
         take that rule out of the commits: git rebase -i",
    )
}

/// Extensions of which a rule may be made.
pub(super) struct Extensions(BTreeSet<String>);

impl Extensions {
    pub(super) fn new(candidates: BTreeSet<String>) -> Self {
        Self(candidates)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn speaks_of(&self, path: &RepoPath) -> bool {
        extension(path).is_some_and(|extension| self.0.contains(extension))
    }

    pub(super) fn forbid(&mut self, path: &RepoPath) {
        if let Some(extension) = extension(path) {
            self.0.remove(extension);
        }
    }

    fn rule(&self, path: &RepoPath) -> Pattern {
        match extension(path) {
            Some(extension) if self.0.contains(extension) => {
                Pattern::Glob(format!("*.{extension}"))
            }
            _ => Pattern::Literal(path.clone()),
        }
    }
}
