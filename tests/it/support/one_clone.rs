//! A world with one repository and one clone of it, for modules that tell stories about a single clone.

use std::path::Path;

use hf_repository::Repository;

use super::World;

/// The clone `ours` of `alice/m`. Modules add what they do with it.
pub(crate) struct OneClone {
    pub(crate) w: World,
    pub(crate) repo: Repository,
}

impl OneClone {
    /// Of a model with the Hub's first commit.
    pub(crate) fn new() -> Self {
        let w = World::new();
        w.model("alice/m");
        Self::of(w)
    }

    /// Of a world that has the repository already.
    pub(crate) fn of(w: World) -> Self {
        let repo = w.clone("alice/m", "ours");
        Self { w, repo }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.repo.workdir()
    }

    /// What git prints in it.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.w.git(self.folder(), arguments)
    }
}
