//! Pushing to a repository of this machine, without a server that would compare and swap its refs.

use std::path::Path;

use git2::{ErrorCode, Repository};

use super::error::{patiently, wrap};
use super::push::{How, Lease, PushOutcome, RefUpdate, RefsPush};
use super::remote::Remote;
use super::{Git, ObjectId};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// git's words for a ref that moved meanwhile.
const MOVED: &str = "fetch first";

impl Git {
    /// libgit2 overwrites a local remote's refs, whoever moved them meanwhile: so the objects go to refs
    /// of our own, and those wanted are moved by comparing and swapping.
    pub(super) fn push_to_folder(
        &self,
        folder: &Path,
        updates: &[RefUpdate],
        progress: &Progress,
        cancel: &CancelToken,
    ) -> Result<RefsPush> {
        let what = format!("push to {}", folder.display());
        let remote = Remote::Folder(folder.to_path_buf());
        // The refs are read in the way that refuses what cannot be read.
        let found = self.push_advertisement(&remote, cancel)?;
        let there = Repository::open(folder).map_err(wrap(&what))?;
        if !there.is_bare() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot {what}: it has a work tree of its own"),
            )
            .with_hint("push to a bare repository (git init --bare), or pull from there"));
        }
        for update in updates {
            update.check_lease(found.find(&update.name))?;
        }
        let staged: Vec<RefUpdate> = updates
            .iter()
            .filter_map(|update| {
                let to = update.to?;
                Some(RefUpdate {
                    name: format!("refs/hf-repository/push-{to}-{}", std::process::id()),
                    to: Some(to),
                    lease: Lease::Any,
                    how: How::Force,
                })
            })
            .collect();
        let mut pushed = RefsPush {
            outcomes: Vec::new(),
            server_text: String::new(),
        };
        if !staged.is_empty() {
            pushed = self.send_refs(&remote, &staged, progress, cancel)?;
        }
        let refused = pushed
            .outcomes
            .iter()
            .find(|it| **it != PushOutcome::Accepted);
        let moved = match refused.cloned() {
            Some(refused) => Ok(vec![refused; updates.len()]),
            None => updates
                .iter()
                .map(|update| self.change_there(&there, update, found.find(&update.name), &what))
                .collect::<Result<Vec<_>>>(),
        };
        for staged in &staged {
            let cleaned = there
                .find_reference(&staged.name)
                .and_then(|mut found| found.delete());
            if let Err(error) = cleaned {
                tracing::debug!(%error, "the staging ref stays");
            }
        }
        Ok(RefsPush {
            outcomes: moved?,
            ..pushed
        })
    }

    /// Changes a ref that was at `found`, and does so from nowhere else.
    fn change_there(
        &self,
        there: &Repository,
        update: &RefUpdate,
        found: Option<ObjectId>,
        what: &str,
    ) -> Result<PushOutcome> {
        if found == update.to {
            return Ok(PushOutcome::Accepted);
        }
        if let Some(reason) = self.objection(there, update, found)? {
            return Ok(PushOutcome::Refused(reason.to_owned()));
        }
        let (name, log) = (update.name.as_str(), "push");
        let moved = patiently(what, || {
            let changed = match (update.to, found) {
                (Some(to), Some(found)) => there
                    .reference_matching(name, to, true, found, log)
                    .map(drop),
                (Some(to), None) => there.reference(name, to, false, log).map(drop),
                (None, found) => match there.find_reference(name) {
                    // It is compared with what was read just now.
                    Ok(mut reference) if reference.target() == found => reference.delete(),
                    Ok(_) => return Ok(false),
                    Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
                    Err(error) => Err(error),
                },
            };
            match changed {
                Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists) => {
                    Ok(false)
                }
                result => result.map(|()| true),
            }
        })?;
        Ok(match moved {
            true => PushOutcome::Accepted,
            false => PushOutcome::Refused(MOVED.to_owned()),
        })
    }

    /// What git's own receiving end would say against it, in its words.
    fn objection(
        &self,
        there: &Repository,
        update: &RefUpdate,
        found: Option<ObjectId>,
    ) -> Result<Option<&'static str>> {
        let config = there.config().map_err(wrap("read the remote's config"))?;
        let is_set = |key: &str| config.get_bool(key).unwrap_or(false);
        let Some(to) = update.to else {
            let head = there.find_reference("HEAD").ok();
            let is_current = head.is_some_and(|head| {
                head.symbolic_target().ok().flatten() == Some(update.name.as_str())
            });
            let may_be = config.get_string("receive.denyDeleteCurrent");
            let may_be =
                may_be.is_ok_and(|value| ["ignore", "warn", "false"].contains(&value.as_str()));
            return Ok(if is_set("receive.denyDeletes") {
                Some("deletion prohibited")
            } else if is_current && !may_be {
                Some("deletion of the current branch prohibited")
            } else {
                None
            });
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let forced = update.how == How::Force && !is_set("receive.denyNonFastForwards");
        if forced || self.leads_to(found, to)? {
            return Ok(None);
        }
        Ok(Some(match self.has(found) {
            true => "non-fast-forward",
            false => MOVED,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::{Identity, create, object_id};
    use crate::name::BranchName;

    /// A repository, a bare one beside it, and three commits: a root, one upon it, another root.
    struct Scene {
        folder: tempfile::TempDir,
        git: Git,
        there: Repository,
        ids: [ObjectId; 3],
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("temp");
            let git = create(&folder.path().join("here"), &BranchName::main()).expect("made");
            let there = Repository::init_bare(folder.path().join("there")).expect("made");
            let identity = Identity::new("Ada", "ada@example.org").expect("good");
            let tree = git.repo.treebuilder(None).and_then(|tree| tree.write());
            let tree = tree.expect("written");
            let commit = |parents: &[_], text: &str| {
                git.write_commit(tree, parents, text, &identity)
                    .expect("written")
            };
            let root = commit(&[], "root");
            let ids = [root, commit(&[root], "next"), commit(&[], "other")];
            let ids = ids.map(|id| object_id(id).expect("an id"));
            Self {
                folder,
                git,
                there,
                ids,
            }
        }

        fn push(&self, updates: &[(&str, Option<ObjectId>, Lease, How)]) -> Result<RefsPush> {
            let updates: Vec<RefUpdate> = updates
                .iter()
                .map(|(name, to, lease, how)| RefUpdate {
                    name: (*name).to_owned(),
                    to: *to,
                    lease: *lease,
                    how: *how,
                })
                .collect();
            let remote = Remote::Folder(self.folder.path().join("there"));
            let (progress, cancel) = (Progress::none(), CancelToken::new());
            self.git.push_refs(&remote, &updates, &progress, &cancel)
        }

        #[track_caller]
        fn refs(&self, expected: &[(&str, ObjectId)]) {
            let refs = self.there.references().expect("listed");
            let mut found: Vec<_> = refs
                .flatten()
                .map(|it| {
                    (
                        it.name().expect("UTF-8").to_owned(),
                        it.target().expect("direct"),
                    )
                })
                .collect();
            found.sort();
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, id)| ((*name).to_owned(), *id))
                .collect();
            assert_eq!(found, expected);
        }
    }

    const ONE: &str = "refs/heads/one";
    const TWO: &str = "refs/tags/two";

    #[test]
    fn refs_move_from_where_they_should_be_only() {
        let scene = Scene::new();
        let [root, next, other] = scene.ids;
        let made = scene.push(&[
            (ONE, Some(root), Lease::Absent, How::FastForward),
            (TWO, Some(other), Lease::Any, How::FastForward),
        ]);
        assert_eq!(
            made.expect("pushed").outcomes,
            [PushOutcome::Accepted, PushOutcome::Accepted]
        );
        scene.refs(&[(ONE, root), (TWO, other)]);

        // One that is elsewhere keeps all others from moving, and is named with both places.
        let stale = scene.push(&[
            (TWO, None, Lease::At(other), How::FastForward),
            (ONE, Some(next), Lease::At(next), How::FastForward),
        ]);
        assert_eq!(stale.expect_err("stale").kind(), ErrorKind::StaleLease);
        let stale = scene.push(&[(ONE, Some(other), Lease::At(next), How::Force)]);
        let stale = stale.expect_err("stale");
        assert_eq!(stale.kind(), ErrorKind::StaleLease);
        for id in [root, next] {
            assert!(stale.to_string().contains(&id.to_string()), "{stale}");
        }
        let taken = scene.push(&[(ONE, Some(next), Lease::Absent, How::Force)]);
        assert_eq!(taken.expect_err("taken").kind(), ErrorKind::StaleLease);
        scene.refs(&[(ONE, root), (TWO, other)]);

        // Nothing is lost without force.
        let lost = scene.push(&[(ONE, Some(other), Lease::At(root), How::FastForward)]);
        assert_eq!(lost.expect_err("lost").kind(), ErrorKind::NonFastForward);
        let lost = scene.push(&[(ONE, Some(other), Lease::Any, How::FastForward)]);
        let refused = PushOutcome::Refused("non-fast-forward".to_owned());
        assert_eq!(lost.expect("answered").outcomes, [refused]);
        scene.refs(&[(ONE, root), (TWO, other)]);
        for (to, how) in [
            (next, How::FastForward),
            (other, How::Force),
            (other, How::FastForward),
        ] {
            let pushed = scene
                .push(&[(ONE, Some(to), Lease::Any, how)])
                .expect("pushed");
            assert_eq!(pushed.outcomes, [PushOutcome::Accepted]);
            scene.refs(&[(ONE, to), (TWO, other)]);
        }
        let gone = scene.push(&[
            (TWO, None, Lease::At(other), How::FastForward),
            ("refs/tags/never", None, Lease::Any, How::FastForward),
        ]);
        assert_eq!(
            gone.expect("gone").outcomes,
            [PushOutcome::Accepted, PushOutcome::Accepted]
        );
        scene.refs(&[(ONE, other)]);
    }

    #[test]
    fn the_settings_of_the_other_side_hold() {
        let scene = Scene::new();
        let [root, next, other] = scene.ids;
        let refused = |pushed: Result<RefsPush>, reason: &str| {
            let reason = PushOutcome::Refused(reason.to_owned());
            assert_eq!(pushed.expect("answered").outcomes, [reason]);
        };
        scene.there.set_head(ONE).expect("set");
        let make = [
            (ONE, Some(next), Lease::Any, How::FastForward),
            (TWO, Some(root), Lease::Any, How::FastForward),
        ];
        scene.push(&make).expect("pushed");
        let delete = |name| scene.push(&[(name, None, Lease::Any, How::FastForward)]);
        refused(delete(ONE), "deletion of the current branch prohibited");
        let mut config = scene.there.config().expect("there");
        config.set_bool("receive.denyDeletes", true).expect("set");
        config
            .set_bool("receive.denyNonFastForwards", true)
            .expect("set");
        refused(delete(TWO), "deletion prohibited");
        let forced = scene.push(&[(ONE, Some(other), Lease::Any, How::Force)]);
        refused(forced, "non-fast-forward");
        scene.refs(&[(ONE, next), (TWO, root)]);
    }
}
