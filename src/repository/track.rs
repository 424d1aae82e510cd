use std::collections::BTreeMap;

use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::git::{Filter, Git};
use crate::gitattributes::{Case, Glob};
use crate::lfs::attributes::{self, Edit, Outcome};
use crate::lfs::pattern::{Pattern, is_read_by_git};
use crate::lfs::rule::Lockable;
use crate::path::RepoPath;
use crate::worktree::{Folders, read_if_plain, read_rules, rules_file_of};

/// How rules are written by [`Repository::track_with`].
///
/// ```
/// use hf_repository::{Lockable, TrackOptions};
/// let options = TrackOptions::default().lockable(Lockable::Yes);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TrackOptions {
    lockable: Lockable,
}

impl TrackOptions {
    /// Says whether git-lfs is to treat the files as lockable.
    #[must_use]
    pub fn lockable(mut self, lockable: Lockable) -> Self {
        self.lockable = lockable;
        self
    }
}

/// What [`Repository::track`] or [`Repository::untrack`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackReport {
    /// Patterns whose rule was written or taken out.
    pub changed: Vec<Pattern>,
    /// Patterns that were as wanted already.
    pub unchanged: Vec<Pattern>,
}

/// Rules for LFS files.
impl Repository {
    /// Gives files to LFS, by rules in the root's `.gitattributes`.
    ///
    /// Files that are committed as they are become LFS files when they are staged next.
    ///
    /// ```no_run
    /// use hf_repository::{Pattern, RepoPath, Repository};
    /// let repo = Repository::open("out")?;
    /// repo.track([Pattern::Glob("*.bin".into()), Pattern::Literal(RepoPath::new("a [1].txt")?)])?;
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`track_with`](Self::track_with).
    pub fn track(&self, patterns: impl IntoIterator<Item = Pattern>) -> Result<TrackReport> {
        self.track_with(patterns, &TrackOptions::default())
    }

    /// Does so as `options` say.
    ///
    /// A line that says something else of the same files is changed where it stands; other attributes
    /// in it stay, a `diff` or `merge` driver of its own among them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a pattern no rule can hold,
    /// or that would catch `.gitattributes`, `.gitignore` or a file in the index whose name begins with
    /// `.git`; for a file that a nearer `.gitattributes` or `.git/info/attributes` keeps from LFS.
    /// Nothing is written then.
    pub fn track_with(
        &self,
        patterns: impl IntoIterator<Item = Pattern>,
        options: &TrackOptions,
    ) -> Result<TrackReport> {
        let patterns = checked(patterns, Pattern::check_new)?;
        self.settle();
        let git = self.local.git()?;
        let _lock = self.local.lock(&[])?;
        let file = self.workdir().join(rules_file_of("")?.as_str());
        let before = read_rules(&file)?.unwrap_or_default();
        let edit = attributes::track_as(&before, &patterns, options.lockable);
        check_effect(&git, &patterns, &edit)?;
        if edit.content != before {
            fs::atomic_write_by_way_of(&self.local.private(), &file, &edit.content)?;
        }
        Ok(report(patterns, edit.outcomes))
    }

    /// Takes such rules out again, whoever wrote them, wherever they are.
    ///
    /// The rules for `sub/x` may be in the root's `.gitattributes` and, as `x`, in `sub/.gitattributes`:
    /// all are taken out. So are those for `sub/*.bin`, which are `/*.bin` there. What a line says of
    /// other attributes than git-lfs's stays. A file that a glob gives to LFS as well stays an LFS file;
    /// [`is_tracked_with_lfs`](Self::is_tracked_with_lfs) tells.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a pattern no rule can hold.
    pub fn untrack(&self, patterns: impl IntoIterator<Item = Pattern>) -> Result<TrackReport> {
        let patterns = checked(patterns, Pattern::check)?;
        self.settle();
        let git = self.local.git()?;
        let _lock = self.local.lock(&[])?;
        let mut places: BTreeMap<String, (Vec<usize>, Vec<Pattern>)> = BTreeMap::new();
        for (at, pattern) in patterns.iter().enumerate() {
            for (folder, below) in pattern.places() {
                let place = places.entry(folder).or_default();
                place.0.push(at);
                place.1.push(below);
            }
        }
        let mut outcomes = vec![Outcome::Unchanged; patterns.len()];
        let mut folders = Folders::new(&git);
        // What is refused at the root is refused before anything is written.
        for (folder, (which, below)) in places {
            let name = rules_file_of(&folder)?;
            let file = name.under(self.workdir());
            let before = match &*folder {
                "" => read_rules(&file)?,
                _ if folders.holds(&name)? => read_if_plain(&file)?,
                _ => None,
            };
            let Some(before) = before else { continue };
            let edit = attributes::untrack(&before, &below);
            if edit.content != before {
                fs::atomic_write_by_way_of(&self.local.private(), &file, &edit.content)?;
            }
            for (at, outcome) in which.into_iter().zip(edit.outcomes) {
                if outcome == Outcome::Changed {
                    outcomes[at] = outcome;
                }
            }
        }
        Ok(report(patterns, outcomes))
    }

    /// Whether `.gitattributes` give a file to LFS.
    ///
    /// # Errors
    /// If the rules cannot be read.
    pub fn is_tracked_with_lfs(&self, path: &RepoPath) -> Result<bool> {
        self.local.git()?.is_lfs_in_worktree(path)
    }
}

fn checked(
    patterns: impl IntoIterator<Item = Pattern>,
    check: fn(&Pattern) -> Result<()>,
) -> Result<Vec<Pattern>> {
    let patterns: Vec<Pattern> = patterns.into_iter().collect();
    patterns.iter().try_for_each(check)?;
    Ok(patterns)
}

/// Rules for single files must count, and new globs catch none of git's own files.
fn check_effect(git: &Git, patterns: &[Pattern], edit: &Edit) -> Result<()> {
    let after = git.attributes()?.with_root(&edit.content);
    let mut globs = Vec::new();
    for (pattern, outcome) in patterns.iter().zip(&edit.outcomes) {
        if let (Pattern::Glob(_), Outcome::Changed) = (pattern, outcome) {
            globs.extend(pattern.glob().map(|glob| (pattern, glob)));
        }
        if let Pattern::Literal(path) = pattern
            && after.filter(path)? != Filter::Lfs
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("cannot track {path} with LFS: a nearer rule says otherwise"),
            )
            .with_hint(
                "look for it with git check-attr in the .gitattributes of its folders and in \
                 .git/info/attributes",
            ));
        }
    }
    if globs.is_empty() {
        return Ok(());
    }
    for entry in git.index()?.entries() {
        let path = entry?.path;
        let is_gits = is_read_by_git(&path);
        let catches = |(_, glob): &&(&Pattern, Glob)| glob.matches(path.as_str(), Case::Counts);
        if let Some((pattern, _)) = globs.iter().filter(|_| is_gits).find(catches) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("cannot track {pattern} with LFS: it would catch {path}"),
            )
            .with_hint("git must be able to read that file: choose a narrower glob"));
        }
    }
    Ok(())
}

fn report(patterns: Vec<Pattern>, outcomes: Vec<Outcome>) -> TrackReport {
    let mut report = TrackReport::default();
    for (pattern, outcome) in patterns.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Changed => report.changed.push(pattern),
            Outcome::Unchanged => report.unchanged.push(pattern),
        }
    }
    report
}
