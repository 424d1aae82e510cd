use super::Repository;
use crate::error::Result;
use crate::fs;
use crate::lfs::attributes;
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;
use crate::worktree::read_rules;

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
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a pattern no rule can hold,
    /// or that would catch `.gitattributes` itself.
    pub fn track(&self, patterns: impl IntoIterator<Item = Pattern>) -> Result<TrackReport> {
        self.edit(patterns, attributes::track)
    }

    /// Takes such rules out again, whoever wrote them.
    ///
    /// # Errors
    /// As [`track`](Self::track).
    pub fn untrack(&self, patterns: impl IntoIterator<Item = Pattern>) -> Result<TrackReport> {
        self.edit(patterns, attributes::untrack)
    }

    /// Whether `.gitattributes` give a file to LFS.
    ///
    /// # Errors
    /// If the rules cannot be read.
    pub fn is_tracked_with_lfs(&self, path: &RepoPath) -> Result<bool> {
        self.local.git()?.is_lfs_in_worktree(path)
    }

    fn edit(
        &self,
        patterns: impl IntoIterator<Item = Pattern>,
        change: fn(&[u8], &[Pattern]) -> attributes::Edit,
    ) -> Result<TrackReport> {
        let patterns: Vec<Pattern> = patterns.into_iter().collect();
        for pattern in &patterns {
            pattern.check()?;
        }
        self.settle();
        let _lock = self.local.lock(&[])?;
        let file = self.workdir().join(".gitattributes");
        let before = read_rules(&file)?.unwrap_or_default();
        let edit = change(&before, &patterns);
        if edit.content != before {
            fs::atomic_write_by_way_of(&self.local.private(), &file, &edit.content)?;
        }
        let mut report = TrackReport::default();
        for (pattern, outcome) in patterns.into_iter().zip(edit.outcomes) {
            match outcome {
                attributes::Outcome::Changed => report.changed.push(pattern),
                attributes::Outcome::Unchanged => report.unchanged.push(pattern),
            }
        }
        Ok(report)
    }
}
