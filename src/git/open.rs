//! Opening and creating repositories, and the checks that come first.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use git2::{ConfigLevel, ErrorCode, Repository, RepositoryInitOptions, RepositoryOpenFlags};

use super::error::wrap;
use super::{Git, formats};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{FileKind, lstat};
use crate::name::BranchName;

/// Makes libgit2 fsync loose objects and refs. In the clone's own config git would warn about it.
const PRIVATE_CONFIG: &[u8] = b"[core]\n\tfsyncObjectFiles = true\n";

/// Where this library keeps its own files inside a repository.
pub(crate) fn private_folder(git_dir: &Path) -> PathBuf {
    git_dir.join("hf-repository")
}

/// Another repository on this machine, as far as its objects are concerned.
pub(crate) struct Elsewhere {
    /// Its git folder.
    pub(crate) git_dir: PathBuf,
    /// The git folder that its work trees share.
    pub(crate) common_dir: PathBuf,
    /// Its `lfs.storage`.
    pub(crate) lfs_storage: Option<String>,
}

impl Elsewhere {
    /// Looks at a repository: bare, or with a work tree. What cannot be opened is taken for a git folder.
    pub(crate) fn at(folder: &Path) -> Self {
        let Ok(repo) = Repository::open(folder) else {
            return Self {
                git_dir: folder.to_path_buf(),
                common_dir: folder.to_path_buf(),
                lfs_storage: None,
            };
        };
        let config = repo.config().and_then(|mut config| config.snapshot());
        let storage = config.and_then(|config| config.get_str("lfs.storage").map(str::to_owned));
        Self {
            git_dir: repo.path().to_path_buf(),
            common_dir: repo.commondir().to_path_buf(),
            lfs_storage: storage.ok(),
        }
    }
}

/// Creates an empty repository with an unborn `branch`, and opens it.
pub(crate) fn create(workdir: &Path, branch: &BranchName) -> Result<Git> {
    let mut options = RepositoryInitOptions::new();
    // Templates hold hooks and excludes of the user's choosing; git applies them, so do we.
    options
        .mkdir(true)
        .mkpath(true)
        .initial_head(branch.as_str());
    Repository::init_opts(workdir, &options).map_err(wrap(&format!(
        "create a repository in {}",
        workdir.display()
    )))?;
    Git::open(workdir)
}

/// git's rule, and libgit2's: what somebody else wrote may run programs.
fn foreign_owner(folder: &Path) -> Error {
    let real = folder.canonicalize();
    let path = real.as_deref().unwrap_or(folder).display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let path = if path.chars().all(plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    };
    Error::new(
        ErrorKind::ForeignOwner,
        format!("{} belongs to another user", folder.display()),
    )
    .with_hint(format!(
        "if you trust it, run: git config --global --add safe.directory {path}"
    ))
}

/// A handle on a repository that was opened and checked before.
pub(super) fn open_again(workdir: &Path) -> Result<Repository> {
    // By the work tree's folder: from a `.git` that lies elsewhere libgit2 would guess one.
    let none: [&str; 0] = [];
    Repository::open_ext(workdir, RepositoryOpenFlags::NO_SEARCH, none)
        .map_err(wrap("open the repository again"))
}

fn bare(folder: &Path) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{} is a bare repository", folder.display()),
    )
    .with_hint("open a clone with a work tree; if it is one, run: git config core.bare false")
}

impl Git {
    /// Opens the repository whose work tree's root is `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let not_a_repo = |why: &str| {
            Error::new(
                ErrorKind::NotARepository,
                format!("{} is not a git repository: {why}", folder.display()),
            )
            .with_hint("clone into it with Repository::prepare(source, folder).clone_repo()")
        };
        if !folder.join(".git").exists() {
            // What git makes with --bare or --mirror.
            if ["objects", "refs", "HEAD"]
                .iter()
                .all(|name| folder.join(name).exists())
            {
                return Err(bare(folder));
            }
            return Err(not_a_repo("it has no .git"));
        }
        let none: [&str; 0] = [];
        let repo = Repository::open_ext(folder, RepositoryOpenFlags::NO_SEARCH, none).map_err(
            |error| match error.code() {
                ErrorCode::NotFound => not_a_repo(error.message()),
                ErrorCode::Owner => foreign_owner(folder).with_source(error),
                _ => formats::explain(folder, error),
            },
        )?;
        let Some(workdir) = repo.workdir().map(Path::to_path_buf) else {
            return Err(bare(folder));
        };
        formats::refuse_unsupported(&repo, folder)?;
        // A repository that was unpacked may name any folder of this machine as its work tree.
        let same = workdir
            .canonicalize()
            .ok()
            .zip(folder.canonicalize().ok())
            .is_some_and(|(there, here)| there == here);
        if !same {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the repository in {} has its work tree elsewhere: {}",
                    folder.display(),
                    workdir.display()
                ),
            )
            .with_hint(
                "if that is right, open that folder; else run: git config --unset core.worktree",
            ));
        }
        let private = private_folder(repo.path());
        if lstat(&private)?.is_some_and(|stat| stat.kind != FileKind::Folder) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} is no folder", private.display()),
            )
            .with_hint("this library keeps its own files there, and follows no link: remove it"));
        }
        // Like git, keep the user's spelling of the folder, without libgit2's trailing slash.
        let workdir = workdir.components().collect();
        let config = repo
            .config()
            .map_err(wrap("read the repository's config"))?;
        let trusts_modes = config.get_bool("core.fileMode").unwrap_or(true);
        let git = Self {
            repo,
            workdir,
            trusts_modes,
            in_memory: false,
            packed: OnceCell::new(),
        };
        git.turn_on_fsync();
        Ok(git)
    }

    /// Another handle on the same repository, for another thread or a scratch index.
    pub(super) fn reopen(&self) -> Result<Repository> {
        open_again(&self.workdir)
    }

    /// Best effort: a repository that cannot be written needs no fsync.
    fn turn_on_fsync(&self) {
        let folder = private_folder(self.repo.path());
        let file = folder.join("config");
        let added = (|| -> std::result::Result<(), Box<dyn std::error::Error>> {
            if fs::read(&file).ok().as_deref() != Some(PRIVATE_CONFIG) {
                fs::create_dir_all(&folder)?;
                // By one rename: whoever opens the clone at the same time must not read half of it.
                crate::fs::replace_scrap(&file, PRIVATE_CONFIG)?;
            }
            self.repo
                .config()?
                .add_file(&file, ConfigLevel::App, true)?;
            Ok(())
        })();
        if let Err(error) = added {
            tracing::debug!(%error, "objects will not be fsynced");
        }
    }
}
