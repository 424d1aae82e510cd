//! What `.gitignore` files and the like exclude from a work tree.
//!
//! Not by libgit2, which reads all files that may hold rules anew for each path, takes a rule back that
//! git keeps in some cases, and can be asked by one thread only.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::attributes::users_file;
use super::{Git, Listing, error::wrap};
use crate::error::Result;
use crate::fs;
use crate::gitattributes::{Case, MOST_BYTES};
use crate::gitignore::{FILE_NAME, IgnoreRules};

/// The rules of a clone: those for all of it, and the way to those of its folders.
pub(crate) struct Ignored {
    workdir: PathBuf,
    case: Case,
    /// What counts most is first.
    general: Vec<IgnoreRules>,
    /// Files that the index has and the work tree need not have, by the folders they lie in.
    kept: HashMap<Vec<u8>, Vec<u8>>,
}

/// The rules that count in a folder, or that all in it is ignored.
#[derive(Clone, Default)]
pub(crate) struct Ignoring {
    all: bool,
    nearest: Option<Arc<Level>>,
}

/// The rules of one folder's file.
struct Level {
    rules: IgnoreRules,
    /// Bytes of the path that lead to the folder.
    at: usize,
    above: Option<Arc<Level>>,
}

impl Git {
    /// The rules as they are now.
    pub(crate) fn ignored(&self, index: &Listing) -> Result<Ignored> {
        let config = self.repo.config().and_then(|mut config| config.snapshot());
        let config = config.map_err(wrap("read git's config"))?;
        let named = config.get_str("core.excludesfile").ok();
        let users = users_file(named, "git/ignore").map(|file| self.workdir.join(file));
        let info = self.repo.commondir().join("info/exclude");
        let mut general = Vec::new();
        for file in [Some(info), users].into_iter().flatten() {
            let rules = rules_in(fs::read_start_of_link(&file, MOST_BYTES));
            general.extend(Some(rules).filter(|rules| !rules.is_empty()));
        }
        let mut kept = HashMap::new();
        for (path, blob) in index.skipped(FILE_NAME) {
            let content = self.small_blob(blob, MOST_BYTES)?.unwrap_or_default();
            kept.insert(path[..path.len() - FILE_NAME.len()].to_vec(), content);
        }
        let folds = config.get_bool("core.ignorecase").unwrap_or(false);
        Ok(Ignored {
            workdir: self.workdir.clone(),
            case: if folds { Case::Folds } else { Case::Counts },
            general,
            kept,
        })
    }
}

/// The rules of a file. One that may not be read, or is a folder or too large, holds none, as for git.
fn rules_in(content: Result<Option<Vec<u8>>>) -> IgnoreRules {
    match content {
        Ok(Some(content)) if (content.len() as u64) < MOST_BYTES => IgnoreRules::parse(&content),
        Ok(_) => IgnoreRules::default(),
        Err(error) => {
            tracing::warn!(%error, "its rules do not count");
            IgnoreRules::default()
        }
    }
}

impl Ignored {
    /// Whether `A` and `a` name one file.
    pub(crate) fn case(&self) -> Case {
        self.case
    }

    /// Whether a folder, its name empty or with a `/` at its end, has rules without a file on disk.
    pub(crate) fn keeps_rules_of(&self, folder: &[u8]) -> bool {
        self.kept.contains_key(folder)
    }

    /// What counts in such a folder, or in one that has a file with rules.
    pub(crate) fn with_rules_of(&self, folder: &[u8], above: &Ignoring) -> Ignoring {
        // In what is ignored nothing is taken back.
        if above.all {
            return above.clone();
        }
        let file = self.workdir.join(OsStr::from_bytes(folder)).join(FILE_NAME);
        let content = fs::read_start(&file, MOST_BYTES);
        let rules = match self.kept.get(folder) {
            Some(kept) if matches!(content, Ok(None)) => IgnoreRules::parse(kept),
            _ => rules_in(content),
        };
        if rules.is_empty() {
            return above.clone();
        }
        let level = Level {
            rules,
            at: folder.len(),
            above: above.nearest.clone(),
        };
        Ignoring {
            all: false,
            nearest: Some(Arc::new(level)),
        }
    }

    /// Whether a file or link that is not tracked is ignored.
    pub(crate) fn takes(&self, path: &[u8], within: &Ignoring) -> bool {
        within.all || self.decide(path, false, within)
    }

    /// What counts in a folder directly below the one that `within` is of.
    pub(crate) fn enter(&self, path: &[u8], within: &Ignoring) -> Ignoring {
        Ignoring {
            all: within.all || self.decide(path, true, within),
            nearest: within.nearest.clone(),
        }
    }

    fn decide(&self, path: &[u8], is_folder: bool, within: &Ignoring) -> bool {
        let mut level = within.nearest.as_deref();
        while let Some(nearest) = level {
            let below = &path[nearest.at..];
            if let Some(decided) = nearest.rules.decide(below, is_folder, self.case) {
                return decided;
            }
            level = nearest.above.as_deref();
        }
        let mut general = self.general.iter();
        let decided = general.find_map(|rules| rules.decide(path, is_folder, self.case));
        decided.unwrap_or(false)
    }
}

impl Ignoring {
    /// Whether all in the folder is ignored.
    pub(crate) fn all(&self) -> bool {
        self.all
    }
}
