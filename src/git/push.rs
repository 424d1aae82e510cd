//! Changing refs of a remote, and reading what the server says of each.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use git2::PushOptions;

use super::remote::{Heard, Remote, callbacks};
use super::sent_pack::SentPack;
use super::{Git, ObjectId, transport};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Direction, Event, Progress};

/// What is to become of a ref of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefUpdate {
    /// Its full name there.
    pub(crate) name: String,
    /// Where it is to lead: to a commit or a tag; `None` deletes it.
    pub(crate) to: Option<ObjectId>,
    /// Where it has to be now, for anything to be sent.
    pub(crate) lease: Lease,
    pub(crate) how: How,
}

/// Where a ref of a remote has to be before it is changed. One that is where it is to go is always right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// Wherever.
    Any,
    /// It must not exist.
    Absent,
    /// There.
    At(ObjectId),
}

/// Which way a ref may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum How {
    /// Only where nothing that it had is lost.
    #[default]
    FastForward,
    /// Anywhere.
    Force,
}

/// What the server made of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PushOutcome {
    /// It moved.
    Accepted,
    /// It did not, for the reason the server's git gives (`pre-receive hook declined`).
    Refused(String),
}

/// What the server made of a push of one ref.
#[derive(Clone, Debug)]
pub(crate) struct RefPush {
    pub(crate) outcome: PushOutcome,
    /// Its `remote:` text, raw.
    pub(crate) server_text: String,
}

/// What the server made of a push.
#[derive(Clone, Debug)]
pub(crate) struct RefsPush {
    /// One for each update, in their order.
    pub(crate) outcomes: Vec<PushOutcome>,
    /// Its `remote:` text, raw.
    pub(crate) server_text: String,
}

impl Lease {
    /// At a place, or nowhere.
    pub(crate) fn of(id: Option<ObjectId>) -> Self {
        id.map_or(Self::Absent, Self::At)
    }
}

impl RefUpdate {
    /// Refuses the update if the ref is at `found` and should not be.
    pub(crate) fn check_lease(&self, found: Option<ObjectId>) -> Result<()> {
        let expected = match self.lease {
            Lease::Any => return Ok(()),
            Lease::Absent => None,
            Lease::At(id) => Some(id),
        };
        if found == expected || found == self.to {
            return Ok(());
        }
        let place = |id: Option<ObjectId>| match id {
            Some(id) => format!("at {id}"),
            None => "not there".to_owned(),
        };
        let (name, expected, found) = (&self.name, place(expected), place(found));
        Err(Error::new(
            ErrorKind::StaleLease,
            format!("{name} of the remote should be {expected}, but is {found}"),
        )
        .with_hint("somebody else moved it: fetch, look at what they did, and decide anew"))
    }

    /// As git writes it.
    pub(super) fn refspec(&self) -> String {
        let force = match self.how {
            How::Force if self.to.is_some() => "+",
            _ => "",
        };
        let from = self.to.map(|id| id.to_string()).unwrap_or_default();
        format!("{force}{from}:{}", self.name)
    }
}

impl Git {
    /// Changes one ref; see [`push_refs`](Self::push_refs).
    pub(crate) fn push_ref(
        &self,
        remote: &Remote,
        update: &RefUpdate,
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<RefPush> {
        let updates = std::slice::from_ref(update);
        let mut pushed = self.push_refs(remote, updates, progress, cancel)?;
        let outcome = pushed.outcomes.pop();
        Ok(RefPush {
            outcome: outcome.ok_or_else(|| silence(remote, &update.name))?,
            server_text: pushed.server_text,
        })
    }

    /// Changes refs of a remote in one push, and sends the objects they need.
    ///
    /// A server that refuses a ref answers `Ok` with [`PushOutcome::Refused`]; others may move all the
    /// same. `Err` means that no answer came, or none about some ref.
    ///
    /// # Errors
    /// [`ErrorKind::StaleLease`] and [`ErrorKind::NonFastForward`] before anything is sent.
    pub(crate) fn push_refs(
        &self,
        remote: &Remote,
        updates: &[RefUpdate],
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<RefsPush> {
        for update in updates {
            self.check_way(update)?;
        }
        match remote {
            Remote::Folder(folder) => self.push_to_folder(folder, updates, progress, cancel),
            Remote::Ssh(url) => self.program_push(url, updates, cancel),
            Remote::Http { .. } => self.send_refs(remote, updates, progress, cancel),
        }
    }

    /// Refuses an update that should be, and is not, a step forward from where it starts.
    fn check_way(&self, update: &RefUpdate) -> Result<()> {
        let (Lease::At(from), Some(to), How::FastForward) = (update.lease, update.to, update.how)
        else {
            return Ok(());
        };
        if from == to || self.leads_to(from, to)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NonFastForward,
            format!("{} would lose what the remote has there", update.name),
        )
        .with_hint("pull first, then push again"))
    }

