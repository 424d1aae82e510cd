//! `.lfsconfig`: what the repository itself says about Git LFS.
//!
//! It comes with the repository, so whoever may push can write it: only what git-lfs takes from it
//! counts here, nothing that starts a program, names a path or holds credentials. git's own config is
//! above it. See <https://github.com/git-lfs/git-lfs/blob/main/docs/man/git-lfs-config.adoc>.

use std::io::Write;
use std::path::Path;

use super::config::values;
use super::error::wrap;
use super::{Git, ObjectId, private_folder};
use crate::config::{Config, Writer};
use crate::error::{Error, Result};
use crate::fs;
use crate::id::CommitId;
use crate::secret::Shown;

const NAME: &str = ".lfsconfig";
/// Bytes of a file that is still read; real ones have a few hundred.
const LIMIT: u64 = 1 << 20;
/// Keys that count, besides those of [`is_safe`].
const SAFE: [&str; 8] = [
    "lfs.allowincompletepush",
    "lfs.fetchexclude",
    "lfs.fetchinclude",
    "lfs.gitprotocol",
    "lfs.locksverify",
    "lfs.pushurl",
    "lfs.skipdownloaderrors",
    "lfs.url",
];

impl Git {
    /// All that is said about LFS: git's config, and the repository's `.lfsconfig` below it.
    ///
    /// That file is looked for in the work tree, the index and HEAD. While the work tree is on its
    /// way to the commit `incoming`, and the file changes on it, that commit's counts.
    pub(crate) fn lfs_config(&self, incoming: Option<CommitId>) -> Result<Config> {
        let config = self.whole_config()?;
        let Some(text) = self.lfs_config_text(incoming)? else {
            return Ok(config);
        };
        match self.parse_lfs_config(&text) {
            Ok(found) => Ok(config.above(found)),
            Err(error) => {
                // As git-lfs does; with an error nobody could clone a repository to mend it.
                tracing::warn!(%error, "{NAME} cannot be read, and is left out");
                Ok(config)
            }
        }
    }

    fn lfs_config_text(&self, incoming: Option<CommitId>) -> Result<Option<Vec<u8>>> {
        let head = self.head()?.commit();
        let in_head = head
            .map(|head| self.lfs_config_of(head))
            .transpose()?
            .flatten();
        if let Some(incoming) = incoming {
            let blob = self.lfs_config_of(incoming)?;
            if blob != in_head {
                return self.lfs_config_blob(blob);
            }
        }
        let file = self.workdir.join(NAME);
        // A link may lead anywhere; git writes a file where the repository has one.
        if let Some(stat) = fs::lstat(&file)?.filter(|stat| stat.kind == fs::FileKind::File) {
            return if stat.size <= LIMIT {
                fs::read_if_exists(&file)
            } else {
                Ok(None)
            };
        }
        let index = self.repo.index().map_err(wrap("read the index"))?;
        let staged = index.get_path(Path::new(NAME), 0).map(|entry| entry.id);
        self.lfs_config_blob(staged.or(in_head))
    }

    fn lfs_config_blob(&self, blob: Option<ObjectId>) -> Result<Option<Vec<u8>>> {
        match blob {
            Some(blob) => self.small_blob(blob, LIMIT),
            None => Ok(None),
        }
    }

    fn lfs_config_of(&self, commit: CommitId) -> Result<Option<ObjectId>> {
        let tree = self.tree_of(commit)?;
        let tree = self.repo.find_tree(tree).map_err(wrap("read a tree"))?;
        let entry = tree.get_name(NAME);
        Ok(entry
            .filter(|entry| entry.kind() == Some(git2::ObjectType::Blob))
            .map(|entry| entry.id()))
    }

    fn parse_lfs_config(&self, text: &[u8]) -> Result<Config> {
        let folder = private_folder(self.repo.path());
        fs::create_dir_all(&folder)?;
        parse(&folder, text)
    }
}

/// What counts of the text. libgit2 reads config from files only: this one is in `folder` for a moment.
pub(super) fn parse(folder: &Path, text: &[u8]) -> Result<Config> {
    let mut file = fs::temp_in(folder)?;
    file.write_all(&without_includes(text))
        .map_err(|error| Error::io("write", file.path(), error))?;
    let all = git2::Config::open(file.path())
        .and_then(|raw| values(&raw, Writer::Repository))
        .map_err(wrap(&format!("read {NAME}")))?;
    Ok(all.retain(|entry| {
        let safe = is_safe(&entry.key);
        if !safe {
            tracing::warn!(key = %Shown(&entry.key), "left out: a repository must not set it");
        }
        safe
    }))
}

pub(super) fn is_safe(key: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    let in_part = matches!(
        parts[..],
        ["lfs", "extension", .., "priority"]
            | ["lfs", _, .., "access"]
            | ["remote", _, .., "lfsurl"]
    );
    in_part || SAFE.contains(&key)
}

