//! Formats of repositories that this library would misread: found before anything is changed.
//!
//! libgit2 refuses most of them, in its own words; some it opens and takes for what they are not.

use std::path::{Path, PathBuf};

use git2::{Config, ErrorCode, Repository};

use super::error::wrap;
use super::packed_refs;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;

/// Extensions of the format by which nothing changes that is done here.
const HARMLESS: [&str; 4] = [
    "noop",
    // Nothing is ever deleted from git's object store.
    "preciousobjects",
    "relativeworktrees",
    // `config.worktree` is read.
    "worktreeconfig",
];
/// The newest version of the format.
const NEWEST: i64 = 1;
/// Bytes of the small files that say where a repository is.
const POINTER_BYTES: u64 = 64 << 10;

/// What is in the way.
struct Feature {
    what: String,
    hint: String,
}

impl Feature {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: hint.into(),
        }
    }

    fn refuse(self, folder: &Path) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            format!("cannot work in {}: {}", folder.display(), self.what),
        )
        .with_hint(self.hint)
    }
}

/// Refuses an open repository that libgit2 takes for another than git does.
pub(super) fn refuse_unsupported(repo: &Repository, folder: &Path) -> Result<()> {
    let (own, common) = (repo.path(), repo.commondir());
    let config = repo
        .config()
        .and_then(|mut config| config.snapshot())
        .map_err(wrap("read the repository's config"))?;
    let found = match in_format(common) {
        Some(feature) => Some(feature),
        None => in_config(&config)?,
    };
    let found = match found {
        Some(feature) => Some(feature),
        None => in_files(repo, &config, own, common)?,
    };
    match found {
        Some(feature) => Err(feature.refuse(folder)),
        None => Ok(()),
    }
}

/// Why a repository cannot be opened, if its format is the reason.
pub(super) fn explain(folder: &Path, error: git2::Error) -> Error {
    let Some(common) = common_folder(folder) else {
        return wrap(&format!("open {}", folder.display()))(error);
    };
    if let Some(feature) = in_format(&common) {
        return feature.refuse(folder).with_source(error);
    }
    // libgit2 reads both lists the same way.
    if error.message().contains("graft") {
        if has_bytes(&common.join("info/grafts")).unwrap_or(false) {
            return grafted().refuse(folder).with_source(error);
        }
        let list = common.join("shallow");
        return Error::new(
            ErrorKind::Git,
            format!(
                "cannot open {}: {} is damaged",
                folder.display(),
                list.display()
            ),
        )
        .with_hint("it lists where the history of a shallow clone ends: clone anew")
        .with_source(error);
    }
    wrap(&format!("open {}", folder.display()))(error)
}

/// git's folder of a repository that may be bare: the one that all work trees share.
fn common_folder(folder: &Path) -> Option<PathBuf> {
    let line = |file: &Path| {
        let bytes = fs::read_start(file, POINTER_BYTES).ok().flatten()?;
        let text = String::from_utf8(bytes).ok()?;
        Some(text.trim_end().to_owned())
    };
    let dot_git = folder.join(".git");
    let own = if dot_git.is_dir() {
        dot_git
    } else if folder.join("objects").is_dir() {
        folder.to_path_buf()
    } else {
        folder.join(line(&dot_git)?.strip_prefix("gitdir:")?.trim_start())
    };
    Some(match line(&own.join("commondir")) {
        Some(path) => own.join(path),
        None => own,
    })
}

/// What the repository's own config says of its format.
fn in_format(common: &Path) -> Option<Feature> {
    let config = Config::open(&common.join("config"))
        .and_then(|mut config| config.snapshot())
        .ok()?;
    let version = config.get_i64("core.repositoryformatversion").unwrap_or(0);
    if version > NEWEST {
        return Some(Feature::new(
            format!("its format has version {version}"),
            "use the git program that made it",
        ));
    }
    let mut found = None;
    let read = config.entries(Some("^extensions\\.")).and_then(|entries| {
        entries.for_each(|entry| {
            if let Ok(name) = entry.name() {
                let name = name.strip_prefix("extensions.").unwrap_or(name);
                found = found
                    .take()
                    .or_else(|| extension(name, entry.value().ok(), version));
            }
        })
    });
    read.ok().and(found)
}