    /// Whether a commit that is here has another for its ancestor.
    pub(super) fn leads_to(&self, ancestor: ObjectId, descendant: ObjectId) -> Result<bool> {
        if !self.has(ancestor) {
            return Ok(false);
        }
        match (self.known_commit(ancestor), self.known_commit(descendant)) {
            (Some(ancestor), Some(descendant)) => self.is_ancestor(ancestor, descendant),
            _ => Ok(false),
        }
    }

    /// One push over a connection that libgit2 drives.
    pub(super) fn send_refs(
        &self,
        remote: &Remote,
        updates: &[RefUpdate],
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<RefsPush> {
        let heard = Rc::new(Heard::default());
        let stale: RefCell<Option<Error>> = RefCell::default();
        let refspecs: Vec<String> = updates.iter().map(RefUpdate::refspec).collect();
        let pack = SentPack::of(self, updates, progress, cancel)?;
        let pushed = self.converse(remote, "push to", |raw| {
            let mut callbacks = callbacks(&heard, progress, cancel);
            if let Some(pack) = pack {
                let sent = Arc::clone(&pack.sent);
                transport::offer(pack);
                // libgit2 tells of its own pack at the end, whoever made the one that was sent.
                callbacks.push_transfer_progress(move |_, _, bytes| {
                    let bytes = sent.load(Ordering::Relaxed).max(bytes as u64);
                    let direction = Direction::Upload;
                    progress.report(|| Event::Pack { direction, bytes });
                });
            }
            // What the server has is known, and nothing is sent yet. It compares what it has then
            // with what it said here.
            callbacks.push_negotiation(|found| {
                for found in found {
                    let name = found.dst_refname()?;
                    let at = Some(found.src()).filter(|id| !id.is_zero());
                    let mut updates = updates.iter().filter(|update| update.name == name);
                    if let Some(error) = updates.find_map(|update| update.check_lease(at).err()) {
                        *stale.borrow_mut() = Some(error);
                        return Err(git2::Error::from_str("a ref is not where it should be"));
                    }
                }
                Ok(())
            });
            let mut options = PushOptions::new();
            // 0: as many threads as there are cores.
            options
                .remote_callbacks(callbacks)
                .packbuilder_parallelism(0);
            raw.push(&refspecs, Some(&mut options))
        });
        if let Some(error) = stale.take() {
            return Err(error);
        }
        pushed?;
        let told = heard.refs.borrow();
        let outcome = |update: &RefUpdate| match told.iter().find(|(name, _)| *name == update.name)
        {
            Some((_, None)) => Ok(PushOutcome::Accepted),
            Some((_, Some(reason))) => Ok(PushOutcome::Refused(reason.clone())),
            None => Err(silence(remote, &update.name)),
        };
        Ok(RefsPush {
            outcomes: updates.iter().map(outcome).collect::<Result<_>>()?,
            server_text: String::from_utf8_lossy(&heard.sideband.borrow()).into_owned(),
        })
    }
}

/// The error for a server that says nothing about a ref.
pub(super) fn silence(remote: &Remote, name: &str) -> Error {
    let remote = remote.display();
    Error::new(
        ErrorKind::Protocol,
        format!("{remote} took the push but did not say what became of {name}"),
    )
    .with_hint("call again: the push is repeated only if it is needed")
}
