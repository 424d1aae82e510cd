//! Which LFS files get their content.

use crate::error::Result;
use crate::git::Git;
use crate::id::CommitId;
use crate::lfs::filter::Filter;
use crate::path::RepoPath;

/// Which LFS files of a clone get their content; the others stay pointer files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// All of them, as with git and git-lfs.
    #[default]
    Full,
    /// None until [`Repository::fetch_content`](crate::Repository::fetch_content) asks for it.
    PointersOnly,
}

/// Where the choice is kept for later pulls and checkouts.
const KEY: &str = "hf-repository.content";

impl Content {
    /// Keeps the caller's choice.
    pub(crate) fn remember(self, git: &Git) -> Result<()> {
        git.set_config(
            KEY,
            match self {
                Self::Full => "full",
                Self::PointersOnly => "pointers-only",
            },
        )
    }

    /// Lets the choice be nobody's.
    pub(crate) fn forget(git: &Git) -> Result<()> {
        git.unset_config(KEY)
    }

    fn recall(git: &Git) -> Option<Self> {
        match git.config(KEY).as_deref() {
            Some("pointers-only") => Some(Self::PointersOnly),
            Some("full") => Some(Self::Full),
            _ => None,
        }
    }
}

/// Which LFS files get their content: as the caller chose, else as git's config says.
#[derive(Debug)]
pub(crate) enum Wanted {
    Chosen(Content),
    /// `lfs.fetchinclude` and `lfs.fetchexclude`.
    Listed(Filter),
}

impl Wanted {
    /// What holds for a clone whose work tree is on its way to the commit `incoming`.
    pub(crate) fn recall(git: &Git, incoming: Option<CommitId>) -> Result<Self> {
        match Content::recall(git) {
            Some(content) => Ok(Self::Chosen(content)),
            None => Ok(Self::Listed(Filter::read(&git.lfs_config(incoming)?))),
        }
    }

    pub(crate) fn wants(&self, path: &RepoPath) -> bool {
        match self {
            Self::Chosen(content) => *content == Content::Full,
            Self::Listed(filter) => filter.takes(path),
        }
    }
}
