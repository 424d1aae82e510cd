//! What attributes say of paths: of the work tree's files, or of a tree's.
//!
//! Not by libgit2, which reads no pattern in quotes, follows links, and looks at every file again for
//! every path.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use git2::ErrorCode;

use super::{Git, Listing, Mode, ObjectId, error::wrap};
use crate::env;
use crate::error::Result;
use crate::fs::{self, FileKind};
use crate::gitattributes::{Case, Decided, FILE_NAME, MOST_BYTES, Macros, Rules, State, decide};
use crate::path::RepoPath;

/// What becomes of a file on its way into the repository, as its attributes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Nothing is said.
    None,
    Lfs,
    /// `-filter` or `!filter`: somebody wants the file as it is.
    Off,
    /// It asks for a filter other than LFS, or for another encoding.
    Foreign,
}

/// The rules of a work tree, each file read once: for a loop over paths, not to be kept.
pub(crate) struct Attributes<'a> {
    git: &'a Git,
    index: Source<'a>,
    rules: Stack,
}

/// Where files are looked up that the work tree lacks.
enum Source<'a> {
    /// The repository's index, read when the first file is missing.
    OnDisk(OnceCell<Listing>),
    Listing(&'a Listing),
}

impl Git {
    /// The rules as they are now: files of the work tree, and where one is missing, the index's.
    pub(crate) fn attributes(&self) -> Result<Attributes<'_>> {
        Ok(Attributes {
            git: self,
            index: Source::OnDisk(OnceCell::new()),
            rules: Stack::new(&self.repo)?,
        })
    }

    /// The same without reading the index once more.
    pub(crate) fn attributes_beside<'a>(&'a self, index: &'a Listing) -> Result<Attributes<'a>> {
        Ok(Attributes {
            git: self,
            index: Source::Listing(index),
            rules: Stack::new(&self.repo)?,
        })
    }

    /// Whether the work tree's files give a path to Git LFS.
    pub(crate) fn is_lfs_in_worktree(&self, path: &RepoPath) -> Result<bool> {
        self.attributes()?.is_lfs(path)
    }
}

impl Attributes<'_> {
    /// What the rules say of a path.
    pub(crate) fn filter(&self, path: &RepoPath) -> Result<Filter> {
        self.rules.filter(path, |file| self.read(file))
    }

    pub(crate) fn is_lfs(&self, path: &RepoPath) -> Result<bool> {
        Ok(self.filter(path)? == Filter::Lfs)
    }

    /// Whether git stores such a file byte by byte as it is, filters left aside.
    pub(super) fn is_stored_verbatim(&self, path: &RepoPath) -> Result<bool> {
        self.rules.is_stored_verbatim(path, |file| self.read(file))
    }

    /// The same as if the root's file had this content.
    pub(crate) fn with_root(mut self, content: &[u8]) -> Self {
        self.rules.folders.get_mut().clear();
        self.rules.root = Some(content.to_vec());
        self
    }

    fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let there = self.git.workdir().join(file);
        // Neither a link nor a pipe holds rules.
        let stat = fs::lstat(&there)?;
        let stat = stat.filter(|stat| stat.kind == FileKind::File && stat.size < MOST_BYTES);
        if stat.is_some()
            && let Some(content) = fs::read_start(&there, MOST_BYTES)?
        {
            return Ok(Some(content));
        }
        let index = match &self.index {
            Source::Listing(index) => index,
            Source::OnDisk(read) => match read.get() {
                Some(index) => index,
                None => {
                    // What else is in it is not asked.
                    let index = self.git.listing_unchecked(|_| true)?;
                    read.get_or_init(|| index)
                }
            },
        };
        of_file(&self.git.repo, index.find(file.as_bytes()), file)
    }
}

/// The content that an index has of a file.
pub(super) fn of_index(
    repo: &git2::Repository,
    index: &git2::Index,
    file: &str,
) -> Result<Option<Vec<u8>>> {
    let entry = index.get_path(Path::new(file), 0);
    let found = entry.and_then(|entry| Some((entry.id, Mode::from_raw(entry.mode)?)));
    of_file(repo, found, file)
}

fn of_file(
    repo: &git2::Repository,
    found: Option<(ObjectId, Mode)>,
    file: &str,
) -> Result<Option<Vec<u8>>> {
    let Some((id, mode)) = found else {
        return Ok(None);
    };
    if !mode.is_file() {
        return Ok(None);
    }
    let what = format!("read {file}");
    let (size, _) = repo
        .odb()
        .and_then(|odb| odb.read_header(id))
        .map_err(wrap(&what))?;
    if size as u64 >= MOST_BYTES {
        return Ok(None);
    }
    let blob = repo.find_blob(id).map_err(wrap(&what))?;
    let content = blob.content();
    // Here git takes the whole file for a string of C.
    let end = content.iter().position(|byte| *byte == 0);
    Ok(Some(content[..end.unwrap_or(content.len())].to_vec()))
}

