//! What git and libgit2 see alike, or what is left alone.

use std::fs;

use hf_repository::{CheckoutOptions, Delivery, ErrorKind, Skipped};

use super::{bytes, made, source};
use crate::support::saving::save;
use crate::support::{World, weights, write};

/// What is saved arrives, branches can be changed, and git has nothing to say.
#[track_caller]
fn works(w: &World, name: &str) {
    let folder = w.path(name);
    let repo = w.prepare("alice/m", name).open().expect(name);
    assert!(repo.status().unwrap().is_clean(), "{name}");
    write(&folder, "w.bin", weights(1, 3000));
    write(&folder, "sub/new.txt", name);
    let (commit, handle) = save(&repo, name);
    let Delivery::Pushed(report) = handle.wait().expect(name) else {
        panic!("{name}: not pushed");
    };
    assert_eq!(report.commit, commit);
    let branch = format!("by-{name}");
    repo.checkout_with(&branch, CheckoutOptions::Create)
        .unwrap();
    write(&folder, "a.txt", name);
    repo.stage().unwrap();
    let _ = repo.commit("a").unwrap();
    repo.checkout(&*commit.to_string()).unwrap();
    repo.checkout(&branch).unwrap();
    repo.push().unwrap();
    assert_eq!(fs::read(folder.join("a.txt")).unwrap(), name.as_bytes());
    w.git(&folder, &["update-index", "-q", "--refresh"]);
    w.assert_sound(&folder);
    // git goes on with it.
    write(&folder, "a.txt", "by git");
    w.git(&folder, &["commit", "-q", "-a", "-m", "git"]);
    assert!(repo.status().unwrap().is_clean(), "{name}");
    w.git(&folder, &["push", "-q", "origin", "HEAD"]);
    repo.close().unwrap();
}

#[test]
fn what_git_and_libgit2_see_alike_works() {
    let w = World::new();
    w.model("alice/m");
    let seed = w.git_clone("alice/m", "seed");
    write(&seed, "a.txt", "a\n");
    write(&seed, "sub/b.txt", "b\n");
    w.git_push_all(&seed, "begin");
    let url = w.url("alice/m");
    // Several at once: each clone and its judges take their time.
    let cases = [
        (
            "one",
            "git config core.repositoryFormatVersion 1\ngit config extensions.noop true\n\
             git config extensions.preciousObjects true\ngit config extensions.worktreeConfig true\n\
             git config --worktree user.name Elsewhere\ngit config core.untrackedCache true\n\
             git update-index --index-version 4 --untracked-cache\ngit status",
            "--reference ../seed --separate-git-dir ../one.git",
        ),
        (
            "two",
            "git config extensions.frotz true\ngit config index.skipHash true\n\
             git commit -q --allow-empty -m other\ngit replace HEAD HEAD~1\n\
             git reset -q --hard HEAD~1\ngit config core.useReplaceRefs false\n\
             printf '#!/bin/sh\\nprintf \"token\\\\0/\\\\0\"\\n' > .git/monitor\n\
             chmod +x .git/monitor\ngit config core.fsmonitor .git/monitor\n\
             git update-index --fsmonitor\ngit status",
            "",
        ),
        ("bare-with-tree", "instead", ""),
    ];
    for (name, commands, options) in cases {
        let lines = match commands {
            // People keep work trees beside a bare repository.
            "instead" => format!(
                "git clone -q --bare {url} ../{name}.git\n\
                 git -C ../{name}.git worktree add -q $PWD -b tree-of-{name} main\n\
                 git config branch.tree-of-{name}.remote origin"
            ),
            commands => format!("git clone -q {options} {url} .\n{commands}"),
        };
        if made(&w, name, &format!("instead: {lines}")).is_some() {
            works(&w, name);
        }
    }
}

