//! Fetching a single ref that is no branch: `refs/pr/3`, `refs/convert/parquet`.

use std::rc::Rc;

use git2::{AutotagOption, Direction, FetchOptions};

use super::program::Side;
use super::remote::{Heard, Remote, callbacks, read_advertisement};
use super::shallow::Reach;
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::id::CommitId;
use crate::name::{RefName, RemoteName};
use crate::progress::Progress;

impl Git {
    /// Fetches a ref of the remote and sets its tracking ref; where it is, if the remote has it.
    pub(crate) fn fetch_ref(
        &self,
        remote: &Remote,
        name: &RemoteName,
        wanted: &RefName,
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<Option<CommitId>> {
        let full = wanted.as_str();
        let Some(id) = self.bring_ref(remote, full, progress, cancel)? else {
            return Ok(None);
        };
        let commit = self.known_commit(id).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("{full} of {name} does not lead to a commit that can be had"),
            )
            .with_hint("call again: it may have moved meanwhile")
        })?;
        self.track_commit(&wanted.tracking_ref(name), commit, "fetch")?;
        Ok(Some(commit))
    }

    /// Brings what a ref of the remote leads to; no ref changes here.
    pub(crate) fn bring_ref(
        &self,
        remote: &Remote,
        full: &str,
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<Option<ObjectId>> {
        let packs = self.packs()?;
        self.refuse_cut_folders(remote, Reach::New)?;
        let found = match remote {
            Remote::Ssh(url) => {
                let there = self.program_advertisement(url, Side::Fetch, cancel)?;
                let found = there.find(full);
                if found.is_some_and(|id| !self.has(id)) {
                    self.program_download(url, &[full.to_owned()], Reach::New, cancel)?;
                }
                found
            }
            Remote::Http { .. } | Remote::Folder(_) => {
                let heard = Rc::new(Heard::default());
                self.ask(remote, "fetch from", |raw| {
                    let callbacks = || Some(callbacks(&heard, progress, cancel));
                    let mut connection = raw.connect_auth(Direction::Fetch, callbacks(), None)?;
                    let found = read_advertisement(connection.list()?)?.find(full);
                    if found.is_some() {
                        let mut options = FetchOptions::new();
                        options
                            .remote_callbacks(callbacks().unwrap_or_default())
                            .download_tags(AutotagOption::None)
                            .update_fetchhead(false);
                        let refspec = format!("+{full}:{full}");
                        connection
                            .remote()
                            .download(&[refspec], Some(&mut options))?;
                    }
                    Ok(found)
                })?
            }
        };
        packs.sync()?;
        self.sync_shallow()?;
        cancel.check()?;
        Ok(found)
    }
}
