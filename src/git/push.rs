//! Pushing one commit to one branch, and reading what the server says of it.

use std::rc::Rc;

use git2::PushOptions;

use super::Git;
use super::remote::{Heard, Remote, callbacks};
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
    pub(crate) fn push(
        &self,
        remote: &Remote,
        commit: CommitId,
        branch: &BranchName,
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<RefPush> {
        let full_name = branch.local_ref();
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
                    "{} took the push but did not say what became of {branch}",
                    remote.display()
                ),
            )
            .with_hint("call again: the push is repeated only if it is needed")),
        }
    }
}
