//! Repositories in other formats, made by real git: they work, with git as the judge, or they are refused before
//! a byte of them changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hf_repository::{CheckoutOptions, Delivery, ErrorKind, Repository, Skipped};

use crate::support::saving::save;
use crate::support::{World, shout, weights, write};

/// Every file and folder of git's own, with its mode and content.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let meta = fs::symlink_metadata(&next).unwrap();
        let mode = meta.permissions().mode();
        if meta.is_dir() {
            open.extend(
                fs::read_dir(&next)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            found.insert(next, (mode, Vec::new()));
        } else {
            let content = fs::read(&next).unwrap_or_default();
            found.insert(next, (mode, content));
        }
    }
    found
}

/// A repository on this machine with a few commits, and folders in it.
fn source(w: &World) -> PathBuf {
    let folder = w.path("source");
    w.git(w.path(""), &["init", "-q", &folder.to_string_lossy()]);
    for number in 1..=3 {
        write(&folder, "a.txt", format!("{number}\n"));
        write(&folder, "sub/b.txt", format!("{number}\n"));
        write(&folder, "other/c.txt", "c\n");
        w.git(&folder, &["add", "-A"]);
        w.git(&folder, &["commit", "-q", "-m", &number.to_string()]);
    }
    w.git(&folder, &["config", "uploadpack.allowFilter", "true"]);
    folder
}

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

/// Made by `commands`, each a line for the shell with the clone for its folder; `None` if this git cannot.
fn made(w: &World, name: &str, commands: &str) -> Option<PathBuf> {
    let folder = w.path(name);
    let clone = format!("git clone -q ../source ../{name}");
    fs::create_dir(&folder).unwrap();
    let lines = match commands.strip_prefix("instead: ") {
        Some(own) => own.to_owned(),
        None => format!("{clone}\n{commands}"),
    };
    for line in lines.lines() {
        let mut shell = w.command("sh", &folder);
        let output = shell.args(["-c", line]).output().unwrap();
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            shout(&format!("{name}: this git cannot `{line}`: {told}"));
            return None;
        }
    }
    Some(folder)
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
            "--reference ../seed",
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
