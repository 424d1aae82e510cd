//! Refs of a remote that are made or deleted because somebody says so.

use super::ship::{Shipment, rejected};
use crate::config::Use;
use crate::error::{Error, ErrorKind, Result};
use crate::git::{Advertisement, Git, How, Lease, ObjectId, PushOutcome, RefUpdate};
use crate::id::CommitId;
use crate::local::Local;
use crate::remote::Connection;

/// What became of a tag or branch in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefChange {
    /// It was not asked for there.
    #[default]
    Untouched,
    /// It was made.
    Created,
    /// It was there already, just so.
    Existed,
    /// It is there no more.
    Deleted,
    /// It was to be deleted, and was not there.
    Missing,
}

/// What became of a ref of a remote, and what the server said.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) change: RefChange,
    /// What it leads to now.
    pub(crate) id: Option<ObjectId>,
    pub(crate) server_message: Option<String>,
}

/// Why a ref of a remote was not made.
#[derive(Debug)]
pub(crate) struct NotCreated {
    pub(crate) error: Error,
    /// Whether the remote may have made it all the same: it did not answer, and could not be asked.
    pub(crate) may_be_there: bool,
}

impl From<Error> for NotCreated {
    fn from(error: Error) -> Self {
        Self {
            error,
            may_be_there: false,
        }
    }
}

/// A ref of one of the clone's remotes.
pub(crate) struct RemoteRef<'a> {
    pub(crate) local: &'a Local,
    pub(crate) git: &'a Git,
    pub(crate) to: &'a Connection,
    /// Its full name there.
    pub(crate) name: &'a str,
}

impl RemoteRef<'_> {
    /// Makes it lead to an object that in turn leads to a commit. What the remote lacks of that goes
    /// there first. An annotated tag that leads to the same and says the same is as good as this one.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if it leads elsewhere, [`ErrorKind::Rejected`], and those of a push.
    pub(crate) fn create(&self, id: ObjectId, commit: CommitId) -> Result<Changed, NotCreated> {
        let cancel = &self.local.cancel;
        let _pusher = self.local.lock_pushing(cancel)?;
        let remote = self.to.git(Use::Push, cancel)?;
        let there = self.git.push_advertisement(&remote, cancel)?;
        match there.find(self.name) {
            Some(found) if found == id || self.is_alike(found, id)? => {
                return Ok(Changed::silent(RefChange::Existed, Some(found)));
            }
            Some(found) => return Err(self.taken(found).into()),
            None => {}
        }
        let known = |id| self.git.known_commit(id);
        let has: Vec<CommitId> = there.refs.iter().filter_map(|it| known(it.id)).collect();
        self.shipment().load(commit, self.name, &has)?;
        let update = self.update(Some(id), Lease::Absent);
        let server_message = match self.send(&remote, &update, "to create") {
            Ok(message) => message,
            Err(error) if refuses(error.kind()) => return Err(error.into()),
            // The server may have done it before the connection broke, or before it was called off. That it
            // is there by now may be the work of the first of several tries.
            Err(error) => match self.git.push_advertisement(&remote, cancel) {
                Ok(there) if there.find(self.name) == Some(id) => None,
                Ok(_) => return Err(error.into()),
                Err(_) => {
                    return Err(NotCreated {
                        error: error.with_hint(
                            "the remote may have it by now, so it stays here: call again to see",
                        ),
                        may_be_there: true,
                    });
                }
            },
        };
        Ok(Changed {
            change: RefChange::Created,
            id: Some(id),
            server_message,
        })
    }

    /// Whether what the remote has is another tag object than ours that says the same.
    fn is_alike(&self, there: ObjectId, ours: ObjectId) -> Result<bool> {
        if !self.git.is_tag(ours) {
            return Ok(false);
        }
        if !self.git.is_tag(there) {
            let (progress, cancel) = (&self.local.progress, &self.local.cancel);
            let remote = self.to.git(Use::Fetch, cancel)?;
            let _fetcher = self.local.lock_fetching(&[], cancel)?;
            self.git.bring_ref(&remote, self.name, progress, cancel)?;
        }
        Ok(self.git.are_alike(there, ours))
    }

    /// Deletes it, if `may` has nothing against that: it is told what the remote has, and where the ref
    /// is, if it is there at all.
    ///
    /// # Errors
    /// Those of `may`; [`ErrorKind::StaleLease`] if it is moved meanwhile, [`ErrorKind::Rejected`], and
    /// those of credentials and network.
    pub(crate) fn delete(
        &self,
        may: impl FnOnce(&Advertisement, Option<ObjectId>) -> Result<()>,
    ) -> Result<Changed> {
        let cancel = &self.local.cancel;
        let _pusher = self.local.lock_pushing(cancel)?;
        let remote = self.to.git(Use::Push, cancel)?;
        let there = self.git.push_advertisement(&remote, cancel)?;
        let found = there.find(self.name);
        may(&there, found)?;
        let Some(found) = found else {
            return Ok(Changed::silent(RefChange::Missing, None));
        };
        let update = self.update(None, Lease::At(found));
        let server_message = self.send(&remote, &update, "to delete")?;
        Ok(Changed {
            change: RefChange::Deleted,
            id: None,
            server_message,
        })
    }

    fn update(&self, to: Option<ObjectId>, lease: Lease) -> RefUpdate {
        RefUpdate {
            name: self.name.to_owned(),
            to,
            lease,
            how: How::FastForward,
        }
    }

    fn shipment(&self) -> Shipment<'_> {
        Shipment {
            local: self.local,
            to: self.to,
            git: self.git,
            progress: &self.local.progress,
            cancel: &self.local.cancel,
            done: &|_| {},
        }
    }

    fn send(
        &self,
        remote: &crate::git::Remote,
        update: &RefUpdate,
        action: &str,
    ) -> Result<Option<String>> {
        let pushed = self.shipment().push(remote, update)?;
        match &pushed.outcome {
            PushOutcome::Accepted => {}
            PushOutcome::Refused(reason) => {
                let what = format!("{action} {}", self.name);
                return Err(rejected(&what, reason, &pushed.server_text));
            }
        }
        tracing::info!(name = self.name, remote = %self.to.name(), action, "done there");
        let text = crate::secret::fit_to_show(pushed.server_text.trim());
        Ok((!text.is_empty()).then_some(text))
    }

    fn taken(&self, found: ObjectId) -> Error {
        Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "{} exists on {} already, and is at {found}",
                self.name,
                self.to.name()
            ),
        )
        .with_hint("choose another name, or delete that one first")
    }
}

impl Changed {
    fn silent(change: RefChange, id: Option<ObjectId>) -> Self {
        Self {
            change,
            id,
            server_message: None,
        }
    }
}

/// Whether an error says that the server was asked and has not changed the ref.
fn refuses(kind: ErrorKind) -> bool {
    use ErrorKind::{Forbidden, Rejected, Unauthorized};
    matches!(kind, Rejected | Unauthorized | Forbidden)
}
