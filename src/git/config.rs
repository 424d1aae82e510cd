//! The few settings of the repository that this library reads or writes.

use super::Git;
use super::error::{patiently, wrap};
use crate::config::{Config, Writer, with_subsection_moved};
use crate::error::Result;
use crate::fs::sharing::Sharing;
use crate::fs::{self, GitLock, Readers};
use crate::name::{BranchName, RemoteName};

/// What the user's and the system's files say, for work outside any repository.
pub(crate) fn user_config() -> Result<Config> {
    git2::Config::open_default()
        .and_then(|raw| values(&raw, Writer::User))
        .map_err(wrap("read git's config"))
}

/// All values of a config. What is not UTF-8 is left out: no key of ours can be so.
pub(super) fn values(raw: &git2::Config, writer: Writer) -> Result<Config, git2::Error> {
    let mut config = Config::default();
    let mut entries = raw.entries(None)?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let value = match entry.has_value() {
            true => entry.value(),
            // A name alone is git's way to say yes.
            false => Ok("true"),
        };
        if let (Ok(key), Ok(value)) = (entry.name(), value) {
            config.push(key, value, writer);
        }
    }
    Ok(config)
}

impl Git {
    /// All that git's config says here: the repository's, the user's and the system's files.
    pub(crate) fn whole_config(&self) -> Result<Config> {
        self.repo
            .config()
            .and_then(|raw| values(&raw, Writer::User))
            .map_err(wrap("read git's config"))
    }

    /// The value of `key`, from the repository, the user or the system.
    pub(crate) fn config(&self, key: &str) -> Option<String> {
        let config = self
            .repo
            .config()
            .and_then(|mut config| config.snapshot())
            .ok()?;
        config.get_str(key).ok().map(str::to_owned)
    }

    /// `core.sharedRepository`.
    pub(crate) fn sharing(&self) -> Option<Sharing> {
        // Not by one key: libgit2 takes one without a value for none, where git takes it for yes.
        let config = self.whole_config().ok()?;
        config.get("core.sharedRepository").and_then(Sharing::parse)
    }

    /// Sets `key` in the repository's own config.
    pub(crate) fn set_config(&self, key: &str, value: &str) -> Result<()> {
        self.keeping_config_mode(|| {
            patiently(&format!("set {key}"), || {
                let config = self.repo.config()?;
                config
                    .open_level(git2::ConfigLevel::Local)?
                    .set_str(key, value)
            })
        })
    }

    /// libgit2 writes the file anew as the umask has it. git keeps its mode: there may be a password in
    /// it, and it be the owner's alone for that.
    fn keeping_config_mode(&self, change: impl FnOnce() -> Result<()>) -> Result<()> {
        let file = self.repo.commondir().join("config");
        let before = std::fs::metadata(&file).map(|meta| meta.permissions());
        change()?;
        if let Ok(before) = before
            && std::fs::metadata(&file).is_ok_and(|meta| meta.permissions() != before)
            && let Err(error) = std::fs::set_permissions(&file, before)
        {
            tracing::warn!(%error, "the config's permissions have changed");
        }
        Ok(())
    }

    /// Removes `key` from the repository's own config, if it is there.
    pub(crate) fn unset_config(&self, key: &str) -> Result<()> {
        self.keeping_config_mode(|| {
            patiently(&format!("unset {key}"), || {
                let config = self.repo.config()?;
                match config.open_level(git2::ConfigLevel::Local)?.remove(key) {
                    Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(()),
                    result => result,
                }
            })
        })
    }

    /// The URL of a remote as the config holds it; may contain credentials someone else wrote.
    pub(crate) fn remote_url(&self, remote: &RemoteName) -> Option<String> {
        let config = self.whole_config().ok()?;
        config
            .first(&format!("remote.{remote}.url"))
            .map(str::to_owned)
    }

    /// Records a remote with the refspec every clone has.
    ///
    /// Not by libgit2's own way, which writes to the config of the highest level: ours.
    pub(crate) fn add_remote(&self, remote: &RemoteName, url: &str) -> Result<()> {
        self.set_config(&format!("remote.{remote}.url"), url)?;
        let refspec = format!("+refs/heads/*:refs/remotes/{remote}/*");
        self.set_config(&format!("remote.{remote}.fetch"), &refspec)
    }

    /// Renames the part of the repository's own config that is about a branch, or removes it.
    pub(super) fn move_branch_section(
        &self,
        from: &BranchName,
        to: Option<&BranchName>,
    ) -> Result<()> {
        let file = self.repo.commondir().join("config");
        let lock = GitLock::hold(&file)?;
        let text = fs::read_if_exists(&file)?.unwrap_or_default();
        let moved =
            with_subsection_moved(&text, "branch", from.as_str(), to.map(BranchName::as_str));
        match moved {
            Some(text) => lock.replace(&file, &text, Readers::AsBefore),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use git2::ConfigLevel;

    #[test]
    fn a_config_stays_the_owners_alone() {
        let folder = tempfile::tempdir().expect("temp");
        let main = BranchName::main();
        let git = crate::git::create(folder.path(), &main).expect("made");
        let file = folder.path().join(".git/config");
        let alone = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, alone.clone()).expect("chmod");
        let mode = || {
            std::fs::metadata(&file)
                .expect("there")
                .permissions()
                .mode()
                & 0o777
        };
        git.set_config("lfs.url", "https://a").expect("set");
        assert_eq!(mode(), 0o600);
        git.unset_config("lfs.url").expect("unset");
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_setting_without_a_value_is_a_yes() {
        let folder = tempfile::tempdir().expect("temp");
        let git = crate::git::create(folder.path(), &BranchName::main()).expect("created");
        let config = folder.path().join(".git/config");
        let text = std::fs::read_to_string(&config).expect("read");
        for (line, shared) in [
            ("sharedRepository", true),
            ("sharedRepository = group", true),
            ("sharedRepository = umask", false),
        ] {
            std::fs::write(&config, format!("{text}[core]\n\t{line}\n")).expect("written");
            assert_eq!(git.sharing().is_some(), shared, "{line}");
        }
    }

    #[test]
    fn the_nearest_file_counts() {
        let folder = tempfile::tempdir().expect("temp");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let other = file("other", "[a]\n\tincluded = yes\n");
        let global = format!(
            "[a]\n\tx = 1\n\ty = 1\n[include]\n\tpath = {}\n",
            other.display()
        );
        let mut raw = git2::Config::new().expect("made");
        let levels = [
            (
                ConfigLevel::Local,
                "local",
                "[A]\n\tX = 3\n\tx = 4\n\tswitch\n",
            ),
            (ConfigLevel::System, "system", "[a]\n\tx = 0\n\tz = 0\n"),
            (ConfigLevel::Global, "global", &global),
        ];
        for (level, name, text) in levels {
            raw.add_file(&file(name, text), level, false)
                .expect("added");
        }
        let config = values(&raw, Writer::User).expect("read");
        for (key, value) in [
            ("x", "4"),
            ("y", "1"),
            ("z", "0"),
            ("included", "yes"),
            ("switch", "true"),
        ] {
            assert_eq!(config.get(&format!("a.{key}")), Some(value), "{key}");
        }
        assert_eq!(config.first("a.x"), Some("0"));
    }
}
