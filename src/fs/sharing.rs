//! Repositories that several users of a machine share: `core.sharedRepository`.
//!
//! git gives every file it makes in a shared repository the permissions that the setting asks for,
//! whatever the umask. libgit2 does not, so that is done here, when a lock is released, for what was made
//! in the git folder while it was held. The rules are those of
//! git's `adjust_shared_perm`,
//! <https://git-scm.com/docs/git-config#Documentation/git-config.txt-coresharedRepository>.

use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Dir, FileType, Mode, OFlags};

/// Uploads under way, with signed addresses in what is written down of them: nobody else's business.
const OWN: &str = "hf-repository/uploads";
const PRIVATE: &str = "hf-repository";
const CONFIG: &str = "config";
/// What is made in the git folder of a repository that is there, beside names like `ORIG_HEAD`.
const MADE_LATER: [&str; 10] = [
    PRIVATE,
    "index",
    "info",
    "lfs",
    "logs",
    "objects",
    "packed-refs",
    "refs",
    "shallow",
    "worktrees",
];

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

    /// Gives an open file or folder the permissions it should have, if it is this user's.
    pub(crate) fn give(self, file: &File) {
        if let Ok(meta) = file.metadata() {
            let mode = meta.mode() & 0o7777;
            set_mode(file, &meta, self.of(mode, meta.is_dir()));
        }
    }
}

/// Best effort: what cannot be changed, others cannot use either, and are told so.
fn set_mode(file: &File, meta: &Metadata, mode: u32) {
    // A second name may be that of another file of the user's, put here by somebody else.
    let is_only_here = meta.is_dir() || (meta.is_file() && meta.nlink() == 1);
    let is_mine = meta.uid() == rustix::process::geteuid().as_raw();
    if meta.mode() & 0o7777 != mode
        && is_only_here
        && is_mine
        && let Err(error) = file.set_permissions(Permissions::from_mode(mode))
    {
        tracing::debug!(%error, "a file of the repository is not shared with others");
    }
}

/// Shares what is made in a git folder while a lock is held.
#[derive(Debug)]
pub(crate) struct Sharer {
    sharing: Sharing,
    git_dir: PathBuf,
    /// When the lock was taken, by the clock that stamps files.
    since: SystemTime,
    /// The mode that the file `config` had then; none if the repository is only being made.
    config: Option<u32>,
}

impl Sharer {
    /// Begins with the last change of the lock's file.
    pub(crate) fn begin(sharing: Sharing, git_dir: &Path, lock: &File) -> Option<Self> {
        let config = std::fs::symlink_metadata(git_dir.join(CONFIG));
        Some(Self {
            sharing,
            git_dir: git_dir.to_path_buf(),
            since: changed(&lock.metadata().ok()?),
            config: config.ok().map(|meta| meta.mode() & 0o7777),
        })
    }

    /// Shares what was made. By open folders, never by paths: others may put links into them.
    pub(crate) fn finish(&self) {
        let Ok(folder) = File::open(&self.git_dir) else {
            return;
        };
        if self.config.is_none() {
            self.sharing.give(&folder);
        }
        self.walk(&folder, Path::new(""));
        // libgit2 makes a new file for each change; git would give it the permissions of the old one.
        if let Some(mode) = self.config
            && let Some(config) = open_in(&folder, CONFIG)
            && let Ok(meta) = config.metadata()
            && changed(&meta) >= self.since
        {
            set_mode(&config, &meta, mode);
        }
    }

    fn walk(&self, folder: &File, at: &Path) {
        let Ok(meta) = folder.metadata() else {
            return;
        };
        let is_ours = at.iter().any(|part| part == PRIVATE);
        let has_changed = is_ours || changed(&meta) >= self.since;
        // No name in it is new, and none is a folder's (where those are counted).
        if !has_changed && meta.nlink() == 2 {
            return;
        }
        for entry in Dir::read_from(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let at = at.join(OsStr::from_bytes(name.to_bytes()));
            let may_be_folder =
                matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            if [c".", c".."].contains(&name)
                || !(has_changed || may_be_folder)
                || !self.is_shared(&at)
            {
                continue;
            }
            let Some(file) = open_in(folder, name) else {
                continue;
            };
            // In our own folder something may have been made while nobody held the lock.
            if is_ours || self.is_new(&file) {
                self.sharing.give(&file);
            }
            if may_be_folder {
                self.walk(&file, &at);
            }
        }
    }

    /// Whether what lies there, seen from the git folder, is for those who share the repository.
    fn is_shared(&self, at: &Path) -> bool {
        let is_being_made = self.config.is_none();
        at != Path::new(OWN) && (is_being_made || is_made_later(at))
    }

