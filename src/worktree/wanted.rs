//! Which LFS files get their content.

use crate::error::{Error, ErrorKind, Result};
use crate::git::Git;
use crate::id::CommitId;
use crate::lfs::filter::Filter;
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;

/// Which LFS files of a clone get their content; the others stay pointer files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// All of them, as with git and git-lfs.
    #[default]
    Full,
    /// None until [`Repository::fetch_content`](crate::Repository::fetch_content) asks for it.
    PointersOnly,
    /// Those that any of the patterns catches: globs as in `.gitignore`, where a pattern that matches a
    /// folder is for all in it.
    ///
    /// ```
    /// use hf_repository::{Content, Pattern};
    /// let small = Content::matching(["*.json", "tokenizer/"]);
    /// let globs = ["*.json", "tokenizer/"].map(|glob| Pattern::Glob(glob.to_owned()));
    /// assert_eq!(small, Content::Matching(globs.to_vec()));
    /// ```
    Matching(Vec<Pattern>),
}

/// Where the choice is kept for later pulls and checkouts.
const KEY: &str = "hf-repository.content";
/// Before the patterns, one a line.
const MATCHING: &str = "matching";
const GLOB: &str = "glob ";
const LITERAL: &str = "path ";

impl Content {
    /// [`Matching`](Self::Matching) for globs.
    pub fn matching<G: Into<String>>(globs: impl IntoIterator<Item = G>) -> Self {
        let globs = globs.into_iter();
        Self::Matching(globs.map(|glob| Pattern::Glob(glob.into())).collect())
    }

    /// Refuses globs that mean nothing here.
    pub(crate) fn check(&self) -> Result<()> {
        let Self::Matching(patterns) = self else {
            return Ok(());
        };
        for pattern in patterns {
            let Pattern::Glob(glob) = pattern else {
                continue;
            };
            let odd = glob.contains(['\n', '\r', '\0']) || glob.starts_with('!');
            if odd || glob.trim().trim_matches('/').is_empty() {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{glob:?} is no pattern for the content of files"),
                )
                .with_hint(
                    "a glob looks like \"*.json\" or \"tokenizer/\"; it cannot be negated",
                ));
            }
        }
        Ok(())
    }

    /// Keeps the caller's choice.
    pub(crate) fn remember(&self, git: &Git) -> Result<()> {
        git.set_config(KEY, &self.spelling())
    }

    /// Lets the choice be nobody's.
    pub(crate) fn forget(git: &Git) -> Result<()> {
        git.unset_config(KEY)
    }

    /// What the caller chose, if anything.
    pub(crate) fn recall(git: &Git) -> Option<Self> {
        Self::parse(&git.config(KEY)?)
    }

    fn spelling(&self) -> String {
        let patterns = match self {
            Self::Full => return "full".to_owned(),
            Self::PointersOnly => return "pointers-only".to_owned(),
            Self::Matching(patterns) => patterns,
        };
        let mut text = MATCHING.to_owned();
        for pattern in patterns {
            text += &match pattern {
                Pattern::Glob(glob) => format!("\n{GLOB}{glob}"),
                Pattern::Literal(path) => format!("\n{LITERAL}{}", path.as_str()),
            };
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        match lines.next()? {
            "full" => return Some(Self::Full),
            "pointers-only" => return Some(Self::PointersOnly),
            MATCHING => {}
            _ => return None,
        }
        let pattern = |line: &str| match line.strip_prefix(GLOB) {
            Some(glob) => Some(Pattern::Glob(glob.to_owned())),
            None => {
                let path = line.strip_prefix(LITERAL)?;
                RepoPath::new(path).ok().map(Pattern::Literal)
            }
        };
        Some(Self::Matching(lines.filter_map(pattern).collect()))
    }
}

/// Which LFS files get their content: as the caller chose, else as git's config says.
#[derive(Debug)]
pub(crate) enum Wanted {
    All,
    Nothing,
    /// What the caller's patterns, or `lfs.fetchinclude` and `lfs.fetchexclude`, say.
    Listed(Filter),
}

impl Wanted {
    /// What holds for a clone whose work tree is on its way to the commit `incoming`.
    pub(crate) fn recall(git: &Git, incoming: Option<CommitId>) -> Result<Self> {
        Ok(match Content::recall(git) {
            Some(Content::Full) => Self::All,
            Some(Content::PointersOnly) => Self::Nothing,
            Some(Content::Matching(patterns)) if patterns.is_empty() => Self::Nothing,
            Some(Content::Matching(patterns)) => Self::Listed(Filter::catching(&patterns)),
            None => Self::Listed(Filter::read(&git.lfs_config(incoming)?)),
        })
    }

    pub(crate) fn wants(&self, path: &RepoPath) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Listed(filter) => filter.takes(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_kept_word_for_word() {
        let odd = RepoPath::new("a [b]*\"\\ #;c.bin").expect("a path");
        let listed = Content::Matching(vec![
            Pattern::Glob("*.json".to_owned()),
            Pattern::Glob(" path x".to_owned()),
            Pattern::Literal(odd),
        ]);
        let folder = tempfile::tempdir().expect("temp");
        let main = crate::name::BranchName::main();
        let git = crate::git::create(folder.path(), &main).expect("made");
        for content in [
            Content::Full,
            Content::PointersOnly,
            Content::Matching(Vec::new()),
            listed,
        ] {
            content.remember(&git).expect("kept");
            assert_eq!(Content::recall(&git), Some(content));
        }
        Content::forget(&git).expect("forgotten");
        assert_eq!(Content::recall(&git), None);
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for glob in ["", " ", "/", "!x", "a\nb"] {
            let refused = Content::matching([glob]).check().expect_err(glob);
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
        Content::matching(["*.json", "a/b/"]).check().expect("good");
    }
}