/// Whether nothing is said of an attribute, or that it does not hold.
fn is_off(decided: &Decided<'_>, name: &str) -> bool {
    let state = decided.get(name);
    state.is_none_or(|state| matches!(state, State::Unset | State::Unspecified))
}

/// Files with rules, by the folders they are for.
pub(super) struct Stack {
    case: Case,
    /// Whether git's config makes CRLF of line ends (`core.autocrlf`, `core.eol`).
    writes_crlf: bool,
    /// Whether it may make LF of line ends (`core.autocrlf`).
    stores_lf: bool,
    /// Of the system and of the user, the latter last.
    general: Vec<Rules>,
    /// `info/attributes`: it counts more than all others.
    info: Rules,
    /// What is to be taken for the root's file.
    root: Option<Vec<u8>>,
    macros: RefCell<Option<Rc<Macros>>>,
    folders: RefCell<HashMap<String, Folder>>,
}

/// The rules that count in a folder, the nearest first, each with the bytes of the path that lead to it.
type Folder = Rc<Vec<(usize, Rc<Rules>)>>;

impl Stack {
    pub(super) fn new(repo: &git2::Repository) -> Result<Self> {
        let config = repo.config().and_then(|mut config| config.snapshot());
        let config = config.map_err(wrap("read git's config"))?;
        let folds = config.get_bool("core.ignorecase").unwrap_or(false);
        let writes_crlf = config.get_bool("core.autocrlf").unwrap_or(false)
            || config
                .get_str("core.eol")
                .is_ok_and(|eol| eol.eq_ignore_ascii_case("crlf"));
        let stores_lf = match config.get_bool("core.autocrlf") {
            Ok(converts) => converts,
            // `input` is no boolean.
            Err(error) => error.code() != ErrorCode::NotFound,
        };
        let mut general = Vec::new();
        if !env::var("GIT_ATTR_NOSYSTEM").is_some_and(|value| is_true(&value)) {
            general.extend(rules_of(Path::new("/etc/gitattributes"))?);
        }
        let named = config.get_str("core.attributesfile").ok();
        if let Some(file) = users_file(named, "git/attributes") {
            general.extend(rules_of(&file)?);
        }
        let info = rules_of(&repo.commondir().join("info/attributes"))?;
        Ok(Self {
            case: if folds { Case::Folds } else { Case::Counts },
            writes_crlf,
            stores_lf,
            general,
            info: info.unwrap_or_default(),
            root: None,
            macros: RefCell::default(),
            folders: RefCell::default(),
        })
    }