    /// Whether a file changed, or a folder was made, while the lock was held.
    fn is_new(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|meta| {
            // A folder changes with each name in it. Some file systems do not know when it was made.
            let made = meta.created().ok().filter(|_| meta.is_dir());
            made.unwrap_or_else(|| changed(&meta)) >= self.since
        })
    }
}

/// Whether git or this library makes such a file once the repository is there; `config`, hooks and
/// whatever a user may keep in the git folder are not among them.
fn is_made_later(at: &Path) -> bool {
    let Some(top) = at.iter().next().and_then(OsStr::to_str) else {
        return false;
    };
    let is_config = at.ends_with("config.worktree");
    (MADE_LATER.contains(&top) && !is_config)
        || top
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// When a file, or what is known of it, changed last.
fn changed(meta: &Metadata) -> SystemTime {
    let number = |value: i64| u64::try_from(value).unwrap_or_default();
    SystemTime::UNIX_EPOCH
        + Duration::from_secs(number(meta.ctime()))
        + Duration::from_nanos(number(meta.ctime_nsec()))
}

/// Opens what lies in a folder, unless it is a link; nothing waits for what may be a pipe.
fn open_in(folder: &File, name: impl rustix::path::Arg) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty()).ok()?;
    Some(File::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("stat").mode() & 0o7777
    }

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().expect("parent")).expect("created");
        fs::write(path, "x").expect("written");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("chmod");
    }

    /// A git folder with old files in it, and what shares the new ones.
    fn begin(folder: &Path) -> Sharer {
        for old in [
            "config",
            "hooks/pre-push",
            "objects/aa/old",
            "refs/heads/main",
        ] {
            write(&folder.join(old));
        }
        write(&folder.join("hf-repository/owners/old"));
        for old in [folder, &folder.join("objects")] {
            fs::set_permissions(old, Permissions::from_mode(0o700)).expect("chmod");
        }
        std::thread::sleep(crate::fs::CLOCK_TICK);
        let lock = folder.join("lock");
        write(&lock);
        Sharer::begin(GROUP, folder, &File::open(lock).expect("opened")).expect("began")
    }

    #[test]
    fn what_was_made_meanwhile_is_shared_and_nothing_else() {
        let folder = tempfile::tempdir().expect("temp");
        let at = |name: &str| folder.path().join(name);
        let sharer = begin(folder.path());
        let own = ["hooks/new", "credentials", "hf-repository/uploads/journal"];
        let new = [
            "objects/aa/new",
            "objects/bb/new",
            "ORIG_HEAD",
            "refs/heads/a/b",
            "worktrees/side/index",
        ];
        for name in own.iter().chain(&new) {
            write(&at(name));
        }
        sharer.finish();
        for name in new {
            assert_eq!(mode(&at(name)), 0o660, "{name}");
        }
        assert_eq!(mode(&at("refs/heads/a")) & 0o2070, 0o2070);
        assert_eq!(mode(&at("hf-repository/owners/old")), 0o660);
        let old = [
            "config",
            "hooks/pre-push",
            "objects/aa/old",
            "refs/heads/main",
        ];
        for name in own.iter().chain(&old) {
            assert_eq!(mode(&at(name)), 0o600, "{name}");
        }
        assert_eq!([mode(folder.path()), mode(&at("objects"))], [0o700; 2]);
    }

    #[test]
    fn a_config_that_is_written_anew_keeps_its_permissions() {
        let folder = tempfile::tempdir().expect("temp");
        let config = folder.path().join("config");
        let sharer = begin(folder.path());
        for new in [0o644, 0o600] {
            fs::set_permissions(&config, Permissions::from_mode(new)).expect("chmod");
            sharer.finish();
            assert_eq!(mode(&config), 0o600);
        }
    }

    #[test]
    fn files_of_the_user_that_others_named_here_are_left_alone() {
        let folder = tempfile::tempdir().expect("temp");
        let users = tempfile::tempdir().expect("temp");
        let key = users.path().join("key");
        let before = mode(users.path());
        let sharer = begin(folder.path());
        write(&key);
        let objects = folder.path().join("objects");
        fs::hard_link(&key, objects.join("hard")).expect("linked");
        std::os::unix::fs::symlink(&key, objects.join("link")).expect("linked");
        std::os::unix::fs::symlink(users.path(), objects.join("links")).expect("linked");
        rustix::fs::mkfifoat(rustix::fs::CWD, objects.join("pipe"), Mode::RWXU).expect("made");
        sharer.finish();
        assert_eq!(mode(&key), 0o600);
        assert_eq!(mode(users.path()), before);
    }
}
