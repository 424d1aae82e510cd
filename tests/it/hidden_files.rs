//! Files that git was told not to look at (`--skip-worktree`, `--assume-unchanged`): their local copies are
//! nobody's business, whatever else happens to them.

use std::fs;

use hf_repository::{Pattern, Repository};

use crate::support::{World, needs_git_lfs, path, weights, write};

const LOCAL: &str = "secret\n";

/// The flag that `git ls-files -v` has for a file.
fn flag(w: &World, repo: &Repository, name: &str) -> String {
    let line = w.git(repo.workdir(), &["ls-files", "-v", name]);
    line.split(' ').next().unwrap().to_owned()
}

fn hide(w: &World, repo: &Repository, flag: &str, name: &str) {
    w.git(repo.workdir(), &["update-index", flag, name]);
    write(repo.workdir(), name, LOCAL);
}

/// What a commit has of an LFS file, as git-lfs sees it.
fn committed(w: &World, repo: &Repository, name: &str) -> String {
    let pointer = w.git(repo.workdir(), &["show", &format!("HEAD:{name}")]);
    let oid = pointer
        .lines()
        .find_map(|line| line.strip_prefix("oid sha256:"));
    let oid = oid.unwrap_or_else(|| panic!("{name} is no pointer: {pointer}"));
    let object = format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]);
    String::from_utf8_lossy(&fs::read(repo.workdir().join(object)).unwrap()).into_owned()
}

#[test]
fn rules_make_lfs_files_of_what_the_index_has() {
    needs_git_lfs!();
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir();
    let names = ["skip.cfg", "assume.cfg", "gone.cfg"];
    for name in names {
        write(folder, name, format!("{name}\n"));
    }
    repo.stage().unwrap();
    let _ = repo.commit("plain").unwrap();
    hide(&w, &repo, "--skip-worktree", "skip.cfg");
    hide(&w, &repo, "--assume-unchanged", "assume.cfg");
    hide(&w, &repo, "--skip-worktree", "gone.cfg");
    fs::remove_file(folder.join("gone.cfg")).unwrap();
    // Binary, and staged as it is before it was hidden.
    let raw = format!("{}\0", "raw");
    write(folder, "raw.dat", &raw);
    w.git(folder, &["add", "raw.dat"]);
    hide(&w, &repo, "--skip-worktree", "raw.dat");
    repo.track([Pattern::Glob("*.cfg".into())]).unwrap();
    let report = repo.stage().unwrap();
    assert_eq!(report.tracked, [Pattern::Glob("*.dat".into())]);
    let mut lfs = [&names[..], &["raw.dat"]].concat();
    lfs.sort_unstable();
    assert_eq!(
        report.lfs,
        lfs.iter().map(|name| path(name)).collect::<Vec<_>>()
    );
    let _ = repo.commit("rules").unwrap();
    for name in names {
        assert_eq!(committed(&w, &repo, name), format!("{name}\n"));
    }
    assert_eq!(committed(&w, &repo, "raw.dat"), raw);
    for (name, expected) in [("skip.cfg", "S"), ("assume.cfg", "h"), ("raw.dat", "S")] {
        assert_eq!(flag(&w, &repo, name), expected, "{name}");
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), LOCAL);
    }
    // Rules that are hidden themselves: the new one is committed, and nothing else of the local file.
    let mine = fs::read_to_string(folder.join(".gitattributes")).unwrap() + "# mine\n";
    w.git(
        folder,
        &["update-index", "--skip-worktree", ".gitattributes"],
    );
    write(folder, ".gitattributes", &mine);
    write(folder, "w.zip", weights(1, 100));
    assert_eq!(repo.stage().unwrap().lfs, [path("w.zip")]);
    let _ = repo.commit("zip").unwrap();
    let rules = w.git(folder, &["show", "HEAD:.gitattributes"]);
    assert!(
        rules.contains("*.zip") && !rules.contains("mine"),
        "{rules}"
    );
    let local = fs::read_to_string(folder.join(".gitattributes")).unwrap();
    assert!(
        local.contains("*.zip") && local.contains("# mine"),
        "{local}"
    );
    assert_eq!(flag(&w, &repo, ".gitattributes"), "S");
    assert_eq!(w.git(folder, &["status", "--porcelain"]), "");
}

#[test]
fn pulls_keep_files_hidden() {
    let w = World::new();
    w.model("alice/m");
    let theirs = w.clone("alice/m", "theirs");
    let publish = |text: &str| {
        write(theirs.workdir(), "skip.cfg", text);
        write(theirs.workdir(), "assume.cfg", text);
        theirs.stage().unwrap();
        let _ = theirs.commit(text).unwrap();
        theirs.push().unwrap();
    };
    publish("one");
    let ours = w.clone("alice/m", "ours");
    let folder = ours.workdir();
    for (name, hidden) in [
        ("skip.cfg", "--skip-worktree"),
        ("assume.cfg", "--assume-unchanged"),
    ] {
        w.git(folder, &["update-index", hidden, name]);
    }
    publish("two");
    ours.pull().unwrap();
    for (name, expected) in [("skip.cfg", "S"), ("assume.cfg", "h")] {
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "two");
        assert_eq!(flag(&w, &ours, name), expected, "{name}");
        write(folder, name, LOCAL);
    }
    let report = ours.stage().unwrap();
    assert_eq!((report.plain, report.removed), (vec![], vec![]));
}
