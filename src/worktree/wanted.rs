//! Which LFS files get their content.

use crate::error::Result;
use crate::git::Git;

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
    pub(crate) fn remember(self, git: &Git) -> Result<()> {
        match self {
            Self::Full if git.config(KEY).is_none() => Ok(()),
            Self::Full => git.set_config(KEY, "full"),
            Self::PointersOnly => git.set_config(KEY, "pointers-only"),
        }
    }

    pub(crate) fn recall(git: &Git) -> Self {
        match git.config(KEY).as_deref() {
            Some("pointers-only") => Self::PointersOnly,
            _ => Self::Full,
        }
    }

    pub(crate) fn wants(self) -> bool {
        self == Self::Full
    }
}
