//! History that is cut short, as `git clone --depth` leaves it: `.git/shallow` lists the commits at which it
//! ends here although they have parents.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::refs::commit_id;
use super::{Git, ObjectId, Remote, formats};
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::id::CommitId;
use crate::url::Url;

/// How far back a fetch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// From what is new to what is here.
    New,
    /// So many commits of each branch and tag; at least one.
    Last(NonZeroU32),
    /// To the first commit, whatever is here.
    Whole,
}

/// The depth that git's protocol takes for "all of it".
const INFINITE: i32 = i32::MAX;
/// Present in the private folder while a fetch changes where history ends.
const BEGUN: &str = "depth-unfinished";

impl Reach {
    /// What git's protocol calls the depth; none leaves the ends of history where they are.
    pub(super) fn depth(self) -> Option<i32> {
        match self {
            Self::New => None,
            Self::Last(commits) => Some(i32::try_from(commits.get()).unwrap_or(INFINITE)),
            Self::Whole => Some(INFINITE),
        }
    }
}

/// A fetch that may change where history ends. The pack arrives before the list of ends is written: killed
/// in between, the next fetch must not take the commits that came for complete.
#[must_use]
pub(super) struct Deepening {
    pub(super) reach: Reach,
    mark: PathBuf,
}

impl Deepening {
    fn begin(git: &Git, asked: Reach) -> Result<Self> {
        let mark = super::private_folder(git.common_dir()).join(BEGUN);
        let reach = match asked {
            Reach::New if fs::lstat(&mark)?.is_some() => Reach::Whole,
            asked => asked,
        };
        // With the whole history the old ends are right until they are gone.
        if matches!(reach, Reach::Last(_)) {
            fs::create_parent(&mark)?;
            fs::atomic_write(&mark, b"")?;
        }
        Ok(Self { reach, mark })
    }

    /// Everything is on the disk, refs included.
    pub(super) fn finish(self) -> Result<()> {
        if self.reach == Reach::New {
            return Ok(());
        }
        fs::remove_file_if_exists(&self.mark)
    }
}

impl Git {
    /// Whether history is cut short.
    pub(crate) fn is_shallow(&self) -> bool {
        self.repo.is_shallow()
    }

    /// The commits whose parents were left on the remote.
    pub(crate) fn shallow_roots(&self) -> Result<Vec<CommitId>> {
        let text = fs::read_if_exists(&self.shallow_file())?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let ids = text
            .lines()
            .filter_map(|line| ObjectId::from_str(line).ok());
        Ok(ids.map(commit_id).collect())
    }

    fn shallow_file(&self) -> PathBuf {
        self.git_dir().join("shallow")
    }

    /// Refuses what libgit2 cannot do, and notes what is about to be done.
    pub(super) fn begin_deepening(&self, remote: &Remote, asked: Reach) -> Result<Deepening> {
        self.refuse_cut_folders(remote, asked)?;
        Deepening::begin(self, asked)
    }

    /// Refuses fetches from folders of this machine that libgit2 would get wrong.
    pub(super) fn refuse_cut_folders(&self, remote: &Remote, asked: Reach) -> Result<()> {
        if let Remote::Folder(folder) = remote {
            refuse_depth(remote, asked)?;
            if self.is_shallow() {
                return Err(unsupported(format!(
                    "cannot fetch from the folder {} into a shallow clone",
                    folder.display()
                ))
                .with_hint("run once: git fetch --unshallow"));
            }
            match git2::Repository::open(folder) {
                Ok(there) => refuse_incomplete(&there, folder)?,
                Err(error) => {
                    let error = formats::explain(folder, error);
                    // What else is wrong is told by who asks it for its refs.
                    if error.kind() == ErrorKind::Unsupported {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes the list of ends last, which libgit2 and git leave to the system.
    pub(super) fn sync_shallow(&self) -> Result<()> {
        let file = self.shallow_file();
        if fs::lstat(&file)?.is_some() {
            fs::sync_file(&file)?;
        }
        fs::sync_dir(file.parent().unwrap_or(Path::new(".")))
    }

    /// Another handle, which sees history as it is now: this one keeps commits as it has read them.
    pub(crate) fn anew(&self) -> Result<Self> {
        Self::open(&self.workdir)
    }

    /// Whether two commits have none in common here, but may have beyond the end of history.
    pub(crate) fn may_share_hidden_history(&self, one: CommitId, other: CommitId) -> Result<bool> {
        Ok(self.is_shallow() && self.merge_bases(one, other)?.is_empty())
    }
}

/// Refuses a depth where libgit2 knows none.
pub(crate) fn refuse_depth(remote: &Remote, reach: Reach) -> Result<()> {
    match (remote, reach) {
        (Remote::Folder(folder), Reach::Last(_)) => Err(unsupported(format!(
            "cannot clone {} to a depth: it is a folder of this machine",
            folder.display()
        ))
        .with_hint("leave depth() away, or name an https or ssh address")),
        _ => Ok(()),
    }
}

/// Refuses a folder whose repository lacks objects that its commits name.
fn refuse_incomplete(there: &git2::Repository, folder: &Path) -> Result<()> {
    let (what, remedy) = if there.is_shallow() {
        ("shallow", ", or run there: git fetch --unshallow")
    } else if formats::is_partial(there)? {
        ("partial", "")
    } else {
        return Ok(());
    };
    let text = format!(
        "cannot fetch from {}: it is a {what} clone itself",
        folder.display()
    );
    Err(unsupported(text).with_hint(format!("name where that one came from{remedy}")))
}

/// Refuses a server whose repository is a shallow clone: libgit2 does not understand its listing.
pub(super) fn refuse_listing(listing: &[u8], url: &Url) -> Result<()> {
    /// A packet of that length; no ref has a space in its name.
    const END: &[u8] = b"0035shallow ";
    if !listing.windows(END.len()).any(|bytes| bytes == END) {
        return Ok(());
    }
    let text = format!("cannot use {url}: it is a shallow clone itself");
    Err(unsupported(text)
        .with_hint("use where that one came from, or run on the server: git fetch --unshallow"))
}

fn unsupported(text: String) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}