    /// What the rules say of a path; `read` brings the files named `.gitattributes`.
    pub(super) fn filter(
        &self,
        path: &RepoPath,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Filter> {
        self.decided(path, read, &FILTER, filter_of)
    }

    /// The same, and whether git writes such a file byte by byte as its blob is, filters left aside.
    pub(super) fn checkout(
        &self,
        path: &RepoPath,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<(Filter, bool)> {
        let wanted = [&FILTER[..], &LINE_ENDS].concat();
        self.decided(path, read, &wanted, |decided| {
            (filter_of(decided), self.keeps_bytes(decided))
        })
    }

    /// Whether git stores such a file byte by byte as it is, filters left aside.
    fn is_stored_verbatim(
        &self,
        path: &RepoPath,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<bool> {
        // An old word for `text`, which git still knows.
        const CRLF: &str = "crlf";
        let wanted = [&LINE_ENDS[..], &[CRLF]].concat();
        self.decided(path, read, &wanted, |decided| {
            let is_binary = decided.get("text") == Some(&State::Unset);
            let says_nothing = wanted.iter().all(|name| is_off(decided, name));
            is_off(decided, "ident") && (is_binary || (says_nothing && !self.stores_lf))
        })
    }

    /// Whether nothing becomes another line end, and no `$Id$` is expanded.
    fn keeps_bytes(&self, decided: &Decided<'_>) -> bool {
        let is_off = |name| is_off(decided, name);
        let eol_is_lf = match decided.get("eol") {
            Some(State::Value(eol)) => **eol == *b"lf",
            _ => is_off("eol"),
        };
        let is_binary = decided.get("text") == Some(&State::Unset);
        is_off("ident") && (is_binary || (eol_is_lf && !self.writes_crlf))
    }

    fn decided<R>(
        &self,
        path: &RepoPath,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>>,
        wanted: &[&str],
        judge: impl FnOnce(&Decided<'_>) -> R,
    ) -> Result<R> {
        let name = path.as_str();
        let folder = self.folder(path.parent().unwrap_or(""), &read)?;
        let macros = self.macros(&read)?;
        let nearer = folder.iter().map(|(at, rules)| (&name[*at..], &**rules));
        let general = self.general.iter().rev().map(|rules| (name, rules));
        let files = [(name, &self.info)]
            .into_iter()
            .chain(nearer)
            .chain(general);
        Ok(judge(&decide(files, &macros, wanted, self.case)))
    }

    fn macros(&self, read: &impl Fn(&str) -> Result<Option<Vec<u8>>>) -> Result<Rc<Macros>> {
        if let Some(macros) = &*self.macros.borrow() {
            return Ok(Rc::clone(macros));
        }
        let mut macros = Macros::default();
        for rules in &self.general {
            macros.add(rules);
        }
        for (_, rules) in self.folder("", read)?.iter() {
            macros.add(rules);
        }
        macros.add(&self.info);
        let macros = Rc::new(macros);
        *self.macros.borrow_mut() = Some(Rc::clone(&macros));
        Ok(macros)
    }

    fn folder(
        &self,
        folder: &str,
        read: &impl Fn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Folder> {
        if let Some(known) = self.folders.borrow().get(folder) {
            return Ok(Rc::clone(known));
        }
        let above = match folder.rsplit_once('/') {
            Some((above, _)) => self.folder(above, read)?,
            None if folder.is_empty() => Rc::default(),
            None => self.folder("", read)?,
        };
        let (file, length) = match folder {
            "" => (FILE_NAME.to_owned(), 0),
            folder => (format!("{folder}/{FILE_NAME}"), folder.len() + 1),
        };
        let content = match &self.root {
            Some(root) if folder.is_empty() => Some(root.clone()),
            _ => read(&file)?,
        };
        let found = match content {
            Some(content) => {
                let own = (length, Rc::new(Rules::parse(&content)));
                let more = above.iter().map(|(at, rules)| (*at, Rc::clone(rules)));
                Rc::new([own].into_iter().chain(more).collect())
            }
            None => above,
        };
        let known = Rc::clone(&found);
        self.folders.borrow_mut().insert(folder.to_owned(), known);
        Ok(found)
    }
}

const ENCODING: &str = "working-tree-encoding";
/// The attributes that say what becomes of a file.
const FILTER: [&str; 2] = ["filter", ENCODING];
/// Those by which a text file is another in the work tree than in the repository.
const LINE_ENDS: [&str; 3] = ["text", "eol", "ident"];

fn filter_of(decided: &Decided<'_>) -> Filter {
    match (decided.get("filter"), decided.get(ENCODING)) {
        (Some(State::Value(filter)), _) if **filter == *b"lfs" => Filter::Lfs,
        (Some(State::Value(_)), _) | (_, Some(State::Value(_))) => Filter::Foreign,
        (Some(State::Unset | State::Unspecified), _) => Filter::Off,
        _ => Filter::None,
    }
}

/// The rules in a file of the user's or the system's, who may have put a link there.
fn rules_of(file: &Path) -> Result<Option<Rules>> {
    // What may not be read, or is a folder, holds no rules: git says a word of it and goes on.
    let content = fs::read_start_of_link(file, MOST_BYTES).ok().flatten();
    let content = content.filter(|content| (content.len() as u64) < MOST_BYTES);
    Ok(content.map(|content| Rules::parse(&content)))
}

/// A file of the user's: one that git's config names, else the one below the user's config folder.
pub(super) fn users_file(named: Option<&str>, usual: &str) -> Option<PathBuf> {
    let home = || env::var("HOME").map(PathBuf::from);
    match named {
        Some("") => None,
        Some(named) => match named.strip_prefix("~/") {
            Some(below) => Some(home()?.join(below)),
            None => Some(PathBuf::from(named)),
        },
        None => {
            let config = env::var("XDG_CONFIG_HOME").map(PathBuf::from);
            let config = config.or_else(|| Some(home()?.join(".config")))?;
            Some(config.join(usual))
        }
    }
}

fn is_true(value: &str) -> bool {
    !["0", "false", "no", "off"]
        .iter()
        .any(|no| value.eq_ignore_ascii_case(no))
}