#[test]
fn linked_work_trees_are_clones_of_their_own() {
    let w = World::new();
    w.model("alice/m");
    let main = w.clone("alice/m", "ours");
    let linked = w.path("linked");
    let add = [
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        &linked.to_string_lossy(),
    ];
    w.git(main.workdir(), &add);
    let side = w.prepare("alice/m", "linked").open().unwrap();
    // Both save at once; neither takes the other's branch, index or files.
    write(main.workdir(), "main.bin", weights(1, 20_000));
    write(&linked, "side.bin", weights(2, 20_000));
    let ((on_main, first), (on_side, second)) = std::thread::scope(|scope| {
        let one = scope.spawn(|| save(&main, "main"));
        let two = scope.spawn(|| save(&side, "side"));
        (one.join().unwrap(), two.join().unwrap())
    });
    for handle in [first, second] {
        assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    }
    let tip = |branch| w.remote_tip("alice/m", branch);
    assert_eq!(tip("main"), Some(on_main.to_string()));
    assert_eq!(tip("side"), Some(on_side.to_string()));
    for (repo, taken) in [(&side, "main"), (&main, "side")] {
        let error = repo.checkout(taken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    // What one of them needs the other does not prune.
    side.prune().unwrap();
    main.prune().unwrap();
    assert!(side.checkout(&*on_main.to_string()).is_ok());
    side.checkout("side").unwrap();
    for folder in [main.workdir(), &linked] {
        w.git(folder, &["update-index", "-q", "--refresh"]);
        w.assert_sound(folder);
    }
    w.git(
        main.workdir(),
        &["worktree", "remove", &linked.to_string_lossy()],
    );
    drop(side);
    main.checkout("side").unwrap();
    w.assert_sound(main.workdir());
}

#[test]
fn submodules_are_left_alone() {
    let w = World::new();
    w.model("alice/m");
    let inner = source(&w);
    let seed = w.git_clone("alice/m", "seed");
    w.git(&seed, &["branch", "without"]);
    w.git(
        &seed,
        &[
            "submodule",
            "add",
            "-q",
            &inner.to_string_lossy(),
            "deep/module",
        ],
    );
    w.git_push_all(&seed, "module");
    w.git(&seed, &["push", "-q", "origin", "without"]);
    let gitlink = w.git(&seed, &["rev-parse", "HEAD:deep/module"]);

    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir().to_path_buf();
    let link = |tip: &str| w.git(&folder, &["rev-parse", &format!("{tip}:deep/module")]);
    // Not there yet: an empty folder.
    assert!(folder.join("deep/module").is_dir());
    w.assert_sound(&folder);
    write(&folder, "one.txt", "1");
    let (_, handle) = save(&repo, "one");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    assert_eq!(link("HEAD"), gitlink);
    // There, at another commit, and with edits in it: it is git's to record that.
    w.git(&folder, &["submodule", "update", "--init", "-q"]);
    let module = folder.join("deep/module");
    w.git(&module, &["checkout", "-q", "HEAD~1"]);
    write(&module, "a.txt", "edited");
    write(&module, "huge.bin", weights(1, 20_000));
    assert!(repo.status().unwrap().is_clean());
    write(&folder, "two.txt", "2");
    let (_, handle) = save(&repo, "two");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    assert_eq!(link("HEAD"), gitlink);
    // A change of branches takes nothing out of it.
    let before = bytes(&module);
    repo.checkout("without").unwrap();
    repo.checkout("main").unwrap();
    assert!(bytes(&module) == before);
    // What git records of it, we push.
    w.git(&folder, &["add", "deep/module"]);
    let _ = repo.commit("module moved").unwrap();
    repo.push().unwrap();
    assert_ne!(link("HEAD"), gitlink);
    assert_eq!(link("origin/main"), link("HEAD"));
    // A repository nobody made a submodule is not swallowed, and not lost.
    let nested = folder.join("nested");
    w.git(
        &folder,
        &[
            "clone",
            "-q",
            &inner.to_string_lossy(),
            &nested.to_string_lossy(),
        ],
    );
    let before = bytes(&nested);
    let report = repo.stage().unwrap();
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|(name, why)| (name.as_str(), *why))
        .collect();
    assert_eq!(
        skipped,
        [("nested/", Skipped::NestedRepository)],
        "{report:?}"
    );
    let status = w.git(
        &folder,
        &["status", "--porcelain", "--ignore-submodules=dirty"],
    );
    assert_eq!(status, "?? nested/");
    assert!(bytes(&nested) == before);
    // Pulling moves the link alone.
    w.git(&seed, &["pull", "-q"]);
    w.git(&seed, &["submodule", "update", "-q"]);
    w.git(seed.join("deep/module"), &["checkout", "-q", &gitlink]);
    w.git_push_all(&seed, "module moved back");
    repo.pull().unwrap();
    assert_eq!(link("HEAD"), gitlink);
    let before_pull = fs::read(module.join("a.txt")).unwrap();
    assert_eq!(before_pull, b"edited");
    repo.close().unwrap();
}

#[test]
fn a_submodule_is_a_clone_of_its_own() {
    let w = World::new();
    w.model("alice/m");
    let whole = source(&w);
    w.git(
        &whole,
        &["submodule", "add", "-q", &w.url("alice/m"), "model"],
    );
    w.git(&whole, &["commit", "-q", "-m", "model"]);
    let module = whole.join("model");
    let repo = w.prepare("alice/m", "source/model").open().unwrap();
    write(&module, "w.bin", weights(1, 3000));
    let (commit, handle) = save(&repo, "weights");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    repo.close().unwrap();
    w.git(&module, &["update-index", "-q", "--refresh"]);
    w.assert_sound(&module);
    let status = w.git(&whole, &["status", "--porcelain"]);
    assert_eq!(status, " M model");
    assert_eq!(w.git(&module, &["rev-parse", "HEAD"]), commit.to_string());
}
