//! The other side of fetch and push, and what it says it has.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use git2::{Direction, RemoteCallbacks};

use super::error::wrap;
use super::program::Side;
use super::refs::commit_id;
use super::transport::{self, Session};
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Client;
use crate::http::retry::Tries;
use crate::id::CommitId;
use crate::name::BranchName;
use crate::progress::{self, Progress};
use crate::url::Url;

/// Where to fetch from and push to.
#[derive(Clone)]
pub(crate) enum Remote {
    /// A server that speaks git's smart protocol over http(s).
    Http { url: Url, client: Client },
    /// A repository on this machine.
    Folder(PathBuf),
    /// A repository behind ssh, which the `git` program reaches.
    Ssh(String),
}

impl Remote {
    /// The same for as long as there are tries.
    pub(crate) fn until(&self, tries: &Tries<'_>) -> Self {
        match self {
            Self::Http { url, client } => Self::Http {
                url: url.clone(),
                client: client.until(tries),
            },
            other => other.clone(),
        }
    }

    /// What to call it in messages.
    pub(crate) fn display(&self) -> String {
        match self {
            Self::Http { url, .. } => url.to_string(),
            Self::Folder(path) => path.display().to_string(),
            Self::Ssh(url) => url.clone(),
        }
    }
}

/// A ref of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// Its full name; annotated tags also appear with `^{}` behind it, for what they point to.
    pub(crate) name: String,
    pub(crate) id: ObjectId,
}

/// What a remote offers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Advertisement {
    pub(crate) refs: Vec<Advertised>,
    /// The branch its HEAD names; unknown for an empty repository.
    pub(crate) default_branch: Option<BranchName>,
}

impl Advertisement {
    /// Its branches; those whose names only some other git allows are left out.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (BranchName, CommitId)> {
        self.refs.iter().filter_map(|found| {
            let name = found.name.strip_prefix("refs/heads/")?.parse().ok()?;
            Some((name, commit_id(found.id)))
        })
    }

    /// Where a ref is on the remote.
    pub(crate) fn find(&self, full_name: &str) -> Option<ObjectId> {
        self.refs
            .iter()
            .find(|found| found.name == full_name)
            .map(|found| found.id)
    }
}

/// What the callbacks of one conversation gather; libgit2 runs them on the calling thread.
#[derive(Default)]
pub(super) struct Heard {
    /// The server's `remote:` text.
    pub(super) sideband: RefCell<Vec<u8>>,
    /// Per ref: accepted, or the reason it was not.
    pub(super) refs: RefCell<Vec<(String, Option<String>)>>,
}

/// Bytes of server text kept for the error; a hook can talk without end.
const SIDEBAND_LIMIT: usize = 64 << 10;

/// Callbacks that gather, report and cancel.
pub(super) fn callbacks<'a>(
    heard: &Rc<Heard>,
    progress: &'a Progress,
    cancel: &'a CancelToken,
) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    let listener = Rc::clone(heard);
    callbacks.sideband_progress(move |text| {
        let mut kept = listener.sideband.borrow_mut();
        let room = SIDEBAND_LIMIT.saturating_sub(kept.len());
        kept.extend_from_slice(&text[..text.len().min(room)]);
        !cancel.is_cancelled()
    });
    let listener = Rc::clone(heard);
    callbacks.push_update_reference(move |name, refused| {
        let status = refused.map(str::to_owned);
        listener.refs.borrow_mut().push((name.to_owned(), status));
        Ok(())
    });
    callbacks.transfer_progress(move |stats| {
        let bytes = stats.received_bytes() as u64;
        let direction = progress::Direction::Download;
        progress.report(|| progress::Event::Pack { direction, bytes });
        !cancel.is_cancelled()
    });
    callbacks.push_transfer_progress(move |_, _, bytes| {
        let (direction, bytes) = (progress::Direction::Upload, bytes as u64);
        progress.report(|| progress::Event::Pack { direction, bytes });
    });
    callbacks
}

/// How often a folder's refs are looked at while others come and go: each push to it has one of its
/// own for a moment.
const MOST_LOOKS: u32 = 20;

/// Whether a ref went that was there a moment ago.
fn is_ref_gone(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<git2::Error>());
    source.is_some_and(|error| {
        error.class() == git2::ErrorClass::Reference && error.message().contains("not found")
    })
}

/// Refuses a repository of this machine with a ref whose name is not UTF-8: libgit2's binding panics over
/// such a name when it lists them.
fn refuse_unreadable_names(folder: &Path, what: &str) -> Result<()> {
    // What cannot be opened says so soon enough.
    let Ok(there) = git2::Repository::open(folder) else {
        return Ok(());
    };
    let mut refs = there.references().map_err(wrap(what))?;
    let failure = refs.names().find_map(std::result::Result::err);
    // Other failures are told by who reads them in earnest.
    if failure.is_none_or(|error| error.class() != git2::ErrorClass::None) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("cannot {what}: it has a ref whose name is not UTF-8"),
    )
    .with_hint("rename it there with: git branch -m"))
}

