//! Which git-lfs is here, and what it can do.

use crate::error::{Error, ErrorKind, Result};

/// Major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

/// The oldest whose options are used here.
const OLDEST: Version = Version(3, 0);
/// The first whose `push --object-id` takes `--stdin`.
const READS_LISTS: Version = Version(3, 3);

impl Version {
    /// From `git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let numbers = || {
            let mut numbers = text.strip_prefix("git-lfs/")?.split(['.', ' ', '-']);
            let mut next = || numbers.next()?.parse().ok();
            Some(Self(next()?, next()?))
        };
        match numbers() {
            Some(version) if version >= OLDEST => Ok(version),
            _ => Err(Error::new(
                ErrorKind::ProgramMissing,
                "git-lfs is too old, or is no git-lfs",
            )
            .with_server_message(text)
            .with_hint("install git-lfs 3.0 or later, or use the built-in LFS engine")),
        }
    }

    /// Whether object ids may be given as a list to read.
    pub(super) fn reads_object_lists(self) -> bool {
        self >= READS_LISTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let lists = |text: &str| Version::parse(text).map(Version::reads_object_lists);
        assert!(lists("git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)\n").expect("new"));
        assert!(lists("git-lfs/3.10.1-pre (x)").expect("new"));
        assert!(!lists("git-lfs/3.2.0 (GitHub)").expect("old"));
        for text in ["git-lfs/2.13.3 (GitHub)", "git-lfs/x", "", "usage: git lfs"] {
            let error = lists(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::ProgramMissing);
        }
    }
}