/// The text with no section that libgit2 would take for an order to read another file; git does not
/// follow such orders in a file it is told to read, either.
fn without_includes(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let lines = text.split_inclusive('\n').map(|line| {
        let start = line.trim_start_matches('\u{feff}').trim_start();
        let lower = line.to_ascii_lowercase();
        if start.starts_with('[') && lower.contains("[include") {
            lower.replace("[include", "[not-include")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::BranchName;

    fn repository() -> (tempfile::TempDir, Git) {
        let folder = tempfile::tempdir().expect("temp");
        let git = super::super::create(&folder.path().join("r"), &BranchName::main());
        (folder, git.expect("created"))
    }

    #[test]
    fn only_what_git_lfs_takes_counts() {
        let (_folder, git) = repository();
        let text = "[lfs]\n\turl = https://a/b\n\tstorage = /etc\n\tconcurrenttransfers = 1\n\
            [lfs \"https://a/b\"]\n\taccess = basic\n[lfs \"customtransfer.x\"]\n\tpath = /bin/sh\n\
            [remote \"Up.x\"]\n\tlfsurl = https://c\n\tlfspushurl = https://d\n\turl = https://e\n\
            [lfs \"extension.x\"]\n\tpriority = 1\n\tclean = rm\n\
            [credential]\n\thelper = !sh\n[core]\n\tsshCommand = sh\n[lfs]\n\tlocksverify\n\
            [http]\n\tproxy = http://evil\n[url \"file:///\"]\n\tinsteadOf = https://\n";
        let found = git.parse_lfs_config(text.as_bytes()).expect("parsed");
        for (key, value) in [
            ("lfs.url", Some("https://a/b")),
            ("lfs.https://a/b.access", Some("basic")),
            ("remote.Up.x.lfsurl", Some("https://c")),
            ("lfs.extension.x.priority", Some("1")),
            ("lfs.locksverify", Some("true")),
            ("lfs.storage", None),
            ("lfs.concurrenttransfers", None),
            ("lfs.customtransfer.x.path", None),
            ("lfs.extension.x.clean", None),
            ("remote.Up.x.lfspushurl", None),
            ("remote.Up.x.url", None),
            ("credential.helper", None),
            ("core.sshcommand", None),
            ("http.proxy", None),
        ] {
            assert_eq!(found.get(key), value, "{key}");
        }
        assert_eq!(
            found.rewritten("https://a", crate::config::Use::Fetch),
            None
        );
    }

    #[test]
    fn other_files_are_not_read() {
        let (folder, git) = repository();
        let other = folder.path().join("other");
        std::fs::write(&other, "[lfs]\n\turl = https://stolen\n").expect("written");
        for section in [
            "[include]",
            "\t[Include]",
            "[lfs] [INCLUDE]",
            "[lfs][include]",
            "\u{feff}[include]",
            "[includeIf \"gitdir:/\"]",
            "[include \"\"]",
        ] {
            let text = format!(
                "{section}\n\tpath = {0}\n[lfs]\npushurl = x\n",
                other.display()
            );
            let found = git.parse_lfs_config(text.as_bytes());
            // Some of these are no config at all.
            if let Ok(found) = found {
                assert_eq!(found.get("lfs.url"), None, "{section}");
            }
            let text = format!("{section} path = {}\n", other.display());
            if let Ok(found) = git.parse_lfs_config(text.as_bytes()) {
                assert_eq!(found.get("lfs.url"), None, "{section}, one line");
            }
        }
    }

    #[test]
    fn a_link_and_a_huge_file_are_left_out() {
        let (folder, git) = repository();
        let own = folder.path().join("r").join(NAME);
        let url = |git: &Git| {
            git.lfs_config(None)
                .expect("read")
                .get("lfs.url")
                .map(str::to_owned)
        };
        let text = "[lfs]\n\turl = https://a\n";
        std::fs::write(&own, text).expect("written");
        assert_eq!(url(&git).as_deref(), Some("https://a"));
        std::fs::write(&own, format!("{text}#{}\n", "x".repeat(1 << 20))).expect("written");
        assert_eq!(url(&git), None);
        std::fs::remove_file(&own).expect("removed");
        let other = folder.path().join("other");
        std::fs::write(&other, text).expect("written");
        std::os::unix::fs::symlink(&other, &own).expect("link");
        assert_eq!(url(&git), None);
        std::fs::remove_file(&own).expect("removed");
        std::fs::write(&own, "[lfs\n").expect("written");
        assert_eq!(url(&git), None);
        git.set_config("lfs.url", "https://own").expect("set");
        std::fs::write(&own, text).expect("written");
        assert_eq!(url(&git).as_deref(), Some("https://own"));
    }
}
