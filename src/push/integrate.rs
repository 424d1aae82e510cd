//! When the remote's branch has moved: what is pushed instead, made in the object store alone.

use super::forms::form_in;
use super::journal::PushPromise;
use super::report::Integration;
use super::settings::OnConflict;
use super::side::{SIDE_DIGITS, is_side_of, prefix_of};
use crate::cancel::CancelToken;
use crate::config::Use;
use crate::error::{Error, Result};
use crate::fs;
use crate::git::{Change, Git, Merge, PrivateRef, Rebase, Tags};
use crate::id::CommitId;
use crate::lfs::Object;
use crate::local::Local;
use crate::name::{BranchName, RefName};
use crate::path::RepoPath;
use crate::worktree::{Fill, Pointers, Wanted, fill};

/// Which commit goes where.
pub(super) struct Plan {
    pub(super) branch: BranchName,
    pub(super) target: RefName,
    pub(super) commit: CommitId,
    pub(super) integration: Integration,
}

impl Plan {
    /// The commit as promised.
    pub(super) fn direct(promise: &PushPromise) -> Self {
        Self {
            branch: promise.branch.clone(),
            target: promise.target.clone(),
            commit: promise.commit,
            integration: Integration::None,
        }
    }
}

/// What to push if the remote has not moved.
///
/// Mostly the commit itself. Its branch may have gone elsewhere in the meantime: if a pull replayed the
/// commit, what it became is pushed; if the user made another history of it (an amended commit),
/// the promise is kept aside, so that the new history has the branch for itself.
pub(super) fn first_plan(
    local: &Local,
    git: &Git,
    promise: &PushPromise,
    policy: OnConflict,
) -> Result<Plan> {
    if let Some(plan) = replayed(git, promise)? {
        return Ok(plan);
    }
    let unpushed = local.is_unpushed(git, promise.commit)?;
    if policy != OnConflict::Fail && unpushed && is_parted(git, promise)? {
        return divert(local, git, promise, Vec::new());
    }
    Ok(Plan::direct(promise))
}

/// Whether the branch has another history than the commit's.
fn is_parted(git: &Git, promise: &PushPromise) -> Result<bool> {
    Ok(match git.ref_commit(&promise.branch.local_ref())? {
        Some(tip) => {
            !git.is_ancestor(promise.commit, tip)? && !git.is_ancestor(tip, promise.commit)?
        }
        None => false,
    })
}

/// What a pull made of the commit, if it did and the branch has it.
fn replayed(git: &Git, promise: &PushPromise) -> Result<Option<Plan>> {
    let tip = git.ref_commit(&promise.branch.local_ref())?;
    let new = tip.map(|tip| form_in(git, promise.commit, tip));
    Ok(new.transpose()?.flatten().map(|new| Plan {
        branch: promise.branch.clone(),
        target: promise.target.clone(),
        commit: new,
        integration: Integration::Rebased {
            rewritten: vec![(promise.commit, new)],
        },
    }))
}

/// Fetches what the remote has and decides; `refusal` is why the last plan failed.
pub(super) fn plan(
    local: &Local,
    git: &Git,
    promise: &PushPromise,
    policy: OnConflict,
    refusal: Error,
    cancel: &CancelToken,
) -> Result<Plan> {
    if policy == OnConflict::Fail {
        return Err(refusal);
    }
    local.fetch(git, Tags::Following, cancel)?;
    if promise.target.is_other() {
        local.fetch_ref(git, &promise.target, cancel)?;
    }
    let tracking = promise.target.tracking_ref(local.remote_name());
    let deepened = match git.ref_commit(&tracking)? {
        Some(theirs) => local.deepen_to_join(git, (promise.commit, theirs), cancel)?,
        None => None,
    };
    let git = deepened.as_ref().unwrap_or(git);
    // A pull may have replayed the commit: then what it became is to be brought there.
    if let Some(plan) = replayed(git, promise)? {
        let became = PushPromise {
            commit: plan.commit,
            ..promise.clone()
        };
        let plan = Plan {
            integration: plan.integration,
            ..integrate(local, git, &became, policy)?
        };
        return Ok(plan);
    }
    if is_parted(git, promise)? {
        return divert(local, git, promise, Vec::new());
    }
    integrate(local, git, promise, policy)
}

/// What to push now that the remote's branches are known.
fn integrate(local: &Local, git: &Git, promise: &PushPromise, policy: OnConflict) -> Result<Plan> {
    let ours = promise.commit;
    let theirs = git.ref_commit(&promise.target.tracking_ref(local.remote_name()))?;
    let Some(theirs) = theirs else {
        return Ok(Plan::direct(promise));
    };
    if git.is_ancestor(theirs, ours)? || git.is_ancestor(ours, theirs)? {
        return Ok(Plan::direct(promise));
    }
    let made = match policy {
        OnConflict::Rebase => rebase(local, git, promise, theirs)?,
        OnConflict::Merge => merge(local, git, promise, theirs)?,
        OnConflict::Fail | OnConflict::SideBranch => Err(Vec::new()),
    };
    match made {
        Ok((commit, integration)) => {
            // Until the remote's branch is there nothing else keeps it from `git gc`.
            git.set_private(&PrivateRef::Pushing(commit), commit)?;
            Ok(Plan {
                branch: promise.branch.clone(),
                target: promise.target.clone(),
                commit,
                integration,
            })
        }
        Err(conflicts) => divert(local, git, promise, conflicts),
    }
}

/// The commit to push and how it came about, or the files in the way.
type Made = std::result::Result<(CommitId, Integration), Vec<RepoPath>>;

