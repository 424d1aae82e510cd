//! What git sees otherwise than libgit2.

use hf_repository::{ErrorKind, Repository};

use super::{bytes, made, source};
use crate::support::World;

/// How a repository is refused.
struct Refusal {
    /// What the error calls it.
    what: &'static str,
    /// What its hint says, if that can be run and helps.
    remedy: Option<&'static str>,
}

fn refusal(what: &'static str) -> Refusal {
    Refusal { what, remedy: None }
}

fn remedied(what: &'static str, remedy: &'static str) -> Refusal {
    let remedy = Some(remedy);
    Refusal { what, remedy }
}

#[track_caller]
fn refused(w: &World, name: &str, commands: &str, refusal: &Refusal) {
    let Some(folder) = made(w, name, commands) else {
        return;
    };
    let before = bytes(&folder);
    let source = w.path("source").to_string_lossy().into_owned();
    let tries = [
        Repository::open(&folder),
        w.prepare(&source, name).open(),
        w.prepare(&source, name).open_or_clone(),
    ];
    for tried in tries {
        let error = tried.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error:?}");
        assert!(error.to_string().contains(refusal.what), "{name}: {error}");
        let hint = error.hint().unwrap_or_default();
        assert!(!hint.is_empty(), "{name}");
        if let Some(remedy) = refusal.remedy {
            assert!(hint.contains(remedy), "{name}: {hint}");
        }
    }
    assert!(bytes(&folder) == before, "{name}: something has changed");
    if let Some(remedy) = refusal.remedy {
        let mut shell = w.command("sh", &folder);
        let output = shell.args(["-c", remedy]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {remedy}: {told}");
        let repo = Repository::open(&folder).expect(name);
        assert!(repo.status().unwrap().is_clean(), "{name}");
    }
}

#[test]
fn what_git_sees_otherwise_is_refused_before_anything_changes() {
    let w = World::new();
    source(&w);
    let sparse = remedied("sparse-checkout", "git sparse-checkout disable");
    let cases = [
        ("cone", "git sparse-checkout set --cone sub", sparse),
        (
            "no-cone",
            "git sparse-checkout set --no-cone '/*' '!sub'",
            remedied("sparse-checkout", "git sparse-checkout disable"),
        ),
        (
            "sparse-index",
            "git sparse-checkout set --cone --sparse-index sub",
            remedied("sparse-checkout", "git sparse-checkout disable"),
        ),
        (
            "sparse-as-ever",
            "git config core.sparseCheckout true\nprintf 'sub\\n' > .git/info/sparse-checkout\n\
             git read-tree -mu HEAD",
            remedied("sparse-checkout", "git sparse-checkout disable"),
        ),
        (
            "partial",
            "instead: git clone -q --filter=blob:none file://$PWD/../source .",
            refusal("partial clone"),
        ),
        (
            "partial-of-old",
            "git config extensions.partialClone origin",
            refusal("partial clone"),
        ),
        (
            "sha256",
            "instead: git init -q --object-format=sha256",
            refusal("SHA-256"),
        ),
        (
            "reftable",
            // Logs of refs are what git 2.47 cannot migrate yet.
            "instead: git clone -q -c core.logAllRefUpdates=false --ref-format=reftable ../source .",
            remedied("refs are stored", "git refs migrate --ref-format=files"),
        ),
        (
            "refs-as-ever",
            "git config core.repositoryFormatVersion 1\ngit config extensions.refStorage files",
            remedied(
                "where refs are stored",
                "git config --unset extensions.refStorage",
            ),
        ),
        (
            "split",
            "git update-index --split-index",
            remedied(
                "split",
                "git config core.splitIndex false; git update-index --no-split-index",
            ),
        ),
        (
            "grafts",
            "printf '# none\\n' > .git/info/grafts",
            refusal("grafts"),
        ),
        (
            "grafted",
            "git rev-parse HEAD > .git/info/grafts",
            refusal("grafts"),
        ),
        (
            "replaced",
            "git replace HEAD HEAD~1",
            remedied("replaced", "git config core.useReplaceRefs false"),
        ),
        (
            "replaced-packed",
            "git replace HEAD HEAD~1\ngit pack-refs --all",
            remedied("replaced", "git config core.useReplaceRefs false"),
        ),
        (
            "unknown",
            "git config core.repositoryFormatVersion 1\ngit config extensions.frotz true",
            refusal("\"frotz\""),
        ),
        (
            "newer",
            "git config core.repositoryFormatVersion 2",
            refusal("version 2"),
        ),
        (
            "bare-by-mistake",
            "git config core.bare true",
            remedied("bare", "git config core.bare false"),
        ),
        (
            "elsewhere",
            "mkdir ../tree\ngit config core.worktree $PWD/../tree",
            remedied("elsewhere", "git config --unset core.worktree"),
        ),
        (
            "shallow-linked",
            "instead: git clone -q --depth 1 file://$PWD/../source ../shallow-main\n\
             git -C ../shallow-main worktree add -q --force $PWD -b linked",
            remedied("shallow", "git fetch --unshallow"),
        ),
    ];
    for (name, commands, refusal) in &cases {
        refused(&w, name, commands, refusal);
    }
    let bare = w.path("bare.git");
    let name = bare.to_string_lossy();
    w.git(w.path("source"), &["clone", "-q", "--bare", ".", &name]);
    let before = bytes(&bare);
    let error = Repository::open(&bare).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(bytes(&bare) == before);
}

#[test]
fn folders_in_such_formats_are_no_sources() {
    let w = World::new();
    source(&w);
    for (name, commands) in [
        (
            "partial",
            "instead: git clone -q --filter=blob:none file://$PWD/../source .",
        ),
        (
            "shallow",
            "instead: git clone -q --depth 1 file://$PWD/../source .",
        ),
        ("sha256", "instead: git init -q --object-format=sha256"),
        (
            "reftable",
            "instead: git clone -q --ref-format=reftable ../source .",
        ),
    ] {
        let Some(folder) = made(&w, name, commands) else {
            continue;
        };
        let from = folder.to_string_lossy();
        let error = w.prepare(&from, "clone").clone_repo().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error:?}");
        assert!(error.hint().is_some(), "{name}");
        assert!(!w.path("clone").exists(), "{name}");
    }
    // What is odd in a work tree or an index alone is no matter.
    let sparse = "git sparse-checkout set --cone sub\ngit update-index --split-index";
    let folder = made(&w, "sparse", sparse).unwrap();
    let repo = w.prepare(&folder.to_string_lossy(), "whole").clone_repo();
    w.assert_sound(repo.unwrap().workdir());
}
