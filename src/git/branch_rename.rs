//! Giving a branch another name, in steps of which each may be the last one.

use std::path::Path;

use super::refs::object_id;
use super::{Git, PrivateRef};
use crate::error::{Error, ErrorKind, Result};
use crate::fs;
use crate::id::CommitId;
use crate::name::BranchName;

impl Git {
    /// Whether a rename was begun that nobody finished, and going on loses no commit: what is on one of
    /// the names is on the other as well.
    pub(crate) fn is_half_renamed(&self, from: &BranchName, to: &BranchName) -> Result<bool> {
        let Some(begun) = self.private(&PrivateRef::Renaming(from, to))? else {
            return Ok(false);
        };
        let here = |branch: &BranchName| self.ref_commit(&branch.local_ref());
        match (here(from)?, here(to)?) {
            (_, None) => Ok(false),
            (None, Some(_)) => Ok(true),
            (Some(old), Some(new)) if new == begun => self.is_ancestor(new, old),
            (Some(old), Some(new)) => Ok(old == begun && self.is_ancestor(old, new)?),
        }
    }

    /// Gives a branch another name, with its log and what the config says of it, or finishes that. HEAD
    /// follows if it is on it. Where the branch is then.
    ///
    /// At any time one of the names leads to the commit, and HEAD to one of the names.
    pub(crate) fn rename_branch(&self, from: &BranchName, to: &BranchName) -> Result<CommitId> {
        let (old, new) = (from.local_ref(), to.local_ref());
        let log = format!("Branch: renamed {old} to {new}");
        let mark = PrivateRef::Renaming(from, to);
        let begun = self.is_half_renamed(from, to)?;
        let tip = self.ref_commit(&old)?;
        let there = if begun {
            self.bring_together(from, to, tip, &log)?
        } else {
            self.refuse_taken(&new)?;
            let tip = tip.ok_or_else(|| moved(from, to))?;
            if self.upstream(to).is_some() {
                self.unfollow(to)?;
            }
            self.set_private(&mark, tip)?;
            // Before the ref is there, so that its creation is logged behind what was.
            self.move_log(&old, &new)?;
            self.create_ref(&new, object_id(tip)?, &log)
                .inspect_err(|_| {
                    drop(self.move_log(&new, &old));
                    drop(self.drop_private(&mark));
                })?;
            tip
        };
        // What has been moved already counts; two sections of one name would be one that follows two refs.
        let section = self.upstream(to).is_none().then_some(to);
        self.move_branch_section(from, section)?;
        if let Some(goal) = self.private(&PrivateRef::Integrated(from))? {
            self.set_private(&PrivateRef::Integrated(to), goal)?;
            self.drop_private(&PrivateRef::Integrated(from))?;
        }
        if self.head()?.branch("").ok() == Some(from) {
            self.set_symbolic("HEAD", &new, &log)?;
        }
        if let Some(tip) = tip
            && !self.delete_ref(&old, object_id(tip)?)?
        {
            return Err(moved(from, to));
        }
        self.drop_private(&mark)?;
        Ok(there)
    }

    /// Makes the new name have all that the old one has; where it is then.
    fn bring_together(
        &self,
        from: &BranchName,
        to: &BranchName,
        old: Option<CommitId>,
        log: &str,
    ) -> Result<CommitId> {
        let full = to.local_ref();
        let new = self.ref_commit(&full)?.ok_or_else(|| moved(from, to))?;
        match old {
            Some(old) if !self.is_ancestor(old, new)? => {
                if !self.is_ancestor(new, old)? {
                    return Err(moved(from, to));
                }
                self.set_ref(&full, old, Some(new), log)?;
                Ok(old)
            }
            _ => Ok(new),
        }
    }

    /// By one rename; libgit2 needs two, and looks in the wrong place if the work tree is a linked one.
    fn move_log(&self, from: &str, to: &str) -> Result<()> {
        let logs = self.common_dir().join("logs");
        let (old, new) = (logs.join(from), logs.join(to));
        if !old.is_file() {
            return Ok(());
        }
        fs::create_parent(&new)?;
        // Where branches were, folders may be left.
        remove_empty_folders(&new);
        fs::move_into_place(&old, &new)?;
        let above = old.ancestors().skip(1);
        for folder in above.take_while(|folder| *folder != logs.join("refs/heads")) {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn moved(from: &BranchName, to: &BranchName) -> Error {
    Error::new(
        ErrorKind::Locked,
        format!("{from} was moved while it was renamed to {to}"),
    )
    .with_hint("call again: that finishes it, if it loses nothing")
}

/// Removes a folder if there are only folders in it.
fn remove_empty_folders(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_empty_folders(&entry.path());
    }
    // One that is not empty, or no folder, is what the move stumbles over.
    drop(std::fs::remove_dir(folder));
}