fn merge(local: &Local, git: &Git, promise: &PushPromise, theirs: CommitId) -> Result<Made> {
    let tree = match git.merge_commits(promise.commit, theirs)? {
        Merge::Clean(tree) => tree,
        Merge::Conflicts(paths) => return Ok(Err(paths)),
        Merge::Unrelated => return Ok(Err(Vec::new())),
    };
    let message = format!("Merge branch '{}' of {}\n", promise.branch, promise.remote);
    let identity = local.identity_for(git)?;
    let merge = git.write_commit(tree, &[promise.commit, theirs], &message, &identity)?;
    Ok(Ok((merge, Integration::Merged { merge })))
}

fn rebase(local: &Local, git: &Git, promise: &PushPromise, theirs: CommitId) -> Result<Made> {
    // What an earlier push replayed already, and the remote still has, is not replayed again.
    let mut until = git.merge_bases(promise.commit, theirs)?;
    if until.is_empty() {
        return Ok(Err(Vec::new()));
    }
    let whole = git.line_since(promise.commit, &until)?;
    let mut rewritten = Vec::new();
    for commit in &whole {
        if let Some(new) = form_in(git, *commit, theirs)? {
            rewritten.push((*commit, new));
            until.push(*commit);
        }
    }
    let chain = git.line_since(promise.commit, &until)?;
    let identity = local.identity_for(git)?;
    let mapping = match git.rebase_commits(&chain, theirs, &identity)? {
        Rebase::Done(mapping) => mapping,
        Rebase::Conflicts { paths, .. } => return Ok(Err(paths)),
        Rebase::HasMerge(_) => return Ok(Err(Vec::new())),
    };
    for (old, new) in &mapping {
        // Before the push: killed after it, the next run must know.
        git.set_private(&PrivateRef::Rewritten(*old), *new)?;
    }
    rewritten.extend(mapping);
    let tip = rewritten.last().map_or(theirs, |(_, new)| *new);
    Ok(Ok((tip, Integration::Rebased { rewritten })))
}

/// The branch of its own that a commit gets: the one its ancestors were diverted to, or a new one.
fn divert(
    local: &Local,
    git: &Git,
    promise: &PushPromise,
    conflicts: Vec<RepoPath>,
) -> Result<Plan> {
    let tracked = git.tracked_branches(local.remote_name())?;
    let mut chosen = None;
    for (name, tip) in &tracked {
        if is_side_of(&promise.branch, name) && git.is_ancestor(*tip, promise.commit)? {
            chosen = Some(name.clone());
            break;
        }
    }
    let branch = match chosen {
        Some(branch) => branch,
        None => {
            let (id, prefix) = (promise.commit.to_string(), prefix_of(&promise.branch));
            let free = |name: &String| !tracked.iter().any(|(other, _)| other.as_str() == name);
            let mut names = SIDE_DIGITS
                .iter()
                .map(|digits| format!("{prefix}{}", &id[..*digits]));
            let name = names.find(free).unwrap_or(format!("{prefix}{id}"));
            name.parse()?
        }
    };
    Ok(Plan {
        target: RefName::from(&branch),
        branch,
        commit: promise.commit,
        integration: Integration::Diverted {
            from: promise.branch.clone(),
            conflicts,
        },
    })
}

/// After the push: remembers where the local branch is to go, and brings the content it will need.
pub(super) fn remember(local: &Local, git: &Git, promise: &PushPromise, plan: &Plan) -> Result<()> {
    match plan.integration {
        Integration::Merged { .. } | Integration::Rebased { .. } => {}
        _ => return Ok(()),
    }
    let tip = git.ref_commit(&promise.branch.local_ref())?;
    if tip.is_some_and(|tip| git.is_ancestor(plan.commit, tip).unwrap_or(false)) {
        return Ok(());
    }
    git.set_private(&PrivateRef::Integrated(&promise.branch), plan.commit)?;
    git.drop_private(&PrivateRef::Pushing(plan.commit))?;
    let wanted = Wanted::recall(git, Some(plan.commit))?;
    let (from, to) = (git.tree_of(promise.commit)?, git.tree_of(plan.commit)?);
    let mut pointers = Pointers::new(git);
    let mut content: Vec<(Object, RepoPath)> = Vec::new();
    for change in git.changes(Some(from), Some(to))? {
        if let Some((blob, mode)) = change.new
            && mode.is_file()
        {
            let object = pointers.get(blob)?.filter(|object| object.size > 0);
            if !wanted.wants(&change.path) && !has_content(git, &mut pointers, &change)? {
                continue;
            }
            content.extend(object.map(|object| (object, change.path)));
        }
    }
    let lfs = || {
        let incoming = Some(plan.commit);
        local.remote.lfs(git, Use::Fetch, incoming).map(Some)
    };
    let source = Fill {
        remote: &lfs,
        remote_name: local.remote_name().as_str(),
        ref_name: None,
        commit: Some(plan.commit),
    };
    let wanted = content.iter().map(|(object, path)| (*object, path));
    fill(&local.context(git), &source, wanted)
}

/// Whether the work tree has the content of what the change replaces: then it is kept up to date.
fn has_content(git: &Git, pointers: &mut Pointers<'_>, change: &Change) -> Result<bool> {
    let Some((old, _)) = change.old else {
        return Ok(false);
    };
    let Some(object) = pointers.get(old)? else {
        return Ok(false);
    };
    let stat = fs::lstat(&change.path.under(git.workdir()))?;
    Ok(stat.is_some_and(|stat| stat.size == object.size))
}
