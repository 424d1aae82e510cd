//! Repositories that several users of a machine share: `core.sharedRepository`.
//!
//! git gives every file it makes in a shared repository the permissions that the setting asks for,
//! whatever the umask. libgit2 does not, and neither do the files it makes, so that is done here, for all
//! that lies in the git folder, when a lock under which it was written is released. The rules are those of
//! git's `adjust_shared_perm`,
//! <https://git-scm.com/docs/git-config#Documentation/git-config.txt-coresharedRepository>.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Uploads under way, with signed addresses in what is written down of them: nobody else's business.
const OWN: &str = "hf-repository/uploads";

/// What others may do with the files of a repository, beyond what the umask gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// At least this.
    AtLeast(u32),
    /// Just this.
    Exactly(u32),
}

const GROUP: Sharing = Sharing::AtLeast(0o660);
const EVERYBODY: Sharing = Sharing::AtLeast(0o664);

impl Sharing {
    /// Reads the setting; none where the umask alone counts, or nothing of it can be understood.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let number = || u32::from_str_radix(value, 8).ok();
        match value.to_ascii_lowercase().as_str() {
            "umask" | "false" | "no" | "off" | "" => None,
            "group" | "true" | "yes" | "on" => Some(GROUP),
            "all" | "world" | "everybody" => Some(EVERYBODY),
            _ => match number()? {
                1 => Some(GROUP),
                2 => Some(EVERYBODY),
                // git refuses a mode that takes the files from their owner.
                mode if mode & 0o600 == 0o600 => Some(Self::Exactly(mode & 0o666)),
                _ => None,
            },
        }
    }

    /// The mode a file or folder should have that has `mode`.
    fn of(self, mode: u32, is_folder: bool) -> u32 {
        let (Self::AtLeast(mut wanted) | Self::Exactly(mut wanted)) = self;
        if mode & 0o200 == 0 {
            wanted &= !0o222;
        }
        if is_folder || mode & 0o100 != 0 {
            // Who may read a folder may enter it.
            wanted |= (wanted & 0o444) >> 2;
        }
        let kept = match self {
            Self::AtLeast(_) => mode,
            Self::Exactly(_) => mode & !0o777,
        };
        let group = if is_folder { 0o2000 } else { 0 };
        kept | wanted | group
    }

    /// Gives what lies in a git folder, and belongs to this user, the permissions it should have.
    ///
    /// Best effort: what cannot be changed, others cannot use either, and are told so.
    pub(crate) fn apply(self, git_dir: &Path) {
        self.apply_to(git_dir);
        for entry in fs::read_dir(git_dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !entry.path().ends_with(OWN) => {
                    self.apply(&entry.path());
                }
                Ok(kind) if kind.is_file() => self.apply_to(&entry.path()),
                _ => {}
            }
        }
    }

    fn apply_to(self, path: &Path) {
        let Ok(meta) = fs::symlink_metadata(path) else {
            return;
        };
        let mode = meta.permissions().mode() & 0o7777;
        let wanted = self.of(mode, meta.is_dir());
        if mode != wanted
            && is_mine(&meta)
            && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(wanted))
        {
            tracing::debug!(%error, path = %path.display(), "not shared with others");
        }
    }
}

fn is_mine(meta: &Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_git_reads_them() {
        for (value, sharing) in [
            ("umask", None),
            ("false", None),
            ("0", None),
            ("group", Some(GROUP)),
            ("TRUE", Some(GROUP)),
            ("1", Some(GROUP)),
            ("all", Some(EVERYBODY)),
            ("world", Some(EVERYBODY)),
            ("2", Some(EVERYBODY)),
            ("0640", Some(Sharing::Exactly(0o640))),
            ("0777", Some(Sharing::Exactly(0o666))),
            ("0440", None),
            ("nonsense", None),
        ] {
            assert_eq!(Sharing::parse(value), sharing, "{value}");
        }
    }

    #[test]
    fn modes_are_those_of_git() {
        for (sharing, mode, is_folder, expected) in [
            (GROUP, 0o644, false, 0o664),
            (GROUP, 0o600, false, 0o660),
            (GROUP, 0o444, false, 0o444),
            (GROUP, 0o400, false, 0o440),
            (GROUP, 0o755, false, 0o775),
            (GROUP, 0o755, true, 0o2775),
            (GROUP, 0o700, true, 0o2770),
            (EVERYBODY, 0o600, false, 0o664),
            (EVERYBODY, 0o700, true, 0o2775),
            (Sharing::Exactly(0o640), 0o664, false, 0o640),
            (Sharing::Exactly(0o640), 0o775, true, 0o2750),
            (Sharing::Exactly(0o640), 0o444, false, 0o440),
        ] {
            let got = sharing.of(mode, is_folder);
            assert_eq!(got, expected, "{sharing:?} {mode:o}: {got:o}");
        }
    }
}
