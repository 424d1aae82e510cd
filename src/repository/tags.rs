use super::Repository;
use super::refs::Where;
use super::tag_words::{Tag, TagOptions, TagOutcome};
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Git, ObjectId, object_id, tidy_message};
use crate::id::CommitId;
use crate::name::{RemoteName, Revision, TagName};
use crate::push::{RefChange, RemoteRef};

/// Tags.
impl Repository {
    /// Creates a lightweight tag of HEAD in this clone; no network.
    ///
    /// It is [`create_tag_with`](Self::create_tag_with) without options.
    ///
    /// # Errors
    /// As there.
    pub fn create_tag(&self, name: impl AsRef<str>) -> Result<TagOutcome> {
        self.create_tag_with(name, TagOptions::default())
    }

    /// Creates a tag in this clone, and on a remote if `options` name one.
    ///
    /// A tag that is there already, leads to the same commit and says the same is
    /// [`RefChange::Existed`]: a script that runs again goes through. Any other of that name is an
    /// error, here as on the remote; tags are never moved.
    ///
    /// A remote gets the tag's LFS objects before the tag, after a background push that is under way. If it
    /// does not take the tag, for whatever reason, the one that was created here is removed again; it stays if
    /// the remote may have taken it and cannot be asked.
    ///
    /// ```no_run
    /// # let repo = hf_repository::Repository::open("out")?;
    /// use hf_repository::{RefChange, RemoteName, TagOptions};
    /// let options = TagOptions::default().message("paper").on(RemoteName::origin());
    /// let tag = repo.create_tag_with("v1.0", options)?;
    /// assert_eq!(tag.remote, RefChange::Created);
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::AlreadyExists`],
    /// [`ErrorKind::RevisionNotFound`], [`ErrorKind::UnbornBranch`] before the first commit;
    /// [`ErrorKind::InvalidInput`] for an empty message, [`ErrorKind::RemoteNotFound`];
    /// [`ErrorKind::Rejected`] if the server's hook refuses; and those of [`push`](Self::push).
    pub fn create_tag_with(
        &self,
        name: impl AsRef<str>,
        options: TagOptions,
    ) -> Result<TagOutcome> {
        let name: TagName = name.as_ref().parse()?;
        let _span = tracing::info_span!("create_tag", %name).entered();
        let _settled = self.local.progress.settled();
        let message = options.message.as_deref().map(tidy_message).transpose()?;
        if message.as_deref() == Some("") {
            return Err(
                Error::new(ErrorKind::InvalidInput, "the tag's message is empty")
                    .with_hint("say something, or leave the message out"),
            );
        }
        self.settle();
        let git = self.local.git()?;
        let remote = self.connection_to(&git, options.remote.as_ref())?;
        let made = self.create_here(&git, &name, options.at.as_ref(), message.as_deref())?;
        let mut outcome = TagOutcome {
            name,
            commit: Some(made.commit),
            local: made.change,
            remote: RefChange::Untouched,
            server_message: None,
        };
        let Some(remote) = remote else {
            return Ok(outcome);
        };
        let full = outcome.name.full_ref();
        let there = RemoteRef {
            local: &self.local,
            git: &git,
            to: &remote,
            name: &full,
        };
        match there.create(made.id, made.commit) {
            Ok(changed) => {
                if let Some(theirs) = changed.id.filter(|id| *id != made.id)
                    && made.change == RefChange::Created
                {
                    self.take_theirs(&git, &full, made.id, theirs)?;
                }
                outcome.remote = changed.change;
                outcome.server_message = changed.server_message;
                Ok(outcome)
            }
            Err(failed) => {
                if made.change == RefChange::Created && !failed.may_be_there {
                    self.take_back(&git, &full, made.id);
                }
                Err(failed.error)
            }
        }
    }

    /// Puts a tag that was just created where the remote's is, which says the same: for git two tag objects
    /// of one name are a clash.
    fn take_theirs(&self, git: &Git, full: &str, ours: ObjectId, theirs: ObjectId) -> Result<()> {
        let _lock = self.lock_refs(&[full])?;
        match git.delete_ref(full, ours)? {
            true => git.create_ref(full, theirs, "tag"),
            false => Ok(()),
        }
    }

    fn create_here(
        &self,
        git: &Git,
        name: &TagName,
        at: Option<&Revision>,
        message: Option<&str>,
    ) -> Result<Made> {
        let _lock = self.lock_refs(&[&name.full_ref()])?;
        let commit = self.commit_at(git, at, "tag")?;
        if let Some(tag) = git.tag(name)? {
            let same = tag.commit == Some(commit)
                && tag.is_annotated == message.is_some()
                && tag.annotation.message.as_deref() == message;
            if same {
                return Ok(Made {
                    id: tag.id,
                    commit,
                    change: RefChange::Existed,
                });
            }
            let kind = if tag.is_annotated {
                "an annotated"
            } else {
                "a"
            };
            let place = tag
                .commit
                .map_or_else(|| tag.id.to_string(), |it| it.to_string());
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("there is {kind} tag {name} already, of {place}"),
            )
            .with_hint("choose another name, or delete that one first"));
        }
        let id = match message {
            Some(message) => {
                git.write_tag(name, commit, message, &self.local.identity_for(git)?)?
            }
            None => object_id(commit)?,
        };
        git.create_ref(&name.full_ref(), id, "tag")?;
        tracing::info!(%commit, "tagged");
        Ok(Made {
            id,
            commit,
            change: RefChange::Created,
        })
    }

    /// Deletes a tag in this clone; no network. One that is not there is [`RefChange::Missing`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], and if refs cannot be written.
    pub fn delete_tag(&self, name: impl AsRef<str>) -> Result<TagOutcome> {
        self.delete_tag_from(name, &Where::Here)
    }

    /// Deletes a tag where `place` says. What is not there is [`RefChange::Missing`].
    ///
    /// The remote comes first: if it refuses, nothing has changed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::RemoteNotFound`], [`ErrorKind::Rejected`],
    /// [`ErrorKind::StaleLease`] if somebody moves the tag meanwhile, and those of credentials and
    /// network.
    pub fn delete_tag_from(&self, name: impl AsRef<str>, place: &Where) -> Result<TagOutcome> {
        let name: TagName = name.as_ref().parse()?;
        let _span = tracing::info_span!("delete_tag", %name).entered();
        let git = self.local.git()?;
        let full = name.full_ref();
        let mut outcome = TagOutcome {
            name,
            commit: None,
            local: RefChange::Untouched,
            remote: RefChange::Untouched,
            server_message: None,
        };
        if let Some(remote) = place.remote() {
            let there = RemoteRef {
                local: &self.local,
                git: &git,
                to: &self.local.remote.to(&git, remote)?,
                name: &full,
            };
            let changed = there.delete(|_, _| Ok(()))?;
            outcome.remote = changed.change;
            outcome.server_message = changed.server_message;
        }
        if place.is_here() {
            let _lock = self.lock_refs(&[&full])?;
            outcome.commit = git.tag(&outcome.name)?.and_then(|tag| tag.commit);
            outcome.local = match git.drop_ref_if_there(&full)? {
                true => RefChange::Deleted,
                false => RefChange::Missing,
            };
        }
        Ok(outcome)
    }

    /// Whether this clone has a tag; no network.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], also for an empty one; if refs cannot be read.
    pub fn has_tag(&self, name: impl AsRef<str>) -> Result<bool> {
        let name: TagName = name.as_ref().parse()?;
        Ok(self.local.git()?.tag(&name)?.is_some())
    }

    /// Whether a remote has a tag, now.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::RemoteNotFound`], and those of credentials and
    /// network.
    pub fn has_tag_on(&self, name: impl AsRef<str>, remote: &RemoteName) -> Result<bool> {
        let name: TagName = name.as_ref().parse()?;
        let there = self.ask(&self.local.git()?, remote)?;
        Ok(there.find(&name.full_ref()).is_some())
    }

    /// The tags of this clone, by name; no network.
    ///
    /// [`pull`](Self::pull) brings the tags of what it fetches, as git does.
    ///
    /// # Errors
    /// If refs cannot be read.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        let tags = self.local.git()?.tags()?;
        Ok(tags.into_iter().map(Tag::from).collect())
    }

    /// The tags a remote has now, by name.
    ///
    /// It does not say what kind of object a tag leads to. If it is not here, it is taken for a commit.
    ///
    /// # Errors
    /// [`ErrorKind::RemoteNotFound`], and those of credentials and network.
    pub fn tags_on(&self, remote: &RemoteName) -> Result<Vec<Tag>> {
        let git = self.local.git()?;
        let there = self.ask(&git, remote)?;
        Ok(git.tags_of(&there).into_iter().map(Tag::from).collect())
    }
}

/// A tag of this clone, and how it came to be there.
struct Made {
    id: ObjectId,
    commit: CommitId,
    change: RefChange,
}
