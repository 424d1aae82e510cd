use std::collections::BTreeMap;

use super::Repository;
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::git::{Entry, Git, Index, Mode};
use crate::lfs::Object;
use crate::lfs::clean::read_pointer_file;
use crate::lfs::filter::Filter;
use crate::lfs::pattern::Pattern;
use crate::path::RepoPath;
use crate::worktree::{Area, Content, Fill, Folders, Pointers, fill};

/// A file or folder, or what a glob catches.
struct Name {
    path: RepoPath,
    glob: Option<Filter>,
}

impl Name {
    fn new(text: &str) -> Result<Self> {
        // A folder may be written with a slash behind it.
        let path = RepoPath::new(text.strip_suffix('/').unwrap_or(text))?;
        let glob = text
            .contains(['*', '?', '['])
            .then(|| Filter::catching(&[Pattern::Glob(text.to_owned())]));
        Ok(Self { path, glob })
    }

    fn takes(&self, path: &RepoPath) -> bool {
        let caught = self.glob.as_ref().is_some_and(|glob| glob.takes(path));
        caught || path.is_within(self.path.as_str())
    }
}

/// Every name must be that of something; a glob may match nothing.
fn check(named: &[Name], index: &Index) -> Result<()> {
    let mut unknown: Vec<&Name> = named.iter().filter(|name| name.glob.is_none()).collect();
    for entry in index.entries() {
        if unknown.is_empty() {
            break;
        }
        let entry = entry?;
        unknown.retain(|name| !name.takes(&entry.path));
    }
    let Some(Name { path, .. }) = unknown.first() else {
        return Ok(());
    };
    let text = format!("cannot get the content of {path}: no such file is tracked");
    Err(Error::new(ErrorKind::PathNotFound, text)
        .with_hint("name files and folders relative to the root of the work tree"))
}

/// Content of pointer files.
impl Repository {
    /// Which LFS files get their content by pulls and checkouts; `None` if nobody chose and git's config
    /// decides (`lfs.fetchinclude`, `lfs.fetchexclude`).
    ///
    /// # Errors
    /// Those of opening the clone.
    pub fn content(&self) -> Result<Option<Content>> {
        Ok(Content::recall(&self.local.git()?))
    }

    /// Chooses anew which LFS files get their content by later pulls and checkouts.
    ///
    /// The work tree stays as it is: [`fetch_content`](Self::fetch_content) turns pointer files into
    /// content, and a file that has its content keeps being up to date.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a pattern that means nothing; those of
    /// writing the clone's config.
    pub fn set_content(&self, content: &Content) -> Result<()> {
        content.check()?;
        let git = self.local.git()?;
        let _lock = self.local.lock(&["config.lock"])?;
        content.remember(&git)
    }

    /// Gives the pointer files that are named their content; no name, no file.
    ///
    /// A name is a tracked file or a folder; one with `*`, `?` or `[` is a glob as in `.gitignore` as well, and may
    /// match nothing. All objects are downloaded before the first file changes. Returns the files that got their
    /// content. [`fetch_all_content`](Self::fetch_all_content) is for all files.
    ///
    /// ```no_run
    /// use hf_repository::{Content, Repository};
    /// let prepared = Repository::prepare("user/my-model", "out").content(Content::PointersOnly);
    /// let repo = prepared.open_or_clone()?;
    /// let files = repo.fetch_content(["tokenizer", "model-0000[12]-*.safetensors"])?;
    /// # let _ = files;
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`] for names outside the work tree,
    /// [`PathNotFound`](ErrorKind::PathNotFound) for names of nothing that is tracked,
    /// [`LfsObjectMissing`](ErrorKind::LfsObjectMissing) and others as in cloning; nothing
    /// has changed then.
    pub fn fetch_content<P: AsRef<str>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Vec<RepoPath>> {
        let named: Vec<Name> = paths
            .into_iter()
            .map(|path| Name::new(path.as_ref()))
            .collect::<Result<_>>()?;
        if named.is_empty() {
            return Ok(Vec::new());
        }
        self.fill_pointers(Some(&named))
    }

    /// Gives all pointer files their content, whatever was chosen for pulls and checkouts.
    ///
    /// All objects are downloaded before the first file changes. Returns the files that got their content.
    ///
    /// # Errors
    /// Those of cloning; nothing has changed then.
    pub fn fetch_all_content(&self) -> Result<Vec<RepoPath>> {
        self.fill_pointers(None)
    }

    fn fill_pointers(&self, named: Option<&[Name]>) -> Result<Vec<RepoPath>> {
        let _span = tracing::info_span!("fetch_content").entered();
        let _settled = self.local.progress.settled();
        self.settle();
        let git = self.local.git()?;
        let _lock = self.local.lock(&["index.lock"])?;
        let index = git.index()?;
        named.map_or(Ok(()), |named| check(named, &index))?;
        let mut pointers = Pointers::new(&git);
        let mut folders = Folders::new(&git);
        let attributes = git.attributes()?;
        let mut wanted: BTreeMap<RepoPath, (Entry, Object)> = BTreeMap::new();
        for entry in index.entries() {
            let entry = entry?;
            let path = &entry.path;
            let asked = named.is_none_or(|named| named.iter().any(|name| name.takes(path)));
            if !asked || !entry.mode.is_file() || !folders.holds(path)? {
                continue;
            }
            let Some(object) = pointers.get(entry.id)?.filter(|object| object.size > 0) else {
                continue;
            };
            let text = read_pointer_file(&path.under(git.workdir()))?;
            let still_pointer =
                text.is_some_and(|text| Git::hash_blob(&text).is_ok_and(|id| id == entry.id));
            if still_pointer && attributes.is_lfs(path)? {
                wanted.insert(path.clone(), (entry, object));
            }
        }
        let lfs = || self.local.remote.lfs(&git, Use::Fetch, None).map(Some);
        let source = Fill {
            remote: &lfs,
            remote_name: self.local.remote_name().as_str(),
            ref_name: None,
            commit: git.head()?.commit(),
        };
        let objects = wanted.iter().map(|(path, (_, object))| (*object, path));
        fill(&self.local.context(&git), &source, objects)?;
        let mut index = git.index_to_change()?;
        let area = Area::create(&self.local.private())?;
        let mut done = Vec::new();
        for (path, (entry, object)) in &wanted {
            self.local.cancel.check()?;
            let prepared = path.under(area.path());
            fs::create_parent(&prepared)?;
            self.local
                .store
                .checkout(*object, &prepared, entry.mode == Mode::Executable)?;
            let file = path.under(git.workdir());
            // Edited while the object was on its way: the edit stays.
            let text = read_pointer_file(&file)?;
            let still_pointer =
                text.is_some_and(|text| Git::hash_blob(&text).is_ok_and(|id| id == entry.id));
            if !still_pointer || index.get(path)?.is_none_or(|now| now.id != entry.id) {
                continue;
            }
            area.move_out(path.as_str(), git.workdir())?;
            if let Some(stat) = fs::lstat(&file)? {
                index.put(&entry.restat(&stat))?;
            }
            done.push(path.clone());
        }
        index.write()?;
        Ok(done)
    }
}
