//! Which LFS objects of the local store must stay.

use std::collections::HashSet;

use super::pointers::Pointers;
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::git::{Git, ObjectId};
use crate::id::{CommitId, LfsOid};
use crate::lfs::pruning::Window;

/// Seconds.
const DAY: i64 = 24 * 60 * 60;

/// The objects this clone needs, or has alone.
///
/// Those are named by any pointer, whatever `.gitattributes` say of its path, in
/// * the index and the checked-out commit of every work tree,
/// * the stashes, each with what was staged and what was untracked,
/// * what a commit brings in that no commit of `pushed` includes, if any ref leads to it, or a HEAD,
///   or an operation under way (a merge, a rebase).
///
/// `pushed` are the commits that a remote has; of several remotes each must have a commit for it to
/// count. The more there are, the less there is to walk: the cost is that of the trees checked out
/// and of the commits beyond `pushed`.
pub(crate) fn keep_set(
    git: &Git,
    pushed: &[&[CommitId]],
    cancel: &CancelToken,
) -> Result<HashSet<LfsOid>> {
    let mut blobs = HashSet::new();
    let mut tips = Vec::new();
    // In this order, because names move from the index to a commit, and on to a branch or a stash:
    // what leaves one place while we look is found in the next.
    for folder in git.work_tree_folders()? {
        git.blobs_of_index(&folder.join("index"), &mut blobs)?;
        if let Some(head) = git.head_in(&folder)? {
            git.blobs_beyond(git.tree_of(head)?, &[], &mut blobs)?;
            tips.push(head);
        }
        tips.extend(git.unfinished_commits(&folder)?);
    }
    for stash in git.stashes()? {
        git.blobs_beyond(git.tree_of(stash)?, &[], &mut blobs)?;
        // The first parent is the commit it was made on, and no part of it.
        for part in git.parents_of(stash)?.into_iter().skip(1) {
            git.blobs_beyond(git.tree_of(part)?, &[], &mut blobs)?;
        }
        tips.push(stash);
    }
    tips.extend(git.ref_commits()?);
    for pushed in pushed {
        for commit in git.commits_beyond(&tips, pushed)? {
            cancel.check()?;
            git.blobs_brought_by(commit, &mut blobs)?;
        }
    }
    oids(git, &blobs)
}

/// The objects that are worth keeping because they are recent, though the remote has them.
///
/// git-lfs's rules: what the commits of recent refs hold; and, from each of those and from HEAD, what
/// commits in the time before replaced. Merges count for nothing there.
pub(crate) fn recent_objects(
    git: &Git,
    window: &Window,
    now: i64,
    cancel: &CancelToken,
) -> Result<HashSet<LfsOid>> {
    let before = |time: i64, days: u32| time.saturating_sub(i64::from(days) * DAY);
    let mut blobs = HashSet::new();
    let head = git.head_in(git.git_dir())?;
    let mut tips: HashSet<CommitId> = head.into_iter().collect();
    // What HEAD holds is kept in any case.
    let kept = head.map(|head| git.tree_of(head)).transpose()?;
    if window.refs > 0 {
        for tip in git.recent_tips(before(now, window.refs), window.remote_refs)? {
            cancel.check()?;
            if tips.insert(tip) {
                git.blobs_beyond(git.tree_of(tip)?, kept.as_slice(), &mut blobs)?;
            }
        }
    }
    if window.commits > 0 {
        for tip in tips {
            for commit in git.commits_since(tip, before(git.time_of(tip)?, window.commits))? {
                cancel.check()?;
                if let [parent] = git.parents_of(commit)?[..] {
                    let tree = git.tree_of(commit)?;
                    git.blobs_beyond(git.tree_of(parent)?, &[tree], &mut blobs)?;
                }
            }
        }
    }
    oids(git, &blobs)
}

fn oids(git: &Git, blobs: &HashSet<ObjectId>) -> Result<HashSet<LfsOid>> {
    let mut pointers = Pointers::new(git);
    let mut oids = HashSet::new();
    for blob in blobs {
        oids.extend(pointers.get(*blob)?.map(|object| object.oid));
    }
    Ok(oids)
}