impl Git {
    /// As [`converse`](Self::converse), again and again while what went wrong on the way may pass:
    /// for questions, and for fetching, which begins anew.
    pub(super) fn ask<T>(
        &self,
        remote: &Remote,
        action: &str,
        mut talk: impl FnMut(&mut git2::Remote<'_>) -> Result<T, git2::Error>,
    ) -> Result<T> {
        match remote {
            Remote::Http { url, client } => client.retrying(|client| {
                let (url, client) = (url.clone(), client.clone());
                self.converse(&Remote::Http { url, client }, action, &mut talk)
            }),
            Remote::Folder(_) => {
                let mut looks = 1;
                loop {
                    match self.converse(remote, action, &mut talk) {
                        // libgit2 lists the refs, then reads them; one may go in between.
                        Err(error) if looks < MOST_LOOKS && is_ref_gone(&error) => looks += 1,
                        result => return result,
                    }
                }
            }
            Remote::Ssh(_) => self.converse(remote, action, talk),
        }
    }

    /// Runs `talk` with a libgit2 remote for `remote`; errors of our transport come out as they
    /// went in, not as the text libgit2 makes of them.
    pub(super) fn converse<T>(
        &self,
        remote: &Remote,
        action: &str,
        talk: impl FnOnce(&mut git2::Remote<'_>) -> Result<T, git2::Error>,
    ) -> Result<T> {
        let what = format!("{action} {}", remote.display());
        match remote {
            Remote::Folder(path) => {
                if !path.exists() {
                    return Err(Error::new(
                        ErrorKind::RepoNotFound,
                        format!("cannot {what}: there is no such folder"),
                    )
                    .with_hint("name the folder of a git repository"));
                }
                refuse_unreadable_names(path, &what)?;
                let path = path.to_string_lossy();
                let mut raw = self.repo.remote_anonymous(&path).map_err(wrap(&what))?;
                talk(&mut raw).map_err(wrap(&what))
            }
            // Its jobs branch off before they come here.
            Remote::Ssh(_) => Err(Error::new(
                ErrorKind::Internal,
                format!("cannot {what}: libgit2 speaks no ssh here"),
            )),
            Remote::Http { url, client } => {
                let session = Arc::new(Session::new(url.clone(), client.clone()));
                let _entered = transport::enter(&session)?;
                let mut raw = self
                    .repo
                    .remote_anonymous(transport::URL)
                    .map_err(wrap(&what))?;
                talk(&mut raw)
                    .map_err(|error| session.take_error().unwrap_or_else(|| wrap(&what)(error)))
            }
        }
    }

    /// Asks the remote for its refs, as it tells them to those who may push.
    pub(crate) fn push_advertisement(
        &self,
        remote: &Remote,
        cancel: &CancelToken,
    ) -> Result<Advertisement> {
        self.advertisement(remote, Direction::Push, cancel)
    }

    /// Asks the remote for its refs, as it tells them to those who may read.
    pub(crate) fn fetch_advertisement(
        &self,
        remote: &Remote,
        cancel: &CancelToken,
    ) -> Result<Advertisement> {
        self.advertisement(remote, Direction::Fetch, cancel)
    }

    fn advertisement(
        &self,
        remote: &Remote,
        direction: Direction,
        cancel: &CancelToken,
    ) -> Result<Advertisement> {
        if let Remote::Ssh(url) = remote {
            let side = match direction {
                Direction::Fetch => Side::Fetch,
                Direction::Push => Side::Push,
            };
            return self.program_advertisement(url, side, cancel);
        }
        let heard = Rc::new(Heard::default());
        let progress = Progress::none();
        self.ask(remote, "read the refs of", |raw| {
            let callbacks = callbacks(&heard, &progress, cancel);
            let connection = raw.connect_auth(direction, Some(callbacks), None)?;
            read_advertisement(connection.list()?)
        })
    }
}

pub(super) fn read_advertisement(
    heads: &[git2::RemoteHead<'_>],
) -> Result<Advertisement, git2::Error> {
    let default = heads
        .iter()
        .find(|head| head.name() == "HEAD")
        .and_then(|head| {
            head.symref_target()?
                .strip_prefix("refs/heads/")?
                .parse()
                .ok()
        });
    let refs = heads
        .iter()
        .filter(|head| head.name().starts_with("refs/"))
        .map(|head| Advertised {
            name: head.name().to_owned(),
            id: head.oid(),
        })
        .collect();
    Ok(Advertisement {
        refs,
        default_branch: default,
    })
}
