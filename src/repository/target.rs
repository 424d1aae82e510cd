//! The folder that becomes a clone, and what becomes of it if it does not.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::git::{Git, private_folder};

/// Present in the private folder until everything is there; it says how the clone is made.
const UNFINISHED: &str = "clone-unfinished";
/// What it holds if files of the folder are to be kept.
const ADOPTING: &[u8] = b"adopt\n";

/// How a folder becomes a clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// There is nothing in it yet.
    Clone,
    /// Files that are there stay as they are.
    Adopt,
}

impl Making {
    /// Notes that a clone is being made.
    pub(super) fn begin(self, git_dir: &Path) -> Result<()> {
        let private = private_folder(git_dir);
        let words = match self {
            Self::Clone => b"",
            Self::Adopt => ADOPTING,
        };
        fs::create_dir_all(&private)?;
        fs::atomic_write(&private.join(UNFINISHED), words)
    }

    /// Keeps files if this call or the one that was interrupted said so.
    pub(super) fn or_as_begun(self, git_dir: &Path) -> Result<Self> {
        if fs::read_start(&mark(git_dir), ADOPTING.len() as u64)?.as_deref() == Some(ADOPTING) {
            return Ok(Self::Adopt);
        }
        if self == Self::Adopt {
            self.begin(git_dir)?;
        }
        Ok(self)
    }
}

/// The file that says so.
fn mark(git_dir: &Path) -> PathBuf {
    private_folder(git_dir).join(UNFINISHED)
}

/// Whether the folder holds a clone that was begun by us and never finished.
pub(super) fn is_unfinished(git_dir: &Path) -> bool {
    // Our own folder comes first: where nothing else is, somebody has only just begun.
    let only_ours = || {
        let private = private_folder(git_dir);
        std::fs::read_dir(git_dir)
            .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|e| e.path() == private)))
    };
    mark(git_dir).exists() || only_ours()
}

/// Notes that everything is there.
pub(super) fn finished(git_dir: &Path) -> Result<()> {
    fs::remove_file_if_exists(&mark(git_dir))
}

/// The folder that is to become a clone.
pub(super) struct Target {
    folder: PathBuf,
    found: Found,
    /// Folders that have to be made, the innermost first.
    lacking: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    EmptyFolder,
    Files,
    Unfinished,
}

impl Target {
    pub(super) fn examine(folder: &Path, how: Making) -> Result<Self> {
        let git_dir = folder.join(".git");
        let found = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => return Err(Error::io("clone into", folder, error)),
            Ok(mut entries) => {
                if is_unfinished(&git_dir) {
                    if how == Making::Clone {
                        refuse_among_files(folder, &git_dir)?;
                    }
                    Found::Unfinished
                } else if entries.next().is_none() {
                    Found::EmptyFolder
                } else if is_unfinished(&git_dir) {
                    // Somebody has begun between the two looks.
                    Found::Unfinished
                } else if how == Making::Adopt {
                    refuse_repository(folder, &git_dir)?;
                    Found::Files
                } else {
                    return Err(not_empty(folder));
                }
            }
        };
        let lacking = folder.ancestors().take_while(|above| !above.exists());
        Ok(Self {
            folder: folder.to_path_buf(),
            found,
            lacking: lacking.map(Path::to_path_buf).collect(),
        })
    }

    pub(super) fn claim(self) -> Result<Guard> {
        fs::create_dir_all(&self.folder)?;
        Ok(Guard {
            folder: Some(self.folder),
            found: self.found,
            made: self.lacking,
        })
    }
}

fn not_empty(folder: &Path) -> Error {
    Error::new(
        ErrorKind::FolderNotEmpty,
        format!(
            "cannot clone into {}: there are files in it",
            folder.display()
        ),
    )
    .with_hint(
        "choose another folder, open_or_clone() if it is a clone, or adopt() it if the files are \
         to stay",
    )
}

/// Files beside a git folder in which no clone was begun are not those of a clone.
fn refuse_among_files(folder: &Path, git_dir: &Path) -> Result<()> {
    // In this order: a clone's files come after the mark.
    if has_work(folder) && !mark(git_dir).exists() {
        return Err(not_empty(folder));
    }
    Ok(())
}

/// What is a repository already, of whatever kind, is not made one.
fn refuse_repository(folder: &Path, git_dir: &Path) -> Result<()> {
    if fs::lstat(git_dir)?.is_none() {
        return Ok(());
    }
    match Git::open(folder) {
        Ok(_) => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("{} is a git repository already", folder.display()),
        )
        .with_hint("open it with open_or_adopt()")),
        Err(error) => Err(Error::new(
            error.kind(),
            format!(
                "cannot adopt {}: it has a .git that is no clone to be opened",
                folder.display()
            ),
        )
        .with_hint("move it away if nobody needs it, and call again")
        .with_source(error)),
    }
}

/// Removes an unfinished clone when dropped, unless there is something in it worth keeping.
#[must_use]
pub(super) struct Guard {
    folder: Option<PathBuf>,
    found: Found,
    made: Vec<PathBuf>,
}

impl Guard {
    pub(super) fn keep(mut self) {
        self.folder = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take() else {
            return;
        };
        // Among somebody's own files, none but the git folder that was made now is ours.
        let keep = match self.found {
            Found::Unfinished => true,
            Found::Nothing | Found::EmptyFolder => has_work(&folder),
            Found::Files => false,
        };
        if keep {
            tracing::warn!(folder = %folder.display(), "the clone is unfinished; call again");
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(folder.join(".git")) {
            tracing::debug!(%error, "nothing to remove");
        }
        for folder in &self.made {
            // Fails, as it should, if something appeared meanwhile.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Whether the folder holds anything besides `.git`: checked-out files, or somebody's own.
fn has_work(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() != ".git"))
}