fn extension(name: &str, value: Option<&str>, version: i64) -> Option<Feature> {
    let value = value.unwrap_or_default();
    match name.to_ascii_lowercase().as_str() {
        known if HARMLESS.contains(&known) => None,
        "objectformat" if value.eq_ignore_ascii_case("sha1") => None,
        "objectformat" | "compatobjectformat" => Some(Feature::new(
            "its objects have SHA-256 ids",
            "make it anew with: git init --object-format=sha1; git cannot convert it",
        )),
        "refstorage" if value == "files" => Some(Feature::new(
            "its format names where refs are stored, which libgit2 does not know",
            "run: git config --unset extensions.refStorage",
        )),
        "refstorage" => Some(Feature::new(
            format!("its refs are stored as {value:?}"),
            "clone it anew, or run (git 2.48 or later): git refs migrate --ref-format=files",
        )),
        "partialclone" => Some(partial()),
        // git, too, looks at those it does not know in newer formats only.
        _ if version == 0 => None,
        other => Some(Feature::new(
            format!("its format has the extension {other:?}"),
            "use the git program that made it",
        )),
    }
}

fn partial() -> Feature {
    Feature::new(
        "it is a partial clone, which lacks objects",
        "clone it without --filter; to have less, use depth() and Content::PointersOnly",
    )
}

fn grafted() -> Feature {
    Feature::new(
        "its history is changed by .git/info/grafts",
        "git itself advises against grafts; remove the file",
    )
}

fn in_config(config: &Config) -> Result<Option<Feature>> {
    if config.get_bool("core.sparseCheckout").unwrap_or(false) {
        return Ok(Some(Feature::new(
            "it uses sparse-checkout; files outside it would look deleted",
            "run: git sparse-checkout disable",
        )));
    }
    Ok(promises(config)?.then(partial))
}

/// Whether a remote has promised the objects that are not here. Newer gits set no extension for it.
fn promises(config: &Config) -> Result<bool> {
    let mut promised = false;
    let mut look = || -> Result<(), git2::Error> {
        let entries = config.entries(Some("^remote\\..*\\.promisor$"))?;
        entries.for_each(|entry| {
            let key = entry.name().unwrap_or_default();
            promised |= config.get_bool(key).unwrap_or(false);
        })
    };
    look().map_err(wrap("read the repository's config"))?;
    Ok(promised)
}

/// Whether an open repository is a partial clone.
pub(super) fn is_partial(repo: &Repository) -> Result<bool> {
    let config = repo.config().and_then(|mut config| config.snapshot());
    promises(&config.map_err(wrap("read the repository's config"))?)
}

fn has_bytes(file: &Path) -> Result<bool> {
    Ok(fs::lstat(file)?.is_some_and(|stat| stat.size > 0))
}

fn in_files(
    repo: &Repository,
    config: &Config,
    own: &Path,
    common: &Path,
) -> Result<Option<Feature>> {
    if has_bytes(&common.join("info/grafts"))? {
        return Ok(Some(grafted()));
    }
    if own != common && has_bytes(&common.join("shallow"))? {
        return Ok(Some(Feature::new(
            "it is a linked work tree of a shallow clone",
            "run: git fetch --unshallow",
        )));
    }
    let replaces = config.get_bool("core.useReplaceRefs").unwrap_or(true);
    if replaces && has_replace_refs(common)? {
        return Ok(Some(Feature::new(
            "objects in it are replaced by others (git replace)",
            "see them with: git replace -l; delete them, or run: git config core.useReplaceRefs false",
        )));
    }
    if has_shared_index(own)?
        && let Err(error) = repo.index()
        && is_split(&error)
    {
        return Ok(Some(split()));
    }
    Ok(None)
}

/// The index is in two files.
fn is_split(error: &git2::Error) -> bool {
    error.code() != ErrorCode::NotFound && error.message().contains("mandatory extension: 'link'")
}

fn split() -> Feature {
    Feature::new(
        "its index is split into two files",
        "run: git config core.splitIndex false; git update-index --no-split-index",
    )
}

fn has_shared_index(own: &Path) -> Result<bool> {
    let failed = |error| Error::io("list", own, error);
    for entry in std::fs::read_dir(own).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name.as_encoded_bytes().starts_with(b"sharedindex.") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_replace_refs(common: &Path) -> Result<bool> {
    let folder = common.join("refs/replace");
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(true);
    }
    packed_refs::has_below(common, "refs/replace/")
}
