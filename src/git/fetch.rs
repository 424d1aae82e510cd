//! Fetching: objects first, then the tracking refs, set by us.

use std::collections::HashSet;
use std::rc::Rc;

use git2::{AutotagOption, Direction, FetchOptions};

use super::branches::Branches;
use super::refs::object_id;
use super::remote::{Advertised, Advertisement, Heard, Remote, callbacks, read_advertisement};
use super::shallow::Reach;
use super::{Git, ObjectId, PrivateRef};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::id::CommitId;
use crate::name::{BranchName, RemoteName, TagName};
use crate::progress::Progress;

/// What a fetch found and changed.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The branch the remote's HEAD names; unknown for an empty repository.
    pub(crate) default_branch: Option<BranchName>,
    /// Branches of the remote.
    pub(crate) branches: Vec<BranchName>,
}

/// Which tags come along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// All, as `git clone` takes them.
    All,
    /// Those that point into the history fetched, as `git fetch` takes them.
    Following,
}

/// The refspec of all tags.
const ALL_TAGS: &str = "+refs/tags/*:refs/tags/*";
/// Tags asked for by name: libgit2 compares each with each ref of the remote.
const MOST_TAGS: usize = 1000;

impl Git {
    /// Fetches all branches of `remote` into `refs/remotes/<name>/*`, and tags.
    pub(crate) fn fetch(
        &self,
        remote: &Remote,
        name: &RemoteName,
        (tags, reach): (Tags, Reach),
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<Fetched> {
        let packs = self.packs()?;
        let these = self.branches_to_fetch(name)?;
        let deepening = self.begin_deepening(remote, reach)?;
        let wanted = (tags, deepening.reach);
        let advertised = match remote {
            Remote::Ssh(url) => self.program_fetch(url, &these, wanted, cancel)?,
            Remote::Http { .. } | Remote::Folder(_) => {
                self.download(remote, (name, &these), wanted, progress, cancel)?
            }
        };
        packs.sync()?;
        self.sync_shallow()?;
        cancel.check()?;
        let mut branches = Vec::new();
        self.make_way(name, &advertised.refs)?;
        for Advertised { name: full, id } in &advertised.refs {
            // There may be a million of them.
            cancel.check()?;
            if let Some(branch) = full.strip_prefix("refs/heads/") {
                // Names that only some other git allows are left alone; they must not end the fetch.
                let Ok(branch) = branch.parse::<BranchName>() else {
                    continue;
                };
                if these.takes(&branch) {
                    self.track(&branch.tracking_ref(name), *id, "fetch")?;
                }
                branches.push(branch);
            } else if let Some(tag) = full.strip_prefix("refs/tags/") {
                self.keep_tag(tag, *id)?;
            }
        }
        deepening.finish()?;
        Ok(Fetched {
            default_branch: advertised.default_branch,
            branches,
        })
    }

    /// Brings the objects of all branches, and of the tags wanted; refs do not change.
    fn download(
        &self,
        remote: &Remote,
        (name, branches): (&RemoteName, &Branches),
        (tags, reach): (Tags, Reach),
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<Advertisement> {
        let heard = Rc::new(Heard::default());
        self.ask(remote, "fetch from", |raw| {
            let mut connection = raw.connect_auth(
                Direction::Fetch,
                Some(callbacks(&heard, progress, cancel)),
                None,
            )?;
            let advertised = read_advertisement(connection.list()?)?;
            let mut refspecs = match branches {
                Branches::All => vec![format!("+refs/heads/*:refs/remotes/{name}/*")],
                some => some
                    .of(&advertised.refs)
                    .map(|branch| format!("+{}:{}", branch.local_ref(), branch.tracking_ref(name)))
                    .collect(),
            };
            refspecs.extend(self.wanted_tags(&advertised.refs, tags));
            if !advertised.refs.is_empty() && !refspecs.is_empty() {
                let mut options = FetchOptions::new();
                options
                    .remote_callbacks(callbacks(&heard, progress, cancel))
                    .download_tags(AutotagOption::None)
                    .update_fetchhead(false);
                if let Some(depth) = reach.depth() {
                    options.depth(depth);
                }
                connection
                    .remote()
                    .download(&refspecs, Some(&mut options))?;
            }
            Ok(advertised)
        })
    }

    /// Drops tracking refs of branches that are gone and whose names are in the way of others': where
    /// there is `a/b` there cannot be `a`.
    fn make_way(&self, remote: &RemoteName, refs: &[Advertised]) -> Result<()> {
        let there: HashSet<&str> = refs
            .iter()
            .filter_map(|found| found.name.strip_prefix("refs/heads/"))
            .collect();
        let mut safe: Option<Vec<CommitId>> = None;
        for (branch, _) in self.tracked_branches(remote)? {
            let old = branch.as_str();
            let in_the_way = |new: &&str| {
                let below = |one: &str, two: &str| {
                    one.strip_prefix(two)
                        .is_some_and(|rest| rest.starts_with('/'))
                };
                below(new, old) || below(old, new)
            };
            if !there.contains(old) && there.iter().any(in_the_way) {
                let known = |found: &Advertised| self.known_commit(found.id);
                let safe = safe.get_or_insert_with(|| refs.iter().filter_map(known).collect());
                self.set_aside(&branch.tracking_ref(remote), safe)?;
            }
        }
        Ok(())
    }

    /// Drops a tracking ref. Commits that would be lost with it, as neither other refs nor `safe` ones lead
    /// to them, are kept by a private ref.
    fn set_aside(&self, full_name: &str, safe: &[CommitId]) -> Result<()> {
        let found = self.repo.find_reference(full_name).ok();
        let tip = found.and_then(|found| self.known_commit(found.target()?));
        if let Some(tip) = tip
            && !self.only_by(tip, &[full_name], safe)?.is_empty()
        {
            tracing::warn!(full_name, %tip, "the branch is gone, and its name taken; its commits are kept");
            self.set_private(&PrivateRef::Gone(tip), tip)?;
        }
        self.drop_ref(full_name)
    }

    /// Sets a tracking ref, if it is elsewhere.
    pub(crate) fn track(&self, full_name: &str, id: ObjectId, log: &str) -> Result<()> {
        let current = self
            .repo
            .find_reference(full_name)
            .ok()
            .and_then(|found| found.target());
        if current == Some(id) {
            return Ok(());
        }
        // What keeps track of a ref that is gone by now may have a name in the way of this one.
        while let Some(old) = self.in_the_way_of(full_name)? {
            let safe: Vec<CommitId> = self.known_commit(id).into_iter().collect();
            self.set_aside(&old, &safe)?;
        }
        self.force_ref(full_name, id, log)
    }

    /// Sets a tracking ref to a commit, if it is elsewhere.
    pub(crate) fn track_commit(&self, full_name: &str, commit: CommitId, log: &str) -> Result<()> {
        self.track(full_name, object_id(commit)?, log)
    }

    /// Refspecs for the tags to ask for by name.
    pub(super) fn wanted_tags(&self, refs: &[Advertised], tags: Tags) -> Vec<String> {
        if tags == Tags::All {
            return vec![ALL_TAGS.to_owned()];
        }
        // Tags on new commits come with them; those put on old commits later must be asked for.
        let Ok(odb) = self.repo.odb() else {
            return Vec::new();
        };
        let peeled: HashSet<&str> = refs
            .iter()
            .filter(|found| odb.exists(found.id))
            .filter_map(|found| found.name.strip_suffix("^{}"))
            .collect();
        let wanted: Vec<String> = refs
            .iter()
            .filter(|found| peeled.contains(found.name.as_str()) && !odb.exists(found.id))
            .map(|found| format!("+{0}:{0}", found.name))
            .collect();
        if wanted.len() > MOST_TAGS {
            return vec![ALL_TAGS.to_owned()];
        }
        wanted
    }

    /// Creates a tag that came along; one that exists here is never moved.
    fn keep_tag(&self, name: &str, id: ObjectId) -> Result<()> {
        // Peeled entries (`v1^{}`) are no names, and fall out here.
        let Ok(tag) = name.parse::<TagName>() else {
            return Ok(());
        };
        let here = self.repo.find_reference(&tag.full_ref()).is_ok();
        let known = self.repo.odb().is_ok_and(|odb| odb.exists(id));
        if here || !known {
            Ok(())
        } else {
            self.force_ref(&tag.full_ref(), id, "fetch")
        }
    }
}
