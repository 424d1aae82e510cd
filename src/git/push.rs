//! Pushing one commit to one branch, and reading what the server says of it.

use std::rc::Rc;

use git2::{ErrorCode, PushOptions, Repository};

use super::error::{patiently, wrap};
use super::remote::{Heard, Remote, callbacks};
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::name::BranchName;
use crate::progress::Progress;

/// What the server made of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PushOutcome {
    /// It moved.
    Accepted,
    /// It did not, for the reason the server's git gives (`pre-receive hook declined`).
    Refused(String),
}

/// Moves a branch from `tip` to `commit`, and from nowhere else.
fn move_branch(
    there: &Repository,
    full_name: &str,
    commit: CommitId,
    tip: Option<CommitId>,
) -> Result<(), git2::Error> {
    let id = |commit: CommitId| ObjectId::from_str(&commit.to_string());
    let (log, target) = ("push", id(commit)?);
    match tip {
        Some(tip) => there.reference_matching(full_name, target, true, id(tip)?, log),
        None => there.reference(full_name, target, false, log),
    }
    .map(drop)
}

/// What the server made of a push.
#[derive(Clone, Debug)]
pub(crate) struct RefPush {
    pub(crate) outcome: PushOutcome,
    /// Its `remote:` text, raw.
    pub(crate) server_text: String,
}

impl Git {
    /// Pushes `commit` to the remote's `branch`, fast-forward only.
    ///
    /// A server that refuses the ref answers `Ok` with [`PushOutcome::Refused`]; `Err` means that
    /// no answer came, or none about this ref.
    ///
    /// `tip` is where the branch was when the remote was last asked; only from there it moves.
    pub(crate) fn push(
        &self,
        remote: &Remote,
        commit: CommitId,
        branch: &BranchName,
        tip: Option<CommitId>,
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<RefPush> {
        let folder = match remote {
            Remote::Folder(folder) => folder,
            Remote::Ssh(url) => return self.program_push(url, commit, &branch.local_ref(), cancel),
            Remote::Http { .. } => {
                return self.push_ref(remote, commit, &branch.local_ref(), progress, cancel);
            }
        };
        // libgit2 overwrites a local remote's ref, whoever moved it meanwhile: so the objects go
        // to a ref of our own, and the branch is moved by comparing and swapping.
        let staging = format!("refs/hf-repository/push-{commit}-{}", std::process::id());
        let pushed = self.push_ref(remote, commit, &staging, progress, cancel)?;
        if pushed.outcome != PushOutcome::Accepted {
            return Ok(pushed);
        }
        let what = format!("push to {}", remote.display());
        let there = Repository::open(folder).map_err(wrap(&what))?;
        let moved = patiently(&what, || {
            match move_branch(&there, &branch.local_ref(), commit, tip) {
                Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists) => {
                    Ok(false)
                }
                result => result.map(|()| true),
            }
        });
        let cleaned = there
            .find_reference(&staging)
            .and_then(|mut found| found.delete());
        if let Err(error) = cleaned {
            tracing::debug!(%error, "the staging ref stays");
        }
        if moved? {
            return Ok(pushed);
        }
        Ok(RefPush {
            outcome: PushOutcome::Refused("fetch first".to_owned()),
            ..pushed
        })
    }

    fn push_ref(
        &self,
        remote: &Remote,
        commit: CommitId,
        full_name: &str,
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<RefPush> {
        let heard = Rc::new(Heard::default());
        self.converse(remote, "push to", |raw| {
            let mut options = PushOptions::new();
            // 0: as many threads as there are cores.
            options
                .remote_callbacks(callbacks(&heard, progress, cancel))
                .packbuilder_parallelism(0);
            raw.push(&[format!("{commit}:{full_name}")], Some(&mut options))
        })?;
        let server_text = String::from_utf8_lossy(&heard.sideband.borrow()).into_owned();
        let answer = heard
            .refs
            .borrow()
            .iter()
            .find(|(name, _)| *name == full_name)
            .cloned();
        match answer {
            Some((_, None)) => Ok(RefPush {
                outcome: PushOutcome::Accepted,
                server_text,
            }),
            Some((_, Some(reason))) => Ok(RefPush {
                outcome: PushOutcome::Refused(reason),
                server_text,
            }),
            None => Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "{} took the push but did not say what became of {full_name}",
                    remote.display()
                ),
            )
            .with_hint("call again: the push is repeated only if it is needed")),
        }
    }
}
