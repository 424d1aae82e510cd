//! What a prune is asked to do, and how long it keeps what is recent.
//!
//! Keys and defaults are git-lfs's:
//! <https://github.com/git-lfs/git-lfs/blob/main/docs/man/git-lfs-prune.adoc>.

use crate::config::{Config, switch};
use crate::secret::Shown;

/// How pruning finds out that the remote has what it is about to delete here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyRemote {
    /// The remote is asked for its refs, and the LFS server for each object; what it does not have
    /// stays. Like `git lfs prune --verify-remote`, but for the refs, and such an object stops nothing.
    AskServer,
    /// What tracking refs lead to counts as being on the remote: nobody is asked, and no network is
    /// needed. Like `git lfs prune --no-verify-remote`: if the remote lost a branch or an object since
    /// it was last heard of, the only copy is deleted.
    TrackingRefs,
}

/// What pruning keeps only because it is recent, so that going back to it needs no download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepRecent {
    /// As git's config says: `lfs.fetchrecentrefsdays` (7), `lfs.fetchrecentremoterefs` (true),
    /// `lfs.fetchrecentcommitsdays` (0) and `lfs.pruneoffsetdays` (3), which is added to either.
    #[default]
    Configured,
    /// This many days, whatever the config says of them; nothing is added, and 0 is none.
    Days {
        /// A branch, tracking ref or lightweight tag whose commit is younger keeps what the commit
        /// holds.
        refs: u32,
        /// HEAD and each of those refs keep what was replaced within so many days before their commit.
        commits: u32,
    },
    /// Nothing, like `git lfs prune --recent`.
    Nothing,
}

/// Whether pruning changes anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pruning {
    #[default]
    Delete,
    DryRun,
}

/// What a caller wants of a prune.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PruneWish {
    pub(crate) how: Pruning,
    /// None is each engine's own default.
    pub(crate) verify: Option<VerifyRemote>,
    pub(crate) recent: KeepRecent,
}

/// How long what is recent is kept, in days; 0 is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) refs: u32,
    /// Whether tracking refs count among the refs.
    pub(crate) remote_refs: bool,
    pub(crate) commits: u32,
}

impl KeepRecent {
    pub(crate) fn window(self, config: &Config) -> Window {
        let days = |key, default| days(config, key, default);
        let remote_refs = config
            .get("lfs.fetchrecentremoterefs")
            .and_then(switch)
            .unwrap_or(true);
        let (refs, commits) = match self {
            Self::Nothing => (0, 0),
            Self::Days { refs, commits } => (refs, commits),
            Self::Configured => {
                let offset = days("lfs.pruneoffsetdays", 3);
                let within = |days: u32| {
                    if days == 0 {
                        0
                    } else {
                        days.saturating_add(offset)
                    }
                };
                (
                    within(days("lfs.fetchrecentrefsdays", 7)),
                    within(days("lfs.fetchrecentcommitsdays", 0)),
                )
            }
        };
        Window {
            refs,
            remote_refs,
            commits,
        }
    }
}

/// A number of days; what cannot be read is said, and counts as not set, as in git-lfs.
fn days(config: &Config, key: &str, default: u32) -> u32 {
    let Some(value) = config.get(key).filter(|value| !value.is_empty()) else {
        return default;
    };
    match value.parse::<i64>() {
        Ok(days) if days <= 0 => 0,
        Ok(days) => u32::try_from(days).unwrap_or(u32::MAX),
        Err(_) => {
            tracing::warn!(key, value = %Shown(value), "left out: it is no number of days");
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Writer;

    #[test]
    fn days_are_read_as_git_lfs_reads_them() {
        let window = |recent: KeepRecent, values: &[(&str, &str)]| {
            let mut config = Config::default();
            for (key, value) in values {
                config.push(&format!("lfs.{key}"), value, Writer::User);
            }
            let Window {
                refs,
                remote_refs,
                commits,
            } = recent.window(&config);
            (refs, remote_refs, commits)
        };
        let configured = |values: &[(&str, &str)]| window(KeepRecent::Configured, values);
        assert_eq!(configured(&[]), (10, true, 0));
        assert_eq!(
            configured(&[
                ("fetchrecentrefsdays", "1"),
                ("fetchrecentcommitsdays", "5"),
                ("pruneoffsetdays", "2"),
                ("fetchrecentremoterefs", "false"),
            ]),
            (3, false, 7)
        );
        // The offset alone keeps nothing.
        assert_eq!(configured(&[("fetchrecentrefsdays", "0")]), (0, true, 0));
        assert_eq!(configured(&[("fetchrecentrefsdays", "-4")]), (0, true, 0));
        assert_eq!(
            configured(&[("fetchrecentrefsdays", "99999999999")]),
            (u32::MAX, true, 0)
        );
        for odd in ["", "a week", "1.5"] {
            assert_eq!(configured(&[("fetchrecentrefsdays", odd)]), (10, true, 0));
        }
        let days = KeepRecent::Days {
            refs: 2,
            commits: 1,
        };
        assert_eq!(window(days, &[("pruneoffsetdays", "9")]), (2, true, 1));
        let nothing = window(KeepRecent::Nothing, &[("fetchrecentcommitsdays", "9")]);
        assert_eq!((nothing.0, nothing.2), (0, 0));
    }
}
